/* lane.h - the shared memory of the host and one worker process: jobs go there and come back in it.
 *
 *      memfd, sealed against shrinking, mapped by these two alone
 *      +------------------------------------------------------------+
 *      | head: who sleeps, what is to be done, crash report         |  one line for each writer
 *      | modules: files that functions are in, by build id          |  written by the host, appended to
 *      | entries: LANE_ENTRIES of one cache line each, a ring       |  below
 *      | notes: what only some jobs need, one for each entry        |
 *      | places: LANE_PLACE_BYTES for each entry, small spans       |
 *      | data: larger spans, allocated by the host                  |
 *      +------------------------------------------------------------+
 *
 * Entry number n (from 0, for ever) lies at n % entries. Its state is the whole protocol:
 *
 *      FREE -> READY (host) -> CLAIMED (worker) -> DONE (worker) -> FREE (host, as of the next lap)
 *                          \-> TAKEN (host: taken back) -> SKIPPED (worker has seen it) -> FREE
 *
 * READY to CLAIMED and READY to TAKEN are compare-and-swap: exactly one of them happens. The worker goes from
 * entry to entry in order and the host collects in that order, so that there is no index that one could
 * give the other. The lap is part of the state, so that an old one is never mistaken for a new one.
 *
 * The host believes nothing: from a worker it takes the state (which must be one that may follow), the
 * result, the time a job began, and text. All else that it needs (which job, where its spans are) it keeps
 * itself.
 *
 * Sleeping, Dekker's way: the worker sets asleep, then looks at its next entry once more, then waits on the
 * futex; the host makes an entry READY, then looks at asleep. The host sets listening, then looks at all
 * entries that are out once more, then sleeps; the worker makes an entry DONE, then exchanges listening for 0
 * and rings the doorbell if it was 1. */
#ifndef OURO_EXECUTORS_LANE_H
#define OURO_EXECUTORS_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum lane_state {
        LANE_FREE,
        LANE_READY,
        LANE_CLAIMED,
        LANE_DONE,
        LANE_TAKEN,
        LANE_SKIPPED,
        LANE_STATE_MASK = 7,
};

enum {
        LANE_LAP = 8,           /* state = lap * LANE_LAP | enum lane_state, modulo 2^32 */
        LANE_PLACE_BYTES = 512, /* in and out of a small job, each rounded up to 16 */
        LANE_MODULES_MOST = 256,
        LANE_FRAMES_MOST = 64,
        LANE_TEXT_BYTES = 8192, /* a backtrace */
};

enum lane_flag {
        LANE_IN_ADDRESS = 1,  /* in is an address in the arena, not an offset in the lane */
        LANE_OUT_ADDRESS = 2, /* likewise out */
        LANE_TIMED = 4,       /* the worker notes when it began and ended */
        LANE_MAP = 8,         /* fn is called for each item, see the note */
        LANE_SMALL_STEP = 16, /* reserved for the engine */
};

struct lane_entry {
        _Atomic uint32_t state;
        uint16_t flags; /* enum lane_flag */
        uint16_t attempt;
        uint64_t module_fn; /* module number << 48 | offset of the function from the module's load bias */
        uint64_t in, in_len;
        uint64_t out, out_len;
        int64_t result;
        uint64_t unused;
};

_Static_assert(sizeof(struct lane_entry) == 64, "one cache line");

/* What only some jobs need. */
struct lane_note {
        _Atomic int cancelled;    /* host: the job's token; LANE futex word, woken when it is set */
        _Atomic int64_t began_ns; /* worker: CLOCK_MONOTONIC; 0: not yet. Cleared by the host before READY */
        _Atomic int64_t ended_ns; /* worker */
        uint64_t item_bytes;      /* LANE_MAP: in_len is a multiple of it, or it is 0 */
        uint64_t result_bytes;    /* LANE_MAP */
        uint64_t items;           /* LANE_MAP: how many */
        uint64_t values;          /* LANE_MAP: offset or address of intptr_t[items]; where fn's results go */
        uint64_t unused;
};

_Static_assert(sizeof(struct lane_note) == 64, "one cache line");

/* A file that functions are in. Written once, before the entries that refer to it. */
struct lane_module {
        uint8_t id[32]; /* build id, or a hash of its text if it has none */
        uint32_t id_bytes;
        uint32_t by_hash; /* id is a hash */
        char path[472];   /* to load it from if the worker does not have it; "": the program itself */
};

_Static_assert(sizeof(struct lane_module) == 512, "an even number of them on a page");

enum lane_phase {
        LANE_STARTING, /* before and in the initializer */
        LANE_WORKING,
        LANE_BROKEN, /* the initializer has failed: phase_error */
        LANE_ENDING, /* has been told to stop, and is in the finalizer */
};

struct lane_head {
        /* Written by the host before the worker is started. */
        uint32_t entries; /* a power of two */
        uint32_t worker;  /* its number */
        uint64_t bytes;   /* of the whole mapping, data included */
        uint64_t modules_at, entries_at, notes_at, places_at, data_at;

        /* Written by the host. */
        _Alignas(64) _Atomic uint32_t listening; /* 1: ring the doorbell; set to 0 by who does */
        _Alignas(64) _Atomic uint32_t stop;      /* 1: end when the next entry is not READY */
        _Atomic uint32_t modules;

        /* Written by the worker. */
        _Alignas(64) _Atomic uint32_t asleep; /* 1: waits on this word */
        _Atomic uint32_t phase;               /* enum lane_phase */
        _Atomic int32_t phase_error;
        _Atomic uint64_t resident_bytes; /* after its last job, if the pool asked for that */

        /* Written by the worker as it dies. */
        _Alignas(64) _Atomic uint32_t crashed; /* signal; text is complete */
        char text[LANE_TEXT_BYTES];
};

/* A lane as one of the two sees it. */
struct lane {
        char *base;
        struct lane_head *head;
        struct lane_module *modules;
        struct lane_entry *entries;
        struct lane_note *notes;
        char *places;
        uint64_t bytes;
        uint32_t mask; /* entries - 1 */
};

/* ---- host ---- */

/* Makes one: a memfd of so many bytes in data (address space and, as it is used, memory), mapped. 0, -ENOMEM,
 * -EMFILE, -ENFILE. The caller closes the descriptor when the worker has it. */
int lane_create(struct lane *lane, uint32_t worker, uint32_t entries, uint64_t data_bytes, int *ret_fd);

/* ---- worker ---- */

/* Maps one from its descriptor, MADV_DONTFORK. */
int lane_attach(struct lane *lane, int fd);

void lane_unmap(struct lane *lane);

static inline uint32_t lane_lap(const struct lane *lane, uint64_t n)
{
        return (uint32_t)(n >> __builtin_ctz(lane->mask + 1)) * LANE_LAP; /* a division takes 10 ns */
}

static inline struct lane_entry *lane_entry(const struct lane *lane, uint64_t n)
{
        return &lane->entries[n & lane->mask];
}

static inline struct lane_note *lane_note(const struct lane *lane, uint64_t n)
{
        return &lane->notes[n & lane->mask];
}

/* Where the small spans of entry n are, from the lane's base. */
static inline uint64_t lane_place(const struct lane *lane, uint64_t n)
{
        return (uint64_t)(lane->places - lane->base) + (n & lane->mask) * LANE_PLACE_BYTES;
}

#endif
