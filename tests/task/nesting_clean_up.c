/* Failures and cancellations that come while something else is being cleaned up: in a shield, in a group's
 * close, a second time, or together with a result. */
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>

#include "support/leaks.h"

TestSuite(clean_up, .init = leaks_begin, .fini = leaks_end);

static intptr_t notes(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        note(cut == 0 ? 'e' : cut == -ECANCELED ? 'c' : 't');
        return cut;
}

static intptr_t fails_ms(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        return cut < 0 ? cut : -EIO;
}

/* ---- failure while cleaning up ---- */

RUN_VIRTUAL(clean_up, in_a_shield_may_fail_by_itself)
{
        int outer = 0, inner = 0;

        OURO_GROUP(g, &outer) {
                ouro_create_task(gives, as_arg(-EXDEV));
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                OURO_SHIELD
                {
                        OURO_GROUP(h, &inner) {
                                ouro_create_task(fails_ms, as_arg(1));
                                ouro_create_task(notes, as_arg(5));
                                cr_assert_eq(ouro_sleep(OURO_MS(9)), -ECANCELED);
                        }
                        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0, "the inner failure goes no further");
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(inner, -EIO);
        cr_assert_eq(outer, -EXDEV);
        cr_assert_str_eq(noted(), "c");
        cr_assert_eq(ouro_now(), OURO_MS(2));
}

RUN_VIRTUAL(clean_up, in_a_shield_is_not_disturbed_by_the_failure_of_the_group_around)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(fails_ms, as_arg(3));
                OURO_SHIELD
                {
                        cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
                        cr_assert_eq(ouro_sleep(OURO_MS(2)), 0, "it failed during this one");
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(error, -EIO);
}

static intptr_t fails_when_cut(void *unused)
{
        (void)unused;
        ouro_sleep(OURO_FOREVER);
        OURO_SHIELD
        cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
        return -EXDEV;
}

RUN_VIRTUAL(clean_up, of_members_while_the_group_closes_leaves_the_first_error)
{
        int error = 0;

        catch_log();
        OURO_GROUP(g, &error) {
                ouro_create_task(fails_when_cut, NULL);
                ouro_create_task(fails_ms, as_arg(1));
                ouro_create_task(fails_when_cut, NULL);
        }
        cr_assert_eq(error, -EIO);
        cr_assert_eq(logged(), 2u);
        cr_assert_eq(ouro_now(), OURO_MS(3), "their clean-up was awaited");
}

RUN_VIRTUAL(clean_up, of_members_cut_by_time_may_fail_and_that_is_the_groups_error)
{
        int error = 0;

        OURO_TIMEOUT(OURO_MS(1)) {
                OURO_GROUP(g, &error)
                        ouro_create_task(fails_when_cut, NULL);
                cr_assert_eq(ouro_yield(), -ETIME, "the scope has expired all the same");
        }
        cr_assert_eq(error, -EXDEV);
}

static intptr_t cleans_up_with_a_group(void *unused)
{
        int error = 1;

        (void)unused;
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        OURO_GROUP(g, &error)
                ouro_create_task(notes, as_arg(1));
        cr_assert_eq(error, -ECANCELED, "without a shield nothing waits any more");
        OURO_SHIELD
        OURO_GROUP(g, &error)
                ouro_create_task(notes, as_arg(1));
        cr_assert_eq(error, 0);
        OURO_SHIELD
        OURO_TIMEOUT(OURO_MS(1))
                OURO_GROUP(g, &error)
                        ouro_create_task(notes, as_arg(9));
        cr_assert_eq(error, -ETIME);
        return 3;
}

RUN_VIRTUAL(clean_up, with_groups_takes_a_shield_and_has_its_own_deadline)
{
        ouro_task task = ouro_create_task(cleans_up_with_a_group, NULL);

        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 3);
        cr_assert_str_eq(noted(), "cec");
        cr_assert_eq(ouro_now(), OURO_MS(3));
}

/* ---- cancelled again, or also otherwise ---- */

static intptr_t closes_slowly(void *ret_error)
{
        OURO_TIMEOUT(OURO_MS(4))
                OURO_GROUP(g, (int *)ret_error) {
                        ouro_create_task(fails_when_cut, NULL);
                        ouro_create_task(notes, as_arg(9));
                }
        return 3;
}

