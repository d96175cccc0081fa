/* Descriptors that are closed, reused, non-blocking, broken or inherited, while tasks wait on them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(descriptors, .init = temp_begin, .fini = temp_end, .timeout = 60);

enum { A_PASS = 128 /* switches */ };

static void turn(int passes)
{
        for (int i = 0; i < passes * A_PASS; i++)
                ouro_yield();
}

/* ---- close while somebody waits ---- */

static intptr_t in_recv(void *arg)
{
        return ouro_recv(*(int *)arg, (char[8]){0}, 8, 0);
}

static intptr_t in_recv_all(void *arg)
{
        return ouro_recv_all(*(int *)arg, (char[8]){0}, 8, NULL);
}

static intptr_t in_recvmsg(void *arg)
{
        struct iovec iov = {(char[8]){0}, 8};

        return ouro_recvmsg(*(int *)arg, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, 0);
}

static intptr_t in_read(void *arg)
{
        return ouro_read(*(int *)arg, (char[8]){0}, 8);
}

static intptr_t in_poll(void *arg)
{
        return ouro_poll(*(int *)arg, POLLIN);
}

static intptr_t in_accept(void *arg)
{
        return ouro_accept(*(int *)arg, NULL, NULL);
}

static intptr_t in_send(void *arg)
{
        static char block[1 << 16];

        for (;;) {
                ssize_t n = ouro_send(*(int *)arg, block, sizeof block, 0);

                if (n < 0)
                        return n;
        }
}

/* Closes fd under a waiting task; passes: how far the operation has come by then. */
static void check_closed_under(ouro_fn *fn, int fd, int passes)
{
        ouro_task task = ouro_create_task_named(fn, &fd, "waiter");

        ouro_yield();
        turn(passes);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_close(fd), 0);
        EQ(fcntl(fd, F_GETFD), -1);
        EQ(ouro_await(task), -EBADF);
}

/* passes 0: the entry has not even been handed to the kernel. */
static void check_each_wait(int passes)
{
        ouro_fn *const on_sockets[] = {in_recv, in_recv_all, in_recvmsg, in_read, in_poll, in_send};
        int fds[2];

        for (size_t i = 0; i < sizeof on_sockets / sizeof *on_sockets; i++) {
                unix_pair(fds);
                check_closed_under(on_sockets[i], fds[0], passes + (on_sockets[i] == in_send ? 20 : 0));
                close(fds[1]);
                tcp_pair(fds);
                if (on_sockets[i] != in_send) /* how much a connection holds is the kernel's business */
                        check_closed_under(on_sockets[i], fds[0], passes);
                else
                        close(fds[0]);
                close(fds[1]);
        }
        EQ(pipe2(fds, O_CLOEXEC), 0);
        check_closed_under(in_read, fds[0], passes);
        close(fds[1]);
        check_closed_under(in_read, eventfd(0, EFD_CLOEXEC), passes);
        check_closed_under(in_poll, eventfd(0, EFD_CLOEXEC), passes);
        check_closed_under(in_accept, ouro_listen("tcp:127.0.0.1:0"), passes);
}

IN_LOOP(descriptors, f19_close_ends_every_wait_with_ebadf)
{
        check_each_wait(3);
        return 0;
}

IN_LOOP(descriptors, f21_close_ends_what_has_not_been_submitted_yet)
{
        check_each_wait(0);
        return 0;
}

IN_LOOP(descriptors, f19_close_ends_all_of_many_waits)
{
        enum { WAITERS = 300 };
        ouro_task tasks[WAITERS];
        intptr_t results[WAITERS];
        int fds[2];

        unix_pair(fds);
        for (int i = 0; i < WAITERS; i++)
                tasks[i] = ouro_create_task_named(i % 2 ? in_recv : in_poll, &fds[0], "waiter");
        turn(5);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_gather(tasks, WAITERS, results), -EBADF);
        for (int i = 0; i < WAITERS; i++)
                EQ(results[i], -EBADF);
        EQ(read(fds[1], (char[1]){0}, 1), 0);
        close(fds[1]);
        return 0;
}

