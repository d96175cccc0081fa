/* pools.c - opening pools, and asking the clocks of their workers. */
#include "pools.h"

#include "bench.h"
#include "executor.h"

#include <errno.h>
#include <unistd.h>

intptr_t pool_empty_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        (void)in;
        (void)out;
        return 0;
}

void pool_push_empty(const struct pool *pool, long jobs, int window)
{
        static ouro_task tasks[EXECUTOR_WINDOW];

        for (long i = 0; i < jobs + window; i++) {
                ouro_task *place = &tasks[i % window];

                if (i >= window)
                        bench_check(ouro_await(*place), "job");
                if (i < jobs)
                        *place = ouro_submit(pool->executor, pool_empty_job, OURO_NO_IN, OURO_NO_OUT);
        }
}

static intptr_t tell_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        (void)in;
        (void)out;
        return getpid();
}

struct pool pool_of_threads(unsigned workers, int64_t spin_ns)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct pool pool = {.workers = workers};

        options.threads = workers;
        options.spin_ns = spin_ns;
        bench_check(ouro_thread_pool_open(&options, &pool.executor), "ouro_thread_pool_open");
        pool_push_empty(&pool, EXECUTOR_WINDOW, (int)workers);
        return pool;
}

struct pool pool_of_processes_with(const struct ouro_process_options *options)
{
        struct pool pool = {.workers = options->workers, .clocks_len = options->workers};

        bench_check(ouro_process_pool_open(options, &pool.executor), "ouro_process_pool_open");
        for (unsigned i = 0; i < pool.workers; i++) {
                struct ouro_job_options job = OURO_JOB_OPTIONS_INIT;
                intptr_t pid;

                job.worker = i + 1;
                pid = ouro_call(pool.executor, tell_pid, OURO_NO_IN, OURO_NO_OUT, &job);
                bench_check(pid, "a worker's first job");
                bench_check(-clock_getcpuclockid((pid_t)pid, &pool.clocks[i]), "clock_getcpuclockid");
        }
        return pool;
}

struct pool pool_of_processes(unsigned workers, int64_t spin_ns)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = workers;
        options.spin_ns = spin_ns;
        return pool_of_processes_with(&options);
}

void pool_close(struct pool *pool)
{
        bench_check(ouro_executor_close(pool->executor), "ouro_executor_close");
}

int64_t pool_cpu_ns(const struct pool *pool)
{
        int64_t sum_ns = bench_cpu_ns();

        for (unsigned i = 0; i < pool->clocks_len; i++) {
                struct timespec time;

                if (clock_gettime(pool->clocks[i], &time) < 0)
                        bench_die("the clock of a worker");
                sum_ns += (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
        }
        return sum_ns;
}

void pools_run(intptr_t (*body)(void *), void *arg, int64_t spin_ns)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.spin_ns = spin_ns;
        bench_check(ouro_run_with(&options, body, arg), "ouro_run_with");
}
