/* Of lib/sync/latch.c: it opens once, for all. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(latch, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct ouro_latch latch = OURO_LATCH_INIT(3);

static intptr_t waits(void *letter)
{
        int error = ouro_latch_wait(&latch);

        note((char)(intptr_t)letter);
        return error;
}

static ouro_task waiting(char letter)
{
        ouro_task task = ouro_create_task(waits, as_arg(letter));

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(latch, opens_when_all_is_counted_down)
{
        ouro_task tasks[] = {waiting('a'), waiting('b')};

        cr_assert_eq(ouro_latch_try_wait(&latch), -EAGAIN);
        cr_assert_eq(ouro_latch_count_down(&latch, 2), 0);
        cr_assert_eq(ouro_task_state(tasks[0]), OURO_STATE_WAITING);
        cr_assert_eq(ouro_latch_count_down(&latch, 1), 0);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        cr_assert_str_eq(noted(), "ab");
        cr_assert_eq(ouro_latch_wait(&latch), 0, "and stays open");
        cr_assert_eq(ouro_latch_try_wait(&latch), 0);
}

RUN(latch, counted_down_too_far_is_refused_and_changes_nothing)
{
        cr_assert_eq(ouro_latch_count_down(&latch, 4), -EOVERFLOW);
        cr_assert_eq(latch.count, 3u);
        cr_assert_eq(ouro_latch_count_down(&latch, 3), 0);
        cr_assert_eq(ouro_latch_count_down(&latch, 1), -EOVERFLOW);
        cr_assert_eq(ouro_latch_count_down(&latch, 0), 0);
}

RUN(latch, cut_short_leaves_the_others)
{
        ouro_task tasks[] = {waiting('a'), waiting('b')};

        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_latch_count_down(&latch, 3), 0);
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_await(tasks[0]), -ECANCELED);
        cr_assert_eq(ouro_await(tasks[1]), 0, "it had opened before");
        OURO_TIMEOUT(0)
                cr_assert_eq(ouro_latch_wait(&latch), -ETIME);
}

RUN(latch, zeroed_is_open)
{
        struct ouro_latch zeroed = {0};

        cr_assert_eq(ouro_latch_wait(&zeroed), 0);
}

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_latch_wait(&latch), -EPERM);
        cr_assert_eq(ouro_latch_try_wait(&latch), -EPERM);
        cr_assert_eq(ouro_latch_count_down(&latch, 3), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(latch_elsewhere, f38_at_which_tasks_of_another_loop_wait_is_refused)
{
        ouro_task task = waiting('a');
        pthread_t thread;
        void *result;

        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_latch_count_down(&latch, 3), 0);
        cr_assert_eq(ouro_await(task), 0);
}
