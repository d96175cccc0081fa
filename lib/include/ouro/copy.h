/* ouro/copy.h - files copied. Included by ouro.h, whose conventions hold. */
#ifndef OURO_COPY_H
#define OURO_COPY_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- copies ----------------------------------------------------------------------------------- */

/* The bytes go the shortest way that there is: shared by both files where the file system can do that
 * (FICLONE), else moved by the kernel (copy_file_range), else read and written through two buffers, one of
 * which is read into while the other is written. The first two happen in the loop's helper threads, a chunk
 * at a time: between chunks a copy can be cut short. Holes stay holes. */

enum ouro_copy_flag {
        OURO_COPY_MODE = 1,        /* permission bits, also of a file that was there, and ACLs with
                                      OURO_COPY_XATTRS. Without it a new file has those of the original less
                                      the umask */
        OURO_COPY_TIMES = 2,       /* of last access and modification */
        OURO_COPY_OWNER = 4,       /* user and group; without privilege -EPERM for another user's file */
        OURO_COPY_XATTRS = 8,      /* extended attributes. Those that the target's file system cannot hold, or
                                      that this process may not set (security.*, trusted.*), are left out */
        OURO_COPY_ALL = 15,        /* the four of them */
        OURO_COPY_NEW = 16,        /* the target must not exist: -EEXIST */
        OURO_COPY_NO_FOLLOW = 32,  /* a symbolic link is copied as a link; and FIFOs, sockets and devices are
                                      made, not read; a directory is made, empty */
        OURO_COPY_NO_CLONE = 64,   /* blocks are not shared with the original */
        OURO_COPY_NO_HOLES = 128,  /* holes become zeroes on the disk */
        OURO_COPY_NO_KERNEL = 256, /* no copy_file_range(2): read and write */
        OURO_COPY_SYNC = 512,      /* durable when the call returns: the file, not its name */
};

/* Told how far a copy has come, in bytes of the file; size is 0 while nobody knows it. Less than zero ends it
 * with this error. */
typedef int ouro_copy_progress_fn(uint64_t done, uint64_t size, void *arg);

struct ouro_copy_options {
        size_t size;    /* sizeof(struct ouro_copy_options), set by the caller */
        unsigned flags; /* enum ouro_copy_flag */
        size_t chunk;   /* bytes that are moved between two chances to cut the copy short; 0: 16 MiB */
        ouro_copy_progress_fn *progress; /* called between chunks, and at the end; may be NULL */
        void *progress_arg;
};

/**
 * ouro_copy_range - copy a part of a file to a place in another
 * @from_fd: open for reading
 * @from_offset: of the first byte
 * @to_fd: open for writing, without O_APPEND; may be the same file, if the two parts do not overlap
 * @to_offset: where it goes; what is there is overwritten
 * @len: bytes
 * @options: copied; may be NULL. Of the flags only OURO_COPY_NO_HOLES, OURO_COPY_NO_KERNEL and OURO_COPY_SYNC
 * matter here: blocks are shared only where the kernel does so by itself. Holes are left out of what is
 * written, so to_fd must have none but zeroes there (a new file has)
 * @inout_done: bytes already copied, in and out; NULL counts from 0
 *
 * Positions of the descriptors are neither used nor moved.
 *
 * Returns: 0 when *inout_done has reached len; -ENODATA: the original ended first; -EINVAL (an offset is
 * negative, unknown flags, *inout_done exceeds len, the parts overlap), -EBADF, -ESPIPE (no file), what
 * progress returned, -EPERM (outside a task), -ECANCELED, -ETIME, -ENOMEM, or an errno of
 * copy_file_range(2), read(2) or write(2) such as -ENOSPC. *inout_done tells how far it came.
 */
OURO_API int ouro_copy_range(int from_fd, off_t from_offset, int to_fd, off_t to_offset, uint64_t len,
                             const struct ouro_copy_options *options, uint64_t *inout_done);

/**
 * ouro_copy_fd - copy a whole file into another that is open
 * @from_fd: open for reading: a file; anything else is read from its position to its end
 * @to_fd: a file open for writing, without O_APPEND; what was in it is gone
 * @options: copied; may be NULL
 *
 * The copy has the size that the original has at the beginning. If that shrinks meanwhile, the copy is as
 * much shorter, which is no error. A file whose size the kernel does not tell, as in /proc, is read to its
 * end.
 *
 * Returns: 0; -EINVAL (unknown flags, or both are the same file, which is left alone), and errors as
 * ouro_copy_range(), fchmod(2), fchown(2) (-EPERM: OURO_COPY_OWNER or OURO_COPY_ALL of another user's file,
 * without privilege), futimens(3) and fsetxattr(2). After an error the target holds a part.
 */
OURO_API int ouro_copy_fd(int from_fd, int to_fd, const struct ouro_copy_options *options);

/**
 * ouro_copy_file - copy a file
 * @from_dirfd: a directory, or AT_FDCWD
 * @from: relative to it
 * @to_dirfd: a directory, or AT_FDCWD
 * @to: relative to it; a file that is there is overwritten in place, through a symbolic link too (but not
 * with OURO_COPY_NO_FOLLOW)
 * @options: copied; may be NULL
 *
 * A file that was made here is removed again if its copy fails or is cut short; one that was there holds a
 * part then. To have either the old or the new content, copy to another name and rename.
 *
 * Returns: 0; -EINVAL (NULL, unknown flags, or both are the same file, which is left alone; or from is a
 * FIFO: open it, and use ouro_copy_fd()), -EISDIR (from is a directory), -EEXIST (OURO_COPY_NEW; with
 * OURO_COPY_NO_FOLLOW also anything that is no file and cannot be overwritten), and errors as ouro_copy_fd()
 * and openat(2).
 */
OURO_API int ouro_copy_file(int from_dirfd, const char *from, int to_dirfd, const char *to,
                            const struct ouro_copy_options *options);

/**
 * ouro_copy_attributes - give a file the mode, times, owner or extended attributes of another
 * @from_dirfd: a directory, or AT_FDCWD
 * @from: relative to it; a symbolic link stands for itself; "" for from_dirfd itself
 * @to_dirfd: a directory, or AT_FDCWD
 * @to: likewise
 * @flags: OURO_COPY_MODE, OURO_COPY_TIMES, OURO_COPY_OWNER, OURO_COPY_XATTRS: which of them
 *
 * For a directory, once all that belongs in it is there. The owner comes before the mode, and the times come
 * last.
 *
 * Returns: 0; -EINVAL (NULL, other flags), -EPERM (outside a task, or not allowed), -ECANCELED, -ETIME, or an
 * errno of openat(2), fchmod(2), fchownat(2), utimensat(2) or setxattr(2).
 */
OURO_API int ouro_copy_attributes(int from_dirfd, const char *from, int to_dirfd, const char *to,
                                  unsigned flags);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
