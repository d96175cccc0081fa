/* Of lib/io/send_zc.c: the buffer is the caller's again only when nobody reads it any more. */
#include <errno.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(send_zc, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { LONG = 2 << 20 };

static char data[LONG], copy[LONG];

struct way {
        int fd;
        size_t len;
};

/* Overwrites what it sent as soon as it may: had the kernel still read it, the peer would see. */
static intptr_t sends_and_overwrites(void *arg)
{
        const struct way *way = arg;
        size_t done = 0;

        fill(data, LONG, 0);
        while (done < way->len) {
                ssize_t n = ouro_send_zc(way->fd, data + done, way->len - done, 0);

                if (n < 0)
                        return n;
                memset(data + done, 0x55, (size_t)n);
                done += (size_t)n;
        }
        return (intptr_t)done;
}

static void expect_sent(int fds[2], size_t len)
{
        struct way way = {fds[0], len};
        ouro_task task = ouro_create_task(sends_and_overwrites, &way);

        EQ(ouro_recv_all(fds[1], copy, len, NULL), 0);
        EQ(ouro_await(task), (intptr_t)len);
        cr_assert(filled(copy, len, 0));
        close_both(fds);
}

static intptr_t send_over_all(void *arg)
{
        int fds[2];

        (void)arg;
        tcp_pair(fds);
        expect_sent(fds, LONG);
        tcp_pair(fds);
        expect_sent(fds, 10);
        unix_pair(fds); /* knows no such thing */
        expect_sent(fds, LONG);
        return 0;
}

Test(send_zc, f13_the_buffer_is_ours_again_when_it_returns)
{
        EQ(ouro_run(send_over_all, NULL), 0);
}

Test(send_zc, the_same_with_copies)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.without = OURO_WITHOUT_ZERO_COPY;
        EQ(ouro_run_with(&options, send_over_all, NULL), 0);
}

/* Its two completions are consumed both: the op lies on the stack of a task that has ended. */
IN_LOOP(send_zc, f14_cancelled_ends_with_what_was_sent_or_nothing)
{
        for (int i = 0; i < 50; i++) {
                struct way way = {.len = LONG};
                ouro_task task;
                size_t came = 0;
                ssize_t n = 0;
                int fds[2];

                tcp_pair(fds);
                way.fd = fds[0];
                task = ouro_create_task(sends_and_overwrites, &way);
                for (int turn = 0; turn < i % 5; turn++)
                        ouro_yield();
                ouro_cancel(task);
                while (ouro_task_state(task) != OURO_STATE_ENDED) {
                        OURO_TIMEOUT(OURO_MS(1))
                                n = ouro_recv(fds[1], copy + came, LONG - came, 0);
                        came += n > 0 ? (size_t)n : 0;
                }
                n = ouro_await(task);
                cr_assert(n == -ECANCELED || n == LONG);
                ouro_shutdown(fds[0], SHUT_WR);
                while (came < LONG && (n = ouro_recv(fds[1], copy + came, LONG - came, 0)) > 0)
                        came += (size_t)n;
                cr_assert(filled(copy, came, 0));
                close_both(fds);
        }
        return 0;
}

static intptr_t sends_once(void *arg)
{
        const struct way *way = arg;

        return ouro_send_zc(way->fd, data, way->len, 0);
}

/* What the peer has no room for stays in the socket, and the buffer with it, until the peer is gone. */
IN_LOOP(send_zc, closing_does_not_wait_for_a_peer_that_reads_nothing)
{
        struct way way = {.len = LONG};
        ouro_task tasks[8];
        ssize_t n = 0;
        int fds[2];

        tcp_pair(fds);
        way.fd = fds[0];
        for (int i = 0; i < 8; i++)
                tasks[i] = ouro_create_task(sends_once, &way);
        ouro_sleep(OURO_MS(20)); /* some have sent, the others wait for room */
        EQ(ouro_close(fds[0]), 0);
        close(fds[1]);
        for (int i = 0; i < 8; i++) {
                n = ouro_await(tasks[i]);
                cr_assert(n == -EBADF || (n > 0 && n <= LONG), "%zd", n);
        }
        return 0;
}

IN_LOOP(send_zc, tells_its_errors)
{
        int fds[2];

        tcp_pair(fds);
        EQ(ouro_send_zc(-1, data, 1, 0), -EBADF);
        EQ(ouro_send_zc(no_such_fd(), data, 1, 0), -EBADF);
        EQ(ouro_send_zc(fds[0], NULL, 1, 0), -EINVAL);
        EQ(ouro_send_zc(fds[0], data, 1, MSG_DONTWAIT), -EINVAL);
        EQ(shutdown(fds[0], SHUT_WR), 0);
        EQ(ouro_send_zc(fds[0], data, 1, 0), -EPIPE);
        OURO_TIMEOUT(0)
                EQ(ouro_send_zc(fds[1], data, 1, 0), -ETIME);
        close_both(fds);
        return 0;
}

Test(send_zc, outside_a_loop_is_refused)
{
        EQ(ouro_send_zc(0, data, 1, 0), -EPERM);
}
