/* Of lib/io/acceptor.c: connections one after the other, whatever asks the kernel for them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "io/acceptor.h"
#include "ring/ring.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(acceptor, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static struct sockaddr_in where;

static int listen_here(void)
{
        int fd = ouro_listen("tcp:127.0.0.1:0");
        socklen_t len = sizeof where;

        cr_assert(fd >= 0);
        EQ(getsockname(fd, (struct sockaddr *)&where, &len), 0);
        return fd;
}

static int connect_there(void)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(fd >= 0);
        EQ(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
        return fd;
}

static bool ended(int fd)
{
        char byte;

        return recv(fd, &byte, 1, 0) <= 0;
}

static intptr_t next_of(void *arg)
{
        return acceptor_next(arg);
}

static void expect_many(int many)
{
        int listener = listen_here(), *clients = calloc((size_t)many, sizeof *clients);
        struct acceptor acceptor;

        EQ(acceptor_open(&acceptor, listener), 0);
        for (int i = 0; i < many; i++) {
                clients[i] = connect_there();
                EQ(write(clients[i], &(char){(char)i}, 1), 1);
        }
        for (int i = 0; i < many; i++) {
                int fd = acceptor_next(&acceptor);
                char byte;

                cr_assert(fd >= 0);
                cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
                EQ(ouro_recv(fd, &byte, 1, 0), 1);
                EQ(byte, (char)i);
                close(fd);
        }
        cr_assert_lt(acceptor.queued, 2 * ACCEPTOR_QUEUED_MOST + 64);
        acceptor_close(&acceptor);
        for (int i = 0; i < many; i++)
                close(clients[i]);
        free(clients);
        EQ(ouro_close(listener), 0);
}

IN_LOOP(acceptor, connections_come_in_order)
{
        expect_many(10);
        return 0;
}

/* Far more than are kept in the queue: the rest wait in the listener's own. */
IN_LOOP(acceptor, connections_nobody_asks_for_wait_and_none_is_lost)
{
        expect_many(400);
        return 0;
}

static intptr_t many_without(void *arg)
{
        (void)arg;
        expect_many(100);
        return 0;
}

Test(acceptor, the_same_without_multishot)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.without = OURO_WITHOUT_MULTISHOT;
        EQ(ouro_run_with(&options, many_without, NULL), 0);
}

IN_LOOP(acceptor, several_wait_and_each_gets_one)
{
        int listener = listen_here(), clients[4];
        struct acceptor acceptor;
        ouro_task tasks[4];
        intptr_t fds[4];

        EQ(acceptor_open(&acceptor, listener), 0);
        for (int i = 0; i < 4; i++)
                tasks[i] = ouro_create_task(next_of, &acceptor);
        ouro_sleep(OURO_MS(1));
        for (int i = 0; i < 4; i++)
                clients[i] = connect_there();
        ouro_gather(tasks, 4, fds);
        acceptor_close(&acceptor);
        for (int i = 0; i < 4; i++) {
                cr_assert(fds[i] >= 0);
                close((int)fds[i]);
                close(clients[i]);
        }
        close(listener);
        return 0;
}

IN_LOOP(acceptor, f18_accepted_while_it_is_cancelled_is_delivered)
{
        int listener = listen_here(), client;
        struct acceptor acceptor;
        ouro_task task;
        intptr_t fd;

        EQ(acceptor_open(&acceptor, listener), 0);
        for (int i = 0; i < 100; i++) {
                task = ouro_create_task(next_of, &acceptor);
                ouro_yield();
                client = connect_there();
                for (int turns = i % 4; turns > 0; turns--)
                        ouro_yield();
                ouro_cancel(task);
                fd = ouro_await(task);
                if (fd == -ECANCELED)
                        fd = acceptor_next(&acceptor);
                cr_assert(fd >= 0);
                close((int)fd);
                close(client);
        }
        acceptor_close(&acceptor);
        close(listener);
        return 0;
}

IN_LOOP(acceptor, closed_with_connections_nobody_asked_for_closes_them)
{
        int listener = listen_here(), clients[8], first;
        struct acceptor acceptor;

        EQ(acceptor_open(&acceptor, listener), 0);
        for (int i = 0; i < 8; i++)
                clients[i] = connect_there();
        first = acceptor_next(&acceptor);
        cr_assert(first >= 0);
        acceptor_close(&acceptor);
        close(listener);
        for (int i = 1; i < 8; i++)
                cr_assert(ended(clients[i]));
        for (int i = 0; i < 8; i++)
                close(clients[i]);
        close(first);
        return 0;
}

