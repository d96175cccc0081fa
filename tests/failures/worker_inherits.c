/* What worker processes have of their host, and what they must not have. */
#include "support/worker_cases.h"

TestSuite(worker_inherits, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

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

TEST_BOTH(worker_inherits, f82_only_the_descriptors_that_are_meant_are_inherited)
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
TEST_BOTH(worker_inherits, f82_descriptors_have_the_numbers_of_the_host)
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

static intptr_t stdin_lasts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return fcntl(0, F_GETFD);
}

/* Where the host has no stdin and no stdout, their numbers are those of something else. */
TEST_BOTH(worker_inherits, f82_what_the_host_has_in_place_of_standard_streams_stays_there)
{
        const int saved[] = {fcntl(0, F_DUPFD_CLOEXEC, 3), fcntl(1, F_DUPFD_CLOEXEC, 3)};
        char fds[400] = "";

        put_pipe_at(1, O_CLOEXEC);
        close(0);
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, list_fds, NULL, 0, fds, sizeof fds) > 0);
        cr_assert(strstr(fds, "0=/dev/null ") && strstr(fds, "1=/dev/null "), "%s", fds);
        cr_assert(host_call(&host, 0, stdin_lasts, NULL, 0, NULL, 0) == 0, "a job's programs have it, too");
        host_end(&host);
        for (int fd = 0; fd < 2; fd++) {
                cr_assert(dup2(saved[fd], fd) == fd);
                close(saved[fd]);
        }
}

TEST_BOTH(worker_inherits, f82_the_peer_of_a_socket_sees_its_end)
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

TEST_BOTH(worker_inherits, f83_what_was_buffered_before_is_not_printed_twice)
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

TEST_BOTH(worker_inherits, f86_signals_are_as_in_a_new_process_whatever_the_host_does)
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

TEST_BOTH(worker_inherits, f86_a_job_that_signals_its_group_meets_nobody_else)
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
