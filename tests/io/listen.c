/* Of lib/io/listen.c: the options of listeners. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "support/in_loop.h"
#include "support/leaks.h"
#include "support/temp_dir.h"

static void begin(void)
{
        temp_begin();
        leaks_begin();
}

static void end(void)
{
        leaks_end();
        temp_end();
}

TestSuite(listen, .init = begin, .fini = end);

static int option(int fd, const char *name)
{
        int value = -1;

        EQ(ouro_socket_get(fd, name, &value), 0);
        return value;
}

static const char *where(int fd)
{
        static char text[OURO_ADDRESS_TEXT];
        struct ouro_address address;

        EQ(ouro_local_address(fd, &address), 0);
        cr_assert(ouro_address_format(&address, text, sizeof text) > 0);
        return text;
}

IN_LOOP(listen, misuse_is_refused)
{
        struct ouro_listen_options options = OURO_LISTEN_OPTIONS_INIT;

        EQ(ouro_listen_with(NULL, NULL), -EINVAL);
        options.size = 0;
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -EINVAL);
        options = (struct ouro_listen_options)OURO_LISTEN_OPTIONS_INIT;
        options.flags = 1u << 20;
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -EINVAL);
        options = (struct ouro_listen_options){.size = sizeof options, .backlog = -1};
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -EINVAL);
        options = (struct ouro_listen_options){.size = sizeof options, .mode = 0600};
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -EINVAL); /* it has no path */
        EQ(ouro_listen_with("unix:@x", &options), -EINVAL);
        options = (struct ouro_listen_options){.size = sizeof options, .device = ""};
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -EINVAL);
        options.device = "a-name-that-is-too-long";
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -EINVAL);
        options.device = "nosuchdev";
        EQ(ouro_listen_with("tcp:127.0.0.1:0", &options), -ENODEV);
        EQ(ouro_listen_with("tcp:localhost:0", NULL), -EINVAL); /* names are not resolved */
        return 0;
}

Test(listen, outside_a_loop_is_refused)
{
        struct ouro_dial_options options = OURO_DIAL_OPTIONS_INIT;

        EQ(ouro_listen_with("tcp:127.0.0.1:0", NULL), -EPERM);
        EQ(ouro_dial_with("tcp:127.0.0.1:1", &options), -EPERM);
}

IN_LOOP(listen, options_are_set)
{
        struct ouro_listen_options options = {
                .size = sizeof options,
                .flags = OURO_LISTEN_REUSE_PORT | OURO_LISTEN_NAGLE | OURO_LISTEN_V6ONLY,
                .backlog = 5,
                .device = "lo",
                .fast_open = 7,
                .defer_accept_s = 3,
        };
        int fd = ouro_listen_with("tcp:*:0", &options), plain = ouro_listen("tcp:*:0");

        cr_assert(fd >= 0, "%d", fd);
        EQ(option(fd, "so_reuseport"), 1);
        EQ(option(fd, "so_reuseaddr"), 1);
        EQ(option(fd, "tcp_nodelay"), 0);
        EQ(option(fd, "ipv6_v6only"), 1);
        EQ(option(fd, "tcp_fastopen"), 7);
        cr_assert(option(fd, "tcp_defer_accept") >= 3);
        EQ(option(plain, "so_reuseport"), 0);
        EQ(option(plain, "tcp_nodelay"), 1);
        EQ(option(plain, "ipv6_v6only"), 0);
        EQ(option(plain, "tcp_fastopen"), 0);
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(plain), 0);
        fd = ouro_listen("tcp6:*:0");
        EQ(option(fd, "ipv6_v6only"), 1);
        EQ(ouro_close(fd), 0);
        return 0;
}

