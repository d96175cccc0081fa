/* Of lib/io/file.c: files, pipes, eventfds and terminals; results and every documented error. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(file, .init = temp_begin, .fini = temp_end);

/* A new file with this text in it, open for both. */
static int file_of(const char *name, const char *text)
{
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        cr_assert(fd >= 0);
        EQ(write(fd, text, strlen(text)), strlen(text));
        EQ(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

/* ---- opening ---- */

IN_LOOP(file, open_gives_a_descriptor_that_is_close_on_exec)
{
        char buf[8];
        int fd = ouro_open("new", O_RDWR | O_CREAT | O_EXCL, 0640);
        struct stat st;

        cr_assert(fd >= 0);
        EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        EQ(fstat(fd, &st), 0);
        EQ(st.st_mode & 0700, 0600);
        EQ(ouro_write(fd, "text", 4), 4);
        EQ(ouro_read(fd, buf, sizeof buf), 0);
        EQ(ouro_pread(fd, buf, sizeof buf, 1), 3);
        cr_assert_eq(memcmp(buf, "ext", 3), 0);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(file, open_tells_its_errors)
{
        int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), file = file_of("file", "text");
        char long_name[5000];

        memset(long_name, 'n', sizeof long_name);
        long_name[sizeof long_name - 1] = '\0';
        EQ(ouro_open(NULL, O_RDONLY, 0), -EINVAL);
        EQ(ouro_open("", O_RDONLY, 0), -ENOENT);
        EQ(ouro_open("nothing", O_RDONLY, 0), -ENOENT);
        EQ(ouro_open("file", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
        EQ(ouro_open("file/below", O_RDONLY, 0), -ENOTDIR);
        EQ(ouro_open("file", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
        EQ(ouro_open(".", O_RDWR, 0), -EISDIR);
        EQ(ouro_open(long_name, O_RDONLY, 0), -ENAMETOOLONG);
        EQ(ouro_open((const char *)8, O_RDONLY, 0), -EFAULT);
        EQ(ouro_openat(-1, "file", O_RDONLY, 0), -EBADF);
        EQ(ouro_openat(no_such_fd(), "file", O_RDONLY, 0), -EBADF);
        EQ(ouro_openat(file, "file", O_RDONLY, 0), -ENOTDIR);
        int fd = ouro_openat(here, "file", O_RDONLY, 0);

        cr_assert(fd >= 0);
        EQ(ouro_close(fd), 0);
        close(here);
        close(file);
        return 0;
}

IN_LOOP(file, open_without_free_descriptors_is_told)
{
        struct rlimit before, none = {0, 0};

        close(file_of("file", ""));
        getrlimit(RLIMIT_NOFILE, &before);
        none.rlim_max = before.rlim_max;
        EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        int refused = ouro_open("file", O_RDONLY, 0);

        EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        EQ(refused, -EMFILE);
        return 0;
}

static intptr_t open_fifo(void *arg)
{
        return ouro_open("fifo", *(int *)arg, 0);
}

/* As open(2): not -ENXIO, as it would be with O_NONBLOCK, and not at once. */
IN_LOOP(file, opening_a_fifo_waits_for_its_other_end)
{
        int for_reading = O_RDONLY, for_writing = O_WRONLY, fds[2];

        EQ(mkfifo("fifo", 0600), 0);
        ouro_task writer = ouro_create_task(open_fifo, &for_writing);

        for (int i = 0; i < 10; i++)
                ouro_sleep(OURO_US(100));
        EQ(ouro_task_state(writer), OURO_STATE_WAITING);
        fds[0] = (int)ouro_await(ouro_create_task(open_fifo, &for_reading));
        fds[1] = (int)ouro_await(writer);
        cr_assert(fds[0] >= 0 && fds[1] >= 0);
        EQ(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
        EQ(ouro_write(fds[1], "x", 1), 1);
        EQ(ouro_read(fds[0], (char[1]){0}, 1), 1);
        close_both(fds);
        return 0;
}

/* ---- reading and writing ---- */

IN_LOOP(file, position_moves_with_read_and_write_alone)
{
        int fd = file_of("file", "0123456789");
        char buf[16];

        EQ(ouro_read(fd, buf, 4), 4);
        EQ(ouro_pread(fd, buf, 4, 8), 2);
        EQ(ouro_pwrite(fd, "ab", 2, 8), 2);
        EQ(ouro_write(fd, "__", 2), 2);
        EQ(ouro_read(fd, buf, sizeof buf), 4);
        cr_assert_eq(memcmp(buf, "67ab", 4), 0);
        EQ(ouro_read(fd, buf, sizeof buf), 0);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), 10);
        cr_assert_eq(memcmp(buf, "0123__67ab", 10), 0);
        close(fd);
        return 0;
}

/* Without the page cache between, the bytes come by another way. */
IN_LOOP(file, position_moves_without_the_page_cache_too)
{
        char *block = aligned_alloc(4096, 4096);
        int fd = ouro_open("file", O_RDWR | O_CREAT | O_DIRECT, 0600);

        if (fd == -EINVAL) {
                PASSED_OVER("no O_DIRECT here");
                free(block);
                return 0;
        }
        for (int i = 0; i < 4; i++) {
                memset(block, 'a' + i, 4096);
                EQ(ouro_write(fd, block, 4096), 4096);
                EQ(lseek(fd, 0, SEEK_CUR), (i + 1) * 4096);
        }
        EQ(lseek(fd, 0, SEEK_SET), 0);
        for (int i = 0; i < 4; i++) {
                EQ(ouro_read(fd, block, 4096), 4096);
                EQ(block[4095], 'a' + i);
        }
        EQ(ouro_read(fd, block, 4096), 0);
        EQ(ouro_close(fd), 0);
        free(block);
        return 0;
}

IN_LOOP(file, offsets_may_lie_far_behind_the_end)
{
        int fd = file_of("file", "x");
        const off_t far = ((off_t)1 << 33) + 7;
        char byte = 0;

        EQ(ouro_pread(fd, &byte, 1, far), 0);
        EQ(ouro_pwrite(fd, "y", 1, far), 1);
        EQ(ouro_pread(fd, &byte, 1, far), 1);
        EQ(byte, 'y');
        EQ(ouro_pread(fd, &byte, 1, far - 1), 1);
        EQ(byte, 0);
        EQ(lseek(fd, 0, SEEK_END), far + 1);
        close(fd);
        return 0;
}

IN_LOOP(file, appending_goes_to_the_end)
{
        int fd = file_of("file", "1234"), appender = ouro_open("file", O_WRONLY | O_APPEND, 0);
        char buf[8];

        EQ(ouro_write(appender, "56", 2), 2);
        EQ(ouro_read(fd, buf, sizeof buf), 6);
        close(fd);
        close(appender);
        return 0;
}

static intptr_t read_some(void *arg)
{
        char buf[8];

        return ouro_read(*(int *)arg, buf, sizeof buf);
}

IN_LOOP(file, pipe_read_waits_and_ends)
{
        int fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        ouro_task task = ouro_create_task(read_some, &fds[0]);

        ouro_yield();
        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_write(fds[1], "abc", 3), 3);
        EQ(ouro_await(task), 3);
        task = ouro_create_task(read_some, &fds[0]);
        ouro_yield();
        close(fds[1]);
        EQ(ouro_await(task), 0);
        close(fds[0]);
        return 0;
}

static intptr_t write_page(void *arg)
{
        static char page[4096];

        return ouro_write(*(int *)arg, page, sizeof page);
}

IN_LOOP(file, pipe_write_waits_for_room)
{
        static char sink[4096];
        int fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
        EQ(ouro_await(ouro_create_task(write_page, &fds[1])), 4096);
        ouro_task task = ouro_create_task(write_page, &fds[1]);

        for (int i = 0; i < 10; i++)
                ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_read(fds[0], sink, sizeof sink), 4096);
        EQ(ouro_await(task), 4096);
        close_both(fds);
        return 0;
}

IN_LOOP(file, eventfd_counts)
{
        int fd = eventfd(0, EFD_CLOEXEC);
        uint64_t value = 5;

        ouro_task task = ouro_create_task(read_some, &fd);
        ouro_yield();
        EQ(ouro_write(fd, &value, sizeof value), 8);
        EQ(ouro_await(task), 8);
        EQ(ouro_write(fd, &value, sizeof value), 8);
        EQ(ouro_write(fd, &value, sizeof value), 8);
        EQ(ouro_read(fd, &value, sizeof value), 8);
        EQ(value, 10);
        EQ(ouro_read(fd, &value, 4), -EINVAL); /* less than its eight bytes */
        close(fd);
        return 0;
}

IN_LOOP(file, terminal_reads_a_line)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        char name[64], buf[16];

        EQ(grantpt(master), 0);
        EQ(unlockpt(master), 0);
        EQ(ptsname_r(master, name, sizeof name), 0);
        int terminal = ouro_open(name, O_RDWR | O_NOCTTY, 0);
        ouro_task task = ouro_create_task(read_some, &terminal);

        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_write(master, "line\n", 5), 5);
        EQ(ouro_await(task), 5);
        EQ(ouro_write(terminal, "out", 3), 3);
        EQ(ouro_read_all(master, buf, 9, NULL), 0); /* the echo comes first */
        cr_assert_eq(memcmp(buf, "line\r\nout", 9), 0);
        EQ(ouro_close(terminal), 0);
        EQ(ouro_close(master), 0);
        return 0;
}

IN_LOOP(file, sockets_can_be_read_and_written)
{
        char buf[8];
        int fds[2];

        unix_pair(fds);
        EQ(ouro_write(fds[0], "abc", 3), 3);
        EQ(ouro_read(fds[1], buf, sizeof buf), 3);
        EQ(ouro_shutdown(fds[0], SHUT_WR), 0);
        EQ(ouro_read(fds[1], buf, sizeof buf), 0);
        close_both(fds);
        return 0;
}

static void check_no_position(int fd)
{
        char buf[4] = "";

        EQ(ouro_pread(fd, buf, sizeof buf, 0), -ESPIPE);
        EQ(ouro_pwrite(fd, buf, sizeof buf, 0), -ESPIPE);
        EQ(ouro_pread_all(fd, buf, sizeof buf, 0, NULL), -ESPIPE);
        EQ(ouro_pwrite_all(fd, buf, sizeof buf, 0, NULL), -ESPIPE);
}

IN_LOOP(file, where_there_is_no_position_offsets_are_refused)
{
        int pipes[2], sockets[2];

        EQ(pipe2(pipes, O_CLOEXEC), 0);
        unix_pair(sockets);
        check_no_position(sockets[0]);
        EQ(ouro_pread(pipes[0], (char[4]){0}, 4, 0), -ESPIPE);
        EQ(ouro_pwrite(pipes[1], "1234", 4, 0), -ESPIPE);
        close_both(pipes);
        close_both(sockets);
        return 0;
}

static void check_bad(int fd, int wanted)
{
        char buf[4] = "";

        EQ(ouro_read(fd, buf, sizeof buf), wanted);
        EQ(ouro_write(fd, buf, sizeof buf), wanted);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), wanted);
        EQ(ouro_pwrite(fd, buf, sizeof buf, 0), wanted);
        EQ(ouro_fsync(fd), wanted);
        EQ(ouro_fdatasync(fd), wanted);
        EQ(ouro_close(fd), wanted);
        EQ(ouro_poll(fd, POLLIN), wanted);
}

