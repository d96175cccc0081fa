/* Of lib/task/gather.c: waiting for all of several tasks, for the first, for one after the other, not long.
 */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"
#include "task/task.h"

TestSuite(gather, .init = leaks_begin, .fini = leaks_end);
TestSuite(wait_for, .init = leaks_begin, .fini = leaks_end);
TestSuite(wait_first, .init = leaks_begin, .fini = leaks_end);
TestSuite(as_completed, .init = leaks_begin, .fini = leaks_end);

/* ---- all ---- */

RUN(gather, of_nothing_is_0_at_once)
{
        ouro_go(gives, NULL);
        cr_assert_eq(ouro_gather(NULL, 0, NULL), 0);
        cr_assert_eq(ouro_gather(&(ouro_task){1, 1}, 0, NULL), 0);
        cr_assert_eq(ouro_gather(NULL, 1, NULL), -EINVAL);
}

RUN(gather, fills_in_every_result_and_consumes_all)
{
        ouro_task tasks[] = {ouro_create_task(gives_later, as_arg(1)), ouro_create_task(gives, as_arg(2)),
                             ouro_create_task(gives_later, as_arg(3))};
        intptr_t results[3] = {0};

        cr_assert_eq(ouro_gather(tasks, 3, results), 0);
        for (int i = 0; i < 3; i++) {
                cr_assert_eq(results[i], i + 1);
                cr_assert_eq(ouro_await(tasks[i]), -ESRCH);
        }
}

RUN_VIRTUAL(gather, waits_for_all_and_gives_the_error_that_came_first)
{
        ouro_task tasks[] = {ouro_create_task(gives_later, as_arg(-EPIPE)),
                             ouro_create_task(gives, as_arg(-EIO)), ouro_create_task(sleeps_ms, as_arg(5))};
        intptr_t results[3] = {1, 1, 1};

        cr_assert_eq(ouro_gather(tasks, 3, results), -EIO);
        cr_assert_eq(results[0], -EPIPE);
        cr_assert_eq(results[1], -EIO);
        cr_assert_eq(results[2], 0);
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

RUN(gather, first_error_is_in_time_also_among_those_that_ended_before)
{
        ouro_task late = ouro_create_task(gives_later, as_arg(-EPIPE));
        ouro_task early = ouro_create_task(gives, as_arg(-EIO)), tasks[2] = {late, early};

        cr_assert_eq(ouro_wait(late), 0);
        cr_assert_eq(ouro_wait(early), 0);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), -EIO);
        tasks[0] = ouro_create_task(gives, as_arg(-EIO));
        tasks[1] = ouro_create_task(gives_later, as_arg(-EPIPE));
        cr_assert_eq(ouro_gather(tasks, 2, NULL), -EIO);
}

RUN(gather, one_that_stands_in_it_twice_gives_its_result_twice)
{
        ouro_task one = ouro_create_task(gives_later, as_arg(6)), ended = ouro_create_task(gives, as_arg(7));
        ouro_task tasks[] = {one, ended, one, ended, one};
        intptr_t results[5] = {0};

        cr_assert_eq(ouro_wait(ended), 0);
        cr_assert_eq(ouro_gather(tasks, 5, results), 0);
        for (int i = 0; i < 5; i++)
                cr_assert_eq(results[i], i % 2 ? 7 : 6);
        cr_assert_eq(ouro_await(one), -ESRCH);
        cr_assert_eq(ouro_await(ended), -ESRCH);
}

enum { PLACES_MOST = 65535 };

static ouro_task same[PLACES_MOST + 1];

RUN(gather, one_that_stands_in_it_too_often_is_refused_and_left_alone)
{
        for (size_t i = 0; i <= PLACES_MOST; i++)
                same[i] = i ? same[0] : ouro_create_task(gives_later, as_arg(6));
        cr_assert_eq(ouro_gather(same, PLACES_MOST + 1, NULL), -EBUSY);
        cr_assert_eq(ouro_gather(same, PLACES_MOST, NULL), 0);
        cr_assert_eq(ouro_await(same[0]), -ESRCH);
}

