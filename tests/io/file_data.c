/* Of lib/io/file_data.c: several buffers at a time, and copies inside the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(file_data, .init = temp_begin, .fini = temp_end);

static int new_file(const char *name, const char *text)
{
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        cr_assert_geq(fd, 0);
        EQ(write(fd, text, strlen(text)), strlen(text));
        EQ(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

IN_LOOP(file_data, several_buffers_are_one_transfer)
{
        int fd = new_file("file", "");
        char first[3], second[5];
        struct iovec out[] = {{(void *)(uintptr_t) "one ", 4}, {NULL, 0}, {(void *)(uintptr_t) "two", 3}};
        struct iovec in[] = {{first, sizeof first}, {second, sizeof second}};

        EQ(ouro_writev(fd, out, 3), 7);
        EQ(lseek(fd, 0, SEEK_CUR), 7);
        EQ(ouro_preadv(fd, in, 2, 1, 0), 6);
        cr_assert(memcmp(first, "ne ", 3) == 0 && memcmp(second, "two", 3) == 0);
        EQ(ouro_pwritev(fd, out, 1, 7, RWF_DSYNC), 4);
        EQ(lseek(fd, 2, SEEK_SET), 2);
        EQ(ouro_readv(fd, in, 2), 8);
        cr_assert(memcmp(first, "e t", 3) == 0 && memcmp(second, "woone", 5) == 0);
        EQ(lseek(fd, 0, SEEK_CUR), 10);
        EQ(ouro_readv(fd, in, 2), 1);
        EQ(ouro_readv(fd, in, 2), 0);
        EQ(ouro_readv(fd, NULL, 0), 0);
        close(fd);
        return 0;
}

/* Odd lengths, so that a resumed transfer begins inside a buffer. */
IN_LOOP(file_data, many_buffers_are_filled_in_order)
{
        enum { PARTS = IOV_MAX, PART = 1999 };
        static char buf[PARTS * PART];
        static struct iovec iov[PARTS];
        int fd = new_file("file", "");

        for (int i = 0; i < PARTS; i++)
                iov[i] = (struct iovec){buf + i * PART, PART};
        fill(buf, sizeof buf, 0);
        EQ(ouro_pwritev(fd, iov, PARTS, 0, 0), sizeof buf);
        EQ(fsync(fd), 0);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        memset(buf, 0, sizeof buf);
        EQ(ouro_preadv(fd, iov, PARTS, 0, 0), sizeof buf);
        cr_assert(filled(buf, sizeof buf, 0));
        posix_fadvise(fd, 0, sizeof buf / 2, POSIX_FADV_DONTNEED); /* half of it in memory */
        memset(buf, 0, sizeof buf);
        EQ(ouro_preadv(fd, iov, PARTS, 0, 0), sizeof buf);
        cr_assert(filled(buf, sizeof buf, 0));
        close(fd);
        return 0;
}

static intptr_t write_parts(void *arg)
{
        struct iovec iov[] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cd", 2}};

        return ouro_writev(*(int *)arg, iov, 2);
}

static void read_late(int fds[2])
{
        char first[3], second[5];
        struct iovec iov[] = {{first, sizeof first}, {second, sizeof second}};
        ouro_task task = ouro_create_task(write_parts, &fds[1]);

        EQ(ouro_readv(fds[0], iov, 2), 4); /* waits */
        EQ(ouro_await(task), 4);
        cr_assert(memcmp(first, "abc", 3) == 0 && second[0] == 'd');
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_writev(fds[1], iov, 2), -EPIPE); /* and no signal */
        EQ(ouro_close(fds[1]), 0);
}

IN_LOOP(file_data, pipes_and_sockets_are_waited_for)
{
        int fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        read_late(fds);
        EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        read_late(fds);
        unix_pair(fds);
        read_late(fds);
        return 0;
}

/* A datagram is one, however many parts it has. */
IN_LOOP(file_data, datagrams_stay_whole)
{
        enum { PARTS = 100 };
        struct iovec iov[PARTS];
        char buf[PARTS + 1];
        int fds[2];

        EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        for (int i = 0; i < PARTS; i++)
                iov[i] = (struct iovec){(void *)(uintptr_t) "x", 1};
        EQ(ouro_writev(fds[0], iov, PARTS), PARTS);
        EQ(ouro_read(fds[1], buf, sizeof buf), PARTS);
        close_both(fds);
        return 0;
}

static intptr_t read_parts(void *arg)
{
        char part[4];
        struct iovec iov = {part, sizeof part};

        return ouro_readv(*(int *)arg, &iov, 1);
}

IN_LOOP(file_data, waiting_is_cut_short)
{
        int fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        ouro_task task = ouro_create_task(read_parts, &fds[0]);

        ouro_sleep(OURO_US(100));
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        task = ouro_create_task(read_parts, &fds[0]);
        ouro_sleep(OURO_US(100));
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_await(task), -EBADF);
        close(fds[1]);
        return 0;
}

