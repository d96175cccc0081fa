/* ouro/signal.h - signals that tasks wait for. Included by ouro.h, whose conventions hold. */
#ifndef OURO_SIGNAL_H
#define OURO_SIGNAL_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#include <sys/select.h> /* sigset_t */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- signals ---------------------------------------------------------------------------------- */

/* A set of signals that a thread has blocked, and that its tasks wait for instead. Nothing is handled:
 * a signal that is blocked stays pending until somebody takes it.
 *
 * A signal for the process goes to any thread that does not block it. So open the set before other threads
 * start, as they inherit what is blocked, or block it in them too. (The threads of a pool block all.) */
typedef struct ouro_signals ouro_signals;

/* What came with a signal, as sigaction(2) tells of it. */
struct ouro_signal_info {
        int number;     /* SIGTERM, ... */
        int code;       /* SI_USER, SI_QUEUE, CLD_EXITED, ... */
        pid_t pid;      /* of the sender; SIGCHLD: of the child */
        uid_t uid;      /* likewise */
        int status;     /* SIGCHLD: exit status, or the signal */
        intptr_t value; /* of sigqueue(3); its int is (int)value */
};

/**
 * ouro_signals_open - have tasks wait for signals
 * @set: the signals; copied
 * @ret_signals: to be closed by ouro_signals_close(), on the same thread
 *
 * Blocks them in the calling thread, and remembers which were not blocked before. A signal that stands in two
 * sets goes to one of those who wait. SIGKILL and SIGSTOP cannot be waited for; a fault (SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGTRAP, SIGSYS) would end the process if it were blocked; SIGPIPE is the library's to
 * keep away.
 *
 * SIGCHLD may be waited for like any other: the library does nothing with it by itself, and waiting for it
 * reaps no child.
 *
 * Returns: 0; -EINVAL: set or ret_signals is NULL, set is empty or holds one of those above; -ENOMEM,
 * -EMFILE, -ENFILE. Threads: from any, also outside ouro_run(). Never waits.
 */
OURO_API int ouro_signals_open(const sigset_t *set, ouro_signals **ret_signals);

/**
 * ouro_signals_next - wait for a signal, and take it
 * @signals: opened by this thread
 * @ret_info: what came with it; may be NULL
 *
 * Several tasks may wait: the one that has waited longest gets the next signal. Of those that are pending,
 * the one with the lowest number comes first. Of an ordinary signal that was sent several times before
 * anybody took it, the kernel keeps one; real-time signals (SIGRTMIN and up) are counted.
 *
 * Returns: the number of the signal; -ECANCELED, -ETIME: nothing was taken; -EINVAL: signals is NULL; -EPERM:
 * another thread's, or outside ouro_run(), or tasks of another loop on this thread wait for it; -ENOMEM.
 */
OURO_API int ouro_signals_next(ouro_signals *signals, struct ouro_signal_info *ret_info);

/**
 * ouro_signals_try_next - ouro_signals_next() that does not wait
 * @signals: opened by this thread
 * @ret_info: what came with it; may be NULL
 *
 * Returns: the number of the signal; -EAGAIN: none is pending; -EINVAL, -EPERM.
 */
OURO_API int ouro_signals_try_next(ouro_signals *signals, struct ouro_signal_info *ret_info);

/**
 * ouro_signals_fd - a descriptor that is readable while a signal of the set is pending
 * @signals: opened by this thread
 *
 * To be polled, among others; take the signal by ouro_signals_try_next(). It stays that of the set: neither
 * read nor close it.
 *
 * Returns: the descriptor, -EINVAL or -EPERM. Also outside ouro_run().
 */
OURO_API int ouro_signals_fd(const ouro_signals *signals);

/**
 * ouro_signals_close - let signals have their ordinary effect again. Never waits.
 * @signals: freed; NULL does nothing
 *
 * Unblocks what ouro_signals_open() has blocked, but for what stands in another set of this thread that is
 * open. A signal that is pending and that nobody has taken has its ordinary effect then, before this returns:
 * its handler runs, or it ends the process. If that is not wanted, take what is there by
 * ouro_signals_try_next() first.
 *
 * Returns: 0; -EBUSY: tasks wait for it or poll its descriptor, and nothing was closed; -EPERM: another
 * thread's. Acts also in a cancelled task, and outside ouro_run().
 */
OURO_API int ouro_signals_close(ouro_signals *signals);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
