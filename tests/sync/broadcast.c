/* Of lib/sync/broadcast.c: every subscriber gets every item that was sent after it subscribed, or is told how
 * many it missed. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/shared_tests.h"

TestSuite(broadcast, .init = leaks_begin, .fini = leaks_end);

static ouro_broadcast *broadcast;

static struct ouro_broadcast_stats told(void)
{
        struct ouro_broadcast_stats stats = {.size = sizeof stats};

        cr_assert_eq(ouro_broadcast_stats(broadcast, &stats), 0);
        return stats;
}

static void await_waiting(size_t n)
{
        while (told().waiting != n) {
                if (ouro_this_loop())
                        cr_assert_eq(ouro_yield(), 0);
                sched_yield();
        }
}

static void say(const char *letters)
{
        for (; *letters; letters++)
                cr_assert_eq(ouro_broadcast_send(broadcast, letters), (ssize_t)told().subscribers);
}

/* All that a subscription holds. */
static const char *heard(ouro_subscription *subscription)
{
        char item;

        while (ouro_broadcast_try_recv(subscription, &item, NULL) == 0)
                note(item);
        return noted();
}

/* The letter it got, or an error. */
static intptr_t hears(void *subscription)
{
        char item = '-';
        int error = ouro_broadcast_recv(subscription, &item, NULL);

        return error < 0 ? error : item;
}

static void start_hearing(struct other *other, bool in_loop, ouro_subscription *subscription)
{
        *other = (struct other){.fn = hears, .arg = subscription, .in_loop = in_loop};
        cr_assert_eq(pthread_create(&other->thread, NULL, run_other, other), 0);
}

static void close_down(ouro_subscription **subscriptions, size_t n)
{
        for (size_t i = 0; i < n; i++)
                cr_assert_eq(ouro_broadcast_unsubscribe(subscriptions[i]), 0);
        cr_assert_eq(ouro_broadcast_free(broadcast), 0);
}

RUN(broadcast, gives_each_subscriber_what_was_sent_after_it_came)
{
        ouro_subscription *subscriptions[2];

        broadcast = ouro_broadcast_new(1, 4);
        say("a");
        subscriptions[0] = ouro_broadcast_subscribe(broadcast);
        say("b");
        subscriptions[1] = ouro_broadcast_subscribe(broadcast);
        say("cd");
        cr_assert_str_eq(heard(subscriptions[0]), "bcd");
        cr_assert_str_eq(heard(subscriptions[1]), "cd");
        say("e");
        cr_assert_str_eq(heard(subscriptions[1]), "e");
        cr_assert_str_eq(heard(subscriptions[0]), "e");
        close_down(subscriptions, 2);
}

