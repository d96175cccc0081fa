/* process_pool.h - the process pool of a stress run, and what is known of its processes. */
#ifndef OURO_TOOL_PROCESS_POOL_H
#define OURO_TOOL_PROCESS_POOL_H

#include "census.h"
#include "ledger.h"
#include "process.h"
#include "random.h"

#include <ouro.h>

struct stress;

struct processes {
        struct stress *stress;
        ouro_executor *pool;
        unsigned workers;
        bool chaos;
        bool bounded; /* workers have a limit of memory */
        struct ledger ledger;
        struct census census;
        /* Storm and calm, by turns, if chaos. Rounds belong to the epoch that they began in, storms to the
         * even ones, so that it can be awaited that whatever may harm has ended. */
        uint64_t epoch;
        uint64_t rounds_out[2]; /* by the epoch's last bit */
        bool striking;          /* the killer is not done yet */
        int64_t last_harm_ns;   /* when something last was, or may have been, killed */
        int64_t next_harm_ns;   /* when a job may again end its worker */
        struct random random;   /* for what belongs to no slot */
};

static inline bool processes_calm(const struct processes *processes)
{
        return processes->epoch % 2 == 1;
}

/* Opens the pool, ledger and census. Returns 0 or a negative errno. */
int processes_open(struct processes *processes, struct stress *stress);

/* Closes the pool, waits for its processes to go, and counts what they did. ret_strays: some did not. Returns
 * 0 or a negative errno. */
int processes_close(struct processes *processes, bool *ret_strays);

/* Tasks, each with a struct processes, that go on until they are cancelled. */
intptr_t processes_keep_books(void *processes);
intptr_t chaos_keep_census(void *processes);
intptr_t chaos_strike(void *processes);
intptr_t chaos_calm_now_and_then(void *processes);

/* A lull: waits until nothing may harm any more, then for the pool to be at full strength, and for each of
 * its workers to do a job; counts how long that took. Returns 0, or -ECANCELED, -ETIME: cut short. */
int chaos_calm(struct processes *processes);

#endif
