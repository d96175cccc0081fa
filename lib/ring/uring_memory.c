/* uring_memory.c - memory that is told to the kernel once: buffers to choose from, and pinned pages. */
#include "ring/fixed.h"
#include "ring/ring.h"
#include "ring/uring.h"

int uring_register_buffers(struct ring *ring, void *buffers, unsigned entries, unsigned group)
{
        struct uring *uring = ring->impl;
        struct io_uring_buf_reg reg = {
                .ring_addr = (uintptr_t)buffers, .ring_entries = entries, .bgid = (uint16_t)group};

        return io_uring_register_buf_ring(&uring->ring, &reg, 0);
}

int uring_pin(struct ring *ring, unsigned place, void *base, size_t len)
{
        struct uring *uring = ring->impl;
        const struct iovec memory = {base, len};
        const __u64 tag = 0;
        int error;

        if (!uring->has_places) {
                error = io_uring_register_buffers_sparse(&uring->ring, FIXED_PLACES);
                if (error < 0)
                        return error;
                uring->has_places = true;
        }
        error = io_uring_register_buffers_update_tag(&uring->ring, place, &memory, &tag, 1);
        return error < 0 ? error : 0;
}
