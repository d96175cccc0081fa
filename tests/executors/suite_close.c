/* suite_close.c - closing an executor. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

/* ---- closing ---- */

static bool closed;

static intptr_t closes(void *arg)
{
        intptr_t result = ouro_executor_close(tested_pool);

        (void)arg;
        closed = true;
        return result;
}

static intptr_t closes_while_others_run(void *arg)
{
        ouro_task task, queued, closer;
        struct gate *gate;
        int *counter;

        (void)arg;
        open_pool(tested, 0);
        gate = shared(sizeof *gate);
        counter = shared(sizeof *counter);
        task = submit_gate(gate);
        queued = submit_count(counter);
        gate_await_begun(gate, 1);
        closer = ouro_create_task(closes, NULL);
        for (int i = 0; i < 10; i++)
                ouro_yield();
        cr_assert(!closed);
        cr_assert(ouro_executor_close(tested_pool) == -EALREADY);
        cr_assert(ouro_await(submit_count(counter)) == -ESHUTDOWN);
        gate_open(gate);
        cr_assert(ouro_await(task) == 0);
        cr_assert(ouro_await(queued) == sizeof(int), "what was queued was still done");
        cr_assert(ouro_await(closer) == 0);
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
        struct crowd crowd;
        int *counters;

        (void)arg;
        open_pool(tested, 1);
        counters = shared(3 * sizeof *counters);
        crowd_make(&crowd);
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(submits_expecting_shutdown, &counters[i]);
        ouro_yield();
        closer = ouro_create_task(closes, NULL);
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(tasks[i]) == 1, "told while the worker is still busy");
        cr_assert(counters[0] + counters[1] + counters[2] == 0);
        crowd_leave_closing(&crowd);
        cr_assert(ouro_await(closer) == 0);
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
        ouro_task task = ouro_submit(tested_pool, does_nothing, OURO_NO_IN, OURO_NO_OUT);
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
        open_pool(tested, 1);
        through = 0;
        for (int i = 0; i < SUBMITTERS; i++)
                cr_assert(ouro_go(submits_once, NULL) == 0);
        ouro_yield();
        cr_assert(through < SUBMITTERS, "some wait for room");
        cr_assert(ouro_executor_close(tested_pool) == 0);
        cr_assert(through == SUBMITTERS, "nobody waits in an executor that is gone");
        return 0;
}

void suite_f69_closing_outlasts_those_who_wait_for_room(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(closes_before_a_crowd_is_through, NULL) == 0);
}

static intptr_t uses_pool_and_leaves_it(void *arg)
{
        int *counter = shared(sizeof *counter);

        (void)arg;
        return ouro_await(submit_count(counter));
}

void suite_closing_outside_a_loop_blocks_until_done(const struct executor_kind *kind)
{
        for (int i = 0; i < 20; i++) {
                open_pool(kind, 0);
                cr_assert(ouro_run(uses_pool_and_leaves_it, NULL) == sizeof(int));
                cr_assert(ouro_executor_close(tested_pool) == 0);
        }
}

void suite_f69_closing_nothing_is_refused(const struct executor_kind *kind)
{
        (void)kind;
        cr_assert(ouro_executor_close(NULL) == -EINVAL);
}

/* ---- with less patience ---- */

static intptr_t closes_nonsense(void *arg)
{
        (void)arg;
        cr_assert(ouro_executor_close_with(NULL, OURO_CLOSE_WAIT, OURO_FOREVER) == -EINVAL);
        cr_assert(ouro_executor_close_with(tested_pool, (enum ouro_close)3, OURO_FOREVER) == -EINVAL);
        cr_assert(ouro_executor_close_with(tested_pool, (enum ouro_close) - 1, OURO_FOREVER) == -EINVAL);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, -1) == -EINVAL);
        cr_assert(ouro_await(ouro_submit(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT)) == -EDOM,
                  "it has not been closed by that");
        return 0;
}

void suite_closing_refuses_what_makes_no_sense(const struct executor_kind *kind)
{
        with_pool(kind, 0, closes_nonsense);
}

