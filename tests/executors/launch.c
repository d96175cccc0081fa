/* launch.c - a zygote is started from any state that a process may be in, serves, and is no child of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coro/sanitize.h"
#include "executors/launch.h"
#include "executors/takeover.h"
#include "executors/zygote.h"
#include "support/leaks.h"
#include "support/run.h"

TestSuite(launch, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

/* Only a zygote answers like that. */
static bool serves(int socket)
{
        const struct zygote_message spawn = {.verb = ZYGOTE_SPAWN, .generation = 7};
        struct zygote_message answer;
        int fds[ZYGOTE_FDS_MOST];

        return zygote_send(socket, &spawn, NULL, 0) == 0 && zygote_receive(socket, &answer, fds) == 1 &&
               answer.verb == ZYGOTE_REFUSED && answer.generation == 7; /* there is no configuration */
}

static int start(enum ouro_start how)
{
        int socket = -1, result = launch_zygote(how, OURO_TEST_HELPER, &socket);

        cr_assert_eq(result, 0, "%s", strerror(-result));
        cr_assert(serves(socket));
        return socket;
}

/* Criterion has a thread of its own in each test. A fork of the test has one, until a sanitizer adds to it.
 * What body returns is 0, or the line of what does not hold. */
#define HOLDS(condition)                                                                                     \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        return __LINE__;                                                                     \
        } while (0)

