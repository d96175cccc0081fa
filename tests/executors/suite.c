/* suite.c - what every executor must do, see suite.h. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "executors/suite.h"

static const struct executor_kind *tested;
static ouro_executor *pool;

/* Runs fn(arg) in a loop with an executor, and closes that in the loop. */
struct session {
        ouro_fn *fn;
        unsigned queue;
};

static intptr_t in_session(void *arg)
{
        const struct session *session = arg;
        intptr_t result;

        pool = tested->open(session->queue);
        cr_assert(pool);
        result = session->fn(NULL);
        cr_assert(ouro_executor_close(pool) == 0);
        return result;
}

static void with_pool(const struct executor_kind *kind, unsigned queue, ouro_fn *fn)
{
        struct session session = {fn, queue};

        tested = kind;
        cr_assert(ouro_run(in_session, &session) == 0);
}

/* ---- jobs ---- */

static intptr_t sums(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = in.base;
        int *total = out.base;

        (void)job;
        *total = 0;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                *total += numbers[i];
        return (intptr_t)(in.len / sizeof *numbers);
}

static intptr_t fails(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return -EDOM;
}

static intptr_t counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        if (out.len == sizeof(int))
                __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
        return (intptr_t)out.len;
}

intptr_t job_waits_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct timespec moment = {.tv_nsec = 20000};
        struct gate *gate = out.base;

        (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST))
                nanosleep(&moment, NULL);
        return ouro_job_cancelled(job) ? 1 : 0;
}

static intptr_t waits_for_token(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct timespec moment = {.tv_nsec = 20000};
        struct gate *gate = out.base;

        (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        while (!ouro_job_cancelled(job))
                nanosleep(&moment, NULL);
        return -ECANCELED;
}

void gate_open(struct gate *gate)
{
        __atomic_store_n(&gate->open, 1, __ATOMIC_SEQ_CST);
}

void gate_await_begun(struct gate *gate, int n)
{
        OURO_SHIELD
        {
                while (__atomic_load_n(&gate->began, __ATOMIC_SEQ_CST) < n)
                        ouro_sleep(OURO_US(50));
        }
}

static ouro_task submit_gate(struct gate *gate)
{
        return ouro_submit(pool, job_waits_at_gate, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

static ouro_task submit_count(int *counter)
{
        return ouro_submit(pool, counts, OURO_NO_IN, ouro_out(counter, sizeof *counter));
}

/* ---- results ---- */

static intptr_t sums_two(void *arg)
{
        int numbers[] = {1, 2, 3, 4}, one = 5, total = 0, same = 0;
        ouro_task a = ouro_submit(pool, sums, OURO_IN(numbers), OURO_OUT(total));
        ouro_task b = ouro_submit(pool, sums, OURO_IN(one), OURO_OUT(same));

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
        ouro_task task = ouro_submit(pool, fails, OURO_NO_IN, OURO_NO_OUT);

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
        cr_assert(ouro_await(ouro_submit(pool, counts, OURO_NO_IN, OURO_NO_OUT)) == 0);
        cr_assert(ouro_await(ouro_submit(pool, counts, ouro_in(&byte, 0), ouro_out(&byte, 0))) == 0);
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
        static int counters[JOBS];

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
        int counter = 0;

        (void)arg;
        tasks[0] = submit_count(&counter);
        tasks[1] = ouro_create_task(yields_and_returns, (void *)11);
        tasks[2] = ouro_submit(pool, fails, OURO_NO_IN, OURO_NO_OUT);
        tasks[3] = ouro_create_task(yields_and_returns, (void *)12);
        cr_assert(ouro_gather(tasks, 4, results) == -EDOM);
        cr_assert(results[0] == sizeof counter && results[1] == 11);
        cr_assert(results[2] == -EDOM && results[3] == 12);
        cr_assert(counter == 1);
        return 0;
}

void suite_jobs_and_coroutines_are_gathered_alike(const struct executor_kind *kind)
{
        with_pool(kind, 0, gathers_a_mixture);
}

static intptr_t takes_twice(void *arg)
{
        int counter = 0;
        ouro_task task = submit_count(&counter);

        (void)arg;
        cr_assert(ouro_wait_first(&task, 1) == 0);
        cr_assert(ouro_await(task) == sizeof counter);
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
        ouro_task task = ouro_submit(pool, fails, OURO_NO_IN, OURO_NO_OUT);
        ouro_task other = ouro_submit_named(pool, fails, OURO_NO_IN, OURO_NO_OUT, "another name");

        (void)arg;
        cr_assert_str_eq(ouro_task_name(task), "fails");
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
        cr_assert(ouro_await(ouro_submit(pool, calls_the_library, OURO_NO_IN, OURO_NO_OUT)) == 7);
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
        cr_assert(ouro_await(ouro_submit(NULL, fails, OURO_NO_IN, OURO_NO_OUT)) == -EINVAL);
        cr_assert(ouro_await(ouro_submit_named(pool, NULL, OURO_NO_IN, OURO_NO_OUT, "no function")) ==
                  -EINVAL);
        cr_assert(ouro_await(ouro_submit(pool, fails, ouro_in(NULL, 1), OURO_NO_OUT)) == -EINVAL);
        cr_assert(ouro_await(ouro_submit(pool, fails, ouro_in(&byte, 1), ouro_out(NULL, 1))) == -EINVAL);
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
        int counter = 0;

        pool = kind->open(0);
        task = submit_count(&counter);
        cr_assert(ouro_run(looks_at_handle, &task) == -EPERM);
        cr_assert(ouro_executor_close(pool) == 0);
        cr_assert(counter == 0);
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
        int counter = 0;

        (void)arg;
        cr_assert(ouro_await(ouro_create_task(submits_though_cancelled, &counter)) == 1);
        cr_assert(counter == 0);
        return 0;
}

void suite_a_cancelled_task_submits_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 0, runs_a_cancelled_one);
}

static intptr_t submits_late(void *arg)
{
        ouro_task task = OURO_NO_TASK;
        int counter = 0;

        (void)arg;
        OURO_TIMEOUT(0) {
                task = submit_count(&counter);
        }
        cr_assert(ouro_await(task) == -ETIME);
        cr_assert(counter == 0);
        return 0;
}

void suite_after_a_deadline_nothing_is_submitted(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_late);
}

