/* overflow.c - naming the task that ran into its guard page.
 *
 * A SIGSEGV or SIGBUS handler on an alternate stack, installed while a run wants it. It tells what it knows
 * and puts the old handler back: the fault comes again, and is that one's (or ends the process). */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/log.h"
#include "task/task.h"

enum { ALT_STACK_BYTES = 64 * 1024, FUNCTION_BYTES = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction old_segv, old_bus;
static __thread void *alt_stack;
static __thread unsigned alt_users; /* loops of this thread */

/* "name", or "file+0x123" of a function that is not exported: addr2line(1) knows it. */
static void tell_function(ouro_fn *fn, char *text, size_t text_bytes)
{
        uintptr_t addr = (uintptr_t)fn;
        Dl_info found;

        if (!dladdr((void *)addr, &found))
                snprintf(text, text_bytes, "0x%lx", (long)addr);
        else if (found.dli_sname)
                snprintf(text, text_bytes, "%s", found.dli_sname);
        else
                snprintf(text, text_bytes, "%s+0x%lx", found.dli_fname,
                         (long)(addr - (uintptr_t)found.dli_fbase));
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
        struct sched *sched = sched_current;
        char function[FUNCTION_BYTES];
        const struct task *task;

        (void)context;
        sigaction(signal, signal == SIGSEGV ? &old_segv : &old_bus, NULL);
        if (info->si_code <= 0) { /* sent by somebody: it does not come again by itself */
                raise(signal);
                return;
        }
        if (!sched || sched->current == &sched->loop || !coro_guards(sched, info->si_addr))
                return;
        task = task_of(sched->current);
        tell_function(coro_entry(sched, sched->current), function, sizeof function);
        log_line(OURO_LOG_ERROR,
                 "task %s, function %s, overflowed its stack of %zu bytes (guard page included)",
                 task_name(task), function, coro_stack_bytes(sched, sched->current));
}

/* Overflowed stacks cannot run a handler: this thread gets a stack for it, unless it has one. */
static int give_alt_stack(void)
{
        stack_t now, mine = {.ss_size = ALT_STACK_BYTES};

        if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
                return 0;
        mine.ss_sp = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mine.ss_sp == MAP_FAILED)
                return -ENOMEM;
        alt_stack = mine.ss_sp;
        return sigaltstack(&mine, NULL);
}

int overflow_report_on(void)
{
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

        if (give_alt_stack() < 0)
                return -ENOMEM;
        alt_users++;
        pthread_mutex_lock(&lock);
        if (users++ == 0) {
                sigemptyset(&action.sa_mask);
                sigaction(SIGSEGV, &action, &old_segv);
                sigaction(SIGBUS, &action, &old_bus);
        }
        pthread_mutex_unlock(&lock);
        return 0;
}

void overflow_report_off(void)
{
        const stack_t none = {.ss_flags = SS_DISABLE};

        pthread_mutex_lock(&lock);
        if (users > 0 && --users == 0) {
                sigaction(SIGSEGV, &old_segv, NULL);
                sigaction(SIGBUS, &old_bus, NULL);
        }
        pthread_mutex_unlock(&lock);
        if (--alt_users == 0 && alt_stack) {
                sigaltstack(&none, NULL);
                munmap(alt_stack, ALT_STACK_BYTES);
                alt_stack = NULL;
        }
}
