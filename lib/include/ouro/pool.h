/* ouro/pool.h - the two executors of the library: threads and processes. Included by ouro.h, whose
 * conventions hold. */
#ifndef OURO_POOL_H
#define OURO_POOL_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- threads ---------------------------------------------------------------------------------- */

/* What a thread pool is made with. Begin with OURO_THREAD_OPTIONS_INIT; zero always means the default. */
struct ouro_thread_options {
        size_t size;      /* sizeof(struct ouro_thread_options) */
        unsigned threads; /* always there, at most 4096; default: what CPU affinity and cgroup quota allow,
                             but not more than threads_max */
        unsigned threads_max; /* at most so many are there, for jobs that block; at most 4096; default:
                                 threads. While none is idle and a job has waited for a millisecond, one more
                                 is started; if the system refuses one, those that are there go on. Such a
                                 pool has one thread besides, which starts and joins the others */
        int64_t idle_ns;      /* those beyond threads end after so long without a job; default 10 s */
        unsigned queue; /* jobs that may wait, of all priorities together, at most 1048576; default 1024 */
        size_t stack_bytes; /* of each thread; default: the system's */
        int64_t spin_ns;  /* a worker that has run a job polls this long for another before it sleeps; default
                             10 us; less than zero: never. Where that proves to be in vain it is tried more
                             seldom; no more than half of the CPUs poll at a time, none if there is but one */
        int nice;         /* added to the nice value of each thread, -39 to 39, and cut off where the system's
                             range ends; default 0 */
        const char *name; /* of the threads, at most 15 bytes; copied; default "ouro" */
        /* Called in each new worker before its first job and after its last, with the in below and no out.
         * If the initializer returns less than zero the pool is broken: what is queued, and all that comes,
         * ends with -ENOTRECOVERABLE; what runs goes on; the finalizer is not called in that worker. Default:
         * none. */
        ouro_job_fn *initializer;
        ouro_job_fn *finalizer;
        struct ouro_in in; /* for both; copied; default: nothing */
        bool timings;      /* fill in the histograms of ouro_executor_stats(); costs three readings of the
                              clock for each job. Default: no */
};

#define OURO_THREAD_OPTIONS_INIT OURO_SIZED_(struct ouro_thread_options)

/**
 * ouro_thread_pool_open - start a pool of threads
 * @options: see struct ouro_thread_options; NULL for the defaults
 * @ret_executor: to be closed by ouro_executor_close()
 *
 * Its threads block every signal. Several loops may share it.
 *
 * Returns: 0, -EINVAL: an option is out of range, or NULL; -ENOMEM, -EAGAIN: too few resources for the
 * threads; -EACCES: the nice value is refused. Threads: from anywhere. Never waits, unless nice is less than
 * zero: then for the first thread to try it.
 */
OURO_API int ouro_thread_pool_open(const struct ouro_thread_options *options, ouro_executor **ret_executor);

/**
 * ouro_thread_pool - ouro_thread_pool_open() that gives NULL on failure
 * @options: see struct ouro_thread_options; NULL for the defaults
 *
 * Returns: the executor, or NULL.
 */
OURO_API ouro_executor *ouro_thread_pool(const struct ouro_thread_options *options);

/* ---- processes -------------------------------------------------------------------------------- */

/* Where workers come from: a zygote, a process with one thread that forks them. */
enum ouro_start {
        OURO_START_AUTO,   /* EXEC if this program can take over before main, else HELPER */
        OURO_START_EXEC,   /* this program's own file, executed afresh: after all constructors, before main */
        OURO_START_FORK,   /* a fork of this process as it is; only while it has one thread (-EBUSY) */
        OURO_START_HELPER, /* the installed ouro-worker, which loads the shared libraries that jobs are in;
                              for functions of libraries only */
};

/* What a worker may do; bits that add up. */
enum ouro_confine {
        OURO_CONFINE_NO_NEW_PRIVILEGES = 1, /* set-user-ID programs give it nothing */
        OURO_CONFINE_COMPUTE_ONLY = 2,      /* a seccomp filter: memory, threads, clocks, what is open. No
                                               sockets, no opening of files (nor of libraries that are not
                                               loaded: -ENOEXEC), no exec, no new processes, no signals to
                                               others; implies the above. What is refused fails with EPERM */
        OURO_CONFINE_FILES = 4, /* Landlock: only what read_paths and write_paths name can be opened; implies
                                   the first. Where the kernel has no Landlock, opening the pool fails with
                                   -ENOTSUP */
};

