/* zygote.h - what host and zygote say to each other.
 *
 * One SOCK_SEQPACKET socket; each message is a struct zygote_message, descriptors beside it. The host's first
 * messages are FD(number) for each descriptor that workers inherit, then CONFIG with three descriptors: a
 * memfd that holds the pool's configuration (config.h), the doorbell (an eventfd), the arena's memfd (if all
 * share it). The zygote answers READY, or REFUSED with an errno. Then, in any order:
 *
 *      host: SPAWN(worker) + lane, own arena, output  zygote: SPAWNED(worker, pid) + pidfd, or
 * REFUSED(worker) zygote: DIED(worker, status, usage), once for each
 *
 * The host kills by pidfd. The zygote reaps workers, ends what they leave behind, and ends all of them when
 * the host closes the socket or dies. DIED is sent after the worker and all it left behind are gone. */
#ifndef OURO_EXECUTORS_ZYGOTE_H
#define OURO_EXECUTORS_ZYGOTE_H

#include <stdint.h>

enum zygote_verb {
        ZYGOTE_CONFIG = 1,
        ZYGOTE_READY,
        ZYGOTE_REFUSED, /* error */
        ZYGOTE_SPAWN,
        ZYGOTE_SPAWNED, /* pid */
        ZYGOTE_DIED,    /* status, usage */
        ZYGOTE_FD,      /* pid is the number that the descriptor has in workers */
};

struct zygote_message {
        uint32_t verb;
        uint32_t worker;     /* number of the lane's place */
        uint64_t generation; /* the host's, for each SPAWN a new one; sent back */
        int32_t error;       /* negated errno */
        int32_t pid;
        int32_t status;         /* as waitpid() tells it */
        uint32_t fds;           /* bits: which places have a descriptor; set by zygote_send() */
        int64_t cpu_ns;         /* user and system */
        int64_t resident_bytes; /* the most */
};

enum { ZYGOTE_FDS_MOST = 4 };

/* 0 or a negated errno; waits. fds are sent along, and stay the caller's; -1: there is none in this place
 * (which of the places are filled is in the message). */
int zygote_send(int socket, const struct zygote_message *message, const int *fds, unsigned fds_len);

/* 1, 0: the other end is closed, or a negated errno (-EAGAIN on a socket that does not wait). Descriptors
 * that came along are close-on-exec and the caller's; -1 fills up ret_fds. */
int zygote_receive(int socket, struct zygote_message *ret_message, int ret_fds[ZYGOTE_FDS_MOST]);

/* The zygote's whole life. */
_Noreturn void zygote_serve(int socket);

#endif
