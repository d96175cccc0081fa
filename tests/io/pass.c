/* Of lib/io/pass.c: pairs, credentials, and descriptors that go from one process to another. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(pass, .init = leaks_begin, .fini = leaks_end);

static bool is_cloexec(int fd)
{
        return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void pair(int type, int fds[2])
{
        EQ(ouro_socketpair(AF_UNIX, type, 0, fds), 0);
}

static void close_two(const int fds[2])
{
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_close(fds[1]), 0);
}

/* ---- pairs ---- */

IN_LOOP(pass, pairs_are_connected_and_close_on_exec)
{
        int fds[2];
        char buf[4];

        pair(SOCK_STREAM, fds);
        cr_assert(is_cloexec(fds[0]) && is_cloexec(fds[1]));
        EQ(ouro_send(fds[0], "x", 1, 0), 1);
        EQ(ouro_recv(fds[1], buf, sizeof buf, 0), 1);
        close_two(fds);
        EQ(ouro_pipe(fds), 0);
        cr_assert(is_cloexec(fds[0]) && is_cloexec(fds[1]));
        EQ(ouro_write(fds[1], "y", 1), 1);
        EQ(ouro_read(fds[0], buf, sizeof buf), 1);
        close_two(fds);
        return 0;
}

IN_LOOP(pass, pairs_tell_their_errors)
{
        int fds[2] = {-7, -7};

        EQ(ouro_socketpair(AF_UNIX, SOCK_STREAM, 0, NULL), -EINVAL);
        EQ(ouro_socketpair(AF_INET, SOCK_STREAM, 0, fds), -EOPNOTSUPP);
        EQ(ouro_socketpair(-1, SOCK_STREAM, 0, fds), -EAFNOSUPPORT);
        EQ(ouro_pipe(NULL), -EINVAL);
        EQ(fds[0], -7);
        EQ(fds[1], -7);
        return 0;
}

Test(pass, outside_a_loop_is_refused)
{
        int fds[2];

        EQ(ouro_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), -EPERM);
        EQ(ouro_pipe(fds), -EPERM);
}

/* ---- credentials ---- */

IN_LOOP(pass, peer_is_the_process_that_connected)
{
        struct ouro_credentials peer = {0};
        int listener = ouro_listen("unix:@ouro-test-credentials"), server, status;
        pid_t child = fork();

        if (child == 0) {
                struct sockaddr_storage addr;
                struct ouro_address address;
                int fd = socket(AF_UNIX, SOCK_STREAM, 0);
                char byte;

                if (ouro_address_parse("unix:@ouro-test-credentials", &address) < 0)
                        _exit(1);
                memcpy(&addr, &address.storage, sizeof addr);
                if (connect(fd, (struct sockaddr *)&addr, address.len) < 0)
                        _exit(1);
                _exit((int)read(fd, &byte, 1));
        }
        server = ouro_accept(listener, NULL, NULL);
        cr_assert(server >= 0);
        EQ(ouro_peer_credentials(server, &peer), 0);
        EQ(peer.pid, child);
        EQ(peer.uid, getuid());
        EQ(peer.gid, getgid());
        int pidfd = ouro_peer_pidfd(server);

        if (pidfd == -ENOPROTOOPT)
                PASSED_OVER("this kernel has no SO_PEERPIDFD");
        else
                cr_assert(pidfd >= 0 && is_cloexec(pidfd), "%d", pidfd);
        EQ(ouro_close(server), 0); /* ends it */
        if (pidfd >= 0) {
                cr_assert(ouro_poll(pidfd, POLLIN) & POLLIN);
                EQ(ouro_close(pidfd), 0);
        }
        EQ(waitpid(child, &status, 0), child);
        EQ(status, 0);
        EQ(ouro_close(listener), 0);
        return 0;
}

