/* pools_queued.c - ten times as many jobs in the queue: is it ten times the time and the memory?
 *
 *   threads_queued ns=.. fewer=..            each of 100,000 jobs, over each of 10,000
 *   threads_queued_memory bytes=.. fewer=..  resident for each while all of them are queued
 *   processes_queued, processes_queued_memory
 *
 * The workers are held up until all jobs are there. Each size is tried in a process of its own, so that none
 * finds memory that another has left. */
#include "bench.h"
#include "executor.h"
#include "pools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 3, FEW = 10000, MANY = 100000 };

struct trial {
        bool threads;
        long jobs;
        double ns, bytes; /* for each job */
};

/* Where the gate of the workers is: a pipe's end that hangs up. */
static int gate[2];

static intptr_t wait_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        char byte;

        (void)job;
        (void)out;
        while (read(*(const int *)in.base, &byte, 1) < 0 && errno == EINTR)
                ;
        return 0;
}

static struct pool open_pool(const struct trial *trial)
{
        struct ouro_thread_options of_threads = OURO_THREAD_OPTIONS_INIT;
        struct ouro_process_options of_processes = OURO_PROCESS_OPTIONS_INIT;
        struct pool pool = {.workers = EXECUTOR_WORKERS};

        of_threads.threads = of_processes.workers = EXECUTOR_WORKERS;
        of_threads.queue = of_processes.queue = (unsigned)trial->jobs + 2 * EXECUTOR_WORKERS;
        of_processes.fds = gate;
        of_processes.fds_len = 1;
        if (!trial->threads)
                return pool_of_processes_with(&of_processes);
        bench_check(ouro_thread_pool_open(&of_threads, &pool.executor), "ouro_thread_pool_open");
        return pool;
}

static intptr_t measure(void *arg)
{
        struct trial *trial = arg;
        struct pool pool = open_pool(trial);
        ouro_task *tasks = bench_map((size_t)(trial->jobs + EXECUTOR_WORKERS) * sizeof(ouro_task));
        long n = 0, all = trial->jobs + EXECUTOR_WORKERS, before_bytes;
        int64_t start_ns;

        pool_push_empty(&pool, EXECUTOR_WINDOW, EXECUTOR_WORKERS);
        before_bytes = bench_resident_bytes();
        start_ns = bench_now_ns();
        while (n < EXECUTOR_WORKERS)
                tasks[n++] = ouro_submit(pool.executor, wait_at_gate, OURO_IN(gate[0]), OURO_NO_OUT);
        while (n < all)
                tasks[n++] = ouro_submit(pool.executor, pool_empty_job, OURO_NO_IN, OURO_NO_OUT);
        trial->bytes = (double)(bench_resident_bytes() - before_bytes) / (double)trial->jobs;
        close(gate[1]);
        for (long i = 0; i < all; i++)
                bench_check(ouro_await(tasks[i]), "job");
        trial->ns = (double)(bench_now_ns() - start_ns) / (double)trial->jobs;
        pool_close(&pool);
        return 0;
}

/* In a child; its numbers come back through a pipe. */
static void try_apart(struct trial *trial)
{
        int answer[2], status;
        pid_t child;

        if (pipe(answer) < 0 || pipe(gate) < 0)
                bench_die("pipe");
        child = fork();
        if (child < 0)
                bench_die("fork");
        if (child == 0) {
                pools_run(measure, trial, 0);
                _exit(write(answer[1], trial, sizeof(*trial)) == sizeof(*trial) ? 0 : 1);
        }
        close(answer[1]);
        close(gate[0]);
        close(gate[1]);
        if (read(answer[0], trial, sizeof(*trial)) != sizeof(*trial))
                bench_die("a trial failed");
        close(answer[0]);
        if (waitpid(child, &status, 0) < 0 || status != 0)
                bench_die("a trial failed");
}

static void compare(bool threads, int rounds)
{
        struct bench_series time = {.name = threads ? "threads_queued" : "processes_queued",
                                    .reference = "fewer"};
        double many_bytes[BENCH_ROUNDS_MAX], few_bytes[BENCH_ROUNDS_MAX];
        size_t n = (size_t)rounds;

        for (size_t i = 0; i < n; i++) {
                struct trial few = {.threads = threads, .jobs = FEW};
                struct trial many = {.threads = threads, .jobs = MANY};

                try_apart(&few);
                try_apart(&many);
                bench_add(&time, many.ns, few.ns);
                many_bytes[i] = many.bytes;
                few_bytes[i] = few.bytes;
        }
        bench_print(&time);
        double many = bench_median(many_bytes, n), few = bench_median(few_bytes, n);

        printf("%s_memory bytes=%.0f fewer=%.0f ratio=%.3f low=%.3f high=%.3f rounds=%d\n", time.name, many,
               few, many / few, many / few, many / few, rounds);
        fflush(stdout);
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = ROUNDS};

        bench_parse(argc, argv, &options);
        compare(true, options.rounds);
        compare(false, options.rounds);
        return 0;
}
