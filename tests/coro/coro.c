/* coro.c - coroutines on a bare scheduler: order, values, budget, stacks shared and short, interrupts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <ouro.h>

#include "coro/child.h"
#include "coro/coro.h"

enum { MOST = 64, BUDGET = 1000 };

static struct sched sched;
static struct coro coros[MOST];
static char told[1024];
static bool deny;

static void tell(const char *what, intptr_t n)
{
        size_t used = strlen(told);

        snprintf(told + used, sizeof told - used, "%s%ld ", what, (long)n);
}

static void ended(struct sched *in, struct coro *coro, intptr_t result)
{
        cr_assert(in == &sched);
        tell(result < 0 ? "failed:" : "ended:", coro - coros);
        coro->value = result;
}

static const char *name(const struct coro *coro)
{
        (void)coro;
        return "test";
}

static void *maybe_allocate(size_t bytes, void *arg)
{
        (void)arg;
        return deny ? NULL : malloc(bytes);
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        free(ptr);
}

static void set_up(void)
{
        static const struct ouro_allocator allocator = {maybe_allocate, release, NULL};

        cr_assert(ouro_set_allocator(&allocator) == 0);
        sched_init(&sched, STACK_DEFAULT_BYTES);
        sched.ended = ended;
        sched.name = name;
        sched_current = &sched;
}

static void tear_down(void)
{
        sched_destroy(&sched);
        sched_current = NULL;
        if (ouro_set_allocator(NULL) != 0)
                abort(); /* something was not given back; an assertion here would not count */
}

TestSuite(coro, .init = set_up, .fini = tear_down);

static void create(int i, ouro_fn *fn)
{
        coro_create(&sched, &coros[i], fn, (void *)(intptr_t)i, 0, NULL);
}

static void yield(void)
{
        sched.current->value = 0;
        coro_ready(&sched, sched.current);
        coro_suspend(&sched);
}

static const struct wait_kind uncut = {.name = "a test"};

static intptr_t runs(void *arg)
{
        tell("ran:", (intptr_t)arg);
        return (intptr_t)arg;
}

static intptr_t waits(void *arg)
{
        intptr_t value = coro_wait(&sched, &uncut);

        tell("woken:", value);
        return (intptr_t)arg;
}

static intptr_t yields(void *arg)
{
        tell("a:", (intptr_t)arg);
        yield();
        tell("b:", (intptr_t)arg);
        return 0;
}

/* ---- order ---- */

Test(coro, fresh_ones_run_in_order_of_creation)
{
        for (int i = 0; i < 3; i++)
                create(i, runs);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "ran:0 ended:0 ran:1 ended:1 ran:2 ended:2 ");
        cr_assert(coros[2].value == 2, "the result was handed on");
}

Test(coro, yield_lets_every_other_ready_one_run_once)
{
        for (int i = 0; i < 3; i++)
                create(i, yields);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "a:0 a:1 a:2 b:0 ended:0 b:1 ended:1 b:2 ended:2 ");
}

Test(coro, yield_alone_comes_straight_back)
{
        create(0, yields);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "a:0 b:0 ended:0 ");
}

Test(coro, a_wait_returns_what_it_is_woken_with)
{
        create(0, waits);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "");
        cr_assert(coros[0].wait == &uncut);
        coro_wake(&sched, &coros[0], 4711);
        cr_assert(!coros[0].wait);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "woken:4711 ended:0 ");
}

static intptr_t creates(void *arg)
{
        create(5, runs);
        create(6, runs);
        return (intptr_t)arg;
}

Test(coro, one_created_by_another_waits_its_turn)
{
        create(0, creates);
        create(1, runs);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "ended:0 ran:1 ended:1 ran:5 ended:5 ran:6 ended:6 ");
}

static intptr_t never_waits(void *arg)
{
        for (;;)
                yield();
        return (intptr_t)arg;
}

Test(coro, f39_budget_brings_the_loop_back_from_those_that_never_wait)
{
        create(0, never_waits);
        create(1, never_waits);
        for (int i = 0; i < 100; i++)
                sched_run(&sched, 7);
        cr_assert(sched.ready, "they are still ready");
}

Test(coro, budget_counts_short_ones_too)
{
        for (int i = 0; i < 10; i++)
                create(i, runs);
        sched_run(&sched, 4);
        cr_assert_str_eq(told, "ran:0 ended:0 ran:1 ended:1 ran:2 ended:2 ran:3 ended:3 ");
        sched_run(&sched, BUDGET);
        cr_assert(strstr(told, "ran:9 ended:9 "));
}

/* ---- stacks ---- */

static uint32_t stacks_seen[MOST];

static intptr_t tells_stack(void *arg)
{
        stacks_seen[(intptr_t)arg] = sched.current->stack;
        return 0;
}

