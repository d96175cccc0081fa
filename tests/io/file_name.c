/* Of lib/io/file_name.c: what makes, names and finds files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "support/in_loop.h"
#include "support/paths.h"
#include "support/temp_dir.h"

TestSuite(file_name, .init = temp_begin, .fini = temp_end);

static void make_file(const char *name)
{
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        EQ(write(fd, "text", 4), 4);
        close(fd);
}

static mode_t mode_of(const char *name)
{
        struct stat st;

        EQ(lstat(name, &st), 0);
        return st.st_mode;
}

/* ---- openat2 ---- */

static int open2(const char *path, uint64_t flags, uint64_t resolve)
{
        struct open_how how = {.flags = flags, .resolve = resolve};

        return ouro_openat2(AT_FDCWD, path, &how, sizeof how);
}

IN_LOOP(file_name, openat2_keeps_beneath_the_directory)
{
        int fd;

        EQ(ouro_mkdir("dir", 0700), 0);
        make_file("outside");
        make_file("dir/inside");
        EQ(ouro_symlink("../outside", "dir/out"), 0);
        EQ(ouro_symlink("inside", "dir/in"), 0);
        int dir = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct open_how beneath = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};

        EQ(ouro_openat2(dir, "../outside", &beneath, sizeof beneath), -EXDEV);
        EQ(ouro_openat2(dir, "/etc/passwd", &beneath, sizeof beneath), -EXDEV);
        EQ(ouro_openat2(dir, "out", &beneath, sizeof beneath), -EXDEV);
        fd = ouro_openat2(dir, "in", &beneath, sizeof beneath);
        cr_assert_geq(fd, 0);
        EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        EQ(ouro_close(fd), 0);
        beneath.resolve = RESOLVE_NO_SYMLINKS;
        EQ(ouro_openat2(dir, "in", &beneath, sizeof beneath), -ELOOP);
        close(dir);
        return 0;
}

IN_LOOP(file_name, openat2_tells_its_errors)
{
        struct newer {
                struct open_how how;
                uint64_t more;
        } newer = {.how = {.flags = O_RDONLY}};

        make_file("file");
        REFUSES_BAD_PATHS(open2(path, O_RDONLY, 0));
        EQ(ouro_openat2(AT_FDCWD, "file", NULL, sizeof newer.how), -EINVAL);
        EQ(ouro_openat2(AT_FDCWD, "file", &newer.how, 8), -EINVAL);
        EQ(open2("file", O_RDONLY, 1 << 20), -EINVAL);
        int fd = ouro_openat2(AT_FDCWD, "file", &newer.how, sizeof newer);

        cr_assert_geq(fd, 0);
        EQ(ouro_close(fd), 0);
        newer.more = 1;
        EQ(ouro_openat2(AT_FDCWD, "file", &newer.how, sizeof newer), -E2BIG);
        EQ(ouro_openat2(no_such_fd(), "file", &newer.how, sizeof newer.how), -EBADF);
        return 0;
}

static intptr_t open_fifo(void *arg)
{
        return open2("fifo", *(uint64_t *)arg, 0);
}

IN_LOOP(file_name, openat2_of_a_fifo_waits_for_its_other_end)
{
        uint64_t reading = O_RDONLY, writing = O_WRONLY;
        int fds[2];

        EQ(ouro_mkfifo("fifo", 0600), 0);
        ouro_task writer = ouro_create_task(open_fifo, &writing);

        for (int i = 0; i < 10; i++)
                ouro_sleep(OURO_US(100));
        EQ(ouro_task_state(writer), OURO_STATE_WAITING);
        fds[0] = (int)ouro_await(ouro_create_task(open_fifo, &reading));
        fds[1] = (int)ouro_await(writer);
        cr_assert(fds[0] >= 0 && fds[1] >= 0);
        EQ(ouro_write(fds[1], "x", 1), 1);
        EQ(ouro_read(fds[0], (char[1]){0}, 1), 1);
        close_both(fds);
        return 0;
}

/* ---- names ---- */

IN_LOOP(file_name, directories_come_and_go)
{
        EQ(ouro_mkdir("dir", 0750), 0);
        EQ(mode_of("dir") & 0770, 0750);
        EQ(ouro_mkdir("dir", 0700), -EEXIST);
        EQ(ouro_mkdir("no/dir", 0700), -ENOENT);
        int dir = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        EQ(ouro_mkdirat(dir, "below", 0700), 0);
        EQ(ouro_rmdir("dir"), -ENOTEMPTY);
        EQ(ouro_rmdir("dir/below"), 0);
        EQ(ouro_rmdir("dir"), 0);
        EQ(ouro_mkdirat(no_such_fd(), "below", 0700), -EBADF);
        make_file("file");
        EQ(ouro_rmdir("file"), -ENOTDIR);
        EQ(ouro_mkdir("file/below", 0700), -ENOTDIR);
        close(dir);
        REFUSES_BAD_PATHS(ouro_mkdir(path, 0700));
        REFUSES_BAD_PATHS(ouro_rmdir(path));
        return 0;
}

