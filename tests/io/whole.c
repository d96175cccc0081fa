/* Of lib/io/whole.c, replace.c and temp.c: files as a whole, and what is left when something goes wrong. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include "support/in_loop.h"
#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(whole, .init = temp_begin, .fini = temp_end);

static void make_file(const char *path, size_t len)
{
        char *buf = malloc(len + 1);

        fill(buf, len, 0);
        EQ(ouro_write_file(AT_FDCWD, path, buf, len, 0644), 0);
        free(buf);
}

static void expect_text(const char *path, const char *text)
{
        char buf[64] = "";

        EQ(ouro_read_file_into(AT_FDCWD, path, buf, sizeof buf), strlen(text));
        cr_assert_str_eq(buf, text);
}

static int put(const char *path, const char *text, unsigned flags)
{
        struct ouro_replace_options options = {.size = sizeof options, .flags = flags, .mode = 0640};

        return ouro_replace_file(AT_FDCWD, path, text, strlen(text), &options);
}

/* How many names there are in a directory: nothing was left behind. */
static int names_in(const char *path)
{
        DIR *dir = opendir(path);
        int n = 0;

        cr_assert_not_null(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n - 2;
}

/* ---- reading ---- */

IN_LOOP(whole, files_of_any_length_are_read_whole_with_a_zero_behind_them)
{
        static const size_t lens[] = {0, 1, 4094, 4095, 4096, 4097, 1 << 20};

        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
                void *data = NULL;
                size_t len = 7;

                make_file("f", lens[i]);
                EQ(ouro_read_file(AT_FDCWD, "f", SIZE_MAX, &data, &len), 0);
                EQ(len, lens[i]);
                cr_assert(filled(data, len, 0));
                EQ(((char *)data)[len], 0);
                free(data);
                data = NULL;
                EQ(ouro_read_file(AT_FDCWD, "f", lens[i], &data, NULL), 0);
                free(data);
                data = NULL;
                if (lens[i] > 0)
                        EQ(ouro_read_file(AT_FDCWD, "f", lens[i] - 1, &data, NULL), -EFBIG);
                cr_assert_null(data);
        }
        return 0;
}

IN_LOOP(whole, files_of_proc_have_no_size_and_are_read_to_their_end)
{
        void *data;
        size_t len;

        EQ(ouro_read_file(AT_FDCWD, "/proc/self/maps", 64 << 20, &data, &len), 0);
        cr_assert(len > 1000);
        EQ(((char *)data)[len - 1], '\n');
        free(data);
        return 0;
}

static intptr_t appends(void *unused)
{
        int fd = open("f", O_WRONLY | O_APPEND | O_CLOEXEC);

        (void)unused;
        for (int i = 0; i < 50; i++) {
                EQ(write(fd, "0123456789", 10), 10);
                ouro_yield();
        }
        EQ(ftruncate(fd, 0), 0);
        close(fd);
        return 0;
}

IN_LOOP(whole, a_file_that_grows_and_shrinks_meanwhile_is_read_to_its_end)
{
        ouro_task task;
        void *data;
        size_t len;

        make_file("f", 100000);
        task = ouro_create_task(appends, NULL);
        for (int i = 0; i < 100; i++) {
                EQ(ouro_read_file(AT_FDCWD, "f", SIZE_MAX, &data, &len), 0);
                cr_assert(len <= 100500);
                free(data);
        }
        EQ(ouro_await(task), 0);
        return 0;
}

IN_LOOP(whole, a_buffer_takes_a_file_that_fits)
{
        char buf[10];

        make_file("f", 10);
        EQ(ouro_read_file_into(AT_FDCWD, "f", buf, 10), 10);
        cr_assert(filled(buf, 10, 0));
        EQ(ouro_read_file_into(AT_FDCWD, "f", buf, 9), -EFBIG);
        make_file("f", 0);
        EQ(ouro_read_file_into(AT_FDCWD, "f", NULL, 0), 0);
        return 0;
}

