/* child.h - runs a function in a forked child and tells how that ended and what it said.
 *
 * For what must end the process, and for limits that must not outlive the test. */
#ifndef OURO_TESTS_CORO_CHILD_H
#define OURO_TESTS_CORO_CHILD_H

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers reserve terabytes, report a stack's overflow their own way, and are not told of every stack:
 *      Test(room, what_must_hold, .disabled = SANITIZED) */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

struct child_end {
        int signal; /* that ended it, or 0 */
        int status; /* its exit status */
        char said[8192];
};

static inline void child_listen(int fd, struct child_end *end)
{
        size_t used = 0;
        ssize_t n;

        while ((n = read(fd, end->said + used, sizeof end->said - 1 - used)) > 0)
                used += (size_t)n;
        end->said[used] = '\0';
        close(fd);
}

/* The child exits with what fn returns; its stderr is what it says. */
static inline struct child_end child_run(int (*fn)(void))
{
        static struct child_end end;
        int fds[2], status;
        pid_t pid;

        cr_assert(pipe(fds) == 0);
        pid = fork();
        cr_assert(pid >= 0);
        if (pid == 0) {
                const struct rlimit none = {0, 0};

                setrlimit(RLIMIT_CORE, &none);
                dup2(fds[1], 2);
                _exit(fn());
        }
        close(fds[1]);
        child_listen(fds[0], &end);
        cr_assert(waitpid(pid, &status, 0) == pid);
        end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        end.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        return end;
}

#endif
