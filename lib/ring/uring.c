/* uring.c - the backend that is the kernel's io_uring.
 *
 * Entries are written into the submission ring as they come and handed over by the one enter of a pass,
 * which also waits. The kernel takes entries in order, so a cancel never overtakes its target. Completions
 * are never dropped (IORING_FEAT_NODROP is required): what overflows is kept by the kernel and fetched by
 * another enter. */
#include <errno.h>
#include <fcntl.h>
#include <linux/time_types.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/sys.h"
#include "coro/sanitize.h"
#include "ring/fixed.h"
#include "ring/ring.h"
#include "ring/uring.h"
#include "ring/written.h"

enum { WORKERS_DEFAULT = 16, DISK_BATCH = 4 };

/* Setup flags from the most wanted form to the plainest, with the kernel that brought them.
 *
 * Under DEFER_TASKRUN what is done stays unseen until we enter: whoever sleeps in a poll of the ring is not
 * woken, and a registered eventfd is not always rung when what completes was itself a read of an eventfd
 * (tried with 6.18). So a ring that somebody else polls does without; the kernel then ends that sleep, which
 * shows as EINTR where it is an epoll_wait(). */
static const struct {
        unsigned kernel, flags;
} forms[] = {
        {OURO_KERNEL(6, 1), IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                                    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
        {OURO_KERNEL(5, 19), IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                     IORING_SETUP_TASKRUN_FLAG},
        {OURO_KERNEL(5, 11), IORING_SETUP_CLAMP},
};

/* The kernel may not be asked for what came after the masked version. */
static bool has(const struct ring *ring, unsigned kernel)
{
        return ring->kernel == 0 || ring->kernel >= kernel;
}

static int enter(struct uring *uring, unsigned submit, unsigned wait, unsigned flags, int64_t timeout_ns)
{
        struct __kernel_timespec ts = {timeout_ns / OURO_SEC(1), timeout_ns % OURO_SEC(1)};
        struct io_uring_getevents_arg arg = {.ts = timeout_ns > 0 ? (uint64_t)(uintptr_t)&ts : 0};
        struct io_uring *ring = &uring->ring;

        if (ring->int_flags & 1) /* registered: enter_ring_fd is an index */
                flags |= IORING_ENTER_REGISTERED_RING;
        return (int)sys_result(syscall(__NR_io_uring_enter, ring->enter_ring_fd, submit, wait,
                                       flags | IORING_ENTER_EXT_ARG, &arg, sizeof arg));
}

/* ---- submission ---- */

static unsigned unsubmitted(const struct io_uring *ring)
{
        return ring->sq.sqe_tail -
               atomic_load_explicit((_Atomic unsigned *)ring->sq.khead, memory_order_acquire);
}

/* Shows the kernel the entries written so far. */
static unsigned publish(struct io_uring *ring)
{
        atomic_store_explicit((_Atomic unsigned *)ring->sq.ktail, ring->sq.sqe_tail, memory_order_release);
        return unsubmitted(ring);
}

static struct io_uring_sqe *free_entry(struct uring *uring)
{
        struct io_uring *ring = &uring->ring;

        /* sqe_head is where the kernel's head was when it was last looked at. */
        if (unlikely(ring->sq.sqe_tail - ring->sq.sqe_head == ring->sq.ring_entries)) {
                if (unsubmitted(ring) == ring->sq.ring_entries)
                        enter(uring, publish(ring), 0, 0, 0); /* an error here comes again in uring_wait() */
                ring->sq.sqe_head = ring->sq.sqe_tail - unsubmitted(ring);
                if (ring->sq.sqe_tail - ring->sq.sqe_head == ring->sq.ring_entries)
                        return NULL;
        }
        return &ring->sq.sqes[ring->sq.sqe_tail++ & ring->sq.ring_mask];
}

/* At an offset: of a file, that is, and a disk may be behind it. */
static bool is_at_offset(const struct io_uring_sqe *sqe)
{
        switch (sqe->opcode) {
        case IORING_OP_READ:
        case IORING_OP_WRITE:
        case IORING_OP_READV:
        case IORING_OP_WRITEV:
        case IORING_OP_READ_FIXED:
        case IORING_OP_WRITE_FIXED:
                return sqe->off != UINT64_MAX;
        default:
                return false;
        }
}

/* A disk that gets all that a pass asks of it at once has stood idle until then, and then answers all at
 * once: it is given some at a time. Sockets gain nothing by it (docs/decisions.md). */
static void hand_over_early(struct uring *uring)
{
        if (unsubmitted(&uring->ring) >= DISK_BATCH)
                enter(uring, publish(&uring->ring), 0, 0, 0); /* an error here comes again in uring_wait() */
}

static bool uring_submit(struct ring *ring, struct op *op)
{
        struct uring *uring = ring->impl;
        struct io_uring_sqe *sqe;

        if (unlikely(uring->help.is_ours[op->sqe.opcode])) {
                help_submit(&uring->help, op);
                return true;
        }
        sqe = free_entry(uring);
        if (unlikely(!sqe))
                return false;
        *sqe = op->sqe;
        if ((sqe->opcode == IORING_OP_WRITE || sqe->opcode == IORING_OP_WRITEV) && ring->quiet_writes)
                sqe->rw_flags |= RWF_NOSIGNAL;
        if (unlikely(ring->fixed))
                fixed_apply(ring->fixed, sqe);
        if (is_at_offset(sqe))
                hand_over_early(uring);
        return true;
}

static bool uring_cancel(struct ring *ring, struct op *op)
{
        struct uring *uring = ring->impl;
        struct io_uring_sqe *sqe;

        if (unlikely(uring->help.is_ours[op->sqe.opcode])) {
                help_cancel(&uring->help, op);
                return true;
        }
        sqe = free_entry(uring);
        if (unlikely(!sqe))
                return false;
        memset(sqe, 0, sizeof *sqe);
        sqe->opcode = IORING_OP_ASYNC_CANCEL;
        sqe->fd = -1;
        sqe->addr = op->sqe.user_data;
        sqe->user_data =
                0; /* whatever it answers decides nothing, and names no slot: generations begin at 1 */
        return true;
}

/* ---- completion ---- */

static void reap(struct ring *ring, struct uring *uring)
{
        struct io_uring_cq *cq = &uring->ring.cq;
        unsigned head = *cq->khead;
        unsigned tail = atomic_load_explicit((_Atomic unsigned *)cq->ktail, memory_order_acquire);

        for (; head != tail; head++) {
                struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];

                if (unlikely(uring->on_valgrind))
                        tell_written(ring_find(ring, cqe->user_data), cqe);
                if (cqe->user_data != 0)
                        ring_complete(ring, cqe->user_data, cqe->res, cqe->flags);
        }
        atomic_store_explicit((_Atomic unsigned *)cq->khead, head, memory_order_release);
}

