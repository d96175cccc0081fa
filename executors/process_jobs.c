/* process_jobs.c - what the process pool does as an executor, job by job. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "executors/process_pool.h"
#include "task/poller.h"

/* ---- taking jobs ---- */

/* Has room for one more poller, so that one that is there can always be kept. */
static bool has_poller_room(struct process_pool *pool)
{
        size_t room = pool->pollers_room ? 2 * pool->pollers_room : 4;
        struct poller **more;

        if (likely(pool->pollers_len < pool->pollers_room))
                return true;
        more = mem_grow(pool->pollers, pool->pollers_room * sizeof *more, room * sizeof *more);
        if (!more)
                return false;
        pool->pollers = more;
        pool->pollers_room = room;
        return true;
}

/* The loop will ask for what becomes of its jobs. On its own thread: nobody attaches it meanwhile. */
static int know_loop(struct process_pool *pool, struct ouro_loop *loop)
{
        struct poller *poller = NULL;
        int error = poller_attach(loop, &pool_poller_ops, pool, pool->doorbell, &poller);

        if (likely(error < 0 || !poller))
                return error;
        pool_lock(pool);
        if (has_poller_room(pool))
                pool->pollers[pool->pollers_len++] = poller;
        else
                error = -ENOMEM;
        pthread_mutex_unlock(&pool->lock);
        if (error < 0)
                poller_detach(poller);
        return error;
}

/* What waits: all that are out but one for each worker that is at work. */
static int look_for_refusal(struct process_pool *pool)
{
        if (unlikely(pool->closing))
                return -ESHUTDOWN;
        if (unlikely(pool->broken))
                return -ENOTRECOVERABLE;
        if (likely(atomic_load_explicit(&pool->jobs_out, memory_order_relaxed) <
                   pool->busy_len + pool->queue))
                return 0;
        pool->wants_room = true;
        return -EAGAIN;
}

static int fill_record(struct process_pool *pool, struct record *record, struct ouro_job *job,
                       uint64_t module_fn)
{
        const struct ouro_job_options *options = job->options;

        /* Field by field: a struct of this size is cleared by an instruction that takes 10 ns to start. */
        record->job = job;
        record->module_fn = module_fn;
        record->seat = NULL;
        record->report = NULL;
        record->flags = 0;
        record->attempt = record->deaths = 0;
        record->taken_ns = 0;
        record->priority = (int8_t)options->priority;
        record->asked = record->told = false;
        record->state = RECORD_WAITS;
        if (unlikely(options->worker > pool->seats_len))
                return -EINVAL;
        if (unlikely(options->worker))
                record->seat = &pool->seats[options->worker - 1];
        if (unlikely(pool->timings || options->deadline_ns))
                record->flags = LANE_TIMED;
        if (unlikely(pool->timings))
                record->taken_ns = pool_clock_ns();
        return spans_fit(pool, record);
}

static int make_record(struct process_pool *pool, struct ouro_job *job, struct record **ret_record)
{
        uint64_t module_fn;
        struct record *record;
        int error = function_find(pool, job->fn, &module_fn);

        if (error == 0)
                error = look_for_refusal(pool); /* now, because the lock may have been released */
        if (unlikely(error < 0))
                return error;
        record = record_new(pool);
        if (unlikely(!record))
                return -ENOMEM;
        error = fill_record(pool, record, job, module_fn);
        if (unlikely(error < 0))
                record_free(pool, record);
        else
                *ret_record = record;
        return error;
}

