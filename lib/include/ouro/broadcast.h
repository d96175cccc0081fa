/* ouro/broadcast.h - one sender, many receivers: every item to each of them, or only the latest value.
 * Included by ouro.h, whose conventions hold. */
#ifndef OURO_BROADCAST_H
#define OURO_BROADCAST_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* In C++ a struct and a function of one name are fine, but -Wshadow thinks of a constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

/* Both kinds are between loops and threads, as ouro_chan_new_shared() makes channels: tasks of any loops use
 * them, and threads without a loop, whose waits nothing cuts short. After fork() they belong to the parent:
 * in the child each call gives -EPERM. A task that waits holds its loop's virtual clock. */

/* ---- broadcast: every item to every subscriber ------------------------------------------------ */

typedef struct ouro_broadcast ouro_broadcast;
typedef struct ouro_subscription ouro_subscription;

struct ouro_broadcast_stats {
        size_t size;        /* sizeof(struct ouro_broadcast_stats), set by the caller */
        uint64_t sent;      /* items */
        uint64_t received;  /* by subscribers, all together */
        uint64_t missed;    /* by subscribers, all together, as far as they have been told */
        size_t capacity;    /* items it holds */
        size_t subscribers; /* now */
        size_t waiting;     /* of those */
};

/**
 * ouro_broadcast_new - make a broadcast
 * @item_bytes: size of an item, copied in and out; 0 for a bare signal
 * @capacity: items it holds for subscribers who have not taken them yet; 1 or more
 *
 * Returns: a broadcast to be freed by ouro_broadcast_free(), or NULL: out of memory, capacity 0, or more
 * bytes than there can be. Threads: from anywhere.
 */
OURO_API ouro_broadcast *ouro_broadcast_new(size_t item_bytes, size_t capacity);

/**
 * ouro_broadcast_free - free a broadcast
 * @broadcast: may be NULL; no other call on it is under way
 *
 * Returns: 0; -EBUSY: it has subscribers, and nothing was freed; -EPERM. Threads: from anywhere.
 */
OURO_API int ouro_broadcast_free(ouro_broadcast *broadcast);

/**
 * ouro_broadcast_subscribe - begin to receive what is sent from now on
 * @broadcast: a broadcast; closed, its subscriber is told the end at once
 *
 * Returns: a subscription to be given back by ouro_broadcast_unsubscribe(), or NULL: out of memory, broadcast
 * is NULL, or in a forked child. Threads: from anywhere; any may use the subscription, one at a time.
 */
OURO_API ouro_subscription *ouro_broadcast_subscribe(ouro_broadcast *broadcast);

/**
 * ouro_broadcast_unsubscribe - give a subscription back. Never waits.
 * @subscription: may be NULL; it is freed
 *
 * Returns: 0; -EBUSY: somebody waits on it, and nothing was freed; -EPERM. Threads: from anywhere.
 */
OURO_API int ouro_broadcast_unsubscribe(ouro_subscription *subscription);

/**
 * ouro_broadcast_send - send an item to all subscribers. Never waits.
 * @broadcast: a broadcast
 * @item: item_bytes bytes
 *
 * It takes the place of the oldest item if that many are held: who has not taken that one is told that it
 * has missed it. Without subscribers it goes to nobody. Items arrive in the same order everywhere.
 *
 * Returns: how many subscribers there are; -EPIPE: closed; -EINVAL: NULL; -EPERM. Threads: from anywhere.
 */
OURO_API ssize_t ouro_broadcast_send(ouro_broadcast *broadcast, const void *item);

/**
 * ouro_broadcast_recv - take the next item of a subscription, waiting for one
 * @subscription: a subscription
 * @ret_item: item_bytes bytes
 * @ret_missed: set only where the call returns -EOVERFLOW; may be NULL
 *
 * Returns: 0, or
 *   -EOVERFLOW: the subscriber was too slow, and *ret_missed items are gone. The next call gets the oldest
 *   that is still held
 *   -EPIPE: closed, and all items were taken
 *   -EBUSY: somebody else waits on this subscription
 *   -EINVAL: NULL; -EPERM; -ECANCELED or -ETIME: no item was taken
 * Threads: from anywhere.
 */
OURO_API int ouro_broadcast_recv(ouro_subscription *subscription, void *ret_item, uint64_t *ret_missed);

