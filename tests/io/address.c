/* Of lib/io/address.c: addresses as text, good and malformed, to and fro; listen and dial that take them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/un.h>

#include "io/address.h"
#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(address, .init = temp_begin, .fini = temp_end);

static struct address parsed(const char *text)
{
        struct address address;
        int error = address_parse(text, &address);

        if (error < 0)
                cr_assert_fail("\"%s\": %d", text, error);
        EQ(address.is_name, false);
        return address;
}

static void check_in4(const char *text, const char *host, int port)
{
        struct address address = parsed(text);
        const struct sockaddr_in *in4 = (struct sockaddr_in *)&address.of.storage;
        char got[INET6_ADDRSTRLEN];

        EQ(in4->sin_family, AF_INET);
        EQ(address.of.len, sizeof *in4);
        EQ(ouro_address_port(&address.of), port);
        cr_assert_str_eq(inet_ntop(AF_INET, &in4->sin_addr, got, sizeof got), host);
}

static void check_in6(const char *text, const char *host, int port)
{
        struct address address = parsed(text);
        const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.of.storage;
        char got[INET6_ADDRSTRLEN];

        EQ(in6->sin6_family, AF_INET6);
        EQ(address.of.len, sizeof *in6);
        EQ(ouro_address_port(&address.of), port);
        cr_assert_str_eq(inet_ntop(AF_INET6, &in6->sin6_addr, got, sizeof got), host);
}

Test(address, tcp_texts_are_understood)
{
        check_in4("tcp:127.0.0.1:7000", "127.0.0.1", 7000);
        check_in4("tcp:0.0.0.0:65535", "0.0.0.0", 65535);
        check_in4("tcp:1.2.3.4:0001", "1.2.3.4", 1);
        check_in4("tcp:127.0.0.1:0", "127.0.0.1", 0);
        check_in4("tcp4:127.0.0.1:7000", "127.0.0.1", 7000);
        check_in6("tcp:[::1]:7000", "::1", 7000);
        check_in6("tcp6:[::1]:7000", "::1", 7000);
        check_in6("tcp:[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", 80);
        check_in6("tcp:[1111:2222:3333:4444:5555:6666:7777:8888]:80",
                  "1111:2222:3333:4444:5555:6666:7777:8888", 80);
        EQ(parsed("tcp:[::1]:7000").of.type, SOCK_STREAM);
}

Test(address, udp_texts_are_understood)
{
        check_in4("udp:127.0.0.1:53", "127.0.0.1", 53);
        check_in4("udp4:*:53", "0.0.0.0", 53);
        check_in6("udp6:*:53", "::", 53);
        EQ(parsed("udp:127.0.0.1:53").of.type, SOCK_DGRAM);
}

Test(address, host_and_port_may_be_left_open)
{
        check_in6("tcp::7000", "::", 7000);
        check_in6("tcp:*:7000", "::", 7000);
        check_in4("tcp4:*:7000", "0.0.0.0", 7000);
        EQ(parsed("tcp:*:0").any_host, true);
        EQ(parsed("tcp::0").any_host, true);
        EQ(parsed("tcp:127.0.0.1:0").any_host, false);
        EQ(parsed("tcp:[::]:0").any_host, false);
}

Test(address, scopes_are_interfaces_by_name_or_number)
{
        struct address by_name = parsed("tcp:[fe80::1%lo]:80"), by_number = parsed("udp:[fe80::1%7]:80");

        EQ(((struct sockaddr_in6 *)&by_name.of.storage)->sin6_scope_id, 1);
        EQ(((struct sockaddr_in6 *)&by_number.of.storage)->sin6_scope_id, 7);
}

static const char *const malformed[] = {
        "",
        "tcp",
        "tcp:",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:",
        "tcp:127.0.0.1:x",
        "tcp:127.0.0.1:80x",
        "tcp:127.0.0.1: 80",
        "tcp:127.0.0.1:-1",
        "tcp:127.0.0.1:+80",
        "tcp:127.0.0.1:65536",
        "tcp:127.0.0.1:99999999999999999999",
        "tcp:127.0.0.1:0x50",
        "tcp:127.0.0:80",
        "tcp:127.1:80",
        "tcp:2130706433:80",
        "tcp:0x7f000001:80",
        "tcp:a.0x1:80",
        "tcp:127.0.0.1.1:80",
        "tcp:127.0.0.1.:80",
        "tcp:256.0.0.1:80",
        "tcp: 127.0.0.1:80",
        "tcp:127.0.0.1\n:80",
        "tcp:::1:80",
        "tcp:[::1:80",
        "tcp:::1]:80",
        "tcp:[]:80",
        "tcp:[:80",
        "tcp:]:80",
        "tcp:[::1]80",
        "tcp:[::1]",
        "tcp:[127.0.0.1]:80",
        "tcp:[::g]:80",
        "tcp:[::1]]:80",
        "tcp:[[::1]:80",
        "tcp:[fe80::1%]:80",
        "tcp:[fe80::1%no-such-interface]:80",
        "tcp:[fe80::1%0]:80",
        "tcp:[fe80::1%99999999999]:80",
        "tcp:[%lo]:80",
        "tcp:127.0.0.1%lo:80",
        "tcp4:[::1]:80",
        "tcp6:127.0.0.1:80",
        "tcp:**:80",
        "tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999]:80",
        "tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:80",
        "TCP:127.0.0.1:80",
        "tcp5:127.0.0.1:80",
        "127.0.0.1:80",
        "tcp//127.0.0.1:80",
        "tcp:a b:80",
        "tcp:a..b:80",
        "tcp:.a:80",
        "tcp:.:80",
        "tcp:a/b:80",
        "tcp:a:b:80",
        "tcp:caf\xc3\xa9.test:80",
        "tcp:localhost:80x ",
        "tcp:localhost:-",
        "tcp:localhost:",
        "tcp:localhost:65536",
        "tcp:localhost:http\n",
        "tcp:localhost:a-service-whose-name-is-far-too-long-to-be-one",
        "unix",
        "unix:",
        "unixgram:",
        "unixpacket:",
        "UNIX:/x",
        " unix:/x",
};

IN_LOOP(address, malformed_texts_are_refused_and_leave_the_output)
{
        struct ouro_address address, before;

        memset(&address, 0x5a, sizeof address);
        before = address;
        for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
                if (ouro_address_parse(malformed[i], &address) != -EINVAL)
                        cr_assert_fail("\"%s\" is taken for an address", malformed[i]);
                if (ouro_listen(malformed[i]) != -EINVAL)
                        cr_assert_fail("\"%s\" is taken for an address to listen on", malformed[i]);
                if (ouro_dial(malformed[i]) != -EINVAL)
                        cr_assert_fail("\"%s\" is taken for an address to dial", malformed[i]);
        }
        EQ(ouro_address_parse(NULL, &address), -EINVAL);
        EQ(ouro_address_parse("tcp:127.0.0.1:80", NULL), -EINVAL);
        EQ(ouro_address_parse("tcp:localhost:80", &address), -EINVAL); /* a name */
        cr_assert_eq(memcmp(&address, &before, sizeof address), 0);
        return 0;
}

