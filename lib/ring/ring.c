/* ring.c - the table of operations under way, and what is parked for want of room in the backend.
 *
 * Invariants: an op is in the table from ring_begin() to its last completion; while it is there, nobody
 * else may free it or what it was lent. A slot's generation goes up when it is freed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "ring/buffers.h"
#include "ring/fixed.h"
#include "ring/ring.h"

enum {
        SLOTS_FIRST = 64,
        FDS_FIRST = 64,
        FDS_BELIEVED = 1 << 16, /* what a wrong number may cost: beyond, a descriptor must exist */
};

int ring_open(struct ring *ring, struct sched *sched, const struct backend *backend,
              const struct ring_config *config)
{
        int error;

        memset(ring, 0, sizeof *ring);
        ring->sched = sched;
        ring->backend = backend;
        ring->kernel = config->kernel;
        ring->without = config->without;
        ring->recv_buffers = config->recv_buffers;
        ring->recv_buffer_bytes = config->recv_buffer_bytes;
        list_init(&ring->pending);
        list_init(&ring->cancels);
        list_init(&ring->closers);
        list_init(&ring->holds);
        error = backend->open(ring, config);
        if (error < 0)
                return error;
        sched->ring = ring;
        return 0;
}

/* Of tasks nothing is left. What belongs to none (a receiver that nobody has closed) would still be written
 * to memory that is about to be given back. */
static void end_rest(struct ring *ring)
{
        for (uint32_t i = 0; i < ring->slots_len; i++)
                if (ring->slots[i].op && !ring->slots[i].op->internal)
                        ring_cancel(ring, ring->slots[i].op);
        while (ring->in_flight > 0)
                if (ring_wait(ring, OURO_SEC(1)) < 0)
                        return; /* the ring is broken */
}

void ring_close(struct ring *ring)
{
        end_rest(ring);
        ring->backend->close(ring);
        if (ring->buffers)
                buffers_close(ring->buffers);
        fixed_close(ring);
        mem_free(ring->slots, ring->slots_len * sizeof *ring->slots);
        mem_free(ring->fds, ring->fds_len * sizeof *ring->fds);
        ring->sched->ring = NULL;
}

static int grow_slots(struct ring *ring)
{
        uint32_t from = ring->slots_len, to = from ? from * 2 : SLOTS_FIRST;
        struct ring_slot *slots = mem_grow(ring->slots, from * sizeof *slots, to * sizeof *slots);

        if (!slots)
                return -ENOMEM;
        for (uint32_t i = from; i < to; i++) {
                slots[i].generation = 1;
                slots[i].next_free = i + 1;
        }
        ring->slots = slots;
        ring->slots_len = to;
        ring->free_slot = from;
        return 0;
}

int ring_fd_error(int fd)
{
        return fd < 0 || sys_result(fcntl(fd, F_GETFD)) < 0 ? -EBADF : -ENOMEM;
}

uint32_t *ring_fd(struct ring *ring, int fd)
{
        uint32_t *fds, to = ring->fds_len ? ring->fds_len : FDS_FIRST;

        if (unlikely(fd < 0))
                return NULL;
        if (likely((uint32_t)fd < ring->fds_len))
                return &ring->fds[fd];
        if (fd >= FDS_BELIEVED && ring_fd_error(fd) == -EBADF)
                return NULL;
        while (to <= (uint32_t)fd)
                to *= 2;
        fds = mem_grow(ring->fds, ring->fds_len * sizeof *fds, to * sizeof *fds);
        if (!fds)
                return NULL;
        ring->fds = fds;
        ring->fds_len = to;
        return &ring->fds[fd];
}

static int count_one(struct ring *ring, int fd)
{
        uint32_t *word = ring_fd(ring, fd);

        if (!word)
                return ring_fd_error(fd);
        if (*word & FD_CLOSING)
                return -EBADF;
        ++*word;
        return 0;
}

/* Counts op for its descriptor; those without one (AT_FDCWD, no file at all) are not counted. */
static int count_fd(struct ring *ring, const struct op *op, struct ring_slot *slot)
{
        int fd = op->sqe.fd, error;

        slot->fd = -1;
        if (fd < 0 || op->internal || op->sqe.opcode == IORING_OP_NOP || op->sqe.opcode == IORING_OP_CLOSE)
                return 0;
        error = count_one(ring, fd);
        if (error == 0)
                slot->fd = fd;
        return error;
}

int ring_hold_fd(struct ring *ring, struct fd_hold *hold, int fd)
{
        int error = count_one(ring, fd);

        if (error < 0)
                return error;
        hold->fd = fd;
        list_push(&ring->holds, &hold->link);
        return 0;
}

