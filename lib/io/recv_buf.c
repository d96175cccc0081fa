/* recv_buf.c - receiving into a buffer that is chosen when there is data.
 *
 * Where the kernel can choose, one entry does it. Else, and when the kernel finds none, readiness is waited
 * for without a buffer, then a buffer, and what is there is taken at once. */
#include "io/recv_buf.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "coro/sanitize.h"
#include "ring/ring.h"

static int refuse(int fd, const struct ouro_buf *ret_buf, int flags)
{
        if (!sched_current)
                return -EPERM;
        if (fd < 0)
                return -EBADF;
        return !ret_buf || (flags & ~MSG_TRUNC) ? -EINVAL : 0;
}

ssize_t recv_buf_give(const struct buffers *buffers, unsigned id, size_t len, struct ouro_buf *ret_buf)
{
        ret_buf->data = buffer_at(buffers, id);
        ret_buf->len = len < buffers->bytes ? len : buffers->bytes; /* MSG_TRUNC tells what there was */
        ret_buf->owner_ = buffers->serial;
        ret_buf->id_ = (uint64_t)buffers->notes[id].generation << 32 | id;
        return (ssize_t)len;
}

/* -ENOBUFS: the kernel had none. Whoever comes while others wait, or holds his share, waits like them. */
static ssize_t recv_selected(struct buffers *buffers, int fd, int flags, unsigned *ret_id)
{
        struct op op;
        ssize_t n;

        if (unlikely(!buffers_may_take(buffers, fd)))
                return -ENOBUFS;
        io_uring_prep_recv(op_begin(&op), fd, NULL, buffers->bytes, flags);
        op.sqe.flags = IOSQE_BUFFER_SELECT;
        op.sqe.buf_group = BUFFER_GROUP;
        n = op_wait(&op);
        if (n > 0)
                *ret_id = op.flags >> IORING_CQE_BUFFER_SHIFT;
        return n;
}

static ssize_t recv_now(struct buffers *buffers, int fd, int flags, unsigned id)
{
        ssize_t n;

        do
                n = sys_result(recv(fd, buffer_at(buffers, id), buffers->bytes, flags | MSG_DONTWAIT));
        while (n == -EINTR);
        if (n <= 0)
                buffers_put(buffers, id);
        else
                ring_note_moved(sched_current->ring, fd);
        return n;
}

ssize_t recv_when_ready(struct buffers *buffers, int fd, int flags, unsigned *ret_id)
{
        for (;;) {
                struct op op;
                ssize_t n;
                int id;

                io_uring_prep_poll_add(op_begin(&op), fd, POLLIN);
                n = op_wait(&op);
                if (n < 0)
                        return n;
                id = buffers_wait(buffers, fd);
                if (id < 0)
                        return id == -EAGAIN ? -ENOBUFS : id;
                n = recv_now(buffers, fd, flags, (unsigned)id);
                if (n > 0)
                        *ret_id = (unsigned)id;
                if (n != -EAGAIN) /* else somebody else has had it */
                        return n;
        }
}

ssize_t ouro_recv_buf(int fd, struct ouro_buf *ret_buf, int flags)
{
        int error = refuse(fd, ret_buf, flags);
        struct buffers *buffers;
        unsigned id = 0;
        bool selects;
        ssize_t n;

        if (unlikely(error < 0))
                return error;
        buffers = buffers_of(sched_current->ring);
        if (unlikely(!buffers))
                return -ENOMEM;
        selects = buffers->kernel || !buffers->ring->backend->register_buffers;
        for (;;) {
                n = selects ? recv_selected(buffers, fd, flags, &id) : -ENOBUFS;
                if (n == -ENOBUFS)
                        n = recv_when_ready(buffers, fd, flags, &id);
                if (likely(n != -ENOBUFS))
                        break;
        }
        return n > 0 ? recv_buf_give(buffers, id, (size_t)n, ret_buf) : n;
}

int ouro_buf_release(struct ouro_buf *buf)
{
        struct sched *sched = sched_current;
        struct buffers *buffers;
        uint32_t id;

        if (!sched)
                return -EPERM;
        if (!buf || !buf->owner_)
                return -EINVAL;
        buffers = sched->ring->buffers;
        if (!buffers || buf->owner_ != buffers->serial)
                return -EPERM;
        id = (uint32_t)buf->id_;
        if (id >= buffers->count || !buffers->notes[id].held ||
            buffers->notes[id].generation != buf->id_ >> 32)
                return -EINVAL;
        buffers_put(buffers, id);
        buf->data = NULL;
        buf->len = 0;
        return 0;
}
