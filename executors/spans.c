/* spans.c - a job's bytes on their way into a lane and out of it.
 *
 *      +------------------+------------------+---------------------+
 *      | in               | out              | values (of a map)   |  each rounded up to 16 bytes
 *      +------------------+------------------+---------------------+
 *
 * In the place of the job's entry if they are small, else in a block of the lane's data. What lies in the
 * arena is not copied, and takes no part in this. Where things are is reckoned from our own record, never
 * from the lane. */
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "executors/arena.h"
#include "executors/job_map.h"
#include "executors/process_pool.h"

enum { ROUND = 16 };

static uint64_t round_up(uint64_t bytes)
{
        return (bytes + ROUND - 1) & ~(uint64_t)(ROUND - 1);
}

static uint64_t in_bytes(const struct record *record)
{
        return record->flags & LANE_IN_ADDRESS ? 0 : round_up(record->job->in.len);
}

static uint64_t out_bytes(const struct record *record)
{
        return record->flags & LANE_OUT_ADDRESS ? 0 : round_up(record->job->out.len);
}

static uint64_t values_bytes(const struct job_map *map)
{
        return map && map->values ? map->items * sizeof(intptr_t) : 0;
}

static const struct job_map *map_of(const struct record *record)
{
        return record->flags & LANE_MAP ? job_map_of(record->job) : NULL;
}

/* A span in the arena is lent, not copied; in an arena of one worker it also says who runs the job. */
static int look_for_arena(struct process_pool *pool, struct record *record, const void *base, size_t len,
                          enum lane_flag flag)
{
        struct seat *seat;
        unsigned number;

        if (likely(!pool->arena) || len == 0 || !arena_contains(pool->arena, base, len, &number))
                return 0;
        record->flags |= (uint16_t)flag;
        if (!pool->options.arena_per_worker)
                return 0;
        seat = &pool->seats[number];
        if (record->seat && record->seat != seat)
                return -EINVAL;
        record->seat = seat;
        return 0;
}

int spans_fit(struct process_pool *pool, struct record *record)
{
        const struct ouro_job *job = record->job;
        const struct job_map *map = job_map_of(job);
        int error = look_for_arena(pool, record, job->in.base, job->in.len, LANE_IN_ADDRESS);

        if (error == 0)
                error = look_for_arena(pool, record, job->out.base, job->out.len, LANE_OUT_ADDRESS);
        if (unlikely(error < 0))
                return error;
        if (unlikely(map))
                record->flags |= LANE_MAP;
        record->block = -1;
        record->bytes = in_bytes(record) + out_bytes(record);
        if (likely(record->bytes <= LANE_PLACE_BYTES && !map && job->in.len <= pool->data_bytes &&
                   job->out.len <= pool->data_bytes)) /* the sum may have wrapped */
                return 0;
        if ((!(record->flags & LANE_IN_ADDRESS) && job->in.len > pool->data_bytes) ||
            (!(record->flags & LANE_OUT_ADDRESS) && job->out.len > pool->data_bytes) ||
            (map && map->items > pool->data_bytes / sizeof(intptr_t)))
                return -EMSGSIZE;
        record->bytes += values_bytes(map);
        return record->bytes <= pool->data_bytes ? 0 : -EMSGSIZE;
}

/* In the data of the worker that the job is for, unless the entry's place will do. */
bool spans_reserve(struct worker *worker, struct record *record)
{
        if (likely(record->bytes <= LANE_PLACE_BYTES))
                return true;
        record->block = buddy_alloc(&worker->data, record->bytes);
        return record->block >= 0;
}

bool spans_in_long(const struct record *record)
{
        return unlikely(record->block >= 0) && in_bytes(record) > COPY_LOCKED_BYTES;
}

/* To give a block's memory back takes time, too. */
bool spans_out_long(const struct record *record)
{
        return unlikely(record->block >= 0) &&
               (out_bytes(record) + values_bytes(map_of(record)) > COPY_LOCKED_BYTES ||
                (uint64_t)record->block + record->bytes > DATA_KEPT_BYTES);
}

void spans_copy_in(struct record *record, uint64_t at)
{
        const struct ouro_in in = record->job->in;

        if (in.len > 0 && !(record->flags & LANE_IN_ADDRESS))
                memcpy(record->worker->lane.base + at, in.base, in.len);
}

void spans_copy_out(struct record *record, uint64_t at)
{
        const struct ouro_out out = record->job->out;
        const struct job_map *map = map_of(record);
        const char *from = record->worker->lane.base + at + in_bytes(record);

        if (out.len > 0 && !(record->flags & LANE_OUT_ADDRESS))
                memcpy(out.base, from, out.len);
        if (unlikely(values_bytes(map)))
                memcpy(map->values, from + out_bytes(record), values_bytes(map));
}

static void describe_map(const struct record *record, uint64_t at, struct lane_note *note)
{
        const struct job_map *map = map_of(record);

        note->items = map->items;
        note->item_bytes = map->item_bytes;
        note->result_bytes = map->result_bytes;
        note->values = map->values ? at + in_bytes(record) + out_bytes(record) : 0;
}

/* What the worker is told. */
void spans_describe(struct record *record, uint64_t at, struct lane_entry *entry, struct lane_note *note)
{
        const struct ouro_job *job = record->job;

        entry->in = record->flags & LANE_IN_ADDRESS ? (uint64_t)(uintptr_t)job->in.base : at;
        entry->in_len = job->in.len;
        entry->out =
                record->flags & LANE_OUT_ADDRESS ? (uint64_t)(uintptr_t)job->out.base : at + in_bytes(record);
        entry->out_len = job->out.len;
        if (unlikely(record->flags & LANE_MAP))
                describe_map(record, at, note);
}

/* Memory beyond what a lane keeps goes back to the system as soon as its block is free. Blocks are taken from
 * the front, so that a lane's jobs of moderate size reuse memory that is there. */
void spans_give_memory_back(struct record *record)
{
        struct worker *worker = record->worker;
        uint64_t from = (uint64_t)record->block, to = from + buddy_round_up(&worker->data, record->bytes);

        if (from < DATA_KEPT_BYTES)
                from = DATA_KEPT_BYTES;
        if (from < to)
                (void)sys_result(madvise(worker->lane.base + worker->data_at + from, to - from, MADV_REMOVE));
}

void spans_release(struct record *record)
{
        if (likely(record->block < 0))
                return;
        buddy_free(&record->worker->data, (uint64_t)record->block);
        record->block = -1;
}
