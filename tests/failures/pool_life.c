/* What goes on in a pool over time: recycling, crash loops, hosts and threads that end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/process_tests.h"

TestSuite(pool_life, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static intptr_t is_killed(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        if (out.len == sizeof(int))
                __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
        raise(SIGKILL);
        return 0;
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

Test(pool_life, f75_recycling_with_a_backlog_never_stalls)
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

Test(pool_life, a_worker_that_has_grown_is_recycled)
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

Test(pool_life, an_idle_worker_ends_until_it_is_needed)
{
        struct ouro_process_options options = options_of(2);

        options.idle_ns = OURO_MS(5);
        with_options(options, waits_idle);
}

/* ---- times that never come ---- */

static volatile sig_atomic_t termed;

static void note_term(int sig)
{
        termed = sig;
}

/* Is done only some time after it was asked to end. */
static intptr_t ends_when_asked(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        signal(SIGTERM, note_term);
        __atomic_store_n((int *)out.base, 1, __ATOMIC_SEQ_CST);
        while (!termed)
                usleep(1000);
        usleep(50 * 1000);
        __atomic_store_n((int *)out.base, 2, __ATOMIC_SEQ_CST);
        return 5;
}

static int64_t cpu_ns(void)
{
        struct timespec time;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static intptr_t waits_for_ever(void *arg)
{
        int *said = shared(sizeof *said);
        pid_t before = pid_of_worker();
        int64_t began_ns = cpu_ns();
        ouro_task task;

        (void)arg;
        ouro_sleep(OURO_MS(300));
        cr_assert(cpu_ns() - began_ns < OURO_MS(150), "nobody polls for it");
        cr_assert(pid_of_worker() == before);
        task = ouro_submit(pool, ends_when_asked, OURO_NO_IN, ouro_out(said, sizeof *said));
        while (__atomic_load_n(said, __ATOMIC_SEQ_CST) == 0)
                ouro_sleep(OURO_MS(1));
        cr_assert(ouro_cancel(task) == 0);
        (void)ouro_await(task);
        cr_assert(__atomic_load_n(said, __ATOMIC_SEQ_CST) == 2, "it was killed");
        return 0;
}

Test(pool_life, grace_and_idleness_may_last_for_ever)
{
        struct ouro_process_options options = options_of(1);

        options.idle_ns = options.grace_ns = OURO_FOREVER;
        with_options(options, waits_for_ever);
}

/* ---- 76: a crash loop ---- */

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

Test(pool_life, f76_a_crash_loop_breaks_the_pool)
{
        struct ouro_process_options options = options_of(1);

        ouro_set_log(count_errors, NULL);
        options.initializer = is_killed;
        options.crashes = 4;
        with_options(options, finds_it_broken);
        cr_assert(errors_logged == 1, "%d", errors_logged);
}

static intptr_t refuses(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return -EDOM;
}

Test(pool_life, f76_an_initializer_that_fails_breaks_the_pool_at_once)
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

        (void)arg;
        options.retries = 100;
        options.ret_report = &report;
        cr_assert(ouro_await(ouro_submit_with(pool, is_killed, OURO_NO_IN, ouro_out(count, sizeof *count),
                                              &options)) == -EOWNERDEAD);
        cr_assert(*count == 4, "%d", *count);
        cr_assert(report && report->quarantined && report->deaths == 4 && report->attempts == 4);
        ouro_report_free(report);
        pid_of_worker();
        return 0;
}

Test(pool_life, f77_a_job_that_keeps_killing_is_quarantined)
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

Test(pool_life, f79_workers_are_gone_when_the_host_is_killed)
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
        cr_assert(ouro_await(ouro_submit(pool, is_killed, OURO_NO_IN, OURO_NO_OUT)) == -EOWNERDEAD);
        cr_assert(pid_of_worker() != before);
        return ouro_executor_close(pool);
}

Test(pool_life, f80_workers_outlive_the_thread_that_made_the_pool)
{
        pthread_t thread;

        pthread_create(&thread, NULL, opens_pool, NULL);
        pthread_join(thread, NULL);
        cr_assert(ouro_run(uses_and_closes, NULL) == 0);
}