static intptr_t submits_into_a_cancelled_group(void *arg)
{
        int counter = 0, error = 0;

        (void)arg;
        OURO_GROUP_KEEP_GOING(group, &error) {
                ouro_group_cancel(group);
                ouro_task task = submit_count(&counter);

                cr_assert(ouro_cancelled(task) == OURO_CANCEL_ASKED);
                cr_assert(ouro_await(task) == -ECANCELED);
        }
        cr_assert(counter == 0 && error == 0, "%d %d", counter, error);
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
                ouro_submit(pool, fails, OURO_NO_IN, OURO_NO_OUT);
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

static intptr_t closes_its_own(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_executor_close(pool);
}

static intptr_t submits_a_closer(void *arg)
{
        (void)arg;
        cr_assert(ouro_await(ouro_submit(pool, closes_its_own, OURO_NO_IN, OURO_NO_OUT)) == -EDEADLK);
        return 0;
}

void suite_f69_a_job_cannot_close_its_executor(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_a_closer);
}

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
                tasks[i] = ouro_submit(pool, runs_a_loop, OURO_IN(levels), OURO_NO_OUT);
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
        int counter = 0;
        ouro_task task = submit_count(&counter);

        (void)arg;
        ouro_cancel(task);
        return ouro_await(task) == -ECANCELED && counter == 0 ? 0 : -EINVAL;
}

static intptr_t runs_a_loop_that_cancels(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(cancels_within, NULL);
}

static intptr_t submits_one_that_cancels(void *arg)
{
        (void)arg;
        return ouro_await(ouro_submit(pool, runs_a_loop_that_cancels, OURO_NO_IN, OURO_NO_OUT));
}

void suite_f67_a_job_cancelled_within_another_never_starts(const struct executor_kind *kind)
{
        with_pool(kind, 1, submits_one_that_cancels);
}

