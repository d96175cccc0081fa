/* tree.c - everything below a directory, see tree.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "io/tree.h"

enum { OPEN_MOST = 24, FRAMES_FIRST = 16, PATH_FIRST = 256 };

static struct tree_frame *innermost(const struct tree *tree)
{
        return &tree->frames[tree->depth - 1];
}

/* ---- memory ---- */

static int room_for_path(struct tree *tree, size_t len)
{
        size_t room = tree->path_room ? tree->path_room : PATH_FIRST;
        char *path;

        while (room < len + 2) /* a slash and a zero */
                room *= 2;
        if (room == tree->path_room)
                return 0;
        path = tree->path_room ? mem_grow(tree->path, tree->path_room, room) : mem_alloc(room);
        if (!path)
                return -ENOMEM;
        tree->path = path;
        tree->path_room = room;
        return 0;
}

static int room_for_frame(struct tree *tree)
{
        size_t room = tree->room ? 2 * tree->room : FRAMES_FIRST;
        struct tree_frame *frames;

        if (tree->depth < tree->room)
                return 0;
        frames = tree->room ? mem_grow(tree->frames, tree->room * sizeof *frames, room * sizeof *frames)
                            : mem_alloc(room * sizeof *frames);
        if (!frames)
                return -ENOMEM;
        tree->frames = frames;
        tree->room = room;
        return 0;
}

/* ---- descriptors ---- */

static void close_frame(struct tree_frame *frame)
{
        if (frame->fd >= 0)
                (void)sys_result(close(frame->fd));
        frame->fd = -1;
}

/* Closes the outermost that is open but the root and the innermost, once all its entries are in memory.
 * False: there is none, or no memory. */
static bool close_one(struct tree *tree)
{
        struct tree_frame *frame;

        while (tree->first_open + 1 < tree->depth && tree->frames[tree->first_open].fd < 0)
                tree->first_open++;
        if (tree->first_open + 1 >= tree->depth)
                return false;
        frame = &tree->frames[tree->first_open];
        if (dents_fill_all(&frame->dents, frame->fd, tree->flags & OURO_WALK_FOLLOW) < 0)
                return false;
        close_frame(frame);
        return true;
}

static int open_directory(struct tree *tree, int dirfd, const char *name)
{
        int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (tree->flags & OURO_WALK_FOLLOW ? 0 : O_NOFOLLOW);
        int fd;

        do
                fd = sys_result(openat(dirfd, name, flags));
        while (fd == -EMFILE && close_one(tree));
        return fd;
}

static bool is_the_same(const struct tree_frame *frame, int fd)
{
        struct stat st;

        return sys_result(fstat(fd, &st)) == 0 && st.st_dev == frame->device && st.st_ino == frame->inode;
}

static int open_if_same(struct tree *tree, const struct tree_frame *frame, int from, const char *name)
{
        int fd = open_directory(tree, from, name);

        if (fd < 0 || is_the_same(frame, fd))
                return fd;
        (void)sys_result(close(fd));
        return -ESTALE;
}

/* From the nearest one above it that is open, by the names that have led down. */
static int find_by_names(struct tree *tree, size_t wanted)
{
        size_t at = wanted;
        int fd, next;

        while (tree->frames[at].fd < 0)
                at--;
        fd = tree->frames[at].fd;
        for (size_t i = at + 1; i <= wanted; i++) {
                char *slash = tree->path + tree->frames[i].path_len - 1;

                *slash = 0;
                next = open_if_same(tree, &tree->frames[i], fd, tree->path + tree->frames[i - 1].path_len);
                *slash = '/';
                if (i > at + 1)
                        (void)sys_result(close(fd));
                if (next < 0)
                        return next;
                fd = next;
        }
        return fd;
}

/* The one that holds the innermost is open again, or lost: then the error is returned. */
static int reopen_holder(struct tree *tree)
{
        struct tree_frame *holder = &tree->frames[tree->depth - 2];
        int fd = innermost(tree)->fd < 0 ? -ESTALE : open_if_same(tree, holder, innermost(tree)->fd, "..");

        if (fd < 0)
                fd = find_by_names(tree, tree->depth - 2);
        holder->fd = fd < 0 ? -1 : fd;
        if (fd >= 0 && tree->first_open > tree->depth - 2)
                tree->first_open = tree->depth - 2;
        return fd < 0 ? fd : 0;
}

/* ---- down and up ---- */

static bool is_loop(const struct tree *tree, const struct stat *st)
{
        for (size_t i = 0; i < tree->depth; i++)
                if (tree->frames[i].inode == st->st_ino && tree->frames[i].device == st->st_dev)
                        return true;
        return false;
}

