/* suite_within.c - jobs that use their own executor. Only where jobs run in this process. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

/* ---- a job that waits for its own executor ---- */

static int nested;

static intptr_t runs_a_loop(struct ouro_job *job, struct ouro_in in, struct ouro_out out);

/* As many levels as arg says, two jobs on each: with one worker and a queue of one. */
static intptr_t submits_within(void *arg)
{
        intptr_t levels = (intptr_t)arg;
        ouro_task tasks[2];

        if (levels == 0)
                return 0;
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(tested_pool, runs_a_loop, OURO_IN(levels), OURO_NO_OUT);
        return ouro_gather(tasks, 2, NULL);
}

static intptr_t runs_a_loop(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        intptr_t levels = *(const intptr_t *)in.base;

        (void)job, (void)out;
        __atomic_add_fetch(&nested, 1, __ATOMIC_SEQ_CST);
        return ouro_run(submits_within, (void *)(levels - 1));
}

static intptr_t submits_nested(void *arg)
{
        (void)arg;
        cr_assert(submits_within((void *)3) == 0);
        cr_assert(nested == 2 + 4 + 8);
        return 0;
}

void suite_f67_a_job_may_wait_for_jobs_of_its_own_executor(const struct executor_kind *kind)
{
        with_pool(kind, 1, submits_nested);
}

static intptr_t cancels_within(void *arg)
{
        int *counter = shared(sizeof *counter);
        ouro_task task = submit_count(counter);

        (void)arg;
        ouro_cancel(task);
        return ouro_await(task) == -ECANCELED && *counter == 0 ? 0 : -EINVAL;
}

static intptr_t runs_a_loop_that_cancels(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(cancels_within, NULL);
}

static intptr_t submits_one_that_cancels(void *arg)
{
        (void)arg;
        return ouro_await(ouro_submit(tested_pool, runs_a_loop_that_cancels, OURO_NO_IN, OURO_NO_OUT));
}

void suite_f67_a_job_cancelled_within_another_never_starts(const struct executor_kind *kind)
{
        with_pool(kind, 1, submits_one_that_cancels);
}

static intptr_t closes_its_own(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_executor_close(tested_pool);
}

static intptr_t submits_a_closer(void *arg)
{
        (void)arg;
        cr_assert(ouro_await(ouro_submit(tested_pool, closes_its_own, OURO_NO_IN, OURO_NO_OUT)) == -EDEADLK);
        return 0;
}

void suite_f69_a_job_cannot_close_its_executor(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_a_closer);
}

/* ---- without a loop of its own ---- */

static intptr_t calls_deeper(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        intptr_t levels = *(const intptr_t *)in.base - 1, below = 0;

        (void)job, (void)out;
        __atomic_add_fetch(&nested, 1, __ATOMIC_SEQ_CST);
        for (int i = 0; i < 2 && levels > 0; i++)
                below += ouro_call(tested_pool, calls_deeper, OURO_IN(levels), OURO_NO_OUT, NULL);
        return below + 1;
}

static intptr_t calls_nested(void *arg)
{
        intptr_t levels = 3;

        (void)arg;
        cr_assert(ouro_call(tested_pool, calls_deeper, OURO_IN(levels), OURO_NO_OUT, NULL) == 7);
        cr_assert(nested == 7);
        return 0;
}

void suite_f67_a_job_may_call_jobs_of_its_own_executor(const struct executor_kind *kind)
{
        with_pool(kind, 1, calls_nested);
}

static intptr_t doubles(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(int *)out.base = 2 * *(const int *)in.base;
        return 0;
}

static intptr_t maps_doubles(void *arg)
{
        int items[100], results[100];
        int error;

        (void)arg;
        for (int i = 0; i < 100; i++)
                items[i] = i;
        error = ouro_map(tested_pool, doubles, items, sizeof *items, 100, results, sizeof *results, NULL);
        for (int i = 0; i < 100; i++)
                if (results[i] != 2 * i)
                        return -EINVAL;
        return error;
}

static intptr_t maps_in_a_loop(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(maps_doubles, NULL);
}

static intptr_t has_a_job_that_maps(void *arg)
{
        (void)arg;
        cr_assert(ouro_call(tested_pool, maps_in_a_loop, OURO_NO_IN, OURO_NO_OUT, NULL) == 0);
        return 0;
}

void suite_f67_a_map_within_a_job_ends(const struct executor_kind *kind)
{
        with_pool(kind, 1, has_a_job_that_maps);
}
