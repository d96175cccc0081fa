/* What CPython's tests of asyncio's tasks demand, of waiting for several: wait, as_completed, gather, shield,
 * sleep. The table is in README.md. */
#include <errno.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(asyncio_wait, .init = leaks_begin, .fini = leaks_end);
TestSuite(asyncio_as_completed, .init = leaks_begin, .fini = leaks_end);
TestSuite(asyncio_gather, .init = leaks_begin, .fini = leaks_end);
TestSuite(asyncio_shield, .init = leaks_begin, .fini = leaks_end);
TestSuite(asyncio_sleep, .init = leaks_begin, .fini = leaks_end);

/* Returns its milliseconds after them; less than zero: fails with that after as many. */
static intptr_t gives_ms(void *arg)
{
        intptr_t ms = (intptr_t)arg;
        int cut = ouro_sleep(OURO_MS(ms < 0 ? -ms : ms));

        return cut < 0 ? cut : ms;
}

static void create(ouro_task *tasks, const int *ms, size_t n)
{
        for (size_t i = 0; i < n; i++)
                tasks[i] = ouro_create_task(gives_ms, as_arg(ms[i]));
}

/* ---- wait ---- */

RUN_VIRTUAL(asyncio_wait, for_all_ends_with_the_last_and_again_at_once)
{
        static const int ms[] = {100, 150};
        ouro_task tasks[2];

        create(tasks, ms, 2);
        for (int again = 0; again < 2; again++) {
                for (int i = 0; i < 2; i++)
                        cr_assert_eq(ouro_wait(tasks[i]), 0);
                cr_assert_eq(ouro_now(), OURO_MS(150));
        }
        cr_assert_eq(ouro_await(tasks[0]) + ouro_await(tasks[1]), 250);
}

RUN_VIRTUAL(asyncio_wait, for_the_first_leaves_the_others_alone)
{
        static const int ms[] = {10000, 100};
        ouro_task tasks[2];

        create(tasks, ms, 2);
        cr_assert_eq(ouro_wait_first(tasks, 2), 1);
        cr_assert_eq(ouro_now(), OURO_MS(100));
        cr_assert_eq(ouro_task_state(tasks[0]), OURO_STATE_WAITING);
        cr_assert_eq(ouro_await(tasks[0]), 10000);
}

static intptr_t yields_twice(void *value)
{
        ouro_yield();
        ouro_yield();
        return (intptr_t)value;
}

RUN_VIRTUAL(asyncio_wait, tells_of_one_that_has_really_ended_when_several_end_close_together)
{
        ouro_task tasks[] = {ouro_create_task(waits_for_ever, NULL), ouro_create_task(yields_twice, NULL),
                             ouro_create_task(yields_twice, NULL)};

        cr_assert_eq(ouro_wait_first(tasks, 3), 1);
        cr_assert_eq(ouro_task_state(tasks[1]), OURO_STATE_ENDED);
        cr_assert_eq(ouro_task_state(tasks[0]), OURO_STATE_WAITING);
}

