/* ouro/job.h - jobs: CPU work given to an executor, as a task. Included by ouro.h, whose conventions hold.
 *
 * A job is bytes in and bytes out, so that one call serves threads, processes and executors of others; and
 * a job is a task: awaited, gathered, put under a deadline and cancelled like any other. */
#ifndef OURO_JOB_H
#define OURO_JOB_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- jobs ------------------------------------------------------------------------------------- */

/* Bytes that a job reads, and bytes that it writes. In a thread pool they are the caller's own memory; in a
 * process pool a copy, unless they lie in the pool's arena. */
struct ouro_in {
        const void *base;
        size_t len;
};

struct ouro_out {
        void *base;
        size_t len;
};

struct ouro_job;
typedef struct ouro_executor ouro_executor;

/* The body of a job: runs in a worker, outside any loop, and may block. Result as ouro_fn. */
typedef intptr_t ouro_job_fn(struct ouro_job *job, struct ouro_in in, struct ouro_out out);

/* In C++ a struct and a function of one name are fine, but -Wshadow thinks of a constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

/**
 * ouro_in - a span for a job to read
 * @base: may be NULL if len is 0
 * @len: in bytes
 */
static inline struct ouro_in ouro_in(const void *base, size_t len)
{
        struct ouro_in in = {base, len};

        return in;
}

/**
 * ouro_out - a span for a job to write
 * @base: may be NULL if len is 0
 * @len: in bytes
 */
static inline struct ouro_out ouro_out(void *base, size_t len)
{
        struct ouro_out out = {base, len};

        return out;
}

#pragma GCC diagnostic pop

/**
 * OURO_IN - an object or array as a job's input; a pointer does not compile
 */
/**
 * OURO_OUT - an object or array as a job's output; a pointer does not compile
 */
#define OURO_NO_IN (ouro_in(NULL, 0))
#define OURO_NO_OUT (ouro_out(NULL, 0))

/* What is known of a job that ran in a worker process, see ouro_job_options.ret_report. */
struct ouro_report {
        pid_t pid;              /* of the last worker that it ran in; it may have been reused since */
        unsigned attempts;      /* how often it was begun */
        unsigned deaths;        /* how many workers died while they ran it */
        int signal;             /* that ended the last of those, or 0 */
        int exit_status;        /* that it ended with, if by no signal */
        bool core_dumped;       /* it left a core file */
        bool quarantined;       /* it was not tried again because it killed as many workers as are allowed */
        bool zygote_died;       /* it was lost with the process that all workers come from */
        int64_t cpu_ns;         /* user and system time of the worker that died, all its life */
        int64_t resident_bytes; /* the most that worker had resident */
        const char *function;   /* the job's name */
        const char *backtrace;  /* what the worker died of, then a line for each frame; "" if there is none */
        const char *output;     /* what it wrote to stdout and stderr where the pool captures that, else "" */
        size_t output_bytes;    /* without the NUL that follows */
};

/**
 * ouro_report_free - free what a job's options had written to ret_report
 * @report: may be NULL
 *
 * Threads: from anywhere.
 */
OURO_API void ouro_report_free(struct ouro_report *report);

/* How one job is carried out. Begin with OURO_JOB_OPTIONS_INIT; zero always means the default. */
struct ouro_job_options {
        size_t size;      /* sizeof(struct ouro_job_options) */
        const char *name; /* borrowed until the task ends; default: the function's name, "job" in a
                             map and a call */
        /* How long it may run once it has begun (time in the queue is bounded by a scope); default: no limit.
         * Then its token is set, a worker process is ended as by ouro_cancel(), and it ends with -ETIME. */
        int64_t deadline_ns;
        enum ouro_priority priority; /* see there */
        unsigned worker;  /* 1 + the number of the only worker that may run it; default 0: any. Not in a
                             thread pool (-ENOTSUP) */
        unsigned retries; /* it is idempotent: begun again up to so often if its worker process dies.
                             Default 0: at most once */
        bool abandonable; /* thread pool: cancelled or past its deadline while it runs, its task ends at once
                             and the job runs on by itself. It works on copies that the pool makes of both
                             spans; out is filled in only if it ends in time */
        struct ouro_report **ret_report; /* where to put what is known of the job when its task ends, for
                                            ouro_report_free(); NULL is put there if nothing is, as in a
                                            thread pool. Must live until then */
};

#define OURO_JOB_OPTIONS_INIT OURO_SIZED_(struct ouro_job_options)

