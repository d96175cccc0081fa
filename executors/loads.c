/* loads.c - the workers that take jobs, by how many they have: an idle one, or nearly the idlest, is found at
 * once.
 *
 * One list for each of some ranges of loads (load_key()), and a bit for each list that is not empty. The last
 * list has those without room: they have as many jobs as may be ahead, or their ring of entries is full, or
 * they shall not get more. */
#include "executors/process_pool.h"

void loads_init(struct process_pool *pool)
{
        for (unsigned i = 0; i <= LOADS_FULL; i++)
                list_init(&pool->loads[i]);
        list_init(&pool->busy);
}

/* What was used last is used first: it is awake, and its memory is in the cache. Those that are still
 * starting come after all others. */
static void put(struct process_pool *pool, struct worker *worker, unsigned key)
{
        struct ouro_list *list = &pool->loads[key];

        list_push(likely(key > 0 || worker_works(worker)) ? list->next : list, &worker->by_load);
        pool->loads_used |= 1u << key;
        worker->key = key;
}

static void take(struct process_pool *pool, struct worker *worker)
{
        struct ouro_list *list = &pool->loads[worker->key];

        list_del(&worker->by_load);
        if (list_empty(list))
                pool->loads_used &= ~(1u << worker->key);
}

void worker_list(struct process_pool *pool, struct worker *worker)
{
        check(!worker->listed);
        worker->listed = true;
        put(pool, worker, load_key(pool, worker));
}

void worker_unlist(struct process_pool *pool, struct worker *worker)
{
        if (!worker->listed)
                return;
        worker->listed = false;
        take(pool, worker);
}

void worker_recount(struct process_pool *pool, struct worker *worker)
{
        bool busy = worker->next != worker->oldest;

        if (worker->listed) {
                unsigned key = load_key(pool, worker);

                if (key != worker->key) {
                        take(pool, worker);
                        put(pool, worker, key);
                }
        }
        if (busy == worker->busy)
                return;
        worker->busy = busy;
        if (busy) {
                list_push(&pool->busy, &worker->in_busy);
                pool->busy_len++;
        } else {
                list_del(&worker->in_busy);
                pool->busy_len--;
                worker->lowest = OURO_PRIORITY_HIGH;
        }
}