IN_LOOP(file, wrong_descriptors_are_told)
{
        int reader = file_of("file", "text"), writer = open("file", O_WRONLY | O_CLOEXEC);
        int dir = open(".", O_RDONLY | O_CLOEXEC);
        char buf[4] = "";

        close(reader);
        reader = open("file", O_RDONLY | O_CLOEXEC);
        check_bad(-1, -EBADF);
        check_bad(INT32_MIN, -EBADF);
        check_bad(INT32_MAX, -EBADF);
        check_bad(no_such_fd(), -EBADF);
        EQ(ouro_read(writer, buf, sizeof buf), -EBADF);
        EQ(ouro_write(reader, buf, sizeof buf), -EBADF);
        EQ(ouro_read(dir, buf, sizeof buf), -EISDIR);
        close(reader);
        close(writer);
        close(dir);
        return 0;
}

IN_LOOP(file, bad_arguments_are_told)
{
        int fd = file_of("file", "text"), full = open("/dev/full", O_RDWR | O_CLOEXEC);
        char buf[4] = "";

        EQ(ouro_read(fd, NULL, 1), -EINVAL);
        EQ(ouro_write(fd, NULL, 1), -EINVAL);
        EQ(ouro_pread(fd, NULL, 1, 0), -EINVAL);
        EQ(ouro_pwrite(fd, NULL, 1, 0), -EINVAL);
        EQ(ouro_pread(fd, buf, 4, -1), -EINVAL);
        EQ(ouro_pwrite(fd, buf, 4, -1), -EINVAL);
        EQ(ouro_pread(fd, buf, 4, INT64_MIN), -EINVAL);
        EQ(ouro_read(fd, (void *)8, 4), -EFAULT);
        EQ(ouro_write(full, buf, 4), -ENOSPC);
        EQ(lseek(fd, 0, SEEK_CUR), 0);
        close(fd);
        close(full);
        return 0;
}

