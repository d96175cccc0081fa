/* Of lib/io/datagram.c: datagrams alone and in numbers, with and without addresses. */
#include <errno.h>
#include <sys/un.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(datagram, .init = leaks_begin, .fini = leaks_end);

static int bound(struct ouro_address *ret_address)
{
        int fd = ouro_listen("udp:127.0.0.1:0");

        cr_assert(fd >= 0);
        EQ(ouro_local_address(fd, ret_address), 0);
        return fd;
}

static int dial_to(const struct ouro_address *address)
{
        char text[OURO_ADDRESS_TEXT];
        int fd;

        cr_assert(ouro_address_format(address, text, sizeof text) > 0);
        fd = ouro_dial(text);
        cr_assert(fd >= 0, "%s: %d", text, fd);
        return fd;
}

static bool same(const struct ouro_address *a, const struct ouro_address *b)
{
        return a->len == b->len && a->type == b->type && memcmp(&a->storage, &b->storage, a->len) == 0;
}

/* ---- one ---- */

IN_LOOP(datagram, sender_is_told_and_can_be_answered)
{
        struct ouro_address a_address, b_address, from;
        int a = bound(&a_address), b = bound(&b_address);
        char buf[16];

        EQ(ouro_sendto(a, "ping", 4, 0, &b_address), 4);
        EQ(ouro_recvfrom(b, buf, sizeof buf, 0, &from), 4);
        cr_assert(same(&from, &a_address));
        EQ(ouro_sendto(b, "", 0, 0, &from), 0); /* an empty one is one, too */
        EQ(ouro_recvfrom(a, buf, sizeof buf, 0, NULL), 0);
        EQ(ouro_close(a), 0);
        EQ(ouro_close(b), 0);
        return 0;
}

