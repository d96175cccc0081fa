/* clean.h - a process that knows nothing of who started it, but what it is meant to know. */
#ifndef OURO_EXECUTORS_CLEAN_H
#define OURO_EXECUTORS_CLEAN_H

#include <stdbool.h>

/* Makes this one such: signals as the kernel sets them, but for SIGCHLD, which is blocked; stdin empty, and
 * nothing of the host's in the buffers of stdio; no descriptor of the host's but stdout, stderr and socket.
 * Returns where the socket is now. *ret_forked: this is a fork of the host, not a program of its own. */
int clean_process(int socket, bool *ret_forked);

#endif
