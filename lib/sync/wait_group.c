/* wait_group.c - how much work is out, and whoever waits until none is. */
#include <errno.h>

#include "sync/sync.h"

static void wait_group_target(const struct coro *coro, struct wait_target *target)
{
        target->object = container_of(coro->waiter.what, struct ouro_wait_group, waiters);
}

static const struct wait_kind waits_for_work = {
        .name = "wait group", .cut = sync_cut, .target = wait_group_target};

static int refuse(struct sched *sched, const struct ouro_wait_group *group)
{
        if (!sched)
                return -EPERM;
        if (!group)
                return -EINVAL;
        return sync_foreign(sched, group->waiters) ? -EPERM : 0;
}

int ouro_wait_group_add(struct ouro_wait_group *group, size_t n)
{
        int error = refuse(sched_current, group);
        size_t count;

        if (error < 0)
                return error;
        if (__builtin_add_overflow(group->count, n, &count))
                return -EOVERFLOW;
        group->count = count;
        return 0;
}

int ouro_wait_group_done(struct ouro_wait_group *group)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, group);

        if (error < 0)
                return error;
        if (group->count == 0)
                return -EOVERFLOW;
        if (--group->count == 0)
                sync_wake(sched, &group->waiters, SIZE_MAX, 0);
        return 0;
}

int ouro_wait_group_wait(struct ouro_wait_group *group)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, group);

        if (error < 0)
                return error;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        return group->count == 0 ? coro_spend_int(sched, 0)
                                 : sync_wait(sched, &group->waiters, &waits_for_work);
}
