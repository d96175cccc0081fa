/* zygote.c - the process that all workers of a pool are forked from.
 *
 * It has one thread, so that what it forks is whole, and so that the workers' wish to die with their parent
 * (which the kernel takes for: with the thread that forked them) means the process. It sleeps in poll() on
 * two descriptors: the host's socket and its children's ends.
 *
 * A worker that has ended is told of (DIED) only when nothing is left of what it started: those are this
 * process's children then. Whose children they were cannot be told, so that what other workers have sent
 * into the background ends at the same moment. That needs some rounds, none of which waits. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sys.h"
#include "executors/confine.h"
#include "executors/clean.h"
#include "executors/crash.h"
#include "executors/inherit.h"
#include "executors/leftovers.h"
#include "executors/worker.h"
#include "executors/zygote.h"

enum {
        END_LOOK_MS = 100,
};

struct child {
        pid_t pid;
        uint32_t worker;
        uint64_t generation;
        bool dead; /* reaped; what it left behind is being ended */
        int status;
        int64_t cpu_ns, resident_bytes;
};

struct zygote {
        int socket, signals, doorbell;
        struct inherited inherited;
        bool forked;
        struct leftovers leftovers;
        const struct config *config;
        struct child *children;
        size_t children_len, children_room;
};

/* ---- beginning ---- */

static void zygote_begin(struct zygote *zygote, int socket)
{
        zygote->socket = clean_process(socket, &zygote->forked);
        zygote->doorbell = -1;
        setsid();                   /* the terminal's signals are for the host */
        prctl(PR_SET_PDEATHSIG, 0); /* the host's end is seen on the socket; its threads come and go */
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_NAME, "ouro-zygote");
        zygote->signals = -1;
        crash_prepare();
}

/* After the descriptors for workers have come, so that none wants the number of one of these. */
static int watch_children(struct zygote *zygote)
{
        sigset_t ends;

        sigemptyset(&ends);
        sigaddset(&ends, SIGCHLD);
        zygote->signals = sys_result(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
        leftovers_open(&zygote->leftovers);
        return zygote->signals < 0 ? zygote->signals : 0;
}

/* ---- talking ---- */

static void say(struct zygote *zygote, const struct zygote_message *message, int fd)
{
        zygote_send(zygote->socket, message, &fd, 1); /* a host that is gone is noticed at the socket's end */
}

static void refuse(struct zygote *zygote, const struct zygote_message *asked, int error)
{
        const struct zygote_message message = {
                .verb = ZYGOTE_REFUSED,
                .worker = asked->worker,
                .generation = asked->generation,
                .error = error,
        };

        say(zygote, &message, -1);
}

/* ---- children ---- */

static struct child *find_child(const struct zygote *zygote, pid_t pid)
{
        for (size_t i = 0; i < zygote->children_len; i++)
                if (zygote->children[i].pid == pid && !zygote->children[i].dead)
                        return &zygote->children[i];
        return NULL;
}

static bool is_worker(const void *arg, pid_t pid)
{
        return find_child(arg, pid) != NULL;
}

static bool none_kept(const void *arg, pid_t pid)
{
        (void)arg;
        (void)pid;
        return false;
}

static int64_t timeval_ns(struct timeval time)
{
        return ((int64_t)time.tv_sec * 1000000 + time.tv_usec) * 1000;
}

static void reap(struct zygote *zygote, pid_t pid)
{
        struct child *child = find_child(zygote, pid);
        struct rusage usage;
        int status;

        if (child)
                kill(-pid, SIGKILL); /* its process group; the number is taken until it is reaped */
        if (wait4(pid, &status, __WALL, &usage) != pid || !child)
                return;
        child->dead = true;
        child->status = status;
        child->cpu_ns = timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
        child->resident_bytes = (int64_t)usage.ru_maxrss * 1024;
}

static void reap_all(struct zygote *zygote)
{
        struct signalfd_siginfo unused;
        siginfo_t info;

        while (read(zygote->signals, &unused, sizeof unused) > 0)
                ;
        for (;;) {
                info.si_pid = 0;
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 || info.si_pid == 0)
                        return;
                reap(zygote, info.si_pid);
        }
}

static void tell_of_dead(struct zygote *zygote)
{
        size_t kept = 0;

        for (size_t i = 0; i < zygote->children_len; i++) {
                const struct child child = zygote->children[i];
                const struct zygote_message message = {
                        .verb = ZYGOTE_DIED,
                        .worker = child.worker,
                        .generation = child.generation,
                        .pid = child.pid,
                        .status = child.status,
                        .cpu_ns = child.cpu_ns,
                        .resident_bytes = child.resident_bytes,
                };

                if (child.dead)
                        say(zygote, &message, -1);
                else
                        zygote->children[kept++] = child;
        }
        zygote->children_len = kept;
}

static bool any_dead(const struct zygote *zygote)
{
        for (size_t i = 0; i < zygote->children_len; i++)
                if (zygote->children[i].dead)
                        return true;
        return false;
}

static void handle_ends(struct zygote *zygote)
{
        reap_all(zygote);
        if (any_dead(zygote) && leftovers_kill(&zygote->leftovers, is_worker, zygote) == 0)
                tell_of_dead(zygote); /* else: again when those have ended */
}

