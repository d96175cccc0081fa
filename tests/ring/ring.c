/* Of lib/ring/ring.c: the table of operations under way, and what is parked for want of room. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fake_backend.h"
#include "support/leaks.h"

enum { MANY = 10000 };

static struct sched sched;
static struct ring ring;
static size_t completions;

static void begin(void)
{
        leaks_begin();
        fake_reset();
        completions = 0;
        memset(&sched, 0, sizeof sched);
        cr_assert(fake_open(&ring, &sched) == 0);
        cr_assert(sched.ring == &ring);
}

static void end(void)
{
        ring_close(&ring);
        cr_assert(sched.ring == NULL);
        leaks_end();
}

TestSuite(ring, .init = begin, .fini = end);

static void count(struct ring *of, struct op *op)
{
        cr_assert(of == &ring && op != NULL);
        completions++;
}

/* A receive on fd, not yet begun. */
static struct op *recv_on(struct op *op, int fd)
{
        io_uring_prep_recv(op_begin(op), fd, NULL, 0, 0);
        op->complete = count;
        return op;
}

static struct op *started(struct op *op, int fd)
{
        cr_assert(ring_begin(&ring, recv_on(op, fd)) == 0);
        return op;
}

/* ---- slots ---- */

Test(ring, operation_is_in_the_table_until_its_completion)
{
        struct op op;
        uint64_t user_data = started(&op, 3)->sqe.user_data;

        cr_assert_neq(user_data, 0); /* that of the cancels */
        cr_assert(ring_find(&ring, user_data) == &op);
        cr_assert_eq(op.state, OP_SUBMITTED);
        cr_assert_eq(ring.in_flight, 1);
        fake_complete(&op, 42, 0);
        cr_assert(ring_find(&ring, user_data) == NULL);
        cr_assert_eq(op.state, OP_IDLE);
        cr_assert_eq(op.res, 42);
        cr_assert_eq(ring.in_flight, 0);
        cr_assert_eq(completions, 1);
}

Test(ring, f17_completion_for_a_recycled_slot_is_ignored_and_counted)
{
        struct op first, second;
        uint64_t old = started(&first, 3)->sqe.user_data;

        fake_complete(&first, 1, 0);
        started(&second, 3);
        cr_assert_eq((uint32_t)second.sqe.user_data, (uint32_t)old); /* the same slot */
        cr_assert_neq(second.sqe.user_data, old);
        second.res = -1234;
        ring_complete(&ring, old, 99, 0);
        cr_assert_eq(ring.stale, 1);
        cr_assert_eq(second.res, -1234);
        cr_assert_eq(second.state, OP_SUBMITTED);
        cr_assert_eq(completions, 1);
        fake_complete(&second, 2, 0);
        cr_assert_eq(completions, 2);
}

Test(ring, f17_completion_for_no_slot_at_all_is_ignored)
{
        ring_complete(&ring, 0, 0, 0);
        ring_complete(&ring, UINT64_MAX, 0, 0);
        ring_complete(&ring, (uint64_t)1 << 32 | 3, 0, 0); /* free, though its generation is right */
        cr_assert_eq(ring.stale, 3);
        cr_assert(ring_find(&ring, UINT64_MAX) == NULL);
}

Test(ring, operations_are_not_capped)
{
        struct op *ops = calloc(MANY, sizeof *ops);

        for (int i = 0; i < MANY; i++)
                started(&ops[i], 3);
        cr_assert_eq(ring.in_flight, MANY);
        cr_assert_eq(fake.ops_len, MANY);
        for (int i = 0; i < MANY; i++) {
                cr_assert(ring_find(&ring, ops[i].sqe.user_data) == &ops[i]);
                if (i > 0)
                        cr_assert_neq(ops[i].sqe.user_data, ops[i - 1].sqe.user_data);
        }
        while (fake.ops_len > 0)
                fake_complete(fake.ops[fake.ops_len - 1], 0, 0);
        cr_assert_eq(completions, MANY);
        cr_assert_eq(ring.in_flight, 0);
        free(ops);
}

Test(ring, operations_of_the_loop_itself_are_not_work)
{
        struct op op;

        io_uring_prep_nop(op_begin(&op));
        op.complete = count;
        cr_assert_eq(op_start(&ring, &op), 0);
        cr_assert_eq(ring.in_flight, 0);
        cr_assert(!ring_all_cancelled(&ring));
        fake_complete(&op, 0, 0);
        cr_assert_eq(ring.in_flight, 0);
}

Test(ring, f33_operation_with_more_to_come_stays_and_ends_once)
{
        struct op op;
        uint64_t user_data = started(&op, 3)->sqe.user_data;

        for (int i = 1; i <= 3; i++) {
                fake_complete(&op, i, IORING_CQE_F_MORE);
                cr_assert_eq(op.res, i);
                cr_assert_eq(op.state, OP_SUBMITTED);
                cr_assert(ring_find(&ring, user_data) == &op);
        }
        cr_assert_eq(completions, 3);
        cr_assert_eq(ring.in_flight, 1);
        fake_complete(&op, 4, 0);
        cr_assert_eq(op.state, OP_IDLE);
        ring_complete(&ring, user_data, 5, 0);
        cr_assert_eq(completions, 4);
        cr_assert_eq(ring.stale, 1);
        cr_assert_eq(ring.fds[3] & FD_OPS, 0);
}

