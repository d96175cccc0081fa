/* channel.c - channels of one loop: rendezvous, bounded, unbounded.
 *
 * Invariants: receivers wait only while the channel is empty and no sender waits; senders wait only while it
 * is full (a rendezvous is always full, an unbounded one never). A waiting task's value points to its item,
 * or to where it wants it.
 *
 * Items lie in a ring of places. That of an unbounded channel doubles when it is full, and goes when it is
 * drained, unless it is small. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "sync/select.h"

enum { KEEP_BYTES = 4096, PLACES_FIRST = 16 };

static void target_send(const struct coro *coro, struct wait_target *target)
{
        target->object = container_of(coro->waiter.what, struct ouro_chan, senders);
}

static void target_recv(const struct coro *coro, struct wait_target *target)
{
        target->object = container_of(coro->waiter.what, struct ouro_chan, receivers);
}

static const struct wait_kind waits_to_send = {
        .name = "room in a channel", .cut = sync_cut, .target = target_send};
static const struct wait_kind waits_to_recv = {
        .name = "an item in a channel", .cut = sync_cut, .target = target_recv};

ouro_chan *ouro_chan_new(size_t item_bytes, size_t capacity)
{
        size_t places = capacity == OURO_CHAN_UNBOUNDED ? 0 : capacity;
        struct ouro_chan *chan;
        size_t bytes;

        if (__builtin_mul_overflow(item_bytes, places, &bytes) ||
            __builtin_add_overflow(bytes, sizeof *chan, &bytes))
                return NULL;
        chan = mem_alloc(bytes);
        if (!chan)
                return NULL;
        *chan = (struct ouro_chan){.item_bytes = item_bytes, .capacity = capacity, .bytes = bytes};
        chan->sched = CHAN_NO_SCHED;
        chan->places = places;
        chan->keep = SIZE_MAX;
        chan->items = (char *)(chan + 1);
        if (capacity == OURO_CHAN_UNBOUNDED) {
                chan->places = item_bytes ? 0 : SIZE_MAX; /* nothing needs no room */
                chan->keep = item_bytes ? KEEP_BYTES / item_bytes : SIZE_MAX;
                chan->items = NULL;
        }
        return chan;
}

static bool has_block(const ouro_chan *chan)
{
        return chan->capacity == OURO_CHAN_UNBOUNDED && chan->items;
}

int ouro_chan_free(ouro_chan *chan)
{
        if (!chan)
                return 0;
        if (chan->shared)
                return chan->shared->free(chan);
        if (chan->senders || chan->receivers)
                return -EBUSY;
        if (has_block(chan))
                mem_free(chan->items, chan->places * chan->item_bytes);
        mem_free(chan, chan->bytes);
        return 0;
}

static inline size_t wrap(const ouro_chan *chan, size_t place)
{
        return place >= chan->places ? place - chan->places : place;
}

static inline void put_item(ouro_chan *chan, const void *item)
{
        chan_copy_item(chan, chan->items + wrap(chan, chan->first + chan->count) * chan->item_bytes, item);
        chan->count++;
        if (unlikely(chan->count > chan->longest))
                chan->longest = chan->count;
}

/* There is no place left. 0: now there is. */
static __attribute__((noinline)) int grow(ouro_chan *chan)
{
        size_t to = chan->places ? chan->places : PLACES_FIRST / 2, bytes, behind;
        char *items;

        if (chan->capacity != OURO_CHAN_UNBOUNDED)
                return -EAGAIN;
        if (__builtin_mul_overflow(to, (size_t)2, &to) ||
            __builtin_mul_overflow(to, chan->item_bytes, &bytes))
                return -ENOMEM;
        items = mem_alloc(bytes);
        if (!items)
                return -ENOMEM;
        if (chan->items) { /* full: the items from first to the end of the block, then the others */
                behind = (chan->places - chan->first) * chan->item_bytes;
                memcpy(items, chan->items + chan->first * chan->item_bytes, behind);
                memcpy(items + behind, chan->items, chan->first * chan->item_bytes);
                mem_free(chan->items, chan->places * chan->item_bytes);
        }
        chan->items = items;
        chan->places = to;
        chan->first = 0;
        return 0;
}

