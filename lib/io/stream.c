/* stream.c - making, asking and closing streams; their buffers. */
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/stream.h"

enum { LEAST_BYTES = 16, DEFAULT_BYTES = 65536 };

/* ---- buffers ---- */

void buffer_release(struct stream_buffer *buffer)
{
        mem_free(buffer->mem, buffer->cap);
        *buffer = (struct stream_buffer){0};
}

static int buffer_grow(struct stream_buffer *buffer, size_t cap)
{
        char *mem = mem_alloc(cap);

        if (!mem)
                return -ENOMEM;
        if (buffered(buffer) > 0)
                memcpy(mem, buffer->mem + buffer->begin, buffered(buffer));
        mem_free(buffer->mem, buffer->cap);
        *buffer = (struct stream_buffer){.mem = mem, .cap = cap, .end = buffered(buffer)};
        return 0;
}

int buffer_reserve(struct stream_buffer *buffer, size_t bytes, size_t first, size_t bound)
{
        size_t need = buffered(buffer) + bytes, cap = buffer->cap ? buffer->cap : first;

        check(need <= bound);
        if (likely(buffer->cap - buffer->end >= bytes && buffer->mem))
                return 0;
        if (buffer->cap >= need) {
                memmove(buffer->mem, buffer->mem + buffer->begin, buffered(buffer));
                buffer->end = buffered(buffer);
                buffer->begin = 0;
                return 0;
        }
        while (cap < need)
                cap *= 2;
        return buffer_grow(buffer, cap < bound ? cap : bound);
}

/* ---- a place for one who waits ---- */

static void cut_parked(struct sched *sched, struct coro *coro, int interrupt)
{
        struct coro **place = coro->waiter.what;

        *place = NULL;
        coro_wake(sched, coro, interrupt);
}

static const struct wait_kind waits_for_stream = {.name = "stream", .cut = cut_parked};

int stream_park(struct coro **place)
{
        struct sched *sched = sched_current;

        if (sched->current->interrupt)
                return sched->current->interrupt;
        check(!*place);
        *place = sched->current;
        sched->current->waiter.what = place;
        return coro_wait_int(sched, &waits_for_stream);
}

void stream_unpark(struct sched *sched, struct coro **place, int result)
{
        struct coro *coro = *place;

        *place = NULL;
        if (coro)
                coro_wake(sched, coro, result);
}

/* ---- making ---- */

static int read_options(struct ouro_stream_options *ret, const struct ouro_stream_options *given)
{
        const struct ouro_stream_options defaults = OURO_STREAM_OPTIONS_INIT;
        int error = options_read(ret, sizeof *ret, given ? given : &defaults);

        if (error < 0)
                return error;
        if (ret->read_bytes == 0)
                ret->read_bytes = DEFAULT_BYTES;
        if (ret->write_bytes == 0)
                ret->write_bytes = DEFAULT_BYTES;
        if (ret->linger_ns == 0)
                ret->linger_ns = OURO_SEC(1);
        if (ret->read_bytes < LEAST_BYTES || ret->read_bytes > SSIZE_MAX || ret->write_bytes < LEAST_BYTES ||
            ret->write_bytes > SSIZE_MAX)
                return -EINVAL;
        return 0;
}

int stream_make(const struct ouro_transport *transport, void *self, const struct ouro_stream_options *options,
                ouro_stream **ret_stream)
{
        struct ouro_stream_options read;
        ouro_stream *stream;
        int error;

        if (!sched_current)
                return -EPERM;
        error = read_options(&read, options);
        if (error < 0)
                return error;
        stream = mem_calloc(sizeof *stream);
        if (!stream)
                return -ENOMEM;
        stream->transport = *transport;
        stream->self = self;
        stream->sched = sched_current;
        stream->options = read;
        stream->in_want = STREAM_FIRST_BYTES;
        stream->fds[0] = stream->fds[1] = -1;
        *ret_stream = stream;
        return 0;
}

int ouro_stream_open_on(const struct ouro_transport *transport, void *self,
                        const struct ouro_stream_options *options, ouro_stream **ret_stream)
{
        struct ouro_transport copy;
        ouro_stream *stream;
        int error;

        if (!sched_current)
                return -EPERM;
        if (!transport || !ret_stream)
                return -EINVAL;
        error = options_read(&copy, sizeof copy, transport);
        if (error < 0)
                return error;
        if (!copy.read || !copy.writev || !copy.close)
                return -EINVAL;
        error = stream_make(&copy, self, options, &stream);
        if (error < 0)
                return error;
        if (stream->options.borrowed) {
                mem_free(stream, sizeof *stream);
                return -EINVAL;
        }
        *ret_stream = stream;
        return 0;
}

