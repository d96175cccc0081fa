/* stats.c - what an executor has done so far.
 *
 * Each thread counts in a line of its own, with plain additions: a counter that several threads add to costs
 * more than the rest of a job. The line is known by the address of a variable of the thread. A thread that
 * has ended leaves its line; another may later have that address, and then it goes on counting in it. Who
 * finds no free line counts in the last, with atomic additions. */
#include <errno.h>

#include "executors/job.h"

enum { SHARD_LOOKS = 4 };

static __thread char this_thread __attribute__((tls_model("initial-exec")));

static _Atomic uint64_t *counter(struct count_shard *shard, enum count_what what)
{
        switch (what) {
        case COUNT_SUBMITTED:
                return &shard->submitted;
        case COUNT_DONE:
                return &shard->done;
        case COUNT_FAILED:
                return &shard->failed;
        default:
                return &shard->cancelled;
        }
}

/* The calling thread's line, or the last. */
static inline struct count_shard *shard_here(struct executor_state *state)
{
        const void *self = &this_thread;
        size_t start = ((uintptr_t)self >> 12) * 0x9e3779b97f4a7c15u >> 58;

        for (size_t i = 0; i < SHARD_LOOKS; i++) {
                struct count_shard *shard = &state->shards[(start + i) % SHARDS];
                const void *owner = atomic_load_explicit(&shard->owner, memory_order_relaxed);

                if (likely(owner == self))
                        return shard;
                if (!owner && atomic_compare_exchange_strong(&shard->owner, &owner, self))
                        return shard;
        }
        return &state->shards[SHARDS];
}

void executor_count(struct executor_state *state, enum count_what what, int64_t n)
{
        struct count_shard *shard = shard_here(state);
        _Atomic uint64_t *count = counter(shard, what);

        if (unlikely(shard == &state->shards[SHARDS]))
                atomic_fetch_add_explicit(count, (uint64_t)n, memory_order_relaxed);
        else
                atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + (uint64_t)n,
                                      memory_order_relaxed);
}

/* The bucket of so many ns: the number of the highest bit. */
static unsigned bucket(int64_t ns)
{
        return ns > 0 ? 63u - (unsigned)__builtin_clzll((uint64_t)ns) : 0;
}

void executor_count_times(ouro_executor *executor, int64_t wait_ns, int64_t run_ns)
{
        struct job_times *times = &((struct executor_state *)executor->state)->times;

        atomic_fetch_add_explicit(&times->wait_ns[bucket(wait_ns)], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&times->run_ns[bucket(run_ns)], 1, memory_order_relaxed);
}

/* What has ended is read before what was submitted, so that there is never more of it. */
static void read_counts(struct executor_state *state, struct ouro_stats *stats)
{
        for (size_t i = 0; i <= SHARDS; i++) {
                stats->done += atomic_load(&state->shards[i].done);
                stats->failed += atomic_load(&state->shards[i].failed);
                stats->cancelled += atomic_load(&state->shards[i].cancelled);
        }
        for (size_t i = 0; i <= SHARDS; i++)
                stats->submitted += atomic_load(&state->shards[i].submitted);
        for (size_t i = 0; i < OURO_STATS_BUCKETS; i++) {
                stats->wait_ns[i] = atomic_load(&state->times.wait_ns[i]);
                stats->run_ns[i] = atomic_load(&state->times.run_ns[i]);
        }
}

int ouro_executor_stats(ouro_executor *executor, struct ouro_stats *ret_stats)
{
        struct ouro_stats stats = {.size = sizeof stats};
        size_t size;

        if (!executor || !ret_stats)
                return -EINVAL;
        size = ret_stats->size; /* of an older header: it gets what it knows */
        if (size < sizeof size || size > sizeof stats)
                return -EINVAL;
        read_counts(executor->state, &stats);
        if (executor->ops->stats)
                executor->ops->stats(executor, &stats);
        stats.size = size;
        __builtin_memcpy(ret_stats, &stats, size);
        return 0;
}
