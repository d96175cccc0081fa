/* Of lib/sync/select.c: exactly one case is done, each gets its turn, and the losers are untouched. */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"

TestSuite(select, .init = leaks_begin, .fini = leaks_end);

static ouro_chan *a, *b;
static struct ouro_event event;

static void two_channels(size_t capacity)
{
        a = ouro_chan_new(1, capacity);
        b = ouro_chan_new(1, capacity);
}

static void free_both(void)
{
        cr_assert_eq(ouro_chan_free(a), 0, "somebody is left in its queues");
        cr_assert_eq(ouro_chan_free(b), 0, "somebody is left in its queues");
}

static void put(ouro_chan *chan, char item)
{
        cr_assert_eq(ouro_chan_try_send(chan, &item), 0);
}

static char taken(ouro_chan *chan)
{
        char item = '-';

        (void)ouro_chan_try_recv(chan, &item);
        return item;
}

/* Selects between receiving from a and from b; notes which, and the item. */
static intptr_t receives_either(void *unused)
{
        char item[2] = "--";
        struct ouro_case cases[] = {OURO_CASE_RECV(a, &item[0]), OURO_CASE_RECV(b, &item[1])};
        ssize_t i = ouro_select(cases, 2);

        (void)unused;
        if (i < 0)
                return i;
        note((char)('0' + i));
        note(cases[i].result < 0 ? '!' : item[i]);
        cr_assert_eq(item[1 - i], '-', "the loser's memory was written");
        return i;
}

static intptr_t sends_either(void *letter)
{
        char item = (char)(intptr_t)letter;
        struct ouro_case cases[] = {OURO_CASE_SEND(a, &item), OURO_CASE_SEND(b, &item)};

        return ouro_select(cases, 2);
}

static ouro_task waiting(ouro_fn *fn, void *arg)
{
        ouro_task task = ouro_create_task_named(fn, arg, "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

/* ---- what is ready is done at once ---- */

RUN(select, takes_what_is_there)
{
        two_channels(2);
        put(b, 'x');
        cr_assert_eq(receives_either(NULL), 1);
        cr_assert_str_eq(noted(), "1x");
        cr_assert_eq(ouro_chan_len(b), 0u);
        free_both();
}

RUN(select, sends_where_there_is_room)
{
        two_channels(1);
        put(a, 'x');
        cr_assert_eq(sends_either(as_arg('y')), 1);
        cr_assert_eq(taken(a), 'x');
        cr_assert_eq(taken(b), 'y');
        free_both();
}

RUN(select, does_only_one_of_those_that_are_ready)
{
        two_channels(1);
        put(a, 'x');
        put(b, 'y');
        cr_assert_geq(receives_either(NULL), 0);
        cr_assert_eq(ouro_chan_len(a) + ouro_chan_len(b), 1u);
        noted();
        free_both();
}

RUN(select, looks_at_an_ended_task_without_consuming_it)
{
        ouro_task task = ouro_create_task(gives, as_arg(7));
        struct ouro_case cases[] = {OURO_CASE_TASK(task), OURO_CASE_NEVER()};

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_select(cases, 2), 0);
        cr_assert_eq(cases[0].result, 0);
        cr_assert_eq(ouro_select(cases, 2), 0);
        cr_assert_eq(ouro_await(task), 7);
}

RUN(select, sees_that_an_event_is_set)
{
        struct ouro_case cases[] = {OURO_CASE_EVENT(&event)};

        cr_assert_eq(ouro_try_select(cases, 1), -EAGAIN);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_select(cases, 1), 0);
        cr_assert_eq(ouro_try_select(cases, 1), 0);
}

RUN(select, is_told_that_a_channel_is_closed_once_it_is_drained)
{
        char item;
        struct ouro_case cases[] = {OURO_CASE_RECV(a = ouro_chan_new(1, 1), &item)};
        struct ouro_case send[] = {OURO_CASE_SEND(a, &item)};

        put(a, 'x');
        cr_assert_eq(ouro_chan_close(a), 0);
        cr_assert_eq(ouro_select(cases, 1), 0);
        cr_assert_eq(cases[0].result, 0);
        cr_assert_eq(item, 'x');
        cr_assert_eq(ouro_select(cases, 1), 0);
        cr_assert_eq(cases[0].result, -EPIPE);
        cr_assert_eq(ouro_select(send, 1), 0);
        cr_assert_eq(send[0].result, -EPIPE);
        cr_assert_eq(ouro_chan_free(a), 0);
}