static intptr_t uses_pool_and_leaves_it(void *arg)
{
        int counter = 0;

        (void)arg;
        return ouro_await(submit_count(&counter));
}

void suite_closing_outside_a_loop_blocks_until_done(const struct executor_kind *kind)
{
        for (int i = 0; i < 20; i++) {
                pool = kind->open(0);
                cr_assert(ouro_run(uses_pool_and_leaves_it, NULL) == sizeof(int));
                cr_assert(ouro_executor_close(pool) == 0);
        }
}

void suite_f69_closing_nothing_is_refused(const struct executor_kind *kind)
{
        (void)kind;
        cr_assert(ouro_executor_close(NULL) == -EINVAL);
}

/* ---- beside the loop ---- */

static intptr_t runs_beside_a_job(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task task = submit_gate(&gate);

        (void)arg;
        gate_await_begun(&gate, 1);
        cr_assert(ouro_task_state(task) == OURO_STATE_WAITING);
        for (int i = 0; i < 100; i++)
                cr_assert(ouro_yield() == 0);
        gate_open(&gate);
        cr_assert(ouro_await(task) == 0);
        return 0;
}

void suite_the_loop_goes_on_while_a_job_runs(const struct executor_kind *kind)
{
        with_pool(kind, 0, runs_beside_a_job);
}

/* ---- back-pressure: the worker is at the gate, the queue of one is full ---- */

struct crowd {
        struct gate gate;
        int in_queue; /* counted by the job that waits in the queue */
        ouro_task running, queued;
};

static void crowd_make(struct crowd *crowd)
{
        *crowd = (struct crowd){.gate = {0, 0}};
        crowd->running = submit_gate(&crowd->gate);
        gate_await_begun(&crowd->gate, 1);
        crowd->queued = submit_count(&crowd->in_queue);
}

static void crowd_leave(struct crowd *crowd)
{
        gate_open(&crowd->gate);
        cr_assert(ouro_await(crowd->running) >= 0);
        cr_assert(ouro_await(crowd->queued) == sizeof(int) && crowd->in_queue == 1);
}

static char order[64];

struct submitter {
        char letter;
        int counter;
};

static intptr_t submits_and_tells(void *arg)
{
        struct submitter *submitter = arg;
        ouro_task task = submit_count(&submitter->counter);

        order[strlen(order)] = submitter->letter;
        return ouro_await(task);
}

static intptr_t submits_to_a_full_one(void *arg)
{
        struct submitter late = {.letter = 'L'};
        struct crowd crowd;
        ouro_task task;

        (void)arg;
        crowd_make(&crowd);
        task = ouro_create_task(submits_and_tells, &late);
        for (int i = 0; i < 10; i++)
                ouro_yield(); /* others run while it waits for room */
        cr_assert_str_eq(order, "");
        cr_assert(ouro_task_state(task) == OURO_STATE_WAITING);
        crowd_leave(&crowd);
        cr_assert(ouro_await(task) == sizeof(int) && late.counter == 1);
        cr_assert_str_eq(order, "L");
        return 0;
}

void suite_a_full_queue_makes_submit_wait_as_a_task(const struct executor_kind *kind)
{
        with_pool(kind, 1, submits_to_a_full_one);
}

static intptr_t has_many_submitters(void *arg)
{
        enum { SUBMITTERS = 20 };
        struct submitter submitters[SUBMITTERS];
        ouro_task tasks[SUBMITTERS];
        intptr_t results[SUBMITTERS];
        struct crowd crowd;

        (void)arg;
        crowd_make(&crowd);
        for (int i = 0; i < SUBMITTERS; i++) {
                submitters[i] = (struct submitter){.letter = (char)('a' + i)};
                tasks[i] = ouro_create_task(submits_and_tells, &submitters[i]);
        }
        ouro_yield();
        crowd_leave(&crowd);
        cr_assert(ouro_gather(tasks, SUBMITTERS, results) == 0);
        cr_assert_str_eq(order, "abcdefghijklmnopqrst");
        for (int i = 0; i < SUBMITTERS; i++)
                cr_assert(submitters[i].counter == 1);
        return 0;
}