RUN(gather, with_a_stale_handle_does_nothing)
{
        ouro_task stale = ouro_create_task(gives, NULL);
        ouro_task tasks[] = {ouro_create_task(gives, as_arg(4)), stale};
        intptr_t results[2] = {77, 78};

        cr_assert_eq(ouro_await(stale), 0);
        cr_assert_eq(ouro_gather(tasks, 2, results), -ESRCH);
        cr_assert_eq(results[0], 77);
        cr_assert_eq(results[1], 78);
        cr_assert_eq(ouro_cancelled(tasks[0]), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_await(tasks[0]), 4);
}

RUN(gather, of_one_that_was_cancelled_gives_its_result)
{
        ouro_task tasks[] = {ouro_create_task(waits_for_ever, NULL), ouro_create_task(gives, as_arg(1))};
        intptr_t results[2];

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_gather(tasks, 2, results), -ECANCELED);
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_eq(results[1], 1);
        cr_assert_eq(ouro_yield(), 0, "the caller was not cancelled");
}

RUN_VIRTUAL(gather, cut_short_by_time_cancels_them_all_and_tells_every_outcome)
{
        ouro_task tasks[] = {ouro_create_task(gives_when_cut, as_arg(3)),
                             ouro_create_task(waits_for_ever, NULL), ouro_create_task(gives, as_arg(9))};
        intptr_t results[3] = {0};
        int error = 0;

        OURO_TIMEOUT(OURO_MS(1))
                error = ouro_gather(tasks, 3, results);
        cr_assert_eq(error, -ETIME);
        cr_assert_eq(results[0], 3);
        cr_assert_eq(results[1], -ECANCELED);
        cr_assert_eq(results[2], 9);
        cr_assert_eq(ouro_await(tasks[0]), -ESRCH);
}

/* Whoever is cut short may have to wait for one that takes its time: it does, uncut. */
static intptr_t takes_its_time(void *unused)
{
        (void)unused;
        OURO_SHIELD
        cr_assert_eq(ouro_sleep(OURO_SEC(5)), 0);
        return 31;
}

RUN_VIRTUAL(gather, cut_short_returns_when_the_last_has_ended)
{
        ouro_task task = ouro_create_task(takes_its_time, NULL);
        intptr_t result = 0;

        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_gather(&task, 1, &result), -ETIME);
        cr_assert_eq(result, 31);
        cr_assert_eq(ouro_now(), OURO_SEC(5));
}

RUN(gather, cut_short_by_its_own_group_gives_the_error_of_the_member)
{
        intptr_t results[2] = {0};
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_task tasks[] = {ouro_create_task(waits_for_ever, NULL),
                                     ouro_create_task(gives_later, as_arg(-ENOSPC))};

                cr_assert_eq(ouro_gather(tasks, 2, results), -ENOSPC);
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_eq(results[1], -ENOSPC);
        cr_assert_eq(error, -ENOSPC);
}

RUN(gather, inside_an_inner_group_gives_the_error_of_the_outer_groups_member)
{
        OURO_GROUP(outer) {
                ouro_create_task(gives_later, as_arg(-ENOSPC));
                OURO_GROUP_KEEP_GOING(inner) {
                        ouro_task task = ouro_create_task(waits_for_ever, NULL);

                        cr_assert_eq(ouro_gather(&task, 1, NULL), -ENOSPC);
                }
        }
}

RUN_VIRTUAL(gather, inside_a_shield_is_not_cut_short_by_the_group_around_it)
{
        OURO_GROUP(g) {
                ouro_create_task(gives, as_arg(-ENOSPC));
                OURO_SHIELD
                {
                        ouro_task task = ouro_create_task(takes_its_time, NULL);

                        cr_assert_eq(ouro_gather(&task, 1, NULL), 0);
                        task = ouro_create_task(takes_its_time, NULL);
                        OURO_TIMEOUT(OURO_SEC(1))
                                cr_assert_eq(ouro_gather(&task, 1, NULL), -ETIME);
                }
        }
}

