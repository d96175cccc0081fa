/* Of lib/task/scope.c: a time scope that is moved, asked for its deadline, or cancelled, by its holder or by
 * another. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(scope_moved, .init = leaks_begin, .fini = leaks_end);
TestSuite(scope_cancelled, .init = leaks_begin, .fini = leaks_end);

/* ---- moved ---- */

RUN_VIRTUAL(scope_moved, later_expires_later)
{
        bool expired = false;

        OURO_SCOPE(s, OURO_MS(5), &expired) {
                cr_assert_eq(ouro_scope_deadline(s), OURO_MS(5));
                cr_assert_eq(ouro_sleep(OURO_MS(4)), 0);
                cr_assert_eq(ouro_scope_reschedule(s, OURO_MS(5)), 0);
                cr_assert_eq(ouro_scope_deadline(s), OURO_MS(9));
                cr_assert_eq(ouro_sleep(OURO_MS(4)), 0);
                cr_assert_eq(ouro_sleep(OURO_MS(4)), -ETIME);
        }
        cr_assert(expired);
        cr_assert_eq(ouro_now(), OURO_MS(9));
}

RUN_VIRTUAL(scope_moved, earlier_expires_earlier)
{
        OURO_SCOPE(s, OURO_SEC(5)) {
                cr_assert_eq(ouro_scope_reschedule(s, OURO_MS(1)), 0);
                cr_assert_eq(ouro_sleep(OURO_MS(4)), -ETIME);
        }
        cr_assert_eq(ouro_now(), OURO_MS(1));
}

RUN_VIRTUAL(scope_moved, to_for_ever_and_back)
{
        bool expired = false;

        OURO_SCOPE(s, OURO_MS(1), &expired) {
                cr_assert_eq(ouro_scope_reschedule(s, OURO_FOREVER), 0);
                cr_assert_eq(ouro_scope_deadline(s), OURO_FOREVER);
                cr_assert_eq(ouro_sleep(OURO_SEC(1)), 0);
                cr_assert_eq(ouro_scope_reschedule(s, OURO_MS(1)), 0);
                cr_assert_eq(ouro_sleep(OURO_SEC(1)), -ETIME);
        }
        cr_assert(expired);
        OURO_SCOPE(s, OURO_FOREVER, &expired)
                cr_assert_eq(ouro_scope_deadline(s), OURO_FOREVER);
        cr_assert_not(expired);
}

static intptr_t notes_how_it_ended(void *unused)
{
        int cut = ouro_sleep(OURO_MS(2));

        (void)unused;
        note(cut == 0 ? 'e' : cut == -ECANCELED ? 'c' : 't');
        return cut;
}

