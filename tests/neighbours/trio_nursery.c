/* What Trio's test_run.py demands of a nursery, in the terms of this library: README.md has the table. A
 * nursery there is a group here; several errors at once are the first here, and each task's own result
 * besides. */
#include "support/run.h"

#include <errno.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(trio_nursery, .init = leaks_begin, .fini = leaks_end);

static intptr_t sleeps_for_ever(void *unused)
{
        int cut = ouro_sleep(OURO_FOREVER);

        (void)unused;
        note(cut == -ECANCELED ? 'c' : 't');
        return cut;
}

/* ---- errors ---- */

RUN_VIRTUAL(trio_nursery, error_of_a_child_is_the_blocks)
{
        int error = 0;

        OURO_GROUP(g, &error)
                ouro_create_task(gives, as_arg(-EDOM));
        cr_assert_eq(error, -EDOM);
}

RUN_VIRTUAL(trio_nursery, crash_of_a_child_wakes_its_parent)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(gives, as_arg(-EDOM));
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        }
        cr_assert_eq(error, -EDOM);
}

static int fails_in_the_block(ouro_fn *member, int *ret_error)
{
        OURO_GROUP(g, ret_error) {
                if (member)
                        ouro_create_task(member, as_arg(-EDOM));
                return -EXDEV;
        }
        return 0;
}

RUN_VIRTUAL(trio_nursery, error_in_the_block_is_the_callers_and_a_childs_is_told_beside_it)
{
        int error = 1;

        cr_assert_eq(fails_in_the_block(NULL, &error), -EXDEV);
        cr_assert_eq(error, 0);
        cr_assert_eq(fails_in_the_block(gives, &error), -EXDEV);
        cr_assert_eq(error, -EDOM);
}

RUN_VIRTUAL(trio_nursery, two_crashes_are_the_first_and_a_line_in_the_log)
{
        int error = 0;

        catch_log();
        OURO_GROUP(g, &error) {
                ouro_create_task(gives, as_arg(-EDOM));
                ouro_create_task(gives, as_arg(-EXDEV));
        }
        cr_assert_eq(error, -EDOM);
        cr_assert_eq(logged(), 1u);
        cr_assert_not_null(strstr(logged_last(), "gives"));
}

static intptr_t crashes_in_a_group(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_for_ever, NULL);
                ouro_create_task(gives_later, as_arg(-EDOM));
        }
        return error;
}

RUN_VIRTUAL(trio_nursery, crash_climbs_and_ends_all_that_lies_below_each_level)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(sleeps_for_ever, NULL);
                ouro_create_task(crashes_in_a_group, NULL);
                ouro_create_task(sleeps_for_ever, NULL);
        }
        cr_assert_eq(error, -EDOM);
        cr_assert_str_eq(noted(), "ccc");
}

/* ---- who runs when ---- */

