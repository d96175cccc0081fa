/* suite_loops.c - several loops, their wakes and clocks. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

/* ---- several loops ---- */

enum { LOOPS = 3, ROUNDS = 300, AT_ONCE = 5 };

static int *shared_count;

static intptr_t submits_rounds(void *arg)
{
        intptr_t results[AT_ONCE];
        ouro_task tasks[AT_ONCE];

        (void)arg;
        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < AT_ONCE; i++)
                        tasks[i] = submit_count(shared_count);
                if (round % 7 == 0)
                        ouro_cancel(tasks[round % AT_ONCE]);
                ouro_gather(tasks, AT_ONCE, results);
                for (int i = 0; i < AT_ONCE; i++)
                        if (results[i] == -ECANCELED)
                                __atomic_add_fetch(shared_count, 1, __ATOMIC_SEQ_CST);
                        else if (results[i] != sizeof(int))
                                return -EINVAL;
        }
        return 0;
}

static void *runs_loop(void *arg)
{
        (void)arg;
        return (void *)ouro_run(submits_rounds, NULL);
}

void suite_several_loops_share_one(const struct executor_kind *kind)
{
        pthread_t threads[LOOPS];

        open_pool(kind, 2);
        shared_count = shared(sizeof *shared_count);
        for (int i = 0; i < LOOPS; i++)
                cr_assert(pthread_create(&threads[i], NULL, runs_loop, NULL) == 0);
        for (int i = 0; i < LOOPS; i++) {
                void *result;

                pthread_join(threads[i], &result);
                cr_assert(!result);
        }
        cr_assert(*shared_count == LOOPS * ROUNDS * AT_ONCE, "each ran once or was cancelled: %d",
                  *shared_count);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

/* ---- wakes ---- */

static intptr_t spins_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        unsigned rounds = *(const unsigned *)in.base;

        (void)job, (void)out;
        for (volatile unsigned i = 0; i < rounds; i++)
                ;
        return 0;
}

/* The loop goes to sleep just when the job is done, or a little earlier or later: a wake that got lost would
 * leave it sleeping for ever. */
static intptr_t awaits_jobs_of_all_lengths(void *arg)
{
        unsigned seed = 1;

        (void)arg;
        for (int i = 0; i < 10000; i++) {
                unsigned rounds = (unsigned)rand_r(&seed) % 4000;
                ouro_task task = ouro_submit(tested_pool, spins_a_little, OURO_IN(rounds), OURO_NO_OUT);

                if (i % 3 == 0)
                        ouro_sleep(OURO_US(1));
                if (ouro_await(task) != 0)
                        return -EINVAL;
        }
        return 0;
}

void suite_f40_no_wake_is_lost(const struct executor_kind *kind)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.spin_ns = -1;
        open_pool(kind, 0);
        cr_assert(ouro_run_with(&options, awaits_jobs_of_all_lengths, NULL) == 0);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}

/* ---- the virtual clock ---- */

static bool slept;

static intptr_t sleeps_an_hour(void *arg)
{
        (void)arg;
        ouro_sleep(OURO_SEC(3600));
        slept = true;
        return 0;
}

static intptr_t has_a_job_out(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        ouro_task task = submit_gate(gate), sleeper = ouro_create_task(sleeps_an_hour, NULL);

        (void)arg;
        gate_await_begun(gate, 1);
        ouro_sleep(OURO_MS(2)); /* of real time, as long as a job is out */
        cr_assert(!slept);
        gate_open(gate);
        cr_assert(ouro_await(task) == 0);
        cr_assert(ouro_await(sleeper) == 0);
        cr_assert(ouro_now() >= OURO_SEC(3600));
        return 0;
}

void suite_the_virtual_clock_waits_for_jobs(const struct executor_kind *kind)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        open_pool(kind, 0);
        cr_assert(ouro_run_with(&options, has_a_job_out, NULL) == 0);
        cr_assert(ouro_executor_close(tested_pool) == 0);
}
