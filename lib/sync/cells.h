/* cells.h - a bounded queue that several threads put items into and take them out of, without a lock.
 *
 * The algorithm is Dmitry Vyukov's bounded MPMC queue (1024cores.net): each cell has a number that tells
 * whose turn it is, so that a position is won by one compare-and-swap and the item then copied at leisure.
 *
 *      position   lap | index: the index counts the cells, the lap goes up when it starts again, so that a
 *                 capacity need be no power of two and finding a cell takes no division
 *      turn       of a cell: position = free for that put; position + 1 = full, for that take;
 *                 position + lap = free for the put of the next lap
 *      tail       next position to put at, and CELLS_CLOSED. All puts that have won a position did so before
 * it was closed; so it is drained when head has reached tail
 *
 * -EAGAIN means full or empty; it may also mean that another thread is in the middle of a put or take at that
 * place. A queue of capacity 0 is always both. */
#ifndef OURO_SYNC_CELLS_H
#define OURO_SYNC_CELLS_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

#define CELLS_CLOSED (UINT64_C(1) << 63)

struct cell {
        _Atomic uint64_t turn;
        char item[];
};

struct cells {
        size_t item_bytes;
        size_t cell_bytes;
        size_t capacity;
        uint64_t lap; /* a power of two, greater than capacity */
        char *base;
        size_t bytes; /* of all cells */
        _Alignas(64) _Atomic uint64_t tail;
        _Alignas(64) _Atomic uint64_t head;
};

/* False: no memory, or too many bytes. */
bool cells_init(struct cells *cells, size_t item_bytes, size_t capacity);
void cells_destroy(struct cells *cells);

size_t cells_len(const struct cells *cells);
uint64_t cells_count_puts(const struct cells *cells); /* since it was made */

static inline struct cell *cells_at(const struct cells *cells, uint64_t position)
{
        return (struct cell *)(void *)(cells->base + (position & (cells->lap - 1)) * cells->cell_bytes);
}

static inline uint64_t cells_next(const struct cells *cells, uint64_t position)
{
        uint64_t index = position & (cells->lap - 1);

        return likely(index + 1 < cells->capacity) ? position + 1 : position - index + cells->lap;
}

static inline void cells_copy(const struct cells *cells, void *to, const void *from)
{
        if (likely(cells->item_bytes == sizeof(uint64_t)))
                memcpy(to, from, sizeof(uint64_t));
        else if (cells->item_bytes)
                memcpy(to, from, cells->item_bytes);
}

/* 0, -EAGAIN, -EPIPE. */
static inline int cells_put(struct cells *cells, const void *item)
{
        uint64_t tail = atomic_load_explicit(&cells->tail, memory_order_relaxed), now;

        for (;;) {
                struct cell *cell = cells_at(cells, tail);
                uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

                if (unlikely(tail & CELLS_CLOSED))
                        return -EPIPE;
                if (likely(turn == tail)) {
                        if (likely(atomic_compare_exchange_weak_explicit(
                                    &cells->tail, &tail, cells_next(cells, tail), memory_order_relaxed,
                                    memory_order_relaxed))) {
                                cells_copy(cells, cell->item, item);
                                atomic_store_explicit(&cell->turn, tail + 1, memory_order_release);
                                return 0;
                        }
                        continue;
                }
                now = atomic_load_explicit(&cells->tail, memory_order_relaxed);
                if (now == tail && (int64_t)(turn - tail) < 0)
                        return -EAGAIN;
                tail = now;
        }
}

/* 0, -EAGAIN. */
static inline int cells_take(struct cells *cells, void *ret_item)
{
        uint64_t head = atomic_load_explicit(&cells->head, memory_order_relaxed), now;

        for (;;) {
                struct cell *cell = cells_at(cells, head);
                uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

                if (likely(turn == head + 1)) {
                        if (likely(atomic_compare_exchange_weak_explicit(
                                    &cells->head, &head, cells_next(cells, head), memory_order_relaxed,
                                    memory_order_relaxed))) {
                                cells_copy(cells, ret_item, cell->item);
                                atomic_store_explicit(&cell->turn, head + cells->lap, memory_order_release);
                                return 0;
                        }
                        continue;
                }
                now = atomic_load_explicit(&cells->head, memory_order_relaxed);
                if (now == head && (int64_t)(turn - head) < 1)
                        return -EAGAIN;
                head = now;
        }
}

/* A take would not find it empty, as far as one can see; likewise a put. */
static inline bool cells_can_take(const struct cells *cells)
{
        uint64_t head = atomic_load_explicit(&cells->head, memory_order_relaxed);

        return (int64_t)(atomic_load_explicit(&cells_at(cells, head)->turn, memory_order_relaxed) - head) >=
               1;
}

static inline bool cells_can_put(const struct cells *cells)
{
        uint64_t tail = atomic_load_explicit(&cells->tail, memory_order_relaxed) & ~CELLS_CLOSED;

        return (int64_t)(atomic_load_explicit(&cells_at(cells, tail)->turn, memory_order_relaxed) - tail) >=
               0;
}

/* From here on no put succeeds. False: it was closed. */
static inline bool cells_close(struct cells *cells)
{
        return !(atomic_fetch_or(&cells->tail, CELLS_CLOSED) & CELLS_CLOSED);
}

static inline bool cells_is_closed(const struct cells *cells)
{
        return atomic_load_explicit(&cells->tail, memory_order_acquire) & CELLS_CLOSED;
}

/* Closed, and all that was put has been taken: nothing will ever come. */
static inline bool cells_is_drained(const struct cells *cells)
{
        uint64_t tail = atomic_load_explicit(&cells->tail, memory_order_acquire);

        return tail & CELLS_CLOSED &&
               atomic_load_explicit(&cells->head, memory_order_acquire) == (tail & ~CELLS_CLOSED);
}

#endif
