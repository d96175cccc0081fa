/* epoll.c - the backend that carries out the same entries by readiness and helper threads, for where
 * io_uring is denied.
 *
 * An op is tried at once. If that would block, it waits in the queue of its descriptor until epoll tells
 * of a change, and is tried again; what readiness cannot serve goes to a helper. Nothing is reported but
 * from wait(): what is finished meanwhile lies in done.
 *
 * Ops of one kind on one descriptor take turns, first come, first served. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "ring/calls.h"
#include "ring/helpers.h"
#include "ring/ring.h"
#include "ring/watch.h"

enum { HELPERS_DEFAULT = 4, BATCH = 64 };

#define LATER_NS OURO_MS(2)

struct epoll {
        int fd;
        int wake_fd;
        bool has_pwait2; /* waits in ns */
        atomic_bool sleeping;
        atomic_bool woken;
        struct ring *ring;
        struct watches watches;
        struct ouro_list done;
        struct ouro_list later;
        int64_t later_ns;  /* when to try those again */
        size_t helped_len; /* ops with the helpers */
        struct helpers helpers;
        struct epoll_event events[BATCH];
};

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

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return OURO_SEC((int64_t)now.tv_sec) + now.tv_nsec;
}

static void put_later(struct epoll *epoll, struct op *op)
{
        if (list_empty(&epoll->later))
                epoll->later_ns = now_ns() + LATER_NS;
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

/* ---- waiting for a descriptor ---- */

static bool is_rw(const struct op *op)
{
        return op->sqe.opcode == IORING_OP_READ || op->sqe.opcode == IORING_OP_WRITE;
}

static bool is_at_position(const struct op *op)
{
        return is_rw(op) && op->sqe.off == UINT64_MAX;
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
        } else if (result == -EPERM && is_rw(op)) {
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
        case CALL_HELP:
                give(epoll, op, false);
                break;
        case CALL_HELP_ONCE:
                help_once(epoll, op);
                break;
        }
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
                outcome = call_try(op, epoll->ring->quiet_writes);
                if (outcome == CALL_WAIT) {
                        nothing_left |= call_turn(op);
                        continue;
                }
                if (outcome == CALL_HELP_ONCE)
                        nothing_left |= call_turn(op);
                watch_take(watch, op);
                advance(epoll, op, outcome);
        }
}

/* Events of a descriptor that nobody waits on would only keep the loop from sleeping. */
static void on_event(struct epoll *epoll, const struct epoll_event *event)
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

        ring_forget_fd(epoll->ring, op->sqe.fd);
        if (!watch)
                return;
        list_init(&lost);
        watch_empty(watch, &lost);
        fail_all(epoll, &lost, -EBADF);
        watch_forget(&epoll->watches, watch);
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

static void collect(struct epoll *epoll)
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

/* Others of its kind came first, or the caller knows that there is nothing yet. */
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
        return (watch->helped & turn) || watch_has_turn(watch, turn);
}

/* A helper that reads at the file's position holds its lock, for as long as the disk takes. */
static bool position_is_busy(const struct epoll *epoll, const struct op *op)
{
        const struct watch *watch = watch_find(&epoll->watches, op->sqe.fd);

        return watch && watch->at_position > 0 && is_at_position(op);
}

static bool epoll_submit(struct ring *ring, struct op *op)
{
        struct epoll *epoll = ring->impl;

        call_begin(op);
        if (op->sqe.opcode == IORING_OP_CLOSE && (op->sqe.fd == epoll->fd || op->sqe.fd == epoll->wake_fd)) {
                put_failed(epoll, op, -EBADF); /* ours */
                return true;
        }
        if (op->sqe.opcode == IORING_OP_CLOSE)
                begin_close(epoll, op);
        if (must_queue(epoll, op))
                wait_for(epoll, op);
        else if (position_is_busy(epoll, op))
                give(epoll, op, false);
        else
                advance(epoll, op, call_try(op, ring->quiet_writes));
        return true;
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

static bool epoll_cancel(struct ring *ring, struct op *op)
{
        struct epoll *epoll = ring->impl;

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
                break; /* it has a result of its own */
        }
        return true;
}

/* ---- waiting ---- */

static void try_later(struct epoll *epoll)
{
        struct ouro_list due;

        if (list_empty(&epoll->later) || now_ns() < epoll->later_ns)
                return;
        list_init(&due);
        list_splice(&due, &epoll->later);
        while (!list_empty(&due)) {
                struct op *op = container_of(due.next, struct op, link);

                list_del(&op->link);
                advance(epoll, op, call_try(op, epoll->ring->quiet_writes));
        }
}

static int64_t bounded(const struct epoll *epoll, int64_t timeout_ns)
{
        int64_t left_ns;

        if (!list_empty(&epoll->done))
                return 0;
        if (timeout_ns == 0 || list_empty(&epoll->later))
                return timeout_ns;
        left_ns = epoll->later_ns - now_ns();
        if (left_ns < 0)
                return 0;
        return timeout_ns < 0 || left_ns < timeout_ns ? left_ns : timeout_ns;
}

