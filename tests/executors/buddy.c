/* buddy.c - the buddy allocator: every state of small ranges, and random use of a large one against a model.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "executors/buddy.h"
#include "support/leaks.h"
#include "support/limits.h"

TestSuite(buddy, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

/* ---- the model: one number for each least block ---- */

enum { LEAST = 64 };

struct model {
        unsigned *begins; /* blocks in the block that begins here, or 0 */
        bool *taken;
        unsigned n;
};

static struct model model_new(unsigned n)
{
        return (struct model){calloc(n, sizeof(unsigned)), calloc(n, sizeof(bool)), n};
}

static void model_free(struct model *model)
{
        free(model->begins);
        free(model->taken);
}

static bool has_room(const struct model *model, unsigned at, unsigned blocks)
{
        for (unsigned i = at; i < at + blocks; i++)
                if (model->taken[i])
                        return false;
        return true;
}

/* Some place that so many bytes would fit into. */
static bool fits(const struct model *model, unsigned blocks)
{
        for (unsigned at = 0; at + blocks <= model->n; at += blocks)
                if (has_room(model, at, blocks))
                        return true;
        return false;
}

static void mark(struct model *model, unsigned at, unsigned blocks, bool taken)
{
        model->begins[at] = taken ? blocks : 0;
        memset(model->taken + at, taken, blocks * sizeof(bool));
}

static unsigned blocks_for(uint64_t bytes)
{
        unsigned blocks = 1;

        while ((uint64_t)blocks * LEAST < bytes)
                blocks *= 2;
        return blocks;
}

/* One allocation in both; true if it was granted. */
static bool allocate(struct buddy *buddy, struct model *model, uint64_t bytes)
{
        unsigned blocks = blocks_for(bytes);
        int64_t offset = buddy_alloc(buddy, bytes);
        unsigned at = (unsigned)(offset / LEAST);

        if (offset < 0) {
                cr_assert(offset == -ENOMEM && !fits(model, blocks), "%lld for %llu", (long long)offset,
                          (unsigned long long)bytes);
                return false;
        }
        cr_assert(offset % ((int64_t)blocks * LEAST) == 0 && at + blocks <= model->n);
        cr_assert(has_room(model, at, blocks), "given away twice");
        mark(model, at, blocks, true);
        return true;
}

static void release(struct buddy *buddy, struct model *model, unsigned at)
{
        unsigned blocks = at < model->n ? model->begins[at] : 0;
        int64_t expected = blocks ? (int64_t)blocks * LEAST : -EINVAL;

        cr_assert(buddy_size_of(buddy, (uint64_t)at * LEAST) == expected);
        cr_assert(buddy_free(buddy, (uint64_t)at * LEAST) == expected);
        if (blocks)
                mark(model, at, blocks, false);
}

/* ---- every state of a small range ---- */

enum { SMALL = 8, STATES = 1024 };

struct states {
        struct buddy buddy;
        struct {
                uint8_t shortage[4 * SMALL];
                unsigned begins[SMALL];
                uint64_t used;
        } known[STATES];
        unsigned n;
};

static void load(struct states *states, unsigned i, struct model *model)
{
        memcpy(states->buddy.shortage, states->known[i].shortage, states->buddy.shortage_bytes);
        states->buddy.used = states->known[i].used;
        memset(model->taken, 0, model->n * sizeof(bool));
        memset(model->begins, 0, model->n * sizeof(unsigned));
        for (unsigned at = 0; at < model->n; at++)
                if (states->known[i].begins[at])
                        mark(model, at, states->known[i].begins[at], true);
}

/* The same blocks must always give the same tree, by whatever path they came to be. */
static void remember(struct states *states, const struct model *model)
{
        size_t bytes = states->buddy.shortage_bytes;

        for (unsigned i = 0; i < states->n; i++) {
                if (memcmp(states->known[i].begins, model->begins, model->n * sizeof(unsigned)) != 0)
                        continue;
                cr_assert(memcmp(states->known[i].shortage, states->buddy.shortage, bytes) == 0);
                cr_assert(states->known[i].used == states->buddy.used);
                return;
        }
        cr_assert(states->n < STATES && bytes <= sizeof states->known[0].shortage);
        memcpy(states->known[states->n].begins, model->begins, model->n * sizeof(unsigned));
        memcpy(states->known[states->n].shortage, states->buddy.shortage, bytes);
        states->known[states->n++].used = states->buddy.used;
}