/**
 * ouro_submit - give a job to an executor, as a task
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads: yours again when the task has ended
 * @out: what it writes: yours again when the task has ended
 *
 * The task is one like any other: await it, gather it, put a deadline on it, cancel it; it belongs to a
 * group as if it had been created here. If the executor's queue is full, the caller waits for room. Cut
 * short in that, it returns a task that has ended with -ECANCELED or -ETIME, and the job never starts.
 *
 * A loop that a job runs in a thread may submit to the job's own executor: before it would
 * sleep while such a job is still queued, it runs that itself, so that the two cannot wait for each other.
 *
 * Cancelled while queued, the job never starts and its task ends with -ECANCELED. A running thread job
 * cannot be stopped: its task ends when it returns, see ouro_job_cancelled(). A running process job can: its
 * worker gets SIGTERM, then SIGKILL, and the task ends when the worker is gone.
 *
 * In a process pool fn must be a function of the program or of a shared library. What out holds before is
 * not seen by the job, and the whole of out is written when fn has returned, whatever it returned.
 *
 * Returns: a handle, as ouro_create_task(); one that has ended with -ESHUTDOWN if the executor is closing,
 * -EINVAL: NULL, or a function that other processes cannot find; -EMSGSIZE: in and out together are more
 * than the process pool takes; -ENOTRECOVERABLE: the pool is broken, see ouro_process_options. The job's
 * result is what fn returned; or -EOWNERDEAD: its worker process died; -ENOEXEC: the worker has no such
 * function, because its file has changed meanwhile.
 */
#define ouro_submit(executor, fn, in, out) ouro_submit_at((executor), (fn), (in), (out), OURO_HERE_(#fn))

/**
 * ouro_submit_at - the function behind ouro_submit()
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads
 * @out: what it writes
 * @site: as that of ouro_create_task_at()
 *
 * Returns: as ouro_submit().
 */
OURO_API ouro_task ouro_submit_at(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in,
                                  struct ouro_out out, const struct ouro_site *site);

/**
 * ouro_submit_with - ouro_submit() with options
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads
 * @out: what it writes
 * @options: see struct ouro_job_options; NULL for the defaults; copied
 *
 * Returns: as ouro_submit(); a task that has ended with -ENOTSUP if the executor cannot do what is asked.
 */
