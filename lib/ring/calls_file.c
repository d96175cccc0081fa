/* calls_file.c - what names and files are asked for that only a helper can do: it may wait for a disk or a
 * server. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ring/calls_impl.h"

bool is_file_call(unsigned opcode)
{
        switch (opcode) {
        case IORING_OP_FADVISE:
        case IORING_OP_FALLOCATE:
        case IORING_OP_FGETXATTR:
        case IORING_OP_FSETXATTR:
        case IORING_OP_FSYNC:
        case IORING_OP_FTRUNCATE:
        case IORING_OP_GETXATTR:
        case IORING_OP_LINKAT:
        case IORING_OP_MKDIRAT:
        case IORING_OP_OPENAT:
        case IORING_OP_OPENAT2:
        case IORING_OP_RENAMEAT:
        case IORING_OP_SETXATTR:
        case IORING_OP_STATX:
        case IORING_OP_SYMLINKAT:
        case IORING_OP_SYNC_FILE_RANGE:
        case IORING_OP_UNLINKAT:
                return true;
        default:
                return false;
        }
}

static int64_t block_in_fsync(const struct io_uring_sqe *sqe)
{
        if (sqe->fsync_flags & ~IORING_FSYNC_DATASYNC)
                return -EINVAL;
        return sqe->fsync_flags ? sys_retry(fdatasync(sqe->fd)) : sys_retry(fsync(sqe->fd));
}

static int64_t block_in_openat2(const struct io_uring_sqe *sqe)
{
        return sys_retry(syscall(SYS_openat2, sqe->fd, pointer(sqe->addr), pointer(sqe->addr2), sqe->len));
}

static int64_t block_in_fadvise(const struct io_uring_sqe *sqe)
{
        return -posix_fadvise(sqe->fd, (off_t)sqe->off, (off_t)sqe->len, (int)sqe->fadvise_advice);
}

static int64_t block_in_sync_file_range(const struct io_uring_sqe *sqe)
{
        return sys_retry(sync_file_range(sqe->fd, (off_t)sqe->off, (off_t)sqe->len, sqe->sync_range_flags));
}

/* addr: the name, addr2: the value, addr3: the path. */
static int64_t block_in_xattr(const struct io_uring_sqe *sqe)
{
        const char *name = pointer(sqe->addr), *path = pointer(sqe->addr3);
        void *value = pointer(sqe->addr2);

        switch (sqe->opcode) {
        case IORING_OP_FGETXATTR:
                return sys_retry(fgetxattr(sqe->fd, name, value, sqe->len));
        case IORING_OP_FSETXATTR:
                return sys_retry(fsetxattr(sqe->fd, name, value, sqe->len, (int)sqe->xattr_flags));
        case IORING_OP_GETXATTR:
                return sys_retry(getxattr(path, name, value, sqe->len));
        default:
                return sys_retry(setxattr(path, name, value, sqe->len, (int)sqe->xattr_flags));
        }
}

static int64_t block_on_file(const struct io_uring_sqe *sqe)
{
        switch (sqe->opcode) {
        case IORING_OP_FADVISE:
                return block_in_fadvise(sqe);
        case IORING_OP_FALLOCATE:
                return sys_retry(fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off, (off_t)sqe->addr));
        case IORING_OP_FSYNC:
                return block_in_fsync(sqe);
        case IORING_OP_FTRUNCATE:
                return sys_retry(ftruncate(sqe->fd, (off_t)sqe->off));
        case IORING_OP_SYNC_FILE_RANGE:
                return block_in_sync_file_range(sqe);
        default:
                return block_in_xattr(sqe);
        }
}

int64_t block_in_file_call(const struct io_uring_sqe *sqe)
{
        switch (sqe->opcode) {
        case IORING_OP_LINKAT:
                return sys_retry(linkat(sqe->fd, pointer(sqe->addr), (int)sqe->len, pointer(sqe->addr2),
                                        (int)sqe->hardlink_flags));
        case IORING_OP_MKDIRAT:
                return sys_retry(mkdirat(sqe->fd, pointer(sqe->addr), (mode_t)sqe->len));
        case IORING_OP_OPENAT:
                return sys_retry(openat(sqe->fd, pointer(sqe->addr), (int)sqe->open_flags, (mode_t)sqe->len));
        case IORING_OP_OPENAT2:
                return block_in_openat2(sqe);
        case IORING_OP_RENAMEAT:
                return sys_retry(renameat2(sqe->fd, pointer(sqe->addr), (int)sqe->len, pointer(sqe->addr2),
                                           sqe->rename_flags));
        case IORING_OP_STATX:
                return sys_retry(statx(sqe->fd, pointer(sqe->addr), (int)sqe->statx_flags, sqe->len,
                                       pointer(sqe->off)));
        case IORING_OP_SYMLINKAT:
                return sys_retry(symlinkat(pointer(sqe->addr), sqe->fd, pointer(sqe->addr2)));
        case IORING_OP_UNLINKAT:
                return sys_retry(unlinkat(sqe->fd, pointer(sqe->addr), (int)sqe->unlink_flags));
        default:
                return block_on_file(sqe);
        }
}

/* Opening a FIFO waits for its other end. How openat2() finds it depends on more than the path: it is taken
 * to wait whenever it may. */
bool file_call_may_wait(const struct io_uring_sqe *sqe)
{
        const struct open_how *how = pointer(sqe->addr2);
        bool is_open = sqe->opcode == IORING_OP_OPENAT, is_open2 = sqe->opcode == IORING_OP_OPENAT2;
        uint64_t flags = is_open2 && sqe->len >= sizeof *how ? how->flags : sqe->open_flags;
        struct stat st;

        if (!(is_open || is_open2) || (flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)))
                return false;
        return sys_result(fstatat(sqe->fd, pointer(sqe->addr), &st, 0)) == 0 && S_ISFIFO(st.st_mode);
}
