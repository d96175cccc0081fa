/* birth.c - clone() and exec, see birth.h.
 *
 * The child shares our memory and our thread waits for it (CLONE_VM | CLONE_VFORK), so that a large heap
 * costs nothing. It has no signal for its end until exec gives it SIGCHLD: a child that could not execute its
 * program ends without that anybody but us can notice. All signals are blocked until their handlers are gone.
 *
 * A child that takes another user's rights makes the memory, ours too, one that may not be looked into (see
 * PR_SET_DUMPABLE in prctl(2)), and that must be so, else that user could trace it. So one such child at a
 * time is born, and when it has memory of its own, ours is again what it was.
 *
 * Valgrind makes a fork of such a clone(); there the child tells its failure through a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/raw.h"
#include "base/sys.h"
#include "coro/sanitize.h"
#include "io/birth.h"

enum { STACK_BYTES = 16 * 1024, STACK_ALIGN = 64, CANNOT_START = 127 };

struct failure {
        intptr_t error; /* as wide as the other: no byte between them is left unset */
        const char *failed;
};

/* ---- in the child: system calls only ---- */

static raw_code _Noreturn void give_up(struct birth *birth, const char *failed, long error)
{
        birth->error = (int)error;
        birth->failed = failed;
        if (birth->report >= 0) {
                struct failure failure;

                failure.error = error;
                failure.failed = failed;
                raw_call(SYS_write, birth->report, &failure, sizeof failure, 0, 0);
                /* Valgrind would flush, at the exit of this copy, what stdio holds. */
                raw_call(SYS_kill, raw_call(SYS_getpid, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0);
        }
        raw_call(SYS_exit_group, CANNOT_START, 0, 0, 0, 0);
        __builtin_unreachable();
}

#define try_step(name, call)                                                                                 \
        do {                                                                                                 \
                long error_ = (call);                                                                        \
                                                                                                             \
                if (error_ < 0)                                                                              \
                        give_up(birth, name, error_);                                                        \
        } while (0)

static raw_code void join(struct birth *birth)
{
        if (birth->new_session)
                try_step("session", raw_call(SYS_setsid, 0, 0, 0, 0, 0));
        if (birth->terminal >= 0)
                try_step("terminal", raw_call(SYS_ioctl, birth->terminal, TIOCSCTTY, 0, 0, 0));
        if (birth->new_group)
                try_step("group", raw_call(SYS_setpgid, 0, 0, 0, 0, 0));
        else if (birth->join_group > 0)
                try_step("group", raw_call(SYS_setpgid, 0, birth->join_group, 0, 0, 0));
}

static raw_code void go_to_directory(struct birth *birth)
{
        if (birth->directory_fd)
                try_step("directory", raw_call(SYS_fchdir, *birth->directory_fd, 0, 0, 0, 0));
        if (birth->directory)
                try_step("directory", raw_call(SYS_chdir, birth->directory, 0, 0, 0, 0));
}

static raw_code void set_limits(struct birth *birth)
{
        for (size_t i = 0; i < birth->limits_len; i++) {
                uint64_t limit[2];

                limit[0] = birth->limits[i].soft;
                limit[1] = birth->limits[i].hard;
                try_step("limits", raw_call(SYS_prlimit64, 0, birth->limits[i].resource, limit, NULL, 0));
        }
}

static raw_code void become_user(struct birth *birth)
{
        const struct ouro_spawn_user *user = birth->user;

        if (!user)
                return;
        try_step("user", raw_call(SYS_setgroups, user->groups_len, user->groups, 0, 0, 0));
        try_step("user", raw_call(SYS_setresgid, user->gid, user->gid, user->gid, 0, 0));
        try_step("user", raw_call(SYS_setresuid, user->uid, user->uid, user->uid, 0, 0));
}

/* After the change of the user, which would take it away. If the parent is gone by now, nothing would come.
 */
static raw_code void follow_parent(struct birth *birth)
{
        if (birth->parent_death_signal == 0)
                return;
        try_step("parent_death_signal",
                 raw_call(SYS_prctl, PR_SET_PDEATHSIG, birth->parent_death_signal, 0, 0, 0));
        if (raw_call(SYS_getppid, 0, 0, 0, 0, 0) != birth->parent)
                raw_call(SYS_kill, raw_call(SYS_getpid, 0, 0, 0, 0, 0), birth->parent_death_signal, 0, 0, 0);
}

/* First all go where no number is wanted, then each to its own, and what lies between is closed. */
static raw_code void place_descriptors(struct birth *birth)
{
        const struct birth_fd *fds = birth->fds;
        size_t n = birth->fds_len;
        int top = n > 0 ? fds[n - 1].to + 1 : 0;
        unsigned next = 0;

        if (birth->report >= 0) {
                long moved = raw_call(SYS_fcntl, birth->report, F_DUPFD_CLOEXEC, top, 0, 0);

                try_step("descriptors", moved);
                birth->report = (int)moved;
        }
        for (size_t i = 0; i < n; i++) {
                long moved = raw_call(SYS_fcntl, fds[i].from, F_DUPFD_CLOEXEC, top, 0, 0);

                try_step("descriptors", moved);
                birth->fds[i].from = (int)moved;
        }
        for (size_t i = 0; i < n; i++) {
                try_step("descriptors", raw_call(SYS_dup3, fds[i].from, fds[i].to, 0, 0, 0));
                raw_call(SYS_close, fds[i].from, 0, 0, 0, 0);
                if (fds[i].to > 0)
                        child_close_range(next, (unsigned)fds[i].to - 1);
                next = (unsigned)fds[i].to + 1;
        }
        if (birth->report >= 0) {
                child_close_range(next, (unsigned)birth->report - 1);
                next = (unsigned)birth->report + 1;
        }
        child_close_range(next, ~0u);
}

/* As execvpe(3) goes through the PATH: what cannot be had there may be elsewhere. */
static raw_code bool goes_on(long error)
{
        return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ESTALE ||
               error == -ENODEV || error == -ETIMEDOUT;
}

static raw_code _Noreturn void execute(struct birth *birth)
{
        long error = -ENOENT;

        for (const char *const *file = birth->files; *file; file++) {
                long result = raw_call(SYS_execve, *file, birth->argv, birth->environment, 0, 0);

                if (!goes_on(result))
                        give_up(birth, "exec", result);
                if (error != -EACCES)
                        error = result == -EACCES || !file[1] ? result : error;
        }
        give_up(birth, "exec", error);
}

static raw_code int child(void *arg)
{
        struct birth *birth = arg;

        join(birth);
        child_set_dispositions(birth->ignored);
        go_to_directory(birth);
        if (birth->umask)
                raw_call(SYS_umask, *birth->umask, 0, 0, 0, 0);
        place_descriptors(birth);
        if (birth->set_nice)
                try_step("nice", raw_call(SYS_setpriority, PRIO_PROCESS, 0, birth->nice, 0, 0));
        set_limits(birth);
        become_user(birth);
        follow_parent(birth);
        child_set_mask(birth->blocked);
        execute(birth);
}

/* ---- in the parent ---- */

static raw_code long clone_child(struct birth *birth)
{
        const unsigned long flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
        uintptr_t top = (uintptr_t)birth->stack + STACK_BYTES;
        uint64_t signals = child_block_signals();
        long pid;

        if (birth->report >= 0) {
                pid = raw_call(SYS_clone, CLONE_PIDFD, NULL, &birth->pidfd, NULL, 0);
                if (pid == 0)
                        child(birth);
        } else {
                pid = raw_clone(child, (char *)(top & ~(uintptr_t)(STACK_ALIGN - 1)), flags, birth,
                                &birth->pidfd);
        }
        child_restore_signals(signals);
        return pid;
}

/* The writing end is closed by exec, or with the child. */
static void await_report(struct birth *birth, int ends[2])
{
        struct failure failure;
        ssize_t n;

        close(ends[1]);
        do
                n = sys_result(read(ends[0], &failure, sizeof failure));
        while (n == -EINTR);
        close(ends[0]);
        if (n == (ssize_t)sizeof failure) {
                birth->error = (int)failure.error;
                birth->failed = failure.failed;
        }
}

static int clone_and_await_one(struct birth *birth)
{
        int ends[2] = {-1, -1}, error;
        long pid;

        birth->report = -1;
        if (sanitize_on_valgrind()) {
                error = sys_result(pipe2(ends, O_CLOEXEC));
                if (error < 0)
                        return error;
                birth->report = ends[1];
        }
        pid = clone_child(birth);
        if (ends[0] >= 0)
                await_report(birth, ends);
        if (pid < 0)
                return (int)pid;
        birth->pid = (pid_t)pid;
        if (birth->error < 0)
                child_reap(birth->pidfd);
        return birth->error;
}

static int clone_and_await(struct birth *birth)
{
        static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
        int dumpable, error;

        if (!birth->user)
                return clone_and_await_one(birth);
        pthread_mutex_lock(&one_at_a_time);
        dumpable = sys_result(prctl(PR_GET_DUMPABLE));
        error = clone_and_await_one(birth);
        if (dumpable == 0 || dumpable == 1) /* 2 cannot be asked for */
                (void)sys_result(prctl(PR_SET_DUMPABLE, dumpable));
        pthread_mutex_unlock(&one_at_a_time);
        return error;
}

int birth_give(struct birth *birth)
{
        int error;

        birth->error = 0;
        birth->failed = "process";
        birth->parent = getpid();
        birth->stack = mem_alloc(STACK_BYTES);
        if (!birth->stack)
                return -ENOMEM;
        error = clone_and_await(birth);
        mem_free(birth->stack, STACK_BYTES);
        return error;
}
