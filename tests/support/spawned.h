/* spawned.h - what tests of processes begin with: shell scripts as processes, and what they print. */
#ifndef OURO_TESTS_SUPPORT_SPAWNED_H
#define OURO_TESTS_SUPPORT_SPAWNED_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/in_loop.h"
#include "support/leaks.h"

#define SH(script) OURO_ARGV("/bin/sh", "-c", (script))

static inline struct ouro_spawn_options usual(void)
{
        return (struct ouro_spawn_options)OURO_SPAWN_OPTIONS_INIT;
}

static inline ouro_process *begin(const char *const *argv, const struct ouro_spawn_options *options)
{
        ouro_process *process = NULL;

        EQ(ouro_spawn(argv, options, &process), 0);
        return process;
}

/* Its end, and its handle closed. */
static inline int finish(ouro_process *process)
{
        int result = ouro_process_wait(process, NULL);

        EQ(ouro_process_close(process), 0);
        return result;
}

#define PRINTS(argv, options, text)                                                                          \
        do {                                                                                                 \
                struct ouro_captured captured_;                                                              \
                                                                                                             \
                EQ(ouro_run_command((argv), (options), NULL, &captured_, NULL), 0);                          \
                cr_assert_str_eq(captured_.out, (text));                                                     \
                ouro_captured_free(&captured_);                                                              \
        } while (0)

/* Until the process has written a line: it has come so far. */
static inline void await_line(const ouro_process *process)
{
        char byte = 0;

        while (byte != '\n')
                EQ(ouro_read(ouro_process_fd(process, 1), &byte, 1), 1);
}

/* No child is left that anybody could wait for. */
static inline void no_child_is_left(void)
{
        siginfo_t info;

        EQ(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL), -1);
        EQ(errno, ECHILD);
}

#endif
