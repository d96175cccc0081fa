/* fixed.h - memory whose pages the kernel has pinned, for reads and writes of it.
 *
 * An op stays a READ or a WRITE; only what the kernel is given says that its buffer is in a registered place.
 */
#ifndef OURO_RING_FIXED_H
#define OURO_RING_FIXED_H

#include <stddef.h>

#include "ring/kernel.h"

struct ring;

enum { FIXED_PLACES = 64 };

struct fixed {
        unsigned len; /* places that may be in use: the last of them is */
        struct {
                char *base; /* NULL: free */
                size_t len;
        } places[FIXED_PLACES];
};

/* 1: it is registered; 0: it cannot be here. -EINVAL: it overlaps; -EFAULT, -ENOMEM. */
int fixed_add(struct ring *ring, void *base, size_t len);

/* 0 or -ENOENT. */
int fixed_remove(struct ring *ring, const void *base);

void fixed_close(struct ring *ring);

/* Makes an entry that reads or writes registered memory say so. */
void fixed_apply(const struct fixed *fixed, struct io_uring_sqe *sqe);

#endif
