/* Of lib/sync/channel.c: items arrive once, whole and in order; nobody who waits is overtaken. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(chan, .init = leaks_begin, .fini = leaks_end);

static ouro_chan *chan;

static intptr_t sends(void *letter)
{
        char item = (char)(intptr_t)letter;

        return ouro_chan_send(chan, &item);
}

static intptr_t receives(void *letter)
{
        char item = '-';
        int error = ouro_chan_recv(chan, &item);

        note((char)(intptr_t)letter);
        note(item);
        return error;
}

/* All that is in it, by try_recv. */
static const char *drained(void)
{
        char item;

        while (ouro_chan_try_recv(chan, &item) == 0)
                note(item);
        return noted();
}

static void put(const char *letters)
{
        for (; *letters; letters++)
                cr_assert_eq(ouro_chan_try_send(chan, letters), 0);
}

static ouro_task waiting(ouro_fn *fn, char letter)
{
        ouro_task task = ouro_create_task_named(fn, as_arg(letter), "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

/* ---- holding ---- */

RUN(chan, holds_as_many_as_its_capacity)
{
        char item = 'x';

        chan = ouro_chan_new(1, 3);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        cr_assert_eq(item, 'x');
        put("abc");
        cr_assert_eq(ouro_chan_len(chan), 3u);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_chan_len(chan), 3u);
        cr_assert_str_eq(drained(), "abc");
        cr_assert_eq(ouro_chan_len(chan), 0u);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, goes_round)
{
        chan = ouro_chan_new(1, 3);
        put("ab");
        for (char c = 'c'; c < 'z'; c++) {
                char item = '-';

                cr_assert_eq(ouro_chan_send(chan, &c), 0);
                cr_assert_eq(ouro_chan_recv(chan, &item), 0);
                cr_assert_eq(item, c - 2);
        }
        cr_assert_str_eq(drained(), "xy");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, copies_items_of_any_size_whole)
{
        static const size_t sizes[] = {0, 1, 3, 7, 8, 9, 16, 100, 5000};
        static unsigned char sent[5001], got[5001];

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                size_t bytes = sizes[i];

                chan = ouro_chan_new(bytes, 2);
                memset(sent, (int)i + 1, sizeof sent);
                memset(got, 0xee, sizeof got);
                cr_assert_eq(ouro_chan_send(chan, sent), 0);
                memset(sent, 0, bytes);
                cr_assert_eq(ouro_chan_recv(chan, got), 0);
                for (size_t k = 0; k < bytes; k++)
                        cr_assert_eq(got[k], i + 1);
                cr_assert_eq(got[bytes], 0xee, "it wrote beyond the item");
                cr_assert_eq(ouro_chan_free(chan), 0);
        }
}

