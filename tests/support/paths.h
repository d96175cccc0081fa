/* paths.h - names that every call that takes a path is tried with. */
#ifndef OURO_TESTS_SUPPORT_PATHS_H
#define OURO_TESTS_SUPPORT_PATHS_H

#include <limits.h>
#include <string.h>

/* PATH_MAX bytes with the NUL are one too many for the kernel: 4096 and no NUL among them. */
static inline const char *long_path(void)
{
        static char path[PATH_MAX + 1];

        for (int i = 0; i < PATH_MAX; i++)
                path[i] = i % 2 ? '/' : '.';
        return path;
}

/* call is an expression that uses `path`. */
#define REFUSES_BAD_PATHS(call)                                                                              \
        do {                                                                                                 \
                const char *path = NULL;                                                                     \
                EQ(call, -EINVAL);                                                                           \
                path = long_path();                                                                          \
                EQ(call, -ENAMETOOLONG);                                                                     \
                path = "";                                                                                   \
                EQ(call, -ENOENT);                                                                           \
                path = "no such/file";                                                                       \
                EQ(call, -ENOENT);                                                                           \
                path = (const char *)8;                                                                      \
                EQ(call, -EFAULT);                                                                           \
        } while (0)

#endif