IN_LOOP(file, lengths_of_zero_and_beyond_all_bounds)
{
        int fd = file_of("file", "text"), sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
        char buf[8];

        EQ(ouro_read(fd, NULL, 0), 0);
        EQ(ouro_write(fd, NULL, 0), 0);
        EQ(ouro_read(fd, buf, SIZE_MAX), 4);
        EQ(ouro_pread(fd, buf, SIZE_MAX, 2), 2);
        EQ(ouro_write(sink, buf, SIZE_MAX), 0x7ffff000);
        close(fd);
        close(sink);
        return 0;
}

/* As where the disk is full: what fitted is told, and what comes next goes behind it. */
IN_LOOP(file, write_that_ends_short_has_moved_the_position)
{
        int fd = file_of("file", ""), whole = file_of("whole", "");
        struct rlimit before, little;
        size_t done = 0;
        char buf[8];

        getrlimit(RLIMIT_FSIZE, &before);
        little = (struct rlimit){4, before.rlim_max};
        signal(SIGXFSZ, SIG_IGN);
        EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
        ssize_t first = ouro_write(fd, "123456", 6), second = ouro_write(fd, "56", 2);
        int all = ouro_write_all(whole, "123456", 6, &done);

        EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
        EQ(first, 4);
        EQ(second, -EFBIG);
        EQ(all, -EFBIG);
        EQ(done, 4);
        EQ(ouro_write_all(whole, "123456", 6, &done), 0);
        EQ(ouro_pread(whole, buf, sizeof buf, 0), 6);
        cr_assert_eq(memcmp(buf, "123456", 6), 0);
        close(fd);
        close(whole);
        return 0;
}

