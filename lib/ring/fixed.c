/* fixed.c - memory whose pages the kernel has pinned, for reads and writes of it. */
#include "ring/fixed.h"

#include <errno.h>
#include <stdint.h>

#include "base/alloc.h"
#include "ring/ring.h"

static bool overlaps(const struct fixed *fixed, const char *base, size_t len)
{
        for (unsigned i = 0; i < fixed->len; i++) {
                const char *other = fixed->places[i].base;

                if (other && base < other + fixed->places[i].len && other < base + len)
                        return true;
        }
        return false;
}

static unsigned free_place(const struct fixed *fixed)
{
        unsigned place = 0;

        while (place < FIXED_PLACES && fixed->places[place].base)
                place++;
        return place;
}

/* What says that there is no such thing here, or that a limit is in the way. */
static bool is_refusal(int error)
{
        return error == -ENOMEM || error == -EINVAL || error == -EOPNOTSUPP || error == -EPERM;
}

int fixed_add(struct ring *ring, void *base, size_t len)
{
        unsigned place;
        int error;

        if (!ring->backend->pin || !ring_may(ring, OURO_KERNEL(5, 19)) ||
            (ring->without & OURO_WITHOUT_FIXED))
                return 0;
        if (!ring->fixed)
                ring->fixed = mem_calloc(sizeof *ring->fixed);
        if (!ring->fixed)
                return -ENOMEM;
        if (overlaps(ring->fixed, base, len))
                return -EINVAL;
        place = free_place(ring->fixed);
        if (place == FIXED_PLACES)
                return 0;
        error = ring->backend->pin(ring, place, base, len);
        if (error < 0)
                return is_refusal(error) ? 0 : error;
        ring->fixed->places[place].base = base;
        ring->fixed->places[place].len = len;
        if (ring->fixed->len <= place)
                ring->fixed->len = place + 1;
        return 1;
}

int fixed_remove(struct ring *ring, const void *base)
{
        struct fixed *fixed = ring->fixed;

        for (unsigned i = 0; fixed && i < fixed->len; i++) {
                if (fixed->places[i].base != base)
                        continue;
                fixed->places[i].base = NULL;
                while (fixed->len > 0 && !fixed->places[fixed->len - 1].base)
                        fixed->len--;
                return ring->backend->pin(ring, i, NULL, 0);
        }
        return -ENOENT;
}

void fixed_close(struct ring *ring)
{
        mem_free(ring->fixed, sizeof *ring->fixed);
        ring->fixed = NULL;
}

void fixed_apply(const struct fixed *fixed, struct io_uring_sqe *sqe)
{
        const char *from = (const char *)(uintptr_t)sqe->addr;

        if (sqe->opcode != IORING_OP_READ && sqe->opcode != IORING_OP_WRITE)
                return;
        for (unsigned i = 0; i < fixed->len; i++) {
                const char *base = fixed->places[i].base;

                if (!base || from < base || from + sqe->len > base + fixed->places[i].len)
                        continue;
                sqe->opcode = sqe->opcode == IORING_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
                sqe->buf_index = (uint16_t)i;
                return;
        }
}
