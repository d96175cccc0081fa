/* dir_walk.c - a walk through a tree, as tasks see it: what is in memory is told at once, for the rest a
 * helper takes the step. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/fs.h"
#include "io/tree.h"

struct ouro_walk {
        const struct sched *owner;
        struct tree tree;
        bool busy;   /* a task is in a call that may wait */
        bool at_dir; /* the last event was OURO_WALK_DIR */
};

static int read_options(const struct ouro_walk_options *from, struct ouro_walk_options *ret)
{
        const unsigned known =
                OURO_WALK_POST | OURO_WALK_BOTH | OURO_WALK_FOLLOW | OURO_WALK_ONE_FS | OURO_WALK_STOP;
        int error = from ? options_read(ret, sizeof *ret, from) : 0;

        if (error < 0)
                return error;
        if ((ret->flags & ~known) || ((ret->flags & OURO_WALK_POST) && (ret->flags & OURO_WALK_BOTH)))
                return -EINVAL;
        return 0;
}

/* ---- opening ---- */

struct open_call {
        int dirfd;
        const char *path;
        const struct ouro_walk_options *options;
        struct tree *tree;
};

static intptr_t open_it(void *arg)
{
        const struct open_call *call = arg;
        int fd = sys_result(openat(call->dirfd, call->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

        return fd < 0 ? fd : tree_open(call->tree, fd, call->options->flags, call->options->max_depth);
}

int ouro_walk_open(int dirfd, const char *path, const struct ouro_walk_options *options, ouro_walk **ret_walk)
{
        struct ouro_walk_options chosen = {.size = sizeof chosen};
        struct open_call call = {dirfd, path, &chosen, NULL};
        ouro_walk *walk;
        int error = path && ret_walk ? read_options(options, &chosen) : -EINVAL;

        if (error < 0)
                return error;
        walk = mem_calloc(sizeof *walk);
        if (!walk)
                return -ENOMEM;
        call.tree = &walk->tree;
        error = (int)op_call(open_it, &call);
        if (error < 0) {
                mem_free(walk, sizeof *walk);
                return error;
        }
        walk->owner = sched_current;
        *ret_walk = walk;
        return 0;
}

/* ---- walking ---- */

struct step_call {
        struct tree *tree;
        struct ouro_walk_entry *entry;
};

static intptr_t step(void *arg)
{
        const struct step_call *call = arg;

        return tree_step(call->tree, call->entry, true);
}

static int next(ouro_walk *walk, struct ouro_walk_entry *entry)
{
        struct step_call call = {&walk->tree, entry};
        int result = tree_step(&walk->tree, entry, false);

        return result == TREE_MUST_BLOCK ? (int)op_call(step, &call) : result;
}

static int refuse(const ouro_walk *walk)
{
        if (!walk)
                return -EINVAL;
        if (!sched_current || walk->owner != sched_current)
                return -EPERM;
        return walk->busy ? -EBUSY : 0;
}

int ouro_walk_next(ouro_walk *walk, struct ouro_walk_entry *ret_entry)
{
        int result = ret_entry ? refuse(walk) : -EINVAL;
        struct ouro_walk_entry entry;

        if (result < 0)
                return result;
        if (sched_current->current->interrupt)
                return sched_current->current->interrupt;
        walk->busy = true;
        result = next(walk, &entry);
        if (result >= 0)
                walk->at_dir = result == 1 && entry.event == OURO_WALK_DIR;
        if (result == 1 && entry.event == OURO_WALK_ERROR && (walk->tree.flags & OURO_WALK_STOP)) {
                result = entry.error;
        } else if (result == 1) {
                fs_adopt(entry.dirfd); /* helpers open and close them */
                *ret_entry = entry;
        }
        result = coro_spend_int(sched_current, result);
        walk->busy = false;
        return result;
}

int ouro_walk_skip(ouro_walk *walk)
{
        int error = refuse(walk);

        if (error < 0)
                return error;
        if (!walk->at_dir || !tree_skip(&walk->tree))
                return -EINVAL;
        walk->at_dir = false;
        return 0;
}

int ouro_walk_close(ouro_walk *walk)
{
        int error = walk ? refuse(walk) : 0;

        if (!walk || error < 0)
                return error;
        tree_close(&walk->tree);
        mem_free(walk, sizeof *walk);
        return 0;
}
