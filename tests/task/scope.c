/* Of lib/task/scope.c: a time scope bounds the waits of its own task and the groups inside it; a shield holds
 * off what comes from outside. */
#include "support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(scope, .init = leaks_begin, .fini = leaks_end);
TestSuite(shield, .init = leaks_begin, .fini = leaks_end);

/* ---- expiring ---- */

RUN_VIRTUAL(scope, that_expires_cuts_this_wait_and_each_later_one_until_it_is_left)
{
        bool expired = false;

        OURO_TIMEOUT(OURO_MS(5), &expired) {
                cr_assert_eq(ouro_sleep(OURO_MS(3)), 0);
                cr_assert_eq(ouro_sleep(OURO_MS(3)), -ETIME);
                cr_assert_eq(ouro_now(), OURO_MS(5));
                cr_assert_eq(ouro_yield(), -ETIME);
                cr_assert_eq(ouro_sleep(1), -ETIME);
        }
        cr_assert(expired);
        cr_assert_eq(ouro_sleep(OURO_MS(3)), 0);
        cr_assert_eq(ouro_now(), OURO_MS(8));
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
}

RUN_VIRTUAL(scope, left_in_time_has_not_expired)
{
        bool expired = true;

        OURO_TIMEOUT(OURO_MS(5), &expired)
                cr_assert_eq(ouro_sleep(OURO_MS(4)), 0);
        cr_assert_not(expired);
        cr_assert_eq(ouro_sleep(OURO_SEC(1)), 0, "it outlived its block");
}

RUN_VIRTUAL(scope, of_no_time_has_expired_already)
{
        static const int64_t none[] = {0, -1, INT64_MIN};

        for (size_t i = 0; i < 3; i++) {
                bool expired = false;
                ouro_task task = ouro_create_task(gives, as_arg(3));

                OURO_TIMEOUT(none[i], &expired) {
                        cr_assert_eq(ouro_yield(), -ETIME);
                        cr_assert_eq(ouro_await(task), -ETIME);
                }
                cr_assert(expired);
                cr_assert_eq(ouro_await(task), 3);
        }
}

RUN_VIRTUAL(scope, of_for_ever_never_expires)
{
        static const int64_t for_ever[] = {OURO_FOREVER, OURO_FOREVER - 1};

        cr_assert_eq(ouro_sleep(OURO_SEC(10)), 0);
        for (size_t i = 0; i < 2; i++) {
                bool expired = true;

                OURO_TIMEOUT(for_ever[i], &expired)
                        cr_assert_eq(ouro_sleep(OURO_SEC(1000000)), 0);
                cr_assert_not(expired);
        }
}

/* ---- nesting ---- */

RUN_VIRTUAL(scope, tightest_of_nested_ones_wins)
{
        bool outer = true, inner = false;

        OURO_TIMEOUT(OURO_MS(10), &outer) {
                OURO_TIMEOUT(OURO_MS(2), &inner)
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), -ETIME);
                cr_assert(inner);
                cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
        }
        cr_assert_not(outer);
        OURO_TIMEOUT(OURO_MS(2), &outer) {
                OURO_TIMEOUT(OURO_MS(10), &inner)
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), -ETIME);
                cr_assert_not(inner, "it was the outer one");
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert(outer);
        cr_assert_eq(ouro_yield(), 0);
}

static int sleeps_deep(int depth)
{
        return depth > 0 ? sleeps_deep(depth - 1) : ouro_sleep(OURO_MS(5));
}

RUN_VIRTUAL(scope, bounds_waits_at_whatever_depth)
{
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(sleeps_deep(50), -ETIME);
}

static int returns_from_scopes(bool *ret_expired)
{
        OURO_TIMEOUT(OURO_MS(1), ret_expired)
                OURO_TIMEOUT(OURO_MS(2))
                        return ouro_sleep(OURO_MS(5));
        return 1;
}

RUN_VIRTUAL(scope, is_left_by_return_break_and_goto)
{
        bool expired = false;

        cr_assert_eq(returns_from_scopes(&expired), -ETIME);
        cr_assert(expired);
        cr_assert_eq(ouro_yield(), 0);
        OURO_TIMEOUT(0, &expired)
                break;
        cr_assert_eq(ouro_yield(), 0);
        OURO_TIMEOUT(0)
                OURO_TIMEOUT(0)
                        goto out;
out:
        cr_assert_eq(ouro_yield(), 0);
}