IN_LOOP(pass, credentials_tell_their_errors)
{
        int tcp[2], idle = ouro_socket(AF_UNIX, SOCK_STREAM, 0);
        struct ouro_credentials peer;

        tcp_pair(tcp);
        EQ(ouro_peer_credentials(tcp[0], &peer), -EOPNOTSUPP);
        EQ(ouro_peer_pidfd(tcp[0]), -EOPNOTSUPP);
        EQ(ouro_peer_credentials(idle, &peer), -ENOTCONN);
        EQ(ouro_peer_credentials(idle, NULL), -EINVAL);
        EQ(ouro_peer_credentials(-1, &peer), -EBADF);
        EQ(ouro_peer_credentials(0, &peer), -ENOTSOCK);
        EQ(ouro_peer_pidfd(-1), -EBADF);
        close_both(tcp);
        EQ(ouro_close(idle), 0);
        return 0;
}

/* ---- descriptors ---- */

/* Pipes, sent over; what is written into the originals comes out of the copies. */
static void check_passed(int type, size_t n)
{
        int fds[2], ends[OURO_FDS_MOST][2], reading[OURO_FDS_MOST], got[OURO_FDS_MOST];
        char buf[8];
        size_t count = 4711;

        pair(type, fds);
        for (size_t i = 0; i < n; i++) {
                EQ(ouro_pipe(ends[i]), 0);
                reading[i] = ends[i][0];
        }
        EQ(ouro_send_fds(fds[0], "data", 4, reading, n), 4);
        EQ(ouro_recv_fds(fds[1], buf, sizeof buf, got, OURO_FDS_MOST, &count), 4);
        EQ(count, n);
        for (size_t i = 0; i < n; i++) {
                cr_assert(is_cloexec(got[i]));
                EQ(ouro_write(ends[i][1], "!", 1), 1);
                EQ(ouro_read(got[i], buf, sizeof buf), 1);
                EQ(ouro_close(got[i]), 0);
                close_two(ends[i]);
        }
        close_two(fds);
}

IN_LOOP(pass, descriptors_arrive_with_their_data)
{
        check_passed(SOCK_STREAM, 0);
        check_passed(SOCK_STREAM, 1);
        check_passed(SOCK_DGRAM, 2);
        check_passed(SOCK_SEQPACKET, 3);
        check_passed(SOCK_STREAM, OURO_FDS_MOST);
        return 0;
}

IN_LOOP(pass, messages_with_descriptors_stay_apart_on_a_stream)
{
        int fds[2], got[4], zero = 0;
        char buf[16];
        size_t n;

        pair(SOCK_STREAM, fds);
        EQ(ouro_send_fds(fds[0], "a", 1, &zero, 1), 1);
        EQ(ouro_send_fds(fds[0], "b", 1, &zero, 1), 1);
        EQ(ouro_recv_fds(fds[1], buf, sizeof buf, got, 4, &n), 1);
        EQ(n, 1);
        EQ(ouro_close(got[0]), 0);
        EQ(ouro_recv_fds(fds[1], buf, sizeof buf, got, 4, &n), 1);
        EQ(n, 1);
        EQ(ouro_close(got[0]), 0);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_recv_fds(fds[1], buf, sizeof buf, got, 4, &n), 0);
        EQ(n, 0);
        EQ(ouro_close(fds[1]), 0);
        return 0;
}

/* The leak check sees to it that those that came are closed. */
IN_LOOP(pass, more_descriptors_than_room_are_closed_and_told)
{
        int fds[2], sent[3] = {0, 0, 0}, got[3] = {-7, -7, -7};
        char buf[8];
        size_t n = 4711;

        for (size_t room = 0; room < 3; room++) {
                pair(SOCK_SEQPACKET, fds);
                EQ(ouro_send_fds(fds[0], "x", 1, sent, 3), 1);
                EQ(ouro_recv_fds(fds[1], buf, sizeof buf, got, room, &n), -EMSGSIZE);
                EQ(n, 4711);
                EQ(got[0], -7);
                EQ(ouro_send_fds(fds[0], "y", 1, sent, 1), 1); /* the next is not harmed */
                EQ(ouro_recv_fds(fds[1], buf, sizeof buf, got, 1, &n), 1);
                EQ(ouro_close(got[0]), 0);
                got[0] = -7;
                n = 4711;
                close_two(fds);
        }
        return 0;
}

