/* all.c - the forms that go on until everything has been moved, and tell how far they came. */
#include <errno.h>
#include <stdint.h>

#include "coro/coro.h"
#include "ouro.h"

/* One step of a transfer: at most len bytes at buf, which lie `done` bytes from the start. */
struct mover {
        ssize_t (*step)(const struct mover *mover, void *buf, size_t len, size_t done);
        int fd;
        off_t offset;
        int at_end; /* what a step of 0 bytes means: -ENODATA, or -EIO for a writer that cannot go on */
};

static int move_all(const struct mover *mover, void *buf, size_t len, size_t *inout_done)
{
        size_t own_done = 0, *done = inout_done ? inout_done : &own_done;

        if (!sched_current)
                return -EPERM;
        if (mover->fd < 0)
                return -EBADF;
        if (*done > len || (!buf && len > 0))
                return -EINVAL;
        if (sched_current->current->interrupt) /* also where nothing is left to move */
                return sched_current->current->interrupt;
        while (*done < len) {
                ssize_t n = mover->step(mover, (char *)buf + *done, len - *done, *done);

                if (n < 0)
                        return (int)n;
                if (n == 0)
                        return mover->at_end;
                *done += (size_t)n;
        }
        return 0;
}

static ssize_t send_step(const struct mover *mover, void *buf, size_t len, size_t done)
{
        (void)done;
        return ouro_send(mover->fd, buf, len, 0);
}

static ssize_t recv_step(const struct mover *mover, void *buf, size_t len, size_t done)
{
        (void)done;
        return ouro_recv(mover->fd, buf, len, 0);
}

static ssize_t write_step(const struct mover *mover, void *buf, size_t len, size_t done)
{
        (void)done;
        return ouro_write(mover->fd, buf, len);
}

static ssize_t read_step(const struct mover *mover, void *buf, size_t len, size_t done)
{
        (void)done;
        return ouro_read(mover->fd, buf, len);
}

static ssize_t pwrite_step(const struct mover *mover, void *buf, size_t len, size_t done)
{
        return ouro_pwrite(mover->fd, buf, len, mover->offset + (off_t)done);
}

static ssize_t pread_step(const struct mover *mover, void *buf, size_t len, size_t done)
{
        return ouro_pread(mover->fd, buf, len, mover->offset + (off_t)done);
}

int ouro_send_all(int fd, const void *buf, size_t len, size_t *inout_done)
{
        const struct mover mover = {send_step, fd, 0, -EIO};

        return move_all(&mover, (void *)(uintptr_t)buf, len, inout_done);
}

int ouro_recv_all(int fd, void *buf, size_t len, size_t *inout_done)
{
        const struct mover mover = {recv_step, fd, 0, -ENODATA};

        return move_all(&mover, buf, len, inout_done);
}

int ouro_write_all(int fd, const void *buf, size_t len, size_t *inout_done)
{
        const struct mover mover = {write_step, fd, 0, -EIO};

        return move_all(&mover, (void *)(uintptr_t)buf, len, inout_done);
}

int ouro_read_all(int fd, void *buf, size_t len, size_t *inout_done)
{
        const struct mover mover = {read_step, fd, 0, -ENODATA};

        return move_all(&mover, buf, len, inout_done);
}

int ouro_pwrite_all(int fd, const void *buf, size_t len, off_t offset, size_t *inout_done)
{
        const struct mover mover = {pwrite_step, fd, offset, -EIO};

        return move_all(&mover, (void *)(uintptr_t)buf, len, inout_done);
}

int ouro_pread_all(int fd, void *buf, size_t len, off_t offset, size_t *inout_done)
{
        const struct mover mover = {pread_step, fd, offset, -ENODATA};

        return move_all(&mover, buf, len, inout_done);
}
