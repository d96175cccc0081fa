/* Members that create members, into their own groups and outer ones, while these fail, close or are
 * cancelled; and children created while their parent ends. */
#include "support/run.h"

#include <errno.h>
#include <stdlib.h>

#include "support/leaks.h"

TestSuite(members, .init = leaks_begin, .fini = leaks_end);

/* Notes s when it starts, then how its wait ended: e, c or t. */
static intptr_t notes(void *ms)
{
        int cut;

        note('s');
        cut = ouro_sleep(OURO_MS((intptr_t)ms));
        note(cut == 0 ? 'e' : cut == -ECANCELED ? 'c' : 't');
        return cut;
}

/* ---- a parent is cancelled while its child is being created ---- */

static intptr_t creates_and_closes(void *ret_error)
{
        OURO_GROUP(g, (int *)ret_error)
                ouro_create_task(notes, as_arg(5));
        return 1;
}

/* Created, not begun: it starts, and its first wait fails. */
RUN_VIRTUAL(members, child_created_but_not_begun_when_its_parent_is_cancelled_still_starts)
{
        int error = 0;
        ouro_task parent = ouro_create_task(creates_and_closes, &error);

        OURO_SHIELD
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(parent), OURO_STATE_WAITING);
        cr_assert_eq(ouro_cancel(parent), 0);
        cr_assert_eq(ouro_await(parent), 1);
        cr_assert_str_eq(noted(), "sc");
        cr_assert_eq(error, -ECANCELED);
        cr_assert_eq(ouro_now(), 0);
}

RUN_VIRTUAL(members, parent_cancelled_before_it_begins_creates_a_child_that_is_cancelled)
{
        int error = 0;
        ouro_task parent = ouro_create_task(creates_and_closes, &error);

        cr_assert_eq(ouro_cancel(parent), 0);
        cr_assert_eq(ouro_await(parent), 1);
        cr_assert_str_eq(noted(), "sc");
        cr_assert_eq(error, -ECANCELED);
}

static intptr_t cancels_itself_between(void *unused)
{
        int error = 1;

        (void)unused;
        OURO_GROUP(g, &error) {
                ouro_create_task(notes, as_arg(5));
                cr_assert_eq(ouro_cancel(ouro_self()), 0);
                ouro_create_task(notes, as_arg(5));
                OURO_SHIELD
                OURO_GROUP(h)
                        ouro_create_task(notes, as_arg(5));
        }
        cr_assert_eq(error, -ECANCELED);
        return 1;
}

RUN_VIRTUAL(members, parent_that_cancels_itself_between_creations_has_all_but_the_shielded_cut)
{
        cr_assert_eq(ouro_await(ouro_create_task(cancels_itself_between, NULL)), 1);
        cr_assert_str_eq(noted(), "scscse");
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

static size_t allocations_left = SIZE_MAX;

static void *allocates(size_t bytes, void *unused)
{
        (void)unused;
        if (allocations_left == 0)
                return NULL;
        allocations_left--;
        return malloc(bytes);
}

static void frees(void *ptr, size_t bytes, void *unused)
{
        (void)bytes;
        (void)unused;
        free(ptr);
}

static void drops(void *unused)
{
        (void)unused;
        note('d');
}

static intptr_t has_no_memory_for_a_child(void *unused)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        int error = 1;

        (void)unused;
        options.name = "somebody";
        options.drop = drops;
        OURO_GROUP(g, &error) {
                cr_assert_eq(ouro_cancel(ouro_self()), 0);
                allocations_left = 0;
                cr_assert_eq(ouro_task_state(ouro_create_task_with(&options, notes, NULL)), OURO_STATE_ENDED);
                allocations_left = SIZE_MAX;
                cr_assert_eq(ouro_task_state(ouro_create_task_with(&options, notes, NULL)), OURO_STATE_READY);
        }
        cr_assert_eq(error, -ECANCELED);
        return 0;
}

static intptr_t awaits_that_one(void *unused)
{
        return ouro_await(ouro_create_task(has_no_memory_for_a_child, unused));
}

Test(members, child_that_cannot_be_created_by_a_cancelled_parent_is_no_member)
{
        const struct ouro_allocator some = {.allocate = allocates, .release = frees};

        cr_assert_eq(ouro_set_allocator(&some), 0);
        cr_assert_eq(ouro_run(awaits_that_one, NULL), 0);
        cr_assert_eq(ouro_set_allocator(NULL), 0);
        cr_assert_str_eq(noted(), "dsc");
}