/* ---- room ---- */

Test(ring, f29_what_finds_no_room_is_parked_and_goes_in_in_order)
{
        struct op ops[5];

        fake.room = 2;
        fake.room_a_wait = 2;
        for (int i = 0; i < 5; i++)
                started(&ops[i], 3);
        cr_assert_eq(fake.ops_len, 2);
        cr_assert_eq(ops[2].state, OP_PENDING);
        cr_assert_eq(ring_wait(&ring, -1), 0);
        cr_assert_eq(fake.timeout_ns, 0); /* nobody may sleep on what has not been handed over */
        cr_assert_eq(fake.ops_len, 4);
        cr_assert_eq(ring_wait(&ring, -1), 0);
        cr_assert_eq(fake.ops_len, 5);
        for (int i = 0; i < 5; i++) {
                cr_assert(fake.ops[i] == &ops[i]);
                cr_assert_eq(ops[i].state, OP_SUBMITTED);
        }
        while (fake.ops_len > 0)
                fake_complete(fake.ops[0], 0, 0);
}

Test(ring, f29_nobody_overtakes_what_is_parked)
{
        struct op first, second, third;

        fake.room = 0;
        started(&first, 3);
        fake.room = 5;
        started(&second, 3);
        started(&third, 3);
        cr_assert_eq(fake.ops_len, 0);
        cr_assert_eq(ring_wait(&ring, 0), 0);
        cr_assert(fake.ops[0] == &first && fake.ops[1] == &second && fake.ops[2] == &third);
        while (fake.ops_len > 0)
                fake_complete(fake.ops[0], 0, 0);
}

Test(ring, cancelled_before_it_was_handed_over_it_never_is)
{
        struct op op;

        fake.room = 0;
        started(&op, 3);
        ring_cancel(&ring, &op);
        cr_assert_eq(completions, 1);
        cr_assert_eq(op.res, -ECANCELED);
        cr_assert_eq(op.state, OP_IDLE);
        cr_assert_eq(ring_wait(&ring, 0), 0);
        cr_assert_eq(fake.ops_len, 0);
        cr_assert_eq(fake.cancels_len, 0);
        cr_assert_eq(ring.in_flight, 0);
}

Test(ring, f06_ten_thousand_cancels_without_room_all_get_through)
{
        struct op *ops = calloc(MANY, sizeof *ops);
        size_t waits = 0;

        for (int i = 0; i < MANY; i++)
                started(&ops[i], 3);
        fake.room = 0;
        fake.room_a_wait = 64;
        for (int i = 0; i < MANY; i++)
                ring_cancel(&ring, &ops[i]);
        cr_assert_eq(fake.cancels_len, 0);
        while (ring.in_flight > 0 && waits++ < MANY)
                cr_assert_eq(ring_wait(&ring, -1), 0);
        cr_assert_eq(ring.in_flight, 0);
        cr_assert_eq(completions, MANY);
        for (int i = 0; i < MANY; i++)
                cr_assert(fake.cancels[i] == &ops[i]);
        free(ops);
}

Test(ring, f06_cancels_go_in_before_operations)
{
        struct op waiting, parked;

        started(&waiting, 3);
        fake.room = 0;
        started(&parked, 3);
        ring_cancel(&ring, &waiting);
        fake.room = 1;
        fake.room_a_wait = 0;
        fake.deaf = true;
        cr_assert_eq(ring_wait(&ring, 0), 0);
        cr_assert(fake_was_cancelled(&waiting));
        cr_assert_eq(parked.state, OP_PENDING);
        fake.room = 1;
        cr_assert_eq(ring_wait(&ring, 0), 0);
        cr_assert(fake_has(&parked));
        fake_complete(&waiting, -ECANCELED, 0);
        fake_complete(&parked, 0, 0);
}

Test(ring, f04_cancel_queued_when_its_operation_completes_is_forgotten)
{
        struct op op, next;

        started(&op, 3);
        fake.room = 0;
        ring_cancel(&ring, &op);
        cr_assert(op.cancel_queued);
        fake_complete(&op, 7, 0);
        cr_assert_eq(op.res, 7);
        cr_assert(!op.cancel_queued);
        fake.room = 8;
        started(&next, 3);
        cr_assert_eq(ring_wait(&ring, 0), 0);
        cr_assert_eq(fake.cancels_len, 0); /* it would have hit the next one in this slot */
        cr_assert_eq(next.state, OP_SUBMITTED);
        fake_complete(&next, 0, 0);
        cr_assert_eq(completions, 2);
}

Test(ring, f12_cancel_is_asked_once_and_of_the_ended_never)
{
        struct op op;

        fake.deaf = true;
        started(&op, 3);
        ring_cancel(&ring, &op);
        ring_cancel(&ring, &op);
        cr_assert_eq(fake.cancels_len, 1);
        fake_complete(&op, -ECANCELED, 0);
        ring_cancel(&ring, &op);
        cr_assert_eq(fake.cancels_len, 1);
}

