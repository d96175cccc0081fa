/* Of lib/ring/epoll.c and watch.c: waiting by readiness. What each entry answers is in entries.c, the threads
 * are in helpers.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring/drive.h"
#include "support/leaks.h"

static struct drive drive;
static int pair[2];

static void open_epoll(void)
{
        leaks_begin();
        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, 0), 0);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_epoll(void)
{
        close(pair[0]);
        close(pair[1]);
        ring_close(&drive.ring);
        leaks_end();
}

TestSuite(epoll, .init = open_epoll, .fini = close_epoll, .timeout = 60);

/* Until no byte more goes in. */
static size_t fill(int fd)
{
        static const char bytes[4096];
        size_t sum = 0;
        ssize_t n;
        int flags = fcntl(fd, F_GETFL);

        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        while ((n = write(fd, bytes, sizeof bytes)) > 0)
                sum += (size_t)n;
        fcntl(fd, F_SETFL, flags);
        return sum;
}

static void drain(int fd, size_t len)
{
        char bytes[4096];

        while (len > 0) {
                ssize_t n = read(fd, bytes, len < sizeof bytes ? len : sizeof bytes);

                cr_assert_gt(n, 0);
                len -= (size_t)n;
        }
}

/* ---- reporting ---- */

Test(epoll, what_is_done_is_reported_by_wait_which_does_not_block)
{
        struct op op;

        io_uring_prep_nop(op_begin(&op));
        drive_start(&drive, &op);
        cr_assert_eq(ring_wait(&drive.ring, -1), 0);
        cr_assert_eq(op.state, OP_IDLE);
        cr_assert_eq(op.res, 0);
}

Test(epoll, wait_of_zero_reports_too)
{
        struct op op;

        io_uring_prep_send(op_begin(&op), pair[0], "x", 1, 0);
        drive_start(&drive, &op);
        cr_assert_eq(ring_wait(&drive.ring, 0), 0);
        cr_assert_eq(op.state, OP_IDLE);
        cr_assert_eq(op.res, 1);
}

static struct op follower;

static void start_follower(struct ring *ring, struct op *op)
{
        (void)op;
        follower.complete = drive_completed;
        cr_assert_eq(ring_begin(ring, &follower), 0);
}

Test(epoll, op_begun_by_a_completion_is_reported_by_the_next_wait)
{
        struct op op;

        io_uring_prep_nop(op_begin(&follower));
        io_uring_prep_nop(op_begin(&op));
        op.complete = start_follower;
        cr_assert_eq(ring_begin(&drive.ring, &op), 0);
        cr_assert_eq(ring_wait(&drive.ring, -1), 0);
        cr_assert_eq(op.state, OP_IDLE);
        cr_assert_eq(follower.state, OP_SUBMITTED);
        cr_assert_eq(ring_wait(&drive.ring, -1), 0);
        cr_assert_eq(follower.state, OP_IDLE);
}

/* A signal or a debugger may end one wait early, but not each. */
static bool lasts(struct drive *some, int64_t timeout_ns)
{
        for (int i = 0; i < 5; i++) {
                int64_t begin_ns = drive_now_ns();

                cr_assert_eq(ring_wait(&some->ring, timeout_ns), 0);
                if (drive_now_ns() - begin_ns >= timeout_ns)
                        return true;
        }
        return false;
}

Test(epoll, wait_does_not_end_before_its_time)
{
        const int64_t times_ns[] = {1000, 300000, OURO_MS(1), OURO_MS(1) + 1, OURO_MS(7) + 500000};

        for (size_t i = 0; i < sizeof times_ns / sizeof *times_ns; i++)
                cr_assert(lasts(&drive, times_ns[i]));
}

Test(epoll, wait_by_milliseconds_does_not_end_before_its_time)
{
        struct drive old;

        cr_assert_eq(drive_open(&old, &backend_epoll, OURO_KERNEL(5, 10), 0), 0);
        cr_assert(lasts(&old, OURO_MS(2) + 900000));
        ring_close(&old.ring);
}

/* ---- waking ---- */

