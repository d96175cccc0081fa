/* leaks.c - what a process holds, before a test and after it.
 *
 * Some of what is left is no leak, and is kept out of sight rather than allowed for:
 *   - malloc takes memory from brk only, so that its growth shows nowhere but in [heap], which is passed
 * over;
 *   - glibc keeps the stacks of ended threads; one thread with a stack beyond its limit flushes them out;
 *   - the library keeps task records until it is unloaded, and is asked where they are; what else it may
 *     keep, it keeps after a first run, which is over before the first look;
 *   - shared objects that something loads on first use (an unwinder) stay.
 * Under a sanitizer, which maps as it likes, mappings are not compared. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ouro.h>

#include "support/leaks.h"
#include "task/task.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
        THINGS_MOST = 4096,
        NAME_BYTES = 112,
        FLUSH_STACK_BYTES = 64 << 20, /* glibc keeps 40 MiB of stacks */
        TRIES = 1000, /* of 10 ms: how long a ring's kernel threads may take to end on a busy machine */
};

/* A descriptor, thread, child or mapping. Its name tells what it is: a descriptor closed and opened anew on
 * something else is a leak of one and a loss of another. */
struct thing {
        uintptr_t start; /* of a mapping; else the number */
        uintptr_t end;
        char name[NAME_BYTES];
};

struct things {
        size_t count;
        struct thing all[THINGS_MOST];
};

struct picture {
        struct things fds;
        struct things threads;
        struct things children;
        struct things mappings;
};

static struct picture before, after;

static struct thing *add(struct things *things, uintptr_t start, uintptr_t end)
{
        struct thing *thing = &things->all[things->count];

        cr_assert(things->count < THINGS_MOST, "more than %d of one kind", THINGS_MOST);
        *thing = (struct thing){.start = start, .end = end};
        things->count++;
        return thing;
}

static void list_fds(struct things *things)
{
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;

        cr_assert(dir);
        while ((entry = readdir(dir))) {
                char path[64];
                int fd = atoi(entry->d_name);
                struct thing *thing;

                if (entry->d_name[0] == '.' || fd == dirfd(dir))
                        continue;
                thing = add(things, (uintptr_t)fd, (uintptr_t)fd + 1);
                snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
                if (readlink(path, thing->name, sizeof thing->name - 1) < 0)
                        things->count--; /* closed since */
        }
        closedir(dir);
}

static void list_children(struct things *things, const char *thread)
{
        char path[64];
        FILE *file;
        int pid;

        snprintf(path, sizeof path, "/proc/self/task/%.20s/children", thread);
        file = fopen(path, "re");
        if (!file)
                return; /* the thread has ended since */
        while (fscanf(file, "%d", &pid) == 1)
                snprintf(add(things, (uintptr_t)pid, (uintptr_t)pid + 1)->name, NAME_BYTES, "child %d", pid);
        fclose(file);
}

static void list_threads(struct picture *picture)
{
        DIR *dir = opendir("/proc/self/task");
        struct dirent *entry;

        cr_assert(dir);
        while ((entry = readdir(dir))) {
                uintptr_t tid = (uintptr_t)atoi(entry->d_name);

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(add(&picture->threads, tid, tid + 1)->name, NAME_BYTES, "thread %.20s",
                         entry->d_name);
                list_children(&picture->children, entry->d_name);
        }
        closedir(dir);
}

/* Two mappings that touch may be shown as one: what counts is the address, not the line. */
static void list_mappings(struct things *things)
{
        FILE *file = fopen("/proc/self/maps", "re");
        char line[512];

        cr_assert(file);
        while (fgets(line, sizeof line, file)) {
                uintptr_t start, end;
                char rights[8], name[256] = "";

                line[strcspn(line, "\n")] = '\0';
                cr_assert(sscanf(line, "%lx-%lx %7s %*s %*s %*s %255[^\n]", &start, &end, rights, name) >= 3);
                if (name[0] == '[' && strncmp(name, "[anon", 5) != 0)
                        continue; /* [heap], [stack], [vdso] */
                if (strstr(name, ".so"))
                        continue;
                snprintf(add(things, start, end)->name, NAME_BYTES, "%s %.90s", rights, name);
        }
        fclose(file);
}

static void *no_work(void *arg)
{
        return arg;
}