Test(address, names_are_told_from_malformed_numbers)
{
        static const char *const names[] = {"localhost", "a",  "a.b.c", "a.b.",  "1.a",
                                            "a-b_c.d1",  "1a", "0a",    "x0x7f", "A.COM"};
        struct address address;
        char text[300];

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                snprintf(text, sizeof text, "tcp:%s:http", names[i]);
                EQ(address_parse(text, &address), 0);
                EQ(address.is_name, true);
                cr_assert_str_eq(address.host, names[i]);
                cr_assert_str_eq(address.service, "http");
        }
        EQ(address_parse("udp6:a.b:00053", &address), 0);
        EQ(address.family, AF_INET6);
        EQ(address.of.type, SOCK_DGRAM);
}

/* A byte changed, left out or put in, at every place of good texts: nothing worse than -EINVAL, and what is
 * understood can be written and is read back the same. */
Test(address, texts_that_are_nearly_right_are_refused_or_read_back_the_same)
{
        static const char *const good[] = {"tcp:127.0.0.1:7000", "udp:[fe80::1%lo]:53", "unix:/run/x",
                                           "unixpacket:@abstract", "tcp6:[::ffff:1.2.3.4]:1"};
        static const char bytes[] = {'0', '9', ':', '[', ']', '.', '%', '@', 'x', ' ', '-', '\x80', '\x01'};
        char text[64], again[OURO_ADDRESS_TEXT];
        struct ouro_address address, second;

        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                for (size_t at = 0; at <= strlen(good[i]); at++)
                        for (size_t b = 0; b < sizeof bytes * 3; b++) {
                                size_t how = b % 3, skip = how == 0 ? 0 : 1;
                                const char *rest = good[i] + at + (at < strlen(good[i]) ? skip : 0);

                                snprintf(text, sizeof text, "%.*s%.*s%s", (int)at, good[i], how == 2 ? 0 : 1,
                                         &bytes[b / 3], rest);
                                memset(&address, 0, sizeof address);
                                if (ouro_address_parse(text, &address) < 0)
                                        continue;
                                if (ouro_address_format(&address, again, sizeof again) < 0)
                                        cr_assert_fail("%s cannot be written", text);
                                if (ouro_address_parse(again, &second) < 0)
                                        cr_assert_fail("%s became %s", text, again);
                                cr_assert_eq(memcmp(&address, &second, sizeof second), 0, "%s: %s", text,
                                             again);
                        }
}

