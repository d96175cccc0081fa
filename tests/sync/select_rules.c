/* Of lib/sync/select.c: each case gets its turn, a select that is cut short leaves no trace, and one that
 * makes no sense does nothing. */
#include "support/run.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "support/leaks.h"

TestSuite(select_rules, .init = leaks_begin, .fini = leaks_end);

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

static ouro_task waiting(ouro_fn *fn, void *arg)
{
        ouro_task task = ouro_create_task_named(fn, arg, "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

/* ---- turns ---- */

RUN(select_rules, each_ready_case_gets_its_turn)
{
        unsigned done[5] = {0};
        struct ouro_case cases[5];
        char item;

        two_channels(OURO_CHAN_UNBOUNDED);
        for (int i = 0; i < 100; i++) {
                put(a, 'x');
                put(b, 'y');
        }
        cr_assert_eq(ouro_event_set(&event), 0);
        cases[0] = OURO_CASE_NEVER();
        cases[1] = OURO_CASE_RECV(a, &item);
        cases[2] = OURO_CASE_AFTER(OURO_SEC(1000));
        cases[3] = OURO_CASE_RECV(b, &item);
        cases[4] = OURO_CASE_EVENT(&event);
        for (int i = 0; i < 90; i++) {
                ssize_t k = ouro_select(cases, 5);

                cr_assert_geq(k, 0);
                done[k]++;
                cr_assert_leq(done[1], done[3] + 1);
                cr_assert_leq(done[3], done[4] + 1);
                cr_assert_leq(done[4], done[1] + 1);
        }
        cr_assert(done[1] == 30 && done[3] == 30 && done[4] == 30);
        free_both();
}

/* Two calls, one after the other, do not spoil each other's turns. */
RUN(select_rules, calls_in_turn_have_turns_of_their_own)
{
        unsigned first[2] = {0}, second[2] = {0};
        struct ouro_event other = {.is_set = true};
        struct ouro_case cases[] = {OURO_CASE_EVENT(&other), OURO_CASE_EVENT(&other)};
        struct ouro_case more[] = {OURO_CASE_EVENT(&other), OURO_CASE_EVENT(&other)};

        for (int i = 0; i < 50; i++) {
                first[ouro_select(cases, 2)]++;
                second[ouro_try_select(more, 2)]++;
        }
        cr_assert(first[0] == 25 && second[0] == 25);
}

static intptr_t selects_from_one(void *unused)
{
        unsigned done[2] = {0};
        struct ouro_event set = {.is_set = true};

        (void)unused;
        for (int i = 0; i < 400; i++) {
                struct ouro_case cases[] = {OURO_CASE_EVENT(&set), OURO_CASE_EVENT(&set)};

                done[ouro_select(cases, 2)]++;
                cr_assert_eq(ouro_yield(), 0);
        }
        return done[0] > 50 && done[1] > 50;
}

RUN(select_rules, very_many_that_take_turns_starve_no_case)
{
        enum { MANY = 300 };
        ouro_task tasks[MANY];

        for (int i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(selects_from_one, NULL);
        for (int i = 0; i < MANY; i++)
                cr_assert_eq(ouro_await(tasks[i]), 1, "a case was hardly ever done");
}

static intptr_t counts(void *counter)
{
        for (;; ++*(int *)counter) {
                int error = ouro_yield();

                if (error < 0)
                        return error;
        }
}

RUN(select_rules, f39_that_never_waits_lets_others_run)
{
        struct ouro_event set = {.is_set = true};
        struct ouro_case cases[] = {OURO_CASE_EVENT(&set)};
        int counter = 0;
        ouro_task task = ouro_create_task(counts, &counter);

        for (int i = 0; i < 100000; i++)
                cr_assert_eq(ouro_select(cases, 1), 0);
        cr_assert_gt(counter, 10);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

/* ---- cut short ---- */

RUN(select_rules, cancelled_before_does_nothing)
{
        ouro_task task;

        two_channels(1);
        put(a, 'x');
        task = ouro_create_task(receives_either, NULL);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_chan_len(a), 1u);
        free_both();
}

RUN(select_rules, cancelled_while_waiting_leaves_all_queues)
{
        ouro_task task;

        two_channels(0);
        task = waiting(receives_either, NULL);
        cr_assert_eq(ouro_chan_free(a), -EBUSY);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_chan_try_send(a, "x"), -EAGAIN);
        cr_assert_eq(ouro_chan_try_send(b, "x"), -EAGAIN);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        free_both();
}

RUN(select_rules, f08_item_handed_over_before_a_cancel_is_not_lost)
{
        ouro_task task;

        two_channels(0);
        task = waiting(receives_either, NULL);
        put(b, 'x');
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 1);
        cr_assert_str_eq(noted(), "1x");
        free_both();
}

RUN_VIRTUAL(select_rules, ends_with_the_deadline_of_its_scope)
{
        ssize_t result = 0;

        two_channels(0);
        OURO_TIMEOUT(OURO_MS(3))
                result = receives_either(NULL);
        cr_assert_eq(result, -ETIME);
        free_both();
}

/* ---- mistakes ---- */

RUN(select_rules, of_nothing_is_refused)
{
        struct ouro_case cases[] = {OURO_CASE_NEVER(), OURO_CASE_NEVER()};

        cr_assert_eq(ouro_select(cases, 0), -EINVAL);
        cr_assert_eq(ouro_select(NULL, 0), -EINVAL);
        cr_assert_eq(ouro_select(NULL, 1), -EINVAL);
        cr_assert_eq(ouro_try_select(NULL, 1), -EINVAL);
        cr_assert_eq(ouro_select(cases, 2), -EINVAL);
}

/* The mistake stands behind a case that is ready: nothing is done all the same. */
static void is_refused(struct ouro_case wrong, int error)
{
        char item = '-';

        a = ouro_chan_new(1, 1);
        put(a, 'x');

        struct ouro_case cases[] = {OURO_CASE_RECV(a, &item), wrong};

        cr_assert_eq(ouro_select(cases, 2), error);
        cr_assert_eq(ouro_try_select(cases, 2), error);
        cr_assert_eq(item, '-');
        cr_assert_eq(ouro_chan_len(a), 1u);
        cr_assert_eq(ouro_chan_free(a), 0);
}

RUN(select_rules, that_makes_no_sense_is_refused)
{
        ouro_task task = ouro_create_task(gives, NULL);
        ouro_chan *chan = ouro_chan_new(1, 1);
        struct ouro_case unknown = OURO_CASE_NEVER();
        char item;

        cr_assert_eq(ouro_await(task), 0);
        unknown.kind = 99;
        is_refused(unknown, -EINVAL);
        is_refused(OURO_CASE_RECV(NULL, &item), -EINVAL);
        is_refused(OURO_CASE_SEND(NULL, &item), -EINVAL);
        is_refused(OURO_CASE_RECV(chan, NULL), -EINVAL);
        is_refused(OURO_CASE_SEND(chan, NULL), -EINVAL);
        is_refused(OURO_CASE_TASK(task), -ESRCH);
        is_refused(OURO_CASE_TASK(OURO_NO_TASK), -ESRCH);
        is_refused(OURO_CASE_TASK(ouro_self()), -EDEADLK);
        is_refused(OURO_CASE_EVENT(NULL), -EINVAL);
        is_refused(OURO_CASE_READY(-1, POLLIN), -EBADF);
        is_refused(OURO_CASE_READY(0, 0), -EINVAL);
        is_refused(OURO_CASE_READY(0, 1u << 30), -EINVAL);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

Test(select_rules, outside_a_loop_is_refused)
{
        struct ouro_case cases[] = {OURO_CASE_AFTER(0)};

        cr_assert_eq(ouro_select(cases, 1), -EPERM);
        cr_assert_eq(ouro_try_select(cases, 1), -EPERM);
}

static intptr_t tries_all(void *unused)
{
        char item = 'f';

        (void)unused;
        is_refused(OURO_CASE_SEND(b, &item), -EPERM);
        is_refused(OURO_CASE_RECV(b, &item), -EPERM);
        is_refused(OURO_CASE_EVENT(&event), -EPERM);
        cr_assert_eq(ouro_event_set(&event), -EPERM);
        cr_assert_eq(ouro_chan_try_send(b, &item), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

static intptr_t waits_for_both(void *unused)
{
        char item;
        struct ouro_case cases[] = {OURO_CASE_RECV(b, &item), OURO_CASE_EVENT(&event)};

        (void)unused;
        return ouro_select(cases, 2);
}

RUN(select_rules, f38_another_loop_keeps_out_of_what_a_select_waits_for)
{
        ouro_task task;
        pthread_t thread;
        void *result;

        b = ouro_chan_new(1, 0);
        task = waiting(waits_for_both, NULL);
        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_chan_free(b), 0);
}
