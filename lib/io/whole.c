/* whole.c - files read and written as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "io/fs.h"
#include "ouro.h"

enum { FIRST_BYTES = 4096 };

/* ---- reading ---- */

/* Until the end, or until the buffer is full. */
static ssize_t read_on(int fd, char *buf, size_t len, size_t done)
{
        while (done < len) {
                ssize_t n = ouro_read(fd, buf + done, len - done);

                if (n < 0)
                        return n;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        return (ssize_t)done;
}

/* What to begin with: the size that it is said to have, one more to meet the end, and one for the zero. */
static size_t first_room(int fd, size_t limit)
{
        struct stat st;
        size_t room = FIRST_BYTES;

        if (sys_result(fstat(fd, &st)) == 0 && st.st_size > 0)
                room = (size_t)st.st_size + 2;
        return room - 2 < limit ? room : limit + 2;
}

static void *resized(void *data, size_t bytes)
{
        int saved_errno = errno;
        void *ptr = realloc(data, bytes);

        errno = saved_errno;
        return ptr;
}

/* One byte beyond the limit tells that there is more. */
static int read_growing(int fd, size_t limit, char **inout_data, size_t *ret_len)
{
        size_t room = first_room(fd, limit), done = 0;
        ssize_t result;
        char *data;

        for (;;) {
                data = resized(*inout_data, room);
                if (!data)
                        return -ENOMEM;
                *inout_data = data;
                result = read_on(fd, data, room - 1, done);
                if (result < 0)
                        return (int)result;
                done = (size_t)result;
                if (done > limit)
                        return -EFBIG;
                if (done < room - 1)
                        break;
                room = room < limit / 2 ? 2 * room : limit + 2;
        }
        data[done] = 0;
        *ret_len = done;
        return 0;
}

int ouro_read_file(int dirfd, const char *path, size_t limit, void **ret_data, size_t *ret_len)
{
        char *data = NULL;
        size_t len = 0;
        int fd, error;

        if (!path || !ret_data)
                return -EINVAL;
        if (limit > SSIZE_MAX - 2)
                limit = SSIZE_MAX - 2;
        fd = ouro_openat(dirfd, path, O_RDONLY, 0);
        if (fd < 0)
                return fd;
        error = read_growing(fd, limit, &data, &len);
        ouro_close(fd);
        if (error < 0) {
                free(data);
                return error;
        }
        *ret_data = data;
        if (ret_len)
                *ret_len = len;
        return 0;
}

ssize_t ouro_read_file_into(int dirfd, const char *path, void *buf, size_t len)
{
        ssize_t result;
        char more;
        int fd;

        if (!path || (!buf && len > 0))
                return -EINVAL;
        fd = ouro_openat(dirfd, path, O_RDONLY, 0);
        if (fd < 0)
                return fd;
        result = read_on(fd, buf, len, 0);
        if (result == (ssize_t)len) {
                ssize_t n = ouro_read(fd, &more, 1);

                result = n == 0 ? result : n < 0 ? n : -EFBIG;
        }
        ouro_close(fd);
        return result;
}

/* ---- writing ---- */

int ouro_write_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
        int fd, error, closed;

        if (!path || (!data && len > 0))
                return -EINVAL;
        fd = ouro_openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
        if (fd < 0)
                return fd;
        error = ouro_write_all(fd, data, len, NULL);
        closed = ouro_close(fd);
        return error < 0 ? error : closed;
}
