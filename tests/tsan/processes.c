/* processes.c - process pools whose host and workers run under ThreadSanitizer: jobs, an arena, a death. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { JOBS = 200, NUMBERS = 1000 };

static ouro_executor *pool;

static void open_pool(enum ouro_start start)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = 2;
        options.start = start;
        expect(ouro_process_pool_open(&options, &pool) == 0);
}

static intptr_t add_up(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = in.base;
        long sum = 0;

        (void)job;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                sum += numbers[i];
        memcpy(out.base, &sum, sizeof sum);
        return 0;
}

static intptr_t submits_many(void *unused)
{
        static int numbers[NUMBERS];
        static ouro_task tasks[JOBS];
        static long sums[JOBS];

        (void)unused;
        for (int i = 0; i < NUMBERS; i++)
                numbers[i] = i;
        for (int i = 0; i < JOBS; i++)
                tasks[i] = ouro_submit(pool, add_up, OURO_IN(numbers), OURO_OUT(sums[i]));
        for (int i = 0; i < JOBS; i++)
                expect(ouro_await(tasks[i]) == 0 && sums[i] == NUMBERS * (NUMBERS - 1) / 2);
        return 0;
}

CASE(jobs_of_a_program_executed_afresh)
{
        open_pool(OURO_START_EXEC);
        expect(ouro_run(submits_many, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}

CASE(jobs_of_a_fork)
{
        open_pool(OURO_START_FORK);
        expect(ouro_run(submits_many, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}

static intptr_t counts_up(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        for (size_t i = 0; i < out.len / sizeof(int); i++)
                ((int *)out.base)[i] = (int)i;
        return 0;
}

static intptr_t uses_the_arena(void *unused)
{
        void *span;

        (void)unused;
        expect(ouro_arena_alloc(pool, NUMBERS * sizeof(int), &span) == 0);
        expect(ouro_await(ouro_submit(pool, counts_up, OURO_NO_IN, ouro_out(span, NUMBERS * sizeof(int)))) ==
               0);
        for (int i = 0; i < NUMBERS; i++)
                expect(((int *)span)[i] == i);
        expect(ouro_arena_free(pool, span) == 0);
        return 0;
}

CASE(the_arena_is_the_same_on_both_sides)
{
        open_pool(OURO_START_EXEC);
        expect(ouro_run(uses_the_arena, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}

static intptr_t dies(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        raise(SIGKILL);
        return 0;
}

static intptr_t loses_workers(void *unused)
{
        (void)unused;
        for (int i = 0; i < 3; i++) {
                expect(ouro_await(ouro_submit(pool, dies, OURO_NO_IN, OURO_NO_OUT)) == -EOWNERDEAD);
                submits_many(NULL);
        }
        return 0;
}

CASE(workers_that_die_are_replaced)
{
        open_pool(OURO_START_EXEC);
        expect(ouro_run(loses_workers, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}