/* Unbounded, larger than it keeps: gives its places back if it is drained. */
static __attribute__((noinline)) void shrink(ouro_chan *chan)
{
        if (chan->count > 0)
                return;
        mem_free(chan->items, chan->places * chan->item_bytes);
        chan->items = NULL;
        chan->places = chan->first = 0;
}

static inline void take_item(ouro_chan *chan, void *ret_item)
{
        chan_copy_item(chan, ret_item, chan->items + chan->first * chan->item_bytes);
        chan->first = wrap(chan, chan->first + 1);
        chan->count--;
        if (unlikely(chan->places > chan->keep))
                shrink(chan);
}

/* It is not this loop's, as far as we know: 0 if it is from here on, for the first time or after another loop
 * has left it. */
int chan_adopt(struct sched *sched, ouro_chan *chan, const void *item)
{
        if (chan && chan->shared)
                return item || !chan->item_bytes ? CHAN_IS_SHARED : -EINVAL;
        if (!sched)
                return -EPERM;
        if (!chan || (!item && chan->item_bytes))
                return -EINVAL;
        if (chan->sched == sched) /* its items have no bytes */
                return 0;
        if (chan->senders || chan->receivers)
                return -EPERM;
        chan->sched = sched;
        return 0;
}

/* The item of one who waits: of a sender, or where a receiver wants it. */
static inline void *item_of(struct ouro_list *node)
{
        return unlikely(sync_is_case(node)) ? select_item(node) : (void *)sync_coro(node)->value;
}

/* False: those who waited were cases of selects that are done. */
static inline bool hand_to_receiver(struct sched *sched, ouro_chan *chan, const void *item)
{
        struct ouro_list *node = sync_pop(&chan->receivers);

        if (unlikely(!node))
                return false;
        chan->received++;
        chan_copy_item(chan, item_of(node), item);
        sync_end_wait(sched, node, 0);
        return true;
}

/* The same, of a rendezvous. */
static inline bool take_from_sender(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        struct ouro_list *node = sync_pop(&chan->senders);

        if (unlikely(!node))
                return false;
        chan->received++;
        chan_copy_item(chan, ret_item, item_of(node));
        sync_end_wait(sched, node, 0);
        return true;
}

/* 0, -EPIPE, -ENOMEM, or -EAGAIN: full, and nobody takes it. */
static inline int send_now(struct sched *sched, ouro_chan *chan, const void *item)
{
        int error;

        if (unlikely(chan->closed))
                return -EPIPE;
        if (chan->receivers && hand_to_receiver(sched, chan, item))
                return 0;
        if (unlikely(chan->count == chan->places) && (error = grow(chan)) < 0)
                return error;
        put_item(chan, item);
        return 0;
}

/* 0, -EPIPE, or -EAGAIN: empty, and nobody sends. */
static inline int recv_now(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        struct ouro_list *node;

        if (chan->count > 0) {
                take_item(chan, ret_item);
                chan->received++;
                if (chan->senders && (node = sync_pop(&chan->senders))) {
                        put_item(chan, item_of(node));
                        sync_end_wait(sched, node, 0);
                }
                return 0;
        }
        if (chan->senders && take_from_sender(sched, chan, ret_item))
                return 0;
        return chan->closed ? -EPIPE : -EAGAIN;
}

int chan_send_now(struct sched *sched, ouro_chan *chan, const void *item)
{
        return send_now(sched, chan, item);
}

int chan_recv_now(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        return recv_now(sched, chan, ret_item);
}