RUN(gather, large)
{
        static ouro_task tasks[4000];
        static intptr_t results[4000];

        for (intptr_t i = 0; i < 4000; i++)
                tasks[i] = ouro_create_task(i % 3 ? gives : gives_later, as_arg(i));
        cr_assert_eq(ouro_gather(tasks, 4000, results), 0);
        for (intptr_t i = 0; i < 4000; i++)
                cr_assert_eq(results[i], i);
}

/* ---- one, for a limited time ---- */

RUN_VIRTUAL(wait_for, gives_the_result_of_a_task_that_ends_in_time)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(5));

        cr_assert_eq(ouro_wait_for(task, OURO_MS(6)), 0);
        cr_assert_eq(ouro_now(), OURO_MS(5));
        cr_assert_eq(ouro_await(task), -ESRCH);
        cr_assert_eq(ouro_sleep(OURO_SEC(1)), 0, "the deadline outlived the call");
}

RUN_VIRTUAL(wait_for, cancels_at_the_deadline)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(5));

        cr_assert_eq(ouro_wait_for(task, OURO_MS(4)), -ETIME);
        cr_assert_eq(ouro_now(), OURO_MS(4));
        cr_assert_eq(ouro_await(task), -ESRCH);
        cr_assert_eq(ouro_yield(), 0);
}

RUN_VIRTUAL(wait_for, gives_a_late_result_of_the_tasks_own)
{
        cr_assert_eq(ouro_wait_for(ouro_create_task(gives_when_cut, as_arg(5)), OURO_MS(1)), 5);
        cr_assert_eq(ouro_wait_for(ouro_create_task(gives_when_cut, as_arg(-EIO)), OURO_MS(1)), -EIO);
        cr_assert_eq(ouro_wait_for(ouro_create_task(takes_its_time, NULL), OURO_MS(1)), 31);
}

RUN(wait_for, no_time_takes_only_what_has_ended)
{
        ouro_task ended = ouro_create_task(gives, as_arg(3)), also = ouro_create_task(gives, as_arg(4));

        cr_assert_eq(ouro_wait(also), 0);
        cr_assert_eq(ouro_wait_for(ended, 0), 3);
        cr_assert_eq(ouro_wait_for(also, -5), 4);
        cr_assert_eq(ouro_wait_for(ouro_create_task(waits_for_ever, NULL), 0), -ETIME);
        cr_assert_eq(ouro_wait_for(ouro_create_task(waits_for_ever, NULL), INT64_MIN), -ETIME);
}

RUN_VIRTUAL(wait_for, inside_a_tighter_scope_gives_its_time)
{
        bool expired = false;

        OURO_TIMEOUT(OURO_MS(1), &expired)
                cr_assert_eq(ouro_wait_for(ouro_create_task(waits_for_ever, NULL), OURO_MS(2)), -ETIME);
        cr_assert(expired);
        OURO_TIMEOUT(OURO_MS(2), &expired)
                cr_assert_eq(ouro_wait_for(ouro_create_task(waits_for_ever, NULL), OURO_MS(1)), -ETIME);
        cr_assert_not(expired);
        cr_assert_eq(ouro_wait_for(ouro_create_task(gives_later, as_arg(2)), OURO_FOREVER), 2);
}

RUN_VIRTUAL(wait_for, of_one_that_was_cancelled_by_another_is_not_late)
{
        ouro_task task = ouro_create_task(waits_for_ever, NULL);

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_wait_for(task, OURO_SEC(1)), -ECANCELED);
        cr_assert_eq(ouro_now(), 0);
}

/* ---- the first ---- */

