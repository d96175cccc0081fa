/* Of lib/io/address.c: addresses as text, good and malformed, and listen and dial that take them. */
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

static struct address parsed(const char *text, bool to_listen)
{
        struct address address;
        int error = address_parse(text, to_listen, &address);

        if (error < 0)
                cr_assert_fail("\"%s\": %d", text, error);
        return address;
}

static void check_in4(const char *text, bool to_listen, const char *host, int port)
{
        struct address address = parsed(text, to_listen);
        const struct sockaddr_in *in4 = (struct sockaddr_in *)&address.storage;
        char got[INET6_ADDRSTRLEN];

        EQ(in4->sin_family, AF_INET);
        EQ(address.len, sizeof *in4);
        EQ(ntohs(in4->sin_port), port);
        cr_assert_str_eq(inet_ntop(AF_INET, &in4->sin_addr, got, sizeof got), host);
        EQ(address.any_host, false);
}

static void check_in6(const char *text, bool to_listen, const char *host, int port)
{
        struct address address = parsed(text, to_listen);
        const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;
        char got[INET6_ADDRSTRLEN];

        EQ(in6->sin6_family, AF_INET6);
        EQ(address.len, sizeof *in6);
        EQ(ntohs(in6->sin6_port), port);
        cr_assert_str_eq(inet_ntop(AF_INET6, &in6->sin6_addr, got, sizeof got), host);
}

Test(address, tcp_texts_are_understood)
{
        for (int to_listen = 0; to_listen < 2; to_listen++) {
                check_in4("tcp:127.0.0.1:7000", to_listen, "127.0.0.1", 7000);
                check_in4("tcp:0.0.0.0:65535", to_listen, "0.0.0.0", 65535);
                check_in4("tcp:1.2.3.4:0001", to_listen, "1.2.3.4", 1);
                check_in6("tcp:[::1]:7000", to_listen, "::1", 7000);
                check_in6("tcp:[::ffff:1.2.3.4]:80", to_listen, "::ffff:1.2.3.4", 80);
                check_in6("tcp:[1111:2222:3333:4444:5555:6666:7777:8888]:80", to_listen,
                          "1111:2222:3333:4444:5555:6666:7777:8888", 80);
        }
}

Test(address, listeners_may_leave_host_and_port_open)
{
        struct address address;

        check_in4("tcp:127.0.0.1:0", true, "127.0.0.1", 0);
        check_in6("tcp::7000", true, "::", 7000);
        check_in6("tcp:*:7000", true, "::", 7000);
        EQ(parsed("tcp:*:0", true).any_host, true);
        EQ(parsed("tcp::0", true).any_host, true);
        EQ(address_parse("tcp:127.0.0.1:0", false, &address), -EINVAL);
        EQ(address_parse("tcp::7000", false, &address), -EINVAL);
        EQ(address_parse("tcp:*:7000", false, &address), -EINVAL);
}

Test(address, malformed_texts_are_refused_and_leave_the_output)
{
        static const char *const wrong[] = {
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
                "tcp:127.0.0.1.1:80",
                "tcp:256.0.0.1:80",
                "tcp: 127.0.0.1:80",
                "tcp:localhost:80",
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
                "tcp:**:80",
                "tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999]:80",
                "tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:80",
                "TCP:127.0.0.1:80",
                "udp:127.0.0.1:80",
                "127.0.0.1:80",
                "tcp//127.0.0.1:80",
                "unix",
                "unix:",
                "UNIX:/x",
                " unix:/x",
        };
        struct address address, before;

        memset(&address, 0x5a, sizeof address);
        before = address;
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                if (address_parse(wrong[i], true, &address) != -EINVAL)
                        cr_assert_fail("\"%s\" is taken for an address to listen on", wrong[i]);
                if (address_parse(wrong[i], false, &address) != -EINVAL)
                        cr_assert_fail("\"%s\" is taken for an address to dial", wrong[i]);
        }
        EQ(address_parse(NULL, true, &address), -EINVAL);
        cr_assert_eq(memcmp(&address, &before, sizeof address), 0);
}

Test(address, unix_paths_and_abstract_names)
{
        struct address address = parsed("unix:/run/x", false);
        const struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;

        EQ(un->sun_family, AF_UNIX);
        cr_assert_str_eq(un->sun_path, "/run/x");
        EQ(address.len, offsetof(struct sockaddr_un, sun_path) + 7); /* with its NUL */
        address = parsed("unix:@x:y", false);
        EQ(un->sun_path[0], 0);
        cr_assert_eq(memcmp(un->sun_path + 1, "x:y", 3), 0);
        EQ(address.len, offsetof(struct sockaddr_un, sun_path) + 4); /* without */
}

Test(address, unix_path_that_is_too_long_is_refused)
{
        struct address address;
        char text[256] = "unix:/";
        const size_t room = sizeof((struct sockaddr_un *)0)->sun_path;

        memset(text + 6, 'p', room - 2);
        EQ(address_parse(text, true, &address), 0); /* with its NUL it just fits */
        text[6 + room - 2] = 'p';
        EQ(address_parse(text, true, &address), -EINVAL);
        memset(text + 6, 'p', sizeof text - 7);
        EQ(address_parse(text, true, &address), -EINVAL);
}

/* ---- listen and dial ---- */

static int port_of(int fd)
{
        struct sockaddr_storage addr;
        socklen_t len = sizeof addr;

        EQ(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        return ntohs(((struct sockaddr_in *)&addr)->sin_port); /* at the same place in both families */
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