RUN_VIRTUAL(scope_moved, to_no_time_expires_at_once_groups_and_all)
{
        bool expired = false;
        int error = 0;

        cr_assert_eq(ouro_sleep(OURO_MS(3)), 0);
        OURO_SCOPE(s, OURO_SEC(1), &expired) {
                OURO_GROUP(g, &error) {
                        ouro_create_task(notes_how_it_ended, NULL);
                        cr_assert_eq(ouro_scope_reschedule(s, 0), 0);
                        cr_assert(ouro_scope_expired(s));
                        cr_assert_eq(ouro_scope_deadline(s), OURO_MS(3));
                        cr_assert_eq(ouro_yield(), -ETIME);
                }
                cr_assert_eq(ouro_scope_reschedule(s, OURO_SEC(1)), -ETIME, "it stays expired");
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert(expired);
        cr_assert_eq(error, -ETIME);
        cr_assert_str_eq(noted(), "c");
        OURO_SCOPE(s, -1) {
                cr_assert_eq(ouro_scope_deadline(s), OURO_MS(3));
                cr_assert_eq(ouro_scope_reschedule(s, OURO_SEC(1)), -ETIME);
        }
}

static intptr_t moves(void *scope)
{
        int error = ouro_sleep(OURO_MS(1));

        return error < 0 ? error : ouro_scope_reschedule(scope, OURO_MS(1));
}

RUN_VIRTUAL(scope_moved, by_another_task_while_its_holder_waits)
{
        OURO_SCOPE(s, OURO_SEC(1)) {
                ouro_task task = ouro_create_task(moves, s);

                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
                cr_assert_eq(ouro_now(), OURO_MS(2));
                OURO_SHIELD
                cr_assert_eq(ouro_await(task), 0);
        }
}

RUN_VIRTUAL(scope_moved, inside_others_leaves_their_deadlines_alone)
{
        bool outer = true, middle = true, inner = true;

        OURO_SCOPE(a, OURO_MS(30), &outer) {
                OURO_SCOPE(b, OURO_MS(5), &middle) {
                        OURO_SCOPE(c, OURO_MS(20), &inner) {
                                cr_assert_eq(ouro_scope_reschedule(b, OURO_MS(10)), 0);
                                cr_assert_eq(ouro_sleep(OURO_MS(9)), 0);
                                cr_assert_eq(ouro_scope_reschedule(c, OURO_SEC(1)), 0);
                                cr_assert_eq(ouro_sleep(OURO_SEC(9)), -ETIME);
                                cr_assert_eq(ouro_now(), OURO_MS(10));
                        }
                        cr_assert_eq(ouro_yield(), -ETIME);
                        cr_assert_eq(ouro_scope_reschedule(a, OURO_MS(5)), 0);
                }
                cr_assert_eq(ouro_sleep(OURO_SEC(9)), -ETIME);
                cr_assert_eq(ouro_now(), OURO_MS(15));
        }
        cr_assert(outer);
        cr_assert(middle);
        cr_assert_not(inner);
}

RUN(scope_moved, wrongly_is_refused)
{
        struct ouro_scope scope, shield;

        ouro_shield_open(&shield);
        cr_assert_eq(ouro_scope_reschedule(&shield, 1), -EINVAL);
        cr_assert_eq(ouro_scope_deadline(&shield), -EINVAL);
        cr_assert_eq(ouro_scope_cancel(&shield), -EINVAL);
        cr_assert_not(ouro_scope_cancelled(&shield));
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_scope_close(&shield), 0);
        ouro_scope_open(&scope, OURO_SEC(1), NULL);
        cr_assert_eq(ouro_scope_close(&scope), 0);
        cr_assert_eq(ouro_scope_reschedule(&scope, 1), -EINVAL);
        cr_assert_eq(ouro_scope_deadline(&scope), -EINVAL);
        cr_assert_eq(ouro_scope_cancel(&scope), -EINVAL);
        cr_assert_eq(ouro_scope_reschedule(NULL, 1), -EINVAL);
        cr_assert_eq(ouro_scope_deadline(NULL), -EINVAL);
        cr_assert_eq(ouro_scope_cancel(NULL), -EINVAL);
        cr_assert_not(ouro_scope_cancelled(NULL));
}

Test(scope_moved, outside_a_run_is_refused)
{
        OURO_SCOPE(s, OURO_SEC(1)) {
                note('b');
                cr_assert_eq(ouro_scope_reschedule(s, 1), -EPERM);
                cr_assert_eq(ouro_scope_deadline(s), -EPERM);
                cr_assert_eq(ouro_scope_cancel(s), -EPERM);
                cr_assert_not(ouro_scope_cancelled(s));
        }
        cr_assert_str_eq(noted(), "b");
}

static struct ouro_scope *of_another_loop;
static intptr_t refused[3];

static intptr_t touches_it(void *unused)
{
        (void)unused;
        refused[0] = ouro_scope_reschedule(of_another_loop, 1);
        refused[1] = ouro_scope_deadline(of_another_loop);
        refused[2] = ouro_scope_cancel(of_another_loop);
        return 0;
}

static void *runs_a_loop(void *unused)
{
        cr_assert_eq(ouro_run(touches_it, NULL), 0);
        return unused;
}

RUN(scope_moved, by_another_loop_is_refused)
{
        pthread_t thread;

        OURO_SCOPE(s, OURO_SEC(100)) {
                of_another_loop = s;
                cr_assert_eq(pthread_create(&thread, NULL, runs_a_loop, NULL), 0);
                cr_assert_eq(pthread_join(thread, NULL), 0);
                cr_assert_eq(ouro_yield(), 0);
        }
        for (int i = 0; i < 3; i++)
                cr_assert_eq(refused[i], -EPERM);
}

/* ---- cancelled ---- */

RUN_VIRTUAL(scope_cancelled, from_inside_cuts_each_wait_until_it_is_left)
{
        bool expired = true;

        OURO_SCOPE(s, OURO_MS(1), &expired) {
                cr_assert_not(ouro_scope_cancelled(s));
                cr_assert_eq(ouro_scope_cancel(s), 0);
                cr_assert(ouro_scope_cancelled(s));
                cr_assert_eq(ouro_scope_deadline(s), OURO_FOREVER);
                cr_assert_eq(ouro_yield(), -ECANCELED);
                OURO_SHIELD
                cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
                cr_assert_eq(ouro_sleep(1), -ECANCELED);
                cr_assert_eq(ouro_scope_cancel(s), 0);
                cr_assert_eq(ouro_scope_reschedule(s, OURO_SEC(1)), -ECANCELED);
                cr_assert_not(ouro_scope_expired(s), "what came first stays");
        }
        cr_assert_not(expired);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
}

