/* coro.h - coroutines and the ready queue of one loop: suspend, wake, start, end.
 *
 * This room knows who runs and who is ready; it does not know tasks, results or groups. Switching goes
 * straight from one coroutine to the next. The loop is a coroutine too (sched->loop), on the thread's own
 * stack; it runs when nothing is ready or the budget of the pass is spent.
 *
 * A coroutine is in one place at a time: running, ready, in the queue of those short of a stack, or waiting
 * (then wait says for what, and how the wait is cut short).
 *
 * Two queues are of those that are ready. Those of low priority run when the other is empty, and at least one
 * of them in each pass; within each it is first come, first served. A pass ends when its budget is spent:
 * each switch takes SWITCH_COST of it, and each operation that completes without a wait takes 1
 * (coro_spend()). */
#ifndef OURO_CORO_CORO_H
#define OURO_CORO_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "coro/stack.h"
#include "coro/switch.h"
#include "ouro.h"

struct sched;
struct coro;

/* What in particular a coroutine waits for, as far as that can be told. */
struct wait_target {
        const struct coro *holder; /* it can end the wait: the task awaited, the mutex's owner; or NULL */
        const void *object;        /* the mutex, the channel ...; or NULL */
        int fd;                    /* or -1 */
        const char *name;          /* says it better than the kind's does; or NULL */
};

/* What a coroutine waits for. */
struct wait_kind {
        const char *name;
        /* The coroutine was interrupted: take it out of whatever queue it is in and wake it with interrupt,
         * or see to it that what it waits for ends soon. NULL: this wait cannot be cut short. */
        void (*cut)(struct sched *sched, struct coro *coro, int interrupt);
        /* Tells more than the name, into what is set to nothing. NULL: there is no more. */
        void (*target)(const struct coro *coro, struct wait_target *target);
        /* As cut, where that is NULL: for when nothing else will ever end the wait. NULL: not even then. */
        void (*give_up)(struct sched *sched, struct coro *coro, int error);
};

/* A place in somebody's queue. */
struct waiter {
        struct ouro_list link;
        void *what; /* the queue's owner defines it */
};

enum { STACK_NONE = UINT32_MAX, STACK_LOOP = UINT32_MAX - 1 /* the thread's own */ };

enum {
        CORO_LOW = 128, /* in coro.flags: of low priority */
        SWITCH_COST = 4,
        LOW_BUDGET = 8 * SWITCH_COST, /* beyond the pass's, for the one of low priority whose turn is due */
};

struct coro {
        void *sp;       /* suspended here; fresh: the function to call if it can never start, or NULL */
        intptr_t value; /* what its wait returns; fresh: bytes of stack, 0 for the default; ended: result */
        union {
                struct coro *next;        /* in the ready queue */
                int64_t waiting_since_ns; /* while it waits */
        };
        union {
                struct {
                        ouro_fn *fn;
                        void *arg;
                } start;                 /* while fresh */
                struct ouro_timer timer; /* while it sleeps */
                struct waiter waiter;    /* while it is in a queue */
        };
        const struct wait_kind *wait; /* NULL: it does not wait */
        uint32_t stack;               /* STACK_NONE: fresh, or ended. Upper 8 bits: which pool */
        int8_t interrupt;             /* what a wait returns on entry: 0, -ECANCELED or -ETIME */
        uint8_t flags;                /* CORO_LOW, and the room above's: enum task_flag */
        uint16_t locks_held;          /* mutexes, reader-writer locks */
};

_Static_assert(sizeof(struct coro) == 64, "one cache line");

/* What the C++ ABI keeps for a thread: the exceptions that are being handled, and how many are in flight. */
struct cxx_globals {
        void *caught;
        unsigned uncaught;
};

struct sched {
        struct coro *current; /* whose stack we are on */
        struct coro *ready;   /* first of the queue */
        struct coro **ready_tail;
        int budget; /* left in this pass */
        int *errno_at;
        struct coro *low; /* first of the ready ones of low priority */
        struct coro **low_tail;
        struct cxx_globals *cxx;   /* of this thread */
        struct cxx_globals no_cxx; /* what cxx points to where there is no C++ runtime */
        struct coro loop;
        struct stack_pool stacks; /* of the default size; more->next of others */
        struct coro *starved;     /* ready, but short of a stack */
        struct coro **starved_tail;
        struct sanitize_stack loop_extent;
        void *leaving_fake; /* ASan: the fake stack of the coroutine that a switch comes from */
        struct ring *ring;  /* of the room above */
        int64_t look_ns;    /* of the room above: what its clock said when it was last looked at */

        /* Of the room above: a coroutine has returned result, or (fresh) can never start. */
        void (*ended)(struct sched *sched, struct coro *coro, intptr_t result);
        const char *(*name)(const struct coro *coro); /* of the room above: for a last message */
};

extern __thread struct sched *sched_current __attribute__((tls_model("initial-exec")));

void sched_init(struct sched *sched, size_t stack_bytes);
void sched_destroy(struct sched *sched);

/* Called by the loop: runs what is ready, at most so many switches, and comes back. */
void sched_run(struct sched *sched, int switches);

/* Is anybody ready? */
static inline bool sched_busy(const struct sched *sched)
{
        return sched->ready || sched->low;
}

