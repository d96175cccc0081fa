/* Processes that die, hang, lie and come back: the numbers are those of the list of failures. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ouro.h>

#include "support/leaks.h"

TestSuite(processes, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static ouro_executor *pool;

static struct ouro_process_options options_of(unsigned workers)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = workers;
        options.backoff_ns = OURO_MS(1);
        return options;
}

struct session {
        struct ouro_process_options options;
        ouro_fn *fn;
};

static intptr_t in_session(void *arg)
{
        struct session *session = arg;

        cr_assert(ouro_process_pool_open(&session->options, &pool) == 0);
        cr_assert(session->fn(NULL) == 0);
        return ouro_executor_close(pool);
}

static void with_options(struct ouro_process_options options, ouro_fn *fn)
{
        struct session session = {options, fn};

        cr_assert(ouro_run(in_session, &session) == 0);
}

static void with_workers(unsigned workers, ouro_fn *fn)
{
        with_options(options_of(workers), fn);
}

static struct ouro_stats stats(void)
{
        struct ouro_stats stats = {.size = sizeof stats};

        cr_assert(ouro_executor_stats(pool, &stats) == 0);
        return stats;
}

static void await_workers(unsigned n)
{
        while (stats().workers < n)
                ouro_sleep(OURO_US(200));
}

static void *shared(size_t bytes)
{
        void *span = NULL;

        cr_assert(ouro_arena_alloc(pool, bytes, &span) == 0);
        return memset(span, 0, bytes);
}

/* ---- jobs ---- */

static intptr_t tells_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

static pid_t pid_of_worker(void)
{
        intptr_t pid = ouro_await(ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT));

        cr_assert(pid > 0, "%zd", pid);
        return (pid_t)pid;
}

static intptr_t counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        return __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
}

static void pause_a_moment(void)
{
        const struct timespec moment = {.tv_nsec = 50000};

        nanosleep(&moment, NULL);
}

/* Where a job and the test meet: in the arena. */
struct gate {
        int began, open;
};

static intptr_t waits(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = out.base;

        (void)job, (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST))
                pause_a_moment();
        return 0;
}

static ouro_task submit_waiter(struct gate *gate)
{
        return ouro_submit(pool, waits, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

static void await_begun(const struct gate *gate, int n)
{
        while (__atomic_load_n(&gate->began, __ATOMIC_SEQ_CST) < n)
                ouro_sleep(OURO_US(100));
}

static void let_go(struct gate *gate)
{
        __atomic_store_n(&gate->open, 1, __ATOMIC_SEQ_CST);
}

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

Test(processes, f70_a_full_queue_makes_submit_wait_as_a_task)
{
        struct ouro_process_options options = options_of(1);

        options.queue = 4;
        with_options(options, fills_the_queue);
}

/* ---- 71: a worker dies at each stage ---- */

static intptr_t dies_each_way(void *arg)
{
        static const int signals[] = {[BY_SEGV] = SIGSEGV, [BY_ABORT] = SIGABRT, [BY_KILL] = SIGKILL,
                                      [BY_MEMORY] = SIGSEGV};

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
                        cr_assert(strstr(report->backtrace, "+0x"), "%s",
                                  report->backtrace);
                else
                        cr_assert_str_empty(report->backtrace);
                ouro_report_free(report);
                cr_assert(pid_of_worker() != before);
        }
        cr_assert(stats().restarts == WAYS);
        return 0;
}

Test(processes, f71_a_job_that_kills_its_worker_fails_alone_and_is_reported)
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

Test(processes, f71_other_jobs_go_on_while_workers_die)
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
Test(processes, f71_a_worker_that_dies_idle_is_replaced)
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

Test(processes, f71_a_worker_that_dies_before_it_is_ready_is_replaced)
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

Test(processes, f71_a_worker_that_dies_in_its_finalizer_harms_nothing)
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

Test(processes, f72_a_job_is_begun_again_only_if_it_is_idempotent)
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

Test(processes, f73_half_a_result_is_not_delivered)
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

Test(processes, f74_a_deadline_kills_a_job_that_hangs)
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

Test(processes, f68_a_cancelled_job_is_killed_and_those_behind_it_run)
{
        struct ouro_process_options options = options_of(1);

        options.grace_ns = -1;
        with_options(options, cancels_a_hanging_one);
}

/* ---- 75: recycling with a backlog ---- */

static intptr_t has_backlog(void *arg)
{
        enum { JOBS = 500 };
        static ouro_task tasks[JOBS];
        static intptr_t pids[JOBS];
        unsigned different = 0;

        (void)arg;
        for (int i = 0; i < JOBS; i++)
                tasks[i] = ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT);
        cr_assert(ouro_gather(tasks, JOBS, pids) == 0);
        for (int i = 0; i < JOBS; i++) {
                int same = 0;

                for (int j = 0; j < JOBS; j++)
                        same += pids[i] == pids[j];
                cr_assert(pids[i] > 0 && same <= 7, "%d jobs in one worker", same);
                different += same > 0;
        }
        cr_assert(different == JOBS && stats().recycled >= JOBS / 7 - 2 && stats().restarts == 0);
        return 0;
}

Test(processes, f75_recycling_with_a_backlog_never_stalls)
{
        struct ouro_process_options options = options_of(2);

        options.recycle_jobs = 7;
        with_options(options, has_backlog);
}

static intptr_t grows(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        volatile char *memory = malloc(64 << 20);

        for (size_t i = 0; i < 64 << 20; i += 4096)
                memory[i] = 1;
        return getpid();
}

