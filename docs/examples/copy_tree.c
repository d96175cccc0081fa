/* copy_tree.c - copy a directory with all that is in it, many files at a time: as `cp -a FROM TO`.
 *
 *      copy_tree FROM TO       TO is made; it must not exist
 *
 * One task walks, others copy what it finds. Kept: content, holes, modes, times, owners, extended attributes,
 * symbolic links, FIFOs, and which names are one file (hard links). Directories get their modes and times
 * when all that belongs in them is there, the deepest first.
 *
 * A path may be longer than the kernel takes at a time: then its directory is opened step by step. */
#define _GNU_SOURCE 1
#include <ouro.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPIERS = 8, WAITING = 256, BUCKETS = 1 << 12 };

/* A file with several names: the second is to be a link to the first. */
struct known {
        struct known *next;
        uint64_t inode, device;
        struct ouro_event copied; /* its first name has its content */
        char path[];
};

struct directory {
        struct directory *next; /* the one that was found before it */
        char path[];
};

/* What a copier is to do. */
struct item {
        struct known *known; /* NULL: it has one name */
        bool is_first;       /* of several: this one is copied */
        char path[];
};

static struct {
        int from, to;
        unsigned flags;
        ouro_chan *items;
        struct known *known[BUCKETS];
        struct directory *directories;
        int errors;
} job;

static void complain(const char *path, int error)
{
        fprintf(stderr, "copy_tree: %s: %s\n", path, strerror(-error));
        job.errors++;
}

static void *allocated(size_t bytes)
{
        void *ptr = calloc(1, bytes);

        if (!ptr)
                abort();
        return ptr;
}

/* ---- long paths ---- */

static void done_with(int dir, int top)
{
        if (dir >= 0 && dir != top)
                ouro_close(dir);
}

/* The directory that path lies in, seen from top, and path's rest in *ret_name. top itself where the path is
 * not too long: nothing is to be closed then. */
static int nearer(int top, const char *path, const char **ret_name)
{
        int at = top, next;
        char part[PATH_MAX];

        while (strlen(path) >= PATH_MAX) {
                size_t len = PATH_MAX - 1;

                while (path[len] != '/')
                        len--;
                memcpy(part, path, len);
                part[len] = 0;
                next = ouro_openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
                done_with(at, top);
                if (next < 0)
                        return next;
                at = next;
                path += len + 1;
        }
        *ret_name = path;
        return at;
}

/* Calls fn with both places of path. */
static int at_both(const char *path, int (*fn)(int from, const char *from_name, int to, const char *to_name))
{
        const char *from_name = path, *to_name = path;
        int from = nearer(job.from, path, &from_name);
        int to = from < 0 ? from : nearer(job.to, path, &to_name);
        int error = to < 0 ? to : fn(from, from_name, to, to_name);

        done_with(from, job.from);
        done_with(to, job.to);
        return error;
}

/* ---- files with several names ---- */

static uint64_t device_of(const struct statx *about)
{
        return (uint64_t)about->stx_dev_major << 32 | about->stx_dev_minor;
}

static struct known **find_known(const struct statx *about)
{
        uint64_t device = device_of(about);
        struct known **at = &job.known[about->stx_ino % BUCKETS];

        while (*at && ((*at)->inode != about->stx_ino || (*at)->device != device))
                at = &(*at)->next;
        return at;
}

static struct item *item_of(const char *path, const struct statx *about)
{
        struct item *item = allocated(sizeof *item + strlen(path) + 1);
        struct known **at = find_known(about);

        strcpy(item->path, path);
        if (about->stx_nlink < 2)
                return item;
        if (!*at) {
                *at = allocated(sizeof **at + strlen(path) + 1);
                (*at)->inode = about->stx_ino;
                (*at)->device = device_of(about);
                strcpy((*at)->path, path);
                item->is_first = true;
        }
        item->known = *at;
        return item;
}

/* ---- copying ---- */

static int copy_one(int from, const char *from_name, int to, const char *to_name)
{
        struct ouro_copy_options options = {.size = sizeof options, .flags = job.flags | OURO_COPY_NEW};

        return ouro_copy_file(from, from_name, to, to_name, &options);
}

static int link_one(const struct item *item)
{
        const char *old_name = item->known->path, *new_name = item->path;
        int old, new, error;

        ouro_event_wait(&item->known->copied);
        old = nearer(job.to, old_name, &old_name);
        new = old < 0 ? old : nearer(job.to, new_name, &new_name);
        error = new < 0 ? new : ouro_linkat(old, old_name, new, new_name, 0);
        done_with(old, job.to);
        done_with(new, job.to);
        return error;
}

