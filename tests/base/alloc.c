/* alloc.c - memory that begins with a cache line, from an allocator that promises less. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ouro.h>

#include "base/alloc.h"

static size_t given, shift;

/* As badly aligned as malloc() may be. */
static void *allocate(size_t bytes, void *arg)
{
        char *block = malloc(bytes + 64);

        (void)arg;
        given += bytes;
        return block ? block + shift : NULL;
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)arg;
        given -= bytes;
        free((char *)ptr - shift);
}

Test(alloc, lines_begin_with_a_cache_line_wherever_the_block_does)
{
        const struct ouro_allocator allocator = {allocate, release, NULL};

        cr_assert_eq(ouro_set_allocator(&allocator), 0);
        for (shift = 0; shift <= 48; shift += 16)
                for (size_t bytes = 1; bytes < 300; bytes += 7) {
                        char *lines = mem_alloc_lines(bytes);

                        cr_assert_not_null(lines);
                        cr_assert_eq((uintptr_t)lines % 64, 0);
                        memset(lines, 0x5a, bytes); /* all of it is there, and nothing of it is needed */
                        mem_free_lines(lines, bytes);
                        cr_assert_eq(given, 0);
                }
        mem_free_lines(NULL, 64);
        cr_assert_eq(ouro_set_allocator(NULL), 0);
}