enum ouro_output {
        OURO_OUTPUT_PASS,    /* stdout and stderr are the host's */
        OURO_OUTPUT_CAPTURE, /* they are kept for each job, see struct ouro_report; a worker then takes one
                                job at a time */
        OURO_OUTPUT_DISCARD,
};

/* A resource limit of each worker, as setrlimit(2). */
struct ouro_limit {
        int resource; /* RLIMIT_... */
        uint64_t soft, hard;
};

/* What a process pool is made with. Begin with OURO_PROCESS_OPTIONS_INIT; zero always means the default.
 * Everything it points to is copied. */
struct ouro_process_options {
        size_t size;      /* sizeof(struct ouro_process_options) */
        unsigned workers; /* default: what CPU affinity and cgroup quota allow; at most 1024 */
        unsigned standby; /* further workers that are ready to replace one that died; default 0. Not with
                             arena_per_worker (-EINVAL) */
        unsigned queue;   /* jobs that may wait, at most 1048576; default 1024 */
        unsigned ahead;   /* jobs that are handed to a worker before it is done with others, 1 to 256;
                             default 64. They are taken back when another worker is idle. With
                             OURO_OUTPUT_CAPTURE it is 1 */
        enum ouro_start start;
        const char *helper; /* path of the helper program; default: where it was installed */
        const char *name;   /* of the workers, at most 15 bytes; default "ouro" */
        int64_t spin_ns; /* a worker polls this long before it sleeps; default 10 us, less than zero: never */
        bool timings;    /* as struct ouro_thread_options */

        /* Memory. Both are address space that is filled as it is used; they count for RLIMIT_AS. */
        size_t message_bytes;  /* for copies of spans, in each worker; the most that in and out of one job may
                                  take together, give or take padding; rounded up to a power of two;
                                  default 2 GiB */
        size_t arena_bytes;    /* of the arena; default 16 GiB */
        bool arena_per_worker; /* ouro_arena_alloc_for(): no worker sees another's spans */

        /* Life of a worker. */
        ouro_job_fn *initializer; /* as struct ouro_thread_options; in the worker, before its first job */
        ouro_job_fn *finalizer;   /* in a worker that ends by itself; not in one that is killed, as one is
                                     that takes longer than a minute for this */
        struct ouro_in in;        /* for both */
        int64_t grace_ns; /* between SIGTERM and SIGKILL when a job is cancelled; default 1 s; less than zero:
                             SIGKILL at once */
        uint64_t recycle_jobs;  /* a worker is replaced after so many jobs; default: never */
        uint64_t recycle_bytes; /* ... when it has so many bytes resident after a job; default: never */
        int64_t idle_ns;        /* ... ends after so long without a job, and is started again when needed;
                                   default: never */
        unsigned deaths;        /* a job that has killed so many workers is not tried again; default 3 */
        unsigned crashes;   /* so many workers in a row that die before they are ready, or workers that die
                               without a job within a second of their start, break the pool: what it has
                               not begun, and all that comes, ends with -ENOTRECOVERABLE. A job that gets
                               done ends the row. Default 8 */
        int64_t backoff_ns; /* before such a worker is started again, doubled each time; default 10 ms */

        /* What a worker is allowed. */
        unsigned confine;               /* enum ouro_confine */
        const char *const *read_paths;  /* for OURO_CONFINE_FILES, ended by NULL: these, and what is beneath
                                           them, may be read and executed; default: none */
        const char *const *write_paths; /* these may be read, written, created and removed; default: none */
        const struct ouro_limit *limits;
        size_t limits_len;
        int nice;              /* added to that of the thread that opens the pool */
        const void *cpus;      /* const cpu_set_t *: that all may run on; default: those of the thread
                                  that opens the pool */
        size_t cpus_bytes;     /* its size */
        const char *directory; /* working directory; default: the host's */
        const char *const *environment; /* "NAME=value", ended by NULL; default: the host's when the pool
                                           was opened */
        const int *fds;                 /* descriptors of the host that workers inherit, under the same
                                           numbers, above 2; default: none. stdin is always /dev/null */
        size_t fds_len;
        enum ouro_output output;
        size_t output_bytes; /* of one job, kept at the most; what does not fit is refused as it is written,
                                with EPERM. At most 1 GiB, default 1 MiB */
};