RUN(select, try_form_does_nothing_if_nothing_is_ready)
{
        char item = 'x';

        two_channels(0);

        struct ouro_case cases[] = {OURO_CASE_RECV(a, &item), OURO_CASE_SEND(b, &item),
                                    OURO_CASE_NEVER(),        OURO_CASE_AFTER(OURO_SEC(1)),
                                    OURO_CASE_EVENT(&event),  OURO_CASE_TASK(ouro_create_task(gives, NULL))};

        cr_assert_eq(ouro_try_select(cases, 6), -EAGAIN);
        cr_assert_eq(ouro_try_select(cases, 0), -EAGAIN);
        cr_assert_eq(ouro_try_select(&cases[2], 1), -EAGAIN);
        free_both();
}

/* ---- waiting ---- */

RUN(select, is_woken_by_each_of_its_channels)
{
        two_channels(0);
        for (int i = 0; i < 2; i++) {
                ouro_task task = waiting(receives_either, NULL);

                put(i ? b : a, 'x');
                cr_assert_eq(ouro_chan_try_send(i ? b : a, "y"), -EAGAIN, "one item only");
                cr_assert_eq(ouro_chan_try_send(i ? a : b, "y"), -EAGAIN,
                             "the loser's place is gone at once");
                cr_assert_eq(ouro_await(task), i);
        }
        cr_assert_str_eq(noted(), "0x1x");
        free_both();
}

RUN(select, sender_is_woken_by_each_of_its_channels)
{
        two_channels(0);
        for (int i = 0; i < 2; i++) {
                ouro_task task = waiting(sends_either, as_arg('s'));

                cr_assert_eq(taken(i ? b : a), 's');
                cr_assert_eq(taken(i ? a : b), '-', "it was sent once");
                cr_assert_eq(ouro_await(task), i);
        }
        free_both();
}

RUN(select, keeps_its_place_in_each_queue)
{
        ouro_task tasks[3];

        two_channels(0);
        for (int i = 0; i < 3; i++)
                tasks[i] = waiting(receives_either, NULL);
        put(b, '1');
        put(a, '2');
        put(b, '3');
        cr_assert_eq(ouro_chan_try_send(b, "4"), -EAGAIN);
        cr_assert_eq(ouro_await(tasks[0]), 1);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        cr_assert_eq(ouro_await(tasks[2]), 1);
        cr_assert_str_eq(noted(), "110213");
        free_both();
}

RUN(select, meets_another_select_in_a_rendezvous)
{
        ouro_task task;

        two_channels(0);
        task = waiting(sends_either, as_arg('m'));
        cr_assert_geq(receives_either(NULL), 0);
        cr_assert_geq(ouro_await(task), 0);
        task = waiting(receives_either, NULL);
        cr_assert_geq(sends_either(as_arg('n')), 0);
        cr_assert_geq(ouro_await(task), 0);
        cr_assert_eq(noted()[1], 'm');
        free_both();
}

/* Sends an item to the channel, or takes one from it. */
static intptr_t does_both(void *chan)
{
        char out = 'o', in = '-';
        struct ouro_case cases[] = {OURO_CASE_SEND(chan, &out), OURO_CASE_RECV(chan, &in)};
        ssize_t i = ouro_select(cases, 2);

        if (i == 1)
                cr_assert_eq(in, 'o');
        return i;
}

RUN(select, does_not_meet_itself)
{
        ouro_task one, other;

        two_channels(0);
        one = waiting(does_both, a);
        other = ouro_create_task(does_both, a);
        cr_assert_eq(ouro_await(one) + ouro_await(other), 1, "one sends, the other receives");
        one = waiting(does_both, a);
        cr_assert_eq(taken(a), 'o');
        cr_assert_eq(ouro_await(one), 0);
        one = waiting(does_both, a);
        put(a, 'o');
        cr_assert_eq(ouro_await(one), 1);
        free_both();
}

static intptr_t receives_thrice_the_same(void *unused)
{
        char item = '-';
        struct ouro_case cases[] = {OURO_CASE_RECV(a, &item), OURO_CASE_RECV(a, &item),
                                    OURO_CASE_RECV(a, &item)};

        (void)unused;
        cr_assert_geq(ouro_select(cases, 3), 0);
        return item;
}

