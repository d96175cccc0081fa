/* Of lib/sync/barrier.c: nobody passes before all are there, and each round is told apart. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(barrier, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct ouro_barrier barrier = OURO_BARRIER_INIT(3);

static intptr_t arrives(void *unused)
{
        (void)unused;
        return ouro_barrier_wait(&barrier);
}

static ouro_task waiting(void)
{
        ouro_task task = ouro_create_task(arrives, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(barrier, tells_each_its_place_once_all_are_there)
{
        ouro_task tasks[] = {waiting(), waiting()};

        cr_assert_eq(barrier.arrived, 2u);
        cr_assert_eq(ouro_barrier_wait(&barrier), 2);
        cr_assert_eq(barrier.arrived, 0u);
        cr_assert_eq(ouro_await(tasks[1]), 1);
        cr_assert_eq(ouro_await(tasks[0]), 0);
}

static intptr_t rounds(void *counts)
{
        unsigned *count = counts;

        for (unsigned i = 0; i < 50; i++) {
                ssize_t place = ouro_barrier_wait(&barrier);

                cr_assert(place >= 0 && place < 3);
                if (place == 0)
                        count[i]++;
                cr_assert_eq(ouro_barrier_wait(&barrier) < 0, false);
                cr_assert_eq(count[i], 1u, "one leader a round, and it was done before anybody went on");
        }
        return 0;
}

RUN(barrier, is_used_again_and_has_one_leader_each_time)
{
        unsigned counts[50] = {0};

        OURO_GROUP(g)
                for (int i = 0; i < 3; i++)
                        ouro_create_task_in(g, rounds, counts);
        cr_assert_eq(barrier.arrived, 0u);
}

RUN(barrier, of_one_lets_everybody_pass)
{
        struct ouro_barrier one = OURO_BARRIER_INIT(1);

        cr_assert_eq(ouro_barrier_wait(&one), 0);
        cr_assert_eq(ouro_barrier_wait(&one), 0);
}

RUN(barrier, a_cancelled_task_leaves_and_another_takes_its_place)
{
        ouro_task tasks[] = {waiting(), waiting()}, third;

        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(barrier.arrived, 1u);
        cr_assert_eq(ouro_await(tasks[0]), -ECANCELED);
        third = waiting();
        cr_assert_eq(ouro_barrier_wait(&barrier), 2);
        cr_assert_eq(ouro_await(tasks[1]), 0, "places are those of the ones that are there");
        cr_assert_eq(ouro_await(third), 1);
}

RUN(barrier, that_was_passed_is_told_in_spite_of_a_cancellation)
{
        ouro_task tasks[] = {waiting(), waiting()};

        cr_assert_eq(ouro_barrier_wait(&barrier), 2);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_await(tasks[0]), 0);
        cr_assert_eq(ouro_await(tasks[1]), 1);
}

RUN_VIRTUAL(barrier, time_cuts_a_wait_short)
{
        OURO_TIMEOUT(1)
                cr_assert_eq(ouro_barrier_wait(&barrier), -ETIME);
        cr_assert_eq(barrier.arrived, 0u);
}

RUN(barrier, aborted_tells_who_waits_and_who_comes_until_it_is_reset)
{
        ouro_task tasks[] = {waiting(), waiting()};

        cr_assert_eq(ouro_barrier_abort(&barrier), 0);
        cr_assert_eq(ouro_await(tasks[0]), -EPIPE);
        cr_assert_eq(ouro_await(tasks[1]), -EPIPE);
        cr_assert_eq(ouro_barrier_wait(&barrier), -EPIPE);
        cr_assert_eq(ouro_barrier_reset(&barrier), 0);
        tasks[0] = waiting();
        tasks[1] = waiting();
        cr_assert_eq(ouro_barrier_wait(&barrier), 2);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
}

RUN(barrier, reset_tells_who_waits_and_is_whole)
{
        ouro_task early = waiting(), tasks[2];

        cr_assert_eq(ouro_barrier_reset(&barrier), 0);
        cr_assert_eq(barrier.arrived, 0u);
        cr_assert_eq(ouro_await(early), -EPIPE);
        tasks[0] = waiting();
        tasks[1] = waiting();
        cr_assert_eq(ouro_barrier_wait(&barrier), 2);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
}

RUN(barrier, of_nobody_is_refused)
{
        struct ouro_barrier none = OURO_BARRIER_INIT(0);

        cr_assert_eq(ouro_barrier_wait(&none), -EINVAL);
        cr_assert_eq(ouro_barrier_abort(&none), -EINVAL);
        cr_assert_eq(ouro_barrier_reset(&none), -EINVAL);
}

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_barrier_wait(&barrier), -EPERM);
        cr_assert_eq(ouro_barrier_abort(&barrier), -EPERM);
        cr_assert_eq(ouro_barrier_reset(&barrier), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(barrier_elsewhere, f38_at_which_tasks_of_another_loop_wait_is_refused)
{
        ouro_task task = waiting();
        pthread_t thread;
        void *result;

        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}