IN_LOOP(file_name, links_share_a_file)
{
        struct stat st;

        make_file("file");
        EQ(ouro_link("file", "second"), 0);
        EQ(stat("file", &st), 0);
        EQ(st.st_nlink, 2);
        EQ(ouro_link("file", "second"), -EEXIST);
        EQ(ouro_linkat(AT_FDCWD, "file", AT_FDCWD, "third", 0x40000000), -EINVAL);
        EQ(ouro_symlink("file", "soft"), 0);
        EQ(ouro_linkat(AT_FDCWD, "soft", AT_FDCWD, "third", AT_SYMLINK_FOLLOW), 0);
        EQ(S_ISREG(mode_of("third")), 1);
        EQ(ouro_link("file", NULL), -EINVAL);
        REFUSES_BAD_PATHS(ouro_link(path, "fourth"));
        return 0;
}

IN_LOOP(file_name, symbolic_links_say_what_they_were_told)
{
        char text[64];

        EQ(ouro_symlink("some where", "soft"), 0);
        EQ(S_ISLNK(mode_of("soft")), 1);
        EQ(ouro_readlink("soft", text, sizeof text), 10);
        cr_assert_eq(memcmp(text, "some where", 10), 0);
        EQ(ouro_readlink("soft", text, 4), 4); /* cut */
        EQ(ouro_symlink("other", "soft"), -EEXIST);
        EQ(ouro_symlink(NULL, "new"), -EINVAL);
        EQ(ouro_symlink("", "new"), -ENOENT);
        EQ(ouro_readlink("soft", NULL, 4), -EINVAL);
        EQ(ouro_readlink("soft", text, 0), -EINVAL);
        make_file("file");
        EQ(ouro_readlink("file", text, sizeof text), -EINVAL);
        REFUSES_BAD_PATHS(ouro_readlink(path, text, sizeof text));
        REFUSES_BAD_PATHS(ouro_symlink("target", path));
        return 0;
}

IN_LOOP(file_name, nodes_of_each_kind)
{
        EQ(ouro_mkfifo("fifo", 0640), 0);
        EQ(mode_of("fifo") & (S_IFMT | 0700), S_IFIFO | 0600);
        EQ(ouro_mkfifo("fifo", 0600), -EEXIST);
        EQ(ouro_mknodat(AT_FDCWD, "socket", S_IFSOCK | 0600, 0), 0);
        EQ(S_ISSOCK(mode_of("socket")), 1);
        EQ(ouro_mknodat(AT_FDCWD, "what", S_IFLNK | 0600, 0), -EINVAL);
        EQ(ouro_mknodat(no_such_fd(), "fifo2", S_IFIFO | 0600, 0), -EBADF);
        REFUSES_BAD_PATHS(ouro_mkfifo(path, 0600));
        return 0;
}

IN_LOOP(file_name, a_directory_is_synced_and_nothing_else)
{
        make_file("file");
        EQ(ouro_sync_directory("."), 0);
        EQ(ouro_sync_directory("file"), -ENOTDIR);
        REFUSES_BAD_PATHS(ouro_sync_directory(path));
        return 0;
}

/* ---- beside a loop, and cancelled ---- */

Test(file_name, outside_a_loop_is_refused)
{
        struct open_how how = {.flags = O_RDONLY};
        char text[4];

        EQ(ouro_openat2(AT_FDCWD, ".", &how, sizeof how), -EPERM);
        EQ(ouro_mkdir("dir", 0700), -EPERM);
        EQ(ouro_rmdir("dir"), -EPERM);
        EQ(ouro_link("a", "b"), -EPERM);
        EQ(ouro_symlink("a", "b"), -EPERM);
        EQ(ouro_readlink("a", text, sizeof text), -EPERM);
        EQ(ouro_mkfifo("a", 0600), -EPERM);
        EQ(ouro_sync_directory("."), -EPERM);
}

static intptr_t make_cancelled(void *arg)
{
        (void)arg;
        ouro_cancel(ouro_self());
        EQ(ouro_mkdir("dir", 0700), -ECANCELED);
        EQ(ouro_symlink("a", "soft"), -ECANCELED);
        EQ(ouro_mkfifo("fifo", 0600), -ECANCELED);
        return 0;
}

IN_LOOP(file_name, a_cancelled_task_makes_nothing)
{
        ouro_await(ouro_create_task(make_cancelled, NULL));
        EQ(access("dir", F_OK), -1);
        EQ(access("fifo", F_OK), -1);
        return 0;
}

static intptr_t make_a_directory(void *arg)
{
        char name[16];

        snprintf(name, sizeof name, "dir%d", (int)(intptr_t)arg);
        return ouro_mkdir(name, 0700);
}

/* Cancelled at each moment of its way: told to have succeeded if and only if it is there. */
IN_LOOP(file_name, success_beats_cancellation)
{
        for (int i = 0; i < 100; i++) {
                ouro_task task = ouro_create_task(make_a_directory, (void *)(intptr_t)i);
                char name[16];
                intptr_t result;

                for (int spins = 0; spins < i % 10; spins++)
                        ouro_yield();
                ouro_cancel(task);
                result = ouro_await(task);
                snprintf(name, sizeof name, "dir%d", i);
                cr_assert(result == 0 || result == -ECANCELED);
                EQ(access(name, F_OK), result == 0 ? 0 : -1);
        }
        return 0;
}
