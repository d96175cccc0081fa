/* shared.c - channels between loops and threads: several producers and consumers on each, with cut waits, and
 * closed while all are busy. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum {
        LOOPS = 2,   /* on a thread each, with tasks of both kinds */
        TASKS = 3,   /* of each kind, on each loop */
        THREADS = 2, /* without a loop, of each kind */
        USERS = LOOPS * TASKS + THREADS,
        ITEMS = 400, /* at most, of each producer */
};

struct item {
        uint32_t producer;
        uint32_t number;
        uint64_t check; /* tells an item that was put together from two */
};

static ouro_chan *chan;
static bool with_cuts, with_select;
static atomic_uint next_user[2], sent, received;
static atomic_uchar seen[USERS][ITEMS];

static unsigned random_below(unsigned n)
{
        static _Thread_local uint64_t seed;

        if (seed == 0)
                seed = (uintptr_t)&seed;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(seed >> 33) % n;
}

static int send_once(const struct item *item)
{
        struct ouro_case it = OURO_CASE_SEND(chan, item);

        if (!with_select || !ouro_this_loop())
                return ouro_chan_send(chan, item);
        return ouro_select(&it, 1) < 0 ? -ETIME : it.result;
}

static int recv_once(struct item *item)
{
        struct ouro_case cases[] = {OURO_CASE_RECV(chan, item), OURO_CASE_AFTER(OURO_SEC(100))};
        ssize_t done;

        if (!with_select || !ouro_this_loop())
                return ouro_chan_recv(chan, item);
        done = ouro_select(cases, 2);
        return done < 0 ? (int)done : cases[done].result;
}

/* A task's wait is cut short now and then. */
static int send_or_cut(const struct item *item)
{
        int error = -EINVAL;

        if (!with_cuts || !ouro_this_loop())
                return send_once(item);
        OURO_TIMEOUT(random_below(3) ? OURO_FOREVER : OURO_US(random_below(50)))
                error = send_once(item);
        return error;
}

static int recv_or_cut(struct item *item)
{
        int error = -EINVAL;

        if (!with_cuts || !ouro_this_loop())
                return recv_once(item);
        OURO_TIMEOUT(random_below(3) ? OURO_FOREVER : OURO_US(random_below(50)))
                error = recv_once(item);
        return error;
}

static intptr_t produces(void *unused)
{
        struct item item = {.producer = atomic_fetch_add(&next_user[0], 1)};

        while (item.number < ITEMS) {
                int error;

                item.check = (uint64_t)item.producer << 32 | item.number;
                error = send_or_cut(&item);
                if (error == -EPIPE)
                        break;
                expect(error == 0 || error == -ETIME);
                if (error == 0) {
                        item.number++;
                        atomic_fetch_add(&sent, 1);
                }
        }
        (void)unused;
        return 0;
}

static intptr_t consumes(void *unused)
{
        uint32_t least[USERS] = {0};
        struct item item;
        int error;

        (void)unused;
        while ((error = recv_or_cut(&item)) != -EPIPE) {
                expect(error == 0 || error == -ETIME);
                if (error == -ETIME)
                        continue;
                expect(item.producer < USERS && item.number < ITEMS);
                expect(item.check == ((uint64_t)item.producer << 32 | item.number));
                expect(atomic_fetch_add(&seen[item.producer][item.number], 1) == 0);
                expect(item.number >= least[item.producer]);
                least[item.producer] = item.number + 1;
                atomic_fetch_add(&received, 1);
        }
        return 0;
}

static void *runs_thread(void *fn)
{
        expect((*(ouro_fn **)fn)(NULL) == 0);
        return NULL;
}

static intptr_t runs_tasks(void *fns)
{
        ouro_task tasks[2 * TASKS];
        size_t n = 0;

        for (int i = 0; i < TASKS; i++)
                for (int kind = 0; kind < 2; kind++)
                        if (((ouro_fn **)fns)[kind])
                                tasks[n++] = ouro_create_task(((ouro_fn **)fns)[kind], NULL);
        return ouro_gather(tasks, n, NULL);
}

static void *runs_loop(void *fns)
{
        expect(ouro_run(runs_tasks, fns) == 0);
        return NULL;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
        pthread_t thread;

        expect(pthread_create(&thread, NULL, fn, arg) == 0);
        return thread;
}

