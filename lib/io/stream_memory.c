/* stream_memory.c - streams whose bytes never leave the process: pairs, and readers of a buffer.
 *
 * A pair is two rings of bytes, freed by the second end to go. */
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "io/stream.h"

enum { DEFAULT_BYTES = 65536 };

/* From one end to the other. */
struct flow {
        char *bytes; /* a ring of pair->cap */
        size_t begin;
        size_t len;
        bool ended;          /* nothing more is written */
        bool broken;         /* nothing more is read */
        struct coro *reader; /* who waits */
        struct coro *writer;
};

struct pair_end {
        struct pair *pair;
        struct flow *in;
        struct flow *out;
        bool closed;
};

struct pair {
        size_t cap;
        int ends; /* that are not freed */
        struct flow flows[2];
        struct pair_end end[2];
};

static size_t take(const struct pair *pair, struct flow *flow, char *buf, size_t len)
{
        size_t n = flow->len < len ? flow->len : len, first = pair->cap - flow->begin;

        first = first < n ? first : n;
        memcpy(buf, flow->bytes + flow->begin, first);
        memcpy(buf + first, flow->bytes, n - first);
        flow->begin = (flow->begin + n) % pair->cap;
        flow->len -= n;
        return n;
}

static size_t put(const struct pair *pair, struct flow *flow, const char *buf, size_t len)
{
        size_t room = pair->cap - flow->len, n = room < len ? room : len;
        size_t at = (flow->begin + flow->len) % pair->cap, first = pair->cap - at;

        first = first < n ? first : n;
        memcpy(flow->bytes + at, buf, first);
        memcpy(flow->bytes, buf + first, n - first);
        flow->len += n;
        return n;
}

/* 0, or an error: the wait was cut short, or this end is closed. */
static int pair_wait(void *self)
{
        struct pair_end *end = self;
        int error = 0;

        while (error == 0 && !end->closed && end->in->len == 0 && !end->in->ended)
                error = stream_park(&end->in->reader);
        return end->closed ? -EBADF : error;
}

static ssize_t pair_read(void *self, void *buf, size_t len)
{
        struct pair_end *end = self;
        int error = pair_wait(self);
        size_t n;

        if (error < 0)
                return error;
        n = take(end->pair, end->in, buf, len);
        stream_unpark(sched_current, &end->in->writer, 0);
        return (ssize_t)n;
}

static ssize_t pair_writev(void *self, const struct iovec *iov, int n)
{
        struct pair_end *end = self;
        size_t done = 0;
        int error = 0;

        while (error == 0 && !end->closed && end->out->len == end->pair->cap && !end->out->broken)
                error = stream_park(&end->out->writer);
        if (end->closed)
                return -EBADF;
        if (error < 0 || end->out->broken)
                return error < 0 ? error : -EPIPE;
        for (int i = 0; i < n; i++)
                done += put(end->pair, end->out, iov[i].iov_base, iov[i].iov_len);
        stream_unpark(sched_current, &end->out->reader, 0);
        return (ssize_t)done;
}

static int pair_shutdown(void *self)
{
        struct pair_end *end = self;

        end->out->ended = true;
        stream_unpark(sched_current, &end->out->reader, 0);
        return 0;
}

static int pair_close(void *self)
{
        struct pair_end *end = self;

        end->closed = end->in->broken = end->out->ended = true;
        for (int i = 0; i < 2; i++) {
                stream_unpark(sched_current, &end->pair->flows[i].reader, 0);
                stream_unpark(sched_current, &end->pair->flows[i].writer, 0);
        }
        return 0;
}

static void free_pair(struct pair *pair)
{
        mem_free(pair->flows[0].bytes, pair->cap);
        mem_free(pair->flows[1].bytes, pair->cap);
        mem_free(pair, sizeof *pair);
}

static void pair_free(void *self)
{
        struct pair *pair = ((struct pair_end *)self)->pair;

        if (--pair->ends == 0)
                free_pair(pair);
}

static const struct ouro_transport over_pair = {
        .size = sizeof over_pair,
        .read = pair_read,
        .writev = pair_writev,
        .shutdown = pair_shutdown,
        .close = pair_close,
        .wait = pair_wait,
        .free = pair_free,
};

static struct pair *make_pair(size_t cap)
{
        struct pair *pair = mem_calloc(sizeof *pair);

        if (!pair)
                return NULL;
        pair->cap = cap;
        pair->ends = 2;
        for (int i = 0; i < 2; i++) {
                pair->end[i] = (struct pair_end){pair, &pair->flows[i], &pair->flows[1 - i], false};
                pair->flows[i].bytes = mem_alloc(cap);
        }
        if (pair->flows[0].bytes && pair->flows[1].bytes)
                return pair;
        free_pair(pair);
        return NULL;
}

int ouro_stream_pair(size_t bytes, const struct ouro_stream_options *options, ouro_stream *ret_streams[2])
{
        ouro_stream *streams[2];
        struct pair *pair;
        int error;

        if (!sched_current)
                return -EPERM;
        if (!ret_streams || bytes > SSIZE_MAX)
                return -EINVAL;
        pair = make_pair(bytes > 0 ? bytes : DEFAULT_BYTES);
        if (!pair)
                return -ENOMEM;
        error = ouro_stream_open_on(&over_pair, &pair->end[0], options, &streams[0]);
        if (error < 0) {
                free_pair(pair);
                return error;
        }
        error = ouro_stream_open_on(&over_pair, &pair->end[1], options, &streams[1]);
        if (error < 0) {
                pair->ends = 1;
                (void)ouro_stream_abort(streams[0], false);
                return error;
        }
        ret_streams[0] = streams[0];
        ret_streams[1] = streams[1];
        return 0;
}

/* ---- a buffer ---- */

struct reader {
        const char *data;
        size_t len;
};

static ssize_t buffer_read(void *self, void *buf, size_t len)
{
        struct reader *reader = self;
        size_t n = reader->len < len ? reader->len : len;

        if (n > 0)
                memcpy(buf, reader->data, n);
        reader->data += n;
        reader->len -= n;
        return (ssize_t)n;
}

static ssize_t buffer_writev(void *self, const struct iovec *iov, int n)
{
        (void)self, (void)iov, (void)n;
        return -EBADF;
}

static int buffer_close(void *self)
{
        mem_free(self, sizeof(struct reader));
        return 0;
}

static const struct ouro_transport over_buffer = {
        .size = sizeof over_buffer,
        .read = buffer_read,
        .writev = buffer_writev,
        .close = buffer_close,
};

int ouro_stream_open_buffer(const void *data, size_t len, const struct ouro_stream_options *options,
                            ouro_stream **ret_stream)
{
        struct reader *reader;
        int error;

        if (!sched_current)
                return -EPERM;
        if ((!data && len > 0) || !ret_stream)
                return -EINVAL;
        reader = mem_alloc(sizeof *reader);
        if (!reader)
                return -ENOMEM;
        *reader = (struct reader){data, len};
        error = ouro_stream_open_on(&over_buffer, reader, options, ret_stream);
        if (error < 0)
                mem_free(reader, sizeof *reader);
        return error;
}
