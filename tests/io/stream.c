/* Of lib/io/stream.c and stream_fd.c: making, asking and closing. */
#include <pthread.h>
#include <pty.h>
#include <termios.h>

#include "support/streams.h"

TestSuite(stream, .init = leaks_begin, .fini = leaks_end);

static char block[1 << 20];

/* ---- making ---- */

IN_LOOP(stream, misuse_leaves_the_descriptor_alone)
{
        struct ouro_stream_options small = OURO_STREAM_OPTIONS_INIT, unsized = {0};
        int fds[2], datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ouro_stream *stream = NULL;

        unix_pair(fds);
        small.read_bytes = 15;
        EQ(ouro_stream_open(-1, NULL, &stream), -EBADF);
        EQ(ouro_stream_open(no_such_fd(), NULL, &stream), -EBADF);
        EQ(ouro_stream_open(fds[0], NULL, NULL), -EINVAL);
        EQ(ouro_stream_open(fds[0], &small, &stream), -EINVAL);
        EQ(ouro_stream_open(fds[0], &unsized, &stream), -EINVAL);
        EQ(ouro_stream_open(datagram, NULL, &stream), -EPROTOTYPE);
        EQ(ouro_stream_open_two(fds[0], fds[0], NULL, &stream), -EINVAL);
        EQ(ouro_stream_open_two(-1, -1, NULL, &stream), -EINVAL);
        EQ(ouro_stream_open_two(fds[0], datagram, NULL, &stream), -EPROTOTYPE);
        EQ(ouro_stream_open_two(fds[0], no_such_fd(), NULL, &stream), -EBADF);
        cr_assert_null(stream);
        EQ(ouro_stream_fd(NULL), -EINVAL);
        EQ(ouro_stream_info(NULL, NULL), -EINVAL);
        EQ(ouro_stream_close(NULL), 0);
        EQ(ouro_stream_abort(NULL, true), 0);
        put(fds[0], "x");
        close(datagram);
        close_both(fds);
        return 0;
}

Test(stream, outside_a_loop_nothing_works)
{
        ouro_stream *streams[2];
        const char *data;

        EQ(ouro_stream_open(0, NULL, streams), -EPERM);
        EQ(ouro_stream_open_two(0, 1, NULL, streams), -EPERM);
        EQ(ouro_stream_open_on(NULL, NULL, NULL, streams), -EPERM);
        EQ(ouro_stream_pair(0, NULL, streams), -EPERM);
        EQ(ouro_stream_open_buffer("", 0, NULL, streams), -EPERM);
        EQ(ouro_stream_read_line(NULL, 0, NULL), -EPERM);
        EQ(ouro_stream_read_until(NULL, NULL, 0, 0, &data), -EPERM);
}

static intptr_t use_foreign(void *arg)
{
        struct ouro_stream_counts counts = OURO_STREAM_COUNTS_INIT;
        ouro_stream *stream = arg;
        const void *data;
        const char *line;
        char byte;

        EQ(ouro_stream_read(stream, &byte, 1), -EPERM);
        EQ(ouro_stream_read_exactly(stream, &byte, 1, NULL), -EPERM);
        EQ(ouro_stream_read_line(stream, 0, &line), -EPERM);
        EQ(ouro_stream_peek(stream, 0, &data), -EPERM);
        EQ(ouro_stream_consume(stream, 0), -EPERM);
        EQ(ouro_stream_write(stream, "x", 1), -EPERM);
        EQ(ouro_stream_printf(stream, "x"), -EPERM);
        EQ(ouro_stream_flush(stream), -EPERM);
        EQ(ouro_stream_shutdown(stream), -EPERM);
        EQ(ouro_stream_fd(stream), -EPERM);
        EQ(ouro_stream_info(stream, &counts), -EPERM);
        EQ(ouro_stream_close(stream), -EPERM);
        EQ(ouro_stream_abort(stream, false), -EPERM);
        return 0;
}

static void *other_thread(void *stream)
{
        return (void *)ouro_run(use_foreign, stream);
}