int ring_begin(struct ring *ring, struct op *op)
{
        struct ring_slot *slot;
        int error;

        if (unlikely(ring->free_slot == ring->slots_len) && grow_slots(ring) < 0)
                return -ENOMEM;
        slot = &ring->slots[ring->free_slot];
        error = count_fd(ring, op, slot);
        if (unlikely(error < 0))
                return error;
        slot->op = op;
        op->sqe.user_data = (uint64_t)slot->generation << 32 | ring->free_slot;
        ring->free_slot = slot->next_free;
        ring->in_flight += !op->internal;
        op->state = OP_SUBMITTED;
        if (unlikely(!list_empty(&ring->pending)) || unlikely(!ring->backend->submit(ring, op))) {
                op->state = OP_PENDING;
                list_push(&ring->pending, &op->link);
        }
        return 0;
}

struct op *ring_find(struct ring *ring, uint64_t user_data)
{
        uint32_t index = (uint32_t)user_data;

        if (index >= ring->slots_len || ring->slots[index].generation != user_data >> 32)
                return NULL;
        return ring->slots[index].op;
}

/* The last operation on a descriptor that somebody closes has ended. */
static void wake_closer(struct ring *ring, int fd)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &ring->closers) {
                struct coro *closer = container_of(node, struct coro, waiter.link);

                if ((int)(intptr_t)closer->waiter.what != fd)
                        continue;
                list_del(node);
                coro_wake(ring->sched, closer, 0);
                return;
        }
}

static void uncount(struct ring *ring, int fd)
{
        uint32_t word = --ring->fds[fd];

        if (unlikely((word & FD_CLOSING) && (word & FD_OPS) == 0))
                wake_closer(ring, fd);
}

void ring_release_fd(struct ring *ring, struct fd_hold *hold)
{
        list_del(&hold->link);
        uncount(ring, hold->fd);
}

int ring_fd_kind(struct ring *ring, int fd, bool anew)
{
        const uint32_t kinds = FD_FILE | FD_NO_FILE | FD_PIPE;
        uint32_t *word = ring_fd(ring, fd);
        struct stat st;

        if (!word)
                return ring_fd_error(fd);
        if (*word & FD_CLOSING)
                return -EBADF;
        if (anew || !(*word & kinds)) {
                int error = sys_result(fstat(fd, &st));

                if (error < 0)
                        return error;
                *word &= ~kinds;
                *word |= S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? FD_FILE
                         : S_ISFIFO(st.st_mode)                     ? FD_NO_FILE | FD_PIPE
                                                                    : FD_NO_FILE;
        }
        return (int)(*word & kinds);
}

/* fd names another file now, or none: nothing that was known of it holds. */
void ring_forget_fd(struct ring *ring, int fd)
{
        if (fd >= 0 && (uint32_t)fd < ring->fds_len)
                ring->fds[fd] &= FD_OPS;
}

/* One that was closed by another thread (io-wq, a helper) may be open again and in use, and its new owner
 * waiting in ouro_close() for that to end: FD_CLOSING is theirs then. */
static void forget_closed(struct ring *ring, int fd)
{
        if (fd >= 0 && (uint32_t)fd < ring->fds_len && (ring->fds[fd] & FD_OPS) == 0)
                ring_forget_fd(ring, fd);
}

static bool gives_descriptor(unsigned opcode)
{
        return opcode == IORING_OP_ACCEPT || opcode == IORING_OP_OPENAT || opcode == IORING_OP_OPENAT2;
}

/* The number of a closed descriptor is used anew at once, maybe by a completion of this very batch: it must
 * be known as open before any task runs. */
static void note_descriptors(struct ring *ring, const struct op *op)
{
        if (op->sqe.opcode == IORING_OP_CLOSE)
                forget_closed(ring, op->sqe.fd);
        else if (op->res >= 0 && gives_descriptor(op->sqe.opcode))
                ring_forget_fd(ring, op->res);
}

static void uncount_slot(struct ring *ring, struct ring_slot *slot)
{
        if (slot->fd >= 0)
                uncount(ring, slot->fd);
        slot->fd = -1;
}

static void end_op(struct ring *ring, struct op *op, uint32_t index)
{
        struct ring_slot *slot = &ring->slots[index];

        if (op->cancel_queued) {
                op->cancel_queued = false;
                list_del(&op->link);
        }
        op->state = OP_IDLE;
        ring->in_flight -= !op->internal;
        uncount_slot(ring, slot);
        slot->op = NULL;
        slot->generation++;
        slot->next_free = ring->free_slot;
        ring->free_slot = index;
}

/* By these, bytes go through a descriptor. */
enum { SEND_ZC = 47, SENDMSG_ZC = 48 }; /* newer than some headers */
static const uint64_t moves_bytes = 1ull << IORING_OP_READV | 1ull << IORING_OP_WRITEV |
                                    1ull << IORING_OP_SENDMSG | 1ull << IORING_OP_RECVMSG |
                                    1ull << IORING_OP_READ | 1ull << IORING_OP_WRITE |
                                    1ull << IORING_OP_SEND | 1ull << IORING_OP_RECV |
                                    1ull << IORING_OP_SPLICE | 1ull << SEND_ZC | 1ull << SENDMSG_ZC;

