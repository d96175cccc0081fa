/* alloc.h - the library's small memory: malloc, or what ouro_set_allocator() was given. */
#ifndef OURO_BASE_ALLOC_H
#define OURO_BASE_ALLOC_H

#include <stddef.h>

void *mem_alloc(size_t bytes);          /* NULL: none left */
void *mem_calloc(size_t bytes);         /* zeroed */
void mem_free(void *ptr, size_t bytes); /* bytes as asked for; ptr may be NULL */

/* As mem_alloc(), but beginning with a cache line: for what two threads hand to and fro. */
void *mem_alloc_lines(size_t bytes);
void mem_free_lines(void *ptr, size_t bytes);

void *mem_grow(void *ptr, size_t old_bytes,
               size_t new_bytes); /* NULL: ptr stays as it was; the rest is zeroed */

#endif