/* The host is gone, or wants no workers any more. */
static _Noreturn void end(struct zygote *zygote)
{
        struct pollfd ends = {.fd = zygote->signals, .events = POLLIN};

        for (size_t i = 0; i < zygote->children_len; i++)
                if (!zygote->children[i].dead)
                        kill(zygote->children[i].pid, SIGKILL);
        for (;;) {
                reap_all(zygote);
                if (leftovers_kill(&zygote->leftovers, none_kept, NULL) == 0)
                        _exit(0);
                poll(&ends, 1, END_LOOK_MS);
        }
}

/* ---- spawning ---- */

static bool room_for_child(struct zygote *zygote)
{
        size_t room = zygote->children_room * 2 + 8;
        struct child *children;

        if (zygote->children_len < zygote->children_room)
                return true;
        children = realloc(zygote->children, room * sizeof *children);
        if (!children)
                return false;
        zygote->children = children;
        zygote->children_room = room;
        return true;
}

static _Noreturn void be_worker(struct zygote *zygote, const struct worker_start *start)
{
        close(zygote->socket);
        close(zygote->signals);
        leftovers_close(&zygote->leftovers);
        worker_main(zygote->config, start);
}

static void adopt(struct zygote *zygote, const struct zygote_message *asked, pid_t pid)
{
        const struct zygote_message message = {
                .verb = ZYGOTE_SPAWNED,
                .worker = asked->worker,
                .generation = asked->generation,
                .pid = pid,
        };
        int pidfd = sys_result((int)syscall(SYS_pidfd_open, pid, 0));

        if (pidfd < 0) { /* nobody can end it safely */
                kill(pid, SIGKILL);
                wait4(pid, NULL, __WALL, NULL);
                refuse(zygote, asked, pidfd);
                return;
        }
        zygote->children[zygote->children_len++] = (struct child){
                .pid = pid,
                .worker = asked->worker,
                .generation = asked->generation,
        };
        say(zygote, &message, pidfd);
        close(pidfd);
}

static void spawn(struct zygote *zygote, const struct zygote_message *asked, const int *fds)
{
        const struct worker_start start = {
                .worker = asked->worker,
                .zygote = getpid(),
                .forked = zygote->forked,
                .lane = fds[0],
                .arena = fds[1],
                .output = fds[2],
                .doorbell = zygote->doorbell,
        };
        pid_t pid;

        if (!zygote->config || fds[0] < 0) {
                refuse(zygote, asked, -EPROTO);
                return;
        }
        pid = room_for_child(zygote) ? sys_result(fork()) : -ENOMEM;
        if (pid == 0)
                be_worker(zygote, &start);
        if (pid < 0)
                refuse(zygote, asked, pid);
        else
                adopt(zygote, asked, pid);
}

/* ---- configuring ---- */

/* fds: configuration, doorbell, arena. */
static int configure(struct zygote *zygote, int *fds)
{
        const struct config *config;
        int *const own[] = {&zygote->socket, &fds[0], &fds[1], &fds[2], NULL};
        int error;

        if (zygote->signals >= 0 || fds[0] < 0 || fds[1] < 0)
                return -EPROTO;
        error = inherit_place(&zygote->inherited, own);
        if (error == 0)
                error = watch_children(zygote);
        if (error < 0)
                return error;
        config = config_map(fds[0]);
        if (!config)
                return -EPROTO;
        if (fds[2] >= 0 && !config->arena_per_worker)
                error = worker_map_arena(config->arena_at, config->arena_bytes, fds[2]);
        if (error == 0)
                error = confine_zygote(config);
        if (error == 0)
                zygote->config = config;
        return error;
}

static void accept_config(struct zygote *zygote, const struct zygote_message *asked, int *fds)
{
        const struct zygote_message ready = {.verb = ZYGOTE_READY};
        int error = configure(zygote, fds);

        if (error < 0) {
                refuse(zygote, asked, error);
                return;
        }
        zygote->doorbell = fds[1];
        fds[1] = -1; /* it stays */
        say(zygote, &ready, -1);
}

static void accept_fd(struct zygote *zygote, const struct zygote_message *asked, int *fds)
{
        int error = zygote->signals >= 0 ? -EPROTO : inherit_add(&zygote->inherited, fds[0], asked->pid);

        if (error == 0)
                fds[0] = -1; /* it stays */
        if (error < 0)
                refuse(zygote, asked, error);
}

/* ---- serving ---- */

static void handle_message(struct zygote *zygote)
{
        struct zygote_message message;
        int fds[ZYGOTE_FDS_MOST];

        if (zygote_receive(zygote->socket, &message, fds) <= 0)
                end(zygote);
        if (message.verb == ZYGOTE_FD)
                accept_fd(zygote, &message, fds);
        else if (message.verb == ZYGOTE_CONFIG)
                accept_config(zygote, &message, fds);
        else if (message.verb == ZYGOTE_SPAWN)
                spawn(zygote, &message, fds);
        else
                end(zygote);
        for (size_t i = 0; i < ZYGOTE_FDS_MOST; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

_Noreturn void zygote_serve(int socket)
{
        static struct zygote zygote;

        zygote_begin(&zygote, socket);
        for (;;) {
                struct pollfd ready[] = {
                        {.fd = zygote.socket, .events = POLLIN},
                        {.fd = zygote.signals, .events = POLLIN},
                };

                poll(ready, 2, -1);
                if (ready[1].revents)
                        handle_ends(&zygote);
                if (ready[0].revents)
                        handle_message(&zygote);
        }
}
