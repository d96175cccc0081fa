/* Of the two priorities of tasks: who runs first, how often the others do, and who may ask for which. Those
 * of low priority beside tasks that never wait are in fairness.c. */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"

TestSuite(priority, .init = leaks_begin, .fini = leaks_end);

/* As documented in ouro.h: of the others in a pass, and what they may have after the one of low priority. */
enum { TURNS = 128, TURNS_AFTER_LOW = 7 };

static bool stop;
static size_t turns;
static struct ouro_mutex mutex;

static intptr_t notes(void *letter)
{
        note((char)(intptr_t)letter);
        return 0;
}

static intptr_t notes_three_times(void *letter)
{
        for (int i = 0; i < 3; i++) {
                note((char)(intptr_t)letter);
                cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

static ouro_task create_low(ouro_fn *fn, intptr_t arg)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        options.priority = OURO_PRIORITY_LOW;
        return ouro_create_task_with(&options, fn, as_arg(arg));
}

RUN(priority, low_runs_when_no_other_is_ready)
{
        OURO_GROUP(group) {
                create_low(notes, 'l');
                ouro_go(notes_three_times, as_arg('a'));
                ouro_go(notes_three_times, as_arg('b'));
        }
        cr_assert_str_eq(noted(), "abababl");
}

RUN(priority, within_each_priority_first_come_is_first_served)
{
        OURO_GROUP(group) {
                create_low(notes_three_times, 'l');
                ouro_go(notes_three_times, as_arg('a'));
                create_low(notes_three_times, 'm');
                ouro_go(notes_three_times, as_arg('b'));
                create_low(notes_three_times, 'n');
        }
        cr_assert_str_eq(noted(), "ababablmnlmnlmn");
}

static intptr_t wakes_another(void *unused)
{
        (void)unused;
        note('l');
        ouro_go(notes, as_arg('a'));
        cr_assert_eq(ouro_yield(), 0);
        note('m');
        return 0;
}

RUN(priority, one_that_low_makes_ready_comes_first)
{
        OURO_GROUP(group) {
                create_low(wakes_another, 0);
                create_low(notes, 'n');
        }
        cr_assert_str_eq(noted(), "lanm");
}

static size_t others;

/* The main task and another one are always ready: how many of their turns pass between two of low? */
static intptr_t low_counts_others(void *most)
{
        while (!stop) {
                turns++;
                if (turns > 1 && others > *(size_t *)most)
                        *(size_t *)most = others;
                others = 0;
                cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

static intptr_t counts_as_other(void *unused)
{
        (void)unused;
        while (!stop) {
                others++;
                cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

RUN(priority, f39_low_has_a_turn_in_each_pass_and_not_many)
{
        size_t most = 0;

        stop = false;
        turns = others = 0;
        OURO_GROUP(group) {
                create_low(low_counts_others, (intptr_t)&most);
                ouro_go(counts_as_other, NULL);
                for (int i = 0; i < 10 * TURNS; i++) {
                        others++;
                        cr_assert_eq(ouro_yield(), 0);
                }
                stop = true;
        }
        cr_assert_geq(turns, 18);
        cr_assert_leq(turns, 21);
        cr_assert_geq(most, TURNS - 1);
        cr_assert_leq(most, TURNS + TURNS_AFTER_LOW);
}
static intptr_t low_fills_a_stack(void *arg)
{
        volatile char frame[4096];

        frame[0] = (char)(intptr_t)arg;
        cr_assert_eq(ouro_yield(), 0);
        note(frame[0]);
        return 0;
}

RUN(priority, low_has_a_stack_of_the_size_asked_for)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        options.priority = OURO_PRIORITY_LOW;
        options.stack_bytes = 32 * 1024;
        OURO_GROUP(group) {
                for (intptr_t c = 'k'; c <= 'm'; c++)
                        ouro_create_task_with(&options, low_fills_a_stack, as_arg(c));
                ouro_go(notes, as_arg('a'));
        }
        cr_assert_str_eq(noted(), "aklm");
}

static intptr_t leaves_low_behind(void *unused)
{
        (void)unused;
        create_low(notes, 'l');
        create_low(waits_for_ever, 0);
        create_low(notes, 'm');
        return 0;
}

Test(priority, what_is_low_ends_with_the_run)
{
        cr_assert_eq(ouro_run(leaves_low_behind, NULL), 0);
        cr_assert_str_eq(noted(), "lm");
}

RUN(priority, low_is_cancelled_while_it_is_ready)
{
        ouro_task task = create_low(waits_for_ever, 0);

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

/* Low holds the mutex that another one waits for, while a third is always ready. */
static intptr_t low_holds_the_mutex(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        for (int i = 0; i < 5; i++)
                cr_assert_eq(ouro_yield(), 0);
        return ouro_mutex_unlock(&mutex);
}

static intptr_t wants_the_mutex(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        stop = true;
        return ouro_mutex_unlock(&mutex);
}

RUN(priority, f39_a_lock_that_low_holds_is_free_in_bounded_time)
{
        stop = false;
        OURO_GROUP(group) {
                create_low(low_holds_the_mutex, 0);
                while (!mutex.owner)
                        cr_assert_eq(ouro_yield(), 0);
                ouro_go(wants_the_mutex, NULL);
                counts_as_other(NULL);
        }
}

RUN(priority, priority_can_be_changed)
{
        ouro_task low = create_low(notes_three_times, 'l'), other;

        other = ouro_create_task(notes_three_times, as_arg('a'));
        cr_assert_eq(ouro_set_priority(low, OURO_PRIORITY_NORMAL), 0); /* keeps its place for one more turn */
        cr_assert_eq(ouro_await(other), 0);
        cr_assert_eq(ouro_await(low), 0);
        cr_assert_str_eq(noted(), "aaalll");

        low = create_low(notes_three_times, 'l');
        cr_assert_eq(ouro_set_priority(low, OURO_PRIORITY_NORMAL), 0);
        other = ouro_create_task(notes_three_times, as_arg('a'));
        cr_assert_eq(ouro_set_priority(other, OURO_PRIORITY_LOW), 0);
        cr_assert_eq(ouro_await(low), 0);
        cr_assert_eq(ouro_await(other), 0);
        cr_assert_str_eq(noted(), "alllaa");
}

RUN(priority, a_task_lowers_itself)
{
        OURO_GROUP(group) {
                ouro_go(notes_three_times, as_arg('a'));
                note('m');
                cr_assert_eq(ouro_set_priority(ouro_self(), OURO_PRIORITY_LOW), 0);
                cr_assert_eq(ouro_yield(), 0);
                note('m');
                cr_assert_eq(ouro_set_priority(ouro_self(), OURO_PRIORITY_NORMAL), 0);
        }
        cr_assert_str_eq(noted(), "maaam");
}

RUN(priority, no_other_priority_than_these_two)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task task = ouro_create_task(gives, as_arg(0));

        cr_assert_eq(ouro_set_priority(task, OURO_PRIORITY_HIGH), -EINVAL);
        cr_assert_eq(ouro_set_priority(task, (enum ouro_priority) - 2), -EINVAL);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_set_priority(task, OURO_PRIORITY_LOW), -ESRCH);
        cr_assert_eq(ouro_set_priority(OURO_NO_TASK, OURO_PRIORITY_LOW), -ESRCH);
        options.priority = OURO_PRIORITY_HIGH;
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, gives, NULL)), -EINVAL);
        options.priority = (enum ouro_priority)7;
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, gives, NULL)), -EINVAL);
}

static intptr_t a_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 0;
}

RUN(priority, a_job_has_the_priority_that_its_options_say)
{
        ouro_executor *pool;
        ouro_task task;

        cr_assert_eq(ouro_thread_pool_open(NULL, &pool), 0);
        task = ouro_submit(pool, a_job, OURO_NO_IN, OURO_NO_OUT);

        cr_assert_eq(ouro_set_priority(task, OURO_PRIORITY_LOW), -EINVAL);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_executor_close(pool), 0);
}
