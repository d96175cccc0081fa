/* Of lib/io/file_xattr.c: extended attributes by path and by file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include "support/in_loop.h"
#include "support/paths.h"
#include "support/temp_dir.h"

TestSuite(file_xattr, .init = temp_begin, .fini = temp_end);

/* Less than zero: there are none in this file system. */
static int new_file(void)
{
        int fd = open("file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        cr_assert_geq(fd, 0);
        if (fsetxattr(fd, "user.probe", "", 0, 0) < 0) {
                PASSED_OVER("no extended attributes of users in /tmp");
                close(fd);
                return -1;
        }
        EQ(fremovexattr(fd, "user.probe"), 0);
        return fd;
}

IN_LOOP(file_xattr, values_come_back_by_path_and_by_file)
{
        int fd = new_file();
        char value[64], list[64];

        if (fd < 0)
                return 0;
        EQ(ouro_setxattr("file", "user.one", "first", 5, 0), 0);
        EQ(ouro_fsetxattr(fd, "user.two", "second", 6, XATTR_CREATE), 0);
        EQ(ouro_fgetxattr(fd, "user.one", value, sizeof value), 5);
        cr_assert_eq(memcmp(value, "first", 5), 0);
        EQ(ouro_getxattr("file", "user.two", value, sizeof value), 6);
        cr_assert_eq(memcmp(value, "second", 6), 0);
        EQ(ouro_getxattr("file", "user.two", NULL, 0), 6);
        EQ(ouro_setxattr("file", "user.empty", NULL, 0, 0), 0);
        EQ(ouro_getxattr("file", "user.empty", value, sizeof value), 0);
        EQ(ouro_removexattr("file", "user.empty"), 0);
        EQ(ouro_listxattr("file", NULL, 0), 18);
        EQ(ouro_listxattr("file", list, sizeof list), 18);
        EQ(ouro_flistxattr(fd, list, sizeof list), 18);
        EQ(ouro_fremovexattr(fd, "user.two"), 0);
        EQ(ouro_flistxattr(fd, list, sizeof list), 9);
        cr_assert_str_eq(list, "user.one");
        close(fd);
        return 0;
}

IN_LOOP(file_xattr, errors_are_told)
{
        int fd = new_file();
        static char large[XATTR_SIZE_MAX + 10];
        char value[4];

        if (fd < 0)
                return 0;
        EQ(ouro_getxattr("file", "user.none", value, sizeof value), -ENODATA);
        EQ(ouro_fremovexattr(fd, "user.none"), -ENODATA);
        EQ(ouro_removexattr("file", "user.none"), -ENODATA);
        EQ(ouro_setxattr("file", "user.none", "x", 1, XATTR_REPLACE), -ENODATA);
        EQ(ouro_setxattr("file", "user.one", "12345", 5, 0), 0);
        EQ(ouro_setxattr("file", "user.one", "x", 1, XATTR_CREATE), -EEXIST);
        EQ(ouro_setxattr("file", "user.one", "x", 1, 0x1000), -EINVAL);
        EQ(ouro_fgetxattr(fd, "user.one", value, sizeof value), -ERANGE);
        EQ(ouro_listxattr("file", value, sizeof value), -ERANGE);
        EQ(ouro_fsetxattr(fd, "user.large", large, sizeof large, 0), -E2BIG);
        EQ(ouro_fsetxattr(fd, "user.large", large, (size_t)1 << 33, 0), -E2BIG);
        EQ(ouro_fgetxattr(fd, "user.one", large, (size_t)1 << 33), 5);
        EQ(ouro_fsetxattr(fd, "nowhere.one", "x", 1, 0), -EOPNOTSUPP);
        EQ(ouro_getxattr("file", NULL, value, sizeof value), -EINVAL);
        EQ(ouro_getxattr("file", "user.one", NULL, 4), -EINVAL);
        EQ(ouro_setxattr("file", "user.one", NULL, 4, 0), -EINVAL);
        EQ(ouro_setxattr("file", NULL, "x", 1, 0), -EINVAL);
        EQ(ouro_fsetxattr(fd, NULL, "x", 1, 0), -EINVAL);
        EQ(ouro_removexattr("file", NULL), -EINVAL);
        EQ(ouro_flistxattr(fd, NULL, 4), -EINVAL);
        EQ(ouro_fgetxattr(no_such_fd(), "user.one", value, 4), -EBADF);
        EQ(ouro_fsetxattr(-1, "user.one", value, 4, 0), -EBADF);
        EQ(ouro_flistxattr(-1, NULL, 0), -EBADF);
        EQ(ouro_fremovexattr(no_such_fd(), "user.one"), -EBADF);
        REFUSES_BAD_PATHS(ouro_getxattr(path, "user.one", value, sizeof value));
        REFUSES_BAD_PATHS(ouro_setxattr(path, "user.one", "x", 1, 0));
        REFUSES_BAD_PATHS(ouro_listxattr(path, value, sizeof value));
        REFUSES_BAD_PATHS(ouro_removexattr(path, "user.one"));
        close(fd);
        return 0;
}

/* Only root may give a link attributes, of the class "trusted". The link leads nowhere: who follows it is
 * told -ENOENT. */
IN_LOOP(file_xattr, a_link_itself_has_attributes_of_its_own)
{
        char value[64], list[64];

        EQ(symlink("nowhere", "link"), 0);
        EQ(ouro_getxattr("link", "trusted.one", value, sizeof value), -ENOENT);
        EQ(ouro_llistxattr("link", NULL, 0), 0);
        EQ(ouro_lsetxattr("link", "user.one", "x", 1, 0), -EPERM);
        if (lsetxattr("link", "trusted.probe", "", 0, 0) < 0) {
                PASSED_OVER("no trusted attributes for this user in /tmp");
                return 0;
        }
        EQ(lremovexattr("link", "trusted.probe"), 0);
        EQ(ouro_lsetxattr("link", "trusted.one", "first", 5, 0), 0);
        EQ(ouro_lsetxattr("link", "trusted.one", "first", 5, XATTR_CREATE), -EEXIST);
        EQ(ouro_lgetxattr("link", "trusted.one", NULL, 0), 5);
        EQ(ouro_lgetxattr("link", "trusted.one", value, 4), -ERANGE);
        EQ(ouro_lgetxattr("link", "trusted.one", value, sizeof value), 5);
        cr_assert_eq(memcmp(value, "first", 5), 0);
        EQ(ouro_llistxattr("link", list, sizeof list), 12);
        cr_assert_str_eq(list, "trusted.one");
        EQ(ouro_lremovexattr("link", "trusted.one"), 0);
        EQ(ouro_lremovexattr("link", "trusted.one"), -ENODATA);
        EQ(ouro_lgetxattr("link", "trusted.one", value, sizeof value), -ENODATA);
        return 0;
}

IN_LOOP(file_xattr, of_links_errors_are_told)
{
        char value[4];

        EQ(ouro_lgetxattr(".", NULL, value, sizeof value), -EINVAL);
        EQ(ouro_lgetxattr(".", "user.one", NULL, 4), -EINVAL);
        EQ(ouro_lsetxattr(".", NULL, "x", 1, 0), -EINVAL);
        EQ(ouro_lsetxattr(".", "user.one", NULL, 4, 0), -EINVAL);
        EQ(ouro_llistxattr(".", NULL, 4), -EINVAL);
        EQ(ouro_lremovexattr(".", NULL), -EINVAL);
        REFUSES_BAD_PATHS(ouro_lgetxattr(path, "user.one", value, sizeof value));
        REFUSES_BAD_PATHS(ouro_lsetxattr(path, "user.one", "x", 1, 0));
        REFUSES_BAD_PATHS(ouro_llistxattr(path, value, sizeof value));
        REFUSES_BAD_PATHS(ouro_lremovexattr(path, "user.one"));
        return 0;
}

static intptr_t set_slowly(void *arg)
{
        return ouro_setxattr("file", "user.task", arg, 4, 0);
}

/* The path's form names no descriptor: closing any, 0 included, has nothing to do with it. */
IN_LOOP(file_xattr, by_path_no_descriptor_is_meant)
{
        int fd = new_file(), zero = dup(0);

        if (fd < 0) {
                close(zero);
                return 0;
        }
        ouro_task task = ouro_create_task(set_slowly, (void *)(uintptr_t) "abcd");

        ouro_yield();
        EQ(ouro_close(zero), 0);
        EQ(ouro_await(task), 0);
        close(fd);
        return 0;
}

Test(file_xattr, outside_a_loop_is_refused)
{
        char value[4];

        EQ(ouro_getxattr(".", "user.one", value, 4), -EPERM);
        EQ(ouro_setxattr(".", "user.one", value, 4, 0), -EPERM);
        EQ(ouro_listxattr(".", value, 4), -EPERM);
        EQ(ouro_removexattr(".", "user.one"), -EPERM);
        EQ(ouro_lgetxattr(".", "user.one", value, 4), -EPERM);
        EQ(ouro_lsetxattr(".", "user.one", value, 4, 0), -EPERM);
        EQ(ouro_llistxattr(".", value, 4), -EPERM);
        EQ(ouro_lremovexattr(".", "user.one"), -EPERM);
}
