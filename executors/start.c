/* start.c - the process between host and zygote.
 *
 *      host -- process between (no signal at its end, reaped by pidfd) -- zygote
 *
 * A process that executes a program has SIGCHLD for an end signal from then on, whatever it was started with.
 * So that the host gets none, and wait() has nothing to tell there, the zygote is the child of a process that
 * only starts it, and then ends: init inherits the zygote. Where that would be the host itself (it is
 * process 1, or a subreaper) the process between stays as a keeper, with no descriptor, until all it has
 * inherited has ended.
 *
 * Both share the host's memory until the zygote executes its program, whatever the host's other threads do
 * and whatever locks they hold: nothing but system calls is allowed here, and every signal is blocked, since
 * its handler would run in the host's memory. A keeper goes on like that; it touches its stack only. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/check.h"
#include "base/child.h"
#include "base/raw.h"
#include "base/sys.h"
#include "coro/coro.h"
#include "executors/start.h"

enum {
        STACK_BYTES = 32 * 1024, /* of each of the two */
        KEPT_FD = TAKEOVER_FD + 1,
        CANNOT_START = 127,
};

/* ---- between clone() and exec: system calls only ---- */

static raw_code void tell(const struct start *start, int socket, int fd)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } rights;
        struct iovec iov = {(void *)(uintptr_t)&start->message, sizeof start->message};
        struct msghdr message;
        long result;

        message.msg_name = NULL;
        message.msg_namelen = 0;
        message.msg_iov = &iov;
        message.msg_iovlen = 1;
        message.msg_flags = 0;
        message.msg_control = fd >= 0 ? &rights : NULL;
        message.msg_controllen = fd >= 0 ? sizeof rights : 0;
        rights.header.cmsg_level = SOL_SOCKET;
        rights.header.cmsg_type = SCM_RIGHTS;
        rights.header.cmsg_len = CMSG_LEN(sizeof(int));
        ((int *)(void *)CMSG_DATA(&rights.header))[0] = fd;
        ((int *)(void *)CMSG_DATA(&rights.header))[1] = 0; /* up to CMSG_SPACE */
        do
                result = raw_call(SYS_sendmsg, socket, &message, MSG_NOSIGNAL, 0, 0);
        while (result == -EINTR);
}

static raw_code void tell_failure(struct start *start, int socket, long error)
{
        start->message.verb = TAKEOVER_FAILED;
        start->message.error = (int32_t)error;
        tell(start, socket, -1);
}

/* The socket becomes TAKEOVER_FD and the program KEPT_FD, until it is executed; the rest is closed. 0 or a
 * negated errno. */
static raw_code long place_descriptors(const struct start *start)
{
        long program = raw_call(SYS_fcntl, start->program, F_DUPFD_CLOEXEC, KEPT_FD + 1, 0, 0);
        long result;

        if (program < 0)
                return program;
        result = start->socket == TAKEOVER_FD ? raw_call(SYS_fcntl, TAKEOVER_FD, F_SETFD, 0, 0, 0)
                                              : raw_call(SYS_dup3, start->socket, TAKEOVER_FD, 0, 0, 0);
        if (result >= 0)
                result = raw_call(SYS_dup3, program, KEPT_FD, O_CLOEXEC, 0, 0);
        if (result >= 0)
                child_close_range(KEPT_FD + 1, ~0u);
        return result < 0 ? result : 0;
}

static raw_code _Noreturn void leave(int status)
{
        sanitize_before_exit_of_copy();
        raw_call(SYS_exit_group, status, 0, 0, 0, 0);
        __builtin_unreachable();
}

static raw_code int zygote(void *arg)
{
        struct start *start = arg;
        int socket = start->socket;
        long result;

        raw_call(SYS_setsid, 0, 0, 0, 0, 0); /* before signals are let in: the terminal's are for the host */
        /* What the host handles is no handler in another program; what it ignores is for the zygote to judge.
         */
        child_forget_handlers();
        child_set_mask(0);
        result = place_descriptors(start);
        if (result == 0) {
                socket = TAKEOVER_FD;
                result = raw_call(SYS_execveat, KEPT_FD, "", start->argv, start->envp, AT_EMPTY_PATH);
        }
        tell_failure(start, socket, result);
        leave(CANNOT_START);
}

/* Numbers in /proc may be those of another PID namespace: only a child of ours answers to waitid(). */
static raw_code void kill_child(long pid)
{
        siginfo_t info;

        if (raw_call(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL) == 0)
                raw_call(SYS_kill, pid, SIGKILL, 0, 0, 0);
}

static raw_code void kill_children(void)
{
        char text[1024]; /* what does not fit is killed when the next one has ended */
        long fd = raw_call(SYS_openat, AT_FDCWD, "/proc/thread-self/children", O_RDONLY, 0, 0);
        long n = raw_call(SYS_read, fd, text, sizeof text, 0, 0), pid = 0;

        for (long i = 0; i < n; i++) {
                if (text[i] >= '0' && text[i] <= '9') {
                        pid = pid * 10 + text[i] - '0';
                } else {
                        kill_child(pid);
                        pid = 0;
                }
        }
        raw_call(SYS_close, fd, 0, 0, 0, 0);
}

/* Until nothing is left of what it has inherited. What the zygote has left behind when it ended is killed. A
 * host that ignores SIGCHLD has its children reaped unseen, and this is a copy of it. */
