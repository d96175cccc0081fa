/* Of lib/io/file_watch*.c: changes to files and trees, told once and by the right path. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/inotify.h>

#include "support/file_watched.h"
#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(file_watch, .init = temp_begin, .fini = temp_end);

/* ---- one directory ---- */

IN_LOOP(file_watch, what_happens_in_a_directory_is_told_in_order)
{
        ouro_file_watch *watch = opened();
        struct ouro_file_event from, to;
        uint32_t cookie;
        int id;

        EQ(mkdir("d", 0755), 0);
        id = ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE | IN_MOVE | IN_DELETE | IN_CLOSE_WRITE, 0);
        EQ(id, 0);
        make_file("d/a");
        EQ(rename("d/a", "d/b"), 0);
        EQ(unlink("d/b"), 0);
        EQ(mkdir("d/sub", 0755), 0);
        expect(watch, IN_CREATE, "a");
        expect(watch, IN_CLOSE_WRITE, "a");
        from = next_of(watch);
        EQ(from.mask, IN_MOVED_FROM);
        cr_assert_str_eq(from.path, "a");
        cookie = from.cookie;
        to = next_of(watch);
        EQ(to.mask, IN_MOVED_TO);
        EQ(to.cookie, cookie);
        cr_assert(cookie != 0);
        cr_assert_str_eq(to.path, "b");
        expect(watch, IN_DELETE, "b");
        expect(watch, IN_CREATE | IN_ISDIR, "sub");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

IN_LOOP(file_watch, a_file_has_the_empty_path_and_its_id_ends_with_it)
{
        ouro_file_watch *watch = opened();
        struct ouro_file_event event;

        make_file("f");
        make_file("g");
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "f", IN_MODIFY, 0), 0);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "g", IN_ATTRIB, 0), 1);
        EQ(truncate("f", 10), 0);
        EQ(chmod("g", 0600), 0);
        event = next_of(watch);
        EQ(event.id, 0);
        EQ(event.mask, IN_MODIFY);
        cr_assert_str_eq(event.path, "");
        event = next_of(watch);
        EQ(event.id, 1);
        EQ(unlink("f"), 0);
        event = next_of(watch);
        EQ(event.id, 0);
        EQ(event.mask, IN_IGNORED);
        EQ(ouro_file_watch_remove(watch, 0), -ENOENT);
        EQ(ouro_file_watch_remove(watch, 1), 0);
        EQ(ouro_file_watch_remove(watch, 1), -ENOENT);
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

IN_LOOP(file_watch, what_is_removed_tells_nothing_more)
{
        ouro_file_watch *watch = opened();

        EQ(mkdir("d", 0755), 0);
        EQ(mkdir("e", 0755), 0);
        EQ(mkdir("d/x", 0755), 0);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE, OURO_FILE_WATCH_TREE), 0);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "e", IN_CREATE, 0), 1);
        make_file("d/a");
        make_file("d/x/a");
        EQ(ouro_file_watch_remove(watch, 0), 0);
        make_file("d/b");
        expect_no_more(watch, "e/mark");
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE, OURO_FILE_WATCH_TREE), 2);
        make_file("d/x/b");
        expect(watch, IN_CREATE, "x/b");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

/* ---- trees ---- */

