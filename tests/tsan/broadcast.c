/* broadcast.c - broadcasts and watches between loops and threads. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { SENDERS = 3, LOOPS = 2, TASKS = 3, THREADS = 2, ITEMS = 2000 };

static ouro_broadcast *broadcast;
static ouro_watch *watch;
static atomic_uint ready;

struct item {
        uint32_t sender;
        uint32_t number;
};

static pthread_t start(void *(*fn)(void *), void *arg)
{
        pthread_t thread;

        expect(pthread_create(&thread, NULL, fn, arg) == 0);
        return thread;
}

/* ---- broadcast ---- */

/* Each item once, those of a sender in order; what is missing was told. */
static intptr_t listens(void *unused)
{
        ouro_subscription *subscription = ouro_broadcast_subscribe(broadcast);
        uint32_t least[SENDERS] = {0};
        uint64_t got = 0, lost = 0, missed = 0;
        struct item item;
        int error;

        (void)unused;
        expect(subscription);
        atomic_fetch_add(&ready, 1);
        for (;;) {
                error = -EINVAL;
                if (!ouro_this_loop())
                        error = ouro_broadcast_recv(subscription, &item, &missed);
                else
                        OURO_TIMEOUT(got % 3 ? OURO_FOREVER : OURO_US(20))
                                error = ouro_broadcast_recv(subscription, &item, &missed);
                if (error == -EPIPE)
                        break;
                expect(error == 0 || error == -EOVERFLOW || error == -ETIME);
                lost += error == -EOVERFLOW ? missed : 0;
                if (error < 0)
                        continue;
                expect(item.sender < SENDERS && item.number >= least[item.sender]);
                least[item.sender] = item.number + 1;
                got++;
        }
        expect(got + lost == SENDERS * ITEMS);
        expect(ouro_broadcast_unsubscribe(subscription) == 0);
        return 0;
}

static intptr_t run_tasks(void *fn)
{
        ouro_task tasks[TASKS];

        for (int i = 0; i < TASKS; i++)
                tasks[i] = ouro_create_task(*(ouro_fn **)fn, NULL);
        return ouro_gather(tasks, TASKS, NULL);
}

static void *runs_loop(void *fn)
{
        expect(ouro_run(run_tasks, fn) == 0);
        return NULL;
}

static void *runs_thread(void *fn)
{
        expect((*(ouro_fn **)fn)(NULL) == 0);
        return NULL;
}

static void *says_all(void *index)
{
        struct item item = {.sender = (uint32_t)(uintptr_t)index};

        for (; item.number < ITEMS; item.number++) {
                expect(ouro_broadcast_send(broadcast, &item) == LOOPS * TASKS + THREADS);
                if (item.number % 64 == 0)
                        sched_yield();
        }
        return NULL;
}

/* The same function, by tasks of loops and by threads; returns when all are ready. */
static void start_all(pthread_t *threads, ouro_fn **fn)
{
        ready = 0;
        for (int i = 0; i < LOOPS + THREADS; i++)
                threads[i] = start(i < LOOPS ? runs_loop : runs_thread, fn);
        while (atomic_load(&ready) < LOOPS * TASKS + THREADS)
                sched_yield();
}

CASE(subscribers_get_each_item_once_or_are_told)
{
        static const size_t capacities[] = {1, 16, SENDERS * ITEMS};

        for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
                pthread_t threads[LOOPS + THREADS], senders[SENDERS];
                struct ouro_broadcast_stats stats = {.size = sizeof stats};
                ouro_fn *fn = listens;

                broadcast = ouro_broadcast_new(sizeof(struct item), capacities[c]);
                start_all(threads, &fn);
                for (uintptr_t i = 0; i < SENDERS; i++)
                        senders[i] = start(says_all, (void *)i);
                for (int i = 0; i < SENDERS; i++)
                        pthread_join(senders[i], NULL);
                expect(ouro_broadcast_close(broadcast) == 0);
                for (int i = 0; i < LOOPS + THREADS; i++)
                        pthread_join(threads[i], NULL);
                expect(ouro_broadcast_stats(broadcast, &stats) == 0);
                expect(stats.received + stats.missed ==
                       (uint64_t)SENDERS * ITEMS * (LOOPS * TASKS + THREADS));
                expect(c < 2 || stats.missed == 0);
                expect(ouro_broadcast_free(broadcast) == 0);
        }
}

/* ---- watch ---- */

/* Versions go up, and their values with them, to the last. */
static intptr_t looks(void *unused)
{
        int64_t known = 0, version, value = 0;

        (void)unused;
        atomic_fetch_add(&ready, 1);
        for (;;) {
                version = -EINVAL;
                if (!ouro_this_loop())
                        version = ouro_watch_wait(watch, known, &value);
                else
                        OURO_TIMEOUT(known % 3 ? OURO_FOREVER : OURO_US(20))
                                version = ouro_watch_wait(watch, known, &value);
                if (version == -EPIPE)
                        break;
                if (version == -ETIME)
                        continue;
                expect(version > known && value == version * 10);
                known = version;
        }
        expect(known == ITEMS);
        return 0;
}

CASE(watchers_see_versions_go_up_to_the_last)
{
        pthread_t threads[LOOPS + THREADS];
        ouro_fn *fn = looks;

        watch = ouro_watch_new(sizeof(int64_t), NULL);
        start_all(threads, &fn);
        for (int64_t i = 1; i <= ITEMS; i++) {
                int64_t value = i * 10;

                expect(ouro_watch_set(watch, &value) == i);
                if (i % 16 == 0)
                        sched_yield();
        }
        expect(ouro_watch_close(watch) == 0);
        for (int i = 0; i < LOOPS + THREADS; i++)
                pthread_join(threads[i], NULL);
        expect(ouro_watch_free(watch) == 0);
}