IN_LOOP(stream, another_loops_stream_is_refused)
{
        pthread_t thread;
        void *result;
        int peer;
        ouro_stream *stream = over_socket(&peer);

        EQ(pthread_create(&thread, NULL, other_thread, stream), 0);
        pthread_join(thread, &result);
        EQ((intptr_t)result, 0);
        EQ(ouro_stream_close(stream), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream, two_descriptors_are_one_stream_and_shutdown_closes_the_second)
{
        char text[4];
        int in[2], out[2];
        ouro_stream *stream;

        EQ(ouro_pipe(in), 0);
        EQ(ouro_pipe(out), 0);
        EQ(ouro_stream_open_two(in[0], out[1], NULL, &stream), 0);
        EQ(ouro_stream_fd(stream), in[0]);
        put(in[1], "in");
        EQ(ouro_stream_read(stream, text, 4), 2);
        EQ(ouro_stream_write(stream, "out", 3), 0);
        EQ(ouro_stream_shutdown(stream), 0);
        EQ(read(out[0], text, 4), 3);
        EQ(read(out[0], text, 4), 0);
        put(in[1], "on");
        EQ(ouro_stream_read(stream, text, 4), 2);
        EQ(ouro_stream_close(stream), 0);
        close(in[1]);
        close(out[0]);
        return 0;
}

IN_LOOP(stream, a_side_that_is_not_there_is_told)
{
        char byte;
        int fds[2];
        ouro_stream *stream;

        EQ(ouro_pipe(fds), 0);
        EQ(ouro_stream_open_two(fds[0], -1, NULL, &stream), 0);
        EQ(ouro_stream_write(stream, "x", 1), 0);
        EQ(ouro_stream_flush(stream), -EBADF);
        EQ(ouro_stream_abort(stream, false), 0);
        EQ(ouro_stream_open_two(-1, fds[1], NULL, &stream), 0);
        EQ(ouro_stream_read(stream, &byte, 1), -EBADF);
        EQ(ouro_stream_fd(stream), fds[1]);
        EQ(ouro_stream_close(stream), 0);
        return 0;
}

IN_LOOP(stream, a_borrowed_descriptor_stays_open)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;
        int fds[2];
        ouro_stream *stream;

        unix_pair(fds);
        options.borrowed = true;
        EQ(ouro_stream_open(fds[0], &options, &stream), 0);
        EQ(ouro_stream_write(stream, "x", 1), 0);
        EQ(ouro_stream_close(stream), 0);
        cr_assert_str_eq(got(fds[1]), "x");
        put(fds[0], "y");
        cr_assert_str_eq(got(fds[1]), "y");
        close_both(fds);
        return 0;
}

IN_LOOP(stream, a_terminal_is_read_by_lines)
{
        const char *line;
        struct termios raw;
        int master, slave;
        ouro_stream *stream;

        EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
        EQ(tcgetattr(slave, &raw), 0);
        raw.c_lflag &= ~(tcflag_t)ECHO;
        EQ(tcsetattr(slave, TCSANOW, &raw), 0);
        EQ(ouro_stream_open(slave, NULL, &stream), 0);
        put(master, "typed\n\004more\n"); /* an end of file (ctrl-D) in between, after which more comes */
        SAME(ouro_stream_read_line(stream, 0, &line), line, "typed");
        EQ(ouro_stream_read_line(stream, 0, &line), -ENODATA);
        SAME(ouro_stream_read_line(stream, 0, &line), line, "more");
        EQ(ouro_stream_close(stream), 0);
        close(master);
        return 0;
}

/* ---- closing ---- */

static intptr_t read_byte(void *arg)
{
        char byte;

        return ouro_stream_read(arg, &byte, 1);
}

static intptr_t read_line(void *arg)
{
        const char *line;

        return ouro_stream_read_line(arg, 0, &line);
}

static intptr_t peek_much(void *arg)
{
        const void *data;

        return ouro_stream_peek(arg, 100, &data);
}

static intptr_t write_block(void *arg)
{
        return ouro_stream_write(arg, block, sizeof block);
}

IN_LOOP(stream, close_ends_the_waits_of_others)
{
        ouro_fn *const readers[] = {read_byte, read_line, peek_much};

        for (size_t i = 0; i < 3; i++) {
                int peer;
                ouro_stream *stream = over_socket(&peer);
                ouro_task reader = waits_in(readers[i], stream), writer = waits_in(write_block, stream);

                EQ(ouro_stream_close(stream), 0);
                EQ(ouro_await(reader), -EBADF);
                EQ(ouro_await(writer), -EBADF);
                close(peer);
        }
        return 0;
}

