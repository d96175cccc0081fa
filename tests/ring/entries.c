/* Every entry that lib/io makes, on every backend: one set of results. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ring/drive.h"

static struct drive drive;
static char dir[] = "/tmp/ouro-entries-XXXXXX";

/* Runs body on io_uring, where that works, then on epoll, on epoll as on an old kernel. */
static void on_each(void (*body)(void))
{
        static const struct {
                const struct backend *backend;
                unsigned kernel;
        } forms[] = {{&backend_uring, 0}, {&backend_epoll, 0}, {&backend_epoll, OURO_KERNEL(5, 10)}};
        unsigned ran = 0;

        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
                int error = drive_open(&drive, forms[i].backend, forms[i].kernel, 0);

                if (error == -ENOSYS && forms[i].backend == &backend_uring)
                        continue;
                cr_assert_eq(error, 0);
                body();
                cr_assert_eq(drive.ring.in_flight, 0);
                ring_close(&drive.ring);
                ran++;
        }
        cr_assert_geq(ran, 2);
}

#define TEST_ON_EACH(name)                                                                                   \
        static void name(void);                                                                              \
        Test(entries, name)                                                                                  \
        {                                                                                                    \
                on_each(name);                                                                               \
        }                                                                                                    \
        static void name(void)

static void make_dir(void)
{
        cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
        cr_assert_eq(rmdir(dir), 0, "something is left in %s", dir);
}

TestSuite(entries, .init = make_dir, .fini = remove_dir, .timeout = 60);

/* Prepares an op by statement and runs it. */
#define RUN(prepare)                                                                                         \
        __extension__({                                                                                      \
                struct op op_;                                                                               \
                struct io_uring_sqe *sqe = op_begin(&op_);                                                   \
                                                                                                             \
                prepare;                                                                                     \
                drive_run(&drive, &op_);                                                                     \
        })

#define AT_POSITION ((__u64)-1)

static int open_file(const char *name, int flags)
{
        char path[64];

        snprintf(path, sizeof path, "%s/%s", dir, name);
        return open(path, flags | O_CLOEXEC, 0600);
}

static void remove_file(const char *name)
{
        char path[64];

        snprintf(path, sizeof path, "%s/%s", dir, name);
        cr_assert_eq(unlink(path), 0);
}

static void open_pair(int type, int pair[2])
{
        cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
        close(pair[0]);
        close(pair[1]);
}

TEST_ON_EACH(nop_and_what_is_unknown)
{
        cr_assert_eq(RUN(io_uring_prep_nop(sqe)), 0);
        cr_assert_eq(RUN(io_uring_prep_rw(250, sqe, 0, NULL, 0, 0)), -EINVAL);
}

/* ---- sockets ---- */

TEST_ON_EACH(recv_and_send)
{
        char buf[16] = {0};
        int pair[2];

        open_pair(SOCK_STREAM, pair);
        cr_assert_eq(RUN(io_uring_prep_send(sqe, pair[0], "hello", 5, 0)), 5);
        cr_assert_eq(RUN(io_uring_prep_recv(sqe, pair[1], buf, 2, MSG_PEEK)), 2);
        cr_assert_eq(RUN(io_uring_prep_recv(sqe, pair[1], buf, sizeof buf, 0)), 5);
        cr_assert_str_eq(buf, "hello");
        cr_assert_eq(RUN(io_uring_prep_recv(sqe, pair[1], buf, 1, MSG_DONTWAIT)), -EAGAIN);
        cr_assert_eq(RUN(io_uring_prep_send(sqe, pair[0], (void *)1, 5, 0)), -EFAULT);
        cr_assert_eq(RUN(io_uring_prep_recv(sqe, -1, buf, 1, 0)), -EBADF);
        shutdown(pair[0], SHUT_WR);
        cr_assert_eq(RUN(io_uring_prep_recv(sqe, pair[1], buf, 1, 0)), 0);
        close(pair[1]);
        cr_assert_eq(RUN(io_uring_prep_send(sqe, pair[0], "x", 1, MSG_NOSIGNAL)), -EPIPE);
        close(pair[0]);
}

