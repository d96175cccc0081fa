/* dispatch.c - handing jobs to workers, and taking them back.
 *
 * A job goes to the idlest worker that has room; while none has, it waits in the pool's line, or in that of
 * the only worker it is for. What a worker has been handed it does in order. Until it has begun a job, that
 * can be taken back, by whoever is first to change the entry's state:
 *
 *   - an idle worker gets half of what waits behind another's running job (rebalance());
 *   - a job of higher priority gets ahead of what its worker has not begun (overtake());
 *   - a worker that shall end gives back everything.
 *
 * So priorities hold within one worker and within the lines: a job of low priority may begin on one worker
 * while one of high priority still waits behind a running job on another. */
#include <errno.h>
#include <limits.h>

#include "executors/process_pool.h"

enum { LOOKS_UNTIL_STUCK = 32 }; /* at a worker that does nothing, before its jobs are given to idle ones */

static const int64_t WAKE_NS = 5000; /* what waking a worker costs: a system call here, a switch there */

/* ---- handing over ---- */

static void let_go_of(struct process_pool *pool, struct worker *worker, struct record *record)
{
        worker->load--;
        if (record->seat)
                worker->bound--;
        worker_counts(pool, worker);
}

static void fill_entry(struct process_pool *pool, struct record *record, struct later *later)
{
        struct worker *worker = record->worker;
        struct lane *lane = &worker->lane;
        uint64_t n = worker->next;
        struct lane_entry *entry = lane_entry(lane, n);
        struct lane_note *note = lane_note(lane, n);

        record->entry = n;
        if (record->state != RECORD_COPIED)
                spans_copy_in(record, spans_at(record));
        spans_describe(record, spans_at(record), entry, note);
        entry->flags = record->flags;
        entry->attempt = record->attempt < UINT16_MAX ? (uint16_t)record->attempt : UINT16_MAX;
        entry->module_fn = record->module_fn;
        record->began_ns = 0;
        if (record->flags & LANE_TIMED)
                atomic_store_explicit(&note->began_ns, 0, memory_order_relaxed);
        functions_tell(&pool->functions, worker);
        if (unlikely(!pool->watching))
                pool->watching = later->nudge = true;
        worker->records[n & lane->mask] = record;
        worker->next = n + 1;
        record->state = RECORD_HANDED;
        if (pool->listeners > 0)
                atomic_store_explicit(&lane->head->listening, 1, memory_order_relaxed);
        atomic_store_explicit(&entry->state, lane_lap(lane, n) | LANE_READY, memory_order_release);
        later_wake(later, worker);
}

/* The lane stays where it is meanwhile; whether it is still of use is seen afterwards. */
static void copy_unlocked(struct process_pool *pool, struct record *record, struct later *later)
{
        struct worker *worker = record->worker;
        uint64_t at = spans_at(record);

        record->state = RECORD_COPIED;
        worker->pins++;
        pool_unlock(pool, later);
        spans_copy_in(record, at);
        pool_lock(pool);
        unpin(worker, later);
}

/* What became of the worker and the job while it was copied. */
static bool is_still_wanted(struct process_pool *pool, struct record *record, struct later *later)
{
        struct worker *worker = record->worker;

        if (likely(worker->listed && !record->asked && !pool->cancelling && !pool->broken &&
                   worker->next - worker->oldest <= worker->lane.mask))
                return true;
        spans_release(record);
        worker->given--;
        let_go_of(pool, worker, record);
        if (record->asked || pool->cancelling)
                later_end(pool, later, record, -ECANCELED);
        else if (pool->broken)
                later_end(pool, later, record, -ENOTRECOVERABLE);
        else
                record_wait(pool, record, true);
        return false;
}

/* The record is in no line. False: the worker has no room for its spans now, and it waits again. */
static bool hand_to(struct process_pool *pool, struct worker *worker, struct record *record,
                    struct later *later)
{
        if (!spans_reserve(worker, record)) {
                record_wait(pool, record, true);
                return false;
        }
        record->worker = worker;
        worker->load++;
        worker->given++;
        if (unlikely(record->seat))
                worker->bound++;
        if (record->priority < worker->lowest)
                worker->lowest = record->priority;
        if (unlikely(spans_in_long(record))) {
                worker_counts(pool, worker);
                copy_unlocked(pool, record, later);
                if (!is_still_wanted(pool, record, later))
                        return true;
        }
        fill_entry(pool, record, later);
        worker_counts(pool, worker);
        return true;
}

