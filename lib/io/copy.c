/* copy.c - whole files copied.
 *
 * A file that is no longer than a chunk is opened, copied, given its attributes and closed in one call to a
 * helper: for small files the way there and back is what costs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/copy.h"
#include "io/fs.h"

struct copy {
        int from_dirfd, to_dirfd;
        const char *from, *to;
        struct stat st; /* of the original */
        struct copy_data data;
        struct ouro_copy_options options;
        bool made; /* the target is new */
        bool done; /* finish() has been called */
};

/* ---- content; blocking ---- */

/* Before the target loses what is in it. */
static int look_at_both(struct copy *copy)
{
        struct stat to;
        int error = sys_result(fstat(copy->data.from_fd, &copy->st));

        if (error == 0)
                error = sys_result(fstat(copy->data.to_fd, &to));
        if (error < 0)
                return error;
        if (S_ISDIR(copy->st.st_mode))
                return -EISDIR;
        if (copy->st.st_ino == to.st_ino && copy->st.st_dev == to.st_dev)
                return -EINVAL;
        if (S_ISREG(to.st_mode) && to.st_size > 0)
                return sys_result(ftruncate(copy->data.to_fd, 0));
        return 0;
}

static bool clone_it(const struct copy *copy)
{
        return !(copy->options.flags & (OURO_COPY_NO_CLONE | OURO_COPY_NO_HOLES | OURO_COPY_NO_KERNEL)) &&
               sys_result(ioctl(copy->data.to_fd, FICLONE, copy->data.from_fd)) == 0;
}

static void plan(struct copy *copy)
{
        struct copy_data *data = &copy->data;
        bool sized = S_ISREG(copy->st.st_mode) && copy->st.st_size > 0;

        data->options = &copy->options;
        data->chunk = copy->options.chunk;
        data->to_end = true;
        data->stream = !S_ISREG(copy->st.st_mode);
        data->len = sized ? (uint64_t)copy->st.st_size : INT64_MAX;
        data->kernel = sized && !(copy->options.flags & OURO_COPY_NO_KERNEL);
        data->holes = sized && !(copy->options.flags & OURO_COPY_NO_HOLES) &&
                      (off_t)copy->st.st_blocks * 512 < copy->st.st_size;
}

static int finish(struct copy *copy)
{
        unsigned attributes = copy->options.flags & COPY_ATTRIBUTES;
        int error = copy->data.holes ? copy_grow(&copy->data) : 0;

        copy->done = true;
        if (error == 0 && attributes)
                error = copy_attributes(copy->data.from_fd, copy->data.to_fd, false, attributes);
        return error;
}

