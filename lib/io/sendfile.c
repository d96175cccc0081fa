/* sendfile.c - a file's bytes to a socket or a pipe, from the page cache where they are there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/direct.h"
#include "ring/calls_impl.h"
#include "ring/ring.h"

enum {
        DIRECT_MOST = 256 * 1024, /* what one call may keep the loop from other tasks for */
        COPY_BYTES = 64 * 1024,
};

static int refuse(int fd_out, int fd_in)
{
        struct ring *ring;
        int kind, out;

        if (!sched_current)
                return -EPERM;
        if (fd_out < 0 || fd_in < 0)
                return -EBADF;
        ring = sched_current->ring;
        kind = ring_fd_kind(ring, fd_in, false);
        if (kind >= 0 && !(kind & FD_FILE))
                kind = ring_fd_kind(ring, fd_in, true);
        out = ring_fd_kind(ring, fd_out, false);
        if (out >= 0 && (out & FD_FILE))
                out = ring_fd_kind(ring, fd_out, true);
        if (kind < 0 || out < 0)
                return kind < 0 ? kind : out;
        return (kind & FD_FILE) && !(out & FD_FILE) ? 0 : -EINVAL;
}

/* How many bytes from there on, at most len, the file has, as it says: some in /proc say 0, and a device says
 * nothing. */
static ssize_t left_of(int fd, off_t offset, size_t len)
{
        struct stat st;
        int error = sys_result(fstat(fd, &st));

        if (error < 0)
                return error;
        if (S_ISBLK(st.st_mode))
                return (ssize_t)len;
        if (offset >= st.st_size)
                return 0;
        return st.st_size - offset < (off_t)len ? st.st_size - offset : (ssize_t)len;
}

/* -EAGAIN: fd_out is not ready. */
static ssize_t send_cached(int fd_out, int fd_in, off_t offset, size_t len)
{
        ssize_t room;

        if (ring_fd_kind(sched_current->ring, fd_out, false) & FD_PIPE)
                return direct_splice(fd_in, &offset, fd_out, len, 0);
        room = direct_room(fd_out, len);
        if (room <= 0)
                return room < 0 ? room : -EAGAIN;
        return direct_sendfile(fd_out, fd_in, &offset, (size_t)room);
}

static ssize_t send_buffer(int fd_out, const void *buf, size_t len)
{
        ssize_t n = -ENOTSOCK;

        if (!(ring_fd_kind(sched_current->ring, fd_out, false) & FD_PIPE))
                n = ouro_send(fd_out, buf, len, 0);
        return n == -ENOTSOCK ? ouro_write(fd_out, buf, len) : n;
}

/* The file's offset moves by what has been sent: what was read and not sent is read again. */
static ssize_t send_copied(int fd_out, int fd_in, off_t offset, size_t len)
{
        void *buf = mem_alloc(COPY_BYTES);
        ssize_t n;

        if (!buf)
                return -ENOMEM;
        n = ouro_pread(fd_in, buf, len < COPY_BYTES ? len : COPY_BYTES, offset);
        if (n > 0)
                n = send_buffer(fd_out, buf, (size_t)n);
        mem_free(buf, COPY_BYTES);
        return n;
}

/* Closing either ends it. */
static int wait_for_room(int fd_out, int fd_in)
{
        struct ring *ring = sched_current->ring;
        struct fd_hold hold = {.closing = fd_hold_ends_op};
        struct op op;
        int result;

        hold.op = &op;
        io_uring_prep_poll_add(op_begin(&op), fd_out, POLLOUT);
        result = ring_hold_fd(ring, &hold, fd_in);
        if (result < 0)
                return result;
        result = (int)op_wait(&op);
        ring_release_fd(ring, &hold);
        return result < 0 ? result : 0;
}

static ssize_t send_part(int fd_out, int fd_in, off_t offset, size_t len)
{
        for (;;) {
                struct sched *sched = sched_current;
                ssize_t left, n;
                int error;

                if (sched->current->interrupt)
                        return sched->current->interrupt;
                left = left_of(fd_in, offset, len < DIRECT_MOST ? len : DIRECT_MOST);
                if (left < 0)
                        return left;
                if (left == 0 || !direct_cached(fd_in, offset, (size_t)left))
                        return send_copied(fd_out, fd_in, offset, len);
                n = send_cached(fd_out, fd_in, offset, (size_t)left);
                if (n == -EINVAL || n == -ENOSYS) /* a file system that has no such thing */
                        return send_copied(fd_out, fd_in, offset, len);
                if (n != -EAGAIN)
                        return n < 0 ? n : coro_spend(sched, n);
                error = wait_for_room(fd_out, fd_in);
                if (error == 0)
                        error = refuse(fd_out, fd_in); /* either may be another file now, or none */
                if (error < 0)
                        return error;
        }
}

static ssize_t send_at_position(int fd_out, int fd_in, size_t len)
{
        off_t from = sys_result(lseek(fd_in, 0, SEEK_CUR));
        ssize_t n;

        if (from < 0)
                return from;
        n = send_part(fd_out, fd_in, from, len);
        if (n > 0)
                (void)sys_result(lseek(fd_in, from + n, SEEK_SET));
        return n;
}

ssize_t ouro_sendfile(int fd_out, int fd_in, off_t *inout_offset, size_t len)
{
        int error = refuse(fd_out, fd_in);
        ssize_t n;

        if (error == 0 && inout_offset && *inout_offset < 0)
                error = -EINVAL;
        if (error < 0 || len == 0)
                return error;
        if (!inout_offset)
                return send_at_position(fd_out, fd_in, len);
        n = send_part(fd_out, fd_in, *inout_offset, len);
        if (n > 0)
                *inout_offset += n;
        return n;
}

int ouro_sendfile_all(int fd_out, int fd_in, off_t offset, size_t len, size_t *inout_done)
{
        size_t own_done = 0, *done = inout_done ? inout_done : &own_done;
        int error = refuse(fd_out, fd_in);

        if (error == 0 && (offset < 0 || *done > len || *done > (size_t)(INT64_MAX - offset)))
                error = -EINVAL;
        if (error < 0)
                return error;
        if (sched_current->current->interrupt) /* also where nothing is left to send */
                return sched_current->current->interrupt;
        while (*done < len) {
                ssize_t n = send_part(fd_out, fd_in, offset + (off_t)*done, len - *done);

                if (n <= 0)
                        return n < 0 ? (int)n : -ENODATA;
                *done += (size_t)n;
        }
        return 0;
}
