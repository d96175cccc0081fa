/* ouro.h - tasks, I/O and CPU work under one vocabulary: create, await, gather.
 *
 * A task is a coroutine with a stack of its own, on the loop of the thread that called ouro_run().
 * Every call below that may wait suspends the calling task and lets others run.
 *
 * Conventions that hold for every declaration in this file:
 *
 *   Results      Zero or more is the value, less than zero a negated errno. The library neither reads
 *                nor writes errno. Outputs named ret_... are untouched on failure.
 *   Time         int64_t nanoseconds; OURO_US(), OURO_MS() and OURO_SEC() make them.
 *   Threads      A call belongs to the loop of its own thread. Called from a thread without a loop,
 *                from a forked child or outside ouro_run(), it returns -EPERM (functions that return a
 *                handle return one that has already ended with -EPERM). What may be called from
 *                anywhere says so.
 *   Cancellation A call that may wait is a cancellation point: in a cancelled task it returns
 *                -ECANCELED on entry, before it does anything, and inside an expired time scope -ETIME;
 *                cut short while waiting, it returns the same. Calls that are not say "never cut short".
 *   Ownership    What a call was lent (buffers, addresses, arrays) is the caller's again when it returns,
 *                also when it was cut short.
 *   Memory       -ENOMEM may come from any call that waits for the kernel, creates or opens something.
 */
#ifndef OURO_H
#define OURO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
#include <initializer_list> /* OURO_ARGV() */

