/* net.c - sockets: one function per operation. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "ouro.h"
#include "ring/op.h"
#include "ring/ring.h"

enum { MOST_BYTES = 0x7ffff000 }; /* MAX_RW_COUNT: what the kernel moves at a time */

static size_t clamp(size_t len)
{
        return len < MOST_BYTES ? len : MOST_BYTES;
}

/* The kernel's own MSG_DONTWAIT would bring -EAGAIN to a caller who waits by suspending. */
static int refuse(int fd, const void *buf, size_t len, int flags)
{
        if (fd < 0)
                return -EBADF;
        return (!buf && len > 0) || (flags & MSG_DONTWAIT) ? -EINVAL : 0;
}

int ouro_socket(int domain, int type, int protocol)
{
        struct sched *sched = sched_current;
        int fd;

        if (!sched)
                return -EPERM;
        if (sched->ring->backend->nonblocking_sockets)
                type |= SOCK_NONBLOCK;
        fd = sys_result(socket(domain, type | SOCK_CLOEXEC, protocol));
        if (fd >= 0)
                ring_forget_fd(sched->ring, fd); /* what was known of the number was of another file */
        return fd;
}

int ouro_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
        if (!sched_current)
                return -EPERM;
        return addr ? sys_result(bind(fd, addr, len)) : -EINVAL;
}

int ouro_listen_on(int fd, int backlog)
{
        if (!sched_current)
                return -EPERM;
        return sys_result(listen(fd, backlog > 0 ? backlog : SOMAXCONN));
}

int ouro_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        if (addr && !len)
                return -EINVAL;
        io_uring_prep_accept(op_begin(&op), fd, addr, addr ? len : NULL, SOCK_CLOEXEC);
        return (int)op_wait(&op);
}

int ouro_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        if (!addr)
                return -EINVAL;
        io_uring_prep_connect(op_begin(&op), fd, addr, len);
        return (int)op_wait(&op);
}

ssize_t ouro_recv(int fd, void *buf, size_t len, int flags)
{
        struct op op;
        int error = refuse(fd, buf, len, flags);

        if (unlikely(error < 0))
                return error;
        io_uring_prep_recv(op_begin(&op), fd, buf, clamp(len), flags);
        return op_wait(&op);
}

ssize_t ouro_send(int fd, const void *buf, size_t len, int flags)
{
        struct op op;
        int error = refuse(fd, buf, len, flags);

        if (unlikely(error < 0))
                return error;
        io_uring_prep_send(op_begin(&op), fd, buf, clamp(len), flags | MSG_NOSIGNAL);
        return op_wait(&op);
}

ssize_t ouro_recvmsg(int fd, struct msghdr *msg, int flags)
{
        struct op op;
        int error = refuse(fd, msg, 1, flags);

        if (error < 0)
                return error;
        io_uring_prep_recvmsg(op_begin(&op), fd, msg, (unsigned)flags);
        return op_wait(&op);
}

ssize_t ouro_sendmsg(int fd, const struct msghdr *msg, int flags)
{
        struct op op;
        int error = refuse(fd, msg, 1, flags);

        if (error < 0)
                return error;
        io_uring_prep_sendmsg(op_begin(&op), fd, msg, (unsigned)(flags | MSG_NOSIGNAL));
        return op_wait(&op);
}

int ouro_shutdown(int fd, int how)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        io_uring_prep_shutdown(op_begin(&op), fd, how);
        return (int)op_wait_uncut(&op);
}
