/* "Compute only": what computing needs works, and nothing else does. */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "confined.h"
#include "executors/filter.h"
#include "executors/module.h"
#include "foreign.h"
#include "support/temp_dir.h"

static struct ouro_process_options options;

static void begin(void)
{
        temp_begin();
        options = (struct ouro_process_options)OURO_PROCESS_OPTIONS_INIT;
        options.confine = OURO_CONFINE_COMPUTE_ONLY;
}

TestSuite(filter, .init = begin, .fini = temp_end);

/* ---- what works ---- */

static volatile sig_atomic_t seen;

static void on_signal(int sig)
{
        seen = sig;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int started;

static void *in_thread(void *arg)
{
        pthread_setname_np(pthread_self(), "computes");
        pthread_mutex_lock(&lock);
        started++;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
        return socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM ? arg : NULL;
}

static int threads_work(void)
{
        pthread_t thread;
        void *result;

        MUST(pthread_create(&thread, NULL, in_thread, &started) == 0);
        pthread_mutex_lock(&lock);
        while (!started)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        MUST(pthread_join(thread, &result) == 0 && result == &started); /* confined like the others */
        return 0;
}

static int memory_works(void)
{
        char *big = malloc(8 << 20), *code;

        MUST(big);
        memset(big, 1, 8 << 20);
        MUST((big = realloc(big, 32 << 20)) && big[(8 << 20) - 1] == 1);
        free(big);
        code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(code != MAP_FAILED);
        MUST(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0); /* compilers of formulas */
        REFUSED(EPERM, madvise(code, 4096, MADV_HWPOISON));
        MUST(madvise(code, 4096, MADV_DONTNEED) == 0 && munmap(code, 4096) == 0);
        return 0;
}

static int clocks_work(void)
{
        const struct itimerval soon = {.it_value = {.tv_usec = 1000}};
        struct timespec ts = {.tv_nsec = 1000};
        struct timeval tv;
        struct rusage usage;

        MUST(clock_gettime(CLOCK_MONOTONIC, &ts) == 0 && gettimeofday(&tv, NULL) == 0 && time(NULL) > 0);
        ts = (struct timespec){.tv_nsec = 1000};
        MUST(nanosleep(&ts, NULL) == 0 && clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL) == 0);
        MUST(getrusage(RUSAGE_SELF, &usage) == 0);
        MUST(signal(SIGALRM, on_signal) != SIG_ERR && setitimer(ITIMER_REAL, &soon, NULL) == 0);
        while (seen != SIGALRM)
                sched_yield();
        return 0;
}

static int own_signals_work(void)
{
        MUST(signal(SIGUSR1, on_signal) != SIG_ERR);
        MUST(raise(SIGUSR1) == 0 && seen == SIGUSR1);
        seen = 0;
        MUST(kill(getpid(), SIGUSR1) == 0 && seen == SIGUSR1);
        seen = 0;
        MUST(pthread_kill(pthread_self(), SIGUSR1) == 0 && seen == SIGUSR1);
        return 0;
}

static int facts_are_there(void)
{
        struct rlimit limit;
        cpu_set_t set;
        char bytes[16];

        MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        MUST(sched_getaffinity(0, sizeof set, &set) == 0 && sysconf(_SC_NPROCESSORS_ONLN) > 0);
        MUST(syscall(SYS_getrandom, bytes, sizeof bytes, 0) == sizeof bytes);
        MUST(sysconf(_SC_PHYS_PAGES) > 0);
        return 0;
}

static int kept_fd;

