/* process.c - a child from its birth to its end, which its loop watches by a pidfd.
 *
 * The watch is a poll that is under way from the start, whether or not somebody waits: so no zombie stays, a
 * virtual clock is held while the child runs, and a loop whose tasks wait for a child is in no deadlock. Only
 * that one pid is ever waited for. A process that leads a group is looked at and left a zombie until it is
 * closed: its number, which is the group's, is nobody else's until then.
 *
 * A process is freed when it is closed, its watch is over and no task is in a call with it. Invariant: it is
 * in its loop's list, or it has no loop any more. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/options.h"
#include "base/raw.h"
#include "base/sys.h"
#include "io/process.h"
#include "sync/sync.h"

/* ---- what the kernel says of its end ---- */

/* Values: include/uapi/linux/pidfd.h of Linux 6.15. */
struct pidfd_info_exit {
        uint64_t mask;
        uint64_t cgroup;
        uint32_t numbers[11];
        int32_t exit_code; /* as wait(2) gives it */
};

enum { PIDFD_TELLS_EXIT = 1 << 3, PIDFD_TO_GROUP = 1 << 2 };
#define PIDFD_ASK_INFO _IOWR(0xFF, 11, struct pidfd_info_exit)

static int64_t ns_of(struct timeval time)
{
        return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

static void take_usage(struct ouro_exit *exit, const struct rusage *usage)
{
        exit->user_ns = ns_of(usage->ru_utime);
        exit->system_ns = ns_of(usage->ru_stime);
        exit->resident_bytes = usage->ru_maxrss * 1024;
        exit->minor_faults = usage->ru_minflt;
        exit->major_faults = usage->ru_majflt;
        exit->voluntary_switches = usage->ru_nvcsw;
        exit->involuntary_switches = usage->ru_nivcsw;
        exit->blocks_read = usage->ru_inblock;
        exit->blocks_written = usage->ru_oublock;
}

static void take_status(struct ouro_exit *exit, bool exited, int status, bool core_dumped)
{
        exit->size = sizeof *exit;
        exit->code = exited ? status : -1;
        exit->signal = exited ? 0 : status;
        exit->core_dumped = core_dumped;
}

/* Somebody else has reaped it. */
static int ask_pidfd(struct ouro_process *process)
{
        struct pidfd_info_exit info = {.mask = PIDFD_TELLS_EXIT};
        int status;

        if (process->home->ring->kernel < OURO_KERNEL(6, 15) ||
            sys_result(ioctl(process->pidfd, PIDFD_ASK_INFO, &info)) < 0 || !(info.mask & PIDFD_TELLS_EXIT))
                return -ECHILD;
        status = info.exit_code;
        take_status(&process->exit, WIFEXITED(status),
                    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                    WIFSIGNALED(status) && WCOREDUMP(status));
        process->exit.usage_unknown = true;
        return 0;
}

static int ask_kernel(struct ouro_process *process, int flags, siginfo_t *ret_info, struct rusage *ret_usage)
{
        long result;

        ret_info->si_pid = 0;
        do
                result = raw_call(SYS_waitid, P_PIDFD, process->pidfd, ret_info,
                                  WEXITED | WNOHANG | __WALL | flags, ret_usage);
        while (result == -EINTR);
        return (int)result;
}

/* Has it ended? Then all that can be known of it is. */
static bool look(struct ouro_process *process)
{
        struct rusage usage;
        siginfo_t info;
        int error;

        if (process->ended)
                return true;
        error = ask_kernel(process, process->leads ? WNOWAIT : 0, &info, &usage);
        if (error == 0 && info.si_pid == 0)
                return false;
        if (error == 0) {
                take_status(&process->exit, info.si_code == CLD_EXITED, info.si_status,
                            info.si_code == CLD_DUMPED);
                take_usage(&process->exit, &usage);
        } else {
                process->lost = ask_pidfd(process);
        }
        process->ended = true;
        sync_wake(process->home, &process->waiters, SIZE_MAX, 0);
        return true;
}

/* The zombie that was left so that its group's number stays its own. */
static void reap_leader(struct ouro_process *process)
{
        struct rusage usage;
        siginfo_t info;

        if (process->leads && process->ended)
                ask_kernel(process, 0, &info, &usage);
}

/* ---- life ---- */

struct ouro_process *process_new(void)
{
        struct ouro_process *process = mem_calloc(sizeof *process);

        if (!process)
                return NULL;
        process->pidfd = -1;
        for (size_t i = 0; i < sizeof process->fds / sizeof *process->fds; i++)
                process->fds[i] = -1;
        return process;
}

static void close_now(const struct ouro_process *process, int fd)
{
        if (fd < 0)
                return;
        (void)sys_result(close(fd));
        if (process->home)
                ring_forget_fd(process->home->ring, fd);
}

void process_free(struct ouro_process *process)
{
        for (size_t i = 0; i < sizeof process->fds / sizeof *process->fds; i++)
                close_now(process, process->fds[i]);
        reap_leader(process);
        close_now(process, process->pidfd);
        mem_free(process, sizeof *process);
}

static void unlink_from_loop(struct ouro_process *process)
{
        list_del(&process->link);
        process->home = NULL;
}

/* Its last user goes. */
static void free_if_done(struct ouro_process *process)
{
        if (!process->closed || process->watched || process->users > 0)
                return;
        if (process->home)
                list_del(&process->link);
        process_free(process);
}

void process_enter(struct ouro_process *process)
{
        process->users++;
}

void process_leave(struct ouro_process *process)
{
        process->users--;
        free_if_done(process);
}

/* ---- the watch ---- */

static int watch(struct ring *ring, struct ouro_process *process);

/* A poll that ends without its event (a kernel short of memory) is begun again. */
static void watch_over(struct ring *ring, struct op *op)
{
        struct ouro_process *process = container_of(op, struct ouro_process, watch);

        process->watched = false;
        if (!look(process) && !op->cancel_asked && watch(ring, process) == 0)
                return;
        if (process->let_go && !process->closed)
                unlink_from_loop(process);
        else
                free_if_done(process);
}

static int watch(struct ring *ring, struct ouro_process *process)
{
        int error;

        io_uring_prep_poll_add(op_begin(&process->watch), process->pidfd, POLLIN);
        process->watch.complete = watch_over;
        process->watch.coro = NULL;
        error = ring_begin(ring, &process->watch);
        process->watched = error == 0;
        return error;
}

static int send_by_pidfd(const struct ouro_process *process, int signal)
{
        return (int)raw_call(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0, 0);
}

/* By the pidfd since Linux 6.9. Before, by number, which nobody else can have while the leader is not reaped.
 */
static int send_to_group(const struct ouro_process *process, int signal)
{
        int result = -EINVAL;

        if (process->home->ring->kernel >= OURO_KERNEL(6, 9))
                result =
                        (int)raw_call(SYS_pidfd_send_signal, process->pidfd, signal, NULL, PIDFD_TO_GROUP, 0);
        if (result != -EINVAL)
                return result;
        return process->lost < 0 || process->exit.usage_unknown ? -ESRCH
                                                                : sys_result(kill(-process->pid, signal));
}

static void kill_all(const struct ouro_process *process)
{
        if (process->leads)
                send_to_group(process, SIGKILL);
        send_by_pidfd(process, SIGKILL);
}

/* The loop ends, and no task is left: what still runs is ended or left, as was asked for. May be called again
 * while some have not ended. */
static void let_go(struct ouro_loop *loop)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &loop->children) {
                struct ouro_process *process = container_of(node, struct ouro_process, link);

                if (process->let_go)
                        continue;
                process->let_go = true;
                if (!process->watched)
                        unlink_from_loop(process);
                else if (process->leave_running)
                        ring_cancel(&loop->ring, &process->watch);
                else
                        kill_all(process);
        }
}

