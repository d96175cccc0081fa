/* file_name.c - files made, named and found by path. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/file.h"
#include "ouro.h"

/* Arguments of what a helper does, on the stack of the task. */
struct name_call {
        int dirfd;
        const char *path;
        char *buf;
        size_t size;
        mode_t mode;
        dev_t dev;
};

/* A newer program's fields must say nothing. */
static int copy_how(struct open_how *own, const struct open_how *how, size_t how_size)
{
        const unsigned char *rest = (const unsigned char *)how + sizeof *own;

        if (how_size < sizeof *own)
                return -EINVAL;
        for (size_t i = 0; i < how_size - sizeof *own; i++)
                if (rest[i] != 0)
                        return -E2BIG;
        *own = *how;
        own->flags |= O_CLOEXEC;
        return 0;
}

int ouro_openat2(int dirfd, const char *path, const struct open_how *how, size_t how_size)
{
        struct io_uring_sqe entry = {0};
        struct open_how own;
        int error;

        if (!path || !how)
                return -EINVAL;
        error = copy_how(&own, how, how_size);
        if (error < 0)
                return error;
        io_uring_prep_openat2(&entry, dirfd, path, &own);
        return file_open(&entry, own.flags);
}

int ouro_mkdirat(int dirfd, const char *path, mode_t mode)
{
        struct op op;

        if (!path)
                return -EINVAL;
        io_uring_prep_mkdirat(op_begin(&op), dirfd, path, mode);
        return (int)op_wait(&op);
}

int ouro_mkdir(const char *path, mode_t mode)
{
        return ouro_mkdirat(AT_FDCWD, path, mode);
}

int ouro_rmdir(const char *path)
{
        return ouro_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int ouro_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags)
{
        struct op op;

        if (!old_path || !new_path)
                return -EINVAL;
        io_uring_prep_linkat(op_begin(&op), old_dirfd, old_path, new_dirfd, new_path, flags);
        return (int)op_wait(&op);
}

int ouro_link(const char *old_path, const char *new_path)
{
        return ouro_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

int ouro_symlinkat(const char *target, int dirfd, const char *path)
{
        struct op op;

        if (!target || !path)
                return -EINVAL;
        io_uring_prep_symlinkat(op_begin(&op), target, dirfd, path);
        return (int)op_wait(&op);
}

int ouro_symlink(const char *target, const char *path)
{
        return ouro_symlinkat(target, AT_FDCWD, path);
}

/* ---- by a helper ---- */

static intptr_t do_readlink(void *arg)
{
        const struct name_call *call = arg;

        return sys_retry(readlinkat(call->dirfd, call->path, call->buf, call->size));
}

ssize_t ouro_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
        struct name_call call = {.dirfd = dirfd, .path = path, .buf = buf, .size = size};

        if (!path || !buf || size == 0)
                return -EINVAL;
        return op_call_on(dirfd, "readlinkat", do_readlink, &call);
}

ssize_t ouro_readlink(const char *path, char *buf, size_t size)
{
        return ouro_readlinkat(AT_FDCWD, path, buf, size);
}

static intptr_t do_mknod(void *arg)
{
        const struct name_call *call = arg;

        return sys_retry(mknodat(call->dirfd, call->path, call->mode, call->dev));
}

int ouro_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
        struct name_call call = {.dirfd = dirfd, .path = path, .mode = mode, .dev = dev};

        if (!path)
                return -EINVAL;
        return (int)op_call_on(dirfd, "mknodat", do_mknod, &call);
}

int ouro_mkfifo(const char *path, mode_t mode)
{
        return ouro_mknodat(AT_FDCWD, path, S_IFIFO | (mode & 07777), 0);
}

static intptr_t do_sync_directory(void *arg)
{
        int fd = sys_retry(open(arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC)), result;

        if (fd < 0)
                return fd;
        result = sys_retry(fsync(fd));
        close(fd);
        return result;
}

int ouro_sync_directory(const char *path)
{
        if (!path)
                return -EINVAL;
        return (int)op_call_on(-1, "sync_directory", do_sync_directory, (void *)(uintptr_t)path);
}