static int open_descriptors_work(void)
{
        struct pollfd ready = {.fd = kept_fd, .events = POLLIN};
        struct stat stat;
        char buf[8];

        MUST(write(kept_fd, "text", 4) == 4 && lseek(kept_fd, 0, SEEK_SET) == 0);
        MUST(read(kept_fd, buf, sizeof buf) == 4 && pread(kept_fd, buf, sizeof buf, 2) == 2);
        MUST(fstat(kept_fd, &stat) == 0 && stat.st_size == 4);
        MUST(poll(&ready, 1, 0) == 1);
        MUST(mmap(NULL, 4, PROT_READ, MAP_SHARED, kept_fd, 0) != MAP_FAILED);
        MUST(fcntl(kept_fd, F_GETFD) == FD_CLOEXEC);
        MUST(isatty(kept_fd) == 0 && errno == ENOTTY);
        MUST(printf("words on stdout\n") == 16 && fflush(stdout) == 0);
        MUST(close(kept_fd) == 0);
        return 0;
}

Test(filter, computing_works)
{
        kept_fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        confined_holds(&options, NULL, memory_works);
        confined_holds(&options, NULL, threads_work);
        confined_holds(&options, NULL, clocks_work);
        confined_holds(&options, NULL, own_signals_work);
        confined_holds(&options, NULL, facts_are_there);
        confined_holds(&options, NULL, open_descriptors_work);
        EQ(close(kept_fd), 0);
}

static int crash(void)
{
        abort();
}

static int leave(void)
{
        _exit(7); /* exit() would have a sanitizer look for leaks, which it cannot here */
}

Test(filter, a_worker_dies_as_any_other)
{
        EQ(WTERMSIG(confined_run(&options, NULL, crash).status), SIGABRT);
        EQ(WEXITSTATUS(confined_run(&options, NULL, leave).status), 7);
}

/* ---- what does not ---- */

/* With the arguments that they get here they do no harm even where they are let through after all. */
#define CALL(name)                                                                                           \
        {                                                                                                    \
                SYS_##name, #name                                                                            \
        }
/* clang-format off */
static const struct {
        long number;
        const char *name;
} refused[] = {
        CALL(socket), CALL(socketpair), CALL(connect), CALL(bind), CALL(listen), CALL(accept4),
        CALL(sendto), CALL(sendmsg), CALL(recvfrom), CALL(recvmsg), CALL(openat), CALL(openat2),
        CALL(execve), CALL(execveat), CALL(memfd_create), CALL(io_uring_setup), CALL(io_uring_enter),
        CALL(io_uring_register), CALL(process_vm_readv), CALL(process_vm_writev), CALL(process_madvise),
        CALL(pidfd_open), CALL(pidfd_getfd), CALL(pidfd_send_signal), CALL(kcmp), CALL(userfaultfd),
        CALL(perf_event_open), CALL(bpf), CALL(mount), CALL(umount2), CALL(move_mount), CALL(fsopen),
        CALL(open_tree), CALL(pivot_root), CALL(chroot), CALL(chdir), CALL(fchdir), CALL(setns),
        CALL(unshare), CALL(keyctl), CALL(add_key), CALL(request_key), CALL(init_module),
        CALL(finit_module), CALL(kexec_load), CALL(setuid), CALL(setresuid), CALL(setgroups), CALL(capset),
        CALL(setsid), CALL(setpgid), CALL(setrlimit), CALL(setpriority), CALL(sched_setaffinity),
        CALL(sched_setscheduler), CALL(sched_setattr), CALL(ioprio_set), CALL(unlinkat), CALL(renameat2),
        CALL(mkdirat), CALL(mknodat), CALL(linkat), CALL(symlinkat), CALL(readlinkat), CALL(faccessat),
        CALL(fchmod), CALL(fchmodat), CALL(fchownat), CALL(utimensat), CALL(setxattr), CALL(truncate),
        CALL(ftruncate), CALL(fallocate), CALL(getdents64), CALL(statx), CALL(statfs),
        CALL(open_by_handle_at), CALL(name_to_handle_at), CALL(dup), CALL(dup3), CALL(pipe2),
        CALL(eventfd2), CALL(epoll_create1), CALL(signalfd4), CALL(timerfd_create), CALL(inotify_init1),
        CALL(fanotify_init), CALL(shmget), CALL(shmat), CALL(msgget), CALL(semget), CALL(mq_open),
        CALL(sendfile), CALL(splice), CALL(vmsplice), CALL(tee), CALL(copy_file_range), CALL(preadv2),
        CALL(pwritev2), CALL(rt_sigqueueinfo), CALL(rt_tgsigqueueinfo), CALL(ptrace), CALL(personality),
        CALL(seccomp), CALL(move_pages), CALL(migrate_pages), CALL(mbind), CALL(set_mempolicy),
        CALL(mlockall), CALL(clock_settime), CALL(adjtimex), CALL(sethostname), CALL(swapon), CALL(reboot),
        CALL(syslog), CALL(acct), CALL(quotactl), CALL(vhangup), CALL(wait4), CALL(umask),
};
/* clang-format on */

