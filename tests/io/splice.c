/* Of lib/io/splice.c, sendfile.c and direct.c: bytes moved inside the kernel, and every documented error. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(splice, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { LONG = 3 << 20, BLOCK = 64 * 1024 };

static char long_data[LONG], long_copy[LONG];

static void pipe_pair(int fds[2])
{
        EQ(pipe2(fds, O_CLOEXEC), 0);
}

static int temp_file(size_t len)
{
        int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        cr_assert(fd >= 0);
        fill(long_data, len, 0);
        EQ(write(fd, long_data, len), (ssize_t)len);
        return fd;
}

static void expect_no_signal(void)
{
        sigset_t pending;

        sigpending(&pending);
        cr_assert_not(sigismember(&pending, SIGPIPE));
}

/* ---- splice ---- */

IN_LOOP(splice, moves_what_is_there_through_a_pipe)
{
        int tcp[2], local[2], through[2];
        char got[8] = "";

        tcp_pair(tcp);
        unix_pair(local);
        pipe_pair(through);
        EQ(write(tcp[0], "abcde", 5), 5);
        EQ(ouro_splice(tcp[1], NULL, through[1], NULL, 100, 0), 5);
        EQ(ouro_splice(through[0], NULL, local[0], NULL, 3, 0), 3);
        EQ(ouro_splice(through[0], NULL, local[0], NULL, 100, 0), 2);
        EQ(read(local[1], got, sizeof got), 5);
        cr_assert_str_eq(got, "abcde");
        close_both(tcp);
        close_both(local);
        close_both(through);
        return 0;
}

IN_LOOP(splice, end_of_input_is_0)
{
        int tcp[2], through[2], other[2];

        tcp_pair(tcp);
        pipe_pair(through);
        pipe_pair(other);
        close(tcp[0]);
        EQ(ouro_splice(tcp[1], NULL, through[1], NULL, 100, 0), 0);
        close(other[1]);
        EQ(ouro_splice(other[0], NULL, through[1], NULL, 100, 0), 0);
        EQ(ouro_splice(through[0], NULL, tcp[1], NULL, 0, 0), 0);
        close(other[0]);
        close(tcp[1]);
        close_both(through);
        return 0;
}

struct line {
        int from[2], through[2], to[2];
};

static intptr_t feed(void *arg)
{
        const struct line *line = arg;

        EQ(ouro_write_all(line->from[0], long_data, LONG, NULL), 0);
        return ouro_shutdown(line->from[0], SHUT_WR);
}

static intptr_t drain(void *arg)
{
        const struct line *line = arg;

        EQ(ouro_read_all(line->to[1], long_copy, LONG, NULL), 0);
        return ouro_read(line->to[1], long_copy, 1);
}

static intptr_t relay(void *arg)
{
        const struct line *line = arg;
        ssize_t n;

        while ((n = ouro_splice(line->from[1], NULL, line->through[1], NULL, 1 << 20, 0)) > 0)
                for (ssize_t left = n, moved; left > 0; left -= moved) {
                        moved = ouro_splice(line->through[0], NULL, line->to[0], NULL, (size_t)left, 0);
                        cr_assert_gt(moved, 0);
                }
        EQ(n, 0);
        return ouro_shutdown(line->to[0], SHUT_WR);
}

/* With slow readers too: nothing of a socket that blocks makes the loop wait. */
static void run_relay(struct line *line)
{
        ouro_task tasks[3];

        fill(long_data, LONG, 0);
        memset(long_copy, 0, LONG);
        pipe_pair(line->through);
        tasks[0] = ouro_create_task(feed, line);
        tasks[1] = ouro_create_task(relay, line);
        tasks[2] = ouro_create_task(drain, line);
        EQ(ouro_gather(tasks, 3, NULL), 0);
        cr_assert(filled(long_copy + 1, LONG - 1, 1));
        close_both(line->from);
        close_both(line->through);
        close_both(line->to);
}

IN_LOOP(splice, relays_between_tcp_connections)
{
        struct line line;

        tcp_pair(line.from);
        tcp_pair(line.to);
        run_relay(&line);
        return 0;
}

