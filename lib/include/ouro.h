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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
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
                               kernel operation is pending; while one is, it runs with real time */
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
        int64_t spin_ns;         /* poll this long before sleeping while jobs are out; default 20 us,
                                    less than zero: never */
        bool report_stack_overflow; /* name the task that ran into its guard page, before dying of it.
                                       Installs a SIGSEGV and SIGBUS handler that chains to the old one */
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

/* What a task is made with. Begin with OURO_TASK_OPTIONS_INIT; zero always means the default. */
struct ouro_task_options {
        size_t size;              /* sizeof(struct ouro_task_options) */
        const char *name;         /* borrowed until the task ends; default: the function's name */
        struct ouro_group *group; /* default: the innermost group open in the creator, else the root */
        size_t stack_bytes;       /* guard page included; default: that of the run, least 16 KiB */
        void (*drop)(void *arg);  /* called with arg if the task can never start */
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
#define ouro_create_task(fn, arg) ouro_create_task_named((fn), (arg), #fn)

/**
 * ouro_create_task_in - ouro_create_task() in a given group
 * @group: a group of this loop that is open
 * @fn: its body
 * @arg: passed to it
 *
 * Returns: as ouro_create_task(); a handle that has ended with -EINVAL if the group is not open.
 */
#define ouro_create_task_in(group, fn, arg) ouro_create_task_in_named((group), (fn), (arg), #fn)

/**
 * ouro_go - create a task that nobody will await: nothing of it stays when it ends
 * @fn: its body
 * @arg: passed to it
 *
 * Returns: 0, -ENOMEM, -EINVAL or -EPERM.
 */
#define ouro_go(fn, arg) ouro_go_named((fn), (arg), #fn)

/**
 * ouro_create_task_named - the function behind ouro_create_task()
 * @fn: its body
 * @arg: passed to it
 * @name: borrowed until the task ends
 *
 * Returns: as ouro_create_task().
 */
OURO_API ouro_task ouro_create_task_named(ouro_fn *fn, void *arg, const char *name);

/**
 * ouro_create_task_in_named - the function behind ouro_create_task_in()
 * @group: a group of this loop that is open
 * @fn: its body
 * @arg: passed to it
 * @name: borrowed until the task ends
 *
 * Returns: as ouro_create_task_in().
 */
OURO_API ouro_task ouro_create_task_in_named(struct ouro_group *group, ouro_fn *fn, void *arg,
                                             const char *name);

/**
 * ouro_go_named - the function behind ouro_go()
 * @fn: its body
 * @arg: passed to it
 * @name: borrowed until the task ends
 *
 * Returns: as ouro_go().
 */
OURO_API int ouro_go_named(ouro_fn *fn, void *arg, const char *name);

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
OURO_API ouro_task ouro_create_task_with(const struct ouro_task_options *options, ouro_fn *fn, void *arg);

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
        OURO_CANCEL_ASKED,   /* ouro_cancel(), or the gather or wait_for that it belonged to was cut short */
        OURO_CANCEL_SIBLING, /* another member of its fail-fast group failed */
        OURO_CANCEL_LEFT,    /* its group was left early, or the group's owner was cancelled */
        OURO_CANCEL_TIME,    /* a time scope around its group expired */
        OURO_CANCEL_END,     /* the main task returned */
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
 * Returns: 0, -EINVAL, -ENOMEM, or -ESHUTDOWN: the run has ended. Threads: from anywhere but a signal
 * handler. Never waits.
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

struct ouro_group {
        struct ouro_context context;
        struct ouro_list members;
        size_t live;
        int error;
        int flags;
        int *ret_error;
};

struct ouro_timer {
        struct ouro_list link;
        uint64_t deadline;
};

struct ouro_scope {
        struct ouro_context context;
        struct ouro_timer timer;
        bool *ret_expired;
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
 * Returns: 0, -EINVAL, -EPERM.
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

/* ---- files and pipes -------------------------------------------------------------------------- */

/* All take plain descriptors, blocking or not: O_NONBLOCK neither shows nor is ever set. Descriptors made
 * here are close-on-exec. No write raises SIGPIPE. */

/**
 * ouro_openat - open a file, see openat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @flags: O_... flags; O_CLOEXEC is added
 * @mode: of a new file
 *
 * A file that was opened just as the call was cancelled is returned, not lost. The epoll backend cannot cut
 * short the opening of a FIFO that waits for its peer: O_RDWR, or O_NONBLOCK to read, does not wait.
 *
 * Returns: a descriptor, -EINVAL (path is NULL), -ECANCELED, -ETIME or an errno of openat(2).
 */
OURO_API int ouro_openat(int dirfd, const char *path, int flags, mode_t mode);

/**
 * ouro_read - read at the file's position, see read(2)
 * @fd: file, pipe, socket, terminal, eventfd
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are read at a time
 *
 * Returns: bytes read, 0 at the end; -EBADF, -EINVAL (buf is NULL and len is not 0), -ECANCELED, -ETIME or
 * an errno of read(2), never -EAGAIN or -EINTR.
 */
OURO_API ssize_t ouro_read(int fd, void *buf, size_t len);

/**
 * ouro_write - write at the file's position, see write(2)
 * @fd: file, pipe, socket, terminal, eventfd
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are written at a time
 *
 * Returns: bytes written, maybe fewer than len; -EPIPE, and errors as ouro_read().
 */
OURO_API ssize_t ouro_write(int fd, const void *buf, size_t len);

/**
 * ouro_pread - read at an offset, see pread(2)
 * @fd: a file
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are read at a time
 * @offset: in bytes, zero or more
 *
 * Returns: as ouro_read(); -EINVAL for a negative offset, -ESPIPE where there is no position.
 */
OURO_API ssize_t ouro_pread(int fd, void *buf, size_t len, off_t offset);

/**
 * ouro_pwrite - write at an offset, see pwrite(2)
 * @fd: a file
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are written at a time
 * @offset: in bytes, zero or more
 *
 * Returns: as ouro_write(); -EINVAL for a negative offset, -ESPIPE where there is no position.
 */
OURO_API ssize_t ouro_pwrite(int fd, const void *buf, size_t len, off_t offset);

/**
 * ouro_write_all - write until everything is written
 * @fd: as ouro_write()
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already written, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; else an error of ouro_write(), and *inout_done tells how
 * far it came. -EINVAL if *inout_done exceeds len.
 */
OURO_API int ouro_write_all(int fd, const void *buf, size_t len, size_t *inout_done);

/**
 * ouro_read_all - read until the buffer is full
 * @fd: as ouro_read()
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already filled, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; -ENODATA if the end came first; else as ouro_write_all().
 */
OURO_API int ouro_read_all(int fd, void *buf, size_t len, size_t *inout_done);

/**
 * ouro_pwrite_all - write everything at an offset
 * @fd: a file
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @offset: of buf's first byte in the file
 * @inout_done: bytes of buf already written, in and out; NULL counts from 0
 *
 * Returns: as ouro_write_all().
 */
OURO_API int ouro_pwrite_all(int fd, const void *buf, size_t len, off_t offset, size_t *inout_done);

/**
 * ouro_pread_all - fill a buffer from an offset
 * @fd: a file
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @offset: of buf's first byte in the file
 * @inout_done: bytes of buf already filled, in and out; NULL counts from 0
 *
 * Returns: as ouro_read_all().
 */
OURO_API int ouro_pread_all(int fd, void *buf, size_t len, off_t offset, size_t *inout_done);

/**
 * ouro_fsync - make a file durable, see fsync(2)
 * @fd: a file or directory
 *
 * Returns: 0, -EBADF, -ECANCELED, -ETIME or an errno of fsync(2). Once started it cannot be stopped.
 */
OURO_API int ouro_fsync(int fd);

/**
 * ouro_fdatasync - make a file's data durable, see fdatasync(2)
 * @fd: a file
 *
 * Returns: as ouro_fsync().
 */
OURO_API int ouro_fdatasync(int fd);

struct statx;

/**
 * ouro_statx - ask about a file, see statx(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; "" with AT_EMPTY_PATH for dirfd itself
 * @flags: AT_... flags
 * @mask: STATX_... bits wanted
 * @ret_statx: filled in on success (include <sys/stat.h> or <linux/stat.h>)
 *
 * Returns: 0, -EINVAL (NULL path or ret_statx), -ECANCELED, -ETIME or an errno of statx(2).
 */
OURO_API int ouro_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_statx);

/**
 * ouro_unlinkat - remove a name, see unlinkat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @flags: 0 or AT_REMOVEDIR
 *
 * Returns: 0, -EINVAL (path is NULL), -ECANCELED, -ETIME or an errno of unlinkat(2).
 */
OURO_API int ouro_unlinkat(int dirfd, const char *path, int flags);

/**
 * ouro_renameat - change a name, see renameat2(2)
 * @old_dirfd: a directory, or AT_FDCWD
 * @old_path: relative to it
 * @new_dirfd: a directory, or AT_FDCWD
 * @new_path: relative to it
 * @flags: 0 or RENAME_... flags
 *
 * Returns: 0, -EINVAL (a path is NULL), -ECANCELED, -ETIME or an errno of renameat2(2).
 */
OURO_API int ouro_renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                           unsigned flags);