/* Rounded up: nobody's sleep may end early. */
static int timeout_ms(int64_t timeout_ns)
{
        int64_t ms = timeout_ns / OURO_MS(1) + (timeout_ns % OURO_MS(1) > 0);

        if (timeout_ns < 0)
                return -1;
        return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int wait_for_events(struct epoll *epoll, int64_t timeout_ns)
{
#ifdef SYS_epoll_pwait2
        struct timespec timeout = {timeout_ns / OURO_SEC(1), timeout_ns % OURO_SEC(1)};

        if (epoll->has_pwait2) {
                int n = (int)sys_result(syscall(SYS_epoll_pwait2, epoll->fd, epoll->events, BATCH,
                                                timeout_ns < 0 ? NULL : &timeout, NULL, 0));

                if (n != -ENOSYS && n != -EPERM) /* old filters know no newer call and say EPERM */
                        return n;
                epoll->has_pwait2 = false;
        }
#endif
        return sys_result(epoll_wait(epoll->fd, epoll->events, BATCH, timeout_ms(timeout_ns)));
}

/* The order matters: who comes to wake us sets woken, then looks at sleeping. */
static int sleep_for_events(struct epoll *epoll, int64_t timeout_ns)
{
        int n;

        if (timeout_ns != 0) {
                atomic_store(&epoll->sleeping, true);
                if (atomic_load(&epoll->woken))
                        timeout_ns = 0;
        }
        n = wait_for_events(epoll, timeout_ns);
        atomic_store(&epoll->sleeping, false);
        (void)atomic_exchange(&epoll->woken, false); /* reads it too: what the waker did before is seen */
        return n;
}

static void deliver(struct ring *ring, struct epoll *epoll)
{
        struct ouro_list batch; /* what is submitted meanwhile waits for the next time */

        list_init(&batch);
        list_splice(&batch, &epoll->done);
        while (!list_empty(&batch)) {
                struct op *op = container_of(batch.next, struct op, link);

                list_del(&op->link);
                ring_complete(ring, op->sqe.user_data, op->res, 0);
        }
}

static int epoll_backend_wait(struct ring *ring, int64_t timeout_ns)
{
        struct epoll *epoll = ring->impl;
        int n;

        collect(epoll);
        n = sleep_for_events(epoll, bounded(epoll, timeout_ns));
        for (int i = 0; i < n; i++)
                on_event(epoll, &epoll->events[i]);
        collect(epoll);
        try_later(epoll);
        deliver(ring, epoll);
        return n < 0 && n != -EINTR ? n : 0;
}

static void wake(void *arg)
{
        const uint64_t one = 1;
        struct epoll *epoll = arg;

        if (!atomic_exchange(&epoll->woken, true) && atomic_load(&epoll->sleeping))
                (void)sys_result(write(epoll->wake_fd, &one, sizeof one)); /* full: it is awake for sure */
}

static void epoll_wake(struct ring *ring)
{
        wake(ring->impl);
}

/* ---- opening ---- */

static bool has(const struct ring *ring, unsigned kernel)
{
        return ring->kernel == 0 || ring->kernel >= kernel;
}

/* Edge-triggered: its counter need never be read. */
static int open_wake(struct epoll *epoll)
{
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WATCH_NONE};
        int result;

        epoll->wake_fd = sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (epoll->wake_fd < 0)
                return epoll->wake_fd;
        result = sys_result(epoll_ctl(epoll->fd, EPOLL_CTL_ADD, epoll->wake_fd, &event));
        if (result < 0)
                close(epoll->wake_fd);
        return result;
}

static int open_descriptors(struct epoll *epoll)
{
        int result;

        epoll->fd = sys_result(epoll_create1(EPOLL_CLOEXEC));
        if (epoll->fd < 0)
                return epoll->fd;
        result = open_wake(epoll);
        if (result < 0)
                close(epoll->fd);
        return result;
}

static int open_helpers(struct epoll *epoll, const struct ring_config *config)
{
        unsigned limit = config->kernel_workers;

        if (limit == 0 || limit > HELPERS_DEFAULT)
                limit = HELPERS_DEFAULT;
        return helpers_open(&epoll->helpers, limit, wake, epoll);
}

static int epoll_open(struct ring *ring, const struct ring_config *config)
{
        struct epoll *epoll = mem_calloc(sizeof *epoll);
        int result;

        if (!epoll)
                return -ENOMEM;
        result = open_descriptors(epoll);
        if (result == 0) {
                result = open_helpers(epoll, config);
                if (result < 0) {
                        close(epoll->wake_fd);
                        close(epoll->fd);
                }
        }
        if (result < 0) {
                mem_free(epoll, sizeof *epoll);
                return result;
        }
        list_init(&epoll->done);
        list_init(&epoll->later);
        epoll->has_pwait2 = has(ring, OURO_KERNEL(5, 11));
        ring->quiet_writes = has(ring, OURO_KERNEL(6, 18)) && call_probe_quiet();
        epoll->watches.epoll_fd = epoll->fd;
        epoll->ring = ring;
        ring->impl = epoll;
        return 0;
}

static void epoll_close(struct ring *ring)
{
        struct epoll *epoll = ring->impl;

        helpers_close(&epoll->helpers);
        watches_free(&epoll->watches);
        close(epoll->wake_fd);
        close(epoll->fd);
        mem_free(epoll, sizeof *epoll);
}

const struct backend backend_epoll = {
        .name = "epoll",
        .nonblocking_sockets = true,
        .open = epoll_open,
        .close = epoll_close,
        .submit = epoll_submit,
        .cancel = epoll_cancel,
        .wait = epoll_backend_wait,
        .wake = epoll_wake,
};
