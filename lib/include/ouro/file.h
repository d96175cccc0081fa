/* ouro/file.h - names, attributes and space of files. Included by ouro.h, whose conventions hold. */
#ifndef OURO_FILE_H
#define OURO_FILE_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- files by name ----------------------------------------------------------------------------- */

/* A path is a string: a NUL inside it cannot be told from its end, so whoever takes paths from elsewhere
 * refuses those first. NULL is -EINVAL, 4096 bytes or more are -ENAMETOOLONG, "" is -ENOENT. All calls here
 * are cancellation points and outside of a loop -EPERM; one that had an effect just as it was cancelled
 * returns its success. What the kernel has no opcode for is done by one of the loop's few helper threads:
 * such a call is withdrawn while it is queued, and waited for once it has begun. */

struct open_how;
struct statfs;
struct timespec;

/**
 * ouro_openat2 - open a file within bounds, see openat2(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @how: of linux/openat2.h: flags, mode, resolve (RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, ...)
 * @how_size: sizeof *how
 *
 * With RESOLVE_BENEATH no "..", symbolic link or absolute path leads out of dirfd: what a server wants that
 * is asked for names by strangers. O_CLOEXEC is added. FIFOs as with ouro_openat().
 *
 * Returns: a descriptor, or
 *   -EINVAL: path or how is NULL, how_size is too small, an unknown flag
 *   -E2BIG: how has fields, other than 0, that are not known here
 *   -EXDEV: the path leads out of dirfd
 *   -ELOOP: a symbolic link, and RESOLVE_NO_SYMLINKS
 *   -EAGAIN: a ".." raced with a renaming elsewhere, and RESOLVE_BENEATH or RESOLVE_IN_ROOT: try again
 *   -ECANCELED, -ETIME or another errno of openat2(2)
 */
OURO_API int ouro_openat2(int dirfd, const char *path, const struct open_how *how, size_t how_size);

/**
 * ouro_mkdirat - make a directory, see mkdirat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @mode: its permissions, less the umask
 *
 * Returns: 0, -EINVAL (path is NULL), -EEXIST, -ECANCELED, -ETIME or another errno of mkdirat(2).
 */
OURO_API int ouro_mkdirat(int dirfd, const char *path, mode_t mode);

/**
 * ouro_mkdir - ouro_mkdirat(AT_FDCWD, path, mode)
 * @path: see ouro_mkdirat()
 * @mode: see ouro_mkdirat()
 *
 * Returns: as ouro_mkdirat().
 */
OURO_API int ouro_mkdir(const char *path, mode_t mode);

/**
 * ouro_rmdir - remove an empty directory
 * @path: the directory
 *
 * Returns: 0, -EINVAL (path is NULL, or ends in "."), -ENOTEMPTY, -ENOTDIR, -ECANCELED, -ETIME or another
 * errno of rmdir(2).
 */
OURO_API int ouro_rmdir(const char *path);

/**
 * ouro_linkat - a second name for a file, see linkat(2)
 * @old_dirfd: a directory, or AT_FDCWD
 * @old_path: relative to old_dirfd
 * @new_dirfd: a directory, or AT_FDCWD
 * @new_path: relative to new_dirfd
 * @flags: 0, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH
 *
 * Returns: 0, -EINVAL (a path is NULL, an unknown flag), -EEXIST, -EXDEV, -ECANCELED, -ETIME or another errno
 * of linkat(2).
 */
OURO_API int ouro_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags);

/**
 * ouro_link - ouro_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0)
 * @old_path: see ouro_linkat()
 * @new_path: see ouro_linkat()
 *
 * Returns: as ouro_linkat().
 */
OURO_API int ouro_link(const char *old_path, const char *new_path);

/**
 * ouro_symlinkat - make a symbolic link, see symlinkat(2)
 * @target: what it says
 * @dirfd: a directory, or AT_FDCWD
 * @path: where it is, relative to dirfd
 *
 * Returns: 0, -EINVAL (target or path is NULL), -EEXIST, -ECANCELED, -ETIME or another errno of symlinkat(2).
 */
OURO_API int ouro_symlinkat(const char *target, int dirfd, const char *path);

