/* config.h - a pool's configuration on its way from the host to the zygote: one memfd, without pointers.
 *
 * The host packs its options into it; zygote and workers map it and read it in place. */
#ifndef OURO_EXECUTORS_CONFIG_H
#define OURO_EXECUTORS_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "executors/lane.h"
#include "ouro.h"

/* A string or array inside the configuration: offset from its beginning and bytes. */
struct config_span {
        uint64_t at, bytes;
};

struct config {
        uint64_t magic, bytes;
        char name[16];
        int64_t spin_ns;
        uint64_t arena_at, arena_bytes; /* address; of all workers, or of each where arena_per_worker */
        uint32_t arena_per_worker;      /* worker w has arena_at + w * arena_bytes */
        uint32_t timings, measure_resident;
        uint32_t confine; /* enum ouro_confine */
        uint32_t output;  /* enum ouro_output */
        int32_t nice;
        struct lane_module initializer_module, finalizer_module;
        uint64_t initializer, finalizer; /* offsets in those; UINT64_MAX: none */
        struct config_span in;           /* for both */
        struct config_span limits;       /* struct ouro_limit[] */
        struct config_span cpus;         /* cpu_set_t */
        struct config_span directory;    /* NUL-terminated; bytes 0: as it is */
        struct config_span environment;  /* strings, each NUL-terminated */
        struct config_span fds; /* int[]: numbers in the worker; sent by config_send() in this order */
        struct config_span read_paths, write_paths; /* strings, each NUL-terminated */
};

/* In the host: packs options, with the arena's place, into a sealed memfd. 0, -EINVAL: a function that is in
 * no module; -ENOMEM, -EMFILE. */
int config_pack(const struct ouro_process_options *options, uint64_t arena_at, int *ret_fd);

/* In the zygote: maps and checks it. NULL: it is not one of ours. */
const struct config *config_map(int fd);

#endif
