/* replace.c - a file that takes the place of another at one stroke.
 *
 *      begin   open the directory, make a file in it: without a name, or with a secret one
 *      commit  fsync the file; give it a secret name; rename it onto the old one; fsync the directory
 *
 * Until the rename nothing has happened that cannot be undone, and whatever fails before undoes it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/fs.h"
#include "io/temp.h"

enum { LETTERS = 8, LINKS_MOST = 40 };

struct ouro_replacement {
        const struct sched *owner;
        int dir, fd;
        bool readable; /* the directory: else it cannot be made durable by itself */
        bool named;    /* the new file has a name, which is temp */
        bool placed;
        struct ouro_replace_options options;
        char temp[24];
        char name[NAME_MAX + 1];
};

static const char temp_pattern[] = ".ouro-XXXXXXXX";

/* ---- where it is; blocking ---- */

static bool is_name(const char *name)
{
        return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Opens the directory that path lies in. inout_path is cut in two. */
static int open_parent(ouro_replacement *replacement, int dirfd, char *path)
{
        char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path, *dir = slash ? path : ".";

        if (!is_name(name))
                return -EINVAL;
        if (strlen(name) > NAME_MAX)
                return -ENAMETOOLONG;
        strcpy(replacement->name, name);
        if (slash == path)
                dir = "/";
        else if (slash)
                *slash = 0;
        replacement->dir = sys_result(openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        replacement->readable = replacement->dir >= 0;
        if (replacement->dir == -EACCES)
                replacement->dir = sys_result(openat(dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
        return replacement->dir < 0 ? replacement->dir : 0;
}

/* Goes on where the link at its place leads to. 1: it has; 0: there is no link. */
static int follow_link(ouro_replacement *replacement, char *path)
{
        int dir = replacement->dir, error;
        ssize_t len = sys_result(readlinkat(dir, replacement->name, path, PATH_MAX - 1));

        if (len < 0)
                return len == -EINVAL || len == -ENOENT ? 0 : (int)len;
        path[len] = 0;
        error = open_parent(replacement, dir, path);
        (void)sys_result(close(dir));
        return error < 0 ? error : 1;
}

static int find_place(ouro_replacement *replacement, int dirfd, const char *path)
{
        char *copy = strlen(path) < PATH_MAX ? mem_alloc(PATH_MAX) : NULL;
        int result;

        if (!copy)
                return strlen(path) < PATH_MAX ? -ENOMEM : -ENAMETOOLONG;
        strcpy(copy, path);
        result = open_parent(replacement, dirfd, copy);
        if (result == 0 && (replacement->options.flags & OURO_REPLACE_FOLLOW)) {
                int links = 0;

                do
                        result = links++ < LINKS_MOST ? follow_link(replacement, copy) : -ELOOP;
                while (result == 1);
        }
        mem_free(copy, PATH_MAX);
        return result;
}

/* ---- the new file; blocking ---- */

static int make_named(int dirfd, const char *path, void *mode)
{
        return sys_result(openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, *(mode_t *)mode));
}

/* One without a name can only be given one by way of /proc. */
static bool can_name_later(void)
{
        return sys_result(access("/proc/self/fd", X_OK)) == 0;
}

static int make_file(ouro_replacement *replacement)
{
        mode_t mode = replacement->options.mode;
        int fd = -EOPNOTSUPP;

        if (can_name_later())
                fd = sys_result(openat(replacement->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
        if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT) {
                strcpy(replacement->temp, temp_pattern);
                fd = temp_try(replacement->dir, replacement->temp, LETTERS, make_named, &mode);
                replacement->named = fd >= 0;
        }
        replacement->fd = fd;
        return fd < 0 ? fd : 0;
}

/* As the one that it replaces. */
static int keep(const ouro_replacement *replacement)
{
        unsigned flags = replacement->options.flags;
        struct stat st;
        int error = sys_result(fstatat(replacement->dir, replacement->name, &st, AT_SYMLINK_NOFOLLOW));

        if (error < 0)
                return error == -ENOENT ? 0 : error;
        if (flags & OURO_REPLACE_NEW)
                return -EEXIST;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return 0;
        if (flags & OURO_REPLACE_KEEP_OWNER)
                error = sys_result(fchown(replacement->fd, st.st_uid, st.st_gid));
        if (error == 0 && (flags & OURO_REPLACE_KEEP_MODE))
                error = sys_result(fchmod(replacement->fd, st.st_mode & 07777));
        return error;
}

struct begin_call {
        ouro_replacement *replacement;
        int dirfd;
        const char *path;
};

static intptr_t begin(void *arg)
{
        const struct begin_call *call = arg;
        int error = find_place(call->replacement, call->dirfd, call->path);

        if (error == 0)
                error = make_file(call->replacement);
        return error == 0 ? keep(call->replacement) : error;
}

/* ---- ending ---- */

static intptr_t undo(void *arg)
{
        ouro_replacement *replacement = arg;

        if (replacement->named && !replacement->placed)
                (void)sys_result(unlinkat(replacement->dir, replacement->temp, 0));
        if (replacement->fd >= 0)
                (void)sys_result(close(replacement->fd));
        if (replacement->dir >= 0)
                (void)sys_result(close(replacement->dir));
        return 0;
}

static void end(ouro_replacement *replacement)
{
        fs_call_uncut(undo, replacement);
        mem_free(replacement, sizeof *replacement);
}

static int read_options(const struct ouro_replace_options *from, struct ouro_replace_options *ret)
{
        const unsigned known = OURO_REPLACE_KEEP_MODE | OURO_REPLACE_KEEP_OWNER | OURO_REPLACE_FOLLOW |
                               OURO_REPLACE_NEW | OURO_REPLACE_NO_SYNC;
        int error = from ? options_read(ret, sizeof *ret, from) : 0;

        if (error < 0)
                return error;
        if (ret->mode == 0)
                ret->mode = 0666;
        return (ret->flags & ~known) || (ret->mode & ~(mode_t)07777) ? -EINVAL : 0;
}

int ouro_replace_begin(int dirfd, const char *path, const struct ouro_replace_options *options,
                       ouro_replacement **ret_replacement)
{
        struct ouro_replace_options chosen = {.size = sizeof chosen};
        int error = path && ret_replacement ? read_options(options, &chosen) : -EINVAL;
        struct begin_call call = {NULL, dirfd, path};

        if (error == 0)
                error = fs_enter(NULL);
        if (error < 0)
                return error;
        call.replacement = mem_calloc(sizeof *call.replacement);
        if (!call.replacement)
                return -ENOMEM;
        *call.replacement =
                (ouro_replacement){.owner = sched_current, .dir = -1, .fd = -1, .options = chosen};
        error = (int)op_call(begin, &call);
        if (error < 0) {
                end(call.replacement);
                return error;
        }
        fs_adopt(call.replacement->fd);
        fs_adopt(call.replacement->dir);
        *ret_replacement = call.replacement;
        return 0;
}

int ouro_replace_fd(const ouro_replacement *replacement)
{
        return replacement ? replacement->fd : -EINVAL;
}

int ouro_replace_abort(ouro_replacement *replacement)
{
        if (!replacement)
                return 0;
        if (replacement->owner != sched_current)
                return -EPERM;
        end(replacement);
        return 0;
}

/* ---- the new one takes its place; blocking ---- */

static int link_it(int dirfd, const char *path, void *fd)
{
        char from[32];

        snprintf(from, sizeof from, "/proc/self/fd/%d", *(int *)fd);
        return sys_result(linkat(AT_FDCWD, from, dirfd, path, AT_SYMLINK_FOLLOW));
}

static int give_name(ouro_replacement *replacement)
{
        int error;

        if (replacement->named)
                return 0;
        strcpy(replacement->temp, temp_pattern);
        error = temp_try(replacement->dir, replacement->temp, LETTERS, link_it, &replacement->fd);
        replacement->named = error == 0;
        return error;
}

static intptr_t place(void *arg)
{
        ouro_replacement *replacement = arg;
        bool must_be_new = replacement->options.flags & OURO_REPLACE_NEW;
        int error;

        if (must_be_new && !replacement->named) {
                error = link_it(replacement->dir, replacement->name, &replacement->fd);
                replacement->placed = error == 0;
                return error;
        }
        error = give_name(replacement);
        if (error < 0)
                return error;
        error = sys_result(renameat2(replacement->dir, replacement->temp, replacement->dir, replacement->name,
                                     must_be_new ? RENAME_NOREPLACE : 0));
        replacement->placed = error == 0;
        return error;
}

static intptr_t sync_place(void *arg)
{
        const ouro_replacement *replacement = arg;

        return replacement->readable ? sys_result(fsync(replacement->dir))
                                     : sys_result(syncfs(replacement->fd));
}

static int commit(ouro_replacement *replacement)
{
        bool durable = !(replacement->options.flags & OURO_REPLACE_NO_SYNC);
        int error = durable ? ouro_fsync(replacement->fd) : 0;

        if (error == 0)
                error = (int)op_call(place, replacement);
        if (error == 0 && durable)
                error = (int)fs_call_uncut(sync_place, replacement);
        return error;
}

int ouro_replace_commit(ouro_replacement *replacement)
{
        int error;

        if (!replacement)
                return -EINVAL;
        if (replacement->owner != sched_current)
                return -EPERM;
        error = commit(replacement);
        end(replacement);
        return error;
}

int ouro_replace_file(int dirfd, const char *path, const void *data, size_t len,
                      const struct ouro_replace_options *options)
{
        ouro_replacement *replacement;
        int error = data || len == 0 ? ouro_replace_begin(dirfd, path, options, &replacement) : -EINVAL;

        if (error < 0)
                return error;
        error = ouro_pwrite_all(replacement->fd, data, len, 0, NULL);
        if (error == 0)
                return ouro_replace_commit(replacement);
        ouro_replace_abort(replacement);
        return error;
}