/**
 * ouro_symlink - ouro_symlinkat(target, AT_FDCWD, path)
 * @target: see ouro_symlinkat()
 * @path: see ouro_symlinkat()
 *
 * Returns: as ouro_symlinkat().
 */
OURO_API int ouro_symlink(const char *target, const char *path);

/**
 * ouro_readlinkat - what a symbolic link says, see readlinkat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @buf: gets the text, which no NUL ends; lent until the call returns
 * @size: of buf, in bytes; the text is cut to it
 *
 * By a helper thread.
 *
 * Returns: bytes written to buf; if they fill it, the text may be longer. -EINVAL (path or buf is NULL, size
 * is 0, not a symbolic link), -ECANCELED, -ETIME or another errno of readlinkat(2).
 */
OURO_API ssize_t ouro_readlinkat(int dirfd, const char *path, char *buf, size_t size);

/**
 * ouro_readlink - ouro_readlinkat(AT_FDCWD, path, buf, size)
 * @path: see ouro_readlinkat()
 * @buf: see ouro_readlinkat()
 * @size: see ouro_readlinkat()
 *
 * Returns: as ouro_readlinkat().
 */
OURO_API ssize_t ouro_readlink(const char *path, char *buf, size_t size);

/**
 * ouro_mknodat - make a FIFO, a socket, an empty file or a device, see mknodat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @mode: S_IFIFO, S_IFSOCK, S_IFREG, S_IFCHR or S_IFBLK, and permissions less the umask
 * @dev: which device
 *
 * By a helper thread.
 *
 * Returns: 0, -EINVAL (path is NULL, an unknown kind), -EEXIST, -EPERM, -ECANCELED, -ETIME or another errno
 * of mknodat(2).
 */
OURO_API int ouro_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev);

/**
 * ouro_mkfifo - ouro_mknodat(AT_FDCWD, path, S_IFIFO | mode, 0)
 * @path: see ouro_mknodat()
 * @mode: its permissions, less the umask
 *
 * Returns: as ouro_mknodat().
 */
OURO_API int ouro_mkfifo(const char *path, mode_t mode);

/**
 * ouro_sync_directory - make what has been made, renamed or removed in a directory durable
 * @path: the directory
 *
 * A new file is sure to be found after a loss of power once its data (ouro_fsync()) and its directory are
 * on the disk. By a helper thread.
 *
 * Returns: 0, -EINVAL (path is NULL), -ENOTDIR, -EIO, -ECANCELED, -ETIME or another errno of open(2) and
 * fsync(2).
 */
OURO_API int ouro_sync_directory(const char *path);

/* ---- attributes -------------------------------------------------------------------------------- */

/**
 * ouro_fchmodat - set permissions, see fchmodat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @mode: the permissions
 * @flags: 0; AT_SYMLINK_NOFOLLOW is -EOPNOTSUPP of a symbolic link
 *
 * By a helper thread.
 *
 * Returns: 0, -EINVAL (path is NULL, an unknown flag), -EPERM, -EROFS, -ECANCELED, -ETIME or another errno of
 * fchmodat(2).
 */
OURO_API int ouro_fchmodat(int dirfd, const char *path, mode_t mode, int flags);

/**
 * ouro_fchmod - set the permissions of an open file, see fchmod(2)
 * @fd: the file
 * @mode: the permissions
 *
 * By a helper thread.
 *
 * Returns: 0, -EBADF, -EPERM, -EROFS, -ECANCELED, -ETIME or another errno of fchmod(2).
 */
OURO_API int ouro_fchmod(int fd, mode_t mode);

/**
 * ouro_fchownat - set the owner, see fchownat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @uid: the owner; (uid_t)-1 leaves it
 * @gid: the group; (gid_t)-1 leaves it
 * @flags: 0, AT_SYMLINK_NOFOLLOW; AT_EMPTY_PATH with "" means dirfd itself
 *
 * By a helper thread.
 *
 * Returns: 0, -EINVAL (path is NULL, an unknown flag), -EPERM, -EROFS, -ECANCELED, -ETIME or another errno of
 * fchownat(2).
 */
