/* What Trio's test_run.py and test_timeouts.py demand of cancel scopes, shields and deadlines, in the terms
 * of this library: README.md has the table.
 *
 * A cancel scope there is an OURO_SCOPE here, its shield a block of its own. Where theirs raises Cancelled,
 * the wait returns -ECANCELED, and -ETIME if it was the deadline. */
#include "support/run.h"

#include <errno.h>
#include <time.h>

#include "support/leaks.h"

TestSuite(trio_cancel, .init = leaks_begin, .fini = leaks_end);

static intptr_t sleeps_for_ever(void *unused)
{
        int cut = ouro_sleep(OURO_FOREVER);

        (void)unused;
        note(cut == -ECANCELED ? 'c' : 't');
        return cut;
}

/* Lets all others run until each of them waits. */
static void until_all_wait(void)
{
        OURO_SHIELD
        for (int i = 0; i < 10; i++)
                cr_assert_eq(ouro_yield(), 0);
}

/* ---- where and when it acts ---- */

RUN_VIRTUAL(trio_cancel, every_wait_is_a_point_of_cancellation)
{
        OURO_SCOPE(s, OURO_FOREVER) {
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_sleep(1), 0);
                cr_assert_eq(ouro_scope_cancel(s), 0);
                cr_assert_eq(ouro_yield(), -ECANCELED);
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                OURO_SHIELD
                {
                        cr_assert_eq(ouro_yield(), 0);
                        cr_assert_eq(ouro_yield(), 0);
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
}

RUN_VIRTUAL(trio_cancel, twice_is_as_once_and_it_stays)
{
        struct ouro_scope scope;

        ouro_scope_open(&scope, OURO_FOREVER, NULL);
        cr_assert_eq(ouro_scope_cancel(&scope), 0);
        cr_assert_eq(ouro_scope_cancel(&scope), 0);
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        cr_assert_eq(ouro_scope_close(&scope), 0);
        cr_assert(ouro_scope_cancelled(&scope));
        cr_assert_eq(ouro_yield(), 0);
}

RUN_VIRTUAL(trio_cancel, pending_when_the_scope_is_left_is_gone)
{
        OURO_SCOPE(s, OURO_FOREVER)
                cr_assert_eq(ouro_scope_cancel(s), 0);
        cr_assert_eq(ouro_yield(), 0);
        OURO_SCOPE(s, 0)
                OURO_SHIELD
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_yield(), 0);
}

static int fails_in_a_cancelled_scope(bool *ret_cancelled)
{
        int error = 0;

        OURO_SCOPE(s, OURO_FOREVER) {
                cr_assert_eq(ouro_scope_cancel(s), 0);
                *ret_cancelled = ouro_scope_cancelled(s);
                error = -EDOM;
        }
        return error;
}

RUN_VIRTUAL(trio_cancel, other_errors_pass_through_a_cancelled_scope)
{
        bool cancelled = false;

        cr_assert_eq(fails_in_a_cancelled_scope(&cancelled), -EDOM);
        cr_assert(cancelled);
}

/* A wait that nothing cuts short: the lock is taken again before the condition's wait returns. */
static struct ouro_mutex mutex;
static struct ouro_condition condition;
static struct ouro_scope *stubborn_scope;

static intptr_t stubborn(void *unused)
{
        (void)unused;
        OURO_SCOPE(s, OURO_FOREVER) {
                stubborn_scope = s;
                cr_assert_eq(ouro_mutex_lock(&mutex), 0);
                note('s');
                cr_assert_eq(ouro_condition_wait(&condition, &mutex), 0, "it was notified before");
                note('w');
                cr_assert_eq(ouro_yield(), -ECANCELED);
                cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        }
        return 0;
}

RUN_VIRTUAL(trio_cancel, does_not_wake_who_cannot_be_cut_and_acts_afterwards)
{
        ouro_task task = ouro_create_task(stubborn, NULL);

        until_all_wait();
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 1);
        until_all_wait();
        cr_assert_eq(ouro_scope_cancel(stubborn_scope), 0);
        until_all_wait();
        cr_assert_str_eq(noted(), "s");
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_str_eq(noted(), "w");
}

/* ---- what it reaches ---- */