/* 0: all is done, 1: there is more, or an error. */
static int begin_content(struct copy *copy)
{
        struct copy_data *data = &copy->data;
        int error = look_at_both(copy);

        if (error < 0)
                return error;
        plan(copy);
        (void)posix_fadvise(data->from_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        if (data->kernel && clone_it(copy))
                data->done = data->len;
        else if (data->kernel)
                error = copy_kernel_step(data);
        if (error == 0 && data->done < data->len && !data->ended)
                return 1;
        return error < 0 ? error : finish(copy);
}

static intptr_t begin_content_call(void *copy)
{
        return begin_content(copy);
}

static intptr_t finish_call(void *copy)
{
        return finish(copy);
}

/* ---- content; in a task ---- */

static int tell_end(const struct copy *copy)
{
        const struct ouro_copy_options *options = &copy->options;
        int result = options->progress
                             ? options->progress(copy->data.done, copy->data.done, options->progress_arg)
                             : 0;

        return result < 0 ? result : 0;
}

/* After begin_content(), with its result. */
static int go_on(struct copy *copy, int result)
{
        if (result == 1)
                result = copy_run(&copy->data);
        if (result == 0 && !copy->done)
                result = (int)op_call(finish_call, copy);
        if (result == 0 && (copy->options.flags & OURO_COPY_SYNC) && copy->data.to_fd >= 0)
                result = ouro_fsync(copy->data.to_fd);
        return result < 0 ? result : tell_end(copy);
}

int ouro_copy_fd(int from_fd, int to_fd, const struct ouro_copy_options *options)
{
        struct copy copy = {.data = {.from_fd = from_fd, .to_fd = to_fd}};
        int error = copy_read_options(options, &copy.options);
        int result;

        if (error < 0)
                return error;
        result = (int)op_call(begin_content_call, &copy);
        return result < 0 ? result : go_on(&copy, result);
}

/* ---- what is no file, made anew; blocking ---- */

static int copy_link(const struct copy *copy)
{
        char *text = mem_alloc(PATH_MAX + 1);
        ssize_t len;
        int error;

        if (!text)
                return -ENOMEM;
        len = sys_result(readlinkat(copy->from_dirfd, copy->from, text, PATH_MAX));
        if (len >= 0)
                text[len] = 0;
        error = len < 0 ? (int)len : sys_result(symlinkat(text, copy->to_dirfd, copy->to));
        mem_free(text, PATH_MAX + 1);
        return error;
}

static mode_t first_mode(const struct copy *copy)
{
        bool later = copy->options.flags & OURO_COPY_MODE;

        return later ? (copy->st.st_mode & S_IRWXU) | S_IWUSR : copy->st.st_mode & 0777;
}

static int make_node(struct copy *copy)
{
        switch (copy->st.st_mode & S_IFMT) {
        case S_IFLNK:
                return copy_link(copy);
        case S_IFDIR:
                return sys_result(mkdirat(copy->to_dirfd, copy->to, first_mode(copy) | S_IXUSR));
        default:
                return sys_result(mknodat(copy->to_dirfd, copy->to,
                                          (copy->st.st_mode & S_IFMT) | first_mode(copy), copy->st.st_rdev));
        }
}

static int give_attributes(const struct copy *copy)
{
        unsigned flags = copy->options.flags & COPY_ATTRIBUTES;
        int from, to, error;

        if (flags == 0)
                return 0;
        from = sys_result(openat(copy->from_dirfd, copy->from, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (from < 0)
                return from;
        to = sys_result(openat(copy->to_dirfd, copy->to, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        error = to < 0 ? to : copy_attributes(from, to, true, flags);
        if (to >= 0)
                (void)sys_result(close(to));
        (void)sys_result(close(from));
        return error;
}

/* 1: it is a file, and there is its content to be copied. */
static int copy_node(struct copy *copy)
{
        int error = sys_result(fstatat(copy->from_dirfd, copy->from, &copy->st, AT_SYMLINK_NOFOLLOW));

        if (error < 0)
                return error;
        if (S_ISREG(copy->st.st_mode))
                return 1;
        error = make_node(copy);
        if (error < 0)
                return error;
        copy->made = copy->done = true;
        return give_attributes(copy);
}

/* ---- files by name ---- */

static int open_target(struct copy *copy)
{
        const int follow = copy->options.flags & OURO_COPY_NO_FOLLOW ? O_NOFOLLOW : 0;
        const int flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        int fd = sys_result(openat(copy->to_dirfd, copy->to, flags | O_CREAT | O_EXCL, first_mode(copy)));

        copy->made = fd >= 0;
        if (fd != -EEXIST || (copy->options.flags & OURO_COPY_NEW))
                return fd;
        fd = sys_result(openat(copy->to_dirfd, copy->to, flags | follow));
        if (fd == -ENOENT && !follow) /* a link that leads to what is not there yet */
                fd = sys_result(openat(copy->to_dirfd, copy->to, flags | O_CREAT, first_mode(copy)));
        return fd == -ELOOP ? -EEXIST : fd;
}

static int open_both(struct copy *copy)
{
        struct copy_data *data = &copy->data;
        const int follow = copy->options.flags & OURO_COPY_NO_FOLLOW ? O_NOFOLLOW : 0;
        const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

        data->from_fd = sys_result(openat(copy->from_dirfd, copy->from, flags | follow));
        if (data->from_fd < 0)
                return data->from_fd;
        if (sys_result(fstat(data->from_fd, &copy->st)) == 0 && S_ISDIR(copy->st.st_mode))
                return -EISDIR;
        if (S_ISFIFO(copy->st.st_mode)) /* a helper must not wait for its writer, nor take that there is none
                                           for its end */
                return -EINVAL;
        data->to_fd = open_target(copy);
        return data->to_fd < 0 ? data->to_fd : 0;
}

static void close_both(const struct copy *copy)
{
        if (copy->data.from_fd >= 0)
                (void)sys_result(close(copy->data.from_fd));
        if (copy->data.to_fd >= 0)
                (void)sys_result(close(copy->data.to_fd));
}

/* A target that was made goes with its failure. */
static intptr_t take_back(void *arg)
{
        const struct copy *copy = arg;

        close_both(copy);
        if (copy->made)
                (void)sys_result(
                        unlinkat(copy->to_dirfd, copy->to, S_ISDIR(copy->st.st_mode) ? AT_REMOVEDIR : 0));
        return 0;
}

/* What the disk says only now is an error of the copy, too. */
static intptr_t close_call(void *arg)
{
        struct copy *copy = arg;
        int error = copy->data.to_fd >= 0 ? sys_result(close(copy->data.to_fd)) : 0;

        copy->data.to_fd = -1;
        return error;
}

static intptr_t begin(void *arg)
{
        struct copy *copy = arg;
        int result = copy->options.flags & OURO_COPY_NO_FOLLOW ? copy_node(copy) : 1;

        if (result != 1)
                return result;
        result = open_both(copy);
        if (result == 0)
                result = begin_content(copy);
        if (result == 0 && !(copy->options.flags & OURO_COPY_SYNC))
                result = (int)close_call(copy);
        return result;
}

static int copy_by_name(struct copy *copy)
{
        int result = (int)op_call(begin, copy);

        fs_adopt(copy->data.from_fd); /* a helper has opened them */
        fs_adopt(copy->data.to_fd);
        if (result >= 0)
                result = go_on(copy, result);
        if (result == 0 && copy->data.to_fd >= 0)
                result = (int)fs_call_uncut(close_call, copy);
        if (result < 0)
                fs_call_uncut(take_back, copy);
        else
                close_both(copy);
        return result;
}

int ouro_copy_file(int from_dirfd, const char *from, int to_dirfd, const char *to,
                   const struct ouro_copy_options *options)
{
        struct copy copy = {
                .from_dirfd = from_dirfd,
                .to_dirfd = to_dirfd,
                .from = from,
                .to = to,
                .data = {.from_fd = -1, .to_fd = -1},
                .options = {.size = sizeof copy.options},
        };
        int error = from && to ? copy_read_options(options, &copy.options) : -EINVAL;

        if (error < 0)
                return error;
        if (!sched_current)
                return -EPERM;
        return copy_by_name(&copy);
}
