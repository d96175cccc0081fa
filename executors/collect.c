/* collect.c - taking in what workers have done, on the threads of the loops that share the pool.
 *
 * There is no thread between worker and loop: whichever loop looks takes in everything, also what is for
 * others, and sends it to them.
 *
 * One bell is for all loops, and wakes only one of them. So while others sleep with jobs out, whoever has
 * collected makes the workers ring again, and looks once more. */
#include <errno.h>
#include "executors/job.h"
#include "executors/process_pool.h"
#include "task/poller.h"

enum { ESTIMATE_LEAST = 4 }; /* jobs found done at once */

/* What may be in an entry that is out and needs nothing from us. */
static bool is_pending(uint32_t state, const struct record *record)
{
        return record ? state == LANE_READY || state == LANE_CLAIMED : state == LANE_TAKEN;
}

static uint32_t state_of(const struct worker *worker, uint64_t n)
{
        const struct lane *lane = &worker->lane;

        return atomic_load_explicit(&lane_entry(lane, n)->state, memory_order_acquire) - lane_lap(lane, n);
}

/* The worker may have written anything: a time it cannot have been counts as none. */
static void count_times(struct process_pool *pool, const struct record *record, const struct lane_note *note)
{
        int64_t began_ns = atomic_load_explicit(&note->began_ns, memory_order_relaxed),
                ended_ns = atomic_load_explicit(&note->ended_ns, memory_order_relaxed), wait_ns, run_ns;

        if (__builtin_sub_overflow(began_ns, record->taken_ns, &wait_ns) ||
            __builtin_sub_overflow(ended_ns, began_ns, &run_ns))
                return;
        executor_count_times(&pool->executor, wait_ns < 0 ? 0 : wait_ns, run_ns < 0 ? 0 : run_ns);
}

/* A job whose worker has done it. The record is in no lane any more. */
static void take_result(struct process_pool *pool, struct record *record, intptr_t result,
                        struct later *later)
{
        struct worker *worker = record->worker;

        if (likely(!spans_out_long(record))) {
                spans_copy_out(record, spans_at(record));
                spans_release(record);
                later_end(pool, later, record, result);
                return;
        }
        record->state = RECORD_RETURNS;
        record->job->of_executor = NULL; /* it cannot be cancelled any more */
        record->job->result = result;
        worker->pins++;
        list_push(&later->slow, &record->link);
}

static void take_done(struct process_pool *pool, struct worker *worker, struct record *record,
                      struct later *later)
{
        uint64_t n = worker->oldest;
        struct lane_note *note = lane_note(&worker->lane, n);

        worker->records[n & worker->lane.mask] = NULL;
        worker->load--;
        worker->done++;
        if (unlikely(record->seat))
                worker->bound--;
        if (unlikely(record->told))
                atomic_store_explicit(&note->cancelled, 0, memory_order_relaxed);
        if (unlikely(pool->timings))
                count_times(pool, record, note);
        if (unlikely(pool->capture || record->deaths > 0))
                report_done(record);
        take_result(pool, record, (intptr_t)lane_entry(&worker->lane, n)->result, later);
}

/* Retires a worker that has done as much, or grown as large, as the options allow. */
static void look_at_age(struct process_pool *pool, struct worker *worker, struct later *later)
{
        bool old = pool->recycle_jobs && worker->given >= pool->recycle_jobs && worker->load == 0;
        bool large = pool->recycle_bytes && worker->done > 0 &&
                     atomic_load_explicit(&worker->lane.head->resident_bytes, memory_order_relaxed) >
                             pool->recycle_bytes;

        if (old || large || (worker->doomed && worker->load == 0))
                worker_stop(pool, worker, later);
}

/* How long a job takes, when many come: the time since the last dozen, shared out. Idle times count, too, so
 * that the estimate errs to the long side. A single job is not worth the reading of the clock. */
static void estimate(struct process_pool *pool, struct worker *worker, uint64_t done)
{
        int64_t now_ns, job_ns;

        if (done < ESTIMATE_LEAST)
                return;
        now_ns = pool_clock_ns();
        job_ns = (now_ns - worker->collected_ns) / (int64_t)done;
        worker->collected_ns = now_ns;
        if (job_ns > JOB_NS_MOST)
                job_ns = JOB_NS_MOST;
        pool->job_ns += (job_ns - pool->job_ns) / 4;
}

