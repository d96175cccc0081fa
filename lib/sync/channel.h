/* channel.h - what a channel is made of, for those who put other kinds behind the same public functions.
 *
 *      a channel of one loop   chan->sched is that loop's; chan->shared is NULL; channel.c has all of it
 *      any other kind          chan->sched is CHAN_NO_SCHED, which no loop is; chan->shared tells what to
 * call
 *
 * The public functions first ask whether chan->sched is the caller's: so other kinds cost the first one
 * nothing, and they are called from threads without a loop too. */
#ifndef OURO_SYNC_CHANNEL_H
#define OURO_SYNC_CHANNEL_H

#include <string.h>

#include "sync/sync.h"

struct chan_kind;
struct ouro_case;
struct select;

struct ouro_chan {
        struct sched *sched; /* of the loop whose tasks use it; CHAN_NO_SCHED: none has yet */
        size_t item_bytes;
        size_t places; /* items that fit into items */
        size_t first;  /* place of the oldest item */
        size_t count;
        void *senders;
        void *receivers;
        char *items;

        const struct chan_kind *shared; /* NULL: of one loop */
        bool closed;
        size_t capacity; /* OURO_CHAN_UNBOUNDED: places grows */
        size_t keep;     /* places that it keeps when it is drained */
        size_t bytes;    /* of this block; the items of an unbounded one are another */
        size_t longest;
        uint64_t received;
        uint64_t send_waits;
        uint64_t recv_waits;
};

/* Not NULL, which is what sched_current is outside a loop: one comparison says that the caller has a loop,
 * too. */
#define CHAN_NO_SCHED ((struct sched *)UINTPTR_MAX)

/* What the public functions call for a channel that is not of one loop. Arguments have been looked at: chan
 * is not NULL, nor is item unless items have no bytes. The caller may be no task. */
struct chan_kind {
        int (*send)(ouro_chan *chan, const void *item, bool wait);
        int (*recv)(ouro_chan *chan, void *ret_item, bool wait);
        int (*close)(ouro_chan *chan);
        int (*free)(ouro_chan *chan);
        size_t (*len)(const ouro_chan *chan);
        void (*stats)(ouro_chan *chan, struct ouro_channel_stats *stats); /* all but its size */
        /* For select; sync/select.h says what they have to do. NULL: it cannot stand in a select. */
        int (*park)(ouro_chan *chan, struct select *select, struct ouro_case *it);
        void (*unpark)(ouro_chan *chan, struct select *select, struct ouro_case *it);
};

enum { CHAN_IS_SHARED = 1 };

int chan_adopt(struct sched *sched, ouro_chan *chan, const void *item);

/* 0; CHAN_IS_SHARED; or why the call makes no sense. An item of no bytes needs no memory. */
static inline int chan_refuse(struct sched *sched, ouro_chan *chan, const void *item)
{
        return likely(chan && item && chan->sched == sched) ? 0 : chan_adopt(sched, chan, item);
}

/* Of a channel of this loop: 0, -EPIPE, -ENOMEM, or -EAGAIN: it would have to wait. */
int chan_send_now(struct sched *sched, ouro_chan *chan, const void *item);
int chan_recv_now(struct sched *sched, ouro_chan *chan, void *ret_item);

static inline void chan_copy_item(const ouro_chan *chan, void *to, const void *from)
{
        if (likely(chan->item_bytes == sizeof(uint64_t)))
                memcpy(to, from, sizeof(uint64_t));
        else if (chan->item_bytes)
                memcpy(to, from, chan->item_bytes);
}

#endif
