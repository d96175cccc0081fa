/* uring.h - the state of the backend that is the kernel's io_uring. */
#ifndef OURO_RING_URING_H
#define OURO_RING_URING_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/help.h"
#include "ring/op.h"

struct ring;

struct uring {
        struct io_uring ring;
        unsigned enter_flags; /* IORING_ENTER_NO_IOWAIT where it works */
        bool on_valgrind;
        bool has_places;     /* for registered memory */
        bool sigpipe_masked; /* by us: the kernel would raise it for a write */
        bool closing;        /* a wake is not listened for any more */
        bool sigpipe_ours;   /* what is pending at the end came from our writes */
        int wake_fd;         /* eventfd, always being read */
        uint64_t wake_count;
        struct op wake_op;
        struct help help; /* for what this kernel does not know */
};

/* ---- uring_memory.c, see backend.h ---- */

int uring_register_buffers(struct ring *ring, void *buffers, unsigned entries, unsigned group);
int uring_pin(struct ring *ring, unsigned place, void *base, size_t len);

#endif
