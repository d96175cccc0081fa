/* once.c - something that is to be done once, by whoever comes first; the others wait for it.
 *
 * Invariant: somebody waits only while a task is at it (doer). When that one fails, the turn goes to the
 * first in the queue, so that the others keep their places. */
#include <errno.h>

#include "sync/owner.h"

/* What a waiting task is woken with: else by what came of it, or by how it was cut short. */
#define YOUR_TURN INTPTR_MIN

void once_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_once *once = container_of(coro->waiter.what, struct ouro_once, waiters);
        const struct task *doer = once->doer;

        target->object = once;
        target->holder = &doer->coro;
}

static const struct wait_kind waits_for_doer = {
        .name = "what is done once", .cut = sync_cut, .target = once_target};

static int refuse(struct sched *sched, const struct ouro_once *once, ouro_fn *fn)
{
        if (!sched)
                return -EPERM;
        if (!once || !fn)
                return -EINVAL;
        if (once->doer && task_loop(once->doer) != loop_of(sched))
                return -EPERM;
        return sched->current->interrupt;
}

static void pass_on(struct sched *sched, struct ouro_once *once)
{
        struct ouro_list *next = queue_pop(&once->waiters);

        once->doer = next ? task_of(sync_coro(next)) : NULL;
        if (next)
                coro_wake(sched, sync_coro(next), YOUR_TURN);
}

/* Returns what came of it (once may be gone by then), YOUR_TURN, or how the caller was cut short. */
static intptr_t wait_for_doer(struct sched *sched, struct ouro_once *once)
{
        struct coro *self = sched->current;

        self->waiter.what = &once->waiters;
        queue_push(&once->waiters, &self->waiter.link);
        return coro_wait(sched, &waits_for_doer);
}

static void wake_all(struct sched *sched, struct ouro_once *once, intptr_t result)
{
        struct ouro_list *node;

        while ((node = queue_pop(&once->waiters)))
                coro_wake(sched, sync_coro(node), result);
}

static intptr_t do_it(struct sched *sched, struct ouro_once *once, ouro_fn *fn, void *arg)
{
        intptr_t result = fn(arg);

        if (result < 0) {
                pass_on(sched, once);
                return result;
        }
        once->is_done = true;
        once->result = result;
        once->doer = NULL;
        wake_all(sched, once, result);
        return result;
}

intptr_t ouro_once_do(struct ouro_once *once, ouro_fn *fn, void *arg)
{
        struct sched *sched = sched_current;
        intptr_t error = refuse(sched, once, fn);

        if (error < 0)
                return error;
        if (once->is_done)
                return coro_spend(sched, once->result);
        if (once->doer) {
                if (owner_waits_for_us(sched, once->doer))
                        return -EDEADLK;
                error = wait_for_doer(sched, once);
                if (error != YOUR_TURN)
                        return error;
        }
        once->doer = task_of(sched->current);
        error = sched->current->interrupt; /* cut short since its turn came: it is the next one's */
        if (error < 0) {
                pass_on(sched, once);
                return error;
        }
        return do_it(sched, once, fn, arg);
}
