/* Directories, copies, whole files, locks and watches: what helpers of several loops do at the same time. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 3, FILES = 20 };

static intptr_t changes_files(void *arg)
{
        const char *dir = arg;
        char path[128], copy[128];

        for (int i = 0; i < FILES; i++) {
                snprintf(path, sizeof path, "%s/sub/%d", dir, i);
                snprintf(copy, sizeof copy, "%s/copy-%d", dir, i);
                expect(ouro_replace_file(AT_FDCWD, path, "text", 4, NULL) == 0);
                expect(ouro_copy_file(AT_FDCWD, path, AT_FDCWD, copy, NULL) == 0);
        }
        return 0;
}

static int count(const char *dir)
{
        struct ouro_walk_entry entry;
        ouro_walk *walk;
        int n = 0;

        expect(ouro_walk_open(AT_FDCWD, dir, NULL, &walk) == 0);
        while (ouro_walk_next(walk, &entry) == 1)
                n += entry.event == OURO_WALK_FILE;
        expect(ouro_walk_close(walk) == 0);
        return n;
}

static intptr_t waits_for_changes(void *arg)
{
        struct ouro_file_event event;
        int error;

        while ((error = ouro_file_watch_next(arg, &event)) == 0)
                ;
        return error;
}

/* Each loop in a directory of its own below one that they share, and lock. */
static intptr_t works(void *arg)
{
        char dir[64];
        ouro_file_watch *watch;
        ouro_task change, wait;
        int lock = ouro_open(arg, O_RDONLY | O_DIRECTORY, 0);

        snprintf(dir, sizeof dir, "%s/XXXXXX", (char *)arg);
        expect(ouro_temp_dir(AT_FDCWD, dir) == 0);
        expect(ouro_file_watch_open(&watch) == 0);
        expect(ouro_file_watch_add(watch, AT_FDCWD, dir, IN_CREATE | IN_MOVE, OURO_FILE_WATCH_TREE) == 0);
        wait = ouro_create_task(waits_for_changes, watch);
        strcat(dir, "/sub");
        expect(ouro_make_dirs(AT_FDCWD, dir, 0755) == 0);
        *strrchr(dir, '/') = 0;
        change = ouro_create_task(changes_files, dir);
        expect(ouro_await(change) == 0);
        expect(ouro_lock_file(lock, OURO_LOCK_EXCLUSIVE) == 0);
        expect(count(dir) == 2 * FILES);
        expect(ouro_unlock_file(lock) == 0);
        expect(ouro_file_watch_close(watch) == 0);
        expect(ouro_await(wait) == -EBADF);
        expect(ouro_remove_tree(AT_FDCWD, dir) == 0);
        return ouro_close(lock);
}

static void *runs_a_loop(void *arg)
{
        return (void *)ouro_run(works, arg);
}

CASE(loops_that_change_walk_and_watch_files_do_not_disturb_each_other)
{
        char dir[] = "/tmp/ouro-tsan-XXXXXX";
        pthread_t threads[LOOPS];
        void *result;

        expect(mkdtemp(dir) != NULL);
        for (int i = 0; i < LOOPS; i++)
                pthread_create(&threads[i], NULL, runs_a_loop, dir);
        for (int i = 0; i < LOOPS; i++) {
                pthread_join(threads[i], &result);
                expect(result == NULL);
        }
        expect(rmdir(dir) == 0);
}
