/* arena_calls.c - the arena as users of a process pool see it. */
#include <errno.h>

#include "executors/arena.h"

static int alloc_in(ouro_executor *pool, bool per_worker, unsigned worker, size_t bytes, void **ret_span)
{
        struct arena *arena;

        if (!pool || !ret_span)
                return -EINVAL;
        arena = process_pool_arena(pool);
        if (!arena || arena->per_worker != per_worker)
                return -ENOTSUP;
        return arena_alloc(arena, worker, bytes, ret_span);
}

int ouro_arena_alloc(ouro_executor *pool, size_t bytes, void **ret_span)
{
        return alloc_in(pool, false, 0, bytes, ret_span);
}

int ouro_arena_alloc_for(ouro_executor *pool, unsigned worker, size_t bytes, void **ret_span)
{
        return alloc_in(pool, true, worker, bytes, ret_span);
}

int ouro_arena_free(ouro_executor *pool, void *span)
{
        struct arena *arena = pool ? process_pool_arena(pool) : NULL;

        if (!arena)
                return -EINVAL;
        return span ? arena_free(arena, span) : 0;
}
