/* watch.c - the latest value, and waiting for a newer one.
 *
 * Who is woken takes the lock once more and reads what is the latest then. So it still needs the watch after
 * its wake, and is counted as one of its users until it has read. */
#include <string.h>

#include "base/alloc.h"
#include "sync/park.h"

struct ouro_watch {
        struct park_lot lot;
        struct park_queue waiting;
        size_t value_bytes;
        int64_t version;
        uint64_t waits;
        size_t users; /* who wait, or were woken */
        bool closed;
        char value[];
};

ouro_watch *ouro_watch_new(size_t value_bytes, const void *initial)
{
        ouro_watch *watch;

        if (value_bytes > SIZE_MAX / 2)
                return NULL;
        watch = mem_calloc(sizeof *watch + value_bytes);
        if (!watch)
                return NULL;
        watch->value_bytes = value_bytes;
        if (initial && value_bytes)
                memcpy(watch->value, initial, value_bytes);
        park_lot_init(&watch->lot);
        return watch;
}

int ouro_watch_free(ouro_watch *watch)
{
        int error;

        if (!watch)
                return 0;
        error = park_enter(&watch->lot);
        if (error < 0)
                return error;
        if (watch->users > 0)
                error = -EBUSY;
        park_leave(&watch->lot);
        if (error < 0)
                return error;
        park_lot_destroy(&watch->lot);
        mem_free(watch, sizeof *watch + watch->value_bytes);
        return 0;
}

/* With the lock held. */
static int64_t read_value(const ouro_watch *watch, void *ret_value)
{
        if (ret_value && watch->value_bytes)
                memcpy(ret_value, watch->value, watch->value_bytes);
        return watch->version;
}

int64_t ouro_watch_set(ouro_watch *watch, const void *value)
{
        struct park_woken woken = {NULL};
        int64_t result;

        if (!watch || (!value && watch->value_bytes))
                return -EINVAL;
        result = park_enter(&watch->lot);
        if (result < 0)
                return result;
        result = -EPIPE;
        if (!watch->closed) {
                if (watch->value_bytes)
                        memcpy(watch->value, value, watch->value_bytes);
                result = ++watch->version;
                park_take_all(&watch->waiting, 0, &woken);
        }
        park_leave_and_wake(&watch->lot, &woken);
        return result;
}

int64_t ouro_watch_get(ouro_watch *watch, void *ret_value)
{
        int64_t result;

        if (!watch)
                return -EINVAL;
        result = park_enter(&watch->lot);
        if (result < 0)
                return result;
        result = read_value(watch, ret_value);
        park_leave(&watch->lot);
        return result;
}

static const struct wait_kind waits_for_value = {
        .name = "another value of a watch", .cut = park_cut, .target = park_target};

/* With the lock held, which is not held meanwhile. 0: there is a newer value, or it is closed. */
static int wait_for_newer(ouro_watch *watch)
{
        struct park park;
        int result;

        park_announce(&watch->waiting);
        park_init(&park, &watch->lot, &watch->waiting, watch, NULL);
        park_push(&park);
        watch->users++;
        watch->waits++;
        park_leave(&watch->lot);
        result = (int)park_wait(&park, &waits_for_value);
        pthread_mutex_lock(&watch->lot.lock); /* it is ours for certain */
        watch->users--;
        return result;
}

int64_t ouro_watch_wait(ouro_watch *watch, int64_t known, void *ret_value)
{
        struct sched *sched = sched_current;
        int64_t result;

        if (!watch)
                return -EINVAL;
        if (sched && sched->current->interrupt)
                return sched->current->interrupt;
        result = park_enter(&watch->lot);
        if (result < 0)
                return result;
        if (known > watch->version)
                result = -EINVAL;
        else if (known == watch->version && !watch->closed)
                result = wait_for_newer(watch);
        if (result == 0)
                result = known < watch->version ? read_value(watch, ret_value) : -EPIPE;
        park_leave(&watch->lot);
        return sched ? coro_spend(sched, result) : result;
}

int ouro_watch_close(ouro_watch *watch)
{
        struct park_woken woken = {NULL};
        int error;

        if (!watch)
                return -EINVAL;
        error = park_enter(&watch->lot);
        if (error < 0)
                return error;
        if (watch->closed)
                error = -EPIPE;
        watch->closed = true;
        park_take_all(&watch->waiting, 0, &woken);
        park_leave_and_wake(&watch->lot, &woken);
        return error;
}

int ouro_watch_stats(ouro_watch *watch, struct ouro_watch_stats *ret_stats)
{
        struct ouro_watch_stats stats;
        int error;

        if (!watch || !ret_stats || ret_stats->size < sizeof ret_stats->size ||
            ret_stats->size > sizeof stats)
                return -EINVAL;
        error = park_enter(&watch->lot);
        if (error < 0)
                return error;
        stats = (struct ouro_watch_stats){
                .size = ret_stats->size,
                .version = watch->version,
                .waits = watch->waits,
                .waiting = atomic_load(&watch->waiting.len),
        };
        park_leave(&watch->lot);
        memcpy(ret_stats, &stats, stats.size);
        return 0;
}
