/* What CPython's test_asyncio/test_streams.py demands of stream readers and writers, of streams over memory:
 * one end is fed, and ended, while a task reads at the other. */
#include "support/streams.h"

TestSuite(streams, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static ouro_stream *reader, *feeder;

static void open_reader(size_t limit)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;
        ouro_stream *pair[2];

        options.read_bytes = limit;
        EQ(ouro_stream_pair(0, &options, pair), 0);
        reader = pair[0];
        feeder = pair[1];
}

static void feed(const char *text)
{
        EQ(ouro_stream_write(feeder, text, strlen(text)), 0);
        EQ(ouro_stream_flush(feeder), 0);
}

static void feed_eof(void)
{
        EQ(ouro_stream_shutdown(feeder), 0);
}

static void close_reader(void)
{
        EQ(ouro_stream_close(reader), 0);
        EQ(ouro_stream_close(feeder), 0);
}

/* What is left, up to the end of it, as read(-1) there. */
static const char *rest(void)
{
        static char text[256];
        size_t done = 0;

        EQ(ouro_stream_read_exactly(reader, text, sizeof text - 1, &done), -ENODATA);
        text[done] = '\0';
        return text;
}

static intptr_t feed_late(void *arg)
{
        for (const char *const *text = arg; *text; text++) {
                feed(*text);
                EQ(ouro_yield(), 0);
                EQ(ouro_yield(), 0);
        }
        feed_eof();
        return 0;
}

static const char *line;

static intptr_t reads_line(void *unused)
{
        (void)unused;
        return ouro_stream_read_line(reader, 0, &line);
}

IN_LOOP(streams, read_takes_what_there_is_and_not_more_than_asked)
{
        char text[16];

        open_reader(0);
        feed("hello line1\nline2\n");
        EQ(ouro_stream_read(reader, text, 0), 0);
        SAME(ouro_stream_read(reader, text, 5), text, "hello");
        SAME(ouro_stream_read(reader, text, 16), text, " line1\nline2\n");
        feed_eof();
        EQ(ouro_stream_read(reader, text, 16), 0);
        close_reader();
        return 0;
}

IN_LOOP(streams, a_line_comes_from_several_chunks)
{
        const char *const chunks[] = {"chunk1 ", "chunk2 ", "chunk3 \n chunk4", NULL};
        ouro_task task;

        open_reader(0);
        task = waits_in(reads_line, NULL);
        ouro_go(feed_late, (void *)(uintptr_t)chunks);
        SAME(ouro_await(task), line, "chunk1 chunk2 chunk3 ");
        cr_assert_str_eq(rest(), " chunk4");
        close_reader();
        return 0;
}

IN_LOOP(streams, a_line_beyond_the_limit_is_told_with_and_without_its_end_in_sight)
{
        open_reader(16);
        feed("a line that is much too long for it\nshort\n");
        EQ(ouro_stream_read_line(reader, 0, &line), -EMSGSIZE);
        EQ(ouro_stream_consume(reader, 16), 0); /* here nothing is thrown away behind the reader's back */
        EQ(ouro_stream_read_line(reader, 0, &line), -EMSGSIZE);
        EQ(ouro_stream_consume(reader, 16), 0);
        SAME(ouro_stream_read_line(reader, 0, &line), line, " it");
        SAME(ouro_stream_read_line(reader, 0, &line), line, "short");
        close_reader();
        return 0;
}

IN_LOOP(streams, a_line_as_long_as_the_limit_is_none_too_long)
{
        open_reader(16);
        feed("fifteen letters\n");
        SAME(ouro_stream_read_line(reader, 0, &line), line, "fifteen letters");
        close_reader();
        return 0;
}

IN_LOOP(streams, a_line_that_ends_with_the_stream_is_partial)
{
        const void *partial;

        open_reader(0);
        feed("some data");
        feed_eof();
        EQ(ouro_stream_read_line(reader, 0, &line), -ENODATA);
        SAME(ouro_stream_peek(reader, 0, &partial), partial, "some data");
        cr_assert_str_eq(rest(), "some data");
        EQ(ouro_stream_read_line(reader, 0, &line), -ENODATA); /* at the end, with nothing left */
        EQ(ouro_stream_peek(reader, 0, &partial), 0);
        close_reader();
        return 0;
}

IN_LOOP(streams, a_line_takes_no_more_than_its_own_bytes)
{
        open_reader(0);
        feed("line1\nline2\nline3\n");
        feed_eof();
        SAME(ouro_stream_read_line(reader, 0, &line), line, "line1");
        cr_assert_str_eq(rest(), "line2\nline3\n");
        close_reader();
        return 0;
}

static const char *until;

static intptr_t reads_until_aaa(void *unused)
{
        (void)unused;
        return ouro_stream_read_until(reader, "aaa", 3, 0, &until);
}

IN_LOOP(streams, a_separator_may_lie_across_chunks)
{
        const char *const splits[][4] = {{"QWERTY", "aaa", NULL},
                                         {"QWERTYa", "aa", NULL},
                                         {"QWERTYaa", "a", NULL},
                                         {"QWERTY", "a", "aa", NULL}};

        for (size_t i = 0; i < 4; i++) {
                ouro_task task;

                open_reader(0);
                task = waits_in(reads_until_aaa, NULL);
                ouro_go(feed_late, (void *)(uintptr_t)splits[i]);
                SAME(ouro_await(task), until, "QWERTYaaa");
                cr_assert_str_eq(rest(), "");
                close_reader();
        }
        return 0;
}

