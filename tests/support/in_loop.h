/* in_loop.h - tests whose body is a task, and the descriptors they begin with.
 *
 *      IN_LOOP(net, send_returns_what_was_sent)
 *      {
 *              ...
 *              return 0;
 *      }
 *
 * Pairs are made by plain system calls: blocking, and the same whatever the backend. */
#ifndef OURO_TESTS_SUPPORT_IN_LOOP_H
#define OURO_TESTS_SUPPORT_IN_LOOP_H

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ouro.h>

#define IN_LOOP(suite, name)                                                                                 \
        static intptr_t name##_body(void *unused_);                                                          \
        Test(suite, name)                                                                                    \
        {                                                                                                    \
                cr_assert_eq(ouro_run(name##_body, NULL), 0);                                                \
        }                                                                                                    \
        static intptr_t name##_body(void *unused_ __attribute__((unused)))

/* Values as they are, also of different widths. */
#define EQ(got, wanted)                                                                                      \
        do {                                                                                                 \
                intmax_t got_ = (intmax_t)(got), wanted_ = (intmax_t)(wanted);                               \
                if (got_ != wanted_)                                                                         \
                        cr_assert_fail("%s: %jd, not %jd (%s)", #got, got_, wanted_, #wanted);               \
        } while (0)

static inline bool runs_on(const char *backend)
{
        return strcmp(ouro_backend_name(), backend) == 0;
}

/* What cannot be tested here is passed over, and said to be. (A warning of Criterion's fails the program.) */
#define PASSED_OVER(...)                                                                                     \
        (fprintf(stderr, "[SKIP] %s: ", __func__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

/* What belongs to one backend. */
#define ONLY_ON(backend)                                                                                     \
        do {                                                                                                 \
                if (!runs_on(backend)) {                                                                     \
                        PASSED_OVER("only on %s, this is %s", (backend), ouro_backend_name());               \
                        return 0;                                                                            \
                }                                                                                            \
        } while (0)

static inline void unix_pair(int fds[2])
{
        EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

/* Connected over loopback. */
static inline void tcp_pair(int fds[2])
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t len = sizeof addr;

        EQ(bind(listener, (struct sockaddr *)&addr, len), 0);
        EQ(listen(listener, 1), 0);
        EQ(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EQ(connect(fds[0], (struct sockaddr *)&addr, len), 0);
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(fds[1] >= 0);
        close(listener);
}

static inline void close_both(const int fds[2])
{
        close(fds[0]);
        close(fds[1]);
}

/* A number that no descriptor has. */
static inline int no_such_fd(void)
{
        int fd = dup(0);

        close(fd);
        return fd + 512;
}

/* Byte i of a long transfer: not the same in any two blocks of a power of two. */
static inline void fill(char *buf, size_t len, size_t from)
{
        for (size_t i = 0; i < len; i++)
                buf[i] = (char)((from + i) % 251);
}

static inline bool filled(const char *buf, size_t len, size_t from)
{
        for (size_t i = 0; i < len; i++)
                if (buf[i] != (char)((from + i) % 251))
                        return false;
        return true;
}

#endif