int ouro_chan_try_send(ouro_chan *chan, const void *item)
{
        struct sched *sched = sched_current;
        int error = chan_refuse(sched, chan, item);

        if (likely(error == 0))
                return send_now(sched, chan, item);
        return error < 0 ? error : chan->shared->send(chan, item, false);
}

int ouro_chan_try_recv(ouro_chan *chan, void *ret_item)
{
        struct sched *sched = sched_current;
        int error = chan_refuse(sched, chan, ret_item);

        if (likely(error == 0))
                return recv_now(sched, chan, ret_item);
        return error < 0 ? error : chan->shared->recv(chan, ret_item, false);
}

/* Sending and receiving are cut up by what is met, so that nothing of the common ways is done for the others,
 * and none of them has a frame. What is in common: items of one word, and tasks that are in no select. */

static __attribute__((noinline)) int send_where_it_is(struct sched *sched, ouro_chan *chan, const void *item);
static __attribute__((noinline)) int recv_where_it_is(struct sched *sched, ouro_chan *chan, void *ret_item);

static inline int wait_to_send(struct sched *sched, ouro_chan *chan, const void *item)
{
        chan->send_waits++;
        sched->current->value = (intptr_t)item;
        return sync_wait(sched, &chan->senders, &waits_to_send);
}

static __attribute__((noinline)) int send_in_full(struct sched *sched, ouro_chan *chan, const void *item)
{
        int error = send_now(sched, chan, item);

        return error == -EAGAIN ? wait_to_send(sched, chan, item) : coro_spend_int(sched, error);
}

/* Nobody receives. */
static __attribute__((noinline)) int send_waiting(struct sched *sched, ouro_chan *chan, const void *item)
{
        if (unlikely(chan->closed || chan->count < chan->capacity))
                return send_in_full(sched, chan, item);
        return wait_to_send(sched, chan, item);
}

/* The first of a queue, if it can be handed an item, or its item be taken, here: out of the queue. */
static inline struct coro *pop_plain(const ouro_chan *chan, void **queue)
{
        struct ouro_list *node = *queue;

        if (unlikely(sync_is_case(node) || chan->item_bytes != sizeof(uint64_t)))
                return NULL;
        queue_remove(queue, node);
        return sync_coro(node);
}

static __attribute__((noinline)) int send_to_receiver(struct sched *sched, ouro_chan *chan, const void *item)
{
        struct coro *receiver = pop_plain(chan, &chan->receivers);

        if (unlikely(!receiver))
                return send_in_full(sched, chan, item);
        chan->received++;
        memcpy((void *)receiver->value, item, sizeof(uint64_t));
        coro_wake(sched, receiver, 0);
        return coro_spend_int(sched, 0);
}

int ouro_chan_send(ouro_chan *chan, const void *item)
{
        struct sched *sched = sched_current;
        size_t count;

        if (unlikely(!chan || !item || chan->sched != sched))
                return send_where_it_is(sched, chan, item);
        if (unlikely(sched->current->interrupt))
                return sched->current->interrupt;
        if (chan->receivers)
                return send_to_receiver(sched, chan, item);
        count = chan->count;
        if (unlikely(count >= chan->places || chan->closed || chan->item_bytes != sizeof(uint64_t)))
                return send_waiting(sched, chan, item);
        memcpy(chan->items + wrap(chan, chan->first + count) * sizeof(uint64_t), item, sizeof(uint64_t));
        chan->count = ++count;
        if (unlikely(count > chan->longest))
                chan->longest = count;
        return coro_spend_int(sched, 0);
}

static int send_where_it_is(struct sched *sched, ouro_chan *chan, const void *item)
{
        int error = chan_refuse(sched, chan, item);

        if (error)
                return error < 0 ? error : chan->shared->send(chan, item, true);
        return sched->current->interrupt ? sched->current->interrupt : send_in_full(sched, chan, item);
}

static __attribute__((noinline)) int recv_waiting(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        if (unlikely(chan->closed))
                return coro_spend_int(sched, -EPIPE);
        chan->recv_waits++;
        sched->current->value = (intptr_t)ret_item;
        return sync_wait(sched, &chan->receivers, &waits_to_recv);
}