struct closing {
        int fd;
        intptr_t result;
};

static intptr_t close_it(void *arg)
{
        struct closing *closing = arg;

        closing->result = ouro_close(closing->fd);
        return 0;
}

IN_LOOP(descriptors, two_closers_close_once)
{
        int fds[2], fd;

        unix_pair(fds);
        fd = fds[0];
        ouro_task waiter = ouro_create_task(in_recv, &fd);

        ouro_yield();
        struct closing closing[2] = {{fd, 1}, {fd, 1}};
        ouro_task tasks[2] = {ouro_create_task(close_it, &closing[0]),
                              ouro_create_task(close_it, &closing[1])};

        EQ(ouro_gather(tasks, 2, NULL), 0);
        EQ(closing[0].result, 0);
        EQ(closing[1].result, -EBADF);
        EQ(ouro_await(waiter), -EBADF);
        close(fds[1]);
        return 0;
}

/* The number serves a new pair at once; its bytes and the old pair's stay apart. */
IN_LOOP(descriptors, f20_number_that_is_reused_at_once_sees_nothing_of_before)
{
        for (int i = 0; i < 300; i++) {
                int old[2], new[2], fd;
                char byte = 0;

                unix_pair(old);
                fd = old[0];
                ouro_task before = ouro_create_task(in_recv, &fd);

                turn(i % 3);
                ouro_yield();
                EQ(ouro_close(fd), 0);
                unix_pair(new);
                EQ(new[0], fd);
                ouro_task after = ouro_create_task(in_recv, &fd);

                ouro_yield();
                EQ(send(old[1], "old", 3, MSG_NOSIGNAL), -1);
                EQ(ouro_await(before), -EBADF);
                turn(i % 2);
                EQ(ouro_task_state(after), OURO_STATE_WAITING);
                EQ(ouro_send(new[1], "n", 1, 0), 1);
                EQ(ouro_await(after), 1);
                EQ(ouro_send(new[0], "b", 1, 0), 1);
                EQ(ouro_recv(new[1], &byte, 1, 0), 1);
                EQ(byte, 'b');
                EQ(ouro_close(new[0]), 0);
                EQ(ouro_close(new[1]), 0);
                close(old[1]);
        }
        return 0;
}

IN_LOOP(descriptors, f22_peer_sees_the_end_though_a_recv_is_held)
{
        int fds[2];

        tcp_pair(fds);
        ouro_task task = ouro_create_task(in_recv, &fds[0]);

        turn(2);
        EQ(ouro_shutdown(fds[0], SHUT_WR), 0);
        EQ(ouro_recv(fds[1], (char[1]){0}, 1, 0), 0); /* and the recv is still held */
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_send(fds[1], "last", 4, 0), 4);
        EQ(ouro_await(task), 4);
        task = ouro_create_task(in_recv, &fds[0]);
        turn(2);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_await(task), -EBADF);
        EQ(ouro_recv(fds[1], (char[1]){0}, 1, 0), 0);
        EQ(ouro_close(fds[1]), 0);
        return 0;
}

IN_LOOP(descriptors, f22_peer_sees_the_end_of_a_close_under_a_recv)
{
        int fds[2];

        unix_pair(fds);
        ouro_task task = ouro_create_task(in_recv, &fds[0]);

        turn(2);
        EQ(ouro_close(fds[0]), 0);
        EQ(recv(fds[1], (char[1]){0}, 1, MSG_DONTWAIT), 0); /* at once: nobody keeps the file */
        EQ(ouro_await(task), -EBADF);
        close(fds[1]);
        return 0;
}

/* ---- O_NONBLOCK ---- */

static void set_nonblock(const int fds[2])
{
        EQ(fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK), 0);
        EQ(fcntl(fds[1], F_SETFL, fcntl(fds[1], F_GETFL) | O_NONBLOCK), 0);
}

