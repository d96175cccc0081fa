/* Of lib/io/stream_write.c: what is kept back, when it goes out, and what failing writes tell. */
#include <sys/uio.h>

#include "support/streams.h"

TestSuite(stream_write, .init = leaks_begin, .fini = leaks_end);

IN_LOOP(stream_write, writes_go_out_together_when_flushed)
{
        const struct iovec pieces[] = {{(char[]){"c"}, 1}, {NULL, 0}, {(char[]){"de"}, 2}};
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(ouro_stream_write(stream, "ab", 2), 0);
        EQ(ouro_stream_writev(stream, pieces, 3), 0);
        EQ(ouro_stream_printf(stream, "%d-%s", 12, "f"), 0);
        EQ(ouro_stream_write(stream, NULL, 0), 0);
        EQ(ouro_stream_writev(stream, NULL, 0), 0);
        cr_assert_str_eq(got(peer), "");
        EQ(counts_of(stream).written_bytes, 9);
        EQ(counts_of(stream).sent_bytes, 0);
        EQ(ouro_stream_flush(stream), 0);
        cr_assert_str_eq(got(peer), "abcde12-f");
        EQ(counts_of(stream).sent_bytes, 9);
        EQ(ouro_stream_flush(stream), 0);
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

IN_LOOP(stream_write, a_read_that_waits_sends_first_unless_told_not_to)
{
        struct ouro_stream_options manual = OURO_STREAM_OPTIONS_INIT;

        for (int i = 0; i < 2; i++) {
                int peer;
                ouro_stream *stream;
                ouro_task task;

                manual.manual_flush = i == 1;
                stream = over_socket_with(&peer, &manual);
                EQ(ouro_stream_write(stream, "question", 8), 0);
                task = waits_in(read_byte, stream);
                for (int pass = 0; pass < 8; pass++)
                        EQ(ouro_sleep(OURO_US(100)), 0);
                cr_assert_str_eq(got(peer), i == 1 ? "" : "question");
                put(peer, "!");
                EQ(ouro_await(task), '!');
                EQ(ouro_stream_close(stream), 0);
                cr_assert_str_eq(got(peer), i == 1 ? "question" : "(end)");
                close(peer);
        }
        return 0;
}

IN_LOOP(stream_write, a_read_of_what_is_buffered_does_not_send)
{
        char text[4];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        put(peer, "ab");
        EQ(ouro_stream_read(stream, text, 1), 1);
        EQ(ouro_stream_write(stream, "x", 1), 0);
        EQ(ouro_stream_read(stream, text, 1), 1);
        cr_assert_str_eq(got(peer), "");
        EQ(ouro_stream_close(stream), 0);
        cr_assert_str_eq(got(peer), "x");
        close(peer);
        return 0;
}

struct bulk {
        ouro_stream *stream;
        size_t len;
};

static char block[3 << 20], back[3 << 20];

static intptr_t write_bulk(void *arg)
{
        const struct bulk *bulk = arg;

        return ouro_stream_write(bulk->stream, block, bulk->len);
}

static intptr_t write_small(void *arg)
{
        const struct bulk *bulk = arg;

        for (size_t done = 0; done < bulk->len; done += 1000) {
                size_t left = bulk->len - done;
                int error = ouro_stream_write(bulk->stream, block + done, left < 1000 ? left : 1000);

                if (error < 0)
                        return error;
        }
        return ouro_stream_flush(bulk->stream);
}

static void arrives(ouro_fn *writer)
{
        int peer;
        struct bulk bulk = {over_socket(&peer), sizeof block};
        ouro_task task;

        fill(block, sizeof block, 3);
        EQ(ouro_stream_write(bulk.stream, "head", 4), 0);
        task = waits_in(writer, &bulk);
        cr_assert(counts_of(bulk.stream).written_bytes < sizeof block);
        EQ(ouro_recv_all(peer, back, 4, NULL), 0);
        cr_assert(memcmp(back, "head", 4) == 0);
        EQ(ouro_recv_all(peer, back, sizeof back, NULL), 0);
        EQ(ouro_await(task), 0);
        cr_assert(memcmp(back, block, sizeof block) == 0);
        EQ(counts_of(bulk.stream).sent_bytes, sizeof block + 4);
        EQ(ouro_stream_close(bulk.stream), 0);
        close(peer);
}

IN_LOOP(stream_write, f27_a_write_larger_than_all_buffers_arrives_whole_and_in_order)
{
        arrives(write_bulk);
        return 0;
}

IN_LOOP(stream_write, f27_many_small_writes_wait_for_the_peer_and_arrive_in_order)
{
        arrives(write_small);
        return 0;
}

IN_LOOP(stream_write, more_pieces_than_go_at_a_time_arrive_in_order)
{
        enum { PIECES = 100, EACH = 500 };
        struct iovec pieces[PIECES];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        fill(block, (size_t)PIECES * EACH, 5);
        for (int i = 0; i < PIECES; i++)
                pieces[i] = (struct iovec){block + i * EACH, EACH};
        EQ(ouro_stream_write(stream, "+", 1), 0);
        EQ(ouro_stream_writev(stream, pieces, PIECES), 0);
        EQ(ouro_recv_all(peer, back, 1 + (size_t)PIECES * EACH, NULL), 0);
        cr_assert(filled(back + 1, (size_t)PIECES * EACH, 5));
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_write, printed_text_has_no_limit)
{
        static const int widths[] = {0, 10, 4000, 4095, 4096, 20000, 70000, 200000};
        char path[] = "/tmp/ouro-stream-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC), total = 0;
        ouro_stream *stream;
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;

        unlink(path);
        options.borrowed = true;
        EQ(ouro_stream_open(fd, &options, &stream), 0);
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
                EQ(ouro_stream_printf(stream, "%*d.", widths[i], 7), 0);
                total += (widths[i] > 1 ? widths[i] : 1) + 1;
        }
        EQ(ouro_stream_close(stream), 0);
        EQ(pread(fd, block, sizeof block, 0), total);
        for (size_t i = 0, at = 0; i < sizeof widths / sizeof *widths; i++) {
                at += widths[i] > 1 ? (size_t)widths[i] : 1;
                cr_assert(memcmp(block + at - 1, "7.", 2) == 0);
                at++;
        }
        close(fd);
        return 0;
}