IN_LOOP(file_watch, all_directories_below_are_watched_and_those_to_come)
{
        ouro_file_watch *watch;

        EQ(ouro_make_dirs(AT_FDCWD, "t/a/b/c", 0755), 0);
        watch = tree("t", IN_CREATE | IN_DELETE);
        make_file("t/a/b/c/f");
        expect(watch, IN_CREATE, "a/b/c/f");
        EQ(mkdir("t/a/new", 0755), 0);
        expect(watch, IN_CREATE | IN_ISDIR, "a/new");
        make_file("t/a/mark");
        expect(watch, IN_CREATE, "a/mark"); /* by now it has been looked into */
        make_file("t/a/new/f");
        expect(watch, IN_CREATE, "a/new/f");
        EQ(unlink("t/a/new/f"), 0);
        EQ(rmdir("t/a/new"), 0);
        expect(watch, IN_DELETE, "a/new/f");
        expect(watch, IN_DELETE | IN_ISDIR, "a/new");
        expect_no_more(watch, "t/mark");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

IN_LOOP(file_watch, what_is_in_a_new_directory_before_anybody_watches_it_is_found_and_told_once)
{
        ouro_file_watch *watch;
        struct ouro_file_event event;
        int seen[4] = {0};

        EQ(mkdir("t", 0755), 0);
        watch = tree("t", IN_CREATE);
        EQ(ouro_make_dirs(AT_FDCWD, "t/x/y", 0755), 0);
        make_file("t/x/y/f");
        make_file("t/x/g");
        for (int i = 0; i < 4; i++) {
                event = next_of(watch);
                seen[0] +=
                        strcmp(event.path, "x") == 0 && event.mask == (IN_CREATE | IN_ISDIR) && !event.found;
                seen[1] +=
                        strcmp(event.path, "x/y") == 0 && event.mask == (IN_CREATE | IN_ISDIR) && event.found;
                seen[2] += strcmp(event.path, "x/y/f") == 0 && event.mask == IN_CREATE && event.found;
                seen[3] += strcmp(event.path, "x/g") == 0 && event.mask == IN_CREATE && event.found;
        }
        for (int i = 0; i < 4; i++)
                EQ(seen[i], 1);
        expect_no_more(watch, "t/mark");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

enum { MADE = 400 };

static void *makes_dirs_and_files(void *unused)
{
        char name[64];

        for (int i = 0; i < MADE; i++) {
                snprintf(name, sizeof name, "t/%d", i);
                cr_assert(mkdir(name, 0755) == 0);
                snprintf(name, sizeof name, "t/%d/f", i);
                make_file(name);
        }
        make_file("t/end");
        return unused;
}

IN_LOOP(file_watch, the_race_between_making_a_directory_and_watching_it_loses_and_doubles_nothing)
{
        static int dirs[MADE], files[MADE];
        struct ouro_file_event event;
        ouro_file_watch *watch;
        pthread_t thread;
        int number, end, left = 2 * MADE;

        EQ(mkdir("t", 0755), 0);
        watch = tree("t", IN_CREATE);
        EQ(pthread_create(&thread, NULL, makes_dirs_and_files, NULL), 0);
        for (; left > 0; left--) {
                event = next_of(watch);
                end = 0;
                if (strcmp(event.path, "end") == 0) {
                        left++;
                        continue;
                }
                EQ(sscanf(event.path, "%d%n", &number, &end), 1);
                if (event.path[end])
                        files[number]++;
                else
                        dirs[number]++;
        }
        EQ(pthread_join(thread, NULL), 0);
        for (int i = 0; i < MADE; i++) {
                EQ(dirs[i], 1);
                EQ(files[i], 1);
        }
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

IN_LOOP(file_watch, a_directory_moved_within_the_tree_is_told_of_by_its_new_path)
{
        ouro_file_watch *watch;

        EQ(ouro_make_dirs(AT_FDCWD, "t/a/b/c", 0755), 0);
        EQ(mkdir("t/z", 0755), 0);
        watch = tree("t", IN_CREATE | IN_MOVE);
        EQ(rename("t/a/b", "t/z/bb"), 0);
        expect(watch, IN_MOVED_FROM | IN_ISDIR, "a/b");
        expect(watch, IN_MOVED_TO | IN_ISDIR, "z/bb");
        make_file("t/z/bb/c/f");
        expect(watch, IN_CREATE, "z/bb/c/f");
        expect_no_more(watch, "t/mark");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

IN_LOOP(file_watch, a_directory_moved_out_is_not_watched_any_more_and_one_moved_in_is)
{
        ouro_file_watch *watch;

        EQ(ouro_make_dirs(AT_FDCWD, "t/a/b", 0755), 0);
        EQ(ouro_make_dirs(AT_FDCWD, "out/in/deep", 0755), 0);
        make_file("out/in/f");
        watch = tree("t", IN_CREATE | IN_MOVE);
        EQ(rename("t/a", "out/a"), 0);
        expect(watch, IN_MOVED_FROM | IN_ISDIR, "a");
        OURO_TIMEOUT(OURO_MS(1)) {
                struct ouro_file_event event;

                EQ(ouro_file_watch_next(watch, &event),
                   -ETIME); /* the queue is empty: it has not come back */
        }
        make_file("out/a/b/f");
        expect_no_more(watch, "t/mark");
        EQ(rename("out/in", "t/in"), 0);
        expect(watch, IN_MOVED_TO | IN_ISDIR, "in");
        for (int i = 0; i < 2; i++)
                cr_assert(next_of(watch).found);
        make_file("t/in/deep/g");
        expect(watch, IN_CREATE, "in/deep/g");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

IN_LOOP(file_watch, a_tree_that_is_removed_ends_its_id)
{
        ouro_file_watch *watch;
        struct ouro_file_event event;

        EQ(ouro_make_dirs(AT_FDCWD, "t/a/b", 0755), 0);
        watch = tree("t", IN_DELETE);
        EQ(ouro_remove_tree(AT_FDCWD, "t"), 0);
        expect(watch, IN_DELETE | IN_ISDIR, "a/b");
        expect(watch, IN_DELETE | IN_ISDIR, "a");
        event = next_of(watch);
        EQ(event.mask, IN_IGNORED);
        cr_assert_str_eq(event.path, "");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

/* ---- waiting ---- */

struct wait {
        ouro_file_watch *watch;
        int result;
};

static intptr_t waits(void *arg)
{
        struct wait *wait = arg;
        struct ouro_file_event event;

        wait->result = ouro_file_watch_next(wait->watch, &event);
        return wait->result;
}

IN_LOOP(file_watch, f19_closing_it_ends_the_waits_with_an_error)
{
        struct wait wait[3];
        ouro_task tasks[3];
        ouro_file_watch *watch = opened();

        EQ(ouro_file_watch_add(watch, AT_FDCWD, ".", IN_CREATE, OURO_FILE_WATCH_TREE), 0);
        for (int i = 0; i < 3; i++) {
                wait[i] = (struct wait){watch, 1};
                tasks[i] = ouro_create_task(waits, &wait[i]);
        }
        ouro_sleep(OURO_MS(2));
        EQ(ouro_file_watch_close(watch), 0);
        for (int i = 0; i < 3; i++)
                EQ(ouro_await(tasks[i]), -EBADF);
        return 0;
}

IN_LOOP(file_watch, several_tasks_get_one_each_and_a_cancelled_one_takes_none)
{
        struct wait wait[3];
        ouro_task tasks[3];
        ouro_file_watch *watch = opened();

        EQ(ouro_file_watch_add(watch, AT_FDCWD, ".", IN_CREATE, 0), 0);
        for (int i = 0; i < 3; i++) {
                wait[i] = (struct wait){watch, 1};
                tasks[i] = ouro_create_task(waits, &wait[i]);
        }
        ouro_sleep(OURO_MS(2));
        EQ(ouro_cancel(tasks[0]), 0); /* whose turn it is */
        EQ(ouro_await(tasks[0]), -ECANCELED);
        make_file("a");
        EQ(ouro_await(tasks[1]), 0);
        EQ(wait[2].result, 1);
        make_file("b");
        EQ(ouro_await(tasks[2]), 0);
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

static intptr_t adds(void *watch)
{
        return ouro_file_watch_add(watch, AT_FDCWD, "t", IN_CREATE, OURO_FILE_WATCH_TREE);
}

IN_LOOP(file_watch, adding_that_is_cut_short_leaves_nothing_watched)
{
        ouro_file_watch *watch = opened();
        char name[64];

        EQ(mkdir("e", 0755), 0);
        for (int i = 0; i < 30; i++) {
                snprintf(name, sizeof name, "t/%d/a", i);
                EQ(ouro_make_dirs(AT_FDCWD, name, 0755), 0);
        }
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "e", IN_CREATE, 0), 0);
        for (int turns = 0; turns < 20; turns++) {
                ouro_task task = ouro_create_task(adds, watch);
                int result;

                for (int i = 0; i < turns; i++)
                        ouro_yield();
                ouro_cancel(task);
                result = (int)ouro_await(task);
                cr_assert(result == -ECANCELED || result > 0, "%d", result);
                if (result > 0)
                        EQ(ouro_file_watch_remove(watch, result), 0);
                snprintf(name, sizeof name, "t/3/%d", turns);
                make_file(name);
        }
        expect_no_more(watch, "e/mark");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

/* ---- mistakes ---- */

IN_LOOP(file_watch, mistakes_have_their_errno)
{
        struct ouro_file_event event;
        ouro_file_watch *watch = opened();

        EQ(mkdir("d", 0755), 0);
        EQ(mkdir("d/e", 0755), 0);
        make_file("f");
        EQ(ouro_file_watch_open(NULL), -EINVAL);
        EQ(ouro_file_watch_add(NULL, AT_FDCWD, "d", IN_CREATE, 0), -EINVAL);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, NULL, IN_CREATE, 0), -EINVAL);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", 0, 0), -EINVAL);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE | IN_MASK_ADD, 0), -EINVAL);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE, 8), -EINVAL);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE | IN_ONESHOT, OURO_FILE_WATCH_TREE), -EINVAL);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "nothing", IN_CREATE, 0), -ENOENT);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "f", IN_CREATE, OURO_FILE_WATCH_TREE), -ENOTDIR);
        EQ(ouro_file_watch_next(watch, NULL), -EINVAL);
        EQ(ouro_file_watch_next(NULL, &event), -EINVAL);
        EQ(ouro_file_watch_remove(watch, 12345), -ENOENT);
        EQ(ouro_file_watch_remove(NULL, 0), -EINVAL);
        EQ(ouro_file_watch_close(NULL), 0);
        cr_assert(ouro_file_watch_add(watch, AT_FDCWD, "d/e", IN_CREATE, 0) >= 0);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d/e", IN_CREATE, 0), -EEXIST);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, "d", IN_CREATE, OURO_FILE_WATCH_TREE), -EEXIST);
        make_file("d/e/x");
        expect(watch, IN_CREATE, "x");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

static intptr_t uses_another_loops(void *watch)
{
        struct ouro_file_event event;

        EQ(ouro_file_watch_next(watch, &event), -EPERM);
        EQ(ouro_file_watch_add(watch, AT_FDCWD, ".", IN_CREATE, 0), -EPERM);
        EQ(ouro_file_watch_remove(watch, 0), -EPERM);
        EQ(ouro_file_watch_close(watch), -EPERM);
        return 0;
}

static void *runs_a_loop(void *watch)
{
        EQ(ouro_run(uses_another_loops, watch), 0);
        return NULL;
}

IN_LOOP(file_watch, another_loops_watch_is_refused)
{
        ouro_file_watch *watch = opened();
        pthread_t thread;

        EQ(pthread_create(&thread, NULL, runs_a_loop, watch), 0);
        EQ(pthread_join(thread, NULL), 0);
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

Test(file_watch, outside_a_loop_it_is_refused)
{
        ouro_file_watch *watch;

        EQ(ouro_file_watch_open(&watch), -EPERM);
}
