/* Of lib/io/dir_walk.c and tree.c: all that is below a directory, in order, whatever happens to it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "support/in_loop.h"
#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(walk, .init = temp_begin, .fini = temp_end, .timeout = 100);

static void make_file(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        cr_assert(fd >= 0, "%s", path);
        close(fd);
}

static void make_dir(const char *path)
{
        cr_assert(mkdir(path, 0755) == 0, "%s", path);
}

static ouro_walk *walk_of(const char *path, unsigned flags, size_t max_depth)
{
        struct ouro_walk_options options = {.size = sizeof options, .flags = flags, .max_depth = max_depth};
        ouro_walk *walk = NULL;

        EQ(ouro_walk_open(AT_FDCWD, path, &options, &walk), 0);
        return walk;
}

/* All events as text, one directory having one entry so that there is one order. */
static char seen[4096];

static void walk_all(const char *path, unsigned flags, size_t max_depth)
{
        static const char marks[] = {'?', '-', '+', '/', '!'};
        ouro_walk *walk = walk_of(path, flags, max_depth);
        struct ouro_walk_entry entry;
        int result;

        seen[0] = 0;
        while ((result = ouro_walk_next(walk, &entry)) == 1)
                snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%c%zu%s ", marks[entry.event],
                         entry.depth, entry.path);
        EQ(result, 0);
        EQ(ouro_walk_next(walk, &entry), 0);
        EQ(ouro_walk_close(walk), 0);
}

IN_LOOP(walk, directories_come_before_or_after_what_is_in_them_or_both)
{
        make_dir("t");
        make_dir("t/a");
        make_dir("t/a/b");
        make_file("t/a/b/f");
        walk_all("t", 0, 0);
        cr_assert_str_eq(seen, "+1a +2a/b -3a/b/f ");
        walk_all("t", OURO_WALK_POST, 0);
        cr_assert_str_eq(seen, "-3a/b/f /2a/b /1a ");
        walk_all("t", OURO_WALK_BOTH, 0);
        cr_assert_str_eq(seen, "+1a +2a/b -3a/b/f /2a/b /1a ");
        walk_all("t", OURO_WALK_BOTH, 2);
        cr_assert_str_eq(seen, "+1a +2a/b /2a/b /1a ");
        walk_all("t", 0, 1);
        cr_assert_str_eq(seen, "+1a ");
        walk_all("t/a/b", OURO_WALK_BOTH, 0);
        cr_assert_str_eq(seen, "-1f ");
        return 0;
}