static void *wake_soon(void *arg)
{
        const struct timespec soon = {0, 20000000};

        nanosleep(&soon, NULL);
        ring_wake(arg);
        return NULL;
}

Test(epoll, wake_ends_a_wait)
{
        pthread_t thread;

        cr_assert_eq(pthread_create(&thread, NULL, wake_soon, &drive.ring), 0);
        cr_assert_eq(ring_wait(&drive.ring, -1), 0);
        pthread_join(thread, NULL);
}

Test(epoll, wake_before_a_wait_ends_that_one)
{
        for (int i = 0; i < 10; i++) {
                ring_wake(&drive.ring);
                ring_wake(&drive.ring);
                cr_assert_eq(ring_wait(&drive.ring, -1), 0);
        }
}

static void *wake_often(void *arg)
{
        for (int i = 0; i < 20000; i++)
                ring_wake(arg);
        return NULL;
}

Test(epoll, wakes_are_not_lost_to_waits_that_go_on)
{
        pthread_t thread;
        struct op op;

        cr_assert_eq(pthread_create(&thread, NULL, wake_often, &drive.ring), 0);
        for (int i = 0; i < 2000; i++) {
                io_uring_prep_nop(op_begin(&op));
                cr_assert_eq(drive_run(&drive, &op), 0);
        }
        pthread_join(thread, NULL);
        ring_wake(&drive.ring);
        cr_assert_eq(ring_wait(&drive.ring, -1), 0);
}

/* ---- queues of a descriptor ---- */

Test(epoll, receives_on_one_socket_are_served_in_their_order)
{
        enum { OPS = 300 };
        static struct op ops[OPS];
        static unsigned char got[OPS], sent[OPS];

        for (int i = 0; i < OPS; i++) {
                sent[i] = (unsigned char)(i * 7);
                io_uring_prep_recv(op_begin(&ops[i]), pair[0], &got[i], 1, 0);
                drive_start(&drive, &ops[i]);
        }
        drive_waits(&drive, &ops[0]);
        cr_assert_eq(write(pair[1], sent, OPS / 2), OPS / 2);
        cr_assert_eq(drive_finish(&drive, &ops[OPS / 2 - 1]), 1);
        drive_waits(&drive, &ops[OPS / 2]);
        cr_assert_eq(write(pair[1], sent + OPS / 2, OPS - OPS / 2), OPS - OPS / 2);
        for (int i = 0; i < OPS; i++)
                cr_assert_eq(drive_finish(&drive, &ops[i]), 1);
        cr_assert_eq(memcmp(got, sent, OPS), 0);
}

Test(epoll, newcomer_does_not_overtake)
{
        struct op first, second;
        char a = 0, b = 0;

        io_uring_prep_recv(op_begin(&first), pair[0], &a, 1, 0);
        drive_start(&drive, &first);
        cr_assert_eq(write(pair[1], "12", 2), 2); /* not seen yet */
        io_uring_prep_recv(op_begin(&second), pair[0], &b, 1, 0);
        drive_start(&drive, &second);
        drive_finish(&drive, &first);
        drive_finish(&drive, &second);
        cr_assert_eq(a, '1');
        cr_assert_eq(b, '2');
}

Test(epoll, receive_and_send_wait_on_one_socket)
{
        size_t full = fill(pair[0]);
        struct op in, out;
        char byte = 0;

        io_uring_prep_recv(op_begin(&in), pair[0], &byte, 1, 0);
        io_uring_prep_send(op_begin(&out), pair[0], "x", 1, 0);
        drive_start(&drive, &in);
        drive_start(&drive, &out);
        drive_waits(&drive, &in);
        drive_waits(&drive, &out);
        drain(pair[1], full);
        cr_assert_eq(drive_finish(&drive, &out), 1);
        drive_waits(&drive, &in);
        cr_assert_eq(write(pair[1], "y", 1), 1);
        cr_assert_eq(drive_finish(&drive, &in), 1);
        cr_assert_eq(byte, 'y');
}