/* ---- files as wholes ---- */

IN_LOOP(file, sync_works_on_files_and_not_on_pipes)
{
        int fd = file_of("file", "text"), dir = open(".", O_RDONLY | O_CLOEXEC), fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(ouro_fsync(fd), 0);
        EQ(ouro_fdatasync(fd), 0);
        EQ(ouro_fsync(dir), 0);
        EQ(ouro_fsync(fds[1]), -EINVAL);
        EQ(ouro_fdatasync(fds[0]), -EINVAL);
        close(fd);
        close(dir);
        close_both(fds);
        return 0;
}

IN_LOOP(file, statx_tells_of_names_and_descriptors)
{
        int fd = file_of("file", "12345");
        struct statx stx;

        EQ(ouro_statx(AT_FDCWD, "file", 0, STATX_SIZE | STATX_TYPE, &stx), 0);
        EQ(stx.stx_size, 5);
        cr_assert(S_ISREG(stx.stx_mode));
        EQ(ouro_pwrite(fd, "6", 1, 5), 1);
        EQ(ouro_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &stx), 0);
        EQ(stx.stx_size, 6);
        EQ(symlink("file", "link"), 0);
        EQ(ouro_statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx), 0);
        cr_assert(S_ISLNK(stx.stx_mode));
        close(fd);
        return 0;
}

IN_LOOP(file, statx_tells_its_errors_and_leaves_the_output)
{
        struct statx stx, before;
        int fd = file_of("file", "");

        memset(&stx, 0x5a, sizeof stx);
        before = stx;
        EQ(ouro_statx(AT_FDCWD, NULL, 0, STATX_SIZE, &stx), -EINVAL);
        EQ(ouro_statx(AT_FDCWD, "file", 0, STATX_SIZE, NULL), -EINVAL);
        EQ(ouro_statx(AT_FDCWD, "nothing", 0, STATX_SIZE, &stx), -ENOENT);
        EQ(ouro_statx(AT_FDCWD, "", 0, STATX_SIZE, &stx), -ENOENT);
        EQ(ouro_statx(AT_FDCWD, "file", 0x40000000, STATX_SIZE, &stx), -EINVAL);
        EQ(ouro_statx(-1, "file", 0, STATX_SIZE, &stx), -EBADF);
        EQ(ouro_statx(fd, "file", 0, STATX_SIZE, &stx), -ENOTDIR);
        cr_assert_eq(memcmp(&stx, &before, sizeof stx), 0);
        close(fd);
        return 0;
}

