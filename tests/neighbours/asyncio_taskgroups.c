/* What CPython's test_taskgroups.py demands of a group, in the terms of this library: README.md has the
 * table.
 *
 * Where theirs raises, ours returns an error; where theirs tells several errors at once, ours tells the
 * first, and each task's own result besides. */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"

TestSuite(taskgroups, .init = leaks_begin, .fini = leaks_end);

enum { EMINE = EDOM /* what crashes here fails with */ };

static int cuts; /* how many tasks have noticed their cancellation */

/* Sleeps that many ms; that is its result. */
static intptr_t gives_ms(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        cuts += cut == -ECANCELED;
        return cut < 0 ? cut : (intptr_t)ms;
}

static intptr_t crashes_ms(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        return cut < 0 ? cut : -EMINE;
}

/* Fails while it cleans up, however it came to that. */
static intptr_t crashes_at_its_end(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        cuts += cut == -ECANCELED;
        return -EMINE;
}

RUN_VIRTUAL(taskgroups, members_give_their_results)
{
        struct ouro_outcome outcomes[2] = {{OURO_NO_TASK, 0}, {OURO_NO_TASK, 0}};
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;
        intptr_t first = 0;
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_task task = ouro_create_task(gives_ms, as_arg(42));

                ouro_create_task(gives_ms, as_arg(11));
                first = ouro_await(task);
        }
        cr_assert_eq(first, 42);
        cr_assert_eq(error, 0);
        options.outcomes = outcomes;
        options.outcomes_len = 2;
        OURO_GROUP_WITH(g, &options) {
                ouro_create_task(gives_ms, as_arg(42));
                ouro_create_task(gives_ms, as_arg(11));
        }
        cr_assert_eq(outcomes[0].result, 11);
        cr_assert_eq(outcomes[1].result, 42, "also after the group");
}

RUN_VIRTUAL(taskgroups, members_may_come_while_others_run)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_create_task(gives_ms, as_arg(10));
                cr_assert_eq(ouro_sleep(OURO_MS(15)), 0);
                ouro_create_task(gives_ms, as_arg(20));
        }
        cr_assert_eq(error, 0);
        cr_assert_eq(ouro_now(), OURO_MS(35));
}

RUN_VIRTUAL(taskgroups, cancelled_member_ends_alone)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                ouro_task t1 = ouro_create_task(gives_ms, as_arg(100)), t2;

                cr_assert_eq(ouro_sleep(OURO_MS(15)), 0);
                cr_assert_eq(ouro_cancel(t1), 0);
                t2 = ouro_create_task(gives_ms, as_arg(20));
                cr_assert_eq(ouro_await(t1), -ECANCELED);
                cr_assert_eq(ouro_await(t2), 20);
        }
        cr_assert_eq(error, 0);
}

static intptr_t has_a_group_that_fails(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_GROUP(g, &error) {
                ouro_create_task(crashes_ms, as_arg(10));
                ouro_create_task(gives_ms, as_arg(100));
        }
        if (error < 0)
                return error;
        note('x');
        return 0;
}

RUN_VIRTUAL(taskgroups, error_of_a_member_cancels_the_others_and_is_its_owners)
{
        cr_assert_eq(ouro_await(ouro_create_task(has_a_group_that_fails, NULL)), -EMINE);
        cr_assert_eq(cuts, 1);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

RUN_VIRTUAL(taskgroups, errors_at_the_same_time_are_one_and_the_owner_is_cut_short)
{
        int error = 0;

        catch_log();
        OURO_GROUP(g, &error) {
                for (int i = 0; i < 3; i++)
                        ouro_create_task(crashes_ms, as_arg(10));
                ouro_create_task(gives_ms, as_arg(500));
                cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ECANCELED);
        }
        cr_assert_eq(error, -EMINE);
        cr_assert_eq(cuts, 1);
}

