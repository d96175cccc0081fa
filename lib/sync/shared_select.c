/* shared_select.c - a case of a select waits at a channel between loops.
 *
 * Its select may stand at other such channels already, and be claimed there by another thread at any moment.
 * So what it could do here it may do only with its own claim, and where it meets a parked one that has one
 * too, with both. Two selects may meet each other at two channels at once, each holding the other's claim:
 * therefore nobody waits for a claim while holding one. */
#include "base/relax.h"
#include "sync/select.h"
#include "sync/shared.h"

enum { OVER = 1, DONE }; /* another case was done; this one was */

/* An item or a place in the cells, or the end. */
static int try_cells(struct shared *shared, struct park *mine, bool send)
{
        int error;

        if (!park_claim(mine))
                return OVER;
        error = send ? cells_put(&shared->cells, mine->item) : cells_take(&shared->cells, mine->item);
        if (error == -EAGAIN && !send && cells_is_drained(&shared->cells))
                error = -EPIPE;
        if (error == -EAGAIN) {
                park_unclaim(mine);
                return -EAGAIN;
        }
        mine->result = error;
        atomic_store_explicit(mine->claim, PARK_ENDED, memory_order_release);
        return DONE;
}

/* -EAGAIN: the other is over. */
static int meet(struct shared *shared, struct park *mine, struct park *other, bool send,
                struct park_woken *woken)
{
        for (;;) {
                unsigned claim = PARK_FREE;

                if (!park_claim(other)) {
                        park_remove(other);
                        return -EAGAIN;
                }
                if (atomic_compare_exchange_strong(mine->claim, &claim, PARK_ENDED))
                        break;
                park_unclaim(other);
                if (claim == PARK_ENDED)
                        return OVER;
                cpu_relax();
        }
        if (send)
                cells_copy(&shared->cells, other->item, mine->item);
        else
                cells_copy(&shared->cells, mine->item, other->item);
        park_take(other, 0, woken);
        shared->met++;
        mine->result = 0;
        return DONE;
}

/* A rendezvous: whoever waits on the other side, but not the same select. */
static int try_others(struct shared *shared, struct park *mine, bool send, struct park_woken *woken)
{
        struct park_queue *queue = send ? &shared->receivers : &shared->senders;
        struct ouro_list *node = queue->first;
        bool last = !node;

        while (!last) {
                struct park *other = container_of(node, struct park, link);
                int result = -EAGAIN;

                node = node->next;
                last = node == queue->first;
                if (other->claim != mine->claim)
                        result = meet(shared, mine, other, send, woken);
                if (result != -EAGAIN)
                        return result;
        }
        return -EAGAIN;
}

static int try_now(struct shared *shared, struct park *mine, bool send, struct park_woken *woken)
{
        int result = try_cells(shared, mine, send);

        return result == -EAGAIN && shared->cells.capacity == 0 ? try_others(shared, mine, send, woken)
                                                                : result;
}

int shared_park(ouro_chan *chan, struct select_park *place)
{
        struct shared *shared = shared_of(chan);
        bool send = place->it->kind == OURO_CASE_IS_SEND;
        struct park_queue *queue = send ? &shared->senders : &shared->receivers;
        struct park_woken woken = {NULL};
        int result = park_enter(&shared->lot);

        if (result < 0)
                return result;
        park_init(&place->park, &shared->lot, queue, shared, place->it->of.chan.item);
        place->park.claim = &place->select->claim;
        place->park.wake = select_woken;
        shared_settle(shared, &woken);
        park_announce(queue);
        result = shared_has_turn(shared, queue) ? try_now(shared, &place->park, send, &woken) : -EAGAIN;
        if (result == -EAGAIN) {
                park_push(&place->park);
        } else {
                park_renounce(queue);
                shared_settle(shared, &woken);
        }
        park_leave_and_wake(&shared->lot, &woken);
        return result == DONE;
}
