/* job.h - what the parts of the generic job interface share: the life of a job, what only some jobs need, and
 * the library's side of an executor.
 *
 * The life of a job, by its state:
 *
 *      QUEUED -> RUNNING -> DONE: finish; a message to the loop, which frees it.
 *      RUNNING -> ASKED -> RUNNING: the executor is being asked about the job, or told of a cancellation.
 * Until that is over the job cannot be done, so that the executor cannot be freed under it. QUEUED ->
 * CANCELLED: the loop sends itself the end of the task; the executor still has the job in its queue. QUEUED
 * -> CLAIMED: the submitter runs it itself; the executor still has it in its queue. RUNNING -> ABANDONED: the
 * loop sends itself the end of the task; the job runs on.
 *
 * In the last three, two sides have the job. Whoever lets go last (a state LEFT_... is seen) frees it. */
#ifndef OURO_EXECUTORS_JOB_H
#define OURO_EXECUTORS_JOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "executors/job_map.h"
#include "executors/job_report.h"
#include "ouro/executor.h"
#include "task/task.h"

enum job_state {
        JOB_QUEUED,
        JOB_RUNNING,
        JOB_ASKED,
        JOB_DONE,
        JOB_CANCELLED,
        JOB_CLAIMED,
        JOB_ABANDONED,
        JOB_LEFT,         /* by one side of a job that was cancelled or abandoned */
        JOB_LEFT_CLAIMED, /* by the submitter, who has run it */
};

/* What only some jobs need. job->options points to its first field; to job_defaults in all others. */
struct job_more {
        struct ouro_job_options options;
        struct ouro_job *job;
        struct job_map map;       /* items 0: it is no map */
        struct loop_timer timer;  /* of the deadline */
        _Atomic int64_t began_ns; /* CLOCK_MONOTONIC; 0: not yet */
        atomic_bool late;         /* it was asked to end because its time was over */
        bool within;              /* link is in loop->jobs_within */
        bool alone;               /* no executor has it, only its loop */
        struct ouro_list link;
        struct ouro_report *report;
        /* Abandonable: the job works on these copies. */
        char *copies;
        size_t copies_bytes;
        void *out_base;        /* where the copy of out goes if the job ends in time */
        intptr_t *values_base; /* and that of map.values */
        /* Called on the loop's thread as the task ends; NULL: nobody is interested. */
        void (*ended)(struct job_more *more, intptr_t result);
        void *of_map; /* for that */
};

extern const struct ouro_job_options job_defaults;

static inline struct job_more *job_more(const struct ouro_job *job)
{
        return likely(job->options == &job_defaults) || !job->options ? NULL
                                                                      : (struct job_more *)job->options;
}

/* ---- the library's side of an executor ---- */

/* A task or a thread that waits for room, or for the executor to have closed. */
struct room_waiter {
        struct ouro_list link;       /* in state->waiters, while queued */
        struct ouro_message message; /* that wakes it */
        struct loop_timer timer;     /* of a closer with a deadline */
        struct coro *coro;
        struct ouro_loop *loop; /* NULL: it is a thread, and waits for state->changed */
        struct executor_state *state;
        const ouro_executor *executor;
        bool sent; /* the message is on its way: nothing else may wake it */
};

enum { SHARDS = 64 };

enum count_what { COUNT_SUBMITTED, COUNT_DONE, COUNT_FAILED, COUNT_CANCELLED, COUNT_KINDS };

/* Counts of jobs, written by one thread: the one that owner is an address of. */
struct count_shard {
        _Atomic(const void *) owner;
        _Atomic uint64_t counts[COUNT_KINDS];
        char apart[88]; /* no two of them touch one cache line, wherever they begin */
};

struct job_times {
        _Atomic uint64_t wait_ns[OURO_STATS_BUCKETS];
        _Atomic uint64_t run_ns[OURO_STATS_BUCKETS];
};

struct executor_state {
        pthread_mutex_t lock;
        pthread_cond_t changed;   /* a thread that waits for room, or for the end, may go on */
        struct ouro_list waiters; /* submitters, oldest first */
        atomic_uint waiting;      /* how many */
        pid_t owner;              /* the process that made it: in a forked child there are no workers */
        bool closing;
        bool close_awaited;         /* somebody is in ouro_executor_close_with() */
        bool jobs_ended;            /* ouro_executor_closed() has been called */
        struct room_waiter *closer; /* the task of those, or NULL */
        struct job_times times;
        struct count_shard shards[SHARDS + 1]; /* the last is everybody's */
};

/* executor.c: with the lock held. */
void room_send(struct room_waiter *waiter);
void room_send_to_first(struct executor_state *state);
void room_leave_queue(struct executor_state *state, struct room_waiter *waiter);
bool executor_is_closed(const struct executor_state *state);
bool executor_is_closing(ouro_executor *executor);         /* without it */
bool executor_is_inherited(const ouro_executor *executor); /* this is a forked child of its process */

/* ---- stats.c ---- */

extern __thread char count_self __attribute__((tls_model("initial-exec")));

void executor_count_elsewhere(struct executor_state *state, enum count_what what, int64_t n);

/* Where the calling thread looks first for its shard. */
static inline size_t count_place(void)
{
        return ((uintptr_t)&count_self >> 12) * 0x9e3779b97f4a7c15u >> 58;
}

