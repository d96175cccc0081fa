/* receiver.c - a connection that is received from by a multishot receive.
 *
 * Invariants: the op is begun only when it is idle and nothing is queued, so it is armed again once for each
 * time that it has ended. What it delivers is queued, in order, and only what was queued before it is told of
 * an end or an error. The descriptor is held, so that its closing is known also where nothing is under way.
 */
#include "io/receiver.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/check.h"
#include "io/recv_buf.h"
#include "ring/ring.h"

enum { QUEUED_MOST = 16 };

static void cut_next(struct sched *sched, struct coro *coro, int interrupt)
{
        struct ouro_receiver *receiver = coro->waiter.what;

        receiver->waiter = NULL;
        coro_wake(sched, coro, interrupt);
}

static void next_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_receiver *receiver = coro->waiter.what;

        target->fd = receiver->fd;
}

static const struct wait_kind waits_for_bytes = {.name = "recv", .cut = cut_next, .target = next_target};
static const struct wait_kind waits_for_end = {.name = "recv's end"};

/* ---- the queue ---- */

static void put(struct ouro_receiver *receiver, unsigned id, uint32_t len)
{
        struct buffer_note *notes = receiver->buffers->notes;

        notes[id].len = len;
        if (receiver->queued++ == 0)
                receiver->first = id;
        else
                notes[receiver->last].next_free = id;
        receiver->last = id;
}

static unsigned take(struct ouro_receiver *receiver)
{
        unsigned id = receiver->first;

        receiver->first = receiver->buffers->notes[id].next_free;
        receiver->queued--;
        return id;
}

/* ---- the op ---- */

/* -EINVAL: the kernel knows no multishot, or not of this. -EAGAIN: the socket is O_NONBLOCK. */
static void note_end(struct ouro_receiver *receiver)
{
        int32_t res = receiver->op.res;

        if (res == 0)
                receiver->at_end = true;
        else if (res == -EINVAL || res == -EAGAIN)
                receiver->one_shot = true;
        else if (res == -ENOBUFS)
                receiver->short_of_one = true;
        else if (res < 0 && res != -ECANCELED && res != -EINTR)
                receiver->error = res;
}

static void wake(struct ring *ring, struct coro **who)
{
        if (*who)
                coro_wake(ring->sched, *who, 0);
        *who = NULL;
}

static void has_received(struct ring *ring, struct op *op)
{
        struct ouro_receiver *receiver = container_of(op, struct ouro_receiver, op);

        if (op->res > 0)
                put(receiver, op->flags >> IORING_CQE_BUFFER_SHIFT, (uint32_t)op->res);
        wake(ring, &receiver->waiter);
        if (op->state == OP_IDLE) {
                note_end(receiver);
                wake(ring, &receiver->closer);
        } else if (receiver->queued >= receiver->most) {
                ring_cancel(ring, op); /* the rest wait in the socket */
        }
}

/* Bytes after which the kernel ends it (sqe.optlen, 6.17). Without that, one fast peer would be given all
 * buffers of the loop before anybody can say stop. */
static uint32_t cap_of(const struct ouro_receiver *receiver)
{
        size_t bytes = receiver->most * receiver->buffers->bytes;

        return bytes < INT32_MAX ? (uint32_t)bytes : INT32_MAX;
}

static int arm(struct ouro_receiver *receiver)
{
        io_uring_prep_recv_multishot(op_begin(&receiver->op), receiver->fd, NULL, 0, receiver->flags);
        receiver->op.sqe.flags = IOSQE_BUFFER_SELECT;
        receiver->op.sqe.buf_group = BUFFER_GROUP;
        receiver->op.sqe.file_index = cap_of(receiver);
        receiver->op.complete = has_received;
        receiver->armed++;
        return ring_begin(sched_current->ring, &receiver->op);
}

/* ---- to callers ---- */

static void fd_is_closing(struct ring *ring, struct fd_hold *hold)
{
        struct ouro_receiver *receiver = container_of(hold, struct ouro_receiver, hold);

        receiver->closed = true;
        ring_release_fd(ring, hold);
}

static bool has_multishot(const struct buffers *buffers)
{
        const struct ring *ring = buffers->ring;

        return ring->backend->multishot && buffers->kernel && ring_may(ring, OURO_KERNEL(6, 17)) &&
               !(ring->without & OURO_WITHOUT_MULTISHOT);
}