void suite_submitters_that_wait_for_room_are_served_in_order(const struct executor_kind *kind)
{
        with_pool(kind, 1, has_many_submitters);
}

static intptr_t submits_until_a_deadline(void *arg)
{
        struct submitter next = {.letter = 'n'};
        ouro_task late = OURO_NO_TASK, after;
        struct crowd crowd;
        int counter = 0;

        (void)arg;
        crowd_make(&crowd);
        OURO_TIMEOUT(OURO_MS(1)) {
                late = submit_count(&counter);
        }
        cr_assert(ouro_await(late) == -ETIME);
        after = ouro_create_task(submits_and_tells, &next);
        ouro_yield();
        crowd_leave(&crowd);
        cr_assert(ouro_await(after) == sizeof(int), "the queue of those who wait is as good as new");
        cr_assert(counter == 0 && next.counter == 1);
        return 0;
}

void suite_a_deadline_while_waiting_for_room_ends_the_submission(const struct executor_kind *kind)
{
        with_pool(kind, 1, submits_until_a_deadline);
}

static intptr_t submits_until_cancelled(void *counter)
{
        ouro_task task = submit_count(counter);
        intptr_t result = -1;

        OURO_SHIELD
        {
                result = ouro_await(task);
        }
        return result == -ECANCELED ? 1 : -EINVAL;
}

static intptr_t cancels_submitters(void *arg)
{
        int counters[3] = {0, 0, 0};
        ouro_task tasks[3];
        struct crowd crowd;

        (void)arg;
        crowd_make(&crowd);
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(submits_until_cancelled, &counters[i]);
        ouro_yield();
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_cancel(tasks[(i + 1) % 3]) == 0); /* from the middle of the queue first */
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(tasks[i]) == 1);
        crowd_leave(&crowd);
        cr_assert(counters[0] + counters[1] + counters[2] == 0);
        return 0;
}

void suite_a_cancellation_while_waiting_for_room_ends_the_submission(const struct executor_kind *kind)
{
        with_pool(kind, 1, cancels_submitters);
}

static struct ouro_group *group_of_submitter;

static intptr_t submits_in_a_group(void *arg)
{
        int error = 0, *counter = arg;
        intptr_t result = 0;

        OURO_GROUP_KEEP_GOING(group, &error) {
                group_of_submitter = group;
                result = ouro_await(submit_count(counter));
        }
        return result == -ECANCELED ? 1 : result;
}

/* Its task exists, as a member of the group, before there is room for it. */
static intptr_t cancels_group_of_submitter(void *arg)
{
        struct crowd crowd;
        ouro_task task;
        int counter = 0;

        (void)arg;
        crowd_make(&crowd);
        task = ouro_create_task(submits_in_a_group, &counter);
        ouro_yield();
        ouro_group_cancel(group_of_submitter);
        crowd_leave(&crowd);
        cr_assert(ouro_await(task) == 1);
        cr_assert(counter == 0);
        return 0;
}

void suite_a_job_cancelled_while_its_submitter_waits_for_room_never_starts(const struct executor_kind *kind)
{
        with_pool(kind, 1, cancels_group_of_submitter);
}

/* ---- cancelling ---- */

static intptr_t cancels_queued(void *arg)
{
        struct gate gate = {0, 0};
        int counters[3] = {0, 0, 0};
        ouro_task running = submit_gate(&gate), queued[3];

        (void)arg;
        gate_await_begun(&gate, 1);
        for (int i = 0; i < 3; i++)
                queued[i] = submit_count(&counters[i]);
        cr_assert(ouro_cancel(queued[1]) == 0);
        cr_assert(ouro_cancel(queued[1]) == 0, "twice does nothing");
        cr_assert(ouro_await(queued[1]) == -ECANCELED, "it ends though the worker is busy");
        gate_open(&gate);
        cr_assert(ouro_await(running) == 0);
        cr_assert(ouro_await(queued[0]) == sizeof(int) && ouro_await(queued[2]) == sizeof(int));
        cr_assert(counters[0] == 1 && counters[1] == 0 && counters[2] == 1);
        return 0;
}