RUN_VIRTUAL(trio_cancel, members_cancelled_twice_over_and_one_that_fails_leave_its_error)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;
        struct ouro_outcome outcomes[4];
        size_t ended = 0;
        int error = 0;

        options.outcomes = outcomes;
        options.outcomes_len = 4;
        options.ret_ended = &ended;
        options.ret_error = &error;
        OURO_SCOPE(outer, OURO_FOREVER) {
                OURO_GROUP_WITH(g, &options) {
                        ouro_create_task(sleeps_for_ever, NULL);
                        ouro_create_task(sleeps_for_ever, NULL);
                        cr_assert_eq(ouro_group_cancel(g), 0);
                        until_all_wait();
                        ouro_create_task(sleeps_for_ever, NULL);
                        cr_assert_eq(ouro_scope_cancel(outer), 0);
                        ouro_create_task(gives, as_arg(-EDOM));
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(ended, 4u);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(outcomes[i].result, -ECANCELED);
        cr_assert_eq(outcomes[3].result, -EDOM);
        cr_assert_eq(error, -EDOM);
        cr_assert_eq(ouro_yield(), 0);
}

static intptr_t notes_its_start(void *unused)
{
        note('s');
        return sleeps_for_ever(unused);
}

RUN_VIRTUAL(trio_cancel, task_created_in_a_cancelled_group_starts_and_is_cut_at_its_first_wait)
{
        OURO_GROUP(g) {
                cr_assert_eq(ouro_group_cancel(g), 0);
                ouro_create_task(notes_its_start, NULL);
        }
        cr_assert_str_eq(noted(), "sc");
}

static intptr_t has_two_leaves(void *unused)
{
        (void)unused;
        OURO_GROUP(g) {
                ouro_create_task(sleeps_for_ever, NULL);
                ouro_create_task(sleeps_for_ever, NULL);
        }
        return 0;
}

RUN_VIRTUAL(trio_cancel, reaches_children_of_children_at_once)
{
        OURO_GROUP(g) {
                ouro_create_task(has_two_leaves, NULL);
                ouro_create_task(has_two_leaves, NULL);
                until_all_wait();
                cr_assert_eq(ouro_group_cancel(g), 0);
                until_all_wait();
                cr_assert_str_eq(noted(), "cccc");
        }
        OURO_GROUP(g) {
                ouro_create_task(has_two_leaves, NULL);
                ouro_create_task(has_two_leaves, NULL);
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
        cr_assert_str_eq(noted(), "cccc", "cancelled before they had a group");
}

/* ---- shields ---- */

RUN_VIRTUAL(trio_cancel, shield_holds_the_outer_off_and_nothing_inside_it)
{
        OURO_SCOPE(outer, OURO_FOREVER) {
                OURO_SCOPE(inner, OURO_FOREVER) {
                        cr_assert_eq(ouro_yield(), 0);
                        cr_assert_eq(ouro_scope_cancel(outer), 0);
                        cr_assert_eq(ouro_yield(), -ECANCELED);
                        OURO_SHIELD
                        {
                                cr_assert_eq(ouro_yield(), 0);
                                OURO_SCOPE(innermost, OURO_FOREVER) {
                                        cr_assert_eq(ouro_scope_cancel(innermost), 0);
                                        cr_assert_eq(ouro_yield(), -ECANCELED);
                                }
                                cr_assert_eq(ouro_yield(), 0);
                        }
                        cr_assert_eq(ouro_yield(), -ECANCELED);
                        OURO_SHIELD
                        {
                                cr_assert_eq(ouro_yield(), 0);
                                cr_assert_eq(ouro_scope_cancel(inner), 0);
                                cr_assert_eq(ouro_yield(), 0, "the shield lies inside it");
                        }
                        cr_assert(ouro_scope_cancelled(inner));
                }
        }
}

RUN_VIRTUAL(trio_cancel, group_in_a_shield_sleeps_through_it_and_its_owner_is_cut_after)
{
        int error = 1;

        OURO_SCOPE(outer, OURO_FOREVER) {
                cr_assert_eq(ouro_scope_cancel(outer), 0);
                OURO_SHIELD
                OURO_GROUP(g, &error) {
                        ouro_task task = ouro_create_task(sleeps_ms, as_arg(5));

                        until_all_wait();
                        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
                        cr_assert_eq(ouro_await(task), 0);
                        ouro_create_task(sleeps_for_ever, NULL);
                        until_all_wait();
                        cr_assert_str_eq(noted(), "");
                        cr_assert_eq(ouro_group_cancel(g), 0);
                }
                cr_assert_str_eq(noted(), "c");
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(error, 0);
}

/* ---- deadlines ---- */

RUN_VIRTUAL(trio_cancel, deadline_is_set_and_moved_inside)
{
        bool expired = true;

        OURO_SCOPE(s, OURO_FOREVER, &expired) {
                cr_assert_eq(ouro_scope_deadline(s), OURO_FOREVER);
                cr_assert_eq(ouro_scope_reschedule(s, OURO_SEC(1)), 0);
                cr_assert_eq(ouro_scope_deadline(s), OURO_SEC(1));
        }
        cr_assert_eq(ouro_sleep(OURO_SEC(2)), 0);
        cr_assert_not(expired, "it passed after the scope");
        OURO_SCOPE(s, OURO_SEC(1), &expired)
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
        cr_assert(expired);
        OURO_SCOPE(s, OURO_FOREVER, &expired) {
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_scope_reschedule(s, OURO_SEC(10)), 0);
                cr_assert_eq(ouro_sleep(OURO_SEC(5)), 0);
                cr_assert_eq(ouro_scope_reschedule(s, -OURO_SEC(4)), 0);
                cr_assert_eq(ouro_yield(), -ETIME);
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert(expired);
}

RUN_VIRTUAL(trio_cancel, two_at_once_are_left_one_after_the_other)
{
        struct ouro_scope outer, middle, inner;

        ouro_scope_open(&outer, OURO_FOREVER, NULL);
        ouro_scope_open(&middle, OURO_FOREVER, NULL);
        ouro_scope_open(&inner, OURO_FOREVER, NULL);
        cr_assert_eq(ouro_scope_cancel(&inner), 0);
        cr_assert_eq(ouro_scope_cancel(&middle), 0);
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        cr_assert_eq(ouro_scope_close(&inner), 0);
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        cr_assert_eq(ouro_scope_close(&middle), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_not(ouro_scope_cancelled(&outer));
        cr_assert_eq(ouro_scope_close(&outer), 0);
}

RUN_VIRTUAL(trio_cancel, many_scopes_of_one_deadline)
{
        enum { MANY = 100 };
        static struct ouro_scope scopes[MANY];
        int64_t begin = ouro_now();

        for (int i = 0; i < MANY; i++)
                ouro_scope_open(&scopes[i], OURO_MS(10), NULL);
        cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
        for (int i = MANY; i-- > MANY / 2;)
                cr_assert_eq(ouro_scope_close(&scopes[i]), 0);
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
        cr_assert_eq(ouro_now(), begin + OURO_MS(10));
        for (int i = MANY / 2; i-- > 0;)
                cr_assert_eq(ouro_scope_close(&scopes[i]), 1);
        cr_assert_eq(ouro_yield(), 0);
}

RUN_VIRTUAL(trio_cancel, very_deep_nesting_of_scopes)
{
        enum { DEEP = 3000 };
        static struct ouro_scope scopes[DEEP];

        for (int i = 0; i < DEEP; i++)
                ouro_scope_open(&scopes[i], OURO_SEC(1) + i, NULL);
        cr_assert_eq(ouro_scope_cancel(&scopes[0]), 0);
        for (int i = DEEP; i-- > 0;) {
                cr_assert_eq(ouro_yield(), -ECANCELED);
                cr_assert_eq(ouro_scope_close(&scopes[i]), 0);
        }
        cr_assert_eq(ouro_yield(), 0);
}

/* Real nanoseconds. */
static int64_t clock_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return OURO_SEC(now.tv_sec) + now.tv_nsec;
}

RUN(trio_cancel, deadline_on_the_real_clock_is_not_early)
{
        int64_t begin = ouro_now();

        OURO_SCOPE(s, OURO_FOREVER) {
                cr_assert_eq(ouro_scope_reschedule(s, OURO_MS(20)), 0);
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
        }
        cr_assert(clock_now() - begin >= OURO_MS(20));
        cr_assert(ouro_now() - begin >= OURO_MS(20));
}

/* Waits that are over at once take part in the passing of time. */
RUN(trio_cancel, task_that_only_yields_is_cut_by_its_deadline)
{
        int turns = 0;

        OURO_TIMEOUT(OURO_MS(5)) {
                int64_t end = clock_now() + OURO_MS(10);

                while (clock_now() < end)
                        ;
                while (ouro_yield() == 0)
                        turns++;
        }
        cr_assert(turns <= 1000, "%d turns after the deadline", turns);
}

static int fail_after(int64_t limit_ns, int64_t sleep_ns)
{
        bool expired = false;

        OURO_TIMEOUT(limit_ns, &expired)
                ouro_sleep(sleep_ns);
        return expired ? -ETIME : 0;
}

RUN_VIRTUAL(trio_cancel, sleeping_moving_on_and_failing)
{
        cr_assert_eq(ouro_sleep(OURO_SEC(1)), 0);
        cr_assert_eq(ouro_now(), OURO_SEC(1));
        cr_assert_eq(ouro_sleep(-1), 0, "no error here: one turn");
        OURO_TIMEOUT(0)
                cr_assert_eq(ouro_sleep(0), -ETIME);
        OURO_TIMEOUT(OURO_SEC(1))
                ouro_sleep(OURO_SEC(100));
        cr_assert_eq(ouro_now(), OURO_SEC(2), "moved on");
        cr_assert_eq(fail_after(OURO_SEC(1), OURO_SEC(100)), -ETIME);
        cr_assert_eq(ouro_now(), OURO_SEC(3));
        cr_assert_eq(fail_after(OURO_SEC(100), 0), 0);
        cr_assert_eq(fail_after(-1, 0), -ETIME);
}

/* ---- misuse ---- */

RUN_VIRTUAL(trio_cancel, scope_may_be_used_again_and_is_nothing_between)
{
        struct ouro_scope scope;

        ouro_scope_open(&scope, OURO_FOREVER, NULL);
        cr_assert_eq(ouro_scope_cancel(&scope), 0);
        cr_assert_eq(ouro_yield(), -ECANCELED);
        cr_assert_eq(ouro_scope_close(&scope), 0);
        cr_assert_eq(ouro_scope_cancel(&scope), -EINVAL);
        cr_assert_eq(ouro_yield(), 0);
        ouro_scope_open(&scope, OURO_FOREVER, NULL);
        cr_assert_not(ouro_scope_cancelled(&scope));
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_scope_close(&scope), 0);
}

static struct ouro_scope *shown;

static intptr_t shows_its_scope(void *unused)
{
        int cut = 0;

        (void)unused;
        OURO_SCOPE(s, OURO_FOREVER) {
                shown = s;
                cut = ouro_sleep(OURO_FOREVER);
        }
        return cut;
}

RUN_VIRTUAL(trio_cancel, misnesting_is_refused_and_changes_nothing)
{
        struct ouro_scope outer, inner;
        struct ouro_group group;
        ouro_task task;

        ouro_scope_open(&outer, OURO_FOREVER, NULL);
        ouro_scope_open(&inner, OURO_FOREVER, NULL);
        cr_assert_eq(ouro_scope_close(&outer), -EINVAL);
        cr_assert_eq(ouro_scope_cancel(&outer), 0, "it is still open");
        cr_assert_eq(ouro_yield(), -ECANCELED);
        cr_assert_eq(ouro_scope_close(&inner), 0);
        cr_assert_eq(ouro_scope_close(&outer), 0);

        ouro_scope_open(&outer, OURO_FOREVER, NULL);
        ouro_group_open(&group, 0, NULL);
        task = ouro_create_task(sleeps_for_ever, NULL);
        until_all_wait();
        cr_assert_eq(ouro_scope_close(&outer), -EINVAL);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING, "it was cut short by that");
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_group_close(&group), 0);
        cr_assert_eq(ouro_scope_close(&outer), 0);

        task = ouro_create_task(shows_its_scope, NULL);
        until_all_wait();
        cr_assert_eq(ouro_scope_close(shown), -EPERM);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(ouro_scope_cancel(shown), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}
