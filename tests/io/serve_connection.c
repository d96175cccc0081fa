/* Of lib/io/serve_connection.c: handlers that have a stream, and what the stream is turned into before. */
#include "support/leaks.h"
#include "support/serving.h"

TestSuite(serve_connection, .init = leaks_begin, .fini = leaks_end, .timeout = 120);

static intptr_t shouts(ouro_stream *stream, void *arg)
{
        const char *line;
        ssize_t n;

        (void)arg;
        while ((n = ouro_stream_read_line(stream, 0, &line)) >= 0)
                if ((n = ouro_stream_printf(stream, "%s!\n", line)) < 0)
                        break;
        return n == -ENODATA ? 0 : n;
}

static void expect_answer(int fd, const char *question, const char *answer)
{
        char buf[256];

        EQ(ouro_send_all(fd, question, strlen(question), NULL), 0);
        EQ(ouro_recv_all(fd, buf, strlen(answer), NULL), 0);
        EQ(memcmp(buf, answer, strlen(answer)), 0);
}

IN_LOOP(serve_connection, handler_has_a_stream)
{
        struct serving serving = SERVING_STREAMS(shouts);

        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_answer(fd, "hello\nworld\n", "hello!\nworld!\n");
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

static intptr_t writes_and_returns(ouro_stream *stream, void *arg)
{
        const struct serving *serving = arg;

        ouro_stream_printf(stream, "so long");
        return serving->at ? -EILSEQ : 0;
}

static void ignore_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)message, (void)arg;
}

/* Also what a handler that has failed has written. */
IN_LOOP(serve_connection, what_was_written_is_sent_before_the_end)
{
        ouro_set_log(ignore_log, NULL);
        for (int failing = 0; failing < 2; failing++) {
                struct serving serving = SERVING_STREAMS(writes_and_returns);
                char buf[16];

                serving.at = failing ? "tcp:127.0.0.1:0" : NULL;
                serving_begin(&serving);
                int fd = serving_dial(&serving);

                EQ(ouro_recv_all(fd, buf, 7, NULL), 0);
                EQ(ouro_recv(fd, buf, 1, 0), 0);
                EQ(ouro_close(fd), 0);
                EQ(serving_stats(&serving).failed, failing);
                EQ(serving_end(&serving), 0);
        }
        ouro_set_log(NULL, NULL);
        return 0;
}

static intptr_t writes_too_much(ouro_stream *stream, void *arg)
{
        static const char block[64 * 1024];
        int error = 0;

        while (error == 0)
                error = ouro_stream_write(stream, block, sizeof block);
        serving_note(arg, error);
        return error;
}

IN_LOOP(serve_connection, stream_whose_peer_never_reads_is_cut)
{
        struct serving serving = SERVING_STREAMS(writes_too_much);
        struct ouro_stream_options stream = OURO_STREAM_OPTIONS_INIT;

        stream.linger_ns = -1;
        serving.options.stream = &stream;
        serving.options.idle_ns = OURO_MS(100);
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(serving.notes[0], -ETIME);
        while (serving_stats(&serving).open > 0)
                EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(serving_stats(&serving).timed_out, 1);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_connection, bad_stream_options_fail_the_connection)
{
        struct serving serving = SERVING_STREAMS(shouts);
        struct ouro_stream_options stream = OURO_STREAM_OPTIONS_INIT;

        ouro_set_log(ignore_log, NULL);
        stream.read_bytes = 1;
        serving.options.stream = &stream;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_end(fd);
        EQ(serving_stats(&serving).failed, 1);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        ouro_set_log(NULL, NULL);
        return 0;
}

