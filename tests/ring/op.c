/* Of lib/ring/op.c: one operation as its task sees it, over a backend that answers as the test wants. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "support/fake_backend.h"
#include "support/in_loop.h"
#include "task/choose.h"

/* Instead of the library's own. */
int choose_backend(struct ouro_loop *loop, const struct ouro_options *options)
{
        (void)options;
        return fake_open(&loop->ring, &loop->sched);
}

TestSuite(op, .init = fake_reset);

struct reading {
        int fd;
        char buf[16];
        ssize_t result;
        bool returned;
};

static intptr_t read_task(void *arg)
{
        struct reading *reading = arg;

        reading->result = ouro_read(reading->fd, reading->buf, sizeof reading->buf);
        reading->returned = true;
        return reading->result;
}

static ouro_task start_reading(struct reading *reading, int fd)
{
        *reading = (struct reading){.fd = fd};
        ouro_task task = ouro_create_task(read_task, reading);

        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

/* Passes of the loop, each with a wait that only looks. */
static void pass(int times)
{
        for (int i = 0; i < times; i++) {
                size_t waits = fake.waits;

                while (fake.waits == waits)
                        ouro_yield();
        }
}

/* ---- results ---- */

IN_LOOP(op, result_is_that_of_the_completion)
{
        struct reading reading;
        ouro_task task = start_reading(&reading, 3);

        EQ(fake.ops_len, 1);
        EQ(fake.ops[0]->sqe.opcode, IORING_OP_READ);
        EQ(fake.ops[0]->sqe.fd, 3);
        EQ(fake.ops[0]->sqe.len, sizeof reading.buf);
        fake_complete(fake.ops[0], 11, 0);
        EQ(ouro_await(task), 11);
        task = start_reading(&reading, 3);
        fake_complete(fake.ops[0], -EIO, 0);
        EQ(ouro_await(task), -EIO);
        return 0;
}

IN_LOOP(op, f44_interrupted_operation_is_carried_out_again)
{
        struct reading reading;
        ouro_task task = start_reading(&reading, 3);

        for (int i = 0; i < 3; i++) {
                EQ(fake.ops_len, 1);
                fake_complete(fake.ops[0], -EINTR, 0);
                EQ(fake.ops_len, 0);
                ouro_yield();
                EQ(reading.returned, false);
        }
        fake_complete(fake.ops[0], 5, 0);
        EQ(ouro_await(task), 5);
        return 0;
}

/* The kernel gives up by itself where it can make no thread: it is done all the same, and not asked again. */
IN_LOOP(op, f47_given_back_by_the_kernel_it_is_done_on_the_spot)
{
        struct reading reading;
        int fds[2];

        EQ(pipe(fds), 0);
        ouro_task task = start_reading(&reading, fds[0]);

        fake_complete(fake.ops[0], -ECANCELED, 0);
        ouro_yield(); /* nothing is there yet: polled for */
        EQ(fake.ops_len, 1);
        EQ(fake.ops[0]->sqe.opcode, IORING_OP_POLL_ADD);
        EQ(write(fds[1], "text", 4), 4);
        fake_complete(fake.ops[0], POLLIN, 0);
        ouro_yield();
        EQ(fake.ops[0]->sqe.opcode, IORING_OP_READ);
        fake_complete(fake.ops[0], -ECANCELED, 0);
        EQ(ouro_await(task), 4);
        cr_assert_eq(memcmp(reading.buf, "text", 4), 0);
        close_both(fds);
        return 0;
}

/* What op waits for after -EAGAIN, and that it then tries again. */
static void check_polls(ouro_task task, unsigned events)
{
        unsigned opcode = fake.ops[0]->sqe.opcode;

        for (int i = 0; i < 2; i++) {
                fake_complete(fake.ops[0], -EAGAIN, 0);
                ouro_yield();
                EQ(fake.ops_len, 1);
                EQ(fake.ops[0]->sqe.opcode, IORING_OP_POLL_ADD);
                EQ(fake.ops[0]->sqe.fd, 3);
                EQ(fake.ops[0]->sqe.poll32_events, events);
                fake_complete(fake.ops[0], (int32_t)events, 0);
                ouro_yield();
                EQ(fake.ops_len, 1);
                EQ(fake.ops[0]->sqe.opcode, opcode);
        }
        fake_complete(fake.ops[0], 4, 0);
        EQ(ouro_await(task), 4);
}

static intptr_t write_task(void *arg)
{
        return ouro_write(*(int *)arg, "text", 4);
}

static intptr_t send_task(void *arg)
{
        return ouro_send(*(int *)arg, "text", 4, 0);
}

static intptr_t accept_task(void *arg)
{
        return ouro_accept(*(int *)arg, NULL, NULL);
}

static ouro_task start(ouro_fn *fn, void *arg)
{
        ouro_task task = ouro_create_task_named(fn, arg, "started");

        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

IN_LOOP(op, f23_again_is_never_told_but_polled_for)
{
        struct reading reading;
        int fd = 3;

        check_polls(start_reading(&reading, 3), POLLIN);
        check_polls(start(write_task, &fd), POLLOUT);
        check_polls(start(send_task, &fd), POLLOUT);
        check_polls(start(accept_task, &fd), POLLIN);
        return 0;
}

IN_LOOP(op, f23_poll_that_fails_is_told)
{
        struct reading reading;
        ouro_task task = start_reading(&reading, 3);

        fake_complete(fake.ops[0], -EAGAIN, 0);
        ouro_yield();
        fake_complete(fake.ops[0], -EBADF, 0);
        EQ(ouro_await(task), -EBADF);
        return 0;
}

IN_LOOP(op, f23_cancelled_while_it_polls)
{
        struct reading reading;
        ouro_task task = start_reading(&reading, 3);

        fake_complete(fake.ops[0], -EAGAIN, 0);
        ouro_yield();
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        EQ(fake.cancels_len, 1);
        return 0;
}

IN_LOOP(op, lengths_are_what_the_kernel_moves_at_a_time)
{
        char *far = (char *)4096;

        OURO_TIMEOUT(OURO_MS(1)) {
                EQ(ouro_read(3, far, SIZE_MAX), -ETIME);
        }
        EQ(fake.cancels[0]->sqe.len, 0x7ffff000);
        return 0;
}

/* ---- cancellation ---- */

static intptr_t read_on_a_stack(void *arg)
{
        char buf[16];
        ssize_t n = ouro_read(3, buf, sizeof buf);

        *(bool *)arg = true;
        return n;
}

IN_LOOP(op, f01_cancelled_task_keeps_its_frame_until_the_completion)
{
        bool returned = false;

        fake.deaf = true;
        ouro_task task = start(read_on_a_stack, &returned);
        struct op *op = fake.ops[0];

        EQ(ouro_cancel(task), 0);
        pass(50);
        EQ(returned, false);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(fake.cancels_len, 1);
        memset((void *)(uintptr_t)op->sqe.addr, 'k', op->sqe.len); /* as the kernel still may */
        EQ(op->state, OP_SUBMITTED);
        fake_complete(op, -ECANCELED, 0);
        EQ(ouro_await(task), -ECANCELED);
        return 0;
}

static intptr_t read_twice(void *arg)
{
        ssize_t *results = arg;
        char buf[16];

        results[0] = ouro_read(3, buf, sizeof buf);
        results[1] = ouro_read(3, buf, sizeof buf);
        return 0;
}

IN_LOOP(op, f02_completion_decides_and_not_the_cancel)
{
        ssize_t results[2];

        fake.deaf = true;
        ouro_task task = start(read_twice, results);

        EQ(ouro_cancel(task), 0);
        pass(1);
        fake_complete(fake.ops[0], 9, 0); /* it had succeeded */
        EQ(ouro_await(task), 0);
        EQ(results[0], 9);
        EQ(results[1], -ECANCELED);
        EQ(fake.ops_len, 0); /* the second was never begun */
        return 0;
}

IN_LOOP(op, f02_error_of_its_own_is_told_in_spite_of_the_cancel)
{
        ssize_t results[2];

        fake.deaf = true;
        ouro_task task = start(read_twice, results);

        EQ(ouro_cancel(task), 0);
        fake_complete(fake.ops[0], -EIO, 0);
        EQ(ouro_await(task), 0);
        EQ(results[0], -EIO);
        EQ(results[1], -ECANCELED);
        return 0;
}

/* -EINTR, -EAGAIN and -ECANCELED all mean the same once a cancel has been asked for. */
IN_LOOP(op, f03_cancelled_operation_is_not_tried_again)
{
        const int32_t answers[] = {-ECANCELED, -EINTR, -EAGAIN};

        fake.deaf = true;
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
                struct reading reading;
                ouro_task task = start_reading(&reading, 3);

                EQ(ouro_cancel(task), 0);
                pass(1);
                fake_complete(fake.ops[0], answers[i], 0);
                for (int j = 0; j < 4 && fake.ops_len == 0; j++)
                        ouro_yield();
                if (fake.ops_len > 0) { /* a poll that began cancelled */
                        EQ(fake.ops[0]->sqe.opcode, IORING_OP_POLL_ADD);
                        fake_complete(fake.ops[0], -ECANCELED, 0);
                }
                EQ(ouro_await(task), -ECANCELED);
        }
        return 0;
}

IN_LOOP(op, f04_completion_overtakes_a_cancel_that_found_no_room)
{
        ssize_t results[2];
        ouro_task task = start(read_twice, results);

        fake.room = 0;
        EQ(ouro_cancel(task), 0);
        EQ(fake.cancels_len, 0);
        fake_complete(fake.ops[0], 3, 0);
        EQ(ouro_await(task), 0);
        EQ(results[0], 3);
        EQ(results[1], -ECANCELED);
        pass(2);
        EQ(fake.cancels_len, 0);
        return 0;
}

static void complete_first(struct fake *of)
{
        if (of->waits > 3 && of->ops_len > 0)
                fake_complete(of->ops[0], 7, 0);
}

/* Both come out of the same pass: the bytes are told, and the deadline with the next call. */
IN_LOOP(op, f08_deadline_and_completion_in_one_batch_lose_no_bytes)
{
        char buf[16];
        bool expired = false;
        ssize_t first = 0, second = 0;

        fake.deaf = true;
        fake.script = complete_first;
        OURO_TIMEOUT(OURO_MS(1), &expired) {
                first = ouro_read(3, buf, sizeof buf);
                while (!expired && ouro_sleep(OURO_MS(1)) == 0)
                        ;
                second = ouro_read(3, buf, sizeof buf);
        }
        EQ(first, 7);
        EQ(second, -ETIME);
        EQ(expired, true);
        return 0;
}

static intptr_t shut_down(void *arg)
{
        *(intptr_t *)arg = ouro_shutdown(3, SHUT_RDWR);
        return 0;
}

IN_LOOP(op, release_is_never_cut_short)
{
        intptr_t result = 1;
        ouro_task task = start(shut_down, &result);

        EQ(ouro_cancel(task), 0);
        pass(3);
        EQ(fake.cancels_len, 0);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        fake_complete(fake.ops[0], 0, 0);
        EQ(ouro_await(task), 0);
        EQ(result, 0);
        return 0;
}

/* ---- close ---- */

static intptr_t close_task(void *arg)
{
        return ouro_close(*(int *)arg);
}

IN_LOOP(op, f19_close_waits_until_nothing_is_under_way)
{
        struct reading reading[2];
        int fd = 3;

        fake.deaf = true;
        ouro_task readers[2] = {start_reading(&reading[0], 3), start_reading(&reading[1], 3)};
        struct op *ops[2] = {fake.ops[0], fake.ops[1]};
        ouro_task closer = start(close_task, &fd);

        EQ(fake.cancels_len, 2);
        EQ(fake.ops_len, 2); /* the close itself has not begun */
        EQ(ouro_close(3), -EBADF);
        EQ(ouro_read(3, reading[0].buf, 1), -EBADF);
        fake_complete(ops[1], -ECANCELED, 0);
        EQ(ouro_await(readers[1]), -EBADF);
        pass(2);
        EQ(fake.ops_len, 1);
        fake_complete(ops[0], 12, 0); /* had succeeded: handed over */
        EQ(ouro_await(readers[0]), 12);
        EQ(fake.ops_len, 1);
        EQ(fake.ops[0]->sqe.opcode, IORING_OP_CLOSE);
        EQ(fake.ops[0]->sqe.fd, 3);
        EQ(ouro_read(3, reading[0].buf, 1), -EBADF);
        fake_complete(fake.ops[0], 0, 0);
        EQ(ouro_await(closer), 0);
        ouro_task again = start_reading(&reading[0], 3); /* a new file, under the old number */

        fake_complete(fake.ops[0], 2, 0);
        EQ(ouro_await(again), 2);
        return 0;
}

IN_LOOP(op, f21_close_takes_along_what_was_never_handed_over)
{
        struct reading reading;
        int fd = 3;

        fake.room = 0;
        fake.room_a_wait = 0;
        ouro_task reader = start_reading(&reading, 3);

        EQ(fake.ops_len, 0);
        ouro_task closer = ouro_create_task(close_task, &fd);

        EQ(ouro_await(reader), -EBADF);
        pass(2);
        EQ(fake.ops_len, 0); /* no room for the close either */
        EQ(fake.cancels_len, 0);
        fake.room = fake.room_a_wait = 16;
        pass(1);
        EQ(fake.ops_len, 1);
        EQ(fake.ops[0]->sqe.opcode, IORING_OP_CLOSE);
        fake_complete(fake.ops[0], 0, 0);
        EQ(ouro_await(closer), 0);
        return 0;
}

IN_LOOP(op, close_of_one_leaves_the_others_alone)
{
        struct reading reading[2];
        int fd = 3;
        ouro_task mine = start_reading(&reading[0], 3), other = start_reading(&reading[1], 4);
        ouro_task closer = start(close_task, &fd);

        EQ(ouro_await(mine), -EBADF);
        EQ(ouro_task_state(other), OURO_STATE_WAITING);
        for (size_t i = 0; i < fake.ops_len; i++)
                if (fake.ops[i]->sqe.opcode == IORING_OP_CLOSE)
                        fake_complete(fake.ops[i], -EIO, 0); /* closed all the same, and told */
        EQ(ouro_await(closer), -EIO);
        EQ(fake.ops_len, 1);
        fake_complete(fake.ops[0], 1, 0);
        EQ(ouro_await(other), 1);
        return 0;
}

static intptr_t zero_copy_task(void *arg)
{
        struct op op;

        io_uring_prep_send_zc(op_begin(&op), 3, arg, 4, 0, 0);
        return op_wait(&op);
}

/* The peer may never take what was sent; its buffer is the kernel's as long, the number is not. */
IN_LOOP(op, f13_close_does_not_wait_until_a_sent_buffer_is_free)
{
        ouro_task sender = start(zero_copy_task, "text");
        struct op *op = fake.ops[0];
        int fd = 3;

        fake_complete(op, 4, IORING_CQE_F_MORE);
        ouro_task closer = start(close_task, &fd);

        EQ(fake.ops_len, 2);
        EQ(fake.ops[1]->sqe.opcode, IORING_OP_CLOSE);
        fake_complete(fake.ops[1], 0, 0);
        EQ(ouro_await(closer), 0);
        EQ(ouro_task_state(sender), OURO_STATE_WAITING);
        fake_complete(op, 0, IORING_CQE_F_NOTIF);
        EQ(ouro_await(sender), 4);
        return 0;
}

/* What the kernel has no thread for is closed all the same. */
IN_LOOP(op, f47_close_that_is_given_back_closes)
{
        int fds[2];

        EQ(pipe(fds), 0);
        ouro_task closer = start(close_task, &fds[0]);

        EQ(fake.ops[0]->sqe.opcode, IORING_OP_CLOSE);
        fake_complete(fake.ops[0], -ECANCELED, 0);
        EQ(ouro_await(closer), 0);
        EQ(fcntl(fds[0], F_GETFD), -1);
        close(fds[1]);
        return 0;
}

/* ---- whole transfers ---- */

struct whole {
        const char *buf;
        size_t len;
        off_t offset;
        size_t done;
};

static intptr_t pwrite_whole(void *arg)
{
        struct whole *whole = arg;

        return ouro_pwrite_all(3, whole->buf, whole->len, whole->offset, &whole->done);
}

/* Beyond 2 GiB, in steps of any size: each begins where the last one ended. */
IN_LOOP(op, f27_offsets_go_on_from_where_the_last_step_ended)
{
        const size_t len = ((size_t)5 << 30) + 3, begin = 1000;
        struct whole whole = {(const char *)4096, len, 77, begin};
        ouro_task task = start(pwrite_whole, &whole);
        size_t done = begin;

        for (int step = 0; done < len; step++) {
                const struct io_uring_sqe *sqe = &fake.ops[0]->sqe;
                size_t left = len - done;
                int32_t moved = step % 2 ? (int32_t)sqe->len : (int32_t)(sqe->len / 2 + 1);

                EQ(fake.ops_len, 1);
                EQ(sqe->addr, 4096 + done);
                EQ(sqe->off, 77 + done);
                EQ(sqe->len, left < 0x7ffff000 ? left : 0x7ffff000);
                done += (size_t)moved;
                fake_complete(fake.ops[0], moved, 0);
                ouro_yield();
                EQ(whole.done, done);
        }
        EQ(ouro_await(task), 0);
        EQ(whole.done, len);
        return 0;
}

IN_LOOP(op, f27_what_was_moved_before_an_error_is_told)
{
        struct whole whole = {(const char *)4096, 100, 0, 0};
        ouro_task task = start(pwrite_whole, &whole);

        fake_complete(fake.ops[0], 60, 0);
        ouro_yield();
        fake_complete(fake.ops[0], -ENOSPC, 0);
        EQ(ouro_await(task), -ENOSPC);
        EQ(whole.done, 60);
        task = start(pwrite_whole, &whole);
        EQ(fake.ops[0]->sqe.off, 60);
        fake_complete(fake.ops[0], 0, 0); /* a writer that cannot go on, and says no more */
        EQ(ouro_await(task), -EIO);
        EQ(whole.done, 60);
        return 0;
}

/* ---- the end of the run ---- */

static char log_text[512];
static int log_lines;

static void take_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)arg;
        EQ(level, OURO_LOG_ERROR);
        snprintf(log_text, sizeof log_text, "%s", message);
        log_lines++;
}

