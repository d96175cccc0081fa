/* Of lib/task/wheel.c: a timer fires once, never early, in the order of ticks and then of arming. */
#include "support/run.h"

#include <stdlib.h>
#include <string.h>

#include "task/wheel.h"

enum { TIMERS = 512, ROUNDS = 20000 };

static struct wheel wheel;

static struct timer {
        struct ouro_timer timer;
        uint64_t tick;  /* that it is due at */
        uint64_t armed; /* in the order of arming; 0: it is not */
} timers[TIMERS];

static struct timer *fired[TIMERS];
static size_t fired_count;
static uint64_t armed_so_far;

static void on_fire(void *arg, struct ouro_timer *timer)
{
        struct timer *mine = container_of(timer, struct timer, timer);

        cr_assert(arg == &wheel);
        cr_assert_neq(mine->armed, 0u, "a timer fired that is not armed");
        cr_assert_lt(fired_count, (size_t)TIMERS);
        fired[fired_count++] = mine;
        mine->armed = 0;
}

static void arm(struct timer *timer, int64_t deadline_ns)
{
        timer->tick = ((uint64_t)deadline_ns + ((1ull << wheel.shift) - 1)) >> wheel.shift;
        timer->armed = ++armed_so_far;
        wheel_arm(&wheel, &timer->timer, deadline_ns, TIMER_SLEEP);
}

static size_t advance(int64_t now_ns)
{
        fired_count = 0;
        return wheel_advance(&wheel, now_ns, on_fire, &wheel);
}

Test(wheel, starts_empty)
{
        wheel_init(&wheel, 0, 0);
        cr_assert(wheel_empty(&wheel));
        cr_assert_eq(advance(INT64_MAX), 0u);
}

Test(wheel, a_timer_fires_at_its_deadline_and_not_before)
{
        for (unsigned bit = 0; bit < 62; bit++)
                for (int64_t off = -1; off <= 1; off++) {
                        int64_t deadline = ((int64_t)1 << bit) + off;

                        wheel_init(&wheel, 0, 0);
                        if (deadline <= 0)
                                continue;
                        arm(&timers[0], deadline);
                        cr_assert_eq(advance(deadline - 1), 0u, "early at %ld", (long)deadline);
                        cr_assert_eq(advance(deadline), 1u, "late at %ld", (long)deadline);
                        cr_assert(wheel_empty(&wheel));
                }
}

Test(wheel, coarse_ticks_round_up)
{
        wheel_init(&wheel, WHEEL_REAL_SHIFT, 1000);
        arm(&timers[0], 1001);
        cr_assert_eq(advance(65535), 0u);
        cr_assert_eq(advance(65536), 1u);
        arm(&timers[0], 65536 * 3 + 1);
        cr_assert_eq(advance(65536 * 4 - 1), 0u);
        cr_assert_eq(advance(65536 * 4), 1u);
}

Test(wheel, the_greatest_deadline_can_be_armed_and_cancelled)
{
        wheel_init(&wheel, WHEEL_REAL_SHIFT, 12345678901);
        arm(&timers[0], INT64_MAX);
        cr_assert_eq(advance(INT64_MAX / 2), 0u);
        wheel_cancel(&wheel, &timers[0].timer);
        cr_assert(wheel_empty(&wheel));
}

Test(wheel, keeps_deadline_and_kind)
{
        wheel_init(&wheel, 0, 0);
        wheel_arm(&wheel, &timers[0].timer, INT64_MAX, TIMER_SCOPE);
        wheel_arm(&wheel, &timers[1].timer, 7, TIMER_SLEEP);
        cr_assert_eq(timer_ns(&timers[0].timer), INT64_MAX);
        cr_assert_eq(timer_kind(&timers[0].timer), TIMER_SCOPE);
        cr_assert_eq(timer_ns(&timers[1].timer), 7);
        cr_assert_eq(timer_kind(&timers[1].timer), TIMER_SLEEP);
}

Test(wheel, within_a_tick_fires_in_the_order_of_arming)
{
        wheel_init(&wheel, WHEEL_REAL_SHIFT, 0);
        arm(&timers[0], 70000);
        arm(&timers[1], 66000); /* the same tick, an earlier ns */
        arm(&timers[2], 69000);
        cr_assert_eq(advance(200000), 3u);
        for (size_t i = 0; i < 3; i++)
                cr_assert_eq(fired[i], &timers[i]);
}

Test(wheel, a_jump_over_many_levels_fires_in_order)
{
        wheel_init(&wheel, 0, 0);
        for (unsigned i = 0; i < 60; i++)
                arm(&timers[i], (int64_t)1 << (59 - i));
        cr_assert_eq(advance(INT64_MAX), 60u);
        for (unsigned i = 0; i < 60; i++)
                cr_assert_eq(fired[i], &timers[59 - i]);
}

