/* Of lib/io/stream*.c: what a stream holds while it waits, and what it does when there is no memory. */
#include "support/streams.h"

static size_t live_bytes;
static bool none_left;

static void *counted_allocate(size_t bytes, void *arg)
{
        (void)arg;
        if (none_left)
                return NULL;
        live_bytes += bytes;
        return malloc(bytes);
}

static void counted_release(void *ptr, size_t bytes, void *arg)
{
        (void)arg;
        live_bytes -= bytes;
        free(ptr);
}

static void count_bytes(void)
{
        const struct ouro_allocator counted = {counted_allocate, counted_release, NULL};

        leaks_begin();
        EQ(ouro_set_allocator(&counted), 0);
}

TestSuite(stream_idle, .init = count_bytes, .fini = leaks_end);

static intptr_t answer_lines(void *arg)
{
        const char *line;
        ssize_t n;

        while ((n = ouro_stream_read_line(arg, 0, &line)) >= 0)
                EQ(ouro_stream_printf(arg, "%zd: %s\n", n, line), 0);
        return n;
}

static void converse(int peer)
{
        char text[16];

        put(peer, "hello\n");
        EQ(ouro_recv_all(peer, text, 9, NULL), 0);
        cr_assert(memcmp(text, "5: hello\n", 9) == 0);
        EQ(ouro_sleep(OURO_MS(1)), 0);
}

IN_LOOP(stream_idle, a_connection_that_waits_for_the_next_request_holds_no_buffer)
{
        int peer;
        ouro_stream *stream = over_socket(&peer);
        ouro_task task = waits_in(answer_lines, stream);
        size_t before;

        converse(peer); /* what the loop keeps for all is there from now on */
        before = live_bytes;
        close(peer);
        EQ(ouro_await(task), -ENODATA);
        EQ(ouro_stream_close(stream), 0);
        cr_assert(before - live_bytes < 512, "a stream was %zu bytes", before - live_bytes);
        return 0;
}

IN_LOOP(stream_idle, two_hundred_that_have_been_served_hold_little)
{
        enum { STREAMS = 200 };
        static ouro_stream *streams[STREAMS];
        static int peers[STREAMS];
        size_t before = 0;

        OURO_GROUP(group) {
                for (int i = 0; i < STREAMS; i++) {
                        streams[i] = over_socket(&peers[i]);
                        waits_in(answer_lines, streams[i]);
                        converse(peers[i]);
                        if (i == 0)
                                before = live_bytes;
                }
                cr_assert((live_bytes - before) / (STREAMS - 1) < 512, "%zu bytes each",
                          (live_bytes - before) / (STREAMS - 1));
                ouro_group_cancel(group);
        }
        for (int i = 0; i < STREAMS; i++) {
                EQ(ouro_stream_close(streams[i]), 0);
                close(peers[i]);
        }
        return 0;
}

IN_LOOP(stream_idle, without_memory_nothing_is_lost)
{
        static char text[8192];
        const char *line;
        int peer, fds[2];
        ouro_stream *stream = over_socket(&peer), *none, *pair[2];

        unix_pair(fds);
        put(peer, "first\n");
        EQ(ouro_stream_read_line(stream, 0, &line), 5); /* the loop has its buffers from now on */
        put(peer, "second\n");
        none_left = true;
        EQ(ouro_stream_open(fds[0], NULL, &none), -ENOMEM);
        EQ(ouro_stream_pair(0, NULL, pair), -ENOMEM);
        EQ(ouro_stream_open_buffer("", 0, NULL, &none), -ENOMEM);
        EQ(ouro_stream_read_line(stream, 0, &line), -ENOMEM);
        EQ(ouro_stream_read_line(stream, 0, &line), -ENOMEM);
        EQ(ouro_stream_write(stream, "x", 1), -ENOMEM);
        EQ(ouro_stream_printf(stream, "x"), -ENOMEM);
        none_left = false;
        SAME(ouro_stream_read(stream, text, sizeof text), text, "second\n"); /* also past the buffer */
        EQ(ouro_stream_printf(stream, "answer"), 0);
        EQ(counts_of(stream).written_bytes, 6);
        none_left = true;
        put(peer, "third\n");
        EQ(ouro_stream_read_line(stream, 0, &line), -ENOMEM);
        EQ(ouro_stream_close(stream), 0); /* gives back what it was lent */
        none_left = false;
        cr_assert_str_eq(got(peer), "answer");
        close(peer);
        close_both(fds);
        return 0;
}
