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

enum {
        CONFIG_SPIN_NS = 10000, /* defaults */
        CONFIG_OUTPUT_BYTES = 1 << 20,
};

#define CONFIG_ARENA_BYTES (UINT64_C(16) << 30)
#define CONFIG_OUTPUT_MOST ((size_t)1 << 30)

struct config {
        uint64_t magic, bytes;
        char name[16];
        int64_t spin_ns;
        uint64_t arena_at, arena_bytes; /* address; of all workers, or of each where arena_per_worker */
        uint32_t arena_per_worker;      /* worker w has arena_at + w * arena_bytes */
        uint32_t timings, measure_resident;
        uint32_t confine; /* enum ouro_confine, with what others imply */
        uint32_t output;  /* enum ouro_output */
        int32_t nice;     /* of workers: the opener's and the option, added */
        struct lane_module initializer_module, finalizer_module;
        uint64_t initializer, finalizer; /* offsets in those; UINT64_MAX: none */
        struct config_span in;           /* for both */
        struct config_span limits;       /* struct ouro_limit[] */
        struct config_span cpus;         /* cpu_set_t, of any size; never empty */
        struct config_span directory;    /* absolute, NUL-terminated; bytes 0: as it is */
        struct config_span environment;  /* strings, each NUL-terminated */
        struct config_span fds;          /* int[], rising: numbers in the worker; one message FD for each */
        struct config_span read_paths, write_paths; /* strings, absolute, each NUL-terminated */
        uint32_t own_environment; /* the environment is an option, not the host's: it hides the host's */
        uint32_t unused;
};

/* In the host: checks what of the options workers are told, and packs it with the arena's place into a sealed
 * memfd. What is not an option of theirs but inherited (directory, CPUs, nice value, environment) is taken
 * from the calling thread now, so that a zygote that is started later gives the same. The rest of the
 * options is not looked at.
 *
 * 0; -EINVAL: an option is out of range, or a function is in no module; -EBADF: one of fds is not open;
 * -ENOENT, -ENOTDIR, -EACCES: directory or path; -ENOTSUP: no Landlock; -ENOMEM, -EMFILE, -ENFILE. */
int config_pack(const struct ouro_process_options *options, uint64_t arena_at, int *ret_fd);

/* In the zygote: maps and checks it. NULL: it is not one of ours. It is never unmapped. */
const struct config *config_map(int fd);

/* In place. */
static inline const void *config_at(const struct config *config, struct config_span span)
{
        return (const char *)config + span.at;
}

/* The strings of a span, one after the other: from NULL to the first, from the last to NULL. */
const char *config_next(const struct config *config, struct config_span span, const char *string);

#endif
