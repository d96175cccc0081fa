/* start.h - a zygote is started by a process between, so that it is no child of the host. */
#ifndef OURO_EXECUTORS_START_H
#define OURO_EXECUTORS_START_H

#include <stdbool.h>
#include <stddef.h>

#include "executors/takeover.h"

/* In memory of its own, for as long as the keeper lives: see start_free(). */
struct start {
        int socket;  /* the zygote's end; STARTED or FAILED are sent through it */
        int program; /* file to be executed */
        char *const *argv;
        char *const *envp;
        bool keeps; /* set by start_new(): the process between stays, see start.c */
        int keeper; /* its pidfd, or -1 */
        int pidfd;  /* of the zygote, in the process between */
        struct takeover_message message;
        char *stacks[2]; /* tops: of the process between, and of the zygote until it executes */
        char *memory;
        size_t memory_bytes;
};

/* NULL: no memory. */
struct start *start_new(const struct takeover_message *message);

/* Executes program. 0, -ENOMEM, -EAGAIN; that the zygote cannot be executed comes through the socket. */
int start_exec(struct start *start);

/* Forks this process, which has one thread: takeover_serve(socket) in the zygote. Returns in the host alone,
 * as above. */
int start_fork(struct start *start);

/* Once the zygote has ended, or is going to: waits for the keeper, if there is one. */
void start_free(struct start *start);

#endif
