/* Nestings with ten thousand tasks or thousands of levels, and all of it in one tick of the clock. */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"

TestSuite(nesting_of_many, .init = leaks_begin, .fini = leaks_end, .timeout = 100);

enum { MANY = 10000, DEEP = 2000 };

static size_t expired, cut, whole;

static intptr_t count(int result)
{
        expired += result == -ETIME;
        cut += result == -ECANCELED;
        whole += result == 0;
        return 0;
}

static void counted(size_t expired_wanted, size_t cut_wanted, size_t whole_wanted)
{
        cr_assert_eq(expired, expired_wanted, "%zu", expired);
        cr_assert_eq(cut, cut_wanted, "%zu", cut);
        cr_assert_eq(whole, whole_wanted, "%zu", whole);
        expired = cut = whole = 0;
}

static intptr_t has_its_own_scope(void *unused)
{
        int result = 0;

        (void)unused;
        OURO_TIMEOUT(OURO_MS(5))
                result = ouro_sleep(OURO_SEC(1));
        return count(result);
}

RUN_VIRTUAL(nesting_of_many, f06_scopes_that_expire_in_one_tick_end_in_it)
{
        OURO_GROUP(g)
                for (int i = 0; i < MANY; i++)
                        ouro_create_task(has_its_own_scope, NULL);
        counted(MANY, 0, 0);
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

static intptr_t sleeps(void *unused)
{
        (void)unused;
        return count(ouro_sleep(OURO_SEC(1)));
}

static intptr_t has_a_group_in_a_scope_in_a_group(void *unused)
{
        int inner = 0, outer = 1;

        (void)unused;
        OURO_GROUP(g, &outer)
                OURO_TIMEOUT(OURO_MS(5))
                        OURO_GROUP(h, &inner)
                                ouro_create_task(sleeps, NULL);
        cr_assert_eq(inner, -ETIME);
        cr_assert_eq(outer, 0);
        return 0;
}

RUN_VIRTUAL(nesting_of_many, f06_groups_in_scopes_in_groups_that_expire_in_one_tick)
{
        OURO_GROUP(g)
                for (int i = 0; i < MANY; i++)
                        ouro_create_task(has_a_group_in_a_scope_in_a_group, NULL);
        counted(0, MANY, 0);
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

static intptr_t waits_for_one(void *unused)
{
        ouro_task task = ouro_create_task(sleeps, NULL);

        (void)unused;
        cr_assert_eq(ouro_wait_for(task, OURO_MS(5)), 0, "its result, after the cancellation");
        return 0;
}

RUN_VIRTUAL(nesting_of_many, f06_wait_fors_that_expire_in_one_tick)
{
        OURO_GROUP(g)
                for (int i = 0; i < MANY; i++)
                        ouro_create_task(waits_for_one, NULL);
        counted(0, MANY, 0);
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

static intptr_t is_shielded(void *unused)
{
        int result = 0;

        (void)unused;
        OURO_SHIELD
        result = ouro_sleep(OURO_MS(10));
        return count(result);
}

RUN_VIRTUAL(nesting_of_many, f06_members_of_one_group_half_of_them_shielded)
{
        int error = 0;

        OURO_TIMEOUT(OURO_MS(5))
                OURO_GROUP(g, &error)
                        for (int i = 0; i < MANY; i++)
                                ouro_create_task(i % 2 ? is_shielded : sleeps, NULL);
        counted(0, MANY / 2, MANY / 2);
        cr_assert_eq(error, -ETIME);
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

RUN_VIRTUAL(nesting_of_many, outcomes_of_all_are_told_when_a_few_are_enough)
{
        static struct ouro_outcome outcomes[MANY];
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;
        size_t ended = 0, succeeded = 0;
        int error = 1;

        options.successes = 10;
        options.outcomes = outcomes;
        options.outcomes_len = MANY;
        options.ret_ended = &ended;
        options.ret_succeeded = &succeeded;
        options.ret_error = &error;
        OURO_GROUP_WITH(g, &options)
                for (intptr_t i = 0; i < MANY; i++)
                        ouro_create_task(sleeps_ms, as_arg(MANY - i));
        cr_assert_eq(ended, (size_t)MANY);
        cr_assert_eq(succeeded, 10u);
        cr_assert_eq(error, 0);
        for (int i = 0; i < MANY; i++)
                cr_assert_eq(outcomes[i].result, i < 10 ? 0 : -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

/* ---- deep ---- */

/* A scope in a group in a scope ..., each of the next task. */
static intptr_t nests(void *depth)
{
        int error = 0;

        if ((intptr_t)depth == 0)
                return sleeps(NULL);
        OURO_TIMEOUT(OURO_SEC(10))
                OURO_GROUP(g, &error)
                        ouro_create_task(nests, as_arg((intptr_t)depth - 1));
        count(error);
        return 0;
}

RUN_VIRTUAL(nesting_of_many, f65_scopes_and_groups_of_tasks_nested_thousands_deep_are_cut_at_once)
{
        OURO_TIMEOUT(OURO_MS(5))
                nests(as_arg(DEEP));
        counted(1, DEEP, 0);
        cr_assert_eq(ouro_now(), OURO_MS(5));
        OURO_SCOPE(s, OURO_FOREVER) {
                OURO_GROUP(g) {
                        ouro_create_task(nests, as_arg(DEEP));
                        cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
                        cr_assert_eq(ouro_scope_cancel(s), 0);
                }
        }
        counted(0, DEEP + 1, 0);
}

static struct ouro_scope scopes[DEEP];
static struct ouro_group groups[DEEP];

RUN_VIRTUAL(nesting_of_many, f65_scopes_and_groups_of_one_task_nested_thousands_deep)
{
        for (int i = 0; i < DEEP; i++) {
                ouro_scope_open(&scopes[i], OURO_SEC(1), NULL);
                ouro_group_open(&groups[i], 0, NULL);
                ouro_create_task(sleeps, NULL);
        }
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_scope_reschedule(&scopes[1], 0), 0);
        for (int i = DEEP; i-- > 1;) {
                cr_assert_eq(ouro_group_close(&groups[i]), -ETIME);
                cr_assert_eq(ouro_scope_close(&scopes[i]), i == 1);
        }
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_group_cancel(&groups[0]), 0);
        cr_assert_eq(ouro_group_close(&groups[0]), 0);
        cr_assert_eq(ouro_scope_close(&scopes[0]), 0);
        counted(0, DEEP, 0);
}
