/* file_attr.c - permissions, owners, times and file systems: no opcode has any of them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/file.h"
#include "ouro.h"

/* Arguments of what a helper does, on the stack of the task. */
struct attr_call {
        int fd; /* or directory */
        const char *path;
        mode_t mode;
        int access, flags;
        uid_t uid;
        gid_t gid;
        const struct timespec *times;
        struct statfs *statfs;
};

static int on_path(const char *name, intptr_t (*fn)(void *arg), struct attr_call *call)
{
        if (!call->path)
                return -EINVAL;
        return (int)op_call_on(call->fd, name, fn, call);
}

static int on_file(const char *name, intptr_t (*fn)(void *arg), struct attr_call *call)
{
        if (call->fd < 0)
                return -EBADF;
        return (int)op_call_on(call->fd, name, fn, call);
}

static intptr_t do_fchmodat(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(fchmodat(call->fd, call->path, call->mode, call->flags));
}

int ouro_fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
        return on_path("fchmodat", do_fchmodat,
                       &(struct attr_call){.fd = dirfd, .path = path, .mode = mode, .flags = flags});
}

static intptr_t do_fchmod(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(fchmod(call->fd, call->mode));
}

int ouro_fchmod(int fd, mode_t mode)
{
        return on_file("fchmod", do_fchmod, &(struct attr_call){.fd = fd, .mode = mode});
}

static intptr_t do_fchownat(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(fchownat(call->fd, call->path, call->uid, call->gid, call->flags));
}

int ouro_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
        return on_path(
                "fchownat", do_fchownat,
                &(struct attr_call){.fd = dirfd, .path = path, .uid = uid, .gid = gid, .flags = flags});
}

static intptr_t do_utimensat(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(utimensat(call->fd, call->path, call->times, call->flags));
}

int ouro_utimensat(int dirfd, const char *path, const struct timespec *times, int flags)
{
        return on_path("utimensat", do_utimensat,
                       &(struct attr_call){.fd = dirfd, .path = path, .times = times, .flags = flags});
}

static intptr_t do_futimens(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(futimens(call->fd, call->times));
}

int ouro_futimens(int fd, const struct timespec *times)
{
        return on_file("futimens", do_futimens, &(struct attr_call){.fd = fd, .times = times});
}

static intptr_t do_faccessat(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(faccessat(call->fd, call->path, call->access, call->flags));
}

int ouro_faccessat(int dirfd, const char *path, int mode, int flags)
{
        return on_path("faccessat", do_faccessat,
                       &(struct attr_call){.fd = dirfd, .path = path, .access = mode, .flags = flags});
}

int ouro_access(const char *path, int mode)
{
        return ouro_faccessat(AT_FDCWD, path, mode, 0);
}

static intptr_t do_statfs(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(statfs(call->path, call->statfs));
}

int ouro_statfs(const char *path, struct statfs *ret_statfs)
{
        if (!ret_statfs)
                return -EINVAL;
        return on_path("statfs", do_statfs,
                       &(struct attr_call){.fd = -1, .path = path, .statfs = ret_statfs});
}

static intptr_t do_fstatfs(void *arg)
{
        const struct attr_call *call = arg;

        return sys_retry(fstatfs(call->fd, call->statfs));
}

int ouro_fstatfs(int fd, struct statfs *ret_statfs)
{
        if (!ret_statfs)
                return -EINVAL;
        return on_file("fstatfs", do_fstatfs, &(struct attr_call){.fd = fd, .statfs = ret_statfs});
}
