/* threads.c - the thread pool: the suite of all executors, and what only threads have. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <ouro.h>

#include "base/cpus.h"
#include "executors/suite.h"
#include "support/leaks.h"

static ouro_executor *open_threads(unsigned queue)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        options.threads = 1;
        options.queue = queue;
        return ouro_thread_pool(&options);
}

static const struct executor_kind kind = {"threads", open_threads, NULL};

#define CASE(name)                                                                                           \
        Test(threads, name)                                                                                  \
        {                                                                                                    \
                suite_##name(&kind);                                                                         \
        }
SUITE_OF_ANY(CASE)
SUITE_OF_WORKERS(CASE)
SUITE_IN_PROCESS(CASE)
SUITE_OF_WORKERS_IN_PROCESS(CASE)
SUITE_OF_ABANDON(CASE)
SUITE_OF_HURRY(CASE)

/* ---- those who never spin: every job needs a wake on both sides ---- */

static ouro_executor *open_sleepy(unsigned queue)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        options.threads = 2;
        options.queue = queue;
        options.spin_ns = -1;
        return ouro_thread_pool(&options);
}

static const struct executor_kind sleepy = {"sleepy threads", open_sleepy, NULL};

Test(threads, f40_no_wake_is_lost_by_workers_that_never_spin)
{
        suite_f40_no_wake_is_lost(&sleepy);
}

Test(threads, several_loops_share_workers_that_never_spin)
{
        suite_several_loops_share_one(&sleepy);
}

/* ---- options ---- */

static int open_with(unsigned threads, unsigned queue, const char *name, size_t stack_bytes)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *executor = (ouro_executor *)&options;
        int error;

        options.threads = threads;
        options.queue = queue;
        options.name = name;
        options.stack_bytes = stack_bytes;
        errno = ESTALE;
        error = ouro_thread_pool_open(&options, &executor);
        cr_assert(errno == ESTALE);
        if (error < 0)
                cr_assert(executor == (ouro_executor *)&options, "untouched on failure");
        else
                cr_assert(error == 0 && ouro_executor_close(executor) == 0);
        return error;
}

Test(threads, options_in_range_are_taken)
{
        cr_assert(open_with(0, 0, NULL, 0) == 0);
        cr_assert(open_with(1, 1, "", 0) == 0);
        cr_assert(open_with(3, 1 << 20, "fifteen bytes!!", 256 * 1024) == 0);
}

Test(threads, options_out_of_range_are_refused)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *executor = NULL;

        cr_assert(open_with(4097, 0, NULL, 0) == -EINVAL);
        cr_assert(open_with(1, (1 << 20) + 1, NULL, 0) == -EINVAL);
        cr_assert(open_with(1, 0, "sixteen bytes!!!", 0) == -EINVAL);
        cr_assert(open_with(1, 0, NULL, 1) == -EINVAL, "less than a thread needs");
        cr_assert(ouro_thread_pool_open(NULL, NULL) == -EINVAL);
        options.size = 0;
        cr_assert(ouro_thread_pool_open(&options, &executor) == -EINVAL && !executor);
        cr_assert(!ouro_thread_pool(&options));
}

static int count_threads(void)
{
        FILE *file = fopen("/proc/self/status", "re");
        char line[128];
        int threads = -1;

        while (file && fgets(line, sizeof line, file))
                if (sscanf(line, "Threads: %d", &threads) == 1)
                        break;
        if (file)
                fclose(file);
        return threads;
}

Test(threads, by_default_there_are_as_many_as_cpus_may_be_used)
{
        int before = count_threads();
        ouro_executor *executor = ouro_thread_pool(NULL);

        cr_assert(executor);
        cr_assert(count_threads() == before + (int)cpus_usable());
        cr_assert(ouro_executor_close(executor) == 0);
}

Test(threads, opened_and_closed_nothing_is_left, .init = leaks_begin, .fini = leaks_end)
{
        for (int i = 0; i < 100; i++)
                cr_assert(open_with(3, 0, NULL, 0) == 0);
}

/* ---- what a job finds ---- */

struct found {
        char name[16];
        sigset_t mask;
        size_t stack_bytes;
};

static intptr_t looks_around(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct found *found = out.base;
        pthread_attr_t attr;
        void *base;

        (void)job, (void)in;
        pthread_getname_np(pthread_self(), found->name, sizeof found->name);
        pthread_sigmask(SIG_SETMASK, NULL, &found->mask);
        pthread_getattr_np(pthread_self(), &attr);
        pthread_attr_getstack(&attr, &base, &found->stack_bytes);
        pthread_attr_destroy(&attr);
        return 0;
}

