/* Of lib/ring/help.c and op_call(): what helper threads do in place of the kernel, on whichever backend. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "ring/drive.h"
#include "ring/op.h"
#include "ring/opcodes.h"
#include "support/helper_threads.h"
#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(help, .init = temp_begin, .fini = temp_end, .timeout = 60);

/* ---- functions that helpers run ---- */

static intptr_t who(void *arg)
{
        *(pthread_t *)arg = pthread_self();
        return 0;
}

/* Works until the gate is opened, and tells that it has begun. */
struct gate {
        int begun, opened; /* eventfds */
        intptr_t result;
};

static struct gate new_gate(intptr_t result)
{
        return (struct gate){eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), result};
}

static void free_gate(const struct gate *gate)
{
        close(gate->begun);
        close(gate->opened);
}

static void ring_bell(int fd)
{
        EQ(write(fd, &(uint64_t){1}, sizeof(uint64_t)), sizeof(uint64_t));
}

static intptr_t pass(void *arg)
{
        const struct gate *gate = arg;
        uint64_t count;

        if (write(gate->begun, &(uint64_t){1}, sizeof count) < 0 ||
            read(gate->opened, &count, sizeof count) < 0)
                return -EIO;
        return gate->result;
}

static intptr_t pass_as_task(void *arg)
{
        return op_call(pass, arg);
}

static intptr_t same(void *arg)
{
        return (intptr_t)arg;
}

static void await_begun(const struct gate *gate)
{
        uint64_t count;

        EQ(ouro_read(gate->begun, &count, sizeof count), sizeof count);
}

/* ---- op_call() ---- */

IN_LOOP(help, a_call_runs_in_a_helper_thread_and_its_result_comes_whole)
{
        const intptr_t wide = (intptr_t)1 << 40;
        pthread_t thread = pthread_self();

        EQ(helper_threads(), 0);
        EQ(op_call(who, &thread), 0);
        cr_assert(!pthread_equal(thread, pthread_self()));
        EQ(helper_threads(), 1);
        EQ(op_call(same, (void *)wide), wide);
        return 0;
}

/* Codes that mean "again" of an operation mean nothing of the kind here. */
IN_LOOP(help, every_error_of_a_call_is_its_result)
{
        static const int errors[] = {-EAGAIN, -EINTR, -ECANCELED, -ETIME, -EBADF, -512};

        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
                EQ(op_call(same, (void *)(intptr_t)errors[i]), errors[i]);
        return 0;
}

Test(help, a_call_outside_a_loop_is_refused)
{
        EQ(op_call(same, NULL), -EPERM);
}

IN_LOOP(help, others_run_while_a_call_blocks)
{
        struct gate gate = new_gate(7);
        ouro_task task = ouro_create_task(pass_as_task, &gate);

        await_begun(&gate);
        EQ(ouro_sleep(OURO_US(100)), 0);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        ring_bell(gate.opened);
        EQ(ouro_await(task), 7);
        free_gate(&gate);
        return 0;
}

/* Calls in all helpers; one more is queued. */
IN_LOOP(help, a_queued_call_is_withdrawn_and_a_running_one_waited_for)
{
        enum { LIMIT = 4 };
        struct gate running[LIMIT], queued = new_gate(1);
        ouro_task tasks[LIMIT], last;

        for (int i = 0; i < LIMIT; i++) {
                running[i] = new_gate(100 + i);
                tasks[i] = ouro_create_task(pass_as_task, &running[i]);
        }
        for (int i = 0; i < LIMIT; i++)
                await_begun(&running[i]);
        last = ouro_create_task(pass_as_task, &queued);
        EQ(ouro_sleep(OURO_US(100)), 0);
        EQ(helper_threads(), LIMIT);
        EQ(ouro_cancel(last), 0);
        EQ(ouro_await(last), -ECANCELED);
        EQ(poll(&(struct pollfd){.fd = queued.begun, .events = POLLIN}, 1, 0), 0); /* nobody was there */
        for (int i = 0; i < LIMIT; i++)
                EQ(ouro_cancel(tasks[i]), 0);
        EQ(ouro_sleep(OURO_US(100)), 0);
        for (int i = 0; i < LIMIT; i++) {
                EQ(ouro_task_state(tasks[i]), OURO_STATE_WAITING);
                ring_bell(running[i].opened);
                EQ(ouro_await(tasks[i]), 100 + i); /* it has been done */
                free_gate(&running[i]);
        }
        free_gate(&queued);
        return 0;
}

static intptr_t call_in_time(void *arg)
{
        intptr_t result = 0;

        OURO_TIMEOUT(OURO_MS(1)) {
                result = op_call(pass, arg);
        }
        return result;
}

