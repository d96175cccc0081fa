/* Of the loop's budget and of the two priorities: whoever never has to wait keeps nobody else from running,
 * and the loop from nothing that it has to look at. What runs until something else has come ends only if that
 * comes; a bound is counted in turns and calls. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(fairness, .init = leaks_begin, .fini = leaks_end);

/* As documented in ouro.h. */
enum { CALLS = 512 };

/* ---- what has come ---- */

static struct {
        bool turn, timer, completion, message;
} came;

static bool all_came(void)
{
        return came.turn && came.timer && came.completion && came.message;
}

static intptr_t has_a_turn(void *unused)
{
        (void)unused;
        came.turn = true;
        return 0;
}

static intptr_t has_a_timer(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        came.timer = true;
        return 0;
}

static int pipe_fds[2];

static intptr_t reads(void *unused)
{
        char byte;

        (void)unused;
        cr_assert_eq(ouro_read(pipe_fds[0], &byte, 1), 1);
        came.completion = true;
        return 0;
}

static intptr_t writes(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_write(pipe_fds[1], "x", 1), 1);
        return 0;
}

static intptr_t is_posted(void *unused)
{
        (void)unused;
        came.message = true;
        return 0;
}

static void *posts(void *loop)
{
        cr_assert_eq(ouro_post(loop, is_posted, NULL), 0);
        return NULL;
}

/* Only what is posted ends it. */
static intptr_t has_a_poster(void *unused)
{
        pthread_t poster;

        (void)unused;
        cr_assert_eq(pthread_create(&poster, NULL, posts, ouro_this_loop()), 0);
        while (!came.message)
                cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        cr_assert_eq(pthread_join(poster, NULL), 0);
        return 0;
}

/* ---- those that never wait ---- */

static ouro_chan *chan;
static struct ouro_mutex mutex;
static struct ouro_semaphore semaphore;
static struct ouro_event event;
static ouro_task ended;

static void sends_and_receives(void)
{
        int item = 1;

        cr_assert_eq(ouro_chan_send(chan, &item), 0);
        cr_assert_eq(ouro_chan_recv(chan, &item), 0);
}

static void locks(void)
{
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
}