IN_LOOP(walk, a_directory_that_is_skipped_is_neither_entered_nor_ended)
{
        struct ouro_walk_entry entry;
        ouro_walk *walk;

        make_dir("t");
        make_dir("t/a");
        make_file("t/a/f");
        walk = walk_of("t", OURO_WALK_BOTH, 0);
        EQ(ouro_walk_skip(walk), -EINVAL);
        EQ(ouro_walk_next(walk, &entry), 1);
        EQ(entry.event, OURO_WALK_DIR);
        EQ(ouro_walk_skip(walk), 0);
        EQ(ouro_walk_skip(walk), -EINVAL);
        EQ(ouro_walk_next(walk, &entry), 0);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

IN_LOOP(walk, links_are_told_as_links_or_followed_without_going_round)
{
        make_dir("t");
        make_dir("t/a");
        EQ(symlink("../a", "t/a/again"), 0);
        walk_all("t", OURO_WALK_BOTH, 0);
        cr_assert_str_eq(seen, "+1a -2a/again /1a ");
        walk_all("t", OURO_WALK_BOTH | OURO_WALK_FOLLOW, 0);
        cr_assert_str_eq(seen, "+1a +2a/again !2a/again /2a/again /1a ");
        EQ(unlink("t/a/again"), 0);
        EQ(symlink("nowhere", "t/a/broken"), 0);
        walk_all("t", OURO_WALK_FOLLOW, 0);
        cr_assert_str_eq(seen, "+1a -2a/broken ");
        make_dir("out");
        make_file("out/f");
        EQ(unlink("t/a/broken"), 0);
        EQ(symlink("../../out", "t/a/out"), 0);
        walk_all("t", OURO_WALK_FOLLOW | OURO_WALK_BOTH, 0);
        cr_assert_str_eq(seen, "+1a +2a/out -3a/out/f /2a/out /1a ");
        return 0;
}

IN_LOOP(walk, another_file_system_is_told_and_not_entered)
{
        ouro_walk *walk = walk_of("/", OURO_WALK_ONE_FS, 2);
        struct ouro_walk_entry entry;
        int result, inside = 0, told = 0;

        while ((result = ouro_walk_next(walk, &entry)) == 1) {
                told += strcmp(entry.path, "proc") == 0;
                inside += strncmp(entry.path, "proc/", 5) == 0;
        }
        EQ(result, 0);
        EQ(told, 1);
        EQ(inside, 0);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

/* ---- depth ---- */

enum { LEVELS = 10000 };

static void make_deep(int levels)
{
        int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

        for (int i = 0; i < levels; i++) {
                EQ(mkdirat(at, "d", 0755), 0);
                if (i % 100 == 0)
                        EQ(mknodat(at, "e", S_IFREG | 0644, 0), 0);
                next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cr_assert(next >= 0);
                close(at);
                at = next;
        }
        close(at);
}

static void walk_deep(int levels)
{
        ouro_walk *walk = walk_of(".", OURO_WALK_BOTH, 0);
        struct ouro_walk_entry entry;
        size_t deepest = 0;
        int dirs = 0, ends = 0, files = 0, result;

        while ((result = ouro_walk_next(walk, &entry)) == 1) {
                dirs += entry.event == OURO_WALK_DIR;
                ends += entry.event == OURO_WALK_DIR_END;
                files += entry.event == OURO_WALK_FILE;
                cr_assert(entry.event != OURO_WALK_ERROR, "%d", entry.error);
                deepest = entry.depth > deepest ? entry.depth : deepest;
                EQ(faccessat(entry.dirfd, entry.name, F_OK, 0), 0);
        }
        EQ(result, 0);
        EQ(dirs, levels);
        EQ(ends, levels);
        EQ(files, (levels + 99) / 100);
        EQ(deepest, levels);
        EQ(ouro_walk_close(walk), 0);
}

IN_LOOP(walk, ten_thousand_levels_take_few_descriptors)
{
        struct rlimit limit;

        make_deep(LEVELS);
        EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = 64;
        EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        walk_deep(LEVELS);
        EQ(ouro_remove_tree(AT_FDCWD, "d"), 0);
        cr_assert(access("d", F_OK) != 0);
        return 0;
}

IN_LOOP(walk, where_descriptors_are_short_it_gets_by_with_four)
{
        enum { DEEP = 200 };
        struct rlimit limit, before;
        int spare[3], lowest;

        make_deep(DEEP);
        ouro_sleep(OURO_MS(1)); /* the loop has what it needs */
        EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (int i = 0; i < 3; i++)
                spare[i] = open("/", O_PATH | O_CLOEXEC);
        lowest = open("/", O_PATH | O_CLOEXEC);
        limit = before;
        limit.rlim_cur = (rlim_t)lowest + 1;
        EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        for (int i = 0; i < 3; i++)
                close(spare[i]);
        close(lowest);
        walk_deep(DEEP);
        EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        return 0;
}

IN_LOOP(walk, without_any_descriptor_directories_are_told_as_errors_and_the_walk_goes_on)
{
        struct rlimit limit, before;
        ouro_walk *walk;
        struct ouro_walk_entry entry;
        int errors = 0, files = 0, lowest, result;

        make_dir("t");
        make_dir("t/a");
        make_dir("t/b");
        make_file("t/f");
        walk = walk_of("t", 0, 0);
        EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = before;
        lowest = open("/", O_PATH | O_CLOEXEC);
        limit.rlim_cur = (rlim_t)lowest;
        EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        while ((result = ouro_walk_next(walk, &entry)) == 1) {
                errors += entry.event == OURO_WALK_ERROR && entry.error == -EMFILE;
                files += entry.event == OURO_WALK_FILE;
        }
        EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        close(lowest);
        EQ(result, 0);
        EQ(errors, 2);
        EQ(files, 1);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

/* ---- what changes meanwhile ---- */

IN_LOOP(walk, a_directory_that_is_replaced_by_a_link_leads_nowhere)
{
        struct ouro_walk_entry entry;
        ouro_walk *walk;

        make_dir("t");
        make_dir("t/a");
        make_dir("out");
        make_file("out/secret");
        walk = walk_of("t", OURO_WALK_BOTH, 0);
        EQ(ouro_walk_next(walk, &entry), 1);
        EQ(rmdir("t/a"), 0);
        EQ(symlink("../out", "t/a"), 0);
        EQ(ouro_walk_next(walk, &entry), 1);
        EQ(entry.event, OURO_WALK_ERROR);
        cr_assert(entry.error == -ENOTDIR || entry.error == -ELOOP);
        cr_assert_str_eq(entry.path, "a");
        EQ(ouro_walk_next(walk, &entry), 1);
        EQ(entry.event, OURO_WALK_DIR_END);
        EQ(ouro_walk_next(walk, &entry), 0);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

/* Down to where the descriptors of those above have been closed, then one of these is moved away. */
static ouro_walk *walk_down(int levels)
{
        ouro_walk *walk = walk_of("t", OURO_WALK_BOTH, 0);
        struct ouro_walk_entry entry;

        do
                EQ(ouro_walk_next(walk, &entry), 1);
        while (entry.depth < (size_t)levels);
        return walk;
}

IN_LOOP(walk, a_directory_moved_elsewhere_in_the_tree_is_found_again)
{
        enum { DEEP = 80 };
        struct ouro_walk_entry entry;
        ouro_walk *walk;
        int ends = 0, result;

        make_dir("t");
        EQ(chdir("t"), 0);
        make_deep(DEEP);
        EQ(chdir(".."), 0);
        make_dir("t/e2");
        EQ(rename("t/e2", "t/d/e2"), 0);
        walk = walk_down(60);
        EQ(rename("t/d/d/d", "t/d/e2/d"), 0); /* from inside, ".." leads to e2 now, which is not the one */
        while ((result = ouro_walk_next(walk, &entry)) == 1) {
                ends += entry.event == OURO_WALK_DIR_END;
                if (entry.event == OURO_WALK_ERROR)
                        EQ(entry.depth, 2);
        }
        EQ(result, 0);
        cr_assert(ends >= DEEP - 3, "%d", ends);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

IN_LOOP(walk, a_branch_moved_out_of_the_tree_does_not_lead_outside)
{
        enum { DEEP = 80 };
        struct ouro_walk_entry entry;
        ouro_walk *walk;
        int result;

        make_dir("t");
        make_dir("out");
        make_file("out/secret");
        EQ(chdir("t"), 0);
        make_deep(DEEP);
        EQ(chdir(".."), 0);
        walk = walk_down(60);
        EQ(rename("t/d/d/d", "out/d"), 0);
        while ((result = ouro_walk_next(walk, &entry)) == 1)
                cr_assert(strcmp(entry.name, "secret") != 0 && strcmp(entry.name, "out") != 0);
        EQ(result, 0);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

static void remove_by_name(const char *path)
{
        cr_assert(remove(path) == 0, "%s", path);
}

IN_LOOP(walk, files_that_stay_are_told_once_while_others_come_and_go)
{
        enum { DIRS = 20, FILES = 300 };
        static int counts[DIRS][FILES];
        struct ouro_walk_entry entry;
        char name[64];
        ouro_walk *walk;
        int d, f, steps = 0, result;

        for (d = 0; d < DIRS; d++) {
                snprintf(name, sizeof name, "%d", d);
                make_dir(name);
                for (f = 0; f < FILES; f++) {
                        snprintf(name, sizeof name, "%d/%d", d, f);
                        make_file(name);
                }
        }
        walk = walk_of(".", OURO_WALK_BOTH, 0);
        while ((result = ouro_walk_next(walk, &entry)) == 1) {
                if (entry.event == OURO_WALK_FILE && sscanf(entry.path, "%d/%d", &d, &f) == 2)
                        counts[d][f]++;
                if (steps < DIRS * FILES / 2) {
                        snprintf(name, sizeof name, "%d/%d", steps % DIRS, steps / DIRS * 2 + 1);
                        remove_by_name(name);
                        snprintf(name, sizeof name, "%d/new%d", steps % DIRS, steps);
                        make_file(name);
                }
                steps++;
        }
        EQ(result, 0);
        for (d = 0; d < DIRS; d++)
                for (f = 0; f < FILES; f += 2)
                        EQ(counts[d][f], 1);
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

/* ---- errors ---- */

IN_LOOP(walk, stopping_at_errors_is_a_choice)
{
        struct ouro_walk_entry entry;
        ouro_walk *walk;
        int result;

        make_dir("t");
        make_dir("t/a");
        EQ(symlink("../a", "t/a/again"), 0);
        walk = walk_of("t", OURO_WALK_FOLLOW | OURO_WALK_STOP, 0);
        while ((result = ouro_walk_next(walk, &entry)) == 1)
                ;
        EQ(result, -ELOOP);
        EQ(ouro_walk_next(walk, &entry), 0); /* and it can be gone on with */
        EQ(ouro_walk_close(walk), 0);
        return 0;
}

static intptr_t walks(void *arg)
{
        struct ouro_walk_entry entry;
        int result;

        while ((result = ouro_walk_next(arg, &entry)) == 1)
                ;
        return result;
}

IN_LOOP(walk, a_cancelled_walk_loses_nothing)
{
        ouro_walk *walk;
        ouro_task task;

        make_deep(300);
        walk = walk_of(".", OURO_WALK_BOTH, 0);
        task = ouro_create_task(walks, walk);
        ouro_yield();
        ouro_yield();
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        EQ(walks(walk), 0);
        EQ(ouro_walk_close(walk), 0);
        walk_deep(300);
        return 0;
}

IN_LOOP(walk, mistakes_have_their_errno)
{
        struct ouro_walk_options options = {.size = sizeof options, .flags = 1u << 20};
        struct ouro_walk_entry entry;
        ouro_walk *walk = NULL;

        make_file("f");
        EQ(ouro_walk_open(AT_FDCWD, ".", &options, &walk), -EINVAL);
        options.flags = OURO_WALK_POST | OURO_WALK_BOTH;
        EQ(ouro_walk_open(AT_FDCWD, ".", &options, &walk), -EINVAL);
        options.size = 0;
        EQ(ouro_walk_open(AT_FDCWD, ".", &options, &walk), -EINVAL);
        EQ(ouro_walk_open(AT_FDCWD, NULL, NULL, &walk), -EINVAL);
        EQ(ouro_walk_open(AT_FDCWD, ".", NULL, NULL), -EINVAL);
        EQ(ouro_walk_open(AT_FDCWD, "f", NULL, &walk), -ENOTDIR);
        EQ(ouro_walk_open(AT_FDCWD, "nothing", NULL, &walk), -ENOENT);
        EQ(ouro_walk_next(NULL, &entry), -EINVAL);
        EQ(ouro_walk_skip(NULL), -EINVAL);
        EQ(ouro_walk_close(NULL), 0);
        cr_assert_null(walk);
        return 0;
}

Test(walk, outside_a_loop_it_is_refused)
{
        ouro_walk *walk;

        EQ(ouro_walk_open(AT_FDCWD, ".", NULL, &walk), -EPERM);
}
