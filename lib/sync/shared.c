/* shared.c - channels between loops and threads: rendezvous and bounded.
 *
 * Items lie in cells, which need no lock. The lock is for those who wait:
 *
 *      a send      nobody waits to send: puts its item into a cell. Then it looks whether somebody waits to
 *                  receive, and if so settles. Else, or where there was no room, under the lock: waits behind
 *                  the others, or does the same if there are none.
 *      to settle   under the lock: as long as there are items and receivers who wait, the oldest receiver
 *                  gets the next item; then, as long as there is room, the oldest sender's item is put in.
 *                  Those who were served are woken.
 *
 * and likewise a receive. Who waits counts itself before it looks for the last time, and who has put or taken
 * looks at that count afterwards, with a fence between the two on either side: one of them sees the other.
 * Nobody who comes later than one who waits takes what that one waits for, because it sees the count too.
 *
 * Closing is part of the position that sends compete for: each send that succeeded did so before, and a
 * receiver is told the end only when all those have been taken. One that finds a send half done waits: that
 * send will settle. */
#include "base/alloc.h"
#include "sync/channel.h"
#include "sync/shared.h"

static const struct wait_kind waits_to_send = {
        .name = "room in a shared channel", .cut = park_cut, .target = park_target};
static const struct wait_kind waits_to_recv = {
        .name = "an item in a shared channel", .cut = park_cut, .target = park_target};

/* ---- with the lock held ---- */

/* 0, -EPIPE, or -EAGAIN: no room, and (a rendezvous) nobody receives. */
static int put_now(struct shared *shared, const void *item, struct park_woken *woken)
{
        int error = cells_put(&shared->cells, item);
        struct park *park;

        if (error != -EAGAIN || shared->cells.capacity > 0 || !(park = park_first(&shared->receivers)))
                return error;
        cells_copy(&shared->cells, park->item, item);
        park_take(park, 0, woken);
        shared->met++;
        return 0;
}

static int take_now(struct shared *shared, void *ret_item, struct park_woken *woken)
{
        int error = cells_take(&shared->cells, ret_item);
        struct park *park;

        if (error == 0)
                return 0;
        if (shared->cells.capacity == 0 && (park = park_first(&shared->senders))) {
                cells_copy(&shared->cells, ret_item, park->item);
                park_take(park, 0, woken);
                shared->met++;
                return 0;
        }
        return cells_is_drained(&shared->cells) ? -EPIPE : -EAGAIN;
}

static void serve_receivers(struct shared *shared, struct park_woken *woken)
{
        struct park *park;

        while ((park = park_first(&shared->receivers))) {
                if (cells_take(&shared->cells, park->item) < 0) {
                        park_unclaim(park);
                        return;
                }
                park_take(park, 0, woken);
        }
}

/* True: one was. */
static bool serve_senders(struct shared *shared, struct park_woken *woken)
{
        struct park *park;
        bool served = false;

        while ((park = park_first(&shared->senders))) {
                if (cells_put(&shared->cells, park->item) < 0) { /* senders do not wait at a closed one */
                        park_unclaim(park);
                        break;
                }
                park_take(park, 0, woken);
                served = true;
        }
        return served;
}

void shared_settle(struct shared *shared, struct park_woken *woken)
{
        size_t len = cells_len(&shared->cells);

        if (len > shared->longest)
                shared->longest = len;
        do {
                serve_receivers(shared, woken);
        } while (serve_senders(shared, woken));
        if (shared->receivers.first && cells_is_drained(&shared->cells))
                park_take_all(&shared->receivers, -EPIPE, woken);
}

/* ---- without it ---- */

static __attribute__((noinline)) void settle(struct shared *shared)
{
        struct park_woken woken = {NULL};

        if (park_enter(&shared->lot) < 0)
                return; /* a forked child: they wait in the parent */
        shared_settle(shared, &woken);
        park_leave_and_wake(&shared->lot, &woken);
}

/* Others came before. At a rendezvous they have met whom they could: where there is somebody on the other
 * side, that is a select with a case on either side, which does not meet itself. */
static bool must_queue(const struct shared *shared, const struct park_queue *queue)
{
        return queue->first && shared->cells.capacity > 0;
}

/* Others wait already, or there is nothing to be had now. */
static __attribute__((noinline)) int send_in_turn(struct shared *shared, const void *item, bool wait)
{
        struct park_woken woken = {NULL};
        struct park park;
        int error = park_enter(&shared->lot);

        if (error < 0)
                return error;
        shared_settle(shared, &woken);
        park_announce(&shared->senders);
        error = must_queue(shared, &shared->senders) ? -EAGAIN : put_now(shared, item, &woken);
        if (error == -EAGAIN && wait) {
                park_init(&park, &shared->lot, &shared->senders, shared, (void *)item);
                park_push(&park);
                shared->send_waits++;
        } else {
                park_renounce(&shared->senders);
                shared_settle(shared, &woken);
                wait = false;
        }
        park_leave_and_wake(&shared->lot, &woken);
        return wait ? (int)park_wait(&park, &waits_to_send) : error;
}

