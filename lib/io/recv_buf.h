/* recv_buf.h - what receiving into the loop's buffers comes down to. */
#ifndef OURO_IO_RECV_BUF_H
#define OURO_IO_RECV_BUF_H

#include "ring/buffers.h"

/* Waits until fd is readable and then for a buffer, in order: for where the kernel cannot choose one, or has
 * none. *ret_id is held if bytes came. Bytes, 0 at the end, or an error; -ENOBUFS: the kernel has some again.
 * A cancellation point. */
ssize_t recv_when_ready(struct buffers *buffers, int fd, int flags, unsigned *ret_id);

/* Fills in what a caller gets of a held buffer. Returns len. */
ssize_t recv_buf_give(const struct buffers *buffers, unsigned id, size_t len, struct ouro_buf *ret_buf);

#endif
