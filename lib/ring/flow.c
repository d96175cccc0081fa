/* flow.c - where an op of the epoll backend goes next: it is tried, waits, is helped, is done.
 *
 * Each op is in one place at a time (call_progress(op)->place), linked by op->link. Ops of one kind on one
 * descriptor take turns, first come, first served. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "ring/buffers.h"
#include "ring/calls.h"
#include "ring/epoll.h"
#include "ring/ring.h"

#define LATER_NS OURO_MS(2)

static void put_done(struct epoll *epoll, struct op *op)
{
        call_progress(op)->place = PLACE_DONE;
        list_push(&epoll->done, &op->link);
}

static void put_failed(struct epoll *epoll, struct op *op, int32_t result)
{
        op->res = result;
        put_done(epoll, op);
}

static void put_cancelled(struct epoll *epoll, struct op *op)
{
        put_failed(epoll, op, call_cancelled(op));
}

static void put_later(struct epoll *epoll, struct op *op)
{
        if (list_empty(&epoll->later))
                epoll->later_ns = epoll_now_ns() + LATER_NS;
        call_progress(op)->place = PLACE_LATER;
        list_push(&epoll->later, &op->link);
}

static void fail_all(struct epoll *epoll, struct ouro_list *ops, int32_t result)
{
        while (!list_empty(ops)) {
                struct op *op = container_of(ops->next, struct op, link);

                list_del(&op->link);
                put_failed(epoll, op, result);
        }
}

/* Of one that lets a buffer be chosen: only while it is tried, so that waiting costs none. */
static enum call_outcome try_with_buffer(struct epoll *epoll, struct op *op)
{
        struct buffers *buffers = epoll->ring->buffers;
        int id = buffers_take(buffers);
        enum call_outcome outcome;

        if (id < 0) {
                op->res = id;
                return CALL_DONE;
        }
        op->sqe.addr = (uintptr_t)buffer_at(buffers, (unsigned)id);
        outcome = call_try(op, epoll->ring->quiet_writes);
        if (outcome == CALL_DONE)
                op->flags = IORING_CQE_F_BUFFER | (unsigned)id << IORING_CQE_BUFFER_SHIFT;
        else
                buffers_put(buffers, (unsigned)id);
        return outcome;
}

static enum call_outcome try_op(struct epoll *epoll, struct op *op)
{
        if (unlikely(op->sqe.flags & IOSQE_BUFFER_SELECT))
                return try_with_buffer(epoll, op);
        return call_try(op, epoll->ring->quiet_writes);
}

/* ---- waiting for a descriptor ---- */

static bool is_at_position(const struct op *op)
{
        return call_is_rw(op) && op->sqe.off == UINT64_MAX;
}

static void give(struct epoll *epoll, struct op *op, bool once)
{
        struct watch *watch = watch_find(&epoll->watches, op->sqe.fd);

        if (watch && once)
                watch->helped |= call_turn(op);
        else if (watch && is_at_position(op))
                watch->at_position++;
        epoll->helped_len++;
        helpers_give(&epoll->helpers, op, once);
}

/* op has been tried and found nothing. */
static void wait_for(struct epoll *epoll, struct op *op)
{
        struct watch *watch = watch_get(&epoll->watches, op->sqe.fd);
        struct ouro_list lost;
        int result;

        list_init(&lost);
        result = watch ? watch_arm(&epoll->watches, watch, call_progress(op)->events, &lost) : -ENOMEM;
        fail_all(epoll, &lost, -EBADF);
        if (result == 0) {
                watch_put(watch, op);
        } else if (result == -EPERM && call_is_rw(op)) {
                give(epoll, op, false); /* a file, whose data is not in memory */
        } else if (result == -EPERM && op->sqe.opcode == IORING_OP_POLL_ADD) {
                put_failed(epoll, op, -EINVAL); /* for something that never comes; as io_uring */
        } else if (result == -ENOMEM || result == -ENOSPC) {
                put_later(epoll, op); /* no room for a registration: slower, same results */
        } else {
                put_failed(epoll, op, result == -EPERM ? -ENOTSOCK : result);
        }
}