/* ---- asking ---- */

int ouro_stream_fd(const ouro_stream *stream)
{
        if (!stream)
                return -EINVAL;
        if (sched_current != stream->sched)
                return -EPERM;
        return stream->transport.fd ? stream->transport.fd(stream->self) : -EBADF;
}

void *ouro_stream_self(const ouro_stream *stream, const struct ouro_transport *transport)
{
        if (!stream || !transport || stream->transport.read != transport->read)
                return NULL;
        return stream->self;
}

int ouro_stream_info(const ouro_stream *stream, struct ouro_stream_counts *ret_counts)
{
        struct ouro_stream_counts info = OURO_STREAM_COUNTS_INIT;
        size_t size;

        if (!stream || !ret_counts || ret_counts->size < sizeof size || ret_counts->size > OPTIONS_MOST)
                return -EINVAL;
        if (sched_current != stream->sched)
                return -EPERM;
        size = ret_counts->size;
        info.received_bytes = stream->received_bytes;
        info.read_bytes = stream->received_bytes - buffered(&stream->in);
        info.written_bytes = stream->sent_bytes + buffered(&stream->out);
        info.sent_bytes = stream->sent_bytes;
        info.read_error = stream->read_error;
        info.write_error = stream->shut ? -EPIPE : stream->write_error;
        info.size = size;
        memset(ret_counts, 0, size);
        memcpy(ret_counts, &info, size < sizeof info ? size : sizeof info);
        return 0;
}

/* ---- closing ---- */

void stream_free_if_left(ouro_stream *stream)
{
        if (!stream->closed || stream->reading || stream->writing || stream->leaving)
                return;
        if (stream->transport.free)
                stream->transport.free(stream->self);
        if (stream->lent.len > 0)
                (void)ouro_buf_release(&stream->lent);
        buffer_release(&stream->in);
        buffer_release(&stream->out);
        mem_free(stream, sizeof *stream);
}

/* Also where the task is cancelled: a short answer must not be lost because its writer is told to end. */
static int send_last(ouro_stream *stream)
{
        struct ouro_scope shield, scope;
        int error;

        stream->writing = true;
        ouro_shield_open(&shield);
        ouro_scope_open(&scope, stream->options.linger_ns, NULL);
        error = stream_send_rest(stream);
        ouro_scope_close(&scope);
        ouro_scope_close(&shield);
        stream->writing = false;
        return error;
}

/* Frees it, unless somebody is inside. whole: all that was written has been sent. */
static int close_now(ouro_stream *stream, bool whole)
{
        const struct ouro_transport *transport = &stream->transport;
        int error;

        stream->closed = stream->leaving = true;
        stream_unpark(stream->sched, &stream->queued, -EBADF);
        error = whole || !transport->abort ? transport->close(stream->self) : transport->abort(stream->self);
        stream->leaving = false;
        stream_free_if_left(stream);
        return error;
}

static int refuse_close(const ouro_stream *stream)
{
        if (sched_current != stream->sched)
                return -EPERM;
        return stream->closing ? -EBADF : 0;
}

int ouro_stream_close(ouro_stream *stream)
{
        int error, result;

        if (!stream)
                return 0;
        error = refuse_close(stream);
        if (error < 0)
                return error;
        stream->closing = true;
        error = stream->write_error;
        if (error == 0 && (buffered(&stream->out) > 0 || stream->transport.flush))
                error = stream->writing ? -EBUSY : send_last(stream);
        result = close_now(stream, error == 0);
        return error < 0 ? error : result;
}

/* Closing with this set sends a reset, and what the kernel still holds is dropped. */
static void set_reset(int fd)
{
        const struct linger now = {.l_onoff = 1};
        int protocol = 0;
        socklen_t len = sizeof protocol;

        if (sys_result(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len)) == 0 &&
            protocol == IPPROTO_TCP)
                (void)sys_result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

int ouro_stream_abort(ouro_stream *stream, bool reset)
{
        int error, fd;

        if (!stream)
                return 0;
        error = refuse_close(stream);
        if (error < 0)
                return error;
        fd = reset ? ouro_stream_fd(stream) : -EBADF;
        if (fd >= 0)
                set_reset(fd);
        stream->closing = true;
        return close_now(stream, false);
}
