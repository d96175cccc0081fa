/* Of lib/sync/shared_select.c: selects of two loops against each other; each item arrives once. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support/leaks.h"

TestSuite(select_shared, .init = leaks_begin, .fini = leaks_end);

static ouro_chan *a, *b, *local;

static void channels(size_t capacity)
{
        a = ouro_chan_new_shared(sizeof(int64_t), capacity);
        b = ouro_chan_new_shared(sizeof(int64_t), capacity);
        local = ouro_chan_new(sizeof(int64_t), 0);
}

static void free_all(void)
{
        cr_assert_eq(ouro_chan_free(a), 0, "somebody is left in its queues");
        cr_assert_eq(ouro_chan_free(b), 0, "somebody is left in its queues");
        cr_assert_eq(ouro_chan_free(local), 0, "somebody is left in its queues");
}

static void put(ouro_chan *chan, int64_t item)
{
        cr_assert_eq(ouro_chan_try_send(chan, &item), 0);
}

/* ---- one loop: what is ready, and what wakes ---- */

static intptr_t receives_any(void *unused)
{
        int64_t item = -1;
        struct ouro_case cases[] = {OURO_CASE_RECV(local, &item), OURO_CASE_RECV(a, &item),
                                    OURO_CASE_RECV(b, &item)};
        ssize_t i = ouro_select(cases, 3);

        (void)unused;
        if (i < 0)
                return i;
        return cases[i].result < 0 ? cases[i].result : i * 100 + (intptr_t)item;
}

static intptr_t sends_any(void *item)
{
        int64_t value = (intptr_t)item;
        struct ouro_case cases[] = {OURO_CASE_SEND(local, &value), OURO_CASE_SEND(a, &value),
                                    OURO_CASE_SEND(b, &value)};
        ssize_t i = ouro_select(cases, 3);

        return i < 0 ? i : cases[i].result < 0 ? cases[i].result : i;
}

