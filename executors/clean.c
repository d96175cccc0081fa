/* clean.c - taking off what a process has inherited by accident.
 *
 * A program executed afresh has lost the host's handlers and close-on-exec descriptors already, and what it
 * has besides is its own: its constructors may have set a handler or opened a file. A fork has all that the
 * host had. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "executors/clean.h"

enum { FORKED_FLAG = 0x40 /* PF_FORKNOEXEC, in the ninth field of /proc/self/stat */ };

/* Whether this process is a fork of the host rather than a program of its own. Unknown counts as a fork: that
 * is the careful answer. */
static bool is_fork(void)
{
        unsigned long flags = FORKED_FLAG;
        char text[512], *name_end;
        int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return true;
        n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        name_end = strrchr(text, ')');
        if (name_end)
                sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags);
        return (flags & FORKED_FLAG) != 0;
}

/* Of a program of its own, handlers are what its constructors have set, and stay; of a fork, the host's. */
static void reset_signals(bool forked)
{
        sigset_t blocked;

        for (int sig = 1; sig < NSIG; sig++) {
                struct sigaction action;

                if (sig == SIGKILL || sig == SIGSTOP || sigaction(sig, NULL, &action) < 0)
                        continue;
                if (action.sa_handler == SIG_DFL || (action.sa_handler != SIG_IGN && !forked))
                        continue;
                action = (struct sigaction){.sa_handler = SIG_DFL};
                sigaction(sig, &action, NULL);
        }
        signal(SIGCHLD, SIG_DFL); /* SIG_IGN or SA_NOCLDWAIT would reap for us */
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGCHLD);
        sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* A host without stdout has something else under its number, that no program of its would have inherited. */
static bool is_inherited(int fd)
{
        int flags = fcntl(fd, F_GETFD);

        return flags >= 0 && !(flags & FD_CLOEXEC);
}

/* stdin reads nothing; stdout and stderr are the host's, if it has any. */
static void set_standard_streams(void)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0)
                null = memfd_create("ouro-null", MFD_CLOEXEC);
        if (null < 0)
                return;
        for (int fd = 0; fd < 3; fd++)
                if (fd == 0 || !is_inherited(fd))
                        dup2(null, fd);
        if (null > 2)
                close(null);
        else
                fcntl(null, F_SETFD, 0); /* for the programs of jobs, too */
        /* What the host had not written yet is for the host to write. */
        __fpurge(stdin);
        __fpurge(stdout);
        __fpurge(stderr);
}

/* A sandbox may not know close_range(). What cannot be closed must not stay. */
static void close_range_of(unsigned first, unsigned last)
{
        struct rlimit limit;

        if (first > last || syscall(SYS_close_range, first, last, 0u) == 0)
                return;
        check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        for (unsigned fd = first; fd <= last && fd < limit.rlim_max; fd++)
                close((int)fd);
}

static void close_all_but(int kept)
{
        close_range_of(3, (unsigned)kept - 1);
        close_range_of((unsigned)kept + 1, ~0u);
}

int clean_process(int socket, bool *ret_forked)
{
        bool forked = is_fork();

        reset_signals(forked);
        if (socket < 3)
                socket = fcntl(socket, F_DUPFD_CLOEXEC, 3);
        check(socket >= 3);
        if (forked)
                close_all_but(socket);
        set_standard_streams();
        *ret_forked = forked;
        return socket;
}
