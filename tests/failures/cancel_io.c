/* Cancellation against real descriptors: who wins is open, but nothing is lost, doubled or written too late.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

enum { RACES = 2000, CROWD = 10000, LEN = 64, A_PASS = 128 /* switches */ };

TestSuite(cancel_io, .init = temp_begin, .fini = temp_end, .timeout = 100);

/* A few passes of the loop, each with a look at the kernel, so that races are met at different points. */
static void turn(int passes)
{
        for (int i = 0; i < passes * A_PASS; i++)
                ouro_yield();
}

/* ---- one receive against its cancel ---- */

struct receiver {
        int fd;
        char *keep; /* what it received */
        ssize_t result;
};

static intptr_t receive_on_a_stack(void *arg)
{
        struct receiver *receiver = arg;
        char buf[LEN];

        memset(buf, 'u', sizeof buf);
        receiver->result = ouro_recv(receiver->fd, buf, sizeof buf, 0);
        size_t used = receiver->result > 0 ? (size_t)receiver->result : 0;

        memcpy(receiver->keep, buf, used);
        for (size_t i = used; i < sizeof buf; i++)
                if (buf[i] != 'u')
                        return -EILSEQ; /* written, and not told of */
        /* Whatever writes into this frame from now on hits the next receiver's, in the same place. */
        return receiver->result;
}

/* Sends and cancels, in either order and with the loop between. True: the receiver had it. */
static bool race(int fds[2], unsigned round)
{
        char out[LEN], in[LEN];
        struct receiver receiver = {.fd = fds[0], .keep = in};
        ouro_task task = ouro_create_task(receive_on_a_stack, &receiver);

        fill(out, sizeof out, round);
        turn((int)(round % 4));
        if (round & 16)
                ouro_cancel(task);
        if (round & 32)
                turn(1);
        if (send(fds[1], out, sizeof out, 0) != LEN)
                return false;
        if (round & 64)
                turn((int)(round % 3));
        ouro_cancel(task);
        intptr_t result = ouro_await(task);

        if (result == LEN && filled(in, LEN, round))
                return true;
        EQ(result, -ECANCELED);
        EQ(recv(fds[0], in, sizeof in, MSG_DONTWAIT), LEN); /* still there, all of it */
        cr_assert(filled(in, LEN, round));
        return false;
}

static void check_races(int fds[2])
{
        unsigned received = 0;

        for (unsigned i = 0; i < RACES; i++)
                received += race(fds, i);
        EQ(recv(fds[0], (char[1]){0}, 1, MSG_DONTWAIT), -1);
        cr_assert(received > 0 && received < RACES, "no race: %u", received);
}

IN_LOOP(cancel_io, f01_cancel_against_arrival_loses_and_doubles_nothing)
{
        int fds[2];

        unix_pair(fds);
        check_races(fds);
        close_both(fds);
        tcp_pair(fds);
        check_races(fds);
        close_both(fds);
        return 0;
}

static intptr_t receive_in_a_scope(void *arg)
{
        struct receiver *receiver = arg;

        OURO_TIMEOUT(OURO_US(200)) {
                receiver->result = ouro_recv(receiver->fd, receiver->keep, LEN, 0);
        }
        return 0;
}

static intptr_t send_late(void *arg)
{
        int fd = *(int *)arg;
        char out[LEN];

        fill(out, sizeof out, 5);
        ouro_sleep(OURO_US(200));
        return ouro_send(fd, out, sizeof out, 0);
}

IN_LOOP(cancel_io, f09_expiry_against_completion_is_one_or_the_other)
{
        int fds[2];

        unix_pair(fds);
        for (int i = 0; i < 300; i++) {
                char in[LEN];
                struct receiver receiver = {.fd = fds[0], .keep = in};
                ouro_task tasks[2] = {ouro_create_task(send_late, &fds[1]),
                                      ouro_create_task(receive_in_a_scope, &receiver)};

                EQ(ouro_gather(tasks, 2, NULL), 0);
                if (receiver.result != LEN) {
                        EQ(receiver.result, -ETIME);
                        EQ(recv(fds[0], in, sizeof in, MSG_DONTWAIT), LEN);
                }
                cr_assert(filled(in, LEN, 5));
        }
        EQ(recv(fds[0], (char[1]){0}, 1, MSG_DONTWAIT), -1);
        close_both(fds);
        return 0;
}

/* ---- a crowd ---- */

