/* leftovers.h - processes that jobs have started and left behind.
 *
 * The zygote is their subreaper: when a worker ends, what it started becomes the zygote's child. */
#ifndef OURO_EXECUTORS_LEFTOVERS_H
#define OURO_EXECUTORS_LEFTOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct leftovers {
        int children; /* the kernel's list of this thread's children, or -1: it keeps none */
        int proc;     /* then all processes are asked who their parent is; or -1: nobody can be asked */
};

/* Before anything is confined. Never fails: without /proc only a worker's process group is ended with it. */
void leftovers_open(struct leftovers *leftovers);
void leftovers_close(struct leftovers *leftovers);

/* Sends SIGKILL to every child of this process but those that are kept. Returns how many there are that will
 * end of it, zombies included; call again when they have ended, since theirs are children then. */
size_t leftovers_kill(const struct leftovers *leftovers, bool (*kept)(const void *arg, pid_t pid),
                      const void *arg);

#endif
