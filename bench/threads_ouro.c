/* threads_ouro.c - empty jobs through ouro's thread pool: one there and back, and a million in bulk.
 *
 * threads_ouro [--count JOBS] [RUN]: all runs, or the named one. There and back is told twice: while worker
 * and loop still spin, and with both made to sleep. */
#include "executor.h"

#include <ouro.h>
#include <string.h>
#include <unistd.h>

struct run {
        const char *name;
        long jobs;
        int window;
        int64_t spin_ns; /* of workers and loop: zero for the defaults, less for never */
};

static const char *only; /* the run that is wanted; NULL: all */

static intptr_t empty_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        (void)in;
        (void)out;
        return 0;
}

/* A job is awaited when its place in the window is wanted for the next one. */
static void push_jobs(ouro_executor *pool, long jobs, int window)
{
        static ouro_task tasks[EXECUTOR_WINDOW];

        for (long i = 0; i < jobs + window; i++) {
                ouro_task *place = &tasks[i % window];

                if (i >= window)
                        bench_check(ouro_await(*place), "job");
                if (i < jobs)
                        *place = ouro_submit(pool, empty_job, OURO_NO_IN, OURO_NO_OUT);
        }
}

static intptr_t measure(void *arg)
{
        const struct run *run = arg;
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool;
        struct executor_clock clock;

        options.threads = EXECUTOR_WORKERS;
        options.spin_ns = run->spin_ns;
        bench_check(ouro_thread_pool_open(&options, &pool), "ouro_thread_pool_open");
        push_jobs(pool, EXECUTOR_WINDOW, EXECUTOR_WORKERS); /* starts the threads */
        clock = executor_start();
        push_jobs(pool, run->jobs, run->window);
        executor_print(clock, run->name, run->jobs);
        return ouro_executor_close(pool);
}

static void run_with(struct run run)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        if (only && strcmp(only, run.name) != 0)
                return;
        options.spin_ns = run.spin_ns;
        bench_check(ouro_run_with(&options, measure, &run), "ouro_run_with");
}

int main(int argc, char **argv)
{
        struct bench_options options = {.count = EXECUTOR_BULK};

        bench_parse(argc, argv, &options);
        only = argv[optind];
        run_with((struct run){"threads_there_and_back_spinning", EXECUTOR_SEQUENTIAL, 1, 0});
        run_with((struct run){"threads_there_and_back_asleep", EXECUTOR_SEQUENTIAL, 1, -1});
        run_with((struct run){"threads_bulk", options.count, EXECUTOR_WINDOW, 0});
        return 0;
}