static intptr_t time_out(void *arg)
{
        uint64_t value;
        ssize_t result = 0;

        OURO_TIMEOUT(OURO_MS(20)) {
                result = ouro_read(*(int *)arg, &value, sizeof value);
        }
        return result == -ETIME ? 0 : -EILSEQ;
}

static intptr_t time_out_all(void *arg)
{
        ouro_task *tasks = calloc(CROWD, sizeof *tasks);
        int fd = eventfd(0, EFD_CLOEXEC);

        (void)arg;
        for (int i = 0; i < CROWD; i++)
                tasks[i] = ouro_create_task(time_out, &fd);
        EQ(ouro_gather(tasks, CROWD, NULL), 0);
        free(tasks);
        close(fd);
        return 0;
}

Test(cancel_io, f06_ten_thousand_time_outs_over_sixteen_entries_all_end)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.entries = 16;
        EQ(ouro_run_with(&options, time_out_all, NULL), 0);
}

/* ---- files ---- */

enum { FILE_BYTES = 4 << 20 };

struct file_work {
        int fd;
        char *buf;
};

static intptr_t read_file(void *arg)
{
        struct file_work *work = arg;

        return ouro_pread(work->fd, work->buf, FILE_BYTES, 0);
}

static intptr_t sync_file(void *arg)
{
        struct file_work *work = arg;

        return ouro_fsync(work->fd);
}

static void drop_cache(int fd)
{
        EQ(fsync(fd), 0);
        EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* What the disk has begun cannot be stopped; the buffer is ours again only when it has ended. */
static void check_disk_read(int fd)
{
        struct file_work work = {fd, aligned_alloc(4096, FILE_BYTES)};

        for (int i = 0; i < 12; i++) {
                memset(work.buf, 0, FILE_BYTES);
                drop_cache(fd);
                ouro_task task = ouro_create_task(read_file, &work);

                turn(1 + i % 5);
                ouro_cancel(task);
                intptr_t result = ouro_await(task);

                if (result > 0)
                        cr_assert(filled(work.buf, (size_t)result, 0));
                else
                        EQ(result, -ECANCELED);
                memset(work.buf, 'm', FILE_BYTES);
                ouro_sleep(OURO_MS(2));
                for (size_t at = 0; at < FILE_BYTES; at += 512)
                        if (work.buf[at] != 'm')
                                cr_assert_fail("byte %zu was written after the read had returned", at);
        }
        free(work.buf);
}

IN_LOOP(cancel_io, f05_cancelled_disk_read_never_writes_into_a_buffer_given_back)
{
        int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600), direct;
        char *data = malloc(FILE_BYTES);

        fill(data, FILE_BYTES, 0);
        EQ(write(fd, data, FILE_BYTES), FILE_BYTES);
        free(data);
        check_disk_read(fd);
        direct = open("file", O_RDONLY | O_DIRECT | O_CLOEXEC);
        if (direct >= 0) {
                check_disk_read(direct);
                close(direct);
        } else {
                PASSED_OVER("no O_DIRECT here");
        }
        close(fd);
        return 0;
}

IN_LOOP(cancel_io, f05_cancelled_fsync_returns_when_it_has_ended)
{
        int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct file_work work = {fd, NULL};
        char *data = malloc(FILE_BYTES);

        fill(data, FILE_BYTES, 0);
        for (int i = 0; i < 8; i++) {
                EQ(pwrite(fd, data, FILE_BYTES, 0), FILE_BYTES);
                ouro_task task = ouro_create_task(sync_file, &work);

                turn(1 + i % 4);
                ouro_cancel(task);
                intptr_t result = ouro_await(task);

                if (result != 0)
                        EQ(result, -ECANCELED);
        }
        free(data);
        close(fd);
        return 0;
}

/* ---- what makes descriptors ---- */

static intptr_t accept_and_close(void *arg)
{
        int fd = ouro_accept(*(int *)arg, NULL, NULL);

        if (fd >= 0)
                EQ(ouro_close(fd), 0);
        return fd >= 0 ? 1 : fd;
}

