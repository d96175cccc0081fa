/* stream_read.c - the reader of a stream.
 *
 * What is taken out in place stays where it lies until the next call: the buffer is moved, grown or given
 * back only when more is read. */
#include <string.h>

#include "io/stream.h"

/* ---- inside and out ---- */

static int refuse(const ouro_stream *stream)
{
        if (unlikely(!stream))
                return -EINVAL;
        if (unlikely(sched_current != stream->sched))
                return -EPERM;
        if (unlikely(stream->closing))
                return -EBADF;
        return unlikely(stream->reading) ? -EBUSY : 0;
}

ssize_t stream_leave_reader(ouro_stream *stream, ssize_t result)
{
        stream->reading = false;
        if (unlikely(stream->closed))
                stream_free_if_left(stream);
        return result;
}

int stream_claim_reader(ouro_stream *stream)
{
        int error = refuse(stream);

        if (likely(error == 0))
                stream->reading = true;
        return error;
}

int stream_look_as_reader(const ouro_stream *stream)
{
        return unlikely(stream->closed) ? -EBADF : stream->sched->current->interrupt;
}

int stream_enter_reader(ouro_stream *stream)
{
        int error = stream_claim_reader(stream);

        if (unlikely(error < 0))
                return error;
        coro_spend(stream->sched, 0);
        error = stream_look_as_reader(stream);
        return unlikely(error < 0) ? (int)stream_leave_reader(stream, error) : 0;
}

/* ---- getting more ---- */

ssize_t stream_note_read(ouro_stream *stream, ssize_t n)
{
        if (n > 0)
                stream->received_bytes += (uint64_t)n;
        else if (n < 0 && !stream_is_passing(n) && !stream->closed)
                stream->read_error = (int)n;
        return n;
}

/* A buffer that a read has filled was too small, one that it left nearly empty was too large. */
static void learn_size(ouro_stream *stream, size_t got, size_t room)
{
        if (got == room && stream->in_want < stream->options.read_bytes)
                stream->in_want *= 2;
        else if (got < stream->in_want / 8 && stream->in_want > STREAM_FIRST_BYTES)
                stream->in_want /= 2;
}

static int prepare(ouro_stream *stream)
{
        if (unlikely(stream->read_error))
                return stream->read_error;
        return buffered(&stream->out) > 0 && !stream->options.manual_flush ? stream_flush_before_wait(stream)
                                                                           : 0;
}

/* With nothing buffered, waits without a buffer where the transport can. */
static int wait_without(ouro_stream *stream)
{
        int error;

        if (!stream->transport.wait || buffered(&stream->in) > 0)
                return 0;
        buffer_release(&stream->in);
        error = stream->transport.wait(stream->self);
        return stream->closed ? -EBADF : error;
}

static int make_room(ouro_stream *stream)
{
        struct stream_buffer *in = &stream->in;
        size_t bound = stream->options.read_bytes;

        if (buffered(in) == 0 && in->cap < stream->in_want && in->cap < bound)
                buffer_release(in);
        if (buffered(in) == 0)
                in->begin = in->end = 0;
        return buffer_reserve(in, 1, stream->in_want < bound ? stream->in_want : bound, bound);
}

static ssize_t fill_by_transport(ouro_stream *stream)
{
        struct stream_buffer *in = &stream->in;
        int error = wait_without(stream);
        ssize_t n;

        if (error == 0)
                error = make_room(stream);
        if (unlikely(error < 0))
                return stream_note_read(stream, error);
        n = stream_note_read(stream,
                             stream->transport.read(stream->self, in->mem + in->end, in->cap - in->end));
        check(n <= (ssize_t)(in->cap - in->end));
        if (unlikely(stream->closed))
                return -EBADF;
        if (n > 0) {
                learn_size(stream, (size_t)n, in->cap - in->end);
                in->end += (size_t)n;
        }
        return n;
}

ssize_t stream_fill(ouro_stream *stream)
{
        int error = prepare(stream);
        ssize_t n;

        if (unlikely(error < 0))
                return error;
        if (!stream_fills_lent(stream))
                return fill_by_transport(stream);
        n = stream_note_read(stream, stream_fill_lent(stream));
        if (unlikely(stream->closed))
                return -EBADF;
        if (n >= STREAM_FIRST_BYTES)
                stream->in_want *= 2;
        return n;
}

/* Straight into the caller's memory; nothing is buffered. */
static ssize_t read_past(ouro_stream *stream, void *buf, size_t len)
{
        int error = prepare(stream);

        if (unlikely(error < 0))
                return error;
        buffer_release(&stream->in);
        return stream_note_read(stream, stream->transport.read(stream->self, buf, len));
}

static size_t take(ouro_stream *stream, void *buf, size_t len)
{
        struct stream_buffer *in = &stream->in;
        size_t n = buffered(in) < len ? buffered(in) : len;

        if (n > 0)
                memcpy(buf, in->mem + in->begin, n);
        in->begin += n;
        return n;
}

/* Bytes, 0: the end, or an error. */
static ssize_t read_some(ouro_stream *stream, void *buf, size_t len)
{
        if (buffered(&stream->in) == 0) {
                bool past = len >= STREAM_DIRECT_READ && stream->lent.len == 0;
                ssize_t n = past ? read_past(stream, buf, len) : stream_fill(stream);

                if (n <= 0 || past)
                        return n;
        }
        return (ssize_t)take(stream, buf, len);
}

/* ---- calls ---- */