struct left_behind {
        struct op *op;
        bool ended;
};

static intptr_t read_unawaited(void *arg)
{
        struct left_behind *left = arg;
        char buf[64];
        ssize_t n = ouro_read(3, buf, sizeof buf);

        left->ended = true;
        return n;
}

static intptr_t leave_a_read(void *arg)
{
        struct left_behind *left = arg;

        ouro_go(read_unawaited, left);
        ouro_yield();
        EQ(fake.ops_len, 1);
        left->op = fake.ops[0];
        return 321;
}

Test(op, f15_end_of_the_run_cancels_and_waits)
{
        struct left_behind left = {0};

        EQ(ouro_run(leave_a_read, &left), 321);
        EQ(left.ended, true);
        EQ(fake.cancels_len, 1);
        EQ(fake.ops_len, 0);
}

static void complete_late(struct fake *of)
{
        if (of->cancels_len > 0 && ++of->wakes == 1)
                of->script = NULL;
        if (!of->script)
                fake_complete(of->ops[0], 8, 0);
}

Test(op, f15_completion_during_the_drain_ends_the_run_cleanly)
{
        struct left_behind left = {0};

        fake.deaf = true;
        fake.script = complete_late;
        ouro_set_log(take_log, NULL);
        EQ(ouro_run(leave_a_read, &left), 321);
        EQ(left.ended, true);
        EQ(log_lines, 0);
}

