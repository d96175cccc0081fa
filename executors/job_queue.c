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
        queue->cells = mem_alloc(size * sizeof *queue->cells);
        if (!queue->cells)
                return -ENOMEM;
        queue->mask = size - 1;
        queue->capacity = capacity;
        for (size_t i = 0; i < size; i++)
                atomic_init(&queue->cells[i].turn, i);
        atomic_init(&queue->pushed, 0);
        atomic_init(&queue->popped, 0);
        return 0;
}

void job_queue_fini(struct job_queue *queue)
{
        mem_free(queue->cells, (queue->mask + 1) * sizeof *queue->cells);
}

int job_queue_push(struct job_queue *queue, struct ouro_job *job)
{
        size_t position = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
        struct job_cell *cell;

        for (;;) {
                cell = &queue->cells[position & queue->mask];
                if (unlikely(position & CLOSED))
                        return -ESHUTDOWN;
                if (position - atomic_load(&queue->popped) >= queue->capacity) {
                        size_t now = atomic_load(&queue->pushed);

                        if (now == position)
                                return -EAGAIN;
                        position = now; /* what was read is old: others have pushed and popped */
                        continue;
                }
                if (atomic_load_explicit(&cell->turn, memory_order_acquire) != position) {
                        position = atomic_load(&queue->pushed); /* its last consumer is not out of it */
                        continue;
                }
                if (atomic_compare_exchange_weak(&queue->pushed, &position, position + 1))
                        break;
        }
        cell->job = job;
        atomic_store_explicit(&cell->turn, position + 1, memory_order_release);
        return 0;
}

struct ouro_job *job_queue_pop(struct job_queue *queue)
{
        size_t position = atomic_load_explicit(&queue->popped, memory_order_relaxed);
        struct job_cell *cell;
        struct ouro_job *job;

        for (;;) {
                intptr_t ahead;

                cell = &queue->cells[position & queue->mask];
                ahead = (intptr_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) - (position + 1));
                if (ahead < 0)
                        return NULL; /* empty, or its producer is not out of it */
                if (ahead == 0 && atomic_compare_exchange_weak(&queue->popped, &position, position + 1))
                        break;
                if (ahead > 0)
                        position = atomic_load_explicit(&queue->popped, memory_order_relaxed);
        }
        job = cell->job;
        atomic_store_explicit(&cell->turn, position + queue->mask + 1, memory_order_release);
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
