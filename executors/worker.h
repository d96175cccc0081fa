/* worker.h - the life of a worker process, from its birth in the zygote's fork to its end. */
#ifndef OURO_EXECUTORS_WORKER_H
#define OURO_EXECUTORS_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "executors/config.h"

/* What a worker is born with. The descriptors are its own. */
struct worker_start {
        uint32_t worker;
        pid_t zygote;
        bool forked;  /* the zygote is a fork of the host, with all that its memory holds */
        int lane;     /* closed once it is mapped */
        int arena;    /* likewise; its own, or -1 */
        int output;   /* handed to confine_worker(), or -1 */
        int doorbell; /* stays */
};

_Noreturn void worker_main(const struct config *config, const struct worker_start *start);

/* Maps an arena at its address, which must be free there. 0 or a negated errno (-EEXIST: it is not). */
int worker_map_arena(uint64_t at, uint64_t bytes, int fd);

#endif
