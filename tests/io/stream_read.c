/* Of lib/io/stream_read.c: what each read gives, in place and not, at ends, limits and errors. */
#include <errno.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(stream_read, .init = leaks_begin, .fini = leaks_end);

/* A stream over one end of a socket pair; the other end is plain. */
static ouro_stream *over_socket(int *ret_peer, size_t read_bytes)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;
        ouro_stream *stream;
        int fds[2];

        options.read_bytes = read_bytes;
        unix_pair(fds);
        EQ(ouro_stream_open(fds[0], &options, &stream), 0);
        *ret_peer = fds[1];
        return stream;
}

static void put(int peer, const char *text)
{
        EQ(write(peer, text, strlen(text)), strlen(text));
}

/* What call, which sets data, gives. */
#define SAME(call, data, wanted)                                                                             \
        do {                                                                                                 \
                EQ(call, strlen(wanted));                                                                    \
                cr_assert(memcmp((data), (wanted), strlen(wanted)) == 0);                                    \
        } while (0)

IN_LOOP(stream_read, lines_come_without_their_ends_and_with_a_nul)
{
        const char *line;
        const void *rest;
        int peer;
        ouro_stream *stream = over_socket(&peer, 0);

        put(peer, "one\ntwo\r\n\n\r\nlast");
        close(peer);
        SAME(ouro_stream_read_line(stream, 0, &line), line, "one");
        cr_assert_str_eq(line, "one");
        SAME(ouro_stream_read_line(stream, 0, &line), line, "two");
        cr_assert_str_eq(line, "two");
        EQ(ouro_stream_read_line(stream, 0, &line), 0);
        EQ(ouro_stream_read_line(stream, 0, &line), 0);
        EQ(ouro_stream_read_line(stream, 0, &line), -ENODATA);
        SAME(ouro_stream_peek(stream, 0, &rest), rest, "last");
        EQ(ouro_stream_close(stream), 0);
        return 0;
}
