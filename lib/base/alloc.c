/* alloc.c - the allocator hook.
 *
 * The hook can only change while nothing is allocated, so a block always returns to where it came from. */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ouro.h"

enum {
        LINE_BYTES = 64,
        LINE_ROOM = LINE_BYTES + sizeof(void *) - 1, /* to move forward, and for the pointer before */
};

static void *by_malloc(size_t bytes, void *arg)
{
        (void)arg;
        return malloc(bytes);
}

static void by_free(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        free(ptr);
}

static const struct ouro_allocator by_default = {by_malloc, by_free, NULL};
static struct ouro_allocator chosen = {by_malloc, by_free, NULL};
static atomic_size_t blocks;

int ouro_set_allocator(const struct ouro_allocator *allocator)
{
        if (!allocator)
                allocator = &by_default;
        if (!allocator->allocate || !allocator->release)
                return -EINVAL;
        if (atomic_load(&blocks) != 0)
                return -EBUSY;
        chosen = *allocator;
        return 0;
}

void *mem_alloc(size_t bytes)
{
        int saved_errno = errno;
        void *ptr = chosen.allocate(bytes, chosen.arg);

        errno = saved_errno;
        if (ptr)
                atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
        return ptr;
}

void *mem_calloc(size_t bytes)
{
        void *ptr = mem_alloc(bytes);

        return ptr ? memset(ptr, 0, bytes) : NULL;
}

void mem_free(void *ptr, size_t bytes)
{
        if (!ptr)
                return;
        chosen.release(ptr, bytes, chosen.arg);
        atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
}

void *mem_grow(void *ptr, size_t old_bytes, size_t new_bytes)
{
        void *bigger = mem_alloc(new_bytes);

        if (!bigger)
                return NULL;
        if (old_bytes)
                memcpy(bigger, ptr, old_bytes);
        memset((char *)bigger + old_bytes, 0, new_bytes - old_bytes);
        mem_free(ptr, old_bytes);
        return bigger;
}

/* The allocator promises no more than malloc() does. What it gave stands before what is handed out. */
void *mem_alloc_lines(size_t bytes)
{
        void *block = mem_alloc(bytes + LINE_ROOM);
        void **lines;

        if (!block)
                return NULL;
        lines = (void **)(((uintptr_t)block + LINE_ROOM) & ~(uintptr_t)(LINE_BYTES - 1));
        lines[-1] = block;
        return lines;
}

void mem_free_lines(void *ptr, size_t bytes)
{
        if (ptr)
                mem_free(((void **)ptr)[-1], bytes + LINE_ROOM);
}
