/* thread_grow.c - the starter: a thread of a pool that may grow, which starts workers and joins those that
 * ended.
 *
 * Starting a thread takes some 20 us, too long for a submitter; and where all workers are blocked, none of
 * them can do it. So whoever finds all busy as jobs wait arms the starter, at the price of one wake. From
 * then on it looks once in a moment until the queues are empty: if a job that was there a moment ago is still
 * there, and nobody is idle, it starts one worker. */
#include "base/check.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/futex.h"
#include "executors/thread_pool.h"

static const int64_t MOMENT_NS = 1000 * 1000;
static const int64_t RETRY_NS = 100 * 1000 * 1000; /* after a thread that could not be started */

void starter_call(struct thread_pool *pool)
{
        if (!pool->has_starter)
                return;
        atomic_fetch_add(&pool->starter_called, 1);
        futex_wake(&pool->starter_called);
}

void starter_watch(struct thread_pool *pool)
{
        if (!atomic_load(&pool->starter_armed) && !atomic_exchange(&pool->starter_armed, true))
                starter_call(pool);
}

static void join_ended(struct thread_pool *pool)
{
        for (unsigned i = 0; i < pool->options.threads_max; i++) {
                struct worker *worker = &pool->workers[i];
                bool ended;

                pthread_mutex_lock(&pool->lock);
                ended = worker->life == WORKER_ENDED;
                pthread_mutex_unlock(&pool->lock);
                if (!ended)
                        continue;
                pthread_join(worker->thread, NULL);
                pthread_mutex_lock(&pool->lock);
                worker->life = WORKER_NONE;
                pthread_mutex_unlock(&pool->lock);
        }
}

/* Only the starter makes a number somebody's while the pool is open. */
static int start_one(struct thread_pool *pool)
{
        unsigned number = 0;

        pthread_mutex_lock(&pool->lock);
        while (number < pool->options.threads_max && pool->workers[number].life != WORKER_NONE)
                number++;
        pthread_mutex_unlock(&pool->lock);
        return number < pool->options.threads_max ? pool_start_worker(pool, number) : 0;
}

/* One that is just starting may be all that is needed. */
static bool all_busy(struct thread_pool *pool)
{
        return atomic_load(&pool->parked) == 0 && atomic_load(&pool->searching) == 0 &&
               atomic_load(&pool->starting) == 0;
}

static bool must_watch(struct thread_pool *pool)
{
        return atomic_load(&pool->grows) && job_classes_count(&pool->jobs) > 0;
}

static void sleep_a_while(struct thread_pool *pool, int64_t ns)
{
        int64_t now_ns = pool_clock_ns(), end_ns = now_ns + ns;

        while (now_ns < end_ns) {
                unsigned called = atomic_load(&pool->starter_called);

                if (pool_is_over(pool))
                        return;
                futex_wait(&pool->starter_called, called, end_ns - now_ns);
                now_ns = pool_clock_ns();
        }
}

/* A moment's watch. */
static void watch(struct thread_pool *pool)
{
        size_t there = job_classes_popped(&pool->jobs) + job_classes_count(&pool->jobs);

        sleep_a_while(pool, MOMENT_NS);
        if ((ptrdiff_t)(there - job_classes_popped(&pool->jobs)) > 0 && all_busy(pool)) {
                join_ended(pool);
                if (start_one(pool) < 0)
                        sleep_a_while(pool, RETRY_NS); /* the pool goes on with those it has */
        }
        if (must_watch(pool))
                return;
        atomic_store(&pool->starter_armed, false);
        atomic_thread_fence(
                memory_order_seq_cst); /* as in pool_rouse(): a submitter may have seen it armed */
        if (must_watch(pool))
                atomic_store(&pool->starter_armed, true);
}

static void *starter_main(void *arg)
{
        struct thread_pool *pool = arg;

        pthread_setname_np(pthread_self(), pool->name);
        for (;;) {
                unsigned called = atomic_load(&pool->starter_called);

                if (pool_is_over(pool))
                        break;
                join_ended(pool);
                if (atomic_load(&pool->starter_armed) || atomic_load(&pool->closing))
                        watch(pool); /* while it closes, too: what is queued may be what others wait for */
                else
                        futex_wait(&pool->starter_called, called, -1);
        }
        pool_thread_ends(pool, NULL);
        return NULL;
}

int starter_start(struct thread_pool *pool)
{
        int error;

        pool->threads_len++;
        error = pool_start_thread(pool, &pool->starter, starter_main, pool);
        if (error < 0)
                pool->threads_len--;
        pool->has_starter = error == 0;
        return error;
}