RUN(broadcast, tells_a_subscriber_that_lags_how_many_it_missed)
{
        ouro_subscription *subscriptions[2];
        uint64_t missed = 77;
        char item = '-';

        broadcast = ouro_broadcast_new(1, 3);
        for (size_t i = 0; i < 2; i++)
                subscriptions[i] = ouro_broadcast_subscribe(broadcast);
        say("abc");
        cr_assert_eq(ouro_broadcast_recv(subscriptions[0], &item, &missed), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(missed, 77u);
        say("defgh");
        cr_assert_eq(ouro_broadcast_recv(subscriptions[0], &item, &missed), -EOVERFLOW);
        cr_assert_eq(missed, 4u);
        cr_assert_eq(item, 'a');
        cr_assert_str_eq(heard(subscriptions[0]), "fgh");
        cr_assert_eq(ouro_broadcast_try_recv(subscriptions[1], &item, NULL), -EOVERFLOW);
        cr_assert_eq(told().missed, 4u + 5u);
        cr_assert_str_eq(heard(subscriptions[1]), "fgh");
        cr_assert_eq(told().sent, 8u);
        cr_assert_eq(told().received, 1u + 3u + 3u);
        cr_assert_eq(told().capacity, 3u);
        cr_assert_eq(told().subscribers, 2u);
        close_down(subscriptions, 2);
}

RUN(broadcast, wakes_tasks_of_this_loop_and_of_others_and_threads)
{
        ouro_subscription *subscriptions[3];
        struct other thread, loop;
        ouro_task task;

        broadcast = ouro_broadcast_new(1, 1);
        for (size_t i = 0; i < 3; i++)
                subscriptions[i] = ouro_broadcast_subscribe(broadcast);
        task = ouro_create_task(hears, subscriptions[0]);
        start_hearing(&thread, false, subscriptions[1]);
        start_hearing(&loop, true, subscriptions[2]);
        await_waiting(3);
        say("abc");
        cr_assert_eq(ouro_await(task), 'a', "who waits has its item, however fast the sender");
        cr_assert_eq(finish(&thread), 'a');
        cr_assert_eq(finish(&loop), 'a');
        for (size_t i = 0; i < 3; i++) {
                char item;

                cr_assert_eq(ouro_broadcast_recv(subscriptions[i], &item, NULL), -EOVERFLOW);
                cr_assert_str_eq(heard(subscriptions[i]), "c");
        }
        close_down(subscriptions, 3);
}

RUN(broadcast, closed_gives_what_it_holds_and_then_the_end)
{
        ouro_subscription *subscriptions[3];
        char item = 'x';
        ouro_task task;

        broadcast = ouro_broadcast_new(1, 2);
        subscriptions[0] = ouro_broadcast_subscribe(broadcast);
        say("ab");
        subscriptions[1] = ouro_broadcast_subscribe(broadcast);
        task = ouro_create_task(hears, subscriptions[1]);
        await_waiting(1);
        cr_assert_eq(ouro_broadcast_close(broadcast), 0);
        cr_assert_eq(ouro_broadcast_close(broadcast), -EPIPE);
        cr_assert_eq(ouro_broadcast_send(broadcast, &item), -EPIPE);
        cr_assert_eq(ouro_await(task), -EPIPE);
        cr_assert_str_eq(heard(subscriptions[0]), "ab");
        cr_assert_eq(hears(subscriptions[0]), -EPIPE);
        subscriptions[2] = ouro_broadcast_subscribe(broadcast);
        cr_assert_eq(hears(subscriptions[2]), -EPIPE);
        close_down(subscriptions, 3);
}

RUN(broadcast, cancelled_subscriber_takes_nothing_and_may_come_again)
{
        ouro_subscription *subscription;
        ouro_task task;
        char item = 'x';

        broadcast = ouro_broadcast_new(1, 2);
        subscription = ouro_broadcast_subscribe(broadcast);
        task = ouro_create_task(hears, subscription);
        await_waiting(1);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_broadcast_recv(subscription, &item, NULL), -ETIME);
        cr_assert_eq(told().waiting, 0u);
        say("a");
        cr_assert_eq(hears(subscription), 'a');
        close_down(&subscription, 1);
}

static intptr_t says_b(void *unused)
{
        (void)unused;
        say("b");
        return 0;
}

RUN(broadcast, item_that_was_handed_over_is_not_lost_by_a_cancellation)
{
        ouro_subscription *subscription;
        struct other thread;
        ouro_task task;

        broadcast = ouro_broadcast_new(1, 2);
        subscription = ouro_broadcast_subscribe(broadcast);
        task = ouro_create_task(hears, subscription);
        await_waiting(1);
        start(&thread, false, says_b, 0);
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 'b');
        close_down(&subscription, 1);
}

/* Served, and gone, before the loop of the one that waited has taken notice: nobody looks at it any more. */
static void *says_and_frees(void *subscription)
{
        cr_assert_eq(ouro_broadcast_send(broadcast, "a"), 1);
        cr_assert_eq(ouro_broadcast_unsubscribe(subscription), 0);
        return NULL;
}

RUN(broadcast, subscription_that_was_served_may_go_before_its_task_wakes)
{
        ouro_subscription *subscription;
        struct ouro_task_info info = OURO_TASK_INFO_INIT;
        pthread_t thread;
        ouro_task task;

        broadcast = ouro_broadcast_new(1, 1);
        subscription = ouro_broadcast_subscribe(broadcast);
        task = ouro_create_task(hears, subscription);
        await_waiting(1);
        cr_assert_eq(pthread_create(&thread, NULL, says_and_frees, subscription), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(ouro_task_info(task, &info), 0);
        cr_assert_eq(info.state, OURO_STATE_WAITING);
        cr_assert_eq(info.waits_for_object, broadcast);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 'a');
        cr_assert_eq(ouro_broadcast_free(broadcast), 0);
}

