/* futures.h - what the two files of demands on pools share: the pools that are tried, and jobs.
 *
 *      DEMAND(shutdown, all_jobs_are_done_when_it_is_closed) { ... return 0; }
 *
 * is tried with threads and with processes: the body runs as a main task, which opens its pool by
 * open_pool(). */
#ifndef OURO_TESTS_NEIGHBOURS_FUTURES_H
#define OURO_TESTS_NEIGHBOURS_FUTURES_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/in_loop.h"
#include "support/leaks.h"

struct wish {
        unsigned workers;
        const char *name;
        ouro_job_fn *initializer;
        struct ouro_in in; /* for that */
};

static bool of_processes; /* else of threads */
static ouro_executor *pool;

static inline ouro_executor *open_threads(struct wish wish)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *executor = NULL;

        options.threads = wish.workers;
        options.name = wish.name;
        options.initializer = wish.initializer;
        options.in = wish.in;
        EQ(ouro_thread_pool_open(&options, &executor), 0);
        return executor;
}

static inline ouro_executor *open_processes(struct wish wish)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *executor = NULL;

        options.workers = wish.workers;
        options.name = wish.name;
        options.initializer = wish.initializer;
        options.in = wish.in;
        EQ(ouro_process_pool_open(&options, &executor), 0);
        return executor;
}

static inline void open_pool(struct wish wish)
{
        pool = of_processes ? open_processes(wish) : open_threads(wish);
}

static inline void close_pool(void)
{
        EQ(ouro_executor_close(pool), 0);
}

#define DEMAND(suite, name)                                                                                  \
        static intptr_t name##_body(void *unused_);                                                          \
        Test(suite, name##_of_threads, .init = leaks_begin, .fini = leaks_end, .timeout = 60)                \
        {                                                                                                    \
                EQ(ouro_run(name##_body, NULL), 0);                                                          \
        }                                                                                                    \
        Test(suite, name##_of_processes, .init = leaks_begin, .fini = leaks_end, .timeout = 60)              \
        {                                                                                                    \
                of_processes = true;                                                                         \
                EQ(ouro_run(name##_body, NULL), 0);                                                          \
        }                                                                                                    \
        static intptr_t name##_body(void *unused_ __attribute__((unused)))

/* What tasks and jobs both see; gone when the pool is closed. */
struct event {
        int began; /* atomic: jobs that have reached it */
        int set;   /* atomic */
};

static inline struct event *new_event(void)
{
        void *span = NULL;

        if (of_processes) {
                EQ(ouro_arena_alloc(pool, sizeof(struct event), &span), 0);
                return memset(span, 0, sizeof(struct event));
        }
        return calloc(1, sizeof(struct event));
}

static inline void free_event(struct event *event)
{
        if (of_processes)
                EQ(ouro_arena_free(pool, event), 0);
        else
                free(event);
}

static inline void set_event(struct event *event)
{
        __atomic_store_n(&event->set, 1, __ATOMIC_SEQ_CST);
}

static inline void await_begun(const struct event *event, int n)
{
        while (__atomic_load_n(&event->began, __ATOMIC_SEQ_CST) < n)
                EQ(ouro_sleep(OURO_US(50)), 0);
}

/* Waits for the event, or to be asked to end. */
static inline intptr_t waits(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct event *event = out.base;

        (void)in;
        __atomic_add_fetch(&event->began, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&event->set, __ATOMIC_SEQ_CST))
                if (ouro_job_sleep(job, OURO_US(50)) < 0)
                        return -ECANCELED;
        return 1;
}

static inline ouro_task submit_wait(struct event *event)
{
        return ouro_submit(pool, waits, OURO_NO_IN, ouro_out(event, sizeof *event));
}

static inline intptr_t multiplies(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *factors = in.base;

        (void)job, (void)out;
        return (intptr_t)factors[0] * factors[1];
}

/* The factors are copied before this returns, or live as long as the program. */
static inline ouro_task submit_product(int a, int b)
{
        static int factors[64][2];
        static unsigned next;
        int *mine = factors[next++ % 64];

        mine[0] = a;
        mine[1] = b;
        return ouro_submit(pool, multiplies, ouro_in(mine, 2 * sizeof *mine), OURO_NO_OUT);
}

static inline intptr_t divides_by_zero(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return -EDOM;
}

static inline ouro_task submit_failure(void)
{
        return ouro_submit(pool, divides_by_zero, OURO_NO_IN, OURO_NO_OUT);
}

#endif