static __attribute__((noinline)) int recv_in_turn(struct shared *shared, void *ret_item, bool wait)
{
        struct park_woken woken = {NULL};
        struct park park;
        int error = park_enter(&shared->lot);

        if (error < 0)
                return error;
        shared_settle(shared, &woken);
        park_announce(&shared->receivers);
        error = must_queue(shared, &shared->receivers) ? -EAGAIN : take_now(shared, ret_item, &woken);
        if (error == -EAGAIN && wait) {
                park_init(&park, &shared->lot, &shared->receivers, shared, ret_item);
                park_push(&park);
                shared->recv_waits++;
        } else {
                park_renounce(&shared->receivers);
                shared_settle(shared, &woken);
                wait = false;
        }
        park_leave_and_wake(&shared->lot, &woken);
        return wait ? (int)park_wait(&park, &waits_to_recv) : error;
}

/* It did not have to wait: only a task's turn may be over. */
static inline int done(struct sched *sched, bool wait)
{
        return sched && wait ? coro_spend_int(sched, 0) : 0;
}

static int shared_send(ouro_chan *chan, const void *item, bool wait)
{
        struct shared *shared = shared_of(chan);
        struct sched *sched = sched_current;
        int error;

        if (unlikely(wait && sched && sched->current->interrupt))
                return sched->current->interrupt;
        if (likely(atomic_load_explicit(&shared->senders.len, memory_order_relaxed) == 0)) {
                error = cells_put(&shared->cells, item);
                if (likely(error == 0)) {
                        if (unlikely(park_anyone(&shared->receivers)))
                                settle(shared);
                        return done(sched, wait);
                }
                if (error == -EPIPE || (!wait && shared->cells.capacity > 0))
                        return error;
        }
        return send_in_turn(shared, item, wait);
}

static int shared_recv(ouro_chan *chan, void *ret_item, bool wait)
{
        struct shared *shared = shared_of(chan);
        struct sched *sched = sched_current;

        if (unlikely(wait && sched && sched->current->interrupt))
                return sched->current->interrupt;
        if (likely(atomic_load_explicit(&shared->receivers.len, memory_order_relaxed) == 0)) {
                if (likely(cells_take(&shared->cells, ret_item) == 0)) {
                        if (unlikely(park_anyone(&shared->senders)))
                                settle(shared);
                        return done(sched, wait);
                }
                if (cells_is_drained(&shared->cells))
                        return -EPIPE;
                if (!wait && shared->cells.capacity > 0)
                        return -EAGAIN;
        }
        return recv_in_turn(shared, ret_item, wait);
}

static int shared_close(ouro_chan *chan)
{
        struct shared *shared = shared_of(chan);
        struct park_woken woken = {NULL};
        int error = park_enter(&shared->lot);

        if (error < 0)
                return error;
        shared_settle(shared, &woken);
        if (cells_close(&shared->cells))
                park_take_all(&shared->senders, -EPIPE, &woken);
        else
                error = -EPIPE;
        shared_settle(shared, &woken);
        park_leave_and_wake(&shared->lot, &woken);
        return error;
}

static size_t shared_len(const ouro_chan *chan)
{
        return cells_len(&container_of(chan, const struct shared, chan)->cells);
}

static void shared_stats(ouro_chan *chan, struct ouro_channel_stats *stats)
{
        struct shared *shared = shared_of(chan);
        bool locked = park_enter(&shared->lot) == 0;

        stats->len = cells_len(&shared->cells);
        stats->sent = cells_count_puts(&shared->cells) + shared->met;
        stats->received = stats->sent - stats->len;
        stats->capacity = chan->capacity;
        if (stats->len > shared->longest)
                shared->longest = stats->len;
        stats->longest = shared->longest;
        stats->senders_waiting = atomic_load(&shared->senders.len);
        stats->receivers_waiting = atomic_load(&shared->receivers.len);
        stats->send_waits = shared->send_waits;
        stats->recv_waits = shared->recv_waits;
        if (locked)
                park_leave(&shared->lot);
}

static int shared_free(ouro_chan *chan)
{
        struct shared *shared = shared_of(chan);
        int error = park_enter(&shared->lot);
        bool busy;

        if (error < 0)
                return error;
        busy = shared->senders.first || shared->receivers.first;
        park_leave(&shared->lot);
        if (busy)
                return -EBUSY;
        park_lot_destroy(&shared->lot);
        cells_destroy(&shared->cells);
        mem_free_lines(shared, sizeof *shared);
        return 0;
}

static const struct chan_kind kind = {
        .send = shared_send,
        .recv = shared_recv,
        .close = shared_close,
        .free = shared_free,
        .len = shared_len,
        .stats = shared_stats,
        .park = shared_park,
        .unpark = shared_unpark,
};

ouro_chan *ouro_chan_new_shared(size_t item_bytes, size_t capacity)
{
        struct shared *shared = mem_alloc_lines(sizeof *shared);

        if (!shared)
                return NULL;
        *shared = (struct shared){
                .chan = {.sched = CHAN_NO_SCHED,
                         .shared = &kind,
                         .item_bytes = item_bytes,
                         .capacity = capacity,
                         .bytes = sizeof *shared},
        };
        if (!cells_init(&shared->cells, item_bytes, capacity)) {
                mem_free_lines(shared, sizeof *shared);
                return NULL;
        }
        park_lot_init(&shared->lot);
        return &shared->chan;
}