/**
 * ouro_open - ouro_openat() from the working directory
 * @path: of the file
 * @flags: O_... flags; O_CLOEXEC is added
 * @mode: of a new file
 *
 * Returns: as ouro_openat().
 */
OURO_API int ouro_open(const char *path, int flags, mode_t mode);

/**
 * ouro_unlink - remove a file's name, from the working directory
 * @path: of the file
 *
 * Returns: as ouro_unlinkat().
 */
OURO_API int ouro_unlink(const char *path);

/**
 * ouro_rename - change a file's name, from the working directory
 * @old_path: its name
 * @new_path: replaced if it exists
 *
 * Returns: as ouro_renameat().
 */
OURO_API int ouro_rename(const char *old_path, const char *new_path);

/**
 * ouro_close - close a descriptor. Never cut short.
 * @fd: any descriptor
 *
 * Waits on it by other tasks of this loop end first, with -EBADF; their buffers are theirs again before
 * the number can be used anew. Acts also in a cancelled task.
 *
 * Returns: 0, -EBADF (also for one that another task is closing), or an errno of close(2), the descriptor
 * being closed all the same.
 */
OURO_API int ouro_close(int fd);

/**
 * ouro_poll - wait until a descriptor is ready, see poll(2)
 * @fd: any descriptor; a regular file is always ready
 * @events: POLLIN, POLLOUT, POLLPRI, POLLRDHUP
 *
 * Returns: the events that have come (POLLERR, POLLHUP and POLLRDHUP may be among them unasked), more than 0;
 * -EINVAL for no or unknown events, -EBADF, -ECANCELED, -ETIME.
 */
