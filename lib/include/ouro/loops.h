/* ouro/loops.h - more than one loop: tasks on another thread's loop, several loops at once, and a loop inside
 * somebody else's. Included by ouro.h, whose conventions hold. */
#ifndef OURO_LOOPS_H
#define OURO_LOOPS_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- on another loop -------------------------------------------------------------------------- */

/**
 * ouro_create_task_on - create a task on another thread's loop, with a handle of this one
 * @loop: one that runs, as for ouro_post(); one's own is allowed
 * @fn: its body, called on the thread of that loop, as a root task there
 * @arg: passed to it: yours again when the task has ended
 *
 * Here the task is one like any other: await it, gather it, put a deadline on it, cancel it; it belongs to a
 * group as if it had been created by ouro_create_task(). There its body is one more root task, which
 * ouro_self() names. The two end together: cancelled here, the body is cancelled there, and the task here
 * ends when the body has returned, with what it returned. So the body may borrow what a member of its
 * group here may borrow; but the two threads run at the same time.
 *
 * It always starts, also if it is cancelled first. Tasks that one task creates on one loop start in the order
 * of creation, and in order with what it posts there.
 *
 * Returns: a handle, as ouro_create_task(); a task that has ended with -ESHUTDOWN: the run of that loop has
 * ended; -EINVAL: loop or fn is NULL; -EPERM: outside a task, or the loop is that of the process that this
 * one was forked from; -ENOMEM.
 */
#define ouro_create_task_on(loop, fn, arg) ouro_create_task_on_at((loop), (fn), (arg), OURO_HERE_(#fn))

/**
 * ouro_create_task_on_at - the function behind ouro_create_task_on()
 * @loop: one that runs, as for ouro_post()
 * @fn: its body
 * @arg: passed to it
 * @site: as that of ouro_create_task_at()
 *
 * Returns: as ouro_create_task_on().
 */
OURO_API ouro_task ouro_create_task_on_at(ouro_loop *loop, ouro_fn *fn, void *arg,
                                          const struct ouro_site *site);

/**
 * ouro_run_on - run a function as a task of a loop, and wait for its result
 * @loop: one that runs, as for ouro_post()
 * @fn: its body
 * @arg: passed to it: yours again when this returns
 *
 * On a thread without a loop it blocks the thread, and nothing cuts it short. In a task it waits as
 * a task: create and await; cut short, the body is cancelled and awaited, and a result that it then has of
 * its own is returned. An error is the caller's to judge: it does not fail the group that the caller is in.
 *
 * Returns: what fn returned, or -ESHUTDOWN: the run has ended; -EINVAL: NULL; -ENOMEM: fn did not run;
 * -EDEADLK: the loop belongs to this very thread, which is not in a task of it (a job that it runs itself;
 * between two steps); -ECANCELED, -ETIME, in a task; -EPERM: in a forked child. Threads: from anywhere but a
 * signal handler.
 */
OURO_API intptr_t ouro_run_on(ouro_loop *loop, ouro_fn *fn, void *arg);

/* ---- several loops ---------------------------------------------------------------------------- */

typedef struct ouro_loops ouro_loops;

/* What several loops are made with. Begin with OURO_LOOPS_OPTIONS_INIT; zero always means the default. */
struct ouro_loops_options {
        size_t size;      /* sizeof(struct ouro_loops_options) */
        unsigned count;   /* threads, each with a loop; default: the CPUs that this thread may use and the
                             quota of its control group allows, most 1024 */
        bool pin;         /* each thread to one CPU, in turn, of those that the opening thread may use. A pool
                             that is opened on a pinned thread finds one CPU */
        const char *name; /* of the threads, followed by a number, 15 bytes in all; default: "ouro-loop-" */
        /* First task of each loop; i is the loop's number. It may wait, and leave tasks behind, say a server
         * by ouro_go(). Less than zero: nothing is opened. Default: none */
        int (*init)(void *arg, unsigned i);
        /* Last task of each loop, when all others of all the loops have ended; it may wait. Called where init
         * has returned zero or more, or is NULL. Default: none */
        void (*fini)(void *arg, unsigned i);
        void *arg;                /* passed to both */
        struct ouro_options loop; /* of every loop, without interrupt; its size may be 0 for the
                                     defaults */
};

#define OURO_LOOPS_OPTIONS_INIT OURO_SIZED_(struct ouro_loops_options)

/**
 * ouro_loops_open - start threads that run a loop each
 * @options: see struct ouro_loops_options; NULL for the defaults
 * @ret_loops: to be closed by ouro_loops_close()
 *
 * The threads block every signal. The loops run, tasks or none, until they are closed. In a task this waits
 * for init as a task, else it blocks; never cut short.
 *
 * Returns: 0; what init returned, if less than zero, on the loop with the lowest number; -EINVAL: NULL, or an
 * option is out of range; -ENOMEM, -EAGAIN, -EMFILE, -ENFILE: too few resources; -ENOSYS: as ouro_run().
 * Threads: from anywhere.
 */
OURO_API int ouro_loops_open(const struct ouro_loops_options *options, ouro_loops **ret_loops);

