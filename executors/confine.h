/* confine.h - what a pool's workers may do, as the options say and not as it happens to be inherited.
 *
 * Nothing here can be taken back, and what has been asked for is done or refused, never left out. */
#ifndef OURO_EXECUTORS_CONFINE_H
#define OURO_EXECUTORS_CONFINE_H

#include "executors/config.h"

/* Once, in the zygote: directory, environment and CPUs are set for it and all workers; limits, nice
 * value and paths are tried, so that a pool with refused options fails as it is opened. 0 or a negated errno.
 */
int confine_zygote(const struct config *config);

/* In each new worker, before it runs anything of the user: nice value, limits, output, Landlock, then the
 * filter. doorbell: where there is a filter, nothing can be read from it any more: others' rings would be
 * lost. output_fd: where stdout and stderr go if they are captured, closed here; else -1. From here on the
 * worker itself can do only what its jobs can. 0 or a negated errno. */
int confine_worker(const struct config *config, int doorbell, int output_fd);

/* ---- of confine.c ---- */

/* The filter "compute only", for this process and what it starts. doorbell: -1: none. */
int filter_install(int doorbell);

/* Landlock's version, or a negated errno: -ENOTSUP. */
int landlock_version(void);

/* The rules for the paths of a configuration, as a descriptor; and their use, for this thread. */
int landlock_rules(const struct config *config);
int landlock_apply(int rules);

#endif