/* From the end downwards, all free blocks of that size or more, each as large as it can be. */
static void walk(const struct buddy *buddy, const struct model *model, unsigned least)
{
        uint64_t offset = buddy->bytes, bytes;
        unsigned expected = 0, found = 0;

        for (unsigned blocks = 1; blocks <= model->n; blocks *= 2)
                for (unsigned at = 0; at + blocks <= model->n; at += blocks) {
                        unsigned twice = at & ~(2 * blocks - 1);
                        bool larger = twice + 2 * blocks <= model->n && has_room(model, twice, 2 * blocks);

                        expected += blocks >= least && has_room(model, at, blocks) && !larger;
                }
        while ((bytes = buddy_free_below(buddy, &offset, (uint64_t)least * LEAST)) > 0) {
                cr_assert(has_room(model, (unsigned)(offset / LEAST), (unsigned)(bytes / LEAST)));
                found++;
        }
        cr_assert(found == expected, "%u of %u", found, expected);
}

static unsigned visit_all(unsigned n)
{
        struct states *states = calloc(1, sizeof *states);
        struct model model = model_new(n);
        unsigned found;

        cr_assert(buddy_init(&states->buddy, (uint64_t)n * LEAST, LEAST) == 0);
        remember(states, &model);
        for (unsigned i = 0; i < states->n; i++) {
                for (unsigned blocks = 1; blocks <= n + 1; blocks++) {
                        load(states, i, &model);
                        allocate(&states->buddy, &model, (uint64_t)blocks * LEAST);
                        remember(states, &model);
                }
                load(states, i, &model);
                for (unsigned blocks = 1; blocks <= n; blocks *= 2)
                        walk(&states->buddy, &model, blocks);
                for (unsigned at = 0; at < 2 * n + 2; at++) {
                        load(states, i, &model);
                        release(&states->buddy, &model, at);
                        remember(states, &model);
                }
        }
        found = states->n;
        buddy_fini(&states->buddy);
        model_free(&model);
        free(states);
        return found;
}

/* A block of 2^k is free or allocated as a whole, or two of 2^(k - 1): 2, 5, 26, 677 ways. */
Test(buddy, every_layout_of_a_small_range_can_be_reached_and_left)
{
        static const unsigned ways[SMALL + 1] = {0, 2, 5, 5 * 2, 26, 26 * 2, 26 * 5, 26 * 5 * 2, 677};

        for (unsigned n = 1; n <= SMALL; n++) {
                unsigned found = visit_all(n);

                cr_assert(found == ways[n], "%u blocks: %u", n, found);
        }
}

/* ---- a large one ---- */

