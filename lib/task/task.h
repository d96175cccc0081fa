/* task.h - the record of a task, and the loop it belongs to.
 *
 *      struct task, 128 bytes, two cache lines
 *      +---------------------------------------------+
 *      | struct coro: stack pointer, value, links    |  used by every switch
 *      +---------------------------------------------+
 *      | generation, contexts, group, waiters, name  |  used at birth, death and by whoever asks
 *      +---------------------------------------------+
 *
 * Records lie in chunks that are never unmapped while the library is loaded, so that a stale handle may
 * always be looked up; its generation tells that it is stale. A task has a record and a stack while it runs,
 * only a record before its first step and, until its result is consumed, after its end. A job has no stack.
 */
#ifndef OURO_TASK_TASK_H
#define OURO_TASK_TASK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "base/spin.h"
#include "coro/coro.h"
#include "ouro.h"
#include "ouro/executor.h"
#include "ring/ring.h"
#include "task/wheel.h"

enum task_state {
        TASK_FREE,  /* in its loop's list of free records */
        TASK_ALIVE, /* coroutine or job */
        TASK_ENDED, /* its result waits in coro.value, its turn of ending in coro.sp */
        TASK_SPENT, /* its result has been consumed, but somebody holds the record */
};

struct task {
        struct coro coro;
        uint64_t generation;          /* goes up when its handle turns stale */
        struct ouro_context *context; /* innermost that it has open */
        struct ouro_group *group;     /* that it belongs to */
        struct ouro_list member;      /* in group->members, also when it has ended */
        void *waiters;                /* queue of struct waiter: tag_of() tells whose */
        const struct ouro_site *site; /* that of its task_more, if it has one */
        uint32_t slot;
        uint16_t holds;       /* by those who must still read the result, whoever consumes it */
        uint8_t state;        /* enum task_state */
        uint8_t reason : 4;   /* enum ouro_reason; not 0: cancelled */
        uint8_t detached : 1; /* nobody will await it */
        uint8_t told : 1;     /* its failure is known to somebody */
        uint8_t job : 1;
        uint8_t unused : 1; /* so that a new task's are all set by one store: a word that was stored in parts
                               cannot be read back for a while */
};

_Static_assert(sizeof(struct task) == 128, "two cache lines: 192 bytes cost three times as much a task");

enum task_flag {
        TASK_MORE = 1,  /* site lies in a struct task_more; CORO_LOW is another bit that is in use */
        TASK_ASKED = 2, /* cancelled by itself, not with its group: why is told by its task_more, if any */
};

/* What only some tasks need. */
struct task_more {
        struct ouro_site site; /* first: a copy, maybe under another name */
        struct locals *locals; /* while it lives, see local.c; NULL: none */
        const char *cancel_text;
        ouro_task cancel_origin;
};

/* Who waits in task->waiters: waiter.what is the task waited for, with a tag in its low bits, or a watch's,
 * or (TAG_TELL) a struct task_watcher. */
enum { TAG_WATCH = 0, TAG_AWAIT = 1, TAG_LOOK = 2, TAG_TELL = 3, TAG_MASK = 3 };

/* Begins what a room above has waiting for tasks. */
struct task_watcher {
        void (*ended)(struct waiter *waiter); /* which is out of the task's queue */
};

enum context_kind {
        CONTEXT_GROUP = 1,
        CONTEXT_SCOPE,
        CONTEXT_SHIELD,
        CONTEXT_TIMER /* no context: a loop_timer */
};

enum context_state {
        CONTEXT_OPEN = 1,
        CONTEXT_CLOSING = 2,      /* group: the owner waits for the members */
        CONTEXT_CANCELLED = 4,    /* group: its members are cancelled, and those to come */
        CONTEXT_OVER = 8,         /* the owner's waits inside it end with -ECANCELED. Group: it has failed or
                                     has had successes enough; scope: it was cancelled */
        CONTEXT_EXPIRED = 16,     /* scope */
        CONTEXT_ARMED = 32,       /* scope: its timer is in the wheel */
        CONTEXT_COUNTS = 64,      /* group: opened with options, counts those that have ended */
        CONTEXT_REASON_SHIFT = 8, /* group: enum ouro_reason of CANCELLED */
};

