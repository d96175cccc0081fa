/* pass.c - what passes between processes: pairs, credentials, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "ouro.h"
#include "ring/ring.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum { OTHER_CONTROL_BYTES = 256 }; /* room for what else the socket may have been told to pass on */

/* ---- pairs ---- */

/* What the ring knew of these numbers was of other files. */
static void forget(const int *fds, size_t n)
{
        for (size_t i = 0; i < n; i++)
                ring_forget_fd(sched_current->ring, fds[i]);
}

int ouro_socketpair(int domain, int type, int protocol, int *ret_fds)
{
        int fds[2], error;

        if (!sched_current)
                return -EPERM;
        if (!ret_fds)
                return -EINVAL;
        if (sched_current->ring->backend->nonblocking_sockets)
                type |= SOCK_NONBLOCK;
        error = sys_result(socketpair(domain, type | SOCK_CLOEXEC, protocol, fds));
        if (error < 0)
                return error;
        forget(fds, 2);
        memcpy(ret_fds, fds, sizeof fds);
        return 0;
}

int ouro_pipe(int *ret_fds)
{
        int fds[2], error;

        if (!sched_current)
                return -EPERM;
        if (!ret_fds)
                return -EINVAL;
        error = sys_result(pipe2(fds, O_CLOEXEC));
        if (error < 0)
                return error;
        forget(fds, 2);
        memcpy(ret_fds, fds, sizeof fds);
        return 0;
}

/* ---- credentials ---- */

/* Elsewhere SO_PEERCRED answers with nobody. */
static int refuse_foreign(int fd)
{
        int domain;
        int error = ouro_socket_get(fd, "so_domain", &domain);

        return error == 0 && domain != AF_UNIX ? -EOPNOTSUPP : error;
}

int ouro_peer_credentials(int fd, struct ouro_credentials *ret_credentials)
{
        struct ucred ucred;
        socklen_t len = sizeof ucred;
        int error = ret_credentials ? refuse_foreign(fd) : -EINVAL;

        if (error == 0)
                error = sys_result(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &len));
        if (error < 0)
                return error;
        if (ucred.uid == (uid_t)-1)
                return -ENOTCONN;
        *ret_credentials = (struct ouro_credentials){ucred.pid, ucred.uid, ucred.gid};
        return 0;
}

int ouro_peer_pidfd(int fd)
{
        int pidfd, error = refuse_foreign(fd);
        socklen_t len = sizeof pidfd;

        if (!sched_current)
                return -EPERM;
        if (error == 0)
                error = sys_result(getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len));
        if (error < 0)
                return error;
        forget(&pidfd, 1);
        return pidfd;
}

/* ---- descriptors ---- */

ssize_t ouro_send_fds(int fd, const void *buf, size_t len, const int *fds, size_t n)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(OURO_FDS_MOST * sizeof(int))];
        } control;
        struct iovec iov = {(void *)(uintptr_t)buf, len};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        if (!buf || len == 0 || (!fds && n > 0) || n > OURO_FDS_MOST)
                return -EINVAL;
        if (n > 0 && sched_current) {
                int error = refuse_foreign(fd); /* TCP would pass over them */

                if (error < 0)
                        return error;
                memset(&control, 0, CMSG_SPACE(n * sizeof(int)));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        }
        return ouro_sendmsg(fd, &msg, 0);
}

static size_t collect(struct msghdr *msg, int fds[OURO_FDS_MOST])
{
        size_t n = 0;

        for (struct cmsghdr *header = CMSG_FIRSTHDR(msg); header; header = CMSG_NXTHDR(msg, header)) {
                size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
                    n + count > OURO_FDS_MOST)
                        continue;
                memcpy(fds + n, CMSG_DATA(header), count * sizeof(int));
                n += count;
        }
        return n;
}

static void close_all(const int *fds, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)sys_result(close(fds[i]));
}

/* There is room for as many as a message can bring, so that what is cut off is for want of descriptors. */
ssize_t ouro_recv_fds(int fd, void *buf, size_t len, int *ret_fds, size_t room, size_t *ret_n)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(OURO_FDS_MOST * sizeof(int)) + OTHER_CONTROL_BYTES];
        } control;
        struct iovec iov = {buf, len};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
        int fds[OURO_FDS_MOST];
        ssize_t result;
        size_t n;

        if (!buf || len == 0 || (!ret_fds && room > 0) || !ret_n)
                return -EINVAL;
        msg.msg_controllen = sizeof control;
        result = ouro_recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        if (result < 0)
                return result;
        n = collect(&msg, fds);
        if ((msg.msg_flags & MSG_CTRUNC) || n > room) {
                close_all(fds, n);
                return msg.msg_flags & MSG_CTRUNC ? -EMFILE : -EMSGSIZE;
        }
        forget(fds, n);
        if (n > 0)
                memcpy(ret_fds, fds, n * sizeof(int));
        *ret_n = n;
        return result;
}
