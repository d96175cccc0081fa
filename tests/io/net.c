/* Of lib/io/net.c: results, waiting and every documented error of the calls on sockets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(net, .init = leaks_begin, .fini = leaks_end);

static const struct sockaddr_in loopback_any = {.sin_family = AF_INET, .sin_addr = {0x0100007f}};

/* A listener and where it is. */
static int listen_tcp(struct sockaddr_in *ret_addr)
{
        socklen_t len = sizeof *ret_addr;
        int fd = ouro_socket(AF_INET, SOCK_STREAM, 0);

        EQ(ouro_bind(fd, (const struct sockaddr *)&loopback_any, sizeof loopback_any), 0);
        EQ(ouro_listen_on(fd, 0), 0);
        EQ(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
        return fd;
}

static bool is_cloexec(int fd)
{
        return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

/* ---- making and connecting ---- */

IN_LOOP(net, socket_is_close_on_exec)
{
        int fd = ouro_socket(AF_INET, SOCK_STREAM, 0);

        cr_assert(fd >= 0);
        cr_assert(is_cloexec(fd));
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(net, socket_tells_what_the_kernel_refuses)
{
        EQ(ouro_socket(-1, SOCK_STREAM, 0), -EAFNOSUPPORT);
        EQ(ouro_socket(AF_INET, 77, 0), -EINVAL);
        EQ(ouro_socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
        return 0;
}

IN_LOOP(net, bind_and_listen_tell_their_errors)
{
        const struct sockaddr *any = (const struct sockaddr *)&loopback_any;
        int udp = ouro_socket(AF_INET, SOCK_DGRAM, 0), file = open("/dev/null", O_RDWR | O_CLOEXEC);
        struct sockaddr_in taken;
        int listener = listen_tcp(&taken), second = ouro_socket(AF_INET, SOCK_STREAM, 0);

        EQ(ouro_bind(second, NULL, sizeof taken), -EINVAL);
        EQ(ouro_bind(second, any, 1), -EINVAL);
        EQ(ouro_bind(-1, any, sizeof loopback_any), -EBADF);
        EQ(ouro_bind(file, any, sizeof loopback_any), -ENOTSOCK);
        EQ(ouro_bind(second, (struct sockaddr *)&taken, sizeof taken), -EADDRINUSE);
        EQ(ouro_listen_on(-1, 1), -EBADF);
        EQ(ouro_listen_on(file, 1), -ENOTSOCK);
        EQ(ouro_listen_on(udp, 1), -EOPNOTSUPP);
        close(udp);
        close(file);
        close(listener);
        close(second);
        return 0;
}

struct accepting {
        int listener;
        struct sockaddr_in peer;
        socklen_t len;
};

static intptr_t accept_one(void *arg)
{
        struct accepting *accepting = arg;

        accepting->len = sizeof accepting->peer;
        return ouro_accept(accepting->listener, (struct sockaddr *)&accepting->peer, &accepting->len);
}

IN_LOOP(net, accept_waits_for_a_connection_and_tells_whose)
{
        struct accepting accepting;
        struct sockaddr_in addr, mine;
        socklen_t len = sizeof mine;

        accepting.listener = listen_tcp(&addr);
        ouro_task task = ouro_create_task(accept_one, &accepting);

        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        int fd = ouro_socket(AF_INET, SOCK_STREAM, 0);

        EQ(ouro_connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        int accepted = (int)ouro_await(task);

        cr_assert(accepted >= 0);
        cr_assert(is_cloexec(accepted));
        EQ(getsockname(fd, (struct sockaddr *)&mine, &len), 0);
        EQ(accepting.len, sizeof mine);
        EQ(accepting.peer.sin_port, mine.sin_port);
        EQ(ouro_send(fd, "ping", 4, 0), 4);
        char buf[8];

        EQ(ouro_recv(accepted, buf, sizeof buf, 0), 4);
        close(fd);
        close(accepted);
        close(accepting.listener);
        return 0;
}

IN_LOOP(net, accept_cuts_an_address_that_does_not_fit)
{
        struct sockaddr_in addr;
        int listener = listen_tcp(&addr), fd = ouro_socket(AF_INET, SOCK_STREAM, 0);
        char little[3] = {0, 0, 77};
        socklen_t len = 2;

        EQ(ouro_connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        int accepted = ouro_accept(listener, (struct sockaddr *)little, &len);

        cr_assert(accepted >= 0);
        EQ(len, sizeof addr);
        EQ(little[2], 77);
        close(fd);
        close(accepted);
        close(listener);
        return 0;
}

IN_LOOP(net, accept_tells_its_errors)
{
        struct sockaddr_storage addr;
        int idle = ouro_socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", O_RDWR | O_CLOEXEC);
        int udp = ouro_socket(AF_INET, SOCK_DGRAM, 0);

        EQ(ouro_accept(-1, NULL, NULL), -EBADF);
        EQ(ouro_accept(no_such_fd(), NULL, NULL), -EBADF);
        EQ(ouro_accept(idle, (struct sockaddr *)&addr, NULL), -EINVAL);
        EQ(ouro_accept(idle, NULL, NULL), -EINVAL);
        EQ(ouro_accept(file, NULL, NULL), -ENOTSOCK);
        EQ(ouro_accept(udp, NULL, NULL), -EOPNOTSUPP);
        close(idle);
        close(file);
        close(udp);
        return 0;
}

/* No descriptor is free: told, and the connection is still there afterwards. */
IN_LOOP(net, f26_accept_without_descriptors_loses_no_connection)
{
        struct sockaddr_in addr;
        int listener = listen_tcp(&addr), fd = ouro_socket(AF_INET, SOCK_STREAM, 0);
        struct rlimit before, none = {0, 0};

        EQ(ouro_connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        getrlimit(RLIMIT_NOFILE, &before);
        none.rlim_max = before.rlim_max;
        EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        int refused = ouro_accept(listener, NULL, NULL), again = ouro_accept(listener, NULL, NULL);

        EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        EQ(refused, -EMFILE);
        EQ(again, -EMFILE);
        int accepted = ouro_accept(listener, NULL, NULL);

        cr_assert(accepted >= 0);
        close(accepted);
        close(fd);
        close(listener);
        return 0;
}

IN_LOOP(net, connect_tells_its_errors)
{
        struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
        const struct sockaddr *nowhere_addr = (const struct sockaddr *)&nowhere;
        struct sockaddr_in addr;
        int listener = listen_tcp(&addr), fd = ouro_socket(AF_INET, SOCK_STREAM, 0);
        int local = ouro_socket(AF_UNIX, SOCK_STREAM, 0), file = open("/dev/null", O_RDWR | O_CLOEXEC);

        EQ(ouro_connect(-1, nowhere_addr, sizeof nowhere), -EBADF);
        EQ(ouro_connect(no_such_fd(), nowhere_addr, sizeof nowhere), -EBADF);
        EQ(ouro_connect(local, NULL, sizeof nowhere), -EINVAL);
        EQ(ouro_connect(file, nowhere_addr, sizeof nowhere), -ENOTSOCK);
        EQ(ouro_connect(local, nowhere_addr, sizeof nowhere), -ENOENT);
        EQ(ouro_connect(fd, (struct sockaddr *)&addr, 1), -EINVAL);
        EQ(ouro_connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        EQ(ouro_connect(fd, (struct sockaddr *)&addr, sizeof addr), -EISCONN);
        close(fd);
        close(listener);
        fd = ouro_socket(AF_INET, SOCK_STREAM, 0);
        EQ(ouro_connect(fd, (struct sockaddr *)&addr, sizeof addr), -ECONNREFUSED);
        close(fd);
        close(local);
        close(file);
        return 0;
}

/* ---- moving bytes ---- */

static void check_both_ways(int a, int b)
{
        char buf[16];

        EQ(ouro_send(a, "there", 5, 0), 5);
        EQ(ouro_recv(b, buf, sizeof buf, 0), 5);
        cr_assert_eq(memcmp(buf, "there", 5), 0);
        EQ(ouro_send(b, "back", 4, 0), 4);
        EQ(ouro_recv(a, buf, 2, 0), 2);
        EQ(ouro_recv(a, buf + 2, 14, 0), 2);
        cr_assert_eq(memcmp(buf, "back", 4), 0);
        EQ(ouro_shutdown(a, SHUT_WR), 0);
        EQ(ouro_recv(b, buf, sizeof buf, 0), 0);
        EQ(ouro_recv(b, buf, sizeof buf, 0), 0);
        EQ(ouro_close(a), 0);
        EQ(ouro_close(b), 0);
}

IN_LOOP(net, bytes_go_both_ways_on_each_kind_of_stream)
{
        int fds[2];

        unix_pair(fds);
        check_both_ways(fds[0], fds[1]);
        tcp_pair(fds);
        check_both_ways(fds[0], fds[1]);
        return 0;
}

struct transfer {
        int fd;
        char *buf;
        size_t len;
        int flags;
};

static intptr_t recv_task(void *arg)
{
        struct transfer *transfer = arg;

        return ouro_recv(transfer->fd, transfer->buf, transfer->len, transfer->flags);
}

static intptr_t send_task(void *arg)
{
        struct transfer *transfer = arg;

        return ouro_send(transfer->fd, transfer->buf, transfer->len, transfer->flags);
}

IN_LOOP(net, recv_waits_for_bytes)
{
        char buf[8];
        int fds[2];

        unix_pair(fds);
        struct transfer transfer = {fds[0], buf, sizeof buf, 0};
        ouro_task task = ouro_create_task(recv_task, &transfer);

        ouro_yield();
        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_send(fds[1], "later", 5, 0), 5);
        EQ(ouro_await(task), 5);
        cr_assert_eq(memcmp(buf, "later", 5), 0);
        close_both(fds);
        return 0;
}

/* Fills what the pair can hold, without waiting. Returns how much that is. */
static size_t stuff(int fd)
{
        char block[4096];
        size_t sum = 0;

        memset(block, 'x', sizeof block);
        for (;;) {
                ssize_t n = send(fd, block, sizeof block, MSG_DONTWAIT);

                if (n < 0)
                        return sum;
                sum += (size_t)n;
        }
}

IN_LOOP(net, send_waits_for_room)
{
        static char sink[1 << 20];
        int fds[2];

        unix_pair(fds);
        size_t stuffed = stuff(fds[0]);
        struct transfer transfer = {fds[0], (char[]){"end"}, 3, 0};
        ouro_task task = ouro_create_task(send_task, &transfer);

        ouro_yield();
        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_recv_all(fds[1], sink, stuffed, NULL), 0);
        EQ(ouro_await(task), 3);
        EQ(ouro_recv(fds[1], sink, sizeof sink, 0), 3);
        close_both(fds);
        return 0;
}

IN_LOOP(net, peek_leaves_what_it_shows)
{
        char buf[8];
        int fds[2];

        unix_pair(fds);
        EQ(ouro_send(fds[0], "once", 4, 0), 4);
        EQ(ouro_recv(fds[1], buf, sizeof buf, MSG_PEEK), 4);
        EQ(ouro_recv(fds[1], buf, sizeof buf, 0), 4);
        close_both(fds);
        return 0;
}

IN_LOOP(net, waitall_waits_for_the_whole)
{
        char buf[8] = "";
        int fds[2];

        tcp_pair(fds);
        struct transfer transfer = {fds[0], buf, sizeof buf, MSG_WAITALL};
        ouro_task task = ouro_create_task(recv_task, &transfer);

        EQ(ouro_send(fds[1], "1234", 4, 0), 4);
        for (int i = 0; i < 20; i++)
                ouro_sleep(OURO_US(100));
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_send(fds[1], "5678", 4, 0), 4);
        EQ(ouro_await(task), 8);
        cr_assert_eq(memcmp(buf, "12345678", 8), 0);
        close_both(fds);
        return 0;
}

IN_LOOP(net, waitall_gives_what_there_was_at_the_end)
{
        char buf[8];
        int fds[2];

        unix_pair(fds);
        EQ(ouro_send(fds[1], "1234", 4, 0), 4);
        EQ(ouro_shutdown(fds[1], SHUT_WR), 0);
        EQ(ouro_recv(fds[0], buf, sizeof buf, MSG_WAITALL), 4);
        close_both(fds);
        return 0;
}

IN_LOOP(net, urgent_byte_comes_out_of_band)
{
        char byte = 0;
        int fds[2];

        tcp_pair(fds);
        EQ(ouro_recv(fds[1], &byte, 1, MSG_OOB), -EINVAL); /* there is none */
        EQ(ouro_send(fds[0], "!", 1, MSG_OOB), 1);
        EQ(ouro_poll(fds[1], POLLPRI) & POLLPRI, POLLPRI);
        EQ(ouro_recv(fds[1], &byte, 1, MSG_OOB), 1);
        EQ(byte, '!');
        close_both(fds);
        return 0;
}

IN_LOOP(net, lengths_of_zero_and_beyond_all_bounds)
{
        char buf[8];
        int fds[2];

        unix_pair(fds);
        EQ(ouro_send(fds[0], NULL, 0, 0), 0);
        EQ(ouro_send(fds[0], "12345678", 8, 0), 8);
        EQ(ouro_recv(fds[1], NULL, 0, 0), 0);
        EQ(ouro_recv(fds[1], buf, SIZE_MAX, 0), 8);
        close_both(fds);
        return 0;
}

static void check_refused(int fd, int wanted)
{
        char buf[4] = "";
        struct iovec iov = {buf, sizeof buf};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        EQ(ouro_send(fd, buf, sizeof buf, 0), wanted);
        EQ(ouro_recv(fd, buf, sizeof buf, 0), wanted);
        EQ(ouro_sendmsg(fd, &msg, 0), wanted);
        EQ(ouro_recvmsg(fd, &msg, 0), wanted);
        EQ(ouro_shutdown(fd, SHUT_RDWR), wanted);
}

IN_LOOP(net, wrong_descriptors_are_told)
{
        int pipes[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);

        EQ(pipe2(pipes, O_CLOEXEC), 0);
        check_refused(-1, -EBADF);
        check_refused(INT32_MIN, -EBADF);
        check_refused(INT32_MAX, -EBADF);
        check_refused(no_such_fd(), -EBADF);
        check_refused(file, -ENOTSOCK);
        check_refused(pipes[0], -ENOTSOCK);
        close(file);
        close_both(pipes);
        return 0;
}

IN_LOOP(net, bad_arguments_are_told_before_anything_is_done)
{
        int fds[2];
        char buf[4];

        unix_pair(fds);
        EQ(ouro_send(fds[0], NULL, 1, 0), -EINVAL);
        EQ(ouro_recv(fds[0], NULL, 1, 0), -EINVAL);
        EQ(ouro_sendmsg(fds[0], NULL, 0), -EINVAL);
        EQ(ouro_recvmsg(fds[0], NULL, 0), -EINVAL);
        EQ(ouro_send(fds[0], "x", 1, MSG_DONTWAIT), -EINVAL);
        EQ(ouro_recv(fds[0], buf, sizeof buf, MSG_DONTWAIT), -EINVAL);
        EQ(ouro_sendmsg(fds[0], &(struct msghdr){0}, MSG_DONTWAIT), -EINVAL);
        EQ(ouro_recvmsg(fds[0], &(struct msghdr){0}, MSG_DONTWAIT), -EINVAL);
        EQ(ouro_shutdown(fds[0], 77), -EINVAL);
        EQ(recv(fds[1], buf, sizeof buf, MSG_DONTWAIT), -1); /* nothing was sent */
        EQ(ouro_send(fds[0], (void *)8, 4, 0), -EFAULT);
        EQ(ouro_send(fds[1], "1234", 4, 0), 4);
        EQ(ouro_recv(fds[0], (void *)8, 4, 0), -EFAULT);
        close_both(fds);
        return 0;
}

IN_LOOP(net, connection_that_is_gone_is_told)
{
        struct linger at_once = {1, 0};
        char buf[4];
        int fds[2];

        tcp_pair(fds);
        EQ(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        close(fds[1]);
        EQ(ouro_recv(fds[0], buf, sizeof buf, 0), -ECONNRESET);
        EQ(ouro_recv(fds[0], buf, sizeof buf, 0), 0);
        EQ(ouro_send(fds[0], buf, sizeof buf, 0), -EPIPE);
        EQ(ouro_shutdown(fds[0], SHUT_WR), -ENOTCONN);
        close(fds[0]);
        fds[0] = ouro_socket(AF_INET, SOCK_STREAM, 0);
        EQ(ouro_recv(fds[0], buf, sizeof buf, 0), -ENOTCONN);
        EQ(ouro_send(fds[0], buf, sizeof buf, 0), -EPIPE);
        close(fds[0]);
        return 0;
}

/* ---- messages ---- */

IN_LOOP(net, datagrams_keep_their_bounds_and_tell_their_sender)
{
        int fds[2] = {ouro_socket(AF_INET, SOCK_DGRAM, 0), ouro_socket(AF_INET, SOCK_DGRAM, 0)};
        struct sockaddr_in to, mine, from;
        socklen_t len = sizeof to;
        static char huge[70000];
        char a[4], b[4];

        EQ(ouro_bind(fds[0], (const struct sockaddr *)&loopback_any, sizeof loopback_any), 0);
        EQ(ouro_bind(fds[1], (const struct sockaddr *)&loopback_any, sizeof loopback_any), 0);
        EQ(getsockname(fds[0], (struct sockaddr *)&to, &len), 0);
        EQ(getsockname(fds[1], (struct sockaddr *)&mine, &len), 0);

        struct iovec out[2] = {{(char[]){"head"}, 4}, {(char[]){"tail!"}, 5}}, in[2] = {{a, 4}, {b, 4}};
        struct msghdr msg = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = out, .msg_iovlen = 2};

        EQ(ouro_send(fds[1], "x", 1, 0), -EDESTADDRREQ);
        EQ(ouro_sendmsg(fds[1], &msg, 0), 9);
        msg = (struct msghdr){.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = in, .msg_iovlen = 2};
        EQ(ouro_recvmsg(fds[0], &msg, 0), 8);
        cr_assert(memcmp(a, "head", 4) == 0 && memcmp(b, "tail", 4) == 0);
        EQ(msg.msg_flags & MSG_TRUNC, MSG_TRUNC);
        EQ(msg.msg_namelen, sizeof from);
        EQ(from.sin_port, mine.sin_port);

        EQ(ouro_connect(fds[1], (struct sockaddr *)&to, sizeof to), 0);
        EQ(ouro_send(fds[1], "123456", 6, 0), 6);
        EQ(ouro_recv(fds[0], a, sizeof a, MSG_TRUNC), 6); /* what it was, not what fitted */
        EQ(ouro_send(fds[1], huge, sizeof huge, 0), -EMSGSIZE);
        close_both(fds);
        return 0;
}

union fd_message {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
};

static void send_fd(int socket, int fd)
{
        union fd_message control = {{0}};
        struct iovec byte = {(char[]){"f"}, 1};
        struct msghdr msg = {
                .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        *cmsg = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
        EQ(ouro_sendmsg(socket, &msg, 0), 1);
}

static int recv_fd(int socket, int flags)
{
        union fd_message control = {{0}};
        char byte;
        struct iovec iov = {&byte, 1};
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        int fd;

        EQ(ouro_recvmsg(socket, &msg, flags), 1);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        cr_assert(cmsg && cmsg->cmsg_type == SCM_RIGHTS);
        memcpy(&fd, CMSG_DATA(cmsg), sizeof fd);
        return fd;
}

IN_LOOP(net, descriptors_can_be_sent)
{
        int fds[2], passed[2], got;
        char byte = 0;

        unix_pair(fds);
        unix_pair(passed);
        send_fd(fds[0], passed[0]);
        got = recv_fd(fds[1], MSG_CMSG_CLOEXEC);
        cr_assert(is_cloexec(got));
        EQ(ouro_send(got, "!", 1, 0), 1);
        EQ(ouro_recv(passed[1], &byte, 1, 0), 1);
        EQ(byte, '!');
        close(got);
        send_fd(fds[0], passed[0]);
        got = recv_fd(fds[1], 0);
        cr_assert(!is_cloexec(got));
        close(got);
        close_both(fds);
        close_both(passed);
        return 0;
}

/* ---- cut short ---- */

/* In a task that has been cancelled, or whose scope has expired: nothing may be done. */
static void check_cut_on_entry(int fd, const struct sockaddr_in *addr, int listener, int wanted)
{
        struct iovec iov = {(char[4]){0}, 4};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        EQ(ouro_send(fd, "x", 1, 0), wanted);
        EQ(ouro_recv(fd, iov.iov_base, 4, 0), wanted);
        EQ(ouro_sendmsg(fd, &msg, 0), wanted);
        EQ(ouro_recvmsg(fd, &msg, 0), wanted);
        EQ(ouro_accept(listener, NULL, NULL), wanted);
        EQ(ouro_connect(fd, (const struct sockaddr *)addr, sizeof *addr), wanted);
}

static intptr_t cancelled_calls(void *arg)
{
        int *fds = arg;
        struct sockaddr_in addr;
        int listener = listen_tcp(&addr), client = ouro_socket(AF_INET, SOCK_STREAM, 0);

        EQ(ouro_cancel(ouro_self()), 0);
        check_cut_on_entry(client, &addr, listener, -ECANCELED);
        check_cut_on_entry(fds[0], &addr, listener, -ECANCELED);
        EQ(ouro_shutdown(fds[0], SHUT_WR), 0); /* never cut short */
        EQ(ouro_close(client), 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(net, cancelled_task_does_nothing_but_release)
{
        char buf[4];
        int fds[2];

        unix_pair(fds);
        EQ(ouro_await(ouro_create_task(cancelled_calls, fds)), 0);
        EQ(ouro_recv(fds[1], buf, sizeof buf, 0), 0); /* the shutdown, and no byte before it */
        close_both(fds);
        return 0;
}

IN_LOOP(net, expired_scope_does_nothing)
{
        struct sockaddr_in addr;
        int listener = listen_tcp(&addr), fds[2];
        bool expired = false;
        char buf[4];

        unix_pair(fds);
        OURO_TIMEOUT(0, &expired) {
                check_cut_on_entry(fds[0], &addr, listener, -ETIME);
        }
        cr_assert(expired);
        EQ(recv(fds[1], buf, sizeof buf, MSG_DONTWAIT), -1);
        close_both(fds);
        close(listener);
        return 0;
}

IN_LOOP(net, waits_are_cut_by_cancel_and_by_time)
{
        char buf[4];
        int fds[2];

        unix_pair(fds);
        struct transfer transfer = {fds[0], buf, sizeof buf, 0};
        ouro_task task = ouro_create_task(recv_task, &transfer);

        ouro_yield();
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(1)) {
                EQ(ouro_recv(fds[0], buf, sizeof buf, 0), -ETIME);
        }
        EQ(ouro_send(fds[1], "ok", 2, 0), 2);
        EQ(ouro_recv(fds[0], buf, sizeof buf, 0), 2);
        close_both(fds);
        return 0;
}

Test(net, outside_a_loop_nothing_works)
{
        struct sockaddr_in addr = loopback_any;
        const struct sockaddr *any = (struct sockaddr *)&addr;
        struct iovec iov = {(char[4]){0}, 4};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        int fds[2];

        unix_pair(fds);
        EQ(ouro_socket(AF_INET, SOCK_STREAM, 0), -EPERM);
        EQ(ouro_bind(fds[0], any, sizeof addr), -EPERM);
        EQ(ouro_listen_on(fds[0], 1), -EPERM);
        EQ(ouro_accept(fds[0], NULL, NULL), -EPERM);
        EQ(ouro_connect(fds[0], any, sizeof addr), -EPERM);
        EQ(ouro_send(fds[0], "x", 1, 0), -EPERM);
        EQ(ouro_recv(fds[0], iov.iov_base, 4, 0), -EPERM);
        EQ(ouro_sendmsg(fds[0], &msg, 0), -EPERM);
        EQ(ouro_recvmsg(fds[0], &msg, 0), -EPERM);
        EQ(ouro_shutdown(fds[0], SHUT_RDWR), -EPERM);
        EQ(ouro_listen("tcp:127.0.0.1:0"), -EPERM);
        EQ(ouro_dial("tcp:127.0.0.1:1"), -EPERM);
        close_both(fds);
}

/* The library neither reads nor writes errno. */
IN_LOOP(net, errno_is_left_alone)
{
        errno = 4242;
        EQ(ouro_accept(no_such_fd(), NULL, NULL), -EBADF);
        EQ(errno, 4242);
        EQ(ouro_socket(-1, 0, 0), -EAFNOSUPPORT);
        EQ(ouro_dial("unix:/nonexistent/socket"), -ENOENT);
        EQ(errno, 4242);
        return 0;
}