TEST_ON_EACH(recv_of_all_waits_for_all)
{
        char buf[8] = {0};
        struct op op;
        int pair[2];

        open_pair(SOCK_STREAM, pair);
        io_uring_prep_recv(op_begin(&op), pair[0], buf, 6, MSG_WAITALL);
        drive_start(&drive, &op);
        for (int i = 0; i < 3; i++) {
                drive_waits(&drive, &op);
                cr_assert_eq(write(pair[1], "ab", 2), 2);
        }
        cr_assert_eq(drive_finish(&drive, &op), 6);
        cr_assert_str_eq(buf, "ababab");
        cr_assert_eq(write(pair[1], "cd", 2), 2);
        shutdown(pair[1], SHUT_WR);
        cr_assert_eq(RUN(io_uring_prep_recv(sqe, pair[0], buf, 6, MSG_WAITALL)), 2);
        close_pair(pair);
}

TEST_ON_EACH(recvmsg_of_all_continues_in_the_right_vector)
{
        enum { VECTORS = 20 };
        struct iovec iov[VECTORS];
        char buf[VECTORS * 3 + 1] = {0}, sent[VECTORS * 3];
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = VECTORS};
        struct op op;
        int pair[2];

        open_pair(SOCK_STREAM, pair);
        for (size_t i = 0; i < VECTORS; i++)
                iov[i] = (struct iovec){buf + 3 * i, 3};
        for (size_t i = 0; i < sizeof sent; i++)
                sent[i] = (char)('!' + i);
        io_uring_prep_recvmsg(op_begin(&op), pair[0], &msg, MSG_WAITALL);
        drive_start(&drive, &op);
        for (size_t at = 0, n; at < sizeof sent; at += n) {
                drive_waits(&drive, &op);
                n = sizeof sent - at < 7 ? sizeof sent - at : 7;
                cr_assert_eq(write(pair[1], sent + at, n), (ssize_t)n);
        }
        cr_assert_eq(drive_finish(&drive, &op), (int)sizeof sent);
        cr_assert_eq(memcmp(buf, sent, sizeof sent), 0);
        cr_assert_eq(iov[7].iov_len, 3);
        cr_assert_eq(msg.msg_iovlen, VECTORS);
        close_pair(pair);
}

TEST_ON_EACH(sendmsg_and_recvmsg_carry_descriptors_and_sizes)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } out = {.bytes = {0}}, in;
        char buf[4];
        struct iovec from = {"abcdefgh", 8}, to = {buf, sizeof buf};
        struct msghdr send = {.msg_iov = &from, .msg_iovlen = 1, .msg_control = &out};
        struct msghdr recv = {.msg_iov = &to, .msg_iovlen = 1, .msg_control = &in};
        int pair[2], passed;

        open_pair(SOCK_DGRAM, pair);
        send.msg_controllen = recv.msg_controllen = sizeof out;
        out.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&out.align), &pair[0], sizeof(int));
        cr_assert_eq(RUN(io_uring_prep_sendmsg(sqe, pair[0], &send, 0)), 8);
        cr_assert_eq(RUN(io_uring_prep_recvmsg(sqe, pair[1], &recv, MSG_CMSG_CLOEXEC)), 4);
        cr_assert(recv.msg_flags & MSG_TRUNC);
        memcpy(&passed, CMSG_DATA(&in.align), sizeof passed);
        cr_assert_eq(fcntl(passed, F_GETFD), FD_CLOEXEC);
        close(passed);
        close_pair(pair);
}

TEST_ON_EACH(transfers_on_what_is_no_socket)
{
        int fd = open_file("f", O_CREAT | O_RDWR);
        char byte;

        cr_assert_eq(RUN(io_uring_prep_recv(sqe, fd, &byte, 1, 0)), -ENOTSOCK);
        cr_assert_eq(RUN(io_uring_prep_send(sqe, fd, &byte, 1, 0)), -ENOTSOCK);
        cr_assert_eq(RUN(io_uring_prep_accept(sqe, fd, NULL, NULL, 0)), -ENOTSOCK);
        cr_assert_eq(RUN(io_uring_prep_shutdown(sqe, fd, SHUT_WR)), -ENOTSOCK);
        cr_assert_eq(RUN(io_uring_prep_connect(sqe, fd, &(struct sockaddr){.sa_family = AF_INET}, 16)),
                     -ENOTSOCK);
        close(fd);
        remove_file("f");
}

static int listen_tcp(int flags, int backlog, struct sockaddr_in *ret_addr)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof addr;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

        cr_assert_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
        cr_assert_eq(listen(fd, backlog), 0);
        cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        *ret_addr = addr;
        return fd;
}

