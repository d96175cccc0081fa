/* stream_write.c - the writer of a stream.
 *
 * Bytes are either in the buffer, behind all that was written before, or go out straight from the caller's
 * memory after the buffer has; so their order holds. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "io/stream.h"

/* ---- inside and out ---- */

/* A writer that has waited for a reader's flush is inside from here on: nothing may come between. */
int stream_leave_writer(ouro_stream *stream, int result)
{
        stream->flushing = false;
        stream->writing = stream->queued != NULL;
        stream_unpark(stream->sched, &stream->queued, 0);
        if (unlikely(stream->closed))
                stream_free_if_left(stream);
        return result;
}

static int refuse(const ouro_stream *stream)
{
        if (unlikely(!stream))
                return -EINVAL;
        if (unlikely(sched_current != stream->sched))
                return -EPERM;
        return unlikely(stream->closing) ? -EBADF : 0;
}

int stream_look_as_writer(const ouro_stream *stream)
{
        int interrupt = stream->sched->current->interrupt;

        if (unlikely(stream->closed))
                return -EBADF;
        if (unlikely(interrupt))
                return interrupt;
        return unlikely(stream->shut) ? -EPIPE : stream->write_error;
}

int stream_claim_writer(ouro_stream *stream)
{
        int error = refuse(stream);

        if (error == 0 && stream->writing)
                error = -EBUSY;
        if (error == 0)
                stream->writing = true;
        return error;
}

/* That a reader flushes first is its own affair: the writer waits until it has. */
int stream_enter_writer(ouro_stream *stream)
{
        int error = refuse(stream);

        if (unlikely(error < 0))
                return error;
        if (unlikely(stream->writing)) {
                if (!stream->flushing || stream->queued)
                        return -EBUSY;
                error = stream_park(&stream->queued);
                if (error < 0)
                        return error;
        }
        stream->writing = true;
        coro_spend(stream->sched, 0);
        error = stream_look_as_writer(stream);
        return unlikely(error < 0) ? stream_leave_writer(stream, error) : 0;
}

/* ---- sending ---- */

/* Where a list of pieces has been got to. */
struct pieces {
        const struct iovec *iov;
        int n;
        size_t done; /* of the first */
};

static void skip_empty(struct pieces *pieces)
{
        while (pieces->n > 0 && pieces->done == pieces->iov->iov_len) {
                pieces->iov++;
                pieces->n--;
                pieces->done = 0;
        }
}

/* The buffer, then as many of the pieces as there is room for. How many. */
static int gather(const ouro_stream *stream, const struct pieces *pieces, struct iovec iov[STREAM_IOV])
{
        const struct stream_buffer *out = &stream->out;
        int n = 0;

        if (buffered(out) > 0)
                iov[n++] = (struct iovec){out->mem + out->begin, buffered(out)};
        for (int i = 0; i < pieces->n && n < STREAM_IOV; i++) {
                size_t done = i == 0 ? pieces->done : 0;

                if (pieces->iov[i].iov_len > done)
                        iov[n++] = (struct iovec){(char *)pieces->iov[i].iov_base + done,
                                                  pieces->iov[i].iov_len - done};
        }
        return n;
}

static void count_sent(ouro_stream *stream, struct pieces *pieces, size_t n)
{
        struct stream_buffer *out = &stream->out;
        size_t from_buffer = n < buffered(out) ? n : buffered(out);

        stream->sent_bytes += n;
        out->begin += from_buffer;
        n -= from_buffer;
        while (n > 0) {
                size_t left, part;

                check(pieces->n > 0); /* a transport that sends more than it was given */
                left = pieces->iov->iov_len - pieces->done;
                part = n < left ? n : left;
                pieces->done += part;
                n -= part;
                skip_empty(pieces);
        }
}

int stream_note_write(ouro_stream *stream, ssize_t error)
{
        if (!stream_is_passing(error) && !stream->closed)
                stream->write_error = (int)error;
        return (int)error;
}

static int send_all(ouro_stream *stream, struct pieces *pieces)
{
        struct iovec iov[STREAM_IOV];
        ssize_t sent;

        skip_empty(pieces);
        while (buffered(&stream->out) > 0 || pieces->n > 0) {
                int n = gather(stream, pieces, iov);

                sent = stream->transport.writev(stream->self, iov, n);
                if (sent > 0)
                        count_sent(stream, pieces, (size_t)sent);
                if (unlikely(stream->closed))
                        return -EBADF;
                if (unlikely(sent <= 0))
                        return stream_note_write(stream, sent < 0 ? sent : -EIO);
        }
        buffer_release(&stream->out);
        return 0;
}

int stream_send(ouro_stream *stream, const struct iovec *iov, int n)
{
        return send_all(stream, &(struct pieces){iov, n, 0});
}

int stream_send_rest(ouro_stream *stream)
{
        int error = stream_send(stream, NULL, 0);

        if (error < 0 || !stream->transport.flush || stream->shut)
                return error;
        error = stream->transport.flush(stream->self);
        if (unlikely(stream->closed))
                return -EBADF;
        return unlikely(error < 0) ? stream_note_write(stream, error) : error;
}

int stream_flush_before_wait(ouro_stream *stream)
{
        int error;

        if (stream->writing || stream->write_error || stream->shut)
                return 0;
        stream->writing = stream->flushing = true;
        error = stream_send_rest(stream);
        stream->flushing = false;
        stream->writing = stream->queued != NULL; /* as in leave(), but that the reader stays */
        stream_unpark(stream->sched, &stream->queued, 0);
        if (stream->closed)
                return -EBADF;
        return stream_is_passing(error) ? error : 0;
}