/* The same port twice, on one machine; without the option the second is refused. */
IN_LOOP(listen, reuse_port_lets_two_sockets_share_it)
{
        struct ouro_listen_options options = {.size = sizeof options, .flags = OURO_LISTEN_REUSE_PORT};
        int first = ouro_listen_with("tcp:127.0.0.1:0", &options);
        int second = ouro_listen_with(where(first), &options);

        cr_assert(first >= 0);
        cr_assert(second >= 0);
        EQ(ouro_listen(where(first)), -EADDRINUSE);
        EQ(ouro_close(first), 0);
        EQ(ouro_close(second), 0);
        return 0;
}

/* ---- two loops on one port ---- */

struct sharing {
        int fd;
        size_t accepted;
        char text[OURO_ADDRESS_TEXT];
};

static intptr_t count_connections(void *arg)
{
        struct sharing *sharing = arg;
        struct ouro_listen_options options = {.size = sizeof options, .flags = OURO_LISTEN_REUSE_PORT};
        int fd = ouro_listen_with(sharing->text, &options), connection;

        cr_assert(fd >= 0);
        sharing->fd = fd;
        while ((connection = ouro_accept(fd, NULL, NULL)) >= 0) {
                sharing->accepted++;
                EQ(ouro_send(connection, "!", 1, 0), 1);
                EQ(ouro_close(connection), 0);
        }
        EQ(ouro_close(fd), 0);
        return connection;
}

