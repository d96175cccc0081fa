/* files.c - replace a file so that a crash leaves the old one or the new one, then read it back.
 *
 * Write a new file, make it durable, give it the old one's name, make the directory durable. Not one of
 * these calls holds up the other tasks of the loop. */
#define _GNU_SOURCE 1 /* for statx */
#include <ouro.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_durably(int dir, const char *name, const char *text)
{
        int fd = ouro_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644), error, closed;

        if (fd < 0)
                return fd;
        error = ouro_write_all(fd, text, strlen(text), NULL);
        if (error == 0)
                error = ouro_fsync(fd);
        closed = ouro_close(fd);
        return error < 0 ? error : closed;
}

static int replace(int dir, const char *name, const char *text)
{
        int error = write_durably(dir, "new", text);

        if (error == 0)
                error = ouro_renameat(dir, "new", dir, name, 0);
        if (error == 0)
                error = ouro_fsync(dir);
        return error;
}

static int print_file(int dir, const char *name)
{
        int fd = ouro_openat(dir, name, O_RDONLY, 0), error;
        struct statx about;
        char text[64] = "";

        if (fd < 0)
                return fd;
        error = ouro_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &about);
        if (error == 0 && about.stx_size >= sizeof text)
                error = -EFBIG;
        if (error == 0)
                error = ouro_pread_all(fd, text, (size_t)about.stx_size, 0, NULL);
        if (error == 0)
                printf("%s, %llu bytes: %s", name, (unsigned long long)about.stx_size, text);
        ouro_close(fd);
        return error;
}

static intptr_t main_task(void *path)
{
        int dir = ouro_open(path, O_RDONLY | O_DIRECTORY, 0);
        int error = dir;

        if (dir >= 0)
                error = replace(dir, "greeting", "good morning\n");
        if (error == 0)
                error = print_file(dir, "greeting");
        if (error == 0)
                error = replace(dir, "greeting", "good evening\n");
        if (error == 0)
                error = print_file(dir, "greeting");
        if (error == 0)
                error = ouro_unlinkat(dir, "greeting", 0);
        if (dir >= 0)
                ouro_close(dir);
        return error;
}

int main(void)
{
        char path[] = "/tmp/ouro-files-XXXXXX";
        intptr_t error;

        if (mkdtemp(path) == NULL)
                return 1;
        error = ouro_run(main_task, path);
        if (error < 0)
                fprintf(stderr, "files: %s\n", strerror((int)-error));
        rmdir(path);
        return error < 0;
}
