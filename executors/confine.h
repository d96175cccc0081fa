/* confine.h - what a pool's options say that workers may and may not do, put into force. */
#ifndef OURO_EXECUTORS_CONFINE_H
#define OURO_EXECUTORS_CONFINE_H

#include "executors/config.h"

/* Once, in the zygote. 0 or a negated errno. */
int confine_zygote(const struct config *config);

/* In each new worker, before anything of the program runs there. output_fd: where stdout and stderr go if
 * they are captured; else -1. 0 or a negated errno. */
int confine_worker(const struct config *config, unsigned worker, int output_fd);

#endif
