/* sync.h - queues of waiting tasks, for all that tasks wait for among themselves.
 *
 * A queue is one pointer (void *waiters), first come, first served. A task in it has waiter.what pointing to
 * that pointer, so that its wait can be cut short without knowing what the queue belongs to. Whoever is
 * woken from it has what it waited for: nobody can overtake it.
 *
 * A case of a select waits in the queues of channels and events too. Its waiter.what has SYNC_CASE set, and
 * it is taken out by sync_pop() and told by select_done(): see sync/select.h. */
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

enum { SYNC_CASE = 1 };

/* In a queue in which cases may wait: is this one? */
static inline bool sync_is_case(struct ouro_list *node)
{
        return (uintptr_t)container_of(node, struct waiter, link)->what & SYNC_CASE;
}

/* ---- select_wait.c ---- */
struct coro *select_coro(struct ouro_list *node);
bool select_claim(struct ouro_list *node); /* it is out of its queue. False: another case is done already */
void select_done(struct ouro_list *node, int result); /* claimed */

/* Do tasks of another loop wait here? Then the caller must keep out. */
static inline bool sync_foreign(struct sched *sched, void *waiters)
{
        struct coro *first;

        if (!waiters)
                return false;
        first = unlikely(sync_is_case(waiters)) ? select_coro(waiters) : sync_coro(waiters);
        return task_loop(task_of(first)) != loop_of(sched);
}

/* The first of a queue in which cases may wait, taken out; NULL: nobody waits. */
static inline struct ouro_list *sync_pop(void **queue)
{
        struct ouro_list *node;

        while ((node = queue_pop(queue)) && unlikely(sync_is_case(node)) && !select_claim(node))
                ;
        return node;
}

/* Ends the wait of one that was taken out. */
static inline void sync_end_wait(struct sched *sched, struct ouro_list *node, int value)
{
        if (unlikely(sync_is_case(node)))
                select_done(node, value);
        else
                coro_wake(sched, sync_coro(node), value);
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
        struct ouro_list *node = sync_pop(queue);

        if (node)
                sync_end_wait(sched, node, value);
        return node != NULL;
}

size_t sync_wake(struct sched *sched, void **queue, size_t most, int value);

#endif
