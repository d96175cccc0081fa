/* file.c - files, pipes, and whatever else read() and write() take. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "ring/op.h"
#include "ring/ring.h"

enum { MOST_BYTES = 0x7ffff000 }; /* MAX_RW_COUNT: what the kernel moves at a time */

static unsigned clamp(size_t len)
{
        return len < MOST_BYTES ? (unsigned)len : MOST_BYTES;
}

int ouro_openat(int dirfd, const char *path, int flags, mode_t mode)
{
        struct op op;

        if (!path)
                return -EINVAL;
        io_uring_prep_openat(op_begin(&op), dirfd, path, flags | O_CLOEXEC, mode);
        return (int)op_wait(&op);
}

int ouro_open(const char *path, int flags, mode_t mode)
{
        return ouro_openat(AT_FDCWD, path, flags, mode);
}

static ssize_t read_at(int fd, void *buf, size_t len, __u64 offset)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        if (!buf && len > 0)
                return -EINVAL;
        io_uring_prep_read(op_begin(&op), fd, buf, clamp(len), offset);
        return op_wait(&op);
}

static ssize_t write_at(int fd, const void *buf, size_t len, __u64 offset)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        if (!buf && len > 0)
                return -EINVAL;
        io_uring_prep_write(op_begin(&op), fd, buf, clamp(len), offset);
        return op_wait(&op);
}

ssize_t ouro_read(int fd, void *buf, size_t len)
{
        return read_at(fd, buf, len, (__u64)-1);
}

ssize_t ouro_write(int fd, const void *buf, size_t len)
{
        return write_at(fd, buf, len, (__u64)-1);
}

ssize_t ouro_pread(int fd, void *buf, size_t len, off_t offset)
{
        return offset < 0 ? -EINVAL : read_at(fd, buf, len, (__u64)offset);
}

ssize_t ouro_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
        return offset < 0 ? -EINVAL : write_at(fd, buf, len, (__u64)offset);
}

static int sync_file(int fd, unsigned flags)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        io_uring_prep_fsync(op_begin(&op), fd, flags);
        return (int)op_wait(&op);
}

int ouro_fsync(int fd)
{
        return sync_file(fd, 0);
}

int ouro_fdatasync(int fd)
{
        return sync_file(fd, IORING_FSYNC_DATASYNC);
}

int ouro_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_statx)
{
        struct op op;

        if (!path || !ret_statx)
                return -EINVAL;
        io_uring_prep_statx(op_begin(&op), dirfd, path, flags, mask, ret_statx);
        return (int)op_wait(&op);
}

int ouro_unlinkat(int dirfd, const char *path, int flags)
{
        struct op op;

        if (!path)
                return -EINVAL;
        io_uring_prep_unlinkat(op_begin(&op), dirfd, path, flags);
        return (int)op_wait(&op);
}

int ouro_unlink(const char *path)
{
        return ouro_unlinkat(AT_FDCWD, path, 0);
}

int ouro_renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, unsigned flags)
{
        struct op op;

        if (!old_path || !new_path)
                return -EINVAL;
        io_uring_prep_renameat(op_begin(&op), old_dirfd, old_path, new_dirfd, new_path, flags);
        return (int)op_wait(&op);
}

int ouro_rename(const char *old_path, const char *new_path)
{
        return ouro_renameat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

int ouro_close(int fd)
{
        return op_close_fd(fd);
}

int ouro_poll(int fd, unsigned events)
{
        const unsigned known = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;
        struct op op;

        if (fd < 0)
                return -EBADF;
        if (events == 0 || (events & ~known))
                return -EINVAL;
        io_uring_prep_poll_add(op_begin(&op), fd, events);
        return (int)op_wait(&op);
}