IN_LOOP(stream, close_of_a_borrowed_one_ends_the_waits_of_others_too)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;
        int fds[2];
        ouro_stream *stream;
        ouro_task reader;

        unix_pair(fds);
        options.borrowed = true;
        EQ(ouro_stream_open(fds[0], &options, &stream), 0);
        reader = waits_in(read_byte, stream);
        EQ(ouro_stream_close(stream), 0);
        EQ(ouro_await(reader), -EBADF);
        put(fds[0], "still open");
        close_both(fds);
        return 0;
}

static void fill_socket(int fd)
{
        while (send(fd, block, 10000, MSG_DONTWAIT) > 0)
                ;
}

IN_LOOP(stream, close_tells_what_it_could_not_send_in_time)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;

        for (int i = 0; i < 2; i++) {
                int peer;
                ouro_stream *stream;

                options.linger_ns = i == 0 ? OURO_MS(5) : -1;
                stream = over_socket_with(&peer, &options);
                fill_socket(ouro_stream_fd(stream));
                EQ(ouro_stream_write(stream, "lost", 4), 0);
                EQ(ouro_stream_close(stream), -ETIME);
                close(peer);
        }
        return 0;
}

static intptr_t close_cancelled(void *arg)
{
        EQ(ouro_stream_write(arg, "last words", 10), 0);
        EQ(ouro_sleep(OURO_SEC(100)), -ECANCELED);
        return ouro_stream_close(arg) == 0 ? 1 : -1;
}

IN_LOOP(stream, a_cancelled_task_sends_its_last_words)
{
        int peer;
        ouro_stream *stream = over_socket(&peer);
        ouro_task task = waits_in(close_cancelled, stream);

        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), 1);
        cr_assert_str_eq(got(peer), "last words");
        close(peer);
        return 0;
}

static intptr_t close_it(void *arg)
{
        return ouro_stream_close(arg);
}

IN_LOOP(stream, while_close_sends_the_stream_is_no_longer_to_be_used)
{
        char byte;
        int peer;
        ouro_stream *stream = over_socket(&peer);
        ouro_task task;

        fill_socket(ouro_stream_fd(stream));
        EQ(ouro_stream_write(stream, "x", 1), 0);
        task = waits_in(close_it, stream);
        EQ(ouro_stream_read(stream, &byte, 1), -EBADF);
        EQ(ouro_stream_write(stream, "x", 1), -EBADF);
        EQ(ouro_stream_close(stream), -EBADF);
        EQ(ouro_stream_abort(stream, false), -EBADF);
        while (recv(peer, block, sizeof block, MSG_DONTWAIT) > 0)
                ;
        EQ(ouro_await(task), 0);
        close(peer);
        return 0;
}

IN_LOOP(stream, close_beside_a_writer_tells_that_something_is_lost)
{
        int peer;
        ouro_stream *stream = over_socket(&peer);
        ouro_task writer;

        fill_socket(ouro_stream_fd(stream));
        EQ(ouro_stream_write(stream, "kept back", 9), 0);
        writer = waits_in(write_block, stream);
        EQ(ouro_stream_close(stream), -EBUSY);
        EQ(ouro_await(writer), -EBADF);
        close(peer);
        return 0;
}

IN_LOOP(stream, abort_drops_what_is_kept_back_and_resets_if_asked)
{
        for (int reset = 0; reset < 2; reset++) {
                char text[8];
                int fds[2];
                ouro_stream *stream;

                tcp_pair(fds);
                EQ(ouro_stream_open(fds[0], NULL, &stream), 0);
                EQ(ouro_stream_write(stream, "never", 5), 0);
                EQ(ouro_stream_abort(stream, reset), 0);
                EQ(ouro_recv(fds[1], text, 8, 0), reset ? -ECONNRESET : 0);
                close(fds[1]);
        }
        return 0;
}

IN_LOOP(stream, f91_ten_thousand_streams_leave_nothing)
{
        for (int i = 0; i < 10000; i++) {
                char text[4];
                int peer;
                ouro_stream *stream = over_socket(&peer);

                EQ(ouro_stream_write(stream, "x", 1), 0);
                put(peer, "y\n");
                EQ(ouro_stream_read(stream, text, 4), 2);
                EQ(i % 2 ? ouro_stream_close(stream) : ouro_stream_abort(stream, false), 0);
                close(peer);
        }
        return 0;
}
