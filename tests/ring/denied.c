/* Where io_uring is denied, as by the default profiles of container engines: the same program runs on epoll.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ouro.h>

static unsigned warnings;
static int ran;

static void count_warning(enum ouro_log_level level, const char *message, void *arg)
{
        (void)message, (void)arg;
        warnings += level == OURO_LOG_WARNING;
}

static void begin(void)
{
        unsetenv("OURO_BACKEND");
        unsetenv("OURO_KERNEL");
        ouro_set_log(count_warning, NULL);
}

TestSuite(denied, .init = begin, .timeout = 60);

/* From now on the system call fails with error. */
static void deny(unsigned call, unsigned error)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof code / sizeof *code, code};

        cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static intptr_t sender(void *arg)
{
        int fd = *(int *)arg;

        ouro_sleep(OURO_MS(1));
        return ouro_send(fd, "hello", 5, 0);
}

/* A little of everything: a socket, a file, a timer, a poll. */
static intptr_t body(void *arg)
{
        struct sockaddr_storage addr;
        socklen_t len = sizeof addr;
        int listener = ouro_listen("tcp:127.0.0.1:0"), fd, peer, file;
        char buf[8] = {0};
        ouro_task task;

        ran++;
        cr_assert_str_eq(ouro_backend_name(), arg);
        cr_assert_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        fd = ouro_socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_eq(ouro_connect(fd, (struct sockaddr *)&addr, len), 0);
        peer = ouro_accept(listener, NULL, NULL);
        task = ouro_create_task(sender, &fd);
        cr_assert_eq(ouro_poll(peer, POLLIN), POLLIN);
        cr_assert_eq(ouro_recv_all(peer, buf, 5, NULL), 0);
        cr_assert_str_eq(buf, "hello");
        cr_assert_eq(ouro_await(task), 5);
        file = ouro_open("/proc/self/stat", O_RDONLY, 0);
        cr_assert_gt(ouro_read(file, buf, sizeof buf), 0);
        for (int *close_me = (int[]){file, peer, fd, listener, -1}; *close_me >= 0; close_me++)
                cr_assert_eq(ouro_close(*close_me), 0);
        return 7;
}

static char uring[] = "uring", epoll[] = "epoll";

Test(denied, f49_setup_that_is_denied_gives_epoll_and_one_line)
{
        deny(__NR_io_uring_setup, EPERM);
        cr_assert_eq(ouro_run(body, epoll), 7);
        cr_assert_eq(warnings, 1);
}

Test(denied, f49_setup_that_is_unknown_gives_epoll)
{
        deny(__NR_io_uring_setup, ENOSYS);
        cr_assert_eq(ouro_run(body, epoll), 7);
}

Test(denied, f51_enter_that_is_denied_gives_epoll)
{
        deny(__NR_io_uring_enter, EPERM);
        cr_assert_eq(ouro_run(body, epoll), 7);
        cr_assert_eq(ouro_run(body, epoll), 7);
}

Test(denied, forced_or_forbidden_it_is_an_error)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        deny(__NR_io_uring_setup, EPERM);
        options.backend = OURO_BACKEND_URING;
        cr_assert_eq(ouro_run_with(&options, body, uring), -ENOSYS);
        options.backend = OURO_BACKEND_AUTO;
        options.forbidden = 1u << OURO_BACKEND_EPOLL;
        cr_assert_eq(ouro_run_with(&options, body, uring), -ENOSYS);
        cr_assert_eq(ran, 0);
}

Test(denied, f50_shortage_is_told_and_not_hidden_by_epoll)
{
        struct rlimit limit;
        int lowest = dup(0);

        close(lowest);
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = (rlim_t)lowest;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        cr_assert_eq(ouro_run(body, uring), -EMFILE);
        cr_assert_eq(ran, 0);
        cr_assert_eq(warnings, 0);
}

Test(denied, epoll_that_is_forced_is_no_surprise)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = OURO_BACKEND_EPOLL;
        cr_assert_eq(ouro_run_with(&options, body, epoll), 7);
        cr_assert_eq(warnings, 0);
}

/* Older filters answer EPERM to each call that they do not know. */
Test(denied, epoll_lives_without_epoll_pwait2)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = OURO_BACKEND_EPOLL;
        deny(441, EPERM);
        cr_assert_eq(ouro_run_with(&options, body, epoll), 7);
}
