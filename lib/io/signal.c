/* signal.c - sets of signals that tasks wait for, by signalfd(2).
 *
 * A set belongs to its thread, because the mask does. Of the tasks that wait, one at a time polls the
 * descriptor; the others stand in line for that, so that signals are handed out first come, first served,
 * whatever order the kernel wakes polls in. A signal is taken only after its poll has told of it, in one step
 * that cannot be cut short: none is lost to a cancellation. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "ring/ring.h"
#include "sync/sync.h"

struct ouro_signals {
        struct ouro_signals *next; /* of those open on this thread */
        struct ouro_signals **home;
        int fd;
        sigset_t set;
        sigset_t to_unblock; /* at the end: a part of set */
        void *waiters;       /* queue of those who wait for their turn to poll */
        size_t inside;       /* tasks in ouro_signals_next() */
        struct sched *users; /* their loop, of the thread's maybe several: a queue is of one loop */
        bool polled;         /* it is somebody's turn */
};

static __thread struct ouro_signals *open_here;

/* ---- opening ---- */

static bool may_be_awaited(int number)
{
        static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                    SIGILL,  SIGTRAP, SIGSYS,  SIGPIPE};

        for (size_t i = 0; i < sizeof never / sizeof *never; i++)
                if (number == never[i])
                        return false;
        return true;
}

/* Is there any, and may each be waited for? */
static bool is_usable(const sigset_t *set)
{
        bool any = false;

        for (int number = 1; number <= SIGRTMAX; number++) {
                if (sigismember(set, number) != 1)
                        continue;
                if (!may_be_awaited(number))
                        return false;
                any = true;
        }
        return any;
}

/* Blocks them; what was not blocked before is to be unblocked at the end. */
static void block(struct ouro_signals *signals)
{
        sigset_t before;

        pthread_sigmask(SIG_BLOCK, &signals->set, &before);
        sigemptyset(&signals->to_unblock);
        for (int number = 1; number <= SIGRTMAX; number++)
                if (sigismember(&signals->set, number) == 1 && sigismember(&before, number) != 1)
                        sigaddset(&signals->to_unblock, number);
}

int ouro_signals_open(const sigset_t *set, ouro_signals **ret_signals)
{
        struct ouro_signals *signals;
        int fd;

        if (!set || !ret_signals || !is_usable(set))
                return -EINVAL;
        signals = mem_calloc(sizeof *signals);
        if (!signals)
                return -ENOMEM;
        fd = sys_result(signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK));
        if (fd < 0) {
                mem_free(signals, sizeof *signals);
                return fd;
        }
        if (sched_current)
                ring_forget_fd(sched_current->ring,
                               fd); /* what was known of the number was of another file */
        signals->fd = fd;
        signals->set = *set;
        block(signals);
        signals->home = &open_here;
        signals->next = open_here;
        open_here = signals;
        *ret_signals = signals;
        return 0;
}

/* ---- waiting ---- */

static int refuse(const struct sched *sched, const struct ouro_signals *signals)
{
        if (!sched)
                return -EPERM;
        if (!signals)
                return -EINVAL;
        return signals->home != &open_here ? -EPERM : 0;
}

static struct ouro_signal_info info_of(const struct signalfd_siginfo *from)
{
        return (struct ouro_signal_info){
                .number = (int)from->ssi_signo,
                .code = from->ssi_code,
                .pid = (pid_t)from->ssi_pid,
                .uid = (uid_t)from->ssi_uid,
                .status = from->ssi_status,
                .value = (intptr_t)from->ssi_ptr,
        };
}

/* Takes one that is pending: -EAGAIN if none is. */
static int take(const struct ouro_signals *signals, struct ouro_signal_info *ret_info)
{
        struct signalfd_siginfo from;
        int n = (int)sys_result(read(signals->fd, &from, sizeof from));

        if (n < 0)
                return n;
        check(n == (int)sizeof from);
        if (ret_info)
                *ret_info = info_of(&from);
        return (int)from.ssi_signo;
}

static void tell_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_signals *signals = container_of(coro->waiter.what, struct ouro_signals, waiters);

        target->object = signals;
        target->fd = signals->fd;
}

static const struct wait_kind waits_for_turn = {.name = "signal", .cut = sync_cut, .target = tell_target};

static int begin_turn(struct sched *sched, struct ouro_signals *signals)
{
        if (signals->polled)
                return sync_wait(sched, &signals->waiters, &waits_for_turn);
        signals->polled = true;
        return 0;
}

static void end_turn(struct sched *sched, struct ouro_signals *signals)
{
        signals->polled = sync_wake_one(sched, &signals->waiters, 0);
}

/* The next one, for the task whose turn it is. Another thread, or another set, may be faster. */
static int await_next(const struct ouro_signals *signals, struct ouro_signal_info *ret_info)
{
        int result;

        do {
                result = ouro_poll(signals->fd, POLLIN);
                if (result >= 0)
                        result = take(signals, ret_info);
        } while (result == -EAGAIN);
        return result;
}

int ouro_signals_next(ouro_signals *signals, struct ouro_signal_info *ret_info)
{
        struct sched *sched = sched_current;
        int result = refuse(sched, signals);

        if (result < 0)
                return result;
        if (signals->inside > 0 && signals->users != sched)
                return -EPERM;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        signals->users = sched;
        signals->inside++;
        result = begin_turn(sched, signals);
        if (result == 0) {
                result = await_next(signals, ret_info);
                end_turn(sched, signals);
        }
        signals->inside--;
        return result;
}

int ouro_signals_try_next(ouro_signals *signals, struct ouro_signal_info *ret_info)
{
        int error = refuse(sched_current, signals);

        return error < 0 ? error : take(signals, ret_info);
}

int ouro_signals_fd(const ouro_signals *signals)
{
        if (!signals)
                return -EINVAL;
        return signals->home == &open_here ? signals->fd : -EPERM;
}

/* ---- closing ---- */

static void take_out(struct ouro_signals *signals)
{
        struct ouro_signals **at = &open_here;

        while (*at != signals)
                at = &(*at)->next;
        *at = signals->next;
}

/* Another set that is open holds it blocked: then unblocking is that one's duty. */
static bool hand_on(int number)
{
        for (struct ouro_signals *other = open_here; other; other = other->next) {
                if (sigismember(&other->set, number) != 1)
                        continue;
                sigaddset(&other->to_unblock, number);
                return true;
        }
        return false;
}

static void unblock(struct ouro_signals *signals)
{
        for (int number = 1; number <= SIGRTMAX; number++)
                if (sigismember(&signals->to_unblock, number) == 1 && hand_on(number))
                        sigdelset(&signals->to_unblock, number);
        pthread_sigmask(SIG_UNBLOCK, &signals->to_unblock, NULL);
}

static bool is_polled(struct ring *ring, int fd)
{
        const uint32_t *word = ring_fd(ring, fd);

        return word && (*word & FD_OPS) > 0;
}

int ouro_signals_close(ouro_signals *signals)
{
        struct sched *sched = sched_current;
        struct ouro_signals freed;

        if (!signals)
                return 0;
        if (signals->home != &open_here)
                return -EPERM;
        if (signals->inside > 0 || (sched && is_polled(sched->ring, signals->fd)))
                return -EBUSY;
        take_out(signals);
        if (sched)
                ring_forget_fd(sched->ring, signals->fd);
        (void)sys_result(close(signals->fd));
        freed = *signals;
        mem_free(signals, sizeof *signals);
        unblock(&freed); /* last: a handler may run in it, and need not return */
        return 0;
}
