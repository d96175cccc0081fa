/* ouro/file_lock.h - locks on files, between processes. Included by ouro.h, whose conventions hold. */
#ifndef OURO_FILE_LOCK_H
#define OURO_FILE_LOCK_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- locks on files --------------------------------------------------------------------------- */

/* Two kinds that know nothing of each other: of whole files (flock(2)), and of ranges of bytes (the open file
 * description's locks of fcntl(2)). Either belongs to the open file, not to the process: it ends with the
 * last descriptor of that, and two tasks exclude each other if each has opened the file itself.
 *
 * The kernel has no operation that waits for one without blocking a thread. So the waiting calls try, and
 * sleep on the loop's clock before they try again: 1 ms, then twice as long each time, up to 64 ms. No thread
 * is held meanwhile; nobody is in line either: of several who wait, any may be next. */

enum ouro_lock {
        OURO_LOCK_SHARED = 1, /* with others who share; a range: the descriptor must be open for reading */
        OURO_LOCK_EXCLUSIVE,  /* alone; a range: it must be open for writing */
};

/**
 * ouro_lock_file - lock a whole file, waiting for it, see flock(2)
 * @fd: a file or a directory
 * @kind: enum ouro_lock; of a lock that it has already the kind changes, maybe by way of none
 *
 * Returns: 0; -EINVAL (unknown kind), -EBADF (also: closed meanwhile by ouro_close()), -ENOLCK, -EPERM
 * (outside a task), -ECANCELED, -ETIME: it is not locked.
 */
OURO_API int ouro_lock_file(int fd, int kind);

/**
 * ouro_try_lock_file - ouro_lock_file() that does not wait for others
 * @fd: a file or a directory
 * @kind: enum ouro_lock
 *
 * On a network file system its server is asked, on the loop's thread.
 *
 * Returns: 0; -EAGAIN: somebody else has it; -EINVAL, -EBADF, -ENOLCK. Also outside a task.
 */
OURO_API int ouro_try_lock_file(int fd, int kind);

/**
 * ouro_unlock_file - give a whole file's lock back. Never waits.
 * @fd: a file or a directory
 *
 * Acts also in a cancelled task, and outside one.
 *
 * Returns: 0, also if it is not locked; -EBADF.
 */
OURO_API int ouro_unlock_file(int fd);

/**
 * ouro_lock_range - lock a part of a file, waiting for it, see F_OFD_SETLK in fcntl(2)
 * @fd: a file
 * @kind: enum ouro_lock; what of the range it has locked already changes its kind
 * @offset: of the first byte, which need not be there yet
 * @len: in bytes; 0: up to the end, wherever that will be
 *
 * Nobody looks for deadlocks between those who wait: use a scope.
 *
 * Returns: 0; -EINVAL (unknown kind, negative offset or len), -EBADF (also: not open for what the kind needs,
 * or closed meanwhile by ouro_close()), -ENOLCK, -EOVERFLOW, -EPERM (outside a task), -ECANCELED, -ETIME:
 * nothing of it was locked.
 */
OURO_API int ouro_lock_range(int fd, int kind, off_t offset, off_t len);

/**
 * ouro_try_lock_range - ouro_lock_range() that does not wait for others
 * @fd: a file
 * @kind: enum ouro_lock
 * @offset: of the first byte
 * @len: in bytes; 0: up to the end
 *
 * On a network file system its server is asked, on the loop's thread.
 *
 * Returns: 0; -EAGAIN: somebody else has a part of it; -EINVAL, -EBADF, -ENOLCK, -EOVERFLOW. Also outside a
 * task.
 */
OURO_API int ouro_try_lock_range(int fd, int kind, off_t offset, off_t len);

/**
 * ouro_unlock_range - give the lock of a part of a file back. Never waits.
 * @fd: a file
 * @offset: of the first byte
 * @len: in bytes; 0: up to the end
 *
 * Acts also in a cancelled task, and outside one. What is locked on both sides of it stays so.
 *
 * Returns: 0, also where it is not locked; -EINVAL, -EBADF, -ENOLCK.
 */
OURO_API int ouro_unlock_range(int fd, off_t offset, off_t len);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