static void check_waits(ouro_fn *fn, int from, int to)
{
        ouro_task task = ouro_create_task_named(fn, &to, "reader");

        turn(3);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_write(from, "12345678", 8), 8);
        intptr_t result = ouro_await(task);

        if (fn == in_poll)
                EQ(result, POLLIN);
        else if (fn == in_recv_all)
                EQ(result, 0);
        else
                EQ(result, 8);
        if (fn == in_poll)
                EQ(ouro_read(to, (char[8]){0}, 8), 8);
}

struct stream {
        int fd;
        char *buf;
        size_t len;
};

static intptr_t write_stream(void *arg)
{
        struct stream *stream = arg;

        return ouro_write_all(stream->fd, stream->buf, stream->len, NULL);
}

static void check_fills(int from, int to)
{
        struct stream stream = {from, malloc(1 << 20), 1 << 20};
        char *in = malloc(1 << 20);

        fill(stream.buf, stream.len, 3);
        ouro_task task = ouro_create_task(write_stream, &stream);

        turn(20);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_read_all(to, in, stream.len, NULL), 0);
        EQ(ouro_await(task), 0);
        cr_assert(filled(in, stream.len, 3));
        free(stream.buf);
        free(in);
}

IN_LOOP(descriptors, f23_nonblocking_descriptors_wait_like_any_other)
{
        ouro_fn *const reads[] = {in_recv, in_recv_all, in_recvmsg, in_read, in_poll};
        int fds[2];

        for (int kind = 0; kind < 3; kind++) {
                if (kind == 0)
                        unix_pair(fds);
                else if (kind == 1)
                        tcp_pair(fds);
                else
                        EQ(pipe2(fds, O_CLOEXEC), 0);
                set_nonblock(fds);
                for (size_t i = kind == 2 ? 3 : 0; i < sizeof reads / sizeof *reads; i++)
                        check_waits(reads[i], fds[1], fds[0]);
                if (kind != 1)
                        check_fills(fds[1], fds[0]);
                EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK); /* left as it was */
                close_both(fds);
        }
        return 0;
}

IN_LOOP(descriptors, f23_nonblocking_accept_and_connect)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int fds[2] = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                      socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
        socklen_t len = sizeof addr;

        EQ(ouro_bind(fds[0], (struct sockaddr *)&addr, len), 0);
        EQ(ouro_listen_on(fds[0], 4), 0);
        EQ(getsockname(fds[0], (struct sockaddr *)&addr, &len), 0);
        ouro_task task = ouro_create_task(in_accept, &fds[0]);

        turn(3);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_connect(fds[1], (struct sockaddr *)&addr, len), 0); /* never -EINPROGRESS */
        int accepted = (int)ouro_await(task);

        cr_assert(accepted >= 0);
        close(accepted);
        close_both(fds);
        return 0;
}

/* A description may be shared with others: nobody's flags are changed. */
IN_LOOP(descriptors, f23_blocking_descriptors_stay_so)
{
        int fds[2], pipes[2];

        unix_pair(fds);
        EQ(pipe2(pipes, O_CLOEXEC), 0);
        check_waits(in_recv, fds[1], fds[0]);
        check_waits(in_read, pipes[1], pipes[0]);
        check_fills(pipes[1], pipes[0]);
        EQ((fcntl(fds[0], F_GETFL) | fcntl(fds[1], F_GETFL)) & O_NONBLOCK, 0);
        EQ((fcntl(pipes[0], F_GETFL) | fcntl(pipes[1], F_GETFL)) & O_NONBLOCK, 0);
        close_both(fds);
        close_both(pipes);
        return 0;
}

/* ---- SIGPIPE ---- */

static volatile sig_atomic_t pipe_signals;

static void count_signal(int number)
{
        (void)number;
        pipe_signals = pipe_signals + 1;
}

static void check_broken(int fd, bool is_socket)
{
        struct iovec iov = {(char[1]){0}, 1};

        for (int i = 0; i < 3; i++) {
                EQ(ouro_write(fd, "x", 1), -EPIPE);
                EQ(ouro_write_all(fd, "x", 1, NULL), -EPIPE);
                if (!is_socket)
                        continue;
                EQ(ouro_send(fd, "x", 1, 0), -EPIPE);
                EQ(ouro_send_all(fd, "x", 1, NULL), -EPIPE);
                EQ(ouro_sendmsg(fd, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, 0), -EPIPE);
        }
        turn(3);
}

