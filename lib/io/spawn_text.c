/* spawn_text.c - see spawn_text.h.
 *
 * The PATH is that of the new environment, as in execvpe(3) but tried by the child, since what is relative in
 * it starts at the child's directory. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "io/spawn_text.h"

static const char USUAL_PATH[] = "/usr/local/bin:/usr/bin:/bin";

static size_t count(const char *const *strings)
{
        size_t n = 0;

        while (strings && strings[n])
                n++;
        return n;
}

/* ---- environment ---- */

static size_t name_len(const char *string)
{
        return strcspn(string, "=");
}

static bool same_name(const char *a, const char *b)
{
        size_t len = name_len(a);

        return len == name_len(b) && memcmp(a, b, len) == 0;
}

static bool is_named_in(const char *const *strings, const char *string)
{
        for (; *strings; strings++)
                if (same_name(*strings, string))
                        return true;
        return false;
}

/* An entry must be NAME=value; one that only takes away may be NAME. */
static bool are_entries(const char *const *strings, bool may_take_away)
{
        for (; strings && *strings; strings++) {
                size_t len = name_len(*strings);

                if (len == 0 || (!(*strings)[len] && !may_take_away))
                        return false;
        }
        return true;
}

/* What base holds of other names, then what set says; of a name that set has twice, its last. */
static int merge(struct spawn_text *text, const char *const *base, const char *const *set)
{
        size_t n = 0;

        text->own_bytes = (count(base) + count(set) + 1) * sizeof *text->own;
        text->own = mem_alloc(text->own_bytes);
        if (!text->own)
                return -ENOMEM;
        for (; base && *base; base++)
                if (!is_named_in(set, *base))
                        text->own[n++] = *base;
        for (; *set; set++)
                if ((*set)[name_len(*set)] && !is_named_in(set + 1, *set))
                        text->own[n++] = *set;
        text->own[n] = NULL;
        text->environment = text->own;
        return 0;
}

static int make_environment(struct spawn_text *text, const struct ouro_spawn_options *options)
{
        static const char *const none[] = {NULL};
        const char *const *base = options->environment ? options->environment : (const char *const *)environ;

        if (!are_entries(options->environment, false) || !are_entries(options->set, true))
                return -EINVAL;
        if (options->set && *options->set)
                return merge(text, base, options->set);
        text->environment = base ? base : none;
        return 0;
}

/* ---- files ---- */

static const char *find_path(const char *const *environment)
{
        for (; *environment; environment++)
                if (strncmp(*environment, "PATH=", 5) == 0)
                        return *environment + 5;
        return USUAL_PATH;
}

static size_t count_directories(const char *path)
{
        size_t n = 1;

        for (; *path; path++)
                n += *path == ':';
        return n;
}

/* An empty directory is the current one. */
static char *append(char *at, const char *directory, size_t len, const char *name)
{
        memcpy(at, directory, len);
        at += len;
        if (len > 0)
                *at++ = '/';
        return stpcpy(at, name) + 1;
}

static int search(struct spawn_text *text, const char *name)
{
        const char *path = find_path(text->environment);
        size_t n = count_directories(path), heads = (n + 1) * sizeof *text->files;
        char *at;

        text->files_bytes = heads + strlen(path) + n * (strlen(name) + 2);
        text->files = mem_alloc(text->files_bytes);
        if (!text->files)
                return -ENOMEM;
        at = (char *)text->files + heads;
        for (size_t i = 0; i < n; i++) {
                size_t len = strcspn(path, ":");

                text->files[i] = at;
                at = append(at, path, len, name);
                path += len + (path[len] == ':');
        }
        text->files[n] = NULL;
        check(at <= (char *)text->files + text->files_bytes);
        return 0;
}

static int take(struct spawn_text *text, const char *file)
{
        text->files_bytes = 2 * sizeof *text->files;
        text->files = mem_alloc(text->files_bytes);
        if (!text->files)
                return -ENOMEM;
        text->files[0] = file;
        text->files[1] = NULL;
        return 0;
}

/* ---- */

int spawn_text_make(struct spawn_text *text, const char *const *argv,
                    const struct ouro_spawn_options *options)
{
        const char *file = options->path ? options->path : argv[0];
        int error = make_environment(text, options);

        if (error < 0)
                return error;
        if (options->path || strchr(file, '/') || !*file)
                return take(text, file);
        return search(text, file);
}

void spawn_text_free(struct spawn_text *text)
{
        mem_free(text->own, text->own_bytes);
        mem_free(text->files, text->files_bytes);
}
