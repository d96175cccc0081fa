/* Of lib/sync/shared.c: one kind of channel between loops and threads; items arrive once, whole and in order,
 * and nobody who waits is overtaken. */
#include <string.h>

#include "support/shared_tests.h"

TestSuite(shared, .init = leaks_begin, .fini = leaks_end);

/* ---- holding ---- */

RUN(shared, holds_as_many_as_its_capacity_lap_after_lap)
{
        static const size_t capacities[] = {1, 2, 3, 4, 5, 63, 64, 65, 1000};

        for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
                int next_in = 0, next_out = 0, item = -1;

                chan = ouro_chan_new_shared(sizeof item, capacities[c]);
                cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
                for (int lap = 0; lap < 5; lap++) {
                        for (size_t i = 0; i < capacities[c]; i++, next_in++)
                                cr_assert_eq(ouro_chan_try_send(chan, &next_in), 0);
                        cr_assert_eq(ouro_chan_try_send(chan, &next_in), -EAGAIN);
                        cr_assert_eq(ouro_chan_len(chan), capacities[c]);
                        for (size_t i = 0; i < capacities[c] - (lap < 4); i++, next_out++) {
                                cr_assert_eq(ouro_chan_recv(chan, &item), 0);
                                cr_assert_eq(item, next_out);
                        }
                        cr_assert_eq(ouro_chan_len(chan), lap < 4 ? 1u : 0u);
                        next_out += lap < 4 ? ouro_chan_recv(chan, &item) == 0 : 0;
                }
                cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
                cr_assert_eq(ouro_chan_free(chan), 0);
        }
}

RUN(shared, copies_items_of_any_size_whole)
{
        static const size_t sizes[] = {0, 1, 3, 7, 8, 9, 16, 100, 5000};
        static unsigned char sent[5001], got[5001];

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                size_t bytes = sizes[i];

                chan = ouro_chan_new_shared(bytes, 2);
                memset(sent, (int)i + 1, sizeof sent);
                memset(got, 0xee, sizeof got);
                cr_assert_eq(ouro_chan_send(chan, sent), 0);
                memset(sent, 0, bytes);
                cr_assert_eq(ouro_chan_send(chan, sent), 0);
                cr_assert_eq(ouro_chan_recv(chan, got), 0);
                for (size_t k = 0; k < bytes; k++)
                        cr_assert_eq(got[k], i + 1);
                cr_assert_eq(got[bytes], 0xee, "it wrote beyond the item");
                cr_assert_eq(ouro_chan_free(chan), 0, "items do not keep it");
        }
}

