/* buddy.c - a binary buddy allocator as one byte for each node of a tree.
 *
 *      level 2             1               node n has the children 2n and 2n + 1; a leaf is one
 *      level 1        2         3          least block
 *      level 0      4   5     6   7
 *
 * For each node: how many levels the largest free block in it is below the node itself. So 0 is a block that
 * is free as a whole (which fresh memory already says), and level + 1 one in which nothing is free.
 *
 * Invariants: below a block that is free or allocated as a whole, all nodes are 0. So an allocated block is a
 * node that is full while its children are 0, and where one of them is not it was split. */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/sys.h"
#include "executors/buddy.h"
#include "executors/lazy.h"

enum { LEVELS_MOST = 32 };

/* 1 + level of the largest free block in a node; 0: none. */
static unsigned room(const struct buddy *buddy, uint64_t node, unsigned level)
{
        return level + 1 - buddy->shortage[node];
}

static bool full(const struct buddy *buddy, uint64_t node, unsigned level)
{
        return room(buddy, node, level) == 0;
}

/* Makes what is above a node agree with it. */
static void tell_parents(struct buddy *buddy, uint64_t node, unsigned level)
{
        while (node > 1) {
                uint64_t left = node & ~1ULL;
                unsigned a = room(buddy, left, level), b = room(buddy, left + 1, level);
                bool whole = a == level + 1 && b == level + 1;
                unsigned most = whole ? level + 2 : a > b ? a : b;

                node /= 2;
                level++;
                if (room(buddy, node, level) == most)
                        return;
                buddy->shortage[node] = (uint8_t)(level + 1 - most);
        }
}

static void set_full(struct buddy *buddy, uint64_t node, unsigned level)
{
        buddy->shortage[node] = (uint8_t)(level + 1);
        tell_parents(buddy, node, level);
}

/* The tree's leaves are a power of two; those that the range does not have are never free. */
static void cut_off(struct buddy *buddy)
{
        uint64_t leaf = buddy->bytes >> buddy->shift;

        while (leaf < buddy->leaves) {
                unsigned level = (unsigned)__builtin_ctzll(leaf);

                set_full(buddy, (buddy->leaves + leaf) >> level, level);
                leaf += 1ULL << level;
        }
}

int buddy_init(struct buddy *buddy, uint64_t bytes, uint64_t least_bytes)
{
        unsigned shift, top = 0;
        size_t shortage_bytes;
        void *shortage;

        if (least_bytes == 0 || (least_bytes & (least_bytes - 1)) != 0 || bytes < least_bytes)
                return -EINVAL;
        shift = (unsigned)__builtin_ctzll(least_bytes);
        while (1ULL << top < bytes >> shift)
                if (++top > LEVELS_MOST)
                        return -EINVAL;
        shortage_bytes = (size_t)2 << top;
        shortage = lazy_map(shortage_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (!shortage)
                return -ENOMEM;
        (void)sys_result(madvise(shortage, shortage_bytes, MADV_NOHUGEPAGE)); /* else 2 MiB for each level */
        *buddy = (struct buddy){
                .shortage = shortage,
                .shortage_bytes = shortage_bytes,
                .leaves = 1ULL << top,
                .bytes = bytes & ~(least_bytes - 1),
                .shift = shift,
                .top = top,
        };
        cut_off(buddy);
        return 0;
}

void buddy_fini(struct buddy *buddy)
{
        check(sys_result(munmap(buddy->shortage, buddy->shortage_bytes)) == 0);
        buddy->shortage = NULL;
}

/* The level of blocks that so many bytes fit into. */
static unsigned level_for(const struct buddy *buddy, uint64_t bytes)
{
        unsigned level = bytes <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(bytes - 1); /* log2, rounded up */

        return level > buddy->shift ? level - buddy->shift : 0;
}

uint64_t buddy_round_up(const struct buddy *buddy, uint64_t bytes)
{
        return 1ULL << (level_for(buddy, bytes) + buddy->shift);
}

int64_t buddy_alloc(struct buddy *buddy, uint64_t bytes)
{
        unsigned level = buddy->top, wanted = level_for(buddy, bytes);
        uint64_t node = 1;

        if (bytes == 0)
                return -EINVAL;
        if (bytes > buddy->bytes || room(buddy, node, level) <= wanted)
                return -ENOMEM;
        while (level > wanted) { /* the tighter half that has room, so that large blocks stay whole */
                node *= 2;
                level--;
                unsigned left = room(buddy, node, level), right = room(buddy, node + 1, level);

                if (left <= wanted || (right > wanted && right < left))
                        node++;
        }
        check(buddy->shortage[node] == 0);
        set_full(buddy, node, level);
        buddy->used += 1ULL << (level + buddy->shift);
        return (int64_t)((node << level) - buddy->leaves) << buddy->shift;
}

/* The node of the allocated block that begins there, or 0. From the top, so that only what was ever used of
 * the tree is looked at. */
static uint64_t find(const struct buddy *buddy, uint64_t offset, unsigned *ret_level)
{
        uint64_t leaf = buddy->leaves + (offset >> buddy->shift), node = 1;
        unsigned level = buddy->top;

        if (offset >= buddy->bytes || (offset & ((1ULL << buddy->shift) - 1)) != 0)
                return 0;
        for (; buddy->shortage[node] != 0; node = leaf >> --level) {
                bool split = level > 0 && (buddy->shortage[2 * node] | buddy->shortage[2 * node + 1]) != 0;

                if (full(buddy, node, level) && !split) {
                        *ret_level = level;
                        return node << level == leaf ? node : 0;
                }
        }
        return 0;
}

int64_t buddy_size_of(const struct buddy *buddy, uint64_t offset)
{
        unsigned level;

        return find(buddy, offset, &level) ? (int64_t)1 << (level + buddy->shift) : -EINVAL;
}

int64_t buddy_free(struct buddy *buddy, uint64_t offset)
{
        unsigned level;
        uint64_t node = find(buddy, offset, &level);
        int64_t bytes;

        if (!node)
                return -EINVAL;
        bytes = (int64_t)1 << (level + buddy->shift);
        buddy->used -= (uint64_t)bytes;
        buddy->shortage[node] = 0;
        tell_parents(buddy, node, level);
        return bytes;
}

/* The highest node on the way from the root to a leaf that is free as a whole or has no block of that level.
 */
static uint64_t first_decided(const struct buddy *buddy, uint64_t leaf, unsigned wanted, unsigned *ret_level)
{
        uint64_t node = 1;
        unsigned level = buddy->top;

        while (buddy->shortage[node] != 0 && room(buddy, node, level) > wanted) {
                level--;
                node = (buddy->leaves + leaf) >> level;
        }
        *ret_level = level;
        return node;
}

uint64_t buddy_free_below(const struct buddy *buddy, uint64_t *inout_offset, uint64_t least_bytes)
{
        uint64_t least = 1ULL << buddy->shift, offset = *inout_offset;
        uint64_t end = offset < buddy->bytes ? (offset + least - 1) >> buddy->shift : buddy->leaves;
        unsigned level, wanted = level_for(buddy, least_bytes);

        while (end > 0) {
                uint64_t node = first_decided(buddy, end - 1, wanted, &level);

                end = (node << level) - buddy->leaves;
                if (buddy->shortage[node] != 0 || level < wanted)
                        continue;
                *inout_offset = end << buddy->shift;
                return 1ULL << (level + buddy->shift);
        }
        return 0;
}
