/* Of lib/sync/event.c: setting wakes everybody who waits, and lets pass whoever comes until it is cleared. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(event, .init = leaks_begin, .fini = leaks_end);

static struct ouro_event event;

static intptr_t waits_for_event(void *letter)
{
        int error = ouro_event_wait(&event);

        note((char)(intptr_t)letter);
        return error;
}

static void waiters(ouro_task *ret_tasks, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                ret_tasks[i] = ouro_create_task(waits_for_event, as_arg('a' + (intptr_t)i));
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_task_state(ret_tasks[i]), OURO_STATE_WAITING);
        }
}

RUN(event, set_wakes_all_in_the_order_of_waiting)
{
        ouro_task tasks[3];

        waiters(tasks, 3);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "abc");
}

RUN(event, set_lets_pass_until_it_is_cleared)
{
        struct ouro_event local = OURO_EVENT_INIT;

        cr_assert_eq(ouro_event_set(&local), 0);
        cr_assert_eq(ouro_event_set(&local), 0);
        cr_assert_eq(ouro_event_wait(&local), 0);
        cr_assert_eq(ouro_event_wait(&local), 0);
        cr_assert_eq(ouro_event_clear(&local), 0);
        cr_assert_eq(ouro_event_clear(&local), 0);
        OURO_TIMEOUT(1)
                cr_assert_eq(ouro_event_wait(&local), -ETIME);
        cr_assert_null(local.waiters);
}

RUN(event, cleared_at_once_has_woken_those_who_waited)
{
        ouro_task tasks[3];

        waiters(tasks, 3);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_event_clear(&event), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_not(event.is_set);
}

RUN(event, cancelled_waiter_keeps_nobody_back)
{
        ouro_task tasks[3];
        intptr_t results[3];

        waiters(tasks, 3);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_eq(results[1], 0, "it had been woken first");
        cr_assert_eq(results[2], 0);
}

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_event_wait(&event), -EPERM);
        cr_assert_eq(ouro_event_set(&event), -EPERM);
        cr_assert_eq(ouro_event_clear(&event), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(event_elsewhere, f38_that_another_loops_tasks_wait_for_is_refused)
{
        pthread_t thread;
        ouro_task task;
        void *result;

        waiters(&task, 1);
        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_await(task), 0);
}
