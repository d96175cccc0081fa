/* thread_pools.c - what users of other thread pools rely on (Python's concurrent.futures and pebble): jobs
 * that nobody waits for, saturated pools, forks among threads, pools that are stopped, and maps over threads.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(thread_pools, .init = leaks_begin, .fini = leaks_end, .timeout = 120);

static ouro_executor *open_from(unsigned threads, unsigned threads_max)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool = NULL;

        options.threads = threads;
        options.threads_max = threads_max;
        EQ(ouro_thread_pool_open(&options, &pool), 0);
        return pool;
}

static uint64_t workers(ouro_executor *pool)
{
        struct ouro_stats stats = {.size = sizeof stats};

        EQ(ouro_executor_stats(pool, &stats), 0);
        return stats.workers;
}

/* ---- jobs ---- */

static int gate;         /* atomic: open */
static int begun, ended; /* atomic: of those that wait at it */

static intptr_t waits_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate, __ATOMIC_SEQ_CST) && !ouro_job_cancelled(job))
                ouro_job_sleep(job, OURO_US(50));
        __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
        return ouro_job_cancelled(job) ? -ECANCELED : 0;
}

static void await_begun(int n)
{
        while (__atomic_load_n(&begun, __ATOMIC_SEQ_CST) < n)
                EQ(ouro_sleep(OURO_US(50)), 0);
}

static void open_gate(void)
{
        __atomic_store_n(&gate, 1, __ATOMIC_SEQ_CST);
}

static intptr_t doubles(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int number = *(const int *)in.base;

        (void)job;
        if (number < 0)
                return -EDOM;
        if (out.len)
                *(int *)out.base = 2 * number;
        return number;
}

static intptr_t fails(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return -EDOM;
}

/* ---- jobs that nobody waits for ---- */

static int done[10];

static intptr_t marks(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        return ++done[*(const int *)in.base];
}

IN_LOOP(thread_pools, closing_does_all_that_was_submitted_although_nobody_waits)
{
        ouro_executor *pool = open_from(2, 0);
        static int numbers[10];

        for (int i = 0; i < 10; i++) {
                numbers[i] = i;
                ouro_submit(pool, marks, OURO_IN(numbers[i]), OURO_NO_OUT);
        }
        EQ(ouro_executor_close(pool), 0);
        for (int i = 0; i < 10; i++)
                EQ(done[i], 1);
        return 0;
}

IN_LOOP(thread_pools, a_job_that_fails_does_not_hurt_the_next)
{
        ouro_executor *pool = open_from(1, 0);
        int one = 1, two = 0;

        EQ(ouro_await(ouro_submit(pool, fails, OURO_NO_IN, OURO_NO_OUT)), -EDOM);
        EQ(ouro_await(ouro_submit(pool, doubles, OURO_IN(one), OURO_OUT(two))), 1);
        EQ(two, 2);
        return ouro_executor_close(pool);
}

/* ---- how many threads ---- */

IN_LOOP(thread_pools, a_saturated_pool_has_as_many_threads_as_it_may)
{
        ouro_executor *pool = open_from(4, 0);
        ouro_task tasks[60];

        for (int i = 0; i < 60; i++)
                tasks[i] = ouro_submit(pool, waits_at_gate, OURO_NO_IN, OURO_NO_OUT);
        await_begun(4);
        EQ(workers(pool), 4);
        EQ(begun, 4);
        open_gate();
        EQ(ouro_gather(tasks, 60, NULL), 0);
        EQ(ended, 60);
        return ouro_executor_close(pool);
}

IN_LOOP(thread_pools, one_job_after_the_other_does_not_make_a_pool_grow)
{
        ouro_executor *pool = open_from(1, 8);

        for (int i = 0; i < 300; i++)
                EQ(ouro_await(ouro_submit(pool, doubles, OURO_IN(i), OURO_NO_OUT)), i);
        cr_assert(workers(pool) <= 3, "on a busy machine one may be kept from its CPU after a job");
        return ouro_executor_close(pool);
}

static intptr_t tells_worker(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        *(pthread_t *)out.base = pthread_self();
        waits_at_gate(job, in, out);
        return (intptr_t)ouro_job_worker(job);
}

IN_LOOP(thread_pools, two_workers_are_two_threads_with_two_numbers)
{
        ouro_executor *pool = open_from(2, 0);
        pthread_t threads[2];
        intptr_t numbers[2];
        ouro_task tasks[2];

        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(pool, tells_worker, OURO_NO_IN, OURO_OUT(threads[i]));
        await_begun(2);
        open_gate();
        EQ(ouro_gather(tasks, 2, numbers), 0);
        cr_assert(!pthread_equal(threads[0], threads[1]));
        EQ(numbers[0] + numbers[1], 1);
        return ouro_executor_close(pool);
}

/* ---- forks among threads ---- */

/* In the child: a pool of its own, whatever the threads of its parent held as it was forked. */
static int uses_a_pool(void)
{
        ouro_executor *pool = open_from(2, 0);
        int one = 1, two = 0;

        if (ouro_call(pool, doubles, OURO_IN(one), OURO_OUT(two), NULL) != 1 || two != 2)
                return 1;
        return ouro_executor_close(pool) == 0 ? 0 : 2;
}