IN_LOOP(streams, one_letter_more_before_the_separator_belongs_to_the_data)
{
        const char *const chunks[] = {"QWERTYa", "aaaXYZ", NULL};
        ouro_task task;

        open_reader(0);
        task = waits_in(reads_until_aaa, NULL);
        ouro_go(feed_late, (void *)(uintptr_t)chunks);
        SAME(ouro_await(task), until, "QWERTYaaa");
        cr_assert_str_eq(rest(), "aXYZ");
        close_reader();
        return 0;
}

IN_LOOP(streams, without_its_separator_what_came_is_partial)
{
        open_reader(0);
        feed("some dataaa");
        EQ(ouro_stream_read_until(reader, "AAA", 3, 4, &until), -EMSGSIZE);
        feed_eof();
        EQ(ouro_stream_read_until(reader, "AAA", 3, 0, &until), -ENODATA);
        cr_assert_str_eq(rest(), "some dataaa");
        close_reader();
        return 0;
}

IN_LOOP(streams, a_separator_beyond_the_limit_does_not_count)
{
        open_reader(0);
        feed("some dataAAA");
        EQ(ouro_stream_read_until(reader, "AAA", 3, 11, &until), -EMSGSIZE);
        SAME(ouro_stream_read_until(reader, "AAA", 3, 12, &until), until, "some dataAAA");
        close_reader();
        return 0;
}

IN_LOOP(streams, an_empty_separator_is_refused)
{
        open_reader(0);
        EQ(ouro_stream_read_until(reader, "", 0, 0, &until), -EINVAL);
        close_reader();
        return 0;
}

static char exact[64];
static size_t exact_done;

static intptr_t reads_exactly_18(void *unused)
{
        (void)unused;
        exact_done = 0;
        return ouro_stream_read_exactly(reader, exact, 18, &exact_done);
}

IN_LOOP(streams, exactly_waits_for_all_of_it)
{
        const char *const chunks[] = {"line1\n", "line1\n", "line1\n", "line1\n", NULL};
        ouro_task task;

        open_reader(0);
        EQ(ouro_stream_read_exactly(reader, exact, 0, NULL), 0);
        task = waits_in(reads_exactly_18, NULL);
        ouro_go(feed_late, (void *)(uintptr_t)chunks);
        EQ(ouro_await(task), 0);
        cr_assert(memcmp(exact, "line1\nline1\nline1\n", 18) == 0);
        cr_assert_str_eq(rest(), "line1\n");
        close_reader();
        return 0;
}

IN_LOOP(streams, exactly_is_not_bound_by_the_limit)
{
        open_reader(16);
        feed("more than sixteen!");
        EQ(reads_exactly_18(NULL), 0);
        close_reader();
        return 0;
}

IN_LOOP(streams, exactly_that_meets_the_end_tells_its_part)
{
        const char *const chunks[] = {"line1\n", NULL};
        ouro_task task;

        open_reader(0);
        task = waits_in(reads_exactly_18, NULL);
        ouro_go(feed_late, (void *)(uintptr_t)chunks);
        EQ(ouro_await(task), -ENODATA);
        EQ(exact_done, 6);
        cr_assert(memcmp(exact, "line1\n", 6) == 0);
        close_reader();
        return 0;
}

IN_LOOP(streams, a_reader_that_is_cancelled_is_not_woken_by_what_comes)
{
        ouro_task task;

        open_reader(0);
        task = waits_in(reads_line, NULL);
        EQ(ouro_cancel(task), 0);
        feed("for the next one\n");
        EQ(ouro_await(task), -ECANCELED);
        SAME(reads_line(NULL), line, "for the next one");
        close_reader();
        return 0;
}

static intptr_t floods(void *unused)
{
        static char block[200000];

        (void)unused;
        return ouro_stream_write(feeder, block, sizeof block);
}

IN_LOOP(streams, a_drain_fails_when_the_connection_is_lost)
{
        ouro_task task;

        open_reader(0);
        task = waits_in(floods, NULL);
        EQ(ouro_stream_close(reader), 0);
        EQ(ouro_await(task), -EPIPE);
        EQ(ouro_stream_write(feeder, "x", 1), -EPIPE);
        EQ(ouro_stream_flush(feeder), -EPIPE);
        EQ(ouro_stream_close(feeder), -EPIPE);
        return 0;
}

IN_LOOP(streams, closing_with_unread_data_ends_well)
{
        open_reader(0);
        feed("nobody reads this\n");
        SAME(ouro_stream_read_exactly(reader, exact, 6, NULL) == 0 ? 6 : -1, exact, "nobody");
        EQ(ouro_stream_close(reader), 0);
        EQ(ouro_stream_close(feeder), 0);
        return 0;
}

IN_LOOP(streams, the_end_that_comes_while_the_writer_closes_is_told)
{
        open_reader(0);
        EQ(ouro_stream_write(feeder, "last line\n", 10), 0);
        EQ(ouro_stream_close(feeder), 0);
        SAME(reads_line(NULL), line, "last line");
        EQ(reads_line(NULL), -ENODATA);
        EQ(ouro_stream_close(reader), 0);
        return 0;
}

IN_LOOP(streams, a_pipe_is_read_to_its_end)
{
        int fds[2];

        EQ(ouro_pipe(fds), 0);
        EQ(ouro_stream_open(fds[0], NULL, &reader), 0);
        put(fds[1], "1");
        close(fds[1]);
        cr_assert_str_eq(rest(), "1");
        EQ(ouro_stream_close(reader), 0);
        return 0;
}
