/* op.c - one operation, seen from the task that waits for it.
 *
 * The op lies on the waiter's stack, and so may the buffer. Therefore op_wait() returns only after the last
 * completion, even when it is cut short: being cut short asks for a cancel, and the completion decides what
 * has happened. What has succeeded is handed over; only then does the next call tell of the cancellation. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sys.h"
#include "ring/calls.h"
#include "ring/op.h"
#include "ring/opcodes.h"
#include "ring/ring.h"

/* An entry that sends without a copy completes twice: with the result, and when its buffer is free again.
 * backend_data keeps the one until the other comes. */
static void wake_at_notification(struct ring *ring, struct op *op)
{
        if (op->flags & IORING_CQE_F_MORE) {
                op->backend_data = (uint32_t)op->res;
                return;
        }
        op->res = (int32_t)(uint32_t)op->backend_data;
        coro_wake(ring->sched, op->coro, 0);
}

static void wake_waiter(struct ring *ring, struct op *op)
{
        if (unlikely(op->flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF)))
                wake_at_notification(ring, op);
        else
                coro_wake(ring->sched, op->coro, 0);
}

static void cut_op(struct sched *sched, struct coro *coro, int interrupt)
{
        (void)interrupt; /* op_result() reads it from the coroutine */
        ring_cancel(sched->ring, coro->waiter.what);
}

/* One that has no descriptor has a number there that is less than zero (AT_FDCWD), or is a NOP. */
static void op_target(const struct coro *coro, struct wait_target *target)
{
        const struct op *op = coro->waiter.what;

        if (op->sqe.fd >= 0 && op->sqe.opcode != IORING_OP_NOP)
                target->fd = op->sqe.fd;
        target->name = op->sqe.opcode == OP_CALL ? ((const struct call *)(uintptr_t)op->sqe.addr)->name
                                                 : opcode_name(op->sqe.opcode);
}

static void close_target(const struct coro *coro, struct wait_target *target)
{
        target->fd = (int)(intptr_t)coro->waiter.what;
}

static const struct wait_kind waits_for_op = {.name = "operation", .cut = cut_op, .target = op_target};
static const struct wait_kind waits_for_op_uncut = {.name = "operation", .target = op_target};
static const struct wait_kind waits_to_close = {.name = "close", .target = close_target};

/* Submits op and waits for its completion. 0, or the error that kept it from being submitted. */
static int carry_out(struct sched *sched, struct op *op, const struct wait_kind *kind)
{
        struct coro *self = sched->current;
        int error;

        coro_check_stack(sched);
        op->complete = wake_waiter;
        op->coro = self;
        op->cancel_asked = op->closed = false;
        error = ring_begin(sched->ring, op);
        if (unlikely(error < 0))
                return error;
        self->waiter.what = op;
        coro_wait(sched, kind);
        check(op->state == OP_IDLE);
        return 0;
}

/* What a system call says to itself when a signal, or a cancel, has interrupted it: the kernel's own restart
 * codes (include/linux/errno.h) show where a worker thread of io_uring carried it out. */
static bool was_interrupted(int32_t res)
{
        return res == -EINTR || (res <= -512 && res >= -516);
}

/* The events that must come before an operation that gave -EAGAIN makes sense again; 0: none would help. */
static unsigned events_before(const struct op *op)
{
        switch (op->sqe.opcode) {
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG:
        case IORING_OP_READ:
        case IORING_OP_ACCEPT:
                return POLLIN;
        case IORING_OP_READV:
                return op->sqe.rw_flags & RWF_NOWAIT ? 0 : POLLIN;
        case IORING_OP_WRITEV:
                return op->sqe.rw_flags & RWF_NOWAIT ? 0 : POLLOUT;
        case IORING_OP_SEND:
        case IORING_OP_SENDMSG:
        case IORING_OP_SEND_ZC:
        case IORING_OP_WRITE:
                return POLLOUT;
        default:
                return 0;
        }
}

/* The descriptor is O_NONBLOCK: waits until op can be tried again. 0, or what op is to return. */
static int wait_until_ready(struct sched *sched, const struct op *op, unsigned events,
                            const struct wait_kind *kind)
{
        struct op poll;

        io_uring_prep_poll_add(op_begin(&poll), op->sqe.fd, events);
        int error = carry_out(sched, &poll, kind);

        if (error < 0)
                return error;
        if (poll.res >= 0)
                return 0;
        if (poll.res == -ECANCELED || was_interrupted(poll.res))
                return poll.closed ? -EBADF : sched->current->interrupt;
        return poll.res;
}

