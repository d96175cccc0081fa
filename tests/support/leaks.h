/* leaks.h - a test leaves its process as it found it: descriptors, threads, children and mappings.
 *
 *      Test(chan, closes, .init = leaks_begin, .fini = leaks_end) { ... }
 *
 * or TestSuite(chan, .init = leaks_begin, .fini = leaks_end); to cover a whole file. */
#ifndef OURO_TESTS_SUPPORT_LEAKS_H
#define OURO_TESTS_SUPPORT_LEAKS_H

#include <stddef.h>

/* Remembers what is there. */
void leaks_begin(void);

/* Ends the test's process, with what it found, if something has been added since leaks_begin(). What ends by
 * itself a moment later (the kernel's threads of a ring) is waited for. */
void leaks_end(void);

/* The same comparison without a verdict: writes what was added to text and returns how many things it is. */
size_t leaks_find(char *text, size_t text_bytes);

#endif
