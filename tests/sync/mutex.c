/* Of lib/sync/mutex.c: one holder at a time, in the order of asking; a holder that ends is told of. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(mutex, .init = leaks_begin, .fini = leaks_end);

static struct ouro_mutex mutex;

static intptr_t locks(void *letter)
{
        int error = ouro_mutex_lock(&mutex);

        note((char)(intptr_t)letter);
        return error < 0 ? error : ouro_mutex_unlock(&mutex);
}

static ouro_task waiting(ouro_fn *fn, char letter)
{
        ouro_task task = ouro_create_task_named(fn, as_arg(letter), "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

static int inside;

static intptr_t works_inside(void *unused)
{
        (void)unused;
        for (int i = 0; i < 100; i++) {
                cr_assert_eq(ouro_mutex_lock(&mutex), 0);
                cr_assert_eq(++inside, 1);
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(--inside, 0);
                cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        }
        return 0;
}

RUN(mutex, has_one_holder_at_a_time)
{
        OURO_GROUP(g)
                for (int i = 0; i < 10; i++)
                        ouro_create_task(works_inside, NULL);
        cr_assert_null(mutex.owner);
        cr_assert_null(mutex.waiters);
}

RUN(mutex, goes_to_whoever_waited_longest)
{
        ouro_task tasks[3];

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waiting(locks, (char)('a' + i));
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), -EBUSY, "overtaken");
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        note('m');
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "abcm");
}

static intptr_t tries(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_try_lock(&mutex), -EBUSY);
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
        return 0;
}

RUN(mutex, knows_its_holder)
{
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_lock(&mutex), -EDEADLK);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), -EDEADLK);
        cr_assert_eq(ouro_await(ouro_create_task(tries, NULL)), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
}

RUN(mutex, cancelled_waiter_keeps_nobody_back)
{
        ouro_task tasks[3];
        intptr_t results[3];

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waiting(locks, (char)('a' + i));
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_str_eq(noted(), "abc");
        cr_assert_null(mutex.owner);
}

RUN(mutex, that_was_handed_over_is_held_in_spite_of_a_cancellation)
{
        ouro_task task;

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        task = waiting(locks, 'a');
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_null(mutex.owner);
}

RUN_VIRTUAL(mutex, time_cuts_a_waiter_short)
{
        ouro_task holder = ouro_create_task(works_inside, NULL);

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_yield(), 0);
        OURO_TIMEOUT(0)
                cr_assert_eq(ouro_mutex_unlock(&mutex), 0, "unlocking is never cut short");
        OURO_TIMEOUT(0)
                cr_assert_eq(ouro_mutex_lock(&mutex), -ETIME);
        cr_assert_eq(ouro_await(holder), 0);
        cr_assert_null(mutex.waiters);
}

/* ---- a holder that ends ---- */

static intptr_t ends_holding(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_sleep(1), 0);
        return 0;
}

RUN(mutex, f61_whose_holder_ended_fails_all_who_wait_and_all_who_come)
{
        ouro_task holder = ouro_create_task(ends_holding, NULL), tasks[2];
        intptr_t results[2];

        catch_log();
        cr_assert_eq(ouro_yield(), 0);
        tasks[0] = waiting(locks, 'a');
        tasks[1] = waiting(locks, 'b');
        cr_assert_eq(ouro_await(holder), 0);
        cr_assert_eq(ouro_gather(tasks, 2, results), -EOWNERDEAD);
        cr_assert_eq(results[0], -EOWNERDEAD);
        cr_assert_eq(results[1], -EOWNERDEAD);
        for (int i = 0; i < 200; i++) { /* the holder's record is another task's by now */
                cr_assert_eq(ouro_await(ouro_create_task(locks, as_arg('c'))), -EOWNERDEAD);
                cr_assert_eq(ouro_mutex_lock(&mutex), -EOWNERDEAD);
                cr_assert_eq(ouro_mutex_try_lock(&mutex), -EOWNERDEAD);
                cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
        }
        cr_assert_eq(logged(), 1u);
        cr_assert_not_null(strstr(logged_last(), "ends_holding"), "%s", logged_last());
        memset(&mutex, 0, sizeof mutex);
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
}

static intptr_t recovers(void *unused)
{
        (void)unused;
        return ouro_mutex_recover(&mutex);
}

RUN(mutex, f61_can_be_recovered_and_serves_again)
{
        catch_log();
        cr_assert_eq(ouro_mutex_recover(&mutex), -EINVAL, "nobody holds it");
        cr_assert_eq(ouro_await(ouro_create_task(ends_holding, NULL)), 0);
        cr_assert_eq(ouro_mutex_recover(&mutex), 0);
        cr_assert_eq(ouro_mutex_recover(&mutex), -EDEADLK, "it is the caller's");
        cr_assert_eq(ouro_await(ouro_create_task(recovers, NULL)), -EBUSY, "whose holder lives");
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(ouro_create_task(locks, as_arg('a'))), 0);
        cr_assert_null(mutex.owner);
}

static intptr_t unlocks(void *unused)
{
        (void)unused;
        return ouro_mutex_unlock(&mutex);
}

RUN(mutex, f61_is_not_its_who_has_the_holders_record_now)
{
        ouro_task holder = ouro_create_task(ends_holding, NULL), next;

        catch_log();
        cr_assert_eq(ouro_await(holder), 0);
        next = ouro_create_task(unlocks, NULL);
        cr_assert_eq(next.slot, holder.slot, "another record: the test tells nothing");
        cr_assert_eq(ouro_await(next), -EPERM);
        cr_assert_eq(ouro_await(ouro_create_task(locks, as_arg('c'))), -EOWNERDEAD);
}

static struct ouro_mutex several[3];

static intptr_t ends_holding_several(void *unused)
{
        (void)unused;
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ouro_mutex_lock(&several[i]), 0);
        cr_assert_eq(ouro_mutex_unlock(&several[1]), 0);
        return 0;
}

RUN(mutex, f61_several_of_one_holder_are_told_of_once)
{
        catch_log();
        cr_assert_eq(ouro_await(ouro_create_task(ends_holding_several, NULL)), 0);
        cr_assert_eq(logged(), 1u);
        cr_assert_eq(ouro_mutex_lock(&several[0]), -EOWNERDEAD);
        cr_assert_eq(ouro_mutex_lock(&several[1]), 0);
        cr_assert_eq(ouro_mutex_lock(&several[2]), -EOWNERDEAD);
        cr_assert_eq(ouro_mutex_unlock(&several[1]), 0);
}

RUN(mutex, f61_waiters_of_other_mutexes_are_left_alone)
{
        ouro_task task;

        catch_log();
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        task = waiting(locks, 'a');
        cr_assert_eq(ouro_await(ouro_create_task(ends_holding_several, NULL)), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(task), 0);
}

static intptr_t finds_it_abandoned(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), -EOWNERDEAD);
        return 0;
}

Test(mutex, f61_of_an_earlier_run_is_abandoned)
{
        catch_log();
        cr_assert_eq(ouro_run(ends_holding, NULL), 0);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ouro_run(finds_it_abandoned, NULL), 0);
}

/* ---- loops ---- */

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), -EPERM);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), -EPERM);
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
        cr_assert_eq(ouro_mutex_recover(&mutex), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(mutex_elsewhere, f38_that_a_task_of_another_loop_holds_is_refused)
{
        pthread_t thread;
        void *result;

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
}