int process_begin(struct sched *sched, struct ouro_process *process)
{
        struct ouro_loop *loop = loop_of(sched);
        int error;

        process->home = sched;
        loop->end_children = let_go;
        error = watch(sched->ring, process);
        if (error < 0) {
                kill_all(process);
                child_reap(process->pidfd);
                process->pidfd = -1;
                return error;
        }
        list_push(&loop->children, &process->link);
        return 0;
}

/* ---- asking ---- */

int process_refuse(const struct ouro_process *process)
{
        if (!process)
                return -EINVAL;
        return !sched_current || process->home != sched_current ? -EPERM : 0;
}

pid_t ouro_process_pid(const ouro_process *process)
{
        return process ? process->pid : -EINVAL;
}

int ouro_process_pidfd(const ouro_process *process)
{
        return process ? process->pidfd : -EINVAL;
}

bool process_exit_is_usable(const struct ouro_exit *ret_exit)
{
        struct ouro_exit known;

        return !ret_exit || (ret_exit->size >= sizeof ret_exit->size && ret_exit->size <= sizeof known);
}

int process_result(const struct ouro_process *process, struct ouro_exit *ret_exit)
{
        const struct ouro_exit *exit = &process->exit;

        if (process->lost < 0)
                return process->lost;
        if (ret_exit) {
                size_t size = ret_exit->size;

                memcpy(ret_exit, exit, size);
                ret_exit->size = size;
        }
        return exit->signal ? OURO_EXIT_SIGNAL + exit->signal : exit->code;
}