static intptr_t cancels(void *scope)
{
        int error = ouro_sleep(OURO_MS(1));

        return error < 0 ? error : ouro_scope_cancel(scope);
}

RUN_VIRTUAL(scope_cancelled, from_outside_cuts_the_wait_its_holder_is_in)
{
        struct ouro_scope scope;

        ouro_scope_open(&scope, OURO_FOREVER, NULL);
        ouro_create_task(cancels, &scope);
        cr_assert_eq(ouro_sleep(OURO_SEC(1)), -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(1));
        cr_assert_eq(ouro_scope_close(&scope), 0, "it has not expired");
        cr_assert(ouro_scope_cancelled(&scope), "told also when it has been left");
        cr_assert_eq(ouro_yield(), 0);
}

RUN_VIRTUAL(scope_cancelled, cancels_the_members_of_groups_inside_it_and_no_others)
{
        int inner = 0, outer = 77;

        OURO_GROUP(g, &outer) {
                OURO_SCOPE(s, OURO_FOREVER) {
                        ouro_create_task(notes_how_it_ended, NULL);
                        OURO_GROUP(h, &inner) {
                                ouro_create_task(notes_how_it_ended, NULL);
                                cr_assert_eq(ouro_yield(), 0);
                                cr_assert_eq(ouro_scope_cancel(s), 0);
                        }
                        cr_assert_str_eq(noted(), "c");
                }
        }
        cr_assert_str_eq(noted(), "e");
        cr_assert_eq(inner, -ECANCELED);
        cr_assert_eq(outer, 0);
}

RUN_VIRTUAL(scope_cancelled, does_not_reach_into_a_shield)
{
        int error = 77;

        OURO_SCOPE(s, OURO_FOREVER) {
                OURO_SHIELD
                OURO_GROUP(g, &error) {
                        ouro_create_task(notes_how_it_ended, NULL);
                        ouro_create_task(cancels, s);
                        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(error, 0);
        cr_assert_str_eq(noted(), "e");
}

RUN_VIRTUAL(scope_cancelled, when_it_has_expired_stays_expired)
{
        bool expired = false;

        OURO_SCOPE(s, 0, &expired) {
                cr_assert_eq(ouro_scope_cancel(s), 0);
                cr_assert_not(ouro_scope_cancelled(s));
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert(expired);
}

RUN_VIRTUAL(scope_cancelled, outranks_an_outer_one_that_expired)
{
        OURO_TIMEOUT(0)
                OURO_SCOPE(s, OURO_FOREVER) {
                        cr_assert_eq(ouro_yield(), -ETIME);
                        cr_assert_eq(ouro_scope_cancel(s), 0);
                        cr_assert_eq(ouro_yield(), -ECANCELED);
                        OURO_TIMEOUT(0)
                                cr_assert_eq(ouro_yield(), -ECANCELED);
                }
}

RUN_VIRTUAL(scope_cancelled, outer_one_reaches_through_an_inner_one)
{
        OURO_SCOPE(outer, OURO_FOREVER) {
                OURO_SCOPE(inner, OURO_SEC(1)) {
                        ouro_create_task(cancels, outer);
                        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                        cr_assert_not(ouro_scope_cancelled(inner));
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_eq(ouro_yield(), 0);
}

RUN_VIRTUAL(scope_cancelled, gather_inside_it_cancels_what_it_gathers)
{
        ouro_task task = ouro_create_task(notes_how_it_ended, NULL);
        intptr_t result = 77;

        OURO_SCOPE(s, OURO_FOREVER) {
                ouro_create_task(cancels, s);
                cr_assert_eq(ouro_gather(&task, 1, &result), -ECANCELED);
        }
        cr_assert_eq(result, -ECANCELED);
        cr_assert_str_eq(noted(), "c");
}

RUN_VIRTUAL(scope_cancelled, as_a_block_that_others_may_end_at_any_time)
{
        int rounds = 0;

        while (rounds < 1000) {
                OURO_SCOPE(s, OURO_FOREVER) {
                        ouro_create_task(cancels, s);
                        cr_assert_eq(ouro_sleep(OURO_SEC(1)), -ECANCELED);
                }
                rounds++;
        }
        cr_assert_eq(ouro_now(), OURO_SEC(1));
}
