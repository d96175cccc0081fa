/* threads.c - thread pools that grow, shrink, break and are closed in a hurry while several loops use them.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 3, ROUNDS = 60, AT_ONCE = 12 };

static ouro_executor *pool;

static void open_pool(struct ouro_thread_options options)
{
        options.size = sizeof options;
        expect(ouro_thread_pool_open(&options, &pool) == 0);
}

static void *run_one_loop(void *fn)
{
        return (void *)ouro_run((ouro_fn *)fn, NULL);
}

static void start_loops(pthread_t *threads, ouro_fn *fn)
{
        for (int i = 0; i < LOOPS; i++)
                expect(pthread_create(&threads[i], NULL, run_one_loop, (void *)fn) == 0);
}

static void join_loops(pthread_t *threads)
{
        for (int i = 0; i < LOOPS; i++) {
                void *result;

                pthread_join(threads[i], &result);
                expect(!result);
        }
}

/* ---- jobs: neither in nor out nor state is touched by atomics ---- */

static intptr_t begins(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)out;
        expect(in.len == sizeof(int) && *(const int *)in.base == 7);
        ouro_job_set_state(job, calloc(1, sizeof(int)));
        return 0;
}

static intptr_t ends(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        free(ouro_job_state(job));
        return 0;
}

static intptr_t blocks_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int *jobs = ouro_job_state(job);

        if (jobs)
                ++*jobs;
        *(int *)out.base = 2 * *(const int *)in.base;
        return ouro_job_sleep(job, *(const int *)in.base % 4 ? OURO_US(200) : OURO_US(2));
}

static intptr_t submits_some(void *arg)
{
        ouro_task tasks[AT_ONCE];
        int in[AT_ONCE], out[AT_ONCE];
        intptr_t results[AT_ONCE];

        (void)arg;
        for (int i = 0; i < AT_ONCE; i++) {
                struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

                in[i] = i;
                out[i] = -1;
                options.priority = (enum ouro_priority)(i % 3 - 1);
                tasks[i] =
                        ouro_submit_with(pool, blocks_a_little, OURO_IN(in[i]), OURO_OUT(out[i]), &options);
        }
        ouro_cancel(tasks[AT_ONCE / 2]);
        ouro_gather(tasks, AT_ONCE, results);
        for (int i = 0; i < AT_ONCE; i++)
                if (results[i] == 0)
                        expect(out[i] == 2 * i);
                else if (results[i] != -ECANCELED)
                        return results[i];
        return 0;
}

static intptr_t submits_rounds(void *arg)
{
        for (int round = 0; round < ROUNDS; round++)
                expect(submits_some(arg) == 0);
        return 0;
}

static atomic_bool watching;

static void *watches(void *arg)
{
        while (atomic_load(&watching)) {
                struct ouro_stats stats = {.size = sizeof stats};

                expect(ouro_executor_stats(pool, &stats) == 0);
                expect(stats.workers >= 1 && stats.workers <= 6 && stats.running <= 6);
        }
        return arg;
}

static void share(struct ouro_thread_options options)
{
        pthread_t threads[LOOPS], watcher;
        const int seven = 7;

        options.initializer = begins;
        options.finalizer = ends;
        options.in = OURO_IN(seven);
        options.timings = true;
        open_pool(options);
        atomic_store(&watching, true);
        expect(pthread_create(&watcher, NULL, watches, NULL) == 0);
        start_loops(threads, submits_rounds);
        join_loops(threads);
        atomic_store(&watching, false);
        pthread_join(watcher, NULL);
        expect(ouro_executor_close(pool) == 0);
}

CASE(loops_share_a_pool_that_grows)
{
        share((struct ouro_thread_options){.threads = 1, .threads_max = 6});
}

CASE(loops_share_a_pool_that_grows_and_shrinks_all_the_time)
{
        share((struct ouro_thread_options){.threads = 1, .threads_max = 6, .idle_ns = 1, .spin_ns = -1});
}

CASE(loops_share_a_pool_that_grows_and_is_always_full)
{
        share((struct ouro_thread_options){.threads = 2, .threads_max = 4, .queue = 2});
}

/* ---- closing ---- */

static pthread_barrier_t all_submit, all_know; /* of one round */
static atomic_int holding, released;

/* Closing cannot end while this runs. */
static intptr_t holds_the_pool(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        atomic_store(&holding, 1);
        while (!atomic_load(&released))
                sched_yield();
        return 0;
}

