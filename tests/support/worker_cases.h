/* worker_cases.h - what tests of worker processes that die or leave something behind begin with. */
#ifndef OURO_TESTS_SUPPORT_WORKER_CASES_H
#define OURO_TESTS_SUPPORT_WORKER_CASES_H

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

static struct played_host host;

/* With a zygote that is a fork of the host, and with one that is its program, executed afresh. */
#define TEST_BOTH(suite, name)                                                                               \
        static void name(void);                                                                              \
        Test(suite, name##_forked)                                                                           \
        {                                                                                                    \
                played_start = OURO_START_FORK;                                                              \
                name();                                                                                      \
        }                                                                                                    \
        Test(suite, name##_executed)                                                                         \
        {                                                                                                    \
                played_start = OURO_START_EXEC;                                                              \
                name();                                                                                      \
        }                                                                                                    \
        static void name(void)

static inline intptr_t nothing(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 0;
}

static inline intptr_t hang(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        for (;;)
                pause();
        return 0;
}

static inline intptr_t pid_of_zygote(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t zygote = getppid();

        (void)job, (void)in;
        memcpy(out.base, &zygote, sizeof zygote);
        return 0;
}

static inline void await_end_of(int pidfd)
{
        struct pollfd end = {.fd = pidfd, .events = POLLIN};

        cr_assert(poll(&end, 1, -1) == 1);
}

static inline bool has_ended(int pidfd)
{
        struct pollfd end = {.fd = pidfd, .events = POLLIN};

        return poll(&end, 1, 0) == 1;
}

static inline int open_pidfd(pid_t pid)
{
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

        cr_assert(pidfd >= 0, "process %d", pid);
        return pidfd;
}

static inline void by_kill(void)
{
        syscall(SYS_pidfd_send_signal, host.workers[0].pidfd, SIGKILL, NULL, 0);
}

#endif
