/* park.h - whoever waits for what another thread may bring: a task of some loop, or a plain thread.
 *
 *      struct park_lot     the lock of something shared, over all queues that belong to it
 *      struct park_queue   those who wait there, first come, first served; its length can be read without the
 * lock struct park         one who waits, on its own stack struct park_woken   those who have been taken out
 * under the lock, to be woken when it is free again
 *
 * Whoever takes a park out of its queue, under the lock, has decided how its wait ends: with that result,
 * whatever cuts it short from then on. Until its wake has arrived its memory stays, and so does its loop; the
 * waker touches nothing of what it wakes after that, and what the queue belongs to it does not touch after
 * the lock. So who is woken may free that at once.
 *
 * While a task is parked its loop counts a job that is out: somebody out there may wake it, so that a virtual
 * clock does not jump, and the loop polls a little before it sleeps.
 *
 * A case of a select has a park too. Its select is claimed by whoever wants to end the wait, for it may stand
 * in queues with other locks. A claim that may be taken back is held under a lock and for a moment only; who
 * holds one waits for nothing. */
#ifndef OURO_SYNC_PARK_H
#define OURO_SYNC_PARK_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/queue.h"
#include "task/task.h"

struct park_lot {
        pthread_mutex_t lock;
        unsigned process; /* that made it: a forked child has a copy, perhaps locked for ever */
};

struct park_queue {
        void *first;       /* ring of park.link */
        atomic_size_t len; /* those in it, and one that is about to be */
};

struct select;
struct ouro_case;

struct park {
        struct ouro_list link;       /* in its queue, or among the woken */
        struct ouro_message message; /* that wakes a task */
        struct ouro_message *wake;   /* this, or that of its select */
        struct ouro_loop *loop;      /* NULL: a thread without one */
        struct coro *coro;
        struct park_lot *lot;
        struct park_queue *queue;
        const void *object; /* what it belongs to, for those who ask */
        void *item;         /* the queue's owner defines it */
        intptr_t result;
        struct select *select; /* NULL: it waits for nothing else */
        struct ouro_case *it;  /* of that */
        atomic_uint word;      /* a thread sleeps on it */
        bool queued;
};

struct park_woken {
        void *first;
};

/* ---- the lock ---- */

void park_lot_init(struct park_lot *lot);
void park_lot_destroy(struct park_lot *lot);

extern _Atomic unsigned park_process; /* goes up in each forked child */

/* This process is a forked child of the one that made it. */
static inline bool park_is_inherited(const struct park_lot *lot)
{
        return lot->process != atomic_load_explicit(&park_process, memory_order_relaxed);
}

/* 0, or -EPERM: in a forked child. */
static inline int park_enter(struct park_lot *lot)
{
        if (unlikely(park_is_inherited(lot)))
                return -EPERM;
        pthread_mutex_lock(&lot->lock);
        return 0;
}

static inline void park_leave(struct park_lot *lot)
{
        pthread_mutex_unlock(&lot->lock);
}

/* ---- with the lock held ---- */

/* Does anybody wait? Without the lock: pairs with park_announce(). The fence stands between what the caller
 * has published and this look. */
static inline bool park_anyone(struct park_queue *queue)
{
        atomic_thread_fence(memory_order_seq_cst);
        return atomic_load_explicit(&queue->len, memory_order_relaxed) > 0;
}

/* The caller may be about to wait: from here on whoever publishes something sees that, or the caller sees
 * what was published, if it looks once more. Then park_push() or park_renounce(). */
static inline void park_announce(struct park_queue *queue)
{
        atomic_fetch_add_explicit(&queue->len, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* as in park_anyone(), the other way round */
}

static inline void park_renounce(struct park_queue *queue)
{
        atomic_fetch_sub_explicit(&queue->len, 1, memory_order_relaxed);
}

/* For the caller: the running task, or its thread. */
void park_init(struct park *park, struct park_lot *lot, struct park_queue *queue, const void *object,
               void *item);

/* At the back of its queue, after park_announce(). */
static inline void park_push(struct park *park)
{
        queue_push(&park->queue->first, &park->link);
        park->queued = true;
}

static inline void park_remove(struct park *park)
{
        queue_remove(&park->queue->first, &park->link);
        park->queued = false;
        park_renounce(park->queue);
}

/* ---- shared_select.c ---- */
bool park_hold_case(struct park *park);
void park_free_case(struct park *park);
void park_end_case(struct park *park);

/* Its wait is the caller's to end: by park_take(), or not at all by park_unclaim(). False: it has ended. */
static inline bool park_claim(struct park *park)
{
        return likely(!park->select) || park_hold_case(park);
}

static inline void park_unclaim(struct park *park)
{
        if (unlikely(park->select))
                park_free_case(park);
}

/* The first who still waits, claimed; NULL: nobody. */
struct park *park_first(struct park_queue *queue);

/* Takes one that is claimed out of its queue, to be woken with result. */
static inline void park_take(struct park *park, intptr_t result, struct park_woken *woken)
{
        park_remove(park);
        park->result = result;
        if (unlikely(park->select))
                park_end_case(park);
        queue_push(&woken->first, &park->link);
}

void park_take_all(struct park_queue *queue, intptr_t result, struct park_woken *woken);

/* ---- without it ---- */

void park_send_wakes(struct park_woken *woken);

/* Wakes those who were taken out, in order. A loop gets one message for all of its own that follow each
 * other. */
static inline void park_wake(struct park_woken *woken)
{
        if (unlikely(woken->first))
                park_send_wakes(woken);
}

/* Leaves the lock, and wakes. */
static inline void park_leave_and_wake(struct park_lot *lot, struct park_woken *woken)
{
        park_leave(lot);
        park_wake(woken);
}

/* After park_push(), without the lock: waits. What it was woken with, or -ECANCELED, -ETIME: cut short. */
intptr_t park_wait(struct park *park, const struct wait_kind *kind);

/* Takes a park out whose wait is cut short: with the lock held when this returns true. False: somebody has
 * ended the wait, and its wake is on its way. */
bool park_withdraw(struct park *park);

/* What the kinds of such waits have: coro->waiter.what is the park. */
void park_cut(struct sched *sched, struct coro *coro, int interrupt);
void park_target(const struct coro *coro, struct wait_target *target);

#endif
