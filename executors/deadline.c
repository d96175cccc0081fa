/* deadline.c - how long a job may run, counted from when it began.
 *
 * The loop's timer is armed for the whole time when the job is submitted. When it fires, the job tells when
 * it began, and the timer is armed for the rest; so a job that waits long costs a timer now and then, and
 * one that has no deadline nothing.
 *
 * A job on the loop's own thread keeps the timer from firing: it sees for itself, each time it looks at its
 * token. */
#include <errno.h>

#include "executors/job.h"

int64_t job_time_left(struct ouro_job *job)
{
        int64_t limit_ns = job->options->deadline_ns, began_ns = job_began_ns(job), end_ns;

        if (began_ns == 0)
                return limit_ns;
        if (__builtin_add_overflow(began_ns, limit_ns, &end_ns))
                return INT64_MAX;
        return end_ns - loop_real_ns();
}

static void fire(struct ouro_loop *loop, struct loop_timer *timer)
{
        struct job_more *more = container_of(timer, struct job_more, timer);
        int64_t left_ns = job_time_left(more->job);

        if (left_ns > 0) {
                loop_timer_arm(loop, timer, left_ns);
                return;
        }
        atomic_store(&more->late, true);
        task_cancel(loop, more->job->task,
                    &(struct cause){.reason = OURO_CANCEL_TIME, .origin = task_handle(more->job->task)});
}

void job_arm_deadline(struct ouro_loop *loop, struct job_more *more)
{
        more->timer.fire = fire;
        if (more->options.deadline_ns)
                loop_timer_arm(loop, &more->timer, more->options.deadline_ns);
}

bool job_check_late(struct ouro_job *job)
{
        struct job_more *more = job_more(job);
        int64_t began_ns, end_ns;

        if (!more || !more->options.deadline_ns)
                return false;
        began_ns = atomic_load(&more->began_ns);
        if (began_ns == 0 || __builtin_add_overflow(began_ns, more->options.deadline_ns, &end_ns) ||
            loop_real_ns() < end_ns)
                return false;
        atomic_store(&more->late, true);
        job_set_token(job);
        return true;
}
