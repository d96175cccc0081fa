/* calls.h - submission entries as plain system calls, for the backend that has nothing else.
 *
 * An op is tried on the loop's thread in a way that cannot block; the outcome says what it needs to go on.
 * Results are what io_uring would put into the completion. */
#ifndef OURO_RING_CALLS_H
#define OURO_RING_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/op.h"

enum call_outcome {
        CALL_DONE,      /* op->res is the result */
        CALL_WAIT,      /* try again after one of call_progress(op)->events */
        CALL_LATER,     /* try again soon: nothing announces when it makes sense */
        CALL_CLOSE,     /* call_close(), at the moment of the report */
        CALL_HELP,      /* only a helper can: it may block, but ends by itself */
        CALL_HELP_ONCE, /* it is ready, and still might block for long: a helper, one at a time */
};

/* Where an op is that has not been completed. */
enum call_place {
        PLACE_NONE,
        PLACE_WATCH,       /* in the queue of its descriptor */
        PLACE_LATER,       /* to be tried again after a while */
        PLACE_HELPER,      /* with the helpers */
        PLACE_HELPER_ONCE, /* with the helpers, and its turn on the descriptor with it */
        PLACE_DONE,        /* about to be reported */
        PLACE_CLOSE,       /* about to be closed and reported */
};

/* What is known of an op between its tries; lies in op->backend_data. */
struct call_progress {
        uint32_t done_bytes; /* moved so far; of CONNECT: 1 once it is under way */
        uint16_t events;     /* POLL... that it waits for */
        uint8_t place;       /* enum call_place; the loop's thread alone reads and writes it */
        bool begun;          /* by a helper, under its lock */
} __attribute__((may_alias));

_Static_assert(sizeof(struct call_progress) == sizeof(uint64_t), "fits into op->backend_data");

static inline struct call_progress *call_progress(struct op *op)
{
        return (struct call_progress *)&op->backend_data;
}

/* Before the first try: clears the progress and sets the events. */
void call_begin(struct op *op);

/* On the loop's thread; never blocks. quiet: RWF_NOSIGNAL works. */
enum call_outcome call_try(struct op *op, bool quiet);

/* In a helper, which blocks all signals: sets op->res. */
void call_block(struct op *op, bool once);

/* As call_block(), where no helper can be had: on the loop's thread, which then blocks. */
void call_block_here(struct op *op, bool once);

/* On the loop's thread: what op->res, as the helper left it, comes to. */
enum call_outcome call_after_help(struct op *op, bool once);

/* In a helper: might call_block() wait for somebody else, and for ever? */
bool call_may_wait(const struct op *op);

/* Closes the descriptor and sets op->res. No task may run between this and the report, because the number is
 * anybody's from here on, and known to be only from there on. */
void call_close(struct op *op);

/* What an op that was cancelled between its tries returns: io_uring tells of the bytes that it had moved. */
int32_t call_cancelled(struct op *op);

/* Ops that take turns: while one of them found nothing to do, the others on the descriptor need not try.
 * POLLIN, POLLOUT, or 0: it is on its own. */
unsigned call_turn(const struct op *op);

/* READ, WRITE, READV, WRITEV. */
bool call_is_rw(const struct op *op);

/* A socket whose data has no boundaries. */
bool call_is_stream(int fd);

/* Does RWF_NOSIGNAL work? */
bool call_probe_quiet(void);

#endif