#define OURO_PROCESS_OPTIONS_INIT OURO_SIZED_(struct ouro_process_options)

/**
 * ouro_process_pool_open - start a pool of worker processes
 * @options: see struct ouro_process_options; NULL for the defaults
 * @ret_executor: to be closed by ouro_executor_close()
 *
 * A worker has not run main: it has what constructors made, and what the initializer makes. The host's
 * descriptors, locks and threads are not there. Several loops may share the pool. The host gets no SIGCHLD
 * for workers, and wait(2) never sees them.
 *
 * Processes that a job starts end with its worker at the latest; those in the background, whose parent has
 * ended, also when another worker of the pool ends. They do not have the arena.
 *
 * It waits, for some milliseconds, until the zygote has answered. A shared library that a job's function is
 * in stays loaded until the pool is freed.
 *
 * A worker that does not take a job that it was handed, because it is stopped, is killed after a second, and
 * the job goes to another.
 *
 * Returns: 0, -EINVAL: an option is out of range, or NULL; -EBUSY: start by fork in a process with several
 * threads; -ENOEXEC: this program cannot be executed afresh as a zygote, see the guide; -ENOTSUP: the kernel
 * lacks what an option asks for; -ENOENT: there is no helper program, or a directory or path is not there
 * (-ENOTDIR: it is no directory); -EBADF: one of fds is not open; -EPERM, -EACCES: a limit, nice value, path
 * or other option is refused; -ENOMEM, -EAGAIN, -EMFILE, -ENFILE. Threads: from anywhere.
 */
OURO_API int ouro_process_pool_open(const struct ouro_process_options *options, ouro_executor **ret_executor);

/**
 * ouro_process_pool - ouro_process_pool_open() that gives NULL on failure
 * @options: see struct ouro_process_options; NULL for the defaults
 *
 * Returns: the executor, or NULL.
 */
OURO_API ouro_executor *ouro_process_pool(const struct ouro_process_options *options);

/**
 * ouro_worker_main - the first line of main in a program that cannot take over before it
 * @argc: main's
 * @argv: main's
 *
 * In a process that was started to be a zygote it never returns; in any other it does nothing. Only needed
 * where ouro_process_pool_open() says -ENOEXEC.
 */
OURO_API void ouro_worker_main(int argc, char **argv);

/* ---- arena ------------------------------------------------------------------------------------ */

/**
 * ouro_arena_alloc - memory that the workers of a process pool share with the host, at the same address
 * @pool: from ouro_process_pool(), without arena_per_worker
 * @bytes: more than 0
 * @ret_span: aligned to 64 bytes, from a page on to a page; its contents are undefined
 *
 * A span of a job that lies in the arena is not copied, and pointers within the arena mean the same in host
 * and workers. It may be lent to any I/O call. Every worker can write everywhere in it: for jobs that are
 * not trusted use copies, or arena_per_worker.
 *
 * Returns: 0; -ENOMEM: the arena is full; -EINVAL; -ENOTSUP: not such a pool. Threads: from anywhere.
 */
OURO_API int ouro_arena_alloc(ouro_executor *pool, size_t bytes, void **ret_span);

/**
 * ouro_arena_alloc_for - memory that one worker of a process pool shares with the host
 * @pool: from ouro_process_pool(), with arena_per_worker
 * @worker: number of the worker; those that replace it have the same
 * @bytes: more than 0
 * @ret_span: as ouro_arena_alloc()
 *
 * Jobs with such a span run in that worker only, whatever their options say (-EINVAL if they name another).
 *
 * Returns: as ouro_arena_alloc(). Threads: from anywhere.
 */
OURO_API int ouro_arena_alloc_for(ouro_executor *pool, unsigned worker, size_t bytes, void **ret_span);

/**
 * ouro_arena_free - give a span back
 * @pool: that it was allocated from
 * @span: no longer used by any job or I/O call; NULL does nothing
 *
 * Returns: 0; -EINVAL: span is not the beginning of an allocated span of this pool. Threads: from anywhere.
 */
OURO_API int ouro_arena_free(ouro_executor *pool, void *span);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* OURO_POOL_H */