Test(coro, short_ones_run_on_one_stack)
{
        for (int i = 0; i < MOST; i++)
                create(i, tells_stack);
        sched_run(&sched, BUDGET);
        for (int i = 0; i < MOST; i++)
                cr_assert(stacks_seen[i] == 0);
        cr_assert(sched.stacks.free_count == sched.stacks.total, "and it was given back");
}

Test(coro, has_no_stack_before_its_first_step_and_after_its_end)
{
        create(0, waits);
        cr_assert(coros[0].stack == STACK_NONE);
        sched_run(&sched, BUDGET);
        cr_assert(coros[0].stack != STACK_NONE);
        coro_wake(&sched, &coros[0], 0);
        sched_run(&sched, BUDGET);
        cr_assert(coros[0].stack == STACK_NONE);
}

static intptr_t fills_its_stack(void *arg)
{
        size_t bytes = coro_stack_bytes(&sched, sched.current) - 3 * 4096;
        volatile char *deep = __builtin_alloca(bytes);

        for (size_t i = 0; i < bytes; i += 512)
                deep[i] = 1;
        cr_assert(coro_owns(&sched, sched.current, __builtin_frame_address(0)));
        cr_assert(!coro_owns(&sched, &sched.loop, __builtin_frame_address(0)));
        tell("bytes:", (intptr_t)coro_stack_bytes(&sched, sched.current));
        return (intptr_t)arg;
}

Test(coro, each_gets_the_size_it_asks_for)
{
        static const size_t sizes[] = {0, 16384, 1 << 20, 65536, 100000, 16384};

        for (size_t i = 0; i < 6; i++)
                coro_create(&sched, &coros[i], fills_its_stack, NULL, sizes[i], NULL);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "bytes:65536 ended:0 bytes:16384 ended:1 bytes:1048576 ended:2 "
                               "bytes:65536 ended:3 bytes:102400 ended:4 bytes:16384 ended:5 ");
        cr_assert(!sched.stacks.next->next->next->next, "one pool a size, and the default's for its own");
}

Test(coro, guards_of_all_pools_are_known)
{
        create(0, waits);
        coro_create(&sched, &coros[1], waits, NULL, 1 << 20, NULL);
        sched_run(&sched, BUDGET);
        cr_assert(coro_guards(&sched, sched.stacks.stacks[0].slot));
        cr_assert(coro_guards(&sched, sched.stacks.next->stacks[0].slot + 4095));
        cr_assert(!coro_guards(&sched, sched.stacks.next->stacks[0].slot + 4096));
}

/* Whoever suspends starts the next, and so adds to the pool, on its own stack: of the least size here. */
Test(coro, a_pool_grows_within_the_least_stack)
{
        for (int i = 0; i < 17; i++)
                coro_create(&sched, &coros[i], waits, NULL, STACK_MIN_BYTES, NULL);
        for (int i = 17; i < 40; i++)
                create(i, waits);
        sched_run(&sched, BUDGET);
        cr_assert(sched.stacks.total == 32 && sched.stacks.next->total == 32);
}

/* ---- short of stacks ---- */

/* Coroutines 0 to 15 wait, on all the stacks that there are and will be. */
static void use_up_stacks(void)
{
        for (int i = 0; i < 16; i++)
                create(i, waits);
        sched_run(&sched, BUDGET);
        cr_assert(sched.stacks.free_count == 0);
        deny = true;
}

Test(coro, short_of_stacks_they_start_in_order_as_stacks_come_back)
{
        use_up_stacks();
        for (int i = 20; i < 23; i++)
                create(i, waits);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "", "none has started, none has ended");
        coro_wake(&sched, &coros[3], 3);
        create(23, runs); /* later than those that are short of one: it must not overtake them */
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "woken:3 ended:3 ");
        cr_assert(coros[20].wait == &uncut && coros[21].stack == STACK_NONE);
        for (int i = 20; i < 23; i++)
                coro_wake(&sched, &coros[i], i), sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "woken:3 ended:3 woken:20 ended:20 woken:21 ended:21 woken:22 ended:22 "
                               "ran:23 ended:23 ");
}

Test(coro, those_of_another_size_do_not_take_the_turn_of_the_short)
{
        coro_create(&sched, &coros[30], waits, NULL, 16384, NULL);
        use_up_stacks();
        for (int i = 31; i < 46; i++)
                coro_create(&sched, &coros[i], waits, NULL, 16384, NULL);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "");
        coro_create(&sched, &coros[50], runs, (void *)50, 16384, NULL);
        create(51, runs);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "", "both sizes are used up");
        coro_wake(&sched, &coros[0], 1);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "woken:1 ended:0 ran:51 ended:51 ");
        coro_wake(&sched, &coros[30], 2);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "woken:1 ended:0 ran:51 ended:51 woken:2 ended:30 ran:50 ended:50 ");
}

