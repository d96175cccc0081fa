/* file.c - files, pipes, and whatever else read() and write() take. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/file.h"
#include "ring/op.h"
#include "ring/ring.h"

enum { MOST_BYTES = 0x7ffff000 }; /* MAX_RW_COUNT: what the kernel moves at a time */

static unsigned clamp(size_t len)
{
        return len < MOST_BYTES ? (unsigned)len : MOST_BYTES;
}

static int carry_out(const struct io_uring_sqe *entry, unsigned sqe_flags)
{
        struct op op;

        *op_begin(&op) = *entry;
        op.sqe.flags = (__u8)sqe_flags;
        return (int)op_wait(&op);
}

/* What a FIFO answers to an open that does not wait for its other end, as io_uring's first try. */
static bool has_not_waited(int result, uint64_t flags)
{
        struct stat st;

        if ((flags & (O_NONBLOCK | O_PATH)) || !sched_current->ring->backend->opens_without_waiting)
                return false;
        if (result < 0)
                return result == -ENXIO;
        return (flags & O_ACCMODE) == O_RDONLY && sys_result(fstat(result, &st)) == 0 && S_ISFIFO(st.st_mode);
}

int file_open(const struct io_uring_sqe *entry, uint64_t flags)
{
        int fd = carry_out(entry, 0), waited;

        if (likely(fd < 0 && fd != -ENXIO) || likely(!has_not_waited(fd, flags)))
                return fd;
        waited = carry_out(entry, IOSQE_ASYNC);
        if (fd >= 0)
                (void)sys_result(close(fd)); /* only now: a writer that it has let in must not find nobody */
        return waited;
}

int ouro_openat(int dirfd, const char *path, int flags, mode_t mode)
{
        struct io_uring_sqe entry = {0};

        if (!path)
                return -EINVAL;
        io_uring_prep_openat(&entry, dirfd, path, flags | O_CLOEXEC, mode);
        return file_open(&entry, (unsigned)flags);
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

static bool is_file(struct ring *ring, int fd)
{
        uint32_t *word = ring_fd(ring, fd);
        struct stat st;

        if (!word)
                return false;
        if (unlikely(!(*word & (FD_FILE | FD_NO_FILE)))) {
                if (sys_result(fstat(fd, &st)) < 0)
                        return false;
                *word |= S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? FD_FILE : FD_NO_FILE;
        }
        return *word & FD_FILE;
}

/* io_uring leaves the position where it was when O_DIRECT's bytes come later, and when a write ends short
 * because the disk is full: the next transfer would meet the same bytes again, and a file that is written
 * over and over looks complete. So it is looked at before and after. Less than zero: no need. */
off_t file_position_before(int fd)
{
        struct sched *sched = sched_current;

        if (!sched || !sched->ring->backend->loses_position || !is_file(sched->ring, fd))
                return -1;
        return sys_result(lseek(fd, 0, SEEK_CUR));
}

ssize_t file_mend_position(int fd, off_t before, ssize_t moved)
{
        if (before >= 0 && moved > 0 && sys_result(lseek(fd, 0, SEEK_CUR)) == before)
                (void)sys_result(lseek(fd, before + moved, SEEK_SET));
        return moved;
}

ssize_t ouro_read(int fd, void *buf, size_t len)
{
        off_t before = file_position_before(fd);

        return file_mend_position(fd, before, read_at(fd, buf, len, (__u64)-1));
}

ssize_t ouro_write(int fd, const void *buf, size_t len)
{
        off_t before = file_position_before(fd);

        return file_mend_position(fd, before, write_at(fd, buf, len, (__u64)-1));
}

/* io_uring passes over an offset where there is no position, and reads or writes all the same. Asked once for
 * each descriptor. */
int file_refuse_offset(int fd, off_t offset)
{
        uint32_t *word;
        off_t position;

        if (!sched_current)
                return -EPERM;
        if (fd < 0)
                return -EBADF;
        if (offset < 0)
                return -EINVAL;
        word = ring_fd(sched_current->ring, fd);
        if (!word)
                return ring_fd_error(fd);
        if (likely(*word & FD_SEEKS))
                return 0;
        position = sys_result(lseek(fd, 0, SEEK_CUR));
        if (position < 0)
                return (int)position;
        *word |= FD_SEEKS;
        return 0;
}

ssize_t ouro_pread(int fd, void *buf, size_t len, off_t offset)
{
        int error = file_refuse_offset(fd, offset);

        return unlikely(error < 0) ? error : read_at(fd, buf, len, (__u64)offset);
}

ssize_t ouro_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
        int error = file_refuse_offset(fd, offset);

        return unlikely(error < 0) ? error : write_at(fd, buf, len, (__u64)offset);
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
