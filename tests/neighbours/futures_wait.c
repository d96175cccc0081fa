/* futures_wait.c - what users of futures demand of one job, and of waiting for several: results, errors,
 * cancellation, the first, all, as they complete, each with and without a timeout. */
#include "futures.h"

/* ---- one ---- */

DEMAND(futures, a_job_gives_the_result_of_its_arguments)
{
        open_pool((struct wish){.workers = 2});
        EQ(ouro_await(submit_product(2, 8)), 16);
        EQ(ouro_await(submit_product(21, 2)), 42);
        close_pool();
        return 0;
}

DEMAND(futures, a_job_is_waiting_until_it_is_done_and_then_stays_done)
{
        struct event *event;
        ouro_task running, queued;

        open_pool((struct wish){.workers = 1});
        event = new_event();
        running = submit_wait(event);
        queued = submit_product(6, 7);
        await_begun(event, 1);
        EQ(ouro_task_state(running), OURO_STATE_WAITING);
        EQ(ouro_task_state(queued), OURO_STATE_WAITING);
        set_event(event);
        EQ(ouro_wait(queued), 0);
        EQ(ouro_wait(running), 0);
        EQ(ouro_task_state(running), OURO_STATE_ENDED);
        EQ(ouro_task_state(queued), OURO_STATE_ENDED);
        EQ(ouro_cancelled(queued), OURO_NOT_CANCELLED);
        EQ(ouro_await(running), 1);
        EQ(ouro_await(queued), 42);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, waiting_too_long_for_a_result_leaves_the_job_alone)
{
        struct event *event;
        intptr_t result = 0;
        ouro_task task;

        open_pool((struct wish){.workers = 1});
        event = new_event();
        task = submit_wait(event);
        OURO_TIMEOUT(OURO_MS(2)) {
                result = ouro_await(task);
        }
        EQ(result, -ETIME);
        EQ(ouro_cancelled(task), OURO_NOT_CANCELLED);
        set_event(event);
        EQ(ouro_await(task), 1);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, a_queued_job_can_be_cancelled_and_one_that_is_done_cannot)
{
        struct event *event;
        ouro_task running, queued, done;

        open_pool((struct wish){.workers = 1});
        event = new_event();
        done = submit_product(6, 7);
        EQ(ouro_wait(done), 0);
        running = submit_wait(event);
        await_begun(event, 1);
        queued = submit_wait(event);
        EQ(ouro_cancel(queued), 0);
        EQ(ouro_cancel(queued), 0);
        EQ(ouro_await(queued), -ECANCELED);
        EQ(ouro_cancel(done), 0);
        EQ(ouro_cancelled(done), OURO_NOT_CANCELLED);
        EQ(ouro_await(done), 42);
        set_event(event);
        EQ(ouro_await(running), 1);
        EQ(event->began, 1);
        free_event(event);
        close_pool();
        return 0;
}

static intptr_t cancels_later(void *task)
{
        ouro_sleep(OURO_MS(2));
        return ouro_cancel(*(ouro_task *)task);
}

DEMAND(futures, who_waits_for_a_job_learns_that_it_was_cancelled)
{
        struct event *event;
        ouro_task running, queued, canceller;

        open_pool((struct wish){.workers = 1});
        event = new_event();
        running = submit_wait(event);
        await_begun(event, 1);
        queued = submit_product(1, 1);
        canceller = ouro_create_task(cancels_later, &queued);
        EQ(ouro_wait(queued), 0);
        EQ(ouro_cancelled(queued), OURO_CANCEL_ASKED);
        EQ(ouro_await(queued), -ECANCELED);
        EQ(ouro_await(canceller), 0);
        set_event(event);
        EQ(ouro_await(running), 1);
        free_event(event);
        close_pool();
        return 0;
}

/* ---- several ---- */

DEMAND(futures, a_job_that_is_waited_for_twice_counts_once_and_ends_once)
{
        ouro_task task, twice[2];
        intptr_t results[2];

        open_pool((struct wish){.workers = 2});
        task = submit_product(1, 2);
        twice[0] = twice[1] = task;
        EQ(ouro_gather(twice, 2, results), 0);
        EQ(results[0], 2);
        EQ(results[1], 2);
        close_pool();
        return 0;
}

