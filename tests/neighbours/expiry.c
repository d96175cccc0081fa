/* expiry.c - jobs that outstay their time, in worker processes: stopped at their deadline or by a cancel,
 * alone, whatever they do about it; workers that are replaced after so many jobs; closing with a deadline. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(expiry, .init = leaks_begin, .fini = leaks_end, .timeout = 120);

static ouro_executor *open_with(struct ouro_process_options options)
{
        ouro_executor *pool;

        EQ(ouro_process_pool_open(&options, &pool), 0);
        return pool;
}

static ouro_executor *open_one(void)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = 1;
        options.grace_ns = OURO_MS(50);
        return open_with(options);
}

static intptr_t tells_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

static intptr_t never_ends(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        while (pause() < 0)
                continue;
        return 0;
}

static intptr_t never_ends_deaf(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        signal(SIGTERM, SIG_IGN);
        return never_ends(job, in, out);
}

static volatile sig_atomic_t asked;

static void on_sigterm(int signal)
{
        (void)signal;
        asked = 1;
}

/* Uses the time between SIGTERM and SIGKILL to end in order. */
static intptr_t ends_in_order(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct sigaction action = {.sa_handler = on_sigterm};

        (void)job, (void)in, (void)out;
        sigaction(SIGTERM, &action, NULL);
        while (!asked)
                usleep(100);
        return 5;
}

static pid_t pid_of_worker(ouro_executor *pool)
{
        return (pid_t)ouro_call(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT, NULL);
}

static ouro_task submit_until(ouro_executor *pool, ouro_job_fn *fn, int64_t deadline_ns)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.deadline_ns = deadline_ns;
        return ouro_submit_with(pool, fn, OURO_NO_IN, OURO_NO_OUT, &options);
}