static bool completions_wait(const struct uring *uring)
{
        const struct io_uring_cq *cq = &uring->ring.cq;

        return atomic_load_explicit((_Atomic unsigned *)cq->ktail, memory_order_acquire) != *cq->khead;
}

static unsigned kernel_flags(const struct uring *uring)
{
        return atomic_load_explicit((_Atomic unsigned *)uring->ring.sq.kflags, memory_order_relaxed);
}

/* What is an error of the loop, and not a moment's. */
static int judge_enter(int result)
{
        switch (result) {
        case -EBADR:
                die("the kernel has lost a completion: a task would wait for ever");
        case -EINTR:
        case -ETIME:
        case -EAGAIN: /* no memory for a request now, or completions must be taken first */
        case -EBUSY:
                return 0;
        default:
                return result < 0 ? result : 0;
        }
}

static int uring_wait(struct ring *ring, int64_t timeout_ns)
{
        struct uring *uring = ring->impl;
        unsigned submit = publish(&uring->ring), flags = IORING_ENTER_GETEVENTS, wait = 0;
        int error = 0;

        if (timeout_ns != 0 && !completions_wait(uring) && !help_waits(&uring->help)) {
                wait = 1;
                flags |= uring->enter_flags;
        }
        if (submit || wait || (kernel_flags(uring) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
                error = judge_enter(enter(uring, submit, wait, flags, wait ? timeout_ns : 0));
        reap(ring, uring);
        while (kernel_flags(uring) & IORING_SQ_CQ_OVERFLOW && error == 0) { /* room now for what overflowed */
                error = judge_enter(enter(uring, 0, 0, IORING_ENTER_GETEVENTS, 0));
                reap(ring, uring);
        }
        if (unlikely(help_waits(&uring->help)))
                help_deliver(&uring->help);
        return error;
}

/* ---- waking ---- */

static void uring_wake(struct ring *ring)
{
        struct uring *uring = ring->impl;
        const uint64_t one = 1;

        (void)sys_result(write(uring->wake_fd, &one, sizeof one)); /* full: it is awake for sure */
}

static void has_woken(struct ring *ring, struct op *op);

static int listen_for_wake(struct ring *ring)
{
        struct uring *uring = ring->impl;
        struct op *op = &uring->wake_op;

        io_uring_prep_read(op_begin(op), uring->wake_fd, &uring->wake_count, sizeof uring->wake_count, 0);
        op->complete = has_woken;
        return op_start(ring, op);
}

/* A wake may come as late as while the ring is being closed. */
static void has_woken(struct ring *ring, struct op *op)
{
        const struct uring *uring = ring->impl;

        (void)op;
        if (!uring->closing)
                check(listen_for_wake(ring) == 0); /* the slot it had is free */
}

/* ---- polled by somebody else ---- */

static int uring_descriptor(const struct ring *ring)
{
        const struct uring *uring = ring->impl;

        return uring->ring.ring_fd;
}

static bool uring_rest(struct ring *ring, int64_t *ret_ns)
{
        struct uring *uring = ring->impl;
        unsigned submit = publish(&uring->ring);

        (void)ret_ns;
        if (submit > 0 && (enter(uring, submit, 0, 0, 0) < 0 || unsubmitted(&uring->ring) > 0))
                return false;
        return !help_waits(&uring->help);
}

/* ---- opening ---- */

/* Does a write without SIGPIPE exist? Tried on a pipe that has a reader. */
static bool probe_quiet_write(const struct ring *ring)
{
        struct iovec byte = {(char[]){0}, 1};
        bool works;
        int fds[2];

        if (!has(ring, OURO_KERNEL(6, 18)) || sys_result(pipe2(fds, O_CLOEXEC)) < 0)
                return false;
        works = sys_result(pwritev2(fds[1], &byte, 1, -1, RWF_NOSIGNAL)) == 1;
        close(fds[0]);
        close(fds[1]);
        return works;
}

static void mask_sigpipe(struct ring *ring)
{
        struct uring *uring = ring->impl;
        sigset_t pipe, old, pending;

        ring->quiet_writes = probe_quiet_write(ring);
        if (ring->quiet_writes)
                return;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        uring->sigpipe_masked = pthread_sigmask(SIG_BLOCK, &pipe, &old) == 0 && !sigismember(&old, SIGPIPE);
        uring->sigpipe_ours = sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE);
}

static void unmask_sigpipe(const struct uring *uring)
{
        const struct timespec now = {0, 0};
        sigset_t pipe;

        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        while (uring->sigpipe_ours && sigtimedwait(&pipe, NULL, &now) == SIGPIPE)
                ; /* raised by a write that told its task -EPIPE */
        if (uring->sigpipe_masked)
                pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
}

/* Before the descriptor is registered or has been entered by. */
static int raise_descriptor(struct io_uring *ring)
{
        ring->ring_fd = ring->enter_ring_fd = sys_above_stdio(ring->ring_fd);
        return ring->ring_fd;
}

static int set_up(struct ring *ring, const struct ring_config *config)
{
        struct uring *uring = ring->impl;
        int error = -ENOSYS;

        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
                struct io_uring_params params = {.flags = forms[i].flags};

                if (!has(ring, forms[i].kernel) ||
                    (config->polled && (forms[i].flags & IORING_SETUP_DEFER_TASKRUN)))
                        continue;
                error = io_uring_queue_init_params(config->entries, &uring->ring, &params);
                if (error != -EINVAL)
                        break;
        }
        if (error == -EPERM || error == -EOPNOTSUPP || error == -EINVAL || error == -EACCES)
                return -ENOSYS;
        if (error < 0)
                return error;
        error = raise_descriptor(&uring->ring);
        if (error < 0) {
                io_uring_queue_exit(&uring->ring);
                return error;
        }
        sanitize_memory_mapped();
        if ((uring->ring.features & (IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL)) !=
            (IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL)) {
                io_uring_queue_exit(&uring->ring);
                return -ENOSYS;
        }
        for (unsigned i = 0; i < uring->ring.sq.ring_entries; i++)
                uring->ring.sq.array[i] = i; /* entry i of the ring is always entry i of the array */
        return 0;
}

