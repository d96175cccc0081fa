/* pools.h - ouro's pools as the benchmarks of executors open them, and the CPU time that their workers take.
 */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include <ouro.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { POOLS_WORKERS_MOST = 8 };

struct pool {
        ouro_executor *executor;
        unsigned workers;
        clockid_t clocks[POOLS_WORKERS_MOST]; /* of worker processes */
        unsigned clocks_len;
};

/* spin_ns as in the pools' options. Returns when all workers have done a job. */
struct pool pool_of_threads(unsigned workers, int64_t spin_ns);
struct pool pool_of_processes(unsigned workers, int64_t spin_ns);

/* The same with any options. */
struct pool pool_of_processes_with(const struct ouro_process_options *options);

void pool_close(struct pool *pool);

/* CPU time of this process and of the pool's worker processes. */
int64_t pool_cpu_ns(const struct pool *pool);

/* Jobs that do nothing, window of them out at a time. */
void pool_push_empty(const struct pool *pool, long jobs, int window);

intptr_t pool_empty_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out);

/* A task's body in a run whose loop spins as long as spin_ns says. */
void pools_run(intptr_t (*body)(void *), void *arg, int64_t spin_ns);

#endif