OURO_API int ouro_poll(int fd, unsigned events);

/* ---- sockets ---------------------------------------------------------------------------------- */

/**
 * ouro_socket - make a socket, see socket(2). Never waits.
 * @domain: AF_INET, AF_INET6, AF_UNIX, ...
 * @type: SOCK_STREAM, ...; SOCK_CLOEXEC is added
 * @protocol: usually 0
 *
 * Returns: a descriptor, or an errno of socket(2).
 */
OURO_API int ouro_socket(int domain, int type, int protocol);

/**
 * ouro_bind - give a socket its address, see bind(2). Never waits.
 * @fd: a socket
 * @addr: the address
 * @len: of addr, in bytes
 *
 * Returns: 0, -EINVAL (addr is NULL), or an errno of bind(2).
 */
OURO_API int ouro_bind(int fd, const struct sockaddr *addr, socklen_t len);

/**
 * ouro_listen_on - let a bound socket accept connections, see listen(2). Never waits.
 * @fd: a bound socket
 * @backlog: connections that may wait to be accepted; zero or less for SOMAXCONN
 *
 * Returns: 0, or an errno of listen(2).
 */
OURO_API int ouro_listen_on(int fd, int backlog);

/**
 * ouro_listen - a listening socket by address text
 * @address: "tcp:HOST:PORT" (numeric, "tcp:127.0.0.1:7000", "tcp:[::1]:7000", port 0 for any, host
 * empty or "*" for all of both families), "unix:/path" or "unix:@abstract"
 *
 * TCP listeners have SO_REUSEADDR. Names are not resolved here. A unix path must not exist.
 *
 * Returns: a descriptor; -EINVAL for a malformed or NULL address, or an errno of socket(2), bind(2) or
 * listen(2). Never waits.
 */