RUN_VIRTUAL(clean_up, f12_of_a_closing_group_that_is_cancelled_in_every_way_happens_once)
{
        struct ouro_cancellation info = OURO_CANCELLATION_INIT;
        int error = 0;
        ouro_task task = ouro_create_task(closes_slowly, &error);

        cr_assert_eq(ouro_sleep(OURO_MS(3)), 0);
        cr_assert_eq(ouro_cancel_with(task, "first"), 0);
        cr_assert_eq(ouro_cancel_with(task, "second"), 0);
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0, "its scope expires now");
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancel_info(task, &info), 0);
        cr_assert_str_eq(info.text, "first");
        cr_assert_eq(ouro_await(task), 3);
        cr_assert_eq(error, -EXDEV);
        cr_assert_str_eq(noted(), "c");
        cr_assert_eq(ouro_now(), OURO_MS(5));
        cr_assert_eq(ouro_cancel(task), -ESRCH);
}

/* ---- waits for others ---- */

static ouro_task gathered[2];
static intptr_t results[2];

static intptr_t gathers_in_a_shield(void *unused)
{
        (void)unused;
        OURO_SHIELD
        cr_assert_eq(ouro_gather(gathered, 2, results), 0);
        return ouro_yield();
}

static intptr_t gathers_in_a_scope(void *unused)
{
        int cut = 0;

        (void)unused;
        OURO_TIMEOUT(OURO_MS(1))
                cut = (int)ouro_gather(gathered, 2, results);
        return cut;
}

RUN_VIRTUAL(clean_up, f11_gather_in_a_shield_is_left_alone_and_in_a_scope_is_cut)
{
        ouro_task gatherer;

        for (int i = 0; i < 2; i++)
                gathered[i] = ouro_create_task(notes, as_arg(5));
        gatherer = ouro_create_task(gathers_in_a_shield, NULL);
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        cr_assert_eq(ouro_cancel(gatherer), 0);
        cr_assert_eq(ouro_await(gatherer), -ECANCELED, "it acts after the shield");
        cr_assert_str_eq(noted(), "ee");
        for (int i = 0; i < 2; i++)
                gathered[i] = ouro_create_task(notes, as_arg(5));
        gatherer = ouro_create_task(gathers_in_a_scope, NULL);
        cr_assert_eq(ouro_await(gatherer), -ETIME);
        cr_assert_str_eq(noted(), "cc");
        cr_assert_eq(results[0], -ECANCELED);
}

RUN_VIRTUAL(clean_up, f11_wait_for_in_a_group_that_fails_cancels_its_target_and_awaits_it)
{
        ouro_task outside = ouro_create_task(gives_when_cut, as_arg(6));
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(fails_ms, as_arg(1));
                cr_assert_eq(ouro_wait_for(outside, OURO_SEC(1)), 6, "it had a result after all");
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(error, -EIO);
}

/* ---- a result and a deadline, together ---- */

RUN_VIRTUAL(clean_up, f08_members_and_deadline_in_one_tick_are_results_or_cut_and_counted)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;
        struct ouro_outcome outcomes[2];
        size_t ended = 0, succeeded = 0;
        int error = 1;

        options.outcomes = outcomes;
        options.outcomes_len = 2;
        options.ret_ended = &ended;
        options.ret_succeeded = &succeeded;
        options.ret_error = &error;
        OURO_GROUP_WITH(g, &options) {
                ouro_task early = ouro_create_task(sleeps_ms, as_arg(5));

                cr_assert_eq(ouro_yield(), 0);
                OURO_TIMEOUT(OURO_MS(5)) {
                        OURO_GROUP(h) {
                                ouro_create_task(notes, as_arg(5));
                        }
                        cr_assert_eq(ouro_yield(), -ETIME);
                }
                cr_assert_eq(ouro_await(early), 0, "it is outside the scope");
        }
        cr_assert_eq(ended, 1u);
        cr_assert_eq(succeeded, 1u);
        cr_assert_eq(error, 0);
        cr_assert_str_eq(noted(), "c", "the deadline was set first");
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

RUN_VIRTUAL(clean_up, f09_expiry_against_the_last_member_is_etime_or_zero)
{
        for (intptr_t ms = 1; ms <= 3; ms++) {
                int error = 1;
                bool expired = true;

                OURO_TIMEOUT(OURO_MS(2), &expired)
                        OURO_GROUP(g, &error)
                                ouro_create_task(sleeps_ms, as_arg(ms));
                cr_assert_eq(error, ms < 2 ? 0 : -ETIME, "%d after %d ms", error, (int)ms);
                cr_assert_eq(expired, ms >= 2);
        }
}

RUN_VIRTUAL(clean_up, f09_inner_and_outer_deadline_in_one_tick_never_give_ecanceled)
{
        bool outer = false, inner = false;

        OURO_TIMEOUT(OURO_MS(5), &outer) {
                OURO_SHIELD
                OURO_TIMEOUT(OURO_MS(5), &inner)
                        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
                cr_assert_eq(ouro_yield(), -ETIME);
                cr_assert_eq(ouro_wait_for(ouro_self(), 1), -ETIME);
        }
        cr_assert(outer);
        cr_assert(inner);
        cr_assert_eq(ouro_yield(), 0);
}