Test(epoll, polls_all_end_and_leave_the_data)
{
        struct op polls[20], out;
        char byte = 0;

        for (int i = 0; i < 20; i++) {
                io_uring_prep_poll_add(op_begin(&polls[i]), pair[0], POLLIN);
                drive_start(&drive, &polls[i]);
        }
        io_uring_prep_poll_add(op_begin(&out), pair[0], POLLOUT);
        cr_assert_eq(drive_run(&drive, &out), POLLOUT);
        drive_waits(&drive, &polls[19]);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        for (int i = 0; i < 20; i++)
                cr_assert_eq(drive_finish(&drive, &polls[i]), POLLIN);
        cr_assert_eq(read(pair[0], &byte, 1), 1);
}

Test(epoll, peer_that_hangs_up_ends_all_receives)
{
        struct op ops[3];
        char byte;

        for (int i = 0; i < 3; i++) {
                io_uring_prep_recv(op_begin(&ops[i]), pair[0], &byte, 1, 0);
                drive_start(&drive, &ops[i]);
        }
        drive_waits(&drive, &ops[0]);
        shutdown(pair[1], SHUT_RDWR);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(drive_finish(&drive, &ops[i]), 0);
}

Test(epoll, idle_descriptor_lets_the_loop_sleep)
{
        struct op op;
        char byte;

        io_uring_prep_recv(op_begin(&op), pair[0], &byte, 1, 0);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(write(pair[1], "abc", 3), 3);
        cr_assert_eq(drive_finish(&drive, &op), 1); /* two bytes stay, and nobody waits */
        cr_assert(lasts(&drive, OURO_MS(10)));
}

Test(epoll, hang_up_that_nobody_waits_for_lets_the_loop_sleep)
{
        struct op op;
        int fds[2];

        cr_assert_eq(pipe(fds), 0);
        io_uring_prep_poll_add(op_begin(&op), fds[1], POLLPRI);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(drive_cancel(&drive, &op), -ECANCELED);
        close(fds[0]); /* POLLERR from now on, asked for or not */
        cr_assert(lasts(&drive, OURO_MS(10)));
        close(fds[1]);
}

/* A receive that emptied the socket lets the next one wait without a try: nothing may be missed by that. */
Test(epoll, data_that_came_between_two_receives_is_seen)
{
        char buf[8];
        struct op op;

        for (int i = 0; i < 4; i++) {
                io_uring_prep_recv(op_begin(&op), pair[0], buf, sizeof buf, 0);
                drive_start(&drive, &op);
                if (i == 0)
                        drive_waits(&drive, &op);
                if (i < 2)
                        cr_assert_eq(write(pair[1], "abc", 3), 3);
                cr_assert_eq(drive_finish(&drive, &op), 3);
                if (i > 0 && i < 3)
                        cr_assert_eq(write(pair[1], "abc", 3), 3);
        }
        io_uring_prep_recv(op_begin(&op), pair[0], buf, sizeof buf, MSG_DONTWAIT);
        cr_assert_eq(drive_run(&drive, &op), -EAGAIN);
        shutdown(pair[1], SHUT_WR);
        io_uring_prep_recv(op_begin(&op), pair[0], buf, sizeof buf, 0);
        cr_assert_eq(drive_run(&drive, &op), 0);
}

/* ---- cancelling ---- */

static int listener(int flags, struct sockaddr_in *ret_addr)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof addr;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

        cr_assert_geq(fd, 0);
        cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        cr_assert_eq(listen(fd, 0), 0);
        cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        *ret_addr = addr;
        return fd;
}

