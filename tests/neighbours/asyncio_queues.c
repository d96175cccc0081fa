/* What CPython's test_asyncio/test_queues.py demands of queues, of channels; task_done() and join() are a
 * wait group beside one. */
#include "support/run.h"

#include <errno.h>

#include "support/leaks.h"

TestSuite(queues, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static ouro_chan *queue;

static void open_queue(size_t capacity)
{
        queue = ouro_chan_new(sizeof(intptr_t), capacity);
        cr_assert_not_null(queue);
}

static void free_queue(void)
{
        cr_assert_eq(ouro_chan_free(queue), 0, "somebody waits");
}

static intptr_t gets(void *unused)
{
        intptr_t item = 0;
        int error = ouro_chan_recv(queue, &item);

        (void)unused;
        return error < 0 ? error : item;
}

static intptr_t puts_item(void *item)
{
        return ouro_chan_send(queue, &item);
}

static ouro_task started(ouro_fn *fn, intptr_t arg)
{
        ouro_task task = ouro_create_task_named(fn, as_arg(arg), "started");

        cr_assert_eq(ouro_yield(), 0);
        return task;
}

static int put_now(intptr_t item)
{
        return ouro_chan_try_send(queue, &item);
}

static intptr_t get_now(void)
{
        intptr_t item = 0;
        int error = ouro_chan_try_recv(queue, &item);

        return error < 0 ? error : item;
}

RUN(queues, items_come_out_in_order)
{
        open_queue(4);
        for (intptr_t i = 1; i <= 3; i++)
                cr_assert_eq(put_now(i), 0);
        cr_assert_eq(ouro_chan_len(queue), 3u);
        for (intptr_t i = 1; i <= 3; i++)
                cr_assert_eq(gets(NULL), i);
        cr_assert_eq(get_now(), -EAGAIN, "empty");
        free_queue();
}

RUN(queues, a_full_queue_makes_its_producer_wait)
{
        ouro_task producer;

        open_queue(2);
        cr_assert_eq(put_now(1), 0);
        cr_assert_eq(put_now(2), 0);
        cr_assert_eq(put_now(3), -EAGAIN);
        producer = started(puts_item, 3);
        cr_assert_eq(ouro_task_state(producer), OURO_STATE_WAITING);
        cr_assert_eq(gets(NULL), 1);
        cr_assert_eq(ouro_await(producer), 0);
        cr_assert_eq(gets(NULL), 2);
        cr_assert_eq(gets(NULL), 3);
        free_queue();
}

RUN(queues, a_getter_waits_for_an_item)
{
        ouro_task getter;

        open_queue(1);
        getter = started(gets, 0);
        cr_assert_eq(ouro_task_state(getter), OURO_STATE_WAITING);
        cr_assert_eq(puts_item(as_arg(7)), 0);
        cr_assert_eq(ouro_await(getter), 7);
        free_queue();
}

RUN(queues, a_getter_cancelled_before_the_item_is_passed_over)
{
        ouro_task first, second;

        open_queue(1);
        first = started(gets, 0);
        second = started(gets, 0);
        cr_assert_eq(ouro_cancel(first), 0);
        cr_assert_eq(puts_item(as_arg(7)), 0);
        cr_assert_eq(ouro_await(second), 7);
        cr_assert_eq(ouro_await(first), -ECANCELED);
        free_queue();
}

RUN(queues, waiting_producers_are_served_in_order)
{
        open_queue(1);
        for (intptr_t i = 1; i <= 4; i++)
                started(puts_item, i);
        for (intptr_t i = 1; i <= 4; i++)
                cr_assert_eq(gets(NULL), i);
        free_queue();
}

static intptr_t consumes(void *n)
{
        for (intptr_t i = 0; i < (intptr_t)n; i++)
                cr_assert_eq(gets(NULL), i + 1);
        return 0;
}

static intptr_t produces(void *n)
{
        for (intptr_t i = 0; i < (intptr_t)n; i++)
                cr_assert_eq(puts_item(as_arg(i + 1)), 0);
        return 0;
}

RUN(queues, producer_and_consumer_through_one_place_never_stall)
{
        int error = -1;

        open_queue(1);
        OURO_GROUP(g, &error) {
                ouro_create_task_in(g, produces, as_arg(500));
                ouro_create_task_in(g, consumes, as_arg(500));
        }
        cr_assert_eq(error, 0);
        free_queue();
}

RUN_VIRTUAL(queues, who_was_cut_short_is_not_kept)
{
        intptr_t item = 0;

        open_queue(1);
        OURO_TIMEOUT(OURO_MS(100))
                cr_assert_eq(ouro_chan_recv(queue, &item), -ETIME);
        cr_assert_eq(put_now(1), 0);
        OURO_TIMEOUT(OURO_MS(100))
                cr_assert_eq(ouro_chan_send(queue, &item), -ETIME);
        cr_assert_eq(get_now(), 1);
        cr_assert_eq(get_now(), -EAGAIN);
        free_queue();
}

RUN(queues, an_item_given_to_a_getter_before_its_cancellation_is_not_dropped)
{
        ouro_task getter;

        open_queue(4);
        getter = started(gets, 0);
        cr_assert_eq(put_now(1), 0);
        cr_assert_eq(put_now(2), 0);
        cr_assert_eq(ouro_cancel(getter), 0);
        cr_assert_eq(ouro_await(getter), 1);
        cr_assert_eq(gets(NULL), 2);
        free_queue();
}

RUN(queues, of_several_getters_none_misses_an_item_when_one_is_cancelled)
{
        ouro_task tasks[3];
        intptr_t results[3];

        open_queue(4);
        for (int i = 0; i < 3; i++)
                tasks[i] = started(gets, 0);
        cr_assert_eq(put_now(1), 0);
        cr_assert_eq(put_now(2), 0);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(put_now(3), 0);
        cr_assert_eq(ouro_gather(tasks, 3, results), 0);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(results[i], i + 1, "in the order of asking");
        free_queue();
}

RUN(queues, a_put_that_has_succeeded_is_told_in_spite_of_a_cancellation)
{
        ouro_task writer;

        open_queue(1);
        cr_assert_eq(put_now(1), 0);
        writer = started(puts_item, 2);
        cr_assert_eq(get_now(), 1);
        cr_assert_eq(ouro_cancel(writer), 0);
        cr_assert_eq(ouro_await(writer), 0);
        cr_assert_eq(get_now(), 2, "once");
        cr_assert_eq(get_now(), -EAGAIN);
        free_queue();
}

RUN(queues, a_put_that_was_cancelled_has_put_nothing)
{
        ouro_task tasks[3];

        open_queue(1);
        tasks[0] = started(puts_item, 1);
        tasks[1] = started(puts_item, 2);
        tasks[2] = started(puts_item, 9);
        cr_assert_eq(ouro_await(tasks[0]), 0);
        cr_assert_eq(ouro_cancel(tasks[2]), 0);
        cr_assert_eq(ouro_await(tasks[2]), -ECANCELED);
        cr_assert_eq(get_now(), 1);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        cr_assert_eq(get_now(), 2);
        cr_assert_eq(get_now(), -EAGAIN);
        free_queue();
}

static intptr_t gets_all_there_are(void *unused)
{
        (void)unused;
        while (get_now() > 0)
                ;
        return 0;
}

RUN(queues, takers_that_do_not_wait_wake_producers_too)
{
        int error = -1;

        open_queue(2);
        OURO_GROUP(g, &error) {
                for (intptr_t i = 1; i <= 4; i++)
                        ouro_create_task_in(g, puts_item, as_arg(i));
                ouro_create_task_in(g, gets_all_there_are, NULL);
        }
        cr_assert_eq(error, 0);
        cr_assert_eq(get_now(), -EAGAIN);
        free_queue();
}

/* ---- task_done and join ---- */

static struct ouro_wait_group work;
static intptr_t sum;

static int put_work(intptr_t item)
{
        int error = ouro_wait_group_add(&work, 1);

        return error < 0 ? error : put_now(item);
}

static intptr_t works(void *unused)
{
        intptr_t item;

        (void)unused;
        while ((item = gets(NULL)) >= 0) {
                sum += item;
                cr_assert_eq(ouro_wait_group_done(&work), 0);
        }
        return item == -EPIPE ? 0 : item;
}

RUN(queues, join_waits_until_all_work_is_done)
{
        int error = -1;

        open_queue(100);
        for (intptr_t i = 0; i < 100; i++)
                cr_assert_eq(put_work(i), 0);
        OURO_GROUP(g, &error) {
                ouro_create_task_in(g, works, NULL);
                ouro_create_task_in(g, works, NULL);
                cr_assert_eq(ouro_wait_group_wait(&work), 0);
                cr_assert_eq(sum, 4950);
                cr_assert_eq(ouro_chan_close(queue), 0, "ends the workers");
        }
        cr_assert_eq(error, 0);
        free_queue();
}

RUN(queues, join_of_nothing_returns_at_once_and_too_many_done_are_told)
{
        cr_assert_eq(ouro_wait_group_wait(&work), 0);
        cr_assert_eq(ouro_wait_group_wait(&work), 0);
        cr_assert_eq(ouro_wait_group_done(&work), -EOVERFLOW);
}

/* ---- shutdown ---- */

RUN(queues, shutdown_is_close_what_is_in_it_is_drained)
{
        ouro_task producer, getter;

        open_queue(1);
        cr_assert_eq(put_now(1), 0);
        producer = started(puts_item, 2);
        cr_assert_eq(ouro_chan_close(queue), 0);
        cr_assert_eq(ouro_await(producer), -EPIPE);
        cr_assert_eq(put_now(3), -EPIPE);
        cr_assert_eq(gets(NULL), 1);
        cr_assert_eq(gets(NULL), -EPIPE);
        cr_assert_eq(ouro_chan_close(queue), -EPIPE, "twice");
        free_queue();
        open_queue(1);
        getter = started(gets, 0);
        cr_assert_eq(ouro_chan_close(queue), 0);
        cr_assert_eq(ouro_await(getter), -EPIPE);
        free_queue();
}
