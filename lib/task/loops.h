/* loops.h - several loops that are opened and closed together, between loops.c and loops_close.c. */
#ifndef OURO_TASK_LOOPS_H
#define OURO_TASK_LOOPS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "task/task.h"

enum { LOOPS_NAME_BYTES = 16 };

struct loops_member {
        struct ouro_message probe, cancel, finish;
        struct ouro_loops *loops;
        struct ouro_loop *loop; /* NULL: it could not be made */
        pthread_t thread;
        unsigned i;
        int begun;           /* how the loop was opened, or what init returned */
        uint64_t ended_seen; /* tasks of the loop that had ended when it last reported */
        struct coro *keeper; /* while it waits for the end */
        bool probed;         /* and has not yet reported */
        bool clean;          /* the loop's memory is ours again */
};

/* Who opens or closes them, and waits; a thread waits for changed. */
struct loops_waiter {
        struct ouro_message message;
        struct loop_timer timer;
        struct ouro_loops *loops;
        struct ouro_loop *loop;
        struct coro *coro;
        bool sent; /* the message is on its way */
};

struct ouro_loops {
        struct ouro_loops_options options;
        char name[LOOPS_NAME_BYTES];
        cpu_set_t cpus; /* of the opening thread */
        unsigned count;
        unsigned forks;
        atomic_uint next;
        pthread_mutex_t lock; /* of what follows */
        pthread_cond_t changed;
        unsigned begun;                   /* have opened and called init, or failed to */
        unsigned ended;                   /* threads */
        unsigned unreported;              /* of this round */
        bool busy;                        /* one of this round's reports said so */
        bool closing, cancelled, awaited; /* awaited: somebody is in ouro_loops_close() */
        struct loops_waiter *waiter;      /* a task */
        struct loops_member members[];
};

static inline bool loops_member_is_alive(const struct loops_member *member)
{
        return member->begun >= 0;
}

/* ---- loops_close.c ---- */
void loops_set_messages(struct loops_member *member);
bool loops_all_begun(const struct ouro_loops *loops);
bool loops_all_ended(const struct ouro_loops *loops);

/* With the lock held: one more has begun, or ended. */
void loops_tell_change(struct ouro_loops *loops);

/* Waits, as a task or as a thread, until done; less long if ns is over. With the lock held, which is not held
 * meanwhile. Returns whether it is done. */
bool loops_wait_until(struct ouro_loops *loops, bool (*done)(const struct ouro_loops *loops), int64_t ns);

/* With the lock held. */
void loops_begin_closing(struct ouro_loops *loops, enum ouro_close how);

size_t loops_bytes(unsigned count);
void loops_free(struct ouro_loops *loops);     /* it has no threads */
void loops_join_all(struct ouro_loops *loops); /* their threads are about to end, or have; frees all */

#endif