void collect_worker(struct process_pool *pool, struct worker *worker, struct later *later)
{
        uint64_t before = worker->oldest;

        if (unlikely(worker->garbled))
                return;
        while (worker->oldest != worker->next) {
                struct record *record = worker->records[worker->oldest & worker->lane.mask];
                uint32_t state = state_of(worker, worker->oldest);

                if (likely(state == LANE_DONE && record)) {
                        take_done(pool, worker, record, later);
                } else if (state != LANE_SKIPPED || record) {
                        if (unlikely(!is_pending(state, record)))
                                worker->garbled = true;
                        break;
                }
                worker->oldest++;
        }
        if (unlikely(worker->garbled)) /* nothing that it writes from now on is believed */
                worker_doom(pool, worker, -1, later);
        if (worker->oldest == before) {
                worker->looks++;
                return;
        }
        worker->looks = 0;
        pool->crashes = 0;
        worker_counts(pool, worker);
        estimate(pool, worker, worker->oldest - before);
        if (unlikely(pool->recycle_jobs || pool->recycle_bytes || worker->doomed))
                look_at_age(pool, worker, later);
}

static void collect_all(struct process_pool *pool, struct later *later)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &pool->busy)
                collect_worker(pool, container_of(node, struct worker, in_busy), later);
        dispatch(pool, later);
        if (loads_idle(pool) && pool->busy_len > 0)
                rebalance(pool, false, later);
}

/* Has workers ring for what they do from here on. True: one has already done something. */
static bool arm(const struct process_pool *pool)
{
        struct ouro_list *node, *tmp;
        bool news = false;

        list_each_safe(node, tmp, &pool->busy) {
                struct worker *worker = container_of(node, struct worker, in_busy);

                atomic_store_explicit(&worker->lane.head->listening, 1, memory_order_relaxed);
        }
        atomic_thread_fence(memory_order_seq_cst); /* between listening and looking once more */
        list_each_safe(node, tmp, &pool->busy) {
                struct worker *worker = container_of(node, struct worker, in_busy);
                uint64_t n = worker->oldest;

                if (!worker->garbled &&
                    !is_pending(state_of(worker, n), worker->records[n & worker->lane.mask]))
                        news = true;
        }
        return news;
}

static void disarm(const struct process_pool *pool)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &pool->busy)
                atomic_store_explicit(&container_of(node, struct worker, in_busy)->lane.head->listening, 0,
                                      memory_order_relaxed);
}

void unpin(struct worker *worker, struct later *later)
{
        worker->pins--;
        if (worker->pins == 0 && worker->state == WORKER_GONE)
                later->nudge = true; /* its lane can be unmapped now */
}

void collect_slow(struct process_pool *pool, struct later *later)
{
        while (!list_empty(&later->slow)) {
                struct record *record = container_of(later->slow.next, struct record, link);
                struct worker *worker = record->worker;

                list_del(&record->link);
                pool_unlock(pool, later);
                spans_copy_out(record, spans_at(record));
                spans_give_memory_back(record);
                pool_lock(pool);
                spans_release(record);
                unpin(worker, later);
                later_end(pool, later, record, record->job->result);
                dispatch(pool, later); /* a job may have waited for that room */
        }
}

void pool_collect(void *what, bool for_certain)
{
        struct process_pool *pool = what;
        struct later later;

        if (atomic_load_explicit(&pool->jobs_out, memory_order_relaxed) == 0)
                return;
        if (unlikely(for_certain))
                pool_lock(pool);
        else if (pthread_mutex_trylock(&pool->lock) != 0) /* before it sleeps a loop looks again, and waits */
                return;
        later_init(&later);
        do
                collect_all(pool, &later);
        while (unlikely(pool->listeners > 0) && arm(pool));
        collect_slow(pool, &later);
        pool_unlock(pool, &later);
}

bool pool_listen(void *what)
{
        struct process_pool *pool = what;
        struct later later;
        bool news;

        later_init(&later);
        pool_lock(pool);
        pool->listeners++;
        rebalance(pool, true, &later);
        news = arm(pool);
        pool_unlock(pool, &later);
        return !news;
}

void pool_ignore(void *what)
{
        struct process_pool *pool = what;

        pool_lock(pool);
        if (--pool->listeners == 0)
                disarm(pool);
        pthread_mutex_unlock(&pool->lock);
}

const struct poller_ops pool_poller_ops = {
        .collect = pool_collect,
        .listen = pool_listen,
        .ignore = pool_ignore,
};
