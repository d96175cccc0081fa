/* Of lib/io/receiver.c: bytes in order, whatever asks the kernel for them. */
#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "io/receiver.h"
#include "ring/ring.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(receiver, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { LONG = 1 << 20 };

static char data[LONG];

static intptr_t run_with(unsigned buffers, unsigned without, ouro_fn *fn)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.recv_buffers = buffers;
        options.recv_buffer_bytes = 512;
        options.without = without;
        return ouro_run_with(&options, fn, NULL);
}

static unsigned available(void)
{
        return sched_current->ring->buffers->available;
}

static ouro_receiver *open_on(int fd)
{
        ouro_receiver *receiver = NULL;

        EQ(ouro_receiver_open(fd, &receiver), 0);
        return receiver;
}

static intptr_t floods(void *arg)
{
        const int *fd = arg;

        EQ(ouro_send_all(*fd, data, LONG, NULL), 0);
        return ouro_shutdown(*fd, SHUT_WR);
}

/* The reader lags now and then: the queue fills, and the kernel is stopped. */
static intptr_t long_transfer(void *arg)
{
        ouro_receiver *receiver;
        struct ouro_buf buf;
        size_t came = 0;
        ouro_task task;
        int fds[2];
        ssize_t n;

        (void)arg;
        fill(data, LONG, 0);
        tcp_pair(fds);
        receiver = open_on(fds[1]);
        task = ouro_create_task(floods, &fds[0]);
        for (int i = 0; (n = ouro_receiver_next(receiver, &buf)) > 0; i++) {
                cr_assert(filled(buf.data, buf.len, came));
                came += buf.len;
                if (i % 64 == 0)
                        ouro_sleep(OURO_MS(1));
                EQ(ouro_buf_release(&buf), 0);
        }
        EQ(n, 0);
        EQ(came, LONG);
        EQ(ouro_receiver_next(receiver, &buf), 0);
        EQ(ouro_await(task), 0);
        EQ(ouro_receiver_close(receiver), 0);
        EQ(available(), sched_current->ring->buffers->count);
        close_both(fds);
        return 0;
}

Test(receiver, hands_over_all_in_order_then_the_end)
{
        EQ(run_with(0, 0, long_transfer), 0);
        EQ(run_with(1, 0, long_transfer), 0); /* the kernel is short of buffers all the time */
        EQ(run_with(32, 0, long_transfer), 0);
        EQ(run_with(32, OURO_WITHOUT_MULTISHOT, long_transfer), 0);
        EQ(run_with(32, OURO_WITHOUT_BUFFER_RING, long_transfer), 0);
}

/* Few buffers, a reader that asks for nothing: what the kernel reads ahead is bounded. */
static intptr_t reads_ahead_a_little(void *arg)
{
        ouro_receiver *receiver;
        struct ouro_buf buf;
        int fds[2];

        (void)arg;
        unix_pair(fds);
        receiver = open_on(fds[1]);
        for (int i = 0; i < 100; i++)
                EQ(write(fds[0], data, 512), 512);
        EQ(ouro_receiver_next(receiver, &buf), 512);
        EQ(ouro_buf_release(&buf), 0);
        ouro_sleep(OURO_MS(2));
        cr_assert_leq(receiver->queued, 16);
        EQ(ouro_receiver_close(receiver), 0);
        EQ(available(), 256);
        close_both(fds);
        return 0;
}

Test(receiver, f37_reads_ahead_no_more_than_its_share)
{
        EQ(run_with(256, 0, reads_ahead_a_little), 0);
}

static void arm_with(ouro_receiver *receiver, int fd, int flags)
{
        struct ouro_buf buf;

        receiver->flags = flags;
        for (int i = 0; i < 3; i++) {
                EQ(write(fd, "x", 1), 1);
                EQ(ouro_receiver_next(receiver, &buf), 1);
                EQ(ouro_buf_release(&buf), 0);
        }
}