static raw_code void keep(long zygote_pid)
{
        bool orphans = false;
        long result;

        child_set_dispositions(0);
        raw_call(SYS_setsid, 0, 0, 0, 0, 0);
        raw_call(SYS_prctl, PR_SET_NAME, "ouro-keeper", 0, 0, 0);
        child_close_range(0, ~0u);
        do {
                result = raw_call(SYS_wait4, -1, NULL, __WALL, NULL, 0);
                orphans |= result == zygote_pid;
                if (orphans)
                        kill_children();
        } while (result >= 0 || result == -EINTR);
}

static raw_code int between(void *arg)
{
        const unsigned long flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
        struct start *start = arg;
        long pid;

        if (start->keeps)
                raw_call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        pid = raw_clone(zygote, start->stacks[1], flags, start, &start->pidfd);
        if (pid < 0) {
                tell_failure(start, start->socket, pid);
        } else {
                start->message.verb = TAKEOVER_STARTED;
                start->message.error = 0;
                tell(start, start->socket, start->pidfd);
        }
        if (start->keeps)
                keep(pid);
        leave(0);
}

/* ---- in the host ---- */

/* Orphans come to this process. A sanitizer's or Valgrind's run-time does not bear a keeper: there they do.
 */
static bool inherits_orphans(void)
{
        int subreaper = 0;

        if (sanitize_active() || sanitize_on_valgrind())
                return false;
        return getpid() == 1 || (sys_result(prctl(PR_GET_CHILD_SUBREAPER, &subreaper)) == 0 && subreaper);
}

struct start *start_new(const struct takeover_message *message)
{
        const size_t head = (sizeof(struct start) + 4095) & ~(size_t)4095, bytes = head + 2 * STACK_BYTES;
        int saved = errno;
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct start *start = (void *)memory;

        errno = saved;
        if (memory == MAP_FAILED)
                return NULL;
        *start = (struct start){
                .message = *message,
                .keeps = inherits_orphans(),
                .keeper = -1,
                .stacks = {memory + head + STACK_BYTES, memory + head + 2 * STACK_BYTES},
                .memory = memory,
                .memory_bytes = bytes,
        };
        return start;
}

static int await_between(struct start *start, int pidfd)
{
        if (start->keeps)
                start->keeper = pidfd;
        else
                child_reap(pidfd);
        return 0;
}

int start_exec(struct start *start)
{
        const unsigned long flags = CLONE_VM | CLONE_PIDFD | (start->keeps ? 0 : CLONE_VFORK);
        uint64_t signals = child_block_signals();
        int pidfd = -1;
        long pid;

        if (sanitize_on_valgrind()) { /* it takes clone() for vfork(), whose child cannot exit by its rules */
                pid = raw_call(SYS_clone, CLONE_PIDFD, NULL, &pidfd, NULL, 0);
                if (pid == 0)
                        between(start);
        } else {
                pid = raw_clone(between, start->stacks[0], flags, start, &pidfd);
        }
        child_restore_signals(signals);
        return pid < 0 ? (int)pid : await_between(start, pidfd);
}

/* ---- by fork ---- */

static _Noreturn void serve_on_new_stack(unsigned socket, unsigned in_task)
{
        struct sanitize_stack left;

        if (in_task)
                sanitize_arrive(NULL, &left);
        takeover_serve((int)socket);
}

static size_t usual_stack_bytes(void)
{
        enum { LEAST = 1 << 20, USUAL = 8 << 20, MOST = 1 << 30 };
        struct rlimit limit;

        if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur < LEAST || limit.rlim_cur > MOST)
                return USUAL;
        return stack_round_up(limit.rlim_cur);
}

/* Jobs will run where we are. The stack of a task is too small for them. */
static _Noreturn void serve_off_task(int socket)
{
        size_t bytes = usual_stack_bytes();
        char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        struct sanitize_stack extent = {.bottom = stack, .bytes = bytes};
        ucontext_t context;

        if (stack == MAP_FAILED || mprotect(stack, STACK_PAGE_BYTES, PROT_NONE) < 0)
                _exit(CANNOT_START);
        getcontext(&context);
        context.uc_stack.ss_sp = stack;
        context.uc_stack.ss_size = bytes;
        context.uc_link = NULL;
        makecontext(&context, (void (*)(void))serve_on_new_stack, 2, (unsigned)socket, 1u);
        sanitize_leave(NULL, extent);
        setcontext(&context);
        _exit(CANNOT_START);
}

static bool on_task_stack(void)
{
        return sched_current && sched_current->current != &sched_current->loop;
}

/* A whole process of its own, with a copy of the memory. */
static _Noreturn void between_forks(struct start *start, uint64_t signals, bool in_task)
{
        pid_t pid;

        if (start->keeps)
                prctl(PR_SET_CHILD_SUBREAPER, 1);
        pid = fork();
        if (pid == 0) {
                child_restore_signals(signals);
                if (in_task)
                        serve_off_task(start->socket);
                takeover_serve(start->socket);
        }
        if (pid < 0) {
                tell_failure(start, start->socket, -errno);
        } else {
                start->message.verb = TAKEOVER_STARTED;
                tell(start, start->socket, (int)syscall(SYS_pidfd_open, pid, 0));
        }
        if (start->keeps)
                keep(pid);
        leave(0);
}

int start_fork(struct start *start)
{
        bool in_task = on_task_stack();
        uint64_t signals = child_block_signals();
        int pidfd = -1;
        int pid = (int)raw_call(SYS_clone, CLONE_PIDFD, NULL, &pidfd, NULL, 0);

        if (pid == 0)
                between_forks(start, signals, in_task);
        child_restore_signals(signals);
        return pid < 0 ? pid : await_between(start, pidfd);
}

void start_free(struct start *start)
{
        if (start->keeper >= 0)
                child_reap(start->keeper);
        munmap(start->memory, start->memory_bytes);
}
