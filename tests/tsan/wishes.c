/* wishes.c - jobs with options, calls of threads, jobs within jobs, maps and counts, several threads at once.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <ouro.h>
#include <ouro/executor.h>

#include "tsan/runner.h"

enum { THREADS = 4, ROUNDS = 200, AT_ONCE = 6 };

static ouro_executor *pool;
static atomic_int ran;

static void open_pool(unsigned threads, unsigned queue)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        options.threads = threads;
        options.queue = queue;
        expect(ouro_thread_pool_open(&options, &pool) == 0);
}

/* Half of them on fn, half on other; each returns NULL if all is well. */
static void run_threads(void *(*fn)(void *), void *(*other)(void *))
{
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                expect(pthread_create(&threads[i], NULL, i % 2 ? fn : other, NULL) == 0);
        for (int i = 0; i < THREADS; i++) {
                void *result;

                pthread_join(threads[i], &result);
                expect(!result);
        }
}

/* Touches its spans as any code would: what orders that is the library alone. */
static intptr_t adds_one(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(int *)out.base = *(const int *)in.base + 1;
        atomic_fetch_add(&ran, 1);
        return 0;
}

static intptr_t spins(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        unsigned rounds = *(const unsigned *)in.base;

        for (unsigned i = 0; i < rounds; i++)
                if (ouro_job_cancelled(job))
                        return -ECANCELED;
        *(unsigned *)out.base = rounds;
        return 0;
}

static void *calls(void *arg)
{
        (void)arg;
        for (int i = 0; i < ROUNDS; i++) {
                int out = 0;

                expect(ouro_call(pool, adds_one, OURO_IN(i), OURO_OUT(out), NULL) == 0);
                expect(out == i + 1);
        }
        return NULL;
}

static intptr_t submits_and_counts(void *arg)
{
        struct ouro_stats stats = {.size = sizeof stats};

        (void)arg;
        for (int i = 0; i < ROUNDS; i++) {
                int in = 1, outs[AT_ONCE];
                ouro_task tasks[AT_ONCE];

                for (int j = 0; j < AT_ONCE; j++)
                        tasks[j] = ouro_submit(pool, adds_one, OURO_IN(in), OURO_OUT(outs[j]));
                expect(ouro_executor_stats(pool, &stats) == 0);
                expect(stats.done <= stats.submitted);
                expect(ouro_gather(tasks, AT_ONCE, NULL) == 0);
                for (int j = 0; j < AT_ONCE; j++)
                        expect(outs[j] == 2);
        }
        return 0;
}

static void *runs_a_loop(void *arg)
{
        (void)arg;
        return (void *)ouro_run(submits_and_counts, NULL);
}

CASE(threads_and_loops_share_one)
{
        struct ouro_stats stats = {.size = sizeof stats};

        open_pool(2, 2);
        run_threads(calls, runs_a_loop);
        expect(ouro_executor_stats(pool, &stats) == 0);
        expect(stats.submitted == stats.done && stats.failed == 0 && stats.cancelled == 0);
        expect(stats.done == (uint64_t)atomic_load(&ran));
        expect(ouro_executor_close(pool) == 0);
}

/* ---- jobs that end just as their time is over, or as they are cancelled ---- */

static bool abandonable;

static intptr_t races_ends(void *arg)
{
        unsigned seed = 7;

        (void)arg;
        for (int i = 0; i < ROUNDS; i++) {
                struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
                unsigned rounds = (unsigned)rand_r(&seed) % 3000, out = UINT32_MAX;
                intptr_t result;
                ouro_task task;

                options.abandonable = abandonable;
                options.deadline_ns = i % 3 ? 1 + rand_r(&seed) % 100000 : 0;
                task = ouro_submit_with(pool, spins, OURO_IN(rounds), OURO_OUT(out), &options);
                if (i % 2)
                        ouro_yield();
                if (i % 3 == 0)
                        ouro_cancel(task);
                result = ouro_await(task);
                expect(result == 0 || result == -ETIME || result == -ECANCELED);
                expect(result == 0 ? out == rounds : out == UINT32_MAX);
        }
        return 0;
}

static void *runs_races(void *arg)
{
        (void)arg;
        return (void *)ouro_run(races_ends, NULL);
}

