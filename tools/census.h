/* census.h - who is alive: descriptors of the worker processes and the zygote, to signal them without doubt.
 *
 * The number of a process may be another's by the time it is used. So each worker sends the host a
 * descriptor of itself and one of its parent, over a socket that it has inherited. The same socket tells when
 * all of them have gone: then nobody holds its other end any more. */
#ifndef OURO_TOOL_CENSUS_H
#define OURO_TOOL_CENSUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        CENSUS_RECENT = 64,
};

struct census_entry {
        int pidfd; /* -1: nobody known */
        pid_t pid;
        int64_t killed_ns; /* when the one before it got a signal that it cannot survive; 0: it did not */
};

/* Of late, who was sent what. */
struct census_signal {
        pid_t pid;
        int signal;
};

struct census {
        int host_fd;   /* the host's end, which does not wait */
        int worker_fd; /* inherited; the host keeps it for zygotes that are yet to come */
        unsigned worker_count;
        struct census_entry *workers;
        struct census_entry zygote;
        struct census_signal recent[CENSUS_RECENT];
        uint64_t signals;
};

/* Returns 0 or a negative errno. */
int census_open(struct census *census, unsigned workers);
void census_close(struct census *census);

/* Takes in one sign of life. Returns 1, and in *ret_replaced_ns the time since the last holder of that number
 * was killed, or -1 if it was not; 0 if there is none; or a negative errno. */
int census_take(struct census *census, int64_t *ret_replaced_ns);

/* Returns 0; -ESRCH: there is nobody, or not any more. final: it cannot survive that. */
int census_signal(struct census *census, struct census_entry *entry, int signal, bool final);

/* Whether this process was sent this signal, not long ago. */
bool census_was_signalled(const struct census *census, pid_t pid, int signal);

/* No worker will be started any more: waits until nobody holds the other end. Returns 0, or -ETIME. */
int census_wait_for_end(struct census *census, int64_t limit_ns);

/* ---- in a worker ---- */

/* Sends it. Where that fails, the host just does not know this worker. */
void census_report(int worker_fd, unsigned worker);

/* A descriptor of the zygote, or a negative errno: it is no longer there. Never one of the host. */
int census_open_parent(pid_t host);

#endif