enum {
        CHUNK_TASKS = 4096,
        CHUNKS_MOST = 65536, /* 268 million tasks */
};

/* Records, and whose they are. */
struct task_chunk {
        struct task *records;
        _Atomic(const struct ouro_loop *) loop; /* NULL: kept for the next */
};

extern struct task_chunk task_directory[CHUNKS_MOST];
extern _Atomic uint32_t task_chunks; /* how many of them there are */

enum { SELECT_TURNS = 64, SELECT_BUCKETS = 128 };

/* Whose turn it is in the last so many calls of select, see sync/select.c. Links are places + 1; 0: none. */
struct select_turns {
        struct select_turn {
                const void *cases, *caller;
                size_t turn;  /* where its next search begins */
                uint8_t next; /* in its bucket */
                uint8_t bucket;
        } of[SELECT_TURNS];
        uint8_t buckets[SELECT_BUCKETS];
        unsigned oldest; /* the place that goes to the next call that has none */
        uint64_t seed;   /* of where that one begins */
};

/* Of a run that signals may cancel. */
struct interrupt {
        struct interrupt *next;
        struct ouro_loop *loop;
        struct ouro_message message; /* lies ready for the handler */
        unsigned signals;            /* OURO_INTERRUPT_... */
        bool told;                   /* the message has been sent */
};

struct ouro_loop {
        struct sched sched; /* first: a sched is a loop */
        struct ring ring;
        struct wheel wheel;
        struct ouro_group root;
        int64_t now_ns;
        bool now_fresh; /* now_ns has been read in this pass */
        bool virtual_clock;
        bool main_done;
        bool reports_overflow;
        bool polled;           /* it has a ring_descriptor() that somebody else's loop polls */
        unsigned blind_passes; /* since the clock was looked at, at the most */
        bool reachable; /* others may wake this loop, though nothing is under way: no deadlock is certain */
        size_t deadlock_told;    /* how many of those who wait for ever */
        uint64_t deadlock_ended; /* one more than ended was when a deadlock was told of, and main was not */
        struct task *main;
        ouro_task main_handle; /* also when it has ended */
        intptr_t main_result;
        struct coro *free_tasks; /* by coro.next */
        struct task *fresh_task; /* never used ones of the newest chunk */
        struct task *fresh_end;
        uint32_t fresh_slot;
        uint64_t ended;  /* tasks so far: the order of ending */
        size_t jobs_out; /* given to executors and not back */
        struct select_turns select_turns;
        struct ouro_job *spare_jobs; /* memory for jobs, by next */
        size_t spare_jobs_len;
        void *jobs_within; /* queue of those that this thread may run itself, see executors/within.c */
        bool (*run_within)(struct ouro_loop *loop); /* runs one; false: there is none. NULL: never was */
        struct ouro_list pollers;                   /* see poller.h */
        struct ouro_list children;                  /* processes: see io/process.c */
        /* No task is left: ends the children, or lets them go, so that they leave the list, now or as they
         * end. May be called again. Set before the first is in the list. */
        void (*end_children)(struct ouro_loop *loop);
        struct spin spin; /* while jobs are out */
        struct interrupt interrupt;
        int64_t drain_ns;
        int64_t trim_at_ns;
        /* Set by lib/sync when somebody waits for a lock: does this task wait for one whose holder ended? */
        void (*orphan_check)(struct ouro_loop *loop, struct task *task);
        pthread_t thread;
        unsigned forks;              /* loop_forks when it was made */
        size_t guests;               /* that have ended here; a cancel for each is still on its way */
        struct embed *embed;         /* it is driven by somebody else's loop: see embed.c */
        struct loops_member *member; /* it is one of an ouro_loops: see loops.c */
        struct ouro_message *taken;  /* out of the inbox, oldest first, and not yet delivered */
        uint64_t wakes_owed;         /* by senders whose message found this loop asleep */
        _Alignas(64) _Atomic(struct ouro_message *) inbox;
        _Atomic uint64_t wakes_given;
};

