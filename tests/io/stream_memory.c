/* Of lib/io/stream_memory.c: pairs and buffers, and transports of the caller's. */
#include <sys/mman.h>

#include "support/streams.h"

TestSuite(stream_memory, .init = leaks_begin, .fini = leaks_end);

static char block[100000], back[100000];

IN_LOOP(stream_memory, a_pair_talks_both_ways)
{
        ouro_stream *pair[2];
        const char *line;

        EQ(ouro_stream_pair(0, NULL, pair), 0);
        EQ(ouro_stream_fd(pair[0]), -EBADF);
        EQ(ouro_stream_printf(pair[0], "ping\n"), 0);
        EQ(ouro_stream_flush(pair[0]), 0);
        SAME(ouro_stream_read_line(pair[1], 0, &line), line, "ping");
        EQ(ouro_stream_printf(pair[1], "pong\n"), 0);
        EQ(ouro_stream_shutdown(pair[1]), 0);
        SAME(ouro_stream_read_line(pair[0], 0, &line), line, "pong");
        EQ(ouro_stream_read_line(pair[0], 0, &line), -ENODATA);
        EQ(ouro_stream_printf(pair[0], "more\n"), 0);
        EQ(ouro_stream_close(pair[0]), 0);
        SAME(ouro_stream_read_line(pair[1], 0, &line), line, "more");
        EQ(ouro_stream_read_line(pair[1], 0, &line), -ENODATA);
        EQ(ouro_stream_close(pair[1]), 0);
        return 0;
}

static intptr_t write_block(void *arg)
{
        int error = ouro_stream_write(arg, block, sizeof block);

        return error < 0 ? error : ouro_stream_shutdown(arg);
}

IN_LOOP(stream_memory, a_small_pair_slows_its_writer_down)
{
        ouro_stream *pair[2];
        ouro_task task;

        fill(block, sizeof block, 1);
        EQ(ouro_stream_pair(7, NULL, pair), 0);
        task = waits_in(write_block, pair[0]);
        EQ(ouro_stream_read_exactly(pair[1], back, sizeof back, NULL), 0);
        EQ(ouro_await(task), 0);
        cr_assert(memcmp(block, back, sizeof block) == 0);
        EQ(ouro_stream_read(pair[1], back, 1), 0);
        EQ(ouro_stream_close(pair[0]), 0);
        EQ(ouro_stream_close(pair[1]), 0);
        return 0;
}

static intptr_t read_byte(void *arg)
{
        char byte;

        return ouro_stream_read(arg, &byte, 1);
}

IN_LOOP(stream_memory, closing_an_end_tells_both)
{
        ouro_stream *pair[2];
        ouro_task own, theirs;

        EQ(ouro_stream_pair(0, NULL, pair), 0);
        own = waits_in(read_byte, pair[0]);
        theirs = waits_in(read_byte, pair[1]);
        EQ(ouro_stream_close(pair[0]), 0);
        EQ(ouro_await(own), -EBADF);
        EQ(ouro_await(theirs), 0);
        EQ(ouro_stream_write(pair[1], "x", 1), 0);
        EQ(ouro_stream_flush(pair[1]), -EPIPE);
        EQ(ouro_stream_close(pair[1]), -EPIPE);
        EQ(ouro_stream_pair(16, NULL, pair), 0);
        own = waits_in(write_block, pair[0]);
        EQ(ouro_stream_close(pair[1]), 0);
        EQ(ouro_await(own), -EPIPE);
        EQ(ouro_stream_close(pair[0]), -EPIPE);
        return 0;
}

IN_LOOP(stream_memory, waits_of_a_pair_can_be_cut_short)
{
        ouro_stream *pair[2];
        ouro_task task;

        EQ(ouro_stream_pair(0, NULL, pair), 0);
        task = waits_in(read_byte, pair[0]);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(1)) {
                EQ(read_byte(pair[0]), -ETIME);
                EQ(write_block(pair[1]), -ETIME);
        }
        EQ(ouro_stream_abort(pair[0], true), 0);
        EQ(ouro_stream_abort(pair[1], false), 0);
        return 0;
}

IN_LOOP(stream_memory, a_buffer_is_read_to_its_end_and_not_written)
{
        struct ouro_stream_options borrowed = OURO_STREAM_OPTIONS_INIT;
        ouro_stream *stream, *pair[2];
        const char *line;

        EQ(ouro_stream_open_buffer("a\nb", 3, NULL, &stream), 0);
        SAME(ouro_stream_read_line(stream, 0, &line), line, "a");
        EQ(ouro_stream_read_line(stream, 0, &line), -ENODATA);
        EQ(ouro_stream_shutdown(stream), -EOPNOTSUPP);
        EQ(ouro_stream_write(stream, "x", 1), 0);
        EQ(ouro_stream_flush(stream), -EBADF);
        EQ(ouro_stream_abort(stream, false), 0);
        EQ(ouro_stream_open_buffer(NULL, 1, NULL, &stream), -EINVAL);
        EQ(ouro_stream_open_buffer(NULL, 0, NULL, NULL), -EINVAL);
        borrowed.borrowed = true;
        EQ(ouro_stream_open_buffer("", 0, &borrowed, &stream), -EINVAL);
        EQ(ouro_stream_pair(0, &borrowed, pair), -EINVAL);
        EQ(ouro_stream_pair(0, NULL, NULL), -EINVAL);
        return 0;
}

