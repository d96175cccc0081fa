/* Where io_uring is denied or starved, and where rights are given up: the same results, or a clear error. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

enum { NOBODY = 65534 };

static char log_text[256];
static int log_lines;

static void take_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)arg, (void)level;
        snprintf(log_text, sizeof log_text, "%s", message);
        log_lines++;
}

static void begin(void)
{
        temp_begin();
        ouro_set_log(take_log, NULL);
}

TestSuite(denied, .init = begin, .fini = temp_end);

/* From now on, for this process and its threads to come. */
static void deny(int number, int error)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

        EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

static char backend[16];

static intptr_t echo(void *arg)
{
        int *fds = arg;
        char buf[8];

        for (int i = 0; i < 100; i++) {
                EQ(ouro_recv(fds[0], buf, sizeof buf, 0), 5);
                EQ(ouro_send(fds[0], buf, 5, 0), 5);
        }
        return 0;
}

/* Sockets, and files that are made, written, read and removed. */
static intptr_t load(void *arg)
{
        char buf[8];
        int fds[2], fd;

        (void)arg;
        snprintf(backend, sizeof backend, "%s", ouro_backend_name());
        unix_pair(fds);
        ouro_task task = ouro_create_task(echo, fds);

        for (int i = 0; i < 100; i++) {
                EQ(ouro_send(fds[1], "hello", 5, 0), 5);
                EQ(ouro_recv_all(fds[1], buf, 5, NULL), 0);
                cr_assert_eq(memcmp(buf, "hello", 5), 0);
        }
        EQ(ouro_await(task), 0);
        close_both(fds);
        fd = ouro_open("file", O_RDWR | O_CREAT | O_EXCL, 0600);
        cr_assert(fd >= 0, "%d", fd);
        EQ(ouro_pwrite_all(fd, "text", 4, 0, NULL), 0);
        EQ(ouro_fsync(fd), 0);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), 4);
        EQ(ouro_close(fd), 0);
        EQ(ouro_rename("file", "other"), 0);
        EQ(ouro_unlink("other"), 0);
        return 0;
}

static intptr_t nothing_at_all(void *arg)
{
        (void)arg;
        return 0;
}

static intptr_t run_load(void)
{
        backend[0] = '\0';
        return ouro_run(load, NULL);
}

static void check_falls_back(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        EQ(setenv("OURO_BACKEND", "auto", 1), 0);
        EQ(run_load(), 0);
        cr_assert_str_eq(backend, "epoll");
        EQ(log_lines, 1);
        cr_assert(strstr(log_text, "uring") && strstr(log_text, "epoll"), "%s", log_text);
        options.backend = OURO_BACKEND_URING;
        EQ(ouro_run_with(&options, load, NULL), -ENOSYS);
        options.backend = OURO_BACKEND_AUTO;
        options.forbidden = 1u << OURO_BACKEND_EPOLL;
        EQ(ouro_run_with(&options, load, NULL), -ENOSYS);
        options.forbidden = 0;
        options.backend = OURO_BACKEND_EPOLL; /* asked for, it needs no comment */
        EQ(ouro_run_with(&options, load, NULL), 0);
        EQ(log_lines, 1);
}

Test(denied, f49_setup_answers_enosys_as_old_kernels_do)
{
        deny(__NR_io_uring_setup, ENOSYS);
        check_falls_back();
}

Test(denied, f49_setup_answers_eperm_as_containers_do)
{
        deny(__NR_io_uring_setup, EPERM);
        check_falls_back();
}

Test(denied, f51_setup_works_and_enter_is_blocked)
{
        deny(__NR_io_uring_enter, EPERM);
        check_falls_back();
}

Test(denied, f51_registering_is_blocked)
{
        deny(__NR_io_uring_register, EPERM); /* without a probe nobody knows what is there */
        check_falls_back();
}

Test(denied, f53_all_of_io_uring_is_denied)
{
        deny(__NR_io_uring_setup, ENOSYS);
        deny(__NR_io_uring_enter, ENOSYS);
        deny(__NR_io_uring_register, ENOSYS);
        check_falls_back();
}