RUN_VIRTUAL(wait_first, tells_who_ended_first_and_consumes_nothing)
{
        ouro_task tasks[] = {ouro_create_task(sleeps_ms, as_arg(5)), OURO_NO_TASK,
                             ouro_create_task(sleeps_ms, as_arg(3)), ouro_create_task(sleeps_ms, as_arg(4))};

        cr_assert_eq(ouro_wait_first(tasks, 4), 2);
        cr_assert_eq(ouro_wait_first(tasks, 4), 2);
        cr_assert_eq(ouro_await(tasks[2]), 0);
        tasks[2] = OURO_NO_TASK;
        cr_assert_eq(ouro_wait_first(tasks, 4), 3);
        cr_assert_eq(ouro_wait(tasks[0]), 0);
        cr_assert_eq(ouro_wait_first(tasks, 4), 0, "the lowest of those that had ended");
}

RUN(wait_first, of_nothing_is_refused)
{
        ouro_task none[2] = {OURO_NO_TASK, OURO_NO_TASK};

        cr_assert_eq(ouro_wait_first(NULL, 0), -EINVAL);
        cr_assert_eq(ouro_wait_first(NULL, 3), -EINVAL);
        cr_assert_eq(ouro_wait_first(none, 0), -EINVAL);
        cr_assert_eq(ouro_wait_first(none, 2), -EINVAL);
}

RUN_VIRTUAL(wait_first, cut_short_leaves_them_alone)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(3));

        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_wait_first(&task, 1), -ETIME);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_wait_first(&task, 1), 0);
        cr_assert_eq(ouro_await(task), 0);
}

static intptr_t waits_for_first(void *tasks)
{
        return ouro_wait_first(tasks, 2);
}

RUN_VIRTUAL(wait_first, several_may_watch_the_same_tasks)
{
        ouro_task tasks[] = {ouro_create_task(sleeps_ms, as_arg(2)), ouro_create_task(sleeps_ms, as_arg(1))};
        ouro_task watchers[] = {ouro_create_task(waits_for_first, tasks),
                                ouro_create_task(waits_for_first, tasks),
                                ouro_create_task(waits_for_first, tasks)};
        intptr_t results[3];

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(watchers[1]), 0);
        cr_assert_eq(ouro_gather(watchers, 3, results), -ECANCELED);
        cr_assert_eq(results[0], 1);
        cr_assert_eq(results[1], -ECANCELED);
        cr_assert_eq(results[2], 1);
}

/* ---- one after the other ---- */

RUN_VIRTUAL(as_completed, tells_them_in_the_order_of_ending)
{
        ouro_task tasks[] = {ouro_create_task(sleeps_ms, as_arg(3)), ouro_create_task(gives, as_arg(1)),
                             ouro_create_task(sleeps_ms, as_arg(1)), OURO_NO_TASK,
                             ouro_create_task(sleeps_ms, as_arg(2)), ouro_create_task(gives, as_arg(2))};
        static const ssize_t order[] = {1, 5, 2, 4, 0, -ENOENT, -ENOENT};
        ouro_completions *completions;

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_as_completed(tasks, 6, &completions), 0);
        for (size_t i = 0; i < sizeof order / sizeof *order; i++)
                cr_assert_eq(ouro_completions_next(completions), order[i]);
        ouro_completions_free(completions);
        cr_assert_eq(ouro_await(tasks[1]), 1, "it has consumed");
}

RUN(as_completed, of_nothing_has_no_next)
{
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(NULL, 0, &completions), 0);
        cr_assert_eq(ouro_completions_next(completions), -ENOENT);
        ouro_completions_free(completions);
        ouro_completions_free(NULL);
        cr_assert_eq(ouro_completions_next(NULL), -EINVAL);
        cr_assert_eq(ouro_as_completed(NULL, 0, NULL), -EINVAL);
        cr_assert_eq(ouro_as_completed(NULL, 1, &completions), -EINVAL);
        cr_assert_eq(ouro_as_completed(&(ouro_task){1, 1}, SIZE_MAX, &completions), -EINVAL);
}

RUN(as_completed, one_that_stands_in_it_twice_is_told_twice)
{
        ouro_task task = ouro_create_task(gives_later, NULL), tasks[] = {task, task};
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(tasks, 2, &completions), 0);
        cr_assert_eq(ouro_completions_next(completions), 0);
        cr_assert_eq(ouro_completions_next(completions), 1);
        cr_assert_eq(ouro_completions_next(completions), -ENOENT);
        ouro_completions_free(completions);
}