IN_LOOP(serve_connection, buffers_count_as_memory)
{
        struct serving serving = SERVING_STREAMS(shouts);
        struct ouro_stream_options stream = OURO_STREAM_OPTIONS_INIT;

        stream.read_bytes = stream.write_bytes = 1024 * 1024;
        serving.options.stream = &stream;
        serving.options.stack_bytes = 64 * 1024;
        serving.options.memory_bytes = 5 * 1024 * 1024;
        serving.options.when_full = OURO_SERVE_REFUSE;
        serving_begin(&serving);
        int one = serving_dial(&serving), two = serving_dial(&serving);

        expect_answer(one, "a\n", "a!\n");
        expect_answer(two, "b\n", "b!\n");
        int three = serving_dial(&serving);

        expect_end(three);
        EQ(ouro_close(one), 0);
        EQ(ouro_close(two), 0);
        EQ(ouro_close(three), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* ---- upgrades ---- */

/* A transport that turns letters round by 13 places. */
static char turn(char c)
{
        char base = c >= 'a' && c <= 'z' ? 'a' : c >= 'A' && c <= 'Z' ? 'A' : 0;

        return base ? (char)(base + (c - base + 13) % 26) : c;
}

static ssize_t turned_read(void *self, void *buf, size_t len)
{
        ssize_t n = ouro_stream_read(self, buf, len);

        for (ssize_t i = 0; i < n; i++)
                ((char *)buf)[i] = turn(((char *)buf)[i]);
        return n;
}

static ssize_t turned_writev(void *self, const struct iovec *iov, int n)
{
        char buf[256];
        size_t len = iov->iov_len < sizeof buf ? iov->iov_len : sizeof buf;
        int error;

        (void)n;
        for (size_t i = 0; i < len; i++)
                buf[i] = turn(((const char *)iov->iov_base)[i]);
        error = ouro_stream_write(self, buf, len);
        if (error == 0)
                error = ouro_stream_flush(self);
        return error < 0 ? error : (ssize_t)len;
}

static int turned_close(void *self)
{
        return ouro_stream_close(self);
}

/* The first line says whether the client means it. */
static int upgrade(ouro_stream *below, void *arg, ouro_stream **ret_stream)
{
        static const struct ouro_transport turned = {
                .size = sizeof turned, .read = turned_read, .writev = turned_writev, .close = turned_close};
        const char *line;
        ssize_t n = ouro_stream_read_line(below, 0, &line);

        ++*(int *)arg;
        if (n < 0)
                return (int)n;
        return strcmp(line, "turn") == 0 ? ouro_stream_open_on(&turned, below, NULL, ret_stream) : -EPROTO;
}

IN_LOOP(serve_connection, handler_gets_what_the_stream_was_upgraded_to)
{
        struct serving serving = SERVING_STREAMS(shouts);
        int upgrades = 0;

        serving.options.upgrade = upgrade;
        serving.options.upgrade_arg = &upgrades;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_answer(fd, "turn\nuryyb\n", "uryyb!\n");
        EQ(upgrades, 1);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

IN_LOOP(serve_connection, refused_upgrade_ends_that_connection)
{
        struct serving serving = SERVING_STREAMS(shouts);
        int upgrades = 0;

        ouro_set_log(ignore_log, NULL);
        serving.options.upgrade = upgrade;
        serving.options.upgrade_arg = &upgrades;
        serving_begin(&serving);
        int bad = serving_dial(&serving), good = serving_dial(&serving);

        EQ(ouro_send(bad, "what\n", 5, 0), 5);
        expect_end(bad);
        expect_answer(good, "turn\nuryyb\n", "uryyb!\n");
        EQ(serving_stats(&serving).failed, 1);
        EQ(ouro_close(bad), 0);
        EQ(ouro_close(good), 0);
        EQ(serving_end(&serving), 0);
        ouro_set_log(NULL, NULL);
        return 0;
}

/* A client that connects and says nothing is within the limits before the handler has begun. */
IN_LOOP(serve_connection, limits_hold_during_the_upgrade)
{
        struct serving serving = SERVING_STREAMS(shouts);
        int upgrades = 0;

        serving.options.upgrade = upgrade;
        serving.options.upgrade_arg = &upgrades;
        serving.options.total_ns = OURO_MS(30);
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        expect_end(fd);
        EQ(serving_stats(&serving).timed_out, 1);
        EQ(ouro_close(fd), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

/* As a TLS handshake with a client that connects and says nothing. */
static int waits_for_its_first_byte(ouro_stream *below, void *arg, ouro_stream **ret_stream)
{
        const void *data;
        ssize_t n;

        (void)ret_stream;
        serving_note(arg, 0);
        n = ouro_stream_peek(below, 1, &data);
        return n < 0 ? (int)n : -EPROTO;
}

IN_LOOP(serve_connection, stop_does_not_wait_for_upgrades)
{
        struct serving serving = SERVING_STREAMS(shouts);

        serving.options.upgrade = waits_for_its_first_byte;
        serving.options.upgrade_arg = &serving;
        serving.options.drain_ns = OURO_FOREVER;
        serving_begin(&serving);
        int fd = serving_dial(&serving);

        serving_await_notes(&serving, 1);
        EQ(ouro_serve_stop(serving.server), 0);
        EQ(ouro_await(serving.task), 0);
        expect_end(fd);
        EQ(ouro_close(fd), 0);
        return 0;
}
