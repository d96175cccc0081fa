/* within.c - jobs that a job of the same executor submits. If it were to wait for a worker, it might wait for
 * itself: what nobody has begun when it would have to wait, it runs itself.
 *
 * Such a job goes to the executor like any other, and into a queue of its loop besides. Before the loop
 * sleeps it claims the oldest that is still queued; the executor lets go of it when its turn comes. If there
 * is no room in the executor, the loop is the only one that has it: waiting for room might be waiting for
 * itself, too. */
#include <errno.h>

#include "base/alloc.h"
#include "executors/job.h"

static intptr_t run_here(struct ouro_job *job)
{
        struct job_more *more = job_more(job);
        intptr_t result;

        if (more)
                atomic_store(&more->began_ns, loop_real_ns());
        if (job_frames)
                job->worker = job_frames->job->worker; /* it is that worker who runs it */
        result = ouro_job_run(job);
        job_count_end(job, result);
        return result;
}

/* It may be that the executor has begun it, or that it was cancelled. */
static bool claim(struct ouro_job *job)
{
        int queued = JOB_QUEUED;

        return __atomic_compare_exchange_n(&job->state, &queued, JOB_CLAIMED, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
}

static void run_claimed(struct ouro_loop *loop, struct job_more *more)
{
        struct ouro_job *job = more->job;
        bool alone = more->alone;

        job->result = run_here(job);
        job_deliver_copies(more);
        job_end_task(loop, job, job->result);
        if (alone)
                job_free(loop, job);
        else
                job_let_go(job, JOB_LEFT_CLAIMED);
}

static bool run_one(struct ouro_loop *loop)
{
        struct ouro_list *node;

        while ((node = queue_pop(&loop->jobs_within))) {
                struct job_more *more = container_of(node, struct job_more, link);

                more->within = false;
                if (claim(more->job)) {
                        run_claimed(loop, more);
                        return true;
                }
        }
        return false;
}

int job_submit_within(struct ouro_loop *loop, ouro_executor *executor, struct ouro_job *job, bool may_wait)
{
        struct job_more *more;
        int error;

        if (executor_is_closing(executor))
                return -ESHUTDOWN;
        if (!job_more(job) && !job_extend(job, NULL, job_name(job)))
                return -ENOMEM;
        error = job_offer(executor, job);
        if (error < 0 && (error != -EAGAIN || !may_wait))
                return error;
        more = job_more(job);
        more->alone = error == -EAGAIN;
        if (more->alone)
                executor_count(executor->state, COUNT_SUBMITTED, 1);
        more->within = true;
        queue_push(&loop->jobs_within, &more->link);
        loop->run_within = run_one;
        return 0;
}

intptr_t job_run_own(struct ouro_job *job)
{
        executor_count(job->executor->state, COUNT_SUBMITTED, 1);
        return run_here(job);
}