RUN(shared, of_bare_signals_needs_no_memory)
{
        chan = ouro_chan_new_shared(0, 2);
        cr_assert_eq(ouro_chan_send(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_send(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_send(chan, NULL), -EAGAIN);
        cr_assert_eq(ouro_chan_recv(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, NULL), -EAGAIN);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

Test(shared, too_large_or_unbounded_is_not_made)
{
        cr_assert_null(ouro_chan_new_shared(SIZE_MAX, 2));
        cr_assert_null(ouro_chan_new_shared(SIZE_MAX / 2, 2));
        cr_assert_null(ouro_chan_new_shared(1, SIZE_MAX - 1));
        cr_assert_null(ouro_chan_new_shared(1ull << 33, 1ull << 33));
        cr_assert_null(ouro_chan_new_shared(0, SIZE_MAX / 8));
        cr_assert_null(ouro_chan_new_shared(1, OURO_CHAN_UNBOUNDED));
}

/* ---- waiting: in order, whoever it is ---- */

RUN(shared, serves_receivers_in_the_order_in_which_they_came)
{
        struct other thread, loop;
        ouro_task tasks[2];
        char item;

        chan = ouro_chan_new_shared(1, 4);
        tasks[0] = waits(receives, 0);
        start_waiting(&thread, false, receives, 0);
        start_waiting(&loop, true, receives, 0);
        tasks[1] = waits(receives, 0);
        put("abcd");
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN, "overtaken");
        cr_assert_eq(ouro_await(tasks[0]), 'a');
        cr_assert_eq(finish(&thread), 'b');
        cr_assert_eq(finish(&loop), 'c');
        cr_assert_eq(ouro_await(tasks[1]), 'd');
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(shared, serves_senders_in_the_order_in_which_they_came)
{
        struct other thread, loop;
        ouro_task task;
        char item;

        chan = ouro_chan_new_shared(1, 2);
        put("ab");
        start_waiting(&thread, false, sends, 'c');
        task = waits(sends, 'd');
        start_waiting(&loop, true, sends, 'e');
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_chan_len(chan), 2u, "the first who waits has the place");
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EAGAIN, "overtaken");
        cr_assert_str_eq(drained(), "bcde");
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(finish(&loop), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(shared, rendezvous_needs_both_sides)
{
        struct other thread;
        ouro_task task;
        char item = 'x';

        chan = ouro_chan_new_shared(1, 0);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        task = waits(sends, 'a');
        cr_assert_eq(ouro_chan_len(chan), 0u);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(ouro_await(task), 0);
        start_waiting(&thread, false, receives, 0);
        item = 'b';
        cr_assert_eq(ouro_chan_try_send(chan, &item), 0);
        cr_assert_eq(finish(&thread), 'b');
        start_waiting(&thread, true, sends, 'c');
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(item, 'c');
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(stats().sent, 3u);
        cr_assert_eq(stats().received, 3u);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

Test(shared, serves_threads_that_have_no_loop)
{
        struct other receiver, sender;

        chan = ouro_chan_new_shared(1, 1);
        start_waiting(&receiver, false, receives, 0);
        put("a");
        cr_assert_eq(finish(&receiver), 'a');
        put("b");
        start_waiting(&sender, false, sends, 'c');
        cr_assert_str_eq(drained(), "bc");
        cr_assert_eq(finish(&sender), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(receives(NULL), -EPIPE);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(shared, is_not_freed_while_somebody_waits)
{
        struct other thread;
        ouro_task task;

        chan = ouro_chan_new_shared(1, 1);
        start_waiting(&thread, false, receives, 0);
        cr_assert_eq(ouro_chan_free(chan), -EBUSY);
        put("a");
        cr_assert_eq(finish(&thread), 'a');
        put("b");
        task = waits(sends, 'c');
        cr_assert_eq(ouro_chan_free(chan), -EBUSY);
        cr_assert_str_eq(drained(), "bc");
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(shared, counts_what_has_been_done)
{
        struct ouro_channel_stats now;
        ouro_task task;

        chan = ouro_chan_new_shared(1, 3);
        put("abc");
        task = waits(sends, 'd');
        now = stats();
        cr_assert_eq(now.sent, 3u);
        cr_assert_eq(now.received, 0u);
        cr_assert_eq(now.len, 3u);
        cr_assert_eq(now.capacity, 3u);
        cr_assert_eq(now.longest, 3u);
        cr_assert_eq(now.senders_waiting, 1u);
        cr_assert_eq(now.send_waits, 1u);
        cr_assert_str_eq(drained(), "abcd");
        cr_assert_eq(ouro_await(task), 0);
        task = waits(receives, 0);
        now = stats();
        cr_assert_eq(now.sent, 4u);
        cr_assert_eq(now.received, 4u);
        cr_assert_eq(now.len, 0u);
        cr_assert_eq(now.longest, 3u);
        cr_assert_eq(now.senders_waiting, 0u);
        cr_assert_eq(now.receivers_waiting, 1u);
        cr_assert_eq(now.recv_waits, 1u);
        put("e");
        cr_assert_eq(ouro_await(task), 'e');
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- closing ---- */

RUN(shared, closed_gives_what_is_in_it_and_then_the_end)
{
        char item = 'x';

        chan = ouro_chan_new_shared(1, 3);
        put("ab");
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_chan_close(chan), -EPIPE);
        cr_assert_eq(ouro_chan_send(chan, &item), -EPIPE);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EPIPE);
        cr_assert_eq(ouro_chan_len(chan), 2u);
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(ouro_chan_try_recv(chan, &item), 0);
        cr_assert_eq(item, 'b');
        cr_assert_eq(ouro_chan_recv(chan, &item), -EPIPE);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EPIPE);
        cr_assert_eq(item, 'b');
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(shared, closed_ends_all_who_wait_and_keeps_what_was_sent)
{
        struct other thread, loop;
        ouro_task task;

        chan = ouro_chan_new_shared(1, 1);
        put("a");
        task = waits(sends, 'b');
        start_waiting(&thread, false, sends, 'c');
        start_waiting(&loop, true, sends, 'd');
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_await(task), -EPIPE);
        cr_assert_eq(finish(&thread), -EPIPE);
        cr_assert_eq(finish(&loop), -EPIPE);
        cr_assert_str_eq(drained(), "a");
        cr_assert_eq(ouro_chan_free(chan), 0);

        chan = ouro_chan_new_shared(1, 0);
        task = waits(receives, 0);
        start_waiting(&thread, false, receives, 0);
        start_waiting(&loop, true, receives, 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_await(task), -EPIPE);
        cr_assert_eq(finish(&thread), -EPIPE);
        cr_assert_eq(finish(&loop), -EPIPE);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- being cut short ---- */

RUN(shared, cancelled_sender_has_not_sent_and_keeps_nobody_back)
{
        ouro_task tasks[3];
        intptr_t results[3];

        chan = ouro_chan_new_shared(1, 1);
        put("a");
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waits(sends, (char)('b' + i));
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(stats().senders_waiting, 2u);
        cr_assert_str_eq(drained(), "abd");
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], 0);
        cr_assert_eq(results[1], -ECANCELED);
        cr_assert_eq(results[2], 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(shared, cancelled_receiver_takes_nothing)
{
        ouro_task task;
        struct other thread;

        for (size_t capacity = 0; capacity < 2; capacity++) {
                chan = ouro_chan_new_shared(1, capacity);
                task = waits(receives, 0);
                start_waiting(&thread, false, receives, 0);
                cr_assert_eq(ouro_cancel(task), 0);
                put("a");
                cr_assert_eq(finish(&thread), 'a');
                cr_assert_eq(ouro_await(task), -ECANCELED);
                cr_assert_eq(ouro_chan_free(chan), 0);
        }
}

/* A thread sends while this one does not let its loop run: the wake is on its way when the task is cut. */
RUN(shared, item_that_was_handed_over_is_not_lost_by_a_cancellation)
{
        struct other thread;
        ouro_task task;

        for (size_t capacity = 0; capacity < 2; capacity++) {
                chan = ouro_chan_new_shared(1, capacity);
                task = waits(receives, 0);
                start(&thread, false, sends, 'a');
                cr_assert_eq(finish(&thread), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_await(task), 'a');

                while (ouro_chan_len(chan) < capacity)
                        put("x");
                task = waits(sends, 'b');
                for (size_t i = 0; i <= capacity; i++) {
                        start(&thread, false, receives, 0);
                        cr_assert_eq(finish(&thread), i < capacity ? 'x' : 'b');
                }
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_await(task), 0, "it was told that its item was not sent");
                cr_assert_eq(ouro_chan_free(chan), 0);
        }
}

RUN(shared, time_cuts_both_sides_short)
{
        char item = 'x';

        chan = ouro_chan_new_shared(1, 0);
        OURO_TIMEOUT(OURO_MS(1)) {
                cr_assert_eq(ouro_chan_recv(chan, &item), -ETIME);
                cr_assert_eq(ouro_chan_send(chan, &item), -ETIME);
        }
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_chan_send(chan, &item), -ETIME);
        cr_assert_eq(item, 'x');
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t leaves_a_receiver(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_go(receives, NULL), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(waiting(), 1u);
        return 0;
}

Test(shared, end_of_a_run_cuts_short_who_waits)
{
        chan = ouro_chan_new_shared(1, 1);
        cr_assert_eq(ouro_run(leaves_a_receiver, NULL), 0);
        cr_assert_eq(waiting(), 0u);
        cr_assert_eq(ouro_chan_free(chan), 0);
}
