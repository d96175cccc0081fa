/* Workers that die or hang, at every stage, and what becomes of their jobs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "coro/sanitize.h"
#include "support/process_tests.h"

TestSuite(deaths, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum way { BY_SEGV, BY_ABORT, BY_EXIT, BY_KILL, BY_MEMORY, WAYS };

static void run_out_of_memory(void)
{
        const struct rlimit limit = {64 << 20, 64 << 20};

        setrlimit(RLIMIT_AS, &limit);
        for (;;)
                *(volatile char *)malloc(1 << 20) = 1;
}

static intptr_t dies(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const enum way way = *(const enum way *)in.base;
        struct rlimit no_core = {0, 0};

        (void)job;
        setrlimit(RLIMIT_CORE, &no_core);
        if (out.len == sizeof(int))
                __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
        switch (way) {
        case BY_SEGV:
                raise(SIGSEGV);
                break;
        case BY_ABORT:
                abort();
        case BY_EXIT:
                exit(3);
        case BY_KILL:
                raise(SIGKILL);
                break;
        default:
                run_out_of_memory();
        }
        return 0;
}

static intptr_t await_dying(enum way way, struct ouro_report **ret_report)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.name = "dies";
        options.ret_report = ret_report;
        return ouro_await(ouro_submit_with(pool, dies, OURO_IN(way), OURO_NO_OUT, &options));
}

/* ---- 70: back-pressure ---- */

static intptr_t fills_the_queue(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        int *count = shared(sizeof *count);
        ouro_task tasks[4], more, first = submit_waiter(gate);
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        (void)arg;
        await_begun(gate, 1);
        for (int i = 0; i < 4; i++)
                tasks[i] = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count));
        cr_assert(ouro_try_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count), &options,
                                  &more) == -EAGAIN);
        let_go(gate);
        cr_assert(ouro_await(first) == 0);
        more = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count)); /* waits if it must */
        cr_assert(ouro_gather(tasks, 4, NULL) == 0 && ouro_await(more) > 0);
        cr_assert(*count == 5);
        return 0;
}

Test(deaths, f70_a_full_queue_makes_submit_wait_as_a_task)
{
        struct ouro_process_options options = options_of(1);

        options.queue = 4;
        with_options(options, fills_the_queue);
}

/* ---- 71: a worker dies at each stage ---- */

static intptr_t dies_each_way(void *arg)
{
        /* A sanitizer's malloc() aborts instead of returning NULL. */
        const int signals[] = {[BY_SEGV] = SIGSEGV,
                               [BY_ABORT] = SIGABRT,
                               [BY_KILL] = SIGKILL,
                               [BY_MEMORY] = sanitize_active() ? SIGABRT : SIGSEGV};

        (void)arg;
        for (enum way way = 0; way < WAYS; way++) {
                struct ouro_report *report = NULL;
                pid_t before = pid_of_worker();

                cr_assert(await_dying(way, &report) == -EOWNERDEAD);
                cr_assert(report, "way %d", way);
                cr_assert(report->pid == before && report->attempts == 1 && report->deaths == 1);
                cr_assert(report->signal == signals[way], "way %d: signal %d", way, report->signal);
                cr_assert(report->exit_status == (way == BY_EXIT ? 3 : 0));
                cr_assert(!report->core_dumped && !report->quarantined && !report->zygote_died);
                cr_assert(report->cpu_ns > 0 && report->resident_bytes > 0);
                cr_assert_str_eq(report->function, "dies");
                if (way == BY_SEGV || way == BY_ABORT || way == BY_MEMORY)
                        cr_assert(strstr(report->backtrace, "+0x"), "%s", report->backtrace);
                else
                        cr_assert_str_empty(report->backtrace);
                ouro_report_free(report);
                cr_assert(pid_of_worker() != before);
        }
        cr_assert(stats().restarts == WAYS);
        return 0;
}

Test(deaths, f71_a_job_that_kills_its_worker_fails_alone_and_is_reported)
{
        with_workers(1, dies_each_way);
}

static intptr_t others_go_on(void *arg)
{
        enum { JOBS = 200 };
        static ouro_task tasks[JOBS];
        static intptr_t results[JOBS];
        int *counters = shared(JOBS * sizeof *counters);
        const enum way ways[] = {BY_SEGV, BY_ABORT, BY_EXIT, BY_KILL};

        (void)arg;
        for (int i = 0; i < JOBS; i++)
                tasks[i] = ouro_submit(pool, i % 20 == 7 ? dies : counts,
                                       ouro_in(&ways[i / 20 % 4], sizeof ways[0]),
                                       ouro_out(&counters[i], sizeof *counters));
        ouro_gather(tasks, JOBS, results);
        for (int i = 0; i < JOBS; i++) {
                cr_assert(results[i] == (i % 20 == 7 ? -EOWNERDEAD : 1), "job %d: %zd", i, results[i]);
                cr_assert(counters[i] == 1, "job %d ran %d times", i, counters[i]);
        }
        await_workers(2);
        return 0;
}

Test(deaths, f71_other_jobs_go_on_while_workers_die)
{
        with_workers(2, others_go_on);
}

static intptr_t kills_idle_ones(void *arg)
{
        (void)arg;
        for (int i = 0; i < 20; i++) {
                pid_t before = pid_of_worker();

                kill(before, SIGKILL);
                cr_assert(pid_of_worker() > 0);
        }
        cr_assert(stats().restarts >= 19);
        return 0;
}

