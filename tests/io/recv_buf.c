/* Of lib/io/recv_buf.c and lib/ring/buffers.c: receiving into the loop's buffers. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ring/buffers.h"
#include "ring/ring.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(recv_buf, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static intptr_t run_with(unsigned buffers, unsigned without, ouro_fn *fn, void *arg)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.recv_buffers = buffers;
        options.recv_buffer_bytes = 1024;
        options.without = without;
        return ouro_run_with(&options, fn, arg);
}

static struct buffers *ours(void)
{
        return sched_current->ring->buffers;
}

static void put(int fd, const char *text)
{
        EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect(int fd, const char *text, struct ouro_buf *ret_buf)
{
        EQ(ouro_recv_buf(fd, ret_buf, 0), (ssize_t)strlen(text));
        EQ(ret_buf->len, strlen(text));
        EQ(memcmp(ret_buf->data, text, ret_buf->len), 0);
}

static intptr_t receives(void *arg)
{
        struct ouro_buf buf, other, stale;
        int fds[2];

        (void)arg;
        unix_pair(fds);
        put(fds[0], "abc");
        expect(fds[1], "abc", &buf);
        put(fds[0], "de");
        expect(fds[1], "de", &other);
        EQ(memcmp(buf.data, "abc", 3), 0);
        stale = buf;
        EQ(ouro_buf_release(&buf), 0);
        EQ(ouro_buf_release(&buf), -EINVAL);
        EQ(ouro_buf_release(&stale), -EINVAL);
        EQ(ouro_buf_release(&other), 0);
        close(fds[0]);
        EQ(ouro_recv_buf(fds[1], &buf, 0), 0);
        EQ(ours()->available, ours()->count);
        close(fds[1]);
        return 0;
}

Test(recv_buf, hands_out_what_came)
{
        EQ(run_with(0, 0, receives, NULL), 0);
}

Test(recv_buf, the_same_without_the_kernels_choice)
{
        EQ(run_with(0, OURO_WITHOUT_BUFFER_RING, receives, NULL), 0);
}

static intptr_t receive_and_release(void *arg)
{
        const int *fd = arg;
        struct ouro_buf buf;
        ssize_t n = ouro_recv_buf(*fd, &buf, 0);

        if (n > 0)
                EQ(ouro_buf_release(&buf), 0);
        return n;
}

static intptr_t idle_hold_none(void *arg)
{
        enum { MANY = 50 };
        int fds[MANY][2];
        ouro_task tasks[MANY];

        (void)arg;
        for (int i = 0; i < MANY; i++) {
                unix_pair(fds[i]);
                tasks[i] = ouro_create_task(receive_and_release, &fds[i][1]);
        }
        ouro_sleep(OURO_MS(1));
        EQ(ours()->count, 4);
        EQ(ours()->available, 4);
        for (int i = 0; i < MANY; i++)
                put(fds[i][0], "x");
        EQ(ouro_gather(tasks, MANY, NULL), 0);
        EQ(ours()->available, 4);
        for (int i = 0; i < MANY; i++)
                close_both(fds[i]);
        return 0;
}

Test(recv_buf, connections_that_wait_hold_none)
{
        EQ(run_with(4, 0, idle_hold_none, NULL), 0);
        EQ(run_with(4, OURO_WITHOUT_BUFFER_RING, idle_hold_none, NULL), 0);
}

static int order[3], ordered;

struct asker {
        int fd, number;
};

static intptr_t ask_in_order(void *arg)
{
        const struct asker *asker = arg;
        struct ouro_buf buf;
        ssize_t n = ouro_recv_buf(asker->fd, &buf, 0);

        if (n <= 0)
                return n;
        order[ordered++] = asker->number;
        ouro_yield();
        return ouro_buf_release(&buf);
}

static intptr_t waits_in_order(void *arg)
{
        struct asker askers[3];
        ouro_task tasks[3];
        struct ouro_buf buf;
        int fds[4][2];

        (void)arg;
        ordered = 0;
        for (int i = 0; i < 4; i++) {
                unix_pair(fds[i]);
                put(fds[i][0], "x");
        }
        expect(fds[3][1], "x", &buf); /* the only one */
        for (int i = 0; i < 3; i++) {
                askers[i] = (struct asker){fds[i][1], i};
                tasks[i] = ouro_create_task(ask_in_order, &askers[i]);
                ouro_sleep(OURO_MS(1));
        }
        EQ(ordered, 0);
        EQ(ouro_buf_release(&buf), 0);
        EQ(ouro_gather(tasks, 3, NULL), 0);
        for (int i = 0; i < 3; i++)
                EQ(order[i], i);
        EQ(ours()->available, 1);
        for (int i = 0; i < 4; i++)
                close_both(fds[i]);
        return 0;
}