static void *calls_racing(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        unsigned seed = 11;

        (void)arg;
        options.abandonable = abandonable;
        for (int i = 0; i < ROUNDS; i++) {
                unsigned rounds = (unsigned)rand_r(&seed) % 3000, out = UINT32_MAX;
                intptr_t result;

                options.deadline_ns = 1 + rand_r(&seed) % 100000;
                result = ouro_call(pool, spins, OURO_IN(rounds), OURO_OUT(out), &options);
                expect(result == 0 || result == -ETIME);
                expect(result == 0 ? out == rounds : out == UINT32_MAX);
        }
        return NULL;
}

CASE(deadlines_meet_the_ends_of_jobs)
{
        open_pool(2, 4);
        run_threads(runs_races, calls_racing);
        expect(ouro_executor_close(pool) == 0);
}

CASE(abandoned_jobs_end_by_themselves)
{
        open_pool(2, 4);
        abandonable = pool->ops->can & OURO_CAN_ABANDON;
        run_threads(runs_races, calls_racing);
        expect(ouro_executor_close(pool) == 0);
}

/* ---- jobs that submit to their own executor ---- */

static intptr_t submits_within(void *arg)
{
        int in = 5, outs[AT_ONCE];
        ouro_task tasks[AT_ONCE];

        (void)arg;
        for (int i = 0; i < AT_ONCE; i++)
                tasks[i] = ouro_submit(pool, adds_one, OURO_IN(in), OURO_OUT(outs[i]));
        if (ouro_gather(tasks, AT_ONCE, NULL) != 0)
                return -EINVAL;
        for (int i = 0; i < AT_ONCE; i++)
                expect(outs[i] == 6);
        return 0;
}

static intptr_t has_a_loop(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(submits_within, NULL);
}

static void *calls_those_with_loops(void *arg)
{
        (void)arg;
        for (int i = 0; i < 30; i++)
                expect(ouro_call(pool, has_a_loop, OURO_NO_IN, OURO_NO_OUT, NULL) == 0);
        return NULL;
}

CASE(f67_jobs_within_jobs_are_run_by_either_side)
{
        open_pool(3, 4);
        run_threads(calls_those_with_loops, calls_those_with_loops);
        expect(ouro_executor_close(pool) == 0);
        expect(atomic_load(&ran) == THREADS * 30 * AT_ONCE);
}

/* ---- maps ---- */

static intptr_t maps(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        int items[300], results[300];

        (void)arg;
        options.chunk = 7;
        for (int round = 0; round < 20; round++) {
                for (int i = 0; i < 300; i++)
                        items[i] = i + round;
                options.as_completed = round % 2;
                expect(ouro_map(pool, adds_one, items, sizeof *items, 300, results, sizeof *results,
                                &options) == 0);
                for (int i = 0; i < 300; i++)
                        expect(results[i] == i + round + 1);
        }
        return 0;
}

static void *runs_maps(void *arg)
{
        (void)arg;
        return (void *)ouro_run(maps, NULL);
}

CASE(several_loops_map)
{
        open_pool(2, 4);
        run_threads(runs_maps, runs_maps);
        expect(ouro_executor_close(pool) == 0);
}

/* ---- closing ---- */

static pthread_barrier_t submitted;

static intptr_t leaves_some_running(void *arg)
{
        unsigned rounds = 100000, outs[AT_ONCE];
        ouro_task tasks[AT_ONCE];

        (void)arg;
        for (int i = 0; i < AT_ONCE; i++)
                tasks[i] = ouro_submit(pool, spins, OURO_IN(rounds), OURO_OUT(outs[i]));
        pthread_barrier_wait(&submitted);
        ouro_gather(tasks, AT_ONCE, NULL);
        return 0;
}

static void *runs_and_is_closed(void *arg)
{
        (void)arg;
        return (void *)ouro_run(leaves_some_running, NULL);
}

/* Whoever finds it closed has freed it: the other must not look at it any more. */
static void *closes_impatiently(void *arg)
{
        static atomic_int closers;
        bool mine = atomic_fetch_add(&closers, 1) == 0;

        (void)arg;
        pthread_barrier_wait(&submitted);
        if (mine)
                while (ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_US(50)) == -ETIME)
                        ;
        return NULL;
}

CASE(closing_gives_up_and_comes_back)
{
        open_pool(2, 100);
        pthread_barrier_init(&submitted, NULL, THREADS);
        run_threads(runs_and_is_closed, closes_impatiently);
        pthread_barrier_destroy(&submitted);
}