IN_LOOP(file, unlink_removes_files_and_directories)
{
        close(file_of("file", ""));
        EQ(mkdir("dir", 0700), 0);
        EQ(ouro_unlink("file"), 0);
        EQ(ouro_unlink("file"), -ENOENT);
        EQ(ouro_unlink("dir"), -EISDIR);
        EQ(ouro_unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR), 0);
        EQ(ouro_unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR), -ENOENT);
        EQ(ouro_unlink(NULL), -EINVAL);
        EQ(ouro_unlinkat(AT_FDCWD, "dir", 0x40000000), -EINVAL);
        EQ(ouro_unlinkat(-1, "dir", 0), -EBADF);
        EQ(mkdir("full", 0700), 0);
        close(file_of("full/file", ""));
        EQ(ouro_unlinkat(AT_FDCWD, "full", AT_REMOVEDIR), -ENOTEMPTY);
        return 0;
}

IN_LOOP(file, rename_moves_and_replaces)
{
        char buf[8];

        close(file_of("a", "a"));
        close(file_of("b", "bb"));
        EQ(ouro_rename("a", "b"), 0);
        EQ(access("a", F_OK), -1);
        int fd = ouro_open("b", O_RDONLY, 0);

        EQ(ouro_read(fd, buf, sizeof buf), 1);
        EQ(ouro_close(fd), 0);
        close(file_of("c", ""));
        EQ(ouro_renameat(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_NOREPLACE), -EEXIST);
        EQ(ouro_renameat(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE), 0);
        EQ(ouro_renameat(AT_FDCWD, "b", AT_FDCWD, "c", 0x40000000), -EINVAL);
        EQ(ouro_rename("nothing", "c"), -ENOENT);
        EQ(ouro_rename(NULL, "c"), -EINVAL);
        EQ(ouro_rename("c", NULL), -EINVAL);
        EQ(ouro_renameat(-1, "b", AT_FDCWD, "c", 0), -EBADF);
        EQ(ouro_renameat(AT_FDCWD, "b", no_such_fd(), "c", 0), -EBADF);
        EQ(mkdir("dir", 0700), 0);
        EQ(ouro_rename("dir", "c"), -ENOTDIR);
        EQ(ouro_rename("c", "dir"), -EISDIR);
        return 0;
}

IN_LOOP(file, close_closes_and_tells_a_second_time)
{
        int fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(ouro_close(fds[1]), 0);
        EQ(ouro_read(fds[0], (char[1]){0}, 1), 0);
        EQ(ouro_close(fds[1]), -EBADF);
        EQ(ouro_close(fds[0]), 0);
        EQ(fcntl(fds[0], F_GETFD), -1);
        return 0;
}

/* ---- poll ---- */

static intptr_t poll_in(void *arg)
{
        return ouro_poll(*(int *)arg, POLLIN);
}

IN_LOOP(file, poll_waits_for_what_was_asked)
{
        int fds[2];

        unix_pair(fds);
        EQ(ouro_poll(fds[0], POLLOUT), POLLOUT);
        EQ(ouro_poll(fds[0], POLLOUT | POLLIN), POLLOUT);
        ouro_task task = ouro_create_task(poll_in, &fds[0]);

        ouro_yield();
        ouro_yield();
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_send(fds[1], "x", 1, 0), 1);
        EQ(ouro_await(task), POLLIN);
        EQ(ouro_poll(fds[0], POLLIN), POLLIN); /* nothing was taken */
        close(fds[1]);
        int events = ouro_poll(fds[0], POLLIN | POLLRDHUP);

        EQ(events & (POLLIN | POLLRDHUP | POLLHUP), POLLIN | POLLRDHUP | POLLHUP);
        close(fds[0]);
        return 0;
}

