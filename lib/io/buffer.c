/* buffer.c - registered memory, as callers ask for it. */
#include <errno.h>

#include "ring/fixed.h"
#include "ring/ring.h"

static const size_t MOST_BYTES = (size_t)1 << 30; /* what the kernel takes as one */

int ouro_buffer_register(void *memory, size_t len)
{
        if (!sched_current)
                return -EPERM;
        if (!memory || len == 0 || len > MOST_BYTES)
                return -EINVAL;
        return fixed_add(sched_current->ring, memory, len);
}

int ouro_buffer_unregister(void *memory)
{
        if (!sched_current)
                return -EPERM;
        return fixed_remove(sched_current->ring, memory);
}
