/* census.c - who is alive: descriptors of the worker processes and the zygote, to signal them without doubt.
 *
 * A parent stays one for as long as it lives, and its number is its own until it has been reaped; so a
 * descriptor opened by that number is the parent's if the parent is the same afterwards. The host looks once
 * more at what it got: it never signals itself, its own parent, or process 1. */
#include "census.h"

#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CENSUS_MAGIC 0x6f75726f

struct sign_of_life {
        uint32_t magic;
        uint32_t worker;
        int32_t pid;
        int32_t parent;
};

enum {
        OF_WORKER,
        OF_PARENT,
        SENT_FDS,
};

union rights {
        struct cmsghdr align;
        char space[CMSG_SPACE(SENT_FDS * sizeof(int))];
};

static const struct census_entry nobody = {.pidfd = -1};

int census_open(struct census *census, unsigned workers)
{
        struct census opened = {.worker_count = workers, .zygote = nobody};
        int ends[2];

        opened.workers = calloc(workers, sizeof(*opened.workers));
        if (!opened.workers)
                return -ENOMEM;
        for (unsigned i = 0; i < workers; i++)
                opened.workers[i] = nobody;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
                int r = -errno;

                free(opened.workers);
                return r;
        }
        opened.host_fd = ends[0];
        opened.worker_fd = ends[1];
        *census = opened;
        return 0;
}

static void forget(struct census_entry *entry)
{
        if (entry->pidfd >= 0)
                close(entry->pidfd);
        *entry = nobody;
}

void census_close(struct census *census)
{
        for (unsigned i = 0; i < census->worker_count; i++)
                forget(&census->workers[i]);
        forget(&census->zygote);
        free(census->workers);
        if (census->worker_fd >= 0)
                close(census->worker_fd);
        close(census->host_fd);
}

/* ---- in a worker ---- */

int census_open_parent(pid_t host)
{
        pid_t parent = getppid();
        int fd;

        if (parent == host || parent <= 1)
                return -ESRCH;
        fd = (int)syscall(SYS_pidfd_open, parent, 0);
        if (fd < 0)
                return -errno;
        if (getppid() != parent) {
                close(fd);
                return -ESRCH;
        }
        return fd;
}

void census_report(int worker_fd, unsigned worker)
{
        struct sign_of_life sign = {
                .magic = CENSUS_MAGIC, .worker = worker, .pid = getpid(), .parent = getppid()};
        struct iovec bytes = {.iov_base = &sign, .iov_len = sizeof(sign)};
        union rights rights = {.space = {0}};
        struct msghdr message = {
                .msg_iov = &bytes,
                .msg_iovlen = 1,
                .msg_control = &rights,
                .msg_controllen = sizeof(rights),
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        int fds[SENT_FDS] = {
                [OF_WORKER] = (int)syscall(SYS_pidfd_open, sign.pid, 0),
                [OF_PARENT] = census_open_parent(1),
        };

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(header), fds, sizeof(fds));
        /* The host may be slow to read: nobody waits for that. */
        if (fds[OF_WORKER] >= 0 && fds[OF_PARENT] >= 0)
                sendmsg(worker_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        for (unsigned i = 0; i < SENT_FDS; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

/* ---- in the host ---- */

/* The process that a descriptor is of, as its own kernel says; -1 once that has been reaped. */
static pid_t pid_of(int pidfd)
{
        char path[64], line[128];
        pid_t pid = -1;
        FILE *info;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        info = fopen(path, "re");
        if (!info)
                return -1;
        while (fgets(line, sizeof(line), info))
                if (sscanf(line, "Pid: %d", &pid) == 1)
                        break;
        fclose(info);
        return pid;
}

static bool may_be_harmed(int pidfd, pid_t told)
{
        pid_t pid = pid_of(pidfd);

        return pid == told && pid > 1 && pid != getpid() && pid != getppid();
}

static int64_t enter(struct census_entry *entry, int pidfd, pid_t pid)
{
        int64_t replaced_ns = entry->killed_ns > 0 ? tool_now_ns() - entry->killed_ns : -1;

        if (entry->pidfd >= 0)
                close(entry->pidfd);
        *entry = (struct census_entry){.pidfd = pidfd, .pid = pid};
        return replaced_ns;
}

static int receive(struct census *census, struct sign_of_life *sign, int fds[SENT_FDS])
{
        struct iovec bytes = {.iov_base = sign, .iov_len = sizeof(*sign)};
        union rights rights;
        struct msghdr message = {
                .msg_iov = &bytes,
                .msg_iovlen = 1,
                .msg_control = &rights,
                .msg_controllen = sizeof(rights),
        };
        ssize_t n = recvmsg(census->host_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr *header;

        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return -EPIPE;
        header = CMSG_FIRSTHDR(&message);
        if (!header || header->cmsg_len != CMSG_LEN(SENT_FDS * sizeof(int)))
                return -EMFILE; /* this process has no room for them */
        memcpy(fds, CMSG_DATA(header), SENT_FDS * sizeof(int));
        return n == sizeof(*sign) && sign->magic == CENSUS_MAGIC ? 1 : -EBADMSG;
}

int census_take(struct census *census, int64_t *ret_replaced_ns)
{
        int fds[SENT_FDS] = {-1, -1};
        struct sign_of_life sign;
        int r = receive(census, &sign, fds);

        *ret_replaced_ns = -1;
        if (r == 1 && sign.worker < census->worker_count && may_be_harmed(fds[OF_WORKER], sign.pid)) {
                *ret_replaced_ns = enter(&census->workers[sign.worker], fds[OF_WORKER], sign.pid);
                fds[OF_WORKER] = -1;
        }
        if (r == 1 && may_be_harmed(fds[OF_PARENT], sign.parent)) {
                enter(&census->zygote, fds[OF_PARENT], sign.parent);
                fds[OF_PARENT] = -1;
        }
        for (unsigned i = 0; i < SENT_FDS; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        return r;
}

int census_signal(struct census *census, struct census_entry *entry, int signal, bool final)
{
        if (entry->pidfd < 0)
                return -ESRCH;
        if (syscall(SYS_pidfd_send_signal, entry->pidfd, signal, NULL, 0) < 0)
                return -ESRCH;
        census->recent[census->signals++ % CENSUS_RECENT] =
                (struct census_signal){.pid = entry->pid, .signal = signal};
        if (final && entry->killed_ns == 0)
                entry->killed_ns = tool_now_ns();
        return 0;
}

bool census_was_signalled(const struct census *census, pid_t pid, int signal)
{
        for (unsigned i = 0; i < CENSUS_RECENT; i++)
                if (census->recent[i].pid == pid && census->recent[i].signal == signal)
                        return true;
        return false;
}

int census_wait_for_end(struct census *census, int64_t limit_ns)
{
        struct pollfd end = {.fd = census->host_fd};
        int64_t end_ns = tool_now_ns() + limit_ns;
        int64_t ignored;

        if (census->worker_fd >= 0)
                close(census->worker_fd);
        census->worker_fd = -1;
        while (census_take(census, &ignored) != -EPIPE) {
                int left_ms = (int)((end_ns - tool_now_ns()) / 1000000);

                if (left_ms <= 0)
                        return -ETIME;
                end.events = POLLIN;
                poll(&end, 1, left_ms < 20 ? left_ms : 20);
        }
        return 0;
}