static uint64_t random_next(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static void use_at_random(unsigned n, uint64_t seed)
{
        struct model model = model_new(n);
        unsigned *held = calloc(n, sizeof *held), count = 0, refused = 0;
        struct buddy buddy;

        cr_assert(buddy_init(&buddy, (uint64_t)n * LEAST, LEAST) == 0);
        for (int i = 0; i < 60000; i++) {
                unsigned at = (unsigned)(random_next(&seed) % n);
                uint64_t bytes = 1 + random_next(&seed) % ((uint64_t)LEAST << random_next(&seed) % 14);

                if (i % 10000 > 6000) /* fills up, and then less is there each time */
                        while (at < n && !model.begins[at])
                                at++;
                if (at < n && model.begins[at])
                        release(&buddy, &model, at);
                else
                        refused += !allocate(&buddy, &model, bytes);
        }
        cr_assert(refused > 0);
        for (unsigned at = 0; at < n; at++)
                if (model.begins[at])
                        held[count++] = at;
        for (unsigned i = 0; i < count; i++) { /* in no order */
                unsigned j = i + (unsigned)(random_next(&seed) % (count - i)), at = held[j];

                held[j] = held[i];
                release(&buddy, &model, at);
        }
        cr_assert(buddy.used == 0);
        while (allocate(&buddy, &model, LEAST)) /* all of it, and none of it twice */
                ;
        cr_assert(buddy.used == (uint64_t)n * LEAST);
        buddy_fini(&buddy);
        model_free(&model);
        free(held);
}

Test(buddy, random_use_agrees_with_a_model)
{
        use_at_random(1 << 14, 1);
        use_at_random((1 << 14) - 1, 2);
        use_at_random(12345, 3);
}

Test(buddy, what_was_split_becomes_whole_again)
{
        struct buddy buddy;
        int64_t offsets[1024];

        cr_assert(buddy_init(&buddy, 1 << 20, 1024) == 0);
        for (int i = 0; i < 1024; i++)
                cr_assert((offsets[i] = buddy_alloc(&buddy, 1000)) >= 0);
        cr_assert(buddy_alloc(&buddy, 1) == -ENOMEM);
        for (int i = 0; i < 1024; i += 2)
                buddy_free(&buddy, (uint64_t)offsets[i]);
        cr_assert(buddy_alloc(&buddy, 1025) == -ENOMEM);
        for (int i = 1; i < 1024; i += 2)
                buddy_free(&buddy, (uint64_t)offsets[i]);
        cr_assert(buddy_alloc(&buddy, 1 << 20) == 0);
        buddy_fini(&buddy);
}

Test(buddy, a_small_block_does_not_split_a_large_one_without_need)
{
        struct buddy buddy;
        int64_t large;

        cr_assert(buddy_init(&buddy, 8 * LEAST, LEAST) == 0);
        large = buddy_alloc(&buddy, 4 * LEAST);
        cr_assert(buddy_alloc(&buddy, LEAST) >= 0);
        buddy_free(&buddy, (uint64_t)large);
        cr_assert(buddy_alloc(&buddy, LEAST) >= 0);
        cr_assert(buddy_alloc(&buddy, 4 * LEAST) == large);
        buddy_fini(&buddy);
}

/* ---- wrong use ---- */

Test(buddy, only_the_beginning_of_an_allocated_block_can_be_freed)
{
        struct buddy buddy;
        int64_t block;

        cr_assert(buddy_init(&buddy, 100 * 1024, 1024) == 0); /* no power of two */
        block = buddy_alloc(&buddy, 4096);
        cr_assert(block >= 0);
        cr_assert(buddy_free(&buddy, (uint64_t)block + 1) == -EINVAL);
        cr_assert(buddy_free(&buddy, (uint64_t)block + 1024) == -EINVAL);
        cr_assert(buddy_free(&buddy, 100 * 1024) == -EINVAL);
        cr_assert(buddy_free(&buddy, 128 * 1024) == -EINVAL);
        cr_assert(buddy_free(&buddy, UINT64_MAX) == -EINVAL);
        cr_assert(buddy_free(&buddy, UINT64_MAX & ~1023ULL) == -EINVAL);
        cr_assert(buddy_free(&buddy, (uint64_t)block) == 4096);
        cr_assert(buddy_free(&buddy, (uint64_t)block) == -EINVAL, "twice");
        buddy_fini(&buddy);
}

Test(buddy, sizes_that_make_no_sense_are_refused)
{
        struct buddy buddy;

        cr_assert(buddy_init(&buddy, 4096, 0) == -EINVAL);
        cr_assert(buddy_init(&buddy, 4096, 48) == -EINVAL);
        cr_assert(buddy_init(&buddy, 63, 64) == -EINVAL);
        cr_assert(buddy_init(&buddy, 0, 64) == -EINVAL);
        cr_assert(buddy_init(&buddy, UINT64_MAX, 1) == -EINVAL);
        cr_assert(buddy_init(&buddy, 4096 + 63, 64) == 0);
        cr_assert(buddy.bytes == 4096);
        cr_assert(buddy_alloc(&buddy, 0) == -EINVAL);
        cr_assert(buddy_alloc(&buddy, 4097) == -ENOMEM);
        cr_assert(buddy_alloc(&buddy, UINT64_MAX) == -ENOMEM);
        cr_assert(buddy_round_up(&buddy, 1) == 64);
        cr_assert(buddy_round_up(&buddy, 65) == 128);
        cr_assert(buddy_alloc(&buddy, 4096) == 0);
        buddy_fini(&buddy);
}

Test(buddy, no_room_for_its_tree_is_told)
{
        struct rlimit before = limit_address_space(64 << 20);
        struct buddy buddy;

        errno = 55;
        cr_expect(buddy_init(&buddy, 16ULL << 30, 64) == -ENOMEM);
        cr_expect(errno == 55);
        limit_restore(before);
}

/* ---- what it costs ---- */

static size_t resident_pages(const struct buddy *buddy)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (buddy->shortage_bytes + page - 1) / page, n = 0;
        unsigned char *there = malloc(pages);

        cr_assert(mincore(buddy->shortage, buddy->shortage_bytes, there) == 0);
        for (size_t i = 0; i < pages; i++)
                n += there[i] & 1;
        free(there);
        return n;
}

static void costs(uint64_t bytes, uint64_t least, size_t address_space)
{
        struct buddy buddy;
        int64_t offset;

        cr_assert(buddy_init(&buddy, bytes, least) == 0);
        cr_assert(buddy.shortage_bytes == address_space);
        cr_assert(resident_pages(&buddy) <= 1);
        offset = buddy_alloc(&buddy, 1);
        cr_assert(resident_pages(&buddy) <= buddy.top + 1, "a page a level at the most");
        buddy_free(&buddy, (uint64_t)offset);
        for (int i = 0; i < 1024; i++)
                cr_assert(buddy_alloc(&buddy, 1 << 20) >= 0);
        cr_assert(resident_pages(&buddy) <= buddy.top + 1 + 1, "large blocks do not touch what is below");
        for (uint64_t at = 0; at < bytes; at += bytes / 512) /* whatever is asked for */
                buddy_size_of(&buddy, at + least);
        cr_assert(resident_pages(&buddy) <= buddy.top + 1 + 8);
        buddy_fini(&buddy);
}

Test(buddy, its_tree_is_address_space_first_and_memory_as_used)
{
        costs(2ULL << 30, 1024, 4 << 20);
        costs(16ULL << 30, 64, 512 << 20);
}
