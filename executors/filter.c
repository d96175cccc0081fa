/* filter.c - "compute only": a seccomp filter that lets through what computing needs, and nothing else.
 *
 * It names what is allowed; all else fails with EPERM, or with ENOSYS where libc then does it another way. A
 * call of another ABI ends the process, because its numbers mean something else. The order of the list
 * costs nothing: the kernel remembers which calls are always allowed and does not run the filter for those.
 *
 * What is looked at is numbers in registers, never memory, which another thread could change meanwhile. The
 * kernel reads most of them as 32 bits, and so do we; pointers are looked at whole. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sys.h"
#include "executors/confine.h"
#include "executors/filter.h"

enum {
        PROGRAM_MOST = 512,
        FIRST_UNKNOWN = 463, /* calls of Linux 6.11 and later: libc tries them first and goes back */
        THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                       CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED,
};

/* Whatever their arguments. */
static const int always[] = {
        /* memory */
        SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_mincore, SYS_msync, SYS_pkey_alloc,
        SYS_pkey_free, SYS_pkey_mprotect,
        /* threads */
        SYS_futex, SYS_futex_waitv, SYS_membarrier, SYS_rseq, SYS_set_robust_list, SYS_set_tid_address,
        SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
        SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_getcpu, SYS_exit, SYS_exit_group,
        /* clocks */
        SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
        SYS_getitimer, SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime,
        SYS_timer_getoverrun, SYS_timer_delete, SYS_restart_syscall,
        /* signals that are received */
        SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigpending, SYS_rt_sigreturn, SYS_rt_sigsuspend,
        SYS_rt_sigtimedwait, SYS_sigaltstack,
        /* descriptors that are open. Reading has a rule of its own */
        SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_lseek, SYS_fstat, SYS_close, SYS_close_range,
        SYS_ppoll, SYS_pselect6,
        /* who and where we are */
        SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getcwd,
        SYS_getpriority, SYS_getrusage, SYS_times, SYS_sysinfo, SYS_uname, SYS_getrandom, FILTER_OWN};

struct program {
        struct sock_filter code[PROGRAM_MOST];
        unsigned short len;
};

