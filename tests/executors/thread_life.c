/* thread_life.c - the thread pool: what its threads are made with, how they begin and end, and closing in a
 * hurry. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ouro.h>

#include "executors/suite.h"
#include "support/leaks.h"

static ouro_executor *pool;

static void run(ouro_fn *fn)
{
        cr_assert(ouro_run(fn, NULL) == 0);
}

static ouro_task submit_to_gate(struct gate *gate)
{
        return ouro_submit(pool, job_waits_at_gate, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

/* ---- options ---- */

static int open_options(struct ouro_thread_options options)
{
        ouro_executor *executor = NULL;
        int error = ouro_thread_pool_open(&options, &executor);

        cr_assert(error == 0 ? executor != NULL : !executor, "untouched on failure");
        if (executor)
                cr_assert(ouro_executor_close(executor) == 0);
        return error;
}

#define OPENED_WITH(...)                                                                                     \
        open_options((struct ouro_thread_options){.size = sizeof(struct ouro_thread_options), __VA_ARGS__})

Test(thread_life, options_in_range_are_taken, .init = leaks_begin, .fini = leaks_end)
{
        int number = 1;

        cr_assert(OPENED_WITH(.threads_max = 1) == 0, "then there are not more by default either");
        cr_assert(OPENED_WITH(.threads = 2, .threads_max = 2) == 0);
        cr_assert(OPENED_WITH(.threads = 1, .threads_max = 4096) == 0);
        cr_assert(OPENED_WITH(.idle_ns = OURO_FOREVER) == 0);
        cr_assert(OPENED_WITH(.nice = 39) == 0);
        cr_assert(OPENED_WITH(.in = OURO_IN(number)) == 0);
}

Test(thread_life, options_out_of_range_are_refused, .init = leaks_begin, .fini = leaks_end)
{
        cr_assert(OPENED_WITH(.threads = 3, .threads_max = 2) == -EINVAL);
        cr_assert(OPENED_WITH(.threads_max = 4097) == -EINVAL);
        cr_assert(OPENED_WITH(.idle_ns = -1) == -EINVAL);
        cr_assert(OPENED_WITH(.nice = 40) == -EINVAL);
        cr_assert(OPENED_WITH(.nice = -40) == -EINVAL);
        cr_assert(OPENED_WITH(.in = {NULL, 1}) == -EINVAL);
}

/* ---- nice ---- */

static int nice_here(void)
{
        return 20 - (int)syscall(SYS_getpriority, PRIO_PROCESS, syscall(SYS_gettid));
}

static intptr_t tells_nice(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        *(int *)out.base = nice_here();
        return 0;
}

static intptr_t asks_for_nice(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        int before = nice_here(), in_worker = 0;

        (void)arg;
        options.threads = 1;
        options.nice = 3;
        pool = ouro_thread_pool(&options);
        cr_assert(ouro_await(ouro_submit(pool, tells_nice, OURO_NO_IN, OURO_OUT(in_worker))) == 0);
        cr_assert(in_worker == (before + 3 > 19 ? 19 : before + 3), "%d", in_worker);
        cr_assert(nice_here() == before);
        return ouro_executor_close(pool);
}

Test(thread_life, threads_are_as_nice_as_asked_and_nobody_else)
{
        run(asks_for_nice);
}

Test(thread_life, a_nice_value_that_is_refused_leaves_no_thread, .init = leaks_begin, .fini = leaks_end)
{
        const struct rlimit none = {0, 0};

        cr_assert(setrlimit(RLIMIT_NICE, &none) == 0);
        if (geteuid() == 0)
                cr_assert(seteuid(65534) == 0); /* without CAP_SYS_NICE */
        cr_assert(OPENED_WITH(.threads = 3, .nice = -1) == -EACCES);
        if (getuid() == 0)
                cr_assert(seteuid(0) == 0);
}

/* ---- initializer and finalizer ---- */

/* What a worker keeps. */
struct own {
        pthread_t thread;
        int jobs;
};

static int begun, ended, jobs_of_ended; /* atomic */

static intptr_t makes_own(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct own *own = calloc(1, sizeof *own);

        (void)out;
        cr_assert(!ouro_job_state(job) && in.len == 6 && memcmp(in.base, "begin", 6) == 0);
        cr_assert(!ouro_this_loop() && !ouro_job_cancelled(job) && ouro_job_worker(job) < 3);
        own->thread = pthread_self();
        ouro_job_set_state(job, own);
        return __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
}