IN_LOOP(splice, relays_between_unix_connections)
{
        struct line line;

        unix_pair(line.from);
        unix_pair(line.to);
        run_relay(&line);
        return 0;
}

static intptr_t splice_one(void *arg)
{
        const int *fds = arg;

        return ouro_splice(fds[0], NULL, fds[1], NULL, 1, 0);
}

/* A splice that waits must not take a place that another one needs. */
IN_LOOP(splice, any_number_wait_at_once)
{
        enum { MANY = 200 };
        static int fds[MANY][2], ends[MANY][2];
        ouro_task tasks[MANY];
        intptr_t results[MANY];
        int out[2];

        pipe_pair(out);
        EQ(fcntl(out[1], F_SETPIPE_SZ, 1 << 20), 1 << 20); /* each takes a place of its own in it */
        for (int i = 0; i < MANY; i++) {
                unix_pair(ends[i]);
                fds[i][0] = ends[i][0];
                fds[i][1] = out[1];
                tasks[i] = ouro_create_task(splice_one, fds[i]);
        }
        ouro_sleep(OURO_MS(1));
        for (int i = MANY; i-- > 0;)
                EQ(write(ends[i][1], "x", 1), 1);
        ouro_gather(tasks, MANY, results);
        for (int i = 0; i < MANY; i++) {
                EQ(results[i], 1);
                close_both(ends[i]);
        }
        close_both(out);
        return 0;
}

IN_LOOP(splice, moves_files_at_offsets_and_at_their_position)
{
        int file = temp_file(LONG), other = temp_file(0), through[2];
        off_t in = 1000, out = 7;
        char got[100];

        pipe_pair(through);
        EQ(ouro_splice(file, &in, through[1], NULL, 100, 0), 100);
        EQ(in, 1100);
        EQ(ouro_splice(through[0], NULL, other, &out, 60, 0), 60);
        EQ(out, 67);
        EQ(pread(other, got, 60, 7), 60);
        cr_assert(filled(got, 60, 1000));
        EQ(ouro_splice(through[0], NULL, other, NULL, 100, 0), 40);
        EQ(lseek(other, 0, SEEK_CUR), 40);
        EQ(lseek(file, 5, SEEK_SET), 5);
        EQ(ouro_splice(file, NULL, through[1], NULL, 10, 0), 10);
        EQ(lseek(file, 0, SEEK_CUR), 15);
        EQ(read(through[0], got, 100), 10);
        cr_assert(filled(got, 10, 5));
        in = LONG;
        EQ(ouro_splice(file, &in, through[1], NULL, 10, 0), 0);
        close_both(through);
        close(file);
        close(other);
        return 0;
}

static intptr_t splice_file(void *arg)
{
        const int *fds = arg;
        off_t at = 0;

        return ouro_splice(fds[0], &at, fds[1], NULL, 10, 0);
}

IN_LOOP(splice, a_file_waits_for_room_in_the_pipe)
{
        int file = temp_file(LONG), through[2], fds[2];
        ouro_task task;

        pipe_pair(through);
        EQ(fcntl(through[1], F_SETPIPE_SZ, 4096), 4096);
        EQ(write(through[1], long_data, 4096), 4096);
        fds[0] = file;
        fds[1] = through[1];
        task = ouro_create_task(splice_file, fds);
        for (int i = 0; i < 100; i++)
                ouro_yield();
        EQ(read(through[0], long_copy, 4096), 4096);
        EQ(ouro_await(task), 10);
        close_both(through);
        close(file);
        return 0;
}

