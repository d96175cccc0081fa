/* Of lib/task/policy.c: a group with options is over when it has had successes enough, and tells every
 * outcome in the order of ending. */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"

TestSuite(policy, .init = leaks_begin, .fini = leaks_end);

enum { MOST = 8 };

/* What a group has told; set to what it never tells. */
static struct ouro_outcome outcomes[MOST];
static size_t ended, succeeded;
static int error;

static struct ouro_group_options wants(size_t successes)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;

        for (int i = 0; i < MOST; i++)
                outcomes[i] = (struct ouro_outcome){OURO_NO_TASK, 77};
        ended = succeeded = 77;
        error = 77;
        options.successes = successes;
        options.outcomes = outcomes;
        options.outcomes_len = MOST;
        options.ret_ended = &ended;
        options.ret_succeeded = &succeeded;
        options.ret_error = &error;
        return options;
}

static void told(size_t ended_wanted, size_t succeeded_wanted, int error_wanted)
{
        cr_assert_eq(ended, ended_wanted, "%zu have ended", ended);
        cr_assert_eq(succeeded, succeeded_wanted, "%zu have succeeded", succeeded);
        cr_assert_eq(error, error_wanted, "error %d", error);
}

static bool same(ouro_task a, ouro_task b)
{
        return a.slot == b.slot && a.generation == b.generation;
}

/* Sleeps that many ms; then that is its result. Cut short it notes the reason of its cancellation. */
static intptr_t gives_ms(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        if (cut == 0)
                return (intptr_t)ms;
        note((char)('0' + ouro_cancelled(ouro_self())));
        return cut;
}

/* Fails after that many ms, with that errno. */
static intptr_t fails_ms(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        return cut < 0 ? cut : -(intptr_t)ms;
}

/* ---- enough ---- */

RUN_VIRTUAL(policy, first_success_ends_the_group)
{
        struct ouro_group_options options = wants(1);
        ouro_task fast = OURO_NO_TASK;

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(30));
                fast = ouro_create_task(gives_ms, as_arg(10));
                ouro_create_task(gives_ms, as_arg(20));
        }
        cr_assert_eq(ouro_now(), OURO_MS(10));
        told(3, 1, 0);
        cr_assert(same(outcomes[0].task, fast));
        cr_assert_eq(outcomes[0].result, 10);
        cr_assert_eq(outcomes[1].result, -ECANCELED);
        cr_assert_eq(outcomes[2].result, -ECANCELED);
        cr_assert_eq(outcomes[3].result, 77);
        cr_assert_str_eq(noted(), "66", "the reason is OURO_CANCEL_ENOUGH");
        cr_assert_eq(ouro_yield(), 0, "it acts after the group");
}

RUN_VIRTUAL(policy, enough_cuts_the_owners_waits_inside_the_block)
{
        struct ouro_group_options options = wants(1);

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(1));
                cr_assert_eq(ouro_sleep(OURO_SEC(1)), -ECANCELED);
                cr_assert_eq(ouro_now(), OURO_MS(1));
                cr_assert_eq(ouro_yield(), -ECANCELED);
                OURO_SHIELD
                cr_assert_eq(ouro_yield(), 0);
        }
        told(1, 1, 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
}

RUN_VIRTUAL(policy, failures_before_the_first_success_cancel_nobody_and_are_not_logged)
{
        struct ouro_group_options options = wants(1);

        catch_log();
        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(fails_ms, as_arg(1));
                ouro_create_task(fails_ms, as_arg(2));
                ouro_create_task(gives_ms, as_arg(3));
                ouro_create_task(gives_ms, as_arg(4));
        }
        told(4, 1, 0);
        cr_assert_eq(outcomes[0].result, -1);
        cr_assert_eq(outcomes[1].result, -2);
        cr_assert_eq(outcomes[2].result, 3);
        cr_assert_eq(outcomes[3].result, -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(3));
        cr_assert_eq(logged(), 0u);
}