IN_LOOP(stream_write, f25_a_failed_write_stays_and_tells_how_far_it_came)
{
        char text[4];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(ouro_stream_write(stream, "sent", 4), 0);
        EQ(ouro_stream_flush(stream), 0);
        put(peer, "bye");
        close(peer);
        EQ(ouro_stream_write(stream, "lost", 4), 0);
        EQ(ouro_stream_flush(stream), -EPIPE);
        EQ(ouro_stream_write(stream, "x", 1), -EPIPE);
        EQ(ouro_stream_printf(stream, "x"), -EPIPE);
        EQ(ouro_stream_flush(stream), -EPIPE);
        EQ(counts_of(stream).sent_bytes, 4);
        EQ(counts_of(stream).written_bytes, 8);
        EQ(counts_of(stream).write_error, -EPIPE);
        EQ(ouro_stream_read_exactly(stream, text, 3, NULL), 0); /* what had come is not lost for it */
        EQ(ouro_stream_close(stream), -EPIPE);
        return 0;
}

IN_LOOP(stream_write, f25_no_signal_comes_of_a_pipe_without_a_reader)
{
        int fds[2];
        ouro_stream *stream;

        EQ(ouro_pipe(fds), 0);
        EQ(ouro_stream_open(fds[1], NULL, &stream), 0);
        close(fds[0]);
        EQ(ouro_stream_write(stream, "lost", 4), 0);
        EQ(ouro_stream_close(stream), -EPIPE);
        return 0;
}