IN_LOOP(whole, mistakes_have_their_errno)
{
        char path[] = "abc", named[] = "XXXXXX";
        ouro_replacement *replacement = NULL;
        struct ouro_replace_options options = {.size = sizeof options, .flags = 1u << 30};
        void *data = NULL;
        char one;

        EQ(mkdir("d", 0755), 0);
        EQ(ouro_read_file(AT_FDCWD, NULL, 1, &data, NULL), -EINVAL);
        EQ(ouro_read_file(AT_FDCWD, "f", 1, NULL, NULL), -EINVAL);
        EQ(ouro_read_file(AT_FDCWD, "f", 1, &data, NULL), -ENOENT);
        EQ(ouro_read_file(AT_FDCWD, "d", 1, &data, NULL), -EISDIR);
        EQ(ouro_read_file_into(AT_FDCWD, "f", NULL, 1), -EINVAL);
        EQ(ouro_read_file_into(AT_FDCWD, NULL, &one, 1), -EINVAL);
        EQ(ouro_write_file(AT_FDCWD, NULL, "", 0, 0644), -EINVAL);
        EQ(ouro_write_file(AT_FDCWD, "f", NULL, 1, 0644), -EINVAL);
        EQ(ouro_write_file(AT_FDCWD, "d", "", 0, 0644), -EISDIR);
        EQ(ouro_replace_file(AT_FDCWD, NULL, "", 0, NULL), -EINVAL);
        EQ(ouro_replace_file(AT_FDCWD, "f", NULL, 1, NULL), -EINVAL);
        EQ(ouro_replace_file(AT_FDCWD, "f", "", 0, &options), -EINVAL);
        EQ(ouro_replace_file(AT_FDCWD, "d", "", 0, NULL), -EISDIR);
        EQ(ouro_replace_file(AT_FDCWD, "d/", "", 0, NULL), -EINVAL);
        EQ(ouro_replace_file(AT_FDCWD, "d/..", "", 0, NULL), -EINVAL);
        EQ(ouro_replace_file(AT_FDCWD, "nothing/f", "", 0, NULL), -ENOENT);
        EQ(ouro_replace_begin(AT_FDCWD, "f", NULL, NULL), -EINVAL);
        EQ(ouro_replace_begin(AT_FDCWD, NULL, NULL, &replacement), -EINVAL);
        EQ(ouro_replace_commit(NULL), -EINVAL);
        EQ(ouro_replace_fd(NULL), -EINVAL);
        EQ(ouro_replace_abort(NULL), 0);
        EQ(ouro_temp_named(AT_FDCWD, path, 0), -EINVAL);
        EQ(ouro_temp_named(AT_FDCWD, NULL, 0), -EINVAL);
        EQ(ouro_temp_dir(AT_FDCWD, path), -EINVAL);
        EQ(ouro_temp_named(no_such_fd(), named, 0), -EBADF);
        cr_assert_str_eq(named, "XXXXXX");
        EQ(ouro_temp_file("nothing"), -ENOENT);
        EQ(names_in("."), 1);
        return 0;
}

Test(whole, outside_a_loop_it_is_refused)
{
        char named[] = "XXXXXX";
        void *data;

        EQ(ouro_read_file(AT_FDCWD, "f", 1, &data, NULL), -EPERM);
        EQ(ouro_write_file(AT_FDCWD, "f", "", 0, 0644), -EPERM);
        EQ(ouro_replace_file(AT_FDCWD, "f", "", 0, NULL), -EPERM);
        EQ(ouro_temp_file(NULL), -EPERM);
        EQ(ouro_temp_named(AT_FDCWD, named, 0), -EPERM);
        EQ(ouro_temp_dir(AT_FDCWD, named), -EPERM);
        EQ(names_in("."), 0);
}

/* ---- replacing ---- */

IN_LOOP(whole, a_file_is_replaced_whole_and_nothing_else_is_left)
{
        struct stat before, after;

        umask(022);
        EQ(put("f", "one", 0), 0);
        expect_text("f", "one");
        EQ(stat("f", &before), 0);
        EQ(before.st_mode & 07777, 0640);
        EQ(put("f", "second", 0), 0);
        expect_text("f", "second");
        EQ(stat("f", &after), 0);
        cr_assert(after.st_ino != before.st_ino);
        EQ(put("f", "third", OURO_REPLACE_NEW), -EEXIST);
        EQ(put("g", "new", OURO_REPLACE_NEW), 0);
        EQ(put("g", "not durable", OURO_REPLACE_NO_SYNC), 0);
        expect_text("g", "not durable");
        EQ(names_in("."), 2);
        return 0;
}

IN_LOOP(whole, mode_and_owner_are_kept_if_asked)
{
        struct stat st;

        EQ(put("f", "one", 0), 0);
        EQ(chmod("f", 0604), 0);
        if (geteuid() == 0)
                EQ(chown("f", 1234, 5678), 0);
        EQ(put("f", "two", OURO_REPLACE_KEEP_MODE | OURO_REPLACE_KEEP_OWNER), 0);
        EQ(stat("f", &st), 0);
        EQ(st.st_mode & 07777, 0604);
        if (geteuid() == 0)
                EQ(st.st_uid * 10000L + st.st_gid, 12345678);
        return 0;
}