/* Descriptors run out at each point of making the loop: an error, nothing left open, no other backend. */
Test(denied, f50_too_few_descriptors_are_a_clear_error)
{
        const char *asked = getenv("OURO_BACKEND");
        struct rlimit before, few;
        int next = dup(0), refused = 0;

        close(next);
        EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (int spare = 0; spare < 8; spare++) {
                few = (struct rlimit){(rlim_t)(next + spare), before.rlim_max};
                EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
                intptr_t result = ouro_run(nothing_at_all, NULL);

                EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
                if (result != 0)
                        EQ(result, -EMFILE);
                refused += result != 0;
        }
        cr_assert(refused >= 1);
        EQ(log_lines, 0);
        EQ(run_load(), 0);
        if (asked && strcmp(asked, "auto") != 0)
                cr_assert_str_eq(backend, asked);
}

/* Runs the load as nobody, with the limit, in a child of its own, because there is no way back. */
static int run_as_nobody(int limit, rlim_t value)
{
        int status;

        EQ(chmod(temp_dir, 0777), 0);
        pid_t child = fork();

        if (child == 0) {
                if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
                    setrlimit((__rlimit_resource_t)limit, &(struct rlimit){value, value}) < 0)
                        _exit(99);
                _exit((int)-run_load());
        }
        EQ(waitpid(child, &status, 0), child);
        EQ(WIFEXITED(status), true);
        return -WEXITSTATUS(status);
}

Test(denied, f47_results_are_the_same_within_narrow_limits)
{
        if (getuid() != 0) {
                PASSED_OVER("needs to be root, to become somebody who is not");
                return;
        }
        EQ(run_as_nobody(RLIMIT_NPROC, 0), 0); /* no thread can be made, neither by us nor by the kernel */
        EQ(run_as_nobody(RLIMIT_MEMLOCK, 256 << 10), 0);
        int result = run_as_nobody(RLIMIT_MEMLOCK, 0); /* some kernels count the ring itself */

        if (result != 0)
                EQ(result, -ENOMEM);
}

/* ---- rights given up ---- */

static void check_locked_out(int wanted)
{
        struct statx stx;
        int fd = ouro_open("secret", O_RDONLY, 0);

        if (fd >= 0)
                ouro_close(fd);
        EQ(fd < 0 ? fd : 0, wanted);
        fd = ouro_open("secret", O_RDWR | O_CREAT, 0600);
        if (fd >= 0)
                ouro_close(fd);
        EQ(fd < 0 ? fd : 0, wanted);
        EQ(ouro_statx(AT_FDCWD, "closed/file", 0, STATX_SIZE, &stx), wanted);
        EQ(ouro_truncate("closed/file", 0), wanted); /* by a helper, on both backends */
        EQ(ouro_faccessat(AT_FDCWD, "closed/file", F_OK, AT_EACCESS), wanted);
        EQ(ouro_mkdir("closed/dir", 0700), wanted);
        EQ(ouro_rmdir("closed/dir"), wanted);
        EQ(ouro_rename("closed/file", "closed/moved"), wanted);
        EQ(ouro_rename("closed/moved", "closed/file"), wanted == 0 ? 0 : wanted);
}

static bool make_secrets(void)
{
        if (getuid() != 0) {
                PASSED_OVER("needs to be root, to give something up");
                return false;
        }
        EQ(mkdir("closed", 0700), 0);
        close(open("closed/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        close(open("secret", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        EQ(chmod(temp_dir, 0755), 0);
        return true;
}

static intptr_t give_up_for_good(void *arg)
{
        (void)arg;
        check_locked_out(0);
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
                return -errno;
        check_locked_out(-EACCES);
        return 0;
}

/* As a server does once it listens. In a child, because there is no way back. */
Test(denied, f54_a_loop_that_was_begun_as_root_is_nobody_after_setuid)
{
        int status;

        if (!make_secrets())
                return;
        pid_t child = fork();

        if (child == 0)
                _exit(ouro_run(give_up_for_good, NULL) == 0 ? 0 : 1);
        EQ(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

IN_LOOP(denied, f54_rights_that_were_given_up_do_not_live_on_in_the_loop)
{
        if (!make_secrets())
                return 0;
        check_locked_out(0); /* helpers and workers are there, with our old rights */
        EQ(seteuid(NOBODY), 0);
        check_locked_out(-EACCES);
        EQ(ouro_unlink("closed/file"), -EACCES);
        EQ(seteuid(0), 0);
        check_locked_out(0);
        return 0;
}
