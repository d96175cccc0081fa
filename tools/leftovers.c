/* leftovers.c - what a run has not given back: descriptors, threads, children, mappings, names.
 *
 * The lists are sorted, so that a comparison is one walk along both. A name may stand in a list several
 * times: each counts. */
#include "leftovers.h"

#include "allocator.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int names_add(struct names *names, const char *name)
{
        char **items = names->items;

        /* The room doubles whenever the count is a power of two. */
        if ((names->count & (names->count - 1)) == 0) {
                items = realloc(items, (names->count ? 2 * names->count : 1) * sizeof(*items));
                if (!items)
                        return -ENOMEM;
                names->items = items;
        }
        items[names->count] = strdup(name);
        if (!items[names->count])
                return -ENOMEM;
        names->count++;
        return 0;
}

static void names_free(struct names *names)
{
        for (size_t i = 0; i < names->count; i++)
                free(names->items[i]);
        free(names->items);
        *names = (struct names){0};
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_sort(struct names *names)
{
        if (names->count > 0)
                qsort(names->items, names->count, sizeof(*names->items), compare_names);
}

/* What the kernel says of one descriptor or thread; "gone" if it went away meanwhile. */
static void describe_descriptor(const char *entry, char *name, size_t room)
{
        char path[64], target[PATH_MAX];
        ssize_t len;

        snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry);
        len = readlink(path, target, sizeof(target) - 1);
        target[len < 0 ? 0 : len] = '\0';
        snprintf(name, room, "%.20s %s", entry, len < 0 ? "gone" : target);
}

static void describe_thread(const char *entry, char *name, size_t room)
{
        char path[64], command[32] = "gone";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", entry);
        file = fopen(path, "re");
        if (file) {
                if (fgets(command, sizeof(command), file))
                        command[strcspn(command, "\n")] = '\0';
                fclose(file);
        }
        snprintf(name, room, "%.20s %s", entry, command);
}

/* Names first, descriptions after: describing opens files itself. */
static int list_entries(const char *path, struct names *entries)
{
        DIR *dir = opendir(path);
        struct dirent *entry;
        char own[16];
        int r = 0;

        if (!dir)
                return -errno;
        snprintf(own, sizeof(own), "%d", dirfd(dir));
        while (r == 0 && (entry = readdir(dir)))
                if (entry->d_name[0] != '.' && (strcmp(entry->d_name, own) != 0 || !strstr(path, "/fd")))
                        r = names_add(entries, entry->d_name);
        closedir(dir);
        return r;
}

static int list_described(const char *path, void (*describe)(const char *, char *, size_t),
                          struct names *names)
{
        struct names entries = {0};
        char name[PATH_MAX + 32];
        int r = list_entries(path, &entries);

        for (size_t i = 0; i < entries.count && r == 0; i++) {
                describe(entries.items[i], name, sizeof(name));
                r = names_add(names, name);
        }
        names_free(&entries);
        return r;
}

static void describe_child(unsigned pid, char *name, size_t room)
{
        char path[64], command[32] = "gone";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%u/comm", pid);
        file = fopen(path, "re");
        if (file) {
                if (fgets(command, sizeof(command), file))
                        command[strcspn(command, "\n")] = '\0';
                fclose(file);
        }
        snprintf(name, room, "%u %s", pid, command);
}

/* Those of one thread. A kernel without this file, or a thread that has ended, tells of none. */
static int add_children(const char *thread, struct names *children)
{
        char path[64], name[64];
        unsigned pid;
        FILE *file;
        int r = 0;

        snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", thread);
        file = fopen(path, "re");
        if (!file)
                return 0;
        while (r == 0 && fscanf(file, "%u", &pid) == 1) {
                describe_child(pid, name, sizeof(name));
                r = names_add(children, name);
        }
        fclose(file);
        return r;
}

static int list_children(struct names *children)
{
        struct names threads = {0};
        int r = list_entries("/proc/self/task", &threads);

        for (size_t i = 0; i < threads.count && r == 0; i++)
                r = add_children(threads.items[i], children);
        names_free(&threads);
        return r;
}

/* Directories are made by those who try out the library, all the time; by the library never. */
static bool may_be_left(const char *directory, const char *name)
{
        char path[PATH_MAX];
        struct stat stat;

        if (strncmp(name, "ouro", 4) != 0 || strncmp(name, "ouro-stress-", 12) == 0 ||
            strncmp(name, "ouro-test-", 10) == 0)
                return false;
        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return lstat(path, &stat) == 0 && !S_ISDIR(stat.st_mode);
}

/* A directory that is not there, or cannot be read, holds nothing of ours. */
static int list_names(const char *path, struct names *names)
{
        struct names entries = {0};
        char name[PATH_MAX];
        int r = list_entries(path, &entries);

        if (r < 0 && r != -ENOMEM)
                r = 0;
        for (size_t i = 0; i < entries.count && r == 0; i++) {
                if (!may_be_left(path, entries.items[i]))
                        continue;
                snprintf(name, sizeof(name), "%s/%s", path, entries.items[i]);
                r = names_add(names, name);
        }
        names_free(&entries);
        return r;
}

static int list_all_names(struct names *names)
{
        const char *temporary = getenv("TMPDIR");
        int r = list_names("/dev/shm", names);

        if (!temporary || temporary[0] == '\0')
                temporary = "/tmp";
        return r < 0 ? r : list_names(temporary, names);
}