Test(epoll, each_kind_of_wait_can_be_cancelled)
{
        struct sockaddr_in addr;
        int slow = listener(0, &addr), fast = listener(SOCK_NONBLOCK, &addr), in[2], out[2];
        char buf[64] = {0};
        struct iovec iov = {buf, sizeof buf};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        struct op ops[10];

        cr_assert_eq(pipe(in), 0);
        cr_assert_eq(pipe(out), 0);
        fill(pair[0]);
        fill(out[1]);
        io_uring_prep_recv(op_begin(&ops[0]), pair[0], buf, 1, 0);
        io_uring_prep_recvmsg(op_begin(&ops[1]), pair[0], &msg, 0);
        io_uring_prep_read(op_begin(&ops[2]), pair[0], buf, 1, (__u64)-1);
        io_uring_prep_send(op_begin(&ops[3]), pair[0], buf, sizeof buf, 0);
        io_uring_prep_sendmsg(op_begin(&ops[4]), pair[0], &msg, 0);
        io_uring_prep_accept(op_begin(&ops[5]), slow, NULL, NULL, 0);
        io_uring_prep_accept(op_begin(&ops[6]), fast, NULL, NULL, 0);
        io_uring_prep_read(op_begin(&ops[7]), in[0], buf, 1, (__u64)-1);
        io_uring_prep_write(op_begin(&ops[8]), out[1], buf, 1, (__u64)-1);
        io_uring_prep_poll_add(op_begin(&ops[9]), in[0], POLLIN);
        for (int i = 0; i < 10; i++)
                drive_start(&drive, &ops[i]);
        for (int i = 0; i < 10; i++)
                drive_waits(&drive, &ops[i]);
        for (int i = 0; i < 10; i++)
                cr_assert_eq(drive_cancel(&drive, &ops[i]), -ECANCELED, "op %d: %d", i, ops[i].res);
        for (int i = 0; i < 2; i++) {
                close(in[i]);
                close(out[i]);
        }
        close(slow);
        close(fast);
}

Test(epoll, cancelled_one_does_not_hold_up_those_behind_it)
{
        struct op ops[3];
        char got[3] = {0};

        for (int i = 0; i < 3; i++) {
                io_uring_prep_recv(op_begin(&ops[i]), pair[0], &got[i], 1, 0);
                drive_start(&drive, &ops[i]);
        }
        cr_assert_eq(drive_cancel(&drive, &ops[1]), -ECANCELED);
        cr_assert_eq(write(pair[1], "ab", 2), 2);
        cr_assert_eq(drive_finish(&drive, &ops[0]), 1);
        cr_assert_eq(drive_finish(&drive, &ops[2]), 1);
        cr_assert_eq(memcmp(got, "a\0b", 3), 0);
}

Test(epoll, cancel_does_not_undo_what_is_done)
{
        struct op op;

        io_uring_prep_send(op_begin(&op), pair[0], "x", 1, 0);
        drive_start(&drive, &op);
        cr_assert_eq(drive_cancel(&drive, &op), 1);
}

Test(epoll, cancelled_receive_of_all_tells_what_it_has)
{
        struct op op;
        char buf[8] = {0};

        io_uring_prep_recv(op_begin(&op), pair[0], buf, sizeof buf, MSG_WAITALL);
        drive_start(&drive, &op);
        cr_assert_eq(write(pair[1], "abc", 3), 3);
        drive_waits(&drive, &op);
        cr_assert_eq(drive_cancel(&drive, &op), 3);
        cr_assert_str_eq(buf, "abc");
}

/* ---- descriptors that change behind our back ---- */

Test(epoll, f20_reused_number_does_not_mix_old_and_new)
{
        struct op old, new;
        char a = 0, b = 0;
        int other[2], fd = pair[0];

        io_uring_prep_recv(op_begin(&old), fd, &a, 1, 0);
        drive_start(&drive, &old);
        drive_waits(&drive, &old);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
        cr_assert_eq(dup2(other[0], fd), fd); /* closes it without telling us */
        io_uring_prep_recv(op_begin(&new), fd, &b, 1, 0);
        new.sqe.ioprio = IORING_RECVSEND_POLL_FIRST;
        drive_start(&drive, &new);
        cr_assert_eq(drive_finish(&drive, &old), -EBADF);
        drive_waits(&drive, &new);
        cr_assert_eq(write(other[1], "n", 1), 1);
        cr_assert_eq(drive_finish(&drive, &new), 1);
        cr_assert_eq(b, 'n');
        cr_assert_eq(a, 0);
        close(other[0]);
        close(other[1]);
}

