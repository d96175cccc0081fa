/* Of lib/io/serve.c: how a server ends. */
#include <pthread.h>
#include <signal.h>

#include "support/serving.h"
#include "support/temp_dir.h"

TestSuite(serve_stop, .init = temp_begin, .fini = temp_end, .timeout = 120);

/* ---- stopping ---- */

/* Asks for a byte, and answers it slowly. */
static intptr_t answers_after_the_stop(int fd, void *arg)
{
        struct serving *serving = arg;
        char byte;
        ssize_t n = ouro_recv(fd, &byte, 1, 0);

        if (n != 1)
                return n;
        serving_note(serving, 0);
        while (!ouro_serve_stopping())
                ouro_yield();
        return ouro_send_all(fd, &byte, 1, NULL);
}

IN_LOOP(serve_stop, stop_lets_a_request_be_answered_and_accepts_no_more)
{
        struct serving serving = SERVING(answers_after_the_stop);
        char byte = 'x';

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        EQ(ouro_send(fd, &byte, 1, 0), 1);
        serving_await_notes(&serving, 1);
        cr_assert_not(ouro_serve_stopping());
        EQ(ouro_serve_stop(serving.server), 0);
        EQ(ouro_serve_stop(serving.server), 0);
        byte = 0;
        EQ(ouro_recv(fd, &byte, 1, 0), 1);
        EQ(byte, 'x');
        EQ(ouro_await(serving.task), 0);
        EQ(ouro_dial(serving.address), -ECONNREFUSED);
        EQ(ouro_close(fd), 0);
        return 0;
}

static intptr_t sleeps_on(int fd, void *arg)
{
        (void)fd;
        serving_note(arg, 0);
        intptr_t result = ouro_sleep(OURO_FOREVER);

        serving_note(arg, result);
        return result;
}

IN_LOOP(serve_stop, connections_left_at_the_deadline_are_cancelled)
{
        struct serving serving = SERVING(sleeps_on);

        serving.options.drain_ns = OURO_MS(20);
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(serving_end(&serving), 0);
        EQ(serving.notes_len, 2);
        EQ(serving.notes[1], -ECANCELED);
        expect_end(fd);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(serve_stop, no_time_to_drain_cancels_at_once)
{
        struct serving serving = SERVING(sleeps_on);

        serving.options.drain_ns = -1;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(serving_end(&serving), 0);
        EQ(serving.notes[1], -ECANCELED);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(serve_stop, cancelled_caller_cancels_its_connections)
{
        struct serving serving = SERVING(sleeps_on);

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(ouro_cancel(serving.task), 0);
        EQ(ouro_await(serving.task), -ECANCELED);
        EQ(serving.notes[1], -ECANCELED);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(serve_stop, expired_scope_of_the_caller_ends_the_server)
{
        struct serving serving = SERVING(serving_echo);
        int result = 0;

        OURO_TIMEOUT(OURO_MS(10))
                result = ouro_serve_fd("tcp:127.0.0.1:0", serving_echo, &serving, NULL);
        EQ(result, -ETIME);
        return 0;
}

/* Answers each byte, and rests in between. */
static intptr_t rests(int fd, void *arg)
{
        struct serving *serving = arg;
        ssize_t n = 1;

        while (n > 0) {
                char byte;

                OURO_SERVE_REST {
                        n = ouro_recv(fd, &byte, 1, 0);
                }
                if (n > 0)
                        n = ouro_send(fd, &byte, 1, 0);
        }
        serving_note(serving, n);
        n = ouro_send(fd, "bye", 3, 0); /* after the block it can wait again */
        serving_note(serving, n);
        return 0;
}

IN_LOOP(serve_stop, handlers_that_rest_are_told_to_go)
{
        struct serving serving = SERVING(rests);
        char buf[4];

        serving.options.drain_ns = OURO_FOREVER;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_echo(fd, "x");
        EQ(serving_end(&serving), 0);
        EQ(serving.notes[0], -ECANCELED);
        EQ(serving.notes[1], 3);
        EQ(ouro_recv_all(fd, buf, 3, NULL), 0);
        EQ(ouro_close(fd), 0);
        return 0;
}

static intptr_t rests_when_told(int fd, void *arg)
{
        struct ouro_serve_rest rest;
        char byte;

        serving_note(arg, 0);
        while (!ouro_serve_stopping())
                ouro_yield();
        ouro_serve_rest_open(&rest);
        serving_note(arg, ouro_recv(fd, &byte, 1, 0));
        serving_note(arg, ouro_serve_rest_close(&rest));
        return 0;
}

IN_LOOP(serve_stop, rest_begun_after_the_stop_is_over_at_once)
{
        struct serving serving = SERVING(rests_when_told);

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(serving_end(&serving), 0);
        EQ(serving.notes[1], -ECANCELED);
        EQ(serving.notes[2], 1);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(serve_stop, rest_outside_a_server_is_a_plain_block)
{
        struct ouro_serve_rest rest;
        int rounds = 0;

        OURO_SERVE_REST {
                EQ(ouro_yield(), 0);
                rounds++;
        }
        EQ(rounds, 1);
        cr_assert_null(ouro_serve_rest_open(NULL));
        cr_assert_eq(ouro_serve_rest_open(&rest), &rest);
        EQ(ouro_serve_rest_close(&rest), 0);
        EQ(ouro_serve_rest_close(&rest), -EINVAL);
        EQ(ouro_serve_rest_close(NULL), -EINVAL);
        return 0;
}

static intptr_t stops_its_server(int fd, void *arg)
{
        (void)fd, (void)arg;
        return ouro_serve_stop(ouro_serve_self());
}

IN_LOOP(serve_stop, handler_may_stop_its_server)
{
        struct serving serving = SERVING(stops_its_server);

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        EQ(ouro_await(serving.task), 0);
        EQ(ouro_close(fd), 0);
        return 0;
}

static void *stops_from_a_thread(void *arg)
{
        struct serving *serving = arg;

        return (void *)(intptr_t)ouro_serve_stop(serving->server);
}

IN_LOOP(serve_stop, another_thread_may_stop_a_server)
{
        struct serving serving = SERVING(serving_echo);
        pthread_t thread;
        void *result;

        serving_begin(&serving);
        EQ(pthread_create(&thread, NULL, stops_from_a_thread, &serving), 0);
        EQ(ouro_await(serving.task), 0);
        EQ(pthread_join(thread, &result), 0);
        EQ((intptr_t)result, 0);
        return 0;
}

IN_LOOP(serve_stop, signal_stops_and_a_second_one_hurries)
{
        struct serving serving = SERVING(sleeps_on);

        serving.options.signals = OURO_INTERRUPT_SIGTERM | OURO_INTERRUPT_SIGINT;
        serving.options.drain_ns = OURO_FOREVER;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(raise(SIGTERM), 0);
        while (ouro_serve_listener(serving.server, 0) >= 0)
                EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(serving_stats(&serving).open, 1);
        EQ(raise(SIGINT), 0);
        EQ(ouro_await(serving.task), 0);
        EQ(serving.notes[1], -ECANCELED);
        EQ(ouro_close(fd), 0);
        return 0;
}
