/* Of lib/io/file_attr.c: permissions, owners, times, file systems. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include "support/in_loop.h"
#include "support/paths.h"
#include "support/temp_dir.h"

TestSuite(file_attr, .init = temp_begin, .fini = temp_end);

static int new_file(void)
{
        int fd = open("file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        cr_assert_geq(fd, 0);
        return fd;
}

static struct stat stat_of(const char *name)
{
        struct stat st;

        EQ(lstat(name, &st), 0);
        return st;
}

IN_LOOP(file_attr, permissions)
{
        int fd = new_file();

        EQ(ouro_fchmodat(AT_FDCWD, "file", 0640, 0), 0);
        EQ(stat_of("file").st_mode & 07777, 0640);
        EQ(ouro_fchmod(fd, 0604), 0);
        EQ(stat_of("file").st_mode & 07777, 0604);
        EQ(ouro_fchmodat(AT_FDCWD, "file", 0600, 0x40000000), -EINVAL);
        EQ(ouro_fchmod(-1, 0600), -EBADF);
        EQ(ouro_fchmod(no_such_fd(), 0600), -EBADF);
        EQ(ouro_fchmodat(no_such_fd(), "file", 0600, 0), -EBADF);
        REFUSES_BAD_PATHS(ouro_fchmodat(AT_FDCWD, path, 0600, 0));
        close(fd);
        return 0;
}

IN_LOOP(file_attr, owners)
{
        int fd = new_file();

        EQ(ouro_fchownat(AT_FDCWD, "file", getuid(), getgid(), 0), 0);
        EQ(ouro_fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH), 0);
        if (geteuid() == 0) {
                EQ(ouro_fchownat(AT_FDCWD, "file", 12, 34, 0), 0);
                EQ(stat_of("file").st_uid, 12);
                EQ(stat_of("file").st_gid, 34);
        } else {
                EQ(ouro_fchownat(AT_FDCWD, "file", 0, 0, 0), -EPERM);
        }
        EQ(ouro_fchownat(AT_FDCWD, "file", 0, 0, 0x40000000), -EINVAL);
        REFUSES_BAD_PATHS(ouro_fchownat(AT_FDCWD, path, getuid(), getgid(), 0));
        close(fd);
        return 0;
}

IN_LOOP(file_attr, times)
{
        const struct timespec times[2] = {{1000, 5}, {2000, 6}},
                              only_access[2] = {{3000, 0}, {0, UTIME_OMIT}};
        const struct timespec wrong[2] = {{0, 2000000000}, {0, 0}};
        int fd = new_file();

        EQ(ouro_utimensat(AT_FDCWD, "file", times, 0), 0);
        EQ(stat_of("file").st_atim.tv_sec, 1000);
        EQ(stat_of("file").st_mtim.tv_sec, 2000);
        EQ(ouro_futimens(fd, only_access), 0);
        EQ(stat_of("file").st_atim.tv_sec, 3000);
        EQ(stat_of("file").st_mtim.tv_sec, 2000);
        EQ(ouro_futimens(fd, NULL), 0);
        cr_assert_gt(stat_of("file").st_mtim.tv_sec, 2000);
        EQ(ouro_utimensat(AT_FDCWD, "file", wrong, 0), -EINVAL);
        EQ(ouro_futimens(-1, times), -EBADF);
        REFUSES_BAD_PATHS(ouro_utimensat(AT_FDCWD, path, times, 0));
        close(fd);
        return 0;
}

IN_LOOP(file_attr, access_is_as_asked)
{
        close(new_file());
        EQ(ouro_access("file", F_OK), 0);
        EQ(ouro_access("file", R_OK | W_OK), 0);
        EQ(ouro_access("file", X_OK), -EACCES);
        EQ(ouro_access("file", 0x100), -EINVAL);
        EQ(symlink("nowhere", "soft"), 0);
        EQ(ouro_access("soft", F_OK), -ENOENT);
        EQ(ouro_faccessat(AT_FDCWD, "soft", F_OK, AT_SYMLINK_NOFOLLOW), 0);
        EQ(ouro_faccessat(AT_FDCWD, "file", F_OK, 0x40000000), -EINVAL);
        REFUSES_BAD_PATHS(ouro_access(path, F_OK));
        return 0;
}

IN_LOOP(file_attr, file_systems)
{
        struct statfs by_path = {0}, by_file = {0};
        int fd = new_file();

        EQ(ouro_statfs("file", &by_path), 0);
        EQ(ouro_fstatfs(fd, &by_file), 0);
        cr_assert_gt(by_path.f_bsize, 0);
        EQ(by_path.f_type, by_file.f_type);
        EQ(ouro_statfs("file", NULL), -EINVAL);
        EQ(ouro_fstatfs(fd, NULL), -EINVAL);
        EQ(ouro_fstatfs(no_such_fd(), &by_file), -EBADF);
        REFUSES_BAD_PATHS(ouro_statfs(path, &by_path));
        close(fd);
        return 0;
}

Test(file_attr, outside_a_loop_is_refused)
{
        struct statfs st;

        EQ(ouro_fchmodat(AT_FDCWD, ".", 0700, 0), -EPERM);
        EQ(ouro_fchownat(AT_FDCWD, ".", 0, 0, 0), -EPERM);
        EQ(ouro_utimensat(AT_FDCWD, ".", NULL, 0), -EPERM);
        EQ(ouro_access(".", F_OK), -EPERM);
        EQ(ouro_statfs(".", &st), -EPERM);
        EQ(ouro_fstatfs(0, &st), -EPERM);
}
