/* select.h - one task in many queues, between the two files of select and those it waits for.
 *
 * While a select waits, each of its cases has a place in the queue of what it waits for: of a channel, an
 * event, a task; descriptors have a poll under way each, and the timer is in the wheel. Whoever can do a case
 * pops it from the queue, hands its item over and calls select_done(), which takes the others out of their
 * queues at once: nobody ever finds a case of a select that is over. Only polls may still be under way when
 * the task runs again; it waits for them before it returns.
 *
 * A channel that other threads use parks the case (struct chan_kind, park()). It is called after a try of all
 * cases found none to do, so it looks once more, with the channel locked. It returns 1: the case could be
 * done now and was, with park.result; 0: it is in the queue, or another thread has done another case
 * meanwhile; or an error. From the first such case on every end of the wait takes the select's claim: another
 * thread under the lock of the channel in question (park.h), the task's own when it pops, is told of an
 * event, of time or of a cut. Whoever has the claim ends the wait; everybody else passes the case by. A
 * thread that has ended it sends the park's message, which calls select_woken() on the task's loop; before
 * that has come the task is not woken, and a case of a select that is over leaves the channel's queue under
 * the channel's lock. */
#ifndef OURO_SYNC_SELECT_H
#define OURO_SYNC_SELECT_H

#include "ring/op.h"
#include "sync/channel.h"
#include "sync/park.h"

struct select;

/* The poll of a descriptor. */
struct select_poll {
        struct op op;
        struct ouro_case *it;
        struct select *select;
};

/* A case at a channel of other threads. */
struct select_park {
        struct park park;
        struct ouro_case *it;
        struct select *select;
};

/* Lies on the stack of the task that selects. */
struct select {
        struct task_watcher watcher; /* first: of the tasks among the cases */
        struct ouro_loop *loop;
        struct coro *coro;
        struct ouro_case *cases;
        size_t n;               /* those that are in their queues: from the first on */
        struct ouro_case *done; /* NULL: none */
        struct ouro_case *timed;
        bool over;     /* out of all queues: a case is done, or the wait was cut short */
        bool draining; /* waits only for polls to end */
        struct select_poll *polls;
        size_t polls_room;
        size_t polls_len;
        size_t polls_left; /* under way */
        struct select_park *parks;
        size_t parks_room; /* not 0: claim counts */
        size_t parks_len;
        atomic_uint claim; /* enum park_claim */
        struct loop_timer timer;
};

/* A case: how the library uses its place. */
struct select_place {
        struct waiter waiter; /* what: the select, with SYNC_CASE or TAG_TELL; NULL: in no queue */
        void *object;         /* the task waited for, or the poll */
};

_Static_assert(sizeof(struct select_place) <= sizeof((struct ouro_case){0}.place), "it has room");

static inline struct select_place *select_place(struct ouro_case *it)
{
        return (struct select_place *)(void *)it->place;
}

static inline struct ouro_case *select_case(struct ouro_list *node)
{
        return container_of(node, struct ouro_case, place);
}

static inline struct select *select_of(struct ouro_list *node)
{
        return (struct select *)((uintptr_t)container_of(node, struct waiter, link)->what &
                                 ~(uintptr_t)TAG_MASK);
}

static inline void *select_item(struct ouro_list *node)
{
        return select_case(node)->of.chan.item;
}

/* ---- select_wait.c ---- */

/* No case can be done now: waits for one. Its index, or an error. */
ssize_t select_wait(struct sched *sched, struct ouro_case *cases, size_t n);

/* What struct park.wake is for a case. */
void select_woken(struct park *park);

#endif
