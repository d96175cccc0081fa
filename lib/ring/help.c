/* help.c - entries of a kernel's ring that helper threads carry out.
 *
 * Invariants: an op of help is with the helpers (counted in len), or in done. Nothing is reported but by
 * help_deliver(). A helper sets ready before it wakes the ring, so that a loop that looks at ready before it
 * sleeps misses nothing. */
#include <errno.h>
#include <string.h>

#include "coro/sanitize.h"
#include "ring/calls.h"
#include "ring/help.h"
#include "ring/opcodes.h"
#include "ring/ring.h"

unsigned help_limit(unsigned kernel_workers)
{
        return kernel_workers == 0 || kernel_workers > HELPERS_DEFAULT ? HELPERS_DEFAULT : kernel_workers;
}

void help_init(struct help *help, struct ring *ring, unsigned limit, const struct io_uring_probe *probe)
{
        memset(help, 0, sizeof *help);
        help->ring = ring;
        help->limit = limit;
        list_init(&help->done);
        help->open_failed =
                sanitize_on_valgrind(); /* no other thread runs there while one is in io_uring_enter(2) */
        for (unsigned opcode = 0; opcode < sizeof help->is_ours; opcode++)
                help->is_ours[opcode] = !probe || !opcode_allowed(opcode, ring->kernel) ||
                                        !io_uring_opcode_supported(probe, (int)opcode);
}

/* From a helper, or from the loop's thread where it stands in for one. */
static void notify(void *arg)
{
        struct help *help = arg;

        if (!atomic_exchange(&help->ready, true))
                ring_wake(help->ring);
}

static bool have_helpers(struct help *help)
{
        if (!help->opened && !help->open_failed) {
                help->opened = helpers_open(&help->helpers, help->limit, notify, help) == 0;
                help->open_failed = !help->opened;
        }
        return help->opened;
}

static void put_done(struct help *help, struct op *op)
{
        call_progress(op)->place = PLACE_DONE;
        list_push(&help->done, &op->link);
}

static void give(struct help *help, struct op *op)
{
        if (have_helpers(help)) {
                help->len++;
                helpers_give(&help->helpers, op, false);
                atomic_store(&help->ready,
                             true); /* short of threads it is done by now, and nobody has said so */
        } else {
                call_block_here(op, false);
                put_done(help, op);
        }
}

/* What would have to wait for readiness is told -EAGAIN, and whoever waits for op polls. */
void help_submit(struct help *help, struct op *op)
{
        enum call_outcome outcome;

        call_begin(op);
        outcome = call_try(op, help->ring->quiet_writes);
        if (outcome == CALL_HELP) {
                give(help, op);
                return;
        }
        if (outcome != CALL_DONE)
                op->res = -EAGAIN;
        put_done(help, op);
}

void help_cancel(struct help *help, struct op *op)
{
        if (call_progress(op)->place != PLACE_HELPER || !helpers_take_back(&help->helpers, op))
                return; /* done, or begun: it ends when it ends */
        help->len--;
        op->res = call_cancelled(op);
        put_done(help, op);
}

static void collect(struct help *help)
{
        struct ouro_list finished;

        if (!help->opened || !atomic_exchange(&help->ready, false))
                return;
        list_init(&finished);
        helpers_collect(&help->helpers, &finished);
        while (!list_empty(&finished)) {
                struct op *op = container_of(finished.next, struct op, link);

                list_del(&op->link);
                help->len--;
                put_done(help, op);
        }
}

void help_deliver(struct help *help)
{
        struct ouro_list batch; /* what is submitted meanwhile waits for the next time */

        collect(help);
        if (list_empty(&help->done))
                return;
        list_init(&batch);
        list_splice(&batch, &help->done);
        while (!list_empty(&batch)) {
                struct op *op = container_of(batch.next, struct op, link);

                list_del(&op->link);
                ring_complete(help->ring, op->sqe.user_data, op->res, 0);
        }
}

void help_close(struct help *help)
{
        if (help->opened)
                helpers_close(&help->helpers);
        help->opened = false;
}
