/* broadcast.c - every item to every subscriber.
 *
 * The items of the last capacity sends lie in a ring; each subscription has the number of the one it takes
 * next. One whose number is no longer in the ring has missed what lies between. All of it is under one lock.
 *
 * Who waits has taken all there is. So the next item is copied to it by its sender, and its number goes up
 * with that: nothing is left to be done, or undone, when it wakes. */
#include <string.h>

#include "base/alloc.h"
#include "sync/park.h"

struct ouro_broadcast {
        struct park_lot lot;
        struct park_queue waiting; /* park.object is the broadcast */
        size_t item_bytes;
        size_t capacity;
        uint64_t sent; /* number of the next item */
        uint64_t received;
        uint64_t missed;
        size_t subscribers;
        bool closed;
        char *items;
        size_t bytes; /* of this whole block */
};

struct ouro_subscription {
        ouro_broadcast *broadcast;
        uint64_t next;
        bool awaited;
};

ouro_broadcast *ouro_broadcast_new(size_t item_bytes, size_t capacity)
{
        ouro_broadcast *broadcast;
        size_t bytes;

        if (capacity == 0 || __builtin_mul_overflow(item_bytes, capacity, &bytes) ||
            __builtin_add_overflow(bytes, sizeof *broadcast, &bytes))
                return NULL;
        broadcast = mem_alloc(bytes);
        if (!broadcast)
                return NULL;
        *broadcast = (struct ouro_broadcast){.item_bytes = item_bytes, .capacity = capacity, .bytes = bytes};
        broadcast->items = (char *)(broadcast + 1);
        park_lot_init(&broadcast->lot);
        return broadcast;
}

int ouro_broadcast_free(ouro_broadcast *broadcast)
{
        int error;

        if (!broadcast)
                return 0;
        error = park_enter(&broadcast->lot);
        if (error < 0)
                return error;
        if (broadcast->subscribers > 0)
                error = -EBUSY;
        park_leave(&broadcast->lot);
        if (error < 0)
                return error;
        park_lot_destroy(&broadcast->lot);
        mem_free(broadcast, broadcast->bytes);
        return 0;
}

ouro_subscription *ouro_broadcast_subscribe(ouro_broadcast *broadcast)
{
        ouro_subscription *subscription;

        if (!broadcast || park_enter(&broadcast->lot) < 0)
                return NULL;
        subscription = mem_alloc(sizeof *subscription);
        if (subscription) {
                *subscription = (struct ouro_subscription){.broadcast = broadcast, .next = broadcast->sent};
                broadcast->subscribers++;
        }
        park_leave(&broadcast->lot);
        return subscription;
}

int ouro_broadcast_unsubscribe(ouro_subscription *subscription)
{
        int error;

        if (!subscription)
                return 0;
        error = park_enter(&subscription->broadcast->lot);
        if (error < 0)
                return error;
        if (subscription->awaited)
                error = -EBUSY;
        else
                subscription->broadcast->subscribers--;
        park_leave(&subscription->broadcast->lot);
        if (error == 0)
                mem_free(subscription, sizeof *subscription);
        return error;
}

static char *place(const ouro_broadcast *broadcast, uint64_t number)
{
        return broadcast->items + number % broadcast->capacity * broadcast->item_bytes;
}

static void copy(const ouro_broadcast *broadcast, void *to, const void *from)
{
        if (broadcast->item_bytes)
                memcpy(to, from, broadcast->item_bytes);
}

/* Who waits. Once it has been served its subscription may be gone before it wakes. */
struct wait {
        struct park park;
        ouro_subscription *subscription;
};

static ouro_subscription *subscription_of(struct park *park)
{
        return container_of(park, struct wait, park)->subscription;
}

/* ---- with the lock held ---- */

static void end_wait(struct park *park, int result, struct park_woken *woken)
{
        subscription_of(park)->awaited = false;
        park_take(park, result, woken);
}

/* To all who wait: they have taken everything before. */
static void serve(ouro_broadcast *broadcast, const void *item, struct park_woken *woken)
{
        struct park *park;

        while ((park = park_first(&broadcast->waiting))) {
                copy(broadcast, park->item, item);
                subscription_of(park)->next = broadcast->sent;
                broadcast->received++;
                end_wait(park, 0, woken);
        }
}

