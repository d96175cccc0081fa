/* launch.h - starting a zygote that nobody in the host notices: no SIGCHLD, no child for wait(). */
#ifndef OURO_EXECUTORS_LAUNCH_H
#define OURO_EXECUTORS_LAUNCH_H

#include "ouro.h"

/* Starts one. From any thread. helper: its path, for OURO_START_HELPER; NULL: where it was installed.
 *
 * On success *ret_socket is a SOCK_SEQPACKET socket, close-on-exec, to a process in which zygote_serve()
 * runs with the other end; it ends when this end is closed. 0, -EBUSY, -ENOEXEC, -ENOENT, or what the
 * kernel said. Waits until the zygote has taken over, or could not; why not is told to the log. */
int launch_zygote(enum ouro_start start, const char *helper, int *ret_socket);

/* Closes the socket and waits until the zygote, and all it has forked, is gone. */
void launch_end(int socket);

#endif