Test(address, unix_paths_and_abstract_names)
{
        struct address address = parsed("unix:/run/x");
        const struct sockaddr_un *un = (struct sockaddr_un *)&address.of.storage;

        EQ(un->sun_family, AF_UNIX);
        cr_assert_str_eq(un->sun_path, "/run/x");
        EQ(address.of.len, offsetof(struct sockaddr_un, sun_path) + 7); /* with its NUL */
        EQ(address.of.type, SOCK_STREAM);
        address = parsed("unixgram:@x:y");
        EQ(un->sun_path[0], 0);
        cr_assert_eq(memcmp(un->sun_path + 1, "x:y", 3), 0);
        EQ(address.of.len, offsetof(struct sockaddr_un, sun_path) + 4); /* without */
        EQ(address.of.type, SOCK_DGRAM);
        EQ(parsed("unixpacket:x").of.type, SOCK_SEQPACKET);
}

Test(address, unix_path_that_is_too_long_is_refused)
{
        struct ouro_address address;
        char text[256] = "unix:/", again[OURO_ADDRESS_TEXT];
        const size_t room = sizeof((struct sockaddr_un *)0)->sun_path;

        memset(text + 6, 'p', room - 2);
        EQ(ouro_address_parse(text, &address), 0); /* with its NUL it just fits */
        EQ(ouro_address_format(&address, again, sizeof again), strlen(text));
        text[6 + room - 2] = 'p';
        EQ(ouro_address_parse(text, &address), -EINVAL);
        memset(text + 6, 'p', sizeof text - 7);
        EQ(ouro_address_parse(text, &address), -EINVAL);
}

/* ---- writing ---- */

static void check_same(const char *text, const char *wanted)
{
        struct ouro_address address;
        char got[OURO_ADDRESS_TEXT];

        EQ(ouro_address_parse(text, &address), 0);
        EQ(ouro_address_format(&address, got, sizeof got), strlen(wanted));
        cr_assert_str_eq(got, wanted);
        EQ(ouro_address_format(&address, got, strlen(wanted)), -ENOSPC);
        EQ(ouro_address_format(&address, got, strlen(wanted) + 1), strlen(wanted));
}

