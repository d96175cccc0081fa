/* stream_fd.c - streams over descriptors: sockets by recv and send, all else by read and write.
 *
 * The stream is its own transport's self; it is freed by the stream, so that there is no free here. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/stream.h"
#include "ring/buffers.h"
#include "ring/ring.h"

static ssize_t socket_read(void *self, void *buf, size_t len)
{
        const ouro_stream *stream = self;

        return ouro_recv(stream->fds[0], buf, len, 0);
}

static ssize_t socket_writev(void *self, const struct iovec *iov, int n)
{
        const ouro_stream *stream = self;
        const struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};

        if (n == 1)
                return ouro_send(stream->fds[1], iov->iov_base, iov->iov_len, 0);
        return ouro_sendmsg(stream->fds[1], &msg, 0);
}

static int socket_shutdown(void *self)
{
        const ouro_stream *stream = self;

        return ouro_shutdown(stream->fds[1], SHUT_WR);
}

static ssize_t file_read(void *self, void *buf, size_t len)
{
        const ouro_stream *stream = self;

        return ouro_read(stream->fds[0], buf, len);
}

static ssize_t file_writev(void *self, const struct iovec *iov, int n)
{
        const ouro_stream *stream = self;

        (void)n; /* the rest comes with the next call */
        return ouro_write(stream->fds[1], iov->iov_base, iov->iov_len);
}

static int only_fd(void *self)
{
        const ouro_stream *stream = self;

        return stream->fds[0] >= 0 ? stream->fds[0] : stream->fds[1];
}

/* A borrowed one stays open, and who waits on it must know all the same. */
static int let_go(const ouro_stream *stream, int fd, bool waited_on)
{
        if (fd < 0)
                return 0;
        if (!stream->options.borrowed)
                return ouro_close(fd);
        if (waited_on)
                ring_cancel_fd(stream->sched->ring, fd);
        return 0;
}

static int close_fds(void *self)
{
        ouro_stream *stream = self;
        int fds[2] = {stream->fds[0], stream->fds[1]}, results[2] = {0, 0};

        stream->fds[0] = stream->fds[1] = -1;
        results[0] = let_go(stream, fds[0], stream->reading || stream->writing);
        if (fds[1] != fds[0])
                results[1] = let_go(stream, fds[1], stream->writing);
        return results[0] < 0 ? results[0] : results[1];
}

/* Of two descriptors: the end of one is the end of the sending side. */
static int shutdown_second(void *self)
{
        ouro_stream *stream = self;
        int fd = stream->fds[1];

        stream->fds[1] = -1;
        return let_go(stream, fd, false);
}

static const struct ouro_transport over_socket = {
        .size = sizeof over_socket,
        .read = socket_read,
        .writev = socket_writev,
        .shutdown = socket_shutdown,
        .close = close_fds,
        .fd = only_fd,
};

static const struct ouro_transport over_file = {
        .size = sizeof over_file,
        .read = file_read,
        .writev = file_writev,
        .close = close_fds,
        .fd = only_fd,
};

static const struct ouro_transport over_two = {
        .size = sizeof over_two,
        .read = file_read,
        .writev = file_writev,
        .shutdown = shutdown_second,
        .close = close_fds,
        .fd = only_fd,
};

int stream_raw_fd(const ouro_stream *stream, int side)
{
        return stream->self == stream ? stream->fds[side] : -1;
}

bool stream_fills_lent(const ouro_stream *stream)
{
        const struct buffers *buffers;

        if (stream->transport.read != socket_read || buffered(&stream->in) > 0)
                return false;
        if (stream->in_want > STREAM_FIRST_BYTES && stream->lent.len == 0)
                return false; /* it comes in bulk */
        buffers = buffers_of(stream->sched->ring);
        return buffers && buffers->bytes <= stream->options.read_bytes;
}

ssize_t stream_fill_lent(ouro_stream *stream)
{
        struct ouro_buf *lent = &stream->lent;
        struct stream_buffer *in = &stream->in;
        size_t n = lent->len;

        if (n == 0) {
                ssize_t received;

                buffer_release(in);
                received = ouro_recv_buf(stream->fds[0], lent, 0);
                if (received <= 0 || stream->closed)
                        return received;
                n = (size_t)received;
        }
        if (buffer_reserve(in, n, n, n) < 0)
                return -ENOMEM;
        memcpy(in->mem, lent->data, n);
        in->end = n;
        (void)ouro_buf_release(lent);
        return (ssize_t)n;
}

/* Is it a stream socket? 1 or 0, -EBADF, or -EPROTOTYPE: a socket of another kind. */
static int look_at(int fd)
{
        socklen_t len = sizeof(int);
        int type, result;

        if (fd < 0)
                return -EBADF;
        result = sys_result(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len));
        if (result == -ENOTSOCK)
                return 0;
        if (result < 0)
                return result;
        return type == SOCK_STREAM ? 1 : -EPROTOTYPE;
}

int ouro_stream_open(int fd, const struct ouro_stream_options *options, ouro_stream **ret_stream)
{
        int error, is_socket;

        if (!sched_current)
                return -EPERM;
        if (!ret_stream)
                return -EINVAL;
        is_socket = look_at(fd);
        if (is_socket < 0)
                return is_socket;
        error = stream_make(is_socket ? &over_socket : &over_file, NULL, options, ret_stream);
        if (error < 0)
                return error;
        (*ret_stream)->self = *ret_stream;
        (*ret_stream)->fds[0] = (*ret_stream)->fds[1] = fd;
        return 0;
}

int ouro_stream_open_two(int read_fd, int write_fd, const struct ouro_stream_options *options,
                         ouro_stream **ret_stream)
{
        int error;

        if (!sched_current)
                return -EPERM;
        if (!ret_stream || read_fd == write_fd || (read_fd < 0 && write_fd < 0))
                return -EINVAL;
        error = read_fd < 0 ? 0 : look_at(read_fd);
        if (error >= 0)
                error = write_fd < 0 ? 0 : look_at(write_fd);
        if (error >= 0)
                error = stream_make(&over_two, NULL, options, ret_stream);
        if (error < 0)
                return error;
        (*ret_stream)->self = *ret_stream;
        (*ret_stream)->fds[0] = read_fd;
        (*ret_stream)->fds[1] = write_fd;
        return 0;
}