static void accept_some(int flags)
{
        enum { PEERS = 5 };
        struct sockaddr_in addr, peer;
        socklen_t len = sizeof peer;
        int fd = listen_tcp(flags, 16, &addr), clients[PEERS];
        struct op ops[PEERS];

        for (int i = 0; i < PEERS; i++) {
                io_uring_prep_accept(op_begin(&ops[i]), fd, i ? NULL : (struct sockaddr *)&peer,
                                     i ? NULL : &len, SOCK_CLOEXEC);
                drive_start(&drive, &ops[i]);
        }
        drive_waits(&drive, &ops[0]);
        for (int i = 0; i < PEERS; i++) {
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                cr_assert_eq(connect(clients[i], (struct sockaddr *)&addr, sizeof addr), 0);
        }
        for (int i = 0; i < PEERS; i++) {
                cr_assert_geq(drive_finish(&drive, &ops[i]), 0);
                cr_assert_eq(fcntl(ops[i].res, F_GETFD), FD_CLOEXEC);
                cr_assert_eq(fcntl(ops[i].res, F_GETFL) & O_NONBLOCK, 0);
                close(ops[i].res);
                close(clients[i]);
        }
        cr_assert_eq(len, sizeof peer);
        cr_assert_eq(peer.sin_family, AF_INET);
        cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, flags ? O_NONBLOCK : 0);
        close(fd);
}

TEST_ON_EACH(accept_on_a_listener_that_blocks)
{
        accept_some(0);
}

static void accept_nonblocking(void)
{
        accept_some(SOCK_NONBLOCK);
}

Test(entries, accept_on_a_listener_that_does_not_block)
{
        drive_open(&drive, &backend_epoll, 0, 0); /* io_uring answers -EAGAIN here, and op.c polls */
        accept_nonblocking();
        ring_close(&drive.ring);
}

TEST_ON_EACH(accept_on_what_does_not_listen)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_eq(RUN(io_uring_prep_accept(sqe, fd, NULL, NULL, 0)), -EINVAL);
        close(fd);
}

/* Blocking and not: connected, refused, twice. Nothing of the socket's settings is changed for good. */
static void connect_some(int flags)
{
        struct sockaddr_in addr, nobody;
        int fd = listen_tcp(0, 16, &addr), closed = listen_tcp(0, 1, &nobody), client;
        struct timeval before = {7, 250000}, after;
        socklen_t len = sizeof after;

        close(closed);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
        cr_assert_eq(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof before), 0);
        cr_assert_eq(getsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &before, &len), 0); /* in whole ticks */
        cr_assert_eq(RUN(io_uring_prep_connect(sqe, client, (struct sockaddr *)&addr, sizeof addr)), 0);
        cr_assert_eq(RUN(io_uring_prep_connect(sqe, client, (struct sockaddr *)&addr, sizeof addr)),
                     -EISCONN);
        cr_assert_eq(getsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &after, &len), 0);
        cr_assert_eq(after.tv_sec, before.tv_sec);
        cr_assert_eq(after.tv_usec, before.tv_usec);
        cr_assert_eq(fcntl(client, F_GETFL) & O_NONBLOCK, flags ? O_NONBLOCK : 0);
        cr_assert_eq(RUN(io_uring_prep_send(sqe, client, "x", 1, 0)), 1);
        close(client);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
        cr_assert_eq(RUN(io_uring_prep_connect(sqe, client, (struct sockaddr *)&nobody, sizeof nobody)),
                     -ECONNREFUSED);
        close(client);
        close(fd);
}

TEST_ON_EACH(connect_of_a_socket_that_blocks)
{
        connect_some(0);
}

TEST_ON_EACH(connect_of_a_socket_that_does_not_block)
{
        connect_some(SOCK_NONBLOCK);
}

TEST_ON_EACH(connect_that_nobody_answers_can_be_cancelled)
{
        struct sockaddr_in addr;
        int fd = listen_tcp(0, 0, &addr), first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[2];
        struct op ops[2];

        cr_assert_eq(connect(first, (struct sockaddr *)&addr, sizeof addr), 0); /* now there is no room */
        for (int i = 0; i < 2; i++) {
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (i ? SOCK_NONBLOCK : 0), 0);
                io_uring_prep_connect(op_begin(&ops[i]), clients[i], (struct sockaddr *)&addr, sizeof addr);
                drive_start(&drive, &ops[i]);
        }
        drive_waits(&drive, &ops[0]);
        drive_waits(&drive, &ops[1]);
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(drive_cancel(&drive, &ops[i]), -ECANCELED);
                close(clients[i]);
        }
        close(first);
        close(fd);
}