RUN_VIRTUAL(asyncio_wait, several_that_end_at_the_same_time_have_all_ended)
{
        static const int ms[] = {100, 100};
        ouro_task tasks[2];

        create(tasks, ms, 2);
        cr_assert_eq(ouro_wait(tasks[0]), 0);
        cr_assert_eq(ouro_wait(tasks[1]), 0);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

RUN_VIRTUAL(asyncio_wait, for_the_first_failure_is_what_a_group_does)
{
        int error = 0;
        ouro_task slow;

        OURO_GROUP(group, &error) {
                slow = ouro_create_task_in(group, gives_ms, as_arg(10000));
                ouro_create_task_in(group, gives_ms, as_arg(-100));
                cr_assert_eq(ouro_await(slow), -ECANCELED);
        }
        cr_assert_eq(error, -100);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

RUN_VIRTUAL(asyncio_wait, for_a_first_failure_that_never_comes_ends_with_the_last)
{
        int error = 1;

        OURO_GROUP(group, &error) {
                ouro_create_task_in(group, gives_ms, as_arg(10));
                ouro_create_task_in(group, gives_ms, as_arg(20));
        }
        cr_assert_eq(error, 0);
        cr_assert_eq(ouro_now(), OURO_MS(20));
}

RUN_VIRTUAL(asyncio_wait, for_all_tells_failures_among_the_results)
{
        static const int ms[] = {100, -150};
        ouro_task tasks[2];
        intptr_t results[2];

        create(tasks, ms, 2);
        cr_assert_eq(ouro_gather(tasks, 2, results), -150);
        cr_assert_eq(results[0], 100);
        cr_assert_eq(results[1], -150);
}

RUN_VIRTUAL(asyncio_wait, with_a_deadline_tells_who_has_ended_and_cancels_nobody)
{
        static const int ms[] = {100, 150};
        ouro_task tasks[2];
        bool expired;

        create(tasks, ms, 2);
        OURO_TIMEOUT(OURO_MS(110), &expired)
                for (int i = 0; i < 2; i++)
                        ouro_wait(tasks[i]);
        cr_assert(expired);
        cr_assert_eq(ouro_now(), OURO_MS(110));
        cr_assert_eq(ouro_task_state(tasks[0]), OURO_STATE_ENDED);
        cr_assert_eq(ouro_task_state(tasks[1]), OURO_STATE_WAITING);
        cr_assert_eq(ouro_await(tasks[1]), 150);
}

RUN_VIRTUAL(asyncio_wait, for_nothing_or_for_what_is_none_is_refused)
{
        ouro_task none[] = {OURO_NO_TASK, OURO_NO_TASK}, stale = ouro_create_task(gives, NULL);

        cr_assert_eq(ouro_wait_first(NULL, 0), -EINVAL);
        cr_assert_eq(ouro_wait_first(none, 2), -EINVAL);
        cr_assert_eq(ouro_wait_first(NULL, 3), -EINVAL);
        ouro_await(stale);
        cr_assert_eq(ouro_wait_first(&stale, 1), -ESRCH);
        cr_assert_eq(ouro_wait(stale), -ESRCH);
}

/* ---- as_completed ---- */

static void completes(const ouro_task *tasks, size_t n, const char *order)
{
        ouro_completions *set;
        ssize_t next;

        cr_assert_eq(ouro_as_completed(tasks, n, &set), 0);
        while ((next = ouro_completions_next(set)) >= 0)
                note((char)('a' + next));
        cr_assert_eq(next, -ENOENT);
        cr_assert_str_eq(noted(), order);
        ouro_completions_free(set);
}

RUN_VIRTUAL(asyncio_as_completed, each_is_told_once_in_the_order_of_ending_also_a_second_time)
{
        static const int ms[] = {150, 100, 0};
        ouro_task tasks[3];

        create(tasks, ms, 3);
        completes(tasks, 3, "cba");
        cr_assert_eq(ouro_now(), OURO_MS(150));
        completes(tasks, 3, "abc");
}

RUN_VIRTUAL(asyncio_as_completed, with_a_deadline_tells_those_before_it_and_then_of_it)
{
        static const int ms[] = {100, 150};
        ouro_completions *set;
        ouro_task tasks[2];

        create(tasks, ms, 2);
        cr_assert_eq(ouro_as_completed(tasks, 2, &set), 0);
        OURO_TIMEOUT(OURO_MS(120)) {
                cr_assert_eq(ouro_completions_next(set), 0);
                cr_assert_eq(ouro_completions_next(set), -ETIME);
        }
        cr_assert_eq(ouro_now(), OURO_MS(120));
        cr_assert_eq(ouro_completions_next(set), 1, "and it can go on");
        ouro_completions_free(set);
}

RUN_VIRTUAL(asyncio_as_completed, a_deadline_that_is_not_reached_leaves_no_trace)
{
        static const int ms[] = {10};
        ouro_completions *set;
        ouro_task tasks[1];
        bool expired = true;

        create(tasks, ms, 1);
        cr_assert_eq(ouro_as_completed(tasks, 1, &set), 0);
        OURO_TIMEOUT(OURO_SEC(1), &expired)
                cr_assert_eq(ouro_completions_next(set), 0);
        cr_assert_not(expired);
        cr_assert_eq(ouro_sleep(OURO_SEC(2)), 0);
        ouro_completions_free(set);
}

RUN_VIRTUAL(asyncio_as_completed, those_that_end_together_are_all_told)
{
        static const int ms[] = {100, 100, 100};
        ouro_task tasks[3];

        create(tasks, ms, 3);
        completes(tasks, 3, "abc");
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

RUN_VIRTUAL(asyncio_as_completed, one_that_stands_in_it_twice_is_told_at_both_places)
{
        ouro_task task = ouro_create_task(gives_ms, as_arg(1)), tasks[] = {task, task};

        completes(tasks, 2, "ab");
        cr_assert_eq(ouro_await(task), 1);
}

RUN_VIRTUAL(asyncio_as_completed, of_nothing_or_of_what_is_no_task_is_told_at_once)
{
        ouro_completions *set;
        ouro_task stale = ouro_create_task(gives, NULL);

        cr_assert_eq(ouro_as_completed(NULL, 2, &set), -EINVAL);
        cr_assert_eq(ouro_as_completed(&stale, 1, NULL), -EINVAL);
        ouro_await(stale);
        cr_assert_eq(ouro_as_completed(&stale, 1, &set), -ESRCH);
        completes(NULL, 0, "");
}

/* ---- gather ---- */

RUN_VIRTUAL(asyncio_gather, results_come_in_the_order_of_the_tasks_not_of_their_ending)
{
        static const int ms[] = {30, 10, 20};
        ouro_task tasks[3];
        intptr_t results[3];

        create(tasks, ms, 3);
        cr_assert_eq(ouro_gather(tasks, 3, results), 0);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(results[i], ms[i]);
}

RUN_VIRTUAL(asyncio_gather, the_error_that_came_first_is_told_when_all_have_ended)
{
        static const int ms[] = {50, -20, -10};
        ouro_task tasks[3];
        intptr_t results[3];

        create(tasks, ms, 3);
        cr_assert_eq(ouro_gather(tasks, 3, results), -10);
        cr_assert_eq(ouro_now(), OURO_MS(50));
        for (int i = 0; i < 3; i++)
                cr_assert_eq(results[i], ms[i]);
}

RUN_VIRTUAL(asyncio_gather, of_nothing_is_done_at_once)
{
        cr_assert_eq(ouro_gather(NULL, 0, NULL), 0);
        cr_assert_eq(ouro_now(), 0);
}

RUN_VIRTUAL(asyncio_gather, the_same_task_twice_gives_the_same_result_twice)
{
        ouro_task task = ouro_create_task(gives_ms, as_arg(7)), tasks[] = {task, task};
        intptr_t results[2];

        cr_assert_eq(ouro_gather(tasks, 2, results), 0);
        cr_assert_eq(results[0], 7);
        cr_assert_eq(results[1], 7);
}

RUN_VIRTUAL(asyncio_gather, a_member_that_is_cancelled_is_one_result_among_the_others)
{
        static const int ms[] = {10, 20, 30};
        ouro_task tasks[3];
        intptr_t results[3];

        create(tasks, ms, 3);
        ouro_yield();
        ouro_cancel(tasks[1]);
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], 10);
        cr_assert_eq(results[1], -ECANCELED);
        cr_assert_eq(results[2], 30);
        cr_assert_eq(ouro_yield(), 0, "the caller is not cancelled");
}

struct gathering {
        ouro_task *tasks;
        size_t n;
        intptr_t results[3];
};

static intptr_t gathers(void *arg)
{
        struct gathering *gathering = arg;

        return ouro_gather(gathering->tasks, gathering->n, gathering->results);
}

RUN_VIRTUAL(asyncio_gather, cancelled_it_cancels_its_members_and_waits_for_them)
{
        ouro_task tasks[] = {ouro_create_task(waits_for_ever, NULL),
                             ouro_create_task(gives_when_cut, as_arg(5)), ouro_create_task(gives, as_arg(6))};
        struct gathering gathering = {tasks, 3, {0}};
        ouro_task gather = ouro_create_task(gathers, &gathering);

        ouro_sleep(OURO_MS(1));
        ouro_cancel(gather);
        cr_assert_eq(ouro_await(gather), -ECANCELED);
        cr_assert_eq(gathering.results[0], -ECANCELED);
        cr_assert_eq(gathering.results[1], 5);
        cr_assert_eq(gathering.results[2], 6);
        cr_assert_eq(ouro_wait(tasks[0]), -ESRCH, "consumed");
}

RUN_VIRTUAL(asyncio_gather, cancelled_when_all_have_ended_it_gives_the_results)
{
        static const int ms[] = {1, 1};
        ouro_task tasks[2];
        struct gathering gathering = {tasks, 2, {0}};
        ouro_task gather;

        create(tasks, ms, 2);
        gather = ouro_create_task(gathers, &gathering);
        ouro_wait(tasks[1]);
        ouro_cancel(gather); /* the wait for the last is over, but it has not run yet */
        cr_assert_eq(ouro_await(gather), 0);
        cr_assert_eq(gathering.results[1], 1);
}

/* ---- shield ---- */

static intptr_t awaits(void *task)
{
        return ouro_await(*(ouro_task *)task);
}

RUN_VIRTUAL(asyncio_shield, an_await_gives_result_and_failure_and_cancellation_of_its_target)
{
        static const int ms[] = {3, -4};
        ouro_task tasks[2], cancelled = ouro_create_task(waits_for_ever, NULL);

        create(tasks, ms, 2);
        ouro_yield();
        ouro_cancel(cancelled);
        cr_assert_eq(ouro_await(tasks[0]), 3);
        cr_assert_eq(ouro_await(tasks[1]), -4);
        cr_assert_eq(ouro_await(cancelled), -ECANCELED);
}

RUN_VIRTUAL(asyncio_shield, an_await_that_is_cancelled_leaves_its_target_alone)
{
        ouro_task inner = ouro_create_task(gives_ms, as_arg(10)), outer = ouro_create_task(awaits, &inner);

        ouro_sleep(OURO_MS(1));
        ouro_cancel(outer);
        cr_assert_eq(ouro_await(outer), -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(1));
        cr_assert_eq(ouro_await(inner), 10);
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

static intptr_t gathers_in_a_shield(void *arg)
{
        intptr_t result = 1;

        OURO_SHIELD
        result = gathers(arg);
        return result < 0 ? result : ouro_yield();
}

RUN_VIRTUAL(asyncio_shield, a_gather_in_a_shield_is_not_cut_and_its_members_end)
{
        static const int ms[] = {10, 20};
        ouro_task tasks[2];
        struct gathering gathering = {tasks, 2, {0}};
        ouro_task gather;

        create(tasks, ms, 2);
        gather = ouro_create_task(gathers_in_a_shield, &gathering);
        ouro_sleep(OURO_MS(1));
        ouro_cancel(gather);
        cr_assert_eq(ouro_await(gather), -ECANCELED, "after the shield");
        cr_assert_eq(ouro_now(), OURO_MS(20));
        cr_assert_eq(gathering.results[0], 10);
        cr_assert_eq(gathering.results[1], 20);
}

RUN_VIRTUAL(asyncio_shield, a_gather_of_awaits_can_be_cancelled_and_what_they_awaited_goes_on)
{
        ouro_task inner[] = {ouro_create_task(gives_ms, as_arg(10)), ouro_create_task(gives_ms, as_arg(20))};
        ouro_task outer[] = {ouro_create_task(awaits, &inner[0]), ouro_create_task(awaits, &inner[1])};
        struct gathering gathering = {outer, 2, {0}};
        ouro_task gather = ouro_create_task(gathers, &gathering);

        ouro_sleep(OURO_MS(1));
        ouro_cancel(gather);
        cr_assert_eq(ouro_await(gather), -ECANCELED);
        cr_assert_eq(gathering.results[0], -ECANCELED);
        cr_assert_eq(ouro_await(inner[0]), 10);
        cr_assert_eq(ouro_await(inner[1]), 20);
}

/* ---- sleep ---- */

RUN_VIRTUAL(asyncio_sleep, takes_its_time_and_none_if_it_is_cancelled)
{
        ouro_task task;

        cr_assert_eq(ouro_sleep(OURO_MS(50)), 0);
        cr_assert_eq(ouro_now(), OURO_MS(50));
        task = ouro_create_task(sleeps_ms, as_arg(1000));
        ouro_yield();
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(50));
        cr_assert_eq(ouro_sleep(OURO_SEC(5)), 0, "its timer is gone");
}

static intptr_t notes_three_times(void *letter)
{
        for (int i = 0; i < 3; i++) {
                note((char)(intptr_t)letter);
                ouro_sleep(0);
        }
        return 0;
}

RUN_VIRTUAL(asyncio_sleep, of_nothing_lets_the_others_run_once)
{
        ouro_task tasks[] = {ouro_create_task(notes_three_times, as_arg('a')),
                             ouro_create_task(notes_three_times, as_arg('b'))};

        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        cr_assert_str_eq(noted(), "ababab");
        cr_assert_eq(ouro_now(), 0);
}
