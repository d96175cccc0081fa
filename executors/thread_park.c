/* thread_park.c - workers without work, and who wakes them.
 *
 * Each sleeps on a word of its own, so that waking one touches one, and nobody wakes to find a lock taken.
 *
 * Woken is the last but one to have parked. The last may still be on its way to sleep, or its CPU to idle, so
 * that waking it would take longer; those before have been asleep for longer, and what they worked on is no
 * longer in a cache. Workers beyond the least number are woken after all others, so that they stay idle and
 * end when there is little to do. */
#include <sched.h>

#include "base/check.h"
#include "base/futex.h"
#include "executors/thread_pool.h"

/* At the front. */
static void push_parked(struct worker *worker)
{
        struct thread_pool *pool = worker->pool;

        list_push(worker->number < pool->options.threads ? pool->parked_base.next : pool->parked_extra.next,
                  &worker->link);
        worker->is_parked = true;
        atomic_store(&worker->woken, 0);
        atomic_fetch_add(&pool->parked, 1);
}

static void unlink_parked(struct worker *worker)
{
        list_del(&worker->link);
        worker->is_parked = false;
        atomic_fetch_sub(&worker->pool->parked, 1);
}

/* With the lock held. NULL: nobody is parked. */
static struct worker *take_parked(struct thread_pool *pool)
{
        struct ouro_list *list = list_empty(&pool->parked_base) ? &pool->parked_extra : &pool->parked_base;
        struct ouro_list *last = list->next;
        struct worker *worker;

        if (list_empty(list))
                return NULL;
        worker = container_of(last->next == list ? last : last->next, struct worker, link);
        unlink_parked(worker);
        return worker;
}

static void wake(struct worker *worker)
{
        atomic_store(&worker->woken, 1); /* from here on it may end, and its pool be freed */
        futex_wake(&worker->woken);
}

static void wake_one(struct thread_pool *pool)
{
        struct worker *worker;

        pthread_mutex_lock(&pool->lock);
        worker = take_parked(pool);
        if (worker)
                atomic_fetch_add(&pool->searching, 1);
        pthread_mutex_unlock(&pool->lock);
        if (worker)
                wake(worker);
}

void pool_rouse(struct thread_pool *pool)
{
        unsigned searching;

        atomic_thread_fence(memory_order_seq_cst); /* between what was done to the queues and this look */
        searching = atomic_load_explicit(&pool->searching, memory_order_relaxed);
        if (likely(atomic_load_explicit(&pool->parked, memory_order_relaxed) == 0)) {
                if (unlikely(atomic_load_explicit(&pool->grows, memory_order_relaxed)) && searching == 0)
                        starter_watch(pool);
                return;
        }
        if (searching < job_classes_count(&pool->jobs))
                wake_one(pool);
}

/* It has shown that it is parked, and looks once more: is there a reason not to be? */
static bool should_not_sleep(struct thread_pool *pool)
{
        atomic_thread_fence(memory_order_seq_cst); /* as in pool_rouse(), the other way round */
        return job_classes_count(&pool->jobs) > 0 || atomic_load(&pool->closing);
}

/* False: somebody else has taken it out, and is about to wake it. */
static bool get_up(struct worker *worker)
{
        bool was_parked;

        pthread_mutex_lock(&worker->pool->lock);
        was_parked = worker->is_parked;
        if (was_parked)
                unlink_parked(worker);
        pthread_mutex_unlock(&worker->pool->lock);
        return was_parked;
}

static bool sleep_until_woken(struct worker *worker, int64_t timeout_ns)
{
        while (atomic_load(&worker->woken) == 0)
                if (!futex_wait(&worker->woken, 0, timeout_ns))
                        return false;
        return true;
}

enum park_end worker_park(struct worker *worker)
{
        struct thread_pool *pool = worker->pool;
        int64_t timeout_ns = worker->number < pool->options.threads ? -1 : pool->options.idle_ns;

        pthread_mutex_lock(&pool->lock);
        push_parked(worker);
        pthread_mutex_unlock(&pool->lock);
        if (should_not_sleep(pool) && get_up(worker)) {
                if (atomic_load(&pool->closing))
                        sched_yield(); /* a submitter may still be on its way out of a queue */
                return PARK_LOOK;
        }
        if (!sleep_until_woken(worker, timeout_ns)) {
                if (get_up(worker))
                        return PARK_IDLE_TOO_LONG;
                sleep_until_woken(worker, -1);
        }
        return PARK_WOKEN;
}

void pool_wake_all(struct thread_pool *pool)
{
        struct worker *worker;

        do {
                pthread_mutex_lock(&pool->lock);
                worker = take_parked(pool);
                if (worker)
                        atomic_fetch_add(&pool->searching, 1);
                pthread_mutex_unlock(&pool->lock);
                if (worker)
                        wake(worker);
        } while (worker);
}
