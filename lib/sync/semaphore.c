/* semaphore.c - a counting semaphore. Somebody waits only while the count is 0. */
#include <errno.h>

#include "sync/sync.h"

static const struct wait_kind waits_for_unit = {.name = "semaphore", .cut = sync_cut};

static int refuse(struct sched *sched, const struct ouro_semaphore *semaphore)
{
        if (!sched)
                return -EPERM;
        if (!semaphore)
                return -EINVAL;
        return sync_foreign(sched, semaphore->waiters) ? -EPERM : 0;
}

int ouro_semaphore_try_acquire(struct ouro_semaphore *semaphore)
{
        int error = refuse(sched_current, semaphore);

        if (error < 0)
                return error;
        if (semaphore->count == 0)
                return -EAGAIN;
        semaphore->count--;
        return 0;
}

int ouro_semaphore_acquire(struct ouro_semaphore *semaphore)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, semaphore);

        if (error < 0)
                return error;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        error = ouro_semaphore_try_acquire(semaphore);
        return error != -EAGAIN ? coro_spend_int(sched, error)
                                : sync_wait(sched, &semaphore->waiters, &waits_for_unit);
}

int ouro_semaphore_release(struct ouro_semaphore *semaphore)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, semaphore);

        if (error < 0)
                return error;
        if (semaphore->count == SIZE_MAX)
                return -EOVERFLOW;
        if (!sync_wake_one(sched, &semaphore->waiters, 0))
                semaphore->count++;
        return 0;
}