/* The next job may be handed to the dying one: it has not begun it, so another does. */
Test(deaths, f71_a_worker_that_dies_idle_is_replaced)
{
        with_workers(1, kills_idle_ones);
}

static intptr_t dies_in_initializer(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const char *path = in.base;
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

        (void)job, (void)out;
        if (fd < 0)
                return 0; /* another one has died before */
        close(fd);
        raise(SIGKILL);
        return 0;
}

static intptr_t runs_one(void *arg)
{
        (void)arg;
        pid_of_worker();
        return 0;
}

Test(deaths, f71_a_worker_that_dies_before_it_is_ready_is_replaced)
{
        struct ouro_process_options options = options_of(1);
        char path[] = "/tmp/ouro-test-XXXXXX";

        close(mkstemp(path));
        unlink(path);
        options.initializer = dies_in_initializer;
        options.in = ouro_in(path, sizeof path);
        with_options(options, runs_one);
        cr_assert(unlink(path) == 0, "it did die");
}

static intptr_t dies_at_end(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        raise(SIGKILL);
        return 0;
}

static intptr_t runs_some(void *arg)
{
        (void)arg;
        for (int i = 0; i < 10; i++)
                pid_of_worker();
        return 0;
}

Test(deaths, f71_a_worker_that_dies_in_its_finalizer_harms_nothing)
{
        struct ouro_process_options options = options_of(1);

        options.finalizer = dies_at_end;
        options.recycle_jobs = 3;
        with_options(options, runs_some);
}

/* ---- 72: at most once, unless it is idempotent ---- */

static intptr_t dies_twice(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int n = __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);

        (void)in;
        if (ouro_job_attempt(job) != (unsigned)n - 1)
                return -EINVAL;
        if (n <= 2)
                raise(SIGKILL);
        return 9;
}

static intptr_t retries(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        int *count = shared(sizeof *count);

        (void)arg;
        cr_assert(ouro_await(ouro_submit(pool, dies_twice, OURO_NO_IN, ouro_out(count, sizeof *count))) ==
                  -EOWNERDEAD);
        cr_assert(*count == 1);
        *count = 0;
        options.retries = 1;
        cr_assert(ouro_await(ouro_submit_with(pool, dies_twice, OURO_NO_IN, ouro_out(count, sizeof *count),
                                              &options)) == -EOWNERDEAD);
        cr_assert(*count == 2);
        *count = 0;
        options.retries = 2;
        options.ret_report = &report;
        cr_assert(ouro_await(ouro_submit_with(pool, dies_twice, OURO_NO_IN, ouro_out(count, sizeof *count),
                                              &options)) == 9);
        cr_assert(*count == 3 && report && report->deaths == 2 && report->attempts == 3);
        ouro_report_free(report);
        cr_assert(stats().retried == 3);
        return 0;
}

Test(deaths, f72_a_job_is_begun_again_only_if_it_is_idempotent)
{
        with_workers(2, retries);
}

/* ---- 73: death in the middle of a large result ---- */

enum { LARGE = 8 << 20 };

static intptr_t writes_half(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        memset(out.base, 'x', out.len / 2);
        raise(SIGKILL);
        return 0;
}

static intptr_t gets_half(void *arg)
{
        char *result = calloc(1, LARGE);

        (void)arg;
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(ouro_submit(pool, writes_half, OURO_NO_IN, ouro_out(result, LARGE))) ==
                          -EOWNERDEAD);
        for (size_t i = 0; i < LARGE; i++)
                cr_assert(result[i] == 0, "nothing of it was delivered");
        free(result);
        return 0;
}

Test(deaths, f73_half_a_result_is_not_delivered)
{
        with_workers(1, gets_half);
}

/* ---- 74: a job that hangs ---- */

static intptr_t hangs(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        sigset_t term;

        (void)job, (void)in;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL); /* not even that */
        if (out.len)
                __atomic_store_n((int *)out.base, 1, __ATOMIC_SEQ_CST);
        for (;;)
                pause();
        return 0;
}

static intptr_t has_deadlines(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        pid_t before = pid_of_worker();

        (void)arg;
        options.deadline_ns = OURO_MS(20);
        cr_assert(ouro_await(ouro_submit_with(pool, hangs, OURO_NO_IN, OURO_NO_OUT, &options)) == -ETIME);
        cr_assert(pid_of_worker() != before);
        cr_assert(kill(before, 0) == -1 && errno == ESRCH, "it is gone");
        return 0;
}

Test(deaths, f74_a_deadline_kills_a_job_that_hangs)
{
        struct ouro_process_options options = options_of(1);

        options.grace_ns = OURO_MS(20);
        with_options(options, has_deadlines);
}

static intptr_t cancels_a_hanging_one(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        int *counts_of = shared(3 * sizeof *counts_of);
        ouro_task task = ouro_submit(pool, hangs, OURO_NO_IN, ouro_out(gate, sizeof gate->began)), behind[3];

        (void)arg;
        await_begun(gate, 1);
        for (int i = 0; i < 3; i++)
                behind[i] = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(&counts_of[i], sizeof(int)));
        cr_assert(ouro_cancel(task) == 0);
        cr_assert(ouro_await(task) == -ECANCELED);
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(behind[i]) == 1 && counts_of[i] == 1, "those behind it run");
        return 0;
}

Test(deaths, f68_a_cancelled_job_is_killed_and_those_behind_it_run)
{
        struct ouro_process_options options = options_of(1);

        options.grace_ns = -1;
        with_options(options, cancels_a_hanging_one);
}