void suite_f68_a_cancelled_queued_job_never_starts(const struct executor_kind *kind)
{
        with_pool(kind, 0, cancels_queued);
}

static intptr_t cancels_running(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task task = ouro_submit(pool, waits_for_token, OURO_NO_IN, OURO_OUT(gate));

        (void)arg;
        gate_await_begun(&gate, 1);
        cr_assert(ouro_cancel(task) == 0 && ouro_cancel(task) == 0);
        cr_assert(ouro_cancelled(task) == OURO_CANCEL_ASKED);
        cr_assert(ouro_await(task) == -ECANCELED);
        return 0;
}

void suite_f68_a_running_job_sees_its_token_and_ends_itself(const struct executor_kind *kind)
{
        with_pool(kind, 0, cancels_running);
}

static intptr_t cancels_one_that_ignores_it(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task task = submit_gate(&gate);

        (void)arg;
        gate_await_begun(&gate, 1);
        cr_assert(ouro_cancel(task) == 0);
        for (int i = 0; i < 10; i++)
                ouro_yield();
        cr_assert(ouro_task_state(task) == OURO_STATE_WAITING, "its buffers are its own until it returns");
        gate_open(&gate);
        cr_assert(ouro_await(task) == 1, "it saw the token, and returned a value all the same");
        return 0;
}

void suite_f68_a_running_job_that_ignores_its_token_keeps_its_result(const struct executor_kind *kind)
{
        with_pool(kind, 0, cancels_one_that_ignores_it);
}

static intptr_t opens_later(void *arg)
{
        ouro_sleep(OURO_MS(5));
        gate_open(arg);
        return 0;
}

struct late {
        struct gate *gate;
        ouro_task task;
};

static intptr_t opens_once_it_is_cancelled(void *arg)
{
        const struct late *late = arg;

        while (ouro_cancelled(late->task) == OURO_NOT_CANCELLED)
                ouro_sleep(OURO_US(100));
        gate_open(late->gate);
        return 0;
}

static intptr_t waits_for_one_that_is_late(void *arg)
{
        struct gate gate = {0, 0}, token = {0, 0};
        ouro_task task = submit_gate(&gate), opener;
        struct late late = {&gate, task};

        opener = ouro_create_task(opens_once_it_is_cancelled, &late);

        (void)arg;
        gate_await_begun(&gate, 1);
        cr_assert(ouro_wait_for(task, OURO_US(100)) == 1, "it ended with a result of its own");
        cr_assert(__atomic_load_n(&gate.open, __ATOMIC_SEQ_CST) == 1);
        cr_assert(ouro_await(opener) == 0);
        task = ouro_submit(pool, waits_for_token, OURO_NO_IN, OURO_OUT(token));
        cr_assert(ouro_wait_for(task, OURO_MS(1)) == -ETIME);
        return 0;
}

void suite_a_deadline_waits_for_the_job_that_cannot_be_stopped(const struct executor_kind *kind)
{
        with_pool(kind, 0, waits_for_one_that_is_late);
}

static intptr_t leaves_group_with_jobs(void *arg)
{
        struct gate gate = {0, 0}, token = {0, 0};
        int error = 1, counter = 0;

        (void)arg;
        OURO_GROUP(group, &error) {
                submit_gate(&gate);
                submit_count(&counter);
                ouro_create_task(opens_later, &gate);
        }
        cr_assert(error == 0 && gate.open == 1 && counter == 1, "it waited for all of them");
        OURO_GROUP(group, &error) {
                ouro_submit(pool, waits_for_token, OURO_NO_IN, OURO_OUT(token));
                gate_await_begun(&token, 1);
                submit_count(&counter);
                break; /* left early: they are cancelled */
        }
        cr_assert(counter == 1, "the queued one never started");
        return 0;
}

void suite_a_group_waits_for_its_jobs(const struct executor_kind *kind)
{
        with_pool(kind, 0, leaves_group_with_jobs);
}