static struct ouro_thread_options job_options = OURO_THREAD_OPTIONS_INIT;
static struct found found;

static intptr_t submits_looker(void *arg)
{
        ouro_executor *pool = ouro_thread_pool(&job_options);

        (void)arg;
        cr_assert(ouro_await(ouro_submit(pool, looks_around, OURO_NO_IN, OURO_OUT(found))) == 0);
        return ouro_executor_close(pool);
}

Test(threads, are_named_ouro)
{
        cr_assert(ouro_run(submits_looker, NULL) == 0);
        cr_assert_str_eq(found.name, "ouro");
}

Test(threads, are_named_as_asked)
{
        char name[] = "crunch";

        job_options.name = name;
        cr_assert(ouro_run(submits_looker, NULL) == 0);
        cr_assert_str_eq(found.name, "crunch");
}

Test(threads, have_the_stack_that_was_asked_for)
{
        job_options.stack_bytes = 512 * 1024;
        cr_assert(ouro_run(submits_looker, NULL) == 0);
        cr_assert(found.stack_bytes >= 500 * 1024 && found.stack_bytes <= 600 * 1024, "%zu",
                  found.stack_bytes);
}

Test(threads, block_every_signal_and_leave_the_openers_mask_alone)
{
        sigset_t before, after;

        sigemptyset(&before);
        sigaddset(&before, SIGUSR2);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        cr_assert(ouro_run(submits_looker, NULL) == 0);
        for (int number = 1; number <= SIGRTMAX; number++)
                if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
                        cr_assert(sigismember(&found.mask, number) == 1, "signal %d", number);
        pthread_sigmask(SIG_SETMASK, NULL, &after);
        cr_assert(sigismember(&after, SIGUSR2) == 1 && sigismember(&after, SIGUSR1) == 0);
}

/* ---- several workers ---- */

static intptr_t waits_for_company(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct timespec moment = {.tv_nsec = 20000};
        int *met = out.base;

        (void)job, (void)in;
        __atomic_add_fetch(met, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(met, __ATOMIC_SEQ_CST) < 4)
                nanosleep(&moment, NULL);
        return 0;
}

static intptr_t needs_four_at_once(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool;
        ouro_task tasks[4];
        int met = 0;

        (void)arg;
        options.threads = 4;
        pool = ouro_thread_pool(&options);
        for (int i = 0; i < 4; i++)
                tasks[i] = ouro_submit(pool, waits_for_company, OURO_NO_IN, OURO_OUT(met));
        cr_assert(ouro_gather(tasks, 4, NULL) == 0);
        return ouro_executor_close(pool);
}

Test(threads, four_run_four_jobs_at_the_same_time)
{
        cr_assert(ouro_run(needs_four_at_once, NULL) == 0);
}

static struct gate long_gate;

static intptr_t has_a_long_job_and_short_ones(void *arg)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool;
        ouro_task longer;
        struct found shorts[50];

        (void)arg;
        options.threads = 2;
        pool = ouro_thread_pool(&options);
        longer = ouro_submit(pool, job_waits_at_gate, OURO_NO_IN, OURO_OUT(long_gate));
        gate_await_begun(&long_gate, 1);
        for (int i = 0; i < 50; i++)
                cr_assert(ouro_await(ouro_submit(pool, looks_around, OURO_NO_IN, OURO_OUT(shorts[i]))) == 0);
        gate_open(&long_gate);
        cr_assert(ouro_await(longer) == 0);
        return ouro_executor_close(pool);
}

Test(threads, f97_no_job_stands_behind_a_long_one_while_a_worker_is_idle)
{
        cr_assert(ouro_run(has_a_long_job_and_short_ones, NULL) == 0);
}

/* ---- too few resources ---- */

static int opens_without_threads(void)
{
        ouro_executor *executor = NULL;
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        options.threads = 4000;
        options.stack_bytes = (size_t)1 << 40; /* 4 PiB in all: more than a process can address */
        return ouro_thread_pool_open(&options, &executor) == -EAGAIN && !executor ? 0 : 1;
}

Test(threads, too_few_resources_for_all_of_them_leave_none, .init = leaks_begin, .fini = leaks_end)
{
        int before = count_threads();

        cr_assert(opens_without_threads() == 0);
        cr_assert(count_threads() == before);
}
