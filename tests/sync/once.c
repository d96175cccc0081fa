/* Of lib/sync/once.c: it is done once, and not at all by those who could not. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(once, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct ouro_once once, second;
static int runs;

static intptr_t gives_42(void *unused)
{
        (void)unused;
        runs++;
        cr_assert_eq(ouro_yield(), 0);
        return 42;
}

static intptr_t asks(void *unused)
{
        return ouro_once_do(&once, gives_42, unused);
}

RUN(once, runs_once_and_all_get_the_result)
{
        ouro_task tasks[5];
        intptr_t results[5];

        for (int i = 0; i < 5; i++)
                tasks[i] = ouro_create_task(asks, NULL);
        cr_assert_eq(ouro_gather(tasks, 5, results), 0);
        for (int i = 0; i < 5; i++)
                cr_assert_eq(results[i], 42);
        cr_assert_eq(ouro_once_do(&once, gives_42, NULL), 42);
        cr_assert_eq(runs, 1);
        cr_assert_null(once.waiters);
}

/* Fails for the first two. */
static intptr_t fails_at_first(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_yield(), 0);
        return ++runs < 3 ? -EIO : runs;
}

static intptr_t asks_for_failure(void *letter)
{
        intptr_t result = ouro_once_do(&once, fails_at_first, NULL);

        note((char)(intptr_t)letter);
        return result;
}

RUN(once, that_failed_is_tried_by_the_next_in_the_queue)
{
        ouro_task tasks[4];
        intptr_t results[4];

        for (int i = 0; i < 4; i++)
                tasks[i] = ouro_create_task_named(asks_for_failure, as_arg('a' + i), "asks");
        cr_assert_eq(ouro_gather(tasks, 4, results), -EIO);
        cr_assert_eq(results[0], -EIO);
        cr_assert_eq(results[1], -EIO);
        cr_assert_eq(results[2], 3);
        cr_assert_eq(results[3], 3);
        cr_assert_str_eq(noted(), "abcd");
        cr_assert_eq(runs, 3);
}

RUN(once, that_failed_with_nobody_waiting_is_anew)
{
        cr_assert_eq(ouro_once_do(&once, fails_at_first, NULL), -EIO);
        cr_assert_null(once.doer);
        cr_assert_eq(ouro_once_do(&once, gives_42, NULL), 42);
}

static intptr_t sleeps_long(void *unused)
{
        (void)unused;
        runs++;
        return ouro_sleep(OURO_SEC(10));
}

static intptr_t asks_to_sleep(void *unused)
{
        return ouro_once_do(&once, sleeps_long, unused);
}

RUN_VIRTUAL(once, cancelled_while_at_it_passes_it_on)
{
        ouro_task first = ouro_create_task(asks_to_sleep, NULL), next = ouro_create_task(asks, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(first), 0);
        cr_assert_eq(ouro_await(first), -ECANCELED);
        cr_assert_eq(ouro_await(next), 42);
        cr_assert_eq(runs, 2);
}

RUN_VIRTUAL(once, cancelled_while_waiting_leaves_the_queue)
{
        ouro_task first = ouro_create_task(asks_to_sleep, NULL), tasks[2];

        tasks[0] = ouro_create_task(asks, NULL);
        tasks[1] = ouro_create_task(asks, NULL);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_await(first), 0);
        cr_assert_eq(ouro_await(tasks[0]), -ECANCELED);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        cr_assert_eq(runs, 1);
}

RUN_VIRTUAL(once, a_turn_that_comes_to_a_cancelled_task_goes_to_the_next)
{
        ouro_task first = ouro_create_task(asks_to_sleep, NULL), tasks[2];

        tasks[0] = ouro_create_task(asks, NULL);
        tasks[1] = ouro_create_task(asks, NULL);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(first), 0);
        cr_assert_eq(ouro_yield(), 0); /* the first has failed: it is the turn of tasks[0], which is ready */
        cr_assert_eq(ouro_task_state(tasks[0]), OURO_STATE_READY);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_await(tasks[1]), 42);
        cr_assert_eq(ouro_await(tasks[0]), -ECANCELED);
        cr_assert_eq(ouro_await(first), -ECANCELED);
        cr_assert_eq(runs, 2, "the cancelled one did not begin");
}

static intptr_t asks_again(void *unused)
{
        return ouro_once_do(&once, gives_42, unused);
}

RUN(once, inside_itself_is_refused)
{
        cr_assert_eq(ouro_once_do(&once, asks_again, NULL), -EDEADLK);
        cr_assert_eq(ouro_once_do(&once, gives_42, NULL), 42);
}

static intptr_t inside_second_asks_first(void *unused)
{
        return ouro_once_do(&once, gives_42, unused);
}

static intptr_t asks_second(void *unused)
{
        return ouro_once_do(&second, inside_second_asks_first, unused);
}

static intptr_t inside_first_asks_second(void *unused)
{
        ouro_task task = ouro_create_task(asks_second, NULL);
        intptr_t result;

        cr_assert_eq(ouro_yield(), 0);
        result = ouro_once_do(&second, gives_42, unused);
        cr_assert_eq(result, -EDEADLK);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return 7;
}

RUN(once, f66_two_that_want_each_other_are_told)
{
        cr_assert_eq(ouro_once_do(&once, inside_first_asks_second, NULL), 7);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_once_do(&second, gives_42, NULL), 7);
}

RUN(once, wants_a_function)
{
        cr_assert_eq(ouro_once_do(&once, NULL, NULL), -EINVAL);
        cr_assert_eq(ouro_once_do(NULL, gives_42, NULL), -EINVAL);
        cr_assert_not(once.is_done);
}

static intptr_t is_refused(void *unused)
{
        cr_assert_eq(ouro_once_do(&once, gives_42, unused), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(is_refused, unused);
}

static intptr_t starts_another_loop(void *unused)
{
        pthread_t thread;
        void *result;

        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, unused), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        return 1;
}

RUN(once_elsewhere, f38_at_which_a_task_of_another_loop_is_is_refused)
{
        cr_assert_eq(ouro_once_do(&once, starts_another_loop, NULL), 1);
}