OURO_API int ouro_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags);

/**
 * ouro_utimensat - set the times of the last access and change, see utimensat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @times: of two: access, change; tv_nsec may be UTIME_NOW or UTIME_OMIT. NULL: both now
 * @flags: 0, AT_SYMLINK_NOFOLLOW
 *
 * By a helper thread.
 *
 * Returns: 0, -EINVAL (path is NULL, an unknown flag or time), -EPERM, -EROFS, -ECANCELED, -ETIME or another
 * errno of utimensat(2).
 */
OURO_API int ouro_utimensat(int dirfd, const char *path, const struct timespec *times, int flags);

/**
 * ouro_futimens - ouro_utimensat() of an open file, see futimens(3)
 * @fd: the file
 * @times: see ouro_utimensat()
 *
 * Returns: 0, -EBADF, and errors as ouro_utimensat().
 */
OURO_API int ouro_futimens(int fd, const struct timespec *times);

/**
 * ouro_faccessat - may this process use a file so, see faccessat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @mode: F_OK, or R_OK, W_OK, X_OK
 * @flags: 0, AT_EACCESS (as who the process acts, rather than who it is), AT_SYMLINK_NOFOLLOW
 *
 * What it tells may have changed by the time of the use: opening is the better question. By a helper thread.
 *
 * Returns: 0: it may; -EACCES, -EROFS: it may not; -ENOENT, -EINVAL (path is NULL, an unknown flag or mode),
 * -ECANCELED, -ETIME or another errno of faccessat(2).
 */
OURO_API int ouro_faccessat(int dirfd, const char *path, int mode, int flags);

/**
 * ouro_access - ouro_faccessat(AT_FDCWD, path, mode, 0)
 * @path: see ouro_faccessat()
 * @mode: see ouro_faccessat()
 *
 * Returns: as ouro_faccessat().
 */
OURO_API int ouro_access(const char *path, int mode);

/**
 * ouro_statfs - space and kind of a file system, see statfs(2)
 * @path: a file in it
 * @ret_statfs: of sys/statfs.h; lent until the call returns
 *
 * By a helper thread: a server that does not answer holds it.
 *
 * Returns: 0, -EINVAL (path or ret_statfs is NULL), -ECANCELED, -ETIME or another errno of statfs(2).
 */
OURO_API int ouro_statfs(const char *path, struct statfs *ret_statfs);

/**
 * ouro_fstatfs - as ouro_statfs(), by an open file
 * @fd: the file
 * @ret_statfs: see ouro_statfs()
 *
 * Returns: 0, -EBADF, and errors as ouro_statfs().
 */
OURO_API int ouro_fstatfs(int fd, struct statfs *ret_statfs);

/* ---- extended attributes ----------------------------------------------------------------------- */

/**
 * ouro_getxattr - the value of an extended attribute, see getxattr(2)
 * @path: the file; symbolic links are followed
 * @name: with its class: "user.mime_type"
 * @value: lent until the call returns; may be NULL if size is 0
 * @size: of value, in bytes; 0 asks for the value's size
 *
 * Returns: the value's size in bytes, or
 *   -EINVAL: path, name or value is NULL
 *   -ENODATA: no such attribute
 *   -ERANGE: value is too small, or name too long
 *   -EOPNOTSUPP: not in this file system, or no such class
 *   -ECANCELED, -ETIME or another errno of getxattr(2)
 */
OURO_API ssize_t ouro_getxattr(const char *path, const char *name, void *value, size_t size);

/**
 * ouro_fgetxattr - as ouro_getxattr(), of an open file
 * @fd: the file
 * @name: see ouro_getxattr()
 * @value: see ouro_getxattr()
 * @size: see ouro_getxattr()
 *
 * Returns: as ouro_getxattr(), and -EBADF.
 */
OURO_API ssize_t ouro_fgetxattr(int fd, const char *name, void *value, size_t size);

/**
 * ouro_lgetxattr - as ouro_getxattr(), of a symbolic link itself
 * @path: not followed
 * @name: see ouro_getxattr(); Linux gives links none of the class "user"
 * @value: see ouro_getxattr()
 * @size: see ouro_getxattr()
 *
 * By a helper thread.
 *
 * Returns: as ouro_getxattr().
 */
