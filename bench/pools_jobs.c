/* pools_jobs.c - empty jobs through a process pool beside the same jobs through a thread pool.
 *
 *   processes_there_and_back_spinning ns=.. threads=..   one job at a time, worker and loop still spin
 *   processes_there_and_back_asleep ns=.. threads=..     one job at a time, both made to sleep
 *   processes_bulk ns=.. threads=..                      many in flight, two workers
 *   ..._cpu ns=.. threads=..                             CPU time of host and workers for each such job */
#include "bench.h"
#include "executor.h"
#include "pools.h"

#include <stdio.h>

enum { ROUNDS = 11, ROUND_JOBS = 2000 };

struct number {
        const char *name, *cpu_name;
        long jobs;
        int window;
        int64_t spin_ns;
        int rounds;
};

static void push(const struct pool *pool, const struct number *number, double *ret_ns, double *ret_cpu_ns)
{
        int64_t cpu_ns = pool_cpu_ns(pool);
        int64_t start_ns = bench_now_ns();

        pool_push_empty(pool, number->jobs, number->window);
        *ret_ns = (double)(bench_now_ns() - start_ns) / (double)number->jobs;
        *ret_cpu_ns = (double)(pool_cpu_ns(pool) - cpu_ns) / (double)number->jobs;
}

static intptr_t measure(void *arg)
{
        const struct number *number = arg;
        struct pool threads = pool_of_threads(EXECUTOR_WORKERS, number->spin_ns);
        struct pool processes = pool_of_processes(EXECUTOR_WORKERS, number->spin_ns);
        struct bench_series wall = {.name = number->name, .reference = "threads"};
        struct bench_series cpu = {.name = number->cpu_name, .reference = "threads"};

        for (int i = 0; i < number->rounds; i++) {
                double ns[2], cpu_ns[2];

                for (int turn = 0; turn < 2; turn++) {
                        int which = (i + turn) % 2;

                        push(which ? &threads : &processes, number, &ns[which], &cpu_ns[which]);
                }
                bench_add(&wall, ns[0], ns[1]);
                bench_add(&cpu, cpu_ns[0], cpu_ns[1]);
        }
        bench_print(&wall);
        bench_print(&cpu);
        pool_close(&processes);
        pool_close(&threads);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = ROUNDS, .count = EXECUTOR_BULK};

        bench_parse(argc, argv, &options);

        struct number numbers[] = {
                {"processes_there_and_back_spinning", "processes_there_and_back_spinning_cpu", ROUND_JOBS, 1,
                 0, options.rounds},
                {"processes_there_and_back_asleep", "processes_there_and_back_asleep_cpu", ROUND_JOBS, 1, -1,
                 options.rounds},
                {"processes_bulk", "processes_bulk_cpu", options.count, EXECUTOR_WINDOW, 0,
                 (options.rounds + 1) / 2},
        };

        for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
                pools_run(measure, &numbers[i], numbers[i].spin_ns);
        return 0;
}