static void flush_thread_stacks(void)
{
        pthread_attr_t attr;
        pthread_t thread;

        cr_assert(pthread_attr_init(&attr) == 0);
        cr_assert(pthread_attr_setstacksize(&attr, FLUSH_STACK_BYTES) == 0);
        cr_assert(pthread_create(&thread, &attr, no_work, NULL) == 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attr);
}

static void look(struct picture *picture)
{
        picture->fds.count = picture->threads.count = 0;
        picture->children.count = picture->mappings.count = 0;
        list_fds(&picture->fds);
        list_threads(picture);
        if (!SANITIZED)
                list_mappings(&picture->mappings);
}

static intptr_t nothing(void *arg)
{
        return (intptr_t)arg;
}

void leaks_begin(void)
{
        mallopt(M_MMAP_MAX, 0);
        mallopt(M_ARENA_MAX, 1);
        cr_assert(ouro_run(nothing, NULL) == 0, "the loop of the warm-up could not run");
        flush_thread_stacks();
        look(&before);
}

/* Where the span that holds an address ends; the address itself if none does. */
static uintptr_t mapped_before(uintptr_t address)
{
        const struct things *things = &before.mappings;

        for (size_t i = 0; i < things->count; i++)
                if (things->all[i].start <= address && address < things->all[i].end)
                        return things->all[i].end;
        return address;
}

static uintptr_t kept_records(uintptr_t address)
{
        const void *records;
        size_t bytes;

        for (size_t i = 0; (records = task_records(i, &bytes)); i++)
                if ((uintptr_t)records <= address && address < (uintptr_t)records + bytes)
                        return (uintptr_t)records + bytes;
        return address;
}

/* Is every byte of the span accounted for? */
static bool covered(uintptr_t start, uintptr_t end)
{
        uintptr_t next = start;

        while (start < end && (next = kept_records(mapped_before(start))) != start)
                start = next;
        return start >= end;
}

static bool has(const struct things *things, const struct thing *wanted)
{
        for (size_t i = 0; i < things->count; i++)
                if (things->all[i].start == wanted->start && strcmp(things->all[i].name, wanted->name) == 0)
                        return true;
        return false;
}

struct report {
        char *text;
        size_t bytes;
        size_t used;
        size_t found;
};

__attribute__((format(printf, 2, 3))) static void tell(struct report *report, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(report->text + report->used, report->bytes - report->used, format, args);
        va_end(args);
        if (n > 0)
                report->used += (size_t)n;
        if (report->used >= report->bytes)
                report->used = report->bytes - 1;
        report->found++;
}

static size_t compare(char *text, size_t text_bytes)
{
        struct report report = {text, text_bytes, 0, 0};
        const struct thing *thing;

        for (size_t i = 0; i < after.fds.count; i++)
                if (thing = &after.fds.all[i], !has(&before.fds, thing))
                        tell(&report, "  descriptor %lu, %s\n", thing->start, thing->name);
        for (size_t i = 0; i < after.threads.count; i++)
                if (thing = &after.threads.all[i], !has(&before.threads, thing))
                        tell(&report, "  %s\n", thing->name);
        for (size_t i = 0; i < after.children.count; i++)
                if (thing = &after.children.all[i], !has(&before.children, thing))
                        tell(&report, "  %s\n", thing->name);
        for (size_t i = 0; i < after.mappings.count; i++)
                if (thing = &after.mappings.all[i], !covered(thing->start, thing->end))
                        tell(&report, "  mapping %lx-%lx %s\n", thing->start, thing->end, thing->name);
        return report.found;
}

size_t leaks_find(char *text, size_t text_bytes)
{
        static const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        size_t found = 0;

        for (int i = 0; i < TRIES; i++) {
                text[0] = '\0';
                flush_thread_stacks(); /* each time: a thread may have ended since */
                look(&after);
                found = compare(text, text_bytes);
                if (found == 0)
                        break;
                nanosleep(&pause, NULL);
        }
        return found;
}

void leaks_end(void)
{
        static char text[16384];

        if (leaks_find(text, sizeof text) == 0)
                return;
        /* An assertion that fails in a .fini is printed, and the test passes all the same: only dying counts.
         */
        fprintf(stderr, "left behind by the test:\n%s", text);
        abort();
}