IN_LOOP(file, poll_tells_of_a_broken_pipe_unasked)
{
        int fds[2];

        EQ(pipe2(fds, O_CLOEXEC), 0);
        close(fds[0]);
        EQ(ouro_poll(fds[1], POLLIN) & POLLERR, POLLERR);
        close(fds[1]);
        return 0;
}

IN_LOOP(file, poll_tells_its_errors)
{
        int fds[2];

        unix_pair(fds);
        EQ(ouro_poll(fds[0], 0), -EINVAL);
        EQ(ouro_poll(fds[0], POLLIN | 0x40000000u), -EINVAL);
        EQ(ouro_poll(fds[0], POLLNVAL), -EINVAL);
        OURO_TIMEOUT(OURO_MS(1)) {
                EQ(ouro_poll(fds[0], POLLIN), -ETIME);
        }
        close_both(fds);
        return 0;
}

IN_LOOP(file, f24_regular_file_is_always_ready)
{
        int fd = file_of("file", ""), dir = open(".", O_RDONLY | O_CLOEXEC);

        EQ(ouro_poll(fd, POLLIN), POLLIN);
        EQ(ouro_poll(fd, POLLOUT), POLLOUT);
        EQ(ouro_poll(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
        EQ(ouro_poll(dir, POLLIN), POLLIN);
        close(fd);
        close(dir);
        return 0;
}

/* ---- cut short ---- */

static void check_cut_on_entry(int fd, int wanted)
{
        struct statx stx;
        char buf[4];

        EQ(ouro_open("made", O_RDWR | O_CREAT, 0600), wanted);
        EQ(ouro_read(fd, buf, sizeof buf), wanted);
        EQ(ouro_write(fd, "x", 1), wanted);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), wanted);
        EQ(ouro_pwrite(fd, "x", 1, 0), wanted);
        EQ(ouro_fsync(fd), wanted);
        EQ(ouro_fdatasync(fd), wanted);
        EQ(ouro_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &stx), wanted);
        EQ(ouro_unlink("file"), wanted);
        EQ(ouro_rename("file", "renamed"), wanted);
        EQ(ouro_poll(fd, POLLIN), wanted);
        EQ(access("made", F_OK), -1);
        EQ(access("file", F_OK), 0);
        EQ(pread(fd, buf, sizeof buf, 0), 4);
        cr_assert_eq(memcmp(buf, "text", 4), 0);
}

static intptr_t cancelled_calls(void *arg)
{
        int fd = *(int *)arg;

        EQ(ouro_cancel(ouro_self()), 0);
        check_cut_on_entry(fd, -ECANCELED);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(file, cancelled_task_does_nothing_but_close)
{
        int fd = file_of("file", "text");

        EQ(ouro_await(ouro_create_task(cancelled_calls, &fd)), 0);
        EQ(fcntl(fd, F_GETFD), -1);
        return 0;
}

IN_LOOP(file, expired_scope_does_nothing)
{
        int fd = file_of("file", "text");

        OURO_TIMEOUT(0) {
                check_cut_on_entry(fd, -ETIME);
                EQ(ouro_close(fd), 0);
        }
        return 0;
}

Test(file, outside_a_loop_nothing_works)
{
        int fd = file_of("file", "text");
        struct statx stx;
        char buf[4];

        EQ(ouro_open("file", O_RDONLY, 0), -EPERM);
        EQ(ouro_openat(AT_FDCWD, "file", O_RDONLY, 0), -EPERM);
        EQ(ouro_read(fd, buf, sizeof buf), -EPERM);
        EQ(ouro_write(fd, buf, sizeof buf), -EPERM);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), -EPERM);
        EQ(ouro_pwrite(fd, buf, sizeof buf, 0), -EPERM);
        EQ(ouro_read_all(fd, buf, sizeof buf, NULL), -EPERM);
        EQ(ouro_write_all(fd, buf, sizeof buf, NULL), -EPERM);
        EQ(ouro_fsync(fd), -EPERM);
        EQ(ouro_fdatasync(fd), -EPERM);
        EQ(ouro_statx(AT_FDCWD, "file", 0, STATX_SIZE, &stx), -EPERM);
        EQ(ouro_unlink("file"), -EPERM);
        EQ(ouro_rename("file", "other"), -EPERM);
        EQ(ouro_poll(fd, POLLIN), -EPERM);
        EQ(ouro_close(fd), -EPERM);
        close(fd);
}
