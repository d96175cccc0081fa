/* helpers.h - threads that make the system calls that block, where the kernel has no other way for them.
 *
 * Ops are queued by their link. A helper takes one, runs call_block() and puts it among the finished. A
 * bounded number of helpers does what ends by itself; an op that may wait for somebody else does not count,
 * so that it cannot keep those from going forward. No helper exists before it is needed, and one that has
 * been idle for some seconds ends. All calls belong to the loop's thread. */
#ifndef OURO_RING_HELPERS_H
#define OURO_RING_HELPERS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"
#include "ring/op.h"

struct helpers {
        pthread_mutex_t lock;
        pthread_cond_t work;       /* something is queued, or closing is set */
        struct ouro_list queued;   /* ops */
        struct ouro_list finished; /* ops */
        struct ouro_list running;  /* struct helper: threads */
        struct ouro_list ended;    /* threads to be joined */
        unsigned limit;
        unsigned threads; /* in running */
        unsigned idle;    /* of them, waiting for work or about to look for it */
        unsigned waiting; /* of them, in a call that may last for ever */
        size_t queued_len;
        bool closing;
        void (*notify)(void *arg); /* called from a helper: something has finished */
        void *notify_arg;
        int64_t idle_ns; /* a helper ends after this */
};

int helpers_open(struct helpers *helpers, unsigned limit, void (*notify)(void *arg), void *arg);

/* Nothing is queued or running any more. */
void helpers_close(struct helpers *helpers);

/* Takes op; helpers_collect() gives it back with op->res set. once: see CALL_HELP_ONCE. Short of threads it
 * is done at once, here. */
void helpers_give(struct helpers *helpers, struct op *op, bool once);

/* True: op had not been begun, and is the caller's again. */
bool helpers_take_back(struct helpers *helpers, struct op *op);

/* Moves what has finished to the back of done. */
void helpers_collect(struct helpers *helpers, struct ouro_list *done);

#endif