OURO_API ssize_t ouro_lgetxattr(const char *path, const char *name, void *value, size_t size);

/**
 * ouro_setxattr - set an extended attribute, see setxattr(2)
 * @path: the file; symbolic links are followed
 * @name: with its class
 * @value: lent until the call returns; may be NULL if size is 0
 * @size: of value, in bytes
 * @flags: 0, XATTR_CREATE (it must not be there), XATTR_REPLACE (it must be there)
 *
 * Returns: 0, or
 *   -EINVAL: path, name or value is NULL, an unknown flag
 *   -EEXIST: XATTR_CREATE, and it is there
 *   -ENODATA: XATTR_REPLACE, and it is not
 *   -ENOSPC, -EDQUOT, -E2BIG, -ERANGE: no room for it
 *   -EOPNOTSUPP: not in this file system, or no such class
 *   -EPERM, -EROFS, -ECANCELED, -ETIME or another errno of setxattr(2)
 */
OURO_API int ouro_setxattr(const char *path, const char *name, const void *value, size_t size, int flags);

/**
 * ouro_fsetxattr - as ouro_setxattr(), of an open file
 * @fd: the file
 * @name: see ouro_setxattr()
 * @value: see ouro_setxattr()
 * @size: see ouro_setxattr()
 * @flags: see ouro_setxattr()
 *
 * Returns: as ouro_setxattr(), and -EBADF.
 */
OURO_API int ouro_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);

/**
 * ouro_lsetxattr - as ouro_setxattr(), of a symbolic link itself
 * @path: not followed
 * @name: see ouro_setxattr(); "user.*" is -EPERM of a link
 * @value: see ouro_setxattr()
 * @size: see ouro_setxattr()
 * @flags: see ouro_setxattr()
 *
 * By a helper thread.
 *
 * Returns: as ouro_setxattr().
 */
OURO_API int ouro_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags);

/**
 * ouro_listxattr - the names of extended attributes, see listxattr(2)
 * @path: the file; symbolic links are followed
 * @list: gets the names, each ended by a NUL; lent until the call returns; may be NULL if size is 0
 * @size: of list, in bytes; 0 asks for the list's size
 *
 * By a helper thread.
 *
 * Returns: the list's size in bytes, -EINVAL (path or list is NULL), -ERANGE (list is too small),
 * -ECANCELED, -ETIME or another errno of listxattr(2).
 */
OURO_API ssize_t ouro_listxattr(const char *path, char *list, size_t size);

/**
 * ouro_flistxattr - as ouro_listxattr(), of an open file
 * @fd: the file
 * @list: see ouro_listxattr()
 * @size: see ouro_listxattr()
 *
 * Returns: as ouro_listxattr(), and -EBADF.
 */
OURO_API ssize_t ouro_flistxattr(int fd, char *list, size_t size);

/**
 * ouro_llistxattr - as ouro_listxattr(), of a symbolic link itself
 * @path: not followed
 * @list: see ouro_listxattr()
 * @size: see ouro_listxattr()
 *
 * By a helper thread.
 *
 * Returns: as ouro_listxattr().
 */
OURO_API ssize_t ouro_llistxattr(const char *path, char *list, size_t size);

/**
 * ouro_removexattr - remove an extended attribute, see removexattr(2)
 * @path: the file; symbolic links are followed
 * @name: with its class
 *
 * By a helper thread.
 *
 * Returns: 0, -EINVAL (path or name is NULL), -ENODATA (no such attribute), -EPERM, -EROFS, -EOPNOTSUPP,
 * -ECANCELED, -ETIME or another errno of removexattr(2).
 */
OURO_API int ouro_removexattr(const char *path, const char *name);

/**
 * ouro_fremovexattr - as ouro_removexattr(), of an open file
 * @fd: the file
 * @name: see ouro_removexattr()
 *
 * Returns: as ouro_removexattr(), and -EBADF.
 */
OURO_API int ouro_fremovexattr(int fd, const char *name);

