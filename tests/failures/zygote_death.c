/* The process that all workers come from is killed: what they had started goes with them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ouro.h>

#include "coro/sanitize.h"
#include "executors/compat.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(zygote_death, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

/* The test's process is the host, so that a parent that is neither it nor init is the zygote. */
static int open_zygote(pid_t host)
{
        pid_t zygote = getppid();
        int pidfd = zygote == host || zygote <= 1 ? -1 : (int)syscall(SYS_pidfd_open, zygote, 0);

        if (pidfd >= 0 && getppid() == zygote)
                return pidfd;
        return -1;
}

static intptr_t leaves_a_child_and_kills_the_zygote(struct ouro_job *job, struct ouro_in in,
                                                    struct ouro_out out)
{
        const pid_t *host = in.base;
        int zygote = open_zygote(*host);

        (void)job, (void)out;
        if (zygote < 0)
                return -ESRCH;
        if (fork() > 0)
                syscall(SYS_pidfd_send_signal, zygote, SIGKILL, NULL, 0);
        for (;;)
                pause();
}

static intptr_t answers(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 7;
}

static bool groups_can_be_signalled(void)
{
        int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
        long r = syscall(SYS_pidfd_send_signal, self, 0, NULL, PIDFD_SIGNAL_PROCESS_GROUP);
        bool can = r == 0 || errno != EINVAL;

        close(self);
        return can;
}

static intptr_t leaves_a_daemon_and_kills_the_zygote(struct ouro_job *job, struct ouro_in in,
                                                     struct ouro_out out)
{
        const pid_t *host = in.base;
        int zygote = open_zygote(*host), ready[2];
        char byte;

        (void)job, (void)out;
        if (zygote < 0 || pipe(ready) < 0)
                return -ESRCH;
        if (fork() == 0) {
                setsid();
                close(ready[1]);
        } else {
                close(ready[1]);
                if (read(ready[0], &byte, 1) == 0) /* it is on its own */
                        syscall(SYS_pidfd_send_signal, zygote, SIGKILL, NULL, 0);
        }
        for (;;)
                pause();
}

/* There a process between host and zygote takes in what both leave behind, and ends it. */
IN_LOOP(zygote_death, f96_a_daemon_ends_with_the_zygote_where_the_host_takes_orphans_in)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        pid_t host = getpid();
        ouro_executor *pool;
        struct pollfd end;
        int ends[2];

        if (sanitize_active())
                cr_skip_test("no sanitizer bears a keeper");
        EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        cr_assert(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
        EQ(pipe2(ends, O_CLOEXEC), 0);
        options.workers = 1;
        options.fds = &ends[1];
        options.fds_len = 1;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        EQ(ouro_call(pool, leaves_a_daemon_and_kills_the_zygote, OURO_IN(host), OURO_NO_OUT, NULL),
           -EOWNERDEAD);
        EQ(ouro_call(pool, answers, OURO_NO_IN, OURO_NO_OUT, NULL), 7);
        EQ(ouro_executor_close(pool), 0);
        close(ends[1]);
        end = (struct pollfd){.fd = ends[0], .events = POLLIN};
        EQ(poll(&end, 1, 5000), 1);
        cr_assert(end.revents & POLLHUP);
        close(ends[0]);
        return 0;
}

/* Whoever has inherited the pipe holds it open for as long as it lives. */
IN_LOOP(zygote_death, f96_what_a_job_left_behind_ends_though_the_zygote_was_killed)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct ouro_job_options with_report = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        pid_t host = getpid();
        ouro_executor *pool;
        struct pollfd end;
        int ends[2];

        if (!groups_can_be_signalled())
                cr_skip_test("this kernel cannot signal a group of processes without doubt");
        EQ(pipe2(ends, O_CLOEXEC), 0);
        options.workers = 1;
        options.fds = &ends[1];
        options.fds_len = 1;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        with_report.ret_report = &report;
        EQ(ouro_call(pool, leaves_a_child_and_kills_the_zygote, OURO_IN(host), OURO_NO_OUT, &with_report),
           -EOWNERDEAD);
        cr_assert_not_null(report);
        cr_assert(report->zygote_died);
        ouro_report_free(report);
        EQ(ouro_call(pool, answers, OURO_NO_IN, OURO_NO_OUT, NULL), 7);
        EQ(ouro_executor_close(pool), 0);
        close(ends[1]);
        end = (struct pollfd){.fd = ends[0], .events = POLLIN};
        EQ(poll(&end, 1, 5000), 1);
        cr_assert(end.revents & POLLHUP);
        close(ends[0]);
        return 0;
}