static intptr_t forks(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int status = -1;
        pid_t child;

        (void)job, (void)in, (void)out;
        for (int i = 0; i < 50; i++) {
                child = fork();
                if (child == 0)
                        _exit(uses_a_pool());
                if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
                        return -EINVAL;
        }
        return 0;
}

IN_LOOP(thread_pools, f78_a_job_forks_while_others_come_and_go)
{
        ouro_executor *pool = open_from(3, 0);
        ouro_task forking = ouro_submit(pool, forks, OURO_NO_IN, OURO_NO_OUT);

        for (int i = 0; ouro_task_state(forking) != OURO_STATE_ENDED; i++)
                EQ(ouro_await(ouro_submit(pool, doubles, OURO_IN(i), OURO_NO_OUT)), i);
        EQ(ouro_await(forking), 0);
        return ouro_executor_close(pool);
}

/* ---- stopping ---- */

IN_LOOP(thread_pools, closing_gives_up_as_often_as_it_is_asked_to)
{
        ouro_executor *pool = open_from(1, 0);
        intptr_t results[2];
        ouro_task tasks[2];

        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(pool, waits_at_gate, OURO_NO_IN, OURO_NO_OUT);
        await_begun(1);
        for (int i = 0; i < 3; i++)
                EQ(ouro_executor_close_with(pool, OURO_CLOSE_WAIT, OURO_MS(1)), -ETIME);
        EQ(begun, 1);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER), 0);
        EQ(ouro_gather(tasks, 2, results), -ECANCELED);
        EQ(results[0], -ECANCELED);
        EQ(results[1], -ECANCELED);
        EQ(begun, 1);
        return 0;
}

static ouro_executor *stopped;

static intptr_t stops_after_a_job(void *arg)
{
        int one = 1;

        (void)arg;
        EQ(ouro_await(ouro_submit(stopped, doubles, OURO_IN(one), OURO_NO_OUT)), 1);
        return ouro_executor_close_with(stopped, OURO_CLOSE_KILL, OURO_FOREVER);
}

static intptr_t is_deaf(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate, __ATOMIC_SEQ_CST))
                usleep(50);
        return 0;
}

/* A job that does not look at its token holds the pool until all know. */
IN_LOOP(thread_pools, f69_a_pool_is_stopped_by_a_completion_while_others_submit)
{
        ouro_task holder, stopper;
        intptr_t result;
        int i = 0;

        stopped = open_from(2, 0);
        holder = ouro_submit(stopped, is_deaf, OURO_NO_IN, OURO_NO_OUT);
        await_begun(1);
        stopper = ouro_create_task(stops_after_a_job, NULL);
        do
                result = ouro_await(ouro_submit(stopped, doubles, OURO_IN(i), OURO_NO_OUT));
        while (result == i++ || result == -ECANCELED);
        EQ(result, -ESHUTDOWN);
        open_gate();
        EQ(ouro_await(stopper), 0);
        EQ(ouro_await(holder), 0);
        return 0;
}

/* ---- maps ---- */

static const int numbers[5] = {1, 2, 3, 4, 5};

static int map_chunk(ouro_executor *pool, size_t n, size_t chunk, int *results)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;

        options.chunk = chunk;
        return ouro_map(pool, doubles, numbers, sizeof *numbers, n, results, sizeof *results, &options);
}

IN_LOOP(thread_pools, maps_of_any_length_in_chunks_of_any_length_give_every_result)
{
        ouro_executor *pool = open_from(2, 0);

        for (size_t n = 0; n <= 5; n++)
                for (size_t chunk = 0; chunk <= 7; chunk++) {
                        int results[5] = {0};

                        EQ(map_chunk(pool, n, chunk, results), 0);
                        for (size_t i = 0; i < 5; i++)
                                EQ(results[i], i < n ? 2 * numbers[i] : 0);
                }
        return ouro_executor_close(pool);
}

IN_LOOP(thread_pools, errors_of_items_do_not_stop_a_map_that_wants_every_value)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        ouro_executor *pool = open_from(2, 0);
        const int mixed[] = {1, -1, 3};
        int results[3] = {0};
        intptr_t values[3];

        options.ret_values = values;
        EQ(ouro_map(pool, doubles, mixed, sizeof *mixed, 3, results, sizeof *results, &options), 0);
        EQ(values[0], 1);
        EQ(values[1], -EDOM);
        EQ(values[2], 3);
        EQ(results[0], 2);
        EQ(results[2], 6);
        return ouro_executor_close(pool);
}

IN_LOOP(thread_pools, a_map_that_is_cut_short_behind_another_job_begins_none_of_its_items)
{
        ouro_executor *pool = open_from(1, 0);
        ouro_task first = ouro_submit(pool, waits_at_gate, OURO_NO_IN, OURO_NO_OUT);
        int error = 0;

        await_begun(1);
        OURO_TIMEOUT(OURO_MS(1))
                error = ouro_map(pool, waits_at_gate, numbers, sizeof *numbers, 2, NULL, 0, NULL);
        EQ(error, -ETIME);
        open_gate();
        EQ(ouro_await(first), 0);
        EQ(ouro_executor_close(pool), 0);
        EQ(begun, 1);
        return 0;
}