RUN_VIRTUAL(policy, first_n_successes_end_the_group)
{
        struct ouro_group_options options = wants(3);

        OURO_GROUP_WITH(g, &options)
                for (intptr_t ms = 5; ms > 0; ms--)
                        ouro_create_task(gives_ms, as_arg(ms));
        told(5, 3, 0);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(outcomes[i].result, i + 1, "in the order of ending");
        cr_assert_eq(ouro_now(), OURO_MS(3));
}

RUN_VIRTUAL(policy, too_few_successes_give_the_first_error)
{
        struct ouro_group_options options = wants(2);

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(fails_ms, as_arg(7));
                ouro_create_task(fails_ms, as_arg(5));
                ouro_create_task(gives_ms, as_arg(6));
        }
        told(3, 1, -5);
        cr_assert_eq(ouro_now(), OURO_MS(7), "the last was waited for: it might have succeeded");
}

RUN_VIRTUAL(policy, too_few_members_without_an_error_give_enoent)
{
        struct ouro_group_options options = wants(2);

        OURO_GROUP_WITH(g, &options)
                ouro_create_task(gives_ms, as_arg(1));
        told(1, 1, -ENOENT);
        options = wants(1);
        OURO_GROUP_WITH(g, &options)
                cr_assert_eq(ouro_group_cancel(g), 0);
        told(0, 0, -ENOENT);
        options = wants(1);
        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(1));
                break;
        }
        told(1, 0, -ENOENT);
}

RUN_VIRTUAL(policy, those_who_succeed_although_cancelled_count_beyond_enough)
{
        struct ouro_group_options options = wants(1);

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_when_cut, as_arg(4));
                ouro_create_task(gives_ms, as_arg(1));
                ouro_create_task(gives_when_cut, as_arg(-EIO));
        }
        told(3, 2, 0);
        cr_assert_eq(outcomes[1].result, 4);
        cr_assert_eq(outcomes[2].result, -EIO);
}

RUN_VIRTUAL(policy, members_that_come_after_enough_are_cancelled)
{
        struct ouro_group_options options = wants(1);

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives, as_arg(1));
                cr_assert_eq(ouro_sleep(1), -ECANCELED);
                ouro_create_task(gives_ms, as_arg(5));
        }
        told(2, 1, 0);
        cr_assert_str_eq(noted(), "6");
}

RUN_VIRTUAL(policy, enough_by_what_ended_before_the_close_waits_for_no_time)
{
        struct ouro_group_options options = wants(2);

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives, as_arg(1));
                ouro_create_task(gives, as_arg(2));
                ouro_create_task(gives_ms, as_arg(9));
                cr_assert_eq(ouro_yield(), 0, "it was its turn already");
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        told(3, 2, 0);
        cr_assert_eq(ouro_now(), 0);
}

/* ---- gathering and inner groups when it is over ---- */

RUN_VIRTUAL(policy, gather_cut_by_enough_says_so)
{
        struct ouro_group_options options = wants(1);
        intptr_t results[2] = {77, 77};

        OURO_GROUP_WITH(g, &options) {
                ouro_task tasks[2] = {ouro_create_task(gives_ms, as_arg(1)),
                                      ouro_create_task(gives_ms, as_arg(2))};

                cr_assert_eq(ouro_gather(tasks, 2, results), -ECANCELED);
        }
        told(2, 1, 0);
        cr_assert_eq(results[0], 1);
        cr_assert_eq(results[1], -ECANCELED);
}

RUN_VIRTUAL(policy, enough_reaches_groups_inside_and_spares_those_in_a_shield)
{
        struct ouro_group_options options = wants(1);
        int inner = 77, shielded = 77;

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(1));
                OURO_GROUP(h, &inner)
                        ouro_create_task(gives_ms, as_arg(5));
                cr_assert_eq(inner, -ECANCELED);
                OURO_SHIELD
                OURO_GROUP(h, &shielded)
                        ouro_create_task(gives_ms, as_arg(5));
                cr_assert_eq(shielded, 0);
        }
        told(1, 1, 0);
        cr_assert_eq(ouro_now(), OURO_MS(6));
}

/* ---- all, and at a deadline ---- */