static ouro_task waiting(ouro_fn *fn, void *arg)
{
        ouro_task task = ouro_create_task_named(fn, arg, "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(select_shared, takes_what_is_there)
{
        channels(2);
        put(b, 7);
        cr_assert_eq(receives_any(NULL), 207);
        cr_assert_eq(ouro_chan_len(b), 0u);
        free_all();
}

RUN(select_shared, is_woken_by_each_and_leaves_the_others)
{
        static const size_t capacities[] = {0, 3};

        for (int i = 0; i < 2; i++) {
                channels(capacities[i]);
                ouro_task task = waiting(receives_any, NULL);

                put(a, 5);
                cr_assert_eq(ouro_chan_try_send(local, &(int64_t){6}), -EAGAIN);
                cr_assert_eq(ouro_await(task), 105);
                task = waiting(receives_any, NULL);
                put(local, 6);
                cr_assert_eq(ouro_await(task), 6);
                task = waiting(receives_any, NULL);
                put(b, 7);
                cr_assert_eq(ouro_await(task), 207);
                free_all();
        }
}

RUN(select_shared, sender_is_woken_and_sends_once)
{
        int64_t item = -1;
        ouro_task task;

        channels(0);
        task = waiting(sends_any, as_arg(9));
        cr_assert_eq(ouro_chan_try_recv(b, &item), 0);
        cr_assert_eq(item, 9);
        cr_assert_eq(ouro_chan_try_recv(a, &item), -EAGAIN);
        cr_assert_eq(ouro_await(task), 2);
        free_all();
}

RUN(select_shared, meets_another_select)
{
        ouro_task one;

        channels(0);
        one = waiting(sends_any, as_arg(9));
        cr_assert_eq(receives_any(NULL) % 100, 9);
        cr_assert_geq(ouro_await(one), 0);
        one = waiting(receives_any, NULL);
        cr_assert_geq(sends_any(as_arg(8)), 0);
        cr_assert_eq(ouro_await(one) % 100, 8);
        free_all();
}

static intptr_t does_both(void *unused)
{
        int64_t in = -1, out = 1;
        struct ouro_case cases[] = {OURO_CASE_SEND(a, &out), OURO_CASE_RECV(a, &in)};

        (void)unused;
        return ouro_select(cases, 2);
}

RUN(select_shared, does_not_meet_itself)
{
        ouro_task one, other;

        channels(0);
        one = waiting(does_both, NULL);
        other = ouro_create_task(does_both, NULL);
        cr_assert_eq(ouro_await(one) + ouro_await(other), 1);
        free_all();
}

RUN(select_shared, close_and_cancel_end_it)
{
        ouro_task task;

        channels(0);
        task = waiting(receives_any, NULL);
        cr_assert_eq(ouro_chan_free(a), -EBUSY);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        task = waiting(receives_any, NULL);
        put(b, 3);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 203, "handed over before the cancel");
        task = waiting(receives_any, NULL);
        cr_assert_eq(ouro_chan_close(b), 0);
        cr_assert_eq(ouro_await(task), -EPIPE);
        cr_assert_eq(receives_any(NULL), -EPIPE);
        free_all();
}

/* ---- two loops: each item arrives once ---- */

enum { ITEMS = 20000, SELECTORS = 3 };

static atomic_uint arrived[2 * ITEMS];
static atomic_uint cuts;

static intptr_t receives_all(void *unused)
{
        (void)unused;
        for (;;) {
                int64_t item = -1;
                struct ouro_case cases[] = {OURO_CASE_RECV(a, &item), OURO_CASE_RECV(b, &item),
                                            OURO_CASE_AFTER(OURO_US(200))};
                ssize_t i = ouro_select(cases, 3);

                if (i < 0)
                        return i;
                if (i == 2)
                        continue;
                if (cases[i].result == -EPIPE)
                        break;
                cr_assert_eq(cases[i].result, 0);
                atomic_fetch_add(&arrived[item], 1);
        }
        for (int64_t item;;) { /* one is closed: the rest of both */
                if (ouro_chan_recv(a, &item) < 0 && ouro_chan_recv(b, &item) < 0)
                        return 0;
                atomic_fetch_add(&arrived[item], 1);
        }
}

static intptr_t sends_all(void *base)
{
        for (int64_t i = 0; i < ITEMS;) {
                int64_t item = (intptr_t)base + i;
                struct ouro_case cases[] = {OURO_CASE_SEND(a, &item), OURO_CASE_SEND(b, &item)};
                ssize_t done = 0;

                OURO_TIMEOUT(i % 7 ? OURO_FOREVER : OURO_US(1 + i % 50))
                        done = ouro_select(cases, 2);
                if (done == -ETIME) {
                        atomic_fetch_add(&cuts, 1);
                        continue;
                }
                if (done < 0 || cases[done].result < 0)
                        return -1;
                i++;
        }
        return 0;
}

static intptr_t many_receive(void *unused)
{
        ouro_task tasks[SELECTORS];

        for (int i = 0; i < SELECTORS; i++)
                tasks[i] = ouro_create_task(receives_all, unused);
        return ouro_gather(tasks, SELECTORS, NULL);
}

static intptr_t two_send(void *unused)
{
        ouro_task tasks[2];
        int error;

        (void)unused;
        tasks[0] = ouro_create_task(sends_all, as_arg(0));
        tasks[1] = ouro_create_task(sends_all, as_arg(ITEMS));
        error = ouro_gather(tasks, 2, NULL);
        ouro_chan_close(a);
        ouro_chan_close(b);
        return error;
}

static void *other_loop(void *unused)
{
        return (void *)ouro_run(many_receive, unused);
}

static void all_arrive(size_t capacity)
{
        pthread_t thread;
        void *result;

        channels(capacity);
        for (size_t i = 0; i < 2 * ITEMS; i++)
                arrived[i] = 0;
        cr_assert_eq(pthread_create(&thread, NULL, other_loop, NULL), 0);
        cr_assert_eq(ouro_run(two_send, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_eq((intptr_t)result, 0);
        for (size_t i = 0; i < 2 * ITEMS; i++)
                cr_assert_eq(arrived[i], 1u, "item %zu arrived %u times", i, arrived[i]);
        free_all();
}

Test(select_shared, two_loops_that_select_lose_and_double_nothing)
{
        all_arrive(4);
}

Test(select_shared, two_loops_that_select_meet_in_rendezvous)
{
        all_arrive(0);
}

/* Both loops send and receive in the same select, at both channels: each may match the other. */
static atomic_int_fast64_t sum_sent, sum_got;
static atomic_int active;

static intptr_t trades(void *base)
{
        for (int64_t i = 1; i <= ITEMS; i++) {
                int64_t out = (intptr_t)base + i, in = 0;
                struct ouro_case cases[] = {OURO_CASE_SEND(a, &out), OURO_CASE_RECV(b, &in),
                                            OURO_CASE_RECV(a, &in), OURO_CASE_SEND(b, &out)};
                ssize_t done = ouro_select(cases, 4);

                if (done < 0)
                        return done;
                if (cases[done].result == -EPIPE)
                        break;
                if (done == 0 || done == 3)
                        atomic_fetch_add(&sum_sent, out);
                else
                        atomic_fetch_add(&sum_got, in);
        }
        if (atomic_fetch_sub(&active, 1) <= 2) { /* whoever is left has nobody to trade with */
                ouro_chan_close(a);
                ouro_chan_close(b);
        }
        return 0;
}

static intptr_t two_trade(void *base)
{
        ouro_task tasks[2];

        tasks[0] = ouro_create_task(trades, base);
        tasks[1] = ouro_create_task(trades, base);
        return ouro_gather(tasks, 2, NULL);
}

static void *trading_loop(void *unused)
{
        (void)unused;
        return (void *)ouro_run(two_trade, as_arg(1000000));
}

Test(select_shared, selects_of_two_loops_that_both_send_and_receive_meet_in_pairs)
{
        pthread_t thread;
        void *result;

        channels(0);
        active = 4;
        cr_assert_eq(pthread_create(&thread, NULL, trading_loop, NULL), 0);
        cr_assert_eq(ouro_run(two_trade, as_arg(0)), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_eq((intptr_t)result, 0);
        cr_assert_gt(sum_sent, 0);
        cr_assert_eq(sum_sent, sum_got);
        free_all();
}