static int pool_submit(ouro_executor *executor, struct ouro_job *job)
{
        struct process_pool *pool = pool_of(executor);
        struct record *record = NULL;
        struct later later;
        int error = likely(job->loop) ? know_loop(pool, job->loop) : 0;

        if (unlikely(error < 0))
                return error;
        later_init(&later);
        pool_lock(pool);
        error = make_record(pool, job, &record);
        if (unlikely(error < 0)) {
                pthread_mutex_unlock(&pool->lock);
                return error;
        }
        if (unlikely(!ouro_job_begin(job))) { /* cancelled while it waited for room */
                record_free(pool, record);
                pthread_mutex_unlock(&pool->lock);
                return 0;
        }
        job->of_executor = record;
        atomic_store_explicit(&pool->jobs_out,
                              atomic_load_explicit(&pool->jobs_out, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        if (unlikely(!job->loop) && pool->loopless++ == 0)
                later.nudge = true; /* the supervisor collects for it */
        dispatch_new(pool, record, &later);
        collect_slow(pool, &later);
        pool_unlock(pool, &later);
        return 0;
}

/* ---- asking about jobs, and asking them to end ---- */

static void pool_cancel(ouro_executor *executor, struct ouro_job *job)
{
        struct process_pool *pool = pool_of(executor);
        struct later later;

        later_init(&later);
        pool_lock(pool);
        if (job->of_executor) {
                record_cancel(pool, job->of_executor, &later);
                dispatch(pool, &later); /* what its worker had not begun */
        }
        pool_unlock(pool, &later);
}

/* What the worker says first, so that it cannot put its deadline off; and it is not believed that it began
 * in the future, or that what it has claimed did not begin. */
static int64_t record_began_ns(struct record *record)
{
        const struct lane *lane = &record->worker->lane;
        uint32_t ready = lane_lap(lane, record->entry) | LANE_READY;
        int64_t said_ns, now_ns;

        if (record->began_ns > 0)
                return record->began_ns;
        said_ns = atomic_load(&lane_note(lane, record->entry)->began_ns);
        if (said_ns <= 0 && atomic_load(&lane_entry(lane, record->entry)->state) == ready)
                return 0;
        now_ns = pool_clock_ns();
        record->began_ns = said_ns > 0 && said_ns < now_ns ? said_ns : now_ns;
        return record->began_ns;
}

static int64_t pool_began_ns(ouro_executor *executor, struct ouro_job *job)
{
        struct process_pool *pool = pool_of(executor);
        struct record *record;
        int64_t began_ns = 0;

        pool_lock(pool);
        record = job->of_executor;
        if (record && record->state == RECORD_HANDED)
                began_ns = record_began_ns(record);
        pthread_mutex_unlock(&pool->lock);
        return began_ns;
}

static unsigned running_in(const struct worker *worker)
{
        unsigned n = 0;

        for (uint64_t i = worker->oldest; i != worker->next; i++) {
                uint32_t claimed = lane_lap(&worker->lane, i) | LANE_CLAIMED;

                if (atomic_load_explicit(&lane_entry(&worker->lane, i)->state, memory_order_relaxed) ==
                    claimed)
                        n++;
        }
        return n;
}

static void pool_stats(ouro_executor *executor, struct ouro_stats *stats)
{
        struct process_pool *pool = pool_of(executor);
        uint64_t running = 0, out;

        pool_lock(pool);
        for (unsigned i = 0; i < pool->seats_len; i++) {
                const struct worker *worker = pool->seats[i].worker;

                if (!worker || !worker_works(worker))
                        continue;
                stats->workers++;
                if (worker->load == 0)
                        stats->idle++;
                running += running_in(worker);
        }
        out = atomic_load_explicit(&pool->jobs_out, memory_order_relaxed);
        stats->running = running;
        stats->queued = out > running ? out - running : 0;
        stats->restarts = pool->restarts;
        stats->recycled = pool->recycled;
        stats->retried = pool->retried;
        pthread_mutex_unlock(&pool->lock);
}

/* ---- closing ---- */

static void pool_close(ouro_executor *executor)
{
        struct process_pool *pool = pool_of(executor);

        pool_lock(pool);
        pool->closing = true;
        pool_nudge(pool); /* the supervisor may end as soon as it sees closing */
        pthread_mutex_unlock(&pool->lock);
}

static void pool_hurry(ouro_executor *executor, enum ouro_close how)
{
        struct process_pool *pool = pool_of(executor);
        struct later later;

        if (how == OURO_CLOSE_WAIT)
                return;
        later_init(&later);
        pool_lock(pool);
        if (how == OURO_CLOSE_KILL)
                pool->kill_all = true;
        pool_cancel_all(pool, how == OURO_CLOSE_KILL, &later);
        later.nudge = true;
        pool_unlock(pool, &later);
}

const struct ouro_executor_ops process_pool_ops = {
        .size = sizeof(struct ouro_executor_ops),
        .name = "processes",
        .submit = pool_submit,
        .cancel = pool_cancel,
        .close = pool_close,
        .destroy = pool_destroy,
        .hurry = pool_hurry,
        .stats = pool_stats,
        .began_ns = pool_began_ns,
        .can = OURO_CAN_CHOOSE_WORKER | OURO_CAN_MAP,
};
