/* http_files.c - the files of a site: opened below its root only, and kept for a while.
 *
 * What is kept is believed for cache_ns, then looked at again: the file is opened anew, and if it is not the
 * same any more, what was kept is forgotten when its last user has done with it. Of small files the content
 * is kept and no descriptor, of a few large ones the descriptor: connections need descriptors more. */
#include "http.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
        CACHED_MOST = 1024,      /* files */
        OPEN_MOST = 64,          /* of them: by their descriptors */
        SMALL_MOST = 64 * 1024,  /* of a file that is kept whole, in bytes */
        CONTENT_MOST = 64 << 20, /* of all of those */
};

void http_date(time_t when, char text[32])
{
        struct tm tm;

        strftime(text, 32, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
}

static const char *type_of(const char *path)
{
        static const struct {
                const char *suffix, *type;
        } types[] = {
                {".html", "text/html; charset=utf-8"},
                {".css", "text/css; charset=utf-8"},
                {".js", "text/javascript; charset=utf-8"},
                {".json", "application/json"},
                {".txt", "text/plain; charset=utf-8"},
                {".md", "text/plain; charset=utf-8"},
                {".svg", "image/svg+xml"},
                {".png", "image/png"},
                {".jpg", "image/jpeg"},
                {".gif", "image/gif"},
                {".webp", "image/webp"},
                {".ico", "image/x-icon"},
                {".woff2", "font/woff2"},
                {".wasm", "application/wasm"},
                {".xml", "application/xml"},
                {".pdf", "application/pdf"},
                {".mp4", "video/mp4"},
                {".gz", "application/gzip"},
        };
        const char *suffix = strrchr(path, '.');

        for (size_t i = 0; suffix && i < sizeof types / sizeof *types; i++)
                if (strcmp(suffix, types[i].suffix) == 0)
                        return types[i].type;
        return "application/octet-stream";
}

/* ---- opening ---- */

/* A FIFO must not make us wait, nor a device do whatever opening it does: only regular files are served. */
static int open_regular(const struct files *files, const char *path, struct stat *ret_stat)
{
        const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                                     .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        int fd = ouro_openat2(files->root, path, &how, sizeof how), error = 0;

        if (fd < 0)
                return fd;
        if (fstat(fd, ret_stat) < 0)
                error = -EIO;
        else if (S_ISDIR(ret_stat->st_mode))
                error = -EISDIR;
        else if (!S_ISREG(ret_stat->st_mode))
                error = -EACCES;
        if (error == 0)
                return fd;
        ouro_close(fd);
        return error;
}

static void describe(struct file *file, const struct stat *st)
{
        file->inode = st->st_ino;
        file->size = st->st_size;
        file->modified = st->st_mtim;
        file->type = type_of(file->path);
        http_date(st->st_mtime, file->last_modified);
        snprintf(file->etag, sizeof file->etag, "\"%llx-%llx-%lx\"", (unsigned long long)st->st_size,
                 (unsigned long long)st->st_mtime, (unsigned long)st->st_mtim.tv_nsec);
        snprintf(file->fields, sizeof file->fields,
                 "Content-Type: %s\r\nLast-Modified: %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n", file->type,
                 file->last_modified, file->etag);
        snprintf(file->length, sizeof file->length, "Content-Length: %lld\r\n", (long long)st->st_size);
}

/* If there is no memory for it, it is sent as a large one is. */
static void read_content(struct files *files, struct file *file)
{
        if (file->size > SMALL_MOST || files->content_bytes + (size_t)file->size > CONTENT_MOST)
                return;
        file->content = malloc((size_t)file->size + 1);
        if (file->content && ouro_pread_all(file->fd, file->content, (size_t)file->size, 0, NULL) < 0) {
                free(file->content);
                file->content = NULL;
        }
        if (!file->content)
                return;
        files->content_bytes += (size_t)file->size;
        ouro_close(file->fd);
        file->fd = -1;
}

static void file_free(struct files *files, struct file *file)
{
        if (file->content)
                files->content_bytes -= (size_t)file->size;
        if (file->fd >= 0)
                ouro_close(file->fd);
        free(file->content);
        free(file);
}

static struct file *file_new(struct files *files, const char *path, int fd, const struct stat *st)
{
        size_t len = strlen(path) + 1;
        struct file *file = calloc(1, sizeof *file + len);

        if (!file) {
                ouro_close(fd);
                return NULL;
        }
        memcpy(file->path, path, len);
        file->fd = fd;
        describe(file, st);
        read_content(files, file);
        return file;
}

/* ---- keeping ---- */

static void forget(struct files *files, struct file *file)
{
        HASH_DEL(files->table, file);
        file->cached = false;
        files->open -= file->fd >= 0;
        if (file->users == 0)
                file_free(files, file);
}

void files_forget_all(struct files *files)
{
        struct file *file, *next;

        HASH_ITER(hh, files->table, file, next)
        forget(files, file);
}

static struct file *find(const struct files *files, const char *path)
{
        struct file *file;

        HASH_FIND_STR(files->table, path, file);
        return file;
}

/* The oldest goes for it, and one of this path that somebody else has kept meanwhile. */
static void keep(struct files *files, struct file *file)
{
        struct file *other;

        if (files->cache_ns == 0)
                return;
        while ((other = find(files, file->path)))
                forget(files, other);
        if (file->fd >= 0 && files->open >= OPEN_MOST)
                return;
        if (HASH_COUNT(files->table) >= CACHED_MOST)
                forget(files, files->table);
        HASH_ADD_STR(files->table, path, file);
        file->cached = true;
        files->open += file->fd >= 0;
        file->looked_at_ns = ouro_now();
}

static bool is_same(const struct file *file, const struct stat *st)
{
        return file->inode == st->st_ino && file->size == st->st_size &&
               file->modified.tv_sec == st->st_mtim.tv_sec && file->modified.tv_nsec == st->st_mtim.tv_nsec;
}

static struct file *use(struct file *file)
{
        file->users++;
        return file;
}

int file_get(struct files *files, const char *path, struct file **ret_file)
{
        struct file *file = find(files, path);
        struct stat st;
        int fd;

        if (file && ouro_now() - file->looked_at_ns < files->cache_ns) {
                *ret_file = use(file);
                return 0;
        }
        fd = open_regular(files, path, &st);
        file = find(files, path); /* others may have come and gone while that was waited for */
        if (file && fd >= 0 && is_same(file, &st)) {
                file->looked_at_ns = ouro_now();
                *ret_file = use(file); /* before the wait: else somebody may free it */
                ouro_close(fd);
                return 0;
        }
        if (file)
                forget(files, file);
        if (fd < 0)
                return fd;
        file = file_new(files, path, fd, &st);
        if (!file)
                return -ENOMEM;
        keep(files, file);
        *ret_file = use(file);
        return 0;
}

void file_put(struct files *files, struct file *file)
{
        if (--file->users == 0 && !file->cached)
                file_free(files, file);
}
