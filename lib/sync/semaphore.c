/* semaphore.c - a counting semaphore, of which a task may take several units at a time.
 *
 * Invariant: while somebody waits, the first in the queue wants more than there is. Nobody overtakes it, also
 * who wants less: else a large wish would starve. A waiting task's value is how many it wants. */
#include <errno.h>
#include <limits.h>

#include "sync/sync.h"

static struct ouro_semaphore *waited_for(const struct coro *coro)
{
        return container_of(coro->waiter.what, struct ouro_semaphore, waiters);
}

static void semaphore_target(const struct coro *coro, struct wait_target *target)
{
        target->object = waited_for(coro);
}

/* Gives what there is to those who have waited longest. */
static void serve(struct sched *sched, struct ouro_semaphore *semaphore)
{
        while (semaphore->waiters) {
                struct coro *first = sync_coro(semaphore->waiters);

                if ((size_t)first->value > semaphore->count)
                        return;
                semaphore->count -= (size_t)first->value;
                sync_wake_one(sched, &semaphore->waiters, 0);
        }
}

/* There may be enough for those who waited behind it. */
static void cut_wish(struct sched *sched, struct coro *coro, int interrupt)
{
        struct ouro_semaphore *semaphore = waited_for(coro);

        sync_cut(sched, coro, interrupt);
        serve(sched, semaphore);
}

static const struct wait_kind waits_for_unit = {
        .name = "semaphore", .cut = cut_wish, .target = semaphore_target};

static inline int refuse(struct sched *sched, const struct ouro_semaphore *semaphore, size_t n)
{
        if (!sched)
                return -EPERM;
        if (!semaphore || n == 0)
                return -EINVAL;
        return sync_foreign(sched, semaphore->waiters) ? -EPERM : 0;
}

static inline int refuse_wish(struct sched *sched, const struct ouro_semaphore *semaphore, size_t n)
{
        int error = refuse(sched, semaphore, n);

        if (error < 0)
                return error;
        return n > SSIZE_MAX || (semaphore->most && n > semaphore->most) ? -EINVAL : 0;
}

static inline bool take(struct ouro_semaphore *semaphore, size_t n)
{
        if (semaphore->waiters || semaphore->count < n)
                return false;
        semaphore->count -= n;
        return true;
}

int ouro_semaphore_try_acquire_n(struct ouro_semaphore *semaphore, size_t n)
{
        int error = refuse_wish(sched_current, semaphore, n);

        if (error < 0)
                return error;
        return take(semaphore, n) ? 0 : -EAGAIN;
}

int ouro_semaphore_acquire_n(struct ouro_semaphore *semaphore, size_t n)
{
        struct sched *sched = sched_current;
        int error = refuse_wish(sched, semaphore, n);

        if (error < 0)
                return error;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        if (take(semaphore, n))
                return coro_spend_int(sched, 0);
        sched->current->value = (intptr_t)n;
        return sync_wait(sched, &semaphore->waiters, &waits_for_unit);
}

int ouro_semaphore_release_n(struct ouro_semaphore *semaphore, size_t n)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, semaphore, n);
        size_t count;

        if (error < 0)
                return error;
        if (__builtin_add_overflow(semaphore->count, n, &count) ||
            (semaphore->most && count > semaphore->most))
                return -EOVERFLOW;
        semaphore->count = count;
        serve(sched, semaphore);
        return 0;
}

int ouro_semaphore_try_acquire(struct ouro_semaphore *semaphore)
{
        return ouro_semaphore_try_acquire_n(semaphore, 1);
}

int ouro_semaphore_acquire(struct ouro_semaphore *semaphore)
{
        return ouro_semaphore_acquire_n(semaphore, 1);
}

int ouro_semaphore_release(struct ouro_semaphore *semaphore)
{
        return ouro_semaphore_release_n(semaphore, 1);
}