RUN_VIRTUAL(policy, all_is_fail_fast_and_tells_every_outcome)
{
        struct ouro_group_options options = wants(0);

        catch_log();
        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(1));
                ouro_create_task(fails_ms, as_arg(5));
                ouro_create_task(gives_ms, as_arg(9));
                ouro_create_task(gives_when_cut, as_arg(-EIO));
        }
        told(4, 1, -5);
        cr_assert_eq(outcomes[0].result, 1);
        cr_assert_eq(outcomes[1].result, -5);
        cr_assert_eq(outcomes[2].result, -ECANCELED);
        cr_assert_eq(outcomes[3].result, -EIO);
        cr_assert_str_eq(noted(), "2", "the reason is OURO_CANCEL_SIBLING");
        cr_assert_eq(logged(), 0u, "outcomes tell of failures");
}

RUN_VIRTUAL(policy, all_keeps_going_if_told_to)
{
        struct ouro_group_options options = wants(0);

        options.flags = OURO_GROUP_KEEP;
        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(fails_ms, as_arg(5));
                ouro_create_task(gives_ms, as_arg(9));
        }
        told(2, 1, -5);
        cr_assert_eq(outcomes[1].result, 9);
}

RUN_VIRTUAL(policy, at_a_deadline_around_it_tells_partial_results)
{
        struct ouro_group_options options = wants(0);

        OURO_TIMEOUT(OURO_MS(4))
                OURO_GROUP_WITH(g, &options)
                        for (intptr_t ms = 1; ms <= 5; ms++)
                                ouro_create_task(gives_ms, as_arg(2 * ms - 1));
        told(5, 2, -ETIME);
        cr_assert_eq(outcomes[0].result, 1);
        cr_assert_eq(outcomes[1].result, 3);
        for (int i = 2; i < 5; i++)
                cr_assert_eq(outcomes[i].result, -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(4));
}

RUN_VIRTUAL(policy, at_a_deadline_inside_it_tells_partial_results)
{
        struct ouro_group_options options = wants(0);

        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(1));
                ouro_create_task(gives_ms, as_arg(5));
                OURO_TIMEOUT(OURO_MS(3))
                        ouro_sleep(OURO_FOREVER);
                ouro_group_cancel(g);
        }
        told(2, 1, 0);
        cr_assert_eq(outcomes[1].result, -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(3));
}

RUN_VIRTUAL(policy, enough_before_the_deadline_is_a_success_and_too_few_is_etime)
{
        struct ouro_group_options options = wants(2);
        bool expired = true;

        OURO_TIMEOUT(OURO_MS(3), &expired)
                OURO_GROUP_WITH(g, &options)
                        for (intptr_t ms = 1; ms <= 5; ms++)
                                ouro_create_task(gives_ms, as_arg(ms));
        told(5, 2, 0);
        cr_assert_not(expired);
        options = wants(3);
        OURO_TIMEOUT(OURO_MS(2), &expired)
                OURO_GROUP_WITH(g, &options) {
                        ouro_create_task(gives_ms, as_arg(1));
                        ouro_create_task(gives_ms, as_arg(8));
                        ouro_create_task(gives_ms, as_arg(9));
                }
        told(3, 1, -ETIME);
        cr_assert(expired);
}

