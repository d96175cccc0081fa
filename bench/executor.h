/* executor.h - what the benchmarks of thread pools print, the same for ouro and its peers.
 *
 *   threads_there_and_back_asleep ns=.. cpu_ns=.. jobs=..     one empty job at a time
 *   threads_bulk ns=.. cpu_ns=.. jobs=1000000                 many in flight, two workers
 *
 * ns is the wall clock, cpu_ns the CPU time of all threads, both per job. */
#ifndef BENCH_EXECUTOR_H
#define BENCH_EXECUTOR_H

#include "bench.h"

#include <stdio.h>

enum {
        EXECUTOR_WORKERS = 2,
        EXECUTOR_SEQUENTIAL = 20000,
        EXECUTOR_BULK = 1000000,
        EXECUTOR_WINDOW = 1024, /* jobs in flight */
};

struct executor_clock {
        int64_t start_ns;
        int64_t start_cpu_ns;
};

static inline struct executor_clock executor_start(void)
{
        return (struct executor_clock){bench_now_ns(), bench_cpu_ns()};
}

static inline void executor_print(struct executor_clock clock, const char *name, long jobs)
{
        double ns = (double)(bench_now_ns() - clock.start_ns);
        double cpu_ns = (double)(bench_cpu_ns() - clock.start_cpu_ns);

        printf("%s ns=%.1f cpu_ns=%.1f jobs=%ld\n", name, ns / (double)jobs, cpu_ns / (double)jobs, jobs);
        fflush(stdout);
}

#endif