static struct gate outstanding;
static int never;

static intptr_t leaves_jobs_behind(void *arg)
{
        (void)arg;
        ouro_submit(pool, waits_for_token, OURO_NO_IN, OURO_OUT(outstanding));
        gate_await_begun(&outstanding, 1);
        submit_count(&never);
        return 5;
}

void suite_the_run_waits_for_jobs_that_are_out(const struct executor_kind *kind)
{
        pool = kind->open(0);
        cr_assert(ouro_run(leaves_jobs_behind, NULL) == 5, "the token made the running one end");
        cr_assert(never == 0);
        cr_assert(ouro_executor_close(pool) == 0);
        cr_assert(never == 0, "nor did closing start it");
}

/* ---- closing ---- */

static bool closed;

static intptr_t closes(void *arg)
{
        intptr_t result = ouro_executor_close(pool);

        (void)arg;
        closed = true;
        return result;
}

static intptr_t closes_while_others_run(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task task, queued, closer;
        int counter = 0;

        (void)arg;
        pool = tested->open(0);
        task = submit_gate(&gate);
        queued = submit_count(&counter);
        gate_await_begun(&gate, 1);
        closer = ouro_create_task(closes, NULL);
        for (int i = 0; i < 10; i++)
                ouro_yield();
        cr_assert(!closed);
        cr_assert(ouro_executor_close(pool) == -EALREADY);
        cr_assert(ouro_await(submit_count(&counter)) == -ESHUTDOWN);
        gate_open(&gate);
        cr_assert(ouro_await(closer) == 0);
        cr_assert(ouro_await(task) == 0);
        cr_assert(ouro_await(queued) == sizeof(int) && counter == 1, "what was queued was still done");
        return 0;
}

void suite_closing_waits_for_jobs_while_other_tasks_run(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(closes_while_others_run, NULL) == 0);
}

void suite_f69_closing_twice_is_refused(const struct executor_kind *kind)
{
        suite_closing_waits_for_jobs_while_other_tasks_run(kind);
}

void suite_f69_submitting_while_it_closes_is_refused(const struct executor_kind *kind)
{
        suite_closing_waits_for_jobs_while_other_tasks_run(kind);
}

static intptr_t submits_expecting_shutdown(void *counter)
{
        return ouro_await(submit_count(counter)) == -ESHUTDOWN ? 1 : -EINVAL;
}

static intptr_t closes_while_some_wait_for_room(void *arg)
{
        ouro_task tasks[3], closer;
        int counters[3] = {0, 0, 0};
        struct crowd crowd;

        (void)arg;
        pool = tested->open(1);
        crowd_make(&crowd);
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(submits_expecting_shutdown, &counters[i]);
        ouro_yield();
        closer = ouro_create_task(closes, NULL);
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(tasks[i]) == 1, "told while the worker is still busy");
        crowd_leave(&crowd);
        cr_assert(ouro_await(closer) == 0);
        cr_assert(counters[0] + counters[1] + counters[2] == 0);
        return 0;
}

void suite_those_who_wait_for_room_when_it_closes_are_refused(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(closes_while_some_wait_for_room, NULL) == 0);
}

enum { SUBMITTERS = 300 };

static size_t through;

static intptr_t does_nothing(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 0;
}

static intptr_t submits_once(void *arg)
{
        ouro_task task = ouro_submit(pool, does_nothing, OURO_NO_IN, OURO_NO_OUT);
        intptr_t result;

        (void)arg;
        through++;
        result = ouro_await(task);
        cr_assert(result == 0 || result == -ESHUTDOWN);
        return 0;
}

static intptr_t closes_before_a_crowd_is_through(void *arg)
{
        (void)arg;
        pool = tested->open(1);
        through = 0;
        for (int i = 0; i < SUBMITTERS; i++)
                cr_assert(ouro_go(submits_once, NULL) == 0);
        ouro_yield();
        cr_assert(through < SUBMITTERS, "some wait for room");
        cr_assert(ouro_executor_close(pool) == 0);
        cr_assert(through == SUBMITTERS, "nobody waits in an executor that is gone");
        return 0;
}