TEST_ON_EACH(connect_of_datagrams_never_waits)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(9)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert_eq(RUN(io_uring_prep_connect(sqe, fd, (struct sockaddr *)&addr, sizeof addr)), 0);
        close(fd);
}

TEST_ON_EACH(shutdown_ends_one_side)
{
        int pair[2];
        char byte;

        open_pair(SOCK_STREAM, pair);
        cr_assert_eq(RUN(io_uring_prep_shutdown(sqe, pair[0], SHUT_WR)), 0);
        cr_assert_eq(read(pair[1], &byte, 1), 0);
        cr_assert_eq(RUN(io_uring_prep_shutdown(sqe, pair[0], 77)), -EINVAL);
        cr_assert_eq(RUN(io_uring_prep_shutdown(sqe, -1, SHUT_WR)), -EBADF);
        close_pair(pair);
}

/* ---- files ---- */

TEST_ON_EACH(files_are_written_and_read)
{
        int fd = open_file("f", O_CREAT | O_RDWR);
        char buf[16] = {0};

        cr_assert_eq(RUN(io_uring_prep_write(sqe, fd, "abcdefgh", 8, AT_POSITION)), 8);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, fd, "XY", 2, 3)), 2);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, buf, sizeof buf, 0)), 8);
        cr_assert_str_eq(buf, "abcXYfgh");
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, buf, 4, AT_POSITION)), 0);
        cr_assert_eq(lseek(fd, 2, SEEK_SET), 2);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, buf, 4, AT_POSITION)), 4);
        cr_assert_eq(lseek(fd, 0, SEEK_CUR), 6);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, buf, 4, 100)), 0);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, (void *)1, 4, 0)), -EFAULT);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, buf, 4, (__u64)-2)), -EINVAL);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, -1, buf, 4, 0)), -EBADF);
        close(fd);
        fd = open_file("f", O_RDONLY);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, fd, buf, 4, 0)), -EBADF);
        close(fd);
        remove_file("f");
}

/* Partly in memory and partly not: io_uring gives the whole all the same. */
TEST_ON_EACH(file_that_is_not_in_memory_is_read_whole)
{
        enum { BYTES = 3 << 20 };
        int fd = open_file("f", O_CREAT | O_RDWR);
        unsigned char *out = malloc(BYTES), *in = calloc(1, BYTES);

        for (int i = 0; i < BYTES; i++)
                out[i] = (unsigned char)(i * 31 >> 3);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, fd, out, BYTES, AT_POSITION)), BYTES);
        cr_assert_eq(RUN(io_uring_prep_fsync(sqe, fd, 0)), 0);
        cr_assert_eq(posix_fadvise(fd, BYTES / 2, 0, POSIX_FADV_DONTNEED), 0);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, in, BYTES, 0)), BYTES);
        cr_assert_eq(memcmp(in, out, BYTES), 0);
        memset(in, 0, BYTES);
        cr_assert_eq(posix_fadvise(fd, BYTES / 2, 0, POSIX_FADV_DONTNEED), 0);
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fd, in, BYTES, AT_POSITION)), BYTES);
        cr_assert_eq(memcmp(in, out, BYTES), 0);
        cr_assert_eq(lseek(fd, 0, SEEK_CUR), BYTES);
        free(in);
        free(out);
        close(fd);
        remove_file("f");
}

TEST_ON_EACH(many_reads_and_writes_of_one_file_at_a_time)
{
        enum { OPS = 64, BYTES = 8192 };
        static struct op ops[OPS];
        static char out[OPS][BYTES], in[OPS][BYTES];
        int fd = open_file("f", O_CREAT | O_RDWR);

        for (int i = 0; i < OPS; i++) {
                memset(out[i], i, BYTES);
                io_uring_prep_write(op_begin(&ops[i]), fd, out[i], BYTES, (__u64)i * BYTES);
                drive_start(&drive, &ops[i]);
        }
        for (int i = 0; i < OPS; i++)
                cr_assert_eq(drive_finish(&drive, &ops[i]), BYTES);
        for (int i = 0; i < OPS; i++) {
                io_uring_prep_read(op_begin(&ops[i]), fd, in[i], BYTES, (__u64)i * BYTES);
                drive_start(&drive, &ops[i]);
        }
        for (int i = 0; i < OPS; i++)
                cr_assert_eq(drive_finish(&drive, &ops[i]), BYTES);
        cr_assert_eq(memcmp(in, out, sizeof in), 0);
        close(fd);
        remove_file("f");
}