static int take_now(ouro_subscription *subscription, void *ret_item, uint64_t *ret_missed)
{
        ouro_broadcast *broadcast = subscription->broadcast;
        uint64_t behind = broadcast->sent - subscription->next, missed;

        if (subscription->awaited)
                return -EBUSY;
        if (behind == 0)
                return broadcast->closed ? -EPIPE : -EAGAIN;
        if (behind > broadcast->capacity) {
                missed = behind - broadcast->capacity;
                subscription->next += missed;
                broadcast->missed += missed;
                if (ret_missed)
                        *ret_missed = missed;
                return -EOVERFLOW;
        }
        copy(broadcast, ret_item, place(broadcast, subscription->next));
        subscription->next++;
        broadcast->received++;
        return 0;
}

/* ---- calls ---- */

ssize_t ouro_broadcast_send(ouro_broadcast *broadcast, const void *item)
{
        struct park_woken woken = {NULL};
        ssize_t result;

        if (!broadcast || (!item && broadcast->item_bytes))
                return -EINVAL;
        result = park_enter(&broadcast->lot);
        if (result < 0)
                return result;
        result = -EPIPE;
        if (!broadcast->closed) {
                copy(broadcast, place(broadcast, broadcast->sent), item);
                broadcast->sent++;
                serve(broadcast, item, &woken);
                result = (ssize_t)broadcast->subscribers;
        }
        park_leave_and_wake(&broadcast->lot, &woken);
        return result;
}

/* The wait was cut short: nobody waits on the subscription any more. */
static void cut(struct sched *sched, struct coro *coro, int interrupt)
{
        struct park *park = coro->waiter.what;

        if (park_withdraw(park)) {
                subscription_of(park)->awaited = false;
                park_leave(park->lot);
                coro_wake(sched, coro, interrupt);
        }
}

static const struct wait_kind waits_for_item = {
        .name = "an item of a broadcast", .cut = cut, .target = park_target};

static int receive(ouro_subscription *subscription, void *ret_item, uint64_t *ret_missed, bool wait)
{
        struct sched *sched = sched_current;
        ouro_broadcast *broadcast;
        struct wait waiting = {.subscription = subscription};
        int result;

        if (!subscription || (!ret_item && subscription->broadcast->item_bytes))
                return -EINVAL;
        if (wait && sched && sched->current->interrupt)
                return sched->current->interrupt;
        broadcast = subscription->broadcast;
        result = park_enter(&broadcast->lot);
        if (result < 0)
                return result;
        result = take_now(subscription, ret_item, ret_missed);
        if (!wait || result != -EAGAIN) {
                park_leave(&broadcast->lot);
                return wait && sched ? coro_spend_int(sched, result) : result;
        }
        park_announce(&broadcast->waiting);
        park_init(&waiting.park, &broadcast->lot, &broadcast->waiting, broadcast, ret_item);
        park_push(&waiting.park);
        subscription->awaited = true;
        park_leave(&broadcast->lot);
        return (int)park_wait(&waiting.park, &waits_for_item);
}

int ouro_broadcast_recv(ouro_subscription *subscription, void *ret_item, uint64_t *ret_missed)
{
        return receive(subscription, ret_item, ret_missed, true);
}

int ouro_broadcast_try_recv(ouro_subscription *subscription, void *ret_item, uint64_t *ret_missed)
{
        return receive(subscription, ret_item, ret_missed, false);
}

int ouro_broadcast_close(ouro_broadcast *broadcast)
{
        struct park_woken woken = {NULL};
        struct park *park;
        int error;

        if (!broadcast)
                return -EINVAL;
        error = park_enter(&broadcast->lot);
        if (error < 0)
                return error;
        if (broadcast->closed)
                error = -EPIPE;
        broadcast->closed = true;
        while ((park = park_first(&broadcast->waiting)))
                end_wait(park, -EPIPE, &woken);
        park_leave_and_wake(&broadcast->lot, &woken);
        return error;
}

int ouro_broadcast_stats(ouro_broadcast *broadcast, struct ouro_broadcast_stats *ret_stats)
{
        struct ouro_broadcast_stats stats;
        int error;

        if (!broadcast || !ret_stats || ret_stats->size < sizeof ret_stats->size ||
            ret_stats->size > sizeof stats)
                return -EINVAL;
        error = park_enter(&broadcast->lot);
        if (error < 0)
                return error;
        stats = (struct ouro_broadcast_stats){
                .size = ret_stats->size,
                .sent = broadcast->sent,
                .received = broadcast->received,
                .missed = broadcast->missed,
                .capacity = broadcast->capacity,
                .subscribers = broadcast->subscribers,
                .waiting = atomic_load(&broadcast->waiting.len),
        };
        park_leave(&broadcast->lot);
        memcpy(ret_stats, &stats, stats.size);
        return 0;
}
