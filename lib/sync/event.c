/* event.c - a flag that tasks wait for. */
#include <errno.h>

#include "sync/sync.h"

static void event_target(const struct coro *coro, struct wait_target *target)
{
        target->object = container_of(coro->waiter.what, struct ouro_event, waiters);
}

static const struct wait_kind waits_for_event = {.name = "event", .cut = sync_cut, .target = event_target};

static int refuse(struct sched *sched, const struct ouro_event *event)
{
        if (!sched)
                return -EPERM;
        if (!event)
                return -EINVAL;
        return sync_foreign(sched, event->waiters) ? -EPERM : 0;
}

int ouro_event_wait(struct ouro_event *event)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, event);

        if (error < 0)
                return error;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        if (event->is_set)
                return coro_spend_int(sched, 0);
        return sync_wait(sched, &event->waiters, &waits_for_event);
}

int ouro_event_set(struct ouro_event *event)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, event);

        if (error < 0)
                return error;
        event->is_set = true;
        sync_wake(sched, &event->waiters, SIZE_MAX, 0);
        return 0;
}

int ouro_event_clear(struct ouro_event *event)
{
        int error = refuse(sched_current, event);

        if (error == 0)
                event->is_set = false;
        return error;
}