TEST_ON_EACH(directories_and_devices)
{
        int slash = open("/", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
        char buf[8];

        cr_assert_eq(RUN(io_uring_prep_read(sqe, slash, buf, sizeof buf, AT_POSITION)), -EISDIR);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, null, buf, sizeof buf, AT_POSITION)), 0);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, null, buf, sizeof buf, AT_POSITION)), 8);
        close(null);
        close(slash);
}

TEST_ON_EACH(names_are_opened_renamed_and_removed)
{
        char from[64], to[64];
        struct statx st;
        int fd;

        snprintf(from, sizeof from, "%s/a", dir);
        snprintf(to, sizeof to, "%s/b", dir);
        cr_assert_eq(RUN(io_uring_prep_openat(sqe, AT_FDCWD, from, O_RDWR, 0)), -ENOENT);
        fd = RUN(io_uring_prep_openat(sqe, AT_FDCWD, from, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
        cr_assert_geq(fd, 0);
        cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        cr_assert_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
        cr_assert_eq(RUN(io_uring_prep_openat(sqe, AT_FDCWD, from, O_CREAT | O_EXCL, 0640)), -EEXIST);
        cr_assert_eq(write(fd, "12345", 5), 5);
        cr_assert_eq(RUN(io_uring_prep_statx(sqe, AT_FDCWD, from, 0, STATX_SIZE | STATX_MODE, &st)), 0);
        cr_assert_eq(st.stx_size, 5);
        cr_assert_eq(st.stx_mode & 0777 & ~0640, 0);
        cr_assert_eq(RUN(io_uring_prep_statx(sqe, fd, "", AT_EMPTY_PATH, STATX_SIZE, &st)), 0);
        cr_assert_eq(RUN(io_uring_prep_statx(sqe, AT_FDCWD, to, 0, STATX_SIZE, &st)), -ENOENT);
        cr_assert_eq(RUN(io_uring_prep_renameat(sqe, AT_FDCWD, to, AT_FDCWD, from, 0)), -ENOENT);
        cr_assert_eq(RUN(io_uring_prep_renameat(sqe, AT_FDCWD, from, AT_FDCWD, to, 0)), 0);
        cr_assert_eq(RUN(io_uring_prep_unlinkat(sqe, AT_FDCWD, to, AT_REMOVEDIR)), -ENOTDIR);
        cr_assert_eq(RUN(io_uring_prep_unlinkat(sqe, AT_FDCWD, to, 0)), 0);
        cr_assert_eq(RUN(io_uring_prep_unlinkat(sqe, AT_FDCWD, to, 0)), -ENOENT);
        cr_assert_eq(RUN(io_uring_prep_unlinkat(sqe, AT_FDCWD, to, 0x4000)), -EINVAL);
        cr_assert_eq(RUN(io_uring_prep_close(sqe, fd)), 0);
        cr_assert_eq(RUN(io_uring_prep_close(sqe, fd)), -EBADF);
}

TEST_ON_EACH(names_relative_to_a_directory)
{
        int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

        fd = RUN(io_uring_prep_openat(sqe, at, "x", O_RDWR | O_CREAT, 0600));
        cr_assert_geq(fd, 0);
        cr_assert_eq(RUN(io_uring_prep_renameat(sqe, at, "x", at, "y", 0)), 0);
        cr_assert_eq(RUN(io_uring_prep_unlinkat(sqe, at, "y", 0)), 0);
        close(fd);
        close(at);
}

TEST_ON_EACH(fsync_of_all_and_of_data)
{
        int fd = open_file("f", O_CREAT | O_RDWR), fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(RUN(io_uring_prep_fsync(sqe, fd, 0)), 0);
        cr_assert_eq(RUN(io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC)), 0);
        cr_assert_eq(RUN(io_uring_prep_fsync(sqe, fd, 6)), -EINVAL);
        cr_assert_eq(RUN(io_uring_prep_fsync(sqe, fds[0], 0)), -EINVAL);
        cr_assert_eq(RUN(io_uring_prep_fsync(sqe, -1, 0)), -EBADF);
        close_pair(fds);
        close(fd);
        remove_file("f");
}

TEST_ON_EACH(close_of_anything)
{
        int pair[2], fds[2], file = open_file("f", O_CREAT | O_WRONLY), slash = open("/", O_RDONLY);

        open_pair(SOCK_STREAM, pair);
        cr_assert_eq(pipe(fds), 0);
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(RUN(io_uring_prep_close(sqe, pair[i])), 0);
                cr_assert_eq(RUN(io_uring_prep_close(sqe, fds[i])), 0);
        }
        cr_assert_eq(RUN(io_uring_prep_close(sqe, file)), 0);
        cr_assert_eq(RUN(io_uring_prep_close(sqe, slash)), 0);
        cr_assert_lt(fcntl(file, F_GETFD), 0);
        cr_assert_eq(RUN(io_uring_prep_close(sqe, file)), -EBADF);
        cr_assert_eq(RUN(io_uring_prep_close(sqe, -1)), -EBADF);
        remove_file("f");
}

