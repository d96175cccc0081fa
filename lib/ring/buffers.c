/* buffers.c - the buffers of one loop that data is received into once it is there. */
#include "ring/buffers.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/sys.h"
#include "coro/sanitize.h"
#include "ring/ring.h"

enum { COUNT_DEFAULT = 256, BYTES_DEFAULT = 4096 };

/* A task in buffers_wait(), on its stack. */
struct buffer_wait {
        struct ouro_list link; /* in buffers->waiting */
        struct fd_hold hold;
        struct coro *coro;
};

static size_t kernel_bytes(const struct buffers *buffers)
{
        return buffers->count * sizeof(struct io_uring_buf);
}

/* Memory that nobody has written to costs nothing. NULL: there is none. */
static void *map(size_t bytes)
{
        void *base =
                mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        return base == MAP_FAILED ? NULL : base;
}

/* ---- giving back ---- */

static void give_kernel(struct buffers *buffers, unsigned id)
{
        struct io_uring_buf *buf = &buffers->kernel->bufs[buffers->tail & (buffers->count - 1)];

        buf->addr = (uintptr_t)buffer_at(buffers, id);
        buf->len = (uint32_t)buffers->bytes;
        buf->bid = (uint16_t)id;
        atomic_store_explicit((_Atomic uint16_t *)&buffers->kernel->tail, ++buffers->tail,
                              memory_order_release);
}

static void make_available(struct buffers *buffers, unsigned id)
{
        buffers->available++;
        if (buffers->kernel) {
                give_kernel(buffers, id);
        } else {
                buffers->notes[id].next_free = buffers->first_free;
                buffers->first_free = id;
        }
}

static bool holds_any(const struct buffers *buffers, int fd)
{
        for (unsigned id = 0; id < buffers->count; id++)
                if (buffers->notes[id].held && buffers->notes[id].fd == fd)
                        return true;
        return false;
}

/* spare: how many there are besides the one in question. */
static bool may_have(const struct buffers *buffers, int fd, unsigned spare)
{
        return spare >= buffers->count / 4 || !holds_any(buffers, fd);
}

/* Those who wait while some are available have their share: nobody overtakes them. */
bool buffers_may_take(const struct buffers *buffers, int fd)
{
        return buffers->available > 0 && may_have(buffers, fd, buffers->available - 1);
}

static void hold(struct buffers *buffers, unsigned id, int fd)
{
        buffers->notes[id].held = true;
        buffers->notes[id].fd = fd;
        buffers->held++;
}

/* Looked at in order: somebody whose descriptor has its share does not keep the next one waiting. */
static bool hand_over(struct buffers *buffers, unsigned id)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &buffers->waiting) {
                struct buffer_wait *wait = container_of(node, struct buffer_wait, link);

                if (!may_have(buffers, wait->hold.fd, buffers->available))
                        continue;
                list_del(node);
                hold(buffers, id, wait->hold.fd);
                coro_wake(buffers->ring->sched, wait->coro, (intptr_t)id);
                return true;
        }
        return false;
}

void buffers_put(struct buffers *buffers, unsigned id)
{
        if (buffers->notes[id].held) {
                buffers->notes[id].held = false;
                buffers->notes[id].generation++;
                buffers->held--;
        }
        if (!hand_over(buffers, id))
                make_available(buffers, id);
}

/* ---- taking ---- */

int buffers_take(struct buffers *buffers)
{
        unsigned id = buffers->first_free;

        if (id == buffers->count)
                return -ENOBUFS;
        buffers->first_free = buffers->notes[id].next_free;
        buffers->available--;
        return (int)id;
}

void buffers_delivered(struct buffers *buffers, unsigned id, int fd, int32_t res)
{
        check(id < buffers->count && !buffers->notes[id].held);
        if (buffers->kernel)
                buffers->available--;
        if (res <= 0) {
                buffers_put(buffers, id);
                return;
        }
        sanitize_defined(buffer_at(buffers, id), (size_t)res);
        hold(buffers, id, fd);
}

static void cut_wait(struct sched *sched, struct coro *coro, int interrupt)
{
        struct buffer_wait *wait = coro->waiter.what;

        list_del(&wait->link);
        coro_wake(sched, coro, interrupt);
}

static void wait_target(const struct coro *coro, struct wait_target *target)
{
        const struct buffer_wait *wait = coro->waiter.what;

        target->fd = wait->hold.fd;
}

