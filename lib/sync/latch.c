/* latch.c - a count that only goes down, and whoever waits for it to reach nothing. */
#include <errno.h>

#include "sync/sync.h"

static void latch_target(const struct coro *coro, struct wait_target *target)
{
        target->object = container_of(coro->waiter.what, struct ouro_latch, waiters);
}

static const struct wait_kind waits_for_latch = {.name = "latch", .cut = sync_cut, .target = latch_target};

static int refuse(struct sched *sched, const struct ouro_latch *latch)
{
        if (!sched)
                return -EPERM;
        if (!latch)
                return -EINVAL;
        return sync_foreign(sched, latch->waiters) ? -EPERM : 0;
}

int ouro_latch_count_down(struct ouro_latch *latch, size_t n)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, latch);

        if (error < 0)
                return error;
        if (n > latch->count)
                return -EOVERFLOW;
        latch->count -= n;
        if (latch->count == 0)
                sync_wake(sched, &latch->waiters, SIZE_MAX, 0);
        return 0;
}

int ouro_latch_try_wait(struct ouro_latch *latch)
{
        int error = refuse(sched_current, latch);

        if (error < 0)
                return error;
        return latch->count == 0 ? 0 : -EAGAIN;
}

int ouro_latch_wait(struct ouro_latch *latch)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, latch);

        if (error < 0)
                return error;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        return latch->count == 0 ? coro_spend_int(sched, 0)
                                 : sync_wait(sched, &latch->waiters, &waits_for_latch);
}
