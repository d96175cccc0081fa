/* records.c - what the pool knows of each job, and the lines in which jobs wait. */
#include "base/alloc.h"
#include "executors/process_pool.h"

enum { SPARE_BATCH = 64 };

/* Records come by the thousand and stay with the pool: in batches, linked by link.next. */
struct batch {
        struct batch *older;
        struct record records[SPARE_BATCH];
};

bool records_add(struct process_pool *pool)
{
        struct batch *batch = mem_alloc(sizeof *batch);

        if (!batch)
                return false;
        batch->older = pool->batches;
        pool->batches = batch;
        for (int i = SPARE_BATCH - 1; i >= 0; i--)
                record_free(pool, &batch->records[i]);
        return true;
}

void records_release(struct process_pool *pool)
{
        while (pool->batches) {
                struct batch *batch = pool->batches;

                pool->batches = batch->older;
                mem_free(batch, sizeof *batch);
        }
}

/* ---- lines ---- */

void line_init(struct line *line)
{
        for (int i = 0; i < 3; i++)
                list_init(&line->jobs[i]);
        line->len = 0;
}

static struct line *line_of(struct process_pool *pool, const struct record *record)
{
        return record->seat ? &record->seat->bound : &pool->line;
}

void record_wait(struct process_pool *pool, struct record *record, bool in_front)
{
        struct line *line = line_of(pool, record);
        struct ouro_list *jobs = &line->jobs[OURO_PRIORITY_HIGH - record->priority];

        list_push(in_front ? jobs->next : jobs, &record->link);
        line->len++;
        record->state = RECORD_WAITS;
        record->worker = NULL;
        pool->waiting++;
        if (record->seat)
                pool->bound_waiting++;
}

void record_leave_line(struct process_pool *pool, struct record *record)
{
        list_del(&record->link);
        line_of(pool, record)->len--;
        pool->waiting--;
        if (record->seat)
                pool->bound_waiting--;
}
