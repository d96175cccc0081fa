/* suite_waiting.c - jobs beside the loop, and waiting for room. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

/* ---- beside the loop ---- */

static intptr_t runs_beside_a_job(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        ouro_task task = submit_gate(gate);

        (void)arg;
        gate_await_begun(gate, 1);
        cr_assert(ouro_task_state(task) == OURO_STATE_WAITING);
        for (int i = 0; i < 100; i++)
                cr_assert(ouro_yield() == 0);
        gate_open(gate);
        cr_assert(ouro_await(task) == 0);
        return 0;
}

void suite_the_loop_goes_on_while_a_job_runs(const struct executor_kind *kind)
{
        with_pool(kind, 0, runs_beside_a_job);
}
/* ---- back-pressure: the worker is at the gate, the queue of one is full ---- */

static char order[64];

struct submitter {
        char letter;
        int *counter;
};

static intptr_t submits_and_tells(void *arg)
{
        struct submitter *submitter = arg;
        ouro_task task = submit_count(submitter->counter);

        order[strlen(order)] = submitter->letter;
        return ouro_await(task);
}

static intptr_t submits_to_a_full_one(void *arg)
{
        struct submitter late = {.letter = 'L', .counter = shared(sizeof(int))};
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
        cr_assert(ouro_await(task) == sizeof(int) && *late.counter == 1);
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
                submitters[i] = (struct submitter){.letter = (char)('a' + i), .counter = shared(sizeof(int))};
                tasks[i] = ouro_create_task(submits_and_tells, &submitters[i]);
        }
        ouro_yield();
        crowd_leave(&crowd);
        cr_assert(ouro_gather(tasks, SUBMITTERS, results) == 0);
        cr_assert_str_eq(order, "abcdefghijklmnopqrst");
        for (int i = 0; i < SUBMITTERS; i++)
                cr_assert(*submitters[i].counter == 1);
        return 0;
}

void suite_submitters_that_wait_for_room_are_served_in_order(const struct executor_kind *kind)
{
        with_pool(kind, 1, has_many_submitters);
}

static intptr_t submits_until_a_deadline(void *arg)
{
        struct submitter next = {.letter = 'n', .counter = shared(sizeof(int))};
        ouro_task late = OURO_NO_TASK, after;
        struct crowd crowd;
        int *counter = shared(sizeof *counter);

        (void)arg;
        crowd_make(&crowd);
        OURO_TIMEOUT(OURO_MS(1)) {
                late = submit_count(counter);
        }
        cr_assert(ouro_await(late) == -ETIME);
        after = ouro_create_task(submits_and_tells, &next);
        ouro_yield();
        crowd_leave(&crowd);
        cr_assert(ouro_await(after) == sizeof(int), "the queue of those who wait is as good as new");
        cr_assert(*counter == 0 && *next.counter == 1);
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
        int *counters = shared(3 * sizeof *counters);
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
        int *counter = shared(sizeof *counter);

        (void)arg;
        crowd_make(&crowd);
        task = ouro_create_task(submits_in_a_group, counter);
        ouro_yield();
        ouro_group_cancel(group_of_submitter);
        crowd_leave(&crowd);
        cr_assert(ouro_await(task) == 1);
        cr_assert(*counter == 0);
        return 0;
}

void suite_a_job_cancelled_while_its_submitter_waits_for_room_never_starts(const struct executor_kind *kind)
{
        with_pool(kind, 1, cancels_group_of_submitter);
}