OURO_API int ouro_listen(const char *address);

/**
 * ouro_dial - connect by address text
 * @address: as ouro_listen(); a host and a port that is not 0 must be there
 *
 * TCP connections have TCP_NODELAY.
 *
 * Returns: a connected descriptor; -EINVAL for a malformed or NULL address, -ECANCELED, -ETIME, or an
 * errno of socket(2) or connect(2).
 */
OURO_API int ouro_dial(const char *address);

/**
 * ouro_accept - accept a connection, see accept4(2)
 * @fd: a listening socket
 * @addr: the peer's address; may be NULL
 * @len: in: room at addr, out: bytes of the address; NULL if addr is
 *
 * A connection that was accepted just as the call was cancelled is returned, not lost. TCP connections
 * inherit the listener's options; a listener of ouro_listen() passes on TCP_NODELAY.
 *
 * Returns: a descriptor, -EBADF, -EINVAL, -EMFILE, -ENFILE, -ECANCELED, -ETIME or an errno of accept4(2).
 */
OURO_API int ouro_accept(int fd, struct sockaddr *addr, socklen_t *len);

/**
 * ouro_connect - connect a socket, see connect(2)
 * @fd: a socket
 * @addr: lent until the call returns
 * @len: of addr, in bytes
 *
 * Returns: 0, -EBADF, -EINVAL (addr is NULL), -ECANCELED, -ETIME or an errno of connect(2), never
 * -EINPROGRESS. After -ECANCELED or -ETIME the socket's state is unknown: close it.
 */
OURO_API int ouro_connect(int fd, const struct sockaddr *addr, socklen_t len);

/**
 * ouro_recv - receive from a socket, see recv(2)
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are received at a time
 * @flags: MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB; MSG_DONTWAIT is -EINVAL
 *
 * Returns: bytes received, 0 when the peer has ended its side; -EBADF, -EINVAL (buf is NULL and len is
 * not 0), -ECANCELED, -ETIME or an errno of recv(2), never -EAGAIN or -EINTR.
 */
OURO_API ssize_t ouro_recv(int fd, void *buf, size_t len, int flags);

/**
 * ouro_send - send on a socket, see send(2)
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are sent at a time
 * @flags: MSG_MORE, MSG_OOB, MSG_EOR; MSG_NOSIGNAL is added; MSG_DONTWAIT is -EINVAL
 *
 * Returns: bytes sent, maybe fewer than len; -EPIPE, -EBADF, -EINVAL, -ECANCELED, -ETIME or an errno of
 * send(2), never -EAGAIN or -EINTR.
 */
OURO_API ssize_t ouro_send(int fd, const void *buf, size_t len, int flags);

/**
 * ouro_send_all - send until everything is sent
 * @fd: a stream socket
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already sent, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; else an error of ouro_send(), and *inout_done tells how
 * far it came. -EINVAL if *inout_done exceeds len.
 */
OURO_API int ouro_send_all(int fd, const void *buf, size_t len, size_t *inout_done);

/**
 * ouro_recv_all - receive until the buffer is full
 * @fd: a stream socket
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already filled, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; -ENODATA if the peer ended its side first; else as
 * ouro_send_all().
 */
OURO_API int ouro_recv_all(int fd, void *buf, size_t len, size_t *inout_done);

/**
 * ouro_recvmsg - receive with address, vectors and control data, see recvmsg(2)
 * @fd: a socket
 * @msg: it and all that it points to is lent until the call returns; outputs as recvmsg(2)
 * @flags: as ouro_recv(), and MSG_CMSG_CLOEXEC
 *
 * Returns: as ouro_recv().
 */
OURO_API ssize_t ouro_recvmsg(int fd, struct msghdr *msg, int flags);

/**
 * ouro_sendmsg - send with address, vectors and control data, see sendmsg(2)
 * @fd: a socket
 * @msg: it and all that it points to is lent until the call returns
 * @flags: as ouro_send()
 *
 * Returns: as ouro_send().
 */
OURO_API ssize_t ouro_sendmsg(int fd, const struct msghdr *msg, int flags);