static inline struct ouro_loop *loop_of(struct sched *sched)
{
        return container_of(sched, struct ouro_loop, sched);
}

static inline struct task *task_of(struct coro *coro)
{
        return container_of(coro, struct task, coro);
}

/* The loop that this thread runs, if a task of it is running; else NULL. */
static inline struct ouro_loop *loop_here(void)
{
        return sched_current ? loop_of(sched_current) : NULL;
}

static inline struct task *task_self(struct ouro_loop *loop)
{
        return task_of(loop->sched.current);
}

/* A handle that is a result: a task that has ended with error before it began. */
static inline ouro_task task_failed(int error)
{
        return (ouro_task){UINT64_MAX, (uint64_t)(int64_t)error};
}

static inline bool task_is_failed(ouro_task handle)
{
        return handle.slot == UINT64_MAX && (int64_t)handle.generation < 0 &&
               (int64_t)handle.generation >= -4095;
}

/* ---- record.c ---- */
/* The record of this loop that handle names, or NULL. It may be nobody's. */
static inline struct task *task_record_of(const struct ouro_loop *loop, ouro_task handle)
{
        struct task_chunk *chunk;
        struct task *task;

        if (unlikely(handle.slot / CHUNK_TASKS >= CHUNKS_MOST))
                return NULL;
        chunk = &task_directory[handle.slot / CHUNK_TASKS];
        if (unlikely(atomic_load_explicit(&chunk->loop, memory_order_relaxed) != loop))
                return NULL;
        task = &chunk->records[handle.slot % CHUNK_TASKS];
        return likely(task->generation == handle.generation) ? task : NULL;
}

/* The task of this loop that handle names, or NULL. A spent record is nobody's: its generation is already
 * that of the next task in it. */
static inline struct task *task_find(const struct ouro_loop *loop, ouro_task handle)
{
        struct task *task = task_record_of(loop, handle);

        if (unlikely(!task))
                return NULL;
        return likely(task->state == TASK_ALIVE || task->state == TASK_ENDED) ? task : NULL;
}

struct ouro_loop *task_loop(const struct task *task);
struct task_more *task_more_make(struct task *task); /* its own; NULL: no memory */
void task_more_free(struct task *task);
bool task_rename(struct task *task, const char *name);  /* false: no memory */
struct task *task_record_fresh(struct ouro_loop *loop); /* one never used by this loop, or NULL */

static inline struct task *task_record(struct ouro_loop *loop)
{
        struct coro *free = loop->free_tasks;

        if (unlikely(!free))
                return task_record_fresh(loop);
        loop->free_tasks = free->next;
        return task_of(free);
}

static inline void task_record_free(struct ouro_loop *loop, struct task *task)
{
        if (likely(task->state != TASK_SPENT))
                task->generation++;
        if (unlikely(task->coro.flags & TASK_MORE))
                task_more_free(task);
        task->state = TASK_FREE;
        task->coro.next = loop->free_tasks;
        loop->free_tasks = &task->coro;
}

void task_each(struct ouro_loop *loop,
               void (*fn)(struct ouro_loop *loop, struct task *task)); /* the living */
void task_records_return(struct ouro_loop *loop);      /* all its chunks, when the loop ends */
const void *task_records(size_t i, size_t *ret_bytes); /* the chunk that was mapped i-th, or NULL */

/* ---- task.c ---- */
extern atomic_bool task_left_locks; /* some task of this process has ended holding one */

