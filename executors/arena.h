/* arena.h - memory that a process pool's host and workers share, at the same address in all of them.
 *
 *      address
 *      | part 0                   | part 1                   | ...     a window of address space
 *      | spans | not yet in file..| spans | not yet in file..|
 *
 * A part is a memfd mapped into its piece of the window: one part that all workers map, or, with one for each
 * worker, as many as there are workers, and worker w maps part w alone. Beyond the end of its file a part is
 * address space only; the file grows as spans are allocated, and nothing is mapped anew for that. It is
 * sealed so that nobody can shrink it under the others, nor add a seal.
 *
 * Which spans there are is known to the host alone, in private memory. Memory that is free is given back to
 * the kernel beyond ARENA_KEPT_BYTES. In the host a child by fork(2) does not have the window: it could write
 * to it, and would hold every worker's part if it is itself a zygote. */
#ifndef OURO_EXECUTORS_ARENA_H
#define OURO_EXECUTORS_ARENA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executors/buddy.h"
#include "ouro.h"

enum {
        ARENA_ALIGNMENT = 64,
        ARENA_KEPT_BYTES = 64 << 20, /* free memory of a part that stays with it for the next spans */
};

struct arena_part {
        int fd;                   /* memfd, close-on-exec, the arena's: to be sent to those that map it */
        uint64_t size;            /* of its file */
        uint64_t freed;           /* bytes freed since it was last looked whether some should be given back */
        uint64_t given_back_from; /* free blocks below this are the next to be given back */
        struct buddy buddy;
};

/* Fields do not change after arena_open(), but for what the lock guards. */
struct arena {
        char *address;
        uint64_t bytes;      /* of the window */
        uint64_t part_bytes; /* of each part, a multiple of the page size */
        unsigned parts;
        bool per_worker;
        pthread_mutex_t lock; /* of the parts' sizes and books */
        struct arena_part *part;
};

/* ---- host ---- */

/* Finds a free window for parts of so many bytes, rounded up to pages (part_bytes is what the workers are to
 * be told), and maps them. workers: 0 for one part that all share, else one part for each. 0, -EINVAL: no
 * bytes, or too many; -ENOMEM, -EMFILE, -ENFILE. */
int arena_open(struct arena *arena, uint64_t bytes, unsigned workers);
void arena_close(struct arena *arena);

/* From any thread. 0; -ENOMEM: no room; -EINVAL: no bytes, or no such part. */
int arena_alloc(struct arena *arena, unsigned part, size_t bytes, void **ret_span);

/* From any thread. 0; -EINVAL: no span begins there. Giving memory back takes the kernel some time. */
int arena_free(struct arena *arena, void *span);

/* Whether a span lies in the arena, and with one part for each worker, in whose. One that lies only partly in
 * it, or in two workers' parts, does not: it is copied like any other. */
static inline bool arena_contains(const struct arena *arena, const void *base, size_t len,
                                  unsigned *ret_worker)
{
        uint64_t at = (uint64_t)(uintptr_t)base - (uint64_t)(uintptr_t)arena->address;

        if (at >= arena->bytes || len > arena->bytes - at)
                return false;
        if (!arena->per_worker) {
                *ret_worker = 0;
                return true;
        }
        uint64_t part = at / arena->part_bytes;

        if (len > (part + 1) * arena->part_bytes - at)
                return false;
        *ret_worker = (unsigned)part;
        return true;
}

/* The arena of a process pool; NULL: it is none, or of another kind. Defined by the process pool. */
struct arena *process_pool_arena(ouro_executor *executor);

#endif
