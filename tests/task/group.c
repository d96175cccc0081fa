/* Of lib/task/group.c: however a group is left, its members have ended; what fails, fails as promised. */
#include "support/run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(group, .init = leaks_begin, .fini = leaks_end);

/* Sleeps, and notes a letter when that is over: small if it was let, capital if it was cut short. */
static intptr_t sleeps_and_notes(void *letter)
{
        char c = (char)(intptr_t)letter;
        int cut = ouro_sleep(OURO_MS(c - 'a' + 1));

        note(cut < 0 ? (char)(c - 'a' + 'A') : c);
        return cut;
}

/* ---- the ways out ---- */

RUN_VIRTUAL(group, left_at_its_end_waits_for_its_members)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_and_notes, as_arg('b'));
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                note('e');
        }
        cr_assert_str_eq(noted(), "eab");
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(group, left_by_break_cancels_its_members_and_waits)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_and_notes, as_arg('b'));
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                break;
        }
        cr_assert_str_eq(noted(), "BA");
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(group, left_by_continue_waits_for_its_members)
{
        OURO_GROUP(g) {
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                if (g)
                        continue;
                note('x');
        }
        cr_assert_str_eq(noted(), "a");
}

static int returns_from_group(int *ret_error)
{
        OURO_GROUP(g, ret_error) {
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                return 17;
        }
        return 18;
}

RUN_VIRTUAL(group, left_by_return_cancels_its_members_and_waits)
{
        int error = 1;

        cr_assert_eq(returns_from_group(&error), 17);
        cr_assert_str_eq(noted(), "A");
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(group, left_by_goto_cancels_the_members_of_all_it_leaves)
{
        OURO_GROUP(outer) {
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                OURO_GROUP_KEEP_GOING(inner) {
                        ouro_create_task(sleeps_and_notes, as_arg('b'));
                        OURO_TIMEOUT(OURO_SEC(1))
                                goto out;
                }
        }
out:
        cr_assert_str_eq(noted(), "BA");
        cr_assert_eq(ouro_yield(), 0);
}

RUN(group, without_members_closes_at_once)
{
        int error = 1;

        ouro_go(gives, NULL);
        OURO_GROUP(g, &error) {
        }
        cr_assert_eq(error, 0);
}

static intptr_t adds_to(void *number)
{
        cr_assert_eq(ouro_yield(), 0);
        return ++*(int *)number;
}

RUN(group, members_may_borrow_what_lies_before_it)
{
        int number = 0;

        OURO_GROUP(g) {
                for (int i = 0; i < 100; i++)
                        ouro_create_task(adds_to, &number);
        }
        cr_assert_eq(number, 100);
}

/* ---- failing ---- */

RUN_VIRTUAL(group, fails_fast)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_and_notes, as_arg('z'));
                ouro_create_task(gives_later, as_arg(-ENOSPC));
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                cr_assert_eq(ouro_yield(), -ECANCELED, "only its first wait was cut short");
        }
        cr_assert_str_eq(noted(), "Z");
        cr_assert_eq(error, -ENOSPC);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
}

RUN_VIRTUAL(group, that_fails_while_it_is_closed_cancels_the_others)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_and_notes, as_arg('z'));
                ouro_create_task(gives_later, as_arg(-ENOSPC));
        }
        cr_assert_str_eq(noted(), "Z");
        cr_assert_eq(error, -ENOSPC);
        cr_assert_eq(ouro_now(), 0);
}

RUN(group, first_error_is_the_groups)
{
        int error = 0;

        catch_log();
        OURO_GROUP(g, &error) {
                ouro_create_task(gives_when_cut, as_arg(-EPIPE));
                ouro_create_task(gives_later, as_arg(-ENOSPC));
                ouro_create_task(gives_when_cut, as_arg(-EIO));
        }
        cr_assert_eq(error, -ENOSPC);
        cr_assert_eq(logged(), 2u, "the two that nobody looked at");
}

RUN_VIRTUAL(group, cancelled_member_is_no_failure)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_task task = ouro_create_task(waits_for_ever, NULL);

                ouro_create_task(sleeps_and_notes, as_arg('a'));
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_cancel(task), 0);
        }
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(group, member_that_ran_out_of_time_is_a_failure)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_create_task(gives, as_arg(-ETIME));
        }
        cr_assert_eq(error, -ETIME);
}