/* Called by the loop when nothing but a stack could set it going again: the one that has been short of one
 * longest ends. False: none is. */
bool sched_end_starved(struct sched *sched);

/* Gives memory of stacks back that have been idle since the last call. */
void sched_trim(struct sched *sched);

/* Some free stack has more pages than a fresh one. */
bool sched_can_trim(const struct sched *sched);

/* Suspends the running coroutine. Returns what coro_wake() is given. */
intptr_t coro_suspend(struct sched *sched);

/* The same function, for callers that return an int: they can end in a jump to it, and whoever resumes them
 * returns straight to their caller. (An int is returned in the lower half of the same register.) */
int coro_suspend_int(struct sched *sched) __asm__("coro_suspend");

/* From now on the coroutine waits: whoever finds what it waits for may wake it. Then it is suspended, at once
 * or after what may wake it already. */
static inline void coro_begin_wait(struct sched *sched, struct coro *coro, const struct wait_kind *kind)
{
        coro->wait = kind;
        coro->waiting_since_ns = sched->look_ns;
}

static inline int coro_wait_int(struct sched *sched, const struct wait_kind *kind)
{
        coro_begin_wait(sched, sched->current, kind);
        return coro_suspend_int(sched);
}

/* Lets all others that are ready run first. Returns 0. */
int coro_yield(struct sched *sched);

/* As coro_suspend(), told what for. */
static inline intptr_t coro_wait(struct sched *sched, const struct wait_kind *kind)
{
        coro_begin_wait(sched, sched->current, kind);
        return coro_suspend(sched);
}

static inline void coro_ready(struct sched *sched, struct coro *coro)
{
        coro->next = NULL;
        if (unlikely(coro->flags & CORO_LOW)) {
                *sched->low_tail = coro;
                sched->low_tail = &coro->next;
                return;
        }
        *sched->ready_tail = coro;
        sched->ready_tail = &coro->next;
}

/* The budget of the pass is spent: lets the others run, the loop first. Returns result. */
intptr_t coro_rest(struct sched *sched, intptr_t result);
int coro_rest_int(struct sched *sched, intptr_t result) __asm__("coro_rest"); /* as coro_suspend_int() */

/* What might have waited has completed at once, with result, which this returns. Every operation that may
 * wait ends so when it does not: whoever never has to wait would otherwise never let anybody else run. It may
 * be another task's turn in between, so this comes last: nothing that was looked at before it need hold after
 * it. The result stands, whatever cancels the task meanwhile. Calls that never wait (try_...) do not end so,
 * nor do those that refuse. */
static inline intptr_t coro_spend(struct sched *sched, intptr_t result)
{
        return likely(--sched->budget >= 0) ? result : coro_rest(sched, result);
}

static inline int coro_spend_int(struct sched *sched, int result)
{
        return likely(--sched->budget >= 0) ? result : coro_rest_int(sched, result);
}

/* Ends the wait of a coroutine. */
static inline void coro_wake(struct sched *sched, struct coro *coro, intptr_t value)
{
        coro->value = value;
        coro->wait = NULL;
        coro_ready(sched, coro);
}

/* Makes a coroutine of fn(arg), ready. Its flags are set already. stack_bytes 0: the default. unstartable may
 * be NULL. */
static inline void coro_create(struct sched *sched, struct coro *coro, ouro_fn *fn, void *arg,
                               size_t stack_bytes, void (*unstartable)(void *arg))
{
        coro->sp = (void *)unstartable;
        coro->value = (intptr_t)stack_bytes;
        coro->start.fn = fn;
        coro->start.arg = arg;
        coro->wait = NULL;
        coro->stack = STACK_NONE;
        coro->interrupt = 0;
        coro->locks_held = 0;
        coro_ready(sched, coro);
}

/* What a coroutine that waits waits for: with the kind's name, unless there is a better one. */
void coro_target(const struct coro *coro, struct wait_target *ret_target);

/* Sets what its waits return on entry from now on, and cuts short the one it is in. */
void coro_interrupt(struct sched *sched, struct coro *coro, int interrupt);

/* addr lies in this coroutine's stack? */
bool coro_owns(struct sched *sched, const struct coro *coro, const void *addr);

/* The library was called at here, which is not in the stack of the running coroutine: dies unless it may. */
void coro_astray(struct sched *sched, const void *here);

/* Dies if a longjmp() has taken control off the stack of the running coroutine. */
static inline __attribute__((always_inline)) void coro_check_stack(struct sched *sched)
{
        const struct coro *self = sched->current;
        const void *here = __builtin_frame_address(0);

        if (unlikely(self->stack >= sched->stacks.total ||
                     (uintptr_t)here - (uintptr_t)sched->stacks.stacks[self->stack].slot >=
                             sched->stacks.stack_bytes))
                coro_astray(sched, here);
}

/* The guard page of the running coroutine's stack? Safe in a signal handler. */
bool coro_guards(const struct sched *sched, const void *addr);
size_t coro_stack_bytes(struct sched *sched, const struct coro *coro);

/* The function that a coroutine with a stack was entered by. */
ouro_fn *coro_entry(struct sched *sched, const struct coro *coro);

#endif
