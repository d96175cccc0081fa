/* copy_tree.c - copy a directory with all that is in it, many files at a time: as `cp -a FROM TO`.
 *
 *      copy_tree FROM TO       TO is made; it must not exist
 *
 * One task walks, others copy what it finds. Kept: content, holes, modes, times, owners, extended attributes,
 * symbolic links, FIFOs, and which names are one file (hard links). Directories get their modes and times
 * when all that belongs in them is there, the deepest first. */
#define _GNU_SOURCE 1
#include <ouro.h>
#include <errno.h>
#include <fcntl.h>
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
        }
        item->known = *at;
        return item;
}

/* ---- copying ---- */

static int copy_one(const char *path)
{
        struct ouro_copy_options options = {.size = sizeof options, .flags = job.flags | OURO_COPY_NEW};

        return ouro_copy_file(job.from, path, job.to, path, &options);
}

static int link_one(const struct item *item)
{
        ouro_event_wait(&item->known->copied);
        return ouro_linkat(job.to, item->known->path, job.to, item->path, 0);
}

static void do_item(const struct item *item)
{
        struct known *known = item->known;
        bool is_link = known && strcmp(known->path, item->path) != 0;
        int error = is_link ? link_one(item) : copy_one(item->path);

        if (known && !is_link)
                ouro_event_set(&known->copied);
        if (error < 0)
                complain(item->path, error);
}

static intptr_t copier(void *unused)
{
        struct item *item;

        (void)unused;
        while (ouro_chan_recv(job.items, &item) == 0) {
                do_item(item);
                free(item);
        }
        return 0;
}

/* ---- walking ---- */

/* Made at once, before anything that is in it is handed out. */
static int found_directory(const char *path)
{
        struct directory *directory = allocated(sizeof *directory + strlen(path) + 1);
        int error = ouro_mkdirat(job.to, path, 0700);

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
                bool is_dir = entry.event == OURO_WALK_DIR;

                error = is_dir ? found_directory(entry.path) : entry.error ? entry.error : found_file(&entry);
                if (error < 0)
                        complain(entry.path, error);
                if (error < 0 && is_dir)
                        ouro_walk_skip(walk);
        }
        ouro_walk_close(walk);
        return result;
}

/* ---- directories, when they are full ---- */

static int finish_one(const char *path)
{
        return ouro_copy_attributes(job.from, path, job.to, path, job.flags & OURO_COPY_ALL);
}

static void finish_directories(void)
{
        struct directory *next;

        for (struct directory *at = job.directories; at; at = next) {
                int error = finish_one(at->path);

                if (error < 0)
                        complain(at->path, error);
                next = at->next;
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
        return error < 0 ? error : finish_one("");
}

static intptr_t main_task(void *arg)
{
        char **paths = arg;
        int error;

        job.flags = OURO_COPY_ALL | OURO_COPY_NO_FOLLOW;
        if (geteuid() != 0)
                job.flags &= ~(unsigned)OURO_COPY_OWNER;
        job.from = ouro_open(paths[0], O_RDONLY | O_DIRECTORY, 0);
        error = job.from < 0 ? job.from : ouro_mkdir(paths[1], 0700);
        if (error < 0)
                return error;
        job.to = ouro_open(paths[1], O_RDONLY | O_DIRECTORY, 0);
        return job.to < 0 ? job.to : copy_all();
}

int main(int argc, char **argv)
{
        intptr_t error;

        if (argc != 3)
                return fputs("usage: copy_tree FROM TO\n", stderr), 2;
        job.items = ouro_chan_new(sizeof(struct item *), WAITING);
        error = job.items ? ouro_run(main_task, argv + 1) : -ENOMEM;
        ouro_chan_free(job.items);
        if (error < 0)
                fprintf(stderr, "copy_tree: %s\n", strerror((int)-error));
        return error < 0 || job.errors > 0;
}