/**
 * ouro_broadcast_try_recv - ouro_broadcast_recv() that does not wait
 * @subscription: a subscription
 * @ret_item: item_bytes bytes
 * @ret_missed: as that of ouro_broadcast_recv()
 *
 * Returns: 0; -EAGAIN: there is none; -EOVERFLOW, -EPIPE, -EBUSY, -EINVAL, -EPERM. Threads: from anywhere.
 */
OURO_API int ouro_broadcast_try_recv(ouro_subscription *subscription, void *ret_item, uint64_t *ret_missed);

/**
 * ouro_broadcast_close - no more items. Never waits.
 * @broadcast: a broadcast
 *
 * Subscribers get what is held for them, then -EPIPE.
 *
 * Returns: 0; -EPIPE: it was closed already; -EINVAL: NULL; -EPERM. Threads: from anywhere.
 */
OURO_API int ouro_broadcast_close(ouro_broadcast *broadcast);

/**
 * ouro_broadcast_stats - what a broadcast has done so far
 * @broadcast: a broadcast
 * @ret_stats: its size set
 *
 * Returns: 0; -EINVAL: NULL, or a size that no version of the library has had; -EPERM. Threads: from
 * anywhere.
 */
OURO_API int ouro_broadcast_stats(ouro_broadcast *broadcast, struct ouro_broadcast_stats *ret_stats);

/* ---- watch: the latest value ------------------------------------------------------------------ */

typedef struct ouro_watch ouro_watch;

struct ouro_watch_stats {
        size_t size;     /* sizeof(struct ouro_watch_stats), set by the caller */
        int64_t version; /* how often it was set */
        uint64_t waits;  /* calls that had to wait */
        size_t waiting;  /* now */
};

/**
 * ouro_watch_new - make a watch
 * @value_bytes: size of its value, copied in and out; 0: it counts only
 * @initial: value_bytes bytes, its version 0; NULL: zeroes
 *
 * Returns: a watch to be freed by ouro_watch_free(), or NULL: out of memory. Threads: from anywhere.
 */
OURO_API ouro_watch *ouro_watch_new(size_t value_bytes, const void *initial);

/**
 * ouro_watch_free - free a watch
 * @watch: may be NULL; no other call on it is under way
 *
 * Returns: 0; -EBUSY: somebody waits on it, or was woken and has not returned yet, and nothing was freed;
 * -EPERM. Threads: from anywhere.
 */
OURO_API int ouro_watch_free(ouro_watch *watch);

/**
 * ouro_watch_set - give a watch another value, and wake all who wait for one. Never waits.
 * @watch: a watch
 * @value: value_bytes bytes
 *
 * Returns: its version, one more than before; -EPIPE: closed; -EINVAL: NULL; -EPERM. Threads: from anywhere.
 */
OURO_API int64_t ouro_watch_set(ouro_watch *watch, const void *value);

/**
 * ouro_watch_get - look at the value, also of a watch that is closed. Never waits.
 * @watch: a watch
 * @ret_value: value_bytes bytes; may be NULL
 *
 * Returns: its version; -EINVAL: NULL; -EPERM. Threads: from anywhere.
 */
OURO_API int64_t ouro_watch_get(ouro_watch *watch, void *ret_value);

/**
 * ouro_watch_wait - wait until the value is newer than one that is known
 * @watch: a watch
 * @known: the version of that, 0 or more; less than 0: none is known
 * @ret_value: value_bytes bytes; may be NULL
 *
 * It gets the latest value there is when the caller's turn has come, and not each that was set meanwhile.
 *
 * Returns: the version of the value it got, or
 *   -EPIPE: closed, and there is no newer one
 *   -EINVAL: NULL, or no version is that new; -EPERM
 *   -ECANCELED or -ETIME: there is none yet
 * Threads: from anywhere.
 */
OURO_API int64_t ouro_watch_wait(ouro_watch *watch, int64_t known, void *ret_value);

/**
 * ouro_watch_close - no more values. Never waits.
 * @watch: a watch
 *
 * Returns: 0; -EPIPE: it was closed already; -EINVAL: NULL; -EPERM. Threads: from anywhere.
 */
OURO_API int ouro_watch_close(ouro_watch *watch);

/**
 * ouro_watch_stats - what a watch has done so far
 * @watch: a watch
 * @ret_stats: its size set
 *
 * Returns: 0; -EINVAL: NULL, or a size that no version of the library has had; -EPERM. Threads: from
 * anywhere.
 */
OURO_API int ouro_watch_stats(ouro_watch *watch, struct ouro_watch_stats *ret_stats);

#pragma GCC diagnostic pop

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