/**
 * ouro_lremovexattr - as ouro_removexattr(), of a symbolic link itself
 * @path: not followed
 * @name: see ouro_removexattr()
 *
 * By a helper thread.
 *
 * Returns: as ouro_removexattr().
 */
OURO_API int ouro_lremovexattr(const char *path, const char *name);

/* ---- size and space ---------------------------------------------------------------------------- */

/**
 * ouro_truncate - set a file's length, see truncate(2)
 * @path: the file
 * @length: in bytes; what is added reads as zeros
 *
 * By a helper thread.
 *
 * Returns: 0, -EINVAL (path is NULL, a negative length, not a regular file), -EFBIG, -EROFS, -ETXTBSY,
 * -ECANCELED, -ETIME or another errno of truncate(2).
 */
OURO_API int ouro_truncate(const char *path, off_t length);

/**
 * ouro_ftruncate - set an open file's length, see ftruncate(2)
 * @fd: the file, open for writing
 * @length: in bytes; what is added reads as zeros
 *
 * Returns: 0, -EBADF, -EINVAL (a negative length, not open for writing, not a regular file), -EFBIG,
 * -ECANCELED, -ETIME or another errno of ftruncate(2).
 */
OURO_API int ouro_ftruncate(int fd, off_t length);

/**
 * ouro_fallocate - give a file space, or take it, see fallocate(2)
 * @fd: the file, open for writing
 * @mode: 0, or FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, ...
 * @offset: in bytes
 * @length: in bytes, more than 0
 *
 * Returns: 0, or
 *   -EINVAL: offset or length, or both together, are not allowed
 *   -ENOSPC: the disk is full
 *   -EOPNOTSUPP: not in this file system
 *   -EBADF, -EFBIG, -ECANCELED, -ETIME or another errno of fallocate(2)
 */
OURO_API int ouro_fallocate(int fd, int mode, off_t offset, off_t length);

/**
 * ouro_fadvise - say how a file will be read, see posix_fadvise(2)
 * @fd: the file
 * @offset: in bytes
 * @length: in bytes; 0: up to the end
 * @advice: POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, ...
 *
 * Returns: 0, -EBADF, -EINVAL (a negative length or offset, an unknown advice), -ESPIPE (a pipe), -ECANCELED
 * or -ETIME.
 */
OURO_API int ouro_fadvise(int fd, off_t offset, off_t length, int advice);

/**
 * ouro_sync_file_range - begin or await the writing of a part of a file, see sync_file_range(2)
 * @fd: the file
 * @offset: in bytes
 * @length: in bytes; 0: up to the end
 * @flags: SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE, SYNC_FILE_RANGE_WAIT_AFTER
 *
 * Makes nothing durable: what finds the data again is not written. For that there is ouro_fdatasync().
 *
 * Returns: 0, -EBADF, -EINVAL (a negative offset or length, an unknown flag), -ESPIPE, -EIO, -ENOSPC,
 * -ECANCELED, -ETIME or another errno of sync_file_range(2).
 */
OURO_API int ouro_sync_file_range(int fd, off_t offset, off_t length, unsigned flags);

/* ---- data -------------------------------------------------------------------------------------- */

/**
 * ouro_readv - read into several buffers, see preadv2(2)
 * @fd: as ouro_read()
 * @iov: buffers; they and the array are lent until the call returns
 * @n: how many, 0 to 1024
 *
 * Returns: as ouro_read(); -EINVAL if iov is NULL and n is not 0, or n or the sum of lengths is out of
 * bounds.
 */
OURO_API ssize_t ouro_readv(int fd, const struct iovec *iov, int n);

/**
 * ouro_writev - write from several buffers, see pwritev2(2)
 * @fd: as ouro_write()
 * @iov: see ouro_readv()
 * @n: see ouro_readv()
 *
 * Returns: as ouro_write(), and -EINVAL as ouro_readv().
 */
OURO_API ssize_t ouro_writev(int fd, const struct iovec *iov, int n);

