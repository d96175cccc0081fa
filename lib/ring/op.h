/* op.h - one operation.
 *
 *      struct op op;
 *
 *      io_uring_prep_recv(op_begin(&op), fd, buf, len, flags);
 *      return op_wait(&op);
 *
 * The op lies on the stack of the task that waits, and so may all that it was lent. It holds its own
 * submission entry, so that beginning one never waits and needs no room anywhere. */
#ifndef OURO_RING_OP_H
#define OURO_RING_OP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/list.h"
#include "coro/coro.h"
#include "ring/kernel.h"

struct ring;

enum op_state {
        OP_IDLE,      /* not begun, or complete */
        OP_PENDING,   /* in ring->pending: no room in the backend */
        OP_SUBMITTED, /* the backend's, and with it all memory that the entry points to */
};

struct op {
        struct io_uring_sqe sqe;
        void (*complete)(struct ring *ring, struct op *op); /* each completion; res and flags are set */
        struct coro *coro;                                  /* who waits, or NULL */
        struct ouro_list link;                              /* in ring->pending or ring->cancels */
        int32_t res;
        uint32_t flags;        /* IORING_CQE_F_... of the completion */
        uint8_t state;         /* enum op_state */
        bool cancel_asked;     /* once is enough */
        bool cancel_queued;    /* in ring->cancels */
        bool closed;           /* its descriptor is being closed: -EBADF instead of -ECANCELED */
        bool internal;         /* the loop's own: not counted as work of a task */
        uint64_t backend_data; /* the backend's own, while it is submitted */
};

static inline struct io_uring_sqe *op_begin(struct op *op)
{
        memset(&op->sqe, 0, sizeof op->sqe);
        op->state = OP_IDLE;
        op->cancel_asked = op->cancel_queued = op->closed = op->internal = false;
        op->backend_data = 0;
        return &op->sqe;
}

/* Carries op out and returns its result. A cancellation point. Waits again where the descriptor's
 * O_NONBLOCK or a signal would show. */
intptr_t op_wait(struct op *op);

/* As op_wait(), never cut short. */
intptr_t op_wait_uncut(struct op *op);

/* fn(arg) in one of the loop's few helper threads; the task waits. A cancellation point: withdrawn while
 * no helper has begun it, waited for then. So fn must end by itself and never wait for a peer. It blocks all
 * signals, belongs to no loop, and returns what is to be returned here: >= 0, or a negated errno. Short of
 * threads it runs on the loop's thread. */
intptr_t op_call(intptr_t (*fn)(void *arg), void *arg);

/* As op_call(), counted for fd (less than zero: for none), so that ouro_close() ends it with -EBADF or waits
 * for it. Reports call it by name. */
intptr_t op_call_on(int fd, const char *name, intptr_t (*fn)(void *arg), void *arg);

/* What the entry of op_call() points to, on the stack of its task. */
struct call {
        const char *name;
        intptr_t (*fn)(void *arg);
        void *arg;
        intptr_t result;
};

/* Submits op for the loop itself; op->complete is called. */
int op_start(struct ring *ring, struct op *op);

/* Ends all that waits on fd with -EBADF, then closes it. Never cut short. */
int op_close_fd(int fd);

#endif
