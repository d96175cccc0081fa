/* processes.c - process pools whose host and workers run under ThreadSanitizer: jobs, and deaths. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { JOBS = 200, NUMBERS = 1000 };

static ouro_executor *pool;

static int open_pool(enum ouro_start start)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = 2;
        options.start = start;
        return ouro_process_pool_open(&options, &pool);
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
        expect(open_pool(OURO_START_EXEC) == 0);
        expect(ouro_run(submits_many, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}

CASE(jobs_of_a_fork)
{
        int error = open_pool(OURO_START_FORK);

        if (error == -EBUSY) /* the sanitizer has a thread of its own */
                return;
        expect(error == 0);
        expect(ouro_run(submits_many, NULL) == 0);
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
        expect(open_pool(OURO_START_EXEC) == 0);
        expect(ouro_run(loses_workers, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}