/* ---- waiting ---- */

static void tell_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_process *process = container_of(coro->waiter.what, struct ouro_process, waiters);

        target->object = process;
        target->fd = process->pidfd;
}

static const struct wait_kind waits_for_end = {.name = "process", .cut = sync_cut, .target = tell_target};
static const struct wait_kind waits_for_end_uncut = {.name = "process", .target = tell_target};

void process_await_uncut(struct ouro_process *process)
{
        while (!look(process))
                sync_wait(process->home, &process->waiters, &waits_for_end_uncut);
}

/* 0: it has ended. */
static int await_end(struct sched *sched, struct ouro_process *process)
{
        if (sched->current->interrupt)
                return sched->current->interrupt;
        if (look(process))
                return coro_spend_int(sched, 0);
        return sync_wait(sched, &process->waiters, &waits_for_end);
}

int ouro_process_wait(ouro_process *process, struct ouro_exit *ret_exit)
{
        int result = process_refuse(process);

        if (result < 0)
                return result;
        if (!process_exit_is_usable(ret_exit))
                return -EINVAL;
        process_enter(process);
        result = await_end(sched_current, process);
        if (result == 0)
                result = process_result(process, ret_exit);
        process_leave(process);
        return result;
}

int ouro_process_try_wait(ouro_process *process, struct ouro_exit *ret_exit)
{
        int error = process_refuse(process);

        if (error < 0)
                return error;
        if (!process_exit_is_usable(ret_exit))
                return -EINVAL;
        return look(process) ? process_result(process, ret_exit) : -EAGAIN;
}

/* ---- signals ---- */

static bool is_signal(int number)
{
        return number >= 0 && number <= SIGRTMAX;
}

int ouro_process_signal(ouro_process *process, int signal)
{
        int error = process_refuse(process);

        if (error < 0)
                return error;
        if (!is_signal(signal))
                return -EINVAL;
        return look(process) ? -ESRCH : send_by_pidfd(process, signal);
}

int ouro_process_signal_group(ouro_process *process, int signal)
{
        int error = process_refuse(process);

        if (error < 0)
                return error;
        if (!process->leads || !is_signal(signal))
                return -EINVAL;
        look(process); /* who else has reaped it has given its number away */
        return send_to_group(process, signal);
}

static void send_to_all(struct ouro_process *process, int signal)
{
        bool ended = look(process);

        if (process->leads)
                send_to_group(process, signal);
        else if (!ended)
                send_by_pidfd(process, signal);
}

/* True: it has ended by itself. */
static bool await_with_grace(struct sched *sched, struct ouro_process *process, int64_t grace_ns)
{
        struct ouro_scope scope;
        int result;

        send_to_all(process, SIGTERM);
        send_to_all(process, SIGCONT); /* one that is stopped would not see it */
        ouro_scope_open(&scope, grace_ns, NULL);
        result = await_end(sched, process);
        ouro_scope_close(&scope);
        return result == 0;
}

int ouro_process_stop(ouro_process *process, int64_t grace_ns, struct ouro_exit *ret_exit)
{
        struct sched *sched = sched_current;
        int result = process_refuse(process);

        if (result < 0)
                return result;
        if (!process_exit_is_usable(ret_exit))
                return -EINVAL;
        process_enter(process);
        if (!look(process) &&
            !(grace_ns > 0 && !sched->current->interrupt && await_with_grace(sched, process, grace_ns))) {
                send_to_all(process, SIGKILL);
                process_await_uncut(process);
        }
        if (process->leads)
                send_to_group(process, SIGKILL);
        result = process_result(process, ret_exit);
        process_leave(process);
        return result;
}

/* ---- closing ---- */

static void close_descriptors(struct ouro_process *process)
{
        for (size_t i = 0; i < sizeof process->fds / sizeof *process->fds; i++) {
                int fd = process->fds[i];

                process->fds[i] = -1;
                if (fd >= 0)
                        (void)op_close_fd(fd);
        }
}

int ouro_process_close(ouro_process *process)
{
        if (!process)
                return 0;
        if (process->home && process->home != sched_current)
                return -EPERM;
        if (!process->home) {
                process_free(process);
                return 0;
        }
        if (process->closed)
                return -EINVAL;
        process->closed = true;
        process_enter(process);
        close_descriptors(process);
        if (!look(process) && !process->leave_running) {
                kill_all(process);
                process_await_uncut(process);
        }
        sync_wake(process->home, &process->waiters, SIZE_MAX, -ECANCELED);
        process_leave(process);
        return 0;
}
