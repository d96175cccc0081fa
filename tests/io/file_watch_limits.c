/* Of lib/io/file_watch*.c: more happens, or is to be watched, than the kernel allows. */
#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/file_watched.h"
#include "support/temp_dir.h"

TestSuite(file_watch_limits, .init = temp_begin, .fini = temp_end);

/* ---- more than it keeps ---- */

IN_LOOP(file_watch_limits, overflow_is_told_and_directories_that_came_meanwhile_are_watched)
{
        enum { STORM = 20000 }; /* more than fs.inotify.max_queued_events */
        struct ouro_file_event event;
        ouro_file_watch *watch;
        bool overflow = false;
        int found = 0;

        EQ(mkdir("t", 0755), 0);
        watch = tree("t", IN_CREATE | IN_ATTRIB);
        make_file("t/f");
        make_file("t/g");
        for (int i = 0; i < STORM; i++) { /* alternating: the same event again is left out by the kernel */
                EQ(chmod("t/f", 0600 + (mode_t)(i % 8)), 0);
                EQ(chmod("t/g", 0600 + (mode_t)(i % 8)), 0);
        }
        EQ(mkdir("t/late", 0755), 0);
        make_file("t/late/x");
        while (!overflow || !found) {
                event = next_of(watch);
                overflow = overflow || (event.id == -1 && event.mask == IN_Q_OVERFLOW);
                found += strcmp(event.path, "late/x") == 0 && event.found;
        }
        make_file("t/late/y");
        expect(watch, IN_CREATE, "late/y");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

/* The kernel has no room to say that it was moved out, and what happens in it then is nobody's affair here.
 */
IN_LOOP(file_watch_limits, what_was_moved_out_during_an_overflow_is_not_watched_any_more)
{
        enum { STORM = 20000 };
        struct ouro_file_event event;
        ouro_file_watch *watch;
        bool overflow = false;

        EQ(mkdir("t", 0755), 0);
        EQ(mkdir("t/stays", 0755), 0);
        EQ(mkdir("t/leaves", 0755), 0);
        EQ(mkdir("t/leaves/sub", 0755), 0);
        EQ(mkdir("t/goes", 0755), 0);
        watch = tree("t", IN_CREATE | IN_ATTRIB);
        make_file("t/f");
        make_file("t/g");
        for (int i = 0; i < STORM; i++) {
                EQ(chmod("t/f", 0600 + (mode_t)(i % 8)), 0);
                EQ(chmod("t/g", 0600 + (mode_t)(i % 8)), 0);
        }
        EQ(rename("t/leaves", "left"), 0);
        EQ(rmdir("t/goes"), 0);
        EQ(rename("t/stays", "t/renamed"), 0);
        while (!overflow) {
                event = next_of(watch);
                overflow = event.id == -1 && event.mask == IN_Q_OVERFLOW;
        }
        make_file("t/mark"); /* behind all that was lost, and before the look at everything */
        expect(watch, IN_CREATE, "mark");
        OURO_TIMEOUT(OURO_SEC(1)) { /* the look itself tells nothing */
                EQ(ouro_file_watch_next(watch, &event), -ETIME);
        }
        make_file("left/x");
        make_file("left/sub/x");
        make_file("t/renamed/y");
        expect(watch, IN_CREATE, "renamed/y");
        expect_no_more(watch, "t/end");
        EQ(ouro_file_watch_close(watch), 0);
        return 0;
}

/* ---- the kernel's limit, in a user namespace of our own ---- */

static bool write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        close(fd);
        return written;
}

/* Criterion knows nothing of the process that this is in: no assertions. */
#define MUST(condition)                                                                                      \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                              \
                        return 1;                                                                            \
                }                                                                                            \
        } while (0)

static bool tells(ouro_file_watch *watch, int error, uint32_t mask, const char *path)
{
        struct ouro_file_event event = {0};

        return ouro_file_watch_next(watch, &event) == 0 && event.error == error && event.mask == mask &&
               strcmp(event.path, path) == 0;
}

/* Three may be watched. */
static intptr_t meets_the_limit(void *unused)
{
        const unsigned all = OURO_FILE_WATCH_TREE;
        ouro_file_watch *watch;

        (void)unused;
        MUST(mkdir("t", 0755) == 0 && mkdir("t/a", 0755) == 0 && mkdir("u", 0755) == 0);
        MUST(mkdir("v", 0755) == 0 && mkdir("v/1", 0755) == 0);
        MUST(ouro_file_watch_open(&watch) == 0);
        MUST(ouro_file_watch_add(watch, AT_FDCWD, "t", IN_CREATE, all) == 0);
        MUST(ouro_file_watch_add(watch, AT_FDCWD, "v", IN_CREATE, all) == -ENOSPC); /* and v is let go */
        MUST(mkdir("t/b", 0755) == 0 && tells(watch, 0, IN_CREATE | IN_ISDIR, "b"));
        MUST(mkdir("t/c", 0755) == 0 && tells(watch, 0, IN_CREATE | IN_ISDIR, "c"));
        MUST(tells(watch, -ENOSPC, 0, "c"));
        MUST(ouro_file_watch_add(watch, AT_FDCWD, "u", IN_CREATE, 0) == -ENOSPC);
        MUST(mkdir("t/b/x", 0755) == 0 && tells(watch, 0, IN_CREATE | IN_ISDIR, "b/x"));
        MUST(tells(watch, -ENOSPC, 0, "b/x"));
        MUST(rmdir("t/a") == 0);
        MUST(ouro_file_watch_add(watch, AT_FDCWD, "u", IN_CREATE, 0) >= 0);
        MUST(mkdir("u/y", 0755) == 0 && tells(watch, 0, IN_CREATE | IN_ISDIR, "y"));
        MUST(ouro_file_watch_close(watch) == 0);
        return 0;
}

enum { NO_LIMIT = 77 };

static int in_own_namespace(void)
{
        char map[32];

        snprintf(map, sizeof map, "0 %d 1", (int)getuid());
        if (unshare(CLONE_NEWUSER) < 0 || !write_text("/proc/self/uid_map", map) ||
            !write_text("/proc/sys/user/max_inotify_watches", "3"))
                return NO_LIMIT;
        return (int)ouro_run(meets_the_limit, NULL);
}

Test(file_watch_limits, at_the_kernels_limit_it_says_so_and_what_is_watched_stays_so)
{
        pid_t child = fork();
        int status;

        if (child == 0)
                _exit(in_own_namespace());
        EQ(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NO_LIMIT)
                PASSED_OVER("no limit may be set here");
        else
                EQ(status, 0);
}
