/* shared_select.c - cases of a select in the queues of shared channels.
 *
 * A case that waits has a park of its own, from the heap: the select takes it back when it is over. Before a
 * case is queued it is tried once more, with the channel locked and its select held, because another thread
 * may find the select in another queue meanwhile. */
#include "base/alloc.h"
#include "sync/select.h"
#include "sync/shared.h"

bool park_hold_case(struct park *park)
{
        return select_hold_from(park->select);
}

void park_free_case(struct park *park)
{
        select_decide(park->select, NULL);
}

void park_end_case(struct park *park)
{
        park->it->result = (int)park->result;
        select_decide(park->select, park->it);
}

static bool sends(const struct ouro_case *it)
{
        return it->kind == OURO_CASE_IS_SEND;
}

static int try_cells(struct shared *shared, struct ouro_case *it)
{
        int error;

        if (sends(it))
                return cells_put(&shared->cells, it->of.chan.item);
        error = cells_take(&shared->cells, it->of.chan.item);
        return error == -EAGAIN && cells_is_drained(&shared->cells) ? -EPIPE : error;
}

/* 1: done. 0: another thread has done another case. -EAGAIN. */
static int do_by_cells(struct shared *shared, struct select *select, struct ouro_case *it)
{
        int error;

        if (!select_hold_from(select))
                return 0;
        error = try_cells(shared, it);
        if (error != -EAGAIN)
                it->result = error;
        select_decide(select, error == -EAGAIN ? NULL : it);
        return error == -EAGAIN ? -EAGAIN : 1;
}

static void meet(struct shared *shared, struct ouro_case *it, struct park *park, struct park_woken *woken)
{
        void *from = sends(it) ? it->of.chan.item : park->item,
             *to = sends(it) ? park->item : it->of.chan.item;

        cells_copy(&shared->cells, to, from);
        it->result = 0;
        park_take(park, 0, woken);
        shared->met++;
}

/* Both are claimed, or neither: a rendezvous. */
static enum select_matched match(struct select *select, struct ouro_case *it, const struct park *park)
{
        if (park->select)
                return select_match(select, it, park->select, park->it);
        return select_claim_from(select, it) ? SELECT_MATCHED : SELECT_MINE_OVER;
}

/* The first after those that are cases of the same select; NULL: none. */
static struct park *first_other(struct park_queue *queue, const struct select *select)
{
        struct ouro_list *node = queue->first;

        if (!node)
                return NULL;
        do {
                struct park *park = container_of(node, struct park, link);

                if (park->select != select)
                        return park;
                node = node->next;
        } while (node != queue->first);
        return NULL;
}

/* Likewise, by handing over to or from who waits on the other side. */
static int do_by_meeting(struct shared *shared, struct select *select, struct ouro_case *it,
                         struct park_woken *woken)
{
        struct park_queue *queue = sends(it) ? &shared->receivers : &shared->senders;
        struct park *park;

        while ((park = first_other(queue, select))) {
                switch (match(select, it, park)) {
                case SELECT_MATCHED:
                        meet(shared, it, park, woken);
                        return 1;
                case SELECT_MINE_OVER:
                        return 0;
                case SELECT_OTHER_OVER:
                        park_remove(park);
                }
        }
        return -EAGAIN;
}

static int do_now(struct shared *shared, struct select *select, struct ouro_case *it,
                  struct park_woken *woken)
{
        struct park_queue *queue = sends(it) ? &shared->senders : &shared->receivers;
        int result = -EAGAIN;

        if (queue->first && shared->cells.capacity > 0) /* they came before */
                return -EAGAIN;
        result = do_by_cells(shared, select, it);
        if (result == -EAGAIN && shared->cells.capacity == 0)
                result = do_by_meeting(shared, select, it, woken);
        return result;
}

/* With the lock held. As shared_park(). */
static int try_or_push(struct shared *shared, struct select *select, struct ouro_case *it, struct park *park,
                       struct park_woken *woken)
{
        struct park_queue *queue = sends(it) ? &shared->senders : &shared->receivers;
        int result;

        shared_settle(shared, woken);
        park_announce(queue);
        result = do_now(shared, select, it, woken);
        if (result != -EAGAIN) {
                park_renounce(queue);
                shared_settle(shared, woken);
                return result;
        }
        park_init(park, &shared->lot, queue, shared, it->of.chan.item);
        park->select = select;
        park->it = it;
        park->wake = &select->message;
        park_push(park);
        (*(sends(it) ? &shared->send_waits : &shared->recv_waits))++;
        select_place(it)->object = park;
        select->loop->jobs_out++; /* as park_wait() does */
        return 0;
}

int shared_park(ouro_chan *chan, struct select *select, struct ouro_case *it)
{
        struct shared *shared = shared_of(chan);
        struct park_woken woken = {NULL};
        struct park *park;
        int result;

        select_place(it)->object = NULL;
        park = mem_alloc(sizeof *park);
        if (!park)
                return -ENOMEM;
        result = park_enter(&shared->lot);
        if (result == 0) {
                result = try_or_push(shared, select, it, park, &woken);
                park_leave_and_wake(&shared->lot, &woken);
        }
        if (!select_place(it)->object)
                mem_free(park, sizeof *park);
        return result;
}

void shared_unpark(ouro_chan *chan, struct select *select, struct ouro_case *it)
{
        struct park *park = select_place(it)->object;

        (void)chan;
        if (!park)
                return;
        if (park_withdraw(park))
                park_leave(park->lot);
        select_place(it)->object = NULL;
        select->loop->jobs_out--;
        mem_free(park, sizeof *park);
}