IN_LOOP(whole, a_link_is_replaced_or_what_it_leads_to)
{
        struct stat st;

        EQ(mkdir("d", 0755), 0);
        EQ(put("d/f", "one", 0), 0);
        EQ(symlink("d/f", "a"), 0);
        EQ(symlink("a", "b"), 0);
        EQ(put("b", "two", OURO_REPLACE_FOLLOW), 0);
        expect_text("d/f", "two");
        EQ(lstat("b", &st), 0);
        cr_assert(S_ISLNK(st.st_mode));
        EQ(put("b", "three", 0), 0);
        EQ(lstat("b", &st), 0);
        cr_assert(S_ISREG(st.st_mode));
        expect_text("d/f", "two");
        EQ(symlink("loop", "loop"), 0);
        EQ(put("loop", "x", OURO_REPLACE_FOLLOW), -ELOOP);
        EQ(symlink("d/not yet", "c"), 0);
        EQ(put("c", "four", OURO_REPLACE_FOLLOW), 0);
        expect_text("d/not yet", "four");
        EQ(names_in("."), 5);
        EQ(names_in("d"), 2);
        return 0;
}

IN_LOOP(whole, what_is_begun_can_be_written_bit_by_bit_or_given_up)
{
        ouro_replacement *replacement;

        EQ(put("f", "old", 0), 0);
        EQ(ouro_replace_begin(AT_FDCWD, "f", NULL, &replacement), 0);
        EQ(ouro_write(ouro_replace_fd(replacement), "ne", 2), 2);
        expect_text("f", "old");
        EQ(names_in("."), 1);
        EQ(ouro_write(ouro_replace_fd(replacement), "w", 1), 1);
        EQ(ouro_replace_commit(replacement), 0);
        expect_text("f", "new");
        EQ(ouro_replace_begin(AT_FDCWD, "f", NULL, &replacement), 0);
        EQ(ouro_write(ouro_replace_fd(replacement), "other", 5), 5);
        EQ(ouro_replace_abort(replacement), 0);
        expect_text("f", "new");
        EQ(names_in("."), 1);
        return 0;
}

static intptr_t replaces(void *unused)
{
        (void)unused;
        return put("f", "new", 0);
}

IN_LOOP(whole, cut_short_at_any_moment_there_is_the_old_or_the_new_and_nothing_else)
{
        for (int turns = 0; turns < 40; turns++) {
                ouro_task task;
                int result;

                EQ(ouro_write_file(AT_FDCWD, "f", "old", 3, 0644), 0);
                task = ouro_create_task(replaces, NULL);
                for (int i = 0; i < turns * turns / 2; i++)
                        ouro_yield();
                ouro_cancel(task);
                result = (int)ouro_await(task);
                cr_assert(result == 0 || result == -ECANCELED, "%d", result);
                expect_text("f", result == 0 ? "new" : "old");
                EQ(names_in("."), 1);
        }
        return 0;
}

enum { LARGE = 3 << 20 };

static intptr_t fills_the_disk(void *unused)
{
        struct ouro_replace_options options = {.size = sizeof options};
        char *large = malloc(LARGE);

        (void)unused;
        fill(large, LARGE, 0);
        EQ(put("small/f", "old", 0), 0);
        EQ(ouro_replace_file(AT_FDCWD, "small/f", large, LARGE, &options), -ENOSPC);
        expect_text("small/f", "old");
        EQ(names_in("small"), 1);
        EQ(ouro_write_file(AT_FDCWD, "small/g", large, LARGE, 0644), -ENOSPC);
        EQ(unlink("small/g"), 0);
        EQ(put("small/f", "new", 0), 0);
        expect_text("small/f", "new");
        free(large);
        return 0;
}

static intptr_t writes_read_only(void *unused)
{
        char named[] = "small/XXXXXX";

        (void)unused;
        EQ(put("small/f", "x", 0), -EROFS);
        EQ(ouro_write_file(AT_FDCWD, "small/f", "x", 1, 0644), -EROFS);
        EQ(ouro_temp_named(AT_FDCWD, named, 0), -EROFS);
        EQ(ouro_temp_dir(AT_FDCWD, named), -EROFS);
        EQ(ouro_make_dirs(AT_FDCWD, "small/d/e", 0755), -EROFS);
        EQ(ouro_remove_tree(AT_FDCWD, "small/f"), -EROFS);
        expect_text("small/f", "new");
        return 0;
}

