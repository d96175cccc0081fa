/* Of lib/sync/shared_select.c: a select over shared channels does one case, and leaves the others as they
 * were. */
#include <stdatomic.h>
#include <string.h>

#include "support/shared_tests.h"

TestSuite(shared_select, .init = leaks_begin, .fini = leaks_end);

static ouro_chan *second;
static char sent, got[2];

static void open_both(size_t capacity)
{
        chan = ouro_chan_new_shared(1, capacity);
        second = ouro_chan_new_shared(1, capacity);
}

static void free_both(void)
{
        cr_assert_eq(ouro_chan_free(chan), 0, "somebody is still in its queues");
        cr_assert_eq(ouro_chan_free(second), 0, "somebody is still in its queues");
}

/* Which of the two it received from: 0 or 1, or 10 more: it was closed. */
static intptr_t receives_either(void *unused)
{
        struct ouro_case cases[] = {OURO_CASE_RECV(chan, &got[0]), OURO_CASE_RECV(second, &got[1])};
        ssize_t done = ouro_select(cases, 2);

        (void)unused;
        if (done < 0)
                return done;
        cr_assert(cases[done].result == 0 || cases[done].result == -EPIPE);
        return cases[done].result ? 10 + done : done;
}

static intptr_t sends_either(void *unused)
{
        struct ouro_case cases[] = {OURO_CASE_SEND(chan, &sent), OURO_CASE_SEND(second, &sent)};
        ssize_t done = ouro_select(cases, 2);

        (void)unused;
        if (done < 0)
                return done;
        return cases[done].result ? 10 + done : done;
}

static size_t waiting_in_second(void)
{
        struct ouro_channel_stats stats = {.size = sizeof stats};

        cr_assert_eq(ouro_chan_stats(second, &stats), 0);
        return stats.senders_waiting + stats.receivers_waiting;
}

static void must_send(ouro_chan *to, char letter)
{
        cr_assert_eq(ouro_chan_send(to, &letter), 0);
}

static intptr_t sends_to_second(void *letter)
{
        must_send(second, (char)(intptr_t)letter);
        return 0;
}

static intptr_t receives_from_second(void *unused)
{
        char item = '-';

        (void)unused;
        cr_assert_eq(ouro_chan_recv(second, &item), 0);
        return item;
}

RUN(shared_select, takes_what_is_there)
{
        open_both(1);
        must_send(second, 'b');
        cr_assert_eq(receives_either(NULL), 1);
        cr_assert_eq(got[1], 'b');
        must_send(chan, 'a');
        cr_assert_eq(receives_either(NULL), 0);
        cr_assert_eq(got[0], 'a');
        free_both();
}

RUN(shared_select, waits_for_either_and_leaves_the_other_alone)
{
        for (size_t capacity = 0; capacity < 2; capacity++)
                for (int in_loop = 0; in_loop < 2; in_loop++) {
                        struct other other;
                        ouro_task task;

                        open_both(capacity);
                        task = waits(receives_either, 0);
                        cr_assert_eq(waiting_in_second(), 1u);
                        start(&other, in_loop, sends_to_second, 'b');
                        cr_assert_eq(ouro_await(task), 1);
                        cr_assert_eq(finish(&other), 0);
                        cr_assert_eq(got[1], 'b');
                        cr_assert_eq(waiting(), 0u);
                        cr_assert_eq(waiting_in_second(), 0u);
                        free_both();

                        open_both(capacity);
                        for (size_t i = 0; i < capacity; i++) {
                                must_send(chan, 'x');
                                must_send(second, 's');
                        }
                        sent = 's';
                        task = waits(sends_either, 0);
                        start(&other, in_loop, receives_from_second, 0);
                        cr_assert_eq(ouro_await(task), 1);
                        cr_assert_eq(finish(&other), 's');
                        cr_assert_eq(ouro_chan_len(chan), capacity, "it was sent to both");
                        cr_assert_eq(ouro_chan_len(second), capacity);
                        cr_assert_eq(waiting(), 0u);
                        free_both();
                }
}

RUN(shared_select, keeps_its_place_in_the_queue)
{
        ouro_task first, task, last;

        open_both(1);
        first = waits(receives, 0);
        task = waits(receives_either, 0);
        last = waits(receives, 0);
        must_send(chan, 'a');
        must_send(chan, 'b');
        must_send(chan, 'c');
        cr_assert_eq(ouro_await(first), 'a');
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(got[0], 'b');
        cr_assert_eq(ouro_await(last), 'c');
        free_both();
}

/* Both channels have something for it before it runs again: one item is its, the other stays. */
RUN(shared_select, takes_one_item_of_two)
{
        ouro_task task, next;

        open_both(1);
        task = waits(receives_either, 0);
        next = waits(receives, 0);
        must_send(second, 'b');
        must_send(chan, 'a');
        cr_assert_eq(ouro_await(task), 1);
        cr_assert_eq(ouro_await(next), 'a', "an item was given to a select that was over");
        cr_assert_eq(ouro_chan_len(chan) + ouro_chan_len(second), 0u);
        free_both();
}

RUN(shared_select, two_of_them_meet)
{
        ouro_task task;

        open_both(0);
        sent = 'm';
        memset(got, 0, sizeof got);
        task = waits(sends_either, 0);
        cr_assert_eq(receives_either(NULL), ouro_await(task));
        cr_assert_eq(got[0] + got[1], 'm');
        free_both();
}