/* How the owner of a group spends its time in it. */
struct owner {
        ouro_fn *member;
        int members;
        bool waits;   /* inside the block, not only for its end */
        bool crashes; /* when that wait is over */
        int error;    /* what the group came to */
};

static intptr_t owns(void *arg)
{
        struct owner *owner = arg;
        int cut = 0;

        OURO_GROUP(g, &owner->error) {
                for (int i = 0; i < owner->members; i++)
                        ouro_create_task(owner->member, as_arg(5000));
                if (!owner->waits)
                        continue;
                cut = ouro_sleep(OURO_SEC(10));
                if (cut < 0)
                        note('o');
                if (owner->crashes)
                        break;
        }
        return owner->crashes ? -EXDEV : owner->error;
}

static intptr_t cancelled_owner(struct owner *owner)
{
        ouro_task task = ouro_create_task(owns, owner);

        cr_assert_eq(ouro_sleep(OURO_MS(100)), 0);
        cr_assert_neq(ouro_task_state(task), OURO_STATE_ENDED);
        cr_assert_eq(ouro_cancel(task), 0);
        return ouro_await(task);
}

RUN_VIRTUAL(taskgroups, cancelled_owner_cancels_its_members_and_awaits_them)
{
        struct owner closing = {.member = gives_ms, .members = 5};
        struct owner inside = {.member = gives_ms, .members = 5, .waits = true};

        cr_assert_eq(cancelled_owner(&closing), -ECANCELED);
        cr_assert_eq(cuts, 5);
        cr_assert_eq(cancelled_owner(&inside), -ECANCELED);
        cr_assert_eq(cuts, 10);
        cr_assert_str_eq(noted(), "o");
}

RUN_VIRTUAL(taskgroups, cancelled_owner_without_members_is_cut_short)
{
        struct owner owner = {.waits = true};

        cr_assert_eq(cancelled_owner(&owner), -ECANCELED);
        cr_assert_str_eq(noted(), "o");
        owner.crashes = true;
        cr_assert_eq(cancelled_owner(&owner), -EXDEV, "what it returns itself");
}

RUN_VIRTUAL(taskgroups, members_that_fail_when_cancelled_have_their_error_told)
{
        struct owner owner = {.member = crashes_at_its_end, .members = 5, .waits = true};

        catch_log();
        cr_assert_eq(cancelled_owner(&owner), -EMINE);
        cr_assert_eq(cuts, 5);
        cr_assert_eq(logged(), 4u, "those that the group does not tell are logged");
}

static int leaves_after(int64_t ns, int *ret_error)
{
        OURO_GROUP(g, ret_error) {
                ouro_create_task(gives_ms, as_arg(1000));
                ouro_create_task(gives_ms, as_arg(2000));
                if (ns > 0)
                        cr_assert_eq(ouro_sleep(ns), 0);
                return -EMINE;
        }
        return 0;
}

RUN_VIRTUAL(taskgroups, owner_that_fails_inside_cancels_its_members)
{
        int error = 1;

        cr_assert_eq(leaves_after(OURO_MS(100), &error), -EMINE);
        cr_assert_eq(cuts, 2);
        cr_assert_eq(leaves_after(0, &error), -EMINE, "before they have run");
        cr_assert_eq(cuts, 4);
        cr_assert_eq(error, 0, "no member failed");
}

/* A group in a group, each with a member; 0: none. The errors they came to. */
struct nest {
        ouro_fn *outer_fn, *inner_fn;
        intptr_t outer_ms, inner_ms;
        int inner_members;
        int outer, inner;
};

static intptr_t nests(void *arg)
{
        struct nest *nest = arg;

        OURO_GROUP(g1, &nest->outer) {
                if (nest->outer_fn)
                        ouro_create_task(nest->outer_fn, as_arg(nest->outer_ms));
                OURO_GROUP(g2, &nest->inner) {
                        for (int i = 0; i < nest->inner_members; i++)
                                ouro_create_task(nest->inner_fn, as_arg(nest->inner_ms));
                        ouro_sleep(OURO_MS(10000));
                }
                if (nest->inner < 0)
                        break;
        }
        return nest->outer < 0 ? nest->outer : nest->inner;
}

