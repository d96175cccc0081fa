/* dents.c - the entries of a directory, see dents.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "io/dents.h"

enum { FILL_BYTES = 32 << 10, LEAST_BYTES = 4096 /* more than any entry needs */ };

static struct dirent64 *dent_at(const struct dents *dents, size_t at)
{
        return (struct dirent64 *)(void *)(dents->buf + at);
}

static bool is_dots(const char *name)
{
        return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

/* What the type of one that was read is to be. One that is gone meanwhile stays unknown, and a link that
 * leads nowhere a link. */
static void find_type(struct dirent64 *dent, int fd, bool follow)
{
        struct stat st;
        bool link = dent->d_type == DT_LNK;

        if (dent->d_type != DT_UNKNOWN && !(follow && link))
                return;
        if (sys_result(fstatat(fd, dent->d_name, &st, AT_SYMLINK_NOFOLLOW)) == 0)
                dent->d_type = IFTODT(st.st_mode);
        if (follow && dent->d_type == DT_LNK && sys_result(fstatat(fd, dent->d_name, &st, 0)) == 0)
                dent->d_type = IFTODT(st.st_mode);
}

static int make_room(struct dents *dents)
{
        size_t room = dents->room ? 2 * dents->room : FILL_BYTES;
        char *buf;

        if (dents->room - dents->len >= LEAST_BYTES)
                return 0;
        buf = dents->room ? mem_grow(dents->buf, dents->room, room) : mem_alloc(room);
        if (!buf)
                return -ENOMEM;
        dents->buf = buf;
        dents->room = room;
        return 0;
}

/* One more piece, behind what is there. */
static int read_more(struct dents *dents, int fd, bool follow)
{
        int error = make_room(dents);
        size_t end;
        ssize_t n;

        if (error < 0)
                return error;
        n = sys_result(getdents64(fd, dents->buf + dents->len, dents->room - dents->len));
        if (n < 0)
                return n == -ENOENT ? (dents->at_end = true, 0) : (int)n; /* removed: it is empty */
        end = dents->len + (size_t)n;
        for (size_t at = dents->len; at < end; at += dent_at(dents, at)->d_reclen)
                find_type(dent_at(dents, at), fd, follow);
        dents->len = end;
        dents->at_end = n == 0;
        return 0;
}

/* A small directory is read to its end at once, so that its end costs no second call. */
int dents_fill(struct dents *dents, int fd, bool follow)
{
        int error = 0;

        check(dents->at == dents->len);
        dents->at = dents->len = 0;
        while (error == 0 && !dents->at_end && (dents->len == 0 || dents->room - dents->len >= LEAST_BYTES))
                error = read_more(dents, fd, follow);
        return dents->len > 0 ? 0 : error; /* the error comes again when these have been taken */
}

static void shrink(struct dents *dents)
{
        size_t left = dents->len - dents->at;
        char *buf = left ? mem_alloc(left) : NULL;

        if (left && !buf)
                return;
        if (left)
                memcpy(buf, dents->buf + dents->at, left);
        mem_free(dents->buf, dents->room);
        dents->buf = buf;
        dents->room = dents->len = left;
        dents->at = 0;
}

int dents_fill_all(struct dents *dents, int fd, bool follow)
{
        int error = 0;

        while (error == 0 && !dents->at_end)
                error = read_more(dents, fd, follow);
        shrink(dents);
        return error;
}

bool dents_take(struct dents *dents, struct dent *ret)
{
        while (dents->at < dents->len) {
                const struct dirent64 *dent = dent_at(dents, dents->at);

                dents->at += dent->d_reclen;
                if (is_dots(dent->d_name))
                        continue;
                *ret = (struct dent){.name = dent->d_name, .inode = dent->d_ino, .type = dent->d_type};
                return true;
        }
        return false;
}

void dents_clear(struct dents *dents)
{
        mem_free(dents->buf, dents->room);
        *dents = (struct dents){0};
}