static void in_one_thread(int (*body)(void))
{
        int ends[2], line = 0, status;
        pid_t pid;

        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                line = body();
                _exit(write(ends[1], &line, sizeof line) == sizeof line ? 0 : 1);
        }
        close(ends[1]);
        cr_assert_eq(read(ends[0], &line, sizeof line), sizeof line, "it crashed");
        close(ends[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(line, 0, "line %d", line);
}

Test(launch, each_way_of_starting_gives_a_zygote)
{
        launch_end(start(OURO_START_AUTO));
        launch_end(start(OURO_START_EXEC));
        launch_end(start(OURO_START_HELPER));
}

Test(launch, several_at_a_time_and_a_hundred_in_turn)
{
        int sockets[8];

        for (size_t i = 0; i < 8; i++)
                sockets[i] = start(OURO_START_EXEC);
        for (size_t i = 0; i < 8; i++)
                launch_end(sockets[(i + 3) % 8]);
        for (size_t i = 0; i < 100; i++)
                launch_end(start(OURO_START_EXEC));
}

Test(launch, errno_and_signal_mask_are_left_alone)
{
        sigset_t mask, after;

        sigemptyset(&mask);
        sigaddset(&mask, SIGUSR2);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        errno = 55;
        launch_end(start(OURO_START_EXEC));
        cr_assert_eq(errno, 55);
        sigprocmask(SIG_SETMASK, NULL, &after);
        for (int sig = 1; sig < 32; sig++)
                cr_assert_eq(sigismember(&after, sig), sig == SIGUSR2, "%d", sig);
}

/* ---- f81: nobody notices ---- */

static volatile sig_atomic_t children_told_of;

static void count_children(int sig)
{
        (void)sig;
        children_told_of++;
}

/* In a process with one thread. */
static int nobody_notices(void)
{
        for (int how = OURO_START_AUTO; how <= OURO_START_HELPER; how++) {
                int socket = -1;

                if (how == OURO_START_FORK && sanitize_active())
                        continue;
                HOLDS(launch_zygote((enum ouro_start)how, OURO_TEST_HELPER, &socket) == 0);
                HOLDS(serves(socket));
                HOLDS(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
                launch_end(socket);
                HOLDS(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
                /* All that has ended is reaped: there is not even a zombie that only __WALL shows. */
                HOLDS(sanitize_active() || (waitpid(-1, NULL, __WALL) < 0 && errno == ECHILD));
        }
        HOLDS(children_told_of == 0);
        return 0;
}

static int with_handler(void)
{
        signal(SIGCHLD, count_children);
        return nobody_notices();
}

static int ignoring(void)
{
        signal(SIGCHLD, SIG_IGN);
        return nobody_notices();
}

static int as_subreaper(void)
{
        signal(SIGCHLD, count_children);
        HOLDS(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        return nobody_notices();
}

static int as_process_1(void)
{
        int status;
        pid_t pid;

        HOLDS(unshare(CLONE_NEWPID) == 0);
        pid = fork();
        if (pid == 0)
                _exit(getpid() != 1 ? 255 : with_handler());
        HOLDS(waitpid(pid, &status, 0) == pid);
        HOLDS(WIFEXITED(status));
        return WEXITSTATUS(status);
}

Test(launch, f81_no_sigchld_and_nothing_to_wait_for)
{
        in_one_thread(with_handler);
        in_one_thread(ignoring);
}

Test(launch, f81_children_of_the_host_are_its_own)
{
        int status, socket;
        pid_t child = fork();

        if (child == 0)
                _exit(33);
        socket = start(OURO_START_EXEC);
        cr_assert_eq(waitpid(-1, &status, 0), child);
        cr_assert_eq(WEXITSTATUS(status), 33);
        launch_end(socket);
}

Test(launch, f81_orphans_do_not_come_back_to_a_subreaper)
{
        if (sanitize_active())
                cr_skip_test("no sanitizer bears a keeper");
        in_one_thread(as_subreaper);
}

Test(launch, f81_orphans_do_not_come_back_to_process_1)
{
        if (sanitize_active() || geteuid() != 0)
                cr_skip_test("needs the right to make a PID namespace, and no sanitizer bears a keeper");
        in_one_thread(as_process_1);
}

/* ---- f78: whatever the other threads do ---- */

static atomic_bool threads_end;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *allocate_for_ever(void *unused)
{
        while (!atomic_load(&threads_end))
                free(malloc(100 + (size_t)rand() % 5000));
        return unused;
}

static void *hold_locks(void *ready)
{
        pthread_mutex_lock(&held);
        flockfile(stdout);
        pthread_barrier_wait(ready);
        while (!atomic_load(&threads_end))
                usleep(1000);
        funlockfile(stdout);
        pthread_mutex_unlock(&held);
        return NULL;
}

Test(launch, f78_threads_and_the_locks_they_hold_do_not_matter)
{
        pthread_barrier_t ready;
        pthread_t threads[4];
        int socket = -1;

        pthread_barrier_init(&ready, NULL, 2);
        pthread_create(&threads[0], NULL, hold_locks, &ready);
        for (size_t i = 1; i < 4; i++)
                pthread_create(&threads[i], NULL, allocate_for_ever, NULL);
        pthread_barrier_wait(&ready);
        for (size_t i = 0; i < 20; i++)
                launch_end(start(OURO_START_EXEC));
        launch_end(start(OURO_START_HELPER));
        cr_assert_eq(launch_zygote(OURO_START_FORK, NULL, &socket), -EBUSY);
        atomic_store(&threads_end, true);
        for (size_t i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&ready);
}

static void *start_here(void *unused)
{
        (void)unused;
        return (void *)(intptr_t)start(OURO_START_EXEC);
}

Test(launch, f80_the_zygote_outlives_the_thread_that_started_it)
{
        pthread_t thread;
        void *socket;

        pthread_create(&thread, NULL, start_here, NULL);
        pthread_join(thread, &socket);
        cr_assert(serves((int)(intptr_t)socket));
        launch_end((int)(intptr_t)socket);
}

/* ---- descriptors ---- */

static bool is_closed_elsewhere(int fd)
{
        struct pollfd end = {.fd = fd, .events = POLLIN};

        return poll(&end, 1, 10000) == 1 && (end.revents & POLLHUP);
}

static int inherits_nothing(void)
{
        for (int how = OURO_START_EXEC; how <= OURO_START_HELPER; how++) {
                int ends[2], high, socket = -1;

                if (how == OURO_START_FORK && sanitize_active())
                        continue;
                HOLDS(pipe(ends) == 0);
                high = fcntl(ends[1], F_DUPFD, 500);
                HOLDS(launch_zygote((enum ouro_start)how, OURO_TEST_HELPER, &socket) == 0);
                HOLDS(serves(socket));
                close(ends[1]);
                close(high);
                HOLDS(is_closed_elsewhere(ends[0]));
                close(ends[0]);
                launch_end(socket);
        }
        return 0;
}

Test(launch, f82_no_descriptor_of_the_host_is_inherited)
{
        in_one_thread(inherits_nothing);
}

static int without_standard_descriptors(void)
{
        for (int fd = 0; fd < 3; fd++)
                close(fd);
        return nobody_notices();
}

Test(launch, standard_descriptors_may_be_missing)
{
        in_one_thread(without_standard_descriptors);
}

/* With so few descriptors free, each call that needs one fails in turn. */
Test(launch, f90_short_of_descriptors_it_says_so)
{
        int top = dup(0), result = -EMFILE, socket = -1;
        struct rlimit old, limit;

        close(top);
        catch_log();
        getrlimit(RLIMIT_NOFILE, &old);
        for (rlim_t more = 0; result != 0; more++) {
                cr_assert(more < 16);
                limit = (struct rlimit){(rlim_t)top + more, old.rlim_max};
                setrlimit(RLIMIT_NOFILE, &limit);
                result = launch_zygote(OURO_START_EXEC, NULL, &socket);
                cr_assert(result == 0 || result == -EMFILE || result == -ENOEXEC, "%d", result);
                cr_assert(more > 0 || result < 0);
        }
        setrlimit(RLIMIT_NOFILE, &old);
        cr_assert(serves(socket));
        launch_end(socket);
}

/* ---- f79: the host's end ---- */

static void ends_with_its_host(enum ouro_start how)
{
        int ends[2], status;
        pid_t pid;

        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) { /* whoever has its stderr lives */
                int socket;

                dup2(ends[1], 2);
                close(ends[1]);
                if (launch_zygote(how, OURO_TEST_HELPER, &socket) == 0 && serves(socket))
                        raise(SIGKILL);
                _exit(1);
        }
        close(ends[1]);
        cr_assert(is_closed_elsewhere(ends[0]));
        close(ends[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the zygote has served");
}

Test(launch, f79_the_zygote_ends_with_its_host)
{
        ends_with_its_host(OURO_START_EXEC);
        ends_with_its_host(OURO_START_HELPER);
        if (!sanitize_active())
                ends_with_its_host(OURO_START_FORK);
}

/* ---- in a task ---- */

static intptr_t task(void *unused)
{
        (void)unused;
        return nobody_notices();
}

static int in_a_task(void)
{
        return (int)ouro_run(task, NULL);
}

Test(launch, a_task_may_start_one)
{
        in_one_thread(in_a_task);
}

/* ---- what cannot be ---- */

Test(launch, a_helper_that_is_none_is_told)
{
        int socket = 77;

        catch_log();
        cr_assert_eq(launch_zygote(OURO_START_HELPER, "/nowhere/at/all", &socket), -ENOENT);
        cr_assert_eq(logged(), 1);
        cr_assert(strstr(logged_last(), "/nowhere/at/all"), "%s", logged_last());
        cr_assert_eq(launch_zygote(OURO_START_HELPER, "/etc/passwd", &socket), -EACCES);
        cr_assert_eq(launch_zygote(OURO_START_HELPER, "/", &socket), -EACCES);
        cr_assert_eq(launch_zygote(OURO_START_HELPER, "/bin/true", &socket), -ENOEXEC);
        cr_assert(strstr(logged_last(), "ended before"), "%s", logged_last());
        cr_assert_eq(socket, 77);
        cr_assert(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

/* ---- what a program makes of the argument ---- */

/* The helper, run by hand with fd as descriptor TAKEOVER_FD (-1: without): its exit status. */
static int by_hand(int fd)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR);

                dup2(null, 2);
                if (fd < 0)
                        close(TAKEOVER_FD);
                else if (fd == TAKEOVER_FD)
                        fcntl(fd, F_SETFD, 0);
                else
                        dup2(fd, TAKEOVER_FD);
                execl(OURO_TEST_HELPER, OURO_TEST_HELPER, TAKEOVER_ARGUMENT, (char *)NULL);
                _exit(99);
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum { MAIN_RAN = 2 };

static int with_greeting(int type, const void *greeting, size_t bytes, struct takeover_message *ret_answer)
{
        int sockets[2], status;

        cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sockets), 0);
        if (bytes > 0)
                cr_assert_eq(send(sockets[0], greeting, bytes, 0), (ssize_t)bytes);
        status = by_hand(sockets[1]);
        close(sockets[1]);
        memset(ret_answer, 0, sizeof *ret_answer);
        if (recv(sockets[0], ret_answer, sizeof *ret_answer, 0) < 0) /* what it left unread */
                recv(sockets[0], ret_answer, sizeof *ret_answer, 0);
        close(sockets[0]);
        return status;
}

Test(launch, the_argument_alone_means_nothing)
{
        struct takeover_message greeting, answer;
        int file = open("/dev/null", O_RDWR | O_CLOEXEC);

        cr_assert_eq(takeover_message_init(&greeting), 0);
        greeting.verb = TAKEOVER_GREETING;
        greeting.any_build = 1;
        cr_assert_eq(by_hand(-1), MAIN_RAN);
        cr_assert_eq(by_hand(file), MAIN_RAN);
        cr_assert_eq(with_greeting(SOCK_SEQPACKET, NULL, 0, &answer), MAIN_RAN);
        cr_assert_eq(with_greeting(SOCK_SEQPACKET, "hello", 5, &answer), MAIN_RAN);
        cr_assert_eq(with_greeting(SOCK_STREAM, &greeting, sizeof greeting, &answer), MAIN_RAN);
        greeting.verb = TAKEOVER_SERVING;
        cr_assert_eq(with_greeting(SOCK_SEQPACKET, &greeting, sizeof greeting, &answer), MAIN_RAN);
        close(file);
}

/* Running main would be worse than ending. */
Test(launch, f89_another_build_of_the_library_refuses_instead_of_running_main)
{
        struct takeover_message greeting, answer;

        cr_assert_eq(takeover_message_init(&greeting), 0);
        greeting.verb = TAKEOVER_GREETING;
        cr_assert_eq(with_greeting(SOCK_SEQPACKET, &greeting, sizeof greeting, &answer), 127,
                     "the library is in this program, and the helper has another");
        cr_assert_eq(answer.verb, TAKEOVER_FAILED);
        cr_assert_eq(answer.error, -ELIBBAD);
        greeting.any_build = 1;
        greeting.version[0] = '9';
        cr_assert_eq(with_greeting(SOCK_SEQPACKET, &greeting, sizeof greeting, &answer), 127);
        cr_assert_eq(answer.error, -ELIBBAD);
        cr_assert_eq(with_greeting(SOCK_SEQPACKET, &greeting, TAKEOVER_LEAST, &answer), 127, "an old one");
        cr_assert_eq(answer.error, -ELIBBAD);
}