/* ---- into groups that close, fail or are cancelled ---- */

static intptr_t adds_one(void *group)
{
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        cr_assert_gt(ouro_task_state(ouro_create_task_in(group, notes, as_arg(2))), 0);
        return 0;
}

struct two_groups {
        struct ouro_group *outer, *inner;
};

static intptr_t adds_to_both(void *arg)
{
        struct two_groups *groups = arg;

        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        ouro_create_task_in(groups->inner, adds_one, groups->inner);
        ouro_create_task_in(groups->outer, adds_one, groups->outer);
        ouro_create_task_in(groups->outer, adds_one, groups->inner);
        return 0;
}

RUN_VIRTUAL(members, added_to_the_inner_and_the_outer_group_while_these_close)
{
        int outer_error = 1, inner_error = 1;
        int64_t inner_end = 0;
        struct two_groups groups;

        OURO_GROUP(outer, &outer_error) {
                OURO_GROUP(inner, &inner_error) {
                        groups = (struct two_groups){outer, inner};
                        ouro_create_task(adds_to_both, &groups);
                }
                inner_end = ouro_now();
        }
        cr_assert_eq(inner_end, OURO_MS(4));
        cr_assert_eq(ouro_now(), OURO_MS(4));
        cr_assert_str_eq(noted(), "ssseee");
        cr_assert_eq(inner_error, 0);
        cr_assert_eq(outer_error, 0);
}

static intptr_t adds_one_when_cut(void *group)
{
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        cr_assert_gt(ouro_task_state(ouro_create_task_in(group, notes, as_arg(2))), 0);
        return 0;
}

RUN_VIRTUAL(members, added_to_a_group_that_has_failed_are_cancelled_from_the_start)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task(adds_one_when_cut, g);
                ouro_create_task(gives_later, as_arg(-EIO));
        }
        cr_assert_str_eq(noted(), "sc");
        cr_assert_eq(error, -EIO);
        cr_assert_eq(ouro_now(), 0);
}

RUN_VIRTUAL(members, added_to_the_outer_group_when_the_inner_is_cut_are_left_alone)
{
        int inner_error = 0, outer_error = 1;

        OURO_GROUP(outer, &outer_error)
                OURO_GROUP(inner, &inner_error) {
                        ouro_create_task(adds_one_when_cut, outer);
                        ouro_create_task(gives_later, as_arg(-EIO));
                }
        cr_assert_str_eq(noted(), "se");
        cr_assert_eq(inner_error, -EIO);
        cr_assert_eq(outer_error, 0);
        cr_assert_eq(ouro_now(), OURO_MS(2));
}

static intptr_t fails_the_outer_group(void *outer)
{
        cr_assert_gt(ouro_task_state(ouro_create_task_in(outer, gives, as_arg(-EIO))), 0);
        return 0;
}

RUN_VIRTUAL(members, one_of_the_inner_may_fail_the_outer_through_its_child)
{
        int inner_error = 0, outer_error = 0;

        OURO_GROUP(outer, &outer_error) {
                OURO_GROUP(inner, &inner_error) {
                        ouro_create_task(notes, as_arg(5));
                        ouro_create_task(fails_the_outer_group, outer);
                }
                cr_assert_eq(ouro_yield(), -ECANCELED);
        }
        cr_assert_str_eq(noted(), "sc");
        cr_assert_eq(inner_error, -ECANCELED);
        cr_assert_eq(outer_error, -EIO);
}

static size_t chain;

/* Each creates the next until it is cut short. */
static intptr_t goes_on(void *group)
{
        chain++;
        if (ouro_sleep(OURO_MS(1)) < 0)
                return -ECANCELED;
        cr_assert_eq(ouro_go(gives, NULL), 0);
        cr_assert_gt(ouro_task_state(ouro_create_task_in(group, goes_on, group)), 0);
        return 0;
}

