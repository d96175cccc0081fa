/* watchdog.c - workers that do not take what they are given.
 *
 * A worker that is stopped by a signal, or that a job has kept although its entry says that it is done, would
 * keep jobs for ever that it has not begun: no deadline runs for those. So while workers are busy the
 * supervisor looks at them now and then. One that works, and whose next entry has been READY at two looks, is
 * killed; its jobs were not begun, and go to others. Garbage in the next entry is found, too, even if nobody
 * else looks; and what is done but at two looks not taken in is: any worker can read the bell, and so keep
 * loops from hearing the others.
 *
 * While nothing is handed out nobody looks: the first job after that wakes the supervisor. */
#include <limits.h>

#include "executors/process_pool.h"

static const int64_t LOOK_NS = 500 * 1000 * 1000;

static uint32_t next_state(const struct worker *worker)
{
        const struct lane *lane = &worker->lane;

        return atomic_load(&lane_entry(lane, worker->oldest)->state) - lane_lap(lane, worker->oldest);
}

/* Unless it has just begun that entry: then what it runs would be killed for nothing. */
static void end_stuck(struct process_pool *pool, struct worker *worker, struct later *later)
{
        take_back_all(pool, worker, INT_MAX);
        if (next_state(worker) == LANE_TAKEN)
                worker_doom(pool, worker, -1, later);
}

static void look_at(struct process_pool *pool, struct worker *worker, struct later *later)
{
        uint32_t state = next_state(worker);
        bool waits = state == LANE_READY || state == LANE_TAKEN,
             unheard = state == LANE_DONE || state == LANE_SKIPPED, stuck, again;

        worker->worked |= worker->done > 0 || worker_works(worker);
        stuck = unheard || (waits && worker->worked);
        again = stuck && worker->stuck && worker->stuck_at == worker->oldest;
        worker->stuck = stuck;
        worker->stuck_at = worker->oldest;
        if (again && waits)
                end_stuck(pool, worker, later);
        else if (again)
                collect_worker(pool, worker, later);
        if (state == LANE_FREE || state > LANE_SKIPPED) {
                worker->garbled = true;
                worker_doom(pool, worker, -1, later);
        }
}

/* From the supervisor, in each round. */
void watchdog(struct process_pool *pool, int64_t now_ns, int64_t *due_ns, struct later *later)
{
        struct ouro_list *node, *tmp;

        if (!pool->watching)
                return;
        if (pool->look_ns > now_ns) {
                if (pool->look_ns < *due_ns)
                        *due_ns = pool->look_ns;
                return;
        }
        list_each_safe(node, tmp, &pool->busy) {
                struct worker *worker = container_of(node, struct worker, in_busy);

                if (!worker->doomed)
                        look_at(pool, worker, later);
        }
        pool->watching = pool->busy_len > 0;
        pool->look_ns = now_ns + LOOK_NS;
        if (pool->watching && pool->look_ns < *due_ns)
                *due_ns = pool->look_ns;
}