/**
 * ouro_preadv - read into several buffers from an offset, see preadv2(2)
 * @fd: a file
 * @iov: see ouro_readv()
 * @n: see ouro_readv()
 * @offset: in bytes, zero or more
 * @flags: RWF_HIPRI, RWF_NOWAIT or 0
 *
 * Returns: bytes read, 0 at the end, or
 *   -EINVAL: as ouro_readv(), or a negative offset
 *   -ESPIPE: there is no position
 *   -EAGAIN: RWF_NOWAIT, and it would have to wait
 *   -EOPNOTSUPP: a flag that is not known, or not for this file
 *   and errors as ouro_read()
 */
OURO_API ssize_t ouro_preadv(int fd, const struct iovec *iov, int n, off_t offset, int flags);

/**
 * ouro_pwritev - write from several buffers at an offset, see pwritev2(2)
 * @fd: a file
 * @iov: see ouro_readv()
 * @n: see ouro_readv()
 * @offset: in bytes, zero or more
 * @flags: RWF_DSYNC, RWF_SYNC, RWF_HIPRI, RWF_APPEND, RWF_NOWAIT or 0
 *
 * Returns: bytes written, maybe fewer than there are, and errors as ouro_preadv() and ouro_write().
 */
OURO_API ssize_t ouro_pwritev(int fd, const struct iovec *iov, int n, off_t offset, int flags);

/**
 * ouro_copy_file_range - copy bytes between files inside the kernel, see copy_file_range(2)
 * @fd_in: read from
 * @inout_in: offset in fd_in, moved on; NULL: the file's position
 * @fd_out: written to
 * @inout_out: offset in fd_out, moved on; NULL: the file's position
 * @len: at most so many bytes
 *
 * Copies 16 MiB at most, so that a cancellation need not wait for long. By a helper thread.
 *
 * Returns: bytes copied, 0 at the end of fd_in, or
 *   -EXDEV, -EOPNOTSUPP, -EINVAL: not between these two: they must be read and written
 *   -EBADF, -ENOSPC, -EIO, -ECANCELED, -ETIME or another errno of copy_file_range(2)
 */
OURO_API ssize_t ouro_copy_file_range(int fd_in, off_t *inout_in, int fd_out, off_t *inout_out, size_t len);

/**
 * ouro_clone - let a file share all data of another until one is written, see ioctl_ficlone(2)
 * @fd_in: the other
 * @fd_out: the file, open for writing
 *
 * By a helper thread.
 *
 * Returns: 0, -EOPNOTSUPP (not in this file system), -EXDEV (not between these two), -EBADF, -EINVAL,
 * -ECANCELED, -ETIME or another errno of ioctl_ficlone(2).
 */
OURO_API int ouro_clone(int fd_in, int fd_out);

/* ---- direct I/O -------------------------------------------------------------------------------- */

/**
 * ouro_direct_alignment - what a file opened with O_DIRECT wants aligned
 * @fd: the file
 * @ret_memory: addresses of buffers are to be multiples of it, in bytes
 * @ret_offset: offsets and lengths are to be multiples of it, in bytes
 *
 * Where the kernel (before 6.1) or the file system does not say, both are 4096, which all disks that are
 * sold take. What is not aligned is -EINVAL of the transfer.
 *
 * Returns: 0, or
 *   -EOPNOTSUPP: the file system has no direct I/O for this file
 *   -EINVAL: an output is NULL
 *   -EBADF, -ECANCELED, -ETIME or another errno of statx(2)
 */
OURO_API int ouro_direct_alignment(int fd, size_t *ret_memory, size_t *ret_offset);

/**
 * ouro_aligned_alloc - a buffer for direct I/O
 * @alignment: of its address, in bytes: a power of two
 * @bytes: its size; rounded up to a multiple of alignment
 *
 * Threads: from anywhere, needs no loop. Returns: the buffer, not cleared, which is to be freed by
 * ouro_aligned_free(); NULL: no memory, or alignment is not a power of two.
 */
OURO_API void *ouro_aligned_alloc(size_t alignment, size_t bytes);

/**
 * ouro_aligned_free - free what ouro_aligned_alloc() gave
 * @buf: it, or NULL
 *
 * No transfer may be under way with it. Threads: from anywhere. Returns: nothing.
 */
OURO_API void ouro_aligned_free(void *buf);

#ifdef __cplusplus
}
#endif

#endif
