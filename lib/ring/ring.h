/* ring.h - the operations of one loop that are under way, whatever carries them out.
 *
 * Every operation under way holds a slot; slot and generation together are its user_data, so that a
 * completion that comes too late names nobody. Slots are never capped: an operation may wait for ever, and
 * a cap would let the waiting ones keep out the one that would wake them.
 *
 * For each descriptor the ring counts the operations under way on it, so that closing it knows at once
 * whether somebody must be told. */
#ifndef OURO_RING_RING_H
#define OURO_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "coro/coro.h"
#include "ring/backend.h"
#include "ring/op.h"

struct ring_slot {
        struct op *op; /* NULL: free */
        uint32_t generation;
        uint32_t next_free;
        int fd; /* that it is counted for, or -1 */
};

enum {
        FD_OPS = (1 << 25) - 1, /* operations under way on it */
        FD_MOVED = 1 << 25,     /* bytes have gone through it since somebody took this away */
        FD_FILE = 1 << 26,      /* a regular file or a block device */
        FD_NO_FILE = 1 << 27,   /* neither; with none of the two, nobody has asked */
        FD_SEEKS = 1 << 28,     /* it has a position, and so takes offsets */
        FD_CLOSING = 1 << 29,   /* no new ones: somebody closes it */
        FD_PIPE = 1 << 30,      /* with FD_NO_FILE: a pipe or a FIFO */
};

struct ring {
        const struct backend *backend;
        void *impl; /* the backend's own */
        struct sched *sched;
        unsigned kernel;         /* OURO_KERNEL(): what the probe may use */
        unsigned without;        /* OURO_WITHOUT_...: fast paths that are not taken */
        struct fixed *fixed;     /* memory that is registered; NULL: none */
        struct buffers *buffers; /* to receive into; NULL: nobody has asked for one yet */
        unsigned recv_buffers;   /* how many, and how large: 0 for the default */
        size_t recv_buffer_bytes;
        struct ring_slot *slots;
        uint32_t slots_len;
        uint32_t free_slot; /* first of the list; slots_len: none */
        uint32_t *fds;      /* FD_... by descriptor */
        uint32_t fds_len;
        struct ouro_list pending; /* ops that the backend had no room for */
        struct ouro_list cancels; /* ops whose cancel it had no room for */
        struct ouro_list closers; /* coroutines in ouro_close() that wait for a descriptor to fall idle */
        struct ouro_list holds;   /* struct fd_hold */
        size_t in_flight;         /* operations of tasks: the loop's own are not counted */
        uint64_t stale;           /* completions for nobody */
        bool quiet_writes;        /* RWF_NOSIGNAL works: no SIGPIPE to mask */
};

struct ring_config {
        unsigned entries;
        unsigned kernel;
        unsigned kernel_workers;
        bool polled;              /* somebody else's loop will poll ring_descriptor() */
        unsigned without;         /* OURO_WITHOUT_... */
        unsigned recv_buffers;    /* 0: the default */
        size_t recv_buffer_bytes; /* likewise */
};

/* Opens it on a given backend. 0, or a negated errno: see backend.h. */
int ring_open(struct ring *ring, struct sched *sched, const struct backend *backend,
              const struct ring_config *config);
void ring_close(struct ring *ring);

/* Hands over what is new, and collects what is done; waits at most timeout_ns for the first (less than
 * zero: for ever). 0 or a negated errno that ends the loop. */
int ring_wait(struct ring *ring, int64_t timeout_ns);

/* For a loop that somebody else's loop polls instead of waiting here: see backend.h. */
int ring_descriptor(const struct ring *ring);
bool ring_rest(struct ring *ring, int64_t *ret_ns);

/* From any thread: ends a ring_wait(), now or the next one. */
void ring_wake(struct ring *ring);

/* Something is under way, and the cancel of all of it has been asked for. */
bool ring_all_cancelled(const struct ring *ring);

/* ---- between op.c, the backends and ring.c ---- */

/* Gives op a slot and counts it for its descriptor. 0, -ENOMEM, -EBADF (being closed). */
int ring_begin(struct ring *ring, struct op *op);

/* Takes the user_data of a completion. Called by backends only; wakes whoever waits. */
void ring_complete(struct ring *ring, uint64_t user_data, int32_t res, uint32_t flags);

/* Asks the kernel to end op soon. Its completion decides what happened. */
void ring_cancel(struct ring *ring, struct op *op);

/* May what came with that version be asked for? Not whether it works. */
static inline bool ring_may(const struct ring *ring, unsigned kernel)
{
        return ring->kernel == 0 || ring->kernel >= kernel;
}

/* The op under way at user_data, or NULL. */
struct op *ring_find(struct ring *ring, uint64_t user_data);

/* Cancels all under way on fd. */
void ring_cancel_fd(struct ring *ring, int fd);

/* The word of a descriptor, or NULL: no such descriptor, or no memory to count it; ring_fd_error() tells. */
uint32_t *ring_fd(struct ring *ring, int fd);
int ring_fd_error(int fd);

/* It has been closed: what was known of it holds no more. */
void ring_forget_fd(struct ring *ring, int fd);

/* Bytes have gone through it, by something else than an operation. */
static inline void ring_note_moved(struct ring *ring, int fd)
{
        if (fd >= 0 && (uint32_t)fd < ring->fds_len)
                ring->fds[fd] |= FD_MOVED;
}

/* FD_FILE, FD_NO_FILE or FD_NO_FILE | FD_PIPE, remembered for its word; anew: as it is now, for somebody may
 * have closed it behind our back. Less than zero: -EBADF, also for one that is being closed; -ENOMEM. */
int ring_fd_kind(struct ring *ring, int fd, bool anew);

/* A descriptor that a wait is about without an op on it: whoever closes it has the wait end with -EBADF, and
 * waits until it is released. */
struct fd_hold {
        struct ouro_list link; /* in ring->holds */
        void (*closing)(struct ring *ring, struct fd_hold *hold);
        struct op *op; /* whatever fd_hold_ends_op() is to end */
        int fd;
};

/* 0, -ENOMEM, -EBADF. What is to be ended by its closing is begun after this. */
int ring_hold_fd(struct ring *ring, struct fd_hold *hold, int fd);
void ring_release_fd(struct ring *ring, struct fd_hold *hold);

/* Of hold->closing: hold->op, whose sqe.fd is another descriptor, ends with -EBADF. */
void fd_hold_ends_op(struct ring *ring, struct fd_hold *hold);

#endif