static intptr_t frees_own(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct own *own = ouro_job_state(job);

        (void)out;
        cr_assert(in.len == 6 && memcmp(in.base, "begin", 6) == 0);
        cr_assert(pthread_equal(own->thread, pthread_self()));
        __atomic_add_fetch(&jobs_of_ended, own->jobs, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
        free(own);
        return 0;
}

static intptr_t counts_in_own(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct own *own = ouro_job_state(job);

        (void)in, (void)out;
        cr_assert(own && pthread_equal(own->thread, pthread_self()));
        return ++own->jobs;
}

static intptr_t uses_workers_with_state(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        char in[] = "begin";
        ouro_task tasks[60];

        (void)arg;
        options.threads = 3;
        options.initializer = makes_own;
        options.finalizer = frees_own;
        options.in = OURO_IN(in);
        pool = ouro_thread_pool(&options);
        memset(in, 'x', sizeof in); /* it was copied */
        for (int i = 0; i < 60; i++)
                tasks[i] = ouro_submit(pool, counts_in_own, OURO_NO_IN, OURO_NO_OUT);
        cr_assert(ouro_gather(tasks, 60, NULL) == 0);
        cr_assert(ended == 0);
        cr_assert(ouro_executor_close(pool) == 0);
        cr_assert(begun == 3 && ended == 3 && jobs_of_ended == 60);
        return 0;
}

Test(thread_life, each_worker_is_initialized_before_its_first_job_and_finalized_after_its_last)
{
        run(uses_workers_with_state);
}

static int logged;
static char log_text[256];

static void keeps_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)arg;
        cr_assert(level == OURO_LOG_ERROR);
        if (__atomic_fetch_add(&logged, 1, __ATOMIC_SEQ_CST) == 0)
                strncpy(log_text, message, sizeof log_text - 1);
}

static intptr_t fails_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate;

        (void)job, (void)out;
        memcpy(&gate, in.base, sizeof gate);
        while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST))
                ouro_job_sleep(job, OURO_US(20));
        return -EDOM;
}

static int ran;

static intptr_t must_not_run(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return __atomic_add_fetch(&ran, 1, __ATOMIC_SEQ_CST);
}

static intptr_t submits_forbidden(void *arg)
{
        (void)arg;
        return ouro_await(ouro_submit(pool, must_not_run, OURO_NO_IN, OURO_NO_OUT));
}

/* More submit than there is room for, before the initializers fail. */
static intptr_t breaks_it(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct gate gate = {0, 0}, *to_gate = &gate;
        intptr_t results[5];
        ouro_task tasks[5];

        (void)arg;
        options.threads = 2;
        options.queue = 2;
        options.initializer = fails_at_gate;
        options.finalizer = must_not_run;
        options.in = ouro_in(&to_gate, sizeof to_gate);
        options.name = "doomed";
        pool = ouro_thread_pool(&options);
        for (int i = 0; i < 5; i++)
                tasks[i] = ouro_create_task(submits_forbidden, NULL);
        cr_assert(ouro_sleep(OURO_MS(1)) == 0);
        gate_open(&gate);
        cr_assert(ouro_gather(tasks, 5, results) == -ENOTRECOVERABLE);
        for (int i = 0; i < 5; i++)
                cr_assert(results[i] == -ENOTRECOVERABLE, "%zd", results[i]);
        for (int i = 0; i < 3; i++)
                cr_assert(submits_forbidden(NULL) == -ENOTRECOVERABLE);
        cr_assert(ouro_executor_close(pool) == 0);
        cr_assert(ran == 0 && logged == 1, "%d %d", ran, logged);
        cr_assert(strstr(log_text, "doomed") && strstr(log_text, "broken"), "%s", log_text);
        return 0;
}

Test(thread_life, an_initializer_that_fails_breaks_the_pool_and_one_line_says_so, .init = leaks_begin,
     .fini = leaks_end)
{
        ouro_set_log(keeps_log, NULL);
        run(breaks_it);
}

/* A later worker may be started because the first is slow to begin: it fails when that runs a job. */
static intptr_t fails_in_the_second(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate;

        (void)out;
        memcpy(&gate, in.base, sizeof gate);
        if (ouro_job_worker(job) == 0)
                return 0;
        while (__atomic_load_n(&gate->began, __ATOMIC_SEQ_CST) == 0)
                ouro_job_sleep(job, OURO_US(20));
        return -EDOM;
}

static intptr_t breaks_while_it_grows(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct gate gate = {0, 0}, *to_gate = &gate;
        ouro_task running, queued;

        (void)arg;
        options.threads = 1;
        options.threads_max = 2;
        options.in = ouro_in(&to_gate, sizeof to_gate);
        options.initializer = fails_in_the_second;
        pool = ouro_thread_pool(&options);
        running = submit_to_gate(&gate);
        gate_await_begun(&gate, 1);
        queued = ouro_submit(pool, must_not_run, OURO_NO_IN, OURO_NO_OUT);
        cr_assert(ouro_await(queued) == -ENOTRECOVERABLE);
        gate_open(&gate);
        cr_assert(ouro_await(running) == 0, "what ran keeps its result");
        cr_assert(submits_forbidden(NULL) == -ENOTRECOVERABLE && ran == 0 && logged == 1);
        return ouro_executor_close(pool);
}