static intptr_t write_to_the_broken(void *arg)
{
        int fds[2];

        (void)arg;
        unix_pair(fds);
        close(fds[1]);
        check_broken(fds[0], true);
        close(fds[0]);
        EQ(pipe2(fds, O_CLOEXEC), 0);
        close(fds[0]);
        check_broken(fds[1], false);
        close(fds[1]);
        EQ(pipe2(fds, O_CLOEXEC), 0); /* broken while somebody waits for room */
        struct stream stream = {fds[1], malloc(1 << 20), 1 << 20};
        ouro_task task = ouro_create_task(write_stream, &stream);

        turn(20);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        close(fds[0]);
        EQ(ouro_await(task), -EPIPE);
        close(fds[1]);
        free(stream.buf);
        return 0;
}

static bool pipe_signal_is_pending(void)
{
        sigset_t set;

        sigpending(&set);
        return sigismember(&set, SIGPIPE) == 1;
}

static bool pipe_signal_is_blocked(void)
{
        sigset_t set;

        pthread_sigmask(SIG_BLOCK, NULL, &set);
        return sigismember(&set, SIGPIPE) == 1;
}

Test(descriptors, f25_no_write_raises_sigpipe)
{
        signal(SIGPIPE, count_signal);
        EQ(ouro_run(write_to_the_broken, NULL), 0);
        EQ(pipe_signals, 0);
        EQ(pipe_signal_is_pending(), false);
        EQ(pipe_signal_is_blocked(), false); /* as before the run */
}

Test(descriptors, f25_default_disposition_does_not_kill)
{
        signal(SIGPIPE, SIG_DFL);
        EQ(ouro_run(write_to_the_broken, NULL), 0);
}

Test(descriptors, f25_sigpipe_that_was_blocked_stays_so)
{
        sigset_t set;

        signal(SIGPIPE, count_signal);
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        EQ(ouro_run(write_to_the_broken, NULL), 0);
        EQ(pipe_signal_is_blocked(), true);
        EQ(pipe_signal_is_pending(), false);
        raise(SIGPIPE); /* the program's own, from before a run, is still there after it */
        EQ(ouro_run(write_to_the_broken, NULL), 0);
        EQ(pipe_signal_is_pending(), true);
        EQ(pipe_signals, 0);
}

/* ---- exec ---- */

/* What a program started from inside the run holds of ours. */
static intptr_t list_in_a_program(void *arg)
{
        char text[4096];
        size_t done = 0;
        int fds[2], status;

        (void)arg;
        EQ(pipe2(fds, O_CLOEXEC), 0);
        int file = ouro_open("file", O_RDWR | O_CREAT, 0600), listener = ouro_listen("tcp:127.0.0.1:0");
        int client = ouro_dial("tcp:127.0.0.1:1"); /* refused; opens something all the same */

        EQ(client, -ECONNREFUSED);
        EQ(ouro_fsync(file), 0); /* a helper or worker is there */
        pid_t child = fork();

        if (child == 0) {
                dup2(fds[1], STDOUT_FILENO);
                execl("/bin/sh", "sh", "-c", "ls -l /proc/$$/fd", (char *)NULL);
                _exit(127);
        }
        close(fds[1]);
        EQ(ouro_read_all(fds[0], text, sizeof text - 1, &done), -ENODATA);
        text[done] = '\0';
        EQ(waitpid(child, &status, 0), child);
        EQ(status, 0);
        cr_assert(strstr(text, "pipe:"), "%s", text); /* it did list */
        static const char *const ours[] = {"io_uring", "eventpoll", "eventfd", "/file"};

        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
                cr_assert(!strstr(text, ours[i]), "%s is inherited:\n%s", ours[i], text);
        EQ(ouro_close(file), 0);
        EQ(ouro_close(listener), 0);
        close(fds[0]);
        return 0;
}

Test(descriptors, f28_no_descriptor_of_ours_survives_exec)
{
        EQ(ouro_run(list_in_a_program, NULL), 0);
}