static void emit(struct program *program, unsigned short code, uint32_t k, uint8_t yes, uint8_t no)
{
        check(program->len < PROGRAM_MOST);
        program->code[program->len++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *program, size_t offset)
{
        emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* The lower half of an argument; both architectures have it first. */
static void load_arg(struct program *program, unsigned arg)
{
        load(program, offsetof(struct seccomp_data, args[arg]));
}

static void answer(struct program *program, uint32_t action)
{
        emit(program, BPF_RET | BPF_K, action, 0, 0);
}

static void deny(struct program *program, uint32_t error)
{
        answer(program, SECCOMP_RET_ERRNO | error);
}

/* Allows what has been loaded if it is value. */
static void allow_if(struct program *program, uint32_t value)
{
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
        answer(program, SECCOMP_RET_ALLOW);
}

/* Denies it if it is. */
static void deny_if(struct program *program, uint32_t value)
{
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
        deny(program, EPERM);
}

/* ---- rules: what stands between these two is for one call, and ends with an answer ---- */

static unsigned short begin_rule(struct program *program, int number)
{
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
        return program->len;
}

static void end_rule(struct program *program, unsigned short begin, uint32_t action)
{
        answer(program, action);
        program->code[begin - 1].jf = (uint8_t)(program->len - begin);
}

static void allow_where(struct program *program, int number, unsigned arg, const uint32_t *values, unsigned n)
{
        unsigned short begin = begin_rule(program, number);

        load_arg(program, arg);
        for (unsigned i = 0; i < n; i++)
                allow_if(program, values[i]);
        end_rule(program, begin, SECCOMP_RET_ERRNO | EPERM);
}

/* For root there is advice that breaks the page itself, for all who have it. */
static void rule_memory(struct program *program)
{
        unsigned short begin = begin_rule(program, SYS_madvise);

        load_arg(program, 2);
        deny_if(program, MADV_HWPOISON);
        deny_if(program, MADV_SOFT_OFFLINE);
        end_rule(program, begin, SECCOMP_RET_ALLOW);
}

static void rule_signals(struct program *program)
{
        const uint32_t pid = (uint32_t)getpid();

        allow_where(program, SYS_kill, 0, &pid, 1);
        allow_where(program, SYS_tgkill, 0, &pid, 1);
        allow_where(program, SYS_tkill, 0, &pid, 1);
        allow_where(program, SYS_rt_tgsigqueueinfo, 0, &pid,
                    1); /* dying of a signal with all that was said of it */
}

static void rule_threads(struct program *program)
{
        unsigned short begin = begin_rule(program, SYS_clone);

        load_arg(program, 0);
        emit(program, BPF_JMP | BPF_JSET | BPF_K, ~(uint32_t)THREAD_FLAGS, 1, 0);
        emit(program, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
        deny(program, EPERM);
        end_rule(program, begin, SECCOMP_RET_ALLOW);
        begin = begin_rule(program, SYS_clone3); /* its flags are in memory; libc falls back to clone */
        end_rule(program, begin, SECCOMP_RET_ERRNO | ENOSYS);
}

/* No copies of descriptors, no owner that gets signals, no flags that others share; of terminals, whether it
 * is one: what is typed there could be anything. */
static void rule_descriptors(struct program *program)
{
        static const uint32_t fcntls[] = {F_GETFD, F_SETFD, F_GETFL}, ioctls[] = {TCGETS, FIONREAD};

        allow_where(program, SYS_fcntl, 1, fcntls, 3);
        allow_where(program, SYS_ioctl, 1, ioctls, 2);
}

static void rule_reading(struct program *program, int doorbell)
{
        static const int calls[] = {SYS_read, SYS_readv, SYS_pread64, SYS_preadv};

        for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
                unsigned short begin = begin_rule(program, calls[i]);

                load_arg(program, 0);
                deny_if(program, STDOUT_FILENO); /* a terminal can be read there as well: what is typed */
                deny_if(program, STDERR_FILENO);
                if (doorbell >= 0)
                        deny_if(program, (uint32_t)doorbell);
                end_rule(program, begin, SECCOMP_RET_ALLOW);
        }
}

/* libc's fstat() is one of these. A name that is given along is looked at nevertheless: the guide says so. */
static void rule_stat(struct program *program)
{
        unsigned short begin = begin_rule(program, SYS_newfstatat);

        load_arg(program, 0);
        deny_if(program, (uint32_t)AT_FDCWD);
        load_arg(program, 3);
        allow_if(program, AT_EMPTY_PATH);
        end_rule(program, begin, SECCOMP_RET_ERRNO | EPERM);
}

static void rule_process(struct program *program)
{
        static const uint32_t prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_NO_NEW_PRIVS};
        unsigned short begin;

        allow_where(program, SYS_prctl, 0, prctls, 4);
        begin = begin_rule(program, SYS_prlimit64); /* asking, not setting: the new limit is NULL */
        load_arg(program, 2);
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
        load(program, offsetof(struct seccomp_data, args[2]) + 4);
        allow_if(program, 0);
        end_rule(program, begin, SECCOMP_RET_ERRNO | EPERM);
}

/* ---- all of it ---- */

static void check_abi(struct program *program)
{
        load(program, offsetof(struct seccomp_data, arch));
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)FILTER_ARCH, 1, 0);
        answer(program, SECCOMP_RET_KILL_PROCESS);
        load(program, offsetof(struct seccomp_data, nr));
        emit(program, BPF_JMP | BPF_JSET | BPF_K, FILTER_FOREIGN, 0, 1);
        answer(program, SECCOMP_RET_KILL_PROCESS);
}

/* Rules load arguments, and a call that meets one gets its answer there: the number stays loaded for all that
 * come after. */
static void write_program(struct program *program, int doorbell)
{
        check_abi(program);
        for (unsigned i = 0; i < sizeof always / sizeof *always; i++)
                allow_if(program, (uint32_t)always[i]);
        rule_memory(program);
        rule_signals(program);
        rule_threads(program);
        rule_descriptors(program);
        rule_reading(program, doorbell);
        rule_stat(program);
        rule_process(program);
        emit(program, BPF_JMP | BPF_JGE | BPF_K, FIRST_UNKNOWN, 0, 1);
        deny(program, ENOSYS);
        deny(program, EPERM);
}

int filter_install(int doorbell)
{
        struct program program = {.len = 0};
        struct sock_fprog fprog;

        write_program(&program, doorbell);
        fprog = (struct sock_fprog){program.len, program.code};
        return (int)sys_result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog));
}