IN_LOOP(datagram, connected_socket_needs_no_address_and_hears_only_its_peer)
{
        struct ouro_address server_address, stranger_address, client_address, from;
        int server = bound(&server_address), stranger = bound(&stranger_address);
        int client = dial_to(&server_address);
        char buf[16];

        EQ(ouro_local_address(client, &client_address), 0);
        EQ(ouro_sendto(stranger, "noise", 5, 0, &client_address), 5);
        EQ(ouro_sendto(client, "question", 8, 0, NULL), 8);
        EQ(ouro_recvfrom(server, buf, sizeof buf, 0, &from), 8);
        cr_assert(same(&from, &client_address));
        EQ(ouro_sendto(server, "answer", 6, 0, &from), 6);
        EQ(ouro_recv(client, buf, sizeof buf, 0), 6);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(stranger), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

IN_LOOP(datagram, nobody_there_is_told_on_a_connected_socket)
{
        struct ouro_address address;
        int server = bound(&address), client = dial_to(&address);
        char buf[4];

        EQ(ouro_close(server), 0);
        EQ(ouro_send(client, "x", 1, 0), 1);
        EQ(ouro_recv(client, buf, sizeof buf, 0), -ECONNREFUSED);
        EQ(ouro_send(client, "x", 1, 0), 1);
        EQ(ouro_sendto(client, "x", 1, 0, NULL), -ECONNREFUSED);
        EQ(ouro_close(client), 0);
        return 0;
}

IN_LOOP(datagram, what_is_cut_off_is_told)
{
        struct ouro_address address;
        int server = bound(&address), client = dial_to(&address);
        struct ouro_datagram got[2];
        char buf[4], other[8];

        EQ(ouro_send(client, "0123456789", 10, 0), 10);
        EQ(ouro_recvfrom(server, buf, sizeof buf, MSG_TRUNC, NULL), 10);
        EQ(ouro_send(client, "0123456789", 10, 0), 10);
        EQ(ouro_recvfrom(server, buf, sizeof buf, 0, NULL), 4);
        EQ(ouro_send(client, "0123456789", 10, 0), 10);
        EQ(ouro_send(client, "short", 5, 0), 5);
        got[0] = (struct ouro_datagram){.buf = buf, .len = sizeof buf};
        got[1] = (struct ouro_datagram){.buf = other, .len = sizeof other};
        EQ(ouro_recv_datagrams(server, got, 2), 2);
        EQ(got[0].cut, true);
        EQ(got[0].len, 4);
        EQ(got[1].cut, false);
        EQ(got[1].len, 5);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

IN_LOOP(datagram, misuse_is_refused)
{
        struct ouro_address address;
        int fd = bound(&address), file = no_such_fd();
        struct ouro_datagram datagram = {.buf = NULL, .len = 1};
        char buf[8];

        EQ(ouro_sendto(fd, NULL, 1, 0, &address), -EINVAL);
        EQ(ouro_sendto(fd, "x", 1, 0, NULL), -EDESTADDRREQ);
        EQ(ouro_sendto(fd, "x", 1, MSG_DONTWAIT, &address), -EINVAL);
        EQ(ouro_sendto(-1, "x", 1, 0, &address), -EBADF);
        EQ(ouro_sendto(file, "x", 1, 0, &address), -EBADF);
        EQ(ouro_recvfrom(fd, NULL, 1, 0, NULL), -EINVAL);
        EQ(ouro_recvfrom(-1, buf, 1, 0, NULL), -EBADF);
        EQ(ouro_send_datagrams(fd, &datagram, 1), -EINVAL);
        EQ(ouro_send_datagrams(fd, NULL, 1), -EINVAL);
        EQ(ouro_send_datagrams(fd, NULL, 0), 0);
        EQ(ouro_recv_datagrams(fd, &datagram, 1), -EINVAL);
        EQ(ouro_recv_datagrams(fd, NULL, 1), -EINVAL);
        EQ(ouro_recv_datagrams(fd, NULL, 0), 0);
        EQ(ouro_recv_datagrams(-1, &datagram, 1), -EBADF);
        datagram = (struct ouro_datagram){.buf = buf, .len = 8, .segment_bytes = UINT16_MAX + 1u};
        EQ(ouro_send_datagrams(-1, &datagram, 1), -EBADF);
        EQ(ouro_close(fd), 0);
        return 0;
}

Test(datagram, outside_a_loop_is_refused)
{
        struct ouro_datagram datagram = {.buf = NULL};
        char byte;

        EQ(ouro_send_datagrams(0, &datagram, 1), -EPERM);
        EQ(ouro_recv_datagrams(0, &datagram, 1), -EPERM);
        EQ(ouro_sendto(0, "x", 1, 0, NULL), -EPERM);
        EQ(ouro_recvfrom(0, &byte, 1, 0, NULL), -EPERM);
}

IN_LOOP(datagram, too_long_is_told)
{
        static char long_one[70000];
        struct ouro_address address;
        int fd = bound(&address);
        struct ouro_datagram datagram = {.buf = long_one, .len = sizeof long_one, .address = &address};

        EQ(ouro_sendto(fd, long_one, sizeof long_one, 0, &address), -EMSGSIZE);
        EQ(ouro_send_datagrams(fd, &datagram, 1), -EMSGSIZE);
        EQ(ouro_close(fd), 0);
        return 0;
}

/* ---- many ---- */

enum { MANY = 100 };

IN_LOOP(datagram, many_go_and_come_at_once_in_order)
{
        struct ouro_address to, mine, from[MANY];
        int server = bound(&to), client = bound(&mine);
        struct ouro_datagram out[MANY], in[MANY];
        char sent[MANY], got[MANY][4];
        ssize_t done = 0, calls = 0;

        for (int i = 0; i < MANY; i++) {
                sent[i] = (char)i;
                out[i] = (struct ouro_datagram){.buf = &sent[i], .len = 1, .address = &to};
                in[i] = (struct ouro_datagram){.buf = got[i], .len = sizeof got[i], .address = &from[i]};
        }
        EQ(ouro_send_datagrams(client, out, MANY), MANY);
        while (done < MANY) {
                ssize_t n = ouro_recv_datagrams(server, in + done, (size_t)(MANY - done));

                cr_assert(n > 0);
                done += n;
                calls++;
        }
        EQ(calls, 1); /* all were there: loopback delivers as it sends */
        for (int i = 0; i < MANY; i++) {
                EQ(in[i].len, 1);
                EQ(in[i].segment_bytes, 0);
                EQ(got[i][0], i);
                cr_assert(same(&from[i], &mine));
        }
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

IN_LOOP(datagram, error_after_the_first_is_told_by_the_next_call)
{
        static char long_one[70000];
        struct ouro_address to;
        int fd = bound(&to);
        struct ouro_datagram out[3] = {{.buf = long_one, .len = 1, .address = &to},
                                       {.buf = long_one, .len = sizeof long_one, .address = &to},
                                       {.buf = long_one, .len = 1, .address = &to}};

        EQ(ouro_send_datagrams(fd, out, 3), 1);
        EQ(ouro_send_datagrams(fd, out + 1, 2), -EMSGSIZE);
        EQ(ouro_send_datagrams(fd, out + 2, 1), 1);
        EQ(ouro_close(fd), 0);
        return 0;
}

struct flood {
        int fd;
        size_t n;
};

static intptr_t send_flood(void *arg)
{
        struct flood *flood = arg;
        static char bytes[1000];
        struct ouro_datagram out[10];

        for (int i = 0; i < 10; i++)
                out[i] = (struct ouro_datagram){.buf = bytes, .len = sizeof bytes};
        while (flood->n < 2000) {
                ssize_t n = ouro_send_datagrams(flood->fd, out, 10);

                if (n < 0)
                        return n;
                flood->n += (size_t)n;
        }
        return 0;
}

/* A local datagram socket pushes back: the sender waits for room, and loses nothing. */
IN_LOOP(datagram, sender_waits_for_room)
{
        int fds[2];
        struct flood flood;
        size_t got = 0;
        static char buf[2000];

        EQ(ouro_socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
        flood = (struct flood){.fd = fds[0]};
        ouro_task task = ouro_create_task(send_flood, &flood);

        ouro_sleep(OURO_MS(5));
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert(flood.n < 2000);
        while (got < 2000) {
                struct ouro_datagram in = {.buf = buf, .len = sizeof buf};

                EQ(ouro_recv_datagrams(fds[1], &in, 1), 1);
                EQ(in.len, 1000);
                got++;
        }
        EQ(ouro_await(task), 0);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_close(fds[1]), 0);
        return 0;
}

/* Of another maker: O_NONBLOCK is set. */
IN_LOOP(datagram, f23_descriptor_that_does_not_block_is_waited_for)
{
        int fds[2];
        struct flood flood;
        char buf[2000];
        struct ouro_datagram in = {.buf = buf, .len = sizeof buf};

        EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        OURO_TIMEOUT(OURO_MS(2))
                EQ(ouro_recv_datagrams(fds[1], &in, 1), -ETIME);
        flood = (struct flood){.fd = fds[0], .n = 1000};
        ouro_task task = ouro_create_task(send_flood, &flood);

        for (int i = 0; i < 1000; i++) {
                in.len = sizeof buf;
                EQ(ouro_recv_datagrams(fds[1], &in, 1), 1);
        }
        EQ(ouro_await(task), 0);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_close(fds[1]), 0);
        return 0;
}

IN_LOOP(datagram, f25_peer_that_is_gone_is_told_without_a_signal)
{
        int fds[2];
        struct ouro_datagram out[2] = {{.buf = (char[]){"x"}, .len = 1}, {.buf = (char[]){"y"}, .len = 1}};
        const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

        for (int i = 0; i < 2; i++) {
                EQ(ouro_socketpair(AF_UNIX, types[i], 0, fds), 0);
                EQ(ouro_close(fds[1]), 0);
                ssize_t alone = ouro_sendto(fds[0], "x", 1, 0, NULL),
                        both = ouro_send_datagrams(fds[0], out, 2);

                EQ(alone, types[i] == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE);
                EQ(both, types[i] == SOCK_DGRAM ? -ENOTCONN : -EPIPE);
                EQ(ouro_close(fds[0]), 0);
        }
        return 0;
}

static intptr_t receive_cancelled(void *arg)
{
        char buf[8];
        struct ouro_datagram in = {.buf = buf, .len = sizeof buf};

        return ouro_recv_datagrams((int)(intptr_t)arg, &in, 1);
}

IN_LOOP(datagram, waiting_receiver_can_be_cut_short_and_loses_nothing)
{
        struct ouro_address to;
        int fd = bound(&to);
        char buf[8];
        ouro_task task = ouro_create_task(receive_cancelled, (void *)(intptr_t)fd);

        ouro_yield();
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(2))
                EQ(ouro_recvfrom(fd, buf, sizeof buf, 0, NULL), -ETIME);
        EQ(ouro_sendto(fd, "kept", 4, 0, &to), 4);
        EQ(ouro_recvfrom(fd, buf, sizeof buf, 0, NULL), 4);
        EQ(ouro_close(fd), 0);
        return 0;
}

/* ---- segments ---- */

enum { SEGMENT = 1000, SEGMENTS = 10, WHOLE = SEGMENT * (SEGMENTS - 1) + 77 };

IN_LOOP(datagram, one_buffer_is_cut_into_datagrams)
{
        struct ouro_address to;
        int server = bound(&to), client = dial_to(&to);
        static char out[WHOLE], in[2 * SEGMENT];
        struct ouro_datagram datagram = {.buf = out, .len = WHOLE, .segment_bytes = SEGMENT};

        fill(out, WHOLE, 0);
        EQ(ouro_send_datagrams(client, &datagram, 1), 1);
        for (int i = 0; i < SEGMENTS; i++) {
                EQ(ouro_recvfrom(server, in, sizeof in, 0, NULL), i < SEGMENTS - 1 ? SEGMENT : 77);
                cr_assert(filled(in, i < SEGMENTS - 1 ? SEGMENT : 77, (size_t)i * SEGMENT));
        }
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

/* A socket without checksums is one that the kernel does not cut for. */
IN_LOOP(datagram, where_the_kernel_does_not_cut_datagrams_go_one_by_one)
{
        const int yes = 1;
        struct ouro_address to;
        int server = bound(&to), client = dial_to(&to);
        static char out[WHOLE], in[2 * SEGMENT];
        struct ouro_datagram datagrams[2] = {{.buf = out, .len = WHOLE, .segment_bytes = SEGMENT},
                                             {.buf = out, .len = 5}};

        EQ(setsockopt(client, SOL_SOCKET, SO_NO_CHECK, &yes, sizeof yes), 0);
        fill(out, WHOLE, 0);
        EQ(ouro_send_datagrams(client, datagrams, 2), 2);
        for (int i = 0; i < SEGMENTS; i++) {
                EQ(ouro_recvfrom(server, in, sizeof in, 0, NULL), i < SEGMENTS - 1 ? SEGMENT : 77);
                cr_assert(filled(in, i < SEGMENTS - 1 ? SEGMENT : 77, (size_t)i * SEGMENT));
        }
        EQ(ouro_recvfrom(server, in, sizeof in, 0, NULL), 5);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

IN_LOOP(datagram, several_of_one_sender_come_in_one_buffer)
{
        struct ouro_address to, from;
        int server = bound(&to), client = dial_to(&to);
        static char out[WHOLE], in[65536];
        struct ouro_datagram sent = {.buf = out, .len = WHOLE, .segment_bytes = SEGMENT};
        size_t got = 0, calls = 0;

        EQ(ouro_socket_set(server, "udp_gro", 1), 0);
        fill(out, WHOLE, 0);
        EQ(ouro_send_datagrams(client, &sent, 1), 1);
        while (got < WHOLE) {
                struct ouro_datagram datagram = {.buf = in, .len = sizeof in, .address = &from};

                EQ(ouro_recv_datagrams(server, &datagram, 1), 1);
                EQ(datagram.cut, false);
                cr_assert(filled(in, datagram.len, got));
                cr_assert(datagram.segment_bytes == SEGMENT || datagram.len <= SEGMENT);
                got += datagram.len;
                calls++;
        }
        cr_assert(calls < SEGMENTS, "%zu calls: nothing was put together", calls);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

IN_LOOP(datagram, segments_where_there_can_be_none_are_refused)
{
        static char out[WHOLE];
        struct ouro_datagram datagram = {.buf = out, .len = WHOLE, .segment_bytes = SEGMENT};
        struct ouro_address to;
        int server = bound(&to), client = dial_to(&to), fds[2];

        EQ(ouro_socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
        EQ(ouro_send_datagrams(fds[0], &datagram, 1), -EOPNOTSUPP);
        datagram.segment_bytes = 10; /* more than 64 */
        EQ(ouro_send_datagrams(client, &datagram, 1), -EINVAL);
        datagram = (struct ouro_datagram){.buf = out, .len = 5, .segment_bytes = 5}; /* nothing to cut */
        EQ(ouro_send_datagrams(fds[0], &datagram, 1), 1);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_close(fds[1]), 0);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

/* Others may send them to a local socket; whoever asked for datagrams only is not to collect them. */
IN_LOOP(datagram, descriptors_that_come_along_are_closed)
{
        struct ouro_datagram got[3];
        char bufs[3][8];
        int fds[2], ends[2];

        EQ(ouro_socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
        EQ(ouro_pipe(ends), 0);
        for (int i = 0; i < 3; i++) {
                got[i] = (struct ouro_datagram){.buf = bufs[i], .len = sizeof bufs[i]};
                EQ(ouro_send_fds(fds[0], "ab", 2, (const int[]){ends[1], ends[1]}, 2), 2);
        }
        EQ(ouro_recv_datagrams(fds[1], got, 3), 3);
        for (int i = 0; i < 3; i++)
                EQ(got[i].len, 2);
        EQ(ouro_close(ends[1]), 0);
        EQ(ouro_read(ends[0], bufs[0], 1), 0); /* nobody else has it open */
        EQ(ouro_close(ends[0]), 0);
        close_both(fds);
        return 0;
}

/* The kernel tells of these before it tells of segments. */
IN_LOOP(datagram, segments_are_told_beside_all_else_that_is_told)
{
        struct ouro_address to;
        int server = bound(&to), client = dial_to(&to);
        static char out[WHOLE], in[65536];
        struct ouro_datagram sent = {.buf = out, .len = WHOLE, .segment_bytes = SEGMENT};
        struct ouro_datagram datagram = {.buf = in, .len = sizeof in};

        EQ(ouro_socket_set(server, "so_timestampns", 1), 0);
        EQ(ouro_socket_set(server, "ip_pktinfo", 1), 0);
        EQ(ouro_socket_set(server, "ip_recvttl", 1), 0);
        EQ(ouro_socket_set(server, "ip_recvtos", 1), 0);
        EQ(ouro_socket_set(server, "udp_gro", 1), 0);
        EQ(ouro_send_datagrams(client, &sent, 1), 1);
        for (size_t got = 0; got < WHOLE; got += datagram.len) {
                datagram.len = sizeof in;
                EQ(ouro_recv_datagrams(server, &datagram, 1), 1);
                cr_assert(datagram.segment_bytes == SEGMENT || datagram.len <= SEGMENT);
        }
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}

/* Datagrams never find a full socket over loopback: what bounds a call is the library. */
IN_LOOP(datagram, one_call_does_not_keep_the_loop_for_long)
{
        static struct ouro_datagram out[5000];
        struct ouro_address to;
        int server = bound(&to), client = dial_to(&to);
        ssize_t n;

        for (size_t i = 0; i < 5000; i++)
                out[i] = (struct ouro_datagram){.buf = &to, .len = 1};
        n = ouro_send_datagrams(client, out, 5000);
        cr_assert(n > 0 && n <= 257, "%zd", n);
        EQ(ouro_close(client), 0);
        EQ(ouro_close(server), 0);
        return 0;
}
