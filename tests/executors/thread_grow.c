/* thread_grow.c - the thread pool: priorities, pools that grow and shrink, statistics, and jobs within jobs.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <ouro.h>

#include "executors/suite.h"
#include "support/leaks.h"

static ouro_executor *pool;

static ouro_executor *open_threads(unsigned threads, unsigned threads_max, unsigned queue)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *executor = NULL;

        options.threads = threads;
        options.threads_max = threads_max;
        options.queue = queue;
        options.idle_ns = OURO_MS(2);
        cr_assert(ouro_thread_pool_open(&options, &executor) == 0);
        return executor;
}

static void run(ouro_fn *fn)
{
        cr_assert(ouro_run(fn, NULL) == 0);
}

static struct ouro_stats stats_now(void)
{
        struct ouro_stats stats = {.size = sizeof stats};

        cr_assert(ouro_executor_stats(pool, &stats) == 0);
        return stats;
}

static ouro_task submit_to_gate(struct gate *gate)
{
        return ouro_submit(pool, job_waits_at_gate, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

/* ---- priorities ---- */

static char order[64];
static int order_len; /* atomic */

static intptr_t notes_itself(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        order[__atomic_fetch_add(&order_len, 1, __ATOMIC_SEQ_CST)] = *(const char *)in.base;
        return 0;
}

static ouro_task submit_note(const char *letter, enum ouro_priority priority)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.priority = priority;
        return ouro_submit_with(pool, notes_itself, ouro_in(letter, 1), OURO_NO_OUT, &options);
}

static intptr_t submits_by_priority(void *arg)
{
        static const char letters[] = "abcdefghi";
        struct gate gate = {0, 0};
        ouro_task tasks[10];

        (void)arg;
        pool = open_threads(1, 0, 0);
        tasks[9] = submit_to_gate(&gate);
        gate_await_begun(&gate, 1);
        for (int i = 0; i < 9; i++)
                tasks[i] = submit_note(&letters[i], (enum ouro_priority)(i % 3 - 1));
        gate_open(&gate);
        cr_assert(ouro_gather(tasks, 10, NULL) == 0);
        cr_assert_str_eq(order, "cfibehadg");
        return ouro_executor_close(pool);
}

Test(thread_grow, higher_priorities_begin_first_and_each_is_first_come_first_served)
{
        run(submits_by_priority);
}

static intptr_t fills_with_all_priorities(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate gate = {0, 0};
        ouro_task tasks[4], refused;

        (void)arg;
        pool = open_threads(1, 0, 3);
        tasks[0] = submit_to_gate(&gate);
        gate_await_begun(&gate, 1);
        for (int i = 0; i < 3; i++)
                tasks[i + 1] = submit_note("x", (enum ouro_priority)(i - 1));
        for (int i = 0; i < 3; i++) {
                options.priority = (enum ouro_priority)(i - 1);
                cr_assert(ouro_try_submit(pool, notes_itself, ouro_in("y", 1), OURO_NO_OUT, &options,
                                          &refused) == -EAGAIN);
        }
        cr_assert(stats_now().queued == 3);
        gate_open(&gate);
        cr_assert(ouro_gather(tasks, 4, NULL) == 0);
        cr_assert_str_eq(order, "xxx");
        return ouro_executor_close(pool);
}

Test(thread_grow, f70_the_bound_of_the_queue_counts_for_all_priorities_together)
{
        run(fills_with_all_priorities);
}

/* ---- growing ---- */

static int met;

/* None of n ends before all have begun. */
static intptr_t waits_for_company(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int n = *(const int *)in.base;

        (void)out;
        __atomic_add_fetch(&met, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&met, __ATOMIC_SEQ_CST) < n)
                ouro_job_sleep(job, OURO_US(20));
        return (intptr_t)ouro_job_worker(job);
}

/* Returns which workers they were, as bits. */
static unsigned meet(int n)
{
        ouro_task tasks[8];
        intptr_t numbers[8];
        unsigned workers = 0;

        met = 0;
        for (int i = 0; i < n; i++)
                tasks[i] = ouro_submit(pool, waits_for_company, OURO_IN(n), OURO_NO_OUT);
        cr_assert(ouro_gather(tasks, (size_t)n, numbers) == 0);
        for (int i = 0; i < n; i++)
                workers |= 1u << numbers[i];
        return workers;
}

static intptr_t needs_eight(void *arg)
{
        (void)arg;
        pool = open_threads(1, 8, 0);
        cr_assert(stats_now().workers == 1);
        cr_assert(meet(8) == 0xff, "each job had a worker of its own");
        return ouro_executor_close(pool);
}