IN_LOOP(file_data, vectors_tell_their_errors)
{
        int fd = new_file("file", "text"), fds[2];
        char byte;
        struct iovec iov = {&byte, 1}, bad = {(void *)8, 1}, huge[2] = {{&byte, SIZE_MAX}, {&byte, 1}};

        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(ouro_readv(-1, &iov, 1), -EBADF);
        EQ(ouro_readv(fd, &iov, -1), -EINVAL);
        EQ(ouro_readv(fd, &iov, IOV_MAX + 1), -EINVAL);
        EQ(ouro_readv(fd, NULL, 1), -EINVAL);
        EQ(ouro_readv(fd, huge, 2), -EINVAL);
        EQ(ouro_readv(fd, &bad, 1), -EFAULT);
        EQ(ouro_preadv(fd, &iov, 1, -1, 0), -EINVAL);
        EQ(ouro_preadv(fds[0], &iov, 1, 0, 0), -ESPIPE);
        EQ(ouro_preadv(fd, &iov, 1, 0, 0x1000000), -EOPNOTSUPP);
        EQ(ouro_pwritev(fd, &iov, 1, 0, 0x1000000), -EOPNOTSUPP);
        EQ(ouro_writev(no_such_fd(), &iov, 1), -EBADF);
        close_both(fds);
        close(fd);
        return 0;
}

IN_LOOP(file_data, what_must_not_wait_says_so)
{
        int fd = new_file("file", "text");
        char buf[4];
        struct iovec iov = {buf, sizeof buf};
        ssize_t n;

        fsync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        n = ouro_preadv(fd, &iov, 1, 0, RWF_NOWAIT);
        cr_assert(n == 4 || n == -EAGAIN || n == -EOPNOTSUPP);
        close(fd);
        return 0;
}

/* ---- copies ---- */

IN_LOOP(file_data, copy_moves_the_offsets_it_was_given)
{
        int in = new_file("in", "0123456789"), out = new_file("out", "");
        off_t from = 2, to = 1;
        char buf[16];

        EQ(ouro_copy_file_range(in, &from, out, &to, 5), 5);
        EQ(from, 7);
        EQ(to, 6);
        EQ(lseek(in, 0, SEEK_CUR), 0);
        EQ(ouro_pread(out, buf, sizeof buf, 0), 6);
        cr_assert_eq(memcmp(buf,
                            "\0"
                            "23456",
                            6),
                     0);
        EQ(ouro_copy_file_range(in, NULL, out, NULL, 100), 10);
        EQ(lseek(in, 0, SEEK_CUR), 10);
        EQ(ouro_copy_file_range(in, NULL, out, NULL, 100), 0);
        EQ(ouro_copy_file_range(-1, NULL, out, NULL, 100), -EBADF);
        EQ(ouro_copy_file_range(in, NULL, no_such_fd(), NULL, 100), -EBADF);
        close(in);
        close(out);
        return 0;
}

IN_LOOP(file_data, a_clone_works_or_says_why_not)
{
        int in = new_file("in", "0123456789"), out = new_file("out", "");
        int result = ouro_clone(in, out);
        char buf[16];

        cr_assert(result == 0 || result == -EOPNOTSUPP);
        EQ(ouro_pread(out, buf, sizeof buf, 0), result == 0 ? 10 : 0);
        EQ(ouro_clone(-1, out), -EBADF);
        EQ(ouro_clone(no_such_fd(), out), -EBADF);
        close(in);
        close(out);
        return 0;
}

Test(file_data, outside_a_loop_is_refused)
{
        char byte;
        struct iovec iov = {&byte, 1};

        EQ(ouro_readv(0, &iov, 1), -EPERM);
        EQ(ouro_writev(0, &iov, 1), -EPERM);
        EQ(ouro_preadv(0, &iov, 1, 0, 0), -EPERM);
        EQ(ouro_copy_file_range(0, NULL, 1, NULL, 1), -EPERM);
        EQ(ouro_clone(0, 1), -EPERM);
}

struct copying {
        int in, out;
        bool ended;
};

static intptr_t copies(void *arg)
{
        struct copying *copying = arg;
        off_t from = 0, to = 0;
        ssize_t n = ouro_copy_file_range(copying->in, &from, copying->out, &to, 64 << 20);

        copying->ended = true;
        return n;
}

/* Else the number could be another file's while a helper still reads by it. */
IN_LOOP(file_data, f20_original_is_closed_only_when_its_copy_has_ended)
{
        struct copying copying = {.in = new_file("from", "begin"), .out = new_file("to", "")};
        ouro_task task;

        EQ(posix_fallocate(copying.in, 0, 64 << 20), 0);
        task = ouro_create_task(copies, &copying);
        EQ(ouro_yield(), 0);
        EQ(ouro_close(copying.in), 0);
        cr_assert(copying.ended);
        cr_assert(ouro_await(task) > 0);
        EQ(ouro_close(copying.out), 0);
        return 0;
}
