/* file_watched.h - what tests of watches begin with. */
#ifndef OURO_TESTS_SUPPORT_FILE_WATCHED_H
#define OURO_TESTS_SUPPORT_FILE_WATCHED_H

#include <fcntl.h>
#include <sys/inotify.h>

#include "support/in_loop.h"

static inline void make_file(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        cr_assert(fd >= 0, "%s", path);
        close(fd);
}

static inline ouro_file_watch *opened(void)
{
        ouro_file_watch *watch = NULL;

        EQ(ouro_file_watch_open(&watch), 0);
        return watch;
}

static inline ouro_file_watch *tree(const char *path, uint32_t mask)
{
        ouro_file_watch *watch = opened();

        EQ(ouro_file_watch_add(watch, AT_FDCWD, path, mask, OURO_FILE_WATCH_TREE), 0);
        return watch;
}

static inline struct ouro_file_event next_of(ouro_file_watch *watch)
{
        struct ouro_file_event event = {0};

        OURO_TIMEOUT(OURO_SEC(30)) {
                EQ(ouro_file_watch_next(watch, &event), 0);
        }
        return event;
}

static inline void expect(ouro_file_watch *watch, uint32_t mask, const char *path)
{
        struct ouro_file_event event = next_of(watch);

        EQ(event.error, 0);
        cr_assert_str_eq(event.path, path);
        cr_assert(event.mask == mask, "%s: %x, not %x", path, event.mask, mask);
}

/* A mark behind all that has happened: nothing else may be told before it. */
static inline void expect_no_more(ouro_file_watch *watch, const char *mark)
{
        make_file(mark);
        expect(watch, IN_CREATE, mark + 2);
}

#endif