static intptr_t three_turns(void *letter)
{
        for (int i = 0; i < 3; i++) {
                note((char)((intptr_t)letter + i));
                cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

RUN_VIRTUAL(trio_nursery, children_take_turns)
{
        OURO_GROUP(g) {
                ouro_create_task(three_turns, as_arg('a'));
                ouro_create_task(three_turns, as_arg('x'));
        }
        cr_assert_str_eq(noted(), "axbycz");
}

static intptr_t adds_another(void *group)
{
        cr_assert_gt(ouro_task_state(ouro_create_task_in(group, gives, NULL)), 0);
        return 0;
}

RUN_VIRTUAL(trio_nursery, takes_children_while_it_closes_and_none_after)
{
        struct ouro_group group;

        ouro_group_open(&group, 0, NULL);
        ouro_create_task(adds_another, &group);
        cr_assert_eq(ouro_group_close(&group), 0);
        cr_assert_eq(ouro_await(ouro_create_task_in(&group, gives, NULL)), -EINVAL);
}

static intptr_t step_of_zip(void *left)
{
        cr_assert_eq(ouro_yield(), 0);
        return --*(int *)left < 0 ? -ENOENT : 0;
}

RUN_VIRTUAL(trio_nursery, one_a_round_until_a_child_says_stop)
{
        int left[2] = {4, 2}, error = 0, rounds = 0;

        catch_log();
        for (;;) {
                OURO_GROUP(g, &error) {
                        ouro_create_task(step_of_zip, &left[0]);
                        ouro_create_task(step_of_zip, &left[1]);
                }
                if (error < 0)
                        break;
                rounds++;
        }
        cr_assert_eq(error, -ENOENT);
        cr_assert_eq(rounds, 2);
}

/* ---- a child that tells when it is ready ---- */

/* Their nursery.start(): the parent waits for an event or for the child's end, whichever is first. */
struct start {
        struct ouro_event ready;
        int64_t before_ns, after_ns;
        intptr_t result;
        bool tells;
};

static intptr_t starts_slowly(void *arg)
{
        struct start *start = arg;
        int cut = ouro_sleep(start->before_ns);

        if (cut < 0)
                return cut;
        if (start->tells)
                ouro_event_set(&start->ready);
        cut = ouro_sleep(start->after_ns);
        return cut < 0 ? cut : start->result;
}

static intptr_t waits_until_ready(void *arg)
{
        return ouro_event_wait(&((struct start *)arg)->ready);
}

/* 0: it is ready; else how the child ended, or how the caller was cut short. */
static intptr_t start_in(struct ouro_group *group, struct start *start)
{
        ouro_task child = ouro_create_task_in(group, starts_slowly, start);
        ouro_task either[2] = {child, OURO_NO_TASK};
        ssize_t first = 0;

        OURO_GROUP(waiting) {
                either[1] = ouro_create_task(waits_until_ready, start);
                first = ouro_wait_first(either, 2);
                ouro_group_cancel(waiting);
        }
        if (first < 0)
                return first;
        return first == 1 ? 0 : ouro_await(child);
}

RUN_VIRTUAL(trio_nursery, child_that_tells_when_it_has_started)
{
        struct start start = {.before_ns = OURO_SEC(1), .after_ns = OURO_SEC(1), .tells = true};
        int error = 1;

        OURO_GROUP(g, &error) {
                cr_assert_eq(start_in(g, &start), 0);
                cr_assert_eq(ouro_now(), OURO_SEC(1));
        }
        cr_assert_eq(ouro_now(), OURO_SEC(2), "the group waits for the rest of it");
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(trio_nursery, child_that_ends_before_it_has_started)
{
        struct start quiet = {.before_ns = OURO_SEC(1), .result = 7};
        struct start fails = {.before_ns = OURO_SEC(1), .result = -EDOM};
        int error = 1;

        OURO_GROUP_KEEP_GOING(g, &error) {
                cr_assert_eq(start_in(g, &quiet), 7);
                cr_assert_eq(start_in(g, &fails), -EDOM);
        }
        cr_assert_eq(error, -EDOM);
        OURO_GROUP(g, &error)
                cr_assert_eq(start_in(g, &fails), -ECANCELED, "the group's failure cuts the wait");
        cr_assert_eq(error, -EDOM);
}

RUN_VIRTUAL(trio_nursery, child_that_starts_in_a_cancelled_group_or_too_late)
{
        struct start start = {.before_ns = OURO_SEC(5), .tells = true};
        int error = 1;

        OURO_GROUP(g, &error) {
                cr_assert_eq(ouro_group_cancel(g), 0);
                cr_assert_eq(start_in(g, &start), -ECANCELED);
        }
        cr_assert_eq(error, 0);
        OURO_GROUP(g, &error) {
                OURO_TIMEOUT(OURO_SEC(1))
                        cr_assert_eq(start_in(g, &start), -ETIME);
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
        cr_assert_eq(ouro_now(), OURO_SEC(1));
        cr_assert_not(start.ready.is_set);
}

/* ---- the outermost ---- */

static intptr_t leaves_others_running(void *unused)
{
        ouro_create_task(sleeps_for_ever, NULL);
        ouro_create_task(sleeps_for_ever, NULL);
        (void)unused;
        cr_assert_eq(ouro_yield(), 0);
        return -EDOM;
}

Test(trio_nursery, error_of_the_main_task_is_the_runs_and_the_rest_is_cancelled)
{
        cr_assert_eq(ouro_run(leaves_others_running, NULL), -EDOM);
        cr_assert_str_eq(noted(), "cc");
}

RUN(trio_nursery, run_in_a_run_is_refused)
{
        cr_assert_eq(ouro_run(gives, NULL), -EBUSY);
}
