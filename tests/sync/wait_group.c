/* Of lib/sync/wait_group.c: whoever waits goes on when nothing is out, again and again. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(wait_group, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct ouro_wait_group work;

static intptr_t waits(void *unused)
{
        (void)unused;
        return ouro_wait_group_wait(&work);
}

static ouro_task waiting(void)
{
        ouro_task task = ouro_create_task(waits, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(wait_group, waits_for_all_that_is_out)
{
        ouro_task tasks[2];

        cr_assert_eq(ouro_wait_group_wait(&work), 0, "nothing is");
        for (int round = 0; round < 3; round++) {
                cr_assert_eq(ouro_wait_group_add(&work, 2), 0);
                tasks[0] = waiting();
                tasks[1] = waiting();
                cr_assert_eq(ouro_wait_group_done(&work), 0);
                cr_assert_eq(ouro_wait_group_add(&work, 1), 0);
                cr_assert_eq(ouro_wait_group_done(&work), 0);
                cr_assert_eq(ouro_task_state(tasks[0]), OURO_STATE_WAITING);
                cr_assert_eq(ouro_wait_group_done(&work), 0);
                cr_assert_eq(ouro_wait_group_add(&work, 1), 0, "more is out before the waiters run");
                cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
                cr_assert_eq(ouro_wait_group_done(&work), 0);
        }
}

RUN(wait_group, more_done_than_was_out_is_told)
{
        cr_assert_eq(ouro_wait_group_done(&work), -EOVERFLOW);
        cr_assert_eq(ouro_wait_group_add(&work, SIZE_MAX), 0);
        cr_assert_eq(ouro_wait_group_add(&work, 1), -EOVERFLOW);
        cr_assert_eq(work.count, SIZE_MAX);
}

RUN(wait_group, cut_short_leaves_the_others)
{
        ouro_task tasks[2];

        cr_assert_eq(ouro_wait_group_add(&work, 1), 0);
        tasks[0] = waiting();
        tasks[1] = waiting();
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_wait_group_done(&work), 0);
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_await(tasks[0]), -ECANCELED);
        cr_assert_eq(ouro_await(tasks[1]), 0, "it was done before");
        OURO_TIMEOUT(0)
                cr_assert_eq(ouro_wait_group_wait(&work), -ETIME);
}

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_wait_group_wait(&work), -EPERM);
        cr_assert_eq(ouro_wait_group_add(&work, 1), -EPERM);
        cr_assert_eq(ouro_wait_group_done(&work), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(wait_group_elsewhere, f38_for_which_tasks_of_another_loop_wait_is_refused)
{
        ouro_task task;
        pthread_t thread;
        void *result;

        cr_assert_eq(ouro_wait_group_add(&work, 1), 0);
        task = waiting();
        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_wait_group_done(&work), 0);
        cr_assert_eq(ouro_await(task), 0);
}