IN_LOOP(help, a_deadline_withdraws_what_is_queued)
{
        struct gate running[4], queued = new_gate(1);
        ouro_task tasks[4];

        for (int i = 0; i < 4; i++) {
                running[i] = new_gate(0);
                tasks[i] = ouro_create_task(pass_as_task, &running[i]);
                await_begun(&running[i]);
        }
        EQ(ouro_await(ouro_create_task(call_in_time, &queued)), -ETIME);
        for (int i = 0; i < 4; i++) {
                ring_bell(running[i].opened);
                EQ(ouro_await(tasks[i]), 0);
                free_gate(&running[i]);
        }
        free_gate(&queued);
        return 0;
}

struct call_on {
        int fd;
        struct gate gate;
};

static intptr_t pass_on(void *arg)
{
        struct call_on *call = arg;

        return op_call_on(call->fd, "test", pass, &call->gate);
}

static intptr_t close_it(void *arg)
{
        return ouro_close(*(int *)arg);
}

IN_LOOP(help, a_descriptor_is_closed_after_the_call_on_it)
{
        struct call_on call = {dup(0), new_gate(3)};
        ouro_task task = ouro_create_task(pass_on, &call), closer;

        await_begun(&call.gate);
        closer = ouro_create_task(close_it, &call.fd);
        EQ(ouro_sleep(OURO_US(100)), 0);
        EQ(ouro_task_state(closer), OURO_STATE_WAITING);
        cr_assert_geq(fcntl(call.fd, F_GETFD), 0);
        ring_bell(call.gate.opened);
        EQ(ouro_await(task), 3);
        EQ(ouro_await(closer), 0);
        cr_assert_lt(fcntl(call.fd, F_GETFD), 0);
        EQ(op_call_on(no_such_fd() + (1 << 16), "test", same, NULL), -EBADF);
        free_gate(&call.gate);
        return 0;
}

static struct gate left; /* whose task is still in its call when the loop's main task returns */

static intptr_t leave_one(void *arg)
{
        (void)arg;
        ouro_create_task(pass_as_task, &left);
        await_begun(&left);
        ring_bell(left.opened);
        return 5;
}

Test(help, a_loop_ends_after_the_calls_of_its_helpers)
{
        left = new_gate(0);
        EQ(ouro_run(leave_one, NULL), 5);
        EQ(helper_threads(), 0);
        free_gate(&left);
}

/* ---- opcodes that the kernel lacks ---- */

/* Of the kernels that the suite plays, only the newest has it. */
IN_LOOP(help, f52_a_missing_opcode_is_done_by_a_helper)
{
        const char *mask = getenv("OURO_KERNEL");
        int fd = ouro_open("file", O_RDWR | O_CREAT, 0600);
        struct stat st;
        struct op op;

        EQ(helper_threads(), runs_on("uring") ? 0 : 1);
        op_begin(&op)->opcode = IORING_OP_FTRUNCATE;
        op.sqe.fd = fd;
        op.sqe.off = 12345;
        EQ(op_wait(&op), 0);
        EQ(fstat(fd, &st), 0);
        EQ(st.st_size, 12345);
        if (mask && *mask)
                EQ(helper_threads(), 1);
        op.sqe.off = (uint64_t)-1;
        EQ(op_wait(&op), -EINVAL);
        EQ(ouro_close(fd), 0);
        return 0;
}

/* 254 is nobody's. */
IN_LOOP(help, an_opcode_that_nobody_knows_is_an_error)
{
        struct op op;

        op_begin(&op)->opcode = 254;
        op.sqe.fd = -1;
        EQ(op_wait(&op), -EINVAL);
        return 0;
}

Test(help, the_mask_takes_opcodes_away)
{
        cr_assert(opcode_allowed(IORING_OP_FTRUNCATE, 0));
        cr_assert(opcode_allowed(IORING_OP_FTRUNCATE, OURO_KERNEL(6, 9)));
        cr_assert(!opcode_allowed(IORING_OP_FTRUNCATE, OURO_KERNEL(6, 1)));
        cr_assert(!opcode_allowed(IORING_OP_SEND_ZC, OURO_KERNEL(5, 15)));
        cr_assert(opcode_allowed(IORING_OP_MKDIRAT, OURO_KERNEL(5, 15)));
        cr_assert(!opcode_allowed(OP_CALL, 0));
        cr_assert_str_eq(opcode_name(OP_CALL), "call");
        cr_assert_null(opcode_name(254));
        cr_assert_null(opcode_name(1000));
}