#define ouro_submit_with(executor, fn, in, out, options)                                                     \
        ouro_submit_with_at((executor), (fn), (in), (out), (options), OURO_HERE_(#fn))

/**
 * ouro_submit_with_at - the function behind ouro_submit_with()
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads
 * @out: what it writes
 * @options: see struct ouro_job_options; NULL for the defaults; copied
 * @site: as that of ouro_create_task_at(); options->name outranks its name. NULL: a job named "job"
 *
 * Returns: as ouro_submit_with().
 */
OURO_API ouro_task ouro_submit_with_at(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in,
                                       struct ouro_out out, const struct ouro_job_options *options,
                                       const struct ouro_site *site);

/**
 * ouro_try_submit - ouro_submit_with() that never waits for room
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads
 * @out: what it writes
 * @options: see struct ouro_job_options; NULL for the defaults; copied
 * @ret_task: the job's handle
 *
 * Returns: 0; -EAGAIN: there is no room, or others wait for it; or the error that the handle of
 * ouro_submit() would have ended with.
 */
#define ouro_try_submit(executor, fn, in, out, options, ret_task)                                            \
        ouro_try_submit_at((executor), (fn), (in), (out), (options), OURO_HERE_(#fn), (ret_task))

/**
 * ouro_try_submit_at - the function behind ouro_try_submit()
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads
 * @out: what it writes
 * @options: see struct ouro_job_options; NULL for the defaults; copied
 * @site: as that of ouro_submit_with_at()
 * @ret_task: the job's handle
 *
 * Returns: as ouro_try_submit().
 */
OURO_API int ouro_try_submit_at(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in,
                                struct ouro_out out, const struct ouro_job_options *options,
                                const struct ouro_site *site, ouro_task *ret_task);

/**
 * ouro_call - give a job to an executor and wait for its result
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: the job's body
 * @in: what it reads
 * @out: what it writes
 * @options: see struct ouro_job_options; NULL for the defaults
 *
 * In a task: submit and await; cut short, the job is cancelled and awaited. An error is the caller's to
 * judge: it does not fail the group that the caller is in. On a thread without a loop it blocks; in a job of
 * this same executor it does not wait for a worker to be free, but runs the job itself if none has begun it.
 *
 * Returns: the job's result, or why it was not taken, as ouro_submit(); -EPERM: in a forked child. Threads:
 * from anywhere.
 */
OURO_API intptr_t ouro_call(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                            const struct ouro_job_options *options);

/* ---- inside a job ----------------------------------------------------------------------------- */

/**
 * ouro_job_cancelled - whether somebody has asked this job to end
 * @job: as passed to its body
 *
 * A job that runs long asks now and then, and returns -ECANCELED. Threads: from the job.
 */
OURO_API bool ouro_job_cancelled(const struct ouro_job *job);

/**
 * ouro_job_sleep - block for some time, or until somebody has asked this job to end
 * @job: as passed to its body
 * @ns: how long
 *
 * Returns: 0, -ECANCELED: asked to end; -EINVAL: ns is less than zero. Threads: from the job.
 */
OURO_API int ouro_job_sleep(struct ouro_job *job, int64_t ns);

/**
 * ouro_job_worker - the number of the worker that runs this job
 * @job: as passed to its body
 *
 * Returns: from 0. A worker process that replaces another has its number; threads beyond the least number
 * of a pool come and go with theirs. Threads: from the job.
 */
OURO_API unsigned ouro_job_worker(const struct ouro_job *job);

/**
 * ouro_job_attempt - how often this job has been begun before
 * @job: as passed to its body
 *
 * Returns: 0, more if it is marked idempotent and workers have died of it. Threads: from the job.
 */
OURO_API unsigned ouro_job_attempt(const struct ouro_job *job);

/**
 * ouro_job_state - what the worker keeps from job to job
 * @job: as passed to its body, or to an initializer or finalizer
 *
 * Returns: what ouro_job_set_state() was last given in this worker, NULL before that. Threads: from the job.
 */
OURO_API void *ouro_job_state(const struct ouro_job *job);

/**
 * ouro_job_set_state - have the worker keep something from job to job
 * @job: as passed to its body, or to an initializer or finalizer
 * @state: the caller's; the pool's finalizer may free it
 *
 * Threads: from the job.
 */
OURO_API void ouro_job_set_state(struct ouro_job *job, void *state);

/* ---- many jobs -------------------------------------------------------------------------------- */

/* Called by the task that maps, for the results of one chunk: items [first, first + n). It may wait; tasks
 * that it creates end with the map. Less than zero ends the map with that. */
typedef int ouro_map_fn(void *arg, size_t first, size_t n);

/* How an array is spread over jobs. Begin with OURO_MAP_OPTIONS_INIT; zero always means the default. */
struct ouro_map_options {
        size_t size;  /* sizeof(struct ouro_map_options) */
        size_t chunk; /* items to a job; default: 4 jobs for each worker, at most 1000 items a job */
        size_t ahead; /* chunks that may be out, or not yet told of, at a time; default: 2 for each worker */
        ouro_map_fn *each; /* told of chunks as their results are there; default: none */
        void *arg;         /* passed to it */
        bool as_completed; /* each is told in the order in which chunks end; default: in the array's order */
        intptr_t *ret_values; /* one for each item: what fn returned; -ECANCELED where it was not called.
                                 Default: not told */
        struct ouro_job_options job; /* for every job; its size may be 0 for the defaults. retries counts for
                                        each chunk; ret_report must be NULL */
};

#define OURO_MAP_OPTIONS_INIT OURO_SIZED_(struct ouro_map_options)

/**
 * ouro_map - call a function for each item of an array, spread over an executor's workers
 * @executor: from ouro_thread_pool() or ouro_process_pool()
 * @fn: called with each item as its in and each result as its out
 * @items: the array; NULL if item_bytes is 0
 * @item_bytes: size of an item
 * @n: how many
 * @results: one for each item; NULL if result_bytes is 0
 * @result_bytes: size of a result
 * @options: see struct ouro_map_options; NULL for the defaults
 *
 * The first item whose fn returns less than zero ends the map: what is queued is cancelled, what runs is
 * awaited. So does being cut short. With ret_values, such items are no failure: all are done.
 *
 * Returns: 0, or the error that ended it; -EINVAL: NULL or 0 where something is needed.
 */
OURO_API int ouro_map(ouro_executor *executor, ouro_job_fn *fn, const void *items, size_t item_bytes,
                      size_t n, void *results, size_t result_bytes, const struct ouro_map_options *options);

/* ---- executors -------------------------------------------------------------------------------- */

/**
 * ouro_executor_close - let the queued and running jobs end, and free the executor. Never cut short.
 * @executor: may be NULL
 *
 * Called in a task, it waits as a task; outside ouro_run() it blocks. Submitting meanwhile gives
 * -ESHUTDOWN.
 *
 * Returns: 0, -EALREADY: somebody is closing it; -EDEADLK: called from one of its own jobs; -EPERM: in a
 * forked child; -EINVAL: NULL.
 * Threads: from anywhere.
 */
OURO_API int ouro_executor_close(ouro_executor *executor);

enum ouro_close {
        OURO_CLOSE_WAIT,   /* for all that is queued and runs */
        OURO_CLOSE_CANCEL, /* what is queued, then wait for what runs */
        OURO_CLOSE_KILL,   /* cancel what is queued and what runs: processes are killed, threads can only be
                              asked */
};

/**
 * ouro_executor_close_with - ouro_executor_close() that hurries, or gives up waiting
 * @executor: may be NULL
 * @how: what happens to the jobs that are there
 * @deadline_ns: how long to wait; OURO_FOREVER; 0: not at all
 *
 * Never cut short otherwise. After -ETIME the executor takes no job any more but is still there: call again,
 * perhaps less kindly. Cancelled jobs end with -ECANCELED.
 *
 * Returns: 0: it is freed; -ETIME: it is not; -EALREADY: somebody else waits for that; -EDEADLK: called from
 * one of its own jobs; -EPERM: in a forked child; -EINVAL: NULL, or no such way. Threads: from anywhere.
 */
OURO_API int ouro_executor_close_with(ouro_executor *executor, enum ouro_close how, int64_t deadline_ns);

enum { OURO_STATS_BUCKETS = 64 };

/* What an executor has done so far; counts since it was made. */
struct ouro_stats {
        size_t size;        /* sizeof(struct ouro_stats), set by the caller */
        uint64_t submitted; /* jobs taken */
        uint64_t done;      /* of those: returned zero or more */
        uint64_t failed;    /* returned less than zero, or lost with a worker */
        uint64_t cancelled; /* ended by cancellation or deadline; one that was queued counts when a worker
                                comes to it */
        uint64_t queued;    /* now: taken and not begun */
        uint64_t running;   /* now */
        uint64_t workers;   /* now: threads, or processes that are ready */
        uint64_t idle;      /* of those, without a job */
        uint64_t restarts;  /* workers that took the place of one that died */
        uint64_t recycled;  /* workers that were replaced as the options say */
        uint64_t retried;   /* jobs begun once more because their worker died */
        /* Jobs by the time they were queued and the time they ran: bucket i counts those of 2^i to 2^(i+1)
         * ns. Filled in only if the pool was opened with timings. */
        uint64_t wait_ns[OURO_STATS_BUCKETS];
        uint64_t run_ns[OURO_STATS_BUCKETS];
};

/**
 * ouro_executor_stats - what an executor has done so far
 * @executor: not freed meanwhile
 * @ret_stats: its size set
 *
 * The numbers are of nearly one moment. A struct of an older header gets what it knows.
 *
 * Returns: 0, -EINVAL: NULL, or larger than this library knows; -EPERM: in a forked
 * child. Threads: from anywhere.
 */
OURO_API int ouro_executor_stats(ouro_executor *executor, struct ouro_stats *ret_stats);

#ifdef __cplusplus
} /* extern "C" */

template <class T> struct ouro_no_pointer {
        typedef T type;
};
template <class T> struct ouro_no_pointer<T *>; /* OURO_IN and OURO_OUT take objects and arrays */
template <class T> inline struct ouro_in ouro_in_object(const T &object)
{
        return ouro_in(&object, sizeof(typename ouro_no_pointer<T>::type));
}
template <class T> inline struct ouro_out ouro_out_object(T &object)
{
        return ouro_out(&object, sizeof(typename ouro_no_pointer<T>::type));
}
#define OURO_IN(x) ouro_in_object(x)
#define OURO_OUT(x) ouro_out_object(x)
#else
/* 0 for an object or array; does not compile for a pointer. (A comma makes an array a pointer.) */
#define OURO_NO_POINTER_(x)                                                                                  \
        (0 * sizeof(struct {                                                                                 \
                 int ouro_takes_objects_and_arrays_not_pointers : __builtin_classify_type(x) == 5 &&         \
                                 __builtin_types_compatible_p(__typeof__(x), __typeof__((void)0, (x)))       \
                         ? -1                                                                                \
                         : 1;                                                                                \
         }))
#define OURO_IN(x) ouro_in(&(x), sizeof(x) + OURO_NO_POINTER_(x))
#define OURO_OUT(x) ouro_out(&(x), sizeof(x) + OURO_NO_POINTER_(x))
#endif

#endif /* OURO_JOB_H */