static const struct wait_kind waits_for_buffer = {.name = "buffer", .cut = cut_wait, .target = wait_target};

static void fd_is_closing(struct ring *ring, struct fd_hold *held)
{
        struct buffer_wait *wait = container_of(held, struct buffer_wait, hold);

        if (wait->coro->wait) /* else it has been woken already, and finds out by itself */
                cut_wait(ring->sched, wait->coro, -EBADF);
}

int buffers_wait(struct buffers *buffers, int fd)
{
        struct sched *sched = buffers->ring->sched;
        struct buffer_wait wait = {.hold = {.closing = fd_is_closing}, .coro = sched->current};
        int result;

        if (buffers_may_take(buffers, fd)) {
                result = buffers->kernel ? -EAGAIN : buffers_take(buffers);
                if (result >= 0)
                        hold(buffers, (unsigned)result, fd);
                return result;
        }
        if (sched->current->interrupt)
                return sched->current->interrupt;
        result = ring_hold_fd(buffers->ring, &wait.hold, fd);
        if (result < 0)
                return result;
        list_push(&buffers->waiting, &wait.link);
        sched->current->waiter.what = &wait;
        result = (int)coro_wait(sched, &waits_for_buffer);
        ring_release_fd(buffers->ring, &wait.hold);
        return result;
}

/* ---- making them ---- */

static bool wants_kernel(const struct ring *ring)
{
        return ring->backend->register_buffers && ring_may(ring, OURO_KERNEL(5, 19)) &&
               !(ring->without & OURO_WITHOUT_BUFFER_RING);
}

/* A limit (of locked memory, say) or an old kernel: then the list is ours. */
static void open_kernel(struct buffers *buffers)
{
        struct ring *ring = buffers->ring;

        if (!wants_kernel(ring))
                return;
        buffers->kernel = map(kernel_bytes(buffers));
        if (!buffers->kernel)
                return;
        if (ring->backend->register_buffers(ring, buffers->kernel, buffers->count, BUFFER_GROUP) < 0) {
                munmap(buffers->kernel, kernel_bytes(buffers));
                buffers->kernel = NULL;
        }
}

static unsigned power_of_two(unsigned n)
{
        unsigned power = 1;

        while (power < n)
                power *= 2;
        return power;
}

static atomic_uintptr_t serials;

static struct buffers *open_buffers(struct ring *ring)
{
        struct buffers *buffers = mem_calloc(sizeof *buffers);

        if (!buffers)
                return NULL;
        buffers->ring = ring;
        buffers->serial = atomic_fetch_add(&serials, 1) + 1;
        buffers->count = power_of_two(ring->recv_buffers ? ring->recv_buffers : COUNT_DEFAULT);
        buffers->bytes = ring->recv_buffer_bytes ? ring->recv_buffer_bytes : BYTES_DEFAULT;
        buffers->first_free = buffers->count;
        list_init(&buffers->waiting);
        buffers->notes = mem_calloc(buffers->count * sizeof *buffers->notes);
        buffers->memory = map(buffers->count * buffers->bytes);
        if (!buffers->notes || !buffers->memory) {
                if (buffers->memory)
                        munmap(buffers->memory, buffers->count * buffers->bytes);
                mem_free(buffers->notes, buffers->count * sizeof *buffers->notes);
                mem_free(buffers, sizeof *buffers);
                return NULL;
        }
        open_kernel(buffers);
        for (unsigned id = buffers->count; id-- > 0;)
                make_available(buffers, id);
        return buffers;
}

struct buffers *buffers_of(struct ring *ring)
{
        if (unlikely(!ring->buffers))
                ring->buffers = open_buffers(ring);
        return ring->buffers;
}

void buffers_close(struct buffers *buffers)
{
        if (buffers->held > 0)
                log_line(OURO_LOG_WARNING,
                         "%zu buffers of ouro_recv_buf() were not released before the run ended: they are "
                         "gone",
                         buffers->held);
        if (buffers->kernel)
                munmap(buffers->kernel, kernel_bytes(buffers));
        munmap(buffers->memory, buffers->count * buffers->bytes);
        mem_free(buffers->notes, buffers->count * sizeof *buffers->notes);
        mem_free(buffers, sizeof *buffers);
}
