/* file_data.c - data moved from and to several buffers, and between files. */
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/file.h"
#include "ouro.h"
#include "ring/ring.h"

enum { COPY_MOST_BYTES = 16 << 20 }; /* while a helper copies, a cancellation waits */

static ssize_t move_vector(unsigned opcode, int fd, const struct iovec *iov, int n, __u64 offset, int flags)
{
        struct op op;

        if (fd < 0)
                return -EBADF;
        if (n < 0 || n > IOV_MAX || (!iov && n > 0))
                return -EINVAL;
        io_uring_prep_rw((int)opcode, op_begin(&op), fd, iov, (unsigned)n, offset);
        op.sqe.rw_flags = flags;
        return op_wait(&op);
}

ssize_t ouro_readv(int fd, const struct iovec *iov, int n)
{
        off_t before = file_position_before(fd);

        return file_mend_position(fd, before, move_vector(IORING_OP_READV, fd, iov, n, (__u64)-1, 0));
}

ssize_t ouro_writev(int fd, const struct iovec *iov, int n)
{
        off_t before = file_position_before(fd);

        return file_mend_position(fd, before, move_vector(IORING_OP_WRITEV, fd, iov, n, (__u64)-1, 0));
}

ssize_t ouro_preadv(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
        int error = file_refuse_offset(fd, offset);

        return error < 0 ? error : move_vector(IORING_OP_READV, fd, iov, n, (__u64)offset, flags);
}

ssize_t ouro_pwritev(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
        int error = file_refuse_offset(fd, offset);

        return error < 0 ? error : move_vector(IORING_OP_WRITEV, fd, iov, n, (__u64)offset, flags);
}

/* ---- by a helper ---- */

struct copy_call {
        int in, out;
        off64_t *in_offset, *out_offset;
        size_t len;
};

/* There is nothing to end: the call ends by itself, and who closes its second descriptor waits for that. */
static void let_end(struct ring *ring, struct fd_hold *hold)
{
        (void)ring, (void)hold;
}

/* Counted for both descriptors, so that neither number is used anew while a helper is at work on it. */
static intptr_t call_on_both(const char *name, intptr_t (*fn)(void *arg), struct copy_call *call)
{
        struct sched *sched = sched_current;
        struct fd_hold hold = {.closing = let_end};
        intptr_t result;

        if (!sched)
                return -EPERM;
        if (call->in < 0 || call->out < 0)
                return -EBADF;
        result = ring_hold_fd(sched->ring, &hold, call->in);
        if (result < 0)
                return result;
        result = op_call_on(call->out, name, fn, call);
        ring_release_fd(sched->ring, &hold);
        return result;
}

static intptr_t do_copy(void *arg)
{
        const struct copy_call *call = arg;

        return sys_retry(
                copy_file_range(call->in, call->in_offset, call->out, call->out_offset, call->len, 0));
}

ssize_t ouro_copy_file_range(int fd_in, off_t *inout_in, int fd_out, off_t *inout_out, size_t len)
{
        struct copy_call call = {fd_in, fd_out, inout_in, inout_out,
                                 len < COPY_MOST_BYTES ? len : COPY_MOST_BYTES};

        return call_on_both("copy_file_range", do_copy, &call);
}

static intptr_t do_clone(void *arg)
{
        const struct copy_call *call = arg;

        return sys_retry(ioctl(call->out, FICLONE, call->in));
}

int ouro_clone(int fd_in, int fd_out)
{
        struct copy_call call = {.in = fd_in, .out = fd_out};

        return (int)call_on_both("clone", do_clone, &call);
}
