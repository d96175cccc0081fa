/* suite_cancel.c - cancelling jobs, queued and running. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

/* ---- cancelling ---- */

static intptr_t cancels_queued(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        int *counters = shared(3 * sizeof *counters);
        ouro_task running = submit_gate(gate), queued[3];

        (void)arg;
        gate_await_begun(gate, 1);
        for (int i = 0; i < 3; i++)
                queued[i] = submit_count(&counters[i]);
        cr_assert(ouro_cancel(queued[1]) == 0);
        cr_assert(ouro_cancel(queued[1]) == 0, "twice does nothing");
        cr_assert(ouro_await(queued[1]) == -ECANCELED, "it ends though the worker is busy");
        gate_open(gate);
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
        struct gate *gate = shared(sizeof *gate);
        ouro_task task =
                ouro_submit(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(gate, sizeof *gate));

        (void)arg;
        gate_await_begun(gate, 1);
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
        struct gate *gate = shared(sizeof *gate);
        ouro_task task = submit_gate(gate);

        (void)arg;
        gate_await_begun(gate, 1);
        cr_assert(ouro_cancel(task) == 0);
        for (int i = 0; i < 10; i++)
                ouro_yield();
        cr_assert(ouro_task_state(task) == OURO_STATE_WAITING, "its buffers are its own until it returns");
        gate_open(gate);
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
        struct gate *gate = shared(sizeof *gate), *token = shared(sizeof *token);
        ouro_task task = submit_gate(gate), opener;
        struct late late = {gate, task};

        opener = ouro_create_task(opens_once_it_is_cancelled, &late);

        (void)arg;
        gate_await_begun(gate, 1);
        cr_assert(ouro_wait_for(task, OURO_US(100)) == 1, "it ended with a result of its own");
        cr_assert(__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST) == 1);
        cr_assert(ouro_await(opener) == 0);
        task = ouro_submit(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(token, sizeof *token));
        cr_assert(ouro_wait_for(task, OURO_MS(1)) == -ETIME);
        return 0;
}

void suite_a_deadline_waits_for_the_job_that_cannot_be_stopped(const struct executor_kind *kind)
{
        with_pool(kind, 0, waits_for_one_that_is_late);
}

static intptr_t leaves_group_with_jobs(void *arg)
{
        struct gate *gate = shared(sizeof *gate), *token = shared(sizeof *token);
        int *counter = shared(sizeof *counter), error = 1;

        (void)arg;
        OURO_GROUP(group, &error) {
                submit_gate(gate);
                submit_count(counter);
                ouro_create_task(opens_later, gate);
        }
        cr_assert(error == 0 && gate->open == 1 && *counter == 1, "it waited for all of them");
        OURO_GROUP(group, &error) {
                ouro_submit(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(token, sizeof *token));
                gate_await_begun(token, 1);
                submit_count(counter);
                break; /* left early: they are cancelled */
        }
        cr_assert(*counter == 1, "the queued one never started");
        return 0;
}

void suite_a_group_waits_for_its_jobs(const struct executor_kind *kind)
{
        with_pool(kind, 0, leaves_group_with_jobs);
}

static struct gate *outstanding;
static int *never;

static intptr_t leaves_jobs_behind(void *arg)
{
        (void)arg;
        outstanding = shared(sizeof *outstanding);
        never = shared(sizeof *never);
        ouro_submit(tested_pool, job_waits_for_token, OURO_NO_IN, ouro_out(outstanding, sizeof *outstanding));
        gate_await_begun(outstanding, 1);
        submit_count(never);
        return 5;
}

void suite_the_run_waits_for_jobs_that_are_out(const struct executor_kind *kind)
{
        open_pool(kind, 0);
        cr_assert(ouro_run(leaves_jobs_behind, NULL) == 5, "the token made the running one end");
        cr_assert(*never == 0);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}
