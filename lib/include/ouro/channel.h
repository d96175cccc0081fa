/* ouro/channel.h - channels: items handed from task to task. Included by ouro.h, whose conventions hold. */
#ifndef OURO_CHANNEL_H
#define OURO_CHANNEL_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- channels --------------------------------------------------------------------------------- */

typedef struct ouro_chan ouro_chan;

/* A capacity: it grows as long as there is memory. Nothing slows its senders down: choose it where something
 * else bounds what is sent. */
#define OURO_CHAN_UNBOUNDED SIZE_MAX

/**
 * ouro_chan_new - make a channel
 * @item_bytes: size of an item, copied in and out; 0 for a bare signal
 * @capacity: items it holds; 0: a rendezvous, where a send waits for its receiver; OURO_CHAN_UNBOUNDED: no
 * limit, and no send waits
 *
 * An unbounded channel gives memory back when it has been drained.
 *
 * Returns: a channel to be freed by ouro_chan_free(), or NULL: out of memory, or the product overflows.
 * Threads: from anywhere; it belongs to the loop that first uses it.
 */
OURO_API ouro_chan *ouro_chan_new(size_t item_bytes, size_t capacity);

/**
 * ouro_chan_new_shared - make a channel between loops and threads
 * @item_bytes: size of an item, copied in and out; 0 for a bare signal
 * @capacity: items it holds; 0: a rendezvous, where a send waits for its receiver
 *
 * Tasks of any loops use it, and threads without a loop, at the same time and by the same functions. A thread
 * without a loop that has to wait sleeps, and nothing cuts that short; so does whatever else is not a task.
 *
 * Who waits is served in the order of arrival, whichever loop or thread it is of: an item goes to the oldest
 * receiver who waits and a place to the oldest sender, never to somebody who called later. Items of one
 * sender arrive in the order in which they were sent. Nobody is woken who does not wait, and a loop that is
 * awake is not woken again.
 *
 * While a task waits for it, its loop's virtual clock does not jump, and the loop polls for struct
 * ouro_options.spin_ns before it sleeps, as while jobs are out.
 *
 * Returns: a channel to be freed by ouro_chan_free(), or NULL: out of memory, or more bytes than there can be
 * (it is never unbounded).
 * Threads: from anywhere, and so are all calls on it: where they say -EPERM for a call outside a loop, that
 * is of no concern here. After fork() it belongs to the parent: in the child, calls that would have to wait
 * for others, or wake them, give -EPERM.
 */
OURO_API ouro_chan *ouro_chan_new_shared(size_t item_bytes, size_t capacity);

/**
 * ouro_chan_free - free a channel, with the items that are still in it
 * @chan: may be NULL; no other call on it is under way, not even one that has been served and is about to
 * return
 *
 * Returns: 0, or -EBUSY: somebody waits on it, and nothing was freed.
 */
OURO_API int ouro_chan_free(ouro_chan *chan);

/**
 * ouro_chan_send - put an item in, waiting for room
 * @chan: a channel
 * @item: item_bytes bytes, copied before the call returns 0
 *
 * Returns: 0; -EPIPE: closed; -EINVAL: NULL; -ENOMEM: an unbounded one cannot grow; -ECANCELED or -ETIME: the
 * item was not sent.
 */
OURO_API int ouro_chan_send(ouro_chan *chan, const void *item);

/**
 * ouro_chan_recv - take an item out, waiting for one
 * @chan: a channel
 * @ret_item: item_bytes bytes
 *
 * Returns: 0; -EPIPE: closed and drained; -EINVAL: NULL; -ECANCELED or -ETIME: no item was taken.
 */
OURO_API int ouro_chan_recv(ouro_chan *chan, void *ret_item);

/**
 * ouro_chan_try_send - ouro_chan_send() that does not wait
 * @chan: a channel
 * @item: item_bytes bytes
 *
 * Returns: 0; -EAGAIN: full (a rendezvous: nobody is receiving; a shared one: or another thread is in the
 * middle of taking an item out); -EPIPE, -EINVAL, -ENOMEM.
 */
OURO_API int ouro_chan_try_send(ouro_chan *chan, const void *item);

/**
 * ouro_chan_try_recv - ouro_chan_recv() that does not wait
 * @chan: a channel
 * @ret_item: item_bytes bytes
 *
 * Returns: 0; -EAGAIN: empty (a shared one: or another thread is in the middle of putting an item in);
 * -EPIPE, -EINVAL.
 */
OURO_API int ouro_chan_try_recv(ouro_chan *chan, void *ret_item);

/**
 * ouro_chan_close - no more sends. Never waits.
 * @chan: a channel
 *
 * Waiting senders get -EPIPE; receivers get what is in it, then -EPIPE.
 *
 * Returns: 0, -EPIPE: it was closed already, -EINVAL: NULL.
 */
OURO_API int ouro_chan_close(ouro_chan *chan);

/**
 * ouro_chan_len - how many items are in a channel
 * @chan: a channel
 */
OURO_API size_t ouro_chan_len(const ouro_chan *chan);

struct ouro_channel_stats {
        size_t size;       /* sizeof(struct ouro_channel_stats), set by the caller */
        uint64_t sent;     /* items, since it was made */
        uint64_t received; /* those that were taken out, or handed over from task to task */
        size_t len;        /* items in it now */
        size_t capacity;
        size_t longest; /* the most items at once; of a shared one, the most that were seen by a call
                           that had to wait or to wake somebody, or by this one */
        size_t senders_waiting;
        size_t receivers_waiting;
        uint64_t send_waits; /* sends that had to wait */
        uint64_t recv_waits;
};

/**
 * ouro_chan_stats - what a channel has done and holds
 * @chan: a channel
 * @ret_stats: its size set
 *
 * Counting those who wait takes as long as there are of them. A struct of an older header gets what it knows.
 *
 * Returns: 0; -EINVAL: NULL, or larger than this library knows.
 */
OURO_API int ouro_chan_stats(ouro_chan *chan, struct ouro_channel_stats *ret_stats);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