DEMAND(futures, the_first_to_complete_is_told_and_others_go_on)
{
        struct event *event;
        ouro_task tasks[2];

        open_pool((struct wish){.workers = 2});
        event = new_event();
        tasks[0] = submit_wait(event);
        tasks[1] = submit_product(21, 2);
        EQ(ouro_wait_first(tasks, 2), 1);
        EQ(ouro_task_state(tasks[0]), OURO_STATE_WAITING);
        EQ(ouro_wait_first(tasks, 2), 1); /* some had completed before */
        set_event(event);
        EQ(ouro_await(tasks[0]), 1);
        EQ(ouro_await(tasks[1]), 42);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, the_first_failure_ends_the_wait_for_a_group)
{
        struct event *event;
        ouro_task done = OURO_NO_TASK;
        int error = 0;

        open_pool((struct wish){.workers = 2});
        event = new_event();
        OURO_GROUP(group, &error) {
                done = submit_product(2, 21);
                EQ(ouro_await(done), 42);
                submit_wait(event); /* ended by its sibling's failure */
                await_begun(event, 1);
                submit_failure();
                EQ(ouro_sleep(OURO_SEC(1000)), -ECANCELED);
        }
        EQ(error, -EDOM);
        EQ(event->set, 0);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, one_that_has_failed_before_ends_the_wait_at_once)
{
        struct event *event;
        int error = 0;

        open_pool((struct wish){.workers = 2});
        event = new_event();
        OURO_GROUP(group, &error) {
                ouro_task failed = submit_failure();

                submit_wait(event);
                ouro_wait(failed);
                EQ(ouro_sleep(OURO_SEC(1000)), -ECANCELED);
        }
        EQ(error, -EDOM);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, all_complete_whatever_each_came_to)
{
        struct event *event;
        ouro_task tasks[4], running;
        intptr_t results[4];

        open_pool((struct wish){.workers = 1});
        event = new_event();
        running = submit_wait(event);
        await_begun(event, 1);
        tasks[0] = submit_failure();
        tasks[1] = submit_product(2, 21);
        tasks[2] = submit_product(3, 3);
        tasks[3] = submit_product(0, 5);
        EQ(ouro_cancel(tasks[2]), 0);
        set_event(event);
        EQ(ouro_gather(tasks, 4, results), -ECANCELED); /* which came first */
        EQ(results[0], -EDOM);
        EQ(results[1], 42);
        EQ(results[2], -ECANCELED);
        EQ(results[3], 0);
        EQ(ouro_await(running), 1);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, waiting_for_all_with_a_timeout_tells_who_is_not_done)
{
        struct event *event;
        ouro_task done, pending;
        int error = 0;

        open_pool((struct wish){.workers = 2});
        event = new_event();
        done = submit_product(6, 7);
        pending = submit_wait(event);
        EQ(ouro_wait(done), 0); /* however slow the machine is */
        OURO_TIMEOUT(OURO_MS(20)) {
                error = ouro_wait(done);
                if (error == 0)
                        error = ouro_wait(pending);
        }
        EQ(error, -ETIME);
        EQ(ouro_task_state(done), OURO_STATE_ENDED);
        EQ(ouro_task_state(pending), OURO_STATE_WAITING);
        set_event(event);
        EQ(ouro_await(pending), 1);
        EQ(ouro_await(done), 42);
        free_event(event);
        close_pool();
        return 0;
}

DEMAND(futures, a_hundred_that_end_at_once_are_all_waited_for)
{
        enum { JOBS = 100 };
        intptr_t results[JOBS];
        ouro_task tasks[JOBS];
        struct event *event;

        open_pool((struct wish){.workers = 4});
        event = new_event();
        for (int i = 0; i < JOBS; i++)
                tasks[i] = submit_wait(event);
        set_event(event);
        EQ(ouro_gather(tasks, JOBS, results), 0);
        for (int i = 0; i < JOBS; i++)
                EQ(results[i], 1);
        EQ(event->began, JOBS);
        free_event(event);
        close_pool();
        return 0;
}

/* ---- as they complete ---- */

DEMAND(futures, each_is_told_once_as_it_completes)
{
        ouro_completions *completions;
        ouro_task tasks[3];
        unsigned told = 0;
        ssize_t i;

        open_pool((struct wish){.workers = 2});
        tasks[0] = submit_product(2, 21);
        tasks[1] = submit_failure();
        tasks[2] = submit_product(7, 6);
        EQ(ouro_as_completed(tasks, 3, &completions), 0);
        while ((i = ouro_completions_next(completions)) >= 0) {
                cr_assert(!(told & 1u << i));
                told |= 1u << i;
        }
        EQ(i, -ENOENT);
        EQ(told, 7);
        ouro_completions_free(completions);
        EQ(ouro_await(tasks[0]), 42);
        EQ(ouro_await(tasks[1]), -EDOM);
        EQ(ouro_await(tasks[2]), 42);
        close_pool();
        return 0;
}

DEMAND(futures, with_a_timeout_those_that_are_done_are_told_before_it)
{
        ouro_completions *completions;
        struct event *event;
        ouro_task tasks[2];
        ssize_t last = 0;

        open_pool((struct wish){.workers = 2});
        event = new_event();
        tasks[0] = submit_wait(event);
        tasks[1] = submit_product(7, 6);
        EQ(ouro_as_completed(tasks, 2, &completions), 0);
        EQ(ouro_completions_next(completions), 1);
        OURO_TIMEOUT(OURO_MS(2)) {
                last = ouro_completions_next(completions);
        }
        EQ(last, -ETIME);
        set_event(event);
        EQ(ouro_completions_next(completions), 0); /* it goes on where it was cut short */
        EQ(ouro_completions_next(completions), -ENOENT);
        ouro_completions_free(completions);
        EQ(ouro_await(tasks[0]), 1);
        EQ(ouro_await(tasks[1]), 42);
        free_event(event);
        close_pool();
        return 0;
}