static inline void executor_count(struct executor_state *state, enum count_what what, int64_t n)
{
        struct count_shard *shard = &state->shards[count_place()];
        _Atomic uint64_t *count = &shard->counts[what];

        if (unlikely(atomic_load_explicit(&shard->owner, memory_order_relaxed) != &count_self))
                executor_count_elsewhere(state, what, n);
        else
                atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + (uint64_t)n,
                                      memory_order_relaxed);
}

/* For executors whose pool was opened with timings; from any thread. */
void executor_count_times(ouro_executor *executor, int64_t wait_ns, int64_t run_ns);

/* ---- job.c ---- */

/* Jobs that run on this thread, innermost first: one may run a loop, whose tasks run others. */
struct job_frame {
        struct ouro_job *job;
        struct job_frame *outer;
};

extern __thread struct job_frame *job_frames __attribute__((tls_model("initial-exec")));

static inline bool job_is_within(const ouro_executor *executor)
{
        for (const struct job_frame *frame = job_frames; frame; frame = frame->outer)
                if (frame->job->executor == executor)
                        return true;
        return false;
}

struct ouro_job *job_new_block(void);

/* Not initialized. Jobs come and go by the thousand, on one thread: their memory stays with the loop. */
static inline struct ouro_job *job_new(struct ouro_loop *loop)
{
        struct ouro_job *job = loop->spare_jobs;

        if (unlikely(!job))
                return job_new_block();
        loop->spare_jobs = job->next;
        loop->spare_jobs_len--;
        return job;
}

void job_free(struct ouro_loop *loop, struct ouro_job *job); /* loop NULL: not to its spare ones */
int job_let_go(struct ouro_job *job, enum job_state left);   /* returns the state before */

const char *job_name(const struct ouro_job *job); /* while its task lives */

/* Gives the job its struct job_more. False: no memory. options NULL: the defaults, with this name. */
bool job_extend(struct ouro_job *job, const struct ouro_job_options *options, const char *name);

void job_deliver_done(struct ouro_loop *loop, struct ouro_message *message);
void job_end_task(struct ouro_loop *loop, struct ouro_job *job, intptr_t result);
void job_deliver_report(struct job_more *more);
void job_deliver_copies(const struct job_more *more); /* it has returned, in time */
void job_count_end(struct ouro_job *job, intptr_t result);

extern const struct wait_kind job_wait_kind;

/* From the loop's thread, or the thread that waits for it; the state may be anything: */
void job_ask(struct ouro_job *job);           /* to end, if it runs */
bool job_abandon(struct ouro_job *job);       /* true: it runs on by itself */
bool job_cancel_queued(struct ouro_job *job); /* true: it never starts */
int64_t job_began_ns(struct ouro_job *job);   /* CLOCK_MONOTONIC; 0: it does not run yet, or no more */

/* ---- deadline.c ---- */

/* Starts the clock for a job of a loop that has been taken. */
void job_arm_deadline(struct ouro_loop *loop, struct job_more *more);

/* ns until its deadline; all of it if it does not run yet. Zero or less: it is late. */
int64_t job_time_left(struct ouro_job *job);

/* It has a deadline, and that is over: sets its token, and remembers why. */
bool job_check_late(struct ouro_job *job);

/* ---- token.c ---- */

bool job_set_token(struct ouro_job *job); /* false: it was set before */
bool job_token(const struct ouro_job *job);

/* ---- submit.c ---- */

/* Options that a program has passed, checked. name NULL becomes "job". */
int job_read_options(const ouro_executor *executor, const struct ouro_job_options *given,
                     struct ouro_job_options *ret_options);

/* What a submission must satisfy besides. */
int job_refuse(const ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out);

/* Has a new job carried out as options that were read say; map may be NULL. 0 or -ENOMEM. */
int job_use_options(struct ouro_job *job, const struct ouro_job_options *options, const struct job_map *map);

/* Offers it to its executor, once: as ops->submit. */
int job_offer(ouro_executor *executor, struct ouro_job *job);

/* Gives it to its executor, blocking the thread until there is room. 0, or why it was not taken. */
int job_submit_as_thread(ouro_executor *executor, struct ouro_job *job);

/* A job of ouro_map(). */
struct map_job {
        ouro_executor *executor;
        ouro_job_fn *fn;
        struct ouro_in in;
        struct ouro_out out;
        const struct ouro_job_options *options; /* read already */
        struct job_map map;                     /* items 0: one plain job */
        void (*ended)(struct job_more *more, intptr_t result);
        void *of_map;
};

/* Submits it; its task is nobody's to await. 0: ended will be called, or has been; else why there is none. */
int job_submit_map(struct ouro_loop *loop, const struct map_job *from);

/* ---- within.c ---- */

/* 0, or why it is not taken: -EAGAIN only if it may not wait. */
int job_submit_within(struct ouro_loop *loop, ouro_executor *executor, struct ouro_job *job, bool may_wait);

/* Runs a job in this thread that no executor has: its result. */
intptr_t job_run_own(struct ouro_job *job);

/* ---- call.c ---- */

/* A thread that waits for its job; job->task points to it. */
struct job_caller {
        atomic_uint done;
        const char *name;
};

void job_caller_done(struct ouro_job *job);

#endif
