/* stats.c - what an executor has done so far.
 *
 * Each thread counts in a line of its own, with plain additions: a counter that several threads add to costs
 * more than the rest of a job. The line is known by the address of a variable of the thread. A thread that
 * has ended leaves its line; another may later have that address, and then it goes on counting in it. Who
 * finds no free line counts in the last, with atomic additions. */
#include <errno.h>

#include "executors/job.h"

enum { SHARD_LOOKS = 4 };

_Static_assert(SHARDS == 64, "count_place() gives as many places");

__thread char count_self __attribute__((tls_model("initial-exec")));

/* The calling thread's shard, or the last. */
static struct count_shard *shard_here(struct executor_state *state)
{
        for (size_t i = 0; i < SHARD_LOOKS; i++) {
                struct count_shard *shard = &state->shards[(count_place() + i) % SHARDS];
                const void *owner = atomic_load_explicit(&shard->owner, memory_order_relaxed);

                if (owner == &count_self ||
                    (!owner && atomic_compare_exchange_strong(&shard->owner, &owner, &count_self)))
                        return shard;
        }
        return &state->shards[SHARDS];
}

/* Not in the place where it looks first, or for the first time. */
void executor_count_elsewhere(struct executor_state *state, enum count_what what, int64_t n)
{
        atomic_fetch_add_explicit(&shard_here(state)->counts[what], (uint64_t)n, memory_order_relaxed);
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

static uint64_t read_count(struct executor_state *state, enum count_what what)
{
        uint64_t sum = 0;

        for (size_t i = 0; i <= SHARDS; i++)
                sum += atomic_load(&state->shards[i].counts[what]);
        return sum;
}

/* What has ended is read before what was submitted, so that there is never more of it. */
static void read_counts(struct executor_state *state, struct ouro_stats *stats)
{
        stats->done = read_count(state, COUNT_DONE);
        stats->failed = read_count(state, COUNT_FAILED);
        stats->cancelled = read_count(state, COUNT_CANCELLED);
        stats->submitted = read_count(state, COUNT_SUBMITTED);
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
        if (executor_is_inherited(executor))
                return -EPERM;
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
