/* Of lib/io/stream_read.c: what each read gives, in place and not, at ends, limits and errors. */
#include "support/streams.h"

TestSuite(stream_read, .init = leaks_begin, .fini = leaks_end);

static const char *const crlf2 = "\r\n\r\n";

IN_LOOP(stream_read, lines_come_without_their_ends_and_with_a_nul)
{
        const char *line;
        const void *rest;
        int peer;
        ouro_stream *stream = over_socket(&peer);

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

IN_LOOP(stream_read, lines_may_hold_nuls)
{
        const char *line;
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(write(peer, "a\0b\n\0\n", 6), 6);
        EQ(ouro_stream_read_line(stream, 0, &line), 3);
        cr_assert(memcmp(line, "a\0b", 4) == 0);
        EQ(ouro_stream_read_line(stream, 0, &line), 1);
        EQ(line[0], 0);
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

struct until {
        ouro_stream *stream;
        const char *delimiter;
        const char *data;
};

static intptr_t read_until(void *arg)
{
        struct until *until = arg;

        return ouro_stream_read_until(until->stream, until->delimiter, strlen(until->delimiter), 0,
                                      &until->data);
}

IN_LOOP(stream_read, a_delimiter_may_come_in_parts)
{
        int peer;
        struct until until = {over_socket(&peer), crlf2, NULL};
        ouro_task task = waits_in(read_until, &until);

        for (const char *at = "ab\r\n\r\r\n\r\ncd"; *at; at++) {
                EQ(write(peer, at, 1), 1);
                for (int i = 0; i < 4; i++)
                        EQ(ouro_sleep(OURO_US(50)), 0);
        }
        SAME(ouro_await(task), until.data, "ab\r\n\r\r\n\r\n");
        EQ(counts_of(until.stream).read_bytes, 9);
        EQ(ouro_stream_close(until.stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, what_follows_the_delimiter_stays)
{
        char rest[8];
        int peer;
        struct until until = {over_socket(&peer), "--", NULL};

        put(peer, "a-b--c--d");
        SAME(read_until(&until), until.data, "a-b--");
        SAME(read_until(&until), until.data, "c--");
        SAME(ouro_stream_read(until.stream, rest, sizeof rest), rest, "d");
        EQ(ouro_stream_close(until.stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, what_is_too_long_is_told_and_still_there)
{
        const char *line;
        char text[16];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        put(peer, "123456789\nshort\n");
        EQ(ouro_stream_read_line(stream, 9, &line), -EMSGSIZE);
        EQ(ouro_stream_read_line(stream, 9, &line), -EMSGSIZE);
        SAME(ouro_stream_read_line(stream, 10, &line), line, "123456789");
        EQ(ouro_stream_read_line(stream, 5, &line), -EMSGSIZE);
        SAME(ouro_stream_read(stream, text, 5), text, "short");
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, the_buffer_is_the_longest_limit)
{
        const char *line;
        const void *data;
        char text[64];
        int peer;
        ouro_stream *stream = over_socket_bounded(&peer, 16);

        put(peer, "0123456789abcdefgh\n");
        EQ(ouro_stream_read_line(stream, 1000, &line), -EMSGSIZE);
        EQ(ouro_stream_peek(stream, 17, &data), -EMSGSIZE);
        EQ(ouro_stream_peek(stream, 16, &data), 16);
        EQ(ouro_stream_read_exactly(stream, text, 4, NULL), 0);
        SAME(ouro_stream_read_line(stream, 0, &line), line, "456789abcdefgh");
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, lines_longer_than_the_first_buffer_come_whole)
{
        enum { LONG = 50000 };
        static char text[LONG + 1];
        const char *line;
        int fds[2];
        ouro_stream *stream;

        fill(text, LONG, 11);
        for (int i = 0; i < LONG; i++)
                text[i] = (char)(text[i] == '\n' || text[i] == '\r' ? 'x' : text[i]);
        text[LONG] = '\n';
        unix_pair(fds);
        EQ(ouro_stream_open(fds[0], NULL, &stream), 0);
        for (int i = 0; i < 3; i++) {
                EQ(send(fds[1], text, sizeof text, 0), sizeof text);
                EQ(ouro_stream_read_line(stream, 0, &line), LONG);
                cr_assert(memcmp(line, text, LONG) == 0);
        }
        EQ(ouro_stream_close(stream), 0);
        close(fds[1]);
        return 0;
}

IN_LOOP(stream_read, read_gives_what_there_is_and_zero_at_the_end)
{
        static char text[8192];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        put(peer, "abcdef");
        SAME(ouro_stream_read(stream, text, 4), text, "abcd");
        SAME(ouro_stream_read(stream, text, sizeof text), text, "ef");
        put(peer, "past the buffer");
        SAME(ouro_stream_read(stream, text, sizeof text), text, "past the buffer");
        EQ(ouro_stream_read(stream, text, 0), 0);
        close(peer);
        for (int i = 0; i < 2; i++) {
                EQ(ouro_stream_read(stream, text, 4), 0);
                EQ(ouro_stream_read(stream, text, sizeof text), 0);
        }
        EQ(ouro_stream_close(stream), 0);
        return 0;
}

IN_LOOP(stream_read, exactly_tells_how_much_there_was)
{
        char text[8] = "";
        size_t done = 0;
        int peer;
        ouro_stream *stream = over_socket(&peer);

        put(peer, "abcdefghij");
        EQ(ouro_stream_read_exactly(stream, text, 8, NULL), 0);
        cr_assert(memcmp(text, "abcdefgh", 8) == 0);
        close(peer);
        EQ(ouro_stream_read_exactly(stream, text, 8, &done), -ENODATA);
        EQ(done, 2);
        cr_assert(memcmp(text, "ij", 2) == 0);
        EQ(ouro_stream_read_exactly(stream, text, 0, NULL), 0);
        EQ(ouro_stream_close(stream), 0);
        return 0;
}

IN_LOOP(stream_read, exactly_that_is_cut_short_can_be_taken_up_again)
{
        char text[8] = "";
        size_t done = 0;
        int peer;
        ouro_stream *stream = over_socket(&peer);

        put(peer, "abc");
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_stream_read_exactly(stream, text, 8, &done), -ETIME);
        }
        EQ(done, 3);
        put(peer, "defgh!");
        EQ(ouro_stream_read_exactly(stream, text, 8, &done), 0);
        cr_assert(memcmp(text, "abcdefgh", 8) == 0);
        EQ(ouro_stream_read(stream, text, 8), 1);
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, a_line_that_is_cut_short_loses_nothing)
{
        const char *line;
        int peer;
        ouro_stream *stream = over_socket(&peer);

        put(peer, "half ");
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_stream_read_line(stream, 0, &line), -ETIME);
        }
        put(peer, "whole\n");
        SAME(ouro_stream_read_line(stream, 0, &line), line, "half whole");
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

static intptr_t all_reads(void *arg)
{
        ouro_stream *stream = arg;
        const void *data;
        const char *line;
        char byte;

        EQ(ouro_sleep(OURO_SEC(100)), -ECANCELED);
        EQ(ouro_stream_read(stream, &byte, 1), -ECANCELED);
        EQ(ouro_stream_read_exactly(stream, &byte, 1, NULL), -ECANCELED);
        EQ(ouro_stream_read_until(stream, "\n", 1, 0, &line), -ECANCELED);
        EQ(ouro_stream_read_line(stream, 0, &line), -ECANCELED);
        EQ(ouro_stream_peek(stream, 1, &data), -ECANCELED);
        SAME(ouro_stream_peek(stream, 0, &data), data, "b\n");
        EQ(ouro_stream_consume(stream, 1), 0);
        return 1;
}

IN_LOOP(stream_read, a_cancelled_task_reads_nothing_and_takes_nothing)
{
        const char *line;
        int peer;
        ouro_stream *stream = over_socket(&peer);
        ouro_task task;

        put(peer, "a\nb\n");
        SAME(ouro_stream_read_line(stream, 0, &line), line, "a");
        task = waits_in(all_reads, stream);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), 1);
        EQ(ouro_stream_read_line(stream, 0, &line), 0);
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, peek_waits_for_as_much_as_it_is_asked_for_and_takes_nothing)
{
        const void *data = NULL;
        char text[8];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(ouro_stream_peek(stream, 0, &data), 0);
        put(peer, "abcd");
        SAME(ouro_stream_peek(stream, 2, &data), data, "abcd");
        EQ(ouro_stream_consume(stream, 5), -EINVAL);
        EQ(ouro_stream_consume(stream, 1), 0);
        SAME(ouro_stream_peek(stream, 3, &data), data, "bcd");
        close(peer);
        EQ(ouro_stream_peek(stream, 4, &data), -ENODATA);
        SAME(ouro_stream_read(stream, text, 8), text, "bcd");
        EQ(ouro_stream_peek(stream, 1, &data), 0);
        EQ(ouro_stream_close(stream), 0);
        return 0;
}

IN_LOOP(stream_read, an_error_comes_after_what_is_buffered_and_stays)
{
        const struct linger reset = {.l_onoff = 1};
        const char *line;
        char text[8];
        int fds[2];
        ouro_stream *stream;

        tcp_pair(fds);
        EQ(ouro_stream_open(fds[0], NULL, &stream), 0);
        put(fds[1], "a\nbc");
        SAME(ouro_stream_read_line(stream, 0, &line), line, "a");
        setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fds[1]);
        EQ(ouro_stream_read_line(stream, 0, &line), -ECONNRESET);
        SAME(ouro_stream_read(stream, text, 8), text, "bc");
        EQ(ouro_stream_read(stream, text, 8), -ECONNRESET);
        EQ(ouro_stream_read(stream, text, 8), -ECONNRESET);
        EQ(counts_of(stream).read_error, -ECONNRESET);
        EQ(ouro_stream_close(stream), 0);
        return 0;
}

