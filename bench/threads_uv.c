/* threads_uv.c - empty jobs through libuv's thread pool: one there and back, and a million in bulk.
 *
 * threads_uv [--count JOBS]. A job that is done queues the next one from its completion, so that
 * EXECUTOR_WINDOW of them are always in flight. */
#include "executor.h"

#include <stdlib.h>
#include <uv.h>

static long to_submit;

static void empty_job(uv_work_t *request)
{
        (void)request;
}

static void submit(uv_work_t *request);

static void done(uv_work_t *request, int status)
{
        bench_check(status, "job");
        submit(request);
}

static void submit(uv_work_t *request)
{
        if (to_submit == 0)
                return;
        to_submit--;
        bench_check(uv_queue_work(uv_default_loop(), request, empty_job, done), "uv_queue_work");
}

static void push_jobs(long jobs, int window)
{
        static uv_work_t requests[EXECUTOR_WINDOW];

        to_submit = jobs;
        for (int i = 0; i < window; i++)
                submit(&requests[i]);
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static void measure(const char *name, long jobs, int window)
{
        struct executor_clock clock = executor_start();

        push_jobs(jobs, window);
        executor_print(clock, name, jobs);
}

int main(int argc, char **argv)
{
        struct bench_options options = {.count = EXECUTOR_BULK};
        char workers[16];

        bench_parse(argc, argv, &options);
        snprintf(workers, sizeof(workers), "%d", EXECUTOR_WORKERS);
        if (setenv("UV_THREADPOOL_SIZE", workers, 1) < 0)
                bench_die("setenv");
        push_jobs(EXECUTOR_WINDOW, EXECUTOR_WORKERS); /* starts the threads */
        measure("threads_there_and_back_asleep", EXECUTOR_SEQUENTIAL, 1);
        measure("threads_bulk", options.count, EXECUTOR_WINDOW);
        return 0;
}
