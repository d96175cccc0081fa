/* suite_stats.c - what an executor has done so far. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "executors/suite.h"

static struct ouro_stats stats_now(void)
{
        struct ouro_stats stats = {.size = sizeof stats};

        cr_assert(ouro_executor_stats(tested_pool, &stats) == 0);
        return stats;
}

static intptr_t has_all_sorts_of_jobs(void *arg)
{
        int *counter = shared(sizeof *counter);
        struct ouro_stats stats = stats_now();

        (void)arg;
        cr_assert(stats.submitted == 0 && stats.done == 0 && stats.failed == 0 && stats.cancelled == 0);
        for (int i = 0; i < 5; i++)
                cr_assert(ouro_await(submit_count(counter)) == sizeof *counter);
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(ouro_submit(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT)) == -EDOM);
        cr_assert(ouro_await(ouro_submit(tested_pool, job_fails, ouro_in(NULL, 1), OURO_NO_OUT)) == -EINVAL);
        stats = stats_now();
        cr_assert(stats.submitted == 8 && stats.done == 5 && stats.failed == 3 && stats.cancelled == 0);
        return 0;
}

void suite_stats_count_what_jobs_came_to(const struct executor_kind *kind)
{
        with_pool(kind, 0, has_all_sorts_of_jobs);
}

static intptr_t asks_with_other_sizes(void *arg)
{
        struct ouro_stats stats;

        (void)arg;
        cr_assert(ouro_executor_stats(tested_pool, NULL) == -EINVAL);
        stats.size = 0;
        cr_assert(ouro_executor_stats(tested_pool, &stats) == -EINVAL);
        stats.size = sizeof stats + 1;
        cr_assert(ouro_executor_stats(tested_pool, &stats) == -EINVAL);
        stats.size = sizeof stats;
        cr_assert(ouro_executor_stats(NULL, &stats) == -EINVAL);
        memset(&stats, 0x55, sizeof stats);
        stats.size = offsetof(struct ouro_stats, failed);
        cr_assert(ouro_executor_stats(tested_pool, &stats) == 0);
        cr_assert(stats.size == offsetof(struct ouro_stats, failed));
        cr_assert(stats.submitted == 0 && stats.done == 0);
        cr_assert(stats.failed == 0x5555555555555555u, "an older header's struct ends here");
        return 0;
}

void suite_stats_of_other_sizes_are_refused_or_cut(const struct executor_kind *kind)
{
        with_pool(kind, 0, asks_with_other_sizes);
}

static intptr_t cancels_some(void *arg)
{
        struct gate *gate = shared(sizeof *gate), *token = shared(sizeof *token);
        int *counter = shared(sizeof *counter);
        ouro_task running = submit_gate(gate), queued;
        struct ouro_stats stats;

        (void)arg;
        gate_await_begun(gate, 1);
        queued = submit_count(counter);
        cr_assert(ouro_cancel(queued) == 0 && ouro_await(queued) == -ECANCELED);
        gate_open(gate);
        cr_assert(ouro_await(running) == 0);
        running = ouro_submit(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(token, sizeof *token));
        gate_await_begun(token, 1); /* so the worker has come past the one that was cancelled */
        cr_assert(ouro_cancel(running) == 0 && ouro_await(running) == -ECANCELED);
        stats = stats_now();
        cr_assert(stats.submitted == 3 && stats.done == 1 && stats.failed == 0 && stats.cancelled == 2,
                  "%d %d %d %d", (int)stats.submitted, (int)stats.done, (int)stats.failed,
                  (int)stats.cancelled);
        return 0;
}

void suite_stats_tell_what_is_queued_and_cancelled(const struct executor_kind *kind)
{
        with_pool(kind, 0, cancels_some);
}