/* Whoever waits begins the next one, and nobody a second. */
IN_LOOP(acceptor, f33_ended_by_the_kernel_it_is_armed_again_once)
{
        int listener = listen_here(), clients[3];
        struct acceptor acceptor;
        ouro_task tasks[3];
        intptr_t fds[3];

        EQ(acceptor_open(&acceptor, listener), 0);
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(next_of, &acceptor);
        ouro_sleep(OURO_MS(1));
        if (!acceptor.one_shot) {
                ring_cancel(sched_current->ring, &acceptor.op);
                ouro_sleep(OURO_MS(1));
                EQ(acceptor.op.state, OP_SUBMITTED);
                EQ(sched_current->ring->in_flight, 1);
        }
        for (int i = 0; i < 3; i++)
                clients[i] = connect_there();
        ouro_gather(tasks, 3, fds);
        acceptor_close(&acceptor);
        for (int i = 0; i < 3; i++) {
                cr_assert(fds[i] >= 0);
                close((int)fds[i]);
                close(clients[i]);
        }
        close(listener);
        return 0;
}

IN_LOOP(acceptor, f23_listener_that_does_not_block_is_waited_for)
{
        int listener = listen_here(), client, fd;
        struct acceptor acceptor;
        ouro_task task;

        EQ(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
        EQ(acceptor_open(&acceptor, listener), 0);
        for (int i = 0; i < 3; i++) {
                task = ouro_create_task(next_of, &acceptor);
                ouro_sleep(OURO_MS(1));
                client = connect_there();
                fd = (int)ouro_await(task);
                cr_assert(fd >= 0, "%d", fd);
                close(fd);
                close(client);
        }
        acceptor_close(&acceptor);
        close(listener);
        return 0;
}

IN_LOOP(acceptor, closing_the_listener_ends_the_wait)
{
        int listener = listen_here();
        struct acceptor acceptor;
        ouro_task task;

        EQ(acceptor_open(&acceptor, listener), 0);
        task = ouro_create_task(next_of, &acceptor);
        ouro_yield();
        EQ(ouro_close(listener), 0);
        EQ(ouro_await(task), -EBADF);
        acceptor_close(&acceptor);
        return 0;
}

/* One by one, since one is all that waits without multishot. */
IN_LOOP(acceptor, what_was_accepted_outlives_the_listener)
{
        int listener = listen_here(), a = connect_there(), b = connect_there(), first, second;
        struct acceptor acceptor;

        EQ(acceptor_open(&acceptor, listener), 0);
        first = acceptor_next(&acceptor);
        cr_assert(first >= 0);
        EQ(ouro_close(listener), 0);
        if (acceptor.queued > 0) {
                second = acceptor_next(&acceptor);
                cr_assert(second >= 0);
                close(second);
        }
        EQ(acceptor_next(&acceptor), -EBADF);
        acceptor_close(&acceptor);
        close(first);
        close(a);
        close(b);
        return 0;
}

IN_LOOP(acceptor, f26_short_of_descriptors_is_told_and_goes_on)
{
        int listener = listen_here(), client = connect_there(), spare = dup(client), fd;
        struct rlimit limit, none;
        struct acceptor acceptor;

        EQ(acceptor_open(&acceptor, listener), 0);
        getrlimit(RLIMIT_NOFILE, &limit);
        close(spare);
        none = limit;
        none.rlim_cur = (rlim_t)spare;
        EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        for (int i = 0; i < 3; i++)
                EQ(acceptor_next(&acceptor), -EMFILE);
        EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        fd = acceptor_next(&acceptor);
        cr_assert(fd >= 0);
        close(fd);
        acceptor_close(&acceptor);
        close(client);
        close(listener);
        return 0;
}

IN_LOOP(acceptor, cancelled_on_entry_takes_nothing)
{
        int listener = listen_here(), client = connect_there(), fd;
        struct acceptor acceptor;

        EQ(acceptor_open(&acceptor, listener), 0);
        OURO_TIMEOUT(0)
                EQ(acceptor_next(&acceptor), -ETIME);
        fd = acceptor_next(&acceptor);
        cr_assert(fd >= 0);
        close(fd);
        acceptor_close(&acceptor);
        close(client);
        close(listener);
        return 0;
}

IN_LOOP(acceptor, misuse_is_told)
{
        struct acceptor acceptor;
        int pair[2];

        EQ(acceptor_open(&acceptor, -1), -EBADF);
        unix_pair(pair);
        EQ(acceptor_open(&acceptor, pair[0]), 0);
        EQ(acceptor_next(&acceptor), -EINVAL); /* it does not listen */
        acceptor_close(&acceptor);
        close_both(pair);
        return 0;
}

Test(acceptor, outside_a_loop_is_refused)
{
        struct acceptor acceptor;

        EQ(acceptor_open(&acceptor, 0), -EPERM);
}