/* The next job for a worker: of its own line or of everybody's. */
static struct record *next_for(const struct process_pool *pool, const struct worker *worker)
{
        struct record *own = line_first(&worker->seat->bound), *any = line_first(&pool->line);

        if (!own || !any)
                return own ? own : any;
        return any->priority > own->priority ? any : own;
}

static bool hand_next(struct process_pool *pool, struct worker *worker, struct record *record,
                      struct later *later)
{
        record_leave_line(pool, record);
        return hand_to(pool, worker, record, later);
}

static void dispatch_bound(struct process_pool *pool, struct later *later)
{
        for (unsigned i = 0; i < pool->seats_len && pool->bound_waiting > 0; i++) {
                struct seat *seat = &pool->seats[i];
                struct record *record;

                while ((record = line_first(&seat->bound)) && seat->worker && seat->worker->listed &&
                       worker_has_room(pool, seat->worker))
                        if (!hand_next(pool, seat->worker, record, later))
                                break;
        }
}

/* Workers that have ended for want of work are needed again. */
static void unpark(struct process_pool *pool, struct seat *only, struct later *later)
{
        for (unsigned i = 0; i < pool->seats_len; i++) {
                struct seat *seat = &pool->seats[i];

                if (!seat->parked || (only && seat != only))
                        continue;
                seat->parked = false;
                pool->parked--;
                later->nudge = true;
                return;
        }
}

void dispatch(struct process_pool *pool, struct later *later)
{
        struct worker *worker;

        if (likely(pool->waiting == 0))
                return;
        while (pool->line.len > 0 && (worker = loads_least(pool)))
                if (!hand_next(pool, worker, next_for(pool, worker), later))
                        break;
        if (unlikely(pool->bound_waiting > 0))
                dispatch_bound(pool, later);
}

/* What the worker has not begun and matters less waits again, in front: the record goes first. */
static bool overtake(struct process_pool *pool, struct worker *worker, struct record *record,
                     struct later *later)
{
        if (likely(worker->load == 0 || worker->lowest >= record->priority))
                return false;
        take_back_all(pool, worker, record->priority);
        worker->lowest = record->priority;
        if (!worker_has_room(pool, worker))
                return false;
        hand_to(pool, worker, record, later);
        dispatch(pool, later);
        return true;
}

static struct worker *first_without_room(const struct process_pool *pool)
{
        const struct ouro_list *list = &pool->loads[LOADS_FULL];

        return list_empty(list) ? NULL : container_of(list->next, struct worker, by_load);
}

static bool sleeps(const struct worker *worker)
{
        return atomic_load_explicit(&worker->lane.head->asleep, memory_order_relaxed) != 0;
}

static bool is_quick(const struct process_pool *pool, const struct worker *worker)
{
        return worker_has_room(pool, worker) && (int64_t)worker->load * pool->job_ns < WAKE_NS;
}

/* One that is awake and will have done what it has sooner than a sleeping one would be up. */
static struct worker *quick_one(struct process_pool *pool, struct later *later)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &pool->busy) {
                struct worker *worker = container_of(node, struct worker, in_busy);

                if (!worker->listed || !worker_works(worker) || sleeps(worker))
                        continue;
                if (!is_quick(pool, worker))
                        collect_worker(pool, worker, later); /* perhaps it has done most of them */
                if (worker->listed && is_quick(pool, worker))
                        return worker;
        }
        return NULL;
}

/* The idlest; but a worker is not woken for what another has done before it is up. Should that one be stuck
 * in a long job after all, the loop's next looks find out, see rebalance(). */
static struct worker *choose(struct process_pool *pool, struct later *later)
{
        struct worker *idlest = loads_least(pool), *quick;

        if (likely(!idlest || idlest->load > 0 || pool->busy_len == 0 || !sleeps(idlest)))
                return idlest;
        quick = quick_one(pool, later);
        return quick ? quick : idlest;
}