RUN_VIRTUAL(members, that_create_the_next_while_the_group_closes_end_with_its_deadline)
{
        int error = 0;

        OURO_TIMEOUT(OURO_MS(100))
                OURO_GROUP(g, &error)
                        ouro_create_task(goes_on, g);
        cr_assert_eq(error, -ETIME);
        cr_assert_eq(chain, 100u);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

/* ---- three deep ---- */

struct tree {
        int width;
        intptr_t bottom; /* what the leaves give: < 0 fails */
        bool shielded;   /* the lowest groups */
};

static struct tree tree;
static int errors[4]; /* the last error of a group, by level */

static intptr_t leaf(void *unused)
{
        int cut = ouro_sleep(OURO_MS(5));

        (void)unused;
        note(cut < 0 ? 'c' : 'e');
        return cut < 0 ? cut : tree.bottom;
}

static intptr_t grows(void *level)
{
        intptr_t n = (intptr_t)level;

        if (n == 0)
                return leaf(NULL);
        OURO_GROUP(g, &errors[n])
                for (int i = 0; i < tree.width; i++)
                        ouro_create_task(grows, as_arg(n - 1));
        return errors[n];
}

RUN_VIRTUAL(members, in_groups_of_members_three_deep_all_end)
{
        tree = (struct tree){.width = 2, .bottom = 3};
        cr_assert_eq(grows(as_arg(3)), 0);
        cr_assert_str_eq(noted(), "eeeeeeee");
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

RUN_VIRTUAL(members, in_groups_of_members_three_deep_fail_to_the_top)
{
        catch_log();
        tree = (struct tree){.width = 2, .bottom = -EIO};
        cr_assert_eq(grows(as_arg(3)), -EIO);
        for (int i = 1; i <= 3; i++)
                cr_assert_eq(errors[i], -EIO);
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

RUN_VIRTUAL(members, in_groups_of_members_three_deep_are_all_cut_by_one_scope)
{
        tree = (struct tree){.width = 3};
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(grows(as_arg(3)), -ETIME);
        cr_assert_eq(errors[1], -ECANCELED);
        cr_assert_eq(errors[2], -ECANCELED);
        cr_assert_str_eq(noted(), "ccccccccccccccccccccccccccc");
        cr_assert_eq(ouro_now(), OURO_MS(1));
}

/* ---- broken nesting ---- */

static struct ouro_scope *others_scope;
static struct ouro_group *others_group;

static intptr_t leaves_what_is_not_its(void *unused)
{
        struct ouro_scope own;

        (void)unused;
        cr_assert_eq(ouro_group_close(others_group), -EPERM);
        cr_assert_eq(ouro_scope_close(others_scope), -EPERM);
        ouro_scope_open(&own, OURO_SEC(1), NULL);
        cr_assert_eq(ouro_group_close(others_group), -EPERM);
        cr_assert_eq(ouro_scope_close(others_scope), -EPERM);
        ouro_scope_leave(others_scope);
        ouro_group_leave(others_group);
        cr_assert_eq(ouro_scope_close(&own), 0);
        return 0;
}

RUN_VIRTUAL(members, may_not_close_what_others_have_open)
{
        int error = 1;

        OURO_SCOPE(s, OURO_SEC(1))
                OURO_GROUP(g, &error) {
                        others_scope = s;
                        others_group = g;
                        cr_assert_eq(ouro_await(ouro_create_task(leaves_what_is_not_its, NULL)), 0);
                        cr_assert_eq(ouro_yield(), 0);
                }
        cr_assert_eq(error, 0);
}

RUN_VIRTUAL(members, contexts_left_out_of_order_are_refused_and_nothing_is_lost)
{
        struct ouro_scope scope, shield;
        struct ouro_group outer, inner;

        ouro_group_open(&outer, 0, NULL);
        ouro_scope_open(&scope, OURO_SEC(1), NULL);
        ouro_group_open(&inner, 0, NULL);
        ouro_shield_open(&shield);
        ouro_create_task(notes, as_arg(1));
        cr_assert_eq(ouro_group_close(&outer), -EINVAL);
        cr_assert_eq(ouro_scope_close(&scope), -EINVAL);
        cr_assert_eq(ouro_group_close(&inner), -EINVAL);
        cr_assert_eq(ouro_group_close((void *)&shield), -EINVAL, "it is no group");
        cr_assert_eq(ouro_scope_close((void *)&inner), -EINVAL, "it is no scope");
        cr_assert_eq(ouro_scope_close(&shield), 0);
        cr_assert_eq(ouro_scope_close(&scope), -EINVAL);
        cr_assert_eq(ouro_group_close(&inner), 0);
        cr_assert_str_eq(noted(), "se");
        cr_assert_eq(ouro_group_close(&outer), -EINVAL);
        cr_assert_eq(ouro_scope_close(&scope), 0);
        cr_assert_eq(ouro_group_close(&outer), 0);
}
