/* epoll.c - the backend that carries out the same entries by readiness and helper threads, for where
 * io_uring is denied.
 *
 * An op is tried at once. If that would block, it waits in the queue of its descriptor until epoll tells
 * of a change, and is tried again; what readiness cannot serve goes to a helper. Nothing is reported but
 * from wait(): what is finished meanwhile lies in done. */
#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "ring/calls.h"
#include "ring/epoll.h"
#include "ring/help.h"
#include "ring/ring.h"

int64_t epoll_now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return OURO_SEC((int64_t)now.tv_sec) + now.tv_nsec;
}

static bool epoll_submit(struct ring *ring, struct op *op)
{
        flow_begin(ring->impl, op);
        return true;
}

static bool epoll_cancel(struct ring *ring, struct op *op)
{
        flow_cancel(ring->impl, op);
        return true;
}

/* ---- waiting ---- */

static int64_t bounded(const struct epoll *epoll, int64_t timeout_ns)
{
        int64_t left_ns;

        if (!list_empty(&epoll->done))
                return 0;
        if (timeout_ns == 0 || list_empty(&epoll->later))
                return timeout_ns;
        left_ns = epoll->later_ns - epoll_now_ns();
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
                int n = (int)sys_result(syscall(SYS_epoll_pwait2, epoll->fd, epoll->events, EPOLL_BATCH,
                                                timeout_ns < 0 ? NULL : &timeout, NULL, 0));

                if (n != -ENOSYS && n != -EPERM) /* old filters know no newer call and say EPERM */
                        return n;
                epoll->has_pwait2 = false;
        }
#endif
        return sys_result(epoll_wait(epoll->fd, epoll->events, EPOLL_BATCH, timeout_ms(timeout_ns)));
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
                if (call_progress(op)->place == PLACE_CLOSE)
                        call_close(op);
                ring_complete(ring, op->sqe.user_data, op->res, op->flags);
        }
}

static int epoll_backend_wait(struct ring *ring, int64_t timeout_ns)
{
        struct epoll *epoll = ring->impl;
        int n;

        flow_collect(epoll);
        n = sleep_for_events(epoll, bounded(epoll, timeout_ns));
        for (int i = 0; i < n; i++)
                flow_event(epoll, &epoll->events[i]);
        flow_collect(epoll);
        flow_later(epoll);
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

/* ---- polled by somebody else ---- */

static int epoll_descriptor(const struct ring *ring)
{
        const struct epoll *epoll = ring->impl;

        return epoll->fd;
}

/* As before a sleep, which the next wait ends. */
static bool epoll_rest(struct ring *ring, int64_t *ret_ns)
{
        struct epoll *epoll = ring->impl;

        if (!list_empty(&epoll->later))
                *ret_ns = epoll->later_ns;
        atomic_store(&epoll->sleeping, true);
        return list_empty(&epoll->done) && !atomic_load(&epoll->woken);
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

        epoll->wake_fd = sys_above_stdio(sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
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

        epoll->fd = sys_above_stdio(sys_result(epoll_create1(EPOLL_CLOEXEC)));
        if (epoll->fd < 0)
                return epoll->fd;
        result = open_wake(epoll);
        if (result < 0)
                close(epoll->fd);
        return result;
}

static int open_helpers(struct epoll *epoll, const struct ring_config *config)
{
        return helpers_open(&epoll->helpers, help_limit(config->kernel_workers), wake, epoll);
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
        .descriptor = epoll_descriptor,
        .rest = epoll_rest,
};