static void *calls_holder(void *arg)
{
        expect(ouro_call(pool, holds_the_pool, OURO_NO_IN, OURO_NO_OUT, NULL) == 0);
        return arg;
}

static intptr_t submits_until_closed(void *arg)
{
        intptr_t result;

        pthread_barrier_wait(&all_submit);
        do
                result = submits_some(arg);
        while (result == 0);
        pthread_barrier_wait(&all_know);
        return result == -ESHUTDOWN ? 0 : result;
}

static void close_under_load(enum ouro_close how, struct ouro_thread_options options)
{
        for (int round = 0; round < 12; round++) {
                pthread_t threads[LOOPS], holder;

                open_pool(options);
                atomic_store(&holding, 0);
                atomic_store(&released, 0);
                pthread_barrier_init(&all_submit, NULL, LOOPS + 1);
                pthread_barrier_init(&all_know, NULL, LOOPS + 1);
                expect(pthread_create(&holder, NULL, calls_holder, NULL) == 0);
                while (!atomic_load(&holding))
                        sched_yield();
                start_loops(threads, submits_until_closed);
                pthread_barrier_wait(&all_submit);
                expect(ouro_executor_close_with(pool, how, 0) == -ETIME);
                pthread_barrier_wait(&all_know);
                atomic_store(&released, 1);
                expect(ouro_executor_close_with(pool, how, OURO_FOREVER) == 0);
                pthread_join(holder, NULL);
                join_loops(threads);
                pthread_barrier_destroy(&all_submit);
                pthread_barrier_destroy(&all_know);
        }
}

CASE(f69_a_pool_that_grows_is_closed_under_load)
{
        close_under_load(OURO_CLOSE_WAIT, (struct ouro_thread_options){.threads = 1, .threads_max = 4});
}

CASE(f69_a_pool_is_closed_in_a_hurry_under_load)
{
        close_under_load(OURO_CLOSE_KILL, (struct ouro_thread_options){.threads = 3, .queue = 4});
}

static intptr_t is_never_done(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return ouro_job_sleep(job, OURO_FOREVER);
}

static intptr_t has_jobs_killed(void *arg)
{
        ouro_task tasks[AT_ONCE];
        intptr_t results[AT_ONCE];

        (void)arg;
        for (int i = 0; i < AT_ONCE; i++)
                tasks[i] = ouro_submit(pool, is_never_done, OURO_NO_IN, OURO_NO_OUT);
        pthread_barrier_wait(&all_submit);
        ouro_gather(tasks, AT_ONCE, results);
        for (int i = 0; i < AT_ONCE; i++)
                expect(results[i] == -ECANCELED);
        return 0;
}

/* Jobs are taken, begun and asked to end at the same moment. */
CASE(f68_every_job_of_every_loop_is_killed)
{
        for (int round = 0; round < 30; round++) {
                pthread_t threads[LOOPS];

                open_pool((struct ouro_thread_options){.threads = 3, .threads_max = 5});
                pthread_barrier_init(&all_submit, NULL, LOOPS + 1);
                start_loops(threads, has_jobs_killed);
                pthread_barrier_wait(&all_submit);
                expect(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER) == 0);
                join_loops(threads);
                pthread_barrier_destroy(&all_submit);
        }
}

/* ---- breaking ---- */

/* The last worker does not begin, when the others have been at work for a while. */
static intptr_t begins_but_once(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        if (ouro_job_worker(job) < 2)
                return 0;
        ouro_job_sleep(job, OURO_MS(1));
        return -EDOM;
}

static intptr_t submits_until_broken(void *arg)
{
        intptr_t result;

        do
                result = submits_some(arg);
        while (result == 0);
        return result == -ENOTRECOVERABLE ? 0 : result;
}

static void says_nothing(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)message, (void)arg;
}

CASE(a_pool_breaks_while_loops_submit)
{
        ouro_set_log(says_nothing, NULL);
        for (int round = 0; round < 10; round++) {
                pthread_t threads[LOOPS];

                open_pool((struct ouro_thread_options){
                        .threads = 3,
                        .threads_max = 3 + (unsigned)round % 2,
                        .queue = 4,
                        .initializer = begins_but_once,
                });
                start_loops(threads, submits_until_broken);
                join_loops(threads);
                expect(ouro_executor_close(pool) == 0);
        }
        ouro_set_log(NULL, NULL);
}
