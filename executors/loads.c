/* loads.c - the workers that take jobs, by how many they have: the idlest is found at once.
 *
 * One list for each load, and a bit for each list that is not empty. The last list has those without room:
 * they have as many jobs as may be ahead, or their ring of entries is full, or they shall not get more. */
#include "executors/process_pool.h"

enum { WORD_BITS = 64 };

void loads_init(struct process_pool *pool)
{
        for (unsigned i = 0; i <= AHEAD_MOST; i++)
                list_init(&pool->loads[i]);
        list_init(&pool->busy);
}

bool worker_has_room(const struct process_pool *pool, const struct worker *worker)
{
        return worker->load < pool->ahead && worker->next - worker->oldest <= worker->lane.mask &&
               (!pool->recycle_jobs || worker->given < pool->recycle_jobs);
}

static unsigned key_of(const struct process_pool *pool, const struct worker *worker)
{
        return likely(worker_has_room(pool, worker)) ? worker->load : pool->ahead;
}

/* What was used last is used first: it is awake, and its memory is in the cache. Those that are still
 * starting come after all others. */
static void put(struct process_pool *pool, struct worker *worker, unsigned key)
{
        struct ouro_list *list = &pool->loads[key];

        list_push(likely(key > 0 || worker_works(worker)) ? list->next : list, &worker->by_load);
        pool->loads_used[key / WORD_BITS] |= 1ull << key % WORD_BITS;
        worker->key = key;
}

static void take(struct process_pool *pool, struct worker *worker)
{
        struct ouro_list *list = &pool->loads[worker->key];

        list_del(&worker->by_load);
        if (list_empty(list))
                pool->loads_used[worker->key / WORD_BITS] &= ~(1ull << worker->key % WORD_BITS);
}

void worker_list(struct process_pool *pool, struct worker *worker)
{
        check(!worker->listed);
        worker->listed = true;
        put(pool, worker, key_of(pool, worker));
}

void worker_unlist(struct process_pool *pool, struct worker *worker)
{
        if (!worker->listed)
                return;
        worker->listed = false;
        take(pool, worker);
}

void worker_counts(struct process_pool *pool, struct worker *worker)
{
        bool busy = worker->next != worker->oldest;

        if (worker->listed) {
                unsigned key = key_of(pool, worker);

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

struct worker *loads_least(const struct process_pool *pool)
{
        for (unsigned word = 0; word <= AHEAD_MOST / WORD_BITS; word++) {
                uint64_t bits = pool->loads_used[word];
                unsigned key;

                if (!bits)
                        continue;
                key = word * WORD_BITS + (unsigned)__builtin_ctzll(bits);
                if (key >= pool->ahead)
                        return NULL;
                return container_of(pool->loads[key].next, struct worker, by_load);
        }
        return NULL;
}

bool loads_idle(const struct process_pool *pool)
{
        return pool->loads_used[0] & 1;
}