static __attribute__((noinline)) int recv_in_full(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        int error = recv_now(sched, chan, ret_item);

        return likely(error != -EAGAIN) ? coro_spend_int(sched, error) : recv_waiting(sched, chan, ret_item);
}

static __attribute__((noinline)) int recv_from_sender(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        struct coro *sender = chan->count > 0 ? NULL : pop_plain(chan, &chan->senders);

        if (unlikely(!sender))
                return recv_in_full(sched, chan, ret_item);
        chan->received++;
        memcpy(ret_item, (void *)sender->value, sizeof(uint64_t));
        coro_wake(sched, sender, 0);
        return coro_spend_int(sched, 0);
}

int ouro_chan_recv(ouro_chan *chan, void *ret_item)
{
        struct sched *sched = sched_current;
        size_t count, first;

        if (unlikely(!chan || !ret_item || chan->sched != sched))
                return recv_where_it_is(sched, chan, ret_item);
        if (unlikely(sched->current->interrupt))
                return sched->current->interrupt;
        if (chan->senders)
                return recv_from_sender(sched, chan, ret_item);
        count = chan->count;
        if (count == 0)
                return recv_waiting(sched, chan, ret_item);
        if (unlikely(chan->item_bytes != sizeof(uint64_t) || chan->places > chan->keep))
                return recv_in_full(sched, chan, ret_item);
        first = chan->first;
        chan->first = wrap(chan, first + 1);
        chan->count = count - 1;
        chan->received++;
        memcpy(ret_item, chan->items + first * sizeof(uint64_t), sizeof(uint64_t));
        return coro_spend_int(sched, 0);
}

static int recv_where_it_is(struct sched *sched, ouro_chan *chan, void *ret_item)
{
        int error = chan_refuse(sched, chan, ret_item);

        if (error)
                return error < 0 ? error : chan->shared->recv(chan, ret_item, true);
        if (sched->current->interrupt)
                return sched->current->interrupt;
        return recv_in_full(sched, chan, ret_item);
}

int ouro_chan_close(ouro_chan *chan)
{
        struct sched *sched = sched_current;
        int error = chan_refuse(sched, chan, chan);

        if (error)
                return error < 0 ? error : chan->shared->close(chan);
        if (chan->closed)
                return -EPIPE;
        chan->closed = true;
        sync_wake(sched, &chan->senders, SIZE_MAX, -EPIPE);
        sync_wake(sched, &chan->receivers, SIZE_MAX, -EPIPE);
        return 0;
}

size_t ouro_chan_len(const ouro_chan *chan)
{
        if (!chan)
                return 0;
        return chan->shared ? chan->shared->len(chan) : chan->count;
}

int ouro_chan_stats(ouro_chan *chan, struct ouro_channel_stats *ret_stats)
{
        struct ouro_channel_stats stats = {.size = sizeof stats};
        int error = chan_refuse(sched_current, chan, chan);
        size_t size;

        if (error < 0)
                return error;
        if (!ret_stats)
                return -EINVAL;
        size = ret_stats->size; /* of an older header: it gets what it knows */
        if (size < sizeof size || size > sizeof stats)
                return -EINVAL;
        if (error == CHAN_IS_SHARED) {
                chan->shared->stats(chan, &stats);
        } else {
                stats.received = chan->received;
                stats.sent = chan->received + chan->count;
                stats.len = chan->count;
                stats.capacity = chan->capacity;
                stats.longest = chan->longest;
                stats.senders_waiting = queue_len(chan->senders);
                stats.receivers_waiting = queue_len(chan->receivers);
                stats.send_waits = chan->send_waits;
                stats.recv_waits = chan->recv_waits;
        }
        stats.size = size;
        memcpy(ret_stats, &stats, size);
        return 0;
}
