/* splice.c - bytes moved between descriptors by the kernel.
 *
 * A splice that waits holds a thread, with io_uring too (each goes to one of its workers, which are capped),
 * and it may wait for ever. So it is tried on the loop's thread, where it does not wait, and readiness is
 * waited for by an operation. Pipes know SPLICE_F_NONBLOCK for that; sockets know nothing for the one call:
 * one that is not O_NONBLOCK is asked whether it is ready, and for how many bytes. Only a file's side, which
 * ends by itself, goes to a worker or a helper. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "io/direct.h"
#include "ring/calls_impl.h"
#include "ring/ring.h"

/* One side of a transfer. */
struct end {
        int fd;
        off_t *offset; /* the caller's, or NULL */
        int kind;      /* FD_... */
        unsigned events;
};

static int learn_kind(struct end *end, bool anew)
{
        end->kind = ring_fd_kind(sched_current->ring, end->fd, anew);
        return end->kind < 0 ? end->kind : 0;
}

static bool is_pipe(const struct end *end)
{
        return end->kind & FD_PIPE;
}

static bool has_file(const struct end *in, const struct end *out)
{
        return (in->kind | out->kind) & FD_FILE;
}

static int refuse_offset(const struct end *end)
{
        if (!end->offset)
                return 0;
        if (!(end->kind & FD_FILE))
                return -ESPIPE;
        return *end->offset < 0 ? -EINVAL : 0;
}

static int refuse_pair(const struct end *in, const struct end *out, bool only_pipes)
{
        int error = refuse_offset(in);

        if (only_pipes ? !is_pipe(in) || !is_pipe(out) : !is_pipe(in) && !is_pipe(out))
                return -EINVAL;
        return error < 0 ? error : refuse_offset(out);
}

/* What is remembered of a number may be of a file that somebody has closed behind our back: before it is
 * refused, it is looked at anew. */
static int check_ends(struct end *in, struct end *out, bool only_pipes)
{
        int error = 0;

        for (int anew = 0; anew < 2; anew++) {
                error = learn_kind(in, anew);
                if (error == 0)
                        error = learn_kind(out, anew);
                if (error < 0)
                        return error;
                error = refuse_pair(in, out, only_pipes);
                if (error == 0)
                        break;
        }
        return error;
}

/* ---- waiting ---- */

/* Waits for one end; closing either ends it. */
static int wait_for_end(const struct end *end, const struct end *other)
{
        struct ring *ring = sched_current->ring;
        struct fd_hold hold = {.closing = fd_hold_ends_op};
        struct op op;
        int result;

        hold.op = &op;
        io_uring_prep_poll_add(op_begin(&op), end->fd, end->events);
        result = ring_hold_fd(ring, &hold, other->fd);
        if (result < 0)
                return result;
        result = (int)op_wait(&op);
        ring_release_fd(ring, &hold);
        return result < 0 ? result : 0;
}

/* Something gave -EAGAIN: waits for the end that is not ready. */
static int wait_for_ends(const struct end *in, const struct end *out)
{
        const struct end *const ends[] = {in, out};
        bool waited = false;

        for (int i = 0; i < 2; i++) {
                const struct end *end = ends[i];
                int ready = end->kind & FD_FILE ? 1 : poll_now(end->fd, end->events);

                if (ready == 0) {
                        ready = wait_for_end(end, ends[!i]);
                        waited = true;
                }
                if (ready < 0)
                        return ready;
        }
        return waited ? 0 : ouro_sleep(OURO_MS(1)); /* both say that they are: not to spin on it */
}

/* ---- moving ---- */

static ssize_t move_now(const struct end *in, const struct end *out, size_t len, unsigned flags)
{
        ssize_t n = is_pipe(in) ? (ssize_t)len : direct_input(in->fd, len);

        if (n > 0 && !is_pipe(out))
                n = direct_room(out->fd, (size_t)n);
        if (n <= 0)
                return n < 0 ? n : -EAGAIN;
        return direct_splice(in->fd, NULL, out->fd, (size_t)n, flags);
}

/* The offsets are copies: a number that is no offset says that there is none. */
static ssize_t move_file(const struct end *in, const struct end *out, size_t len, unsigned flags)
{
        struct ring *ring = sched_current->ring;
        struct fd_hold hold = {.closing = fd_hold_ends_op};
        struct op op;
        ssize_t n;

        hold.op = &op;
        io_uring_prep_splice(op_begin(&op), in->fd, in->offset ? *in->offset : -1, out->fd,
                             out->offset ? *out->offset : -1,
                             (unsigned)(len < TRANSFER_MAX ? len : TRANSFER_MAX), flags | SPLICE_F_NONBLOCK);
        n = ring_hold_fd(ring, &hold, in->fd);
        if (n < 0)
                return n;
        n = op_wait(&op);
        ring_release_fd(ring, &hold);
        if (n > 0 && in->offset)
                *in->offset += n;
        if (n > 0 && out->offset)
                *out->offset += n;
        return n;
}

static ssize_t tee_now(const struct end *in, const struct end *out, size_t len, unsigned flags)
{
        (void)flags;
        return direct_tee(in->fd, out->fd, len);
}

typedef ssize_t move_fn(const struct end *in, const struct end *out, size_t len, unsigned flags);

static ssize_t move(struct end *in, struct end *out, size_t len, unsigned flags, move_fn *only_pipes)
{
        struct sched *sched = sched_current;

        for (;;) {
                bool waits = false;
                ssize_t n;
                int error;

                if (sched->current->interrupt)
                        return sched->current->interrupt;
                error = check_ends(in, out, only_pipes != NULL);
                if (error < 0)
                        return error;
                if (only_pipes)
                        n = only_pipes(in, out, len, flags);
                else if ((waits = has_file(in, out)))
                        n = move_file(in, out, len, flags);
                else
                        n = move_now(in, out, len, flags);
                if (n != -EAGAIN)
                        return waits || n < 0 ? n : coro_spend(sched, n);
                error = wait_for_ends(in, out);
                if (error < 0)
                        return error;
        }
}

static int refuse(const struct end *in, const struct end *out)
{
        if (!sched_current)
                return -EPERM;
        if (in->fd < 0 || out->fd < 0)
                return -EBADF;
        return in->fd == out->fd ? -EINVAL : 0;
}

ssize_t ouro_splice(int fd_in, off_t *inout_in, int fd_out, off_t *inout_out, size_t len, unsigned flags)
{
        struct end in = {.fd = fd_in, .offset = inout_in, .events = POLLIN};
        struct end out = {.fd = fd_out, .offset = inout_out, .events = POLLOUT};
        int error = refuse(&in, &out);

        if (error == 0 && (flags & ~(unsigned)(SPLICE_F_MORE | SPLICE_F_MOVE)))
                error = -EINVAL;
        if (error == 0 && len == 0)
                error = check_ends(&in, &out, false);
        return error < 0 || len == 0 ? error : move(&in, &out, len, flags, NULL);
}

ssize_t ouro_tee(int fd_in, int fd_out, size_t len)
{
        struct end in = {.fd = fd_in, .events = POLLIN}, out = {.fd = fd_out, .events = POLLOUT};
        int error = refuse(&in, &out);

        if (error == 0 && len == 0)
                error = check_ends(&in, &out, true);
        return error < 0 || len == 0 ? error : move(&in, &out, len, 0, tee_now);
}