Test(epoll, duplicate_of_a_closed_descriptor_wakes_nobody)
{
        struct op old, new;
        char byte;
        int other[2], fd = pair[0], copy = dup(fd);

        io_uring_prep_recv(op_begin(&old), fd, &byte, 1, 0);
        drive_start(&drive, &old);
        drive_waits(&drive, &old);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
        cr_assert_eq(dup2(other[0], fd), fd); /* the registration of the old file stays: copy holds it */
        io_uring_prep_poll_add(op_begin(&new), fd, POLLIN);
        drive_start(&drive, &new);
        cr_assert_eq(write(pair[1], "o", 1), 1);
        drive_waits(&drive, &new);
        cr_assert_eq(write(other[1], "n", 1), 1);
        cr_assert_eq(drive_finish(&drive, &new), POLLIN);
        cr_assert_eq(drive_finish(&drive, &old), -EBADF);
        cr_assert_eq(dup2(copy, fd), fd); /* and now it is back */
        io_uring_prep_recv(op_begin(&old), fd, &byte, 1, 0);
        cr_assert_eq(drive_run(&drive, &old), 1);
        cr_assert_eq(byte, 'o');
        io_uring_prep_recv(op_begin(&old), fd, &byte, 1, 0);
        drive_start(&drive, &old);
        drive_waits(&drive, &old);
        cr_assert_eq(write(pair[1], "p", 1), 1);
        cr_assert_eq(drive_finish(&drive, &old), 1);
        cr_assert_eq(byte, 'p');
        close(copy);
        close(other[0]);
        close(other[1]);
}

Test(epoll, two_numbers_of_one_description_wait_apart)
{
        struct op a, b;
        int copy = dup(pair[0]);
        char byte;

        io_uring_prep_poll_add(op_begin(&a), pair[0], POLLIN);
        io_uring_prep_poll_add(op_begin(&b), copy, POLLIN);
        drive_start(&drive, &a);
        drive_start(&drive, &b);
        drive_waits(&drive, &b);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        cr_assert_eq(drive_finish(&drive, &a), POLLIN);
        cr_assert_eq(drive_finish(&drive, &b), POLLIN);
        cr_assert_eq(read(copy, &byte, 1), 1);
        close(copy);
}

Test(epoll, number_is_closed_at_the_report_and_not_before)
{
        struct op op;
        int fd = dup(pair[0]);

        io_uring_prep_close(op_begin(&op), fd);
        drive_start(&drive, &op);
        cr_assert_geq(fcntl(fd, F_GETFD), 0);
        cr_assert_eq(drive_finish(&drive, &op), 0);
        cr_assert_lt(fcntl(fd, F_GETFD), 0);
}

/* The numbers that a second backend will get. */
static void open_second(struct drive *second, int own[2])
{
        own[0] = dup(pair[0]);
        own[1] = dup(pair[0]);
        close(own[0]);
        close(own[1]);
        cr_assert_eq(drive_open(second, &backend_epoll, 0, 0), 0);
}

static unsigned count_registrations(int epoll_fd)
{
        char path[64], line[256];
        unsigned count = 0;
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll_fd);
        file = fopen(path, "r");
        cr_assert_not_null(file);
        while (fgets(line, sizeof line, file))
                count += strncmp(line, "tfd:", 4) == 0;
        fclose(file);
        return count;
}

Test(epoll, registration_does_not_outlive_its_descriptor)
{
        struct drive second;
        struct op in, op;
        char byte;
        int own[2], fd;

        open_second(&second, own);
        fd = dup(pair[0]);
        io_uring_prep_recv(op_begin(&in), fd, &byte, 1, 0);
        drive_start(&second, &in);
        cr_assert_eq(count_registrations(own[0]), 2, "it, and the wake");
        io_uring_prep_close(op_begin(&op), fd);
        cr_assert_eq(drive_run(&second, &op), 0);
        cr_assert_eq(drive_finish(&second, &in), -EBADF);
        cr_assert_eq(count_registrations(own[0]), 1, "pair[0] is the same description");
        ring_close(&second.ring);
}