/**
 * ouro_shutdown - end one or both sides of a connection, see shutdown(2)
 * @fd: a connected socket
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * Never cut short: it acts also in a cancelled task.
 * Returns: 0, -EBADF, -EINVAL or an errno of shutdown(2).
 */
OURO_API int ouro_shutdown(int fd, int how);

/* ---- waiting for each other ------------------------------------------------------------------- */

/* These belong to one loop: the tasks that use one all run on the same thread. Every wait queue is first
 * come, first served, and whoever is woken has what it waited for: nobody can overtake it. A call on one
 * that tasks of another loop are using is -EPERM. */

typedef struct ouro_chan ouro_chan;

/**
 * ouro_chan_new - make a channel
 * @item_bytes: size of an item, copied in and out; 0 for a bare signal
 * @capacity: items it holds; 0: a rendezvous, where a send waits for its receiver
 *
 * Returns: a channel to be freed by ouro_chan_free(), or NULL: out of memory, or the product overflows.
 * Threads: from anywhere; it belongs to the loop that first uses it.
 */
OURO_API ouro_chan *ouro_chan_new(size_t item_bytes, size_t capacity);

/**
 * ouro_chan_free - free a channel, with the items that are still in it
 * @chan: may be NULL
 *
 * Returns: 0, or -EBUSY: tasks wait on it, and nothing was freed.
 */
OURO_API int ouro_chan_free(ouro_chan *chan);

/**
 * ouro_chan_send - put an item in, waiting for room
 * @chan: a channel
 * @item: item_bytes bytes, copied before the call returns 0
 *
 * Returns: 0; -EPIPE: closed; -EINVAL: NULL; -ECANCELED or -ETIME: the item was not sent.
 */
OURO_API int ouro_chan_send(ouro_chan *chan, const void *item);

/**
 * ouro_chan_recv - take an item out, waiting for one
 * @chan: a channel
 * @ret_item: item_bytes bytes
 *
 * Returns: 0; -EPIPE: closed and drained; -EINVAL: NULL; -ECANCELED or -ETIME: no item was taken.
 */
OURO_API int ouro_chan_recv(ouro_chan *chan, void *ret_item);

/**
 * ouro_chan_try_send - ouro_chan_send() that does not wait
 * @chan: a channel
 * @item: item_bytes bytes
 *
 * Returns: 0; -EAGAIN: full (a rendezvous: nobody is receiving); -EPIPE, -EINVAL.
 */
OURO_API int ouro_chan_try_send(ouro_chan *chan, const void *item);

/**
 * ouro_chan_try_recv - ouro_chan_recv() that does not wait
 * @chan: a channel
 * @ret_item: item_bytes bytes
 *
 * Returns: 0; -EAGAIN: empty; -EPIPE, -EINVAL.
 */
OURO_API int ouro_chan_try_recv(ouro_chan *chan, void *ret_item);

/**
 * ouro_chan_close - no more sends. Never waits.
 * @chan: a channel
 *
 * Waiting senders get -EPIPE; receivers get what is in it, then -EPIPE.
 *
 * Returns: 0, -EPIPE: it was closed already, -EINVAL: NULL.
 */
OURO_API int ouro_chan_close(ouro_chan *chan);

/**
 * ouro_chan_len - how many items are in a channel
 * @chan: a channel
 */
OURO_API size_t ouro_chan_len(const ouro_chan *chan);

/* Zeroed memory is a mutex that nobody holds; likewise for the types below. Fields are the library's. */
struct ouro_mutex {
        void *owner;
        uint64_t generation;
        void *waiters;
};
#define OURO_MUTEX_INIT                                                                                      \
        {                                                                                                    \
                NULL, 0, NULL                                                                                \
        }

/**
 * ouro_mutex_lock - hold a mutex
 * @mutex: zeroed before first use
 *
 * Returns: 0; -EDEADLK: the caller holds it; -EOWNERDEAD: its holder ended without unlocking (told to
 * those who waited then and to all who come later, until the memory is zeroed anew); -EINVAL: NULL;
 * -ECANCELED or -ETIME.
 */
OURO_API int ouro_mutex_lock(struct ouro_mutex *mutex);

