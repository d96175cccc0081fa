/* interrupt.c - ctrl-C cancels the main task, and a second one ends the process.
 *
 * A handler is there while a run wants it. It may run on any thread and at any place, so that all it does for
 * a loop is to send it a message that lies ready: that is a compare-and-swap and perhaps a write(2).
 *
 * The list of runs is behind a spin lock. Whoever takes it outside the handler blocks all signals first, so
 * that the handler, which has them blocked too, never spins on a lock that its own thread holds. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "task/task.h"

struct watched {
        int number;
        unsigned bit; /* in struct ouro_options */
        size_t users;
        bool installed;         /* ours is there, or whoever has put theirs over it may call it */
        struct sigaction old;   /* what was there before ours */
        struct sigaction above; /* what was found over ours when it was to go */
};

static struct watched watched[] = {
        {.number = SIGINT, .bit = OURO_INTERRUPT_SIGINT},
        {.number = SIGTERM, .bit = OURO_INTERRUPT_SIGTERM},
};

enum { WATCHED = sizeof watched / sizeof *watched };

enum outcome {
        NOBODYS, /* no run wants it */
        FIRST,   /* of all runs that want it */
        AGAIN,   /* a run that is still there had been told before */
};

static atomic_flag lock = ATOMIC_FLAG_INIT;
static struct interrupt *runs;  /* those that want it */
static _Atomic pid_t runs_here; /* the process that runs are of: a forked child has none of them */

static void take_lock(sigset_t *ret_mask)
{
        sigset_t all;

        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, ret_mask);
        while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
                sched_yield();
}

static void give_lock(const sigset_t *mask)
{
        atomic_flag_clear_explicit(&lock, memory_order_release);
        pthread_sigmask(SIG_SETMASK, mask, NULL);
}

/* ---- the signal ---- */

static void deliver(struct ouro_loop *loop, struct ouro_message *message)
{
        (void)message;
        if (!loop->main_done)
                task_cancel(loop, loop->main, &(struct cause){.reason = OURO_CANCEL_SIGNAL});
}

static enum outcome tell_runs(unsigned bit)
{
        enum outcome outcome = NOBODYS;

        for (struct interrupt *run = runs; run; run = run->next) {
                if (!(run->signals & bit))
                        continue;
                if (run->told)
                        outcome = AGAIN;
                else if (outcome == NOBODYS)
                        outcome = FIRST;
                if (!run->told)
                        (void)loop_send(run->loop, &run->message, &run->message); /* false: it ends anyway */
                run->told = true;
        }
        return outcome;
}

static bool is_simple(const struct sigaction *action, void (*handler)(int number))
{
        return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == handler;
}

static void call_old(const struct sigaction *old, int number, siginfo_t *info, void *context)
{
        if (old->sa_flags & SA_SIGINFO)
                old->sa_sigaction(number, info, context);
        else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
                old->sa_handler(number);
}

/* When the handler returns, the signal does what it does by default. Nothing, to process 1: but that is
 * asked to end, too. */
static void end_process(int number)
{
        const struct sigaction none = {.sa_handler = SIG_DFL};

        if (getpid() == 1)
                _exit(128 + number);
        sigaction(number, &none, NULL);
        raise(number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
        const struct watched *signal = &watched[number == SIGTERM];
        enum outcome outcome = NOBODYS;
        int saved_errno = errno;
        struct sigaction old;

        if (runs_here != getpid()) { /* whatever state the lock is in here, nobody gives it back */
                old = signal->old;
        } else {
                while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
                        ; /* another thread has it, and not for long */
                old = signal->old;
                outcome = tell_runs(signal->bit);
                atomic_flag_clear_explicit(&lock, memory_order_release);
        }
        call_old(&old, number, info, context);
        if (outcome == AGAIN || (outcome == NOBODYS && is_simple(&old, SIG_DFL)))
                end_process(number);
        errno = saved_errno;
}

/* ---- on and off ---- */

static bool is_ours(const struct sigaction *action)
{
        return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_signal;
}

/* Somebody has put theirs over ours, and it is still there: it calls ours, or the program wants it so. */
static bool is_above(const struct watched *signal, const struct sigaction *action)
{
        return signal->installed && !is_ours(action) && action->sa_handler == signal->above.sa_handler;
}

static void install(struct watched *signal)
{
        struct sigaction ours = {.sa_sigaction = on_signal}, now;

        sigaction(signal->number, NULL, &now);
        if (is_ours(&now) || is_above(signal, &now) || is_simple(&now, SIG_IGN))
                return;
        signal->old = now;
        signal->installed = true;
        /* System calls of whoever is interrupted go on, unless the program was used to something else. */
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (is_simple(&now, SIG_DFL) ? SA_RESTART : 0) |
                        (now.sa_flags & SA_RESTART);
        sigfillset(&ours.sa_mask);
        sigaction(signal->number, &ours, NULL);
}

static void uninstall(struct watched *signal)
{
        if (!signal->installed)
                return;
        sigaction(signal->number, NULL, &signal->above);
        if (!is_ours(&signal->above))
                return;
        sigaction(signal->number, &signal->old, NULL);
        signal->installed = false;
}

/* The runs of the process that this one is a copy of, by fork(2), are not ours to tell of anything. */
static void forget_runs(void)
{
        runs = NULL;
        for (size_t i = 0; i < WATCHED; i++) {
                watched[i].users = 0;
                uninstall(&watched[i]);
        }
}

void interrupt_on(struct ouro_loop *loop, unsigned signals)
{
        struct interrupt *run = &loop->interrupt;
        sigset_t mask;

        *run = (struct interrupt){.loop = loop, .signals = signals, .message = {.deliver = deliver}};
        take_lock(&mask);
        if (runs_here != getpid())
                forget_runs();
        runs_here = getpid();
        run->next = runs;
        runs = run;
        for (size_t i = 0; i < WATCHED; i++)
                if ((signals & watched[i].bit) && watched[i].users++ == 0)
                        install(&watched[i]);
        give_lock(&mask);
}

void interrupt_off(struct ouro_loop *loop)
{
        struct interrupt **at = &runs;
        sigset_t mask;

        take_lock(&mask);
        while (*at != &loop->interrupt)
                at = &(*at)->next;
        *at = loop->interrupt.next;
        for (size_t i = 0; i < WATCHED; i++)
                if ((loop->interrupt.signals & watched[i].bit) && --watched[i].users == 0)
                        uninstall(&watched[i]);
        give_lock(&mask);
}

void interrupt_forked(void)
{
        atomic_flag_clear(&lock); /* maybe held, by a thread that is not here */
        forget_runs();
        runs_here = 0;
}
