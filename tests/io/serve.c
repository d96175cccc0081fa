/* Of lib/io/serve.c: what is served, where, and what happens when it fails. */
#include "support/serving.h"
#include "support/temp_dir.h"

TestSuite(serve, .init = temp_begin, .fini = temp_end, .timeout = 120);

/* ---- serving ---- */

IN_LOOP(serve, each_connection_has_a_task_of_its_own)
{
        struct serving serving = SERVING(serving_echo);

        serving_begin(&serving);
        int one = serving_dial(&serving), two = serving_dial(&serving);

        expect_echo(two, "second");
        expect_echo(one, "first");
        expect_echo(two, "again");
        EQ(serving_stats(&serving).open, 2);
        EQ(ouro_close(one), 0);
        EQ(ouro_close(two), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t says_hello(int fd, void *arg)
{
        (void)arg;
        return ouro_send_all(fd, "hello", 5, NULL);
}

IN_LOOP(serve, descriptor_is_closed_when_the_handler_has_returned)
{
        struct serving serving = SERVING(says_hello);
        char buf[8];

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        EQ(ouro_recv_all(fd, buf, 5, NULL), 0);
        EQ(ouro_recv(fd, buf, 1, 0), 0);
        EQ(ouro_close(fd), 0);
        EQ(serving_stats(&serving).served, 1);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t dials_each(int fd, void *arg)
{
        (void)arg;
        return says_hello(fd, NULL);
}

IN_LOOP(serve, several_addresses_have_one_server)
{
        static const char *const more[] = {"tcp:127.0.0.1:0", "unix:@ouro-test-serve-several"};
        struct serving serving = SERVING(dials_each);
        char text[192], buf[8];

        serving.options.addresses = more;
        serving.options.addresses_len = 2;
        serving_begin(&serving);
        for (size_t i = 0; i < 3; i++) {
                cr_assert(ouro_serve_address(serving.server, i, text, sizeof text) > 0);
                int fd = ouro_dial(text);

                cr_assert(fd >= 0);
                EQ(ouro_recv_all(fd, buf, 5, NULL), 0);
                EQ(ouro_close(fd), 0);
        }
        EQ(ouro_serve_address(serving.server, 3, text, sizeof text), -ENOENT);
        EQ(serving_stats(&serving).accepted, 3);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve, listener_that_was_lent_stays_open)
{
        int listener = ouro_listen("tcp:127.0.0.1:0");
        struct serving serving = SERVING(says_hello);
        char text[192], buf[8];

        serving.options.listeners = &listener;
        serving.options.listeners_len = 1;
        serving_begin(&serving);
        EQ(ouro_serve_listener(serving.server, 1), listener);
        cr_assert(ouro_serve_address(serving.server, 1, text, sizeof text) > 0);
        int fd = ouro_dial(text);

        EQ(ouro_recv_all(fd, buf, 5, NULL), 0);
        EQ(serving_end(&serving), 0);
        EQ(ouro_close(fd), 0);
        fd = ouro_dial(text); /* into the backlog, where it is found later */
        cr_assert(fd >= 0);
        int accepted = ouro_accept(listener, NULL, NULL);

        cr_assert(accepted >= 0);
        EQ(ouro_close(accepted), 0);
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

static intptr_t asks_who(void *arg)
{
        serving_note(arg, (intptr_t)ouro_serve_self());
        return 0;
}

static intptr_t asks_in_a_group(int fd, void *arg)
{
        (void)fd;
        asks_who(arg);
        OURO_GROUP(group) {
                ouro_create_task(asks_who, arg);
        }
        return 0;
}

IN_LOOP(serve, tasks_of_a_handler_know_their_server)
{
        struct serving serving = SERVING(asks_in_a_group);

        cr_assert_null(ouro_serve_self());
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 2);
        EQ(serving.notes[0], (intptr_t)serving.server);
        EQ(serving.notes[1], (intptr_t)serving.server);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve, path_of_a_unix_socket_is_removed_and_no_other)
{
        struct serving serving = SERVING(says_hello);

        serving.at = "unix:ours";
        serving_begin(&serving);
        EQ(access("ours", F_OK), 0);
        EQ(serving_end(&serving), 0);
        EQ(access("ours", F_OK), -1);

        serving = (struct serving)SERVING(says_hello);
        serving.at = "unix:ours";
        serving_begin(&serving);
        EQ(unlink("ours"), 0);
        int other = ouro_listen("unix:ours");

        EQ(serving_end(&serving), 0);
        EQ(access("ours", F_OK), 0);
        EQ(ouro_close(other), 0);
        return 0;
}

/* Of a loop of its own. */
struct half {
        struct ouro_listen_options listen;
        const char *address;
        ouro_loop *loop;
        struct serving serving;
};

static intptr_t serves_a_half(void *arg)
{
        struct half *half = arg;

        half->serving = (struct serving)SERVING(says_hello);
        half->serving.at = half->address;
        half->serving.options.listen = &half->listen;
        serving_begin(&half->serving);
        return 0;
}

static intptr_t ends_a_half(void *arg)
{
        struct half *half = arg;
        intptr_t accepted = (intptr_t)serving_stats(&half->serving).accepted, result;

        result = serving_end(&half->serving);
        return result < 0 ? result : accepted;
}

/* Both are closed before they end: a connection belongs to the one whose queue it is in. */
IN_LOOP(serve, servers_of_several_loops_share_a_port)
{
        enum { CLIENTS = 64 };
        struct half halves[2] = {{.address = NULL}, {.address = NULL}};
        ouro_loops *loops;
        char buf[8];

        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        options.count = 2;
        EQ(ouro_loops_open(&options, &loops), 0);
        for (unsigned i = 0; i < 2; i++) {
                halves[i].listen.size = sizeof halves[i].listen;
                halves[i].listen.flags = OURO_LISTEN_REUSE_PORT;
                halves[i].address = i ? halves[0].serving.address : NULL;
                halves[i].loop = ouro_loops_at(loops, i);
                EQ(ouro_run_on(halves[i].loop, serves_a_half, &halves[i]), 0);
        }
        for (int i = 0; i < CLIENTS; i++) {
                int fd = serving_dial(&halves[0].serving);

                EQ(ouro_recv_all(fd, buf, 5, NULL), 0);
                EQ(ouro_close(fd), 0);
        }
        intptr_t first = ouro_run_on(halves[0].loop, ends_a_half, &halves[0]);
        intptr_t second = ouro_run_on(halves[1].loop, ends_a_half, &halves[1]);

        cr_assert(first > 0 && second > 0, "%zd and %zd", (ssize_t)first, (ssize_t)second);
        EQ(first + second, CLIENTS);
        EQ(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
        return 0;
}

/* ---- failures ---- */

IN_LOOP(serve, f18_connections_accepted_at_the_stop_are_served_or_closed)
{
        for (int round = 0; round < 100; round++) {
                struct serving serving = SERVING(says_hello);
                char buf[8];

                serving_begin(&serving);
                int fd = serving_dial(&serving);

                if (round % 2)
                        ouro_yield();
                EQ(serving_end(&serving), 0);
                ssize_t n = ouro_recv(fd, buf, sizeof buf, 0);

                if (n != 5 && n != 0 && n != -ECONNRESET)
                        cr_assert_fail("%zd", n);
                EQ(ouro_close(fd), 0);
        }
        return 0;
}

/* The listener of a server is closed under it. */
IN_LOOP(serve, server_whose_listener_is_closed_ends_with_the_error)
{
        struct serving serving = SERVING(serving_echo);

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_echo(fd, "x");
        EQ(ouro_close(ouro_serve_listener(serving.server, 0)), 0);
        EQ(ouro_shutdown(fd, SHUT_WR), 0);
        EQ(ouro_await(serving.task), -EBADF);
        EQ(ouro_close(fd), 0);
        return 0;
}

static intptr_t fails_if_told(int fd, void *arg)
{
        char byte;
        ssize_t n = ouro_recv(fd, &byte, 1, 0);

        (void)arg;
        if (n != 1)
                return n;
        ouro_send(fd, &byte, 1, 0);
        return byte == 'f' ? -EILSEQ : 0;
}

static int lines;

static void count_line(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)arg;
        lines += strstr(message, "failed") != NULL;
}

IN_LOOP(serve, failed_handler_is_told_of_and_the_others_go_on)
{
        struct serving serving = SERVING(fails_if_told);

        lines = 0;
        ouro_set_log(count_line, NULL);
        serving_begin(&serving);
        int good = serving_dial(&serving), bad = serving_dial(&serving);

        expect_echo(bad, "f");
        expect_end(bad);
        expect_echo(good, "g");
        expect_end(good);
        struct ouro_serve_counts stats = serving_stats(&serving);

        EQ(stats.failed, 1);
        EQ(stats.served, 1);
        EQ(lines, 1);
        EQ(ouro_close(good), 0);
        EQ(ouro_close(bad), 0);
        EQ(serving_end(&serving), 0);
        ouro_set_log(NULL, NULL);
        return 0;
}

IN_LOOP(serve, failed_handler_ends_the_server_where_that_is_wanted)
{
        struct serving serving = SERVING(fails_if_told);

        ouro_set_log(count_line, NULL);
        serving.options.stop_on_failure = true;
        serving_begin(&serving);
        int waits = serving_dial(&serving), bad = serving_dial(&serving);

        expect_echo(bad, "f");
        EQ(ouro_await(serving.task), -EILSEQ);
        expect_end(waits);
        EQ(ouro_close(waits), 0);
        EQ(ouro_close(bad), 0);
        ouro_set_log(NULL, NULL);
        return 0;
}

static int refuses_to_begin(ouro_server *server, void *arg)
{
        (void)server, (void)arg;
        return -EOWNERDEAD;
}

IN_LOOP(serve, on_ready_may_refuse)
{
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;

        options.on_ready = refuses_to_begin;
        EQ(ouro_serve_fd("tcp:127.0.0.1:0", serving_echo, NULL, &options), -EOWNERDEAD);
        return 0;
}

IN_LOOP(serve, address_in_use_is_told_and_nothing_is_left)
{
        int listener = ouro_listen("unix:@ouro-test-serve-taken");
        static const char *const addresses[] = {"tcp:127.0.0.1:0", "unix:@ouro-test-serve-taken"};
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;

        options.addresses = addresses;
        options.addresses_len = 2;
        EQ(ouro_serve_fd(NULL, serving_echo, NULL, &options), -EADDRINUSE);
        EQ(ouro_close(listener), 0);
        return 0;
}
