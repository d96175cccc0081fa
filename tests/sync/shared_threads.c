/* Of lib/sync/shared.c: what other threads, loops and processes have to do with a shared channel, and wakes
 * that race with sleeps. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/shared_tests.h"

TestSuite(shared_threads, .init = leaks_begin, .fini = leaks_end);

/* ---- whose it is ---- */

RUN_VIRTUAL(shared_threads, wait_for_another_thread_holds_the_virtual_clock)
{
        struct other thread;
        ouro_task sleeper = ouro_create_task(sleeps_ms, as_arg(3600 * 1000)), task;

        chan = ouro_chan_new_shared(1, 0);
        task = ouro_create_task(receives, NULL);
        cr_assert_eq(ouro_yield(), 0);
        start(&thread, false, sends, 'a');
        cr_assert_eq(ouro_await(task), 'a');
        cr_assert_lt(ouro_now(), OURO_SEC(3600));
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_await(sleeper), 0);
        cr_assert_eq(ouro_now() / OURO_SEC(60), 60);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t uses_all(void *unused)
{
        char item = 'f';

        (void)unused;
        cr_assert_eq(ouro_chan_try_send(chan, &item), 0);
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(ouro_chan_send(chan, &item), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), 0);
        cr_assert_eq(ouro_chan_len(chan), 0u);
        cr_assert_eq(stats().len, 0u);
        return 0;
}

RUN(shared_threads, f38_belongs_to_no_loop)
{
        struct other thread;

        chan = ouro_chan_new_shared(1, 1);
        uses_all(NULL);
        for (int in_loop = 0; in_loop < 2; in_loop++) {
                start(&thread, in_loop, uses_all, 0);
                cr_assert_eq(finish(&thread), 0);
        }
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static void misuse(void)
{
        struct ouro_channel_stats wrong = {.size = 1};
        char item = 'x';

        cr_assert_eq(ouro_chan_send(chan, NULL), -EINVAL);
        cr_assert_eq(ouro_chan_recv(chan, NULL), -EINVAL);
        cr_assert_eq(ouro_chan_try_send(chan, NULL), -EINVAL);
        cr_assert_eq(ouro_chan_try_recv(chan, NULL), -EINVAL);
        cr_assert_eq(ouro_chan_stats(chan, NULL), -EINVAL);
        cr_assert_eq(ouro_chan_stats(chan, &wrong), -EINVAL);
        cr_assert_eq(ouro_chan_free(NULL), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        cr_assert_eq(item, 'x');
}

Test(shared_threads, is_not_used_wrongly)
{
        chan = ouro_chan_new_shared(1, 1);
        misuse();
        run_body(misuse, OURO_CLOCK_REAL);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static void in_child(void)
{
        char item;
        bool right = ouro_chan_recv(chan, &item) == -EPERM && ouro_chan_close(chan) == -EPERM &&
                     ouro_chan_free(chan) == -EPERM;

        _exit(right ? 0 : 1);
}

RUN(shared_threads, f43_forked_child_is_told_that_it_is_not_its_own)
{
        ouro_task task;
        pid_t pid;
        int status;

        chan = ouro_chan_new_shared(1, 1);
        task = waits(receives, 0);
        pid = fork();
        if (pid == 0)
                in_child();
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0);
        put("a");
        cr_assert_eq(ouro_await(task), 'a');
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- many wakes ---- */

static intptr_t echoes(void *other_chan)
{
        ouro_chan *back = other_chan;
        int item;

        while (ouro_chan_recv(chan, &item) == 0)
                if (ouro_chan_send(back, &item) < 0)
                        return -1;
        return 0;
}

enum { ROUNDS = 20000 };

/* Each side goes to sleep just when the other wakes it. */
static void play_ping_pong(bool other_in_loop, size_t capacity)
{
        ouro_chan *back = ouro_chan_new_shared(sizeof(int), capacity);
        struct other other = {.fn = echoes, .arg = back, .in_loop = other_in_loop};

        chan = ouro_chan_new_shared(sizeof(int), capacity);
        cr_assert_eq(pthread_create(&other.thread, NULL, run_other, &other), 0);
        for (int i = 0; i < ROUNDS; i++) {
                int item = -1;

                cr_assert_eq(ouro_chan_send(chan, &i), 0);
                cr_assert_eq(ouro_chan_recv(back, &item), 0);
                cr_assert_eq(item, i);
        }
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(finish(&other), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
        cr_assert_eq(ouro_chan_free(back), 0);
}

static intptr_t plays_without_spinning(void *unused)
{
        (void)unused;
        play_ping_pong(true, 1);
        play_ping_pong(false, 0);
        return 0;
}

Test(shared_threads, f40_wake_that_races_with_the_loop_going_to_sleep_is_not_lost)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.spin_ns = -1;
        cr_assert_eq(ouro_run_with(&options, plays_without_spinning, NULL), 0);
}

RUN(shared_threads, f40_wake_that_races_with_a_loop_that_spins_is_not_lost)
{
        play_ping_pong(true, 1);
        play_ping_pong(false, 1);
}

enum { CROWD = 500 };

static intptr_t sends_to_the_crowd(void *unused)
{
        (void)unused;
        for (int i = 0; i < CROWD; i++)
                put("a");
        return 0;
}

/* More wakes than a loop takes in at once, while it does not run at all. */
RUN(shared_threads, f41_wakes_that_pile_up_are_not_lost)
{
        static ouro_task tasks[CROWD];
        static intptr_t results[CROWD];
        struct other thread;

        chan = ouro_chan_new_shared(1, 1);
        for (int i = 0; i < CROWD; i++)
                tasks[i] = ouro_create_task(receives, NULL);
        while (waiting() < CROWD)
                cr_assert_eq(ouro_yield(), 0);
        start(&thread, false, sends_to_the_crowd, 0);
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_gather(tasks, CROWD, results), 0);
        for (int i = 0; i < CROWD; i++)
                cr_assert_eq(results[i], 'a');
        cr_assert_eq(stats().received, (uint64_t)CROWD);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static bool stop;

static intptr_t stops_later(void *unused)
{
        int error = ouro_sleep(OURO_MS(1));

        (void)unused;
        stop = true;
        return error;
}

RUN(shared_threads, f39_that_never_makes_wait_lets_others_and_timers_run)
{
        ouro_task task = ouro_create_task(stops_later, NULL);
        char item = 'a';

        chan = ouro_chan_new_shared(1, 2);
        while (!stop) {
                cr_assert_eq(ouro_chan_send(chan, &item), 0);
                cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        }
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}
