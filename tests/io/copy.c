/* Of lib/io/copy*.c: files copied whole and in part, by each way that there is. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "support/in_loop.h"
#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(copy, .init = temp_begin, .fini = temp_end);

enum { MIB = 1 << 20 };

static void make_file(const char *path, size_t len)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        char *buf = malloc(len + 1);

        cr_assert(fd >= 0);
        fill(buf, len, 0);
        EQ(write(fd, buf, len), len);
        free(buf);
        close(fd);
}

static char *content(const char *path, size_t *ret_len)
{
        void *data = NULL;

        EQ(ouro_read_file(AT_FDCWD, path, SIZE_MAX, &data, ret_len), 0);
        return data;
}

static void expect_same(const char *a, const char *b)
{
        size_t len_a, len_b;
        char *of_a = content(a, &len_a), *of_b = content(b, &len_b);

        EQ(len_b, len_a);
        cr_assert(memcmp(of_a, of_b, len_a) == 0);
        free(of_a);
        free(of_b);
}

static int copy_with(const char *from, const char *to, unsigned flags)
{
        struct ouro_copy_options options = {.size = sizeof options, .flags = flags, .chunk = MIB};

        return ouro_copy_file(AT_FDCWD, from, AT_FDCWD, to, &options);
}

static bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

/* ---- content ---- */

static const unsigned ways[] = {0,
                                OURO_COPY_NO_CLONE,
                                OURO_COPY_NO_HOLES,
                                OURO_COPY_NO_KERNEL,
                                OURO_COPY_NO_KERNEL | OURO_COPY_NO_HOLES,
                                OURO_COPY_SYNC};

IN_LOOP(copy, files_of_any_length_arrive_whole_by_every_way)
{
        static const size_t lens[] = {0, 1, 4096, MIB - 1, MIB, MIB + 1, 5 * MIB + 77};

        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
                for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
                        make_file("a", lens[i]);
                        EQ(copy_with("a", "b", ways[w]), 0);
                        expect_same("a", "b");
                        unlink("b");
                }
        return 0;
}

IN_LOOP(copy, a_longer_file_that_was_there_is_overwritten_whole)
{
        make_file("b", 3 * MIB);
        make_file("a", 1000);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
                EQ(copy_with("a", "b", ways[w]), 0);
                expect_same("a", "b");
        }
        return 0;
}

static void make_sparse(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        char block[8192];

        fill(block, sizeof block, 5);
        EQ(pwrite(fd, block, sizeof block, 4 * MIB), sizeof block);
        EQ(pwrite(fd, block, sizeof block, 9 * MIB + 4096), sizeof block);
        EQ(ftruncate(fd, 16 * MIB + 3), 0);
        close(fd);
}

static long blocks_of(const char *path)
{
        struct stat st;

        EQ(stat(path, &st), 0);
        return st.st_blocks;
}

IN_LOOP(copy, holes_stay_holes_and_are_filled_only_if_asked)
{
        make_sparse("a");
        EQ(copy_with("a", "b", OURO_COPY_NO_CLONE), 0);
        expect_same("a", "b");
        cr_assert(blocks_of("b") <= blocks_of("a") + 64, "%ld", blocks_of("b"));
        EQ(copy_with("a", "c", OURO_COPY_NO_KERNEL), 0);
        expect_same("a", "c");
        cr_assert(blocks_of("c") <= blocks_of("a") + 64, "%ld", blocks_of("c"));
        EQ(copy_with("a", "d", OURO_COPY_NO_HOLES), 0);
        expect_same("a", "d");
        return 0;
}

