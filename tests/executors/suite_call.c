/* suite_call.c - calling a job, as a task and as a thread; and what a job may ask while it runs. */
#include <errno.h>
#include <pthread.h>

#include "executors/suite.h"

static intptr_t call_sums(int *numbers, size_t n, int *total)
{
        return ouro_call(tested_pool, job_sums, ouro_in(numbers, n * sizeof *numbers),
                         ouro_out(total, sizeof *total), NULL);
}

static intptr_t calls(void *arg)
{
        int numbers[] = {1, 2, 3}, total = 0;

        (void)arg;
        cr_assert(call_sums(numbers, 3, &total) == 3 && total == 6);
        cr_assert(ouro_call(tested_pool, NULL, OURO_NO_IN, OURO_NO_OUT, NULL) == -EINVAL);
        cr_assert(ouro_call(NULL, job_sums, OURO_NO_IN, OURO_NO_OUT, NULL) == -EINVAL);
        return 0;
}

void suite_a_call_returns_the_result(const struct executor_kind *kind)
{
        with_pool(kind, 0, calls);
}

static intptr_t calls_what_fails(void *arg)
{
        int error = 1;

        (void)arg;
        OURO_GROUP(group, &error) {
                cr_assert(ouro_call(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, NULL) == -EDOM);
                cr_assert(ouro_yield() == 0, "the caller knows, and goes on");
        }
        cr_assert(error == 0);
        return 0;
}

void suite_a_call_that_fails_leaves_its_group_alone(const struct executor_kind *kind)
{
        with_pool(kind, 0, calls_what_fails);
}

static intptr_t calls_until_cut(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        intptr_t result = 0;
        bool expired = false;

        (void)arg;
        OURO_TIMEOUT(OURO_MS(2), &expired) {
                result = ouro_call(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(gate, sizeof *gate),
                                   NULL);
        }
        cr_assert(expired && result == -ETIME, "it was cancelled, and is awaited");
        cr_assert(ouro_call(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, NULL) == -EDOM);
        return 0;
}

void suite_a_call_that_is_cut_short_cancels_its_job(const struct executor_kind *kind)
{
        with_pool(kind, 0, calls_until_cut);
}

/* ---- without a loop ---- */

void suite_a_call_without_a_loop_blocks(const struct executor_kind *kind)
{
        int numbers[] = {1, 2, 3, 4}, total = 0;

        open_pool(kind, 0);
        for (int i = 0; i < 100; i++)
                cr_assert(call_sums(numbers, 4, &total) == 4 && total == 10);
        cr_assert(ouro_call(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, NULL) == -EDOM);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

void suite_a_call_without_a_loop_refuses_what_a_task_would(const struct executor_kind *kind)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        open_pool(kind, 0);
        cr_assert(ouro_call(tested_pool, NULL, OURO_NO_IN, OURO_NO_OUT, NULL) == -EINVAL);
        cr_assert(ouro_call(NULL, job_fails, OURO_NO_IN, OURO_NO_OUT, NULL) == -EINVAL);
        cr_assert(ouro_call(tested_pool, job_fails, ouro_in(NULL, 1), OURO_NO_OUT, NULL) == -EINVAL);
        options.deadline_ns = -1;
        cr_assert(ouro_call(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, &options) == -EINVAL);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

void suite_a_call_without_a_loop_keeps_its_deadline(const struct executor_kind *kind)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate *gate;

        open_pool(kind, 0);
        gate = shared(sizeof *gate);
        options.deadline_ns = OURO_MS(2);
        cr_assert(ouro_call(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(gate, sizeof *gate),
                            &options) == -ETIME);
        options.deadline_ns = OURO_SEC(1000);
        cr_assert(ouro_call(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, &options) == -EDOM);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

enum { CALLERS = 4, CALLS = 200 };

static void *calls_often(void *counter)
{
        for (int i = 0; i < CALLS; i++)
                if (ouro_call(tested_pool, job_counts, OURO_NO_IN, ouro_out(counter, sizeof(int)), NULL) !=
                    sizeof(int))
                        return counter;
        return NULL;
}

static void call_from_threads(const struct executor_kind *kind, unsigned queue)
{
        pthread_t threads[CALLERS];
        int *counter;

        open_pool(kind, queue);
        counter = shared(sizeof *counter);
        for (int i = 0; i < CALLERS; i++)
                cr_assert(pthread_create(&threads[i], NULL, calls_often, counter) == 0);
        for (int i = 0; i < CALLERS; i++) {
                void *failed;

                pthread_join(threads[i], &failed);
                cr_assert(!failed);
        }
        cr_assert(*counter == CALLERS * CALLS);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

void suite_many_threads_without_a_loop_call(const struct executor_kind *kind)
{
        call_from_threads(kind, 0);
}

void suite_a_call_without_a_loop_waits_for_room(const struct executor_kind *kind)
{
        call_from_threads(kind, 1);
}

/* ---- inside a job ---- */

static intptr_t counts_in_state(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        intptr_t before = (intptr_t)ouro_job_state(job);

        (void)in, (void)out;
        ouro_job_set_state(job, (void *)(before + 1));
        return before;
}

static intptr_t asks_for_state(void *arg)
{
        (void)arg;
        for (int i = 0; i < 5; i++)
                cr_assert(ouro_call(tested_pool, counts_in_state, OURO_NO_IN, OURO_NO_OUT, NULL) == i);
        return 0;
}

void suite_a_worker_keeps_its_state_from_job_to_job(const struct executor_kind *kind)
{
        with_pool(kind, 0, asks_for_state);
}

static intptr_t tells_worker_and_attempt(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return (intptr_t)(ouro_job_worker(job) * 100 + ouro_job_attempt(job));
}

static intptr_t asks_for_worker(void *arg)
{
        (void)arg;
        cr_assert(ouro_call(tested_pool, tells_worker_and_attempt, OURO_NO_IN, OURO_NO_OUT, NULL) == 0);
        return 0;
}

void suite_a_job_knows_its_worker_and_attempt(const struct executor_kind *kind)
{
        with_pool(kind, 0, asks_for_worker);
}

static intptr_t sleeps_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        if (ouro_job_sleep(job, -1) != -EINVAL || ouro_job_sleep(job, 0) != 0)
                return -EINVAL;
        return ouro_job_sleep(job, OURO_MS(1));
}

static intptr_t has_a_job_sleep(void *arg)
{
        int64_t began_ns = ouro_now();

        (void)arg;
        cr_assert(ouro_call(tested_pool, sleeps_a_little, OURO_NO_IN, OURO_NO_OUT, NULL) == 0);
        cr_assert(ouro_now() - began_ns >= OURO_MS(1));
        return 0;
}

void suite_a_job_sleeps(const struct executor_kind *kind)
{
        with_pool(kind, 0, has_a_job_sleep);
}