Test(thread_grow, f67_workers_are_started_while_all_are_blocked_and_jobs_wait, .init = leaks_begin,
     .fini = leaks_end)
{
        run(needs_eight);
}

static intptr_t needs_five_of_three(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task tasks[5];

        (void)arg;
        pool = open_threads(2, 3, 0);
        for (int i = 0; i < 5; i++)
                tasks[i] = submit_to_gate(&gate);
        gate_await_begun(&gate, 3);
        cr_assert(ouro_sleep(OURO_MS(10)) == 0); /* several times as long as it takes to start one */
        cr_assert(__atomic_load_n(&gate.began, __ATOMIC_SEQ_CST) == 3);
        cr_assert(stats_now().workers == 3 && stats_now().running == 3 && stats_now().idle == 0);
        cr_assert(stats_now().queued == 2);
        gate_open(&gate);
        cr_assert(ouro_gather(tasks, 5, NULL) == 0);
        return ouro_executor_close(pool);
}

Test(thread_grow, no_more_are_started_than_threads_max)
{
        run(needs_five_of_three);
}

static intptr_t has_work_for_one(void *arg)
{
        struct gate gate = {0, 0};
        ouro_task task;

        (void)arg;
        pool = open_threads(1, 8, 0);
        task = submit_to_gate(&gate);
        gate_await_begun(&gate, 1);
        cr_assert(ouro_sleep(OURO_MS(10)) == 0);
        while (stats_now().workers != 1) /* one may have come because the first was slow to begin */
                cr_assert(ouro_sleep(OURO_MS(1)) == 0);
        cr_assert(ouro_sleep(OURO_MS(10)) == 0);
        cr_assert(stats_now().workers == 1, "nothing waits");
        gate_open(&gate);
        cr_assert(ouro_await(task) == 0);
        return ouro_executor_close(pool);
}

Test(thread_grow, none_is_started_while_no_job_waits)
{
        run(has_work_for_one);
}

static intptr_t closes_while_they_meet(void *arg)
{
        int n = 4;
        ouro_task tasks[4];

        (void)arg;
        pool = open_threads(1, 4, 0);
        met = 0;
        for (int i = 0; i < n; i++)
                tasks[i] = ouro_submit(pool, waits_for_company, OURO_IN(n), OURO_NO_OUT);
        cr_assert(ouro_executor_close(pool) == 0);
        return ouro_gather(tasks, 4, NULL);
}

Test(thread_grow, f69_workers_are_started_while_it_closes_too)
{
        run(closes_while_they_meet);
}

static int finalized;

static intptr_t counts_finalized(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return __atomic_add_fetch(&finalized, 1, __ATOMIC_SEQ_CST);
}

static intptr_t grows_and_shrinks(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        (void)arg;
        options.threads = 2;
        options.threads_max = 5;
        options.idle_ns = OURO_MS(1);
        options.finalizer = counts_finalized;
        pool = ouro_thread_pool(&options);
        for (int round = 1; round <= 3; round++) {
                cr_assert(meet(5) == 0x1f);
                while (stats_now().workers > 2)
                        cr_assert(ouro_sleep(OURO_MS(1)) == 0);
                cr_assert(ouro_sleep(OURO_MS(5)) == 0);
                cr_assert(stats_now().workers == 2, "those that are always there stay");
                while (__atomic_load_n(&finalized, __ATOMIC_SEQ_CST) < 3 * round)
                        cr_assert(ouro_sleep(OURO_MS(1)) == 0);
        }
        cr_assert(ouro_executor_close(pool) == 0);
        return finalized == 3 * 3 + 2 ? 0 : -EINVAL;
}

Test(thread_grow, idle_workers_beyond_the_least_number_end_and_come_again, .init = leaks_begin,
     .fini = leaks_end)
{
        run(grows_and_shrinks);
}

static long address_space_bytes(void)
{
        FILE *file = fopen("/proc/self/statm", "re");
        long pages = 0;

        cr_assert(file && fscanf(file, "%ld", &pages) == 1);
        fclose(file);
        return pages * sysconf(_SC_PAGESIZE);
}

static intptr_t cannot_grow(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct gate gate = {0, 0};
        ouro_task tasks[2];
        struct rlimit old, tight;

        (void)arg;
        options.threads = 1;
        options.threads_max = 2;
        options.stack_bytes = 64 << 20;
        pool = ouro_thread_pool(&options);
        tasks[0] = submit_to_gate(&gate);
        gate_await_begun(&gate, 1);
        cr_assert(getrlimit(RLIMIT_AS, &old) == 0);
        tight = (struct rlimit){(rlim_t)address_space_bytes() + (32 << 20), old.rlim_max};
        cr_assert(setrlimit(RLIMIT_AS, &tight) == 0);
        tasks[1] = submit_to_gate(&gate);
        cr_assert(ouro_sleep(OURO_MS(10)) == 0);
        cr_assert(stats_now().workers == 1 && stats_now().queued == 1);
        gate_open(&gate);
        cr_assert(ouro_gather(tasks, 2, NULL) == 0, "the pool goes on with those it has");
        cr_assert(setrlimit(RLIMIT_AS, &old) == 0);
        return ouro_executor_close(pool);
}