/* ---- a transport that tells what is done with it ---- */

struct odd {
        int fails_after; /* calls */
        int error;
        bool closed;
        bool freed;
};

static ssize_t odd_read(void *self, void *buf, size_t len)
{
        struct odd *odd = self;

        (void)len;
        if (odd->fails_after-- == 0)
                return odd->error;
        *(char *)buf = 'r';
        return 1;
}

static ssize_t odd_writev(void *self, const struct iovec *iov, int n)
{
        struct odd *odd = self;

        (void)iov, (void)n;
        return odd->fails_after-- == 0 ? odd->error : 1; /* one byte at a time */
}

static int odd_close(void *self)
{
        ((struct odd *)self)->closed = true;
        return -EIO;
}

static void odd_free(void *self)
{
        cr_assert(((struct odd *)self)->closed);
        ((struct odd *)self)->freed = true;
}

static const struct ouro_transport over_odd = {
        .size = sizeof over_odd,
        .read = odd_read,
        .writev = odd_writev,
        .close = odd_close,
        .free = odd_free,
};

IN_LOOP(stream_memory, a_transport_may_move_a_byte_at_a_time_and_fail)
{
        struct odd odd = {.fails_after = 4, .error = -EPROTO};
        ouro_stream *stream;
        char text[8];
        size_t done = 0;

        EQ(ouro_stream_open_on(&over_odd, &odd, NULL, &stream), 0);
        EQ(ouro_stream_read_exactly(stream, text, 8, &done), -EPROTO);
        EQ(done, 4);
        EQ(ouro_stream_read(stream, text, 8), -EPROTO);
        odd.fails_after = 3;
        EQ(ouro_stream_write(stream, "abcdef", 6), 0);
        EQ(ouro_stream_flush(stream), -EPROTO);
        EQ(counts_of(stream).sent_bytes, 3);
        EQ(ouro_stream_close(stream), -EPROTO);
        cr_assert(odd.closed && odd.freed);
        return 0;
}

IN_LOOP(stream_memory, an_error_of_close_is_told)
{
        struct odd odd = {.fails_after = -1};
        struct ouro_transport wanting = over_odd, unsized = over_odd;
        ouro_stream *stream;

        EQ(ouro_stream_open_on(&over_odd, &odd, NULL, &stream), 0);
        EQ(ouro_stream_write(stream, "abc", 3), 0);
        EQ(ouro_stream_close(stream), -EIO);
        wanting.read = NULL;
        EQ(ouro_stream_open_on(&wanting, &odd, NULL, &stream), -EINVAL);
        unsized.size = 0;
        EQ(ouro_stream_open_on(&unsized, &odd, NULL, &stream), -EINVAL);
        EQ(ouro_stream_open_on(NULL, &odd, NULL, &stream), -EINVAL);
        EQ(ouro_stream_open_on(&over_odd, &odd, NULL, NULL), -EINVAL);
        return 0;
}

IN_LOOP(stream_memory, a_write_that_makes_no_progress_is_an_error)
{
        struct odd odd = {.fails_after = 1, .error = 0};
        ouro_stream *stream;

        EQ(ouro_stream_open_on(&over_odd, &odd, NULL, &stream), 0);
        EQ(ouro_stream_write(stream, "abc", 3), 0);
        EQ(ouro_stream_flush(stream), -EIO);
        EQ(ouro_stream_abort(stream, false), -EIO);
        return 0;
}

/* ---- more than the kernel moves at a time ---- */

enum { MOST_AT_A_TIME = 0x7ffff000 };

/* Tells by addresses alone: nothing is touched, for there is no memory. */
struct far {
        const char *base;
        size_t done;
};

static ssize_t far_move(struct far *far, const void *at, size_t len)
{
        cr_assert_eq((const char *)at, far->base + far->done);
        len = len < MOST_AT_A_TIME ? len : MOST_AT_A_TIME;
        far->done += len;
        return (ssize_t)len;
}

static ssize_t far_read(void *self, void *buf, size_t len)
{
        return far_move(self, buf, len);
}

static ssize_t far_writev(void *self, const struct iovec *iov, int n)
{
        EQ(n, 1);
        return far_move(self, iov->iov_base, iov->iov_len);
}

static int far_close(void *self)
{
        (void)self;
        return 0;
}

IN_LOOP(stream_memory, f27_more_than_four_gib_go_in_one_call)
{
        const struct ouro_transport over_far = {
                .size = sizeof over_far, .read = far_read, .writev = far_writev, .close = far_close};
        const size_t len = ((size_t)4 << 30) + 12345;
        char *base = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        struct far far = {base, 0};
        ouro_stream *stream;
        size_t done = 0;

        cr_assert(base != MAP_FAILED);
        EQ(ouro_stream_open_on(&over_far, &far, NULL, &stream), 0);
        EQ(ouro_stream_read_exactly(stream, base, len, &done), 0);
        EQ(done, len);
        EQ(far.done, len);
        far.done = 0;
        EQ(ouro_stream_write(stream, base, len), 0);
        EQ(far.done, len);
        EQ(counts_of(stream).sent_bytes, len);
        EQ(ouro_stream_close(stream), 0);
        EQ(munmap(base, len), 0);
        return 0;
}