struct task *task_create(struct ouro_loop *loop, struct ouro_group *group, ouro_fn *fn, void *arg,
                         const struct ouro_task_options *options, const struct ouro_site *site);
struct task *task_create_job(struct ouro_loop *loop, const struct ouro_site *site,
                             const struct wait_kind *kind, void *job);
void task_uncreate_job(struct ouro_loop *loop, struct task *task); /* nobody has seen its handle */
void task_ended(struct sched *sched, struct coro *coro, intptr_t result);
const char *task_name_of(const struct coro *coro);
intptr_t task_consume(struct ouro_loop *loop, struct task *task);
void task_release(struct ouro_loop *loop, struct task *task); /* takes back a hold */
void task_tell_failure(struct task *task);
int task_wait_ended(struct ouro_loop *loop, struct task *task, bool may_be_cut); /* 0, -ECANCELED, -ETIME */

/* Where a task puts those that it creates. */
static inline struct ouro_group *task_innermost_group(struct ouro_loop *loop, const struct task *task)
{
        for (struct ouro_context *context = task->context; context; context = context->outer)
                if (context->kind == CONTEXT_GROUP)
                        return container_of(context, struct ouro_group, context);
        return &loop->root;
}

static inline const char *task_name(const struct task *task)
{
        return __atomic_load_n(&task->site, __ATOMIC_ACQUIRE)->name; /* a job's worker may ask */
}

static inline ouro_task task_handle(const struct task *task)
{
        return (ouro_task){task->slot, task->generation};
}

/* ---- info.c ---- */
int task_state_of(const struct ouro_loop *loop, const struct task *task); /* enum ouro_state */

/* ---- local.c ---- */
bool task_inherit_locals(const struct task *creator, struct task *task); /* false: no memory */
void task_drop_locals(struct task *task);                                /* it has a task_more */

/* ---- cause.c ---- */
/* Why something is cancelled. Text and origin are passed on unchanged to what is cancelled with it. */
struct cause {
        enum ouro_reason reason;
        const char *text;
        ouro_task origin;
};

void cause_keep(struct task *task, const struct cause *cause);
struct cause cause_of_waits(const struct task *task, bool past_shields); /* why its waits fail, if they do */
ouro_task cause_asker(struct ouro_loop *loop);                           /* the caller of a public function */

/* ---- cancel.c ---- */
void task_cancel(struct ouro_loop *loop, struct task *task, const struct cause *cause);
void task_refresh(struct ouro_loop *loop, struct task *task); /* its contexts have changed */
void group_cancel(struct ouro_loop *loop, struct ouro_group *group, const struct cause *cause);
void context_cut(struct ouro_loop *loop, struct ouro_context *context, const struct cause *cause);

/* Ends the owner's waits inside a context, and cancels the groups inside it. */
void context_end(struct ouro_loop *loop, struct ouro_context *context, const struct cause *cause);

/* ---- policy.c ---- */
void group_member_counted(struct ouro_loop *loop, struct task *task, intptr_t result);
int group_count_closed(struct ouro_group *group, int result); /* what it closes with */

/* ---- group.c, scope.c, watch.c ---- */
struct ouro_group *group_joined_by(const struct coro *coro); /* whose members it waits for, or NULL */
void group_member_failed(struct ouro_loop *loop, struct task *task, intptr_t error);
void group_all_ended(struct ouro_loop *loop, struct ouro_group *group); /* and its owner waits for that */
void group_drop_results(struct ouro_loop *loop, struct ouro_group *group);
void scope_expire(struct ouro_loop *loop, struct ouro_timer *timer);
void watch_ended(struct ouro_loop *loop, struct waiter *waiter);

/* A timer that belongs to no task. For the wheel it is a scope. */
struct loop_timer {
        struct ouro_scope scope;
        void (*fire)(struct ouro_loop *loop, struct loop_timer *timer);
};