/* A helper may still find that somebody else was faster; meanwhile nobody else takes this turn. */
static void help_once(struct epoll *epoll, struct op *op)
{
        if (watch_get(&epoll->watches, op->sqe.fd))
                give(epoll, op, true);
        else
                put_later(epoll, op);
}

/* op is in no queue. */
static void advance(struct epoll *epoll, struct op *op, enum call_outcome outcome)
{
        switch (outcome) {
        case CALL_DONE:
                put_done(epoll, op);
                break;
        case CALL_WAIT:
                wait_for(epoll, op);
                break;
        case CALL_LATER:
                put_later(epoll, op);
                break;
        case CALL_CLOSE:
                put_done(epoll, op);
                call_progress(op)->place = PLACE_CLOSE;
                break;
        case CALL_HELP:
                give(epoll, op, false);
                break;
        case CALL_HELP_ONCE:
                help_once(epoll, op);
                break;
        }
}

/* Who waited for a stream and got less than it asked for has got all: the next one waits without a try.
 * Should more be there after all, arming tells of it at once. */
static void note_emptied(struct watch *watch, struct op *op, enum call_outcome outcome)
{
        if (op->sqe.opcode != IORING_OP_RECV)
                return;
        if (watch->stream == WATCH_STREAM_UNKNOWN)
                watch->stream = call_is_stream(watch->fd) ? WATCH_STREAM_YES : WATCH_STREAM_NO;
        watch->emptied = watch->stream == WATCH_STREAM_YES && outcome == CALL_DONE && op->res > 0 &&
                         (uint32_t)op->res < op->sqe.len;
}

/* The descriptor has changed: those who wait for it are tried. */
static void try_waiting(struct epoll *epoll, struct watch *watch, uint32_t events)
{
        bool concerns_all = events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
        unsigned nothing_left = watch->helped; /* turns */
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &watch->waiting) {
                struct op *op = container_of(node, struct op, link);
                enum call_outcome outcome;

                if ((call_turn(op) & nothing_left) || !(concerns_all || call_progress(op)->events & events))
                        continue;
                outcome = try_op(epoll, op);
                if (outcome == CALL_WAIT) {
                        nothing_left |= call_turn(op);
                        continue;
                }
                if (outcome == CALL_HELP_ONCE)
                        nothing_left |= call_turn(op);
                watch_take(watch, op);
                note_emptied(watch, op, outcome);
                advance(epoll, op, outcome);
        }
}

/* Events of a descriptor that nobody waits on would only keep the loop from sleeping. */
void flow_event(struct epoll *epoll, const struct epoll_event *event)
{
        struct watch *watch = watch_of(&epoll->watches, event->data.u64);

        if (!watch)
                return; /* the wake, or a registration that is gone */
        if (!list_empty(&watch->waiting))
                try_waiting(epoll, watch, event->events);
        else if (!watch->helped)
                watch_forget(&epoll->watches, watch);
}

/* The number is about to be anybody's. A duplicate would keep the registration alive. */
static void begin_close(struct epoll *epoll, struct op *op)
{
        struct watch *watch = watch_find(&epoll->watches, op->sqe.fd);
        struct ouro_list lost;

        if (!watch)
                return;
        list_init(&lost);
        watch_empty(watch, &lost);
        fail_all(epoll, &lost, -EBADF);
        watch_forget(&epoll->watches, watch);
        watch->emptied = false;
        watch->stream = WATCH_STREAM_UNKNOWN;
}

/* ---- helpers ---- */

/* A helper has done with op, or was spared it. */
static void release_turn(struct epoll *epoll, const struct op *op, bool once)
{
        struct watch *watch = watch_find(&epoll->watches, op->sqe.fd);

        if (watch && once) {
                watch->helped &= ~call_turn(op);
                try_waiting(epoll, watch, call_turn(op));
        } else if (watch && is_at_position(op) && watch->at_position > 0) {
                watch->at_position--;
        }
}

