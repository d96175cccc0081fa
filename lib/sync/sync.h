/* sync.h - queues of waiting tasks, for all that tasks wait for among themselves.
 *
 * A queue is one pointer (void *waiters), first come, first served. A task in it has waiter.what pointing to
 * that pointer, so that its wait can be cut short without knowing what the queue belongs to. Whoever is
 * woken from it has what it waited for: nobody can overtake it. */
#ifndef OURO_SYNC_SYNC_H
#define OURO_SYNC_SYNC_H

#include "base/queue.h"
#include "task/task.h"

/* Takes a coroutine out of the queue it waits in, and wakes it with interrupt. */
void sync_cut(struct sched *sched, struct coro *coro, int interrupt);

static inline struct coro *sync_coro(struct ouro_list *node)
{
        return container_of(node, struct coro, waiter.link);
}

/* Do tasks of another loop wait here? Then the caller must keep out. */
static inline bool sync_foreign(struct sched *sched, void *waiters)
{
        return waiters && task_loop(task_of(sync_coro(waiters))) != loop_of(sched);
}

/* Suspends the caller at the end of a queue. */
static inline int sync_wait(struct sched *sched, void **queue, const struct wait_kind *kind)
{
        struct coro *self = sched->current;

        self->waiter.what = queue;
        queue_push(queue, &self->waiter.link);
        return coro_wait_int(sched, kind);
}

/* Wakes the first of a queue. False: nobody waits. */
static inline bool sync_wake_one(struct sched *sched, void **queue, int value)
{
        struct ouro_list *node = queue_pop(queue);

        if (node)
                coro_wake(sched, sync_coro(node), value);
        return node != NULL;
}

size_t sync_wake(struct sched *sched, void **queue, size_t most, int value);

#endif