Test(address, format_writes_what_parse_reads)
{
        check_same("tcp:127.0.0.1:07000", "tcp:127.0.0.1:7000");
        check_same("udp:[0:0::1]:53", "udp:[::1]:53");
        check_same("tcp4:*:1", "tcp:0.0.0.0:1");
        check_same("tcp:*:1", "tcp:[::]:1");
        check_same("tcp:[fe80::1%1]:1", "tcp:[fe80::1%lo]:1");
        check_same("tcp:[fe80::1%4040]:1", "tcp:[fe80::1%4040]:1");
        check_same("unix:/run/x", "unix:/run/x");
        check_same("unixgram:@x", "unixgram:@x");
        check_same("unixpacket:y", "unixpacket:y");
}

Test(address, format_tells_its_errors)
{
        struct ouro_address address;
        char text[OURO_ADDRESS_TEXT] = "as it was";

        EQ(ouro_address_parse("unix:@ab", &address), 0);
        ((struct sockaddr_un *)&address.storage)->sun_path[1] = '\0';
        EQ(ouro_address_format(&address, text, sizeof text), -EILSEQ);
        ((struct sockaddr_un *)&address.storage)->sun_path[0] = '@';
        EQ(ouro_address_format(&address, text, sizeof text), -EILSEQ);
        EQ(ouro_address_parse("tcp:127.0.0.1:80", &address), 0);
        EQ(ouro_address_format(NULL, text, sizeof text), -EINVAL);
        EQ(ouro_address_format(&address, NULL, sizeof text), -EINVAL);
        address.type = SOCK_RAW;
        EQ(ouro_address_format(&address, text, sizeof text), -EINVAL);
        address.type = SOCK_STREAM;
        address.len = 3;
        EQ(ouro_address_format(&address, text, sizeof text), -EINVAL);
        address.storage.ss_family = AF_NETLINK;
        EQ(ouro_address_format(&address, text, sizeof text), -EAFNOSUPPORT);
        EQ(ouro_address_port(&address), -EAFNOSUPPORT);
        EQ(ouro_address_port(NULL), -EINVAL);
        cr_assert_str_eq(text, "as it was");
}

/* ---- listen and dial ---- */

static int port_of(int fd)
{
        struct ouro_address address;

        EQ(ouro_local_address(fd, &address), 0);
        return ouro_address_port(&address);
}

static int option(int fd, int level, int name)
{
        int value = -1;
        socklen_t len = sizeof value;

        EQ(getsockopt(fd, level, name, &value, &len), 0);
        return value;
}

