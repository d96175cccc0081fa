/* file_xattr.c - extended attributes: read and written by the kernel's opcodes, listed and removed by a
 * helper. Those of symbolic links themselves have no opcode: a helper does all of it. */
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
        bool of_link; /* path is not followed */
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

        if (call->of_link)
                return sys_retry(llistxattr(call->path, call->list, call->size));
        return call->path ? sys_retry(listxattr(call->path, call->list, call->size))
                          : sys_retry(flistxattr(call->fd, call->list, call->size));
}

static ssize_t list_path(struct xattr_call call)
{
        if (!call.path || (!call.list && call.size > 0))
                return -EINVAL;
        return op_call_on(-1, "listxattr", do_list, &call);
}

ssize_t ouro_listxattr(const char *path, char *list, size_t size)
{
        return list_path((struct xattr_call){.path = path, .list = list, .size = size});
}

ssize_t ouro_llistxattr(const char *path, char *list, size_t size)
{
        return list_path((struct xattr_call){.path = path, .list = list, .size = size, .of_link = true});
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

        if (call->of_link)
                return sys_retry(lremovexattr(call->path, call->name));
        return call->path ? sys_retry(removexattr(call->path, call->name))
                          : sys_retry(fremovexattr(call->fd, call->name));
}

static int remove_path(struct xattr_call call)
{
        if (!call.path || !call.name)
                return -EINVAL;
        return (int)op_call_on(-1, "removexattr", do_remove, &call);
}

int ouro_removexattr(const char *path, const char *name)
{
        return remove_path((struct xattr_call){.path = path, .name = name});
}

int ouro_lremovexattr(const char *path, const char *name)
{
        return remove_path((struct xattr_call){.path = path, .name = name, .of_link = true});
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

/* ---- of a link itself ---- */

struct link_call {
        const char *path, *name;
        void *value;
        size_t size;
        int flags;
};

static intptr_t do_get_of_link(void *arg)
{
        const struct link_call *call = arg;

        return sys_retry(lgetxattr(call->path, call->name, call->value, call->size));
}

ssize_t ouro_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
        struct link_call call = {.path = path, .name = name, .value = value, .size = size};

        if (!path || !name || (!value && size > 0))
                return -EINVAL;
        return op_call_on(-1, "lgetxattr", do_get_of_link, &call);
}

static intptr_t do_set_of_link(void *arg)
{
        const struct link_call *call = arg;

        return sys_retry(lsetxattr(call->path, call->name, call->value, call->size, call->flags));
}

int ouro_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
        struct link_call call = {path, name, (void *)(uintptr_t)value, size, flags};

        if (!path || !name || (!value && size > 0))
                return -EINVAL;
        return (int)op_call_on(-1, "lsetxattr", do_set_of_link, &call);
}
