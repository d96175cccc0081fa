/* Of lib/io/dir.c, dir_make.c and dents.c: directories listed, made and removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "support/in_loop.h"
#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(dir, .init = temp_begin, .fini = temp_end);

static void make_file(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        cr_assert(fd >= 0, "%s", path);
        close(fd);
}

static ouro_dir *opened(const char *path)
{
        ouro_dir *dir = NULL;

        EQ(ouro_dir_open(AT_FDCWD, path, &dir), 0);
        return dir;
}

static bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

/* ---- listing ---- */

IN_LOOP(dir, each_entry_is_told_once_with_its_type_and_inode)
{
        struct ouro_dir_entry entry;
        ouro_dir *dir;
        struct stat st;
        int files = 0, dirs = 0, links = 0, fifos = 0;

        make_file("a file");
        EQ(mkdir("a directory", 0755), 0);
        EQ(symlink("nowhere", "a link"), 0);
        EQ(mkfifo("a fifo", 0644), 0);
        dir = opened(".");
        while (ouro_dir_next(dir, &entry) == 1) {
                EQ(lstat(entry.name, &st), 0);
                EQ(entry.inode, st.st_ino);
                EQ(entry.type, IFTODT(st.st_mode));
                files += entry.type == DT_REG;
                dirs += entry.type == DT_DIR;
                links += entry.type == DT_LNK;
                fifos += entry.type == DT_FIFO;
        }
        EQ(files * 1000 + dirs * 100 + links * 10 + fifos, 1111);
        EQ(ouro_dir_next(dir, &entry), 0);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

enum { MANY = 5000 };

static void make_many(void)
{
        char name[64];

        for (int i = 0; i < MANY; i++) {
                snprintf(name, sizeof name, "a name that takes some room in a buffer %d", i);
                make_file(name);
        }
}

static void count_many(ouro_dir *dir, int *counts)
{
        struct ouro_dir_entry entry;
        int result, number;

        while ((result = ouro_dir_next(dir, &entry)) == 1)
                if (sscanf(entry.name, "a name that takes some room in a buffer %d", &number) == 1)
                        counts[number]++;
        EQ(result, 0);
}

IN_LOOP(dir, thousands_of_entries_come_once_each_and_again_after_rewinding)
{
        static int counts[MANY];
        ouro_dir *dir;

        make_many();
        dir = opened(".");
        count_many(dir, counts);
        EQ(ouro_dir_rewind(dir), 0);
        count_many(dir, counts);
        for (int i = 0; i < MANY; i++)
                EQ(counts[i], 2);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

IN_LOOP(dir, what_stays_is_told_once_while_others_come_and_go)
{
        static int counts[MANY];
        struct ouro_dir_entry entry;
        char name[64];
        ouro_dir *dir;
        int number;

        make_many();
        dir = opened(".");
        for (int i = 0; ouro_dir_next(dir, &entry) == 1; i++) {
                if (sscanf(entry.name, "a name that takes some room in a buffer %d", &number) == 1)
                        counts[number]++;
                snprintf(name, sizeof name, "a name that takes some room in a buffer %d", i * 2 + 1);
                if (i * 2 + 1 < MANY)
                        unlink(name);
                snprintf(name, sizeof name, "new %d", i);
                if (i < MANY / 2)
                        make_file(name);
        }
        for (int i = 0; i < MANY; i += 2)
                EQ(counts[i], 1);
        for (int i = 1; i < MANY; i += 2)
                cr_assert(counts[i] <= 1);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

IN_LOOP(dir, one_that_is_removed_while_open_is_empty)
{
        struct ouro_dir_entry entry;
        ouro_dir *dir;

        EQ(mkdir("gone", 0755), 0);
        dir = opened("gone");
        EQ(rmdir("gone"), 0);
        EQ(ouro_dir_next(dir, &entry), 0);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

IN_LOOP(dir, its_descriptor_serves_the_calls_that_take_one)
{
        struct statx about;
        ouro_dir *dir;

        EQ(mkdir("d", 0755), 0);
        make_file("d/f");
        dir = opened("d");
        EQ(ouro_statx(ouro_dir_fd(dir), "f", 0, STATX_TYPE, &about), 0);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

static intptr_t lists(void *unused)
{
        struct ouro_dir_entry entry;
        ouro_dir *dir;
        int error = ouro_dir_open(AT_FDCWD, ".", &dir);

        (void)unused;
        if (error < 0)
                return error;
        error = ouro_dir_next(dir, &entry);
        ouro_dir_close(dir);
        return error;
}

IN_LOOP(dir, a_cancelled_task_opens_and_reads_nothing_and_closes_all_the_same)
{
        ouro_task task = ouro_create_task(lists, NULL);

        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        return 0;
}

struct cut {
        ouro_dir *dir;
        int result;
};

static intptr_t reads_cut(void *arg)
{
        struct cut *cut = arg;
        struct ouro_dir_entry entry;

        cut->result = ouro_dir_next(cut->dir, &entry);
        return 0;
}

IN_LOOP(dir, a_cancelled_read_loses_no_entry)
{
        static int counts[MANY];
        struct cut cut = {.dir = opened("."), .result = 1};
        ouro_task task;

        make_many();
        task = ouro_create_task(reads_cut, &cut);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), 0);
        EQ(cut.result, -ECANCELED);
        count_many(cut.dir, counts);
        for (int i = 0; i < MANY; i++)
                EQ(counts[i], 1);
        EQ(ouro_dir_close(cut.dir), 0);
        return 0;
}

IN_LOOP(dir, a_second_task_in_a_call_is_told_that_it_is_busy)
{
        struct cut cut = {.dir = opened("."), .result = 7};
        struct ouro_dir_entry entry;
        ouro_task task;

        make_file("f");
        task = ouro_create_task(reads_cut, &cut);
        ouro_yield();
        if (cut.result == 7) { /* it waits for a helper */
                EQ(ouro_dir_next(cut.dir, &entry), -EBUSY);
                EQ(ouro_dir_rewind(cut.dir), -EBUSY);
                EQ(ouro_dir_close(cut.dir), -EBUSY);
        }
        EQ(ouro_await(task), 0);
        EQ(cut.result, 1);
        EQ(ouro_dir_close(cut.dir), 0);
        return 0;
}

IN_LOOP(dir, mistakes_have_their_errno)
{
        struct ouro_dir_entry entry;
        ouro_dir *dir = NULL;

        make_file("f");
        EQ(ouro_dir_open(AT_FDCWD, NULL, &dir), -EINVAL);
        EQ(ouro_dir_open(AT_FDCWD, ".", NULL), -EINVAL);
        EQ(ouro_dir_open(AT_FDCWD, "f", &dir), -ENOTDIR);
        EQ(ouro_dir_open(AT_FDCWD, "nothing", &dir), -ENOENT);
        EQ(ouro_dir_open(no_such_fd(), "x", &dir), -EBADF);
        cr_assert_null(dir);
        EQ(ouro_dir_next(NULL, &entry), -EINVAL);
        EQ(ouro_dir_rewind(NULL), -EINVAL);
        EQ(ouro_dir_fd(NULL), -EINVAL);
        EQ(ouro_dir_close(NULL), 0);
        dir = opened(".");
        EQ(ouro_dir_next(dir, NULL), -EINVAL);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

static intptr_t uses_another_loops(void *dir)
{
        struct ouro_dir_entry entry;

        EQ(ouro_dir_next(dir, &entry), -EPERM);
        EQ(ouro_dir_rewind(dir), -EPERM);
        EQ(ouro_dir_fd(dir), -EPERM);
        EQ(ouro_dir_close(dir), -EPERM);
        return 0;
}

static void *runs_a_loop(void *dir)
{
        EQ(ouro_run(uses_another_loops, dir), 0);
        return NULL;
}

IN_LOOP(dir, another_loops_directory_is_refused)
{
        ouro_dir *dir = opened(".");
        pthread_t thread;

        EQ(pthread_create(&thread, NULL, runs_a_loop, dir), 0);
        EQ(pthread_join(thread, NULL), 0);
        EQ(ouro_dir_close(dir), 0);
        return 0;
}

Test(dir, outside_a_loop_it_is_refused)
{
        ouro_dir *dir;

        EQ(ouro_dir_open(AT_FDCWD, ".", &dir), -EPERM);
        EQ(ouro_make_dirs(AT_FDCWD, "d", 0755), -EPERM);
        EQ(ouro_remove_tree(AT_FDCWD, "d"), -EPERM);
}

/* ---- made ---- */

IN_LOOP(dir, all_that_is_missing_on_the_way_is_made)
{
        struct stat st;

        umask(022);
        EQ(ouro_make_dirs(AT_FDCWD, "a/b//c/d/", 0750), 0);
        EQ(stat("a/b/c/d", &st), 0);
        EQ(st.st_mode & 07777, 0750);
        EQ(ouro_make_dirs(AT_FDCWD, "a/b/c/d", 0700), 0);
        EQ(ouro_make_dirs(AT_FDCWD, "a", 0700), 0);
        EQ(ouro_make_dirs(AT_FDCWD, ".", 0700), 0);
        EQ(ouro_make_dirs(AT_FDCWD, "/", 0700), 0);
        EQ(ouro_make_dirs(AT_FDCWD, "r/s", 0500), 0);
        EQ(stat("r", &st), 0);
        EQ(st.st_mode & 0700, 0700);
        EQ(chmod("r/s", 0700), 0);
        return 0;
}

IN_LOOP(dir, making_stops_where_something_else_is)
{
        static char longest[4200];

        make_file("f");
        EQ(symlink("nowhere", "l"), 0);
        EQ(ouro_make_dirs(AT_FDCWD, "f", 0755), -EEXIST);
        EQ(ouro_make_dirs(AT_FDCWD, "f/g/h", 0755), -ENOTDIR);
        EQ(ouro_make_dirs(AT_FDCWD, "l", 0755), -EEXIST);
        EQ(ouro_make_dirs(AT_FDCWD, "", 0755), -ENOENT);
        EQ(ouro_make_dirs(AT_FDCWD, NULL, 0755), -EINVAL);
        for (size_t i = 0; i + 1 < sizeof longest; i++)
                longest[i] = i % 2 ? '/' : 'd';
        EQ(ouro_make_dirs(AT_FDCWD, longest, 0755), -ENAMETOOLONG);
        cr_assert(!exists("d"));
        longest[4095] = 0; /* PATH_MAX with its zero */
        EQ(ouro_make_dirs(AT_FDCWD, longest, 0755), 0);
        EQ(ouro_remove_tree(AT_FDCWD, "d"), 0);
        cr_assert(!exists("d"));
        return 0;
}

static intptr_t makes_dirs(void *path)
{
        return ouro_make_dirs(AT_FDCWD, path, 0755);
}

IN_LOOP(dir, many_who_make_the_same_all_succeed)
{
        ouro_task tasks[16];
        intptr_t results[16];
        char path[] = "x/y/z/w/v";

        for (int i = 0; i < 16; i++)
                tasks[i] = ouro_create_task(makes_dirs, path);
        EQ(ouro_gather(tasks, 16, results), 0);
        cr_assert(exists("x/y/z/w/v"));
        return 0;
}

/* ---- removed ---- */

static void make_tree(void)
{
        char name[64];

        EQ(mkdir("t", 0755), 0);
        for (int i = 0; i < 40; i++) {
                snprintf(name, sizeof name, "t/%d", i);
                EQ(mkdir(name, 0755), 0);
                for (int j = 0; j < 40; j++) {
                        snprintf(name, sizeof name, "t/%d/%d", i, j);
                        make_file(name);
                }
        }
}

IN_LOOP(dir, a_tree_goes_with_all_that_is_in_it_and_nothing_that_its_links_lead_to)
{
        make_tree();
        EQ(mkdir("kept", 0755), 0);
        make_file("kept/f");
        EQ(symlink("../kept", "t/link"), 0);
        EQ(symlink("kept", "top"), 0);
        EQ(mkfifo("t/3/fifo", 0644), 0);
        EQ(ouro_remove_tree(AT_FDCWD, "t"), 0);
        cr_assert(!exists("t"));
        cr_assert(exists("kept/f"));
        EQ(ouro_remove_tree(AT_FDCWD, "top"), 0);
        cr_assert(!exists("top"));
        cr_assert(exists("kept/f"));
        EQ(ouro_remove_tree(AT_FDCWD, "kept/f"), 0);
        EQ(ouro_remove_tree(AT_FDCWD, "kept/"), 0);
        cr_assert(!exists("kept"));
        return 0;
}

IN_LOOP(dir, removing_refuses_what_has_no_name_of_its_own)
{
        EQ(mkdir("d", 0755), 0);
        EQ(ouro_remove_tree(AT_FDCWD, "nothing"), -ENOENT);
        EQ(ouro_remove_tree(AT_FDCWD, NULL), -EINVAL);
        EQ(ouro_remove_tree(AT_FDCWD, ""), -EINVAL);
        EQ(ouro_remove_tree(AT_FDCWD, "/"), -EINVAL);
        EQ(ouro_remove_tree(AT_FDCWD, "d/."), -EINVAL);
        EQ(ouro_remove_tree(AT_FDCWD, "d/.."), -EINVAL);
        EQ(ouro_remove_tree(AT_FDCWD, "d/../"), -EINVAL);
        cr_assert(exists("d"));
        return 0;
}

static intptr_t removes(void *path)
{
        return ouro_remove_tree(AT_FDCWD, path);
}

IN_LOOP(dir, removing_can_be_cut_short_and_taken_up_again)
{
        char path[] = "t";
        ouro_task task;

        make_tree();
        task = ouro_create_task(removes, path);
        for (int i = 0; i < 3; i++)
                ouro_yield();
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        cr_assert(exists("t"));
        EQ(ouro_remove_tree(AT_FDCWD, "t"), 0);
        cr_assert(!exists("t"));
        return 0;
}

IN_LOOP(dir, two_who_remove_the_same_tree_do_not_disturb_each_other)
{
        char path[] = "t";
        ouro_task tasks[2];
        intptr_t results[2];

        make_tree();
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_create_task(removes, path);
        ouro_gather(tasks, 2, results);
        cr_assert(!exists("t"));
        for (int i = 0; i < 2; i++)
                cr_assert(results[i] == 0 || results[i] == -ENOENT, "%d", (int)results[i]);
        return 0;
}
