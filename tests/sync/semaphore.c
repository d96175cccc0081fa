/* Of lib/sync/semaphore.c: units are neither lost nor made, and go to whoever waited longest. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(semaphore, .init = leaks_begin, .fini = leaks_end);

static struct ouro_semaphore semaphore;

static intptr_t acquires(void *letter)
{
        int error = ouro_semaphore_acquire(&semaphore);

        note((char)(intptr_t)letter);
        return error;
}

static void waiters(ouro_task *ret_tasks, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                ret_tasks[i] = ouro_create_task(acquires, as_arg('a' + (intptr_t)i));
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_task_state(ret_tasks[i]), OURO_STATE_WAITING);
        }
}

RUN(semaphore, counts)
{
        struct ouro_semaphore three = OURO_SEMAPHORE_INIT(3);

        cr_assert_eq(ouro_semaphore_acquire(&three), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&three), 0);
        cr_assert_eq(ouro_semaphore_acquire(&three), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&three), -EAGAIN);
        cr_assert_eq(ouro_semaphore_release(&three), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&three), 0);
        three.count = SIZE_MAX;
        cr_assert_eq(ouro_semaphore_release(&three), -EOVERFLOW);
        cr_assert_eq(three.count, SIZE_MAX);
}

RUN(semaphore, unit_goes_to_whoever_waited_longest)
{
        ouro_task tasks[3];

        waiters(tasks, 3);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&semaphore), -EAGAIN, "overtaken");
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "abc");
        cr_assert_eq(semaphore.count, 0u);
}

RUN(semaphore, cancelled_waiter_takes_no_unit)
{
        ouro_task tasks[3];
        intptr_t results[3];

        waiters(tasks, 3);
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], 0);
        cr_assert_eq(results[1], -ECANCELED);
        cr_assert_eq(results[2], 0);
        cr_assert_eq(semaphore.count, 0u);
}

RUN(semaphore, unit_that_was_given_is_kept_in_spite_of_a_cancellation)
{
        ouro_task task;

        waiters(&task, 1);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(semaphore.count, 0u);
}

static int inside, most_inside;

static intptr_t works_inside(void *unused)
{
        (void)unused;
        for (int i = 0; i < 50; i++) {
                int error = 1;

                OURO_TIMEOUT(i % 5 ? OURO_FOREVER : 1)
                        error = ouro_semaphore_acquire(&semaphore);
                if (error == -ETIME)
                        continue;
                cr_assert_eq(error, 0);
                inside++;
                most_inside = inside > most_inside ? inside : most_inside;
                cr_assert_eq(ouro_sleep(i % 3), 0);
                inside--;
                cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        }
        return 0;
}

RUN_VIRTUAL(semaphore, lets_in_as_many_as_it_counts_whoever_is_cut_short)
{
        semaphore.count = 3;
        OURO_GROUP(g)
                for (int i = 0; i < 20; i++)
                        ouro_create_task(works_inside, NULL);
        cr_assert_eq(most_inside, 3);
        cr_assert_eq(semaphore.count, 3u);
}

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_semaphore_acquire(&semaphore), -EPERM);
        cr_assert_eq(ouro_semaphore_try_acquire(&semaphore), -EPERM);
        cr_assert_eq(ouro_semaphore_release(&semaphore), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(semaphore_elsewhere, f38_that_another_loops_tasks_wait_for_is_refused)
{
        pthread_t thread;
        ouro_task task;
        void *result;

        waiters(&task, 1);
        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_await(task), 0);
}

/* ---- several units at a time ---- */

static intptr_t acquires_3(void *letter)
{
        int error = ouro_semaphore_acquire_n(&semaphore, 3);

        note((char)(intptr_t)letter);
        return error;
}

static ouro_task wants_3(char letter)
{
        ouro_task task = ouro_create_task(acquires_3, as_arg(letter));

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(semaphore, several_are_taken_together_or_not_at_all)
{
        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 5), 0);
        cr_assert_eq(ouro_semaphore_try_acquire_n(&semaphore, 6), -EAGAIN);
        cr_assert_eq(semaphore.count, 5u);
        cr_assert_eq(ouro_semaphore_acquire_n(&semaphore, 3), 0);
        cr_assert_eq(ouro_semaphore_try_acquire_n(&semaphore, 2), 0);
        cr_assert_eq(semaphore.count, 0u);
}

RUN(semaphore, a_large_wish_is_not_overtaken_by_small_ones)
{
        ouro_task large = wants_3('L'), small[1];

        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 2), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&semaphore), -EAGAIN, "overtaken");
        waiters(small, 1);
        cr_assert_eq(semaphore.count, 2u);
        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 2), 0);
        cr_assert_eq(ouro_await(large), 0);
        cr_assert_eq(ouro_await(small[0]), 0);
        cr_assert_str_eq(noted(), "La");
        cr_assert_eq(semaphore.count, 0u);
}

RUN(semaphore, a_large_wish_that_is_cancelled_lets_small_ones_have_what_there_is)
{
        ouro_task large = wants_3('L'), small[3];

        waiters(small, 3);
        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 2), 0);
        cr_assert_eq(ouro_cancel(large), 0);
        cr_assert_eq(ouro_await(small[0]), 0);
        cr_assert_eq(ouro_await(small[1]), 0);
        cr_assert_eq(ouro_task_state(small[2]), OURO_STATE_WAITING);
        cr_assert_eq(ouro_await(large), -ECANCELED);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_await(small[2]), 0);
        cr_assert_eq(semaphore.count, 0u);
}

RUN(semaphore, several_handed_over_are_kept_in_spite_of_a_cancellation)
{
        ouro_task large = wants_3('L');

        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 3), 0);
        cr_assert_eq(ouro_cancel(large), 0);
        cr_assert_eq(ouro_await(large), 0);
        cr_assert_eq(semaphore.count, 0u);
}

RUN(semaphore, numbers_that_make_no_sense_are_refused)
{
        struct ouro_semaphore bounded = OURO_SEMAPHORE_INIT_BOUNDED(2);

        cr_assert_eq(ouro_semaphore_acquire_n(&semaphore, 0), -EINVAL);
        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 0), -EINVAL);
        cr_assert_eq(ouro_semaphore_acquire_n(&semaphore, SIZE_MAX), -EINVAL);
        cr_assert_eq(ouro_semaphore_release(&bounded), -EOVERFLOW, "it is full");
        cr_assert_eq(ouro_semaphore_acquire_n(&bounded, 3), -EINVAL, "there can never be so many");
        cr_assert_eq(ouro_semaphore_acquire(&bounded), 0);
        cr_assert_eq(ouro_semaphore_release_n(&bounded, 2), -EOVERFLOW);
        cr_assert_eq(ouro_semaphore_release_n(&bounded, 3), -EOVERFLOW);
        cr_assert_eq(ouro_semaphore_release_n(&bounded, SIZE_MAX), -EOVERFLOW);
        cr_assert_eq(bounded.count, 1u);
        cr_assert_eq(ouro_semaphore_release(&bounded), 0);
}
