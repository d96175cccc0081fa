/* acceptor.c - connections of one listener, one after the other, by a multishot accept where there is one.
 *
 * Invariants: the op is begun only when it is idle and nothing is queued, so it is armed again once for each
 * time that it has ended. Whatever it delivers gets into the queue, or is closed. When it ends, all who wait
 * look again: one of them tells of the error, the next arms it anew. */
#include "io/acceptor.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "ring/ring.h"

static void cut_next(struct sched *sched, struct coro *coro, int interrupt)
{
        list_del(&coro->waiter.link);
        coro_wake(sched, coro, interrupt);
}

static void next_target(const struct coro *coro, struct wait_target *target)
{
        const struct acceptor *acceptor = coro->waiter.what;

        target->fd = acceptor->listener;
}

static const struct wait_kind waits_for_connection = {
        .name = "accept", .cut = cut_next, .target = next_target};
static const struct wait_kind waits_for_end = {.name = "accept's end"};

/* ---- the queue ---- */

static bool grow_queue(struct acceptor *acceptor)
{
        unsigned to = acceptor->places ? acceptor->places * 2 : ACCEPTOR_QUEUED_MOST;
        int *queue = mem_alloc(to * sizeof *queue);

        if (!queue)
                return false;
        for (unsigned i = 0; i < acceptor->queued; i++)
                queue[i] = acceptor->queue[(acceptor->first + i) % acceptor->places];
        mem_free(acceptor->queue, acceptor->places * sizeof *queue);
        acceptor->queue = queue;
        acceptor->places = to;
        acceptor->first = 0;
        return true;
}

static void put(struct acceptor *acceptor, int fd)
{
        if (acceptor->closing || (acceptor->queued == acceptor->places && !grow_queue(acceptor))) {
                (void)sys_result(close(fd)); /* the peer sees it: better than a connection nobody knows of */
                return;
        }
        acceptor->queue[(acceptor->first + acceptor->queued++) % acceptor->places] = fd;
}

static int take(struct acceptor *acceptor)
{
        int fd = acceptor->queue[acceptor->first];

        acceptor->first = (acceptor->first + 1) % acceptor->places;
        acceptor->queued--;
        return fd;
}

/* ---- the op ---- */

static void wake_first(struct ring *ring, struct acceptor *acceptor)
{
        if (!list_empty(&acceptor->waiting)) {
                struct coro *coro = container_of(acceptor->waiting.next, struct coro, waiter.link);

                list_del(&coro->waiter.link);
                coro_wake(ring->sched, coro, 0);
        }
}

/* -EINVAL: the kernel knows no multishot, or not of this. -EAGAIN: the listener is O_NONBLOCK, which a plain
 * accept waits for. */
static void note_end(struct acceptor *acceptor)
{
        int32_t res = acceptor->op.res;

        if (acceptor->op.closed)
                acceptor->closed = true;
        else if (res == -EINVAL || res == -EAGAIN)
                acceptor->one_shot = true;
        else if (res < 0 && res != -ECANCELED && res != -EINTR)
                acceptor->error = res;
}

static void has_accepted(struct ring *ring, struct op *op)
{
        struct acceptor *acceptor = container_of(op, struct acceptor, op);

        if (op->res >= 0)
                put(acceptor, op->res);
        if (op->state == OP_IDLE) {
                note_end(acceptor);
                while (!list_empty(&acceptor->waiting))
                        wake_first(ring, acceptor);
                if (acceptor->closer)
                        coro_wake(ring->sched, acceptor->closer, 0);
                acceptor->closer = NULL;
                return;
        }
        wake_first(ring, acceptor);
        if (acceptor->queued >= ACCEPTOR_QUEUED_MOST)
                ring_cancel(ring, op); /* the rest wait in the listener's own queue */
}

static int arm(struct acceptor *acceptor)
{
        io_uring_prep_multishot_accept(op_begin(&acceptor->op), acceptor->listener, NULL, NULL, SOCK_CLOEXEC);
        acceptor->op.complete = has_accepted;
        return ring_begin(sched_current->ring, &acceptor->op);
}

static int accept_one(const struct acceptor *acceptor)
{
        struct op op;

        io_uring_prep_accept(op_begin(&op), acceptor->listener, NULL, NULL, SOCK_CLOEXEC);
        return (int)op_wait(&op);
}

/* ---- to callers ---- */

int acceptor_open(struct acceptor *acceptor, int listener)
{
        struct sched *sched = sched_current;

        if (!sched)
                return -EPERM;
        if (listener < 0)
                return -EBADF;
        *acceptor = (struct acceptor){.listener = listener};
        op_begin(&acceptor->op);
        list_init(&acceptor->waiting);
        acceptor->one_shot = !sched->ring->backend->multishot || !ring_may(sched->ring, OURO_KERNEL(5, 19)) ||
                             (sched->ring->without & OURO_WITHOUT_MULTISHOT);
        return 0;
}

static int take_error(struct acceptor *acceptor)
{
        int error = acceptor->closed ? -EBADF : acceptor->error;

        acceptor->error = 0;
        return error;
}

int acceptor_next(struct acceptor *acceptor)
{
        struct sched *sched = sched_current;
        struct coro *self = sched->current;
        bool waited = false;
        int error;

        for (;; waited = true) {
                if (!waited && self->interrupt)
                        return self->interrupt;
                if (acceptor->queued > 0) /* also of one that was cut short just now: it has succeeded */
                        return waited ? take(acceptor) : (int)coro_spend(sched, take(acceptor));
                error = self->interrupt ? self->interrupt : take_error(acceptor);
                if (error < 0)
                        return error;
                if (acceptor->one_shot)
                        return accept_one(acceptor);
                if (acceptor->op.state == OP_IDLE) {
                        error = arm(acceptor);
                        if (error < 0)
                                return error;
                }
                self->waiter.what = acceptor;
                list_push(&acceptor->waiting, &self->waiter.link);
                coro_wait(sched, &waits_for_connection);
        }
}

void acceptor_close(struct acceptor *acceptor)
{
        struct sched *sched = sched_current;

        check(list_empty(&acceptor->waiting));
        acceptor->closing = true;
        if (acceptor->op.state != OP_IDLE) {
                acceptor->closer = sched->current;
                coro_begin_wait(sched, sched->current, &waits_for_end); /* a cancel may complete it at once */
                ring_cancel(sched->ring, &acceptor->op);
                coro_suspend(sched);
        }
        while (acceptor->queued > 0)
                (void)sys_result(close(take(acceptor)));
        mem_free(acceptor->queue, acceptor->places * sizeof *acceptor->queue);
        acceptor->queue = NULL;
        acceptor->places = 0;
}