RUN_VIRTUAL(group, keep_going_lets_the_others_run)
{
        int error = 1;

        catch_log();
        OURO_GROUP_KEEP_GOING(g, &error) {
                ouro_create_task(sleeps_and_notes, as_arg('b'));
                ouro_create_task(gives, as_arg(-ENOSPC));
                ouro_create_task(gives, as_arg(-EIO));
                cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        }
        cr_assert_str_eq(noted(), "b");
        cr_assert_eq(error, -ENOSPC);
}

RUN_VIRTUAL(group, root_keeps_going)
{
        ouro_task failing = ouro_create_task(gives, as_arg(-EIO));

        ouro_create_task(sleeps_and_notes, as_arg('a'));
        cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_await(failing), -EIO);
}

RUN_VIRTUAL(group, result_of_a_failed_member_may_still_be_taken)
{
        OURO_GROUP(g) {
                ouro_task task = ouro_create_task(gives, as_arg(-EIO));

                cr_assert_eq(ouro_wait(task), -ECANCELED);
                OURO_SHIELD
                cr_assert_eq(ouro_await(task), -EIO);
        }
}

/* ---- nested ---- */

RUN_VIRTUAL(group, failure_of_the_outer_cancels_the_inner)
{
        int outer_error = 0, inner_error = 0;

        OURO_GROUP(outer, &outer_error) {
                ouro_create_task(gives_later, as_arg(-EIO));
                OURO_GROUP_KEEP_GOING(inner, &inner_error) {
                        ouro_create_task(sleeps_and_notes, as_arg('b'));
                }
                note('o');
        }
        cr_assert_str_eq(noted(), "Bo");
        cr_assert_eq(inner_error, -ECANCELED);
        cr_assert_eq(outer_error, -EIO);
}

RUN_VIRTUAL(group, failure_of_the_inner_leaves_the_outer_alone)
{
        int outer_error = 1, inner_error = 0;

        OURO_GROUP(outer, &outer_error) {
                ouro_create_task(sleeps_and_notes, as_arg('b'));
                OURO_GROUP(inner, &inner_error) {
                        ouro_create_task(gives_later, as_arg(-EIO));
                        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                }
                cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        }
        cr_assert_str_eq(noted(), "b");
        cr_assert_eq(inner_error, -EIO);
        cr_assert_eq(outer_error, 0);
}

static intptr_t fails_through_a_group(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_and_notes, as_arg('c'));
                ouro_create_task(gives_later, as_arg(-EXDEV));
        }
        return error;
}

RUN_VIRTUAL(group, error_climbs_from_group_to_group)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(fails_through_a_group, NULL);
                ouro_create_task(sleeps_and_notes, as_arg('d'));
        }
        cr_assert_str_eq(noted(), "CD");
        cr_assert_eq(error, -EXDEV);
}

RUN_VIRTUAL(group, cut_by_time_says_so)
{
        int error = 0;

        OURO_TIMEOUT(OURO_MS(1)) {
                OURO_GROUP(g, &error) {
                        ouro_create_task(sleeps_and_notes, as_arg('b'));
                }
                cr_assert_eq(error, -ETIME);
                OURO_GROUP(g, &error) {
                        ouro_create_task(sleeps_and_notes, as_arg('c'));
                }
                cr_assert_eq(error, -ETIME);
        }
        cr_assert_str_eq(noted(), "BC");
        cr_assert_eq(ouro_now(), OURO_MS(1));
}

RUN_VIRTUAL(group, cut_inside_and_whole_again_says_nothing)
{
        int error = 1;

        OURO_GROUP(g, &error)
                OURO_TIMEOUT(OURO_MS(1))
                        cr_assert_eq(ouro_sleep(OURO_MS(2)), -ETIME);
        cr_assert_eq(error, 0);
}

/* ---- who belongs to it ---- */

static intptr_t creates_in(void *group)
{
        ouro_task task = ouro_create_task_in(group, sleeps_and_notes, as_arg('b'));

        return ouro_task_state(task) > 0 ? 0 : -ESRCH;
}

RUN_VIRTUAL(group, waits_for_those_that_members_add_while_it_closes)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_create_task(creates_in, g);
        }
        cr_assert_str_eq(noted(), "b");
        cr_assert_eq(error, 0);
}

static intptr_t creates_one(void *letter)
{
        ouro_create_task(sleeps_and_notes, letter);
        return 0;
}

RUN_VIRTUAL(group, tasks_of_a_member_without_a_group_are_root_tasks)
{
        OURO_GROUP(g) {
                ouro_create_task(creates_one, as_arg('b'));
        }
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_sleep(OURO_SEC(1)), 0);
        cr_assert_str_eq(noted(), "b");
}

