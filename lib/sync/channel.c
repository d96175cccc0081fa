/* channel.c - bounded and rendezvous channels.
 *
 * Invariants: receivers wait only while the channel is empty and no sender waits; senders wait only while it
 * is full (a rendezvous is always full). A waiting task's value points to its item, or to where it wants it.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "sync/sync.h"

struct ouro_chan {
        struct sched *sched; /* of the loop whose tasks use it */
        size_t item_bytes;
        size_t capacity;
        size_t first; /* place of the oldest item */
        size_t count;
        void *senders;
        void *receivers;
        bool closed;
        char *items;
        size_t bytes; /* of this whole block */
};

static const struct wait_kind waits_to_send = {.name = "room in a channel", .cut = sync_cut};
static const struct wait_kind waits_to_recv = {.name = "an item in a channel", .cut = sync_cut};

ouro_chan *ouro_chan_new(size_t item_bytes, size_t capacity)
{
        struct ouro_chan *chan;
        size_t bytes;

        if (__builtin_mul_overflow(item_bytes, capacity, &bytes) ||
            __builtin_add_overflow(bytes, sizeof *chan, &bytes))
                return NULL;
        chan = mem_alloc(bytes);
        if (!chan)
                return NULL;
        *chan = (struct ouro_chan){.item_bytes = item_bytes, .capacity = capacity, .bytes = bytes};
        chan->items = (char *)(chan + 1);
        return chan;
}

int ouro_chan_free(ouro_chan *chan)
{
        if (!chan)
                return 0;
        if (chan->senders || chan->receivers)
                return -EBUSY;
        mem_free(chan, chan->bytes);
        return 0;
}

static inline void copy_item(const ouro_chan *chan, void *to, const void *from)
{
        if (likely(chan->item_bytes == sizeof(uint64_t)))
                memcpy(to, from, sizeof(uint64_t));
        else if (chan->item_bytes)
                memcpy(to, from, chan->item_bytes);
}

static inline size_t wrap(const ouro_chan *chan, size_t place)
{
        return place >= chan->capacity ? place - chan->capacity : place;
}

static inline void put_item(ouro_chan *chan, const void *item)
{
        copy_item(chan, chan->items + wrap(chan, chan->first + chan->count) * chan->item_bytes, item);
        chan->count++;
}

static inline void take_item(ouro_chan *chan, void *ret_item)
{
        copy_item(chan, ret_item, chan->items + chan->first * chan->item_bytes);
        chan->first = wrap(chan, chan->first + 1);
        chan->count--;
}

/* A loop uses the channel for the first time, or after another one that has left it. */
static int adopt(struct sched *sched, ouro_chan *chan)
{
        if (chan->senders || chan->receivers)
                return -EPERM;
        chan->sched = sched;
        return 0;
}

/* 0, or why the call makes no sense. An item of no bytes needs no memory. */
static inline int refuse(struct sched *sched, ouro_chan *chan, const void *item)
{
        if (unlikely(!sched))
                return -EPERM;
        if (unlikely(!chan || (!item && chan->item_bytes)))
                return -EINVAL;
        return likely(chan->sched == sched) ? 0 : adopt(sched, chan);
}

/* 0, -EPIPE, or -EAGAIN: full, and nobody takes it. */
static inline int send_now(struct sched *sched, ouro_chan *chan, const void *item)
{
        struct ouro_list *node;

        if (unlikely(chan->closed))
                return -EPIPE;
        if ((node = queue_pop(&chan->receivers))) {
                copy_item(chan, (void *)sync_coro(node)->value, item);
                coro_wake(sched, sync_coro(node), 0);
                return 0;
        }
        if (chan->count == chan->capacity)
                return -EAGAIN;
        put_item(chan, item);
        return 0;
}

/* 0, -EPIPE, or -EAGAIN: empty, and nobody sends. */
static inline int recv_now(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        struct ouro_list *node;

        if (chan->count > 0) {
                take_item(chan, ret_item);
                if ((node = queue_pop(&chan->senders))) {
                        put_item(chan, (void *)sync_coro(node)->value);
                        coro_wake(sched, sync_coro(node), 0);
                }
                return 0;
        }
        if ((node = queue_pop(&chan->senders))) { /* a rendezvous */
                copy_item(chan, ret_item, (void *)sync_coro(node)->value);
                coro_wake(sched, sync_coro(node), 0);
                return 0;
        }
        return chan->closed ? -EPIPE : -EAGAIN;
}

int ouro_chan_try_send(ouro_chan *chan, const void *item)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, chan, item);

        return error < 0 ? error : send_now(sched, chan, item);
}

int ouro_chan_try_recv(ouro_chan *chan, void *ret_item)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, chan, ret_item);

        return error < 0 ? error : recv_now(sched, chan, ret_item);
}

int ouro_chan_send(ouro_chan *chan, const void *item)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, chan, item);

        if (unlikely(error < 0))
                return error;
        if (unlikely(sched->current->interrupt))
                return sched->current->interrupt;
        error = send_now(sched, chan, item);
        if (likely(error != -EAGAIN))
                return coro_spend_int(sched, error);
        sched->current->value = (intptr_t)item;
        return sync_wait(sched, &chan->senders, &waits_to_send);
}

int ouro_chan_recv(ouro_chan *chan, void *ret_item)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, chan, ret_item);

        if (unlikely(error < 0))
                return error;
        if (unlikely(sched->current->interrupt))
                return sched->current->interrupt;
        error = recv_now(sched, chan, ret_item);
        if (likely(error != -EAGAIN))
                return coro_spend_int(sched, error);
        sched->current->value = (intptr_t)ret_item;
        return sync_wait(sched, &chan->receivers, &waits_to_recv);
}

int ouro_chan_close(ouro_chan *chan)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, chan, chan);

        if (error < 0)
                return error;
        if (chan->closed)
                return -EPIPE;
        chan->closed = true;
        sync_wake(sched, &chan->senders, SIZE_MAX, -EPIPE);
        sync_wake(sched, &chan->receivers, SIZE_MAX, -EPIPE);
        return 0;
}

size_t ouro_chan_len(const ouro_chan *chan)
{
        return chan ? chan->count : 0;
}
