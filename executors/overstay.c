/* overstay.c - workers that do not end by themselves.
 *
 * A job may have left its worker so that it never ends, and then nobody takes its place and its pool cannot
 * be closed. One that has been told to end, and has nothing else to do, must soon be seen to; before its
 * first job nothing but its initializer can delay it. */
#include "executors/process_pool.h"

static const int64_t BEGINS_NS = INT64_C(3) * 1000 * 1000 * 1000;
static const int64_t TAKES_NS = INT64_C(60) * 1000 * 1000 * 1000; /* with the finalizer; see pool.h */

void overstay_end(struct process_pool *pool, struct worker *worker, int64_t now_ns, int64_t *due_ns,
                  struct later *later)
{
        bool ends = atomic_load(&worker->lane.head->phase) == LANE_ENDING;
        int64_t kill_ns;

        if (!worker->stopping || worker->doomed || worker->done == 0)
                return;
        if (worker->load > 0 || !worker->free_ns)
                worker->free_ns = now_ns;
        kill_ns = worker->free_ns + (ends ? TAKES_NS : BEGINS_NS);
        if (now_ns >= kill_ns)
                worker_doom(pool, worker, -1, later);
        else if (kill_ns < *due_ns)
                *due_ns = kill_ns;
}