Test(thread_life, an_initializer_that_fails_in_a_later_worker_breaks_the_pool_too)
{
        ouro_set_log(keeps_log, NULL);
        run(breaks_while_it_grows);
}

static intptr_t closes_its_own_pool(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        ouro_executor *own;

        (void)job, (void)out;
        while (!(own = __atomic_load_n(*(ouro_executor *const *const *)in.base, __ATOMIC_SEQ_CST)))
                ouro_job_sleep(job, OURO_US(20));
        return ouro_executor_close(own) == -EDEADLK ? 0 : -EINVAL;
}

Test(thread_life, f69_an_initializer_cannot_close_its_pool)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        static ouro_executor *own, **to_own = &own;
        ouro_executor *opened;

        ouro_set_log(keeps_log, NULL);
        options.initializer = closes_its_own_pool;
        options.in = ouro_in(&to_own, sizeof to_own);
        cr_assert(ouro_thread_pool_open(&options, &opened) == 0);
        __atomic_store_n(&own, opened, __ATOMIC_SEQ_CST);
        cr_assert(ouro_executor_close(opened) == 0);
        cr_assert(logged == 0);
}

/* ---- closing in a hurry ---- */

static intptr_t sleeps_until_asked(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = out.base;

        (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        return ouro_job_sleep(job, OURO_FOREVER);
}

static void open_three(void)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        options.threads = 3;
        pool = ouro_thread_pool(&options);
        cr_assert(pool);
}

static intptr_t is_killed(void *arg)
{
        struct gate gate = {0, 0};
        intptr_t results[10];
        ouro_task tasks[10];

        (void)arg;
        open_three();
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_submit(pool, sleeps_until_asked, OURO_NO_IN, OURO_OUT(gate));
        gate_await_begun(&gate, 3);
        for (int i = 3; i < 10; i++)
                tasks[i] = ouro_submit(pool, must_not_run, OURO_NO_IN, OURO_NO_OUT);
        cr_assert(ouro_executor_close_with(pool, OURO_CLOSE_CANCEL, OURO_MS(1)) == -ETIME);
        cr_assert(ouro_await(ouro_submit(pool, must_not_run, OURO_NO_IN, OURO_NO_OUT)) == -ESHUTDOWN);
        for (int i = 3; i < 10; i++)
                cr_assert(ouro_task_state(tasks[i]) == OURO_STATE_ENDED);
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_task_state(tasks[i]) == OURO_STATE_WAITING, "what runs goes on");
        cr_assert(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER) == 0);
        cr_assert(ouro_gather(tasks, 10, results) == -ECANCELED);
        for (int i = 0; i < 10; i++)
                cr_assert(results[i] == -ECANCELED);
        return ran;
}

Test(thread_life, f68_closing_in_a_hurry_cancels_what_waits_and_asks_what_runs, .init = leaks_begin,
     .fini = leaks_end)
{
        run(is_killed);
}

static intptr_t counts_as_cancelled(void *arg)
{
        struct ouro_stats stats = {.size = sizeof stats};
        struct gate gate = {0, 0};
        ouro_task tasks[5];

        (void)arg;
        open_three();
        for (int i = 0; i < 3; i++)
                tasks[i] = submit_to_gate(&gate);
        gate_await_begun(&gate, 3);
        for (int i = 3; i < 5; i++)
                tasks[i] = ouro_submit(pool, must_not_run, OURO_NO_IN, OURO_NO_OUT);
        cr_assert(ouro_executor_close_with(pool, OURO_CLOSE_CANCEL, 0) == -ETIME);
        cr_assert(ouro_executor_stats(pool, &stats) == 0);
        cr_assert(stats.cancelled == 2 && stats.failed == 0 && stats.running == 3 && stats.queued == 0);
        gate_open(&gate);
        cr_assert(ouro_executor_close_with(pool, OURO_CLOSE_WAIT, OURO_FOREVER) == 0);
        cr_assert(ouro_gather(tasks, 3, NULL) == 0, "they were not asked");
        return ouro_gather(tasks + 3, 2, NULL) == -ECANCELED ? 0 : -EINVAL;
}

Test(thread_life, jobs_that_a_hurried_close_ends_count_as_cancelled)
{
        run(counts_as_cancelled);
}

/* ---- again and again ---- */

Test(thread_life, f91_ten_thousand_pools_leave_nothing, .init = leaks_begin, .fini = leaks_end,
     .timeout = 100)
{
        for (int i = 0; i < 10000; i++)
                cr_assert(OPENED_WITH(.threads = 1 + (unsigned)i % 2, .threads_max = 2) == 0);
}
