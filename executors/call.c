/* call.c - a job whose result is waited for at once: as a task, or by a thread that has no loop.
 *
 * Such a thread sleeps on a word in its own frame. Whoever finishes its job looks at nothing of it after
 * that word is set, and wakes by its address alone. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "executors/job.h"

/* ---- as a task ---- */

/* In a group of its own: an error is returned to the caller, it is no failure of the caller's group. */
static intptr_t call_as_task(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                             const struct ouro_job_options *options)
{
        struct ouro_group group;
        intptr_t result;

        ouro_group_open(&group, OURO_GROUP_KEEP, NULL);
        result = ouro_wait_for(ouro_submit_with_at(executor, fn, in, out, options, NULL), OURO_FOREVER);
        ouro_group_close(&group);
        return result;
}

/* ---- as a thread ---- */

void job_caller_done(struct ouro_job *job)
{
        struct job_caller *caller = job->task;

        atomic_store(&caller->done, 1);
        (void)sys_result(syscall(SYS_futex, &caller->done, FUTEX_WAKE_PRIVATE, 1));
}

/* At most ns; less than zero: for ever. */
static void sleep_until_done(struct job_caller *caller, int64_t ns)
{
        const struct timespec timeout = {ns / 1000000000, ns % 1000000000};

        (void)sys_result(syscall(SYS_futex, &caller->done, FUTEX_WAIT_PRIVATE, 0, ns < 0 ? NULL : &timeout));
}

/* Its time is over. True: it runs on by itself. */
static bool ask_late(struct ouro_job *job)
{
        atomic_store(&job_more(job)->late, true);
        job_ask(job);
        return job_abandon(job);
}

/* Waits for its end. False: it was abandoned. */
static bool await_end(struct ouro_job *job, struct job_caller *caller)
{
        bool asked = job->options->deadline_ns == 0; /* or never will be */

        while (!atomic_load(&caller->done)) {
                int64_t left_ns = asked ? -1 : job_time_left(job);

                if (!asked && left_ns <= 0) {
                        if (ask_late(job))
                                return false;
                        asked = true;
                        continue;
                }
                sleep_until_done(caller, left_ns);
        }
        return true;
}

static intptr_t settle(struct job_more *more, intptr_t result)
{
        job_deliver_copies(more);
        job_deliver_report(more);
        return result == -ECANCELED && atomic_load(&more->late) ? -ETIME : result;
}

/* In a job of the same executor, which must not wait for a worker. */
static intptr_t run_within(struct ouro_job *job)
{
        intptr_t result = -ESHUTDOWN;

        if (!executor_is_closing(job->executor))
                result = settle(job_more(job), job_run_own(job));
        job_free(NULL, job);
        return result;
}

static intptr_t run_elsewhere(struct ouro_job *job, struct job_caller *caller)
{
        intptr_t result = job_submit_as_thread(job->executor, job);

        if (result == 0 && !await_end(job, caller)) {
                job_deliver_report(job_more(job));
                job_let_go(job, JOB_LEFT);
                return -ETIME;
        }
        if (result == 0)
                result = settle(job_more(job), job->result);
        job_free(NULL, job);
        return result;
}

static intptr_t call_as_thread(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in,
                               struct ouro_out out, const struct ouro_job_options *given)
{
        struct job_caller caller = {0};
        struct ouro_job_options options;
        struct ouro_job *job;
        int error = job_refuse(executor, fn, in, out);

        if (error == 0 && executor_is_inherited(executor))
                error = -EPERM;
        if (error == 0)
                error = job_read_options(executor, given, &options);
        if (error < 0)
                return error;
        job = job_new_block();
        if (!job)
                return -ENOMEM;
        *job = (struct ouro_job){
                .fn = fn, .in = in, .out = out, .executor = executor, .task = &caller, .state = JOB_QUEUED};
        error = job_use_options(job, &options, NULL);
        if (error < 0) {
                job_free(NULL, job);
                return error;
        }
        return job_is_within(executor) ? run_within(job) : run_elsewhere(job, &caller);
}

intptr_t ouro_call(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                   const struct ouro_job_options *options)
{
        return loop_here() ? call_as_task(executor, fn, in, out, options)
                           : call_as_thread(executor, fn, in, out, options);
}
