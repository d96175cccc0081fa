/* sys.h - system calls that answer with a negated errno and leave errno as it was.
 *
 * errno belongs to the user's task, and libc's wrappers write it. */
#ifndef OURO_BASE_SYS_H
#define OURO_BASE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define sys_result(call)                                                                                     \
        __extension__({                                                                                      \
                int sys_saved_errno_ = errno;                                                                \
                __typeof__(call) sys_result_ = (call);                                                       \
                                                                                                             \
                if (sys_result_ < 0)                                                                         \
                        sys_result_ = -errno;                                                                \
                errno = sys_saved_errno_;                                                                    \
                sys_result_;                                                                                 \
        })

/* A signal meanwhile is no answer. */
#define sys_retry(call)                                                                                      \
        __extension__({                                                                                      \
                __typeof__(call) sys_retried_;                                                               \
                                                                                                             \
                do                                                                                           \
                        sys_retried_ = sys_result(call);                                                     \
                while (sys_retried_ == -EINTR);                                                              \
                sys_retried_;                                                                                \
        })

enum { SYS_FIRST_KEPT_FD = 3 };

/* For a descriptor that the library keeps, as it was opened or failed to: where a standard stream is closed
 * it would get that one's number, and whoever reads "stdin" would read it. Returns it or a copy above them,
 * or a negated errno; then it is closed. */
static inline int sys_above_stdio(int fd)
{
        int copy;

        if (fd < 0 || fd >= SYS_FIRST_KEPT_FD)
                return fd;
        copy = sys_result(fcntl(fd, F_DUPFD_CLOEXEC, SYS_FIRST_KEPT_FD));
        (void)sys_result(close(fd));
        return copy;
}

#endif