RUN(broadcast, is_not_freed_while_it_is_used)
{
        ouro_subscription *subscription;
        ouro_task task;
        char item;

        broadcast = ouro_broadcast_new(1, 2);
        subscription = ouro_broadcast_subscribe(broadcast);
        cr_assert_eq(ouro_broadcast_free(broadcast), -EBUSY);
        task = ouro_create_task(hears, subscription);
        await_waiting(1);
        cr_assert_eq(ouro_broadcast_unsubscribe(subscription), -EBUSY);
        cr_assert_eq(ouro_broadcast_recv(subscription, &item, NULL), -EBUSY);
        cr_assert_eq(ouro_broadcast_try_recv(subscription, &item, NULL), -EBUSY);
        say("a");
        cr_assert_eq(ouro_await(task), 'a');
        close_down(&subscription, 1);
}

static void misuse(void)
{
        struct ouro_broadcast_stats stats = {.size = 3};
        ouro_subscription *subscription;
        char item = 'x';

        cr_assert_null(ouro_broadcast_new(1, 0));
        cr_assert_null(ouro_broadcast_new(SIZE_MAX, 2));
        cr_assert_null(ouro_broadcast_new(1, SIZE_MAX));
        cr_assert_null(ouro_broadcast_subscribe(NULL));
        cr_assert_eq(ouro_broadcast_free(NULL), 0);
        cr_assert_eq(ouro_broadcast_unsubscribe(NULL), 0);
        cr_assert_eq(ouro_broadcast_send(NULL, &item), -EINVAL);
        cr_assert_eq(ouro_broadcast_recv(NULL, &item, NULL), -EINVAL);
        cr_assert_eq(ouro_broadcast_try_recv(NULL, &item, NULL), -EINVAL);
        cr_assert_eq(ouro_broadcast_close(NULL), -EINVAL);
        cr_assert_eq(ouro_broadcast_stats(NULL, &stats), -EINVAL);
        broadcast = ouro_broadcast_new(1, 1);
        subscription = ouro_broadcast_subscribe(broadcast);
        cr_assert_eq(ouro_broadcast_send(broadcast, NULL), -EINVAL);
        cr_assert_eq(ouro_broadcast_recv(subscription, NULL, NULL), -EINVAL);
        cr_assert_eq(ouro_broadcast_stats(broadcast, NULL), -EINVAL);
        cr_assert_eq(ouro_broadcast_stats(broadcast, &stats), -EINVAL);
        close_down(&subscription, 1);
        broadcast = ouro_broadcast_new(0, 1);
        subscription = ouro_broadcast_subscribe(broadcast);
        cr_assert_eq(ouro_broadcast_send(broadcast, NULL), 1);
        cr_assert_eq(ouro_broadcast_recv(subscription, NULL, NULL), 0);
        close_down(&subscription, 1);
}

Test(broadcast, is_not_used_wrongly)
{
        misuse();
        run_body(misuse, OURO_CLOCK_REAL);
}

Test(broadcast, f43_forked_child_is_told_that_it_is_not_its_own)
{
        struct ouro_broadcast_stats stats = {.size = sizeof stats};
        ouro_subscription *subscription;
        char item = 'x';
        int status;
        pid_t pid;

        broadcast = ouro_broadcast_new(1, 1);
        subscription = ouro_broadcast_subscribe(broadcast);
        pid = fork();
        if (pid == 0)
                _exit(!(ouro_broadcast_send(broadcast, &item) == -EPERM &&
                        ouro_broadcast_recv(subscription, &item, NULL) == -EPERM &&
                        !ouro_broadcast_subscribe(broadcast) && ouro_broadcast_close(broadcast) == -EPERM &&
                        ouro_broadcast_stats(broadcast, &stats) == -EPERM &&
                        ouro_broadcast_unsubscribe(subscription) == -EPERM &&
                        ouro_broadcast_free(broadcast) == -EPERM));
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0);
        close_down(&subscription, 1);
}
