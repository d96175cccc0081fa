/* played_host.h - a test that plays the host of some worker processes: it makes the lanes, talks to a real
 * zygote (a fork of the test, or its program executed afresh), and fills in entries by hand.
 *
 * All that waits here looks at memory and the socket until what must come has come; a test's timeout is what
 * ends it if it never does. */
#ifndef OURO_TESTS_SUPPORT_PLAYED_HOST_H
#define OURO_TESTS_SUPPORT_PLAYED_HOST_H

#include <ouro.h>
#include <stdbool.h>
#include <sys/types.h>

#include "executors/lane.h"
#include "executors/zygote.h"

enum { PLAYED_WORKERS = 4, PLAYED_ENTRIES = 8, PLAYED_DATA_BYTES = 1 << 20 };

struct played_worker {
        struct lane lane;
        int pidfd; /* -1: there is none */
        pid_t pid;
        uint64_t next; /* number of the next entry */
};

struct played_host {
        int socket;
        int doorbell;
        int config;
        pid_t zygote;  /* a child of the test's; -1: it is none, or reaped by the test */
        bool launched; /* by launch_zygote() */
        struct played_worker workers[PLAYED_WORKERS];
};

/* What to send beside the configuration; begin with PLAYED_NOTHING. */
struct played_extras {
        int arena; /* for all, or -1 */
        uint64_t arena_at;
        const int *fds; /* as in the options */
        size_t fds_len;
};

#define PLAYED_NOTHING ((struct played_extras){.arena = -1})

/* How the following ones are started: OURO_START_FORK, or OURO_START_EXEC. */
extern enum ouro_start played_start;

/* Starts a zygote and has it configured. options: NULL for the defaults. */
void host_begin(struct played_host *host, const struct ouro_process_options *options);
void host_begin_with(struct played_host *host, const struct ouro_process_options *options,
                     struct played_extras extras);

/* The two halves of that, and what the zygote answers. */
void host_start_zygote(struct played_host *host);
int host_configure(struct played_host *host, const struct ouro_process_options *options,
                   struct played_extras extras);

/* Closes the socket, waits for the zygote to end, and frees all. */
void host_end(struct played_host *host);

void host_spawn(struct played_host *host, unsigned worker);
void host_spawn_with(struct played_host *host, unsigned worker, int arena, int output);

/* The next message; the test fails if the zygote has gone. Descriptors are closed, but the first, if asked
 * for. */
struct zygote_message host_receive(struct played_host *host, int *ret_fd);

/* The worker's DIED; its lane stays mapped until host_end(). */
struct zygote_message host_await_death(struct played_host *host, unsigned worker);

/* An entry, before it is made READY: in and out lie in its place. */
struct lane_entry *host_prepare(struct played_host *host, unsigned worker, ouro_job_fn *fn, const void *in,
                                size_t in_bytes, size_t out_bytes);
/* Makes it READY, and wakes the worker if it sleeps. Returns the entry's number. */
uint64_t host_hand_over(struct played_host *host, unsigned worker);
uint64_t host_put(struct played_host *host, unsigned worker, ouro_job_fn *fn, const void *in, size_t in_bytes,
                  size_t out_bytes);

/* Waits for that state, asleep on the doorbell. */
void host_await(struct played_host *host, unsigned worker, uint64_t n, enum lane_state state);
void host_await_phase(struct played_host *host, unsigned worker, enum lane_phase phase);
bool host_is(const struct played_host *host, unsigned worker, uint64_t n, enum lane_state state);

/* Put, await, free: the result; out is copied if it is not NULL. */
intptr_t host_call(struct played_host *host, unsigned worker, ouro_job_fn *fn, const void *in,
                   size_t in_bytes, void *out, size_t out_bytes);

void host_free_entry(struct played_host *host, unsigned worker, uint64_t n);
/* Sets the token of a job, and wakes the job if it sleeps on that. */
void host_cancel(struct played_host *host, unsigned worker, uint64_t n);
void host_stop(struct played_host *host, unsigned worker);
void host_wake(struct played_host *host, unsigned worker);

#endif