void suite_f69_closing_outlasts_those_who_wait_for_room(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(closes_before_a_crowd_is_through, NULL) == 0);
}

/* ---- several loops ---- */

enum { LOOPS = 3, ROUNDS = 300, AT_ONCE = 5 };

static int shared_count;

static intptr_t submits_rounds(void *arg)
{
        intptr_t results[AT_ONCE];
        ouro_task tasks[AT_ONCE];

        (void)arg;
        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < AT_ONCE; i++)
                        tasks[i] = submit_count(&shared_count);
                if (round % 7 == 0)
                        ouro_cancel(tasks[round % AT_ONCE]);
                ouro_gather(tasks, AT_ONCE, results);
                for (int i = 0; i < AT_ONCE; i++)
                        if (results[i] == -ECANCELED)
                                __atomic_add_fetch(&shared_count, 1, __ATOMIC_SEQ_CST);
                        else if (results[i] != sizeof(int))
                                return -EINVAL;
        }
        return 0;
}

static void *runs_loop(void *arg)
{
        (void)arg;
        return (void *)ouro_run(submits_rounds, NULL);
}

void suite_several_loops_share_one(const struct executor_kind *kind)
{
        pthread_t threads[LOOPS];

        pool = kind->open(2);
        for (int i = 0; i < LOOPS; i++)
                cr_assert(pthread_create(&threads[i], NULL, runs_loop, NULL) == 0);
        for (int i = 0; i < LOOPS; i++) {
                void *result;

                pthread_join(threads[i], &result);
                cr_assert(!result);
        }
        cr_assert(ouro_executor_close(pool) == 0);
        cr_assert(shared_count == LOOPS * ROUNDS * AT_ONCE, "each ran once or was cancelled: %d",
                  shared_count);
}

/* ---- wakes ---- */

static intptr_t spins_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        unsigned rounds = *(const unsigned *)in.base;

        (void)job, (void)out;
        for (volatile unsigned i = 0; i < rounds; i++)
                ;
        return 0;
}

/* The loop goes to sleep just when the job is done, or a little earlier or later: a wake that got lost would
 * leave it sleeping for ever. */
static intptr_t awaits_jobs_of_all_lengths(void *arg)
{
        unsigned seed = 1;

        (void)arg;
        for (int i = 0; i < 10000; i++) {
                unsigned rounds = (unsigned)rand_r(&seed) % 4000;
                ouro_task task = ouro_submit(pool, spins_a_little, OURO_IN(rounds), OURO_NO_OUT);

                if (i % 3 == 0)
                        ouro_sleep(OURO_US(1));
                if (ouro_await(task) != 0)
                        return -EINVAL;
        }
        return 0;
}

void suite_f40_no_wake_is_lost(const struct executor_kind *kind)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.spin_ns = -1;
        pool = kind->open(0);
        cr_assert(ouro_run_with(&options, awaits_jobs_of_all_lengths, NULL) == 0);
        cr_assert(ouro_executor_close(pool) == 0);
}

/* ---- the virtual clock ---- */

static bool slept;

static intptr_t sleeps_an_hour(void *arg)
{
        (void)arg;
        ouro_sleep(OURO_SEC(3600));
        slept = true;
        return 0;
}

static intptr_t has_a_job_out(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task task = submit_gate(&gate), sleeper = ouro_create_task(sleeps_an_hour, NULL);

        (void)arg;
        gate_await_begun(&gate, 1);
        ouro_sleep(OURO_MS(2)); /* of real time, as long as a job is out */
        cr_assert(!slept);
        gate_open(&gate);
        cr_assert(ouro_await(task) == 0);
        cr_assert(ouro_await(sleeper) == 0);
        cr_assert(ouro_now() >= OURO_SEC(3600));
        return 0;
}

void suite_the_virtual_clock_waits_for_jobs(const struct executor_kind *kind)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        pool = kind->open(0);
        cr_assert(ouro_run_with(&options, has_a_job_out, NULL) == 0);
        cr_assert(ouro_executor_close(pool) == 0);
}
