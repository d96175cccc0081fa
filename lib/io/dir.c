/* dir.c - a directory, listed entry by entry. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/dents.h"
#include "io/fs.h"
#include "ouro.h"

struct ouro_dir {
        const struct sched *owner;
        int fd;
        struct dents dents;
        bool busy; /* a task is in a call that may wait */
};

/* ---- opening ---- */

struct open_call {
        int dirfd;
        const char *path;
        int flags;
};

static intptr_t open_it(void *arg)
{
        const struct open_call *call = arg;

        return sys_result(openat(call->dirfd, call->path, call->flags));
}

/* In a helper, not in the ring: that would first try it on the loop's thread. */
static int open_directory(int dirfd, const char *path)
{
        struct open_call call = {dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC};

        return fs_adopt((int)op_call(open_it, &call));
}

int ouro_dir_open(int dirfd, const char *path, ouro_dir **ret_dir)
{
        ouro_dir *dir;
        int fd;

        if (!path || !ret_dir)
                return -EINVAL;
        fd = open_directory(dirfd, path);
        if (fd < 0)
                return fd;
        dir = mem_calloc(sizeof *dir);
        if (!dir) {
                fs_close(fd);
                return -ENOMEM;
        }
        dir->owner = sched_current;
        dir->fd = fd;
        *ret_dir = dir;
        return 0;
}

/* ---- reading ---- */

static intptr_t fill(void *arg)
{
        ouro_dir *dir = arg;

        return dents_fill(&dir->dents, dir->fd, false);
}

/* The rest of what the helper has read may be all "." and "..", or removed: around again. */
static int next(ouro_dir *dir, struct dent *ret)
{
        while (!dents_take(&dir->dents, ret)) {
                int error;

                if (dir->dents.at_end)
                        return 0;
                error = (int)op_call(fill, dir);
                if (error < 0)
                        return error;
        }
        return 1;
}

static int refuse(const ouro_dir *dir)
{
        if (!dir)
                return -EINVAL;
        if (!sched_current || dir->owner != sched_current)
                return -EPERM;
        return dir->busy ? -EBUSY : 0;
}

int ouro_dir_next(ouro_dir *dir, struct ouro_dir_entry *ret_entry)
{
        int result = ret_entry ? refuse(dir) : -EINVAL;
        struct dent dent;

        if (result < 0)
                return result;
        if (sched_current->current->interrupt)
                return sched_current->current->interrupt;
        dir->busy = true;
        result = next(dir, &dent);
        if (result == 1)
                *ret_entry = (struct ouro_dir_entry){dent.name, dent.inode, dent.type};
        result = coro_spend_int(sched_current, result);
        dir->busy = false;
        return result;
}

int ouro_dir_rewind(ouro_dir *dir)
{
        int error = refuse(dir);

        if (error < 0)
                return error;
        dents_clear(&dir->dents);
        return sys_result(lseek(dir->fd, 0, SEEK_SET)) < 0 ? -EIO : 0;
}

int ouro_dir_fd(const ouro_dir *dir)
{
        int error = refuse(dir);

        return error == -EINVAL || error == -EPERM ? error : dir->fd;
}

int ouro_dir_close(ouro_dir *dir)
{
        int error = dir ? refuse(dir) : 0;

        if (!dir || error < 0)
                return error;
        fs_close(dir->fd);
        dents_clear(&dir->dents);
        mem_free(dir, sizeof *dir);
        return 0;
}