Test(whole, a_full_or_a_read_only_disk_keeps_the_old_file)
{
        if (geteuid() != 0) {
                PASSED_OVER("needs root to mount");
                return;
        }
        EQ(unshare(CLONE_NEWNS), 0);
        EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        EQ(mkdir("small", 0755), 0);
        EQ(mount("none", "small", "tmpfs", 0, "size=1m"), 0);
        EQ(ouro_run(fills_the_disk, NULL), 0);
        EQ(mount(NULL, "small", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        EQ(ouro_run(writes_read_only, NULL), 0);
        EQ(umount2("small", MNT_DETACH), 0);
}

/* ---- temporary files ---- */

IN_LOOP(whole, temporary_files_and_directories_are_new_and_their_owners)
{
        char a[] = "a-XXXXXX", b[] = "a-XXXXXX", d[] = "d-XXXXXX";
        struct stat st;
        int nameless = ouro_temp_file("."), fd = ouro_temp_named(AT_FDCWD, a, 0), other;

        cr_assert(nameless >= 0 && fd >= 0);
        EQ(fstat(nameless, &st), 0);
        EQ(st.st_nlink, 0);
        EQ(ouro_write(nameless, "x", 1), 1);
        other = ouro_temp_named(AT_FDCWD, b, 0);
        cr_assert(other >= 0);
        cr_assert(strcmp(a, b) != 0);
        EQ(fstat(fd, &st), 0);
        EQ(st.st_mode & 07777, 0600);
        EQ(ouro_temp_dir(AT_FDCWD, d), 0);
        EQ(stat(d, &st), 0);
        EQ(st.st_mode & 07777, 0700);
        EQ(names_in("."), 3);
        EQ(ouro_close(nameless), 0);
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(other), 0);
        EQ(ouro_remove_tree(AT_FDCWD, d), 0);
        return 0;
}

IN_LOOP(whole, the_environment_says_where_temporary_files_lie)
{
        int fd;

        EQ(setenv("TMPDIR", "nothing", 1), 0);
        EQ(ouro_temp_file(NULL), -ENOENT);
        EQ(setenv("TMPDIR", "", 1), 0);
        fd = ouro_temp_file(NULL);
        cr_assert(fd >= 0);
        EQ(ouro_close(fd), 0);
        return 0;
}

/* ---- paths ---- */

IN_LOOP(whole, paths_of_4096_bytes_are_too_long_and_those_of_4095_are_not)
{
        static char path[5000];
        void *data = NULL;
        ouro_replacement *replacement;
        ouro_file_watch *watch;
        ouro_walk *walk;
        ouro_dir *dir;
        size_t len;

        for (size_t i = 0; i < 4095; i++)
                path[i] = i % 2 ? '/' : '.';
        path[4094] = 'f';
        EQ(strlen(path), 4095);
        EQ(ouro_replace_file(AT_FDCWD, path, "x", 1, NULL), 0);
        EQ(ouro_read_file(AT_FDCWD, path, 10, &data, &len), 0);
        free(data);
        EQ(ouro_copy_file(AT_FDCWD, path, AT_FDCWD, "g", NULL), 0);
        EQ(ouro_remove_tree(AT_FDCWD, path), 0);
        path[4095] = 'f';
        EQ(strlen(path), 4096);
        EQ(ouro_replace_file(AT_FDCWD, path, "x", 1, NULL), -ENAMETOOLONG);
        EQ(ouro_read_file(AT_FDCWD, path, 10, &data, &len), -ENAMETOOLONG);
        EQ(ouro_write_file(AT_FDCWD, path, "x", 1, 0644), -ENAMETOOLONG);
        EQ(ouro_copy_file(AT_FDCWD, path, AT_FDCWD, "h", NULL), -ENAMETOOLONG);
        EQ(ouro_copy_file(AT_FDCWD, "g", AT_FDCWD, path, NULL), -ENAMETOOLONG);
        EQ(ouro_remove_tree(AT_FDCWD, path), -ENAMETOOLONG);
        EQ(ouro_make_dirs(AT_FDCWD, path, 0755), -ENAMETOOLONG);
        EQ(ouro_replace_begin(AT_FDCWD, path, NULL, &replacement), -ENAMETOOLONG);
        EQ(ouro_dir_open(AT_FDCWD, path, &dir), -ENAMETOOLONG);
        EQ(ouro_walk_open(AT_FDCWD, path, NULL, &walk), -ENAMETOOLONG);
        EQ(ouro_copy_attributes(AT_FDCWD, path, AT_FDCWD, "g", 0), -ENAMETOOLONG);
        EQ(ouro_copy_attributes(AT_FDCWD, "g", AT_FDCWD, path, 0), -ENAMETOOLONG);
        EQ(ouro_temp_file(path), -ENAMETOOLONG);
        EQ(ouro_file_watch_open(&watch), 0);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, path, IN_CREATE, 0), -ENAMETOOLONG);
        EQ(ouro_file_watch_close(watch), 0);
        memset(path + 4090, 'X', 6);
        EQ(ouro_temp_named(AT_FDCWD, path, 0), -ENAMETOOLONG);
        EQ(ouro_temp_dir(AT_FDCWD, path), -ENAMETOOLONG);
        EQ(names_in("."), 1);
        return 0;
}
