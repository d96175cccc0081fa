/* Of lib/io/all.c: the forms that move everything, and tell how far they came. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(all, .init = temp_begin, .fini = temp_end);

enum { BYTES = 3 << 20, WINDOW_BYTES = 64 << 20 };

struct stream {
        int fd;
        char *buf;
        size_t len;
        size_t done;
        int (*move)(int fd, void *buf, size_t len, size_t *inout_done);
};

static int send_them(int fd, void *buf, size_t len, size_t *inout_done)
{
        return ouro_send_all(fd, buf, len, inout_done);
}

static int write_them(int fd, void *buf, size_t len, size_t *inout_done)
{
        return ouro_write_all(fd, buf, len, inout_done);
}

static intptr_t move(void *arg)
{
        struct stream *stream = arg;

        return stream->move(stream->fd, stream->buf, stream->len, &stream->done);
}

/* Far more than the pair holds: both sides move in many steps. The first `skip` bytes count as moved. */
static void check_stream(int from, int to, bool sockets, size_t skip)
{
        struct stream out = {from, malloc(BYTES), BYTES, skip, sockets ? send_them : write_them};
        struct stream in = {to, malloc(BYTES), BYTES, skip, sockets ? ouro_recv_all : ouro_read_all};

        fill(out.buf, BYTES, 0);
        memset(in.buf, 'u', BYTES);
        ouro_task tasks[2] = {ouro_create_task(move, &out), ouro_create_task(move, &in)};

        EQ(ouro_gather(tasks, 2, NULL), 0);
        EQ(out.done, BYTES);
        EQ(in.done, BYTES);
        cr_assert(filled(in.buf + skip, BYTES - skip, skip));
        for (size_t i = 0; i < skip; i++)
                if (in.buf[i] != 'u')
                        cr_assert_fail("byte %zu was overwritten", i);
        free(out.buf);
        free(in.buf);
}

IN_LOOP(all, f27_streams_move_everything_in_many_steps)
{
        int fds[2];

        unix_pair(fds);
        check_stream(fds[0], fds[1], true, 0);
        check_stream(fds[1], fds[0], false, 12345);
        close_both(fds);
        tcp_pair(fds);
        check_stream(fds[0], fds[1], true, 1);
        close_both(fds);
        EQ(pipe2(fds, O_CLOEXEC), 0);
        check_stream(fds[1], fds[0], false, 777);
        close_both(fds);
        return 0;
}

IN_LOOP(all, files_from_an_offset)
{
        int fd = ouro_open("file", O_RDWR | O_CREAT, 0600);
        char *out = malloc(BYTES), *in = malloc(BYTES);
        size_t done = 100;

        fill(out, BYTES, 0);
        EQ(ouro_pwrite_all(fd, out, BYTES, 50, NULL), 0);
        EQ(ouro_pread_all(fd, in, BYTES, 50, &done), 0);
        EQ(done, BYTES);
        cr_assert(filled(in + 100, BYTES - 100, 100));
        EQ(lseek(fd, 0, SEEK_CUR), 0);
        EQ(lseek(fd, 0, SEEK_END), BYTES + 50);
        EQ(ouro_pread_all(fd, in, 10, -1, NULL), -EINVAL);
        EQ(ouro_pwrite_all(fd, out, 10, -1, NULL), -EINVAL);
        EQ(ouro_close(fd), 0);
        free(out);
        free(in);
        return 0;
}

