/* Of lib/io/serve_accept.c and serve_connection.c: limits, and clients that give trouble. */
#include <fcntl.h>
#include <sys/resource.h>

#include "support/leaks.h"
#include "support/serving.h"

TestSuite(serve_limits, .init = leaks_begin, .fini = leaks_end, .timeout = 120);

/* ---- how many ---- */

IN_LOOP(serve_limits, further_connections_wait_until_one_has_ended)
{
        struct serving serving = SERVING(serving_echo);
        int fds[3];
        char buf[8];

        serving.options.connections = 2;
        serving_begin(&serving);
        for (int i = 0; i < 3; i++)
                fds[i] = serving_dial(&serving);
        expect_echo(fds[0], "a");
        expect_echo(fds[1], "b");
        EQ(ouro_send(fds[2], "c", 1, 0), 1);
        EQ(serving_stats(&serving).open, 2);
        EQ(serving_stats(&serving).accepted, 2);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_recv(fds[2], buf, sizeof buf, 0), 1);
        EQ(buf[0], 'c');
        EQ(ouro_close(fds[1]), 0);
        EQ(ouro_close(fds[2]), 0);
        struct ouro_serve_counts stats = serving_stats(&serving);

        EQ(stats.most_open, 2);
        EQ(stats.refused, 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_limits, limit_holds_for_all_addresses_together)
{
        static const char *const more[] = {"tcp:127.0.0.1:0"};
        struct serving serving = SERVING(serving_echo);
        char text[192], buf[8];

        serving.options.connections = 1;
        serving.options.addresses = more;
        serving.options.addresses_len = 1;
        serving_begin(&serving);
        cr_assert(ouro_serve_address(serving.server, 1, text, sizeof text) > 0);
        int one = serving_dial(&serving);

        expect_echo(one, "a");
        int two = ouro_dial(text);

        EQ(ouro_send(two, "b", 1, 0), 1);
        for (int i = 0; i < 20; i++)
                EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(serving_stats(&serving).open, 1);
        EQ(ouro_close(one), 0);
        EQ(ouro_recv(two, buf, sizeof buf, 0), 1);
        EQ(serving_stats(&serving).most_open, 1);
        EQ(ouro_close(two), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_limits, connection_that_waits_for_room_is_served_at_the_stop)
{
        static const char *const more[] = {"tcp:127.0.0.1:0"};
        struct serving serving = SERVING(serving_echo);
        char text[192];

        serving.options.connections = 1;
        serving.options.addresses = more;
        serving.options.addresses_len = 1;
        serving_begin(&serving);
        cr_assert(ouro_serve_address(serving.server, 1, text, sizeof text) > 0);
        int one = serving_dial(&serving);

        expect_echo(one, "a");
        int two = ouro_dial(text);

        for (int i = 0; i < 20; i++) /* let it be accepted */
                EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(ouro_serve_stop(serving.server), 0);
        expect_echo(two, "b");
        EQ(ouro_close(one), 0);
        EQ(ouro_close(two), 0);
        EQ(ouro_await(serving.task), 0);
        return 0;
}

IN_LOOP(serve_limits, further_connections_are_refused_where_that_is_wanted)
{
        struct serving serving = SERVING(serving_echo);

        serving.options.connections = 1;
        serving.options.when_full = OURO_SERVE_REFUSE;
        serving_begin(&serving);
        int one = serving_dial(&serving);

        expect_echo(one, "a");
        int two = serving_dial(&serving);

        expect_end(two);
        expect_echo(one, "b");
        EQ(serving_stats(&serving).refused, 1);
        EQ(ouro_close(one), 0);
        EQ(ouro_close(two), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_limits, memory_bounds_the_connections)
{
        struct serving serving = SERVING(serving_echo);

        serving.options.when_full = OURO_SERVE_REFUSE;
        serving.options.stack_bytes = 64 * 1024;
        serving.options.memory_bytes = 2 * (64 + 8) * 1024;
        serving_begin(&serving);
        int one = serving_dial(&serving), two = serving_dial(&serving);

        expect_echo(one, "a");
        expect_echo(two, "b");
        int three = serving_dial(&serving);

        expect_end(three);
        EQ(ouro_close(one), 0);
        EQ(ouro_close(two), 0);
        EQ(ouro_close(three), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* ---- how long ---- */

IN_LOOP(serve_limits, silent_connection_is_cut)
{
        struct serving serving = SERVING(serving_listen_only);

        serving.options.idle_ns = OURO_MS(40);
        serving_begin(&serving);
        int64_t began = ouro_now();
        int fd = serving_dial(&serving);

        expect_end(fd);
        cr_assert(ouro_now() - began >= OURO_MS(40));
        EQ(serving.notes[0], -ETIME);
        EQ(serving_stats(&serving).timed_out, 1);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_limits, limits_of_for_ever_are_none)
{
        struct serving serving = SERVING(serving_echo);

        serving.options.idle_ns = serving.options.total_ns = serving.options.drain_ns = OURO_FOREVER;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_echo(fd, "a");
        EQ(ouro_sleep(OURO_MS(2)), 0);
        expect_echo(fd, "b");
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* A byte now and then is no silence; how long that may go on is what total_ns is for. */
IN_LOOP(serve_limits, byte_by_byte_is_not_idle_but_ends_by_total_time)
{
        struct serving serving = SERVING(serving_listen_only);

        serving.options.idle_ns = OURO_SEC(20);
        serving.options.total_ns = OURO_MS(200);
        serving_begin(&serving);
        int fd = serving_dial(&serving);
        int64_t began = ouro_now();

        while (ouro_send(fd, "x", 1, 0) == 1)
                EQ(ouro_sleep(OURO_MS(2)), 0);
        cr_assert(ouro_now() - began >= OURO_MS(200));
        EQ(serving.notes[0], -ETIME);
        EQ(serving_stats(&serving).timed_out, 1);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* Ten times as long as the limit on silence, a byte at a time. */
IN_LOOP(serve_limits, bytes_either_way_keep_a_connection)
{
        struct serving serving = SERVING(serving_echo);

        serving.options.idle_ns = OURO_SEC(2);
        serving_begin(&serving);
        int fd = serving_dial(&serving);
        int64_t began = ouro_now();

        while (ouro_now() - began < OURO_SEC(5)) {
                expect_echo(fd, "x");
                EQ(ouro_sleep(OURO_MS(50)), 0);
        }
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t sends_for_ever(int fd, void *arg)
{
        static const char block[64 * 1024];
        ssize_t n;

        while ((n = ouro_send(fd, block, sizeof block, 0)) > 0)
                ;
        serving_note(arg, n);
        return n;
}

IN_LOOP(serve_limits, client_that_never_reads_is_cut)
{
        struct serving serving = SERVING(sends_for_ever);

        serving.options.idle_ns = OURO_MS(100);
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(serving.notes[0], -ETIME);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t says_why(int fd, void *arg)
{
        char byte;
        ssize_t n = ouro_recv(fd, &byte, 1, 0);

        serving_note(arg, n);
        serving_note(arg, ouro_send(fd, "late", 4, 0));
        OURO_SHIELD
        {
                OURO_TIMEOUT(OURO_SEC(20))
                        serving_note(arg, ouro_send(fd, "late", 4, 0));
        }
        return n;
}

IN_LOOP(serve_limits, in_a_shield_the_peer_can_be_told_why)
{
        struct serving serving = SERVING(says_why);
        char buf[8];

        serving.options.total_ns = OURO_MS(20);
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        EQ(ouro_recv_all(fd, buf, 4, NULL), 0);
        expect_end(fd);
        EQ(serving.notes[0], -ETIME);
        EQ(serving.notes[1], -ETIME);
        EQ(serving.notes[2], 4);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* ---- clients that give trouble ---- */

IN_LOOP(serve_limits, reset_is_that_connections_own_affair)
{
        struct serving serving = SERVING(serving_listen_only);

        serving_begin(&serving);
        int good = serving_dial(&serving), bad = serving_dial(&serving);

        EQ(ouro_send(bad, "x", 1, 0), 1);
        EQ(ouro_send(good, "x", 1, 0), 1);
        while (serving_stats(&serving).open < 2)
                EQ(ouro_yield(), 0);
        reset(bad);
        serving_await_notes(&serving, 1);
        EQ(serving.notes[0], -ECONNRESET);
        EQ(ouro_send(good, "y", 1, 0), 1);
        EQ(ouro_shutdown(good, SHUT_WR), 0);
        serving_await_notes(&serving, 2);
        EQ(serving.notes[1], 0);
        expect_end(good);
        EQ(serving_stats(&serving).lost, 1);
        EQ(serving_stats(&serving).served, 1);
        EQ(ouro_close(good), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t answers_the_end(int fd, void *arg)
{
        intptr_t n = serving_listen_only(fd, arg);

        return n < 0 ? n : ouro_send_all(fd, "all of it", 9, NULL);
}

IN_LOOP(serve_limits, half_closed_connection_gets_its_answer)
{
        struct serving serving = SERVING(answers_the_end);
        char buf[16];

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        EQ(ouro_send(fd, "that is all", 11, 0), 11);
        EQ(ouro_shutdown(fd, SHUT_WR), 0);
        EQ(ouro_recv_all(fd, buf, 9, NULL), 0);
        expect_end(fd);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* Connections that are opened and never heard of again do not keep others out for longer than idle_ns. */
IN_LOOP(serve_limits, vanished_clients_make_room)
{
        enum { GONE = 20 };
        struct serving serving = SERVING(serving_echo);
        int fds[GONE];

        serving.options.connections = GONE;
        serving.options.idle_ns = OURO_SEC(1);
        serving_begin(&serving);
        for (int i = 0; i < GONE; i++)
                fds[i] = serving_dial(&serving);
        int fd = serving_dial(&serving);

        expect_echo(fd, "still there");
        for (int i = 0; i < GONE; i++) {
                expect_end(fds[i]);
                EQ(ouro_close(fds[i]), 0);
        }
        EQ(serving_stats(&serving).timed_out, GONE);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t holds_a_recv(void *arg)
{
        char byte;
        struct serving *serving = arg;
        ssize_t n = ouro_recv((int)serving->notes[0], &byte, 1, 0);

        serving_note(serving, n);
        return 0;
}

static intptr_t leaves_a_reader(int fd, void *arg)
{
        serving_note(arg, fd);
        ouro_go(holds_a_recv, arg);
        ouro_yield();
        return 0;
}

/* The handler has returned, and a task that it left still receives. */
IN_LOOP(serve_limits, f22_peer_sees_the_end_while_a_recv_is_held)
{
        struct serving serving = SERVING(leaves_a_reader);

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_end(fd);
        serving_await_notes(&serving, 2);
        EQ(serving.notes[1], -EBADF);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* ---- short of descriptors ---- */

static int shortages;

static void count_shortages(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)arg;
        shortages += strstr(message, "cannot accept") != NULL;
}

/* Lets the process have no more descriptors than it has. */
static struct rlimit allow_no_more(void)
{
        struct rlimit before, now;
        int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

        close(next);
        getrlimit(RLIMIT_NOFILE, &before);
        now = before;
        now.rlim_cur = (rlim_t)next;
        EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
        return before;
}

/* A client beside, with two more sockets that are not connected yet: io_uring notes the limit when an accept
 * is begun, so that the one under way may still succeed. */
struct crowd {
        int one, late[2];
        struct sockaddr_storage addr;
        socklen_t len;
        struct rlimit before;
};

static void crowd_begin(const struct serving *serving, struct crowd *crowd)
{
        shortages = 0;
        ouro_set_log(count_shortages, NULL);
        crowd->one = serving_dial(serving);
        crowd->len = sizeof crowd->addr;
        expect_echo(crowd->one, "a");
        EQ(getpeername(crowd->one, (struct sockaddr *)&crowd->addr, &crowd->len), 0);
        for (int i = 0; i < 2; i++)
                crowd->late[i] = ouro_socket(AF_INET, SOCK_STREAM, 0);
        crowd->before = allow_no_more();
        for (int i = 0; i < 2; i++) {
                EQ(ouro_connect(crowd->late[i], (struct sockaddr *)&crowd->addr, crowd->len), 0);
                EQ(ouro_send(crowd->late[i], "b", 1, 0), 1);
        }
}

static void crowd_gets_its_echo(const struct crowd *crowd)
{
        char byte = 0;

        for (int i = 0; i < 2; i++) {
                EQ(ouro_recv(crowd->late[i], &byte, 1, 0), 1);
                EQ(byte, 'b');
                EQ(ouro_close(crowd->late[i]), 0);
        }
        ouro_set_log(NULL, NULL);
}

IN_LOOP(serve_limits, f26_without_descriptors_it_backs_off_and_serves_the_others)
{
        struct serving serving = SERVING(serving_echo);
        struct crowd crowd;

        serving.options.connections =
                1000; /* a multishot accept keeps to the limit that it was begun under */
        serving_begin(&serving);
        crowd_begin(&serving, &crowd);
        int64_t began = ouro_now();

        while (serving_stats(&serving).back_offs < 3) {
                expect_echo(crowd.one, "c");
                EQ(ouro_sleep(OURO_MS(1)), 0);
        }
        cr_assert(serving_stats(&serving).accepted <= 2);
        /* 5 ms, then 10, then 20: more than so many there cannot have been. */
        cr_assert((int64_t)serving_stats(&serving).back_offs <= 3 + (ouro_now() - began) / OURO_MS(5));
        EQ(shortages, 1);
        EQ(setrlimit(RLIMIT_NOFILE, &crowd.before), 0);
        crowd_gets_its_echo(&crowd);
        EQ(ouro_close(crowd.one), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_limits, f26_connection_that_ends_makes_room_for_the_next)
{
        struct serving serving = SERVING(serving_echo);
        struct crowd crowd;
        char byte;

        serving.options.connections =
                1000; /* a multishot accept keeps to the limit that it was begun under */
        serving_begin(&serving);
        crowd_begin(&serving, &crowd);
        int64_t began = ouro_now();

        while (serving_stats(&serving).back_offs < 1)
                EQ(ouro_yield(), 0);
        EQ(ouro_shutdown(crowd.one, SHUT_WR), 0);
        EQ(ouro_recv(crowd.one, &byte, 1, 0), 0);
        EQ(ouro_shutdown(crowd.late[0], SHUT_WR), 0);
        EQ(ouro_shutdown(crowd.late[1], SHUT_WR), 0);
        crowd_gets_its_echo(&crowd);
        cr_assert(shortages <= 1 + (ouro_now() - began) / OURO_SEC(1), "told %d times", shortages);
        EQ(setrlimit(RLIMIT_NOFILE, &crowd.before), 0);
        EQ(ouro_close(crowd.one), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}