RUN_VIRTUAL(policy, enough_reached_while_it_is_cut_by_time_is_a_success)
{
        struct ouro_group_options options = wants(1);

        OURO_TIMEOUT(OURO_MS(1)) {
                OURO_GROUP_WITH(g, &options)
                        ouro_create_task(gives_when_cut, as_arg(3));
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        told(1, 1, 0);
}

static intptr_t wants_one_and_is_cancelled(void *unused)
{
        struct ouro_group_options options = wants(1);

        (void)unused;
        OURO_GROUP_WITH(g, &options)
                ouro_create_task(gives_ms, as_arg(9));
        return error;
}

RUN_VIRTUAL(policy, cancelled_owner_without_successes_gets_ecanceled)
{
        ouro_task task = ouro_create_task(wants_one_and_is_cancelled, NULL);

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        told(1, 0, -ECANCELED);
        cr_assert_str_eq(noted(), "3", "the reason is OURO_CANCEL_LEFT");
}

/* ---- who is counted ---- */

static intptr_t creates_in(void *group)
{
        ouro_create_task_in(group, gives, as_arg(4));
        ouro_go(gives, as_arg(5)); /* a root task: not counted */
        return 3;
}

RUN_VIRTUAL(policy, members_of_members_and_those_nobody_awaits_count)
{
        struct ouro_group_options options = wants(0);

        OURO_GROUP_WITH(g, &options) {
                cr_assert_eq(ouro_go(gives, as_arg(1)), 0);
                cr_assert_eq(ouro_await(ouro_create_task(gives, as_arg(2))), 2);
                ouro_create_task(creates_in, g);
        }
        told(4, 4, 0);
        for (int i = 0; i < 4; i++)
                cr_assert_eq(outcomes[i].result, i + 1);
}

RUN_VIRTUAL(policy, more_than_there_is_room_for_are_counted)
{
        struct ouro_group_options options = wants(0);

        options.outcomes_len = 2;
        OURO_GROUP_WITH(g, &options)
                for (intptr_t i = 0; i < 1000; i++)
                        ouro_create_task(gives, as_arg(i));
        told(1000, 1000, 0);
        cr_assert_eq(outcomes[1].result, 1);
        cr_assert_eq(outcomes[2].result, 77);
}

static intptr_t computes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)out;
        if (*(const int *)in.base > 0)
                return *(const int *)in.base;
        while (!ouro_job_cancelled(job))
                ; /* until somebody else was quicker */
        return -ECANCELED;
}

RUN(policy, jobs_are_members_and_the_first_to_succeed_ends_the_others)
{
        static const int numbers[3] = {0, 7, 0};
        struct ouro_thread_options threads = OURO_THREAD_OPTIONS_INIT;
        struct ouro_group_options options = wants(1);
        ouro_executor *pool;

        threads.threads = 2;
        pool = ouro_thread_pool(&threads);
        OURO_GROUP_WITH(g, &options)
                for (int i = 0; i < 3; i++)
                        ouro_submit(pool, computes, OURO_IN(numbers[i]), OURO_NO_OUT);
        told(3, 1, 0);
        cr_assert_eq(outcomes[0].result, 7);
        cr_assert_eq(outcomes[1].result, -ECANCELED);
        cr_assert_eq(outcomes[2].result, -ECANCELED);
        cr_assert_eq(ouro_executor_close(pool), 0);
}

/* ---- the function form, and its misuse ---- */

RUN_VIRTUAL(policy, without_options_is_a_plain_group)
{
        struct ouro_group group;

        cr_assert_eq(ouro_group_open_with(&group, NULL), &group);
        ouro_create_task(gives_later, as_arg(-EIO));
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        cr_assert_eq(ouro_group_close(&group), -EIO);
        cr_assert_eq(ouro_group_close(&group), -EINVAL);
}

RUN(policy, refused_options_open_nothing)
{
        struct ouro_group_options options = wants(0);
        struct ouro_group group;

        cr_assert_null(ouro_group_open_with(NULL, &options));
        options.flags = 64;
        cr_assert_null(ouro_group_open_with(&group, &options));
        cr_assert_eq(error, -EINVAL);
        cr_assert_eq(ouro_group_close(&group), -EINVAL);
        options = wants(0);
        options.outcomes = NULL;
        cr_assert_null(ouro_group_open_with(&group, &options));
        cr_assert_eq(error, -EINVAL);
        options = wants(0);
        options.size = 0;
        OURO_GROUP_WITH(g, &options)
                note('x');
        cr_assert_str_eq(noted(), "", "the block was not passed over");
        cr_assert_eq(error, 77);
        cr_assert_eq(ouro_await(ouro_create_task_in(&group, gives, NULL)), -EINVAL);
}

Test(policy, opened_outside_a_run_is_not_open)
{
        struct ouro_group_options options = wants(1);

        OURO_GROUP_WITH(g, &options) {
                note('b');
                cr_assert_eq(ouro_group_close(g), -EPERM);
        }
        cr_assert_str_eq(noted(), "b");
        told(77, 77, 77);
}