/**
 * ouro_loops_count - how many loops they are
 * @loops: open
 *
 * Returns: how many; 0 for NULL. Threads: from anywhere.
 */
OURO_API unsigned ouro_loops_count(const ouro_loops *loops);

/**
 * ouro_loops_at - one of several loops
 * @loops: open
 * @i: its number, from 0
 *
 * Returns: the loop, valid until ouro_loops_close() returns 0; NULL: there is none. Threads: from anywhere.
 */
OURO_API ouro_loop *ouro_loops_at(const ouro_loops *loops, unsigned i);

/**
 * ouro_loops_next - the next of several loops, in turn
 * @loops: open
 *
 * Returns: as ouro_loops_at(); each of n calls in a row names another of n loops. Threads: from anywhere.
 */
OURO_API ouro_loop *ouro_loops_next(ouro_loops *loops);

/**
 * ouro_loops_close - let the tasks of several loops end, and free the loops
 * @loops: open; freed when this returns 0
 * @how: OURO_CLOSE_WAIT: for all tasks, also those that they still create on each other's loops; or
 * OURO_CLOSE_CANCEL: cancel them, and those that still come, then wait
 * @deadline_ns: how long to wait; OURO_FOREVER; 0: not at all
 *
 * When this returns 0, the threads have ended and all that was the loops' is given back. In a task it waits
 * as a task, else it blocks; never cut short, but by its deadline. After -ETIME the loops go on until their
 * tasks have ended: call again, perhaps less kindly. A loop that has ended answers ouro_post() and
 * ouro_create_task_on() with -ESHUTDOWN until this returns; afterwards nobody may use it.
 *
 * Returns: 0; -ETIME: they are not freed; -EALREADY: somebody else waits for that; -EDEADLK: called on a
 * thread of theirs; -EPERM: in a forked child; -EINVAL: NULL, OURO_CLOSE_KILL (a task cannot be killed), or a
 * time less than zero. Threads: from anywhere.
 */
OURO_API int ouro_loops_close(ouro_loops *loops, enum ouro_close how, int64_t deadline_ns);

/* ---- inside somebody else's loop -------------------------------------------------------------- */

/**
 * ouro_loop_open - make a loop that somebody else's loop drives
 * @options: see struct ouro_options; NULL for the defaults
 * @main_fn: the body of the main task, which starts in the first step
 * @arg: passed to it
 * @ret_loop: to be closed by ouro_loop_close(), on this thread
 *
 * As ouro_run_with(), but it returns at once, and the loop advances only in ouro_loop_step(). One thread may
 * have several. Between two steps the thread is in no task: a call that belongs to a task gives -EPERM, and
 * ouro_post() is the way in.
 *
 * With OURO_CLOCK_VIRTUAL a step in which only timers are left jumps to the next one, as a run does: what the
 * other loop may still post does not hold the clock. Never is such a loop thought to wait in vain for itself:
 * whoever steps it may still post.
 *
 * Returns: 0, or as ouro_run_with(): -EINVAL, -ENOMEM, -EMFILE, -ENFILE, -ENOSYS; -EBUSY: called in a task.
 */
OURO_API int ouro_loop_open(const struct ouro_options *options, ouro_fn *main_fn, void *arg,
                            ouro_loop **ret_loop);

/**
 * ouro_loop_fd - the descriptor that tells when a loop must be stepped
 * @loop: from ouro_loop_open()
 *
 * Poll it for reading, level-triggered, or let epoll(7), libuv, GLib do so. It is readable when an operation
 * has completed, a timer is due, a message has come from another thread, or the last step has left something
 * to do; and from the beginning. Only ouro_loop_step() makes it unreadable. It may be polled on any
 * thread, but the steps belong to one. On io_uring, epoll_wait() may return EINTR where it would otherwise
 * have slept on a little: call it again, as after any signal.
 *
 * Returns: the descriptor, the loop's own; -EINVAL: NULL, or a loop of ouro_run(). Threads: from anywhere.
 */
OURO_API int ouro_loop_fd(const ouro_loop *loop);

/**
 * ouro_loop_step - run what is ready and due, without waiting
 * @loop: from ouro_loop_open()
 *
 * At most some 1,000 switches between tasks; if more is ready, the descriptor is readable when this returns.
 * When main has returned, what is left is cancelled, and runs in further steps until it has ended.
 *
 * Returns: 1: the loop goes on; 0: main has returned and all has ended; -EINVAL: NULL, or a loop of
 * ouro_run(); -EPERM: another thread's, or in a forked child; -EBUSY: called in a task.
 */
OURO_API int ouro_loop_step(ouro_loop *loop);

/**
 * ouro_loop_close - cancel what is left, wait for it, and free the loop
 * @loop: from ouro_loop_open()
 *
 * This may block: it returns when every task has ended. To close a loop without that, step it until that
 * returns 0.
 *
 * Returns: what main returned; -EINVAL, -EPERM, -EBUSY: as ouro_loop_step().
 */
OURO_API intptr_t ouro_loop_close(ouro_loop *loop);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* OURO_LOOPS_H */
