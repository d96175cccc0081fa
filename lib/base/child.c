/* child.c - see child.h. All of it is system calls on registers and the stack. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/raw.h"

struct kernel_action {
        uintptr_t handler; /* 0: SIG_DFL, 1: SIG_IGN */
        unsigned long flags;
        uintptr_t restorer;
        uint64_t mask;
};

/* Member by member: a compiler may clear a struct by calling memset(), which a sanitizer intercepts. */
static inline __attribute__((always_inline)) void set_action(struct kernel_action *action, uintptr_t handler)
{
        action->handler = handler;
        action->flags = 0;
        action->restorer = 0;
        action->mask = 0;
}

raw_code void child_set_mask(uint64_t blocked)
{
        raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, CHILD_SIGNALS_BYTES, 0);
}

raw_code void child_set_dispositions(uint64_t ignored)
{
        struct kernel_action action;

        for (long sig = 1; sig <= CHILD_SIGNALS; sig++) {
                set_action(&action, ignored >> (sig - 1) & 1);
                raw_call(SYS_rt_sigaction, sig, &action, NULL, CHILD_SIGNALS_BYTES, 0);
        }
}

raw_code void child_forget_handlers(void)
{
        struct kernel_action action, none;

        set_action(&none, 0);
        for (long sig = 1; sig <= CHILD_SIGNALS; sig++)
                if (raw_call(SYS_rt_sigaction, sig, NULL, &action, CHILD_SIGNALS_BYTES, 0) == 0 &&
                    action.handler > 1)
                        raw_call(SYS_rt_sigaction, sig, &none, NULL, CHILD_SIGNALS_BYTES, 0);
}

/* Before Linux 5.9. */
static raw_code void close_one_by_one(unsigned first, unsigned last)
{
        struct rlimit limit;

        if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit, 0) < 0)
                return;
        for (unsigned fd = first; fd < limit.rlim_cur && fd <= last; fd++)
                raw_call(SYS_close, fd, 0, 0, 0, 0);
}

raw_code void child_close_range(unsigned first, unsigned last)
{
        if (first <= last && raw_call(SYS_close_range, first, last, 0, 0, 0) < 0)
                close_one_by_one(first, last);
}

uint64_t child_block_signals(void)
{
        uint64_t all = UINT64_MAX, old = 0;

        raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, CHILD_SIGNALS_BYTES, 0);
        return old;
}

void child_restore_signals(uint64_t before)
{
        child_set_mask(before);
}

void child_reap(int pidfd)
{
        siginfo_t info;

        while (raw_call(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED | __WALL, NULL) == -EINTR)
                ;
        raw_call(SYS_close, pidfd, 0, 0, 0, 0);
}
