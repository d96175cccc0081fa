/* Worker processes that die, are left alone, inherit by accident and leave things behind. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/leaks.h"
#include "support/played_host.h"

TestSuite(workers, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

static struct played_host host;

/* With a zygote that is a fork of the host, and with one that is its program, executed afresh. */
#define TEST_BOTH(name)                                                                                      \
        static void name(void);                                                                              \
        Test(workers, name##_forked)                                                                         \
        {                                                                                                    \
                played_start = OURO_START_FORK;                                                              \
                name();                                                                                      \
        }                                                                                                    \
        Test(workers, name##_executed)                                                                       \
        {                                                                                                    \
                played_start = OURO_START_EXEC;                                                              \
                name();                                                                                      \
        }                                                                                                    \
        static void name(void)

static intptr_t nothing(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 0;
}

static intptr_t hang(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        for (;;)
                pause();
        return 0;
}

static intptr_t pid_of_zygote(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t zygote = getppid();

        (void)job, (void)in;
        memcpy(out.base, &zygote, sizeof zygote);
        return 0;
}

static void await_end_of(int pidfd)
{
        struct pollfd end = {.fd = pidfd, .events = POLLIN};

        cr_assert(poll(&end, 1, -1) == 1);
}

static bool has_ended(int pidfd)
{
        struct pollfd end = {.fd = pidfd, .events = POLLIN};

        return poll(&end, 1, 0) == 1;
}

static int open_pidfd(pid_t pid)
{
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

        cr_assert(pidfd >= 0, "process %d", pid);
        return pidfd;
}

/* ---- the host ends ---- */

/* Nothing is rung for that. */
static void await_claimed(void)
{
        while (!host_is(&host, 0, 0, LANE_CLAIMED))
                sched_yield();
}

/* A host of its own, with a worker that is busy and one that sleeps; tells of them and hangs. */
static _Noreturn void be_host(int tell)
{
        pid_t pids[3] = {0};

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        host_put(&host, 0, hang, NULL, 0, 0);
        await_claimed();
        host_call(&host, 1, pid_of_zygote, NULL, 0, &pids[0], sizeof pids[0]);
        pids[1] = host.workers[0].pid;
        pids[2] = host.workers[1].pid;
        if (write(tell, pids, sizeof pids) != sizeof pids)
                _exit(1);
        for (;;)
                pause();
}

static void check_gone_with_host(int signal)
{
        int tell[2], pidfds[3];
        pid_t pids[3], pid;

        cr_assert(pipe2(tell, O_CLOEXEC) == 0);
        pid = fork();
        if (pid == 0)
                be_host(tell[1]);
        cr_assert(read(tell[0], pids, sizeof pids) == sizeof pids);
        for (int i = 0; i < 3; i++)
                pidfds[i] = open_pidfd(pids[i]);
        kill(pid, signal);
        cr_assert(waitpid(pid, NULL, 0) == pid);
        for (int i = 0; i < 3; i++) {
                await_end_of(pidfds[i]);
                close(pidfds[i]);
        }
        close(tell[0]);
        close(tell[1]);
}

TEST_BOTH(f79_the_host_is_killed_and_its_workers_go)
{
        check_gone_with_host(SIGKILL);
}

Test(workers, f79_the_host_is_terminated_and_its_workers_go)
{
        check_gone_with_host(SIGTERM);
}

TEST_BOTH(f79_the_zygote_is_killed_and_its_workers_go)
{
        pid_t zygote = -1;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        host_put(&host, 0, hang, NULL, 0, 0);
        await_claimed();
        cr_assert(host_call(&host, 1, pid_of_zygote, NULL, 0, &zygote, sizeof zygote) == 0);
        kill(zygote, SIGKILL);
        await_end_of(host.workers[0].pidfd);
        await_end_of(host.workers[1].pidfd);
        if (host.zygote > 0)
                cr_assert(waitpid(host.zygote, NULL, 0) == zygote);
        host.zygote = -1;
        host_end(&host);
}

static void *begin_in_thread(void *unused)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        return unused;
}

TEST_BOTH(f80_the_thread_that_made_them_ends_and_they_live_on)
{
        pthread_t thread;

        cr_assert(pthread_create(&thread, NULL, begin_in_thread, NULL) == 0);
        pthread_join(thread, NULL);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_spawn(&host, 1);
        cr_assert(host_call(&host, 1, nothing, NULL, 0, NULL, 0) == 0);
        cr_assert(!has_ended(host.workers[0].pidfd));
        host_end(&host);
}

/* ---- what is inherited ---- */

/* "0=/dev/null 3=anon_inode:[eventfd] ..." */
static intptr_t list_fds(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;
        size_t used = 0;

        (void)job, (void)in;
        while (dir && (entry = readdir(dir))) {
                char path[64], target[64] = "";

                snprintf(path, sizeof path, "/proc/self/fd/%.8s", entry->d_name);
                if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir) ||
                    readlink(path, target, sizeof target - 1) < 0)
                        continue;
                used += (size_t)snprintf((char *)out.base + used, out.len - used, "%.8s=%s ", entry->d_name,
                                         target);
        }
        if (dir)
                closedir(dir);
        return (intptr_t)used;
}