static intptr_t gives_up_closing(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = (struct ouro_report *)&options; /* to be overwritten */
        struct gate *gate;
        ouro_task task, closer;

        (void)arg;
        open_pool(tested, 0);
        gate = shared(sizeof *gate);
        task = submit_gate(gate);
        gate_await_begun(gate, 1);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, 0) == -ETIME);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, OURO_MS(1)) == -ETIME);
        options.ret_report = &report;
        cr_assert(ouro_call(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, &options) == -ESHUTDOWN);
        cr_assert(!report, "there is nothing to tell of what was refused");
        closer = ouro_create_task(closes, NULL);
        ouro_yield();
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, 0) == -EALREADY);
        gate_open(gate);
        cr_assert(ouro_await(task) == 0);
        cr_assert(ouro_await(closer) == 0);
        return 0;
}

void suite_a_close_that_gives_up_leaves_it_closing(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(gives_up_closing, NULL) == 0);
}

struct leftover {
        struct gate *gate;
        pthread_barrier_t *begun;
};

static intptr_t leaves_one_at_the_gate(void *arg)
{
        struct leftover *leftover = arg;
        ouro_task task = submit_gate(leftover->gate);

        gate_await_begun(leftover->gate, 1);
        pthread_barrier_wait(leftover->begun);
        return ouro_await(task);
}

static void *runs_beside(void *arg)
{
        return (void *)ouro_run(leaves_one_at_the_gate, arg);
}

void suite_a_thread_that_gives_up_closing_leaves_it_closing(const struct executor_kind *kind)
{
        pthread_barrier_t begun;
        struct leftover leftover = {.begun = &begun};
        pthread_t thread;
        void *result;

        open_pool(kind, 0);
        leftover.gate = shared(sizeof *leftover.gate);
        pthread_barrier_init(&begun, NULL, 2);
        cr_assert(pthread_create(&thread, NULL, runs_beside, &leftover) == 0);
        pthread_barrier_wait(&begun);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, 0) == -ETIME);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, OURO_MS(1)) == -ETIME);
        gate_open(leftover.gate);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, OURO_SEC(1000)) == 0);
        pthread_join(thread, &result);
        cr_assert(!result);
        pthread_barrier_destroy(&begun);
}

/* One runs and one is queued. */
struct busy {
        struct gate *gate;
        ouro_task running, queued;
        int *counter;
};

static void make_busy(struct busy *busy, ouro_job_fn *fn)
{
        open_pool(tested, 0);
        busy->gate = shared(sizeof *busy->gate);
        busy->counter = shared(sizeof *busy->counter);
        busy->running = ouro_submit(tested_pool, fn, OURO_NO_IN, ouro_out(busy->gate, sizeof *busy->gate));
        gate_await_begun(busy->gate, 1);
        busy->queued = submit_count(busy->counter);
}

static intptr_t closes_cancelling(void *arg)
{
        struct busy busy;

        (void)arg;
        make_busy(&busy, job_waits_at_gate);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, 0) == -ETIME, "kindly first");
        for (int i = 0; i < 10; i++)
                ouro_yield();
        cr_assert(ouro_task_state(busy.queued) == OURO_STATE_WAITING);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_CANCEL, 0) == -ETIME);
        cr_assert(ouro_await(busy.queued) == -ECANCELED, "while the other still runs");
        cr_assert(*busy.counter == 0);
        gate_open(busy.gate);
        cr_assert(ouro_await(busy.running) == 0);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_CANCEL, OURO_FOREVER) == 0);
        return 0;
}

void suite_closing_may_cancel_what_is_queued(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(closes_cancelling, NULL) == 0);
}

static intptr_t closes_killing(void *arg)
{
        struct busy busy;

        (void)arg;
        make_busy(&busy, job_waits_for_token);
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_KILL, OURO_FOREVER) == 0);
        cr_assert(ouro_await(busy.running) == -ECANCELED);
        cr_assert(ouro_await(busy.queued) == -ECANCELED);
        return 0;
}

void suite_closing_may_end_what_runs(const struct executor_kind *kind)
{
        tested = kind;
        cr_assert(ouro_run(closes_killing, NULL) == 0);
}