/* Dials listener, and says a word each way. */
static void check_talk(int listener, const char *address, bool tcp)
{
        int client = ouro_dial(address), server;
        char buf[8];

        cr_assert(client >= 0, "dial %s: %d", address, client);
        server = ouro_accept(listener, NULL, NULL);
        cr_assert(server >= 0);
        EQ(fcntl(client, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        if (tcp) {
                EQ(option(client, IPPROTO_TCP, TCP_NODELAY) != 0, true);
                EQ(option(server, IPPROTO_TCP, TCP_NODELAY) != 0, true);
        }
        EQ(ouro_send(client, "to", 2, 0), 2);
        EQ(ouro_recv(server, buf, sizeof buf, 0), 2);
        EQ(ouro_send(server, "fro", 3, 0), 3);
        EQ(ouro_recv(client, buf, sizeof buf, 0), 3);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
}

IN_LOOP(address, tcp_listener_can_be_dialled)
{
        int listener = ouro_listen("tcp:127.0.0.1:0");
        char text[64];

        cr_assert(listener >= 0);
        EQ(fcntl(listener, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        EQ(option(listener, SOL_SOCKET, SO_REUSEADDR) != 0, true);
        snprintf(text, sizeof text, "tcp:127.0.0.1:%d", port_of(listener));
        check_talk(listener, text, true);
        EQ(ouro_listen(text), -EADDRINUSE);
        EQ(ouro_close(listener), 0);
        EQ(ouro_dial(text), -ECONNREFUSED);
        return 0;
}

IN_LOOP(address, listener_of_any_host_serves_both_families)
{
        int listener = ouro_listen("tcp:*:0");
        char text[64];

        cr_assert(listener >= 0);
        snprintf(text, sizeof text, "tcp:127.0.0.1:%d", port_of(listener));
        check_talk(listener, text, true);
        snprintf(text, sizeof text, "tcp:[::1]:%d", port_of(listener));
        if (access("/proc/net/if_inet6", F_OK) == 0)
                check_talk(listener, text, true);
        else
                PASSED_OVER("no IPv6 here");
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(address, unix_listener_can_be_dialled)
{
        char text[128], abstract[128];

        snprintf(text, sizeof text, "unix:%s/socket", temp_dir);
        snprintf(abstract, sizeof abstract, "unix:@%s", temp_dir);
        int listener = ouro_listen(text), other = ouro_listen(abstract);

        cr_assert(listener >= 0);
        cr_assert(other >= 0);
        check_talk(listener, text, false);
        check_talk(other, abstract, false);
        EQ(ouro_listen(text), -EADDRINUSE); /* the path must not exist */
        EQ(ouro_listen(abstract), -EADDRINUSE);
        EQ(ouro_close(listener), 0);
        EQ(ouro_close(other), 0);
        EQ(ouro_dial(text), -ECONNREFUSED); /* the path is still there, and nobody behind it */
        EQ(ouro_dial("unix:/nonexistent/socket"), -ENOENT);
        EQ(ouro_listen("unix:/nonexistent/socket"), -ENOENT);
        return 0;
}

IN_LOOP(address, malformed_is_refused_by_both)
{
        EQ(ouro_listen(NULL), -EINVAL);
        EQ(ouro_listen("tcp:localhost:1"), -EINVAL);
        EQ(ouro_listen("nonsense"), -EINVAL);
        EQ(ouro_dial(NULL), -EINVAL);
        EQ(ouro_dial("tcp:127.0.0.1:0"), -EINVAL);
        EQ(ouro_dial("tcp:*:1"), -EINVAL);
        EQ(ouro_dial("tcp::1"), -EINVAL);
        EQ(ouro_dial("tcp4:*:1"), -EINVAL);
        EQ(ouro_dial("tcp:localhost:0"), -EINVAL);
        EQ(ouro_dial("tcp:localhost:000"), -EINVAL);
        return 0;
}

IN_LOOP(address, address_of_another_machine_cannot_be_listened_on)
{
        EQ(ouro_listen("tcp:192.0.2.1:0"), -EADDRNOTAVAIL);
        return 0;
}

static intptr_t dial_cancelled(void *arg)
{
        EQ(ouro_cancel(ouro_self()), 0);
        EQ(ouro_dial(arg), -ECANCELED);
        return 0;
}

/* The listener's room is full: the dial waits, and is cut. The leak check sees to the descriptor. */
IN_LOOP(address, dial_that_is_cut_short_leaves_nothing_open)
{
        char text[128];
        int waiting[4];

        snprintf(text, sizeof text, "unix:@%s", temp_dir);
        int listener = ouro_listen(text);

        EQ(ouro_await(ouro_create_task(dial_cancelled, text)), 0);
        EQ(ouro_listen_on(listener, 1), 0);
        for (int i = 0; i < 2; i++)
                waiting[i] = ouro_dial(text);
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_dial(text), -ETIME);
        }
        for (int i = 0; i < 2; i++)
                EQ(ouro_close(waiting[i]), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}