RUN(chan, of_bare_signals_needs_no_memory)
{
        chan = ouro_chan_new(0, 2);
        cr_assert_eq(ouro_chan_send(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_send(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_send(chan, NULL), -EAGAIN);
        cr_assert_eq(ouro_chan_recv(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, NULL), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, NULL), -EAGAIN);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

Test(chan, too_large_is_not_made)
{
        cr_assert_null(ouro_chan_new(SIZE_MAX, 2));
        cr_assert_null(ouro_chan_new(SIZE_MAX / 2, 2));
        cr_assert_null(ouro_chan_new(1, SIZE_MAX - 1));
        cr_assert_null(ouro_chan_new(1ull << 33, 1ull << 33));
}

Test(chan, f91_ten_thousand_times_made_and_freed_leaves_nothing)
{
        for (size_t i = 0; i < 10000; i++) {
                chan = ouro_chan_new(i % 100, i % 1000);
                cr_assert_not_null(chan);
                cr_assert_eq(ouro_chan_free(chan), 0);
        }
}

/* ---- waiting ---- */

RUN(chan, serves_receivers_in_the_order_in_which_they_came)
{
        ouro_task tasks[3];

        chan = ouro_chan_new(1, 2);
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waiting(receives, (char)('1' + i));
        put("abcd");
        cr_assert_eq(ouro_chan_len(chan), 1u, "what a receiver waits for goes straight to it");
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "1a2b3c");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, serves_senders_in_the_order_in_which_they_came)
{
        ouro_task tasks[3];
        char item;

        chan = ouro_chan_new(1, 2);
        put("ab");
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waiting(sends, (char)('c' + i));
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(ouro_chan_len(chan), 2u, "the first who waits has the place");
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EAGAIN, "overtaken");
        cr_assert_str_eq(drained(), "bcde");
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, receiver_who_was_woken_is_not_overtaken)
{
        ouro_task task;
        char item = 'a';

        chan = ouro_chan_new(1, 1);
        task = waiting(receives, '1');
        cr_assert_eq(ouro_chan_send(chan, &item), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_str_eq(noted(), "1a");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, rendezvous_needs_both_sides)
{
        ouro_task task;
        char item = 'x';

        chan = ouro_chan_new(1, 0);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        task = waiting(sends, 'a');
        cr_assert_eq(ouro_chan_len(chan), 0u);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(ouro_await(task), 0);
        task = waiting(receives, '1');
        item = 'b';
        cr_assert_eq(ouro_chan_try_send(chan, &item), 0);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_str_eq(noted(), "1b");
        task = waiting(sends, 'c');
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(item, 'c');
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, is_not_freed_while_somebody_waits)
{
        ouro_task task;

        chan = ouro_chan_new(1, 1);
        task = waiting(receives, '1');
        cr_assert_eq(ouro_chan_free(chan), -EBUSY);
        put("a");
        cr_assert_eq(ouro_await(task), 0);
        put("b");
        task = waiting(sends, 'c');
        cr_assert_eq(ouro_chan_free(chan), -EBUSY);
        cr_assert_str_eq(drained(), "1abc");
        cr_assert_eq(ouro_await(task), 0);
        put("d");
        cr_assert_eq(ouro_chan_free(chan), 0, "items do not keep it");
}

/* ---- closing ---- */

RUN(chan, closed_gives_what_is_in_it_and_then_the_end)
{
        char item = 'x';

        chan = ouro_chan_new(1, 3);
        put("ab");
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_chan_close(chan), -EPIPE);
        cr_assert_eq(ouro_chan_send(chan, &item), -EPIPE);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EPIPE);
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
        cr_assert_eq(item, 'a');
        cr_assert_eq(ouro_chan_try_recv(chan, &item), 0);
        cr_assert_eq(item, 'b');
        cr_assert_eq(ouro_chan_recv(chan, &item), -EPIPE);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EPIPE);
        cr_assert_eq(item, 'b');
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, closed_ends_waiting_senders_and_keeps_what_was_sent)
{
        ouro_task tasks[2];
        intptr_t results[2];

        chan = ouro_chan_new(1, 1);
        put("a");
        tasks[0] = waiting(sends, 'b');
        tasks[1] = waiting(sends, 'c');
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_gather(tasks, 2, results), -EPIPE);
        cr_assert_eq(results[0], -EPIPE);
        cr_assert_eq(results[1], -EPIPE);
        cr_assert_str_eq(drained(), "a");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, closed_ends_waiting_receivers)
{
        ouro_task tasks[2];
        intptr_t results[2];

        chan = ouro_chan_new(1, 0);
        tasks[0] = waiting(receives, '1');
        tasks[1] = waiting(receives, '2');
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_gather(tasks, 2, results), -EPIPE);
        cr_assert_eq(results[0], -EPIPE);
        cr_assert_eq(results[1], -EPIPE);
        cr_assert_str_eq(noted(), "1-2-");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- being cut short ---- */

