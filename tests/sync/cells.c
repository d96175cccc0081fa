/* Of lib/sync/cells.c: a bounded queue without a lock, seen by one thread. (tests/tsan/shared.c has many.) */
#include <criterion/criterion.h>
#include <stdint.h>

#include "support/leaks.h"
#include "sync/cells.h"

TestSuite(cells, .init = leaks_begin, .fini = leaks_end);

Test(cells, positions_of_any_capacity_are_each_used_once_a_lap)
{
        for (size_t capacity = 1; capacity < 70; capacity++) {
                struct cells cells;
                uint64_t position = 0;

                cr_assert(cells_init(&cells, 8, capacity));
                for (size_t i = 0; i < 5 * capacity; i++) {
                        cr_assert_eq(cells_at(&cells, position),
                                     (void *)(cells.base + i % capacity * cells.cell_bytes));
                        position = cells_next(&cells, position);
                }
                cells_destroy(&cells);
        }
}

Test(cells, counts_puts_and_what_is_in_it_over_laps)
{
        for (size_t capacity = 1; capacity < 6; capacity++) {
                struct cells cells;
                uint64_t puts = 0, takes = 0, item;

                cr_assert(cells_init(&cells, sizeof item, capacity));
                for (int lap = 0; lap < 7; lap++) {
                        while (cells_put(&cells, &puts) == 0)
                                puts++;
                        cr_assert_eq(cells_len(&cells), capacity);
                        cr_assert_eq(puts, takes + capacity);
                        cr_assert_eq(cells_count_puts(&cells), puts);
                        do {
                                cr_assert_eq(cells_take(&cells, &item), 0);
                                cr_assert_eq(item, takes++);
                        } while (takes < puts - (capacity > 1));
                }
                cells_destroy(&cells);
        }
}

Test(cells, goes_on_near_the_end_of_its_positions)
{
        const uint64_t last = (CELLS_CLOSED - 1) & ~UINT64_C(3);
        struct cells cells;
        uint64_t item = 0;

        cr_assert(cells_init(&cells, sizeof item, 3)); /* laps of 4 */
        for (uint64_t i = 0; i < 3; i++)
                atomic_store(&cells_at(&cells, i)->turn, last - 4 + i);
        atomic_store(&cells.head, last - 4);
        atomic_store(&cells.tail, last - 4);
        for (uint64_t i = 0; i < 5; i++) {
                cr_assert_eq(cells_put(&cells, &i), 0);
                cr_assert_eq(cells_take(&cells, &item), 0);
                cr_assert_eq(item, i);
                cr_assert(!cells_is_closed(&cells));
        }
        cells_destroy(&cells);
}

Test(cells, closed_is_drained_when_all_was_taken)
{
        struct cells cells;
        uint64_t item = 'a';

        cr_assert(cells_init(&cells, sizeof item, 2));
        cr_assert_eq(cells_put(&cells, &item), 0);
        cr_assert(!cells_is_drained(&cells));
        cr_assert(cells_close(&cells));
        cr_assert(!cells_close(&cells));
        cr_assert(cells_is_closed(&cells));
        cr_assert(!cells_is_drained(&cells));
        cr_assert_eq(cells_put(&cells, &item), -EPIPE);
        cr_assert_eq(cells_len(&cells), 1u);
        cr_assert_eq(cells_take(&cells, &item), 0);
        cr_assert(cells_is_drained(&cells));
        cr_assert_eq(cells_take(&cells, &item), -EAGAIN);
        cr_assert_eq(cells_count_puts(&cells), 1u);
        cells_destroy(&cells);
}

Test(cells, of_none_are_always_full_and_always_empty)
{
        struct cells cells;
        uint64_t item = 'a';

        cr_assert(cells_init(&cells, sizeof item, 0));
        cr_assert_eq(cells_put(&cells, &item), -EAGAIN);
        cr_assert_eq(cells_take(&cells, &item), -EAGAIN);
        cr_assert_eq(cells_len(&cells), 0u);
        cr_assert(cells_close(&cells));
        cr_assert_eq(cells_put(&cells, &item), -EPIPE);
        cr_assert(cells_is_drained(&cells));
        cells_destroy(&cells);
}

/* A put that is half done: its position is taken, its item is not there yet. */
Test(cells, put_that_is_half_done_is_not_taken_and_keeps_the_end_away)
{
        struct cells cells;
        uint64_t item = 'a';

        cr_assert(cells_init(&cells, sizeof item, 2));
        atomic_store(&cells.tail, cells_next(&cells, 0));
        cr_assert_eq(cells_take(&cells, &item), -EAGAIN);
        cr_assert(cells_close(&cells));
        cr_assert(!cells_is_drained(&cells), "an item is still to come");
        item = 'b';
        memcpy(cells_at(&cells, 0)->item, &item, sizeof item);
        item = 0;
        atomic_store(&cells_at(&cells, 0)->turn, 1);
        cr_assert_eq(cells_take(&cells, &item), 0);
        cr_assert_eq(item, 'b');
        cr_assert(cells_is_drained(&cells));
        cells_destroy(&cells);
}