/* One line of /proc/self/maps: "start-end perms offset device inode   name". */
static int count_mapping(const char *line, struct snapshot *snapshot)
{
        uint64_t start, end;
        int at = 0;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %n", &start, &end, &at) != 2 || at == 0)
                return -EBADMSG;
        if (line[at] == '\0')
                snapshot->anonymous_bytes += (int64_t)(end - start);
        else if (strcmp(line + at, "[heap]") != 0 && strcmp(line + at, "[stack]") != 0)
                return names_add(&snapshot->mappings, line + at);
        return 0;
}

static int read_mappings(struct snapshot *snapshot)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[PATH_MAX + 128];
        int r = 0;

        if (!maps)
                return -errno;
        /* Its buffer comes from the allocator: let it have that before the allocator is asked. */
        while (r == 0 && fgets(line, sizeof(line), maps)) {
                line[strcspn(line, "\n")] = '\0';
                r = count_mapping(line, snapshot);
        }
        fclose(maps);
        return r;
}

static void *do_nothing(void *arg)
{
        return arg;
}

/* glibc keeps the stacks of ended threads, up to 40 MiB, and frees the oldest when one more does not fit. A
 * stack of more than that pushes out all others and itself. */
static void empty_stack_cache(void)
{
        pthread_attr_t attr;
        pthread_t thread;

        if (pthread_attr_init(&attr) != 0)
                return;
        if (pthread_attr_setstacksize(&attr, (size_t)64 << 20) == 0 &&
            pthread_create(&thread, &attr, do_nothing, NULL) == 0)
                pthread_join(thread, NULL);
        pthread_attr_destroy(&attr);
}

int snapshot_take(struct snapshot *snapshot)
{
        struct snapshot taken = {0};
        int64_t allocator_bytes = 0, again_bytes = 0;
        int r;

        empty_stack_cache();
        r = list_described("/proc/self/fd", describe_descriptor, &taken.descriptors);
        if (r == 0)
                r = list_described("/proc/self/task", describe_thread, &taken.threads);
        if (r == 0)
                r = list_children(&taken.children);
        if (r == 0)
                r = list_all_names(&taken.names);
        /* Listing allocates, and might map between the two readings: take them until nothing moved. */
        do {
                names_free(&taken.mappings);
                taken.anonymous_bytes = 0;
                taken.anonymous_known = allocator_mapped_bytes(&allocator_bytes);
                if (r == 0)
                        r = read_mappings(&taken);
                allocator_mapped_bytes(&again_bytes);
        } while (r == 0 && taken.anonymous_known && allocator_bytes != again_bytes);
        if (r < 0) {
                snapshot_free(&taken);
                return r;
        }
        taken.anonymous_bytes -= allocator_bytes;
        names_sort(&taken.descriptors);
        names_sort(&taken.threads);
        names_sort(&taken.children);
        names_sort(&taken.names);
        names_sort(&taken.mappings);
        *snapshot = taken;
        return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
        names_free(&snapshot->descriptors);
        names_free(&snapshot->threads);
        names_free(&snapshot->children);
        names_free(&snapshot->names);
        names_free(&snapshot->mappings);
}

static void compare_lists(const struct names *before, const struct names *after, struct leftover *ret)
{
        struct leftover leftover = {.before = before->count, .after = after->count};
        size_t b = 0;

        for (size_t a = 0; a < after->count; a++) {
                while (b < before->count && strcmp(before->items[b], after->items[a]) < 0)
                        b++;
                if (b < before->count && strcmp(before->items[b], after->items[a]) == 0) {
                        b++;
                        continue;
                }
                if (leftover.extra++ == 0)
                        snprintf(leftover.first, sizeof(leftover.first), "%s", after->items[a]);
        }
        *ret = leftover;
}

void leftovers_compare(const struct snapshot *before, const struct snapshot *after,
                       struct leftovers *ret_leftovers)
{
        compare_lists(&before->descriptors, &after->descriptors, &ret_leftovers->descriptors);
        compare_lists(&before->threads, &after->threads, &ret_leftovers->threads);
        compare_lists(&before->children, &after->children, &ret_leftovers->children);
        compare_lists(&before->names, &after->names, &ret_leftovers->names);
        compare_lists(&before->mappings, &after->mappings, &ret_leftovers->mappings);
        ret_leftovers->anonymous_known = before->anonymous_known && after->anonymous_known;
        ret_leftovers->anonymous_before_bytes = before->anonymous_bytes;
        ret_leftovers->anonymous_after_bytes = after->anonymous_bytes;
}

bool leftovers_none(const struct leftovers *leftovers)
{
        return leftovers_none_open(leftovers) && leftovers->names.extra == 0 &&
               leftovers->mappings.extra == 0 &&
               (!leftovers->anonymous_known ||
                leftovers->anonymous_after_bytes <= leftovers->anonymous_before_bytes);
}

bool leftovers_none_open(const struct leftovers *leftovers)
{
        return leftovers->descriptors.extra == 0 && leftovers->threads.extra == 0 &&
               leftovers->children.extra == 0;
}

int leftovers_settle(const struct snapshot *before, int64_t limit_ns, leftovers_fn *settled,
                     struct snapshot *ret_after, struct leftovers *ret_leftovers)
{
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        int64_t end_ns = tool_now_ns() + limit_ns;
        struct snapshot after;
        int r;

        for (;;) {
                r = snapshot_take(&after);
                if (r < 0)
                        return r;
                leftovers_compare(before, &after, ret_leftovers);
                if (settled(ret_leftovers) || tool_now_ns() >= end_ns)
                        break;
                snapshot_free(&after);
                nanosleep(&pause, NULL);
        }
        *ret_after = after;
        return 0;
}