static int a_pipe(void)
{
        int ends[2];

        cr_assert(pipe(ends) == 0);
        close(ends[1]);
        return ends[0];
}

static int compare_ints(const void *a, const void *b)
{
        return *(const int *)a - *(const int *)b;
}

/* A descriptor of the host's under a number of its own. */
static void put_pipe_at(int number, int flags)
{
        int fd = a_pipe();

        cr_assert(dup3(fd, number, flags) == number);
        close(fd);
}

TEST_BOTH(f82_only_the_descriptors_that_are_meant_are_inherited)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct played_extras extras = PLAYED_NOTHING;
        const int passed[] = {47, 140};
        char fds[400] = "";
        int n = 0;

        /* The host's own, which would survive exec. */
        for (int fd = 120; fd < 130; fd++)
                cr_assert(dup2(0, fd) == fd);
        put_pipe_at(47, O_CLOEXEC);
        put_pipe_at(140, 0);
        options.fds = passed;
        options.fds_len = extras.fds_len = 2;
        extras.fds = passed;
        host_begin_with(&host, &options, extras);
        host_spawn(&host, 0);
        host_spawn(&host, 1); /* it must not have what the first was given */
        cr_assert(host_call(&host, 1, list_fds, NULL, 0, fds, sizeof fds) > 0);
        for (char *at = strchr(fds, '='); at; at = strchr(at + 1, '='))
                n++;
        cr_assert(n == 6, "%s", fds);
        cr_assert(strstr(fds, "0=/dev/null ") && strstr(fds, "1=") && strstr(fds, "2="), "%s", fds);
        cr_assert(strstr(fds, " 47=pipe") && strstr(fds, " 140=pipe"), "%s", fds);
        cr_assert(strstr(fds, "=anon_inode:[eventfd] "), "%s", fds);
        host_end(&host);
        for (int fd = 120; fd < 130; fd++)
                close(fd);
        close(47);
        close(140);
}

/* The numbers that a fresh process uses first are the ones that collide. */
TEST_BOTH(f82_descriptors_have_the_numbers_of_the_host)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct played_extras extras = PLAYED_NOTHING;
        enum { MANY = 12 };
        int passed[MANY];
        char fds[480] = "", wanted[32];

        for (int i = 0; i < MANY; i++)
                cr_assert((passed[i] = eventfd(0, EFD_CLOEXEC)) > 2);
        qsort(passed, MANY, sizeof *passed, compare_ints);
        options.fds = extras.fds = passed;
        options.fds_len = extras.fds_len = MANY;
        host_begin_with(&host, &options, extras);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, list_fds, NULL, 0, fds, sizeof fds) > 0);
        for (int i = 0; i < MANY; i++) {
                snprintf(wanted, sizeof wanted, " %d=", passed[i]);
                cr_assert(strstr(fds, wanted), "%d is not in %s", passed[i], fds);
        }
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_end(&host);
        for (int i = 0; i < MANY; i++)
                close(passed[i]);
}

TEST_BOTH(f82_the_peer_of_a_socket_sees_its_end)
{
        char byte;
        int ends[2];

        cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        close(ends[0]);
        cr_assert(recv(ends[1], &byte, 1, 0) == 0, "workers keep it open");
        close(ends[1]);
        host_end(&host);
}

static intptr_t print_hello(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        printf("hello;");
        return 0;
}

static intptr_t exit_at_once(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        printf("bye;");
        exit(3);
}

static void print_at_exit(void)
{
        printf("at exit;");
}

TEST_BOTH(f83_what_was_buffered_before_is_not_printed_twice)
{
        struct zygote_message death;
        char text[256] = "";
        int out = memfd_create("stdout", MFD_CLOEXEC), saved = dup(1);
        FILE *other = tmpfile();

        cr_assert(dup2(out, 1) == 1);
        setvbuf(stdout, NULL, _IOFBF, 4096);
        atexit(print_at_exit); /* is for the host alone */
        printf("before;");
        fprintf(other, "other;");
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        cr_assert(host_call(&host, 0, print_hello, NULL, 0, NULL, 0) == 0);
        cr_assert(lseek(out, 0, SEEK_CUR) == 6, "what a job printed is out when it is done");
        host_stop(&host, 0);
        death = host_await_death(&host, 0);
        cr_assert(death.status == 0);
        host_put(&host, 1, exit_at_once, NULL, 0, 0);
        death = host_await_death(&host, 1);
        cr_assert(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 3);
        fflush(stdout);
        fflush(other);
        cr_assert(pread(out, text, sizeof text - 1, 0) > 0);
        cr_assert(strcmp(text, "hello;bye;before;") == 0, "%s", text);
        cr_assert(lseek(fileno(other), 0, SEEK_END) == 6);
        dup2(saved, 1);
        close(saved);
        close(out);
        fclose(other);
        host_end(&host);
}

