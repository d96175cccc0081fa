/* echo.h - what the echo servers and their load have in common: addresses, and the buffer's size.
 *
 * An address is "tcp:127.0.0.1:PORT" (port 0 for any), "unix:/path" or "unix:@abstract". Every server
 * listens through echo_listen(), so that all have the same socket options and the same backlog, and says
 * "ready ADDRESS" on stdout when it can be dialled. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stddef.h>

enum {
        ECHO_MESSAGE_BYTES = 64,
        ECHO_BUFFER_BYTES = 512, /* of each server's receive */
};

/* A listening socket, TCP_NODELAY inherited by what it accepts, O_NONBLOCK if nonblocking. */
int echo_listen(const char *address, int nonblocking);

/* Say where the listener can be dialled. */
void echo_ready(int listener);

/* A connected socket. */
int echo_dial(const char *address);

/* End with the process that started this one, so that no server outlives an interrupted run. */
void echo_end_with_parent(void);

#endif