/* ---- pipes and their kin ---- */

TEST_ON_EACH(pipes_are_read_and_written)
{
        char buf[16] = {0};
        struct op op;
        int fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        io_uring_prep_read(op_begin(&op), fds[0], buf, sizeof buf, AT_POSITION);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, fds[1], "hello", 5, AT_POSITION)), 5);
        cr_assert_eq(drive_finish(&drive, &op), 5);
        cr_assert_str_eq(buf, "hello");
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fds[1], buf, 1, AT_POSITION)), -EBADF);
        close(fds[1]);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fds[0], buf, 1, AT_POSITION)), 0);
        close(fds[0]);
}

TEST_ON_EACH(full_pipe_is_written_when_it_is_read)
{
        static char bytes[1 << 16];
        struct op op;
        int fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, fds[1], bytes, sizeof bytes, AT_POSITION)), sizeof bytes);
        io_uring_prep_write(op_begin(&op), fds[1], "more", 4, AT_POSITION);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fds[0], bytes, sizeof bytes, AT_POSITION)), sizeof bytes);
        cr_assert_eq(drive_finish(&drive, &op), 4);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, fds[0], bytes, sizeof bytes, AT_POSITION)), 4);
        close_pair(fds);
}

TEST_ON_EACH(read_and_write_of_sockets)
{
        char buf[8] = {0};
        struct op op;
        int pair[2];

        open_pair(SOCK_STREAM, pair);
        io_uring_prep_read(op_begin(&op), pair[0], buf, sizeof buf, AT_POSITION);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, pair[1], "hi", 2, AT_POSITION)), 2);
        cr_assert_eq(drive_finish(&drive, &op), 2);
        cr_assert_str_eq(buf, "hi");
        cr_assert_eq(RUN(io_uring_prep_read(sqe, pair[0], buf, 0, AT_POSITION)), 0);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, pair[0], buf, 1, 5)), -ESPIPE);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, pair[0], buf, 1, 5)), -ESPIPE);
        close_pair(pair);
}

TEST_ON_EACH(eventfd_and_timerfd)
{
        int event = eventfd(0, EFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        const struct itimerspec soon = {.it_value.tv_nsec = 2000000};
        uint64_t value = 0, three = 3;
        struct op op;

        io_uring_prep_read(op_begin(&op), event, &value, sizeof value, AT_POSITION);
        drive_start(&drive, &op);
        drive_waits(&drive, &op);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, event, &three, sizeof three, AT_POSITION)), 8);
        cr_assert_eq(drive_finish(&drive, &op), 8);
        cr_assert_eq(value, 3);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, event, &value, 4, AT_POSITION)), -EINVAL);
        cr_assert_eq(timerfd_settime(timer, 0, &soon, NULL), 0);
        cr_assert_eq(RUN(io_uring_prep_read(sqe, timer, &value, sizeof value, AT_POSITION)), 8);
        cr_assert_eq(value, 1);
        close(event);
        close(timer);
}

/* ---- poll ---- */

TEST_ON_EACH(f24_poll_of_a_file_is_ready_at_once)
{
        int fd = open_file("f", O_CREAT | O_RDWR), slash = open("/", O_RDONLY | O_CLOEXEC);

        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, fd, POLLIN)), POLLIN);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, fd, POLLIN | POLLOUT | POLLPRI)), POLLIN | POLLOUT);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, fd, POLLPRI)), -EINVAL);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, slash, POLLIN)), POLLIN);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, -1, POLLIN)), -EBADF);
        close(slash);
        close(fd);
        remove_file("f");
}

