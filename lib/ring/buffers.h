/* buffers.h - the buffers of one loop that data is received into once it is there.
 *
 * A buffer is in one place: with the kernel (in the ring that it takes from), free (in our own list, where
 * there is no such ring), taken (by a backend that tries an op), or held (by a task, to be given back).
 *
 * Who finds none waits in a queue. What comes back goes to the first there who may have one, and only then to
 * the kernel or the list. The last quarter is for descriptors of which nobody holds any: one fast peer cannot
 * have all. */
#ifndef OURO_RING_BUFFERS_H
#define OURO_RING_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "ring/op.h"

struct ring;
struct coro;

enum { BUFFER_GROUP = 1 }; /* the only one */

struct buffer_note {
        uint32_t generation; /* goes up when it is given back */
        int fd;              /* of a held one: what it was received from */
        uint32_t next_free;  /* of a held one: the next in whatever queue its holder has */
        uint32_t len;        /* of a held one, likewise */
        bool held;
};

struct buffers {
        struct ring *ring;
        uintptr_t serial; /* of all there ever were in this process */
        char *memory;
        size_t bytes;                     /* of each */
        unsigned count;                   /* a power of two */
        struct io_uring_buf_ring *kernel; /* or NULL */
        uint16_t tail;                    /* of kernel */
        unsigned available;               /* with the kernel or free */
        uint32_t first_free;              /* count: none */
        struct buffer_note *notes;
        struct ouro_list waiting; /* struct buffer_wait */
        size_t held;
};

/* The loop's, made when first asked for. NULL: no memory. */
struct buffers *buffers_of(struct ring *ring);

/* Nothing is under way any more; what is still held is gone. */
void buffers_close(struct buffers *buffers);

static inline char *buffer_at(const struct buffers *buffers, unsigned id)
{
        return buffers->memory + (size_t)id * buffers->bytes;
}

/* May an op on fd have one now, out of turn? */
bool buffers_may_take(const struct buffers *buffers, int fd);

/* Of our own list: an id, or -ENOBUFS. It is taken then. */
int buffers_take(struct buffers *buffers);

/* Waits for one, in order. An id, held for fd; -EAGAIN: the kernel has some; -EBADF (fd is
 * being closed), or what cut it short. */
int buffers_wait(struct buffers *buffers, int fd);

/* A completion has brought id: it is held for fd if res says that it holds bytes, else given back. */
void buffers_delivered(struct buffers *buffers, unsigned id, int fd, int32_t res);

/* From taken or held: gives it back. */
void buffers_put(struct buffers *buffers, unsigned id);

#endif
