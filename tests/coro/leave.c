/* leave.c - control that leaves a task other than by return is trapped, and exceptions that stay in are well.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <ouro.h>

#include "coro/child.h"
#include "coro/thrower.h"

/* ---- trapped ---- */

static intptr_t exits_its_thread(void *arg)
{
        ouro_yield();
        pthread_exit(arg);
}

static int runs_a_thrower(void)
{
        return (int)ouro_run(throws, NULL);
}

static intptr_t creates_a_thrower(void *arg)
{
        (void)arg;
        return ouro_await(ouro_create_task(throws, NULL));
}

static int creates_and_runs_a_thrower(void)
{
        return (int)ouro_run(creates_a_thrower, NULL);
}

static int runs_an_exiter(void)
{
        return (int)ouro_run(exits_its_thread, NULL);
}

static void *run_in_thread(void *fn)
{
        return (void *)ouro_run((ouro_fn *)fn, NULL);
}

static int runs_an_exiter_in_a_thread(void)
{
        pthread_t thread;

        pthread_create(&thread, NULL, run_in_thread, (void *)exits_its_thread);
        pthread_join(thread, NULL);
        return 0;
}

static intptr_t cancels_its_thread(void *arg)
{
        pthread_cancel(pthread_self());
        pthread_testcancel();
        return (intptr_t)arg;
}

static int runs_a_canceller(void)
{
        pthread_t thread;

        pthread_create(&thread, NULL, run_in_thread, (void *)cancels_its_thread);
        pthread_join(thread, NULL);
        return 0;
}

static void must_die(int (*fn)(void), const char *line)
{
        struct child_end end = child_run(fn);

        cr_assert(end.signal == SIGABRT, "signal %d, status %d, said: %s", end.signal, end.status, end.said);
        cr_assert_str_eq(end.said, line);
}

Test(leave, f60_exception_out_of_the_main_task_is_trapped)
{
        must_die(runs_a_thrower, "ouro: task main was left by an exception: a task ends by return only\n");
}

Test(leave, f60_exception_out_of_a_task_is_trapped_and_names_it)
{
        must_die(creates_and_runs_a_thrower,
                 "ouro: task throws was left by an exception: a task ends by return only\n");
}

Test(leave, f60_pthread_exit_in_a_task_is_trapped)
{
        const char *line = "ouro: task main was left by pthread_exit() or a cancelled thread: a task ends by "
                           "return only\n";

        must_die(runs_an_exiter, line);
        must_die(runs_an_exiter_in_a_thread, line);
        must_die(runs_a_canceller, line);
}

/* ---- longjmp ---- */

static jmp_buf outside, in_other;

static intptr_t jumps_outside(void *arg)
{
        (void)arg;
        longjmp(outside, 1);
}

static intptr_t nothing(void *arg)
{
        return (intptr_t)arg;
}

static int jumps_out_and_runs_again(void)
{
        if (setjmp(outside) == 0)
                return (int)ouro_run(jumps_outside, NULL);
        return (int)ouro_run(nothing, NULL);
}

static int jumps_out_and_reads(void)
{
        char byte;

        if (setjmp(outside) == 0)
                return (int)ouro_run(jumps_outside, NULL);
        return (int)ouro_read(0, &byte, 1);
}

static intptr_t can_be_jumped_into(void *read_then)
{
        char byte;

        if (setjmp(in_other) == 0)
                ouro_yield();
        else if (read_then)
                ouro_read(0, &byte, 1);
        return 0;
}

static intptr_t jumps_into_other(void *arg)
{
        (void)arg;
        longjmp(in_other, 1);
}

static intptr_t has_two_that_jump(void *arg)
{
        ouro_task first = ouro_create_task(can_be_jumped_into, arg);

        ouro_create_task(jumps_into_other, NULL);
        return ouro_await(first);
}

static int jumps_into_a_task_that_returns(void)
{
        return (int)ouro_run(has_two_that_jump, NULL);
}

static int jumps_into_a_task_that_reads(void)
{
        return (int)ouro_run(has_two_that_jump, &in_other);
}

static const char out_of_its_stack[] =
        "ouro: task main has jumped out of its stack: a task ends by return only\n";
static const char into_another[] =
        "ouro: task jumps_into_other has jumped into the stack of another task: a task ends by return only\n";

Test(leave, f60_longjmp_out_of_the_run_is_trapped_at_the_next_run, .disabled = SANITIZED)
{
        must_die(jumps_out_and_runs_again, out_of_its_stack);
}

Test(leave, f60_longjmp_out_of_the_run_is_trapped_at_the_next_operation, .disabled = SANITIZED)
{
        must_die(jumps_out_and_reads, out_of_its_stack);
}

Test(leave, f60_longjmp_into_another_task_is_trapped_when_that_returns, .disabled = SANITIZED)
{
        must_die(jumps_into_a_task_that_returns, into_another);
}

Test(leave, f60_longjmp_into_another_task_is_trapped_at_its_next_operation, .disabled = SANITIZED)
{
        must_die(jumps_into_a_task_that_reads, into_another);
}

static intptr_t jumps_within(void *arg)
{
        static const char path[] = "/dev/null";
        jmp_buf here;
        int fd;

        (void)arg;
        if (setjmp(here) == 0)
                longjmp(here, 1);
        fd = ouro_openat(AT_FDCWD, path, O_RDONLY, 0);
        return fd < 0 ? fd : ouro_close(fd);
}

Test(leave, longjmp_within_a_task_is_its_own_affair)
{
        cr_assert(ouro_run(jumps_within, NULL) == 0);
}

/* A coroutine of somebody else's making, on a stack of its own, may wait for us. */
static ucontext_t task_context, other_context;
static char other_stack[64 * 1024];
static intptr_t other_result = -1;

static void runs_on_other_stack(void)
{
        int fd = ouro_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);

        other_result = fd < 0 ? fd : ouro_close(fd);
}

static intptr_t changes_stacks(void *arg)
{
        (void)arg;
        getcontext(&other_context);
        other_context.uc_stack.ss_sp = other_stack;
        other_context.uc_stack.ss_size = sizeof other_stack;
        other_context.uc_link = &task_context;
        makecontext(&other_context, runs_on_other_stack, 0);
        swapcontext(&task_context, &other_context);
        return other_result;
}

Test(leave, a_task_may_wait_on_a_stack_that_it_has_made_itself, .disabled = SANITIZED)
{
        cr_assert(ouro_run(changes_stacks, NULL) == 0);
}

/* ---- exceptions that stay inside ---- */

static intptr_t runs_many(void *arg)
{
        enum { TASKS = 8 };
        intptr_t results[TASKS];
        ouro_task tasks[TASKS];
        ouro_fn *fn = (ouro_fn *)arg;

        for (intptr_t i = 0; i < TASKS; i++)
                tasks[i] = ouro_create_task(i % 2 && fn == keeps_its_exception ? throws_and_catches : fn,
                                            (void *)(i + 1));
        return ouro_gather(tasks, TASKS, results);
}

Test(leave, an_exception_may_be_thrown_and_caught_within_a_task)
{
        cr_assert(ouro_run(throws_and_catches, NULL) == 0);
}

Test(leave, f98_an_exception_that_is_handled_stays_the_tasks_own)
{
        cr_assert(ouro_run(runs_many, (void *)keeps_its_exception) == 0);
}

Test(leave, f98_an_exception_in_flight_stays_the_tasks_own)
{
        cr_assert(ouro_run(runs_many, (void *)suspends_in_flight) == 0);
}
