/* stack.h - the stacks of one loop.
 *
 * A pool holds stacks of one size. They are reserved in slabs and given out last in, first out:
 *
 *      slab: | guard | ... stack 0 ... | guard | ... stack 1 ... | guard | ...
 *              page    grows downwards^
 *
 * The top of stack i lies (i % 32) * 64 bytes below the end of its slot, within the one page that a short
 * task touches: stacks that all begin at the same offset of a page would share one set of the cache. */
#ifndef OURO_CORO_STACK_H
#define OURO_CORO_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coro/sanitize.h"

enum {
        STACK_MIN_BYTES = 16 * 1024,
        STACK_DEFAULT_BYTES = 64 * 1024,
        STACK_MAX_BYTES = 1 << 30,
        STACK_PAGE_BYTES = 4096,
};

static inline size_t stack_round_up(size_t bytes)
{
        return (bytes + STACK_PAGE_BYTES - 1) & ~(size_t)(STACK_PAGE_BYTES - 1);
}

struct stack {
        char *slot;     /* its lowest byte: the guard page */
        uintptr_t tool; /* TSan's fiber or Valgrind's registration */
};

struct stack_slab {
        char *base;
        size_t bytes;
        struct stack_slab *next;
};

struct stack_pool {
        struct stack_pool *next; /* of another size */
        size_t stack_bytes;      /* of a slot, guard included */
        struct stack *stacks;    /* by number */
        uint32_t *free;          /* numbers; the last was freed last */
        uint32_t free_count;
        uint32_t total;
        uint32_t capacity;   /* of both arrays */
        uint32_t clean;      /* the first so many of free have no page but the top one */
        uint32_t idle;       /* least free_count since the last trim */
        uint32_t mprotected; /* guards that cost a mapping */
        bool told_unguarded;
        struct stack_slab *slabs;
};

void stack_pool_init(struct stack_pool *pool, size_t stack_bytes);
void stack_pool_destroy(struct stack_pool *pool);

/* Adds a slab. 0 or -ENOMEM. */
int stack_pool_grow(struct stack_pool *pool);

/* Gives the pages of stacks that have been idle since the last call back to the system. */
void stack_pool_trim(struct stack_pool *pool);

/* The stack whose guard page addr lies in? Safe in a signal handler. */
bool stack_pool_guards(const struct stack_pool *pool, const void *addr);

static inline void *stack_top(const struct stack_pool *pool, uint32_t number)
{
        return pool->stacks[number].slot + pool->stack_bytes - number % 32 * 64;
}

static inline struct sanitize_stack stack_extent(struct stack_pool *pool, uint32_t number)
{
        struct sanitize_stack extent = {pool->stacks[number].slot, pool->stack_bytes,
                                        (void *)pool->stacks[number].tool};

        return extent;
}

/* The one that was given back last. There is one. */
static inline uint32_t stack_take(struct stack_pool *pool)
{
        uint32_t number = pool->free[--pool->free_count];

        if (pool->free_count < pool->idle)
                pool->idle = pool->free_count;
        return number;
}

/* False: none is free, and there is no memory for more. */
static inline bool stack_get(struct stack_pool *pool, uint32_t *ret_number)
{
        if (pool->free_count == 0 && stack_pool_grow(pool) < 0)
                return false;
        *ret_number = stack_take(pool);
        return true;
}

static inline void stack_put(struct stack_pool *pool, uint32_t number)
{
        if (pool->clean > pool->free_count)
                pool->clean = pool->free_count;
        pool->free[pool->free_count++] = number;
}

#endif