/* The kernel gave op back undone, and nobody had asked: it needs a thread for it and can make none, as with
 * RLIMIT_NPROC used up. Then it is done here, where it may block: slower, and the same result. */
static void do_here(struct ring *ring, struct op *op)
{
        enum call_outcome outcome;

        call_begin(op);
        outcome = call_try(op, ring->quiet_writes);
        if (outcome == CALL_HELP || outcome == CALL_HELP_ONCE)
                call_block_here(op, outcome == CALL_HELP_ONCE);
        else if (outcome != CALL_DONE && outcome != CALL_CLOSE)
                op->res = -EAGAIN;
        if (op->sqe.opcode == IORING_OP_CLOSE) /* so far it has been flushed at most */
                call_close(op);
}

static intptr_t wait_as(struct op *op, const struct wait_kind *kind)
{
        struct sched *sched = sched_current;
        int error;

        for (;;) {
                struct coro *self = sched->current;
                bool cut = self->interrupt != 0 && kind->cut;

                if (unlikely(cut))
                        return self->interrupt;
                error = carry_out(sched, op, kind);
                if (unlikely(error < 0))
                        return error;
                if (unlikely(op->res == -ECANCELED && !op->cancel_asked))
                        do_here(sched->ring, op);
                if (likely(op->res >= 0))
                        return op->res;
                if (op->res == -EAGAIN && events_before(op) != 0) {
                        error = wait_until_ready(sched, op, events_before(op), kind);
                        if (error < 0)
                                return error;
                } else if ((op->res != -ECANCELED && !was_interrupted(op->res)) ||
                           op->sqe.opcode == IORING_OP_CLOSE) {
                        return op->res;
                } else if (op->closed) {
                        return -EBADF;
                }
                /* Interrupted by a signal, by us, or ready now: around again, and the top tells which. */
        }
}

intptr_t op_wait(struct op *op)
{
        if (unlikely(!sched_current))
                return -EPERM;
        return wait_as(op, &waits_for_op);
}

intptr_t op_wait_uncut(struct op *op)
{
        if (unlikely(!sched_current))
                return -EPERM;
        return wait_as(op, &waits_for_op_uncut);
}

intptr_t op_call_on(int fd, const char *name, intptr_t (*fn)(void *arg), void *arg)
{
        struct call call = {.name = name, .fn = fn, .arg = arg};
        struct op op;
        intptr_t error;

        op_begin(&op)->opcode = OP_CALL;
        op.sqe.fd = fd;
        op.sqe.addr = (uint64_t)(uintptr_t)&call;
        error = op_wait(&op);
        return error < 0 ? error : call.result;
}

intptr_t op_call(intptr_t (*fn)(void *arg), void *arg)
{
        return op_call_on(-1, "call", fn, arg);
}

int op_start(struct ring *ring, struct op *op)
{
        op->internal = true;
        op->cancel_asked = op->closed = false;
        return ring_begin(ring, op);
}

/* Ends what is under way on fd, and waits until nothing is. */
static void let_fall_idle(struct sched *sched, uint32_t *word, int fd)
{
        struct coro *self = sched->current;

        *word |= FD_CLOSING;
        if ((*word & FD_OPS) == 0)
                return;
        self->waiter.what = (void *)(intptr_t)fd;
        list_push(&sched->ring->closers, &self->waiter.link);
        coro_begin_wait(
                sched, self,
                &waits_to_close); /* a cancel can complete an op at once, and wake us before we wait */
        ring_cancel_fd(sched->ring, fd);
        coro_suspend(sched);
}

/* No memory for an operation: closing must act all the same. */
static int close_at_once(struct ring *ring, int fd)
{
        ring_forget_fd(ring, fd);
        return sys_result(close(fd));
}

int op_close_fd(int fd)
{
        struct sched *sched = sched_current;
        uint32_t *word;
        struct op op;
        int result;

        if (unlikely(!sched))
                return -EPERM;
        word = ring_fd(sched->ring, fd);
        if (!word && ring_fd_error(fd) != -ENOMEM) /* for want of memory nothing is under way on it either */
                return ring_fd_error(fd);
        if (word && (*word & FD_CLOSING))
                return -EBADF;
        if (word)
                let_fall_idle(sched, word, fd);
        if (sanitize_sees_close())
                return close_at_once(sched->ring, fd);
        io_uring_prep_close(op_begin(&op), fd); /* its completion takes FD_CLOSING away */
        result = (int)op_wait_uncut(&op);
        return likely(result != -ENOMEM) ? result : close_at_once(sched->ring, fd);
}
