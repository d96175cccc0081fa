/* barrier.c - so many tasks wait for each other, again and again.
 *
 * Whoever makes the number full wakes the others and goes on: they have passed, so that the next round may
 * fill at once. A task that is cut short leaves its round, and the others wait on for another in its place.
 */
#include <errno.h>
#include <limits.h>

#include "sync/sync.h"

static struct ouro_barrier *waited_for(const struct coro *coro)
{
        return container_of(coro->waiter.what, struct ouro_barrier, waiters);
}

static void barrier_target(const struct coro *coro, struct wait_target *target)
{
        target->object = waited_for(coro);
}

static void cut_arrival(struct sched *sched, struct coro *coro, int interrupt)
{
        waited_for(coro)->arrived--;
        sync_cut(sched, coro, interrupt);
}

static const struct wait_kind waits_for_parties = {
        .name = "barrier", .cut = cut_arrival, .target = barrier_target};

static int refuse(struct sched *sched, const struct ouro_barrier *barrier)
{
        if (!sched)
                return -EPERM;
        if (!barrier || barrier->parties == 0 || barrier->parties > SSIZE_MAX)
                return -EINVAL;
        return sync_foreign(sched, barrier->waiters) ? -EPERM : 0;
}

/* Its place is told by intptr_t, which coro_wait() returns. */
static ssize_t wait_for_parties(struct sched *sched, struct ouro_barrier *barrier)
{
        struct coro *self = sched->current;

        barrier->arrived++;
        self->waiter.what = &barrier->waiters;
        queue_push(&barrier->waiters, &self->waiter.link);
        return coro_wait(sched, &waits_for_parties);
}

static ssize_t let_pass(struct sched *sched, struct ouro_barrier *barrier)
{
        struct ouro_list *node;
        ssize_t place = 0;

        while ((node = queue_pop(&barrier->waiters)))
                coro_wake(sched, sync_coro(node), place++);
        barrier->arrived = 0;
        return coro_spend(sched, place);
}

ssize_t ouro_barrier_wait(struct ouro_barrier *barrier)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, barrier);

        if (error < 0)
                return error;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        if (barrier->broken)
                return -EPIPE;
        return barrier->arrived + 1 < barrier->parties ? wait_for_parties(sched, barrier)
                                                       : let_pass(sched, barrier);
}

static int break_round(struct ouro_barrier *barrier, bool broken)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, barrier);

        if (error < 0)
                return error;
        barrier->broken = broken;
        barrier->arrived = 0;
        sync_wake(sched, &barrier->waiters, SIZE_MAX, -EPIPE);
        return 0;
}

int ouro_barrier_abort(struct ouro_barrier *barrier)
{
        return break_round(barrier, true);
}

int ouro_barrier_reset(struct ouro_barrier *barrier)
{
        return break_round(barrier, false);
}