/**
 * ouro_mutex_try_lock - ouro_mutex_lock() that does not wait
 * @mutex: zeroed before first use
 *
 * Returns: 0; -EBUSY: held; -EDEADLK, -EOWNERDEAD, -EINVAL.
 */
OURO_API int ouro_mutex_try_lock(struct ouro_mutex *mutex);

/**
 * ouro_mutex_unlock - hand a mutex to whoever waited longest. Never waits.
 * @mutex: held by the caller
 *
 * Returns: 0; -EPERM: the caller does not hold it; -EINVAL: NULL.
 */
OURO_API int ouro_mutex_unlock(struct ouro_mutex *mutex);

struct ouro_semaphore {
        size_t count;
        void *waiters;
};
#define OURO_SEMAPHORE_INIT(count)                                                                           \
        {                                                                                                    \
                (count), NULL                                                                                \
        }

/**
 * ouro_semaphore_acquire - take one unit, waiting for it
 * @semaphore: count is its value at the start
 *
 * Returns: 0; -EINVAL: NULL; -ECANCELED or -ETIME.
 */
OURO_API int ouro_semaphore_acquire(struct ouro_semaphore *semaphore);

/**
 * ouro_semaphore_try_acquire - ouro_semaphore_acquire() that does not wait
 * @semaphore: count is its value at the start
 *
 * Returns: 0; -EAGAIN: none is free; -EINVAL.
 */
OURO_API int ouro_semaphore_try_acquire(struct ouro_semaphore *semaphore);

/**
 * ouro_semaphore_release - give one unit to whoever waited longest. Never waits.
 * @semaphore: count is its value at the start
 *
 * Any task may release. Returns: 0; -EOVERFLOW: count is at its greatest; -EINVAL: NULL.
 */
OURO_API int ouro_semaphore_release(struct ouro_semaphore *semaphore);

struct ouro_event {
        bool is_set;
        void *waiters;
};
#define OURO_EVENT_INIT                                                                                      \
        {                                                                                                    \
                false, NULL                                                                                  \
        }

/**
 * ouro_event_wait - wait until an event is set
 * @event: an event
 *
 * Returns: 0, also if it has been cleared again meanwhile; -EINVAL: NULL; -ECANCELED or -ETIME.
 */
OURO_API int ouro_event_wait(struct ouro_event *event);

/**
 * ouro_event_set - set an event and wake all its waiters. Never waits.
 * @event: an event
 *
 * Returns: 0; -EINVAL: NULL.
 */
OURO_API int ouro_event_set(struct ouro_event *event);

/**
 * ouro_event_clear - clear an event. Never waits.
 * @event: an event
 *
 * Returns: 0; -EINVAL: NULL.
 */
OURO_API int ouro_event_clear(struct ouro_event *event);

struct ouro_condition {
        void *waiters;
};
#define OURO_CONDITION_INIT                                                                                  \
        {                                                                                                    \
                NULL                                                                                         \
        }

/**
 * ouro_condition_wait - unlock a mutex, wait to be notified, lock it again
 * @condition: a condition
 * @mutex: held by the caller, and again when this returns, also cut short; not after -EOWNERDEAD
 *
 * Test what you wait for in a loop around it. The re-lock is never cut short.
 *
 * Returns: 0; -EPERM: the caller does not hold the mutex; -EINVAL: NULL; -EOWNERDEAD; -ECANCELED or
 * -ETIME (a notification that came first is not lost: it is told).
 */
OURO_API int ouro_condition_wait(struct ouro_condition *condition, struct ouro_mutex *mutex);

/**
 * ouro_condition_notify - wake the tasks that have waited longest. Never waits.
 * @condition: a condition
 * @n: how many at the most
 *
 * Returns: how many were woken; -EINVAL: NULL.
 */
OURO_API ssize_t ouro_condition_notify(struct ouro_condition *condition, size_t n);

/**
 * ouro_condition_notify_all - wake all that wait. Never waits.
 * @condition: a condition
 *
 * Returns: how many were woken; -EINVAL: NULL.
 */
OURO_API ssize_t ouro_condition_notify_all(struct ouro_condition *condition);

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

#include "ouro/job.h"
#include "ouro/pool.h"

#endif /* OURO_H */
