/* cells.c - making and counting the cells of a bounded queue. */
#include "base/alloc.h"
#include "sync/cells.h"

/* Where a capacity of 0 has its one cell stand: full for whoever puts, empty for whoever takes, for ever. */
static const uint64_t TURN_NEVER = (uint64_t)-2;

/* Bytes of a cell, and of all. False: too many. */
static bool measure(struct cells *cells)
{
        size_t n = cells->capacity ? cells->capacity : 1;

        if (cells->capacity > SIZE_MAX / 8 ||
            __builtin_add_overflow(cells->item_bytes, sizeof(struct cell) + 7, &cells->cell_bytes))
                return false;
        cells->cell_bytes &= ~(size_t)7;
        return !__builtin_mul_overflow(n, cells->cell_bytes, &cells->bytes) && cells->bytes <= SIZE_MAX / 2;
}

bool cells_init(struct cells *cells, size_t item_bytes, size_t capacity)
{
        *cells = (struct cells){.item_bytes = item_bytes, .capacity = capacity, .lap = 1};
        if (!measure(cells))
                return false;
        while (cells->lap <= capacity)
                cells->lap *= 2;
        cells->base = mem_alloc_lines(cells->bytes);
        if (!cells->base)
                return false;
        for (size_t i = 0; i < capacity; i++)
                atomic_init(&cells_at(cells, i)->turn, i);
        if (capacity == 0)
                atomic_init(&cells_at(cells, 0)->turn, TURN_NEVER);
        return true;
}

void cells_destroy(struct cells *cells)
{
        mem_free_lines(cells->base, cells->bytes);
}

/* How many positions lie before this one. */
static uint64_t count(const struct cells *cells, uint64_t position)
{
        uint64_t index = position & (cells->lap - 1);

        return (position - index) / cells->lap * cells->capacity + index;
}

uint64_t cells_count_puts(const struct cells *cells)
{
        return count(cells, atomic_load(&cells->tail) & ~CELLS_CLOSED);
}

size_t cells_len(const struct cells *cells)
{
        /* Read in this order, head cannot be beyond tail; tail may have gone on, round and round. */
        uint64_t head = count(cells, atomic_load(&cells->head)), tail = cells_count_puts(cells);

        return tail - head < cells->capacity ? tail - head : cells->capacity;
}