/* ---- locks ---- */

static struct ouro_mutex mutex;

static intptr_t ends_with_the_lock(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        return ouro_sleep(OURO_MS(2));
}

static intptr_t locks_in_a_shield(void *unused)
{
        intptr_t result = 0;

        (void)unused;
        OURO_SHIELD
        result = ouro_mutex_lock(&mutex);
        note(result == -EOWNERDEAD ? 'd' : 'x');
        return -ECANCELED;
}

static intptr_t locks(void *unused)
{
        intptr_t result = ouro_mutex_lock(&mutex);

        (void)unused;
        note(result == -EOWNERDEAD ? 'd' : result == -ECANCELED ? 'c' : 'x');
        return -ECANCELED;
}

RUN_VIRTUAL(clean_up, f61_member_cancelled_with_a_lock_fails_those_in_a_shield_and_those_outside)
{
        ouro_task outside;

        catch_log();
        OURO_GROUP(g) {
                ouro_create_task(ends_with_the_lock, NULL);
                cr_assert_eq(ouro_yield(), 0);
                ouro_create_task(locks_in_a_shield, NULL);
                ouro_create_task(locks, NULL);
                OURO_SHIELD
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
        cr_assert_str_eq(noted(), "cd");
        outside = ouro_create_task(locks, NULL);
        cr_assert_eq(ouro_await(outside), -ECANCELED);
        cr_assert_str_eq(noted(), "d", "also who comes later");
}

/* ---- results asked twice ---- */

static ouro_task wanted;

static intptr_t awaits_in_a_scope(void *unused)
{
        intptr_t result = 0;

        (void)unused;
        OURO_TIMEOUT(OURO_MS(1))
                result = ouro_await(wanted);
        return result == -ETIME ? 1 : 0;
}

static intptr_t awaits_in_a_group(void *unused)
{
        intptr_t result = 0;

        (void)unused;
        OURO_SHIELD
        OURO_GROUP(g)
                result = ouro_await(wanted);
        return result;
}

RUN_VIRTUAL(clean_up, f99_result_goes_to_all_who_still_wait_in_whatever_context)
{
        ouro_task waiters[3];

        OURO_GROUP(g) {
                wanted = ouro_create_task(gives_when_cut, as_arg(8));
                waiters[0] = ouro_create_task_in(g, awaits_in_a_scope, NULL);
                waiters[1] = ouro_create_task_in(g, awaits_in_a_group, NULL);
                waiters[2] = ouro_create_task_in(g, awaits_in_a_group, NULL);
                cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
                cr_assert_eq(ouro_await(waiters[0]), 1);
                cr_assert_eq(ouro_cancel(wanted), 0);
                cr_assert_eq(ouro_await(waiters[1]), 8);
                cr_assert_eq(ouro_await(waiters[2]), 8);
                cr_assert_eq(ouro_await(wanted), -ESRCH);
        }
        cr_assert_eq(ouro_await(waiters[2]), -ESRCH);
        cr_assert_eq(ouro_cancel(waiters[2]), -ESRCH);
}

/* ---- control that leaves a block past its end ---- */

static jmp_buf back;

static __attribute__((noinline)) void jumps_out(int kind)
{
        static struct ouro_group group;
        static struct ouro_scope scope;

        if (kind == 0)
                ouro_group_open(&group, 0, NULL);
        else if (kind == 1)
                ouro_scope_open(&scope, OURO_SEC(1), NULL);
        else
                ouro_shield_open(&scope);
        longjmp(back, 1);
}

static intptr_t jumps_out_of(void *kind)
{
        if (setjmp(back) == 0)
                jumps_out((int)(intptr_t)kind);
        return 0;
}

static intptr_t awaits_the_jumper(void *kind)
{
        catch_log();
        return ouro_await(ouro_create_task(jumps_out_of, kind));
}

Test(clean_up_never, f60_longjmp_out_of_a_group_is_trapped_when_the_task_returns, .signal = SIGABRT)
{
        ouro_run(awaits_the_jumper, as_arg(0));
}

Test(clean_up_never, f60_longjmp_out_of_a_scope_is_trapped_when_the_task_returns, .signal = SIGABRT)
{
        ouro_run(awaits_the_jumper, as_arg(1));
}

Test(clean_up_never, f60_longjmp_out_of_a_shield_is_trapped_when_the_task_returns, .signal = SIGABRT)
{
        ouro_run(awaits_the_jumper, as_arg(2));
}