static inline void note_movement(struct ring *ring, const struct op *op, uint32_t index)
{
        int fd = ring->slots[index].fd;

        if (op->res > 0 && fd >= 0 && op->sqe.opcode < 64 && (moves_bytes >> op->sqe.opcode & 1))
                ring->fds[fd] |= FD_MOVED;
}

/* Bytes are sent without a copy: from here on only their buffer is waited for, until the peer has them.
 * Closing the descriptor does not wait for that. */
static bool only_buffer_is_left(const struct op *op)
{
        return op->sqe.opcode == SEND_ZC || op->sqe.opcode == SENDMSG_ZC;
}

void ring_complete(struct ring *ring, uint64_t user_data, int32_t res, uint32_t flags)
{
        struct op *op = ring_find(ring, user_data);

        if (unlikely(flags & IORING_CQE_F_BUFFER))
                buffers_delivered(ring->buffers, flags >> IORING_CQE_BUFFER_SHIFT, op ? op->sqe.fd : -1,
                                  op ? res : 0);
        if (unlikely(!op)) {
                ring->stale++;
                return;
        }
        op->res = res;
        op->flags = flags;
        note_movement(ring, op, (uint32_t)user_data);
        note_descriptors(ring, op);
        if (!(flags & IORING_CQE_F_MORE))
                end_op(ring, op, (uint32_t)user_data);
        else if (only_buffer_is_left(op))
                uncount_slot(ring, &ring->slots[(uint32_t)user_data]);
        op->complete(ring, op);
}

void ring_cancel(struct ring *ring, struct op *op)
{
        if (op->state == OP_IDLE || op->cancel_asked)
                return;
        op->cancel_asked = true;
        if (op->state == OP_PENDING) {
                list_del(&op->link);
                ring_complete(ring, op->sqe.user_data, -ECANCELED, 0);
        } else if (!ring->backend->cancel(ring, op)) {
                op->cancel_queued = true;
                list_push(&ring->cancels, &op->link);
        }
}

static void cancel_for_close(struct ring *ring, struct op *op)
{
        op->closed = true;
        ring_cancel(ring, op);
}

void ring_cancel_fd(struct ring *ring, int fd)
{
        struct ouro_list *node, *tmp;

        for (uint32_t i = 0; i < ring->slots_len; i++) {
                struct op *op = ring->slots[i].op;

                if (op && ring->slots[i].fd == fd)
                        cancel_for_close(ring, op);
        }
        list_each_safe(node, tmp, &ring->holds) {
                struct fd_hold *hold = container_of(node, struct fd_hold, link);

                if (hold->fd == fd)
                        hold->closing(ring, hold);
        }
}

void fd_hold_ends_op(struct ring *ring, struct fd_hold *hold)
{
        cancel_for_close(ring, hold->op);
}

bool ring_all_cancelled(const struct ring *ring)
{
        for (uint32_t i = 0; i < ring->slots_len; i++) {
                const struct op *op = ring->slots[i].op;

                if (op && !op->internal && !op->cancel_asked)
                        return false;
        }
        return ring->in_flight > 0;
}

/* Offers what is parked again: cancels first, because they make room. */
static void offer_parked(struct ring *ring)
{
        while (unlikely(!list_empty(&ring->cancels))) {
                struct op *op = container_of(ring->cancels.next, struct op, link);

                if (!ring->backend->cancel(ring, op))
                        return;
                list_del(&op->link);
                op->cancel_queued = false;
        }
        while (unlikely(!list_empty(&ring->pending))) {
                struct op *op = container_of(ring->pending.next, struct op, link);

                if (!ring->backend->submit(ring, op))
                        return;
                list_del(&op->link);
                op->state = OP_SUBMITTED;
        }
}

int ring_wait(struct ring *ring, int64_t timeout_ns)
{
        int error;

        offer_parked(ring);
        if (unlikely(!list_empty(&ring->pending) || !list_empty(&ring->cancels)))
                timeout_ns = 0; /* they go in as soon as what is full has been emptied */
        error = ring->backend->wait(ring, timeout_ns);
        offer_parked(ring);
        return error;
}

int ring_descriptor(const struct ring *ring)
{
        return ring->backend->descriptor(ring);
}

bool ring_rest(struct ring *ring, int64_t *ret_ns)
{
        offer_parked(ring);
        return ring->backend->rest(ring, ret_ns) && list_empty(&ring->pending) && list_empty(&ring->cancels);
}

void ring_wake(struct ring *ring)
{
        ring->backend->wake(ring);
}