/* Setup may be allowed and enter denied, by a seccomp filter for one: a NOP finds out. */
static int try_nop(struct uring *uring)
{
        struct io_uring_sqe *sqe = free_entry(uring);
        struct io_uring_cqe *cqe;
        int result;

        io_uring_prep_nop(sqe);
        sqe->user_data = 0;
        do
                result = enter(uring, publish(&uring->ring), 1, IORING_ENTER_GETEVENTS, 0);
        while (result == -EINTR || (result >= 0 && !completions_wait(uring)));
        if (result < 0)
                return result == -ENOMEM || result == -EAGAIN ? -ENOMEM : -ENOSYS;
        cqe = &uring->ring.cq.cqes[*uring->ring.cq.khead & uring->ring.cq.ring_mask];
        result = cqe->res;
        io_uring_cq_advance(&uring->ring, 1);
        return result < 0 ? -ENOSYS : 0;
}

/* What helpers cannot do must be there; where it is not, epoll does it all. */
static bool probe_opcodes(struct ring *ring, const struct ring_config *config)
{
        struct uring *uring = ring->impl;
        static const uint8_t needed[] = {
                IORING_OP_RECV,   IORING_OP_SEND,    IORING_OP_RECVMSG,      IORING_OP_SENDMSG,
                IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_SHUTDOWN,     IORING_OP_CLOSE,
                IORING_OP_READ,   IORING_OP_WRITE,   IORING_OP_POLL_ADD,     IORING_OP_TIMEOUT,
                IORING_OP_READV,  IORING_OP_WRITEV,  IORING_OP_ASYNC_CANCEL,
        };
        struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
        bool all = probe != NULL;

        for (size_t i = 0; all && i < sizeof needed; i++)
                all = io_uring_opcode_supported(probe, needed[i]);
        help_init(&uring->help, ring, help_limit(config->kernel_workers), probe);
        if (probe)
                io_uring_free_probe(probe);
        return all;
}