IN_LOOP(copy, a_file_without_any_data_is_a_hole)
{
        int fd = open("a", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        EQ(ftruncate(fd, 5 * MIB + 1), 0);
        close(fd);
        EQ(copy_with("a", "b", OURO_COPY_NO_CLONE), 0);
        expect_same("a", "b");
        EQ(copy_with("a", "c", OURO_COPY_NO_KERNEL), 0);
        expect_same("a", "c");
        EQ(blocks_of("c"), 0);
        return 0;
}

IN_LOOP(copy, files_of_proc_are_read_to_their_end)
{
        EQ(copy_with("/proc/self/status", "b", 0), 0);
        cr_assert(blocks_of("b") > 0);
        EQ(copy_with("/proc/version", "c", 0), 0);
        expect_same("/proc/version", "c");
        return 0;
}

static void *writes_to_pipe(void *arg)
{
        char *buf = malloc(3 * MIB);
        size_t done = 0;

        fill(buf, 3 * MIB, 0);
        while (done < 3 * MIB) {
                ssize_t n = write((int)(intptr_t)arg, buf + done, 3 * MIB - done);

                cr_assert(n > 0);
                done += (size_t)n;
        }
        close((int)(intptr_t)arg);
        free(buf);
        return NULL;
}

IN_LOOP(copy, a_pipe_is_read_to_its_end)
{
        int fds[2], to = open("b", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        pthread_t thread;

        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(pthread_create(&thread, NULL, writes_to_pipe, (void *)(intptr_t)fds[1]), 0);
        EQ(ouro_copy_fd(fds[0], to, NULL), 0);
        EQ(pthread_join(thread, NULL), 0);
        close(to);
        close(fds[0]);
        make_file("a", 3 * MIB);
        expect_same("a", "b");
        return 0;
}

/* ---- ranges ---- */

IN_LOOP(copy, a_range_goes_where_it_should_and_positions_stay)
{
        int from, to;
        uint64_t done = 100;
        char *data;
        size_t len;

        make_file("a", 3 * MIB);
        make_file("b", 10);
        from = open("a", O_RDONLY | O_CLOEXEC);
        to = open("b", O_RDWR | O_CLOEXEC);
        EQ(lseek(from, 7, SEEK_SET), 7);
        EQ(ouro_copy_range(from, 1000, to, 5, 2 * MIB, NULL, &done), 0);
        EQ(done, 2 * MIB);
        EQ(lseek(from, 0, SEEK_CUR), 7);
        EQ(lseek(to, 0, SEEK_CUR), 0);
        data = content("b", &len);
        EQ(len, 2 * MIB + 5);
        cr_assert(filled(data, 5, 0));
        cr_assert(filled(data + 105, 2 * MIB - 100, 1100)); /* the first hundred were said to be done */
        free(data);
        done = 0;
        EQ(ouro_copy_range(from, 3 * MIB - 10, to, 0, 100, NULL, &done), -ENODATA);
        EQ(done, 10);
        close(from);
        close(to);
        return 0;
}

IN_LOOP(copy, a_range_within_one_file_must_not_overlap)
{
        int fd;

        make_file("a", 3 * MIB);
        fd = open("a", O_RDWR | O_CLOEXEC);
        EQ(ouro_copy_range(fd, 0, fd, 2 * MIB, 2 * MIB, NULL, NULL), 0);
        EQ(ouro_copy_range(fd, 0, fd, 1, 2, NULL, NULL), -EINVAL);
        EQ(ouro_copy_range(fd, 1, fd, 0, 2, NULL, NULL), -EINVAL);
        EQ(ouro_copy_range(fd, 0, fd, 0, 1, NULL, NULL), -EINVAL);
        close(fd);
        return 0;
}

IN_LOOP(copy, mistakes_have_their_errno)
{
        struct ouro_copy_options options = {.size = sizeof options, .flags = 1u << 30};
        uint64_t done = 3;
        int fds[2], fd;

        make_file("a", 10);
        EQ(mkdir("d", 0755), 0);
        EQ(pipe2(fds, O_CLOEXEC), 0);
        fd = open("a", O_RDWR | O_CLOEXEC);
        EQ(ouro_copy_file(AT_FDCWD, NULL, AT_FDCWD, "b", NULL), -EINVAL);
        EQ(ouro_copy_file(AT_FDCWD, "a", AT_FDCWD, NULL, NULL), -EINVAL);
        EQ(ouro_copy_file(AT_FDCWD, "a", AT_FDCWD, "b", &options), -EINVAL);
        EQ(ouro_copy_fd(fd, fd, NULL), -EINVAL);
        EQ(ouro_copy_fd(-1, fd, NULL), -EBADF);
        EQ(ouro_copy_fd(fd, -1, NULL), -EBADF);
        EQ(ouro_copy_range(fd, -1, fd, 0, 1, NULL, NULL), -EINVAL);
        EQ(ouro_copy_range(fd, 0, fd, -1, 1, NULL, NULL), -EINVAL);
        EQ(ouro_copy_range(fd, 0, fd, 5, 1, NULL, &done), -EINVAL);
        EQ(ouro_copy_range(fd, INT64_MAX, fd, 0, 10, NULL, NULL), -EINVAL);
        EQ(ouro_copy_range(fds[0], 0, fd, 0, 1, NULL, NULL), -ESPIPE);
        EQ(copy_with("nothing", "b", 0), -ENOENT);
        EQ(copy_with("a", "nothing/b", 0), -ENOENT);
        EQ(copy_with("d", "b", 0), -EISDIR);
        EQ(copy_with("a", "d", 0), -EISDIR);
        EQ(copy_with("a", "a", 0), -EINVAL);
        EQ(mkfifo("p", 0644), 0);
        EQ(copy_with("p", "b", 0), -EINVAL);
        EQ(ouro_copy_attributes(AT_FDCWD, "a", AT_FDCWD, "d", OURO_COPY_NEW), -EINVAL);
        EQ(ouro_copy_attributes(AT_FDCWD, NULL, AT_FDCWD, "d", 0), -EINVAL);
        cr_assert(!exists("b"));
        EQ(link("a", "same"), 0);
        EQ(copy_with("a", "same", 0), -EINVAL);
        close(fd);
        close_both(fds);
        return 0;
}

Test(copy, outside_a_loop_it_is_refused)
{
        EQ(ouro_copy_file(AT_FDCWD, "a", AT_FDCWD, "b", NULL), -EPERM);
        EQ(ouro_copy_fd(0, 1, NULL), -EPERM);
        EQ(ouro_copy_range(0, 0, 1, 0, 1, NULL, NULL), -EPERM);
        EQ(ouro_copy_attributes(AT_FDCWD, "a", AT_FDCWD, "b", 0), -EPERM);
}

/* ---- attributes and kinds ---- */

static void expect_attributes(const char *path, const struct stat *wanted)
{
        struct stat st;

        EQ(lstat(path, &st), 0);
        EQ(st.st_mode, wanted->st_mode);
        EQ(st.st_uid, wanted->st_uid);
        EQ(st.st_gid, wanted->st_gid);
        EQ(st.st_mtim.tv_sec, wanted->st_mtim.tv_sec);
        EQ(st.st_mtim.tv_nsec, wanted->st_mtim.tv_nsec);
}

IN_LOOP(copy, mode_times_owner_and_attributes_come_along_if_asked)
{
        const struct timespec times[2] = {{1000000000, 123}, {1100000000, 456}};
        struct stat st;
        char value[8] = "";

        make_file("a", 100);
        EQ(setxattr("a", "user.colour", "red", 3, 0), 0);
        if (geteuid() == 0)
                EQ(chown("a", 1234, 5678), 0);
        EQ(chmod("a", 04751), 0);
        EQ(utimensat(AT_FDCWD, "a", times, 0), 0);
        EQ(stat("a", &st), 0);
        EQ(copy_with("a", "b", OURO_COPY_ALL), 0);
        expect_attributes("b", &st);
        EQ(getxattr("b", "user.colour", value, sizeof value), 3);
        cr_assert_str_eq(value, "red");
        umask(022);
        EQ(copy_with("a", "c", 0), 0);
        cr_assert(getxattr("c", "user.colour", value, sizeof value) < 0);
        EQ(stat("c", &st), 0);
        EQ(st.st_mode & 07777, 0751);
        cr_assert(st.st_mtim.tv_sec != 1100000000);
        if (geteuid() == 0) {
                EQ(copy_with("a", "d", OURO_COPY_MODE), 0);
                EQ(stat("d", &st), 0);
                EQ(st.st_mode & 07777, 0751); /* set-user-id would be for another user now */
        }
        return 0;
}

IN_LOOP(copy, what_is_no_file_is_made_anew_where_nothing_is_followed)
{
        const struct timespec times[2] = {{1000000000, 123}, {1100000000, 456}};
        const unsigned flags = OURO_COPY_ALL | OURO_COPY_NO_FOLLOW;
        struct stat st;
        char text[16] = "";

        make_file("a", 5);
        EQ(symlink("a", "link"), 0);
        EQ(mkfifo("fifo", 0640), 0);
        EQ(mkdir("dir", 0711), 0);
        EQ(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW), 0);
        EQ(utimensat(AT_FDCWD, "fifo", times, 0), 0);
        EQ(utimensat(AT_FDCWD, "dir", times, 0), 0);
        EQ(copy_with("link", "link2", flags), 0);
        EQ(readlink("link2", text, sizeof text), 1);
        EQ(lstat("link", &st), 0);
        expect_attributes("link2", &st);
        EQ(copy_with("fifo", "fifo2", flags), 0);
        EQ(lstat("fifo", &st), 0);
        expect_attributes("fifo2", &st);
        EQ(copy_with("dir", "dir2", flags), 0);
        EQ(lstat("dir", &st), 0);
        expect_attributes("dir2", &st);
        EQ(copy_with("dir", "dir2", flags), -EEXIST);
        EQ(copy_with("a", "link2", flags), -EEXIST);
        EQ(copy_with("a", "a2", flags), 0);
        EQ(copy_with("a", "a2", flags), 0);
        EQ(copy_with("a", "a2", flags | OURO_COPY_NEW), -EEXIST);
        EQ(copy_with("link", "followed", 0), 0);
        EQ(lstat("followed", &st), 0);
        cr_assert(S_ISREG(st.st_mode));
        EQ(copy_with("a", "link", OURO_COPY_NEW), -EEXIST);
        return 0;
}

IN_LOOP(copy, attributes_alone_go_to_directories_and_links_too)
{
        const struct timespec times[2] = {{1000000000, 123}, {1100000000, 456}};
        struct stat st;

        EQ(mkdir("d", 01771), 0);
        EQ(chmod("d", 01771), 0);
        EQ(mkdir("e", 0700), 0);
        EQ(utimensat(AT_FDCWD, "d", times, 0), 0);
        EQ(ouro_copy_attributes(AT_FDCWD, "d", AT_FDCWD, "e", OURO_COPY_ALL), 0);
        EQ(stat("d", &st), 0);
        expect_attributes("e", &st);
        EQ(ouro_copy_attributes(AT_FDCWD, "d", AT_FDCWD, "nothing", OURO_COPY_ALL), -ENOENT);
        return 0;
}

/* ---- progress and cancellation ---- */

struct told {
        uint64_t last, size;
        int times, stop_at;
};

static int is_told(uint64_t done, uint64_t size, void *arg)
{
        struct told *told = arg;

        cr_assert(done >= told->last);
        told->last = done;
        told->size = size;
        return ++told->times == told->stop_at ? -EINTR : 0;
}

IN_LOOP(copy, progress_is_told_and_can_end_it)
{
        for (size_t w = 0; w < 2; w++) {
                struct told told = {0};
                struct ouro_copy_options options = {.size = sizeof options,
                                                    .flags = w ? OURO_COPY_NO_KERNEL : OURO_COPY_NO_CLONE,
                                                    .chunk = MIB,
                                                    .progress = is_told,
                                                    .progress_arg = &told};

                make_file("a", 8 * MIB);
                EQ(ouro_copy_file(AT_FDCWD, "a", AT_FDCWD, "b", &options), 0);
                EQ(told.last, 8 * MIB);
                EQ(told.size, 8 * MIB);
                cr_assert(told.times >= 7, "%d", told.times);
                unlink("b");
                told = (struct told){.stop_at = 3};
                EQ(ouro_copy_file(AT_FDCWD, "a", AT_FDCWD, "b", &options), -EINTR);
                EQ(told.times, 3);
                cr_assert(!exists("b"));
        }
        return 0;
}

static intptr_t copies(void *flags)
{
        return copy_with("a", "b", (unsigned)(intptr_t)flags);
}

static void cut_after(unsigned flags, int turns)
{
        ouro_task task = ouro_create_task(copies, (void *)(intptr_t)flags);
        int result;

        for (int i = 0; i < turns; i++)
                ouro_yield();
        ouro_cancel(task);
        result = (int)ouro_await(task);
        cr_assert(result == 0 || result == -ECANCELED, "%d", result);
        EQ(exists("b"), result == 0);
        unlink("b");
}

IN_LOOP(copy, cut_short_at_any_moment_it_leaves_no_file_and_no_descriptor)
{
        make_file("a", 6 * MIB);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
                for (int turns = 0; turns < 20; turns++)
                        cut_after(ways[w], turns * turns);
        return 0;
}

/* ---- trouble ---- */

static int shrink_at(uint64_t done, uint64_t size, void *path)
{
        (void)size;
        if (done == 2 * MIB)
                EQ(truncate(path, 3 * MIB), 0);
        return 0;
}

IN_LOOP(copy, a_file_that_shrinks_while_it_is_read_gives_a_shorter_copy)
{
        for (size_t w = 0; w < 2; w++) {
                char path[] = "a";
                struct stat st;
                struct ouro_copy_options options = {.size = sizeof options,
                                                    .flags = w ? OURO_COPY_NO_KERNEL : OURO_COPY_NO_CLONE,
                                                    .chunk = MIB,
                                                    .progress = shrink_at,
                                                    .progress_arg = path};

                make_file("a", 8 * MIB);
                EQ(ouro_copy_file(AT_FDCWD, "a", AT_FDCWD, "b", &options), 0);
                EQ(stat("b", &st), 0);
                cr_assert(st.st_size >= 3 * MIB && st.st_size <= 5 * MIB, "%ld", (long)st.st_size);
        }
        return 0;
}

static intptr_t copies_until_full(void *unused)
{
        struct stat st;

        (void)unused;
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
                EQ(copy_with("a", "small/b", ways[w]), -ENOSPC);
                cr_assert(!exists("small/b"));
        }
        make_file("small/c", 100);
        EQ(copy_with("a", "small/c", 0), -ENOSPC);
        EQ(stat("small/c", &st), 0); /* it was there before, and stays */
        return 0;
}

Test(copy, a_full_disk_is_told_and_nothing_is_left_on_it)
{
        if (geteuid() != 0) {
                PASSED_OVER("needs root to mount");
                return;
        }
        EQ(unshare(CLONE_NEWNS), 0);
        EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        EQ(mkdir("small", 0755), 0);
        EQ(mount("none", "small", "tmpfs", 0, "size=1m"), 0);
        make_file("a", 3 * MIB);
        EQ(ouro_run(copies_until_full, NULL), 0);
        EQ(umount2("small", MNT_DETACH), 0);
}
