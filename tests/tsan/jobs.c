/* jobs.c - jobs of several loops in pools that are shared, closed and cancelled. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 4, ROUNDS = 150, AT_ONCE = 8 };

static ouro_executor *pool;

static ouro_executor *open_pool(unsigned threads, unsigned queue, int64_t spin_ns)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *executor;

        options.threads = threads;
        options.queue = queue;
        options.spin_ns = spin_ns;
        expect(ouro_thread_pool_open(&options, &executor) == 0);
        return executor;
}

static void *run_one_loop(void *fn)
{
        return (void *)ouro_run((ouro_fn *)fn, NULL);
}

static void run_loops(int n, ouro_fn *fn)
{
        pthread_t threads[LOOPS];

        for (int i = 0; i < n; i++)
                expect(pthread_create(&threads[i], NULL, run_one_loop, (void *)fn) == 0);
        for (int i = 0; i < n; i++) {
                void *result;

                pthread_join(threads[i], &result);
                expect(!result);
        }
}

/* Neither in nor out is touched by atomics: what orders them is the library alone. */
static intptr_t doubles(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *from = in.base;
        int *to = out.base;

        (void)job;
        *to = 2 * *from;
        return 0;
}

static intptr_t submits_and_reads(void *arg)
{
        ouro_task tasks[AT_ONCE];
        int in[AT_ONCE], out[AT_ONCE];

        (void)arg;
        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < AT_ONCE; i++) {
                        in[i] = round + i;
                        out[i] = -1;
                        tasks[i] = ouro_submit(pool, doubles, OURO_IN(in[i]), OURO_OUT(out[i]));
                }
                expect(ouro_gather(tasks, AT_ONCE, NULL) == 0);
                for (int i = 0; i < AT_ONCE; i++)
                        expect(out[i] == 2 * (round + i));
        }
        return 0;
}

CASE(loops_share_a_pool_with_room)
{
        pool = open_pool(3, 0, 0);
        run_loops(LOOPS, submits_and_reads);
        expect(ouro_executor_close(pool) == 0);
}

CASE(loops_share_a_pool_that_is_always_full)
{
        pool = open_pool(2, 1, 0);
        run_loops(LOOPS, submits_and_reads);
        expect(ouro_executor_close(pool) == 0);
}

CASE(loops_share_a_pool_that_never_spins)
{
        pool = open_pool(2, 2, -1);
        run_loops(LOOPS, submits_and_reads);
        expect(ouro_executor_close(pool) == 0);
}

/* ---- cancelling ---- */

static intptr_t works_until_told(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int *seen = out.base;

        (void)in;
        for (*seen = 0; *seen < 2000; ++*seen)
                if (ouro_job_cancelled(job))
                        return -ECANCELED;
        return 0;
}

static intptr_t submits_and_cancels(void *arg)
{
        intptr_t results[AT_ONCE];
        ouro_task tasks[AT_ONCE];
        unsigned seed = 7;
        int seen[AT_ONCE];

        (void)arg;
        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < AT_ONCE; i++) {
                        seen[i] = -1;
                        tasks[i] = ouro_submit(pool, works_until_told, OURO_NO_IN, OURO_OUT(seen[i]));
                }
                for (int i = 0; i < AT_ONCE; i++)
                        if (rand_r(&seed) % 2)
                                ouro_cancel(tasks[i]);
                ouro_gather(tasks, AT_ONCE, results);
                for (int i = 0; i < AT_ONCE; i++)
                        expect(results[i] == 0 ? seen[i] == 2000 : results[i] == -ECANCELED);
        }
        return 0;
}

CASE(jobs_are_cancelled_at_every_stage)
{
        pool = open_pool(2, 0, 0);
        run_loops(LOOPS, submits_and_cancels);
        expect(ouro_executor_close(pool) == 0);
}

/* What the jobs write to: each has its own place, which it may use until the pool has closed. */
static int written[LOOPS * ROUNDS * AT_ONCE];
static atomic_int written_len;

