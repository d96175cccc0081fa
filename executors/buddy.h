/* buddy.h - which parts of a range of memory are in use: a binary buddy allocator that never touches the
 * range itself.
 *
 * It deals in offsets from the range's beginning, so that the range may be memory that somebody else can
 * write to, or none at all: nothing that is written there confuses it. Block sizes are powers of two times
 * the least one, and a block of n bytes begins at a multiple of n.
 *
 * What it knows is a complete binary tree with one byte for each block that could be: twice the range divided
 * by the least block, in address space (512 MiB for 16 GiB in blocks of 64 bytes; 4 MiB for 2 GiB in blocks
 * of 1 KiB). Only what is used of the tree becomes memory: one page for each level at first, and 1/32 of the
 * range at the most with blocks of 64 bytes. */
#ifndef OURO_EXECUTORS_BUDDY_H
#define OURO_EXECUTORS_BUDDY_H

#include <stddef.h>
#include <stdint.h>

/* Without a lock of its own. Fields are its own, but may be read. */
struct buddy {
        uint8_t *shortage; /* of each node, see buddy.c */
        size_t shortage_bytes;
        uint64_t leaves; /* least blocks in the tree: a power of two */
        uint64_t bytes;  /* of the range */
        uint64_t used;   /* bytes of all allocated blocks */
        unsigned shift;  /* the least block has 1 << shift bytes */
        unsigned top;    /* level of the root; the leaves have level 0 */
};

/* All of a range of bytes is free. What is left over beyond a multiple of least_bytes is never used.
 * 0; -EINVAL: least_bytes is no power of two, more than bytes, or less than 1/2^32 of them; -ENOMEM. */
int buddy_init(struct buddy *buddy, uint64_t bytes, uint64_t least_bytes);
void buddy_fini(struct buddy *buddy);

/* The offset of a free block that is now allocated; -ENOMEM: none is large enough; -EINVAL: bytes is 0. */
int64_t buddy_alloc(struct buddy *buddy, uint64_t bytes);

/* Size of the allocated block that begins at offset; -EINVAL: none does. Any offset may be asked for. */
int64_t buddy_size_of(const struct buddy *buddy, uint64_t offset);

/* The same, and it is free again. */
int64_t buddy_free(struct buddy *buddy, uint64_t offset);

/* Of the free blocks of at least so many bytes that begin below *inout_offset, the last: its size, and
 * *inout_offset becomes its beginning. 0: there is none. Starting at the range's end it finds all of them. */
uint64_t buddy_free_below(const struct buddy *buddy, uint64_t *inout_offset, uint64_t least_bytes);

/* What buddy_alloc() would take for so many bytes: 1 to those of the range. */
uint64_t buddy_round_up(const struct buddy *buddy, uint64_t bytes);

#endif