Test(recv_buf, f35_short_of_buffers_waits_for_one_in_order)
{
        EQ(run_with(1, 0, waits_in_order, NULL), 0);
        EQ(run_with(1, OURO_WITHOUT_BUFFER_RING, waits_in_order, NULL), 0);
}

static intptr_t failures_recycle(void *arg)
{
        struct ouro_buf buf;

        (void)arg;
        for (int i = 0; i < 200; i++) {
                const struct linger now = {1, 0};
                int fds[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);
                ouro_task task;
                ssize_t n;

                tcp_pair(fds);
                EQ(ouro_recv_buf(file, &buf, 0), -ENOTSOCK);
                task = ouro_create_task(receive_and_release, &fds[1]);
                ouro_yield();
                if (i % 4 == 0) {
                        EQ(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
                        close(fds[0]);
                        EQ(ouro_await(task), -ECONNRESET);
                } else if (i % 4 == 1) {
                        close(fds[0]);
                        EQ(ouro_await(task), 0);
                } else if (i % 4 == 2) {
                        ouro_cancel(task);
                        EQ(ouro_await(task), -ECANCELED);
                        close(fds[0]);
                } else {
                        put(fds[0], "x");
                        ouro_cancel(task);
                        n = ouro_await(task);
                        if (n == -ECANCELED)
                                n = receive_and_release(&fds[1]);
                        EQ(n, 1);
                        close(fds[0]);
                }
                close(fds[1]);
                close(file);
                EQ(ours()->available, 2);
        }
        return 0;
}

Test(recv_buf, f36_what_failed_or_was_cancelled_gives_its_buffer_back)
{
        EQ(run_with(2, 0, failures_recycle, NULL), 0);
        EQ(run_with(2, OURO_WITHOUT_BUFFER_RING, failures_recycle, NULL), 0);
}

static size_t hoarded;

static intptr_t hoards(void *arg)
{
        struct ouro_buf bufs[64];
        const int *fd = arg;
        ssize_t n;

        while ((n = ouro_recv_buf(*fd, &bufs[hoarded], 0)) > 0)
                hoarded++;
        while (hoarded > 0)
                EQ(ouro_buf_release(&bufs[--hoarded]), 0);
        return n;
}

/* A peer that sends on and on, to a task that keeps all it gets. */
static intptr_t fast_peer(void *arg)
{
        static char block[64 * 1024];
        ouro_task hoarder;
        int fds[2], others[4][2];

        (void)arg;
        hoarded = 0;
        unix_pair(fds);
        EQ(write(fds[0], block, sizeof block), sizeof block);
        hoarder = ouro_create_task(hoards, &fds[1]);
        for (int i = 0; i < 10000 && hoarded < 12; i++)
                ouro_sleep(OURO_MS(1));
        ouro_sleep(OURO_MS(5));
        EQ(hoarded, 12); /* of 16: three quarters */
        for (int i = 0; i < 4; i++) {
                unix_pair(others[i]);
                for (int round = 0; round < 3; round++) {
                        put(others[i][0], "x");
                        EQ(receive_and_release(&others[i][1]), 1);
                }
        }
        EQ(hoarded, 12);
        ouro_cancel(hoarder);
        EQ(ouro_await(hoarder), -ECANCELED);
        EQ(ours()->available, 16);
        for (int i = 0; i < 4; i++)
                close_both(others[i]);
        close_both(fds);
        return 0;
}

Test(recv_buf, f37_one_fast_peer_leaves_buffers_for_the_others)
{
        EQ(run_with(16, 0, fast_peer, NULL), 0);
        EQ(run_with(16, OURO_WITHOUT_BUFFER_RING, fast_peer, NULL), 0);
}

static intptr_t closed_while_waiting(void *arg)
{
        struct ouro_buf buf;
        ouro_task task;
        int fds[2][2];

        (void)arg;
        for (int i = 0; i < 2; i++) {
                unix_pair(fds[i]);
                put(fds[i][0], "x");
        }
        expect(fds[0][1], "x", &buf);
        task = ouro_create_task(receive_and_release, &fds[1][1]);
        ouro_sleep(OURO_MS(1));
        EQ(ouro_close(fds[1][1]), 0);
        EQ(ouro_await(task), -EBADF);
        EQ(ouro_buf_release(&buf), 0);
        EQ(ours()->available, 1);
        task = ouro_create_task(receive_and_release, &fds[0][1]);
        ouro_sleep(OURO_MS(1));
        EQ(ouro_close(fds[0][1]), 0);
        EQ(ouro_await(task), -EBADF);
        close(fds[0][0]);
        close(fds[1][0]);
        return 0;
}

Test(recv_buf, closing_the_descriptor_ends_the_wait_for_a_buffer_too)
{
        EQ(run_with(1, 0, closed_while_waiting, NULL), 0);
        EQ(run_with(1, OURO_WITHOUT_BUFFER_RING, closed_while_waiting, NULL), 0);
}

static intptr_t cut_while_waiting(void *arg)
{
        struct ouro_buf buf;
        int fds[2];

        (void)arg;
        unix_pair(fds);
        put(fds[0], "x");
        expect(fds[1], "x", &buf);
        put(fds[0], "y");
        OURO_TIMEOUT(OURO_MS(1))
                EQ(receive_and_release(&fds[1]), -ETIME);
        EQ(ouro_buf_release(&buf), 0);
        expect(fds[1], "y", &buf);
        EQ(ouro_buf_release(&buf), 0);
        close_both(fds);
        return 0;
}

Test(recv_buf, cut_short_while_it_waits_for_a_buffer_the_bytes_stay_where_they_are)
{
        EQ(run_with(1, 0, cut_while_waiting, NULL), 0);
        EQ(run_with(1, OURO_WITHOUT_BUFFER_RING, cut_while_waiting, NULL), 0);
}

Test(recv_buf, f47_little_locked_memory_gives_the_same)
{
        const struct rlimit none = {0, 0};

        EQ(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        EQ(run_with(0, 0, receives, NULL), 0);
}

static intptr_t datagrams(void *arg)
{
        static char block[2000];
        struct ouro_buf buf;
        int fds[2];

        (void)arg;
        EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
        EQ(write(fds[0], block, sizeof block), sizeof block);
        EQ(ouro_recv_buf(fds[1], &buf, MSG_TRUNC), sizeof block);
        EQ(buf.len, 1024);
        EQ(ouro_buf_release(&buf), 0);
        EQ(send(fds[0], block, 0, 0), 0);
        EQ(ouro_recv_buf(fds[1], &buf, 0), 0);
        put(fds[0], "next");
        expect(fds[1], "next", &buf);
        EQ(ouro_buf_release(&buf), 0);
        EQ(ours()->available, ours()->count);
        close_both(fds);
        return 0;
}

Test(recv_buf, a_long_datagram_tells_its_length)
{
        EQ(run_with(8, 0, datagrams, NULL), 0);
        EQ(run_with(8, OURO_WITHOUT_BUFFER_RING, datagrams, NULL), 0);
}

static intptr_t misuse(void *arg)
{
        struct ouro_buf buf = {0}, *kept = arg;
        int fds[2];

        unix_pair(fds);
        EQ(ouro_recv_buf(-1, &buf, 0), -EBADF);
        EQ(ouro_recv_buf(no_such_fd(), &buf, 0), -EBADF);
        EQ(ouro_recv_buf(fds[0], NULL, 0), -EINVAL);
        EQ(ouro_recv_buf(fds[0], &buf, MSG_PEEK), -EINVAL);
        EQ(ouro_recv_buf(fds[0], &buf, MSG_WAITALL), -EINVAL);
        EQ(ouro_recv_buf(fds[0], &buf, MSG_DONTWAIT), -EINVAL);
        EQ(ouro_buf_release(NULL), -EINVAL);
        EQ(ouro_buf_release(&buf), -EINVAL);
        if (kept->data)
                EQ(ouro_buf_release(kept), -EPERM); /* of a run that has ended */
        put(fds[0], "x");
        expect(fds[1], "x", kept);
        close_both(fds);
        return 0;
}

static unsigned warned;

static void count_warnings(enum ouro_log_level level, const char *line, void *arg)
{
        (void)line;
        (void)arg;
        warned += level == OURO_LOG_WARNING;
}

Test(recv_buf, misuse_is_told_and_what_was_kept_is_logged)
{
        struct ouro_buf kept = {0};

        ouro_set_log(count_warnings, NULL);
        EQ(run_with(4, 0, misuse, &kept), 0);
        EQ(warned, 1);
        EQ(run_with(4, 0, misuse, &kept), 0);
        EQ(warned, 2);
        EQ(ouro_buf_release(&kept), -EPERM);
        EQ(ouro_recv_buf(0, &kept, 0), -EPERM);
}

Test(recv_buf, options_out_of_range_are_refused)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.recv_buffers = 32769;
        EQ(ouro_run_with(&options, receives, NULL), -EINVAL);
        options.recv_buffers = 0;
        options.recv_buffer_bytes = (16 << 20) + 1;
        EQ(ouro_run_with(&options, receives, NULL), -EINVAL);
        options.recv_buffer_bytes = 0;
        options.without = 1u << 31;
        EQ(ouro_run_with(&options, receives, NULL), -EINVAL);
}