extern "C" {
#endif

#if defined(__GNUC__)
#define OURO_API __attribute__((visibility("default")))
#else
#error "ouro needs gcc or clang"
#endif

#define OURO_VERSION_MAJOR 0
#define OURO_VERSION_MINOR 1
#define OURO_VERSION_PATCH 0

/**
 * ouro_version - the version of the library that runs, as text: "0.1.0"
 *
 * The OURO_VERSION_... macros tell the version of the header instead.
 * Threads: from anywhere. Returns: a string that is never freed.
 */
OURO_API const char *ouro_version(void);

/* ---- time ------------------------------------------------------------------------------------- */

#define OURO_US(n) ((int64_t)(n)*1000)
#define OURO_MS(n) ((int64_t)(n)*1000000)
#define OURO_SEC(n) ((int64_t)(n)*1000000000)
#define OURO_FOREVER INT64_MAX

/* ---- running ---------------------------------------------------------------------------------- */

/* The body of a task. Zero or more is its result (user-space pointers are), less than zero an error. */
typedef intptr_t ouro_fn(void *arg);

enum ouro_clock {
        OURO_CLOCK_REAL,    /* CLOCK_MONOTONIC */
        OURO_CLOCK_VIRTUAL, /* starts at 0, jumps to the next deadline when all tasks wait and no job or
                               kernel operation is pending, nor a wait for what is shared with other
                               threads; while one is, it runs with real time */
};

enum ouro_backend {
        OURO_BACKEND_AUTO, /* io_uring, or epoll where io_uring is denied or too old */
        OURO_BACKEND_URING,
        OURO_BACKEND_EPOLL,
};

/* Zero but for the size. (C++17 lacks designated initializers; a partial list is a warning there.) */
#ifdef __cplusplus
#define OURO_SIZED_(type) ouro_sized<type>()
#else
#define OURO_SIZED_(type)                                                                                    \
        {                                                                                                    \
                .size = sizeof(type)                                                                         \
        }
#endif

/* What a loop is made with. Begin with OURO_OPTIONS_INIT; zero always means the default. */
struct ouro_options {
        size_t size;               /* sizeof(struct ouro_options), so that it can grow */
        size_t stack_bytes;        /* of each task, guard page included; default 64 KiB, least 16 KiB */
        enum ouro_clock clock;     /* default: the real one */
        enum ouro_backend backend; /* forced if not AUTO; default: $OURO_BACKEND, else AUTO */
        unsigned forbidden;        /* bit (1 << OURO_BACKEND_...): never choose this backend */
        unsigned kernel;         /* OURO_KERNEL(5, 15): use nothing newer; default: $OURO_KERNEL, else all */
        unsigned entries;        /* submission entries of the ring, 1 to 32768; default 256 */
        unsigned kernel_workers; /* bound on the kernel's io-wq threads of each kind; default 16 */
        int64_t drain_ns;        /* how long the end of the run waits for operations that the kernel
                                    will not let go; default 10 s */
        int64_t spin_ns;         /* poll this long before sleeping while jobs are out, or tasks wait for
                                    what is shared with other threads; default 20 us, less than zero: never */
        bool report_stack_overflow; /* name the task that ran into its guard page, before dying of it.
                                       Installs a SIGSEGV and SIGBUS handler that chains to the old one */
        unsigned interrupt;         /* OURO_INTERRUPT_...: signals that cancel the main task; default: none */
        bool no_deadlock_check;     /* that all tasks wait for each other is no error: something that the
                                       library does not know of will end it, a signal handler say */
        unsigned without;           /* OURO_WITHOUT_...: fast paths that are not to be taken; default: none */
        unsigned recv_buffers;      /* of the loop, for ouro_recv_buf(): 1 to 32768; default 256 */
        size_t recv_buffer_bytes;   /* of each, at most 16 MiB; default 4,096 */
};

/* Fast paths, each of which has a slower one with the same results. They are not taken either where the
 * kernel, the backend or a limit does not let them be. */
enum {
        OURO_WITHOUT_MULTISHOT = 1,   /* each connection accepted, and each receive, is asked for by itself */
        OURO_WITHOUT_BUFFER_RING = 2, /* the kernel does not choose the buffer that it receives into */
        OURO_WITHOUT_ZERO_COPY = 4,   /* ouro_send_zc() copies */
        OURO_WITHOUT_FIXED = 8,       /* memory is not registered for ouro_buffer_register() */
};

/* Signals that cancel the main task: see ouro_run_with(). */
enum {
        OURO_INTERRUPT_SIGINT = 1, /* ctrl-C */
        OURO_INTERRUPT_SIGTERM = 2,
};

#define OURO_OPTIONS_INIT OURO_SIZED_(struct ouro_options)
#define OURO_KERNEL(major, minor) ((unsigned)(major) << 16 | (unsigned)(minor))

/**
 * ouro_run - run a loop on this thread until its main task has returned
 * @main_fn: the body of the main task
 * @arg: passed to it
 *
 * When main_fn returns, every task that is left is cancelled and awaited; then the loop is freed.
 *
 * A deadlock is told: when every task waits, and nothing is left that could ever wake one (no operation, job
 * or timer is under way, and no other thread knows the loop, because ouro_this_loop() has not been called in
 * this run), the log says who waits for what since when, and the main task's wait ends with -EDEADLK. A group
 * that it closes is cancelled first. What then still waits, or waits when the main task has returned, inside
 * shields, has its own waits end with -EDEADLK.
 *
 * $OURO_BACKEND ("uring", "epoll", "no-uring", "no-epoll", "auto") and $OURO_KERNEL ("5.15") serve where
 * the options leave the choice open; anything else in them is -EINVAL.
 *
 * Returns: what main_fn returned, or
 *   -EINVAL: main_fn is NULL, an option is out of range, or an environment variable is malformed
 *   -EBUSY: this thread runs a loop already
 *   -ENOMEM, -EMFILE, -ENFILE: the loop could not be made; main_fn did not run
 *   -ENOSYS: no backend that is allowed works here; main_fn did not run
 * Threads: from any; each may run one loop.
 */
OURO_API intptr_t ouro_run(ouro_fn *main_fn, void *arg);

/**
 * ouro_run_with - ouro_run() with options
 * @options: see struct ouro_options; NULL for the defaults. Read before the call waits.
 * @main_fn: the body of the main task
 * @arg: passed to it
 *
 * With OURO_INTERRUPT_SIGINT (ctrl-C), OURO_INTERRUPT_SIGTERM or both as interrupt, such a signal cancels the
 * main task, with the reason OURO_CANCEL_SIGNAL. One that comes while a run that was told by an earlier one,
 * of whichever kind, has not ended yet, ends the process: by what the signal does by default. Where several
 * runs have the option, the first cancels the main tasks of all of them. Installs a handler until the run
 * ends. A handler that the program had is called, too; a signal that it ignores (as nohup(1) has it) stays
 * ignored. It works also while a task computes, but the task sees it where it waits.
 *
 * Returns: as ouro_run().
 */
OURO_API intptr_t ouro_run_with(const struct ouro_options *options, ouro_fn *main_fn, void *arg);

/**
 * ouro_backend_name - the backend of this thread's loop: "uring" or "epoll"
 *
 * Returns: a string that is never freed, or NULL outside ouro_run().
 */
OURO_API const char *ouro_backend_name(void);

/* ---- tasks ------------------------------------------------------------------------------------ */

/* Names a task. A value: copy it, keep it. A handle whose task is gone, or that never was one, gives
 * -ESRCH, never undefined behaviour. {0, 0} is never a task. */
typedef struct {
        uint64_t slot;
        uint64_t generation;
} ouro_task;

#ifdef __cplusplus
#define OURO_NO_TASK (ouro_task{0, 0})
#else
#define OURO_NO_TASK ((ouro_task){0, 0})
#endif

struct ouro_group;

/* A name, and a place in the source. The macros that create a task record theirs. */
struct ouro_site {
        const char *name;
        const char *function; /* the creator's; NULL: not known, and likewise for file */
        const char *file;
        unsigned line;
};

/* Fairness. A loop works in passes. In a pass at most 128 turns of tasks are run, or, where tasks do not have
 * to wait for what they ask for, at most 512 such calls carried out; a turn counts as four of those. Then the
 * loop looks at the clock, at the kernel's completions and at what other threads have sent, and goes on where
 * it was. So a call that may wait may let others run also when it need not wait. A task that is ready runs
 * after those that were ready before it, however busy they are; a timer, a completion and a message come at
 * most one pass late. Nothing can be done about a task that makes no such call: one that computes, or one
 * that calls only what never waits (ouro_chan_try_recv(), ouro_mutex_unlock(), ouro_create_task()).
 *
 * Tasks have two priorities. One of low priority runs when no other is ready, and in each pass that was full
 * at least one of them has a turn, in which it may carry out 28 calls without having to wait. Within each
 * priority it is first come, first served. Priority is not inherited, neither by the tasks that a task
 * creates nor by whoever holds what another one waits for; since each that is ready has its turn, that wait
 * is bounded too.
 *
 * Jobs: within one executor, those of a higher priority begin first; first come, first served within each. As
 * long as jobs of a higher priority come as fast as they are done, those of a lower one wait. In a process
 * pool that holds for what waits and for each worker by itself: a job of higher priority goes ahead of all
 * that its worker has been handed and has not begun, while another worker may begin one of a lower. */
enum ouro_priority {
        OURO_PRIORITY_LOW = -1,
        OURO_PRIORITY_NORMAL = 0,
        OURO_PRIORITY_HIGH = 1, /* jobs only */
};

/* What a task is made with. Begin with OURO_TASK_OPTIONS_INIT; zero always means the default. */
struct ouro_task_options {
        size_t size;                 /* sizeof(struct ouro_task_options) */
        const char *name;            /* borrowed until the result is consumed or the group has closed;
                                        default: the function's name */
        struct ouro_group *group;    /* default: the innermost group open in the creator, else the root */
        size_t stack_bytes;          /* guard page included; default: that of the run, least 16 KiB */
        void (*drop)(void *arg);     /* called with arg if the task can never start */
        enum ouro_priority priority; /* low or normal */
};

#define OURO_TASK_OPTIONS_INIT OURO_SIZED_(struct ouro_task_options)

/**
 * ouro_create_task - create a task at the back of the ready queue, and go on
 * @fn: its body
 * @arg: passed to it
 *
 * A created task always starts, even if it is cancelled first, because it may own its argument. Short of
 * stacks it stays ready until one is free.
 *
 * Returns: a handle, valid until the result is consumed or the task's group has closed. A task that could
 * not be created is one that has ended with -ENOMEM (-EPERM outside a task, -EINVAL for bad arguments).
 */
#define ouro_create_task(fn, arg) ouro_create_task_at((fn), (arg), OURO_HERE_(#fn))

/**
 * ouro_create_task_in - ouro_create_task() in a given group
 * @group: a group of this loop that is open
 * @fn: its body
 * @arg: passed to it
 *
 * Returns: as ouro_create_task(); a handle that has ended with -EINVAL if the group is not open.
 */
#define ouro_create_task_in(group, fn, arg) ouro_create_task_in_at((group), (fn), (arg), OURO_HERE_(#fn))

/**
 * ouro_go - create a task that nobody will await: nothing of it stays when it ends
 * @fn: its body
 * @arg: passed to it
 *
 * Returns: 0, -ENOMEM, -EINVAL or -EPERM.
 */
#define ouro_go(fn, arg) ouro_go_at((fn), (arg), OURO_HERE_(#fn))

/**
 * ouro_create_task_named - ouro_create_task() under another name than the function's
 * @fn: its body
 * @arg: passed to it
 * @name: a string literal; names made at run time go into struct ouro_task_options
 *
 * Returns: as ouro_create_task().
 */
#define ouro_create_task_named(fn, arg, name) ouro_create_task_at((fn), (arg), OURO_HERE_(name))

/**
 * ouro_create_task_at - the function behind ouro_create_task()
 * @fn: its body
 * @arg: passed to it
 * @site: its name, and where it is created; borrowed until its result is consumed or its group has closed.
 * NULL: a task named "task".
 *
 * Returns: as ouro_create_task().
 */
OURO_API ouro_task ouro_create_task_at(ouro_fn *fn, void *arg, const struct ouro_site *site);

/**
 * ouro_create_task_in_at - the function behind ouro_create_task_in()
 * @group: a group of this loop that is open
 * @fn: its body
 * @arg: passed to it
 * @site: as that of ouro_create_task_at()
 *
 * Returns: as ouro_create_task_in().
 */
OURO_API ouro_task ouro_create_task_in_at(struct ouro_group *group, ouro_fn *fn, void *arg,
                                          const struct ouro_site *site);

/**
 * ouro_go_at - the function behind ouro_go()
 * @fn: its body
 * @arg: passed to it
 * @site: as that of ouro_create_task_at()
 *
 * Returns: as ouro_go().
 */
OURO_API int ouro_go_at(ouro_fn *fn, void *arg, const struct ouro_site *site);

/**
 * ouro_create_task_with - ouro_create_task() with options
 * @options: see struct ouro_task_options; NULL for the defaults
 * @fn: its body
 * @arg: passed to it
 *
 * A task that can never start (its stack cannot be mapped even with no other task left) ends with -ENOMEM
 * after options->drop(arg) has been called, on the loop's thread, outside any task. The same holds for one
 * that could not be created: drop has then been called before this returns.
 *
 * Returns: as ouro_create_task().
 */
#define ouro_create_task_with(options, fn, arg)                                                              \
        ouro_create_task_with_at((options), (fn), (arg), OURO_HERE_(#fn))

/**
 * ouro_create_task_with_at - the function behind ouro_create_task_with()
 * @options: see struct ouro_task_options; NULL for the defaults
 * @fn: its body
 * @arg: passed to it
 * @site: as that of ouro_create_task_at(); options->name outranks its name
 *
 * Returns: as ouro_create_task_with().
 */
OURO_API ouro_task ouro_create_task_with_at(const struct ouro_task_options *options, ouro_fn *fn, void *arg,
                                            const struct ouro_site *site);

/**
 * ouro_self - the calling task
 *
 * Returns: its handle, or OURO_NO_TASK outside a task.
 */
OURO_API ouro_task ouro_self(void);

/**
 * ouro_await - wait until a task has ended, and take its result
 * @task: consumed when this returns its result; left alone when the wait is cut short
 *
 * Tasks that wait for the same one all get its result; later calls get -ESRCH.
 *
 * Returns: the result of the task, or
 *   -ESRCH: stale or foreign handle
 *   -EDEADLK: the caller itself
 *   -ECANCELED, -ETIME: the wait was cut short; ouro_task_state() and ouro_cancelled() tell whether it was
 *   the task's own outcome
 */
OURO_API intptr_t ouro_await(ouro_task task);

/**
 * ouro_wait - wait until a task has ended, and leave its result where it is
 * @task: any task of this loop
 *
 * Returns: 0, -ESRCH, -EDEADLK, -ECANCELED or -ETIME.
 */
OURO_API int ouro_wait(ouro_task task);

/**
 * ouro_gather - wait until all of several tasks have ended, and take their results
 * @tasks: consumed, all of them; one that stands in it twice gives the same result twice
 * @n: how many; 0 returns 0 without waiting
 * @ret_results: n results, also when the return value is an error of a member; may be NULL
 *
 * Cut short, it cancels them all and waits for them; then every result is filled in too. Refused (the
 * errors below from -EINVAL on), it has consumed and cancelled nothing and filled in nothing.
 *
 * Returns: 0 if none failed, else the error that came first; cut short, -ECANCELED or -ETIME, or the
 * error of the member whose failure cut it short (a fail-fast group), or
 *   -EINVAL: tasks is NULL and n is not 0
 *   -ESRCH: one of the handles is stale or foreign
 *   -EDEADLK: one is the caller itself
 *   -EBUSY: 65,535 places in gathers hold one of them already
 *   -ECANCELED, -ETIME: on entry
 */
OURO_API int ouro_gather(const ouro_task *tasks, size_t n, intptr_t *ret_results);

/**
 * ouro_wait_first - wait until one of several tasks has ended
 * @tasks: left alone, also the one that ended; entries equal to OURO_NO_TASK are passed over
 * @n: how many
 *
 * Returns: the index of the one that ended first (the lowest, if several had ended before the call), or
 *   -EINVAL: tasks is NULL or holds nothing to wait for
 *   -ESRCH, -EDEADLK, -ECANCELED, -ETIME, -ENOMEM
 */
OURO_API ssize_t ouro_wait_first(const ouro_task *tasks, size_t n);

typedef struct ouro_completions ouro_completions;

/**
 * ouro_as_completed - go through tasks in the order in which they end
 * @tasks: read once, now; none is consumed
 * @n: how many
 * @ret_completions: to be freed by ouro_completions_free(), by the same task
 *
 * Those that have ended before the call come first, in the order of the array.
 *
 * Returns: 0, -EINVAL, -ESRCH, -EDEADLK or -ENOMEM. Does not wait.
 */
OURO_API int ouro_as_completed(const ouro_task *tasks, size_t n, ouro_completions **ret_completions);

/**
 * ouro_completions_next - wait for the next task to end
 * @completions: from ouro_as_completed()
 *
 * Returns: its index, -ENOENT when each has been told, -ECANCELED or -ETIME (then call again later), or
 * -EPERM from a task that is not the maker.
 */
OURO_API ssize_t ouro_completions_next(ouro_completions *completions);

/**
 * ouro_completions_free - stop watching
 * @completions: may be NULL
 */
OURO_API void ouro_completions_free(ouro_completions *completions);

/**
 * ouro_wait_for - await a task for a limited time, and cancel it then
 * @task: consumed
 * @ns: zero or less: cancel unless it has ended already; OURO_FOREVER: only the caller's own deadlines count
 *
 * Cut short by the deadline or by a cancellation of the caller, it cancels the task and waits until it
 * has ended. If the task then ends with a result of its own after all, that is returned.
 *
 * Returns: the result of the task; -ETIME at the deadline; -ECANCELED or -ETIME, the caller being cut
 * short; -ESRCH, -EDEADLK, -EBUSY (as ouro_gather()).
 */
OURO_API intptr_t ouro_wait_for(ouro_task task, int64_t ns);

/**
 * ouro_cancel - ask a task to end
 * @task: a coroutine or a job; itself is allowed
 *
 * Cancellation is a state: from now on each of the task's calls that may wait fails with -ECANCELED,
 * until it returns (a shield holds that off). A queued job never starts. Of a running thread job the
 * token is set, see ouro_job_cancelled(). Cancelling twice, or a task that has ended, does nothing.
 *
 * Returns: 0 or -ESRCH. Does not wait; await the task for that. From a thread without the task's loop:
 * -EPERM; use ouro_post().
 */
OURO_API int ouro_cancel(ouro_task task);

/* Why a task was cancelled. */
enum ouro_reason {
        OURO_NOT_CANCELLED,
        OURO_CANCEL_ASKED,    /* ouro_cancel(), or the gather or wait_for that it belonged to was cut short */
        OURO_CANCEL_SIBLING,  /* another member of its fail-fast group failed */
        OURO_CANCEL_LEFT,     /* its group was left early, or the group's owner was cancelled */
        OURO_CANCEL_TIME,     /* a time scope around its group expired */
        OURO_CANCEL_END,      /* the main task returned, or somebody closes the loop */
        OURO_CANCEL_ENOUGH,   /* as many other members of its group have succeeded as were wanted */
        OURO_CANCEL_SIGNAL,   /* the main task only: see OURO_INTERRUPT_SIGINT */
        OURO_CANCEL_DEADLOCK, /* every task waited for another, and main for its group */
};

/**
 * ouro_cancelled - why a task was cancelled
 * @task: any task of this loop whose result has not been consumed
 *
 * Returns: one of enum ouro_reason (0: it was not), or -ESRCH.
 */
OURO_API int ouro_cancelled(ouro_task task);

enum ouro_state {
        OURO_STATE_READY = 1, /* will run when its turn comes */
        OURO_STATE_RUNNING,   /* the caller itself */
        OURO_STATE_WAITING,   /* for another task, an operation, a timer; or it is a job that is not done */
        OURO_STATE_ENDED,     /* its result waits to be consumed */
};

/**
 * ouro_task_state - what a task is doing
 * @task: any task of this loop
 *
 * Returns: one of enum ouro_state, or -ESRCH.
 */
OURO_API int ouro_task_state(ouro_task task);

/**
 * ouro_task_name - the name of a task
 * @task: any task of this loop
 *
 * Returns: the name it was created with, borrowed like that; NULL for a stale or foreign handle.
 */
OURO_API const char *ouro_task_name(ouro_task task);

/**
 * ouro_set_priority - change the priority of a task
 * @task: any task of this loop
 * @priority: OURO_PRIORITY_LOW or OURO_PRIORITY_NORMAL
 *
 * A task that is ready keeps its place in the queue for one more turn.
 *
 * Returns: 0, or
 *   -EINVAL: another priority, or the task of a job, whose priority is one of its options
 *   -ESRCH: stale or foreign handle
 *   -EPERM: outside a task
 */
OURO_API int ouro_set_priority(ouro_task task, enum ouro_priority priority);

/**
 * ouro_sleep - wait for a time
 * @ns: zero or less: one turn of the ready queue, as ouro_yield()
 *
 * Sleeps begun in one pass of the loop share one reading of the clock, that of ouro_now(); by it, none ends
 * early. What a task computes before it sleeps, in the same pass, counts as slept. The real clock is kept in
 * ticks of 65,536 ns.
 *
 * Returns: 0, -ECANCELED or -ETIME.
 */
OURO_API int ouro_sleep(int64_t ns);

/**
 * ouro_yield - let every other ready task run once
 *
 * A task of low priority lets all others run, as often as they are ready.
 *
 * Returns: 0, -ECANCELED or -ETIME.
 */
OURO_API int ouro_yield(void);

/**
 * ouro_now - the loop's clock
 *
 * One reading serves a whole pass of the loop.
 *
 * Returns: nanoseconds since an arbitrary point (the virtual clock: since the start of the run), or -EPERM.
 */
OURO_API int64_t ouro_now(void);

typedef struct ouro_loop ouro_loop;

/**
 * ouro_this_loop - the loop of this thread
 *
 * Returns: the loop, valid until its ouro_run() returns; NULL outside ouro_run().
 */
OURO_API ouro_loop *ouro_this_loop(void);

/**
 * ouro_post - run a function as a root task of a loop, from any thread
 * @loop: one that runs; the caller sees to it that its ouro_run() has not returned
 * @fn: its body
 * @arg: passed to it
 *
 * Functions posted by one thread start in the order of posting. What is posted after the main task has
 * returned still starts, cancelled, as long as the run has not ended.
 *
 * Returns: 0, -EINVAL, -ENOMEM, -ESHUTDOWN: the run has ended, or -EPERM: the loop is that of the process
 * that this one was forked from. Threads: from anywhere but a signal handler. Never waits.
 */
OURO_API int ouro_post(ouro_loop *loop, ouro_fn *fn, void *arg);

/* ---- groups, time scopes, shields ------------------------------------------------------------- */

/* The three are opened and left in order, like brackets, by the task that opened them, and lie where the
 * caller puts them, usually on its stack; their fields are the library's own. Leaving one out of order
 * gives -EINVAL, from another task -EPERM. A task that returns with one still open has lent it memory
 * that is gone: that ends the process with one line. The block macros cannot be used wrongly so. */
struct ouro_context {
        struct ouro_context *outer;
        void *owner;
        int kind;
        int state;
};

struct ouro_list {
        struct ouro_list *next;
        struct ouro_list *prev;
};

struct ouro_outcome;

struct ouro_group {
        struct ouro_context context;
        struct ouro_list members;
        size_t live;
        int error;
        int flags;
        int *ret_error;
        const char *text; /* this and origin: once it is cancelled */
        ouro_task origin;
        size_t successes; /* this and what follows: opened with options */
        size_t ended;
        size_t succeeded;
        struct ouro_outcome *outcomes;
        size_t outcomes_len;
        size_t *ret_ended;
        size_t *ret_succeeded;
};

struct ouro_timer {
        struct ouro_list link;
        uint64_t deadline;
};

struct ouro_scope {
        struct ouro_context context;
        struct ouro_timer timer;
        bool *ret_expired;
        const char *text; /* this and origin: once it is cancelled */
        ouro_task origin;
};

enum {
        OURO_GROUP_KEEP = 1, /* keep going: a member's failure does not cancel the others */
};

/**
 * OURO_GROUP - a block whose tasks have ended when it is left
 *
 * OURO_GROUP(g) { ... } or OURO_GROUP(g, &error) { ... }; inside, g is a struct ouro_group *. Tasks
 * created inside belong to it. However the block is left, its members are awaited; left early (break,
 * return, goto, a C++ exception, a cancellation), they are cancelled first. break and continue bind to the
 * block. What members borrow must be declared before the group.
 *
 * The group is fail-fast: when a member ends with an error (-ECANCELED is none), its siblings are
 * cancelled, the owner's waits inside the block end with -ECANCELED, and error is that error. Else error
 * is -ECANCELED or -ETIME if the owner was cut short inside the block, or 0.
 */
#define OURO_GROUP(...) OURO_GROUP_(OURO_UNIQUE(ouro_group_), 0, __VA_ARGS__, NULL, 0)

/**
 * OURO_GROUP_KEEP_GOING - a group whose members do not cancel each other
 *
 * As OURO_GROUP, but a member's error is only kept: error is the first.
 */
#define OURO_GROUP_KEEP_GOING(...)                                                                           \
        OURO_GROUP_(OURO_UNIQUE(ouro_group_), OURO_GROUP_KEEP, __VA_ARGS__, NULL, 0)

/**
 * OURO_TIMEOUT - a block with a deadline
 *
 * OURO_TIMEOUT(ns) { ... } or OURO_TIMEOUT(ns, &expired) { ... }, expired a bool declared before. It
 * bounds what its own task awaits inside it, at whatever depth, and the groups opened inside it: what it
 * cuts ends with -ETIME, and so does each later wait until the block is left. Scopes nest and the tightest
 * wins. The members of a group that it cuts are cancelled. ns of zero or less has expired already;
 * OURO_FOREVER never does.
 *
 * A scope bounds when cancellation is asked. The return may come later where the target cannot be stopped.
 */
#define OURO_TIMEOUT(...) OURO_TIMEOUT_(OURO_UNIQUE(ouro_scope_), __VA_ARGS__, NULL, 0)

/**
 * OURO_SHIELD - a block that cancellation and outer time scopes do not reach
 *
 * OURO_SHIELD { ... }, for clean-up that must wait. Put an OURO_TIMEOUT inside it.
 */
#define OURO_SHIELD OURO_SHIELD_(OURO_UNIQUE(ouro_shield_))

/**
 * ouro_group_open - open a group, the function form of OURO_GROUP
 * @group: memory for it, to stay in place until it is closed
 * @flags: 0 or OURO_GROUP_KEEP
 * @ret_error: set when the group closes; may be NULL
 *
 * Returns: group; outside a task a group that is not open. NULL for NULL.
 */
OURO_API struct ouro_group *ouro_group_open(struct ouro_group *group, int flags, int *ret_error);

/**
 * ouro_group_close - wait for the members of a group and close it
 * @group: the innermost that the caller has open
 *
 * Never cut short; but if the caller is cancelled, or becomes so, the members are cancelled. Handles of
 * members whose result nobody took are stale afterwards.
 *
 * Returns: 0, the error of the member that failed first, -ECANCELED or -ETIME if the caller was cut short,
 * -EINVAL (not the innermost, or not open) or -EPERM (not the caller's).
 */
OURO_API int ouro_group_close(struct ouro_group *group);

/**
 * ouro_group_cancel - cancel every member of a group
 * @group: any open group of this loop
 *
 * Those to come are cancelled too. The owner is no member: its own waits go on. A member that ends with
 * -ECANCELED is no failure: if all do, the group closes with 0 (one with successes wanted: -ENOENT).
 *
 * Returns: 0; -EINVAL: not open; -EPERM: another loop's.
 */
OURO_API int ouro_group_cancel(struct ouro_group *group);

/**
 * ouro_scope_open - open a time scope, the function form of OURO_TIMEOUT
 * @scope: memory for it, to stay in place until it is closed
 * @ns: from now; zero or less has expired already, OURO_FOREVER never does
 * @ret_expired: set when the scope closes; may be NULL
 *
 * Returns: scope; outside a task one that is not open. NULL for NULL.
 */
OURO_API struct ouro_scope *ouro_scope_open(struct ouro_scope *scope, int64_t ns, bool *ret_expired);

/**
 * ouro_scope_expired - whether a scope's deadline has passed
 * @scope: open, or closed and still in place
 */
OURO_API bool ouro_scope_expired(const struct ouro_scope *scope);

/**
 * ouro_scope_close - leave a time scope or a shield. Never waits.
 * @scope: the innermost that the caller has open
 *
 * Returns: 1 if it has expired, 0 if not, -EINVAL (not the innermost, or not open) or -EPERM.
 */
OURO_API int ouro_scope_close(struct ouro_scope *scope);

/**
 * ouro_shield_open - open a shield, the function form of OURO_SHIELD
 * @shield: memory for it, to stay in place until ouro_scope_close()
 *
 * Returns: shield; outside a task one that is not open. NULL for NULL.
 */
OURO_API struct ouro_scope *ouro_shield_open(struct ouro_scope *shield);

/* ---- log and memory --------------------------------------------------------------------------- */

enum ouro_log_level {
        OURO_LOG_ERROR,
        OURO_LOG_WARNING,
        OURO_LOG_INFO,
};

typedef void ouro_log_fn(enum ouro_log_level level, const char *message, void *arg);

/**
 * ouro_set_log - where the library's messages go
 * @fn: called with one line without its newline, from whichever thread has something to tell; must not
 * call the library. NULL restores the default: errors and warnings to stderr
 * @arg: passed to it
 *
 * Threads: from anywhere, best before the first ouro_run().
 */
OURO_API void ouro_set_log(ouro_log_fn *fn, void *arg);

struct ouro_allocator {
        void *(*allocate)(size_t bytes, void *arg); /* aligned as malloc() does, or NULL */
        void (*release)(void *ptr, size_t bytes, void *arg);
        void *arg;
};

/**
 * ouro_set_allocator - where the library's small memory comes from
 * @allocator: copied; NULL restores malloc() and free()
 *
 * Both functions are called from several threads. Stacks, task records and rings are mapped instead.
 *
 * Returns: 0; -EBUSY: memory of the old one is in use; -EINVAL: a function is NULL. Threads: from anywhere.
 */
OURO_API int ouro_set_allocator(const struct ouro_allocator *allocator);

/* ---- what the macros stand on ----------------------------------------------------------------- */

OURO_API void ouro_group_leave(struct ouro_group *group);
OURO_API void ouro_scope_leave(struct ouro_scope *scope);

#define OURO_CONCAT_(a, b) a##b
#define OURO_CONCAT(a, b) OURO_CONCAT_(a, b)
#define OURO_UNIQUE(prefix) OURO_CONCAT(prefix, __COUNTER__)

#ifdef __cplusplus
} /* extern "C" */

template <class T> inline T ouro_sized()
{
        T options = T();

        options.size = sizeof options;
        return options;
}
#endif

/* A pointer to a static struct ouro_site. Nothing of the caller's is evaluated in the block: what is made
 * there, such as a compound literal, would not outlive it. */
#define OURO_HERE_(name) OURO_HERE_AS_(OURO_UNIQUE(ouro_site_), name)
#define OURO_HERE_AS_(id, name)                                                                              \
        __extension__({                                                                                      \
                static const struct ouro_site id = {name, __func__, __FILE__, __LINE__};                     \
                &id;                                                                                         \
        })
#define OURO_GROUP_HOLDER_(id) struct ouro_group id __attribute__((cleanup(ouro_group_leave)))
#define OURO_SCOPE_HOLDER_(id) struct ouro_scope id __attribute__((cleanup(ouro_scope_leave)))
#define OURO_GROUP_(id, flags, g, ret, ...)                                                                  \
        for (OURO_GROUP_HOLDER_(id), *g = ouro_group_open(&id, flags, ret); g != NULL;                       \
             ouro_group_close(g), g = NULL)
#define OURO_TIMEOUT_(id, ns, ret, ...)                                                                      \
        for (OURO_SCOPE_HOLDER_(id), *OURO_CONCAT(id, _p) = ouro_scope_open(&id, ns, ret);                   \
             OURO_CONCAT(id, _p) != NULL; ouro_scope_close(OURO_CONCAT(id, _p)), OURO_CONCAT(id, _p) = NULL)
#define OURO_SHIELD_(id)                                                                                     \
        for (OURO_SCOPE_HOLDER_(id), *OURO_CONCAT(id, _p) = ouro_shield_open(&id);                           \
             OURO_CONCAT(id, _p) != NULL; ouro_scope_close(OURO_CONCAT(id, _p)), OURO_CONCAT(id, _p) = NULL)

#include "ouro/group.h"
#include "ouro/io.h"
#include "ouro/dir.h"
#include "ouro/copy.h"
#include "ouro/whole.h"
#include "ouro/file_lock.h"
#include "ouro/file_watch.h"
#include "ouro/stream.h"
#include "ouro/relay.h"
#include "ouro/file.h"
#include "ouro/transfer.h"
#include "ouro/buffer.h"
#include "ouro/net.h"
#include "ouro/resolve.h"
#include "ouro/channel.h"
#include "ouro/broadcast.h"
#include "ouro/sync.h"
#include "ouro/select.h"
#include "ouro/signal.h"
#include "ouro/serve.h"
#include "ouro/info.h"
#include "ouro/local.h"
#include "ouro/job.h"
#include "ouro/pool.h"
#include "ouro/process.h"
#include "ouro/terminal.h"
#include "ouro/loops.h"

#endif /* OURO_H */