static int all_are_refused(void)
{
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
                errno = 0;
                if (syscall(refused[i].number, -1, 0, 0, 0, 0, 0) != -1 || errno != EPERM) {
                        fprintf(stderr, "%s is let through: %s\n", refused[i].name, strerror(errno));
                        return __LINE__;
                }
        }
        return 0;
}

Test(filter, f95_all_else_is_refused)
{
        confined_holds(&options, NULL, all_are_refused);
}

static int what_libc_offers_is_refused(void)
{
        pid_t child;

        errno = 0;
        MUST(open("/etc/passwd", O_RDONLY | O_CLOEXEC) == -1 && errno == EPERM);
        MUST(!fopen("/etc/passwd", "re") && errno == EPERM);
        child = fork();
        if (child == 0)
                _exit(0);
        MUST(child == -1 && errno == EPERM);
        REFUSED(EPERM, (child = vfork()));
        MUST(system("true") != 0);
        REFUSED(EPERM, execl("/bin/true", "true", NULL));
        REFUSED(EPERM, unlink("file"));
        REFUSED(EPERM, prctl(PR_SET_PDEATHSIG, 0));
        REFUSED(EPERM, prctl(PR_SET_DUMPABLE, 0));
        MUST(setvbuf(stdout, NULL, _IOFBF, 0) == 0);
        return 0;
}

Test(filter, f95_libc_finds_no_way_around)
{
        confined_holds(&options, NULL, what_libc_offers_is_refused);
}

static int others_get_no_signals(void)
{
        union sigval value = {0};

        REFUSED(EPERM, kill(getppid(), 0));
        REFUSED(EPERM, kill(getppid(), SIGKILL));
        REFUSED(EPERM, kill(0, 0));
        REFUSED(EPERM, kill(-1, 0));
        REFUSED(EPERM, kill(-getpid(), 0));
        REFUSED(EPERM, (int)syscall(SYS_tgkill, getppid(), getppid(), 0));
        REFUSED(EPERM, (int)syscall(SYS_tkill, getppid(), 0));
        REFUSED(EPERM, sigqueue(getppid(), 0, value));
        REFUSED(EPERM, fcntl(1, F_SETOWN, getppid()));
        REFUSED(EPERM, fcntl(1, F_SETFL, O_ASYNC));
        REFUSED(EPERM, fcntl(1, F_DUPFD, 10));
        REFUSED(EPERM, ioctl(1, FIOSETOWN, &(int){getppid()}));
        REFUSED(EPERM, ioctl(1, TIOCSTI, "x"));
        REFUSED(EPERM, (int)read(1, &value, 1)); /* a terminal can be read there, too */
        REFUSED(EPERM, (int)read(2, &value, 1));
        return 0;
}

Test(filter, f95_others_get_no_signals_and_terminals_no_input)
{
        confined_holds(&options, NULL, others_get_no_signals);
}

