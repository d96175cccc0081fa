/* select.h - one task in many queues, between the two files of select and those it waits for.
 *
 * While a select waits, each of its cases has a place in the queue of what it waits for: of a channel, an
 * event, a task; descriptors have a poll under way each, and the timer is in the wheel. Whoever can do a case
 * pops it from the queue, hands its item over and calls select_done(), which takes the others out of their
 * queues at once: nobody ever finds a case of a select that is over. Only polls may still be under way when
 * the task runs again; it waits for them before it returns.
 *
 * Channels that other threads use (struct chan_kind) add two things.
 *
 *      park(chan, select, it)  Queues it. Called after a try of all cases found none to do, and so looks
 * again, with the channel locked. 0: it is in the queue, or select_claim_from() told that another thread has
 * done another case. 1: it could be done now, and was: select_claim_from() first, then the item and
 * it->result. unpark(chan, select, it) Takes it out of the queue if it is in there. When this returns, no
 * other thread touches it through this channel.
 *
 * Another thread that wants to do a parked case first claims its select, with the channel locked:
 * select_claim_from(). If that fails, another case is done or the wait was cut short: it drops the case from
 * its queue and looks at the next one. If not, it copies the item, sets it->result, takes the case out of the
 * queue, and sends select->message to select->loop by loop_send(), unlocked or not; from then on it touches
 * none of it. The select does not return before the message has come.
 *
 * Two selects meet in park() only: a parked one, and one that parks and may be claimed itself meanwhile.
 * select_match() claims both or none. */
#ifndef OURO_SYNC_SELECT_H
#define OURO_SYNC_SELECT_H

#include "ouro/executor.h"
#include "ring/op.h"
#include "sync/channel.h"

struct select;

/* The poll of a descriptor. */
struct select_poll {
        struct op op;
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
        bool shared;   /* other threads may claim it */
        bool over;     /* out of all queues: a case is done, or the wait was cut short */
        bool draining; /* waits only for polls to end */
        struct select_poll *polls;
        size_t polls_room;
        size_t polls_len;
        size_t polls_left; /* under way */
        struct loop_timer timer;
        _Atomic(struct ouro_case *) claimed;
        struct ouro_message message; /* of the thread that claimed it */
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

/* From any thread: the case is to be done. False: another one is, or the wait was cut short. */
bool select_claim_from(struct select *select, struct ouro_case *it);

/* The same for a moment: select_decide() follows soon, with nothing waited for in between. The case, or NULL:
 * none, it still waits. */
bool select_hold_from(struct select *select);
void select_decide(struct select *select, struct ouro_case *it);

enum select_matched {
        SELECT_MATCHED, /* both are claimed */
        SELECT_MINE_OVER,
        SELECT_OTHER_OVER,
};

/* In park(): claims the caller's select for it and a parked one of another thread for its. */
enum select_matched select_match(struct select *mine, struct ouro_case *it, struct select *other,
                                 struct ouro_case *its);

#endif