IN_LOOP(splice, misuse_is_told_at_once)
{
        int tcp[2], a[2], b[2], file = temp_file(10);
        off_t at = 0, negative = -1;

        tcp_pair(tcp);
        pipe_pair(a);
        pipe_pair(b);
        EQ(ouro_splice(-1, NULL, a[1], NULL, 1, 0), -EBADF);
        EQ(ouro_splice(a[0], NULL, no_such_fd(), NULL, 1, 0), -EBADF);
        EQ(ouro_splice(tcp[0], NULL, tcp[1], NULL, 1, 0), -EINVAL);
        EQ(ouro_splice(file, NULL, tcp[1], NULL, 1, 0), -EINVAL);
        EQ(ouro_splice(a[0], NULL, a[0], NULL, 1, 0), -EINVAL);
        EQ(ouro_splice(a[0], NULL, a[1], NULL, 1, 0), -EINVAL);
        EQ(ouro_splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), -EINVAL);
        EQ(ouro_splice(a[0], &at, b[1], NULL, 1, 0), -ESPIPE);
        EQ(ouro_splice(a[0], NULL, tcp[1], &at, 1, 0), -ESPIPE);
        EQ(ouro_splice(file, &negative, b[1], NULL, 1, 0), -EINVAL);
        EQ(ouro_splice(a[1], NULL, b[1], NULL, 1, 0), -EBADF); /* not open for reading */
        EQ(ouro_tee(a[0], tcp[0], 1), -EINVAL);
        EQ(ouro_tee(a[0], a[0], 1), -EINVAL);
        EQ(ouro_tee(-1, a[1], 1), -EBADF);
        EQ(ouro_sendfile(tcp[0], -1, NULL, 1), -EBADF);
        EQ(ouro_sendfile(-1, file, NULL, 1), -EBADF);
        EQ(ouro_sendfile(tcp[0], a[0], NULL, 1), -EINVAL);
        EQ(ouro_sendfile(file, file, NULL, 1), -EINVAL);
        EQ(ouro_sendfile(tcp[0], file, &negative, 1), -EINVAL);
        EQ(ouro_sendfile_all(tcp[0], file, -1, 1, NULL), -EINVAL);
        EQ(ouro_sendfile_all(tcp[0], file, 0, 1, &(size_t){2}), -EINVAL);
        EQ(ouro_sendfile_all(tcp[0], file, INT64_MAX - 5, 20, &(size_t){10}), -EINVAL);
        close_both(tcp);
        close_both(a);
        close_both(b);
        close(file);
        return 0;
}

Test(splice, outside_a_loop_is_refused)
{
        EQ(ouro_splice(0, NULL, 1, NULL, 1, 0), -EPERM);
        EQ(ouro_tee(0, 1, 1), -EPERM);
        EQ(ouro_sendfile(1, 0, NULL, 1), -EPERM);
        EQ(ouro_sendfile_all(1, 0, 0, 1, NULL), -EPERM);
}

static void expect_broken_pipes(void)
{
        int tcp[2], a[2], b[2], c[2], file = temp_file(BLOCK), n = 0;
        off_t at = 0;

        tcp_pair(tcp);
        pipe_pair(a);
        pipe_pair(b);
        pipe_pair(c);
        EQ(write(a[1], long_data, 100), 100);
        close(b[0]);
        EQ(ouro_splice(a[0], NULL, b[1], NULL, 10, 0), -EPIPE);
        EQ(ouro_tee(a[0], b[1], 10), -EPIPE);
        EQ(ouro_splice(file, &at, b[1], NULL, 10, 0), -EPIPE);
        EQ(ouro_sendfile(b[1], file, &at, 10), -EPIPE);
        EQ(at, 0);
        EQ(shutdown(tcp[0], SHUT_WR), 0);
        EQ(ouro_splice(a[0], NULL, tcp[0], NULL, 10, 0), -EPIPE);
        EQ(ouro_sendfile(tcp[0], file, &at, 10), -EPIPE);
        EQ(ioctl(a[0], FIONREAD, &n), 0);
        cr_assert_geq(n, 90); /* a splice to a dead socket may have taken what it could not send */
        expect_no_signal();
        close(b[1]);
        close_both(tcp);
        close_both(a);
        close_both(c);
        close(file);
}

IN_LOOP(splice, f25_a_closed_peer_is_told_without_a_signal)
{
        expect_broken_pipes();
        return 0;
}

/* ---- cut short ---- */