Test(thread_grow, f90_a_worker_that_cannot_be_started_is_no_error)
{
        run(cannot_grow);
}

/* ---- jobs within jobs ---- */

static intptr_t counts_down(struct ouro_job *job, struct ouro_in in, struct ouro_out out);

static intptr_t submits_two_less(void *arg)
{
        int less = *(const int *)arg - 1;
        intptr_t results[2];
        ouro_task tasks[2];

        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(pool, counts_down, OURO_IN(less), OURO_NO_OUT);
        cr_assert(ouro_gather(tasks, 2, results) == 0);
        return results[0] + results[1] + 1;
}

/* The number of jobs in a tree of that height, each of which waits for the two below it. */
static intptr_t counts_down(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int height = *(const int *)in.base;

        (void)job, (void)out;
        return height == 0 ? 1 : ouro_run(submits_two_less, (void *)in.base);
}

static intptr_t awaits_tree(void *arg)
{
        int height = 4;

        (void)arg;
        return ouro_await(ouro_submit(pool, counts_down, OURO_IN(height), OURO_NO_OUT)) == 31 ? 0 : -EINVAL;
}

static void run_tree(unsigned threads, unsigned threads_max, unsigned queue)
{
        pool = open_threads(threads, threads_max, queue);
        run(awaits_tree);
        cr_assert(ouro_executor_close(pool) == 0);
}

Test(thread_grow, f67_a_tree_of_jobs_that_wait_ends_with_one_worker)
{
        run_tree(1, 0, 0);
}

Test(thread_grow, f67_a_tree_of_jobs_that_wait_ends_with_two_workers)
{
        run_tree(2, 0, 0);
}

Test(thread_grow, f67_a_tree_of_jobs_that_wait_ends_with_room_for_one)
{
        run_tree(1, 0, 1);
}

Test(thread_grow, f67_a_tree_of_jobs_that_wait_ends_while_the_pool_grows)
{
        run_tree(1, 4, 2);
}

/* ---- statistics ---- */

static intptr_t sleeps_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return ouro_job_sleep(job, OURO_MS(1));
}

static uint64_t sum(const uint64_t *buckets, unsigned first)
{
        uint64_t total = 0;

        for (unsigned i = first; i < OURO_STATS_BUCKETS; i++)
                total += buckets[i];
        return total;
}

static intptr_t times_jobs(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct ouro_stats stats;
        ouro_task tasks[6];

        options.threads = 1;
        options.timings = arg != NULL;
        pool = ouro_thread_pool(&options);
        for (int i = 0; i < 6; i++)
                tasks[i] = ouro_submit(pool, sleeps_a_little, OURO_NO_IN, OURO_NO_OUT);
        cr_assert(ouro_gather(tasks, 6, NULL) == 0);
        stats = stats_now();
        cr_assert(stats.done == 6 && stats.submitted == 6);
        if (arg) { /* 2^19 ns are about half a millisecond */
                cr_assert(sum(stats.run_ns, 0) == 6 && sum(stats.run_ns, 19) == 6);
                cr_assert(sum(stats.wait_ns, 0) == 6 && sum(stats.wait_ns, 19) >= 5,
                          "all but the first waited for others");
        } else {
                cr_assert(sum(stats.run_ns, 0) == 0 && sum(stats.wait_ns, 0) == 0);
        }
        return ouro_executor_close(pool);
}

Test(thread_grow, timings_tell_how_long_jobs_waited_and_ran)
{
        cr_assert(ouro_run(times_jobs, &pool) == 0);
}

Test(thread_grow, without_timings_no_clock_is_read)
{
        cr_assert(ouro_run(times_jobs, NULL) == 0);
}

static intptr_t looks_at_an_idle_pool(void *arg)
{
        struct ouro_stats stats;

        (void)arg;
        pool = open_threads(3, 5, 0);
        stats = stats_now();
        cr_assert(stats.workers == 3 && stats.idle == 3 && stats.running == 0 && stats.queued == 0);
        cr_assert(stats.restarts == 0 && stats.recycled == 0 && stats.retried == 0);
        return ouro_executor_close(pool);
}

Test(thread_grow, an_idle_pool_says_so)
{
        run(looks_at_an_idle_pool);
}
