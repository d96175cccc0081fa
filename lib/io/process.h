/* process.h - a process that this loop has started, and how it is prepared. */
#ifndef OURO_IO_PROCESS_H
#define OURO_IO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "ring/ring.h"
#include "task/task.h"

struct ouro_process {
        struct sched *home;    /* NULL: its loop has ended */
        struct ouro_list link; /* in loop->children: until it is freed, or its loop ends */
        struct op watch;       /* a poll of pidfd, from its start to its end */
        struct ouro_exit exit; /* once it has ended */
        void *waiters;         /* queue of those who wait for its end */
        size_t users;          /* tasks in its calls: it is not freed under them */
        pid_t pid;
        int pidfd;
        int fds[4];   /* our ends: stdin, stdout, stderr, terminal; -1: none */
        int lost;     /* 0, or -ECHILD: it has ended, and nobody knows how */
        bool watched; /* watch is under way */
        bool ended;
        bool talked_to;     /* a task gives it its input and collects its output */
        bool leads;         /* a process group of its own: then it is reaped when it is closed, not before */
        bool leave_running; /* closing it does not end it */
        bool closed;        /* by the user: freed as soon as nobody needs it */
        bool let_go;        /* its loop ends: what it waits for is its watch */
};

enum { PROCESS_PTY = 3 }; /* in fds */

/* ---- process.c ---- */

/* A new one, which is not watched yet. NULL: no memory. */
struct ouro_process *process_new(void);
void process_free(struct ouro_process *process);

/* It runs; from now on this loop watches it, and it is the user's. 0 or -ENOMEM: it was killed and reaped. */
int process_begin(struct sched *sched, struct ouro_process *process);

/* What is wrong with the caller or the argument: -EPERM, -EINVAL or 0. */
int process_refuse(const struct ouro_process *process);

/* Waits for its end, never cut short. */
void process_await_uncut(struct ouro_process *process);

/* What ouro_process_wait() returns for one that has ended; fills in ret_exit, which may be NULL. */
int process_result(const struct ouro_process *process, struct ouro_exit *ret_exit);

/* Is ret_exit NULL, or does it have a size? */
bool process_exit_is_usable(const struct ouro_exit *ret_exit);

/* Its users are counted, so that whoever closes it meanwhile does not free it under them. */
void process_enter(struct ouro_process *process);
void process_leave(struct ouro_process *process);

/* ---- process_spawn.c ---- */

/* What spawn does, for pipelines: in and out are descriptors that replace what options say, or -1; group is
 * a process group to be joined, or 0. */
int process_spawn(const struct ouro_command *command, int in, int out, pid_t group,
                  struct ouro_process **ret_process);

/* ---- terminal.c ---- */
int terminal_open_pair(const struct ouro_window *window, int *ret_master, int *ret_slave);

#endif