RUN(chan, cancelled_sender_has_not_sent_and_keeps_nobody_back)
{
        ouro_task tasks[3];
        intptr_t results[3];

        chan = ouro_chan_new(1, 1);
        put("a");
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waiting(sends, (char)('b' + i));
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_str_eq(drained(), "abd");
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], 0);
        cr_assert_eq(results[1], -ECANCELED);
        cr_assert_eq(results[2], 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, cancelled_receiver_takes_nothing)
{
        ouro_task tasks[3];
        intptr_t results[3];

        chan = ouro_chan_new(1, 0);
        for (size_t i = 0; i < 3; i++)
                tasks[i] = waiting(receives, (char)('1' + i));
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        put("ab");
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_str_eq(noted(), "1-2a3b");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(chan, item_that_was_handed_over_is_not_lost_by_a_cancellation)
{
        ouro_task receiver, sender;

        chan = ouro_chan_new(1, 0);
        receiver = waiting(receives, '1');
        put("a");
        cr_assert_eq(ouro_cancel(receiver), 0);
        cr_assert_eq(ouro_await(receiver), 0);
        cr_assert_str_eq(noted(), "1a");
        sender = waiting(sends, 'b');
        cr_assert_str_eq(drained(), "b");
        cr_assert_eq(ouro_cancel(sender), 0);
        cr_assert_eq(ouro_await(sender), 0, "it was told that its item was not sent");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN_VIRTUAL(chan, time_cuts_both_sides_short)
{
        char item = 'x';

        chan = ouro_chan_new(1, 0);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_chan_recv(chan, &item), -ETIME);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_chan_send(chan, &item), -ETIME);
        cr_assert_eq(ouro_now(), OURO_MS(2));
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- loops ---- */

static intptr_t tries_all(void *unused)
{
        char item = 'f';

        (void)unused;
        cr_assert_eq(ouro_chan_send(chan, &item), -EPERM);
        cr_assert_eq(ouro_chan_recv(chan, &item), -EPERM);
        cr_assert_eq(ouro_chan_try_send(chan, &item), -EPERM);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EPERM);
        cr_assert_eq(ouro_chan_close(chan), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

RUN(chan_elsewhere, f38_that_another_loops_tasks_wait_on_is_refused)
{
        pthread_t thread;
        ouro_task task;
        void *result;

        chan = ouro_chan_new(1, 0);
        for (int i = 0; i < 2; i++) {
                task = waiting(i ? receives : sends, 'a');
                cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
                cr_assert_eq(pthread_join(thread, &result), 0);
                cr_assert_null(result);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_await(task), -ECANCELED);
        }
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t puts_one(void *letter)
{
        put((char[]){(char)(intptr_t)letter, '\0'});
        return 0;
}

static intptr_t drains(void *unused)
{
        (void)unused;
        cr_assert_str_eq(drained(), "ab");
        return 0;
}

Test(chan, serves_one_run_after_the_other)
{
        chan = ouro_chan_new(1, 4);
        cr_assert_eq(ouro_run(puts_one, as_arg('a')), 0);
        cr_assert_eq(ouro_run(puts_one, as_arg('b')), 0);
        cr_assert_eq(ouro_run(drains, NULL), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- many at once, with cancellations ---- */

enum { PRODUCERS = 8, CONSUMERS = 5, ITEMS = 2000 };

struct item {
        uint32_t producer;
        uint32_t number;
        char pad[5];
};

static uint32_t next_of[CONSUMERS][PRODUCERS]; /* least that a consumer may still get of a producer */
static uint32_t received, cut;
static uint64_t seed = 7;

static unsigned random_below(unsigned n)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(seed >> 33) % n;
}

static intptr_t produces(void *index)
{
        struct item item = {.producer = (uint32_t)(intptr_t)index};

        while (item.number < ITEMS) {
                int error = 1;

                OURO_TIMEOUT(random_below(3) ? OURO_FOREVER : random_below(2))
                        error = ouro_chan_send(chan, &item);
                cr_assert(error == 0 || error == -ETIME);
                item.number += error == 0;
                cut += error != 0;
                if (random_below(4) == 0)
                        cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

static intptr_t consumes(void *index)
{
        uint32_t *next = next_of[(intptr_t)index];
        struct item item;

        for (;;) {
                int error = 1;

                OURO_TIMEOUT(random_below(3) ? OURO_FOREVER : random_below(2))
                        error = ouro_chan_recv(chan, &item);
                if (error == -EPIPE)
                        return 0;
                cut += error != 0;
                if (random_below(4) == 0)
                        cr_assert_eq(ouro_sleep((int64_t)random_below(5)), 0);
                if (error == -ETIME)
                        continue;
                cr_assert_geq(item.number, next[item.producer], "an item overtook another");
                next[item.producer] = item.number + 1;
                received++;
        }
}

static void everything_arrives(size_t capacity)
{
        ouro_task producers[PRODUCERS], consumers[CONSUMERS];

        chan = ouro_chan_new(sizeof(struct item), capacity);
        for (intptr_t i = 0; i < CONSUMERS; i++)
                consumers[i] = ouro_create_task(consumes, as_arg(i));
        for (intptr_t i = 0; i < PRODUCERS; i++)
                producers[i] = ouro_create_task(produces, as_arg(i));
        cr_assert_eq(ouro_gather(producers, PRODUCERS, NULL), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_gather(consumers, CONSUMERS, NULL), 0);
        cr_assert_eq(received, (uint32_t)PRODUCERS * ITEMS);
        cr_assert_gt(cut, 0u, "nobody was cut short: the test tells nothing of that");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN_VIRTUAL(chan, everything_arrives_once_and_in_order_whoever_is_cut_short)
{
        everything_arrives(3);
}

RUN_VIRTUAL(chan, everything_arrives_through_a_rendezvous_too)
{
        everything_arrives(0);
}