IN_LOOP(expiry, f74_a_job_that_hangs_is_killed_at_its_deadline)
{
        ouro_executor *pool = open_one();
        pid_t before = pid_of_worker(pool);

        EQ(ouro_await(submit_until(pool, never_ends, OURO_MS(20))), -ETIME);
        cr_assert(kill(before, 0) < 0 && errno == ESRCH);
        cr_assert(pid_of_worker(pool) != before);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(expiry, f74_a_job_that_is_deaf_to_sigterm_is_killed_after_the_grace)
{
        ouro_executor *pool = open_one();

        EQ(ouro_await(submit_until(pool, never_ends_deaf, OURO_MS(20))), -ETIME);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(expiry, a_job_that_ends_within_the_grace_hands_over_its_result)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;

        options.workers = 1;
        options.grace_ns = OURO_SEC(30);
        pool = open_with(options);
        EQ(ouro_await(submit_until(pool, ends_in_order, OURO_MS(20))), 5);
        cr_assert(pid_of_worker(pool) > 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* Time in the queue does not count: each begins when the one before it has ended. */
IN_LOOP(expiry, the_deadline_counts_from_when_the_job_begins)
{
        ouro_executor *pool = open_one();
        ouro_task hangs[3], last;

        for (int i = 0; i < 3; i++)
                hangs[i] = submit_until(pool, never_ends, OURO_MS(20));
        last = submit_until(pool, tells_pid, OURO_MS(20));
        for (int i = 0; i < 3; i++)
                EQ(ouro_await(hangs[i]), -ETIME);
        cr_assert(ouro_await(last) > 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(expiry, a_scope_bounds_queue_and_run_together)
{
        ouro_executor *pool = open_one();
        ouro_task hangs = ouro_submit(pool, never_ends, OURO_NO_IN, OURO_NO_OUT);
        ouro_task queued = ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT);

        EQ(ouro_wait_for(queued, OURO_MS(5)), -ETIME);
        EQ(ouro_wait_for(hangs, OURO_MS(5)), -ETIME);
        cr_assert(pid_of_worker(pool) > 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(expiry, f68_a_cancelled_running_job_costs_its_worker_and_no_other_job)
{
        ouro_executor *pool = open_one();
        pid_t before = pid_of_worker(pool), after;
        ouro_task hangs = ouro_submit(pool, never_ends, OURO_NO_IN, OURO_NO_OUT);
        ouro_task behind = ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT);

        EQ(ouro_sleep(OURO_MS(20)), 0); /* time to begin it; if it has not, it never does */
        EQ(ouro_cancel(hangs), 0);
        EQ(ouro_await(hangs), -ECANCELED);
        after = (pid_t)ouro_await(behind);
        cr_assert(after > 0);
        cr_assert(kill(before, 0) < 0 || after == before);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(expiry, f75_a_worker_is_replaced_after_so_many_jobs_and_the_backlog_goes_on)
{
        enum { JOBS = 40, EACH = 4 };
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct ouro_stats stats = {.size = sizeof stats};
        ouro_executor *pool;
        ouro_task tasks[JOBS];
        intptr_t pids[JOBS];
        int changes = 0, run = 0;

        options.workers = 1;
        options.recycle_jobs = EACH;
        pool = open_with(options);
        for (int i = 0; i < JOBS; i++)
                tasks[i] = ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT);
        EQ(ouro_gather(tasks, JOBS, pids), 0);
        for (int i = 0; i < JOBS; i++) {
                run = i > 0 && pids[i] == pids[i - 1] ? run + 1 : 1;
                cr_assert(run <= EACH, "job %d is the %d-th in its worker", i, run);
                changes += i > 0 && pids[i] != pids[i - 1];
        }
        EQ(changes, JOBS / EACH - 1);
        EQ(ouro_executor_stats(pool, &stats), 0);
        EQ(stats.restarts, 0);
        cr_assert(stats.recycled >= (uint64_t)changes);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(expiry, f69_closing_past_its_deadline_says_so_and_can_be_done_less_kindly)
{
        ouro_executor *pool = open_one();
        ouro_task hangs = ouro_submit(pool, never_ends, OURO_NO_IN, OURO_NO_OUT);
        ouro_task queued = ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT);

        EQ(ouro_sleep(OURO_MS(20)), 0);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_WAIT, OURO_MS(5)), -ETIME);
        EQ(ouro_await(ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT)), -ESHUTDOWN);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_CANCEL, OURO_MS(5)), -ETIME);
        EQ(ouro_await(queued), -ECANCELED);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER), 0);
        EQ(ouro_await(hangs), -ECANCELED);
        return 0;
}

static intptr_t forks_and_waits(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t child = fork();

        (void)job, (void)in, (void)out;
        if (child == 0)
                _exit(3);
        return child < 0 ? -errno : 0;
}

static intptr_t runs_a_pool(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *threads;
        intptr_t result;
        int error;

        (void)job;
        options.threads = 1;
        error = ouro_thread_pool_open(&options, &threads);
        if (error < 0)
                return error;
        result = ouro_call(threads, tells_pid, in, out, NULL);
        ouro_executor_close(threads);
        return result;
}

IN_LOOP(expiry, a_job_may_fork_and_may_have_a_pool_of_its_own)
{
        ouro_executor *pool = open_one();
        pid_t pid = pid_of_worker(pool);

        EQ(ouro_call(pool, forks_and_waits, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        EQ(ouro_call(pool, runs_a_pool, OURO_NO_IN, OURO_NO_OUT, NULL), pid);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

static intptr_t sums_bytes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        memcpy(out.base, in.base, in.len);
        return (intptr_t)in.len;
}

IN_LOOP(expiry, f88_large_spans_go_there_and_back)
{
        enum { LARGE = 50 << 20 };
        ouro_executor *pool = open_one();
        char *in = malloc(LARGE), *out = malloc(LARGE);

        fill(in, LARGE, 0);
        EQ(ouro_call(pool, sums_bytes, ouro_in(in, LARGE), ouro_out(out, LARGE), NULL), LARGE);
        cr_assert(memcmp(in, out, LARGE) == 0);
        EQ(ouro_executor_close(pool), 0);
        free(in);
        free(out);
        return 0;
}