/* early: closes when so many have arrived; else when all producers are done. */
static void storm(size_t capacity, unsigned early)
{
        static ouro_fn *fns[2][2] = {{produces, NULL}, {NULL, consumes}};
        pthread_t threads[2][LOOPS + THREADS];

        chan = ouro_chan_new_shared(sizeof(struct item), capacity);
        expect(chan);
        memset(seen, 0, sizeof seen);
        next_user[0] = sent = received = 0;
        for (int kind = 0; kind < 2; kind++) {
                for (int i = 0; i < LOOPS; i++)
                        threads[kind][i] = start(runs_loop, fns[kind]);
                for (int i = 0; i < THREADS; i++)
                        threads[kind][LOOPS + i] = start(runs_thread, &fns[kind][kind]);
        }
        while (atomic_load(&received) < early)
                sched_yield();
        if (early)
                expect(ouro_chan_close(chan) == 0);
        for (int i = 0; i < LOOPS + THREADS; i++)
                pthread_join(threads[0][i], NULL);
        if (!early)
                expect(ouro_chan_close(chan) == 0);
        for (int i = 0; i < LOOPS + THREADS; i++)
                pthread_join(threads[1][i], NULL);
        expect(atomic_load(&received) == atomic_load(&sent));
        expect(early || atomic_load(&sent) == USERS * ITEMS);
        expect(ouro_chan_close(chan) == -EPIPE);
        expect(ouro_chan_free(chan) == 0);
}

static void storms(void)
{
        static const size_t capacities[] = {0, 1, 7, 1024};

        for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
                storm(capacities[i], 0);
                for (unsigned early = 1; early < USERS * ITEMS / 2; early *= 7)
                        storm(capacities[i], early);
        }
}

CASE(every_item_arrives_once_and_in_its_producers_order)
{
        storms();
}

CASE(cut_waits_lose_nothing_and_double_nothing)
{
        with_cuts = true;
        storms();
}

CASE(selects_lose_nothing_and_double_nothing)
{
        with_cuts = with_select = true;
        storms();
}

/* ---- cancelled by the hundred while others send ---- */

enum { WAITERS = 200, STORMS = 20 };

static atomic_bool stop;

static void *sends_until_told(void *unused)
{
        while (!atomic_load(&stop)) {
                uint64_t item = 1;
                int error = ouro_chan_try_send(chan, &item);

                expect(error == 0 || error == -EAGAIN);
                if (error == 0)
                        atomic_fetch_add(&sent, 1);
        }
        return unused;
}

static intptr_t waits_for_one(void *unused)
{
        uint64_t item = 0;
        int error = ouro_chan_recv(chan, &item);

        (void)unused;
        expect(error == -ECANCELED || (error == 0 && item == 1));
        if (error == 0)
                atomic_fetch_add(&received, 1);
        return 0;
}

static intptr_t cancels_them(void *unused)
{
        static ouro_task tasks[WAITERS];

        (void)unused;
        for (int round = 0; round < STORMS; round++) {
                for (int i = 0; i < WAITERS; i++)
                        tasks[i] = ouro_create_task(waits_for_one, NULL);
                expect(ouro_yield() == 0);
                for (int i = 0; i < WAITERS; i++)
                        expect(ouro_cancel(tasks[i]) == 0);
                expect(ouro_gather(tasks, WAITERS, NULL) == 0);
        }
        return 0;
}

CASE(cancel_storm_while_a_thread_sends)
{
        for (size_t capacity = 0; capacity < 3; capacity++) {
                pthread_t thread;
                uint64_t item;

                chan = ouro_chan_new_shared(sizeof item, capacity);
                stop = false;
                sent = received = 0;
                thread = start(sends_until_told, NULL);
                expect(ouro_run(cancels_them, NULL) == 0);
                stop = true;
                pthread_join(thread, NULL);
                while (ouro_chan_try_recv(chan, &item) == 0)
                        atomic_fetch_add(&received, 1);
                expect(atomic_load(&sent) == atomic_load(&received));
                expect(ouro_chan_free(chan) == 0);
        }
}
