/* copy_attributes.c - owner, extended attributes, mode and times, from file to file.
 *
 * In this order: a change of owner takes the set-user-id bit and capabilities away, attributes can only be
 * set while the file may be written, and everything changes the times. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/copy.h"
#include "io/fs.h"

/* A file that is open, maybe by O_PATH: then most calls want a path, and this one leads to it whatever it is,
 * a symbolic link too. */
struct file {
        int fd;
        bool path_only;
        char path[32];
};

static struct file file_of(int fd, bool path_only)
{
        struct file file = {.fd = fd, .path_only = path_only};

        snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", fd);
        return file;
}

static int set_owner(const struct file *to, const struct stat *from, const struct stat *now)
{
        if (from->st_uid == now->st_uid && from->st_gid == now->st_gid)
                return 0;
        return sys_result(fchownat(to->fd, "", from->st_uid, from->st_gid, AT_EMPTY_PATH));
}

/* Who has become the owner of a copy must not be given what the original's owner could do. */
static int set_mode(const struct file *to, const struct stat *from)
{
        mode_t mode = from->st_mode & 07777;
        struct stat now;
        int error = sys_result(fstat(to->fd, &now));

        if (error < 0 || S_ISLNK(now.st_mode))
                return error;
        if (now.st_uid != from->st_uid)
                mode &= ~(mode_t)S_ISUID;
        if (now.st_gid != from->st_gid && !S_ISDIR(now.st_mode))
                mode &= ~(mode_t)S_ISGID;
        if (mode == (now.st_mode & 07777))
                return 0;
        return to->path_only ? sys_result(chmod(to->path, mode)) : sys_result(fchmod(to->fd, mode));
}

static int set_times(const struct file *to, const struct stat *from)
{
        const struct timespec times[2] = {from->st_atim, from->st_mtim};

        if (to->path_only)
                return sys_result(utimensat(AT_FDCWD, to->path, times, 0));
        return sys_result(futimens(to->fd, times));
}

/* ---- extended attributes ---- */

static ssize_t list_of(const struct file *file, char *buf, size_t bytes)
{
        return file->path_only ? sys_result(listxattr(file->path, buf, bytes))
                               : sys_result(flistxattr(file->fd, buf, bytes));
}

static ssize_t value_of(const struct file *file, const char *name, char *buf, size_t bytes)
{
        return file->path_only ? sys_result(getxattr(file->path, name, buf, bytes))
                               : sys_result(fgetxattr(file->fd, name, buf, bytes));
}

static int set_value(const struct file *file, const char *name, const char *buf, size_t bytes)
{
        return file->path_only ? sys_result(setxattr(file->path, name, buf, bytes, 0))
                               : sys_result(fsetxattr(file->fd, name, buf, bytes, 0));
}

/* What the target's file system, or this process, cannot have. */
static bool may_be_left_out(const char *name, int error)
{
        if (error == -EOPNOTSUPP)
                return true;
        return error == -EPERM && strncmp(name, "user.", 5) != 0;
}

static int copy_value(const struct file *from, const struct file *to, const char *name, char *buf)
{
        ssize_t len = value_of(from, name, buf, XATTR_SIZE_MAX);
        int error;

        if (len < 0)
                return len == -ENODATA || may_be_left_out(name, (int)len) ? 0 : (int)len;
        error = set_value(to, name, buf, (size_t)len);
        return error < 0 && !may_be_left_out(name, error) ? error : 0;
}

static int copy_values(const struct file *from, const struct file *to, const char *names, size_t len)
{
        char *buf = mem_alloc(XATTR_SIZE_MAX);
        int error = 0;

        if (!buf)
                return -ENOMEM;
        for (const char *name = names; name < names + len && error == 0; name += strlen(name) + 1)
                error = copy_value(from, to, name, buf);
        mem_free(buf, XATTR_SIZE_MAX);
        return error;
}

static int copy_xattrs(const struct file *from, const struct file *to)
{
        ssize_t len = list_of(from, NULL, 0); /* most files have none */
        char *names;
        int error;

        if (len <= 0)
                return len == -EOPNOTSUPP ? 0 : (int)len;
        names = mem_alloc(XATTR_LIST_MAX);
        if (!names)
                return -ENOMEM;
        len = list_of(from, names, XATTR_LIST_MAX);
        error = len < 0 ? (int)len : copy_values(from, to, names, (size_t)len);
        mem_free(names, XATTR_LIST_MAX);
        return error;
}

/* ---- all ---- */

int copy_attributes(int from_fd, int to_fd, bool path_only, unsigned flags)
{
        const struct file from = file_of(from_fd, path_only), to = file_of(to_fd, path_only);
        struct stat st, now;
        int error = sys_result(fstat(from_fd, &st));

        if (error == 0)
                error = sys_result(fstat(to_fd, &now));
        if (error == 0 && (flags & OURO_COPY_OWNER))
                error = set_owner(&to, &st, &now);
        if (error == 0 && (flags & OURO_COPY_XATTRS))
                error = copy_xattrs(&from, &to);
        if (error == 0 && (flags & OURO_COPY_MODE))
                error = set_mode(&to, &st);
        if (error == 0 && (flags & OURO_COPY_TIMES))
                error = set_times(&to, &st);
        return error;
}

struct attributes_call {
        int from_dirfd, to_dirfd;
        const char *from, *to;
        unsigned flags;
};

static int open_path(int dirfd, const char *path)
{
        return sys_result(openat(dirfd, *path ? path : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

static intptr_t attributes_call(void *arg)
{
        const struct attributes_call *call = arg;
        int from = open_path(call->from_dirfd, call->from), to, error;

        if (from < 0)
                return from;
        to = open_path(call->to_dirfd, call->to);
        error = to < 0 ? to : copy_attributes(from, to, true, call->flags);
        if (to >= 0)
                (void)sys_result(close(to));
        (void)sys_result(close(from));
        return error;
}

int ouro_copy_attributes(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
        struct attributes_call call = {from_dirfd, to_dirfd, from, to, flags};

        if (!from || !to || (flags & ~(unsigned)COPY_ATTRIBUTES))
                return -EINVAL;
        return (int)op_call(attributes_call, &call);
}
