/* Of lib/io/dial.c and dial_race.c: options of connections, and names whose addresses race. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>

#include "io/resolver.h"
#include "support/leaks.h"
#include "support/own_net.h"

static bool has_own_net;

static void begin(void)
{
        temp_begin();
        has_own_net = own_net_begin("127.0.0.1 one.test\n"
                                    "127.0.0.1 two.test\n127.0.0.2 two.test\n"
                                    "127.0.0.2 slow.test\n127.0.0.3 slow.test\n"
                                    "127.0.0.2 slower.test\n127.0.0.4 slower.test\n127.0.0.3 slower.test\n"
                                    "192.0.2.1 far.test\n127.0.0.1 far.test\n"
                                    "192.0.2.1 farther.test\n192.0.2.2 farther.test\n"
                                    "127.0.0.1 mixed.test\n::1 mixed.test\n"
                                    "127.0.0.1 localhost\n::1 localhost\n");
        leaks_begin();
}

static void end(void)
{
        leaks_end();
        temp_end();
}

TestSuite(dial, .init = begin, .fini = end);

#define NEEDS_OWN_NET()                                                                                      \
        do {                                                                                                 \
                if (!has_own_net) {                                                                          \
                        PASSED_OVER("no namespaces here");                                                   \
                        return 0;                                                                            \
                }                                                                                            \
        } while (0)

enum { PORT = 4711 }; /* in a network of its own */

static int listen_at(const char *host)
{
        char text[64];
        int fd;

        snprintf(text, sizeof text, "tcp:%s:%d", host, PORT);
        fd = ouro_listen(text);
        cr_assert(fd >= 0, "%s: %d", text, fd);
        return fd;
}

/* A host that answers nothing: its listener has no room, so that the kernel drops what comes. */
struct hole {
        int listener;
        int waiting[2];
};

static struct hole dig(const char *host)
{
        struct hole hole = {.listener = listen_at(host)};
        char text[64];

        EQ(ouro_listen_on(hole.listener, 1), 0);
        snprintf(text, sizeof text, "tcp:%s:%d", host, PORT);
        for (int i = 0; i < 2; i++) {
                hole.waiting[i] = ouro_dial(text);
                cr_assert(hole.waiting[i] >= 0);
        }
        OURO_TIMEOUT(OURO_MS(50))
                EQ(ouro_dial(text), -ETIME);
        return hole;
}

static void fill_in(const struct hole *hole)
{
        EQ(ouro_close(hole->waiting[0]), 0);
        EQ(ouro_close(hole->waiting[1]), 0);
        EQ(ouro_close(hole->listener), 0);
}

static const char *peer_of(int fd)
{
        static char text[OURO_ADDRESS_TEXT];
        struct ouro_address address;

        cr_assert(fd >= 0, "%d", fd);
        EQ(ouro_peer_address(fd, &address), 0);
        cr_assert(ouro_address_format(&address, text, sizeof text) > 0);
        return text;
}

static struct ouro_dial_options quickly(void)
{
        struct ouro_dial_options options = OURO_DIAL_OPTIONS_INIT;

        options.attempt_delay_ns = OURO_MS(10);
        return options;
}

/* ---- names ---- */

IN_LOOP(dial, name_with_one_address_is_dialled)
{
        int listener, fd;

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        fd = ouro_dial("tcp:one.test:4711");
        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.1:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        EQ(ouro_dial("tcp:one.test:4711"), -ECONNREFUSED);
        return 0;
}

IN_LOOP(dial, name_that_does_not_resolve_is_told)
{
        struct ouro_dial_options options = OURO_DIAL_OPTIONS_INIT;
        struct ouro_resolve_options resolve = OURO_RESOLVE_OPTIONS_INIT;
        int gai = 4711;

        NEEDS_OWN_NET();
        options.ret_gai = &gai;
        EQ(ouro_dial_with("tcp:nowhere.test:80", &options), -EHOSTUNREACH); /* there is no name server */
        EQ(gai, EAI_AGAIN);
        EQ(ouro_dial_with("tcp6:one.test:80", &options),
           -EHOSTUNREACH); /* the file has none of that family */
        EQ(ouro_dial_with("tcp:one.test:nonsense", &options), -EPROTONOSUPPORT);
        EQ(gai, EAI_SERVICE);
        gai = 4711;
        options.resolve = &resolve;
        resolve.ret_gai = &gai;
        options.ret_gai = NULL;
        EQ(ouro_dial_with("tcp:one.test:nonsense", &options), -EPROTONOSUPPORT);
        EQ(gai, EAI_SERVICE);
        resolve.flags = OURO_RESOLVE_NUMERIC;
        EQ(ouro_dial_with("tcp:one.test:80", &options), -ENOENT);
        resolve.size = 0;
        EQ(ouro_dial_with("tcp:one.test:80", &options), -EINVAL);
        return 0;
}