static intptr_t grows_workers(void *arg)
{
        pid_t before = pid_of_worker();

        (void)arg;
        cr_assert(pid_of_worker() == before);
        cr_assert(ouro_await(ouro_submit(pool, grows, OURO_NO_IN, OURO_NO_OUT)) == before);
        cr_assert(pid_of_worker() != before);
        cr_assert(stats().recycled == 1);
        return 0;
}

Test(processes, a_worker_that_has_grown_is_recycled)
{
        struct ouro_process_options options = options_of(1);

        options.recycle_bytes = 48 << 20;
        with_options(options, grows_workers);
}

static intptr_t waits_idle(void *arg)
{
        pid_t before = pid_of_worker();

        (void)arg;
        while (stats().workers > 0)
                ouro_sleep(OURO_MS(1));
        cr_assert(pid_of_worker() != before);
        return 0;
}

Test(processes, an_idle_worker_ends_until_it_is_needed)
{
        struct ouro_process_options options = options_of(2);

        options.idle_ns = OURO_MS(5);
        with_options(options, waits_idle);
}

/* ---- 76: a crash loop ---- */

static intptr_t always_dies(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        raise(SIGKILL);
        return 0;
}

static intptr_t finds_it_broken(void *arg)
{
        ouro_task tasks[3];

        (void)arg;
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT);
        for (int i = 0; i < 3; i++)
                cr_assert(ouro_await(tasks[i]) == -ENOTRECOVERABLE);
        cr_assert(ouro_await(ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT)) == -ENOTRECOVERABLE);
        return 0;
}

static int errors_logged;

static void count_errors(enum ouro_log_level level, const char *line, void *arg)
{
        (void)arg, (void)line;
        if (level == OURO_LOG_ERROR)
                __atomic_add_fetch(&errors_logged, 1, __ATOMIC_SEQ_CST);
}

Test(processes, f76_a_crash_loop_breaks_the_pool)
{
        struct ouro_process_options options = options_of(1);

        ouro_set_log(count_errors, NULL);
        options.initializer = always_dies;
        options.crashes = 4;
        with_options(options, finds_it_broken);
        cr_assert(errors_logged == 1, "%d", errors_logged);
}

static intptr_t refuses(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return -EDOM;
}

Test(processes, f76_an_initializer_that_fails_breaks_the_pool_at_once)
{
        struct ouro_process_options options = options_of(2);

        ouro_set_log(count_errors, NULL);
        options.initializer = refuses;
        with_options(options, finds_it_broken);
        cr_assert(errors_logged == 1, "%d", errors_logged);
}

/* ---- 77: a job that kills every worker ---- */

static intptr_t keeps_killing(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        int *count = shared(sizeof *count);
        enum way way = BY_KILL;

        (void)arg;
        options.retries = 100;
        options.ret_report = &report;
        cr_assert(ouro_await(ouro_submit_with(pool, dies, OURO_IN(way), ouro_out(count, sizeof *count),
                                              &options)) == -EOWNERDEAD);
        cr_assert(*count == 4, "%d", *count);
        cr_assert(report && report->quarantined && report->deaths == 4 && report->attempts == 4);
        ouro_report_free(report);
        pid_of_worker();
        return 0;
}

Test(processes, f77_a_job_that_keeps_killing_is_quarantined)
{
        struct ouro_process_options options = options_of(2);

        options.deaths = 4;
        with_options(options, keeps_killing);
}

/* ---- 79: the host is killed ---- */

static intptr_t tells_pids_and_waits(void *arg)
{
        const int *pipe_end = arg;
        pid_t pid;

        pool = ouro_process_pool(NULL);
        pid = pid_of_worker();
        cr_assert(write(*pipe_end, &pid, sizeof pid) == sizeof pid);
        ouro_sleep(OURO_SEC(100));
        return 0;
}

Test(processes, f79_workers_are_gone_when_the_host_is_killed)
{
        int pipe_fds[2];
        pid_t host, worker;
        struct pollfd pidfd = {.events = POLLIN};

        cr_assert(pipe(pipe_fds) == 0);
        host = fork();
        if (host == 0) {
                ouro_run(tells_pids_and_waits, &pipe_fds[1]);
                _exit(1);
        }
        cr_assert(read(pipe_fds[0], &worker, sizeof worker) == sizeof worker);
        pidfd.fd = (int)syscall(SYS_pidfd_open, worker, 0);
        cr_assert(pidfd.fd >= 0);
        kill(host, SIGKILL);
        cr_assert(waitpid(host, NULL, 0) == host);
        cr_assert(poll(&pidfd, 1, 1000) == 1, "within a second");
        close(pidfd.fd);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

/* ---- 80: the thread that made the pool exits ---- */

static void *opens_pool(void *unused)
{
        struct ouro_process_options options = options_of(1);

        (void)unused;
        cr_assert(ouro_process_pool_open(&options, &pool) == 0);
        return NULL;
}

static intptr_t uses_and_closes(void *arg)
{
        pid_t before = pid_of_worker();

        (void)arg;
        for (int i = 0; i < 20; i++) {
                ouro_sleep(OURO_MS(1));
                cr_assert(pid_of_worker() == before);
        }
        cr_assert(await_dying(BY_KILL, NULL) == -EOWNERDEAD);
        cr_assert(pid_of_worker() != before);
        return ouro_executor_close(pool);
}

Test(processes, f80_workers_outlive_the_thread_that_made_the_pool)
{
        pthread_t thread;

        pthread_create(&thread, NULL, opens_pool, NULL);
        pthread_join(thread, NULL);
        cr_assert(ouro_run(uses_and_closes, NULL) == 0);
}