IN_LOOP(stream_read, misuse_is_told_at_once)
{
        char byte;
        const char *data;
        const void *peeked;
        int peer;
        ouro_stream *stream = over_socket(&peer);
        size_t done = 2;

        EQ(ouro_stream_read(NULL, &byte, 1), -EINVAL);
        EQ(ouro_stream_read(stream, NULL, 1), -EINVAL);
        EQ(ouro_stream_read_exactly(NULL, &byte, 1, NULL), -EINVAL);
        EQ(ouro_stream_read_exactly(stream, NULL, 1, NULL), -EINVAL);
        EQ(ouro_stream_read_exactly(stream, &byte, 1, &done), -EINVAL);
        EQ(ouro_stream_read_until(NULL, "x", 1, 0, &data), -EINVAL);
        EQ(ouro_stream_read_until(stream, NULL, 1, 0, &data), -EINVAL);
        EQ(ouro_stream_read_until(stream, "x", 0, 0, &data), -EINVAL);
        EQ(ouro_stream_read_until(stream, "xy", 2, 1, &data), -EINVAL);
        EQ(ouro_stream_read_until(stream, "x", 1, 0, NULL), -EINVAL);
        EQ(ouro_stream_read_line(NULL, 0, &data), -EINVAL);
        EQ(ouro_stream_read_line(stream, 0, NULL), -EINVAL);
        EQ(ouro_stream_peek(NULL, 1, &peeked), -EINVAL);
        EQ(ouro_stream_peek(stream, 1, NULL), -EINVAL);
        EQ(ouro_stream_consume(NULL, 0), -EINVAL);
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

static intptr_t read_byte(void *arg)
{
        char byte;
        ssize_t n = ouro_stream_read(arg, &byte, 1);

        return n == 1 ? byte : n;
}

IN_LOOP(stream_read, a_second_reader_is_told_at_once_and_harms_nothing)
{
        const void *data;
        const char *line;
        char byte;
        int peer;
        ouro_stream *stream = over_socket(&peer);
        ouro_task task = waits_in(read_byte, stream);

        EQ(ouro_stream_read(stream, &byte, 1), -EBUSY);
        EQ(ouro_stream_read_exactly(stream, &byte, 1, NULL), -EBUSY);
        EQ(ouro_stream_read_line(stream, 0, &line), -EBUSY);
        EQ(ouro_stream_peek(stream, 1, &data), -EBUSY);
        EQ(ouro_stream_peek(stream, 0, &data), -EBUSY);
        EQ(ouro_stream_consume(stream, 0), -EBUSY);
        put(peer, "x");
        EQ(ouro_await(task), 'x');
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_read, a_file_is_read_by_lines_to_its_end)
{
        const char *line;
        char path[] = "/tmp/ouro-stream-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC);
        ouro_stream *stream;

        unlink(path);
        for (int i = 0; i < 5000; i++)
                dprintf(fd, "line %d\n", i);
        lseek(fd, 0, SEEK_SET);
        EQ(ouro_stream_open(fd, NULL, &stream), 0);
        for (int i = 0; i < 5000; i++) {
                char wanted[32];

                snprintf(wanted, sizeof wanted, "line %d", i);
                SAME(ouro_stream_read_line(stream, 0, &line), line, wanted);
        }
        EQ(ouro_stream_read_line(stream, 0, &line), -ENODATA);
        EQ(ouro_stream_close(stream), 0);
        return 0;
}
