/* streams.h - what tests of streams begin with. */
#ifndef OURO_TESTS_SUPPORT_STREAMS_H
#define OURO_TESTS_SUPPORT_STREAMS_H

#include <errno.h>
#include <fcntl.h>

#include "support/in_loop.h"
#include "support/leaks.h"

/* A stream over one end of a socket pair; the other end is plain. */
static inline ouro_stream *over_socket_with(int *ret_peer, const struct ouro_stream_options *options)
{
        ouro_stream *stream;
        int fds[2];

        unix_pair(fds);
        EQ(ouro_stream_open(fds[0], options, &stream), 0);
        *ret_peer = fds[1];
        return stream;
}

static inline ouro_stream *over_socket(int *ret_peer)
{
        return over_socket_with(ret_peer, NULL);
}

/* One whose reader and writer have buffers of so many bytes at most. */
static inline ouro_stream *over_socket_bounded(int *ret_peer, size_t bytes)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;

        options.read_bytes = options.write_bytes = bytes;
        return over_socket_with(ret_peer, &options);
}

static inline void put(int peer, const char *text)
{
        EQ(write(peer, text, strlen(text)), strlen(text));
}

/* What has come to the peer, without waiting for more. */
static inline const char *got(int peer)
{
        static char text[1024];
        ssize_t n = recv(peer, text, sizeof text - 1, MSG_DONTWAIT);

        text[n > 0 ? n : 0] = '\0';
        return n == 0 ? "(end)" : text;
}

/* What call, which sets data, gives. */
#define SAME(call, data, wanted)                                                                             \
        do {                                                                                                 \
                EQ(call, strlen(wanted));                                                                    \
                cr_assert(memcmp((data), (wanted), strlen(wanted)) == 0);                                    \
        } while (0)

/* A task that has begun its wait. */
static inline ouro_task waits_in(ouro_fn *fn, void *arg)
{
        ouro_task task = ouro_create_task_named(fn, arg, "waits");

        while (ouro_task_state(task) != OURO_STATE_WAITING)
                EQ(ouro_yield(), 0);
        return task;
}

static inline struct ouro_stream_counts counts_of(const ouro_stream *stream)
{
        struct ouro_stream_counts counts = OURO_STREAM_COUNTS_INIT;

        EQ(ouro_stream_info(stream, &counts), 0);
        return counts;
}

#endif
