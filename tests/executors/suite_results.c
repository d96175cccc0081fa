/* suite_results.c - jobs give results, or are refused. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

/* ---- results ---- */

static intptr_t sums_two(void *arg)
{
        int numbers[] = {1, 2, 3, 4}, one = 5, total = 0, same = 0;
        ouro_task a = ouro_submit(tested_pool, job_sums, OURO_IN(numbers), OURO_OUT(total));
        ouro_task b = ouro_submit(tested_pool, job_sums, OURO_IN(one), OURO_OUT(same));

        (void)arg;
        cr_assert(ouro_await(a) == 4 && total == 10);
        cr_assert(ouro_await(b) == 1 && same == 5);
        return 0;
}

void suite_results_come_back(const struct executor_kind *kind)
{
        with_pool(kind, 0, sums_two);
}

static intptr_t submits_failures(void *arg)
{
        ouro_task task = ouro_submit(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT);

        (void)arg;
        cr_assert(ouro_wait(task) == 0);
        cr_assert(ouro_task_state(task) == OURO_STATE_ENDED);
        cr_assert(ouro_cancelled(task) == OURO_NOT_CANCELLED);
        cr_assert(ouro_await(task) == -EDOM);
        return 0;
}

void suite_errors_are_results(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_failures);
}

static intptr_t submits_empty_spans(void *arg)
{
        char byte = 0;

        (void)arg;
        cr_assert(ouro_await(ouro_submit(tested_pool, job_counts, OURO_NO_IN, OURO_NO_OUT)) == 0);
        cr_assert(ouro_await(ouro_submit(tested_pool, job_counts, ouro_in(&byte, 0), ouro_out(&byte, 0))) ==
                  0);
        return 0;
}

void suite_spans_may_be_empty(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_empty_spans);
}

static intptr_t submits_many(void *arg)
{
        enum { JOBS = 3000 };
        static intptr_t results[JOBS];
        static ouro_task tasks[JOBS];
        int *counters = shared(JOBS * sizeof *counters);

        (void)arg;
        for (size_t i = 0; i < JOBS; i++)
                tasks[i] = submit_count(&counters[i]);
        cr_assert(ouro_gather(tasks, JOBS, results) == 0);
        for (size_t i = 0; i < JOBS; i++)
                cr_assert(counters[i] == 1 && results[i] == sizeof(int), "job %zu ran %d times", i,
                          counters[i]);
        return 0;
}

void suite_each_of_many_runs_once(const struct executor_kind *kind)
{
        with_pool(kind, 7, submits_many);
}

static intptr_t yields_and_returns(void *arg)
{
        ouro_yield();
        return (intptr_t)arg;
}

static intptr_t gathers_a_mixture(void *arg)
{
        intptr_t results[4];
        ouro_task tasks[4];
        int *counter = shared(sizeof *counter);

        (void)arg;
        tasks[0] = submit_count(counter);
        tasks[1] = ouro_create_task(yields_and_returns, (void *)11);
        tasks[2] = ouro_submit(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT);
        tasks[3] = ouro_create_task(yields_and_returns, (void *)12);
        cr_assert(ouro_gather(tasks, 4, results) == -EDOM);
        cr_assert(results[0] == sizeof(int) && results[1] == 11);
        cr_assert(results[2] == -EDOM && results[3] == 12);
        cr_assert(*counter == 1);
        return 0;
}

void suite_jobs_and_coroutines_are_gathered_alike(const struct executor_kind *kind)
{
        with_pool(kind, 0, gathers_a_mixture);
}

static intptr_t takes_twice(void *arg)
{
        int *counter = shared(sizeof *counter);
        ouro_task task = submit_count(counter);

        (void)arg;
        cr_assert(ouro_wait_first(&task, 1) == 0);
        cr_assert(ouro_await(task) == sizeof(int));
        cr_assert(ouro_await(task) == -ESRCH);
        cr_assert(ouro_cancel(task) == -ESRCH);
        cr_assert(ouro_task_state(task) == -ESRCH);
        return 0;
}

void suite_a_result_is_taken_once(const struct executor_kind *kind)
{
        with_pool(kind, 0, takes_twice);
}

static intptr_t asks_for_names(void *arg)
{
        static const struct ouro_site another = {.name = "another name"};
        ouro_task task = ouro_submit(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT);
        ouro_task other = ouro_submit_at(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, &another);

        (void)arg;
        cr_assert_str_eq(ouro_task_name(task), "job_fails");
        cr_assert_str_eq(ouro_task_name(other), "another name");
        cr_assert(ouro_await(task) == -EDOM && ouro_await(other) == -EDOM);
        return 0;
}

void suite_a_job_has_the_name_of_its_function(const struct executor_kind *kind)
{
        with_pool(kind, 0, asks_for_names);
}