TEST_ON_EACH(poll_tells_of_a_peer_that_is_gone)
{
        int pair[2], fds[2];

        open_pair(SOCK_STREAM, pair);
        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, pair[0], POLLIN | POLLOUT)), POLLOUT);
        shutdown(pair[1], SHUT_WR);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, pair[0], POLLIN)), POLLIN | POLLRDHUP);
        close(pair[1]);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, pair[0], POLLIN)), POLLIN | POLLRDHUP | POLLHUP);
        close(fds[0]);
        cr_assert_eq(RUN(io_uring_prep_poll_add(sqe, fds[1], POLLIN)), POLLERR);
        close(pair[0]);
        close(fds[1]);
}

TEST_ON_EACH(poll_waits_for_what_it_asks)
{
        struct op in, out;
        int pair[2], size = 0;
        char byte = 0;

        open_pair(SOCK_STREAM, pair);
        io_uring_prep_poll_add(op_begin(&in), pair[0], POLLIN);
        drive_start(&drive, &in);
        drive_waits(&drive, &in);
        while (send(pair[0], &byte, 1, MSG_DONTWAIT) == 1)
                size++;
        io_uring_prep_poll_add(op_begin(&out), pair[0], POLLOUT);
        drive_start(&drive, &out);
        drive_waits(&drive, &out);
        while (size-- > 0)
                cr_assert_eq(read(pair[1], &byte, 1), 1);
        cr_assert_eq(drive_finish(&drive, &out), POLLOUT);
        drive_waits(&drive, &in);
        cr_assert_eq(write(pair[1], &byte, 1), 1);
        cr_assert_eq(drive_finish(&drive, &in), POLLIN);
        close_pair(pair);
}

/* ---- SIGPIPE ---- */

static void write_to_nobody(void)
{
        struct iovec iov = {"x", 1};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        int pair[2], fds[2];

        open_pair(SOCK_STREAM, pair);
        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        close(pair[1]);
        close(fds[0]);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, pair[0], "x", 1, AT_POSITION)), -EPIPE);
        cr_assert_eq(RUN(io_uring_prep_write(sqe, fds[1], "x", 1, AT_POSITION)), -EPIPE);
        cr_assert_eq(RUN(io_uring_prep_send(sqe, pair[0], "x", 1, MSG_NOSIGNAL)), -EPIPE);
        if (drive.ring.backend == &backend_epoll) { /* which adds it */
                cr_assert_eq(RUN(io_uring_prep_send(sqe, pair[0], "x", 1, 0)), -EPIPE);
                cr_assert_eq(RUN(io_uring_prep_sendmsg(sqe, pair[0], &msg, 0)), -EPIPE);
        }
        close(pair[0]);
        close(fds[1]);
}

/* A handler that is not run, nor later. */
static volatile sig_atomic_t pipe_signals;

static void on_sigpipe(int number)
{
        (void)number;
        pipe_signals++;
}

TEST_ON_EACH(f25_no_write_raises_sigpipe)
{
        sigset_t pending;

        signal(SIGPIPE, on_sigpipe);
        write_to_nobody();
        drive.ring.quiet_writes = false; /* as on older kernels */
        if (drive.ring.backend == &backend_epoll)
                write_to_nobody();
        cr_assert_eq(pipe_signals, 0);
        sigpending(&pending);
        cr_assert_not(sigismember(&pending, SIGPIPE));
}

Test(entries, sigpipe_of_others_stays_pending)
{
        sigset_t pipe, pending;

        cr_assert_eq(drive_open(&drive, &backend_epoll, OURO_KERNEL(6, 1), 0), 0);
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        sigprocmask(SIG_BLOCK, &pipe, NULL);
        raise(SIGPIPE);
        write_to_nobody();
        sigpending(&pending);
        cr_assert(sigismember(&pending, SIGPIPE));
        ring_close(&drive.ring);
}

/* ---- the wake ---- */

/* A thread that comes to wake may be so late that nobody waits any more. */
TEST_ON_EACH(wake_on_its_way_does_not_keep_the_ring_from_closing)
{
        ring_wake(&drive.ring);
}

TEST_ON_EACH(wake_after_wake_does_not_keep_the_ring_from_closing)
{
        ring_wake(&drive.ring);
        cr_assert_eq(ring_wait(&drive.ring, 0), 0);
        ring_wake(&drive.ring);
}
