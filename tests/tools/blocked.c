/* Of tools/blocked.c: the longest time that the loop did not come round, and whose fault that was. */
#include "../../tools/blocked.h"

#include <criterion/criterion.h>
#include <ouro.h>
#include <time.h>

static struct blocked_totals totals;

static void begin(void)
{
        totals = (struct blocked_totals){0};
}

TestSuite(blocked, .init = begin);

Test(blocked, longest_is_kept_with_what_it_waited_for_a_processor)
{
        blocked_add(&totals, 100, 10);
        blocked_add(&totals, 900, 850);
        blocked_add(&totals, 300, 0);
        cr_assert_eq(totals.longest_ns, 900);
        cr_assert_eq(totals.longest_queued_ns, 850);
        cr_assert_eq(totals.longest_own_ns, 300);
        cr_assert_eq(totals.gap_ns.count, 3);
}

Test(blocked, early_ticks_and_longer_queues_count_as_nothing)
{
        blocked_add(&totals, -5, 0);
        blocked_add(&totals, 50, 80);
        cr_assert_eq(totals.longest_ns, 50);
        cr_assert_eq(totals.longest_queued_ns, 50);
        cr_assert_eq(totals.longest_own_ns, 0);
}

enum { BLOCKING_MS = 60 };

static intptr_t block_the_loop(void *arg)
{
        struct timespec pause = {.tv_nsec = BLOCKING_MS * 1000000L};
        ouro_task watch = ouro_create_task(blocked_watch, arg);

        ouro_sleep(OURO_MS(5));
        nanosleep(&pause, NULL);
        ouro_sleep(OURO_MS(5));
        ouro_cancel(watch);
        return ouro_await(watch);
}

Test(blocked, loop_that_sleeps_in_a_task_is_found_out)
{
        cr_assert_eq(ouro_run(block_the_loop, &totals), 0);
        cr_assert_geq(totals.longest_own_ns, OURO_MS(BLOCKING_MS / 2));
        cr_assert_geq(totals.longest_ns, OURO_MS(BLOCKING_MS / 2));
}