static intptr_t calls_the_library(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int counter = 0;

        (void)in, (void)out;
        if (ouro_yield() != -EPERM || ouro_self().generation != 0 || ouro_this_loop())
                return -EINVAL;
        if (ouro_await(ouro_create_task(yields_and_returns, NULL)) != -EPERM)
                return -EINVAL;
        if (ouro_await(submit_count(&counter)) != -EPERM || counter != 0)
                return -EINVAL;
        return ouro_job_cancelled(job) ? -EINVAL : 7;
}

static intptr_t submits_one_that_calls(void *arg)
{
        (void)arg;
        cr_assert(ouro_await(ouro_submit(tested_pool, calls_the_library, OURO_NO_IN, OURO_NO_OUT)) == 7);
        return 0;
}

void suite_a_job_runs_outside_any_loop(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_one_that_calls);
}

/* ---- refused ---- */

static intptr_t submits_nonsense(void *arg)
{
        char byte = 0;

        (void)arg;
        cr_assert(ouro_await(ouro_submit(NULL, job_fails, OURO_NO_IN, OURO_NO_OUT)) == -EINVAL);
        cr_assert(ouro_await(ouro_submit_at(tested_pool, NULL, OURO_NO_IN, OURO_NO_OUT, NULL)) == -EINVAL);
        cr_assert(ouro_await(ouro_submit(tested_pool, job_fails, ouro_in(NULL, 1), OURO_NO_OUT)) == -EINVAL);
        cr_assert(ouro_await(ouro_submit(tested_pool, job_fails, ouro_in(&byte, 1), ouro_out(NULL, 1))) ==
                  -EINVAL);
        return 0;
}

void suite_bad_arguments_are_refused(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_nonsense);
}

static intptr_t looks_at_handle(void *arg)
{
        return ouro_await(*(ouro_task *)arg);
}

void suite_outside_a_loop_there_is_no_submitting(const struct executor_kind *kind)
{
        ouro_task task;
        int *counter;

        open_pool(kind, 0);
        counter = shared(sizeof *counter);
        task = submit_count(counter);
        cr_assert(ouro_run(looks_at_handle, &task) == -EPERM);
        cr_assert(*counter == 0);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

static intptr_t submits_though_cancelled(void *counter)
{
        ouro_cancel(ouro_self());
        OURO_SHIELD
        {
                cr_assert(ouro_yield() == 0);
        }
        ouro_task task = submit_count(counter);

        OURO_SHIELD
        {
                cr_assert(ouro_await(task) == -ECANCELED);
        }
        return 1;
}

static intptr_t runs_a_cancelled_one(void *arg)
{
        int *counter = shared(sizeof *counter);

        (void)arg;
        cr_assert(ouro_await(ouro_create_task(submits_though_cancelled, counter)) == 1);
        cr_assert(*counter == 0);
        return 0;
}

void suite_a_cancelled_task_submits_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 0, runs_a_cancelled_one);
}

static intptr_t submits_late(void *arg)
{
        ouro_task task = OURO_NO_TASK;
        int *counter = shared(sizeof *counter);

        (void)arg;
        OURO_TIMEOUT(0) {
                task = submit_count(counter);
        }
        cr_assert(ouro_await(task) == -ETIME);
        cr_assert(*counter == 0);
        return 0;
}

void suite_after_a_deadline_nothing_is_submitted(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_late);
}

static intptr_t submits_into_a_cancelled_group(void *arg)
{
        int *counter = shared(sizeof *counter), error = 0;

        (void)arg;
        OURO_GROUP_KEEP_GOING(group, &error) {
                ouro_group_cancel(group);
                ouro_task task = submit_count(counter);

                cr_assert(ouro_cancelled(task) == OURO_CANCEL_ASKED);
                cr_assert(ouro_await(task) == -ECANCELED);
        }
        cr_assert(*counter == 0 && error == 0, "%d %d", *counter, error);
        return 0;
}

void suite_in_a_cancelled_group_a_job_never_starts(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_into_a_cancelled_group);
}

static intptr_t sleeps_long(void *arg)
{
        *(intptr_t *)arg = ouro_sleep(OURO_SEC(1000));
        return 0;
}

static intptr_t has_a_failing_job(void *arg)
{
        intptr_t slept = 0;
        int error = 0;

        (void)arg;
        OURO_GROUP(group, &error) {
                ouro_create_task(sleeps_long, &slept);
                ouro_yield(); /* it sleeps by now */
                ouro_submit(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT);
                cr_assert(ouro_sleep(OURO_SEC(1000)) == -ECANCELED);
        }
        cr_assert(error == -EDOM);
        cr_assert(slept == -ECANCELED);
        return 0;
}

void suite_a_failed_job_cancels_its_siblings(const struct executor_kind *kind)
{
        with_pool(kind, 0, has_a_failing_job);
}
