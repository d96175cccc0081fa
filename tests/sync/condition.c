/* Of the conditions in lib/sync/mutex.c: woken in the order of waiting, and always with the mutex held. */
#include "support/run.h"

#include <errno.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(condition, .init = leaks_begin, .fini = leaks_end);

static struct ouro_mutex mutex;
static struct ouro_condition condition;

static intptr_t waits_for_notice(void *letter)
{
        int result;

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        result = ouro_condition_wait(&condition, &mutex);
        note((char)(intptr_t)letter);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0, "it came back without its mutex");
        return result;
}

static void waiters(ouro_task *ret_tasks, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                ret_tasks[i] = ouro_create_task(waits_for_notice, as_arg('a' + (intptr_t)i));
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_task_state(ret_tasks[i]), OURO_STATE_WAITING);
        }
        cr_assert_null(mutex.owner, "a waiter kept the mutex");
}

RUN(condition, wakes_as_many_as_asked_in_the_order_of_waiting)
{
        ouro_task tasks[5];

        waiters(tasks, 5);
        cr_assert_eq(ouro_condition_notify(&condition, 0), 0);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 1);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_condition_notify(&condition, 2), 2);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_str_eq(noted(), "bc");
        cr_assert_eq(ouro_condition_notify(&condition, 100), 2);
        cr_assert_eq(ouro_gather(tasks, 5, NULL), 0);
        cr_assert_str_eq(noted(), "de");
        cr_assert_eq(ouro_condition_notify(&condition, 1), 0, "a notice is not kept");
}

RUN(condition, notify_all_wakes_all_that_wait_now)
{
        ouro_task tasks[4];

        waiters(tasks, 3);
        cr_assert_eq(ouro_condition_notify_all(&condition), 3);
        cr_assert_eq(ouro_condition_notify_all(&condition), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "abc");
}

RUN(condition, is_not_waited_for_without_the_mutex)
{
        cr_assert_eq(ouro_condition_wait(&condition, &mutex), -EPERM);
        cr_assert_null(condition.waiters);
}

RUN(condition, cancelled_waiter_has_its_mutex_and_keeps_nobody_back)
{
        ouro_task tasks[3];
        intptr_t results[3];

        waiters(tasks, 3);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_condition_notify(&condition, 2), 2);
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_str_eq(noted(), "abc");
}

/* The re-lock is not cut short, whatever happens while it waits for the mutex. */
RUN(condition, cancelled_waiter_waits_for_its_mutex_to_be_free)
{
        ouro_task task;

        waiters(&task, 1);
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

RUN(condition, notice_that_came_before_the_cancellation_is_told)
{
        ouro_task task;

        waiters(&task, 1);
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 1);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(task), 0);
}

RUN_VIRTUAL(condition, time_cuts_a_waiter_short)
{
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        OURO_TIMEOUT(OURO_MS(1)) {
                cr_assert_eq(ouro_condition_wait(&condition, &mutex), -ETIME);
                cr_assert_eq(ouro_condition_wait(&condition, &mutex), -ETIME);
        }
        cr_assert_eq(ouro_now(), OURO_MS(1));
        cr_assert_null(condition.waiters);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
}

static intptr_t notifies_and_ends_holding(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        ouro_condition_notify_all(&condition);
        return ouro_sleep(1);
}

static intptr_t waits_for_notice_in_vain(void *unused)
{
        int result;

        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        result = ouro_condition_wait(&condition, &mutex);
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
        return result;
}

RUN(condition, f61_a_mutex_that_was_abandoned_is_told)
{
        ouro_task task = ouro_create_task(waits_for_notice_in_vain, NULL);

        catch_log();
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_await(ouro_create_task(notifies_and_ends_holding, NULL)), 0);
        cr_assert_eq(ouro_await(task), -EOWNERDEAD);
        cr_assert_eq(logged(), 1u);
}

RUN(condition, f61_cut_short_it_tells_that_the_mutex_was_abandoned)
{
        ouro_task task = ouro_create_task(waits_for_notice_in_vain, NULL), holder;

        catch_log();
        cr_assert_eq(ouro_yield(), 0);
        holder = ouro_create_task(notifies_and_ends_holding, NULL);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(holder), 0);
        cr_assert_eq(ouro_await(task), -EOWNERDEAD, "whoever is not told would unlock");
}

/* ---- what it is for ---- */

enum { ITEMS = 1000, ROOM = 3 };

static int stored, produced, consumed;
static struct ouro_condition has_room, has_items;

static intptr_t produces(void *unused)
{
        (void)unused;
        for (int i = 0; i < ITEMS; i++) {
                cr_assert_eq(ouro_mutex_lock(&mutex), 0);
                while (stored == ROOM)
                        cr_assert_eq(ouro_condition_wait(&has_room, &mutex), 0);
                stored++;
                produced++;
                ouro_condition_notify(&has_items, 1);
                cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        }
        return 0;
}

static intptr_t consumes(void *unused)
{
        (void)unused;
        for (int i = 0; i < ITEMS; i++) {
                cr_assert_eq(ouro_mutex_lock(&mutex), 0);
                while (stored == 0)
                        cr_assert_eq(ouro_condition_wait(&has_items, &mutex), 0);
                stored--;
                consumed++;
                ouro_condition_notify(&has_room, 1);
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        }
        return 0;
}

RUN(condition, serves_a_bounded_store)
{
        OURO_GROUP(g)
                for (int i = 0; i < 4; i++) {
                        ouro_create_task(consumes, NULL);
                        ouro_create_task(produces, NULL);
                }
        cr_assert_eq(stored, 0);
        cr_assert_eq(produced, 4 * ITEMS);
        cr_assert_eq(consumed, 4 * ITEMS);
}