/* ---- calls ---- */

/* Fits behind what is kept back, and is worth a copy. */
static bool fits(const ouro_stream *stream, size_t bytes)
{
        return bytes < STREAM_DIRECT_WRITE && bytes <= stream->options.write_bytes - buffered(&stream->out);
}

static int reserve(ouro_stream *stream, size_t bytes)
{
        size_t bound = stream->options.write_bytes;

        return buffer_reserve(&stream->out, bytes, STREAM_FIRST_BYTES < bound ? STREAM_FIRST_BYTES : bound,
                              bound);
}

static void keep(ouro_stream *stream, const void *buf, size_t len)
{
        memcpy(stream->out.mem + stream->out.end, buf, len);
        stream->out.end += len;
}

int ouro_stream_write(ouro_stream *stream, const void *buf, size_t len)
{
        const struct iovec iov = {(void *)(uintptr_t)buf, len};

        return ouro_stream_writev(stream, &iov, 1);
}

/* Bytes of all pieces, or -EINVAL. */
static ssize_t sum(const struct iovec *iov, int n)
{
        size_t bytes = 0;

        if (n < 0 || (!iov && n > 0))
                return -EINVAL;
        for (int i = 0; i < n; i++)
                if ((!iov[i].iov_base && iov[i].iov_len > 0) ||
                    __builtin_add_overflow(bytes, iov[i].iov_len, &bytes) || bytes > SSIZE_MAX)
                        return -EINVAL;
        return (ssize_t)bytes;
}

int ouro_stream_writev(ouro_stream *stream, const struct iovec *iov, int n)
{
        ssize_t bytes = sum(iov, n);
        int error;

        if (unlikely(bytes < 0))
                return sched_current ? (int)bytes : -EPERM;
        error = stream_enter_writer(stream);
        if (unlikely(error < 0))
                return error;
        if (!fits(stream, (size_t)bytes))
                return stream_leave_writer(stream, stream_send(stream, iov, n));
        error = bytes > 0 ? reserve(stream, (size_t)bytes) : 0;
        if (unlikely(error < 0))
                return stream_leave_writer(stream, error);
        for (int i = 0; i < n; i++)
                if (iov[i].iov_len > 0)
                        keep(stream, iov[i].iov_base, iov[i].iov_len);
        return stream_leave_writer(stream, 0);
}

/* vsnprintf() without its errno. */
static int format_into(char *buf, size_t room, const char *format, va_list args)
{
        int saved_errno = errno, n = vsnprintf(buf, room, format, args);

        if (n < 0)
                n = errno == EOVERFLOW ? -EOVERFLOW : -EILSEQ;
        errno = saved_errno;
        return n;
}

/* Longer than the room that was there: len bytes, known now. */
static int print_long(ouro_stream *stream, size_t len, const char *format, va_list args)
{
        char *text;
        int error;

        if (fits(stream, len + 1)) {
                error = reserve(stream, len + 1);
                if (error == 0)
                        format_into(stream->out.mem + stream->out.end, len + 1, format, args);
                if (error == 0)
                        stream->out.end += len;
                return error;
        }
        text = mem_alloc(len + 1);
        if (!text)
                return -ENOMEM;
        format_into(text, len + 1, format, args);
        error = stream_send(stream, &(struct iovec){text, len}, 1);
        mem_free(text, len + 1);
        return error;
}

static int print(ouro_stream *stream, const char *format, va_list args)
{
        struct stream_buffer *out = &stream->out;
        int len, error = out->mem ? 0 : reserve(stream, 1);
        va_list again;
        size_t room;

        if (unlikely(error < 0))
                return error;
        va_copy(again, args);
        room = out->cap - out->end;
        len = format_into(out->mem + out->end, room, format, args);
        if (len < 0)
                error = len;
        else if ((size_t)len < room)
                out->end += (size_t)len;
        else
                error = print_long(stream, (size_t)len, format, again);
        va_end(again);
        return error;
}

int ouro_stream_vprintf(ouro_stream *stream, const char *format, va_list args)
{
        int error;

        if (unlikely(!format))
                return sched_current ? -EINVAL : -EPERM;
        error = stream_enter_writer(stream);
        if (unlikely(error < 0))
                return error;
        return stream_leave_writer(stream, print(stream, format, args));
}

int ouro_stream_printf(ouro_stream *stream, const char *format, ...)
{
        va_list args;
        int error;

        va_start(args, format);
        error = ouro_stream_vprintf(stream, format, args);
        va_end(args);
        return error;
}

int ouro_stream_flush(ouro_stream *stream)
{
        int error = stream_enter_writer(stream);

        if (unlikely(error < 0))
                return error;
        return stream_leave_writer(stream, stream_send_rest(stream));
}

int stream_end_sending(ouro_stream *stream)
{
        int error;

        if (stream->shut)
                return 0;
        if (!stream->transport.shutdown)
                return -EOPNOTSUPP;
        error = stream->transport.shutdown(stream->self);
        if (error >= 0 && !stream->closed)
                stream->shut = true;
        return error;
}

int ouro_stream_shutdown(ouro_stream *stream)
{
        int error = refuse(stream);

        if (unlikely(error < 0))
                return error;
        if (stream->shut)
                return 0;
        error = stream_enter_writer(stream);
        if (unlikely(error < 0))
                return error;
        error = stream_send_rest(stream);
        return stream_leave_writer(stream, error < 0 ? error : stream_end_sending(stream));
}