static intptr_t submits_under_deadlines(void *arg)
{
        (void)arg;
        for (int round = 0; round < ROUNDS; round++) {
                int error = 0;

                OURO_TIMEOUT(OURO_US(round)) {
                        OURO_GROUP(group, &error) {
                                for (int i = 0; i < AT_ONCE; i++)
                                        ouro_submit(pool, works_until_told, OURO_NO_IN,
                                                    OURO_OUT(written[atomic_fetch_add(&written_len, 1)]));
                        }
                }
                expect(error == 0 || error == -ETIME || error == -ECANCELED);
        }
        return 0;
}

CASE(submitters_are_cut_short_while_they_wait_for_room)
{
        pool = open_pool(1, 1, 0);
        run_loops(LOOPS, submits_under_deadlines);
        expect(ouro_executor_close(pool) == 0);
}

/* ---- storms of cancellations from other threads ---- */

static ouro_loop *loop;
static ouro_task victims[64];

static intptr_t cancels_victim(void *arg)
{
        int result = ouro_cancel(victims[(intptr_t)arg]);

        expect(result == 0 || result == -ESRCH);
        return 0;
}

static void *posts_cancellations(void *arg)
{
        unsigned seed = (unsigned)(intptr_t)arg;

        for (int i = 0; i < 2000; i++)
                expect(ouro_post(loop, cancels_victim, (void *)(intptr_t)(rand_r(&seed) % 64)) == 0);
        return NULL;
}

static intptr_t sleeps_a_little(void *arg)
{
        return ouro_sleep((intptr_t)arg);
}

static intptr_t creates_victims(void *arg)
{
        static int seen[64];
        pthread_t threads[3];

        (void)arg;
        loop = ouro_this_loop();
        for (intptr_t i = 0; i < 3; i++)
                expect(pthread_create(&threads[i], NULL, posts_cancellations, (void *)i) == 0);
        for (int round = 0; round < 60; round++) {
                for (intptr_t i = 0; i < 64; i++)
                        victims[i] =
                                i % 2 ? ouro_create_task(sleeps_a_little, (void *)(1000 * i))
                                      : ouro_submit(pool, works_until_told, OURO_NO_IN, OURO_OUT(seen[i]));
                for (int i = 0; i < 64; i++) {
                        intptr_t result = ouro_await(victims[i]);

                        expect(result == 0 || result == -ECANCELED);
                }
        }
        for (int i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        return 0;
}

CASE(storms_of_cancellations_are_posted)
{
        pool = open_pool(2, 8, 0);
        expect(ouro_run(creates_victims, NULL) == 0);
        expect(ouro_executor_close(pool) == 0);
}

/* ---- closing ---- */

static intptr_t submits_until_shutdown(void *arg)
{
        intptr_t result;
        int in = 1, out;

        (void)arg;
        do
                result = ouro_await(ouro_submit(pool, doubles, OURO_IN(in), OURO_OUT(out)));
        while (result == 0);
        return result == -ESHUTDOWN ? 0 : -EINVAL;
}

static pthread_barrier_t all_submit, all_know; /* of one round; never destroyed while one may be leaving it */

static intptr_t is_never_done(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        while (!ouro_job_cancelled(job))
                ;
        return 0;
}

static intptr_t holds_the_pool_open(void *arg)
{
        ouro_task task = ouro_submit(pool, is_never_done, OURO_NO_IN, OURO_NO_OUT);
        intptr_t result;

        (void)arg;
        pthread_barrier_wait(&all_submit); /* closing begins ... */
        expect(submits_until_shutdown(NULL) == 0);
        pthread_barrier_wait(&all_know); /* ... and can only end when every submitter knows */
        ouro_cancel(task);
        result = ouro_await(task);
        return result == -ECANCELED ? 0 : result; /* it may not have begun */
}

static intptr_t submits_while_it_closes(void *arg)
{
        pthread_barrier_wait(&all_submit);
        expect(submits_until_shutdown(arg) == 0);
        pthread_barrier_wait(&all_know);
        return 0;
}

static void *runs_holder(void *arg)
{
        (void)arg;
        return (void *)ouro_run(holds_the_pool_open, NULL);
}

static void *runs_submitter(void *arg)
{
        (void)arg;
        return (void *)ouro_run(submits_while_it_closes, NULL);
}

CASE(f69_a_pool_is_closed_while_loops_submit)
{
        for (int round = 0; round < 10; round++) {
                pthread_t threads[3];

                pool = open_pool(2, 2, 0);
                pthread_barrier_init(&all_submit, NULL, 4);
                pthread_barrier_init(&all_know, NULL, 3);
                expect(pthread_create(&threads[0], NULL, runs_holder, NULL) == 0);
                for (int i = 1; i < 3; i++)
                        expect(pthread_create(&threads[i], NULL, runs_submitter, NULL) == 0);
                pthread_barrier_wait(&all_submit);
                expect(ouro_executor_close(pool) == 0);
                for (int i = 0; i < 3; i++) {
                        void *result;

                        pthread_join(threads[i], &result);
                        expect(!result);
                }
                pthread_barrier_destroy(&all_submit);
                pthread_barrier_destroy(&all_know);
        }
}

/* ---- closing under those who wait for room ---- */

static int gate_is_open;
static pthread_barrier_t is_full, all_wait;

static intptr_t waits_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        while (!__atomic_load_n(&gate_is_open, __ATOMIC_ACQUIRE))
                sched_yield();
        return 0;
}