RUN(shared_select, does_not_meet_itself)
{
        char item = 'i', other = '-';
        struct ouro_case cases[2];
        struct other thread;

        for (size_t i = 0; i < 2; i++) {
                open_both(0);
                cases[i] = OURO_CASE_SEND(chan, &item);
                cases[1 - i] = OURO_CASE_RECV(chan, &other);
                start(&thread, true, receives, 0);
                cr_assert_eq(ouro_select(cases, 2), (ssize_t)i);
                cr_assert_eq(finish(&thread), 'i');
                cr_assert_eq(other, '-');
                free_both();
        }
}

RUN(shared_select, is_told_of_the_end)
{
        ouro_task task;

        open_both(1);
        task = waits(receives_either, 0);
        cr_assert_eq(ouro_chan_close(second), 0);
        cr_assert_eq(ouro_await(task), 11);
        cr_assert_eq(receives_either(NULL), 11);
        free_both();
        open_both(0);
        task = waits(sends_either, 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_await(task), 10);
        free_both();
}

RUN(shared_select, cut_short_it_has_done_nothing)
{
        ouro_task task;
        char item;

        open_both(0);
        task = waits(receives_either, 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(waiting() + waiting_in_second(), 0u);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(sends_either(NULL), -ETIME);
        cr_assert_eq(ouro_chan_try_recv(chan, &item), -EAGAIN);
        free_both();
}

RUN(shared_select, done_before_it_is_cancelled_it_says_so)
{
        struct other thread;
        ouro_task task;

        open_both(0);
        task = waits(receives_either, 0);
        start(&thread, false, sends_to_second, 'b');
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 1);
        cr_assert_eq(got[1], 'b');
        free_both();
}

RUN(shared_select, stands_beside_other_kinds)
{
        ouro_chan *local = ouro_chan_new(1, 1);
        char item = 'l', far = '-', near = '-';
        struct ouro_case cases[] = {
                OURO_CASE_RECV((chan = ouro_chan_new_shared(1, 1)), &far),
                OURO_CASE_RECV(local, &near),
                OURO_CASE_AFTER(OURO_MS(1)),
        };
        struct other thread;

        cr_assert_eq(ouro_select(cases, 3), 2);
        cr_assert_eq(ouro_chan_send(local, &item), 0);
        cr_assert_eq(ouro_select(cases, 3), 1);
        cr_assert_eq(near, 'l');
        cases[2] = OURO_CASE_NEVER();
        start(&thread, false, sends, 'f');
        cr_assert_eq(ouro_select(cases, 3), 0);
        cr_assert_eq(far, 'f');
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_chan_free(local), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

Test(shared_select, is_for_tasks_only)
{
        open_both(1);
        cr_assert_eq(receives_either(NULL), -EPERM);
        free_both();
}

/* ---- many at once ---- */

enum { SELECTORS = 6, ITEMS = 500 };

static atomic_uint arrived;

/* Sends and receives in one select, through both channels, until it has sent all that is its. */
static intptr_t trades(void *unused)
{
        for (int left = ITEMS; left > 0;) {
                char out = 'o', in;
                struct ouro_case cases[] = {
                        OURO_CASE_SEND(chan, &out),
                        OURO_CASE_RECV(second, &in),
                        OURO_CASE_SEND(second, &out),
                        OURO_CASE_RECV(chan, &in),
                };
                ssize_t done = ouro_select(cases, 4);

                cr_assert_geq(done, 0);
                cr_assert_eq(cases[done].result, 0);
                left -= done % 2 == 0;
                arrived += done % 2;
        }
        (void)unused;
        return 0;
}

static intptr_t takes_the_rest(void *unused)
{
        for (;;) {
                intptr_t done = receives_either(unused);

                if (done >= 10)
                        return 0;
                arrived++;
        }
}

static intptr_t trade_in_a_group(void *unused)
{
        ouro_task tasks[SELECTORS];

        (void)unused;
        for (int i = 0; i < SELECTORS; i++)
                tasks[i] = ouro_create_task(trades, NULL);
        return ouro_gather(tasks, SELECTORS, NULL);
}

static void everything_arrives(size_t capacity)
{
        struct other loops[2];
        ouro_task rest;

        open_both(capacity);
        arrived = 0;
        for (int i = 0; i < 2; i++)
                start(&loops[i], true, trade_in_a_group, 0);
        rest = ouro_create_task(takes_the_rest, NULL);
        cr_assert_eq(trade_in_a_group(NULL), 0);
        while (ouro_chan_len(chan) + ouro_chan_len(second) > 0 || arrived < 3 * SELECTORS * ITEMS)
                cr_assert_eq(ouro_sleep(OURO_US(100)), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_chan_close(second), 0);
        cr_assert_eq(ouro_await(rest), 0);
        for (int i = 0; i < 2; i++)
                cr_assert_eq(finish(&loops[i]), 0);
        cr_assert_eq(arrived, 3u * SELECTORS * ITEMS);
        free_both();
}

RUN(shared_select, selects_of_three_loops_lose_nothing)
{
        everything_arrives(0);
        everything_arrives(1);
        everything_arrives(5);
}
