/* denied.c - each allocation fails in turn while jobs of all kinds are submitted: an error comes back,
 * nothing is left, and the next run works. */
#include <errno.h>
#include <stdlib.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(denied, .init = leaks_begin, .fini = leaks_end, .timeout = 110);

static long left_to_give, blocks; /* atomic; less than zero left: all are given */

static void *allocate(size_t bytes, void *arg)
{
        void *block;

        (void)arg;
        if (__atomic_fetch_sub(&left_to_give, 1, __ATOMIC_SEQ_CST) == 0)
                return NULL;
        block = malloc(bytes);
        if (block)
                __atomic_add_fetch(&blocks, 1, __ATOMIC_SEQ_CST);
        return block;
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        __atomic_sub_fetch(&blocks, 1, __ATOMIC_SEQ_CST);
        free(ptr);
}

static intptr_t adds_one(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(int *)out.base = *(const int *)in.base + 1;
        return 0;
}

static ouro_executor *pool;

static intptr_t denied_or(intptr_t result, intptr_t wanted)
{
        cr_assert(result == wanted || result == -ENOMEM, "%ld", (long)result);
        return result;
}

static void submit_all_ways(struct ouro_job_options *options)
{
        int in = 1, out = 0, items[20] = {0}, results[20];
        ouro_task task;

        if (denied_or(ouro_await(ouro_submit(pool, adds_one, OURO_IN(in), OURO_OUT(out))), 0) == 0)
                EQ(out, 2);
        out = 0;
        task = ouro_submit_with(pool, adds_one, OURO_IN(in), OURO_OUT(out), options);
        if (denied_or(ouro_await(task), 0) == 0)
                EQ(out, 2);
        out = 0;
        if (denied_or(ouro_try_submit(pool, adds_one, OURO_IN(in), OURO_OUT(out), options, &task), 0) == 0)
                EQ(ouro_await(task), 0);
        denied_or(ouro_call(pool, adds_one, OURO_IN(in), OURO_OUT(out), options), 0);
        denied_or(ouro_map(pool, adds_one, items, sizeof *items, 20, results, sizeof *results, NULL), 0);
}

static intptr_t submits(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        (void)arg;
        options.deadline_ns = OURO_SEC(1000);
        submit_all_ways(&options);
        options.abandonable = true;
        submit_all_ways(&options);
        return 0;
}

static intptr_t submits_within(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(submits, NULL);
}

/* With one worker, so that what a job submits can only be run by itself. 0 or -ENOMEM. */
static int run_it_all(void)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        int in = 1, out = 0, error;

        options.threads = 1;
        error = ouro_thread_pool_open(&options, &pool);
        if (error < 0)
                return error;
        denied_or(ouro_call(pool, adds_one, OURO_IN(in), OURO_OUT(out), NULL), 0);
        denied_or(ouro_run(submits, NULL), 0);
        denied_or(ouro_call(pool, submits_within, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

Test(denied, f90_each_allocation_of_jobs_fails_in_turn)
{
        const struct ouro_allocator allocator = {allocate, release, NULL};
        bool given = false;

        EQ(ouro_set_allocator(&allocator), 0);
        for (long i = 0; !given; i++) {
                __atomic_store_n(&left_to_give, i, __ATOMIC_SEQ_CST);
                denied_or(run_it_all(), 0);
                given = __atomic_load_n(&left_to_give, __ATOMIC_SEQ_CST) >= 0;
                EQ(__atomic_load_n(&blocks, __ATOMIC_SEQ_CST), 0);
                cr_assert(i < 5000, "the number of allocations has a bound");
        }
        __atomic_store_n(&left_to_give, -1, __ATOMIC_SEQ_CST);
        EQ(run_it_all(), 0);
        EQ(blocks, 0);
        EQ(ouro_set_allocator(NULL), 0);
}
