/* Of lib/sync/channel.c: unbounded channels, closing with many on both sides, and statistics. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(chan_kinds, .init = leaks_begin, .fini = leaks_end);

static ouro_chan *chan;

static void put(int64_t item)
{
        cr_assert_eq(ouro_chan_send(chan, &item), 0);
}

static int64_t taken(void)
{
        int64_t item = -1;

        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        return item;
}

/* ---- unbounded ---- */

RUN(chan_kinds, unbounded_one_never_makes_a_sender_wait)
{
        chan = ouro_chan_new(sizeof(int64_t), OURO_CHAN_UNBOUNDED);
        for (int64_t i = 0; i < 100000; i++)
                put(i);
        cr_assert_eq(ouro_chan_len(chan), 100000u);
        for (int64_t i = 0; i < 100000; i++)
                cr_assert_eq(taken(), i);
        cr_assert_eq(ouro_chan_try_recv(chan, &(int64_t){0}), -EAGAIN);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan_kinds, unbounded_one_grows_while_it_goes_round)
{
        int64_t in = 0, out = 0;

        chan = ouro_chan_new(sizeof(int64_t), OURO_CHAN_UNBOUNDED);
        for (int round = 1; round < 200; round++) {
                for (int i = 0; i < round; i++)
                        put(in++);
                for (int i = 0; i < round * 2 / 3; i++)
                        cr_assert_eq(taken(), out++);
        }
        while (out < in)
                cr_assert_eq(taken(), out++);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t receives(void *unused)
{
        int64_t item = -1;
        int error = ouro_chan_recv(chan, &item);

        (void)unused;
        return error < 0 ? error : (intptr_t)item;
}

static ouro_task waiting(ouro_fn *fn, void *arg)
{
        ouro_task task = ouro_create_task_named(fn, arg, "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(chan_kinds, unbounded_one_hands_over_to_who_waits)
{
        ouro_task task;

        chan = ouro_chan_new(sizeof(int64_t), OURO_CHAN_UNBOUNDED);
        task = waiting(receives, NULL);
        put(7);
        cr_assert_eq(ouro_chan_len(chan), 0u);
        cr_assert_eq(ouro_await(task), 7);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan_kinds, unbounded_one_of_bare_signals_counts)
{
        chan = ouro_chan_new(0, OURO_CHAN_UNBOUNDED);
        for (int i = 0; i < 1000; i++)
                cr_assert_eq(ouro_chan_send(chan, NULL), 0);
        for (int i = 0; i < 1000; i++)
                cr_assert_eq(ouro_chan_recv(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, NULL), -EAGAIN);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan_kinds, unbounded_one_with_items_in_it_is_freed_whole)
{
        chan = ouro_chan_new(sizeof(int64_t), OURO_CHAN_UNBOUNDED);
        for (int64_t i = 0; i < 5000; i++)
                put(i);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- memory, by an allocator that counts and can fail ---- */

static size_t held_bytes;
static bool no_more;

static void *counts_alloc(size_t bytes, void *unused)
{
        void *got = no_more ? NULL : malloc(bytes);

        (void)unused;
        held_bytes += got ? bytes : 0;
        return got;
}

static void counts_free(void *ptr, size_t bytes, void *unused)
{
        (void)unused;
        held_bytes -= ptr ? bytes : 0;
        free(ptr);
}

static intptr_t with_allocator(void *unused)
{
        size_t at_first = held_bytes, made;
        int64_t item = 0, stopped = 0;

        (void)unused;
        chan = ouro_chan_new(sizeof(int64_t), OURO_CHAN_UNBOUNDED);
        made = held_bytes - at_first;
        for (int round = 0; round < 3; round++) {
                for (int64_t i = 0; i < 10000; i++)
                        put(i);
                cr_assert_gt(held_bytes - at_first, 10000 * sizeof(int64_t));
                for (int64_t i = 0; i < 10000; i++)
                        cr_assert_eq(taken(), i);
                cr_assert_leq(held_bytes - at_first, made + 4096, "drained, it keeps little");
        }
        no_more = true;
        while (ouro_chan_try_send(chan, &item) == 0)
                item++;
        cr_assert_eq(ouro_chan_send(chan, &item), -ENOMEM);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -ENOMEM);

        struct ouro_case cases[] = {OURO_CASE_SEND(chan, &item), OURO_CASE_AFTER(OURO_SEC(1))};

        cr_assert_eq(ouro_select(cases, 2), 0);
        cr_assert_eq(cases[0].result, -ENOMEM);
        no_more = false;
        cr_assert_eq(ouro_chan_send(chan, &item), 0, "it can go on");
        while (stopped <= item)
                cr_assert_eq(taken(), stopped++, "nothing was lost");
        cr_assert_eq(ouro_chan_free(chan), 0);
        cr_assert_eq(held_bytes, at_first);
        return 0;
}

Test(chan_kinds, unbounded_one_gives_memory_back_and_tells_of_a_shortage)
{
        struct ouro_allocator allocator = {counts_alloc, counts_free, NULL};

        cr_assert_eq(ouro_set_allocator(&allocator), 0);
        cr_assert_eq(ouro_run(with_allocator, NULL), 0);
        cr_assert_eq(held_bytes, 0u);
        cr_assert_eq(ouro_set_allocator(NULL), 0);
}

/* ---- closing ---- */

enum { SIDES = 5 };

static unsigned sent, received;

static intptr_t sends_until_closed(void *unused)
{
        int error;

        (void)unused;
        for (int64_t i = 0; (error = ouro_chan_send(chan, &i)) == 0; i++) {
                sent++;
                if (i % 3 == 0)
                        ouro_yield();
        }
        return error;
}

static intptr_t receives_until_closed(void *unused)
{
        int64_t item;
        int error;

        (void)unused;
        while ((error = ouro_chan_recv(chan, &item)) == 0) {
                received++;
                if (item % 2 == 0)
                        ouro_yield();
        }
        return error;
}

static void closed_with_many_on_both_sides(size_t capacity)
{
        ouro_task senders[SIDES], receivers[SIDES];

        sent = received = 0;
        chan = ouro_chan_new(sizeof(int64_t), capacity);
        for (int i = 0; i < SIDES; i++) {
                senders[i] = ouro_create_task(sends_until_closed, NULL);
                receivers[i] = ouro_create_task(receives_until_closed, NULL);
        }
        for (int i = 0; i < 100; i++)
                cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_chan_close(chan), -EPIPE);
        for (int i = 0; i < SIDES; i++) {
                cr_assert_eq(ouro_await(senders[i]), -EPIPE);
                cr_assert_eq(ouro_await(receivers[i]), -EPIPE);
        }
        cr_assert_gt(sent, 0u);
        cr_assert_eq(received, sent, "what was sent before the close was received, and nothing else");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan_kinds, closed_with_many_on_both_sides_is_drained_first)
{
        static const size_t capacities[] = {0, 1, 7, OURO_CHAN_UNBOUNDED};

        for (size_t i = 0; i < 4; i++)
                closed_with_many_on_both_sides(capacities[i]);
}

/* ---- statistics ---- */

static struct ouro_channel_stats stats(void)
{
        struct ouro_channel_stats now = {.size = sizeof now};

        cr_assert_eq(ouro_chan_stats(chan, &now), 0);
        cr_assert_eq(now.size, sizeof now);
        return now;
}

static intptr_t sends(void *item)
{
        return ouro_chan_send(chan, &(int64_t){(intptr_t)item});
}

static intptr_t selects(void *unused)
{
        int64_t item;
        struct ouro_case cases[] = {OURO_CASE_SEND(chan, &item), OURO_CASE_AFTER(OURO_FOREVER)};

        (void)unused;
        item = 9;
        return ouro_select(cases, 2);
}

RUN(chan_kinds, statistics_tell_what_it_has_done_and_holds)
{
        ouro_task tasks[3];

        chan = ouro_chan_new(sizeof(int64_t), 2);
        cr_assert_eq(stats().sent, 0u);
        cr_assert_eq(stats().capacity, 2u);
        tasks[0] = waiting(receives, NULL);
        tasks[1] = waiting(receives, NULL);
        cr_assert_eq(stats().receivers_waiting, 2u);
        put(1);
        put(2);
        cr_assert_eq(stats().sent, 2u);
        cr_assert_eq(stats().received, 2u, "handed over");
        cr_assert_eq(stats().recv_waits, 2u);
        cr_assert_eq(stats().longest, 0u);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        put(3);
        put(4);
        tasks[0] = waiting(sends, as_arg(5));
        tasks[1] = waiting(selects, NULL);
        tasks[2] = waiting(sends, as_arg(6));
        cr_assert_eq(stats().len, 2u);
        cr_assert_eq(stats().senders_waiting, 3u);
        cr_assert_eq(stats().receivers_waiting, 0u);
        cr_assert_eq(stats().sent, 4u);
        cr_assert_eq(stats().send_waits, 2u);
        cr_assert_eq(taken(), 3);
        cr_assert_eq(stats().sent, 5u, "who waited longest has sent");
        cr_assert_eq(taken(), 4);
        cr_assert_eq(taken(), 5);
        cr_assert_eq(taken(), 9);
        cr_assert_eq(taken(), 6);
        cr_assert_eq(stats().sent, 7u);
        cr_assert_eq(stats().received, 7u);
        cr_assert_eq(stats().longest, 2u);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan_kinds, statistics_of_a_rendezvous_and_an_unbounded_one)
{
        ouro_task task;

        chan = ouro_chan_new(sizeof(int64_t), 0);
        task = waiting(sends, as_arg(5));
        cr_assert_eq(taken(), 5);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(stats().sent, 1u);
        cr_assert_eq(stats().received, 1u);
        cr_assert_eq(stats().capacity, 0u);
        cr_assert_eq(ouro_chan_free(chan), 0);
        chan = ouro_chan_new(sizeof(int64_t), OURO_CHAN_UNBOUNDED);
        put(1);
        put(2);
        taken();
        cr_assert_eq(stats().sent, 2u);
        cr_assert_eq(stats().len, 1u);
        cr_assert_eq(stats().longest, 2u);
        cr_assert_eq(stats().capacity, OURO_CHAN_UNBOUNDED);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan_kinds, statistics_of_nothing_are_refused)
{
        struct ouro_channel_stats now = {.size = sizeof now};

        chan = ouro_chan_new(1, 1);
        cr_assert_eq(ouro_chan_stats(NULL, &now), -EINVAL);
        cr_assert_eq(ouro_chan_stats(chan, NULL), -EINVAL);
        now.size = 0;
        cr_assert_eq(ouro_chan_stats(chan, &now), -EINVAL);
        now.size = sizeof now + 1;
        cr_assert_eq(ouro_chan_stats(chan, &now), -EINVAL);
        now.size = offsetof(struct ouro_channel_stats, received);
        now.received = 77;
        cr_assert_eq(ouro_chan_stats(chan, &now), 0);
        cr_assert_eq(now.received, 77u, "an older struct is shorter");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

Test(chan_kinds, statistics_outside_a_loop_are_refused)
{
        struct ouro_channel_stats now = {.size = sizeof now};

        chan = ouro_chan_new(1, 1);
        cr_assert_eq(ouro_chan_stats(chan, &now), -EPERM);
        cr_assert_eq(ouro_chan_free(chan), 0);
}
