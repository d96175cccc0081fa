/* park.c - waiting for other threads, and waking those who do. */
#include "base/futex.h"
#include "base/relax.h"
#include "sync/park.h"

enum {
        WORD_AWAKE,
        WORD_ASLEEP,
        WORD_WOKEN,
        LOOKS = 200, /* at the word, before a thread sleeps: about what a sleep and a wake would take */
};

_Atomic unsigned park_process;

static void enter_child(void)
{
        atomic_fetch_add_explicit(&park_process, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, enter_child);
}

void park_lot_init(struct park_lot *lot)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, watch_forks);
        pthread_mutex_init(&lot->lock, NULL);
        lot->process = atomic_load_explicit(&park_process, memory_order_relaxed);
}

void park_lot_destroy(struct park_lot *lot)
{
        pthread_mutex_destroy(&lot->lock);
}

static void wake_task(struct ouro_loop *loop, struct ouro_message *message)
{
        struct park *park = container_of(message, struct park, message);

        coro_wake(&loop->sched, park->coro, park->result);
}

void park_init(struct park *park, struct park_lot *lot, struct park_queue *queue, const void *object,
               void *item)
{
        struct ouro_loop *loop = loop_here();

        *park = (struct park){
                .loop = loop,
                .coro = loop ? loop->sched.current : NULL,
                .lot = lot,
                .queue = queue,
                .object = object,
                .item = item,
                .message = {.deliver = wake_task},
        };
        park->wake = &park->message;
}

struct park *park_first(struct park_queue *queue)
{
        while (queue->first) {
                struct park *park = container_of(queue->first, struct park, link);

                if (likely(park_claim(park)))
                        return park;
                park_remove(park);
        }
        return NULL;
}

void park_take_all(struct park_queue *queue, intptr_t result, struct park_woken *woken)
{
        struct park *park;

        while ((park = park_first(queue)))
                park_take(park, result, woken);
}

/* ---- waking ---- */

static void wake_thread(struct park *park)
{
        if (atomic_exchange(&park->word, WORD_WOKEN) == WORD_ASLEEP)
                futex_wake(&park->word); /* which may be gone by now: nobody looks at it */
}

/* Those at the front of woken that are tasks of one loop, in one message. Its loop lives: they wait. */
static void wake_tasks(struct park_woken *woken, struct park *first)
{
        struct ouro_loop *loop = first->loop;
        struct ouro_message *oldest = first->wake, *newest = oldest;

        while (woken->first) {
                struct park *next = container_of(woken->first, struct park, link);

                if (next->loop != loop)
                        break;
                queue_pop(&woken->first);
                next->wake->next = newest;
                newest = next->wake;
        }
        check(loop_send(loop, newest, oldest));
}

void park_send_wakes(struct park_woken *woken)
{
        struct ouro_loop *here = loop_here();

        while (woken->first) {
                struct park *park = container_of(queue_pop(&woken->first), struct park, link);

                if (!park->loop)
                        wake_thread(park);
                else if (park->loop == here && !park->select) /* which may be the caller's, still queuing */
                        coro_wake(&here->sched, park->coro, park->result);
                else
                        wake_tasks(woken, park);
        }
}

/* ---- waiting ---- */

static intptr_t wait_as_thread(struct park *park)
{
        unsigned word = WORD_AWAKE;

        for (int i = 0; i < LOOKS; i++) {
                if (atomic_load_explicit(&park->word, memory_order_acquire) == WORD_WOKEN)
                        return park->result;
                cpu_relax();
        }
        if (atomic_compare_exchange_strong(&park->word, &word, WORD_ASLEEP))
                while (atomic_load(&park->word) == WORD_ASLEEP)
                        futex_wait(&park->word, WORD_ASLEEP, -1);
        return park->result;
}

intptr_t park_wait(struct park *park, const struct wait_kind *kind)
{
        struct ouro_loop *loop = park->loop;
        intptr_t result;

        if (!loop)
                return wait_as_thread(park);
        park->coro->waiter.what = park;
        loop->jobs_out++;
        result = coro_wait(&loop->sched, kind);
        loop->jobs_out--;
        return result;
}

bool park_withdraw(struct park *park)
{
        pthread_mutex_lock(&park->lot->lock); /* it is this process's: the park was pushed in it */
        if (park->queued) {
                park_remove(park);
                return true;
        }
        park_leave(park->lot);
        return false;
}

void park_cut(struct sched *sched, struct coro *coro, int interrupt)
{
        struct park *park = coro->waiter.what;

        if (!park_withdraw(park))
                return; /* the message wakes it, with its result */
        park_leave(park->lot);
        coro_wake(sched, coro, interrupt);
}

void park_target(const struct coro *coro, struct wait_target *target)
{
        const struct park *park = coro->waiter.what;

        target->object = park->object;
}