Test(ring, error_of_the_backend_is_handed_on)
{
        fake.error = -EIO;
        cr_assert_eq(ring_wait(&ring, 0), -EIO);
        cr_assert_eq(ring_wait(&ring, 0), 0);
}

Test(ring, wake_reaches_the_backend)
{
        ring_wake(&ring);
        cr_assert_eq(fake.wakes, 1);
}

/* ---- descriptors ---- */

Test(ring, operations_are_counted_for_their_descriptor)
{
        struct op a, b, other;

        started(&a, 5);
        started(&b, 5);
        started(&other, 50000); /* beyond the table as it was */
        cr_assert_eq(*ring_fd(&ring, 5) & FD_OPS, 2);
        cr_assert_eq(*ring_fd(&ring, 50000) & FD_OPS, 1);
        fake_complete(&a, 0, 0);
        cr_assert_eq(*ring_fd(&ring, 5) & FD_OPS, 1);
        fake_complete(&b, 0, 0);
        fake_complete(&other, 0, 0);
        cr_assert_eq(*ring_fd(&ring, 5) & FD_OPS, 0);
        cr_assert(ring_fd(&ring, -1) == NULL);
        cr_assert(ring_fd(&ring, INT32_MIN) == NULL);
        cr_assert(ring_fd(&ring, INT32_MAX) == NULL); /* a table for it would be 8 GiB */
        cr_assert_eq(ring_fd_error(INT32_MAX), -EBADF);
}

Test(ring, operations_without_a_descriptor_are_not_counted)
{
        struct op op;

        io_uring_prep_openat(op_begin(&op), -100, "x", 0, 0);
        op.complete = count;
        cr_assert_eq(ring_begin(&ring, &op), 0);
        cr_assert_eq(ring.fds_len, 0);
        fake_complete(&op, 0, 0);
}

Test(ring, nothing_begins_on_a_descriptor_that_is_being_closed)
{
        struct op op;

        *ring_fd(&ring, 5) |= FD_CLOSING;
        cr_assert_eq(ring_begin(&ring, recv_on(&op, 5)), -EBADF);
        cr_assert_eq(ring.in_flight, 0);
        cr_assert_eq(op.state, OP_IDLE);
        started(&op, 6);
        fake_complete(&op, 0, 0);
}

Test(ring, f19_cancel_of_a_descriptor_meets_its_operations_and_no_others)
{
        struct op mine[2], other;

        fake.deaf = true;
        started(&mine[0], 5);
        started(&other, 6);
        started(&mine[1], 5);
        ring_cancel_fd(&ring, 5);
        cr_assert_eq(fake.cancels_len, 2);
        cr_assert(fake_was_cancelled(&mine[0]) && fake_was_cancelled(&mine[1]));
        cr_assert(mine[0].closed && mine[1].closed && !other.closed);
        while (fake.ops_len > 0)
                fake_complete(fake.ops[0], -ECANCELED, 0);
}

Test(ring, all_cancelled_means_all_and_at_least_one)
{
        struct op a, b;

        fake.deaf = true;
        cr_assert(!ring_all_cancelled(&ring));
        started(&a, 3);
        started(&b, 3);
        ring_cancel(&ring, &a);
        cr_assert(!ring_all_cancelled(&ring));
        ring_cancel(&ring, &b);
        cr_assert(ring_all_cancelled(&ring));
        fake_complete(&a, -ECANCELED, 0);
        cr_assert(ring_all_cancelled(&ring));
        fake_complete(&b, -ECANCELED, 0);
        cr_assert(!ring_all_cancelled(&ring));
}

/* ---- memory ---- */

static bool no_memory;

static void *allocate(size_t bytes, void *arg)
{
        (void)arg;
        return no_memory ? NULL : malloc(bytes);
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        free(ptr);
}

Test(ring, f90_without_memory_nothing_has_begun)
{
        const struct ouro_allocator allocator = {allocate, release, NULL};
        static struct op ops[65];
        int far = fcntl(0, F_DUPFD_CLOEXEC, 900); /* beyond the table as it is at first */
        struct op op;

        cr_assert_eq(ouro_set_allocator(&allocator), 0);
        no_memory = true;
        cr_assert_eq(ring_begin(&ring, recv_on(&op, 3)), -ENOMEM); /* the first slot */
        no_memory = false;
        for (int i = 0; i < 64; i++)
                started(&ops[i], 3);
        no_memory = true;
        cr_assert_eq(ring_begin(&ring, recv_on(&ops[64], 3)), -ENOMEM); /* the table is full */
        fake_complete(&ops[0], 0, 0);
        cr_assert_eq(ring_begin(&ring, recv_on(&op, far)), -ENOMEM); /* its descriptor's word */
        cr_assert_eq(ring.in_flight, 63);
        no_memory = false;
        started(&op, far);
        while (fake.ops_len > 0)
                fake_complete(fake.ops[0], 0, 0);
        cr_assert_eq(ring.in_flight, 0);
        close(far);
}