RUN_VIRTUAL(taskgroups, cancelled_owner_of_nested_groups_is_told_the_inner_error)
{
        struct nest bare = {.inner_fn = crashes_at_its_end, .inner_ms = 10000, .inner_members = 5};
        struct nest both = {.outer_fn = gives_ms,
                            .outer_ms = 10000,
                            .inner_fn = crashes_at_its_end,
                            .inner_ms = 10000,
                            .inner_members = 5};
        struct nest *each[] = {&bare, &both};

        catch_log();
        for (int i = 0; i < 2; i++) {
                ouro_task task = ouro_create_task(nests, each[i]);

                cr_assert_eq(ouro_sleep(OURO_MS(100)), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_await(task), -ECANCELED, "the outer one was cut short");
                cr_assert_eq(each[i]->inner, -EMINE);
                cr_assert_eq(each[i]->outer, -ECANCELED);
        }
        cr_assert_eq(cuts, 11);
}

RUN_VIRTUAL(taskgroups, error_in_the_outer_group_ends_the_inner_one)
{
        struct nest nest = {.outer_fn = crashes_ms,
                            .outer_ms = 100,
                            .inner_fn = crashes_ms,
                            .inner_ms = 10000,
                            .inner_members = 1};

        cr_assert_eq(ouro_await(ouro_create_task(nests, &nest)), -EMINE);
        cr_assert_eq(nest.inner, -ECANCELED);
        cr_assert_eq(nest.outer, -EMINE);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

RUN_VIRTUAL(taskgroups, error_in_the_inner_group_is_the_owners_to_pass_on)
{
        struct nest nest = {.outer_fn = crashes_ms,
                            .outer_ms = 10000,
                            .inner_fn = crashes_ms,
                            .inner_ms = 100,
                            .inner_members = 1};

        cr_assert_eq(ouro_await(ouro_create_task(nests, &nest)), -EMINE);
        cr_assert_eq(nest.inner, -EMINE);
        cr_assert_eq(nest.outer, 0, "left early: its member was cancelled");
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

static intptr_t cleans_up_slowly(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_GROUP(g, &error) {
                ouro_create_task(crashes_at_its_end, as_arg(300));
                cr_assert_eq(ouro_sleep(OURO_SEC(10)), -ECANCELED);
                OURO_SHIELD
                cr_assert_eq(ouro_sleep(OURO_MS(500)), 0, "a failure reached into the shield");
        }
        return error;
}

static intptr_t awaits_one_that_cleans_up_slowly(void *unused)
{
        (void)unused;
        return ouro_wait_for(ouro_create_task(cleans_up_slowly, NULL), OURO_FOREVER);
}

RUN_VIRTUAL(taskgroups, member_fails_while_its_cancelled_owner_cleans_up)
{
        static ouro_fn *const each[] = {cleans_up_slowly, awaits_one_that_cleans_up_slowly};

        for (int i = 0; i < 2; i++) {
                ouro_task task = ouro_create_task(each[i], NULL);

                cr_assert_eq(ouro_sleep(OURO_MS(100)), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_await(task), -EMINE);
        }
}

static intptr_t fails_differently_when_cut(int *ret_error)
{
        intptr_t own = 0;

        OURO_GROUP(g, ret_error) {
                ouro_create_task(crashes_ms, as_arg(100));
                own = ouro_sleep(OURO_SEC(10)) < 0 ? -EXDEV : 0;
        }
        return own;
}

RUN_VIRTUAL(taskgroups, owner_may_fail_by_its_members_failure_with_another_error)
{
        int error = 0;

        cr_assert_eq(fails_differently_when_cut(&error), -EXDEV);
        cr_assert_eq(error, -EMINE);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

RUN_VIRTUAL(taskgroups, cancelled_before_its_members_have_run)
{
        struct owner owner = {.member = gives_ms, .members = 2};
        ouro_task task = ouro_create_task(owns, &owner);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(cuts, 2, "a created task always starts");
}

RUN_VIRTUAL(taskgroups, members_whose_result_was_taken_are_gone_before_it_closes)
{
        int error = 1;

        OURO_GROUP(g, &error) {
                for (int i = 0; i < 10; i++) {
                        ouro_task task = ouro_create_task(gives_ms, as_arg(30));

                        cr_assert_eq(ouro_sleep(OURO_MS(10)), 0);
                        cr_assert_eq(ouro_await(task), 30);
                        cr_assert_eq(ouro_task_state(task), -ESRCH);
                }
        }
        cr_assert_eq(error, 0);
}

static intptr_t creates_two_more(void *group)
{
        cr_assert_eq(ouro_sleep(OURO_MS(100)), 0);
        ouro_create_task_in(group, gives_ms, as_arg(100));
        ouro_create_task_in(group, gives_ms, as_arg(200));
        return 0;
}

RUN_VIRTUAL(taskgroups, members_that_members_create_are_awaited)
{
        int error = 1;

        OURO_GROUP(g, &error)
                ouro_create_task_in(g, creates_two_more, g);
        cr_assert_eq(error, 0);
        cr_assert_eq(ouro_now(), OURO_MS(300));
}

static int hydras;

static intptr_t hydra(void *group)
{
        int cut;

        hydras++;
        cut = ouro_sleep(OURO_MS(10));
        if (cut < 0)
                return cut;
        ouro_create_task_in(group, hydra, group);
        ouro_create_task_in(group, hydra, group);
        return 0;
}

static intptr_t hercules(void *unused)
{
        (void)unused;
        while (hydras < 10)
                cr_assert_eq(ouro_sleep(OURO_MS(15)), 0);
        return -EMINE;
}

RUN_VIRTUAL(taskgroups, members_that_multiply_end_when_one_fails)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(hydra, g);
                ouro_create_task(hercules, NULL);
        }
        cr_assert_eq(error, -EMINE);
        cr_assert(hydras >= 10);
        cr_assert_eq(ouro_now(), OURO_MS(45));
}

RUN(taskgroups, member_has_the_name_it_was_given)
{
        OURO_GROUP(g) {
                ouro_task task = ouro_create_task_named(gives, NULL, "yolo");

                cr_assert_str_eq(ouro_task_name(task), "yolo");
        }
}

static intptr_t creates_when_cut(void *group)
{
        ouro_task late;

        cr_assert_eq(ouro_sleep(OURO_SEC(1)), -ECANCELED);
        late = ouro_create_task_in(group, gives_ms, as_arg(1));
        OURO_SHIELD
        cr_assert_eq(ouro_await(late), -ECANCELED);
        return -ECANCELED;
}

RUN_VIRTUAL(taskgroups, member_created_after_the_failure_is_cancelled_from_the_start)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(crashes_ms, as_arg(1));
                ouro_create_task(creates_when_cut, g);
        }
        cr_assert_eq(error, -EMINE);
        cr_assert_eq(cuts, 1);
        cr_assert_eq(ouro_now(), OURO_MS(1));
}

/* The owner's own clean-up inside the block fails as well. */
static intptr_t fails_in_its_clean_up(void *unused)
{
        int error = 0, own = 0;

        (void)unused;
        OURO_GROUP(g, &error) {
                ouro_create_task(gives, as_arg(-EMINE));
                if (ouro_sleep(OURO_SEC(1)) < 0)
                        own = -EXDEV;
        }
        cr_assert_eq(own, -EXDEV);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_yield(), 0, "the group's failure reaches beyond it");
        return error;
}

RUN_VIRTUAL(taskgroups, owner_whose_clean_up_fails_too_is_not_left_cancelled)
{
        cr_assert_eq(ouro_await(ouro_create_task(fails_in_its_clean_up, NULL)), -EMINE);
}
