/* job_queue.c - see job_queue.h. */
#include <errno.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/check.h"
#include "executors/job_queue.h"

static const size_t CLOSED = (size_t)1 << (sizeof(size_t) * 8 - 1);

int job_queue_init(struct job_queue *queue, size_t capacity)
{
        size_t size = 2; /* with one cell, its turns for pushing and popping would be the same number */

        while (size < capacity)
                size *= 2;
        queue->cells = mem_calloc(size * sizeof *queue->cells);
        if (!queue->cells)
                return -ENOMEM;
        queue->mask = size - 1;
        atomic_init(&queue->pushed, 0);
        atomic_init(&queue->seen, 0);
        atomic_init(&queue->popped, 0);
        return 0;
}

void job_queue_fini(struct job_queue *queue)
{
        if (queue->cells)
                mem_free(queue->cells, (queue->mask + 1) * sizeof *queue->cells);
        queue->cells = NULL; /* so that it may be undone twice */
}

/* The turn that a cell has, given its index. */
static size_t turn_of(struct job_cell *cell, size_t index)
{
        return atomic_load_explicit(&cell->turn, memory_order_acquire) + index;
}

/* Whether capacity jobs lie before position, as far as is known. */
static bool seems_full(struct job_queue *queue, size_t position, size_t capacity)
{
        size_t popped;

        if (likely(position - atomic_load_explicit(&queue->seen, memory_order_relaxed) < capacity))
                return false;
        popped = atomic_load(&queue->popped);
        atomic_store_explicit(&queue->seen, popped, memory_order_relaxed);
        return (intptr_t)(position - popped) >= (intptr_t)capacity;
}

int job_queue_push(struct job_queue *queue, struct ouro_job *job, size_t capacity)
{
        size_t position = atomic_load_explicit(&queue->pushed, memory_order_relaxed), index;
        struct job_cell *cell;

        for (;;) {
                index = position & queue->mask;
                cell = &queue->cells[index];
                if (unlikely(position & CLOSED))
                        return -ESHUTDOWN;
                if (unlikely(seems_full(queue, position, capacity))) {
                        size_t now = atomic_load(&queue->pushed);

                        if (now == position)
                                return -EAGAIN;
                        position = now; /* what was read is old: others have pushed and popped */
                        continue;
                }
                if (turn_of(cell, index) != position) {
                        position = atomic_load(&queue->pushed); /* its last consumer is not out of it */
                        continue;
                }
                if (atomic_compare_exchange_weak(&queue->pushed, &position, position + 1))
                        break;
        }
        cell->job = job;
        atomic_store_explicit(&cell->turn, position + 1 - index, memory_order_release);
        return 0;
}

struct ouro_job *job_queue_pop(struct job_queue *queue)
{
        size_t position = atomic_load_explicit(&queue->popped, memory_order_relaxed), index;
        struct job_cell *cell;
        struct ouro_job *job;

        for (;;) {
                intptr_t ahead;

                index = position & queue->mask;
                cell = &queue->cells[index];
                ahead = (intptr_t)(turn_of(cell, index) - (position + 1));
                if (ahead < 0)
                        return NULL; /* empty, or its producer is not out of it */
                if (ahead == 0 && atomic_compare_exchange_weak(&queue->popped, &position, position + 1))
                        break;
                if (ahead > 0)
                        position = atomic_load_explicit(&queue->popped, memory_order_relaxed);
        }
        job = cell->job;
        atomic_store_explicit(&cell->turn, position + queue->mask + 1 - index, memory_order_release);
        return job;
}

void job_queue_close(struct job_queue *queue)
{
        atomic_fetch_or(&queue->pushed, CLOSED);
}

bool job_queue_ended(struct job_queue *queue)
{
        size_t pushed = atomic_load(&queue->pushed);

        return (pushed & CLOSED) && (pushed & ~CLOSED) == atomic_load(&queue->popped);
}

size_t job_queue_count(struct job_queue *queue)
{
        size_t popped = atomic_load(&queue->popped), pushed = atomic_load(&queue->pushed) & ~CLOSED;

        return pushed > popped ? pushed - popped : 0;
}

size_t job_queue_popped(struct job_queue *queue)
{
        return atomic_load(&queue->popped);
}