static int clone_flags_are_looked_at(void)
{
        errno = 0;
        MUST(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
        REFUSED(EPERM, (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        REFUSED(EPERM, (int)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
        REFUSED(EPERM,
                (int)syscall(SYS_clone, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_NEWNS, 0, 0, 0, 0));
        REFUSED(EPERM, (int)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
        MUST(syscall(100000) == -1 && errno == ENOSYS); /* libc of tomorrow asks, and goes back */
        return 0;
}

Test(filter, f95_threads_are_all_that_can_be_cloned)
{
        confined_holds(&options, NULL, clone_flags_are_looked_at);
}

static int limits_are_read_only(void)
{
        struct rlimit limit;

        MUST(prlimit(0, RLIMIT_NOFILE, NULL, &limit) == 0);
        REFUSED(EPERM, prlimit(0, RLIMIT_NOFILE, &limit, NULL));
        REFUSED(EPERM, setrlimit(RLIMIT_NOFILE, &limit)); /* not even what they are */
        REFUSED(EPERM, (int)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 1ul << 32, NULL));
        return 0;
}

Test(filter, f95_limits_can_be_asked_and_not_set)
{
        confined_holds(&options, NULL, limits_are_read_only);
}

static int only_descriptors_have_facts(void)
{
        struct stat stat;

        MUST(fstatat(1, "", &stat, AT_EMPTY_PATH) == 0);
        REFUSED(EPERM, lstat("/etc/passwd", &stat));
        REFUSED(EPERM, fstatat(AT_FDCWD, "", &stat, AT_EMPTY_PATH));
        REFUSED(EPERM, fstatat(1, "/etc/passwd", &stat, 0));
        return 0;
}

Test(filter, f95_facts_of_files_are_those_of_open_ones)
{
        confined_holds(&options, NULL, only_descriptors_have_facts);
}

/* ---- other ABIs ---- */

static int call_by_foreign_number(void)
{
        syscall(FILTER_FOREIGN | SYS_getpid);
        return 0;
}

static int call_by_foreign_gate(void)
{
        foreign_getpid();
        return 0;
}

Test(filter, f95_numbers_of_another_abi_end_the_worker)
{
        int status;

        if (!FOREIGN_THERE) {
                PASSED_OVER("this architecture has no other ABI");
                return;
        }
        EQ(WTERMSIG(confined_run(&options, NULL, call_by_foreign_number).status), SIGSYS);
        status = confined_run(&options, NULL, call_by_foreign_gate).status;
        cr_assert(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV); /* a kernel without it */
}

/* ---- the doorbell, which all workers share ---- */

static int bell;

static int bell_only_rings(void)
{
        uint64_t one = 1;
        struct iovec iov = {&one, sizeof one};

        MUST(write(bell, &one, sizeof one) == sizeof one);
        REFUSED(EPERM, read(bell, &one, sizeof one));
        REFUSED(EPERM, readv(bell, &iov, 1));
        REFUSED(EPERM, pread(bell, &one, sizeof one, 0));
        REFUSED(EPERM, preadv(bell, &iov, 1, -1));
        REFUSED(EPERM, dup2(bell, 100));
        return 0;
}

Test(filter, f95_no_worker_can_take_the_rings_of_another)
{
        struct confined_how how = {.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        uint64_t rings;

        bell = how.doorbell;
        confined_holds(&options, &how, bell_only_rings);
        EQ(read(bell, &rings, sizeof rings), sizeof rings);
        EQ(rings, 1);
        EQ(close(bell), 0);
}

/* ---- functions of libraries ---- */

static struct lane_module sample;
static uint64_t sample_offset;

static int unloaded_libraries_stay_so(void)
{
        uintptr_t bias;

        MUST(module_load(&sample, &bias) == -ENOEXEC);
        return 0;
}

static int unloaded_libraries_are_loaded(void)
{
        uintptr_t bias;

        MUST(module_load(&sample, &bias) == 0);
        return 0;
}

Test(filter, a_library_that_is_not_loaded_yet_cannot_be)
{
        void *library = dlopen(SAMPLE_WITH_ID, RTLD_NOW);

        cr_assert(library);
        EQ(module_find(dlsym(library, "sample_value"), &sample, &sample_offset), 0);
        EQ(dlclose(library), 0);
        confined_holds(&options, NULL, unloaded_libraries_stay_so);
        options.confine = 0;
        confined_holds(&options, NULL, unloaded_libraries_are_loaded);
}