ssize_t ouro_stream_read(ouro_stream *stream, void *buf, size_t len)
{
        int error;

        if (unlikely(!buf && len > 0))
                return sched_current ? -EINVAL : -EPERM;
        error = stream_enter_reader(stream);
        if (unlikely(error < 0))
                return error;
        return stream_leave_reader(stream, len > 0 ? read_some(stream, buf, len) : 0);
}

int ouro_stream_read_exactly(ouro_stream *stream, void *buf, size_t len, size_t *inout_done)
{
        size_t own_done = 0, *done = inout_done ? inout_done : &own_done;
        ssize_t n = 0;

        if (unlikely((!buf && len > 0) || *done > len))
                return sched_current ? -EINVAL : -EPERM;
        n = stream_enter_reader(stream);
        if (unlikely(n < 0))
                return (int)n;
        while (*done < len) {
                n = read_some(stream, (char *)buf + *done, len - *done);
                if (n <= 0)
                        return (int)stream_leave_reader(stream, n < 0 ? n : -ENODATA);
                *done += (size_t)n;
                if (unlikely(stream->closed && *done < len))
                        return (int)stream_leave_reader(stream, -EBADF);
        }
        return (int)stream_leave_reader(stream, 0);
}

/* Where the delimiter ends in what is buffered, counted from its begin; 0: not within limit bytes. Bytes
 * before *inout_from have been searched. */
static size_t find(const struct stream_buffer *in, const void *delimiter, size_t delimiter_len, size_t limit,
                   size_t *inout_from)
{
        size_t len = buffered(in) < limit ? buffered(in) : limit;
        const char *base = in->mem + in->begin, *at;

        if (len < delimiter_len)
                return 0;
        if (delimiter_len == 1)
                at = memchr(base + *inout_from, *(const char *)delimiter, len - *inout_from);
        else
                at = memmem(base + *inout_from, len - *inout_from, delimiter, delimiter_len);
        if (at)
                return (size_t)(at - base) + delimiter_len;
        *inout_from = len - delimiter_len + 1;
        return 0;
}

/* Bytes up to and with the delimiter, which are then taken out; or an error. The caller is inside. */
static ssize_t read_delimited(ouro_stream *stream, const void *delimiter, size_t delimiter_len, size_t limit,
                              char **ret_data)
{
        struct stream_buffer *in = &stream->in;
        size_t from = 0, len;
        ssize_t n;

        if (limit == 0 || limit > stream->options.read_bytes)
                limit = stream->options.read_bytes;
        if (delimiter_len > limit)
                return -EINVAL;
        while ((len = find(in, delimiter, delimiter_len, limit, &from)) == 0) {
                if (buffered(in) >= limit)
                        return -EMSGSIZE;
                n = stream_fill(stream);
                if (n <= 0)
                        return n < 0 ? n : -ENODATA;
        }
        *ret_data = in->mem + in->begin;
        in->begin += len;
        return (ssize_t)len;
}

ssize_t ouro_stream_read_until(ouro_stream *stream, const void *delimiter, size_t delimiter_len, size_t limit,
                               const char **ret_data)
{
        char *data;
        ssize_t n;

        if (unlikely(!delimiter || delimiter_len == 0 || !ret_data))
                return sched_current ? -EINVAL : -EPERM;
        n = stream_enter_reader(stream);
        if (unlikely(n < 0))
                return n;
        n = read_delimited(stream, delimiter, delimiter_len, limit, &data);
        if (n > 0)
                *ret_data = data;
        return stream_leave_reader(stream, n);
}

ssize_t ouro_stream_read_line(ouro_stream *stream, size_t limit, const char **ret_line)
{
        char *line;
        ssize_t n;

        if (unlikely(!ret_line))
                return sched_current ? -EINVAL : -EPERM;
        n = stream_enter_reader(stream);
        if (unlikely(n < 0))
                return n;
        n = read_delimited(stream, "\n", 1, limit, &line);
        if (n < 0)
                return stream_leave_reader(stream, n);
        n--;
        if (n > 0 && line[n - 1] == '\r')
                n--;
        line[n] = '\0';
        *ret_line = line;
        return stream_leave_reader(stream, n);
}

static ssize_t peek(ouro_stream *stream, size_t at_least)
{
        if (at_least > stream->options.read_bytes)
                return -EMSGSIZE;
        while (buffered(&stream->in) < at_least) {
                ssize_t n = stream_fill(stream);

                if (n < 0)
                        return n;
                if (n == 0)
                        return buffered(&stream->in) > 0 ? -ENODATA : 0;
        }
        return (ssize_t)buffered(&stream->in);
}

ssize_t ouro_stream_peek(ouro_stream *stream, size_t at_least, const void **ret_data)
{
        ssize_t n;

        if (unlikely(!ret_data))
                return sched_current ? -EINVAL : -EPERM;
        if (at_least == 0) {
                n = refuse(stream);
                if (n == 0)
                        *ret_data = stream->in.mem + stream->in.begin;
                return n < 0 ? n : (ssize_t)buffered(&stream->in);
        }
        n = stream_enter_reader(stream);
        if (unlikely(n < 0))
                return n;
        n = peek(stream, at_least);
        if (n > 0)
                *ret_data = stream->in.mem + stream->in.begin;
        return stream_leave_reader(stream, n);
}

int ouro_stream_consume(ouro_stream *stream, size_t n)
{
        int error = refuse(stream);

        if (unlikely(error < 0))
                return error;
        if (n > buffered(&stream->in))
                return -EINVAL;
        stream->in.begin += n;
        return 0;
}
