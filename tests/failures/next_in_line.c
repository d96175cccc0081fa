/* A job that is cancelled as it ends must not cost the one that its worker begins next. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include <ouro.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(next_in_line, .init = leaks_begin, .fini = leaks_end, .timeout = 100);

enum {
        ROUNDS = 1500,
        SHORT_NS = 20000,
        LONG_NS = 200000, /* it still runs when a signal has found its way */
};

static void compute_for(int64_t ns)
{
        struct timespec begin, now;

        clock_gettime(CLOCK_MONOTONIC, &begin);
        do
                clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < ns);
}

/* Its out lies in the arena: the host sees it at once. */
static intptr_t short_one(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        atomic_store((atomic_int *)out.base, 1);
        compute_for(SHORT_NS);
        return 1;
}

static intptr_t long_one(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        compute_for(LONG_NS);
        return 2;
}

/* The moment of the cancellation wanders over the end of the short one. */
static void one_round(ouro_executor *pool, atomic_int *begun, int64_t pause_ns)
{
        ouro_task first, second;
        intptr_t told;

        atomic_store(begun, 0);
        first = ouro_submit(pool, short_one, OURO_NO_IN, ouro_out(begun, sizeof *begun));
        second = ouro_submit(pool, long_one, OURO_NO_IN, OURO_NO_OUT);
        while (!atomic_load(begun))
                ;
        compute_for(pause_ns);
        EQ(ouro_cancel(first), 0);
        told = ouro_await(first);
        cr_assert(told == 1 || told == -ECANCELED, "the one that was cancelled: %jd", (intmax_t)told);
        EQ(ouro_await(second), 2);
}

IN_LOOP(next_in_line, f68_f72_a_job_is_not_killed_in_place_of_one_that_was_cancelled)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;
        void *begun;

        options.workers = 1;
        options.grace_ns = -1;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        EQ(ouro_arena_alloc(pool, sizeof(atomic_int), &begun), 0);
        for (int i = 0; i < ROUNDS; i++)
                one_round(pool, begun, SHORT_NS / 2 + i * SHORT_NS / ROUNDS);
        EQ(ouro_arena_free(pool, begun), 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}