int ouro_receiver_open(int fd, ouro_receiver **ret_receiver)
{
        struct ouro_receiver *receiver;
        struct buffers *buffers;
        int error;

        if (!sched_current)
                return -EPERM;
        if (fd < 0 || !ret_receiver)
                return fd < 0 ? -EBADF : -EINVAL;
        buffers = buffers_of(sched_current->ring);
        receiver = buffers ? mem_calloc(sizeof *receiver) : NULL;
        if (!receiver)
                return -ENOMEM;
        receiver->hold.closing = fd_is_closing;
        error = ring_hold_fd(sched_current->ring, &receiver->hold, fd);
        if (error < 0) {
                mem_free(receiver, sizeof *receiver);
                return error;
        }
        op_begin(&receiver->op);
        receiver->buffers = buffers;
        receiver->fd = fd;
        receiver->most = buffers->count / 16 < QUEUED_MOST ? buffers->count / 16 : QUEUED_MOST;
        receiver->most += receiver->most == 0;
        receiver->one_shot = !has_multishot(buffers);
        *ret_receiver = receiver;
        return 0;
}

static ssize_t hand_over(struct ouro_receiver *receiver, struct ouro_buf *ret_buf)
{
        unsigned id = take(receiver);

        return recv_buf_give(receiver->buffers, id, receiver->buffers->notes[id].len, ret_buf);
}

/* What is known without waiting: 0, -EBADF, an error once. -EAGAIN: nothing is. */
static ssize_t known(struct ouro_receiver *receiver)
{
        int error = receiver->error;

        receiver->error = 0;
        if (error < 0)
                return error;
        if (receiver->closed && receiver->op.state == OP_IDLE) /* else it may still bring something */
                return -EBADF;
        return receiver->at_end ? 0 : -EAGAIN;
}

static ssize_t receive_one(struct ouro_receiver *receiver, struct ouro_buf *ret_buf)
{
        ssize_t n;

        receiver->receiving = true;
        n = ouro_recv_buf(receiver->fd, ret_buf, 0);
        receiver->receiving = false;
        receiver->short_of_one = false;
        receiver->at_end = n == 0;
        return n;
}

static int wait_for_more(struct ouro_receiver *receiver)
{
        struct sched *sched = sched_current;

        if (receiver->op.state == OP_IDLE) {
                int error = arm(receiver);

                if (error < 0)
                        return error;
        }
        receiver->waiter = sched->current;
        sched->current->waiter.what = receiver;
        coro_wait(sched, &waits_for_bytes);
        return 0;
}

static int refuse(const struct ouro_receiver *receiver)
{
        if (!sched_current)
                return -EPERM;
        if (receiver->buffers != sched_current->ring->buffers)
                return -EPERM;
        if (receiver->waiter || receiver->receiving || receiver->closer)
                return -EBUSY;
        return sched_current->current->interrupt;
}

ssize_t ouro_receiver_next(ouro_receiver *receiver, struct ouro_buf *ret_buf)
{
        ssize_t n = receiver && ret_buf ? refuse(receiver) : sched_current ? -EINVAL : -EPERM;

        if (n < 0)
                return n;
        if (receiver->queued > 0)
                return coro_spend(sched_current, hand_over(receiver, ret_buf));
        for (;;) {
                n = known(receiver);
                if (n != -EAGAIN)
                        return n;
                if (sched_current->current->interrupt)
                        return sched_current->current->interrupt;
                if (receiver->op.state == OP_IDLE && (receiver->one_shot || receiver->short_of_one))
                        return receive_one(receiver, ret_buf);
                n = wait_for_more(receiver);
                if (n < 0)
                        return n;
                if (receiver->queued > 0) /* also of one that was cut short just now: it has succeeded */
                        return hand_over(receiver, ret_buf);
        }
}

int ouro_receiver_close(ouro_receiver *receiver)
{
        struct sched *sched = sched_current;

        if (!receiver)
                return 0;
        if (!sched || receiver->buffers != sched->ring->buffers)
                return -EPERM;
        if (receiver->waiter || receiver->receiving || receiver->closer)
                return -EBUSY;
        if (receiver->op.state != OP_IDLE) {
                receiver->closer = sched->current;
                coro_begin_wait(sched, sched->current, &waits_for_end); /* a cancel may complete it at once */
                ring_cancel(sched->ring, &receiver->op);
                coro_suspend(sched);
        }
        while (receiver->queued > 0)
                buffers_put(receiver->buffers, take(receiver));
        if (!receiver->closed)
                ring_release_fd(sched->ring, &receiver->hold);
        mem_free(receiver, sizeof *receiver);
        return 0;
}
