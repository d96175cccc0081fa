/* file_watch_scan.c - directories of trees that are new: watched first, then looked into.
 *
 * In that order nothing gets lost: what comes before the look is seen by it, what comes after the watch has
 * an event, and what has both is known by its name (watch_node.found) and told once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/file_watch.h"
#include "io/fs.h"

/* ---- lists ---- */

int file_watch_scan_push(struct watch_scan ***tail, const struct watch_node *parent, const char *name,
                         enum watch_scan_kind kind)
{
        struct watch_scan *scan = mem_calloc(sizeof *scan + strlen(name) + 1);

        if (!scan)
                return -ENOMEM;
        strcpy(scan->name, name);
        scan->root = parent->root;
        scan->root->users++;
        scan->parent_wd = parent->wd;
        scan->kind = kind;
        **tail = scan;
        *tail = &scan->next;
        return 0;
}

void file_watch_scan_free(struct watch_scan *scan)
{
        file_watch_root_release(scan->root);
        mem_free(scan, sizeof *scan + strlen(scan->name) + 1);
}

/* ---- blocking ---- */

struct scan_call {
        int watch_fd;
        const struct watch_root *root;
        char *path; /* from the root */
        int wd;
        struct dents dents;
};

/* -ESTALE: it, or one above it, has been moved. */
static int open_root(const struct watch_root *root)
{
        int fd = sys_result(open(root->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat st;

        if (fd < 0)
                return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
        if (sys_result(fstat(fd, &st)) == 0 && st.st_dev == root->device && st.st_ino == root->inode)
                return fd;
        (void)sys_result(close(fd));
        return -ESTALE;
}

/* Step by step: a path may be longer than PATH_MAX, and no link in it is to be followed. */
static int open_below(const struct watch_root *root, char *path)
{
        int fd = open_root(root), next;

        while (fd >= 0 && *path) {
                char *slash = strchr(path, '/');

                if (slash)
                        *slash = 0;
                next = sys_result(openat(fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
                if (slash)
                        *slash = '/';
                (void)sys_result(close(fd));
                fd = next;
                path = slash ? slash + 1 : path + strlen(path);
        }
        return fd;
}

static int add_watch(int watch_fd, int fd, uint32_t mask)
{
        char path[32];

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return sys_result(inotify_add_watch(watch_fd, path, mask & ~(uint32_t)(IN_DONT_FOLLOW | IN_ONLYDIR)));
}

/* One that is there already gets no other mask: it may be another root's. */
static int add_or_find(int watch_fd, int fd, uint32_t mask)
{
        int wd = add_watch(watch_fd, fd, mask | IN_MASK_CREATE);

        return wd == -EEXIST ? add_watch(watch_fd, fd, IN_CREATE | IN_MASK_ADD) : wd;
}

static int look_inside(struct scan_call *call, int fd)
{
        int dir = sys_result(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), error;

        if (dir < 0)
                return dir;
        error = dents_fill_all(&call->dents, dir, false);
        (void)sys_result(close(dir));
        return error;
}

static intptr_t scan_call(void *arg)
{
        struct scan_call *call = arg;
        int fd = open_below(call->root, call->path), error = 0;

        if (fd < 0)
                return fd;
        call->wd = add_or_find(call->watch_fd, fd, call->root->mask | WATCH_TREE_MASK);
        if (call->wd >= 0)
                error = look_inside(call, fd);
        (void)sys_result(close(fd));
        return call->wd < 0 ? call->wd : error;
}

/* ---- one directory ---- */

static int tell_found(ouro_file_watch *watch, const struct watch_node *node, const struct dent *dent)
{
        const struct ouro_file_event event = {
                .id = node->root->id,
                .mask = (node->root->mask & (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE)) |
                        (dent->type == DT_DIR ? IN_ISDIR : 0),
                .found = true,
        };

        return event.mask & ~(uint32_t)IN_ISDIR ? file_watch_tell(watch, node, dent->name, &event) : 0;
}

/* What is in a directory that is watched now. */
static int take_in(ouro_file_watch *watch, struct watch_node *node, struct dents *dents,
                   enum watch_scan_kind kind, struct watch_scan ***tail)
{
        size_t from = dents->at;
        struct dent dent;
        int error = 0;

        while (error == 0 && dents_take(dents, &dent)) {
                if (kind == SCAN_NEW)
                        error = tell_found(watch, node, &dent);
                if (error == 0 && dent.type == DT_DIR)
                        error = file_watch_scan_push(tail, node, dent.name, kind);
        }
        dents->at = from;
        if (error == 0)
                node->looked = watch->turn;
        if (kind != SCAN_NEW)
                return error;
        dents_clear(&node->found);
        node->found = *dents; /* their own events may be under way */
        *dents = (struct dents){0};
        watch->found_any = true;
        return error;
}

/* The node of what has been scanned: a new one, or the one that had this watch descriptor, in its place.
 * NULL: nothing is to be done, or *ret_error. */
static struct watch_node *place(ouro_file_watch *watch, const struct watch_scan *scan, int wd,
                                enum watch_scan_kind *ret_kind, int *ret_error)
{
        struct watch_node *parent = file_watch_find(watch, scan->parent_wd),
                          *node = file_watch_find(watch, wd);
        bool same_root = node && node->root == scan->root;

        *ret_kind = scan->kind;
        if (same_root)
                node->seen = watch->turn;
        if (node && node == parent && !*scan->name)
                return node;
        if (scan->root->removed || !parent || (same_root && file_watch_is_below(parent, node))) {
                if (!node)
                        (void)sys_result(inotify_rm_watch(watch->fd, wd));
                return NULL;
        }
        if (!node) {
                node = file_watch_node_new(watch, scan->root, parent, scan->name, wd);
                if (!node)
                        (void)sys_result(inotify_rm_watch(watch->fd, wd));
                *ret_error = node ? 0 : -ENOMEM;
                *ret_kind = scan->kind == SCAN_AGAIN ? SCAN_NEW : scan->kind;
                return node;
        }
        if (!same_root) {
                *ret_error = scan->kind == SCAN_ADD ? -EEXIST : 0;
                return NULL;
        }
        if (node->parent != parent || strcmp(node->name, scan->name) != 0)
                *ret_error = file_watch_node_move(node, parent, scan->name);
        return scan->kind != SCAN_NEW && *ret_error == 0 ? node : NULL;
}

/* The directory may have been renamed, or removed, before it could be looked at: others tell of that. */
static int tell_error(ouro_file_watch *watch, const struct watch_scan *scan, int error)
{
        const struct watch_node *parent = file_watch_find(watch, scan->parent_wd);
        const struct ouro_file_event event = {.id = scan->root->id, .error = error};
        struct watch_node *node;

        if (error == -ENOENT || error == -ENOTDIR || error == -ELOOP || !parent || scan->root->removed)
                return 0;
        node = file_watch_child(parent, scan->name);
        if (node) /* it is there, and stays watched as far as it was */
                node->seen = watch->turn;
        if (scan->kind != SCAN_ADD)
                return file_watch_tell(watch, parent, scan->name, &event);
        return error == -EACCES ? 0 : error;
}

static bool will_come_again(int error)
{
        return error == -ECANCELED || error == -ETIME || error == -ENOMEM || error == -EBADF;
}

/* 0, or an error: that of an own wait, after which scan is to be done again, or of the directory. */
static int do_scan(ouro_file_watch *watch, const struct watch_scan *scan, const struct watch_node *parent,
                   struct watch_scan ***tail)
{
        size_t bytes = file_watch_path(parent, scan->name, NULL);
        struct scan_call call = {
                .watch_fd = watch->fd, .root = scan->root, .path = mem_alloc(bytes), .wd = -1};
        enum watch_scan_kind kind;
        struct watch_node *node;
        int error, result = 0;

        if (!call.path)
                return -ENOMEM;
        file_watch_path(parent, scan->name, call.path);
        error = (int)op_call_on(watch->fd, "file watch", scan_call, &call);
        mem_free(call.path, bytes);
        node = call.wd >= 0 && !watch->closed ? place(watch, scan, call.wd, &kind, &result) : NULL;
        if (node && error == 0 && result == 0)
                result = take_in(watch, node, &call.dents, kind, tail);
        dents_clear(&call.dents);
        return error < 0 ? error : result;
}

int file_watch_scan_one(ouro_file_watch *watch, struct watch_scan **first, struct watch_scan ***tail)
{
        struct watch_scan *scan = *first;
        const struct watch_node *parent = file_watch_find(watch, scan->parent_wd);
        int error = 0;

        if (parent && !scan->root->removed)
                error = do_scan(watch, scan, parent, tail);
        if (watch->closed)
                return -EBADF;
        if (will_come_again(error))
                return error;
        if (error < 0)
                error = tell_error(watch, scan, error);
        *first = scan->next;
        if (!*first)
                *tail = first;
        file_watch_scan_free(scan);
        return error;
}

/* ---- a path that is added ---- */

struct root_call {
        int watch_fd, dirfd;
        const char *path;
        struct watch_root *root;
};

/* What is needed to find it again. */
static int note_place(struct watch_root *root, int fd)
{
        char link[32];
        char *path = mem_alloc(PATH_MAX);
        struct stat st;
        ssize_t len;
        int error = path ? sys_result(fstat(fd, &st)) : -ENOMEM;

        if (error == 0) {
                snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                len = sys_result(readlink(link, path, PATH_MAX - 1));
                error = len < 0 ? (int)len : 0;
        }
        if (error == 0) {
                path[len] = 0;
                root->device = st.st_dev;
                root->inode = st.st_ino;
                root->path = mem_alloc((size_t)len + 1);
                error = root->path ? (strcpy(root->path, path), 0) : -ENOMEM;
        }
        mem_free(path, PATH_MAX);
        return error;
}

static intptr_t root_call(void *arg)
{
        const struct root_call *call = arg;
        struct watch_root *root = call->root;
        uint32_t mask = root->mask | IN_MASK_CREATE | (root->tree ? (uint32_t)WATCH_TREE_MASK : 0);
        int flags = O_PATH | O_CLOEXEC | (root->mask & IN_DONT_FOLLOW ? O_NOFOLLOW : 0) |
                    (root->tree || (root->mask & IN_ONLYDIR) ? O_DIRECTORY : 0);
        int fd = sys_result(openat(call->dirfd, call->path, flags)), result;

        if (fd < 0)
                return fd;
        result = root->tree ? note_place(root, fd) : 0;
        if (result == 0)
                result = add_watch(call->watch_fd, fd, mask);
        (void)sys_result(close(fd));
        return result;
}

int file_watch_add_root(ouro_file_watch *watch, struct watch_root *root, int dirfd, const char *path)
{
        struct root_call call = {watch->fd, dirfd, path, root};
        int wd = (int)op_call_on(watch->fd, "file watch", root_call, &call);

        if (wd < 0)
                return wd;
        if (watch->closed || root->removed)
                return watch->closed ? -EBADF : -ENOENT;
        root->node = file_watch_node_new(watch, root, NULL, "", wd);
        if (root->node)
                return wd;
        (void)sys_result(inotify_rm_watch(watch->fd, wd));
        return -ENOMEM;
}