RUN_VIRTUAL(group, innermost_that_the_creator_has_open_gets_the_task)
{
        OURO_GROUP(outer) {
                OURO_GROUP(inner) {
                        ouro_create_task(sleeps_and_notes, as_arg('a'));
                        ouro_create_task_in(outer, sleeps_and_notes, as_arg('b'));
                }
                note('i');
        }
        cr_assert_str_eq(noted(), "aib");
}

RUN_VIRTUAL(group, that_was_cancelled_gets_only_cancelled_tasks)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                cr_assert_eq(ouro_group_cancel(g), 0);
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                cr_assert_eq(ouro_group_cancel(g), 0);
                cr_assert_eq(ouro_yield(), 0, "the owner is not a member");
        }
        cr_assert_str_eq(noted(), "A");
        cr_assert_eq(error, 0);
}

RUN(group, member_may_await_a_sibling_and_an_outsider)
{
        ouro_task outside = ouro_create_task(gives_later, as_arg(3));
        ouro_task inside = OURO_NO_TASK;

        OURO_GROUP(g) {
                inside = ouro_create_task(gives_later, as_arg(4));
                cr_assert_eq(ouro_await(outside), 3);
                cr_assert_eq(ouro_await(inside), 4);
        }
}

/* ---- the function form, and its misuse ---- */

RUN(group, function_form_returns_what_it_sets)
{
        struct ouro_group group;
        int error = 1;

        cr_assert_eq(ouro_group_open(&group, 0, &error), &group);
        ouro_create_task(gives, as_arg(-EIO));
        cr_assert_eq(ouro_group_close(&group), -EIO);
        cr_assert_eq(error, -EIO);
        cr_assert_eq(ouro_group_open(&group, OURO_GROUP_KEEP, NULL), &group);
        ouro_create_task(gives, as_arg(-EIO));
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_group_close(&group), -EIO);
        cr_assert_eq(ouro_group_open(&group, 0, NULL), &group);
        cr_assert_eq(ouro_group_close(&group), 0);
}

/* Returns no error: that would be a failure of the group it belongs to. */
static intptr_t closes_it(void *group)
{
        return -ouro_group_close(group);
}

RUN(group, left_wrongly_is_refused)
{
        struct ouro_group outer, inner;
        int error = 7;

        ouro_group_open(&outer, 0, &error);
        ouro_group_open(&inner, 0, NULL);
        cr_assert_eq(ouro_group_close(&outer), -EINVAL);
        cr_assert_eq(error, 7);
        cr_assert_eq(ouro_await(ouro_create_task(closes_it, &inner)), EPERM);
        cr_assert_eq(ouro_group_close(&inner), 0);
        cr_assert_eq(ouro_group_close(&inner), -EINVAL);
        cr_assert_eq(ouro_group_close(&outer), 0);
        cr_assert_eq(ouro_group_close(&outer), -EINVAL);
        cr_assert_eq(ouro_group_close(NULL), -EINVAL);
        cr_assert_eq(ouro_group_cancel(&outer), -EINVAL);
        cr_assert_eq(ouro_group_cancel(NULL), -EINVAL);
        ouro_group_leave(&outer);
        ouro_group_leave(NULL);
        cr_assert_null(ouro_group_open(NULL, 0, NULL));
        cr_assert_eq(error, 0);
}

RUN(group, that_is_not_open_gets_no_task)
{
        struct ouro_group group;

        ouro_group_open(&group, 0, NULL);
        cr_assert_eq(ouro_group_close(&group), 0);
        cr_assert_eq(ouro_await(ouro_create_task_in(&group, gives, NULL)), -EINVAL);
        cr_assert_eq(ouro_await(ouro_create_task_in(NULL, gives, NULL)), -EINVAL);
}

Test(group, opened_outside_a_run_is_not_open)
{
        int error = 7;

        OURO_GROUP(g, &error) {
                note('b');
                cr_assert_eq(ouro_group_cancel(g), -EPERM);
        }
        cr_assert_str_eq(noted(), "b");
        cr_assert_eq(error, 7);
}

static intptr_t returns_with_group_open(void *group)
{
        ouro_group_open(group, 0, NULL);
        return 0;
}

static void die_of_open_group(void)
{
        static struct ouro_group group;

        ouro_await(ouro_create_task(returns_with_group_open, &group));
}

Test(group_left_open, by_a_task_that_returns_ends_the_process, .signal = SIGABRT)
{
        catch_log();
        run_body(die_of_open_group, OURO_CLOCK_REAL);
}