static intptr_t copier(void *unused)
{
        struct item *item;

        (void)unused;
        while (ouro_chan_recv(job.items, &item) == 0) {
                int error = item->known && !item->is_first ? link_one(item) : at_both(item->path, copy_one);

                if (item->is_first)
                        ouro_event_set(&item->known->copied);
                if (error < 0)
                        complain(item->path, error);
                free(item);
        }
        return 0;
}

/* ---- walking ---- */

static int make_directory(int from, const char *from_name, int to, const char *to_name)
{
        (void)from, (void)from_name;
        return ouro_mkdirat(to, to_name, 0700);
}

/* Made at once, before anything that is in it is handed out. */
static int found_directory(const char *path)
{
        struct directory *directory = allocated(sizeof *directory + strlen(path) + 1);
        int error = at_both(path, make_directory);

        strcpy(directory->path, path);
        directory->next = job.directories;
        job.directories = directory;
        return error;
}

static int found_file(const struct ouro_walk_entry *entry)
{
        struct statx about;
        int error =
                ouro_statx(entry->dirfd, entry->name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_NLINK, &about);
        struct item *item;

        if (error < 0)
                return error;
        item = item_of(entry->path, &about);
        return ouro_chan_send(job.items, &item);
}

static int walk(void)
{
        struct ouro_walk_entry entry;
        ouro_walk *walk;
        int error = ouro_walk_open(job.from, ".", NULL, &walk), result;

        if (error < 0)
                return error;
        while ((result = ouro_walk_next(walk, &entry)) == 1) {
                if (entry.event == OURO_WALK_DIR)
                        error = found_directory(entry.path);
                else
                        error = entry.event == OURO_WALK_ERROR ? entry.error : found_file(&entry);
                if (error < 0)
                        complain(entry.path, error);
                if (error < 0 && entry.event == OURO_WALK_DIR)
                        ouro_walk_skip(walk);
        }
        ouro_walk_close(walk);
        return result;
}

/* ---- directories, when they are full ---- */

static int finish_one(int from, const char *from_name, int to, const char *to_name)
{
        return ouro_copy_attributes(from, from_name, to, to_name, job.flags & OURO_COPY_ALL);
}

static void finish_directories(void)
{
        struct directory *next;

        for (struct directory *at = job.directories; at; at = next) {
                int error = at_both(at->path, finish_one);

                next = at->next;
                if (error < 0)
                        complain(at->path, error);
                free(at);
        }
}

static int copy_all(void)
{
        int error = 0;

        OURO_GROUP_KEEP_GOING(group) {
                for (int i = 0; i < COPIERS; i++)
                        ouro_create_task_in(group, copier, NULL);
                error = walk();
                ouro_chan_close(job.items);
        }
        finish_directories();
        return error < 0 ? error : ouro_copy_attributes(job.from, "", job.to, "", job.flags & OURO_COPY_ALL);
}

static intptr_t main_task(void *arg)
{
        char **paths = arg;
        int error;

        job.flags = OURO_COPY_ALL | OURO_COPY_NO_FOLLOW;
        if (geteuid() != 0)
                job.flags &= ~(unsigned)OURO_COPY_OWNER;
        job.from = ouro_open(paths[0], O_RDONLY | O_DIRECTORY, 0);
        if (job.from < 0)
                return job.from;
        error = ouro_mkdirat(AT_FDCWD, paths[1], 0700);
        job.to = error < 0 ? error : ouro_open(paths[1], O_RDONLY | O_DIRECTORY, 0);
        if (job.to >= 0)
                error = copy_all();
        if (job.to >= 0)
                ouro_close(job.to);
        ouro_close(job.from);
        return error;
}

int main(int argc, char **argv)
{
        intptr_t error;

        if (argc != 3) {
                fputs("usage: copy_tree FROM TO\n", stderr);
                return 2;
        }
        job.items = ouro_chan_new(sizeof(struct item *), WAITING);
        error = job.items ? ouro_run(main_task, argv + 1) : -ENOMEM;
        ouro_chan_free(job.items);
        if (error < 0)
                fprintf(stderr, "copy_tree: %s\n", strerror((int)-error));
        return error < 0 || job.errors > 0;
}