/* ---- what it bounds ---- */

static intptr_t notes_how_it_ended(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        note(cut == 0 ? 'e' : cut == -ECANCELED ? 'c' : 't');
        return cut;
}

RUN_VIRTUAL(scope, cancels_the_members_of_groups_inside_it_and_no_others)
{
        int error = 0;

        OURO_GROUP(outer) {
                OURO_TIMEOUT(OURO_MS(1)) {
                        ouro_create_task(notes_how_it_ended, as_arg(2));
                        OURO_GROUP(inner, &error)
                                ouro_create_task(notes_how_it_ended, as_arg(2));
                }
                cr_assert_str_eq(noted(), "c");
        }
        cr_assert_str_eq(noted(), "e");
        cr_assert_eq(error, -ETIME);
}

static intptr_t notes_from_a_group(void *ms)
{
        OURO_GROUP(g)
                ouro_create_task(notes_how_it_ended, ms);
        return 0;
}

RUN_VIRTUAL(scope, reaches_groups_of_members)
{
        OURO_TIMEOUT(OURO_MS(1))
                OURO_GROUP(g)
                        ouro_create_task(notes_from_a_group, as_arg(2));
        cr_assert_str_eq(noted(), "c");
}

RUN_VIRTUAL(scope, leaves_what_was_awaited_alone)
{
        ouro_task task = ouro_create_task(notes_how_it_ended, as_arg(2));

        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_await(task), -ETIME);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_str_eq(noted(), "e");
}

static intptr_t is_cancelled_in_an_expired_scope(void *unused)
{
        (void)unused;
        OURO_TIMEOUT(0) {
                cr_assert_eq(ouro_yield(), -ETIME);
                cr_assert_eq(ouro_cancel(ouro_self()), 0);
                cr_assert_eq(ouro_yield(), -ECANCELED);
                OURO_TIMEOUT(0)
                        cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        return ouro_yield();
}

RUN_VIRTUAL(scope, is_outranked_by_cancellation)
{
        cr_assert_eq(ouro_await(ouro_create_task(is_cancelled_in_an_expired_scope, NULL)), -ECANCELED);
}

RUN_VIRTUAL(scope, is_outranked_by_the_failure_of_a_group_around_it)
{
        OURO_GROUP(g) {
                OURO_TIMEOUT(OURO_MS(1)) {
                        cr_assert_eq(ouro_sleep(OURO_MS(2)), -ETIME);
                        ouro_create_task(gives, as_arg(-EIO));
                        OURO_SHIELD
                        cr_assert_eq(ouro_yield(), 0);
                        cr_assert_eq(ouro_yield(), -ECANCELED);
                }
        }
}

/* ---- the function form, and its misuse ---- */

RUN_VIRTUAL(scope, function_form_tells_whether_it_expired)
{
        struct ouro_scope scope;
        bool expired = true;

        cr_assert_eq(ouro_scope_open(&scope, OURO_MS(1), &expired), &scope);
        cr_assert_not(ouro_scope_expired(&scope));
        cr_assert_eq(ouro_scope_close(&scope), 0);
        cr_assert_not(expired);
        cr_assert_not(ouro_scope_expired(&scope));
        ouro_scope_open(&scope, OURO_MS(1), NULL);
        cr_assert_eq(ouro_sleep(OURO_MS(2)), -ETIME);
        cr_assert(ouro_scope_expired(&scope));
        cr_assert_eq(ouro_scope_close(&scope), 1);
        cr_assert(ouro_scope_expired(&scope));
        cr_assert_not(ouro_scope_expired(NULL));
}

static intptr_t closes_it(void *scope)
{
        return ouro_scope_close(scope);
}

RUN(scope, left_wrongly_is_refused)
{
        struct ouro_scope outer, inner;
        struct ouro_group group;

        ouro_scope_open(&outer, OURO_FOREVER, NULL);
        ouro_scope_open(&inner, OURO_SEC(100), NULL);
        cr_assert_eq(ouro_scope_close(&outer), -EINVAL);
        cr_assert_eq(ouro_await(ouro_create_task(closes_it, &inner)), -EPERM);
        cr_assert_eq(ouro_scope_close(&inner), 0);
        cr_assert_eq(ouro_scope_close(&inner), -EINVAL);
        ouro_group_open(&group, 0, NULL);
        cr_assert_eq(ouro_scope_close(&outer), -EINVAL, "a group is inside it");
        cr_assert_eq(ouro_group_close(&group), 0);
        cr_assert_eq(ouro_scope_close(&outer), 0);
        cr_assert_eq(ouro_scope_close(NULL), -EINVAL);
        cr_assert_null(ouro_scope_open(NULL, 1, NULL));
        cr_assert_null(ouro_shield_open(NULL));
        ouro_scope_leave(&outer);
        ouro_scope_leave(NULL);
        cr_assert_eq(ouro_yield(), 0);
}

Test(scope, opened_outside_a_run_is_not_open)
{
        bool expired = true;

        OURO_TIMEOUT(0, &expired)
                OURO_SHIELD
        note('b');
        cr_assert_str_eq(noted(), "b");
        cr_assert(expired, "it is untouched");
}

static intptr_t returns_with_scope_open(void *scope)
{
        ouro_scope_open(scope, OURO_SEC(1), NULL);
        return 0;
}

static void die_of_open_scope(void)
{
        static struct ouro_scope scope;

        ouro_await(ouro_create_task(returns_with_scope_open, &scope));
}

Test(scope_left_open, by_a_task_that_returns_ends_the_process, .signal = SIGABRT)
{
        catch_log();
        run_body(die_of_open_scope, OURO_CLOCK_REAL);
}

RUN(scope, opened_and_left_a_million_times_leaves_nothing)
{
        for (int i = 0; i < 1000000; i++)
                OURO_TIMEOUT(OURO_SEC(1000) + i)
                        cr_assert_not_null(ouro_this_loop());
        cr_assert_eq(ouro_sleep(1), 0);
}

/* ---- shields ---- */

RUN_VIRTUAL(shield, holds_outer_scopes_off_until_it_is_left)
{
        bool expired = false;

        OURO_TIMEOUT(OURO_MS(1), &expired) {
                OURO_SHIELD
                {
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
                        OURO_SHIELD
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
                }
                cr_assert_eq(ouro_yield(), -ETIME);
                OURO_SHIELD
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert(expired);
        cr_assert_eq(ouro_now(), OURO_MS(15));
}

RUN_VIRTUAL(shield, does_not_hold_off_scopes_inside_it)
{
        bool expired = false;

        OURO_SHIELD
        {
                OURO_TIMEOUT(OURO_MS(1), &expired)
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), -ETIME);
                cr_assert_eq(ouro_yield(), 0);
        }
        cr_assert(expired);
}