IN_LOOP(all, end_that_comes_first_is_told_with_how_far_it_came)
{
        char buf[64];
        size_t done = 0;
        int fds[2], fd = ouro_open("file", O_RDWR | O_CREAT, 0600);

        unix_pair(fds);
        EQ(ouro_send(fds[0], "1234567", 7, 0), 7);
        EQ(ouro_shutdown(fds[0], SHUT_WR), 0);
        EQ(ouro_recv_all(fds[1], buf, sizeof buf, &done), -ENODATA);
        EQ(done, 7);
        EQ(ouro_recv_all(fds[1], buf, sizeof buf, NULL), -ENODATA);
        EQ(ouro_write_all(fd, "12345", 5, NULL), 0);
        done = 2;
        EQ(ouro_pread_all(fd, buf, sizeof buf, 0, &done), -ENODATA);
        EQ(done, 5);
        EQ(ouro_read_all(fd, buf, sizeof buf, NULL), -ENODATA);
        close_both(fds);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(all, what_is_done_already_costs_nothing)
{
        char buf[4] = "";
        size_t done = 4;
        int fds[2];

        unix_pair(fds);
        EQ(ouro_recv_all(fds[0], buf, 4, &done), 0);
        EQ(ouro_recv_all(fds[0], NULL, 0, NULL), 0);
        EQ(ouro_send_all(fds[0], NULL, 0, NULL), 0);
        EQ(done, 4);
        close_both(fds);
        return 0;
}

IN_LOOP(all, bad_arguments_are_told_and_nothing_moved)
{
        char buf[4] = "";
        size_t done = 5;
        int fds[2];

        unix_pair(fds);
        EQ(ouro_send_all(fds[0], buf, 4, &done), -EINVAL);
        EQ(ouro_recv_all(fds[0], buf, 4, &done), -EINVAL);
        EQ(ouro_write_all(fds[0], buf, 4, &done), -EINVAL);
        EQ(ouro_read_all(fds[0], buf, 4, &done), -EINVAL);
        EQ(ouro_pwrite_all(fds[0], buf, 4, 0, &done), -EINVAL);
        EQ(ouro_pread_all(fds[0], buf, 4, 0, &done), -EINVAL);
        EQ(done, 5);
        done = 0;
        EQ(ouro_send_all(fds[0], NULL, 4, &done), -EINVAL);
        EQ(ouro_recv_all(fds[0], NULL, 4, &done), -EINVAL);
        EQ(ouro_send_all(-1, buf, 4, &done), -EBADF);
        EQ(ouro_recv_all(no_such_fd(), buf, 4, &done), -EBADF);
        EQ(done, 0);
        close_both(fds);
        return 0;
}

IN_LOOP(all, cut_short_in_the_middle_every_byte_moved_is_told)
{
        char *buf = malloc(BYTES);
        size_t sent = 0, received = 0;
        int fds[2];

        fill(buf, BYTES, 0);
        unix_pair(fds);
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_send_all(fds[0], buf, BYTES, &sent), -ETIME);
        }
        cr_assert(sent > 0 && sent < BYTES);
        struct stream rest = {fds[0], buf, BYTES, sent, send_them};
        ouro_task task = ouro_create_task(move, &rest);
        char *in = malloc(BYTES);

        OURO_TIMEOUT(0) {
                EQ(ouro_recv_all(fds[1], in, BYTES, &received), -ETIME);
        }
        EQ(received, 0);
        EQ(ouro_recv_all(fds[1], in, BYTES, &received), 0);
        EQ(ouro_await(task), 0);
        EQ(rest.done, BYTES);
        cr_assert(filled(in, BYTES, 0)); /* none lost, none twice */
        close_both(fds);
        free(buf);
        free(in);
        return 0;
}

IN_LOOP(all, peer_that_goes_away_is_told)
{
        static char buf[BYTES];
        size_t done = 0;
        int fds[2];

        unix_pair(fds);
        struct stream out = {fds[0], buf, BYTES, 0, send_them};
        ouro_task task = ouro_create_task(move, &out);

        for (int i = 0; i < 5; i++)
                ouro_sleep(OURO_US(100));
        cr_assert(out.done > 0);
        close(fds[1]);
        EQ(ouro_await(task), -EPIPE);
        cr_assert(out.done < BYTES);
        EQ(ouro_send_all(fds[0], buf, 4, &done), -EPIPE);
        EQ(done, 0);
        close(fds[0]);
        return 0;
}

/* ---- beyond 2 GiB ---- */

/* One window of memory, again and again: as much address space as is asked for. */
static char *wallpaper(size_t bytes)
{
        int fd = memfd_create("window", MFD_CLOEXEC);
        char *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        cr_assert(base != MAP_FAILED);
        EQ(ftruncate(fd, WINDOW_BYTES), 0);
        for (size_t at = 0; at < bytes; at += WINDOW_BYTES) {
                size_t len = bytes - at < WINDOW_BYTES ? bytes - at : WINDOW_BYTES;
                void *window = mmap(base + at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);

                cr_assert(window == base + at);
        }
        close(fd);
        return base;
}

IN_LOOP(all, f27_more_than_two_gib_in_one_call)
{
        const size_t len = ((size_t)1 << 31) + WINDOW_BYTES / 2 + 5;
        int file = memfd_create("sparse", MFD_CLOEXEC), sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
        char *buf = wallpaper(len);
        size_t done = 0;

        EQ(ftruncate(file, (off_t)len + 10), 0);
        EQ(pwrite(file, "last", 4, (off_t)len + 10 - 4), 4);
        EQ(ouro_pread_all(file, buf, len, 10, &done), 0);
        EQ(done, len);
        cr_assert_eq(memcmp(buf + len - 4, "last", 4), 0);
        done = 7;
        EQ(ouro_write_all(sink, buf, len, &done), 0);
        EQ(done, len);
        done = len - 20;
        EQ(ouro_pread_all(file, buf, len, 20, &done), -ENODATA); /* ten short of it */
        EQ(done, len - 10);
        EQ(munmap(buf, len), 0);
        close(file);
        close(sink);
        return 0;
}
