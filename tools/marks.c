/* marks.c - which job ran how often, and what its waiter was told.
 *
 * Four bytes a job, in chunks that never move. A sweep reads the runs without an order: it comes after the
 * pool has been closed. */
#include "marks.h"

#include <stdlib.h>

enum {
        CHUNK_MARKS = 1 << 15,
};

static int add_chunk(struct marks *marks)
{
        struct mark **more;

        if (marks->chunk_count == marks->chunk_room) {
                size_t room = marks->chunk_room ? 2 * marks->chunk_room : 64;

                more = realloc(marks->chunks, room * sizeof(*more));
                if (!more)
                        return -1;
                marks->chunks = more;
                marks->chunk_room = room;
        }
        marks->chunks[marks->chunk_count] = calloc(CHUNK_MARKS, sizeof(struct mark));
        if (!marks->chunks[marks->chunk_count])
                return -1;
        marks->chunk_count++;
        return 0;
}

struct mark *marks_add(struct marks *marks)
{
        struct mark *mark;

        if (marks->used == marks->chunk_count * CHUNK_MARKS && add_chunk(marks) < 0)
                return NULL;
        mark = &marks->chunks[marks->used / CHUNK_MARKS][marks->used % CHUNK_MARKS];
        marks->used++;
        return mark;
}

struct mark *marks_at(const struct marks *marks, uint64_t number)
{
        if (number >= marks->used)
                return NULL;
        return &marks->chunks[number / CHUNK_MARKS][number % CHUNK_MARKS];
}

void mark_ran(struct mark *mark)
{
        /* Were it to wrap, 256 runs would look like none. */
        if (atomic_fetch_add_explicit(&mark->runs, 1, memory_order_relaxed) == UINT8_MAX)
                atomic_store_explicit(&mark->runs, UINT8_MAX, memory_order_relaxed);
}

bool mark_ran_again(struct mark *mark, unsigned attempt)
{
        uint8_t bit = (uint8_t)(1u << (attempt < 8 ? attempt : 7));
        bool seen = mark->attempts & bit;

        mark_ran(mark);
        mark->attempts |= bit;
        return !seen && attempt <= mark->retries;
}

static void sweep_one(const struct mark *mark, struct job_totals *job)
{
        unsigned runs = atomic_load_explicit(&mark->runs, memory_order_relaxed);

        job->submitted++;
        job->runs += runs;
        if (runs > 1u + mark->retries)
                job->repeated++;
        switch ((enum mark_fate)mark->fate) {
        case MARK_OPEN:
                job->untold++;
                break;
        case MARK_DONE:
                job->done++;
                if (runs == 0)
                        job->lost++;
                break;
        case MARK_CANCELLED:
                job->cancelled++;
                job->cut_runs += runs > 0;
                break;
        case MARK_DIED:
                job->died++;
                break;
        case MARK_FAILED:
                job->failed++;
                break;
        }
}

void marks_sweep(const struct marks *marks, struct job_totals *job)
{
        for (size_t i = 0; i < marks->used; i++)
                sweep_one(&marks->chunks[i / CHUNK_MARKS][i % CHUNK_MARKS], job);
}

void marks_free(struct marks *marks)
{
        for (size_t i = 0; i < marks->chunk_count; i++)
                free(marks->chunks[i]);
        free(marks->chunks);
        *marks = (struct marks){0};
}
