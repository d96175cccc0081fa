/* file_xattr.c - extended attributes: read and written by the kernel's opcodes, listed and removed by a
 * helper. */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include "base/sys.h"
#include "io/file.h"
#include "ouro.h"

struct xattr_call {
        int fd;
        const char *path, *name;
        char *list;
        size_t size;
};

/* What is longer than any attribute may be is cut to what is still too long, and fits into an entry. */
static unsigned value_len(size_t size)
{
        return size <= XATTR_SIZE_MAX ? (unsigned)size : XATTR_SIZE_MAX + 1;
}

/* Of a path: no descriptor is meant. path is NULL for an open file. */
static intptr_t value_call(unsigned opcode, int fd, const char *path, const char *name, const void *value,
                           unsigned size, int flags)
{
        struct op op;
        struct io_uring_sqe *sqe = op_begin(&op);

        sqe->opcode = (__u8)opcode;
        sqe->fd = path ? -1 : fd;
        sqe->addr = (uintptr_t)name;
        sqe->addr2 = (uintptr_t)value;
        sqe->addr3 = (uintptr_t)path;
        sqe->len = size;
        sqe->xattr_flags = (unsigned)flags;
        return op_wait(&op);
}

ssize_t ouro_getxattr(const char *path, const char *name, void *value, size_t size)
{
        if (!path || !name || (!value && size > 0))
                return -EINVAL;
        return value_call(IORING_OP_GETXATTR, -1, path, name, value,
                          size < XATTR_SIZE_MAX ? (unsigned)size : XATTR_SIZE_MAX, 0);
}

ssize_t ouro_fgetxattr(int fd, const char *name, void *value, size_t size)
{
        if (fd < 0)
                return -EBADF;
        if (!name || (!value && size > 0))
                return -EINVAL;
        return value_call(IORING_OP_FGETXATTR, fd, NULL, name, value,
                          size < XATTR_SIZE_MAX ? (unsigned)size : XATTR_SIZE_MAX, 0);
}

int ouro_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
        if (!path || !name || (!value && size > 0))
                return -EINVAL;
        return (int)value_call(IORING_OP_SETXATTR, -1, path, name, value, value_len(size), flags);
}

int ouro_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
        if (fd < 0)
                return -EBADF;
        if (!name || (!value && size > 0))
                return -EINVAL;
        return (int)value_call(IORING_OP_FSETXATTR, fd, NULL, name, value, value_len(size), flags);
}

/* ---- by a helper ---- */

static intptr_t do_list(void *arg)
{
        const struct xattr_call *call = arg;

        return call->path ? sys_retry(listxattr(call->path, call->list, call->size))
                          : sys_retry(flistxattr(call->fd, call->list, call->size));
}

ssize_t ouro_listxattr(const char *path, char *list, size_t size)
{
        struct xattr_call call = {.path = path, .list = list, .size = size};

        if (!path || (!list && size > 0))
                return -EINVAL;
        return op_call_on(-1, "listxattr", do_list, &call);
}

ssize_t ouro_flistxattr(int fd, char *list, size_t size)
{
        struct xattr_call call = {.fd = fd, .list = list, .size = size};

        if (fd < 0)
                return -EBADF;
        if (!list && size > 0)
                return -EINVAL;
        return op_call_on(fd, "flistxattr", do_list, &call);
}

static intptr_t do_remove(void *arg)
{
        const struct xattr_call *call = arg;

        return call->path ? sys_retry(removexattr(call->path, call->name))
                          : sys_retry(fremovexattr(call->fd, call->name));
}

int ouro_removexattr(const char *path, const char *name)
{
        struct xattr_call call = {.path = path, .name = name};

        if (!path || !name)
                return -EINVAL;
        return (int)op_call_on(-1, "removexattr", do_remove, &call);
}

int ouro_fremovexattr(int fd, const char *name)
{
        struct xattr_call call = {.fd = fd, .name = name};

        if (fd < 0)
                return -EBADF;
        if (!name)
                return -EINVAL;
        return (int)op_call_on(fd, "fremovexattr", do_remove, &call);
}
