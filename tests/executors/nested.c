/* nested.c - jobs that wait for jobs, over more than one executor and with more than one worker. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/in_loop.h"
#include "support/leaks.h"

#define main main_of_example
#include "../../docs/examples/inline_executor.c"
#undef main

TestSuite(nested, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static ouro_executor *pool, *here;

static ouro_executor *open_threads(unsigned threads)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *executor = NULL;

        options.threads = threads;
        EQ(ouro_thread_pool_open(&options, &executor), 0);
        return executor;
}

/* ---- others may take what the submitter could run itself ---- */

static int met;

/* Ends only when another is here at the same time. */
static intptr_t meets_another(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        __atomic_add_fetch(&met, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&met, __ATOMIC_SEQ_CST) < 2)
                ouro_job_sleep(job, OURO_US(50));
        return 0;
}

static intptr_t submits_two_that_meet(void *arg)
{
        ouro_task tasks[2];

        (void)arg;
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(pool, meets_another, OURO_NO_IN, OURO_NO_OUT);
        return ouro_gather(tasks, 2, NULL);
}

static intptr_t runs_a_loop(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(submits_two_that_meet, NULL);
}

IN_LOOP(nested, f67_other_workers_take_what_a_job_submits)
{
        pool = open_threads(2);
        EQ(ouro_call(pool, runs_a_loop, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* ---- through another executor on the same thread ---- */

static intptr_t ends(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return (intptr_t)ouro_job_worker(job) + 5;
}

static intptr_t calls_pool(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_call(pool, ends, OURO_NO_IN, OURO_NO_OUT, NULL);
}

static intptr_t goes_through_here(void *arg)
{
        (void)arg;
        return ouro_call(here, calls_pool, OURO_NO_IN, OURO_NO_OUT, NULL);
}

static intptr_t runs_a_loop_that_calls(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(goes_through_here, NULL);
}

IN_LOOP(nested, f67_a_job_that_comes_back_by_another_executor_does_not_wait_for_itself)
{
        here = inline_executor();
        pool = open_threads(1);
        EQ(ouro_call(pool, runs_a_loop_that_calls, OURO_NO_IN, OURO_NO_OUT, NULL), 5);
        EQ(ouro_executor_close(pool), 0);
        EQ(ouro_executor_close(here), 0);
        return 0;
}

static intptr_t closes_pool(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_executor_close_with(pool, OURO_CLOSE_KILL, 0);
}

static intptr_t closes_from_here(void *arg)
{
        (void)arg;
        return ouro_call(here, closes_pool, OURO_NO_IN, OURO_NO_OUT, NULL);
}

static intptr_t runs_a_loop_that_closes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(closes_from_here, NULL);
}

IN_LOOP(nested, f69_a_job_cannot_close_its_executor_by_way_of_another)
{
        here = inline_executor();
        pool = open_threads(1);
        EQ(ouro_call(pool, runs_a_loop_that_closes, OURO_NO_IN, OURO_NO_OUT, NULL), -EDEADLK);
        EQ(ouro_executor_close(pool), 0);
        EQ(ouro_executor_close(here), 0);
        return 0;
}

/* ---- cancelled on the way ---- */

static int counted;

static intptr_t counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
}

/* With a queue of one: some of them the executor has in its queue, some only this loop. */
static intptr_t cancels_all_it_has_submitted(void *arg)
{
        ouro_task tasks[6];
        intptr_t results[6];

        (void)arg;
        for (int i = 0; i < 6; i++)
                tasks[i] = ouro_submit(pool, counts, OURO_NO_IN, OURO_NO_OUT);
        for (int i = 0; i < 6; i++)
                if (i % 2 == 0)
                        EQ(ouro_cancel(tasks[i]), 0);
        ouro_gather(tasks, 6, results);
        for (int i = 0; i < 6; i++)
                cr_assert(i % 2 ? results[i] > 0 : results[i] == -ECANCELED);
        return 0;
}

static intptr_t runs_a_loop_that_cancels(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return ouro_run(cancels_all_it_has_submitted, NULL);
}

IN_LOOP(nested, f67_what_is_cancelled_within_a_job_never_starts_and_is_counted)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct ouro_stats stats = {.size = sizeof stats};

        options.threads = 1;
        options.queue = 1;
        EQ(ouro_thread_pool_open(&options, &pool), 0);
        EQ(ouro_call(pool, runs_a_loop_that_cancels, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        EQ(ouro_call(pool, ends, OURO_NO_IN, OURO_NO_OUT, NULL), 5); /* past what was left in the queue */
        EQ(counted, 3);
        EQ(ouro_executor_stats(pool, &stats), 0);
        EQ(stats.submitted, 8);
        EQ(stats.done, 5);
        EQ(stats.cancelled, 3);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* ---- an executor is its process's ---- */

static intptr_t returns_five(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 5;
}

/* 0, or a bit for each call that did not refuse; an alarm ends what waits. */
static int use_in_child(ouro_executor *executor)
{
        struct ouro_stats stats = {.size = sizeof stats};
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
                alarm(5);
                _exit((ouro_call(executor, returns_five, OURO_NO_IN, OURO_NO_OUT, NULL) != -EPERM) |
                      (ouro_executor_stats(executor, &stats) != -EPERM) << 1 |
                      (ouro_executor_close(executor) != -EPERM) << 2);
        }
        EQ(waitpid(child, &status, 0), child);
        return status;
}

Test(nested, executors_refuse_a_forked_child_and_go_on)
{
        ouro_executor *kinds[] = {open_threads(1), ouro_process_pool(NULL)};

        for (int i = 0; i < 2; i++) {
                EQ(use_in_child(kinds[i]), 0);
                EQ(ouro_call(kinds[i], returns_five, OURO_NO_IN, OURO_NO_OUT, NULL), 5);
                EQ(ouro_executor_close(kinds[i]), 0);
        }
}
