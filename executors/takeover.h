/* takeover.h - how a process that was started to be a zygote finds that out, and host and zygote each other.
 *
 * The host executes a program with TAKEOVER_ARGUMENT as its only argument and, as descriptor TAKEOVER_FD, a
 * SOCK_SEQPACKET socket in which a greeting already lies: without that, the argument means nothing. The
 * answers come on the same socket. */
#ifndef OURO_EXECUTORS_TAKEOVER_H
#define OURO_EXECUTORS_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "executors/lane.h"

#define TAKEOVER_ARGUMENT "--ouro-zygote"

enum {
        TAKEOVER_FD = 3,
        TAKEOVER_LEAST = 16, /* bytes of a message that are the same in every version: magic, verb, error */
};

enum takeover_verb {
        TAKEOVER_GREETING = 1, /* from the host */
        TAKEOVER_STARTED,      /* from the process between: a pidfd of the zygote comes along */
        TAKEOVER_FAILED,       /* from there, too: it could not be executed, see error */
        TAKEOVER_SERVING,      /* from the zygote */
};

/* The library of the host, and in an answer that of the zygote. */
struct takeover_message {
        char magic[8];
        uint32_t verb;
        int32_t error;
        uint32_t threads;   /* SERVING: that constructors have started, itself included */
        uint32_t any_build; /* GREETING: the helper's; the library may be another file of this version */
        char version[16];
        uint32_t layout; /* sizes of what host and zygote share */
        struct lane_module library;
};

/* Fills in all but verb and error. 0 or -ENOEXEC: the library cannot be told from others. */
int takeover_message_init(struct takeover_message *message);

/* Whether a zygote of the second's library may serve a host of the first's. */
bool takeover_matches(const struct takeover_message *host, const struct takeover_message *zygote);

/* A zygote-to-be is still in its constructors: one of them opens a pool. */
bool takeover_pending(void);

/* ouro_worker_main() has been called: a fresh execution would call it, too. */
bool takeover_in_main(void);

/* In a fork of the host: serves, as if it had taken over. */
_Noreturn void takeover_serve(int socket);

#endif