/* Room for one of three: all or none. */
IN_LOOP(pass, f26_too_few_free_numbers_are_told_and_nothing_leaks)
{
        struct rlimit before, low;
        int fds[2], sent[3] = {0, 0, 0}, got[3], result;
        size_t n = 4711;
        char buf[8];

        pair(SOCK_SEQPACKET, fds);
        EQ(ouro_send_fds(fds[0], "x", 1, sent, 3), 1);
        getrlimit(RLIMIT_NOFILE, &before);
        low = before;
        low.rlim_cur = (rlim_t)dup(0) + 1; /* the next free number is the last */
        close((int)low.rlim_cur - 1);
        EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
        result = (int)ouro_recv_fds(fds[1], buf, sizeof buf, got, 3, &n);
        EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        EQ(result, -EMFILE);
        EQ(n, 4711);
        close_two(fds);
        return 0;
}

struct receiving {
        int fd;
        int got;
        size_t n;
};

static intptr_t receive_one(void *arg)
{
        struct receiving *receiving = arg;
        char buf[4];

        return ouro_recv_fds(receiving->fd, buf, sizeof buf, &receiving->got, 1, &receiving->n);
}

/* What arrives in the same moment as the cancel is handed over or still there, never lost in between. */
IN_LOOP(pass, f18_cancelled_receiver_leaks_no_descriptor)
{
        int zero = 0, handed_over = 0;

        for (int i = 0; i < 50; i++) {
                struct receiving receiving = {.got = -1};
                int fds[2];
                ssize_t result;

                pair(SOCK_STREAM, fds);
                receiving.fd = fds[1];
                ouro_task task = ouro_create_task(receive_one, &receiving);

                ouro_yield();
                if (i % 2)
                        EQ(ouro_cancel(task), 0);
                EQ(ouro_send_fds(fds[0], "x", 1, &zero, 1), 1);
                if (i % 2 == 0)
                        EQ(ouro_cancel(task), 0);
                result = ouro_await(task);
                if (result == 1) {
                        handed_over++;
                        EQ(receiving.n, 1);
                        EQ(ouro_close(receiving.got), 0);
                } else {
                        EQ(result, -ECANCELED);
                        EQ(receive_one(&receiving), 1);
                        EQ(ouro_close(receiving.got), 0);
                }
                close_two(fds);
        }
        cr_assert(handed_over <= 50);
        return 0;
}

IN_LOOP(pass, descriptors_tell_their_errors)
{
        int fds[2], many[OURO_FDS_MOST + 1], got, tcp[2];
        char buf[4];
        size_t n;

        pair(SOCK_STREAM, fds);
        memset(many, 0, sizeof many);
        EQ(ouro_send_fds(fds[0], NULL, 1, many, 1), -EINVAL);
        EQ(ouro_send_fds(fds[0], "x", 0, many, 1), -EINVAL);
        EQ(ouro_send_fds(fds[0], "x", 1, NULL, 1), -EINVAL);
        EQ(ouro_send_fds(fds[0], "x", 1, many, OURO_FDS_MOST + 1), -EINVAL);
        many[0] = no_such_fd();
        EQ(ouro_send_fds(fds[0], "x", 1, many, 1), -EBADF);
        many[0] = 0;
        EQ(ouro_send_fds(-1, "x", 1, many, 1), -EBADF);
        EQ(ouro_recv_fds(fds[1], NULL, 1, &got, 1, &n), -EINVAL);
        EQ(ouro_recv_fds(fds[1], buf, 0, &got, 1, &n), -EINVAL);
        EQ(ouro_recv_fds(fds[1], buf, 1, NULL, 1, &n), -EINVAL);
        EQ(ouro_recv_fds(fds[1], buf, 1, &got, 1, NULL), -EINVAL);
        EQ(ouro_close(fds[1]), 0);
        EQ(ouro_send_fds(fds[0], "x", 1, many, 1), -EPIPE);
        EQ(ouro_close(fds[0]), 0);
        tcp_pair(tcp);
        EQ(ouro_send_fds(tcp[0], "x", 1, many, 1), -EOPNOTSUPP);
        EQ(ouro_send_fds(tcp[0], "x", 1, NULL, 0), 1);
        close_both(tcp);
        return 0;
}