Test(wheel, what_is_cancelled_does_not_fire)
{
        wheel_init(&wheel, 0, 0);
        for (size_t i = 0; i < 4; i++)
                arm(&timers[i], 100);
        wheel_cancel(&wheel, &timers[0].timer);
        wheel_cancel(&wheel, &timers[2].timer);
        cr_assert_eq(advance(100), 2u);
        cr_assert_eq(fired[0], &timers[1]);
        cr_assert_eq(fired[1], &timers[3]);
}

/* Of two that are due together, the first cancels the second and arms a third. */
static void cancel_other(void *arg, struct ouro_timer *timer)
{
        if (timer == &timers[0].timer) {
                wheel_cancel(&wheel, &timers[1].timer);
                wheel_arm(&wheel, &timers[2].timer, 101, TIMER_SLEEP);
        }
        cr_assert_neq(timer, &timers[1].timer);
        ++*(size_t *)arg;
}

Test(wheel, a_timer_that_fires_may_cancel_and_arm_others)
{
        size_t calls = 0;

        wheel_init(&wheel, 0, 0);
        arm(&timers[0], 100);
        arm(&timers[1], 100);
        cr_assert_eq(wheel_advance(&wheel, 200, cancel_other, &calls), 2u);
        cr_assert_eq(calls, 2u);
        cr_assert(wheel_empty(&wheel));
}

/* ---- against a sorted list ---- */

static uint64_t seed = 88172645463325252u;

static uint64_t random_bits(void)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        return seed ^= seed << 17;
}

/* Near and far alike. */
static int64_t random_delay(void)
{
        return 1 + (int64_t)(random_bits() >> (24 + random_bits() % 39));
}

static int compare_due(const void *a, const void *b)
{
        const struct timer *x = *(struct timer *const *)a, *y = *(struct timer *const *)b;

        if (x->tick != y->tick)
                return x->tick < y->tick ? -1 : 1;
        return x->armed < y->armed ? -1 : 1;
}

static size_t due_in_order(int64_t now_ns, struct timer **ret_due)
{
        size_t count = 0;

        for (size_t i = 0; i < TIMERS; i++)
                if (timers[i].armed && timers[i].tick <= (uint64_t)now_ns >> wheel.shift)
                        ret_due[count++] = &timers[i];
        qsort(ret_due, count, sizeof *ret_due, compare_due);
        return count;
}

static int64_t earliest(void)
{
        uint64_t tick = UINT64_MAX;

        for (size_t i = 0; i < TIMERS; i++)
                if (timers[i].armed && timers[i].tick < tick)
                        tick = timers[i].tick;
        return tick == UINT64_MAX ? -1 : (int64_t)(tick << wheel.shift);
}

static void agrees_with_list(unsigned shift)
{
        struct timer *due[TIMERS];
        int64_t now_ns = 1 << 20;

        memset(timers, 0, sizeof timers);
        wheel_init(&wheel, shift, now_ns);
        for (int round = 0; round < ROUNDS; round++) {
                struct timer *timer = &timers[random_bits() % TIMERS];
                size_t count;

                if (timer->armed && random_bits() % 4 == 0) {
                        wheel_cancel(&wheel, &timer->timer);
                        timer->armed = 0;
                } else if (!timer->armed) {
                        arm(timer, now_ns + random_delay());
                }
                cr_assert_eq(wheel_empty(&wheel), earliest() < 0);
                if (!wheel_empty(&wheel))
                        cr_assert_leq(wheel_next(&wheel), earliest());
                if (random_bits() % 8)
                        continue;
                now_ns += random_delay();
                count = due_in_order(now_ns, due);
                cr_assert_eq(advance(now_ns), count);
                cr_assert(memcmp(fired, due, count * sizeof *due) == 0, "another order in round %d", round);
        }
}

Test(wheel, agrees_with_a_sorted_list)
{
        agrees_with_list(0);
}

Test(wheel, agrees_with_a_sorted_list_in_coarse_ticks)
{
        agrees_with_list(WHEEL_REAL_SHIFT);
}

/* As the virtual clock does: from one wheel_next() to the following one. */
Test(wheel, steps_reach_every_deadline_exactly)
{
        size_t seen = 0;

        wheel_init(&wheel, 0, 0);
        for (size_t i = 0; i < TIMERS; i++)
                arm(&timers[i], random_delay());
        for (int steps = 0; !wheel_empty(&wheel); steps++) {
                int64_t now_ns = wheel_next(&wheel);

                cr_assert_lt(steps, TIMERS * (WHEEL_LEVELS + 1));
                advance(now_ns);
                for (size_t i = 0; i < fired_count; i++)
                        cr_assert_eq(timer_ns(&fired[i]->timer), now_ns);
                seen += fired_count;
        }
        cr_assert_eq(seen, (size_t)TIMERS);
}