RUN_VIRTUAL(as_completed, cut_short_goes_on_where_it_was)
{
        ouro_task tasks[] = {ouro_create_task(sleeps_ms, as_arg(3)), ouro_create_task(sleeps_ms, as_arg(5))};
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(tasks, 2, &completions), 0);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_completions_next(completions), -ETIME);
        cr_assert_eq(ouro_completions_next(completions), 0);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_completions_next(completions), -ETIME);
        cr_assert_eq(ouro_completions_next(completions), 1);
        ouro_completions_free(completions);
}

RUN_VIRTUAL(as_completed, cut_short_wakes_nobody_later)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(3));
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(&task, 1, &completions), 0);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_completions_next(completions), -ETIME);
        cr_assert_eq(ouro_sleep(OURO_MS(10)), 0);
        cr_assert_eq(ouro_now(), OURO_MS(11));
        cr_assert_eq(ouro_completions_next(completions), 0);
        ouro_completions_free(completions);
}

RUN_VIRTUAL(as_completed, freed_early_leaves_nothing_in_the_tasks_it_watched)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(3));
        ouro_completions *first, *second, *third;

        cr_assert_eq(ouro_as_completed(&task, 1, &first), 0);
        cr_assert_eq(ouro_as_completed(&task, 1, &second), 0);
        cr_assert_eq(ouro_as_completed(&task, 1, &third), 0);
        ouro_completions_free(second);
        ouro_completions_free(first);
        cr_assert_eq(ouro_completions_next(third), 0);
        ouro_completions_free(third);
        cr_assert_eq(ouro_await(task), 0);
}

RUN_VIRTUAL(as_completed, freed_early_is_in_no_queue_of_theirs)
{
        ouro_task tasks[3];
        ouro_completions *completions;

        for (size_t i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(sleeps_ms, as_arg(3));
        cr_assert_eq(ouro_as_completed(tasks, 3, &completions), 0);
        for (size_t i = 0; i < 3; i++)
                cr_assert_not_null(task_find(ouro_this_loop(), tasks[i])->waiters);
        ouro_completions_free(completions);
        for (size_t i = 0; i < 3; i++)
                cr_assert_null(task_find(ouro_this_loop(), tasks[i])->waiters);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
}

static intptr_t asks_for_next(void *completions)
{
        return ouro_completions_next(completions);
}

RUN(as_completed, only_its_maker_may_ask)
{
        ouro_task task = ouro_create_task(waits_for_ever, NULL);
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(&task, 1, &completions), 0);
        cr_assert_eq(ouro_await(ouro_create_task(asks_for_next, completions)), -EPERM);
        ouro_completions_free(completions);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

RUN(as_completed, tells_of_tasks_that_others_have_consumed_meanwhile)
{
        ouro_task tasks[] = {ouro_create_task(gives_later, as_arg(3)), ouro_create_task(gives, as_arg(4))};
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(tasks, 2, &completions), 0);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        for (int i = 0; i < 100; i++) /* their records are other tasks' by now */
                cr_assert_eq(ouro_await(ouro_create_task(gives, NULL)), 0);
        cr_assert_eq(ouro_completions_next(completions), 1);
        cr_assert_eq(ouro_completions_next(completions), 0);
        cr_assert_eq(ouro_completions_next(completions), -ENOENT);
        ouro_completions_free(completions);
}

RUN(as_completed, tells_of_tasks_whose_group_has_closed)
{
        ouro_completions *completions = NULL;

        OURO_GROUP(g) {
                ouro_task tasks[] = {ouro_create_task(gives_later, as_arg(3)),
                                     ouro_create_task(gives, as_arg(4))};

                cr_assert_eq(ouro_as_completed(tasks, 2, &completions), 0);
        }
        cr_assert_eq(ouro_completions_next(completions), 1);
        cr_assert_eq(ouro_completions_next(completions), 0);
        ouro_completions_free(completions);
}