/* 0, 1: it stays outside, or an error. */
static int look_at(const struct tree *tree, int fd, struct stat *ret_st)
{
        int error = sys_result(fstat(fd, ret_st));

        if (error < 0)
                return error;
        if ((tree->flags & OURO_WALK_FOLLOW) && is_loop(tree, ret_st))
                return -ELOOP;
        return (tree->flags & OURO_WALK_ONE_FS) && tree->depth > 0 &&
               ret_st->st_dev != tree->frames[0].device;
}

static void push(struct tree *tree, int fd, const struct stat *st)
{
        if (tree->depth > 0)
                tree->path[tree->path_len++] = '/';
        tree->frames[tree->depth++] = (struct tree_frame){
                .fd = fd,
                .device = st->st_dev,
                .inode = st->st_ino,
                .path_len = tree->path_len,
        };
}

static void keep_few_open(struct tree *tree)
{
        if (tree->first_open == 0)
                tree->first_open = 1;
        if (tree->depth - tree->first_open >= OPEN_MOST)
                close_one(tree);
}

/* Enters the directory at path. 0, 1: not to be entered, or an error. */
static int enter(struct tree *tree)
{
        struct tree_frame *holder = innermost(tree);
        struct stat st;
        int fd, result = room_for_frame(tree);

        if (result < 0)
                return result;
        holder = innermost(tree);
        keep_few_open(tree);
        fd = open_directory(tree, holder->fd, tree->path + holder->path_len);
        if (fd < 0)
                return fd;
        result = look_at(tree, fd, &st);
        if (result != 0)
                (void)sys_result(close(fd));
        else
                push(tree, fd, &st);
        return result;
}

static void pop(struct tree *tree)
{
        struct tree_frame *frame = innermost(tree);

        close_frame(frame);
        dents_clear(&frame->dents);
        tree->path_len = frame->path_len - 1;
        tree->path[tree->path_len] = 0;
        tree->depth--;
        if (tree->first_open >= tree->depth)
                tree->first_open = tree->depth > 1 ? tree->depth - 1 : 1;
}

/* ---- what is told ---- */

static const char *name_in(const struct tree *tree)
{
        const char *slash = memrchr(tree->path, '/', tree->path_len);

        return slash ? slash + 1 : tree->path;
}

static int tell(const struct tree *tree, struct ouro_walk_entry *ret, enum ouro_walk_event event, int type,
                uint64_t inode)
{
        *ret = (struct ouro_walk_entry){
                .event = event,
                .type = type,
                .path = tree->path,
                .name = name_in(tree),
                .dirfd = innermost(tree)->fd,
                .depth = tree->depth,
                .inode = inode,
        };
        return 1;
}

static int tell_error(const struct tree *tree, struct ouro_walk_entry *ret, int error, size_t depth)
{
        tell(tree, ret, OURO_WALK_ERROR, DT_DIR, 0);
        ret->error = error;
        ret->depth = depth;
        return 1;
}

static bool tells_starts(const struct tree *tree)
{
        return !(tree->flags & OURO_WALK_POST);
}

static bool tells_ends(const struct tree *tree)
{
        return tree->flags & (OURO_WALK_POST | OURO_WALK_BOTH);
}

/* One that has been taken. True: it is told. */
static bool tell_dent(struct tree *tree, const struct dent *dent, struct ouro_walk_entry *ret)
{
        if (dent->type != DT_DIR)
                return tell(tree, ret, OURO_WALK_FILE, dent->type, dent->inode);
        tree->next = tree->depth == tree->most_depth ? TREE_NOT_ENTERED : TREE_ENTER;
        return tells_starts(tree) && tell(tree, ret, OURO_WALK_DIR, dent->type, dent->inode);
}

/* This and the steps below: 1: an event is told, 0: go on, TREE_MUST_BLOCK, -ENOMEM. */
static int fill(struct tree *tree, struct ouro_walk_entry *ret, bool may_block)
{
        struct tree_frame *frame = innermost(tree);
        int error;

        if (!may_block)
                return TREE_MUST_BLOCK;
        error = dents_fill(&frame->dents, frame->fd, tree->flags & OURO_WALK_FOLLOW);
        if (error == 0 || error == -ENOMEM)
                return error;
        frame->dents.at_end = true;
        tree->path_len = frame->path_len ? frame->path_len - 1 : 0;
        tree->path[tree->path_len] = 0;
        return tell_error(tree, ret, error, tree->depth - 1);
}