/* ---- signals and sessions ---- */

enum { SIGNALS = 64 };

struct signal_report {
        bool blocked[SIGNALS + 1], handled[SIGNALS + 1], ignored[SIGNALS + 1];
        bool leads_session;
        pid_t session_of_zygote;
};

static intptr_t report_signals(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct signal_report *report = out.base;
        sigset_t mask;

        (void)job, (void)in;
        memset(report, 0, sizeof *report);
        sigprocmask(SIG_SETMASK, NULL, &mask);
        for (int sig = 1; sig <= SIGNALS; sig++) {
                struct sigaction action;

                if (sigaction(sig, NULL, &action) < 0)
                        continue;
                report->blocked[sig] = sigismember(&mask, sig) == 1;
                report->ignored[sig] = action.sa_handler == SIG_IGN;
                report->handled[sig] = action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL;
        }
        report->leads_session = getsid(0) == getpid() && getpgrp() == getpid();
        report->session_of_zygote = getsid(getppid());
        return 0;
}

static void no_handler(int sig)
{
        (void)sig;
}

TEST_BOTH(f86_signals_are_as_in_a_new_process_whatever_the_host_does)
{
        const int watched[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
        struct signal_report report;
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        for (int sig = 1; sig <= SIGNALS; sig++)
                signal(sig, sig % 2 ? SIG_IGN : no_handler);
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, report_signals, NULL, 0, &report, sizeof report) == 0);
        for (int sig = 1; sig <= SIGNALS; sig++) {
                bool ours = false;

                for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
                        ours |= watched[i] == sig;
                cr_assert(!report.blocked[sig] && !report.ignored[sig], "signal %d", sig);
                cr_assert(report.handled[sig] == ours, "signal %d", sig);
        }
        cr_assert(report.leads_session);
        cr_assert(report.session_of_zygote != getsid(0));
        signal(SIGCHLD, SIG_DFL); /* host_end() waits */
        host_end(&host);
}

static intptr_t kill_own_group(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        kill(0, SIGTERM);
        return 0;
}

TEST_BOTH(f86_a_job_that_signals_its_group_meets_nobody_else)
{
        struct zygote_message death;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        cr_assert(host_call(&host, 1, nothing, NULL, 0, NULL, 0) == 0);
        host_put(&host, 0, kill_own_group, NULL, 0, 0);
        death = host_await_death(&host, 0);
        cr_assert(WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGTERM);
        cr_assert(host_call(&host, 1, nothing, NULL, 0, NULL, 0) == 0);
        host_end(&host);
}

/* ---- what is left behind ---- */

/* Forks so many, each by the one before, the last two in sessions of their own; tells of the last. */
static intptr_t leave_processes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int depth = *(const int *)in.base, tell[2];
        pid_t last = -1;

        (void)job;
        if (pipe(tell) < 0)
                return -errno;
        for (int i = 0; i < depth; i++) {
                if (fork() != 0) {
                        if (i > 0 &&
                            i % 2) /* every second one stays, the others end: their children are orphans */
                                for (;;)
                                        pause();
                        if (i > 0)
                                _exit(0);
                        break;
                }
                setsid();
                if (i == depth - 1) {
                        last = getpid();
                        if (write(tell[1], &last, sizeof last) != sizeof last)
                                _exit(1);
                        for (;;)
                                pause();
                }
        }
        close(tell[1]);
        if (read(tell[0], out.base, sizeof last) != sizeof last)
                return -EIO;
        close(tell[0]);
        return 0;
}

/* The worker leaves some, and ends as end() says: all are gone when that is told. */
static void check_ended_with_worker(void (*end)(void))
{
        int depth = 5, pidfd;
        pid_t last;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        cr_assert(host_call(&host, 0, leave_processes, &depth, sizeof depth, &last, sizeof last) == 0);
        pidfd = open_pidfd(last);
        cr_assert(!has_ended(pidfd));
        end();
        host_await_death(&host, 0);
        cr_assert(has_ended(pidfd));
        close(pidfd);
        cr_assert(host_call(&host, 1, nothing, NULL, 0, NULL, 0) == 0, "the others live");
        host_end(&host);
}

static void by_kill(void)
{
        syscall(SYS_pidfd_send_signal, host.workers[0].pidfd, SIGKILL, NULL, 0);
}

