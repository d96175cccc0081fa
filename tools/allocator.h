/* allocator.h - how much of the address space the allocator of this program holds. */
#ifndef OURO_TOOL_ALLOCATOR_H
#define OURO_TOOL_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

/* Every byte that it has mapped: in use, kept for later, and its own records. False if it cannot tell. */
bool allocator_mapped_bytes(int64_t *ret_bytes);

/* Whether a limit of writable memory (RLIMIT_DATA) is one for allocations: a sanitizer maps far more. */
bool allocator_bounded(void);

#endif
