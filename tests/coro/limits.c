/* limits.c - tasks where memory is short: they wait for stacks, or end, and nothing hangs.
 *
 * Strict overcommit (vm.overcommit_memory 2) is felt as RLIMIT_DATA is: a private writable mapping that is
 * too large is refused, MAP_NORESERVE or not. Children feel the limits, the machine is left as it is. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ouro.h>

#include "coro/child.h"

TestSuite(limits, .disabled = SANITIZED);

enum { TASKS = 200, STACK_BYTES = 64 * 1024 };

static int kind_of_limit;
static size_t stacks_left;
static int alive, most_alive;

/* No more than so many stacks beyond what is mapped already. */
static void limit_memory(void)
{
        size_t pages = 0, data_pages = 0;
        FILE *statm = fopen("/proc/self/statm", "re");
        struct rlimit limit;

        cr_assert(statm && fscanf(statm, "%zu %*u %*u %*u %*u %zu", &pages, &data_pages) == 2);
        fclose(statm);
        limit.rlim_cur = limit.rlim_max =
                (kind_of_limit == RLIMIT_AS ? pages : data_pages) * 4096 + stacks_left * STACK_BYTES + 4096;
        cr_assert(setrlimit((__rlimit_resource_t)kind_of_limit, &limit) == 0);
}

static intptr_t stays_a_while(void *arg)
{
        most_alive = ++alive > most_alive ? alive : most_alive;
        for (int i = 0; i < 3; i++)
                ouro_yield();
        alive--;
        return (intptr_t)arg;
}

static intptr_t runs_more_than_there_are_stacks(void *arg)
{
        intptr_t results[TASKS];
        ouro_task tasks[TASKS];

        (void)arg;
        limit_memory();
        for (intptr_t i = 0; i < TASKS; i++)
                tasks[i] = ouro_create_task(stays_a_while, (void *)i);
        if (ouro_gather(tasks, TASKS, results) != 0)
                return 1;
        for (intptr_t i = 0; i < TASKS; i++)
                if (results[i] != i)
                        return 2;
        return most_alive < 16 || most_alive >= TASKS ? 3 : 0; /* 16: the first slab */
}

static int runs_short_of_stacks(void)
{
        stacks_left = 50;
        return (int)ouro_run(runs_more_than_there_are_stacks, NULL);
}

static void must_do_it(int (*fn)(void))
{
        struct child_end end = child_run(fn);

        cr_assert(end.signal == 0 && end.status == 0, "signal %d, status %d, said: %s", end.signal,
                  end.status, end.said);
        cr_assert_str_eq(end.said, "");
}

Test(limits, short_of_address_space_tasks_wait_for_stacks)
{
        kind_of_limit = RLIMIT_AS;
        must_do_it(runs_short_of_stacks);
}

Test(limits, under_strict_overcommit_tasks_wait_for_stacks)
{
        kind_of_limit = RLIMIT_DATA;
        must_do_it(runs_short_of_stacks);
}

/* ---- every stack held by one that waits for one without ---- */

static intptr_t nothing(void *arg)
{
        return (intptr_t)arg;
}

static intptr_t awaits_a_child(void *arg)
{
        ouro_task child;

        ouro_yield(); /* until all parents have their stacks */
        child = ouro_create_task(nothing, arg);
        return ouro_await(child);
}

static intptr_t runs_parents(void *arg)
{
        intptr_t results[15], failed = 0;
        ouro_task tasks[15];

        (void)arg;
        stacks_left = 0;
        limit_memory();
        for (int i = 0; i < 15; i++)
                tasks[i] = ouro_create_task(awaits_a_child, NULL);
        ouro_gather(tasks, 15, results);
        for (int i = 0; i < 15; i++) {
                if (results[i] != 0 && results[i] != -ENOMEM)
                        return 100;
                failed += results[i] == -ENOMEM;
        }
        return failed;
}

static int runs_parents_on_all_stacks(void)
{
        return (int)ouro_run(runs_parents, NULL);
}

/* One child ends for want of a stack: its parent ends then, and its stack serves the others. */
Test(limits, waiting_in_a_circle_for_stacks_ends_with_enomem)
{
        struct child_end end;

        kind_of_limit = RLIMIT_AS;
        end = child_run(runs_parents_on_all_stacks);
        cr_assert(end.signal == 0 && end.status == 1, "signal %d, status %d, said: %s", end.signal,
                  end.status, end.said);
}

static int dropped;

static void drop(void *arg)
{
        dropped += arg == &dropped && ouro_yield() == -EPERM;
}

static intptr_t creates_a_giant(void *arg)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        intptr_t result;

        (void)arg;
        limit_memory();
        options.stack_bytes = 1 << 30;
        options.drop = drop;
        result = ouro_await(ouro_create_task_with(&options, nothing, &dropped));
        return result == -ENOMEM && dropped == 1 && ouro_yield() == 0 ? 0 : 1;
}

static int runs_a_giant(void)
{
        stacks_left = 100;
        return (int)ouro_run(creates_a_giant, NULL);
}

Test(limits, a_task_whose_stack_can_never_be_had_ends_with_enomem_and_is_dropped)
{
        kind_of_limit = RLIMIT_AS;
        must_do_it(runs_a_giant);
}

/* ---- locked memory ---- */

static intptr_t runs_many(void *arg)
{
        intptr_t results[TASKS];
        ouro_task tasks[TASKS];

        for (intptr_t i = 0; i < TASKS; i++)
                tasks[i] = ouro_create_task(stays_a_while, arg);
        return ouro_gather(tasks, TASKS, results);
}

/* 2: not allowed here. */
static int runs_with_all_memory_locked(void)
{
        if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
                return 2;
        return (int)ouro_run(runs_many, NULL);
}

static intptr_t overflows(void *arg)
{
        volatile char frame[80 * 1024];

        __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it may be looked at: it stays this large */
        frame[0] = (char)(intptr_t)arg;
        return frame[0];
}

static int overflows_with_all_memory_locked(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
                return 2;
        options.report_stack_overflow = true;
        return (int)ouro_run_with(&options, overflows, NULL);
}

Test(limits, tasks_run_with_all_memory_locked)
{
        struct child_end end;

        end = child_run(runs_with_all_memory_locked);
        if (end.status == 2)
                cr_skip_test("mlockall() is denied");
        cr_assert(end.signal == 0 && end.status == 0, "signal %d, status %d, said: %s", end.signal,
                  end.status, end.said);
}

Test(limits, stacks_have_guards_with_all_memory_locked)
{
        struct child_end end;

        end = child_run(overflows_with_all_memory_locked);
        if (end.status == 2)
                cr_skip_test("mlockall() is denied");
        cr_assert(end.signal == SIGSEGV && strstr(end.said, "task main, function "), "signal %d, said: %s",
                  end.signal, end.said);
}
