/* birth.h - one program, from clone() to exec.
 *
 * Everything that the child needs is laid out before, because between the two it shares our memory and may do
 * nothing but system calls. */
#ifndef OURO_IO_BIRTH_H
#define OURO_IO_BIRTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ouro.h"

struct birth_fd {
        int from;
        int to;
};

struct birth {
        /* What is asked for. */
        const char *const *files; /* to be tried in this order, ended by NULL */
        const char *const *argv;
        const char *const *environment;
        const char *directory;
        const int *directory_fd;
        struct birth_fd *fds; /* by rising .to */
        size_t fds_len;
        int terminal; /* to control the session, or -1 */
        int nice;     /* absolute, -20 to 19 */
        bool set_nice;
        bool new_session, new_group;
        pid_t join_group;
        uint64_t blocked, ignored;
        const mode_t *umask;
        const struct ouro_spawn_user *user;
        const struct ouro_limit *limits;
        size_t limits_len;
        int parent_death_signal;
        pid_t parent;
        /* What the child answers where it fails. */
        int error;
        const char *failed;
        /* What clone() answers. */
        int pidfd;
        pid_t pid;
        /* Of use between. */
        char *stack;
        int report; /* a pipe, where the child has memory of its own (Valgrind); else -1 */
};

/* Waits until the program is executed. 0, or a negated errno: there is no child then, birth->failed says at
 * what step. From any thread, with a birth that no other uses. */
int birth_give(struct birth *birth);

#endif
