/* temp.c - temporary files and directories. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/fs.h"
#include "io/temp.h"

enum { LETTERS_LEN = 6 };

/* ---- names ---- */

/* Early after boot there may be no randomness yet: O_EXCL keeps names apart all the same. */
void temp_letters(char *text, size_t len)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        unsigned char bytes[16];
        struct timespec now;

        if (sys_result(getrandom(bytes, sizeof bytes, GRND_NONBLOCK)) < (ssize_t)sizeof bytes) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                for (size_t i = 0; i < sizeof bytes; i++)
                        bytes[i] = (unsigned char)((now.tv_nsec >> i) ^ getpid());
        }
        for (size_t i = 0; i < len; i++)
                text[i] = letters[bytes[i % sizeof bytes] % (sizeof letters - 1)];
}

int temp_try(int dirfd, char *path, size_t len, int (*make)(int dirfd, const char *path, void *arg),
             void *arg)
{
        size_t at = strlen(path) - len;
        char before[16];
        int result = -EEXIST;

        memcpy(before, path + at, len);
        for (int i = 0; i < TEMP_TRIES && result == -EEXIST; i++) {
                temp_letters(path + at, len);
                result = make(dirfd, path, arg);
        }
        if (result < 0)
                memcpy(path + at, before, len);
        return result;
}

static int make_file(int dirfd, const char *path, void *mode)
{
        return sys_result(openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, *(mode_t *)mode));
}

static int make_dir(int dirfd, const char *path, void *mode)
{
        return sys_result(mkdirat(dirfd, path, *(mode_t *)mode));
}

/* ---- without a name ---- */

static int make_and_remove(const char *dir)
{
        static const char name[] = "/.ouro-XXXXXX";
        size_t len = strlen(dir), bytes = len + sizeof name;
        char *path = mem_alloc(bytes);
        mode_t mode = 0600;
        int fd;

        if (!path)
                return -ENOMEM;
        memcpy(path, dir, len);
        memcpy(path + len, name, sizeof name);
        fd = temp_try(AT_FDCWD, path, LETTERS_LEN, make_file, &mode);
        if (fd >= 0)
                (void)sys_result(unlink(path));
        mem_free(path, bytes);
        return fd;
}

/* EISDIR and ENOENT: a kernel that does not know O_TMPFILE. */
static intptr_t make_nameless(void *arg)
{
        const char *dir = arg;
        int fd = sys_result(open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600));

        return fd == -EOPNOTSUPP || fd == -EISDIR ? make_and_remove(dir) : fd;
}

int ouro_temp_file(const char *dir)
{
        if (!dir)
                dir = secure_getenv("TMPDIR");
        if (!dir || !*dir)
                dir = "/tmp";
        return fs_adopt((int)op_call(make_nameless, (void *)(uintptr_t)dir));
}

/* ---- with a name ---- */

struct named_call {
        int dirfd;
        char *path;
        mode_t mode;
        int (*make)(int dirfd, const char *path, void *mode);
};

static intptr_t make_named(void *arg)
{
        struct named_call *call = arg;

        return temp_try(call->dirfd, call->path, LETTERS_LEN, call->make, &call->mode);
}

static bool is_template(const char *path)
{
        size_t len = path ? strlen(path) : 0;

        return len >= LETTERS_LEN && strcmp(path + len - LETTERS_LEN, "XXXXXX") == 0;
}

int ouro_temp_named(int dirfd, char *inout_path, mode_t mode)
{
        struct named_call call = {dirfd, inout_path, mode ? mode : 0600, make_file};

        if (!is_template(inout_path))
                return -EINVAL;
        return fs_adopt((int)op_call(make_named, &call));
}

int ouro_temp_dir(int dirfd, char *inout_path)
{
        struct named_call call = {dirfd, inout_path, 0700, make_dir};

        return is_template(inout_path) ? (int)op_call(make_named, &call) : -EINVAL;
}