RUN(select, may_name_a_channel_more_than_once)
{
        ouro_task task;

        two_channels(0);
        task = waiting(receives_thrice_the_same, NULL);
        put(a, 'x');
        cr_assert_eq(ouro_chan_try_send(a, "y"), -EAGAIN);
        cr_assert_eq(ouro_await(task), 'x');
        free_both();
}

RUN(select, is_woken_by_a_close_and_so_are_the_others)
{
        ouro_task one, other;

        two_channels(0);
        one = waiting(receives_either, NULL);
        other = waiting(receives_either, NULL);
        cr_assert_eq(ouro_chan_close(b), 0);
        cr_assert_eq(ouro_await(one), 1);
        cr_assert_eq(ouro_await(other), 1);
        cr_assert_str_eq(noted(), "1!1!");
        free_both();
}

static intptr_t waits_for_task(void *handle)
{
        const ouro_task *task = handle;
        char item;
        struct ouro_case cases[] = {OURO_CASE_RECV(a, &item), OURO_CASE_TASK(*task), OURO_CASE_TASK(*task)};

        return ouro_select(cases, 3);
}

RUN(select, is_woken_when_a_task_ends_whoever_takes_its_result)
{
        ouro_task task = ouro_create_task(gives_later, as_arg(5)), one, other;

        two_channels(0);
        one = waiting(waits_for_task, &task);
        other = waiting(waits_for_task, &task);
        cr_assert_eq(ouro_await(task), 5);
        cr_assert_gt(ouro_await(one), 0);
        cr_assert_gt(ouro_await(other), 0);
        free_both();
}

RUN(select, task_that_lost_is_untouched)
{
        ouro_task task = ouro_create_task(gives_when_cut, as_arg(5)), one;

        two_channels(0);
        one = waiting(waits_for_task, &task);
        put(a, 'x');
        cr_assert_eq(ouro_await(one), 0);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 5);
        free_both();
}

static intptr_t waits_for_event(void *unused)
{
        char item;
        struct ouro_case cases[] = {OURO_CASE_RECV(a, &item), OURO_CASE_EVENT(&event)};

        (void)unused;
        return ouro_select(cases, 2);
}

static intptr_t waits_plainly(void *unused)
{
        (void)unused;
        return ouro_event_wait(&event);
}

RUN(select, event_wakes_selects_and_others_alike)
{
        ouro_task tasks[3];

        two_channels(0);
        tasks[0] = waiting(waits_for_event, NULL);
        tasks[1] = waiting(waits_plainly, NULL);
        tasks[2] = waiting(waits_for_event, NULL);
        put(a, 'x');
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_await(tasks[0]), 0);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        cr_assert_eq(ouro_await(tasks[2]), 1);
        free_both();
}

RUN_VIRTUAL(select, shortest_time_counts)
{
        int64_t began_ns = ouro_now();
        struct ouro_case cases[] = {OURO_CASE_AFTER(OURO_SEC(3)), OURO_CASE_AFTER(OURO_SEC(2)),
                                    OURO_CASE_AFTER(OURO_FOREVER), OURO_CASE_EVENT(&event)};

        cr_assert_eq(ouro_select(cases, 4), 1);
        cr_assert_eq(ouro_now() - began_ns, OURO_SEC(2));
        cr_assert_eq(ouro_select(cases, 4), 1, "it begins anew with each call");
        cr_assert_eq(ouro_now() - began_ns, OURO_SEC(4));
        cases[1] = OURO_CASE_NEVER();
        cr_assert_eq(ouro_select(cases, 4), 0);
        cr_assert_eq(ouro_now() - began_ns, OURO_SEC(7));
        cases[3] = OURO_CASE_AFTER(0);
        cr_assert_eq(ouro_select(cases, 4), 3);
}

RUN_VIRTUAL(select, time_that_lost_is_disarmed)
{
        int64_t began_ns = ouro_now();
        struct ouro_case cases[] = {OURO_CASE_AFTER(OURO_SEC(9)),
                                    OURO_CASE_TASK(ouro_create_task(sleeps_ms, as_arg(5)))};

        cr_assert_eq(ouro_select(cases, 2), 1);
        cr_assert_eq(ouro_now() - began_ns, OURO_MS(5));
        cr_assert_eq(ouro_sleep(OURO_SEC(20)), 0);
}