static void drop(void *arg)
{
        cr_assert(!sched_current, "it runs outside any task");
        tell("dropped:", (intptr_t)arg);
}

Test(coro, can_never_start_so_it_is_dropped)
{
        deny = true;
        coro_create(&sched, &coros[0], runs, (void *)9, 0, drop);
        coro_create(&sched, &coros[1], runs, (void *)8, 0, NULL);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "dropped:9 failed:0 failed:1 ");
        cr_assert(coros[0].value == -ENOMEM);
        cr_assert(sched_current == &sched);
}

/* The others' stacks are of no use to it, so that waiting for them would be waiting for ever. */
Test(coro, the_only_one_of_its_size_does_not_wait_for_stacks_of_others)
{
        use_up_stacks();
        coro_create(&sched, &coros[20], runs, (void *)7, 1 << 20, drop);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "dropped:7 failed:20 ");
}

Test(coro, the_first_that_is_short_ends_when_the_loop_sees_no_other_way)
{
        use_up_stacks();
        coro_create(&sched, &coros[20], runs, (void *)20, 0, drop);
        coro_create(&sched, &coros[21], runs, (void *)21, 0, drop);
        sched_run(&sched, BUDGET);
        cr_assert(sched_end_starved(&sched));
        cr_assert_str_eq(told, "dropped:20 failed:20 ");
        cr_assert(sched_end_starved(&sched));
        cr_assert(!sched_end_starved(&sched));
        coro_create(&sched, &coros[22], runs, (void *)22, 0, drop);
        sched_run(&sched, BUDGET);
        coro_wake(&sched, &coros[0], 0);
        sched_run(&sched, BUDGET);
        cr_assert(strstr(told, "ran:22 ended:22 "), "the queue of the short is as good as new: %s", told);
}

static int starts_a_giant(void)
{
        const struct rlimit limit = {(size_t)512 << 20, (size_t)512 << 20};

        setrlimit(RLIMIT_AS, &limit);
        coro_create(&sched, &coros[0], runs, (void *)5, STACK_MAX_BYTES, drop);
        sched_run(&sched, BUDGET);
        return strcmp(told, "dropped:5 failed:0 ") == 0 ? 0 : 1;
}

Test(coro, a_stack_beyond_the_limit_of_address_space_is_one_that_cannot_be, .disabled = SANITIZED)
{
        struct child_end end = child_run(starts_a_giant);

        cr_assert(end.signal == 0 && end.status == 0, "%s", end.said);
}

/* ---- interrupts ---- */

static void cut(struct sched *in, struct coro *coro, int interrupt)
{
        coro_wake(in, coro, interrupt);
}

static const struct wait_kind cuttable = {.name = "a test that can be cut", .cut = cut};

static intptr_t waits_cuttably(void *arg)
{
        tell("woken:", coro_wait(&sched, &cuttable));
        return (intptr_t)arg;
}

Test(coro, an_interrupt_cuts_the_wait_if_that_can_be_cut)
{
        create(0, waits_cuttably);
        create(1, waits);
        sched_run(&sched, BUDGET);
        coro_interrupt(&sched, &coros[0], -ETIME);
        coro_interrupt(&sched, &coros[1], -ETIME);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "woken:-62 ended:0 ");
        cr_assert(coros[1].interrupt == -ETIME, "it will learn on entry of its next wait");
        coro_wake(&sched, &coros[1], 0);
        sched_run(&sched, BUDGET);
}

Test(coro, taking_an_interrupt_back_wakes_nobody)
{
        create(0, waits_cuttably);
        sched_run(&sched, BUDGET);
        coro_interrupt(&sched, &coros[0], 0);
        sched_run(&sched, BUDGET);
        cr_assert_str_eq(told, "");
}

/* ---- trimming ---- */

Test(coro, idle_stacks_of_all_pools_are_trimmed)
{
        coro_create(&sched, &coros[0], fills_its_stack, NULL, 0, NULL);
        coro_create(&sched, &coros[1], fills_its_stack, NULL, 1 << 20, NULL);
        cr_assert(!sched_can_trim(&sched));
        sched_run(&sched, BUDGET);
        cr_assert(sched_can_trim(&sched));
        sched_trim(&sched);
        sched_trim(&sched);
        cr_assert(!sched_can_trim(&sched));
        for (struct stack_pool *pool = &sched.stacks; pool; pool = pool->next) {
                unsigned char resident[256];
                size_t pages = 0;

                cr_assert(mincore(pool->stacks[0].slot, pool->stack_bytes, resident) == 0);
                for (size_t i = 0; i < pool->stack_bytes / 4096; i++)
                        pages += resident[i] & 1;
                cr_assert(pages == 1);
        }
}