static void tune(struct ring *ring, const struct ring_config *config)
{
        struct uring *uring = ring->impl;
        unsigned workers = config->kernel_workers ? config->kernel_workers : WORKERS_DEFAULT;
        unsigned bound[2] = {workers, workers};

        io_uring_ring_dontfork(&uring->ring); /* a forked child must not see our rings move */
        if (has(ring, OURO_KERNEL(5, 18)))
                io_uring_register_ring_fd(&uring->ring);
        io_uring_register_iowq_max_workers(&uring->ring, bound);
        if (has(ring, OURO_KERNEL(6, 15)) && (uring->ring.features & IORING_FEAT_NO_IOWAIT))
                uring->enter_flags = IORING_ENTER_NO_IOWAIT;
        uring->on_valgrind = sanitize_on_valgrind();
        mask_sigpipe(ring);
}

static int open_wake(struct ring *ring)
{
        struct uring *uring = ring->impl;
        int error;

        uring->wake_fd = sys_above_stdio(sys_result(eventfd(0, EFD_CLOEXEC)));
        if (uring->wake_fd < 0)
                return uring->wake_fd;
        error = listen_for_wake(ring);
        if (error < 0)
                close(uring->wake_fd);
        return error;
}

static int uring_open(struct ring *ring, const struct ring_config *config)
{
        struct uring *uring = mem_calloc(sizeof *uring);
        int error;

        if (!uring)
                return -ENOMEM;
        ring->impl = uring;
        error = set_up(ring, config);
        if (error < 0) {
                mem_free(uring, sizeof *uring);
                return error;
        }
        error = try_nop(uring);
        if (error == 0 && !probe_opcodes(ring, config))
                error = -ENOSYS;
        if (error == 0)
                error = open_wake(ring);
        if (error < 0) {
                sanitize_memory_unmapped();
                io_uring_queue_exit(&uring->ring);
                mem_free(uring, sizeof *uring);
                return error;
        }
        tune(ring, config);
        return 0;
}

static void uring_close(struct ring *ring)
{
        struct uring *uring = ring->impl;

        uring->closing = true;
        ring_cancel(ring, &uring->wake_op); /* its buffer is ours again only after its completion */
        while (uring->wake_op.state != OP_IDLE)
                if (ring_wait(ring, OURO_SEC(1)) < 0)
                        return; /* the ring is broken: leave its memory to it */
        help_close(&uring->help);
        sanitize_memory_unmapped();
        io_uring_queue_exit(&uring->ring);
        close(uring->wake_fd);
        unmask_sigpipe(uring);
        mem_free(uring, sizeof *uring);
}

const struct backend backend_uring = {
        .name = "uring",
        .opens_without_waiting = true,
        .loses_position = true,
        .multishot = true,
        .open = uring_open,
        .close = uring_close,
        .submit = uring_submit,
        .cancel = uring_cancel,
        .wait = uring_wait,
        .wake = uring_wake,
        .register_buffers = uring_register_buffers,
        .pin = uring_pin,
        .descriptor = uring_descriptor,
        .rest = uring_rest,
};