/* A job that has just come. */
void dispatch_new(struct process_pool *pool, struct record *record, struct later *later)
{
        struct seat *seat = record->seat;
        struct worker *worker = likely(!seat) ? choose(pool, later) : seat->worker;
        const struct record *first = line_first(seat ? &seat->bound : &pool->line);
        bool is_next = !first || first->priority < record->priority;

        if (unlikely(pool->parked > 0) && (seat ? seat->parked : !loads_idle(pool)))
                unpark(pool, seat, later);
        if (!seat && !worker)
                worker = first_without_room(pool);
        if (unlikely(!worker || !worker->listed || !is_next)) {
                record_wait(pool, record, false);
        } else if (!overtake(pool, worker, record, later)) {
                if (worker_has_room(pool, worker))
                        hand_to(pool, worker, record, later);
                else
                        record_wait(pool, record, false);
        }
}

/* ---- taking back ---- */

/* Job of entry n, if the worker has not begun it: in no line then. */
struct record *take_back(struct process_pool *pool, struct worker *worker, uint64_t n)
{
        struct record *record = worker->records[n & worker->lane.mask];
        uint32_t lap = lane_lap(&worker->lane, n), ready = lap | LANE_READY;

        if (!record ||
            !atomic_compare_exchange_strong(&lane_entry(&worker->lane, n)->state, &ready, lap | LANE_TAKEN))
                return NULL;
        worker->records[n & worker->lane.mask] = NULL;
        worker->given--;
        if (record->block >= 0) {
                if (spans_out_long(record))
                        spans_give_memory_back(record);
                spans_release(record);
        }
        let_go_of(pool, worker, record);
        return record;
}

/* The youngest first, each to the front of its line: so they are in order there. */
void take_back_all(struct process_pool *pool, struct worker *worker, int below)
{
        for (uint64_t n = worker->next; n-- > worker->oldest;) {
                struct record *record = worker->records[n & worker->lane.mask];

                if (record && record->priority < below && take_back(pool, worker, n))
                        record_wait(pool, record, true);
        }
}

/* How many of a worker's jobs an idle one could begin sooner: not the first, unless this one does not work
 * yet and that one does. */
static unsigned spare_of(const struct process_pool *pool, const struct worker *worker)
{
        unsigned jobs = worker->load - worker->bound;

        return jobs > 0 && (worker_works(worker) || !worker_works(loads_least(pool))) ? jobs - 1 : jobs;
}

static struct worker *fullest(struct process_pool *pool, bool at_once)
{
        struct worker *most = NULL;
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &pool->busy) {
                struct worker *worker = container_of(node, struct worker, in_busy);

                if (spare_of(pool, worker) > 0 && (at_once || worker->looks >= LOOKS_UNTIL_STUCK) &&
                    (!most || spare_of(pool, worker) > spare_of(pool, most)))
                        most = worker;
        }
        return most;
}

/* Half of what waits behind the running job, the youngest. How many they were. */
static unsigned take_half(struct process_pool *pool, struct worker *worker)
{
        unsigned wanted = (spare_of(pool, worker) + 1) / 2, taken = 0;

        for (uint64_t n = worker->next; n-- > worker->oldest && taken < wanted;) {
                struct record *record = worker->records[n & worker->lane.mask];

                if (record && !record->seat && take_back(pool, worker, n)) {
                        record_wait(pool, record, true);
                        taken++;
                }
        }
        return taken;
}

/* An idle worker gets what others have not begun. at_once: nobody will look again soon. */
void rebalance(struct process_pool *pool, bool at_once, struct later *later)
{
        struct worker *from;

        while (loads_idle(pool) && pool->line.len == 0 && (from = fullest(pool, at_once)) &&
               take_half(pool, from) > 0) {
                from->looks = 0;
                dispatch(pool, later);
        }
}

/* Ends when it is done with what it has begun. */
void worker_stop(struct process_pool *pool, struct worker *worker, struct later *later)
{
        if (worker->stopping)
                return;
        worker->stopping = true;
        worker_unlist(pool, worker);
        take_back_all(pool, worker, INT_MAX);
        atomic_store(&worker->lane.head->stop, 1);
        later_wake(later, worker);
        later->nudge = true;
}