/* A connection goes to the accept or stays with the listener. The leak check counts descriptors. */
IN_LOOP(cancel_io, f18_accept_that_succeeds_while_cancelled_leaks_nothing)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int listener = ouro_socket(AF_INET, SOCK_STREAM, 0), delivered = 0, kept = 0;
        socklen_t len = sizeof addr;

        EQ(ouro_bind(listener, (struct sockaddr *)&addr, len), 0);
        EQ(ouro_listen_on(listener, 16), 0);
        EQ(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        for (int i = 0; i < 600; i++) {
                ouro_task task = ouro_create_task(accept_and_close, &listener);
                int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                turn(i % 3);
                if (i & 8)
                        ouro_cancel(task);
                EQ(connect(client, (struct sockaddr *)&addr, len), 0);
                turn(i / 16 % 4);
                ouro_cancel(task);
                intptr_t result = ouro_await(task);

                if (result == 1) {
                        delivered++;
                } else {
                        EQ(result, -ECANCELED);
                        EQ(ouro_await(ouro_create_task(accept_and_close, &listener)), 1);
                        kept++;
                }
                close(client);
        }
        cr_assert(delivered > 0 && kept > 0, "no race: %d, %d", delivered, kept);
        EQ(ouro_close(listener), 0);
        return 0;
}

static intptr_t open_and_close(void *arg)
{
        int fd = ouro_open(arg, O_RDWR | O_CREAT, 0600);

        if (fd >= 0)
                EQ(ouro_close(fd), 0);
        return fd >= 0 ? 1 : fd;
}

IN_LOOP(cancel_io, f18_open_that_succeeds_while_cancelled_leaks_nothing)
{
        int opened = 0, cut = 0;

        for (int i = 0; i < 600 || ((opened == 0 || cut == 0) && i < 6000); i++) {
                ouro_task task = ouro_create_task(open_and_close, (char[]){"file"});

                turn(i % (i < 600 ? 40 : 400)); /* where the machine is slow, later */
                ouro_cancel(task);
                intptr_t result = ouro_await(task);

                if (result == 1) {
                        opened++;
                } else {
                        EQ(result, -ECANCELED);
                        cut++;
                }
        }
        cr_assert(opened > 0 && cut > 0, "no race: %d, %d", opened, cut);
        return 0;
}

/* ---- the end of the run ---- */

static int fds[2], full[2], pipes[2], listener, event;

static intptr_t stay_in_recv(void *arg)
{
        (void)arg;
        return ouro_recv(fds[0], (char[8]){0}, 8, 0);
}

static intptr_t stay_in_read(void *arg)
{
        (void)arg;
        return ouro_read(pipes[0], (char[8]){0}, 8);
}

static intptr_t stay_in_accept(void *arg)
{
        (void)arg;
        return ouro_accept(listener, NULL, NULL);
}

static intptr_t stay_in_poll(void *arg)
{
        (void)arg;
        return ouro_poll(event, POLLIN);
}

static intptr_t stay_in_send(void *arg)
{
        (void)arg;
        for (;;) {
                ssize_t n = ouro_send(full[1], (char[4096]){0}, 4096, 0);

                if (n < 0)
                        return n;
        }
}

static int ended_cancelled;

static intptr_t stay(void *arg)
{
        ouro_fn *how = *(ouro_fn **)arg;

        ended_cancelled += how(NULL) == -ECANCELED;
        return 0;
}

static ouro_fn *ways[] = {stay_in_recv, stay_in_read, stay_in_accept, stay_in_poll, stay_in_send};

static intptr_t leave_all(void *arg)
{
        (void)arg;
        listener = ouro_listen("tcp:127.0.0.1:0");
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                EQ(ouro_go(stay, &ways[i]), 0);
        turn(50); /* the sender has filled its pair */
        return 77;
}

Test(cancel_io, f15_run_that_ends_with_operations_in_flight_drains_them)
{
        unix_pair(fds);
        unix_pair(full);
        EQ(pipe2(pipes, O_CLOEXEC), 0);
        event = eventfd(0, EFD_CLOEXEC);
        for (int i = 0; i < 5; i++) {
                ended_cancelled = 0;
                EQ(ouro_run(leave_all, NULL), 77);
                EQ(ended_cancelled, sizeof ways / sizeof *ways);
                close(listener);
        }
        close_both(fds);
        close_both(full);
        close_both(pipes);
        close(event);
}

static intptr_t leave_at_once(void *arg)
{
        (void)arg;
        listener = ouro_listen("tcp:127.0.0.1:0");
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                EQ(ouro_go(stay, &ways[i]), 0);
        return 78; /* they start cancelled, and nothing ever begins */
}

Test(cancel_io, f15_run_that_ends_before_its_tasks_have_begun)
{
        unix_pair(fds);
        unix_pair(full);
        EQ(pipe2(pipes, O_CLOEXEC), 0);
        event = eventfd(0, EFD_CLOEXEC);
        EQ(ouro_run(leave_at_once, NULL), 78);
        EQ(ended_cancelled, sizeof ways / sizeof *ways);
        close(listener);
        close_both(fds);
        close_both(full);
        close_both(pipes);
        close(event);
}
