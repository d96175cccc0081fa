/* ouro/executor.h - for authors of executors: whatever carries out jobs somewhere else.
 *
 * The library owns a job from ouro_submit() until its task has ended; an executor borrows it between its
 * submit call and ouro_job_finish(). It may keep jobs in any order and run them anywhere:
 *
 *      submit(executor, job)            on the loop's thread: queue it, wake a worker, return
 *      ouro_job_begin(job)              in a worker: may I? (false: cancelled while queued; forget it)
 *      result = ouro_job_run(job)       in a worker of this process; others call job->fn by their own means
 *      ouro_job_finish(job, result)     from any thread: forget it
 *
 * Each job that was taken by submit must be begun exactly once, and finished exactly once if that was true.
 */
#ifndef OURO_EXECUTOR_H
#define OURO_EXECUTOR_H

#include "ouro.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ouro_message {
        struct ouro_message *next;
        void (*deliver)(struct ouro_loop *loop, struct ouro_message *message);
};

/* One job. The fields that say so, and the first four, are for the executor; the others are the library's
 * own. */
struct ouro_job {
        struct ouro_job *next; /* the executor's, while it has the job */
        ouro_job_fn *fn;
        struct ouro_in in;
        struct ouro_out out;
        ouro_executor *executor;
        struct ouro_loop *loop;
        void *task;
        struct ouro_message message;
        intptr_t result;
        int state;                              /* atomic */
        int cancelled;                          /* atomic: the token */
        const struct ouro_job_options *options; /* never NULL; read by executors */
        void *of_executor;                      /* the executor's, while it has the job */
        unsigned worker;                        /* set by the executor before it runs the job */
        unsigned attempt;
};

/* How an executor does it. */
struct ouro_executor_ops {
        size_t size;      /* sizeof(struct ouro_executor_ops) */
        const char *name; /* for logs */

        /* Takes a job. 0; -EAGAIN: full now, and ouro_executor_has_room() will be called once there is room
         * for at least one; -ESHUTDOWN after close; any other error is the job's result. Called on the thread
         * of the submitting loop, from several threads at once if several loops share it; by ouro_call() on
         * a thread without a loop, whose job has loop NULL. Must not wait. */
        int (*submit)(ouro_executor *executor, struct ouro_job *job);

        /* A job that has begun is asked to end; its token is set. NULL: there is no more to do than that.
         * Called on the submitter's thread. It may finish the job itself; another thread that finishes it
         * waits until this has returned, and must hold no lock then that this takes. Must not wait. */
        void (*cancel)(ouro_executor *executor, struct ouro_job *job);

        /* No job will come any more: finish those that are there, then call ouro_executor_closed(), from any
         * thread, maybe this one. Must not wait. */
        void (*close)(ouro_executor *executor);

        /* Frees it, after ouro_executor_closed(). May wait for the thread that called that to end. */
        void (*destroy)(ouro_executor *executor);

        /* After close: jobs that have not begun are begun and finished with -ECANCELED; with OURO_CLOSE_KILL
         * those that run are asked to end, too, as by cancel. NULL: closing only ever waits. Must not wait.
         */
        void (*hurry)(ouro_executor *executor, enum ouro_close how);

        /* Fills in what only the executor knows: queued, running, workers, idle, restarts, recycled, retried.
         * NULL: they stay 0. From any thread. */
        void (*stats)(ouro_executor *executor, struct ouro_stats *stats);

        /* When a job that was begun really began to run, CLOCK_MONOTONIC; 0: it has not. NULL: it does when
         * ouro_job_begin() is called. For jobs with a deadline only, on the submitter's thread; else as
         * cancel. */
        int64_t (*began_ns)(ouro_executor *executor, struct ouro_job *job);

        unsigned can; /* enum ouro_executor_can: options beyond the common ones */
};

/* What an executor can do; asked for without, ouro_submit_with() gives -ENOTSUP. */
enum ouro_executor_can {
        OURO_CAN_CHOOSE_WORKER = 1,
        OURO_CAN_ABANDON = 2, /* its jobs run in this process, by ouro_job_run() */
        OURO_CAN_MAP = 4,     /* for executors of the library: a job may be several items of ouro_map(), which
                                 others get one by one */
};

/* The head of an executor's own struct. Fields are the library's own. */
struct ouro_executor {
        const struct ouro_executor_ops *ops;
        void *state;
};

/**
 * ouro_executor_init - make an executor known
 * @executor: the head of its struct, to stay in place until ops->destroy
 * @ops: to stay in place as long
 *
 * Returns: 0, -EINVAL: an operation is missing or of another size; -ENOMEM. Threads: from anywhere.
 */
OURO_API int ouro_executor_init(ouro_executor *executor, const struct ouro_executor_ops *ops);

/**
 * ouro_executor_fini - undo ouro_executor_init()
 * @executor: that no job is in; ops->destroy calls this too
 */
OURO_API void ouro_executor_fini(ouro_executor *executor);

/**
 * ouro_executor_has_room - after a submit that returned -EAGAIN: there is room now
 * @executor: the caller's own
 *
 * Threads: from anywhere. Never waits.
 */
OURO_API void ouro_executor_has_room(ouro_executor *executor);

/**
 * ouro_executor_closed - after close: the last job has been finished
 * @executor: may be destroyed from another thread before this returns; not to be touched afterwards
 *
 * Threads: from anywhere.
 */
OURO_API void ouro_executor_closed(ouro_executor *executor);

/**
 * ouro_job_begin - claim a job
 * @job: taken by submit, not yet begun
 *
 * Returns: true: run it, then ouro_job_finish(); false: it was cancelled while queued, and is no longer
 * the executor's. Threads: from anywhere.
 */
OURO_API bool ouro_job_begin(struct ouro_job *job);

/**
 * ouro_job_run - call a job's function in this thread
 * @job: begun
 *
 * Returns: its result.
 */
OURO_API intptr_t ouro_job_run(struct ouro_job *job);

/**
 * ouro_job_ask - set the token of a job that runs
 * @job: begun, and not finished by another thread meanwhile
 *
 * For an executor that ends its jobs by itself, as hurry does; ouro_cancel() does it for the others. A job in
 * ouro_job_sleep() wakes up.
 *
 * Threads: from anywhere. Never waits.
 */
OURO_API void ouro_job_ask(struct ouro_job *job);

/**
 * ouro_job_finish - hand a job back with its result
 * @job: begun; no longer the executor's
 * @result: zero or more, or a negated errno
 *
 * Threads: from anywhere. Never waits; wakes the job's loop only if that sleeps.
 */
OURO_API void ouro_job_finish(struct ouro_job *job, intptr_t result);

/**
 * ouro_job_finish_many - ouro_job_finish() for several jobs of one loop at the price of one
 * @newest: the job that ended last; linked by next to those that ended before, the oldest having NULL
 * @oldest: the end of that chain
 *
 * Each job's result must be in its result field. All of them must have the same loop field.
 * Threads: from anywhere.
 */
OURO_API void ouro_job_finish_many(struct ouro_job *newest, struct ouro_job *oldest);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* OURO_EXECUTOR_H */