void loop_timer_arm(struct ouro_loop *loop, struct loop_timer *timer, int64_t ns); /* it is not armed */
void loop_timer_disarm(struct ouro_loop *loop, struct loop_timer *timer);          /* it may be armed */

/* ---- loop.c ---- */
/* Switches, or operations that take as much, before the kernel and the clock are looked at again. */
enum { LOOP_BUDGET = 128 };

int64_t loop_real_ns(void);                    /* CLOCK_MONOTONIC, read now */
int64_t loop_look_now(struct ouro_loop *loop); /* the first in its pass to ask */

/* Read once in each pass. */
static inline int64_t loop_now(struct ouro_loop *loop)
{
        return likely(loop->now_fresh) ? loop->now_ns : loop_look_now(loop);
}

/* Takes in messages and completions and fires timers; sleeps if nothing is ready, at most limit_ns (less than
 * zero: for ever). */
void loop_pass(struct ouro_loop *loop, int64_t limit_ns);

/* How long it may sleep, for its timers and its stacks' sake. Less than zero: for ever. */
int64_t loop_may_sleep_ns(struct ouro_loop *loop);
void loop_slept(struct ouro_loop *loop, int64_t began_ns); /* since then, by loop_real_ns() */

/* ---- run.c ---- */
extern unsigned loop_forks; /* that this process comes from, since the library was loaded */

/* Makes a loop for this thread, its main task ready. given may be NULL. 0, or what ouro_run() returns. */
int loop_open(const struct ouro_options *given, ouro_fn *main_fn, void *arg, bool polled,
              struct ouro_loop **ret_loop);

/* Runs it until main has returned and all else has ended. False: the kernel keeps some of its memory. */
bool loop_run(struct ouro_loop *loop);

/* main has returned: cancels what is left. True: all has ended, and nothing more can be sent. */
bool loop_try_end(struct ouro_loop *loop);

/* Waits for that. False: as loop_run(). */
bool loop_end(struct ouro_loop *loop);

/* Gives everything back but the loop itself; it has ended well. */
void loop_destroy(struct ouro_loop *loop);
void loop_free(struct ouro_loop *loop);
void loop_abandon(struct ouro_loop *loop); /* one whose main has not begun, and never will */

/* This thread drives it, in the process that made it. */
static inline bool loop_is_mine(const struct ouro_loop *loop)
{
        return pthread_equal(loop->thread, pthread_self()) && loop->forks == loop_forks;
}

/* ---- loops.c ---- */
void loops_look(struct ouro_loop *loop); /* one of several, before each sleep */

/* ---- inbox.c ---- */
/* Sends a chain, linked by next from the newest to the oldest. False: the run has ended. From any thread. */
bool loop_send(struct ouro_loop *loop, struct ouro_message *newest, struct ouro_message *oldest);

bool inbox_empty(struct ouro_loop *loop);
bool inbox_fall_asleep(struct ouro_loop *loop); /* false: there is something in it */
void inbox_get_up(struct ouro_loop *loop);      /* after inbox_fall_asleep() */

/* Delivers some of what was sent: a flood of it must not keep the tasks that are ready from running. */
void inbox_take(struct ouro_loop *loop);

bool inbox_close(struct ouro_loop *loop);        /* false: not empty. Then nothing more can be sent */
void inbox_await_wakers(struct ouro_loop *loop); /* until no sender touches the loop any more */

/* ---- deadlock.c ---- */
/* Called when nothing is ready. False: something may still wake a task. Else all wait for each other: says
 * so, and ends some of the waits. */
bool deadlock_resolve(struct ouro_loop *loop);

/* ---- overflow.c ---- */
int overflow_report_on(void);
void overflow_report_off(void);

/* ---- interrupt.c ---- */
void interrupt_on(struct ouro_loop *loop, unsigned signals);
void interrupt_off(struct ouro_loop *loop); /* nothing is sent to the loop any more */
void interrupt_forked(void);                /* in a forked child */

#endif
