/* options.h - reading an options struct that a program built with another version of the header may have
 * filled in.
 *
 * Each begins with its size. One from an older header is shorter: what it lacks is zero, the default. One
 * from a newer header is longer: what we do not know must be zero, else we would ignore a wish. */
#ifndef OURO_BASE_OPTIONS_H
#define OURO_BASE_OPTIONS_H

#include <stddef.h>

enum { OPTIONS_MOST = 1 << 16 }; /* larger: not a size, but memory that was never filled in */

/* Copies src, which begins with its size, to dst; dst_bytes is stored as dst's size. 0, or -EINVAL: no size,
 * or something is set that is not known here. */
int options_read(void *dst, size_t dst_bytes, const void *src);

#endif
