/* shared_tests.h - what tests of shared channels begin with: the channel, its users, and threads that are
 * some. */
#ifndef OURO_TESTS_SUPPORT_SHARED_TESTS_H
#define OURO_TESTS_SUPPORT_SHARED_TESTS_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "support/leaks.h"
#include "support/run.h"

static ouro_chan *chan; /* of the test that runs */

static inline struct ouro_channel_stats stats(void)
{
        struct ouro_channel_stats stats = {.size = sizeof stats};

        cr_assert_eq(ouro_chan_stats(chan, &stats), 0);
        return stats;
}

static inline intptr_t sends(void *letter)
{
        char item = (char)(intptr_t)letter;

        return ouro_chan_send(chan, &item);
}

/* The letter it got, or an error. */
static inline intptr_t receives(void *unused)
{
        char item = '-';
        int error = ouro_chan_recv(chan, &item);

        (void)unused;
        return error < 0 ? error : item;
}

static inline void put(const char *letters)
{
        for (; *letters; letters++)
                cr_assert_eq(ouro_chan_try_send(chan, letters), 0);
}

static inline const char *drained(void)
{
        char item;

        while (ouro_chan_try_recv(chan, &item) == 0)
                note(item);
        return noted();
}

static inline size_t waiting(void)
{
        return stats().senders_waiting + stats().receivers_waiting;
}

/* A task that waits on the channel behind those who do already. */
static inline ouro_task waits(ouro_fn *fn, char letter)
{
        size_t before = waiting();
        ouro_task task = ouro_create_task_named(fn, as_arg(letter), "waits");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(waiting(), before + 1);
        return task;
}

/* ---- threads ---- */

struct other {
        pthread_t thread;
        ouro_fn *fn;
        void *arg;
        bool in_loop;
};

static inline void *run_other(void *arg)
{
        struct other *other = arg;

        return (void *)(other->in_loop ? ouro_run(other->fn, other->arg) : other->fn(other->arg));
}

static inline void start(struct other *other, bool in_loop, ouro_fn *fn, char letter)
{
        *other = (struct other){.fn = fn, .arg = as_arg(letter), .in_loop = in_loop};
        cr_assert_eq(pthread_create(&other->thread, NULL, run_other, other), 0);
}

/* The same, and it waits on the channel when this returns. */
static inline void start_waiting(struct other *other, bool in_loop, ouro_fn *fn, char letter)
{
        size_t before = waiting();

        start(other, in_loop, fn, letter);
        while (waiting() == before)
                sched_yield();
}

static inline intptr_t finish(struct other *other)
{
        void *result;

        cr_assert_eq(pthread_join(other->thread, &result), 0);
        return (intptr_t)result;
}

#endif
