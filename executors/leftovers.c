/* leftovers.c - finding and ending the children that are nobody's workers.
 *
 * A pid in the list is good to use: it is a child of ours that only we can reap, and we do not here. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "executors/leftovers.h"

struct sweep {
        bool (*kept)(const void *arg, pid_t pid);
        const void *arg;
        size_t found;
};

void leftovers_open(struct leftovers *leftovers)
{
        leftovers->proc = -1;
        leftovers->children = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
        if (leftovers->children < 0)
                leftovers->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void leftovers_close(struct leftovers *leftovers)
{
        if (leftovers->children >= 0)
                close(leftovers->children);
        if (leftovers->proc >= 0)
                close(leftovers->proc);
        leftovers->children = leftovers->proc = -1;
}

/* One that has taken another user's rights cannot be ended, and is not waited for. */
static void end_child(struct sweep *sweep, pid_t pid)
{
        if (!sweep->kept(sweep->arg, pid) && kill(pid, SIGKILL) == 0)
                sweep->found++;
}

/* "12 345 6 ", read in pieces: a number may be cut in two. */
static void sweep_list(struct sweep *sweep, int fd)
{
        char text[4096];
        pid_t pid = 0;
        ssize_t n;

        lseek(fd, 0, SEEK_SET);
        while ((n = read(fd, text, sizeof text)) > 0)
                for (ssize_t i = 0; i < n; i++) {
                        if (text[i] >= '0' && text[i] <= '9') {
                                pid = pid * 10 + (text[i] - '0');
                                continue;
                        }
                        if (pid > 0)
                                end_child(sweep, pid);
                        pid = 0;
                }
        if (pid > 0)
                end_child(sweep, pid);
}

/* From "pid (any name) S parent ..."; -1: it has ended. */
static pid_t parent_of(int proc, const char *pid)
{
        char path[32], text[256], *name_end;
        int fd, length = snprintf(path, sizeof path, "%.20s/stat", pid);
        ssize_t n;

        if (length < 0 || (fd = openat(proc, path, O_RDONLY | O_CLOEXEC)) < 0)
                return -1;
        n = read(fd, text, sizeof text - 1);
        close(fd);
        if (n <= 0)
                return -1;
        text[n] = '\0';
        name_end = strrchr(text, ')');
        return name_end && strlen(name_end) > 4 ? (pid_t)atol(name_end + 4) : -1;
}

static void sweep_all(struct sweep *sweep, int proc)
{
        const pid_t self = getpid();
        struct dirent *entry;
        DIR *dir;
        int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return;
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return;
        }
        while ((entry = readdir(dir))) {
                long pid = atol(entry->d_name);

                if (pid > 0 && parent_of(proc, entry->d_name) == self)
                        end_child(sweep, (pid_t)pid);
        }
        closedir(dir);
}

size_t leftovers_kill(const struct leftovers *leftovers, bool (*kept)(const void *arg, pid_t pid),
                      const void *arg)
{
        struct sweep sweep = {.kept = kept, .arg = arg};

        if (leftovers->children >= 0)
                sweep_list(&sweep, leftovers->children);
        else if (leftovers->proc >= 0)
                sweep_all(&sweep, leftovers->proc);
        return sweep.found;
}