IN_LOOP(dial, datagram_socket_is_connected_by_name)
{
        int server, client;
        char buf[8];

        NEEDS_OWN_NET();
        server = ouro_listen("udp:127.0.0.1:4711");
        client = ouro_dial("udp:one.test:4711");
        EQ(ouro_send(client, "x", 1, 0), 1);
        EQ(ouro_recv(server, buf, sizeof buf, 0), 1);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

/* ---- races ---- */

IN_LOOP(dial, address_that_answers_wins_over_one_that_does_not)
{
        struct ouro_dial_options options = quickly();
        struct hole hole;
        int listener, fd;

        NEEDS_OWN_NET();
        hole = dig("127.0.0.2");
        listener = listen_at("127.0.0.3");
        fd = ouro_dial_with("tcp:slow.test:4711", &options);
        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.3:4711");
        EQ(ouro_close(fd), 0);
        fd = ouro_dial("tcp:slow.test:4711"); /* by the usual 250 ms, too */
        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.3:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        fill_in(&hole);
        return 0;
}

/* Refused at once: the next is tried long before its time. */
IN_LOOP(dial, failed_attempt_brings_the_next_at_once)
{
        struct ouro_dial_options options = OURO_DIAL_OPTIONS_INIT;
        int listener, fd;

        NEEDS_OWN_NET();
        options.attempt_delay_ns = OURO_SEC(100000);
        listener = listen_at("127.0.0.2");
        fd = ouro_dial_with("tcp:two.test:4711", &options);
        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.2:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        listener = listen_at("127.0.0.1");
        fd = ouro_dial_with("tcp:far.test:4711", &options); /* the first has no route */
        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.1:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(dial, most_telling_error_is_returned)
{
        struct ouro_dial_options options = quickly();

        NEEDS_OWN_NET();
        EQ(ouro_dial_with("tcp:far.test:4711", &options), -ECONNREFUSED); /* and not -ENETUNREACH */
        EQ(ouro_dial_with("tcp:farther.test:4711", &options), -ENETUNREACH);
        EQ(ouro_dial_with("tcp:two.test:4711", &options), -ECONNREFUSED);
        options.flags = OURO_DIAL_NO_RACE;
        EQ(ouro_dial_with("tcp:far.test:4711", &options), -ECONNREFUSED);
        return 0;
}

IN_LOOP(dial, race_ends_with_its_scope_and_leaves_nothing_open)
{
        struct ouro_dial_options options = quickly();
        struct hole first, second, third;

        NEEDS_OWN_NET();
        first = dig("127.0.0.2");
        second = dig("127.0.0.3");
        third = dig("127.0.0.4");
        OURO_TIMEOUT(OURO_MS(60))
                EQ(ouro_dial_with("tcp:slower.test:4711", &options), -ETIME);
        fill_in(&first);
        fill_in(&second);
        fill_in(&third);
        return 0;
}

static intptr_t dial_slow(void *arg)
{
        struct ouro_dial_options options = quickly();

        (void)arg;
        return ouro_dial_with("tcp:slower.test:4711", &options);
}

IN_LOOP(dial, race_can_be_cancelled)
{
        struct hole first, second, third;
        ouro_task task;

        NEEDS_OWN_NET();
        first = dig("127.0.0.2");
        second = dig("127.0.0.3");
        third = dig("127.0.0.4");
        task = ouro_create_task(dial_slow, NULL);
        ouro_sleep(OURO_MS(30)); /* all three are under way */
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        fill_in(&first);
        fill_in(&second);
        fill_in(&third);
        return 0;
}

struct dialling {
        const char *text;
        bool began;
};

static intptr_t dial_here(void *arg)
{
        struct dialling *dialling = arg;
        struct ouro_dial_options options = quickly();

        dialling->began = true;
        return ouro_dial_with(dialling->text, &options);
}

/* Cut at every turn of its way: the connection is handed over, or it is closed. */
IN_LOOP(dial, f18_connection_that_succeeds_while_being_cancelled_is_not_lost)
{
        int listener, handed_over = 0;

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        for (int i = 0; i < 60; i++) {
                struct dialling dialling = {i % 2 ? "tcp:far.test:4711" : "tcp:two.test:4711", false};
                ouro_task task = ouro_create_task(dial_here, &dialling);
                intptr_t result;

                for (int turn = 0; turn < i / 4; turn++)
                        ouro_yield();
                EQ(ouro_cancel(task) == 0 || ouro_task_state(task) == OURO_STATE_ENDED, true);
                result = ouro_await(task);
                if (result >= 0) {
                        handed_over++;
                        EQ(ouro_close((int)result), 0);
                } else {
                        EQ(result, -ECANCELED);
                }
        }
        cr_assert(handed_over < 60);
        EQ(ouro_close(listener), 0);
        return 0;
}

static intptr_t race_on_a_virtual_clock(void *arg)
{
        struct hole hole = dig("127.0.0.2");
        int listener = listen_at("127.0.0.3"), fd = ouro_dial("tcp:slow.test:4711");

        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.3:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        fill_in(&hole);
        return (intptr_t)arg;
}

/* What waits for the kernel or for a name keeps that clock at the pace of the real one. */
Test(dial, race_goes_on_under_a_virtual_clock)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        if (!has_own_net) {
                PASSED_OVER("no namespaces here");
                return;
        }
        options.clock = OURO_CLOCK_VIRTUAL;
        EQ(ouro_run_with(&options, race_on_a_virtual_clock, NULL), 0);
}

IN_LOOP(dial, without_a_race_the_next_waits_for_the_failure_of_the_last)
{
        struct ouro_dial_options options = quickly();
        struct hole hole;
        int listener;

        NEEDS_OWN_NET();
        options.flags = OURO_DIAL_NO_RACE;
        hole = dig("127.0.0.2");
        listener = listen_at("127.0.0.3");
        OURO_TIMEOUT(OURO_MS(100))
                EQ(ouro_dial_with("tcp:slow.test:4711", &options), -ETIME);
        OURO_TIMEOUT(0)
                EQ(ouro_accept(listener, NULL, NULL), -ETIME);
        fill_in(&hole);
        EQ(ouro_close(listener), 0);
        return 0;
}

/* ::1 comes first by RFC 6724; nobody listens there, and IPv4's turn is next. */
IN_LOOP(dial, families_take_turns)
{
        int listener, fd;

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        fd = ouro_dial("tcp:mixed.test:4711");
        cr_assert_str_eq(peer_of(fd), "tcp:127.0.0.1:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_dial("tcp6:mixed.test:4711"), -ECONNREFUSED);
        fd = ouro_dial("tcp4:mixed.test:4711");
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

/* ---- options ---- */

static int option(int fd, const char *name)
{
        int value = -1;

        EQ(ouro_socket_get(fd, name, &value), 0);
        return value;
}

IN_LOOP(dial, options_are_set)
{
        struct ouro_dial_options options = {
                .size = sizeof options,
                .flags = OURO_DIAL_NAGLE,
                .keepalive_idle_s = 11,
                .keepalive_every_s = 12,
                .keepalive_probes = 13,
                .local = "tcp:127.0.0.5:0",
                .device = "lo",
        };
        struct ouro_address address;
        int listener, fd;
        char text[OURO_ADDRESS_TEXT];

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        fd = ouro_dial_with("tcp:127.0.0.1:4711", &options);
        cr_assert(fd >= 0, "%d", fd);
        EQ(option(fd, "tcp_nodelay"), 0);
        EQ(option(fd, "so_keepalive"), 1);
        EQ(option(fd, "tcp_keepidle"), 11);
        EQ(option(fd, "tcp_keepintvl"), 12);
        EQ(option(fd, "tcp_keepcnt"), 13);
        EQ(ouro_local_address(fd, &address), 0);
        cr_assert(ouro_address_format(&address, text, sizeof text) > 0);
        cr_assert_eq(strncmp(text, "tcp:127.0.0.5:", 14), 0, "%s", text);
        EQ(ouro_close(fd), 0);
        options = (struct ouro_dial_options){.size = sizeof options, .flags = OURO_DIAL_KEEPALIVE};
        fd = ouro_dial_with("tcp:one.test:4711", &options);
        EQ(option(fd, "so_keepalive"), 1);
        EQ(option(fd, "tcp_nodelay"), 1);
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(dial, local_port_is_the_one_asked_for)
{
        struct ouro_dial_options options = {.size = sizeof options, .local = "tcp:127.0.0.1:4712"};
        struct ouro_address address;
        int listener, fd;

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        fd = ouro_dial_with("tcp:127.0.0.1:4711", &options);
        EQ(ouro_local_address(fd, &address), 0);
        EQ(ouro_address_port(&address), 4712);
        options.local = "tcp:[::1]:0";
        EQ(ouro_dial_with("tcp:127.0.0.1:4711", &options), -EAFNOSUPPORT);
        options.local = "tcp:192.0.2.1:0";
        EQ(ouro_dial_with("tcp:127.0.0.1:4711", &options), -EADDRNOTAVAIL);
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(dial, misuse_is_refused)
{
        struct ouro_dial_options options = {.size = 0};

        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EINVAL);
        options = (struct ouro_dial_options){.size = sizeof options, .flags = 1u << 20};
        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EINVAL);
        options = (struct ouro_dial_options){.size = sizeof options, .keepalive_probes = -1};
        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EINVAL);
        options = (struct ouro_dial_options){.size = sizeof options, .attempt_delay_ns = -1};
        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EINVAL);
        options = (struct ouro_dial_options){.size = sizeof options, .local = "nonsense"};
        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EINVAL);
        options.local = "udp:127.0.0.1:0"; /* of another kind */
        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EINVAL);
        EQ(ouro_dial_with(NULL, NULL), -EINVAL);
        return 0;
}