static void by_stop(void)
{
        host_stop(&host, 0);
}

TEST_BOTH(f96_what_a_killed_worker_has_started_ends_with_it)
{
        check_ended_with_worker(by_kill);
}

TEST_BOTH(f96_what_a_worker_has_started_ends_with_it)
{
        check_ended_with_worker(by_stop);
}

TEST_BOTH(f96_what_workers_have_started_ends_with_the_pool)
{
        int depth = 4, pidfd;
        pid_t last;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, leave_processes, &depth, sizeof depth, &last, sizeof last) == 0);
        pidfd = open_pidfd(last);
        host_end(&host);
        await_end_of(pidfd);
        close(pidfd);
}

static intptr_t fork_and_return(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t pid = fork();
        int status;

        (void)job, (void)in, (void)out;
        if (pid <= 0)
                return pid; /* in the child: as if it were the worker */
        if (waitpid(pid, &status, 0) != pid)
                return -errno;
        return WIFEXITED(status) ? 100 + WEXITSTATUS(status) : -WTERMSIG(status);
}

Test(workers, f96_a_forked_child_that_returns_from_the_job_is_no_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        for (int i = 0; i < 3; i++)
                cr_assert(host_call(&host, 0, fork_and_return, NULL, 0, NULL, 0) == 100);
        cr_assert(host.workers[0].next == 3);
        cr_assert(host_is(&host, 0, 3, LANE_FREE));
        host_end(&host);
}

static intptr_t fork_and_crash(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t pid = fork();
        int status;

        (void)job, (void)in, (void)out;
        if (pid == 0)
                abort();
        waitpid(pid, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

Test(workers, f96_a_forked_child_that_crashes_is_not_taken_for_the_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, fork_and_crash, NULL, 0, NULL, 0) == SIGABRT);
        cr_assert(atomic_load(&host.workers[0].lane.head->crashed) == 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_end(&host);
}

/* Children write where the job's output goes, and into what they believe to be the lane. */
static intptr_t child_scribbles(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t pid = fork();
        int status;

        (void)job, (void)in;
        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);
                memset(out.base, 0x55, out.len);
                _exit(0);
        }
        memset(out.base, 0x11, out.len);
        waitpid(pid, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

Test(workers, f96_a_forked_child_cannot_write_into_the_lane)
{
        unsigned char out[16];

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, child_scribbles, NULL, 0, out, sizeof out) == SIGSEGV);
        cr_assert(out[0] == 0x11 && out[15] == 0x11);
        host_end(&host);
}

static void *spin_for_ever(void *unused)
{
        for (;;)
                sched_yield();
        return unused;
}

static intptr_t leave_a_thread(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pthread_t thread;

        (void)job, (void)in, (void)out;
        return -pthread_create(&thread, NULL, spin_for_ever, NULL);
}

Test(workers, f96_a_thread_that_is_left_behind_ends_with_its_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, leave_a_thread, NULL, 0, NULL, 0) == 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_stop(&host, 0);
        cr_assert(host_await_death(&host, 0).status == 0);
        cr_assert(has_ended(host.workers[0].pidfd));
        host_end(&host);
}

/* ---- deaths ---- */

static intptr_t burn_and_die(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        volatile unsigned long n = 0;

        (void)job, (void)in, (void)out;
        while (n < 200000000)
                n++;
        raise(SIGKILL);
        return 0;
}

Test(workers, f71_a_death_is_told_once_with_what_the_worker_has_used)
{
        struct zygote_message death;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_put(&host, 0, burn_and_die, NULL, 0, 0);
        death = host_await_death(&host, 0);
        cr_assert(WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGKILL);
        cr_assert(death.cpu_ns > 0 && death.resident_bytes > 0);
        cr_assert(host_is(&host, 0, 0, LANE_CLAIMED), "it was at it");
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0, "there is a new one");
        host_stop(&host, 0);
        cr_assert(host_await_death(&host, 0).status == 0, "nothing else was told in between");
        host_end(&host);
}

static intptr_t exit_quickly(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        _exit(42);
}

Test(workers, f71_a_job_that_exits_ends_its_worker)
{
        struct zygote_message death;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_put(&host, 0, exit_quickly, NULL, 0, 0);
        death = host_await_death(&host, 0);
        cr_assert(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 42);
        cr_assert(atomic_load(&host.workers[0].lane.head->crashed) == 0);
        host_end(&host);
}

Test(workers, f71_one_that_is_killed_as_it_sleeps_is_told_of)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.spin_ns = -1;
        host_begin(&host, &options);
        host_spawn(&host, 0);
        while (!atomic_load(&host.workers[0].lane.head->asleep))
                sched_yield();
        by_kill();
        cr_assert(WTERMSIG(host_await_death(&host, 0).status) == SIGKILL);
        host_end(&host);
}