IN_LOOP(stream_write, a_write_that_is_cut_short_can_be_flushed_later)
{
        int peer;
        struct bulk bulk = {over_socket(&peer), sizeof block};
        struct ouro_stream_counts counts;

        fill(block, sizeof block, 9);
        OURO_TIMEOUT(OURO_MS(10)) {
                EQ(write_small(&bulk), -ETIME);
        }
        counts = counts_of(bulk.stream);
        cr_assert(counts.written_bytes >= counts.sent_bytes && counts.written_bytes < sizeof block);
        EQ(counts.write_error, 0);
        EQ(ouro_recv_all(peer, back, (size_t)counts.sent_bytes, NULL), 0);
        EQ(ouro_stream_flush(bulk.stream), 0);
        EQ(ouro_recv_all(peer, back + counts.sent_bytes, (size_t)(counts.written_bytes - counts.sent_bytes),
                         NULL),
           0);
        cr_assert(memcmp(back, block, (size_t)counts.written_bytes) == 0);
        EQ(ouro_stream_close(bulk.stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_write, shutdown_ends_one_side_and_the_other_goes_on)
{
        char text[8];
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(ouro_stream_write(stream, "last", 4), 0);
        EQ(ouro_stream_shutdown(stream), 0);
        EQ(ouro_stream_shutdown(stream), 0);
        cr_assert_str_eq(got(peer), "last");
        cr_assert_str_eq(got(peer), "(end)");
        EQ(ouro_stream_write(stream, "x", 1), -EPIPE);
        EQ(ouro_stream_flush(stream), -EPIPE);
        put(peer, "answer");
        EQ(ouro_stream_read(stream, text, 8), 6);
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream_write, a_single_descriptor_that_is_no_socket_has_no_side_to_end)
{
        int fds[2];
        ouro_stream *stream;

        EQ(ouro_pipe(fds), 0);
        EQ(ouro_stream_open(fds[1], NULL, &stream), 0);
        EQ(ouro_stream_shutdown(stream), -EOPNOTSUPP);
        EQ(ouro_stream_write(stream, "x", 1), 0);
        EQ(ouro_stream_close(stream), 0);
        EQ(read(fds[0], block, 2), 1);
        close(fds[0]);
        return 0;
}

IN_LOOP(stream_write, misuse_is_told_at_once)
{
        const struct iovec nothing = {NULL, 1}, piece = {block, 1}, huge = {block, SIZE_MAX};
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(ouro_stream_write(NULL, "x", 1), -EINVAL);
        EQ(ouro_stream_write(stream, NULL, 1), -EINVAL);
        EQ(ouro_stream_writev(stream, NULL, 1), -EINVAL);
        EQ(ouro_stream_writev(stream, &nothing, 1), -EINVAL);
        EQ(ouro_stream_writev(stream, &huge, 1), -EINVAL);
        EQ(ouro_stream_writev(stream, &piece, -1), -EINVAL);
        EQ(ouro_stream_printf(NULL, "x"), -EINVAL);
        EQ(ouro_stream_flush(NULL), -EINVAL);
        EQ(ouro_stream_shutdown(NULL), -EINVAL);
        EQ(ouro_stream_close(stream), 0);
        cr_assert_str_eq(got(peer), "(end)");
        close(peer);
        return 0;
}

IN_LOOP(stream_write, a_second_writer_is_told_at_once_and_a_reader_is_not_in_the_way)
{
        char byte;
        int peer;
        struct bulk bulk = {over_socket(&peer), sizeof block};
        ouro_task task = waits_in(write_bulk, &bulk);

        EQ(ouro_stream_write(bulk.stream, "x", 1), -EBUSY);
        EQ(ouro_stream_printf(bulk.stream, "x"), -EBUSY);
        EQ(ouro_stream_flush(bulk.stream), -EBUSY);
        EQ(ouro_stream_shutdown(bulk.stream), -EBUSY);
        put(peer, "r");
        EQ(ouro_stream_read(bulk.stream, &byte, 1), 1);
        EQ(ouro_recv_all(peer, back, sizeof back, NULL), 0);
        EQ(ouro_await(task), 0);
        EQ(ouro_stream_close(bulk.stream), 0);
        close(peer);
        return 0;
}

static intptr_t write_word(void *arg)
{
        return ouro_stream_write(arg, "word", 4);
}

/* The reader's flush before its wait is stuck, because the peer does not read. */
IN_LOOP(stream_write, a_writer_waits_while_a_reader_flushes_and_then_goes_on)
{
        size_t filler = 0;
        ssize_t n;
        int peer, fd;
        ouro_stream *stream = over_socket(&peer);
        ouro_task reader, writer;

        fd = ouro_stream_fd(stream);
        while ((n = send(fd, block, 10000, MSG_DONTWAIT)) > 0)
                filler += (size_t)n;
        EQ(ouro_stream_write(stream, "first ", 6), 0);
        reader = waits_in(read_byte, stream);
        writer = waits_in(write_word, stream);
        EQ(ouro_stream_write(stream, "x", 1), -EBUSY); /* one writer is waiting already */
        EQ(ouro_recv_all(peer, back, filler, NULL), 0);
        EQ(ouro_await(writer), 0);
        EQ(ouro_recv_all(peer, back, 6, NULL), 0);
        cr_assert(memcmp(back, "first ", 6) == 0);
        put(peer, "!");
        EQ(ouro_await(reader), '!');
        EQ(ouro_stream_close(stream), 0);
        cr_assert_str_eq(got(peer), "word");
        close(peer);
        return 0;
}
