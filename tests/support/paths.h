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

/* ASan reads a path before the system call would, and takes a wrong pointer for its business. */
#ifdef __SANITIZE_ADDRESS__
#define REFUSES_A_WRONG_POINTER(call) ((void)0)
#else
#define REFUSES_A_WRONG_POINTER(call) EQ(call, -EFAULT)
#endif

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
                REFUSES_A_WRONG_POINTER(call);                                                               \
        } while (0)

#endif
