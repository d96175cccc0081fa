/* dir_make.c - directories made with all that is missing on the way, trees removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/fs.h"
#include "io/tree.h"

/* ---- making ---- */

struct make_call {
        int dirfd;
        char *path; /* a copy: slashes are cut out of it and put back */
        mode_t mode;
};

static bool is_directory(int dirfd, const char *path)
{
        struct stat st;

        return sys_result(fstatat(dirfd, path, &st, 0)) == 0 && S_ISDIR(st.st_mode);
}

static int make_one(int dirfd, const char *path, mode_t mode)
{
        int error = sys_result(mkdirat(dirfd, path, mode));

        return error < 0 && error != -ENOENT && is_directory(dirfd, path) ? 0 : error;
}

/* Each that its end, or a slash, cuts out of the path. */
static intptr_t make_all(void *arg)
{
        const struct make_call *call = arg;
        char *at = call->path + strspn(call->path, "/");
        int error = make_one(call->dirfd, call->path, call->mode);

        if (error != -ENOENT)
                return error;
        while ((at = strchr(at, '/'))) {
                size_t slashes = strspn(at, "/");

                if (at[slashes] == 0)
                        break;
                *at = 0;
                error = make_one(call->dirfd, call->path, call->mode | S_IWUSR | S_IXUSR);
                *at = '/';
                if (error < 0)
                        return error;
                at += slashes;
        }
        return make_one(call->dirfd, call->path, call->mode);
}

int ouro_make_dirs(int dirfd, const char *path, mode_t mode)
{
        struct make_call call = {.dirfd = dirfd, .mode = mode};
        size_t bytes = path ? strlen(path) + 1 : 0;
        int result;

        if (!path)
                return -EINVAL;
        if (bytes > PATH_MAX)
                return -ENAMETOOLONG;
        call.path = mem_alloc(bytes);
        if (!call.path)
                return -ENOMEM;
        memcpy(call.path, path, bytes);
        result = (int)op_call(make_all, &call);
        mem_free(call.path, bytes);
        return result;
}

/* ---- removing ---- */

enum { SLICE = 256, TURNS = 3 };

struct remove_call {
        int dirfd;
        const char *path;
        struct tree tree;
        int dir_error; /* why the directory that is about to end could not be read */
        int error;     /* the first */
};

static void keep_error(struct remove_call *call, int error)
{
        if (error < 0 && error != -ENOENT && call->error == 0)
                call->error = error;
}

static void remove_entry(struct remove_call *call, const struct ouro_walk_entry *entry)
{
        int error;

        switch (entry->event) {
        case OURO_WALK_ERROR:
                if (entry->depth == 0 || entry->error == -ESTALE)
                        keep_error(call, entry->error);
                call->dir_error = entry->error;
                break;
        case OURO_WALK_DIR_END:
                error = sys_result(unlinkat(entry->dirfd, entry->name, AT_REMOVEDIR));
                keep_error(call, error < 0 && error != -ENOENT && call->dir_error ? call->dir_error : error);
                call->dir_error = 0;
                break;
        default:
                keep_error(call, sys_result(unlinkat(entry->dirfd, entry->name, 0)));
                break;
        }
}

/* 1: there is more. */
static intptr_t remove_some(void *arg)
{
        struct remove_call *call = arg;
        struct ouro_walk_entry entry;
        int result = 1;

        for (int i = 0; i < SLICE && result == 1; i++) {
                result = tree_step(&call->tree, &entry, true);
                if (result == 1)
                        remove_entry(call, &entry);
        }
        return result;
}

static intptr_t remove_root(void *arg)
{
        const struct remove_call *call = arg;

        return sys_result(unlinkat(call->dirfd, call->path, AT_REMOVEDIR));
}

/* 0: it was no directory, and is gone. 1: it is one, and open. */
static intptr_t begin(void *arg)
{
        struct remove_call *call = arg;
        int error = sys_result(unlinkat(call->dirfd, call->path, 0)), fd;

        if (error != -EISDIR && error != -EPERM)
                return error;
        fd = sys_result(openat(call->dirfd, call->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (fd < 0)
                return fd == -ENOTDIR || fd == -ELOOP ? error : fd;
        error = tree_open(&call->tree, fd, OURO_WALK_POST, 0);
        return error < 0 ? error : 1;
}

/* One turn through the tree. -ENOTEMPTY: something has come into it, or the file system has passed entries
 * over while others were removed. */
static int remove_once(struct remove_call *call)
{
        int result = (int)op_call(begin, call);

        if (result <= 0)
                return result;
        do
                result = (int)op_call(remove_some, call);
        while (result == 1);
        tree_close(&call->tree);
        if (result == 0 && call->error == 0)
                result = (int)op_call(remove_root, call);
        return result < 0 ? result : call->error;
}

/* Its own name, and not one that stands for another directory. */
static bool has_name(const char *path)
{
        size_t len = strlen(path);
        const char *name;

        while (len > 0 && path[len - 1] == '/')
                len--;
        name = memrchr(path, '/', len);
        name = name ? name + 1 : path;
        len -= (size_t)(name - path);
        return len > 0 && !(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

int ouro_remove_tree(int dirfd, const char *path)
{
        int result = -ENOTEMPTY;

        if (!path || !has_name(path))
                return -EINVAL;
        for (int turn = 0; turn < TURNS && result == -ENOTEMPTY; turn++) {
                struct remove_call call = {.dirfd = dirfd, .path = path};

                result = remove_once(&call);
        }
        return result;
}
