/* token.c - what a job may ask while it runs: the token, its worker, and what that keeps for it.
 *
 * The token is a futex word: a job that sleeps waits on it. In this process it lies in the job, and only its
 * own threads wait on it; in a worker process it lies in memory shared with the host. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "executors/job.h"

/* Of this thread, which is a worker as long as it runs jobs. */
static __thread void *worker_state;

static inline bool in_worker_process(const struct ouro_job *job)
{
        return !job->executor;
}

static const int *token_of(const struct ouro_job *job)
{
        return in_worker_process(job) ? job->of_executor : &job->cancelled;
}

bool job_token(const struct ouro_job *job)
{
        return __atomic_load_n(token_of(job), __ATOMIC_ACQUIRE) != 0;
}

bool job_set_token(struct ouro_job *job)
{
        if (__atomic_exchange_n(&job->cancelled, 1, __ATOMIC_ACQ_REL) != 0)
                return false;
        (void)sys_result(syscall(SYS_futex, &job->cancelled, FUTEX_WAKE_PRIVATE, INT_MAX));
        return true;
}

void ouro_job_ask(struct ouro_job *job)
{
        if (job)
                job_set_token(job);
}

bool ouro_job_cancelled(const struct ouro_job *job)
{
        if (!job)
                return false;
        return job_token(job) || (!in_worker_process(job) && job_check_late((struct ouro_job *)job));
}

/* Sleeps while the token is not set. -ETIMEDOUT: until end_ns. */
static int wait_on_token(const struct ouro_job *job, int64_t end_ns)
{
        const struct timespec end = {end_ns / 1000000000, end_ns % 1000000000};
        int op = FUTEX_WAIT_BITSET | (in_worker_process(job) ? 0 : FUTEX_PRIVATE_FLAG);

        return (int)sys_result(syscall(SYS_futex, token_of(job), op, 0, &end, NULL, FUTEX_BITSET_MATCH_ANY));
}

/* When a sleep until end_ns must end because the job's time is over then. */
static int64_t end_in_time(const struct ouro_job *job, int64_t end_ns)
{
        const struct job_more *more = in_worker_process(job) ? NULL : job_more(job);
        int64_t late_ns;

        if (!more || !more->options.deadline_ns ||
            __builtin_add_overflow(atomic_load(&more->began_ns), more->options.deadline_ns, &late_ns))
                return end_ns;
        return late_ns < end_ns ? late_ns : end_ns;
}

int ouro_job_sleep(struct ouro_job *job, int64_t ns)
{
        int64_t end_ns;

        if (!job || ns < 0)
                return -EINVAL;
        if (__builtin_add_overflow(loop_real_ns(), ns, &end_ns))
                end_ns = INT64_MAX;
        while (!ouro_job_cancelled(job)) {
                if (loop_real_ns() >= end_ns)
                        return 0;
                wait_on_token(job, end_in_time(job, end_ns));
        }
        return -ECANCELED;
}

unsigned ouro_job_worker(const struct ouro_job *job)
{
        return job ? job->worker : 0;
}

unsigned ouro_job_attempt(const struct ouro_job *job)
{
        return job ? job->attempt : 0;
}

void *ouro_job_state(const struct ouro_job *job)
{
        (void)job;
        return worker_state;
}

void ouro_job_set_state(struct ouro_job *job, void *state)
{
        (void)job;
        worker_state = state;
}
