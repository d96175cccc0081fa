/* What CPython's test_timeouts.py demands of a timeout, in the terms of this library: README.md has the
 * table. What raises TimeoutError there ends with -ETIME here, and the holder asks whether it was its own. */
#include "support/run.h"

#include <errno.h>
#include <time.h>

#include "support/leaks.h"

TestSuite(timeouts, .init = leaks_begin, .fini = leaks_end);

RUN_VIRTUAL(timeouts, one_that_passes_cuts_the_wait)
{
        bool expired = false;

        cr_assert_eq(ouro_sleep(OURO_SEC(3)), 0);
        OURO_SCOPE(s, OURO_MS(10), &expired) {
                int64_t deadline = ouro_now() + OURO_MS(10);

                cr_assert_eq(ouro_scope_deadline(s), deadline);
                cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ETIME);
                cr_assert_eq(ouro_now(), deadline);
                cr_assert_eq(ouro_scope_deadline(s), deadline, "also when it has passed");
                cr_assert(ouro_scope_expired(s));
        }
        cr_assert(expired);
}

RUN_VIRTUAL(timeouts, two_of_one_deadline_both_expire)
{
        bool outer = false, inner = false;

        OURO_TIMEOUT(OURO_MS(10), &outer) {
                OURO_TIMEOUT(OURO_MS(10), &inner)
                        cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ETIME);
                cr_assert_eq(ouro_yield(), -ETIME, "the outer one goes on");
        }
        cr_assert(outer);
        cr_assert(inner);
        cr_assert_eq(ouro_yield(), 0);
}

RUN_VIRTUAL(timeouts, one_that_is_left_in_time_does_nothing)
{
        bool expired = true;

        OURO_SCOPE(s, OURO_SEC(10), &expired) {
                cr_assert_eq(ouro_sleep(OURO_MS(10)), 0);
                cr_assert(ouro_scope_deadline(s) > ouro_now());
        }
        cr_assert_not(expired);
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

RUN_VIRTUAL(timeouts, none_is_for_ever)
{
        bool expired = true;

        OURO_SCOPE(s, OURO_FOREVER, &expired) {
                cr_assert_eq(ouro_sleep(OURO_MS(10)), 0);
                cr_assert_eq(ouro_scope_deadline(s), OURO_FOREVER);
        }
        cr_assert_not(expired);
}

RUN_VIRTUAL(timeouts, of_zero_or_less_cuts_even_a_sleep_of_zero)
{
        static const int64_t times[] = {0, -OURO_SEC(11)};

        for (int i = 0; i < 2; i++) {
                bool expired = false;

                OURO_SCOPE(s, times[i], &expired) {
                        cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ETIME);
                        cr_assert_eq(ouro_sleep(0), -ETIME);
                        cr_assert(ouro_scope_deadline(s) <= ouro_now());
                }
                cr_assert(expired);
        }
        cr_assert_eq(ouro_now(), 0);
}

static int fails_at_once(bool *ret_expired)
{
        OURO_TIMEOUT(OURO_MS(10), ret_expired)
                return -EDOM;
        return 0;
}

static int fails_when_cut(void)
{
        OURO_TIMEOUT(OURO_MS(10))
                return ouro_sleep(OURO_SEC(1)) < 0 ? -EDOM : 0;
        return 0;
}

RUN_VIRTUAL(timeouts, errors_of_ones_own_pass_through)
{
        bool expired = true;

        cr_assert_eq(fails_at_once(&expired), -EDOM);
        cr_assert_not(expired);
        cr_assert_eq(fails_when_cut(), -EDOM);
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

static intptr_t cancels_itself_in_time(void *ret_expired)
{
        OURO_TIMEOUT(OURO_SEC(10), ret_expired) {
                cr_assert_eq(ouro_cancel(ouro_self()), 0);
                return ouro_sleep(OURO_SEC(10));
        }
        return 0;
}

RUN_VIRTUAL(timeouts, cancellation_inside_is_no_timeout)
{
        bool expired = true;

        cr_assert_eq(ouro_await(ouro_create_task(cancels_itself_in_time, &expired)), -ECANCELED);
        cr_assert_not(expired);
        cr_assert_eq(ouro_now(), 0);
}

static intptr_t runs_out_of_time(void *unused)
{
        (void)unused;
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ETIME);
        return 4;
}

RUN_VIRTUAL(timeouts, task_that_ran_out_of_time_is_not_cancelled)
{
        ouro_task task = ouro_create_task(runs_out_of_time, NULL);

        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED);
        cr_assert_eq(ouro_await(task), 4);
}

/* Computes, and does not wait, until that much of real time has passed. */
static void computes(int64_t ns)
{
        struct timespec now;
        int64_t end;

        clock_gettime(CLOCK_MONOTONIC, &now);
        end = OURO_SEC(now.tv_sec) + now.tv_nsec + ns;
        do
                clock_gettime(CLOCK_MONOTONIC, &now);
        while (OURO_SEC(now.tv_sec) + now.tv_nsec < end);
}

RUN(timeouts, nested_ones_that_pass_while_the_loop_is_busy)
{
        bool outer = false, inner = false;

        OURO_TIMEOUT(OURO_MS(2), &outer) {
                OURO_TIMEOUT(OURO_MS(100), &inner) {
                        computes(OURO_MS(10));
                        cr_assert_eq(ouro_sleep(OURO_SEC(100)), -ETIME);
                }
        }
        cr_assert(outer);
        outer = inner = false;
        OURO_TIMEOUT(OURO_MS(60), &outer) {
                OURO_TIMEOUT(OURO_MS(10), &inner) {
                        computes(OURO_MS(60));
                        cr_assert_eq(ouro_sleep(OURO_SEC(100)), -ETIME);
                }
                cr_assert(inner);
                cr_assert_eq(ouro_sleep(OURO_SEC(100)), -ETIME);
        }
        cr_assert(outer);
}

static struct ouro_scope *shown;
static bool shown_expired = true;

static intptr_t shows_its_scope(void *unused)
{
        (void)unused;
        OURO_SCOPE(s, OURO_SEC(10), &shown_expired) {
                shown = s;
                return ouro_sleep(OURO_SEC(50));
        }
        return 0;
}

RUN_VIRTUAL(timeouts, one_of_another_task_is_moved_and_taken_away)
{
        ouro_task task = ouro_create_task(shows_its_scope, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_scope_deadline(shown), OURO_SEC(10));
        cr_assert_eq(ouro_scope_reschedule(shown, OURO_SEC(30)), 0);
        cr_assert_eq(ouro_scope_deadline(shown), OURO_SEC(30));
        cr_assert_eq(ouro_sleep(OURO_SEC(20)), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(ouro_scope_reschedule(shown, OURO_FOREVER), 0);
        cr_assert_eq(ouro_scope_deadline(shown), OURO_FOREVER);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_not(shown_expired);
}

RUN_VIRTUAL(timeouts, clean_up_has_a_deadline_of_its_own)
{
        bool outer = false, inner = false;

        OURO_TIMEOUT(OURO_MS(10), &outer) {
                cr_assert_eq(ouro_sleep(OURO_SEC(1)), -ETIME);
                OURO_SHIELD
                OURO_TIMEOUT(OURO_MS(10), &inner)
                        cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ETIME);
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert(outer);
        cr_assert(inner);
        cr_assert_eq(ouro_now(), OURO_MS(20));
}