enum { PASSES = 50 };

static void complete_after_many_passes(struct fake *of)
{
        static int passes;

        if (of->cancels_len > 0 && ++passes == PASSES)
                fake_complete(of->ops[0], 8, 0);
}

/* A signal for one, or a thread that comes to wake, ends a pass before its time. */
Test(op, f16_passes_that_end_early_do_not_end_the_drain)
{
        struct left_behind left = {0};

        fake.deaf = true;
        fake.script = complete_after_many_passes;
        ouro_set_log(take_log, NULL);
        EQ(ouro_run(leave_a_read, &left), 321);
        EQ(left.ended, true);
        EQ(log_lines, 0);
}

/* The kernel does not let go: nothing that it may still write to is freed, and that is reported. */
Test(op, f16_memory_under_a_stuck_operation_is_leaked_and_reported)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        struct left_behind left = {0};

        options.drain_ns = OURO_MS(1);
        fake.deaf = true;
        ouro_set_log(take_log, NULL);
        EQ(ouro_run_with(&options, leave_a_read, &left), 321);
        EQ(left.ended, false);
        EQ(log_lines, 1);
        cr_assert(strstr(log_text, "1 operations have not ended 1 ms"), "%s", log_text);
        EQ(fake_was_cancelled(left.op), true);
        memset((void *)(uintptr_t)left.op->sqe.addr, 'k', left.op->sqe.len); /* mapped still */
        EQ(left.op->state, OP_SUBMITTED);
        EQ(ouro_this_loop() == NULL, true);
        fake.deaf = false;
        fake.ops_len = 0;
        left = (struct left_behind){0};
        EQ(ouro_run_with(&options, leave_a_read, &left), 321); /* the next run is like any other */
        EQ(left.ended, true);
        EQ(log_lines, 1);
}
