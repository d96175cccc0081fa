/* ouro/info.h - looking at tasks: who there is, where it was created, what it waits for and since when.
 * Included by ouro.h, whose conventions hold.
 *
 * Nothing is kept for this but a time for each wait; what is asked for is put together when it is asked for.
 */
#ifndef OURO_INFO_H
#define OURO_INFO_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- looking at tasks ------------------------------------------------------------------------- */

/* What a task is, and what it is doing. Begin with OURO_TASK_INFO_INIT. Texts are borrowed: name, function
 * and file as the name given at creation, waits_for for ever. */
struct ouro_task_info {
        size_t size;          /* sizeof(struct ouro_task_info) */
        const char *name;     /* as ouro_task_name() */
        const char *function; /* that created it; NULL: not known, and likewise for file */
        const char *file;     /* of that */
        unsigned line;        /* 0: not known */
        int state;            /* enum ouro_state */
        int reason;           /* enum ouro_reason: why it was cancelled, 0: it was not */
        ouro_task parent; /* the owner of the group that it belongs to, who waits for its end. OURO_NO_TASK:
                             it belongs to none but the run, as main and what was posted does */
        const char *waits_for; /* such as "task", "recv", "mutex"; NULL: it does not wait. A job that is not
                                  done waits for "job" */
        ouro_task waits_for_task;     /* whose end or deed ends the wait, where that is just one: the task
                                         awaited,     a group's last member, a mutex's owner; else OURO_NO_TASK */
        const void *waits_for_object; /* such as the mutex, channel, group or executor; NULL: none */
        int64_t waits_since_ns;       /* by the clock of ouro_now(); -1: it does not wait */
        int waits_for_fd;             /* the operation's; -1: none */
        bool is_job;                  /* of an executor, or its body runs on another loop */
        bool is_detached;             /* nothing of it stays when it ends: ouro_go(), main */
        size_t stack_bytes; /* its stack, guard page included; 0: it has none (a job, has not begun, has
                               ended) */
        intptr_t result;    /* if its state is ended: what an await would return */
};

#define OURO_TASK_INFO_INIT OURO_SIZED_(struct ouro_task_info)

/* In C++ a struct and a function of one name are fine, but -Wshadow thinks of a constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

/**
 * ouro_task_info - what a task is, and what it is doing
 * @task: any task of this loop whose result has not been consumed
 * @inout_info: its size set, the rest filled in
 *
 * waits_since_ns is what the clock said when the loop last looked at it before the wait began. It looks after
 * each sleep in the kernel and at least every 16 passes, a pass being so many turns of ready tasks as the
 * loop's budget; so the time told is never later than the beginning of the wait, and earlier by no more than
 * those passes took. By the virtual clock it is exact.
 *
 * A handle that ended with an error before it was a task tells its result and no name. A struct of an older
 * header gets what it knows.
 *
 * Returns: 0; -EINVAL: NULL, or a size that is none or larger than this library knows; -ESRCH. Does not wait.
 */
OURO_API int ouro_task_info(ouro_task task, struct ouro_task_info *inout_info);

#pragma GCC diagnostic pop

/**
 * ouro_tasks - the tasks of this loop
 * @ret_tasks: the first n are filled in; may be NULL if n is 0
 * @n: how many there is room for
 *
 * All that live, and those whose result nobody has consumed yet. Each stands before the members of the groups
 * that it has open (those of the innermost group first), members of one group in the order of their creation:
 * a walk through the tree of tasks, from the top. Takes time for each task, also for those beyond n.
 *
 * Returns: how many there are; -EINVAL: ret_tasks is NULL and n is not 0. Does not wait.
 */
OURO_API ssize_t ouro_tasks(ouro_task *ret_tasks, size_t n);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* OURO_INFO_H */