IN_LOOP(listen, connections_are_spread_over_two_loops)
{
        struct ouro_listen_options reuse = {.size = sizeof reuse, .flags = OURO_LISTEN_REUSE_PORT};
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        int holder = ouro_listen_with("tcp:127.0.0.1:0", &reuse), wanted = 0;
        struct sharing sharing[2] = {{.fd = -1}, {.fd = -1}};
        ouro_task tasks[2];
        ouro_loops *loops;
        char byte;

        options.count = 2;
        EQ(ouro_loops_open(&options, &loops), 0);
        for (int i = 0; i < 2; i++) {
                strcpy(sharing[i].text, where(holder));
                tasks[i] = ouro_create_task_on(ouro_loops_at(loops, (unsigned)i), count_connections,
                                               &sharing[i]);
        }
        while (__atomic_load_n(&sharing[0].fd, __ATOMIC_ACQUIRE) < 0 ||
               __atomic_load_n(&sharing[1].fd, __ATOMIC_ACQUIRE) < 0)
                ouro_sleep(OURO_MS(1));
        EQ(ouro_close(holder), 0); /* nobody accepts on it: its share would wait */
        /* By a hash of their ports: that 64 all go to one happens once in 2^63 runs. */
        for (int i = 0; i < 64; i++) {
                int fd = ouro_dial(sharing[0].text);

                cr_assert(fd >= 0);
                wanted++;
                EQ(ouro_recv(fd, &byte, 1, 0), 1);
                EQ(ouro_close(fd), 0);
        }
        for (int i = 0; i < 2; i++) {
                EQ(ouro_cancel(tasks[i]), 0);
                EQ(ouro_await(tasks[i]), -ECANCELED);
        }
        EQ(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
        EQ(sharing[0].accepted + sharing[1].accepted, wanted);
        cr_assert(sharing[0].accepted > 0);
        cr_assert(sharing[1].accepted > 0);
        return 0;
}

/* ---- paths ---- */

IN_LOOP(listen, mode_of_a_path_is_exact_whatever_the_umask)
{
        struct ouro_listen_options options = {.size = sizeof options, .mode = 0662};
        mode_t umask_before = umask(077);
        char text[128];
        struct stat st;

        snprintf(text, sizeof text, "unix:%s/socket", temp_dir);
        int fd = ouro_listen_with(text, &options);

        umask(umask_before);
        cr_assert(fd >= 0, "%d", fd);
        EQ(lstat(text + 5, &st), 0);
        EQ(st.st_mode & 07777, 0662);
        EQ(ouro_close(fd), 0);
        EQ(ouro_unlink(text + 5), 0);
        return 0;
}

static void check_stale(const char *scheme)
{
        struct ouro_listen_options options = {.size = sizeof options, .flags = OURO_LISTEN_UNLINK_STALE};
        char text[160];

        snprintf(text, sizeof text, "%s%s/socket", scheme, temp_dir);
        int first = ouro_listen(text);

        cr_assert(first >= 0);
        EQ(ouro_listen_with(text, &options), -EADDRINUSE); /* somebody is there */
        EQ(ouro_close(first), 0);
        EQ(ouro_listen(text), -EADDRINUSE);
        int second = ouro_listen_with(text, &options);

        cr_assert(second >= 0, "%s: %d", text, second);
        EQ(ouro_close(second), 0);
        EQ(ouro_unlink(strchr(text, '/')), 0);
}

IN_LOOP(listen, stale_socket_is_unlinked_and_one_in_use_is_not)
{
        check_stale("unix:");
        check_stale("unixgram:");
        check_stale("unixpacket:");
        return 0;
}

IN_LOOP(listen, what_is_no_socket_is_never_unlinked)
{
        struct ouro_listen_options options = {.size = sizeof options, .flags = OURO_LISTEN_UNLINK_STALE};
        char text[128];

        snprintf(text, sizeof text, "unix:%s/file", temp_dir);
        int file = ouro_open(text + 5, O_RDWR | O_CREAT, 0600);

        EQ(ouro_listen_with(text, &options), -EADDRINUSE);
        EQ(access(text + 5, F_OK), 0);
        EQ(ouro_close(file), 0);
        EQ(ouro_unlink(text + 5), 0);
        return 0;
}

IN_LOOP(listen, seqpacket_keeps_boundaries)
{
        int listener = ouro_listen("unixpacket:@ouro-test-seqpacket"), client, server;
        char buf[16];

        cr_assert(listener >= 0);
        client = ouro_dial("unixpacket:@ouro-test-seqpacket");
        cr_assert(client >= 0);
        server = ouro_accept(listener, NULL, NULL);
        EQ(ouro_send(client, "one", 3, 0), 3);
        EQ(ouro_send(client, "three", 5, 0), 5);
        EQ(ouro_recv(server, buf, sizeof buf, 0), 3);
        EQ(ouro_recv(server, buf, sizeof buf, 0), 5);
        EQ(ouro_close(client), 0);
        EQ(ouro_recv(server, buf, sizeof buf, 0), 0);
        EQ(ouro_close(server), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

/* ---- addresses of sockets ---- */

IN_LOOP(listen, both_ends_tell_the_same_addresses)
{
        int listener = ouro_listen("tcp:127.0.0.1:0"), client = ouro_dial(where(listener));
        int server = ouro_accept(listener, NULL, NULL);
        struct ouro_address address;
        char mine[OURO_ADDRESS_TEXT], theirs[OURO_ADDRESS_TEXT];

        EQ(ouro_local_address(client, &address), 0);
        cr_assert(ouro_address_format(&address, mine, sizeof mine) > 0);
        EQ(ouro_peer_address(server, &address), 0);
        cr_assert(ouro_address_format(&address, theirs, sizeof theirs) > 0);
        cr_assert_str_eq(mine, theirs);
        cr_assert_eq(strncmp(mine, "tcp:127.0.0.1:", 14), 0);
        EQ(ouro_peer_address(listener, &address), -ENOTCONN);
        EQ(ouro_local_address(client, NULL), -EINVAL);
        EQ(ouro_local_address(-1, &address), -EBADF);
        EQ(ouro_local_address(0, &address), -ENOTSOCK);
        EQ(ouro_close(server), 0);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(listen, local_socket_without_a_name_is_written_too)
{
        struct ouro_address address;
        char text[OURO_ADDRESS_TEXT];
        int fds[2];

        EQ(ouro_socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
        EQ(ouro_peer_address(fds[0], &address), 0);
        EQ(ouro_address_format(&address, text, sizeof text), 11);
        cr_assert_str_eq(text, "unixpacket:");
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_close(fds[1]), 0);
        return 0;
}