static intptr_t splice_to_out(void *arg)
{
        const struct line *line = arg;

        return ouro_splice(line->through[0], NULL, line->to[0], NULL, LONG, 0);
}

IN_LOOP(splice, cancelled_while_it_waits_moves_nothing)
{
        int tcp[2], out[2], fds[2], n = 0;
        ouro_task task;

        tcp_pair(tcp);
        pipe_pair(out);
        fds[0] = tcp[1];
        fds[1] = out[1];
        task = ouro_create_task(splice_one, fds);
        ouro_yield();
        ouro_cancel(task);
        EQ(ouro_await(task), -ECANCELED);
        EQ(write(tcp[0], "x", 1), 1);
        OURO_TIMEOUT(OURO_SEC(30))
                EQ(ouro_splice(tcp[1], NULL, out[1], NULL, 1, 0), 1);
        EQ(ioctl(out[0], FIONREAD, &n), 0);
        EQ(n, 1);
        close_both(tcp);
        close_both(out);
        return 0;
}

IN_LOOP(splice, closing_either_end_ends_the_wait)
{
        int fds[2];

        for (int i = 0; i < 2; i++) {
                int tcp[2], out[2];
                ouro_task task;

                tcp_pair(tcp);
                pipe_pair(out);
                fds[0] = tcp[1];
                fds[1] = out[1];
                task = ouro_create_task(splice_one, fds);
                ouro_yield();
                EQ(ouro_close(i ? out[1] : tcp[1]), 0);
                EQ(ouro_await(task), -EBADF);
                close(tcp[0]);
                close(out[0]);
                close(i ? tcp[1] : out[1]);
        }
        return 0;
}

/* The peer reads nothing: what went into its buffer is told, the rest is still in the pipe. */
IN_LOOP(splice, cancelled_with_a_peer_that_reads_nothing_loses_no_byte)
{
        size_t told = 0, came = 0;
        struct line line;
        int n = 0;

        tcp_pair(line.to);
        pipe_pair(line.through);
        fcntl(line.through[1], F_SETPIPE_SZ, 1 << 20);
        fcntl(line.through[1], F_SETFL, O_NONBLOCK);
        for (bool full = false; !full;) {
                ouro_task task;
                intptr_t moved;

                while (write(line.through[1], long_data, BLOCK) > 0)
                        ;
                task = ouro_create_task(splice_to_out, &line);
                for (int i = 0; i < 50 && ouro_task_state(task) != OURO_STATE_ENDED; i++)
                        ouro_sleep(OURO_MS(1));
                ouro_cancel(task);
                moved = ouro_await(task);
                full = moved == -ECANCELED;
                cr_assert(full || moved > 0);
                told += full ? 0 : (size_t)moved;
        }
        while (came < told) {
                ssize_t got = ouro_recv(line.to[1], long_copy, LONG, 0);

                cr_assert_gt(got, 0);
                came += (size_t)got;
        }
        EQ(came, told);
        EQ(ioctl(line.to[1], FIONREAD, &n), 0);
        EQ(n, 0);
        close_both(line.to);
        close_both(line.through);
        return 0;
}

/* ---- tee ---- */

IN_LOOP(splice, tee_leaves_the_bytes_where_they_are)
{
        int a[2], b[2];
        char got[8] = "";

        pipe_pair(a);
        pipe_pair(b);
        EQ(write(a[1], "abc", 3), 3);
        EQ(ouro_tee(a[0], b[1], 10), 3);
        EQ(ouro_tee(a[0], b[1], 2), 2);
        EQ(ouro_tee(a[0], b[1], 0), 0);
        EQ(read(b[0], got, sizeof got), 5);
        cr_assert_str_eq(got, "abcab");
        EQ(read(a[0], got, sizeof got), 3);
        close(a[1]);
        EQ(ouro_tee(a[0], b[1], 10), 0);
        close(a[0]);
        close_both(b);
        return 0;
}

/* ---- sendfile ---- */

struct send {
        int file, fd;
};