Test(epoll, closing_ends_waits_and_the_number_can_wait_anew)
{
        struct op in, op;
        char byte;
        int fd = dup(pair[0]);

        io_uring_prep_recv(op_begin(&in), fd, &byte, 1, 0);
        drive_start(&drive, &in);
        drive_waits(&drive, &in);
        io_uring_prep_close(op_begin(&op), fd);
        cr_assert_eq(drive_run(&drive, &op), 0);
        cr_assert_eq(drive_finish(&drive, &in), -EBADF);
        cr_assert_eq(dup2(pair[0], fd), fd); /* the same description again */
        io_uring_prep_poll_add(op_begin(&in), fd, POLLIN);
        drive_start(&drive, &in);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        cr_assert_eq(drive_finish(&drive, &in), POLLIN);
        close(fd);
}

Test(epoll, own_descriptors_cannot_be_closed)
{
        struct drive second;
        struct op op;
        int own[2];

        open_second(&second, own);
        for (int i = 0; i < 2; i++) {
                io_uring_prep_close(op_begin(&op), own[i]);
                cr_assert_eq(drive_run(&second, &op), -EBADF);
        }
        ring_close(&second.ring);
}

Test(epoll, f28_descriptors_are_close_on_exec)
{
        struct drive second;
        int own[2];

        open_second(&second, own);
        cr_assert_eq(fcntl(own[0], F_GETFD), FD_CLOEXEC);
        cr_assert_eq(fcntl(own[1], F_GETFD), FD_CLOEXEC);
        ring_close(&second.ring);
}

/* ---- O_NONBLOCK ---- */

Test(epoll, f23_o_nonblock_neither_shows_nor_is_set)
{
        struct op op;
        char byte;

        for (int nonblock = 0; nonblock < 2; nonblock++) {
                int flags = nonblock ? O_RDWR | O_NONBLOCK : O_RDWR;

                fcntl(pair[0], F_SETFL, flags);
                io_uring_prep_recv(op_begin(&op), pair[0], &byte, 1, 0);
                drive_start(&drive, &op);
                drive_waits(&drive, &op);
                cr_assert_eq(fcntl(pair[0], F_GETFL), flags);
                cr_assert_eq(write(pair[1], "x", 1), 1);
                cr_assert_eq(drive_finish(&drive, &op), 1);
                io_uring_prep_read(op_begin(&op), pair[0], &byte, 1, (__u64)-1);
                drive_start(&drive, &op);
                drive_waits(&drive, &op);
                cr_assert_eq(fcntl(pair[0], F_GETFL), flags);
                cr_assert_eq(write(pair[1], "x", 1), 1);
                cr_assert_eq(drive_finish(&drive, &op), 1);
        }
}

/* ---- what epoll tells nothing of ---- */

static void bind_unix(int fd, struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};

        *ret_len = (socklen_t)(sizeof(sa_family_t) + 1 +
                               (size_t)sprintf(addr.sun_path + 1, "ouro-epoll-%d-%d", getpid(), fd));
        cr_assert_eq(bind(fd, (struct sockaddr *)&addr, *ret_len), 0);
        *ret_addr = addr;
}

Test(epoll, unix_connect_waits_for_room_at_the_listener)
{
        struct sockaddr_un addr;
        socklen_t len;
        int fd = socket(AF_UNIX, SOCK_STREAM, 0), accepted[3], clients[3];
        struct op ops[3];

        bind_unix(fd, &addr, &len);
        cr_assert_eq(listen(fd, 0), 0); /* room for one */
        for (int i = 0; i < 3; i++) {
                clients[i] = socket(AF_UNIX, SOCK_STREAM | (i == 1 ? SOCK_NONBLOCK : 0), 0);
                io_uring_prep_connect(op_begin(&ops[i]), clients[i], (struct sockaddr *)&addr, len);
                drive_start(&drive, &ops[i]);
                if (i == 0)
                        cr_assert_eq(drive_finish(&drive, &ops[0]), 0);
        }
        drive_waits(&drive, &ops[1]);
        drive_waits(&drive, &ops[2]);
        cr_assert_eq(drive_cancel(&drive, &ops[2]), -ECANCELED);
        accepted[0] = accept(fd, NULL, NULL);
        cr_assert_eq(drive_finish(&drive, &ops[1]), 0);
        accepted[1] = accept(fd, NULL, NULL);
        cr_assert_geq(accepted[1], 0);
        close(accepted[0]);
        close(accepted[1]);
        for (int i = 0; i < 3; i++)
                close(clients[i]);
        close(fd);
}

