/* shared.h - what a channel between loops and threads is made of. */
#ifndef OURO_SYNC_SHARED_H
#define OURO_SYNC_SHARED_H

#include "sync/cells.h"
#include "sync/channel.h"
#include "sync/park.h"

struct shared {
        struct ouro_chan chan;
        struct cells cells;
        _Alignas(64) struct park_queue senders; /* read by every send and receive */
        struct park_queue receivers;
        _Alignas(64) struct park_lot lot; /* over all below, and over the queues */
        uint64_t met;                     /* items handed from one to another, without a cell */
        size_t longest;                   /* as seen by whoever had the lock */
        uint64_t send_waits;
        uint64_t recv_waits;
};

static inline struct shared *shared_of(ouro_chan *chan)
{
        return container_of(chan, struct shared, chan);
}

/* With the lock held: items go to those who wait for them, and places likewise. */
void shared_settle(struct shared *shared, struct park_woken *woken);

/* ---- shared_select.c: see chan_kind ---- */
int shared_park(ouro_chan *chan, struct select *select, struct ouro_case *it);
void shared_unpark(ouro_chan *chan, struct select *select, struct ouro_case *it);

#endif
