/* Disks that are full, may not be written, or hold less than they did a moment ago. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(disks, .init = temp_begin, .fini = temp_end, .timeout = 60);

enum { DISK_BYTES = 64 << 10, MORE_BYTES = 200 << 10 };

static bool write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        close(fd);
        return written;
}

/* Mounts of our own, also without being root. */
static bool enter_own_mounts(void)
{
        char map[32];

        snprintf(map, sizeof map, "0 %d 1", (int)getuid());
        if (unshare(CLONE_NEWNS) < 0 &&
            (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !write_text("/proc/self/uid_map", map)))
                return false;
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* "disk" is an empty file system of 64 KiB then. */
static bool have_disk(void)
{
        EQ(mkdir("disk", 0700), 0);
        if (enter_own_mounts() && mount("disk", "disk", "tmpfs", 0, "size=64k,nr_inodes=8") == 0)
                return true;
        PASSED_OVER("no file system may be mounted");
        return false;
}

static char data[MORE_BYTES];

/* ---- full ---- */

typedef int write_fn(int fd, size_t *inout_done);

static int in_order(int fd, size_t *inout_done)
{
        return ouro_write_all(fd, data, sizeof data, inout_done);
}

static int at_offsets(int fd, size_t *inout_done)
{
        return ouro_pwrite_all(fd, data, sizeof data, 0, inout_done);
}

/* What was told to have been moved is there, and the rest can follow once there is room. */
static void fill_up(write_fn *write_all)
{
        int fd = ouro_open("disk/file", O_RDWR | O_CREAT | O_EXCL, 0600);
        size_t done = 0;
        struct stat st;

        fill(data, sizeof data, 0);
        EQ(write_all(fd, &done), -ENOSPC);
        cr_assert(done > 0 && done <= DISK_BYTES);
        EQ(fstat(fd, &st), 0);
        EQ(st.st_size, done);
        size_t before = done;

        EQ(write_all(fd, &done), -ENOSPC);
        EQ(done, before);
        EQ(mount(NULL, "disk", NULL, MS_REMOUNT, "size=1m"), 0);
        EQ(write_all(fd, &done), 0);
        EQ(done, sizeof data);
        memset(data, 0, sizeof data);
        EQ(ouro_pread_all(fd, data, sizeof data, 0, NULL), 0);
        cr_assert(filled(data, sizeof data, 0));
        EQ(ouro_close(fd), 0);
}

IN_LOOP(disks, a_full_disk_is_told_with_the_bytes_moved_before)
{
        if (!have_disk())
                return 0;
        fill_up(in_order);
        EQ(umount("disk"), 0);
        return 0;
}

IN_LOOP(disks, a_full_disk_is_told_with_the_bytes_moved_to_an_offset)
{
        if (!have_disk())
                return 0;
        fill_up(at_offsets);
        EQ(umount("disk"), 0);
        return 0;
}

IN_LOOP(disks, every_call_that_takes_space_says_that_there_is_none)
{
        struct iovec iov[] = {{data, 1}, {data, 1}};
        char name[16];
        int fd, error = 0;

        if (!have_disk())
                return 0;
        fd = ouro_open("disk/file", O_RDWR | O_CREAT | O_EXCL, 0600);
        EQ(ouro_fallocate(fd, 0, 0, MORE_BYTES), -ENOSPC);
        EQ(ouro_pwrite_all(fd, data, sizeof data, 0, NULL), -ENOSPC);
        EQ(ouro_pwritev(fd, iov, 2, MORE_BYTES, 0), -ENOSPC);
        EQ(lseek(fd, MORE_BYTES, SEEK_SET), MORE_BYTES);
        EQ(ouro_writev(fd, iov, 2), -ENOSPC);
        EQ(lseek(fd, 0, SEEK_CUR), MORE_BYTES);
        for (int i = 0; i < 16 && error == 0; i++) { /* no more names either */
                snprintf(name, sizeof name, "disk/dir%d", i);
                error = ouro_mkdir(name, 0700);
        }
        EQ(error, -ENOSPC);
        EQ(ouro_symlink("target", "disk/soft"), -ENOSPC);
        EQ(ouro_mkfifo("disk/fifo", 0600), -ENOSPC);
        EQ(ouro_open("disk/new", O_WRONLY | O_CREAT, 0600), -ENOSPC);
        EQ(ouro_unlink("disk/file"), 0);
        EQ(ouro_close(fd), 0); /* now there is room again */
        EQ(ouro_symlink("target", "disk/soft"), 0);
        EQ(umount("disk"), 0);
        return 0;
}

/* ---- read only ---- */

IN_LOOP(disks, a_read_only_disk_is_told_by_every_call_that_would_write)
{
        struct timespec times[2] = {{1, 0}, {1, 0}};
        char buf[4];
        int fd;

        if (!have_disk())
                return 0;
        fd = ouro_open("disk/file", O_WRONLY | O_CREAT | O_EXCL, 0600);
        EQ(ouro_write(fd, "text", 4), 4);
        EQ(ouro_close(fd), 0);
        EQ(mount(NULL, "disk", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        EQ(ouro_open("disk/file", O_WRONLY, 0), -EROFS);
        EQ(ouro_open("disk/new", O_WRONLY | O_CREAT, 0600), -EROFS);
        EQ(ouro_mkdir("disk/dir", 0700), -EROFS);
        EQ(ouro_symlink("target", "disk/soft"), -EROFS);
        EQ(ouro_link("disk/file", "disk/second"), -EROFS);
        EQ(ouro_mkfifo("disk/fifo", 0600), -EROFS);
        EQ(ouro_rename("disk/file", "disk/new"), -EROFS);
        EQ(ouro_unlink("disk/file"), -EROFS);
        EQ(ouro_rmdir("disk/file"), -EROFS);
        EQ(ouro_truncate("disk/file", 0), -EROFS);
        EQ(ouro_fchmodat(AT_FDCWD, "disk/file", 0600, 0), -EROFS);
        EQ(ouro_fchownat(AT_FDCWD, "disk/file", 0, 0, 0), -EROFS);
        EQ(ouro_utimensat(AT_FDCWD, "disk/file", times, 0), -EROFS);
        EQ(ouro_setxattr("disk/file", "user.one", "x", 1, 0), -EROFS);
        EQ(ouro_removexattr("disk/file", "user.one"), -EROFS);
        EQ(ouro_access("disk/file", W_OK), -EROFS);
        EQ(ouro_access("disk/file", R_OK), 0);
        fd = ouro_open("disk/file", O_RDONLY, 0);
        EQ(ouro_read(fd, buf, sizeof buf), 4);
        EQ(ouro_close(fd), 0);
        EQ(umount("disk"), 0);
        return 0;
}

/* ---- shrinking ---- */

IN_LOOP(disks, a_file_that_has_shrunk_ends_where_it_ends_now)
{
        int fd = ouro_open("file", O_RDWR | O_CREAT, 0600);
        size_t done = 0;

        fill(data, sizeof data, 0);
        EQ(ouro_write_all(fd, data, sizeof data, NULL), 0);
        memset(data, 0, sizeof data);
        EQ(ouro_pread_all(fd, data, 50000, 0, &done), 0);
        EQ(ouro_ftruncate(fd, 60001), 0);
        EQ(ouro_pread_all(fd, data, sizeof data, 0, &done), -ENODATA);
        EQ(done, 60001);
        cr_assert(filled(data, done, 0));
        EQ(ouro_ftruncate(fd, 100), 0);
        EQ(ouro_pread_all(fd, data, sizeof data, 0, &done), -ENODATA);
        EQ(done, 60001); /* what was read stays read */
        EQ(ouro_pread(fd, data, sizeof data, 100), 0);
        EQ(ouro_close(fd), 0);
        return 0;
}

static intptr_t shrink_and_grow(void *arg)
{
        for (int i = 0; i < 200; i++) {
                EQ(ouro_truncate("file", 1000 * (i % 7)), 0);
                EQ(ouro_pwrite_all(*(int *)arg, data, sizeof data, 0, NULL), 0);
        }
        return 0;
}

/* Whatever the moment: an end, or what was written, or the zeros of a file that was cut and grows. */
IN_LOOP(disks, a_file_that_shrinks_while_it_is_read_gives_no_foreign_bytes)
{
        static char seen[MORE_BYTES];
        int fd = ouro_open("file", O_RDWR | O_CREAT, 0600);
        ouro_task writer;

        fill(data, sizeof data, 0);
        EQ(ouro_write_all(fd, data, sizeof data, NULL), 0);
        writer = ouro_create_task(shrink_and_grow, &fd);
        while (ouro_task_state(writer) != OURO_STATE_ENDED) {
                size_t done = 0;
                int error = ouro_pread_all(fd, seen, sizeof seen, 0, &done);

                cr_assert(error == 0 || error == -ENODATA);
                EQ(error == 0, done == sizeof seen);
                for (size_t i = 0; i < done; i++)
                        cr_assert(seen[i] == data[i] || seen[i] == 0);
        }
        EQ(ouro_await(writer), 0);
        EQ(ouro_close(fd), 0);
        return 0;
}