/* The kernel refuses a multishot that waits for all. */
IN_LOOP(receiver, f34_refused_it_is_one_receive_after_the_other_from_then_on)
{
        ouro_receiver *receiver;
        int fds[2];

        tcp_pair(fds);
        receiver = open_on(fds[1]);
        arm_with(receiver, fds[0], MSG_WAITALL);
        cr_assert(receiver->one_shot);
        cr_assert_leq(receiver->armed, 1);
        EQ(ouro_receiver_close(receiver), 0);
        close_both(fds);
        return 0;
}

IN_LOOP(receiver, f33_ended_by_the_kernel_it_is_armed_again_once)
{
        ouro_receiver *receiver;
        struct ouro_buf buf;
        unsigned before;
        int fds[2];

        tcp_pair(fds);
        receiver = open_on(fds[1]);
        arm_with(receiver, fds[0], 0);
        before = receiver->armed;
        if (!receiver->one_shot) {
                EQ(before, 1); /* one for all three */
                ring_cancel(sched_current->ring, &receiver->op);
                ouro_sleep(OURO_MS(1));
                EQ(receiver->op.state, OP_IDLE);
        }
        arm_with(receiver, fds[0], 0);
        EQ(receiver->armed, receiver->one_shot ? 0 : before + 1);
        close(fds[0]);
        EQ(ouro_receiver_next(receiver, &buf), 0);
        EQ(ouro_receiver_close(receiver), 0);
        close(fds[1]);
        return 0;
}

static intptr_t next_of(void *arg)
{
        struct ouro_buf buf;
        ssize_t n = ouro_receiver_next(arg, &buf);

        if (n > 0)
                EQ(ouro_buf_release(&buf), 0);
        return n;
}

IN_LOOP(receiver, cancelled_loses_no_byte)
{
        ouro_receiver *receiver;
        int fds[2];

        tcp_pair(fds);
        receiver = open_on(fds[1]);
        for (int i = 0; i < 100; i++) {
                ouro_task task = ouro_create_task(next_of, receiver);
                ssize_t n;

                ouro_yield();
                EQ(write(fds[0], "x", 1), 1);
                for (int turns = i % 4; turns > 0; turns--)
                        ouro_yield();
                ouro_cancel(task);
                n = ouro_await(task);
                if (n == -ECANCELED)
                        n = next_of(receiver);
                EQ(n, 1);
        }
        EQ(ouro_receiver_close(receiver), 0);
        EQ(available(), 256);
        close_both(fds);
        return 0;
}

IN_LOOP(receiver, closing_the_descriptor_ends_the_wait)
{
        ouro_receiver *receiver;
        ouro_task task;
        int fds[2];

        tcp_pair(fds);
        receiver = open_on(fds[1]);
        task = ouro_create_task(next_of, receiver);
        ouro_yield();
        EQ(ouro_receiver_close(receiver), -EBUSY);
        EQ(next_of(receiver), -EBUSY);
        EQ(ouro_close(fds[1]), 0);
        EQ(ouro_await(task), -EBADF);
        EQ(ouro_receiver_close(receiver), 0);
        close(fds[0]);
        return 0;
}