static int take(struct tree *tree, struct ouro_walk_entry *ret, bool may_block)
{
        struct tree_frame *frame = innermost(tree);
        struct dent dent;
        size_t len, at = frame->dents.at;

        if (!dents_take(&frame->dents, &dent)) {
                if (!frame->dents.at_end)
                        return fill(tree, ret, may_block);
                tree->next = TREE_LEAVE;
                return 0;
        }
        len = strlen(dent.name);
        if (room_for_path(tree, frame->path_len + len) < 0) {
                frame->dents.at = at;
                return -ENOMEM;
        }
        memcpy(tree->path + frame->path_len, dent.name, len + 1);
        tree->path_len = frame->path_len + len;
        return tell_dent(tree, &dent, ret);
}

static int go_in(struct tree *tree, struct ouro_walk_entry *ret, bool may_block)
{
        int result = may_block ? enter(tree) : TREE_MUST_BLOCK;

        if (result == TREE_MUST_BLOCK || result == -ENOMEM)
                return result;
        tree->next = result == 0 ? TREE_TAKE : TREE_NOT_ENTERED;
        return result < 0 ? tell_error(tree, ret, result, tree->depth) : 0;
}

static int end_unentered(struct tree *tree, struct ouro_walk_entry *ret)
{
        tree->next = TREE_TAKE;
        return tells_ends(tree) ? tell(tree, ret, OURO_WALK_DIR_END, DT_DIR, 0) : 0;
}

/* What is left of a directory that cannot be found again is not told: nothing could be done with it. */
static int tell_lost(struct tree *tree, struct ouro_walk_entry *ret, int error)
{
        struct tree_frame *frame = innermost(tree);

        frame->lost = true;
        dents_clear(&frame->dents);
        frame->dents.at_end = true;
        tree->path_len = frame->path_len - 1;
        tree->path[tree->path_len] = 0;
        return tell_error(tree, ret, error, tree->depth - 1);
}

static int go_out(struct tree *tree, struct ouro_walk_entry *ret, bool may_block)
{
        uint64_t inode = innermost(tree)->inode;
        bool lost = innermost(tree)->lost;
        int error = 0;

        if (tree->depth == 1) {
                tree->next = TREE_OVER;
                return 0;
        }
        if (tree->frames[tree->depth - 2].fd < 0) {
                if (!may_block)
                        return TREE_MUST_BLOCK;
                error = reopen_holder(tree);
        }
        pop(tree);
        tree->next = TREE_TAKE;
        if (error < 0)
                return tell_lost(tree, ret, error);
        return tells_ends(tree) && !lost ? tell(tree, ret, OURO_WALK_DIR_END, DT_DIR, inode) : 0;
}

int tree_step(struct tree *tree, struct ouro_walk_entry *ret, bool may_block)
{
        int result = 0;

        while (result == 0) {
                switch (tree->next) {
                case TREE_TAKE:
                        result = take(tree, ret, may_block);
                        break;
                case TREE_ENTER:
                        result = go_in(tree, ret, may_block);
                        break;
                case TREE_NOT_ENTERED:
                        result = end_unentered(tree, ret);
                        break;
                case TREE_LEAVE:
                        result = go_out(tree, ret, may_block);
                        break;
                case TREE_OVER:
                        return 0;
                }
        }
        return result;
}

bool tree_skip(struct tree *tree)
{
        if (!tells_starts(tree) || (tree->next != TREE_ENTER && tree->next != TREE_NOT_ENTERED))
                return false;
        tree->next = TREE_TAKE;
        return true;
}

/* ---- life ---- */

int tree_open(struct tree *tree, int root, unsigned flags, size_t most_depth)
{
        struct stat st;
        int error;

        *tree = (struct tree){.flags = flags, .most_depth = most_depth, .next = TREE_TAKE};
        error = room_for_path(tree, 0);
        if (error == 0)
                error = room_for_frame(tree);
        if (error == 0)
                error = sys_result(fstat(root, &st));
        if (error < 0) {
                (void)sys_result(close(root));
                tree_close(tree);
                return error;
        }
        tree->path[0] = 0;
        push(tree, root, &st);
        return 0;
}

void tree_close(struct tree *tree)
{
        for (size_t i = 0; i < tree->depth; i++) {
                close_frame(&tree->frames[i]);
                dents_clear(&tree->frames[i].dents);
        }
        if (tree->frames)
                mem_free(tree->frames, tree->room * sizeof *tree->frames);
        if (tree->path)
                mem_free(tree->path, tree->path_room);
        *tree = (struct tree){0};
}