static void take_from_helper(struct epoll *epoll, struct op *op)
{
        bool once = call_progress(op)->place == PLACE_HELPER_ONCE;
        enum call_outcome outcome = call_after_help(op, once);

        epoll->helped_len--;
        if (outcome != CALL_DONE && op->cancel_asked)
                put_cancelled(epoll, op);
        else
                advance(epoll, op, outcome);
        release_turn(epoll, op, once);
}

void flow_collect(struct epoll *epoll)
{
        struct ouro_list finished;

        if (epoll->helped_len == 0)
                return;
        list_init(&finished);
        helpers_collect(&epoll->helpers, &finished);
        while (!list_empty(&finished)) {
                struct op *op = container_of(finished.next, struct op, link);

                list_del(&op->link);
                take_from_helper(epoll, op);
        }
}

/* ---- submitting ---- */

/* Others of its kind came first, or a try would most likely find nothing. */
static bool must_queue(const struct epoll *epoll, const struct op *op)
{
        const struct watch *watch = watch_find(&epoll->watches, op->sqe.fd);
        unsigned turn = call_turn(op);

        if (turn == 0)
                return false;
        if (op->sqe.opcode == IORING_OP_RECV && (op->sqe.ioprio & IORING_RECVSEND_POLL_FIRST))
                return true;
        if (!watch)
                return false;
        if ((watch->helped & turn) || watch_has_turn(watch, turn))
                return true;
        return watch->emptied && op->sqe.opcode == IORING_OP_RECV && !(op->sqe.msg_flags & MSG_DONTWAIT);
}

/* A helper that reads at the file's position holds its lock, for as long as the disk takes. */
static bool position_is_busy(const struct epoll *epoll, const struct op *op)
{
        const struct watch *watch = watch_find(&epoll->watches, op->sqe.fd);

        return watch && watch->at_position > 0 && is_at_position(op);
}

static bool is_own(const struct epoll *epoll, int fd)
{
        return fd == epoll->fd || fd == epoll->wake_fd;
}

void flow_begin(struct epoll *epoll, struct op *op)
{
        call_begin(op);
        op->flags = 0;
        if (op->sqe.opcode == IORING_OP_CLOSE && is_own(epoll, op->sqe.fd)) {
                put_failed(epoll, op, -EBADF);
                return;
        }
        if (op->sqe.opcode == IORING_OP_CLOSE)
                begin_close(epoll, op);
        if (must_queue(epoll, op))
                wait_for(epoll, op);
        else if (position_is_busy(epoll, op))
                give(epoll, op, false);
        else
                advance(epoll, op, try_op(epoll, op));
}

static void cancel_helped(struct epoll *epoll, struct op *op)
{
        bool once = call_progress(op)->place == PLACE_HELPER_ONCE;

        if (!helpers_take_back(&epoll->helpers, op))
                return; /* begun: it ends when it ends */
        epoll->helped_len--;
        put_cancelled(epoll, op);
        release_turn(epoll, op, once);
}

void flow_cancel(struct epoll *epoll, struct op *op)
{
        switch ((enum call_place)call_progress(op)->place) {
        case PLACE_WATCH:
                watch_take(watch_find(&epoll->watches, op->sqe.fd), op);
                put_cancelled(epoll, op);
                break;
        case PLACE_LATER:
                list_del(&op->link);
                put_cancelled(epoll, op);
                break;
        case PLACE_HELPER:
        case PLACE_HELPER_ONCE:
                cancel_helped(epoll, op);
                break;
        case PLACE_NONE:
        case PLACE_DONE:
        case PLACE_CLOSE:
                break; /* it has a result of its own */
        }
}

/* ---- what no event announces ---- */

void flow_later(struct epoll *epoll)
{
        struct ouro_list due;

        if (list_empty(&epoll->later) || epoll_now_ns() < epoll->later_ns)
                return;
        list_init(&due);
        list_splice(&due, &epoll->later);
        while (!list_empty(&due)) {
                struct op *op = container_of(due.next, struct op, link);

                list_del(&op->link);
                advance(epoll, op, try_op(epoll, op));
        }
}
