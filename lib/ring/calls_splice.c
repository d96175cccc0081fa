/* calls_splice.c - splice between a file and a pipe, in a helper.
 *
 * The entry says SPLICE_F_NONBLOCK, which is about the pipe; the file's side ends by itself. All other
 * splices never come here: see io/splice.c. */
#include <fcntl.h>

#include "ring/calls_impl.h"

int64_t block_in_splice(const struct io_uring_sqe *sqe)
{
        off64_t in = (off64_t)sqe->splice_off_in, out = (off64_t)sqe->off;

        if (!(sqe->splice_flags & SPLICE_F_NONBLOCK))
                return -EINVAL; /* a helper would be kept for as long as the pipe likes */
        return sys_retry(splice(sqe->splice_fd_in, in == -1 ? NULL : &in, sqe->fd, out == -1 ? NULL : &out,
                                sqe->len < TRANSFER_MAX ? sqe->len : TRANSFER_MAX, sqe->splice_flags));
}
