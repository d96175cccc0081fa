/* launch.c - which file becomes the zygote, and the wait until it has taken over.
 *
 * Whether a program would be taken over is decided before it is executed: what is not taken over runs main,
 * with all that it does. What does that in spite of everything is killed.
 *
 * Each zygote that serves is in a list, known by its socket, so that its end can be awaited. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/sys.h"
#include "executors/launch.h"
#include "executors/program.h"
#include "executors/start.h"
#include "executors/takeover.h"

static const int64_t PATIENCE_NS = 20LL * 1000000000;

enum {
        /* Threads that do not count: io_uring's (PF_USER_WORKER, PF_IO_WORKER), and one that has been joined
         * but is still on its way out (PF_EXITING). */
        NOT_OURS = 0x4000 | 0x10 | 0x4,
};

struct zygote_process {
        struct zygote_process *next;
        int socket, pidfd;
        struct start *start; /* NULL: there is no keeper */
};

static struct zygote_process *processes;
static pthread_mutex_t processes_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- waiting ---- */

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* True: there is something to read, or an end. */
static bool await(int fd, int64_t until_ns)
{
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        for (;;) {
                int64_t left_ns = until_ns - now_ns();
                int result = sys_result(poll(&ready, 1, left_ns < 0 ? 0 : (int)(left_ns / 1000000) + 1));

                if (result != -EINTR)
                        return result > 0;
        }
}

/* 1, 0: the other end is closed, or a negated errno. ret_fd: a descriptor that came along, or untouched. */
static int receive(int socket, struct takeover_message *ret_message, int *ret_fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } rights;
        struct iovec iov = {ret_message, sizeof *ret_message};
        struct msghdr header = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
        struct cmsghdr *cmsg;
        ssize_t n;

        do
                n = sys_result(recvmsg(socket, &header, MSG_CMSG_CLOEXEC));
        while (n == -EINTR || n == -ECONNRESET); /* reset: it ended with our greeting unread; told once */
        if (n <= 0)
                return (int)n;
        cmsg = CMSG_FIRSTHDR(&header);
        if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
        return n < TAKEOVER_LEAST ? -EPROTO : 1;
}

static int failed(int error)
{
        if (error == -ELIBBAD)
                log_line(OURO_LOG_WARNING, "process pool: the ouro library on disk is not the one that this "
                                           "program has loaded");
        else
                log_line(OURO_LOG_WARNING, "process pool: the zygote could not be executed: %s",
                         strerrordesc_np(-error));
        /* -ENOENT: there is no such interpreter here. That would be taken for a missing directory. */
        return error == -ELIBBAD || error == -ENOENT ? -ENOEXEC : error;
}

static int not_served(const char *how)
{
        log_line(OURO_LOG_WARNING, "process pool: the zygote %s", how);
        return -ENOEXEC;
}

static void served(const struct takeover_message *message)
{
        if (message->threads > 1)
                log_line(OURO_LOG_INFO,
                         "process pool: constructors have started threads in the zygote (%u in all), which "
                         "workers do not have",
                         message->threads);
}

/* Until it serves, and the process between has said who it is (if it knows: *ret_pidfd may stay -1). */
static int await_serving(int socket, int *ret_pidfd)
{
        int64_t until_ns = now_ns() + PATIENCE_NS;
        bool started = false, serves = false;

        while (!serves || !started) {
                struct takeover_message message;
                int result;

                if (!await(socket, until_ns))
                        return not_served("has not taken over in time: a constructor that waits, or a main "
                                          "that should not have run");
                result = receive(socket, &message, ret_pidfd);
                if (result == 0)
                        return not_served("ended before it had taken over");
                if (result < 0)
                        return result;
                if (message.verb == TAKEOVER_FAILED)
                        return failed(message.error);
                started |= message.verb == TAKEOVER_STARTED;
                serves |= message.verb == TAKEOVER_SERVING;
                if (message.verb == TAKEOVER_SERVING)
                        served(&message);
        }
        return 0;
}

/* ---- starting ---- */

static void kill_zygote(int pidfd)
{
        struct pollfd ended = {.fd = pidfd, .events = POLLIN};

        if (pidfd < 0)
                return;
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        while (sys_result(poll(&ended, 1, -1)) == -EINTR)
                ;
        close(pidfd);
}

static int remember(int socket, int pidfd, struct start *start)
{
        struct zygote_process *process = mem_alloc(sizeof *process);

        if (!process)
                return -ENOMEM;
        process->socket = socket;
        process->pidfd = pidfd;
        process->start = start->keeps ? start : NULL;
        if (!process->start)
                start_free(start);
        pthread_mutex_lock(&processes_lock);
        process->next = processes;
        processes = process;
        pthread_mutex_unlock(&processes_lock);
        return 0;
}

/* On success the start is no longer the caller's. The host's end stays open; that of the zygote is closed as
 * soon as the zygote has its own. */
static int start_and_await(struct start *start, int sockets[2], int (*how)(struct start *))
{
        int pidfd = -1, result;

        start->socket = sockets[1];
        result = how(start);
        close(sockets[1]);
        if (result == 0)
                result = await_serving(sockets[0], &pidfd);
        if (result == 0)
                result = remember(sockets[0], pidfd, start);
        if (result == 0)
                return 0;
        kill_zygote(pidfd);
        close(sockets[0]);
        return result;
}

static int greet(int socket, const struct takeover_message *message, bool any_build)
{
        struct takeover_message greeting = *message;
        ssize_t n;

        greeting.verb = TAKEOVER_GREETING;
        greeting.any_build = any_build;
        do
                n = sys_result(send(socket, &greeting, sizeof greeting, MSG_NOSIGNAL));
        while (n == -EINTR);
        return n < 0 ? (int)n : 0;
}