static intptr_t send_whole(void *arg)
{
        const struct send *send = arg;
        size_t done = 0;

        EQ(ouro_sendfile_all(send->fd, send->file, 0, LONG, &done), 0);
        EQ(done, LONG);
        return 0;
}

static void expect_whole_file(int from, int to, bool cold)
{
        struct send send = {temp_file(LONG), from};
        ouro_task task;

        memset(long_copy, 0, LONG);
        if (cold) {
                EQ(fsync(send.file), 0);
                EQ(posix_fadvise(send.file, 0, 0, POSIX_FADV_DONTNEED), 0);
        }
        task = ouro_create_task(send_whole, &send);
        EQ(ouro_read_all(to, long_copy, LONG, NULL), 0);
        EQ(ouro_await(task), 0);
        cr_assert(filled(long_copy, LONG, 0));
        close(send.file);
}

IN_LOOP(splice, sendfile_sends_a_whole_file_to_sockets_and_pipes)
{
        for (int cold = 0; cold < 2; cold++) {
                int tcp[2], local[2], out[2];

                tcp_pair(tcp);
                unix_pair(local);
                pipe_pair(out);
                expect_whole_file(tcp[0], tcp[1], cold);
                expect_whole_file(local[0], local[1], cold);
                expect_whole_file(out[1], out[0], cold);
                close_both(tcp);
                close_both(local);
                close_both(out);
        }
        return 0;
}

IN_LOOP(splice, sendfile_moves_the_offset_or_the_position)
{
        int tcp[2], file = temp_file(1000);
        off_t at = 990;
        char got[32];
        size_t done = 4;

        tcp_pair(tcp);
        EQ(ouro_sendfile(tcp[0], file, &at, 0), 0);
        EQ(ouro_sendfile(tcp[0], file, &at, 100), 10);
        EQ(at, 1000);
        EQ(ouro_sendfile(tcp[0], file, &at, 100), 0);
        EQ(ouro_recv_all(tcp[1], got, 10, NULL), 0);
        cr_assert(filled(got, 10, 990));
        EQ(lseek(file, 3, SEEK_SET), 3);
        EQ(ouro_sendfile(tcp[0], file, NULL, 5), 5);
        EQ(lseek(file, 0, SEEK_CUR), 8);
        EQ(ouro_recv_all(tcp[1], got, 5, NULL), 0);
        cr_assert(filled(got, 5, 3));
        EQ(ouro_sendfile_all(tcp[0], file, 990, 12, &done), -ENODATA); /* shorter than was thought */
        EQ(done, 10);
        EQ(ouro_recv_all(tcp[1], got, 6, NULL), 0);
        cr_assert(filled(got, 6, 994));
        close_both(tcp);
        close(file);
        return 0;
}

/* Its size says 0. */
IN_LOOP(splice, sendfile_sends_files_that_tell_no_size)
{
        int tcp[2], file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        char got[5];

        tcp_pair(tcp);
        cr_assert_gt(ouro_sendfile(tcp[0], file, NULL, 4096), 5);
        EQ(ouro_recv_all(tcp[1], got, 5, NULL), 0);
        EQ(memcmp(got, "Name:", 5), 0);
        close_both(tcp);
        close(file);
        return 0;
}

static intptr_t send_on(void *arg)
{
        const struct send *send = arg;
        off_t at = 0;
        ssize_t n;

        do {
                at = 0;
                n = ouro_sendfile(send->fd, send->file, &at, LONG);
        } while (n > 0);
        return n;
}

IN_LOOP(splice, sendfile_to_a_peer_that_reads_nothing_is_cut_short)
{
        struct send send = {.file = temp_file(LONG)};
        int tcp[2], result = 0;
        ouro_task task;

        tcp_pair(tcp);
        send.fd = tcp[0];
        OURO_TIMEOUT(OURO_MS(100))
                result = (int)send_on(&send);
        EQ(result, -ETIME);
        task = ouro_create_task(send_on, &send);
        ouro_yield();
        ouro_yield();
        EQ(ouro_close(send.file), 0);
        EQ(ouro_await(task), -EBADF);
        close_both(tcp);
        return 0;
}