IN_LOOP(dial, cancelled_caller_dials_nobody)
{
        int listener;

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        OURO_TIMEOUT(0) {
                EQ(ouro_dial("tcp:one.test:4711"), -ETIME);
                EQ(ouro_dial("tcp:127.0.0.1:4711"), -ETIME);
        }
        EQ(resolver_threads(), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

/* ---- peers in trouble ---- */

IN_LOOP(dial, peers_that_end_reset_or_vanish_are_told_apart)
{
        int listener, client, server;
        char buf[8];

        NEEDS_OWN_NET();
        listener = listen_at("127.0.0.1");
        client = ouro_dial("tcp:one.test:4711");
        server = ouro_accept(listener, NULL, NULL);
        EQ(ouro_shutdown(server, SHUT_WR), 0); /* half: it still receives */
        EQ(ouro_recv(client, buf, sizeof buf, 0), 0);
        EQ(ouro_send(client, "x", 1, 0), 1);
        EQ(ouro_recv(server, buf, sizeof buf, 0), 1);
        EQ(ouro_socket_set(server, "so_linger", 0), 0);
        EQ(ouro_close(server), 0);                    /* a reset */
        EQ(ouro_recv(client, buf, sizeof buf, 0), 0); /* that side has ended before */
        EQ(ouro_send(client, "x", 1, 0), -EPIPE);
        EQ(ouro_close(client), 0);
        client = ouro_dial("tcp:one.test:4711");
        server = ouro_accept(listener, NULL, NULL);
        EQ(ouro_socket_set(server, "so_linger", 0), 0);
        EQ(ouro_close(server), 0);
        EQ(ouro_recv(client, buf, sizeof buf, 0), -ECONNRESET);
        EQ(ouro_close(client), 0);
        client = ouro_dial("tcp:one.test:4711");
        EQ(ouro_socket_set(client, "so_linger", 0), 0);
        EQ(ouro_close(client), 0); /* gone before it was accepted */
        server = ouro_accept(listener, NULL, NULL);
        cr_assert(server >= 0, "%d", server);
        EQ(ouro_recv(server, buf, sizeof buf, 0), -ECONNRESET);
        EQ(ouro_close(server), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}
