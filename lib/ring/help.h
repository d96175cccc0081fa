/* help.h - helper threads beside a ring of the kernel's, for entries that the running kernel does not know
 * and for our own.
 *
 * Which those are is found out when the ring is opened. No thread exists, and nothing is allocated, before
 * the first of them. All but the wake belongs to the loop's thread. */
#ifndef OURO_RING_HELP_H
#define OURO_RING_HELP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "ring/helpers.h"
#include "ring/op.h"

struct ring;

enum { HELPERS_DEFAULT = 4 };

struct help {
        struct ring *ring;
        struct helpers helpers;
        struct ouro_list done; /* ops with a result that is to be reported */
        size_t len;            /* ops with the helpers */
        unsigned limit;        /* of helpers */
        bool opened;           /* helpers and done are there */
        bool open_failed;      /* and will not be: done on the loop's thread */
        atomic_bool ready;     /* the helpers have something for us */
        bool is_ours[256];     /* by opcode: not the kernel's */
};

/* How many helpers a loop may have that was given this many workers (0: the default). */
unsigned help_limit(unsigned kernel_workers);

/* Takes what the kernel says it knows, NULL: nothing. */
void help_init(struct help *help, struct ring *ring, unsigned limit, const struct io_uring_probe *probe);

/* Nothing is under way any more. */
void help_close(struct help *help);

/* Takes op, whose opcode is_ours. */
void help_submit(struct help *help, struct op *op);

/* Ends it, unless a helper has begun it. */
void help_cancel(struct help *help, struct op *op);

/* Reports what is done. */
void help_deliver(struct help *help);

/* Is there something to report? */
static inline bool help_waits(const struct help *help)
{
        return !list_empty(&help->done) || atomic_load_explicit(&help->ready, memory_order_acquire);
}

#endif
