/* pools_replaced.c - from a worker's death by SIGKILL to the end of its successor's first job.
 *
 *   processes_replaced ns=..                 median, from just before the signal is sent
 *   processes_replaced_dirty ns=..           in a program with 100 MiB of memory that it has written to
 *   processes_replaced_standby ns=..         with a worker at the ready
 *   processes_replaced_standby_dirty ns=..
 *   processes_killed ns=..                   only until the job that died with the worker has ended
 *
 * The worker dies in the middle of a job, while the next one waits for this same worker. */
#include "bench.h"
#include "pools.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
        ROUNDS = 31,
        DIRTY_BYTES = 100 << 20,
        LOOK_NS = 200000,
        CALM_NS = 5000000, /* until the next one is killed: another standby worker wants to be there */
};

struct number {
        const char *name;
        unsigned standby;
        int rounds;
        double *killed_ns; /* where to add the times of processes_killed, or NULL */
};

static intptr_t wait_for_death(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        /* It is in the arena, so that the host sees it at once. */
        atomic_store((_Atomic pid_t *)out.base, getpid());
        (void)in;
        while (ouro_job_sleep(job, 1000000000) == 0)
                ;
        return -ECANCELED;
}

static pid_t await_victim(const _Atomic pid_t *pid)
{
        while (atomic_load(pid) == 0)
                bench_check(ouro_sleep(LOOK_NS), "ouro_sleep");
        return atomic_load(pid);
}

static double replace_once(const struct pool *pool, _Atomic pid_t *pid, double *ret_killed_ns)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_task victim, next;
        int64_t start_ns, killed_ns;

        options.worker = 1;
        atomic_store(pid, 0);
        victim = ouro_submit_with(pool->executor, wait_for_death, OURO_NO_IN, ouro_out(pid, sizeof(*pid)),
                                  &options);
        next = ouro_submit_with(pool->executor, pool_empty_job, OURO_NO_IN, OURO_NO_OUT, &options);
        await_victim(pid);
        start_ns = bench_now_ns();
        if (kill(atomic_load(pid), SIGKILL) < 0)
                bench_die("kill");
        if (ouro_await(victim) != -EOWNERDEAD)
                bench_die("the worker did not die of the signal");
        killed_ns = bench_now_ns();
        bench_check(ouro_await(next), "the next worker's job");
        *ret_killed_ns = (double)(killed_ns - start_ns);
        return (double)(bench_now_ns() - start_ns);
}

static intptr_t measure(void *arg)
{
        const struct number *number = arg;
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        double took_ns[BENCH_ROUNDS_MAX], killed_ns[BENCH_ROUNDS_MAX];
        size_t n = (size_t)number->rounds;
        struct pool pool;
        void *pid;

        options.workers = 2;
        options.standby = number->standby;
        pool = pool_of_processes_with(&options);
        bench_check(ouro_arena_alloc(pool.executor, sizeof(pid_t), &pid), "ouro_arena_alloc");
        for (size_t i = 0; i < n; i++) {
                bench_check(ouro_sleep(CALM_NS), "ouro_sleep");
                took_ns[i] = replace_once(&pool, pid, &killed_ns[i]);
        }
        printf("%s ns=%.0f p90_ns=%.0f rounds=%zu\n", number->name, bench_median(took_ns, n),
               bench_quantile(took_ns, n, 0.9), n);
        if (number->killed_ns != NULL)
                *number->killed_ns = bench_median(killed_ns, n);
        fflush(stdout);
        bench_check(ouro_arena_free(pool.executor, pid), "ouro_arena_free");
        pool_close(&pool);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = ROUNDS};
        double killed_ns;

        bench_parse(argc, argv, &options);

        struct number few[] = {
                {"processes_replaced", 0, options.rounds, &killed_ns},
                {"processes_replaced_standby", 1, options.rounds, NULL},
        };
        struct number dirty[] = {
                {"processes_replaced_dirty", 0, options.rounds, NULL},
                {"processes_replaced_standby_dirty", 1, options.rounds, NULL},
        };

        for (int i = 0; i < 2; i++)
                pools_run(measure, &few[i], 0);
        printf("processes_killed ns=%.0f rounds=%d\n", killed_ns, options.rounds);
        memset(bench_map(DIRTY_BYTES), 1, DIRTY_BYTES);
        for (int i = 0; i < 2; i++)
                pools_run(measure, &dirty[i], 0);
        return 0;
}