static intptr_t submits_once(void *arg)
{
        int in = 1, out;
        intptr_t result = ouro_await(ouro_submit(pool, doubles, OURO_IN(in), OURO_OUT(out)));

        (void)arg;
        return result == 0 || result == -ESHUTDOWN ? 0 : result;
}

static intptr_t has_one_that_waits_for_room(void *arg)
{
        ouro_task task = ouro_create_task(submits_once, arg);

        while (ouro_task_state(task) != OURO_STATE_WAITING)
                ouro_yield();
        pthread_barrier_wait(&all_wait);
        return ouro_await(task);
}

static intptr_t fills_the_pool(void *arg)
{
        ouro_task first = ouro_submit(pool, waits_at_gate, OURO_NO_IN, OURO_NO_OUT);
        ouro_task second = ouro_submit(pool, waits_at_gate, OURO_NO_IN, OURO_NO_OUT);

        (void)arg;
        pthread_barrier_wait(&is_full);
        pthread_barrier_wait(&all_wait);
        expect(ouro_await(first) == 0);
        return ouro_await(second);
}

static void *opens_the_gate(void *arg)
{
        __atomic_store_n(&gate_is_open, 1, __ATOMIC_RELEASE);
        return arg;
}

CASE(f69_a_pool_is_closed_under_those_who_wait_for_room)
{
        for (int round = 0; round < 30; round++) {
                pthread_t threads[5];

                pool = open_pool(1, 1, round % 2 ? -1 : 0);
                gate_is_open = 0;
                pthread_barrier_init(&is_full, NULL, 2);
                pthread_barrier_init(&all_wait, NULL, 5);
                expect(pthread_create(&threads[0], NULL, run_one_loop, (void *)fills_the_pool) == 0);
                pthread_barrier_wait(&is_full);
                for (int i = 1; i < 4; i++)
                        expect(pthread_create(&threads[i], NULL, run_one_loop,
                                              (void *)has_one_that_waits_for_room) == 0);
                pthread_barrier_wait(&all_wait);
                expect(pthread_create(&threads[4], NULL, opens_the_gate, NULL) == 0);
                expect(ouro_executor_close(pool) == 0);
                for (int i = 0; i < 5; i++) {
                        void *result;

                        pthread_join(threads[i], &result);
                        expect(!result);
                }
                pthread_barrier_destroy(&is_full);
                pthread_barrier_destroy(&all_wait);
        }
}

static intptr_t opens_and_closes(void *arg)
{
        int in = 1, out = 0;

        (void)arg;
        for (int i = 0; i < 30; i++) {
                ouro_executor *own = open_pool(2, 0, 0);
                ouro_task task = ouro_submit(own, doubles, OURO_IN(in), OURO_OUT(out));

                if (i % 2)
                        expect(ouro_await(task) == 0);
                expect(ouro_executor_close(own) == 0);
                expect(out == 2);
                out = 0;
        }
        return 0;
}

CASE(f91_pools_are_opened_and_closed_by_several_loops)
{
        run_loops(LOOPS, opens_and_closes);
}
