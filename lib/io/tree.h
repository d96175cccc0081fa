/* tree.h - everything below a directory, one entry after the other, by blocking calls.
 *
 *      frames[0]  the root          always open
 *      frames[1]  a/                maybe closed: all that is left of it has been read
 *      ...
 *      frames[n]  a/b/c/            open
 *
 * Directories are entered by descriptors, each through the one that holds it, so that nothing that is renamed
 * meanwhile leads outside. Few are kept open at a time. One that was closed is opened again by the way that
 * led down from it, and only if it is the same one. */
#ifndef OURO_IO_TREE_H
#define OURO_IO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "io/dents.h"
#include "ouro.h"

struct tree_frame {
        int fd; /* -1: closed */
        dev_t device;
        ino_t inode;
        size_t path_len; /* in tree->path, with the slash behind it; the root: 0 */
        struct dents dents;
        bool lost; /* was closed, and cannot be found again */
};

enum tree_next {
        TREE_TAKE,        /* the next entry of the innermost */
        TREE_ENTER,       /* the directory that was told last is to be entered */
        TREE_NOT_ENTERED, /* it has not been: only its end is to be told */
        TREE_LEAVE,       /* the innermost has no more entries */
        TREE_OVER,
};

struct tree {
        struct tree_frame *frames;
        size_t depth, room; /* frames in use, and allocated */
        size_t first_open;  /* above the root: the outermost that is open, at most depth - 1 */
        char *path;         /* of what was told last, relative to the root */
        size_t path_len, path_room;
        size_t most_depth; /* 0: no limit */
        unsigned flags;    /* OURO_WALK_... */
        enum tree_next next;
};

/* Takes over root, a directory's descriptor, also on failure. */
int tree_open(struct tree *tree, int root, unsigned flags, size_t most_depth);
void tree_close(struct tree *tree);

enum { TREE_MUST_BLOCK = 2 };

/* The next event. 1; 0: no more; TREE_MUST_BLOCK: it is there only for who may block. Errors are told as
 * events; -ENOMEM is the only one returned, and what was to be told is told by the next call. */
int tree_step(struct tree *tree, struct ouro_walk_entry *ret, bool may_block);

/* The directory that was told last is not to be entered. False: it was none. */
bool tree_skip(struct tree *tree);

#endif