static void acquires(void)
{
        cr_assert_eq(ouro_semaphore_acquire(&semaphore), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
}

static void waits_for_event(void)
{
        cr_assert_eq(ouro_event_wait(&event), 0);
}

static void waits_for_ended(void)
{
        cr_assert_eq(ouro_wait(ended), 0);
}

static void gathers_nothing(void)
{
        cr_assert_eq(ouro_gather(NULL, 0, NULL), 0);
}

static void closes_groups(void)
{
        struct ouro_group group;

        cr_assert_eq(ouro_group_close(ouro_group_open(&group, 0, NULL)), 0);
}

static void yields(void)
{
        cr_assert_eq(ouro_yield(), 0);
}

static void sleeps_no_time(void)
{
        cr_assert_eq(ouro_sleep(0), 0);
}

static void (*const busy[])(void) = {sends_and_receives, locks,           acquires,
                                     waits_for_event,    waits_for_ended, gathers_nothing,
                                     closes_groups,      yields,          sleeps_no_time};

enum { KINDS = sizeof busy / sizeof busy[0] };

static void begin(void)
{
        chan = ouro_chan_new(sizeof(int), 4);
        semaphore.count = 4;
        cr_assert_eq(ouro_event_set(&event), 0);
        ended = ouro_create_task(gives, as_arg(0));
        cr_assert_eq(ouro_wait(ended), 0);
        cr_assert_eq(pipe(pipe_fds), 0);
}

static void end(void)
{
        cr_assert_eq(ouro_await(ended), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

static intptr_t is_busy_until_all_came(void *kind)
{
        while (!all_came())
                busy[(intptr_t)kind]();
        return 0;
}

static void create_what_comes(void)
{
        came.turn = came.timer = came.completion = came.message = false;
        ouro_go(has_a_turn, NULL);
        ouro_go(has_a_timer, NULL);
        ouro_go(reads, NULL);
        ouro_go(writes, NULL);
        ouro_go(has_a_poster, NULL);
}

RUN(fairness, f39_each_that_never_waits_lets_all_else_come)
{
        begin();
        for (intptr_t kind = 0; kind < KINDS; kind++)
                OURO_GROUP(group) {
                        create_what_comes();
                        is_busy_until_all_came(as_arg(kind));
                }
        end();
}

RUN(fairness, f39_two_of_any_kinds_that_never_wait_let_all_else_come)
{
        begin();
        for (intptr_t a = 0; a < KINDS; a++)
                for (intptr_t b = a; b < KINDS; b++)
                        OURO_GROUP(group) {
                                ouro_go(is_busy_until_all_came, as_arg(a));
                                ouro_go(is_busy_until_all_came, as_arg(b));
                                create_what_comes();
                        }
        end();
}

RUN(fairness, f39_all_that_never_wait_at_once_let_all_else_come)
{
        begin();
        OURO_GROUP(group) {
                for (intptr_t kind = 0; kind < KINDS; kind++)
                        ouro_go(is_busy_until_all_came, as_arg(kind));
                create_what_comes();
        }
        end();
}

/* ---- how soon ---- */

static bool stop;
static size_t turns, calls;

static intptr_t counts_turns(void *unused)
{
        (void)unused;
        while (!stop) {
                turns++;
                calls = 0;
                cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

RUN(fairness, f39_a_ready_task_has_its_turn_within_the_bound)
{
        begin();
        for (size_t kind = 0; kind < KINDS; kind++) {
                stop = false;
                turns = 0;
                OURO_GROUP(group) {
                        ouro_go(counts_turns, NULL);
                        for (int i = 0; i < 10 * CALLS; i++) {
                                cr_assert_leq(++calls, CALLS);
                                busy[kind]();
                        }
                        stop = true;
                }
                cr_assert_geq(turns, 9);
        }
        end();
}

RUN(fairness, f39_awaiting_many_that_have_ended_lets_others_run)
{
        enum { MANY = 4 * CALLS };
        static ouro_task tasks[MANY];

        stop = false;
        turns = 0;
        for (size_t i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(gives, as_arg((intptr_t)i));
        cr_assert_eq(ouro_wait(tasks[MANY - 1]), 0);
        OURO_GROUP(group) {
                ouro_go(counts_turns, NULL);
                for (size_t i = 0; i < MANY; i++)
                        cr_assert_eq(ouro_await(tasks[i]), (intptr_t)i);
                stop = true;
        }
        cr_assert_geq(turns, 3);
}

RUN(fairness, f39_taking_many_completions_lets_others_run)
{
        enum { MANY = 4 * CALLS };
        static ouro_task tasks[MANY];
        ouro_completions *completions;

        stop = false;
        turns = 0;
        for (size_t i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(gives, as_arg(0));
        cr_assert_eq(ouro_wait(tasks[MANY - 1]), 0);
        cr_assert_eq(ouro_as_completed(tasks, MANY, &completions), 0);
        OURO_GROUP(group) {
                ouro_go(counts_turns, NULL);
                for (size_t i = 0; i < MANY; i++)
                        cr_assert_eq(ouro_completions_next(completions), (ssize_t)i);
                stop = true;
        }
        ouro_completions_free(completions);
        cr_assert_geq(turns, 3);
}

static intptr_t takes_until_closed(void *unused)
{
        int item, n = 0;

        (void)unused;
        while (ouro_chan_recv(chan, &item) == 0)
                cr_assert_eq(item, n++);
        return n;
}

RUN(fairness, what_was_received_when_the_budget_ended_is_not_lost)
{
        enum { ITEMS = 10 * CALLS };
        ouro_task taker;

        chan = ouro_chan_new(sizeof(int), 64);
        taker = ouro_create_task(takes_until_closed, NULL);
        for (int i = 0; i < ITEMS; i++)
                cr_assert_eq(ouro_chan_send(chan, &i), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_await(taker), ITEMS);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t locks_until_cut(void *unused)
{
        (void)unused;
        for (;;) {
                int error = ouro_mutex_lock(&mutex);

                if (error < 0)
                        return error;
                cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        }
}

/* Whatever the call during which the cancellation comes: it holds the mutex if it was told so. */
RUN(fairness, a_cancellation_when_the_budget_ended_is_told_by_the_next_call)
{
        ouro_task task = ouro_create_task(locks_until_cut, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_null(mutex.owner);
}
/* ---- against those of low priority ---- */

static ouro_task create_low(ouro_fn *fn, intptr_t arg)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        options.priority = OURO_PRIORITY_LOW;
        return ouro_create_task_with(&options, fn, as_arg(arg));
}

static intptr_t counts_own_turns(void *unused)
{
        (void)unused;
        while (!stop) {
                turns++;
                cr_assert_eq(ouro_yield(), 0);
        }
        return 0;
}

RUN(fairness, f39_low_is_not_starved_by_those_that_never_wait)
{
        begin();
        for (size_t kind = 0; kind < KINDS; kind++) {
                stop = false;
                turns = 0;
                OURO_GROUP(group) {
                        create_low(counts_own_turns, 0);
                        while (turns < 10)
                                busy[kind]();
                        stop = true;
                }
        }
        end();
}

static intptr_t low_is_busy(void *kind)
{
        while (!stop) {
                calls++;
                busy[(intptr_t)kind]();
        }
        return 0;
}

/* Nor does one of low priority that never waits take more than its share from one that never waits either. */
static void compete(intptr_t normal, intptr_t low)
{
        stop = false;
        calls = 0;
        OURO_GROUP(group) {
                create_low(low_is_busy, low);
                for (int i = 0; i < 20 * CALLS; i++)
                        busy[normal]();
                stop = true;
        }
        cr_assert_gt(calls, 0);
        cr_assert_leq(calls, 20 * CALLS / 4, "%ld and %ld: %zu", (long)normal, (long)low, calls);
}

RUN(fairness, f39_low_that_never_waits_has_few_calls_in_each_pass)
{
        begin();
        for (intptr_t kind = 0; kind < KINDS; kind++) {
                if (busy[kind] != locks) /* who waits for a lock has the share of whoever holds it */
                        compete(kind, kind);
                compete(kind, (kind + 1) % KINDS);
                compete(kind, (kind + 2) % KINDS);
        }
        end();
}

static intptr_t low_waits_for_all(void *unused)
{
        begin();
        OURO_GROUP(group) {
                create_what_comes();
                create_low(is_busy_until_all_came, 0);
                while (!all_came())
                        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        }
        end();
        (void)unused;
        return 0;
}

RUN(fairness, low_waits_and_wakes_as_any)
{
        cr_assert_eq(ouro_await(create_low(low_waits_for_all, 0)), 0);
}