RUN_VIRTUAL(shield, keeps_the_groups_inside_it)
{
        int error = 1;

        OURO_TIMEOUT(OURO_MS(1)) {
                OURO_SHIELD
                OURO_GROUP(g, &error)
                        ouro_create_task(notes_how_it_ended, as_arg(5));
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert_str_eq(noted(), "e");
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(shield, does_not_keep_groups_around_it)
{
        OURO_TIMEOUT(OURO_MS(1))
                OURO_GROUP(g) {
                        ouro_create_task(notes_how_it_ended, as_arg(5));
                        OURO_SHIELD
                        {
                                cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
                                cr_assert_str_eq(noted(), "c");
                        }
                }
}

RUN_VIRTUAL(shield, holds_the_failure_of_a_group_off)
{
        OURO_GROUP(g) {
                ouro_create_task(gives, as_arg(-EIO));
                OURO_SHIELD
                cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
}

RUN(shield, is_closed_as_a_scope)
{
        struct ouro_scope shield;

        cr_assert_eq(ouro_shield_open(&shield), &shield);
        cr_assert_eq(ouro_scope_close(&shield), 0);
        cr_assert_eq(ouro_scope_close(&shield), -EINVAL);
}

/* ---- races ---- */

enum { MANY = 10000 };

static int silent_fd;

static intptr_t polls_for_a_while(void *ns)
{
        int result = 0;

        OURO_TIMEOUT((intptr_t)ns)
                result = ouro_poll(silent_fd, POLLIN);
        return result;
}

static void expires_for_many(int64_t step_ns)
{
        static ouro_task tasks[MANY];
        static intptr_t results[MANY];

        silent_fd = eventfd(0, EFD_CLOEXEC);
        for (intptr_t i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(polls_for_a_while, as_arg(OURO_MS(50) + i * step_ns));
        cr_assert_eq(ouro_gather(tasks, MANY, results), -ETIME);
        for (int i = 0; i < MANY; i++)
                cr_assert_eq(results[i], -ETIME);
        cr_assert_eq(ouro_close(silent_fd), 0);
}

RUN(scope_of_many, f06_ten_thousand_that_expire_at_once_all_end)
{
        expires_for_many(0);
}

RUN(scope_of_many, f06_ten_thousand_that_expire_in_turn_all_end)
{
        expires_for_many(1000);
}

static void busy_ns(int64_t ns)
{
        struct timespec from, now;

        clock_gettime(CLOCK_MONOTONIC, &from);
        do
                clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - from.tv_sec) * OURO_SEC(1) + now.tv_nsec - from.tv_nsec < ns);
}

static int pipe_fds[2];

/* The bytes come and the deadline passes while the loop is busy: both are seen in one pass. */
static intptr_t lets_both_come(void *unused)
{
        (void)unused;
        cr_assert_eq(write(pipe_fds[1], "abc", 3), 3);
        busy_ns(OURO_US(300));
        return 0;
}

RUN(scope, f08_deadline_and_completion_in_one_batch_have_one_winner)
{
        cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
        for (int i = 0; i < 200; i++) {
                ssize_t n = 0, rest;
                char bytes[8];

                OURO_TIMEOUT(OURO_US(100)) {
                        ouro_go(lets_both_come, NULL);
                        n = ouro_read(pipe_fds[0], bytes, sizeof bytes);
                }
                cr_assert(n == 3 || n == -ETIME, "%zd", n);
                cr_assert_eq(ouro_yield(), 0);
                rest = n == 3 ? 0 : read(pipe_fds[0], bytes, sizeof bytes);
                cr_assert_eq((n > 0 ? n : 0) + rest, 3, "bytes were taken and not told");
        }
        cr_assert_eq(ouro_close(pipe_fds[0]), 0);
        cr_assert_eq(ouro_close(pipe_fds[1]), 0);
}

RUN_VIRTUAL(scope, f09_expiry_against_a_result_gives_one_of_the_two)
{
        for (int64_t early_ns = -2; early_ns <= 2; early_ns++)
                for (int how = 0; how < 3; how++) {
                        ouro_task task = ouro_create_task(sleeps_ms, as_arg(1));
                        int64_t ns = OURO_MS(1) - early_ns;
                        bool expired = false;
                        intptr_t result = 1;

                        cr_assert_eq(ouro_yield(), 0); /* it sleeps now */
                        OURO_TIMEOUT(ns, &expired)
                                result = how == 0   ? ouro_await(task)
                                         : how == 1 ? ouro_wait(task)
                                                    : ouro_gather(&task, 1, NULL);
                        if (early_ns < 0)
                                cr_assert(result == 0 && !expired, "%ld", (long)result);
                        else if (early_ns > 0)
                                cr_assert(result == -ETIME && expired, "%ld", (long)result);
                        else
                                cr_assert(result == 0 || (result == -ETIME && expired), "%ld", (long)result);
                        if (how < 2 && result == -ETIME)
                                cr_assert_eq(ouro_await(task), 0);
                        cr_assert_eq(ouro_yield(), 0);
                }
}

RUN_VIRTUAL(scope, f09_wait_for_with_the_deadline_of_its_target)
{
        for (int64_t early_ns = -2; early_ns <= 2; early_ns++) {
                ouro_task task = ouro_create_task(sleeps_ms, as_arg(1));
                intptr_t result;

                cr_assert_eq(ouro_yield(), 0);
                result = ouro_wait_for(task, OURO_MS(1) - early_ns);
                cr_assert(early_ns < 0   ? result == 0
                          : early_ns > 0 ? result == -ETIME
                                         : result == 0 || result == -ETIME,
                          "%ld", (long)result);
                cr_assert_eq(ouro_await(task), -ESRCH);
                cr_assert_eq(ouro_yield(), 0);
        }
}

/* On the real clock the two come in whatever order they come. */
RUN(scope, f09_expiry_against_completions_on_the_real_clock)
{
        for (int i = 0; i < 200; i++) {
                ouro_task task = ouro_create_task(sleeps_ms, as_arg(1));
                intptr_t result = 1;
                bool expired = false;

                OURO_TIMEOUT(OURO_US(900 + i), &expired)
                        result = ouro_await(task);
                cr_assert(result == 0 || (result == -ETIME && expired), "%ld", (long)result);
                if (result == -ETIME)
                        cr_assert_eq(ouro_await(task), 0);
        }
}