Test(epoll, datagram_waits_for_room_at_its_receiver)
{
        struct sockaddr_un addr;
        int to = socket(AF_UNIX, SOCK_DGRAM, 0), from = socket(AF_UNIX, SOCK_DGRAM, 0);
        struct iovec iov = {"x", 1};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &addr};
        socklen_t len;
        struct op op;
        char byte;

        bind_unix(to, &addr, &len);
        msg.msg_namelen = len;
        while (sendmsg(from, &msg, MSG_DONTWAIT) == 1)
                ;
        io_uring_prep_sendmsg(op_begin(&op), from, &msg, 0);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(read(to, &byte, 1), 1);
        cr_assert_eq(drive_finish(&drive, &op), 1);
        io_uring_prep_sendmsg(op_begin(&op), from, &msg, 0);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(drive_cancel(&drive, &op), -ECANCELED);
        close(to);
        close(from);
}

/* ---- what knows no RWF_NOWAIT ---- */

Test(epoll, terminal_is_read_when_a_line_is_there)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
        struct op op, second;
        char buf[16] = {0};

        cr_assert_eq(grantpt(master), 0);
        cr_assert_eq(unlockpt(master), 0);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        io_uring_prep_read(op_begin(&op), slave, buf, sizeof buf, (__u64)-1);
        io_uring_prep_read(op_begin(&second), slave, buf + 8, 8, (__u64)-1);
        drive_start(&drive, &op);
        drive_start(&drive, &second);
        drive_waits(&drive, &op);
        cr_assert_eq(write(master, "hi\n", 3), 3);
        cr_assert_eq(drive_finish(&drive, &op), 3);
        cr_assert_eq(memcmp(buf, "hi\n", 3), 0);
        drive_waits(&drive, &second);
        cr_assert_eq(drive_cancel(&drive, &second), -ECANCELED);
        io_uring_prep_write(op_begin(&op), slave, "yo", 2, (__u64)-1);
        cr_assert_eq(drive_run(&drive, &op), 2);
        close(slave);
        close(master);
}

Test(epoll, inotify_is_read_when_something_happens)
{
        char dir[] = "/tmp/ouro-epoll-XXXXXX", path[64];
        _Alignas(8) char buf[512];
        int fd = inotify_init1(IN_CLOEXEC), file;
        struct op op;

        cr_assert_not_null(mkdtemp(dir));
        cr_assert_geq(inotify_add_watch(fd, dir, IN_CREATE), 0);
        io_uring_prep_read(op_begin(&op), fd, buf, sizeof buf, (__u64)-1);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        snprintf(path, sizeof path, "%s/x", dir);
        file = open(path, O_CREAT | O_RDWR, 0600);
        cr_assert_gt(drive_finish(&drive, &op), 0);
        close(file);
        unlink(path);
        rmdir(dir);
        close(fd);
}

Test(epoll, write_larger_than_a_pipe_tells_how_much_went_in)
{
        static char bytes[1 << 20];
        struct op op;
        int fds[2];

        cr_assert_eq(pipe(fds), 0);
        io_uring_prep_write(op_begin(&op), fds[1], bytes, sizeof bytes, (__u64)-1);
        drive_run(&drive, &op);
        cr_assert_eq(op.res, 65536);
        close(fds[0]);
        close(fds[1]);
}

Test(epoll, ten_thousand_waits_are_all_cancelled)
{
        enum { OPS = 10000 };
        static struct op ops[OPS];
        static char bytes[OPS];

        for (int i = 0; i < OPS; i++) {
                io_uring_prep_recv(op_begin(&ops[i]), pair[0], &bytes[i], 1, 0);
                drive_start(&drive, &ops[i]);
        }
        for (int i = 0; i < OPS; i++)
                ring_cancel(&drive.ring, &ops[i]);
        cr_assert_eq(ring_wait(&drive.ring, 0), 0);
        for (int i = 0; i < OPS; i++)
                cr_assert(ops[i].state == OP_IDLE && ops[i].res == -ECANCELED);
}