static int launch(struct start *start, bool any_build, int (*how)(struct start *), int *ret_socket)
{
        int sockets[2];
        int result = sys_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets));

        if (result < 0)
                return result;
        result = how == start_exec ? greet(sockets[0], &start->message, any_build) : 0;
        if (result < 0) {
                close(sockets[0]);
                close(sockets[1]);
                return result;
        }
        result = start_and_await(start, sockets, how);
        if (result == 0)
                *ret_socket = sockets[0];
        return result;
}

static int launch_file(int fd, char **argv, bool any_build, int *ret_socket)
{
        struct takeover_message message;
        struct start *start;
        int result = takeover_message_init(&message);

        if (result < 0)
                return result;
        start = start_new(&message);
        if (!start)
                return -ENOMEM;
        start->program = fd;
        start->argv = argv;
        start->envp = environ;
        result = launch(start, any_build, start_exec, ret_socket);
        if (result < 0)
                start_free(start);
        return result;
}

static int launch_program(int *ret_socket)
{
        struct program *program = mem_alloc(sizeof *program);
        int result = program ? program_open(program) : -ENOMEM;

        if (result == 0) {
                program->argv[program->argc] = (char *)(uintptr_t)TAKEOVER_ARGUMENT;
                program->argv[program->argc + 1] = NULL;
                result = launch_file(program->fd, program->argv, false, ret_socket);
                close(program->fd);
        } else if (program) {
                log_line(OURO_LOG_WARNING, "process pool: this program's file cannot be opened again: %s",
                         result == -ENOEXEC ? "it is not where ld.so was told to find it"
                                            : strerrordesc_np(-result));
                if (result == -ENOENT) /* without /proc */
                        result = -ENOEXEC;
        }
        mem_free(program, sizeof *program);
        return result;
}

static int launch_helper(const char *path, int *ret_socket)
{
        char *argv[] = {(char *)(uintptr_t)(path ? path : OURO_HELPER_PATH),
                        (char *)(uintptr_t)TAKEOVER_ARGUMENT, NULL};
        int fd = sys_result(open(argv[0], O_PATH | O_CLOEXEC)), result;

        if (fd < 0) {
                log_line(OURO_LOG_WARNING, "process pool: the helper program %s: %s", argv[0],
                         strerrordesc_np(-fd));
                return fd;
        }
        result = launch_file(fd, argv, true, ret_socket);
        close(fd);
        return result;
}

/* ---- by fork ---- */

/* Of a thread of this process, by its directory's name. */
static bool is_thread_of_ours(int tasks, const char *name)
{
        char path[300], text[512];
        unsigned long flags = 0;
        const char *after;
        ssize_t n;
        int fd;

        if (name[0] == '.')
                return false;
        snprintf(path, sizeof path, "%s/stat", name);
        fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
                close(fd);
        if (n <= 0)
                return false; /* it has ended meanwhile */
        text[n] = '\0';
        after = strrchr(text, ')');
        if (after)
                sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags);
        return !(flags & NOT_OURS);
}

static bool has_one_thread(void)
{
        int saved = errno;
        DIR *tasks = opendir("/proc/self/task");
        unsigned n = 0;

        if (!tasks) {
                errno = saved;
                return false; /* who does not know must not fork */
        }
        for (const struct dirent *entry; (entry = readdir(tasks));)
                n += is_thread_of_ours(dirfd(tasks), entry->d_name);
        closedir(tasks);
        errno = saved;
        return n == 1;
}

static int launch_fork(int *ret_socket)
{
        struct takeover_message message;
        struct start *start;
        int result;

        if (!has_one_thread())
                return -EBUSY;
        takeover_message_init(&message); /* that our file has no identity does not matter here */
        start = start_new(&message);
        if (!start)
                return -ENOMEM;
        result = launch(start, false, start_fork, ret_socket);
        if (result < 0)
                start_free(start);
        return result;
}

/* ---- */

static int refused(const char *why)
{
        log_line(OURO_LOG_WARNING, "process pool: %s", why);
        return -ENOEXEC;
}

int launch_zygote(enum ouro_start start, const char *helper, int *ret_socket)
{
        const char *why;
        int error;

        if (takeover_pending())
                return refused("a constructor opens it: the zygote would run that, too");
        if (start == OURO_START_FORK)
                return launch_fork(ret_socket);
        why = program_privileged();
        if (why)
                return refused(why);
        if (start == OURO_START_HELPER)
                return launch_helper(helper, ret_socket);
        error = program_not_taken_over(&why);
        if (error < 0)
                return error;
        if (!why)
                return launch_program(ret_socket);
        if (start == OURO_START_EXEC)
                return refused(why);
        log_line(OURO_LOG_INFO, "process pool: %s: its workers are forked from the helper program", why);
        return launch_helper(helper, ret_socket);
}

static struct zygote_process *forget(int socket)
{
        struct zygote_process *process = NULL;

        pthread_mutex_lock(&processes_lock);
        for (struct zygote_process **at = &processes; *at; at = &(*at)->next)
                if ((*at)->socket == socket) {
                        process = *at;
                        *at = process->next;
                        break;
                }
        pthread_mutex_unlock(&processes_lock);
        return process;
}

void launch_end(int socket)
{
        struct zygote_process *process = forget(socket);

        close(socket);
        if (!process)
                return;
        if (process->pidfd >= 0 && await(process->pidfd, now_ns() + PATIENCE_NS))
                close(process->pidfd);
        else
                kill_zygote(process->pidfd);
        if (process->start)
                start_free(process->start);
        mem_free(process, sizeof *process);
}
