/* bare.h - what a number of ouro's is divided by: a bare stack switch, an empty call, a fresh page.
 *
 * Nanoseconds drift with the machine's clock and its neighbours, so each is measured again in the same
 * process and the same round as the number. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stddef.h>

/* Leave this stack, its pointer in *ret_sp, and go on at sp. */
void bare_switch(void **ret_sp, void *sp);

/* ns for one bare switch. */
double bare_switch_ns(void);

/* ns for one empty call into a shared library. */
double bare_call_ns(void);

/* ns for each of n fresh pages, stride bytes apart, below each a guard page if guards. The pages are given
 * back, so that whoever takes as many next gets what the machine freed lately. */
double bare_pages_ns(size_t n, size_t stride, int guards);

#endif
