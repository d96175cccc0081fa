/* sync.c - what the queues of lib/sync have in common. */
#include "sync/sync.h"

void sync_cut(struct sched *sched, struct coro *coro, int interrupt)
{
        queue_remove(coro->waiter.what, &coro->waiter.link);
        coro_wake(sched, coro, interrupt);
}

size_t sync_wake(struct sched *sched, void **queue, size_t most, int value)
{
        size_t n = 0;

        while (n < most && sync_wake_one(sched, queue, value))
                n++;
        return n;
}