IN_LOOP(receiver, a_reset_is_told)
{
        const struct linger now = {1, 0};
        ouro_receiver *receiver;
        int fds[2];

        tcp_pair(fds);
        receiver = open_on(fds[1]);
        EQ(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        close(fds[0]);
        EQ(next_of(receiver), -ECONNRESET);
        EQ(ouro_receiver_close(receiver), 0);
        close(fds[1]);
        return 0;
}

static intptr_t close_of(void *arg)
{
        return ouro_receiver_close(arg);
}

IN_LOOP(receiver, closing_it_twice_is_told)
{
        ouro_receiver *receiver;
        ouro_task closer;
        int fds[2];

        tcp_pair(fds);
        receiver = open_on(fds[1]);
        OURO_TIMEOUT(OURO_MS(1))
                EQ(next_of(receiver), -ETIME);
        closer = ouro_create_task(close_of, receiver);
        if (!receiver->one_shot) {
                while (!receiver->closer)
                        ouro_yield();
                EQ(ouro_receiver_close(receiver), -EBUSY);
                EQ(next_of(receiver), -EBUSY);
        }
        EQ(ouro_await(closer), 0);
        close_both(fds);
        return 0;
}

/* Closed while nothing was under way: what has its number now is not received from. */
IN_LOOP(receiver, f20_number_that_is_reused_is_not_received_from)
{
        ouro_receiver *receiver;
        int fds[2], others[2];

        tcp_pair(fds);
        tcp_pair(others);
        receiver = open_on(fds[1]);
        EQ(ouro_close(fds[1]), 0);
        EQ(dup2(others[1], fds[1]), fds[1]);
        EQ(write(others[0], "x", 1), 1);
        EQ(next_of(receiver), -EBADF);
        EQ(next_of(receiver), -EBADF);
        EQ(ouro_receiver_close(receiver), 0);
        close_both(fds);
        close_both(others);
        return 0;
}

static int forgotten_fds[2];

static intptr_t forgets_its_receiver(void *arg)
{
        ouro_receiver **receiver = arg;

        tcp_pair(forgotten_fds);
        *receiver = open_on(forgotten_fds[1]);
        OURO_TIMEOUT(OURO_MS(1))
                EQ(next_of(*receiver), -ETIME);
        return 0;
}

/* Its buffers go with the run: the kernel must have let go of them by then. */
Test(receiver, f15_one_that_nobody_closed_ends_before_the_run)
{
        ouro_receiver *receiver = NULL;

        EQ(ouro_run(forgets_its_receiver, &receiver), 0);
        EQ(receiver->op.state, OP_IDLE);
        mem_free(receiver, sizeof *receiver);
        close_both(forgotten_fds);
}

static ouro_receiver *somebodys;

IN_LOOP(receiver, misuse_is_told)
{
        struct ouro_buf buf;
        int fds[2];

        unix_pair(fds);
        EQ(ouro_receiver_open(-1, &somebodys), -EBADF);
        EQ(ouro_receiver_open(fds[0], NULL), -EINVAL);
        EQ(ouro_receiver_next(NULL, &buf), -EINVAL);
        somebodys = open_on(fds[0]);
        EQ(ouro_receiver_next(somebodys, NULL), -EINVAL);
        OURO_TIMEOUT(0)
                EQ(ouro_receiver_next(somebodys, &buf), -ETIME);
        EQ(ouro_receiver_close(somebodys), 0);
        EQ(ouro_receiver_close(NULL), 0);
        close_both(fds);
        return 0;
}

static intptr_t next_elsewhere(void *arg)
{
        struct ouro_buf buf;

        (void)arg;
        EQ(ouro_receiver_next(somebodys, &buf), -EPERM);
        EQ(ouro_receiver_close(somebodys), -EPERM);
        return 0;
}

static void *other_loop(void *arg)
{
        EQ(ouro_run(next_elsewhere, NULL), 0);
        return arg;
}

IN_LOOP(receiver, another_loops_is_refused)
{
        pthread_t thread;
        int fds[2];

        unix_pair(fds);
        somebodys = open_on(fds[0]);
        EQ(pthread_create(&thread, NULL, other_loop, NULL), 0);
        EQ(pthread_join(thread, NULL), 0);
        EQ(ouro_receiver_close(somebodys), 0);
        close_both(fds);
        return 0;
}

Test(receiver, outside_a_loop_is_refused)
{
        struct ouro_receiver none = {.fd = 0};

        EQ(ouro_receiver_open(0, &somebodys), -EPERM);
        EQ(ouro_receiver_next(&none, &(struct ouro_buf){0}), -EPERM);
        EQ(ouro_receiver_close(&none), -EPERM);
}
