/* allocator.c - how much of the address space the allocator of this program holds.
 *
 * jemalloc counts what it has mapped and what it retains after use; the two together are exactly its
 * mappings. A build under a sanitizer has the sanitizer's allocator, which does not tell. */
#include "allocator.h"

#ifdef OURO_TOOL_JEMALLOC
#include <jemalloc/jemalloc.h>

static bool read_size(const char *name, size_t *ret_size)
{
        size_t len = sizeof(*ret_size);

        return mallctl(name, ret_size, &len, NULL, 0) == 0;
}

bool allocator_mapped_bytes(int64_t *ret_bytes)
{
        uint64_t epoch = 1;
        size_t mapped, retained;

        /* The numbers below are those of the last epoch. */
        if (mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0)
                return false;
        if (!read_size("stats.mapped", &mapped) || !read_size("stats.retained", &retained))
                return false;
        *ret_bytes = (int64_t)(mapped + retained);
        return true;
}

bool allocator_bounded(void)
{
        return true;
}
#else
bool allocator_mapped_bytes(int64_t *ret_bytes)
{
        (void)ret_bytes;
        return false;
}

bool allocator_bounded(void)
{
        return false;
}
#endif
