/* send_zc.c - sending without a copy.
 *
 * The entry completes twice, also when it is cancelled, and the buffer is the kernel's until the second time:
 * op.c wakes nobody before. */
#include <errno.h>
#include <sys/socket.h>

#include "ring/opcodes.h"
#include "ring/ring.h"

enum { MOST_BYTES = 0x7ffff000 }; /* MAX_RW_COUNT: what the kernel moves at a time */

static bool may_try(const struct ring *ring)
{
        return ring->backend->multishot && !(ring->without & OURO_WITHOUT_ZERO_COPY) &&
               opcode_allowed(IORING_OP_SEND_ZC, ring->kernel);
}

/* What says that this socket, this kernel or this limit has no such thing. */
static bool is_refusal(ssize_t result)
{
        return result == -EOPNOTSUPP || result == -EINVAL || result == -ENOMEM || result == -ENOBUFS;
}

ssize_t ouro_send_zc(int fd, const void *buf, size_t len, int flags)
{
        struct op op;
        ssize_t n;

        if (!sched_current)
                return -EPERM;
        if (fd < 0 || (!buf && len > 0) || (flags & MSG_DONTWAIT) || !may_try(sched_current->ring))
                return ouro_send(fd, buf, len, flags);
        io_uring_prep_send_zc(op_begin(&op), fd, buf, len < MOST_BYTES ? len : MOST_BYTES,
                              flags | MSG_NOSIGNAL, 0);
        n = op_wait(&op);
        return is_refusal(n) ? ouro_send(fd, buf, len, flags) : n;
}
