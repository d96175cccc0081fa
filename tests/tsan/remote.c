/* remote.c - tasks and calls from loop to loop under cancel storms, loops closed while busy, and a loop that
 * is stepped while other threads post. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 3, TASKS = 40, ROUNDS = 60, CALLS = 300, THREADS = 4, POSTS = 500 };

static ouro_loops *open_loops(void)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops;

        options.count = LOOPS;
        expect(ouro_loops_open(&options, &loops) == 0);
        return loops;
}

/* Writes to what it was lent, before and after its waits: who gave it back too soon races. */
static intptr_t uses_what_it_was_lent(void *arg)
{
        int *lent = arg;

        ++*lent;
        for (int i = 0; i < *lent % 5; i++)
                ouro_yield();
        if (*lent % 3 == 0)
                ouro_sleep(OURO_US(50));
        return ++*lent;
}

static void storm_once(ouro_loops *loops, int round)
{
        ouro_task tasks[TASKS];
        int lent[TASKS];

        OURO_TIMEOUT(round % 4 == 0 ? OURO_US(100) : OURO_FOREVER) {
                OURO_GROUP_KEEP_GOING(group) {
                        for (int i = 0; i < TASKS; i++) {
                                lent[i] = i;
                                tasks[i] = ouro_create_task_on(ouro_loops_next(loops), uses_what_it_was_lent,
                                                               &lent[i]);
                        }
                        for (int i = round % 3; i < TASKS; i += 3)
                                ouro_cancel(tasks[i]);
                        if (round % 5 == 0)
                                ouro_group_cancel(group);
                }
        }
        for (int i = 0; i < TASKS; i++)
                expect(lent[i] == i + 2); /* each has started, and has ended */
}

static intptr_t storms(void *loops)
{
        for (int round = 0; round < ROUNDS; round++)
                storm_once(loops, round);
        return 0;
}

static void *storms_on_its_thread(void *loops)
{
        expect(ouro_run(storms, loops) == 0);
        return NULL;
}

static void on_threads(void *(*fn)(void *), void *arg)
{
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                expect(pthread_create(&threads[i], NULL, fn, arg) == 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
}

CASE(cancel_storms_on_other_loops_leave_no_memory_in_use)
{
        ouro_loops *loops = open_loops();

        on_threads(storms_on_its_thread, loops);
        expect(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER) == 0);
}

/* ---- storms between the loops themselves ---- */

CASE(loops_storm_each_other)
{
        ouro_loops *loops = open_loops();

        for (unsigned i = 0; i < LOOPS; i++)
                expect(ouro_post(ouro_loops_at(loops, i), storms, loops) == 0);
        expect(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER) == 0);
}

/* ---- blocking calls ---- */

static void *calls(void *loops)
{
        for (int i = 0; i < CALLS; i++) {
                int lent = i;

                expect(ouro_run_on(ouro_loops_next(loops), uses_what_it_was_lent, &lent) == i + 2);
                expect(lent == i + 2);
        }
        return NULL;
}

CASE(threads_call_into_loops)
{
        ouro_loops *loops = open_loops();

        on_threads(calls, loops);
        expect(ouro_loops_close(loops, OURO_CLOSE_CANCEL, OURO_FOREVER) == 0);
}

/* ---- closed while busy ---- */

static atomic_int callers;

static void *calls_until_shut(void *loops)
{
        intptr_t result;
        int lent;

        callers++;
        do {
                lent = 0;
                result = ouro_run_on(ouro_loops_at(loops, 1), uses_what_it_was_lent, &lent);
                expect(result == -ESHUTDOWN ? lent == 0 : lent == 2);
        } while (result != -ESHUTDOWN);
        callers--;
        return NULL;
}

CASE(loops_closed_while_threads_call_answer_each)
{
        for (int how = OURO_CLOSE_WAIT; how <= OURO_CLOSE_CANCEL; how++) {
                ouro_loops *loops = open_loops();
                pthread_t threads[THREADS];

                for (int i = 0; i < THREADS; i++)
                        expect(pthread_create(&threads[i], NULL, calls_until_shut, loops) == 0);
                while (callers < THREADS)
                        ;
                /* Closed for good only when nobody uses them any more: until then they say that they have
                 * ended. */
                expect(ouro_loops_close(loops, (enum ouro_close)how, 0) == -ETIME);
                for (int i = 0; i < THREADS; i++)
                        pthread_join(threads[i], NULL);
                expect(ouro_loops_close(loops, (enum ouro_close)how, OURO_FOREVER) == 0);
        }
}

/* ---- a loop that is stepped ---- */

static ouro_loop *stepped;
static int posted;

static intptr_t counts(void *arg)
{
        (void)arg;
        return ++posted;
}

static intptr_t waits(void *arg)
{
        (void)arg;
        return ouro_sleep(OURO_FOREVER);
}

static void *posts_and_calls(void *arg)
{
        for (int i = 0; i < POSTS; i++) {
                expect(ouro_post(stepped, counts, NULL) == 0);
                if (i % 50 == 0)
                        expect(ouro_run_on(stepped, counts, NULL) > 0);
        }
        return arg;
}

CASE(a_stepped_loop_takes_what_threads_send)
{
        pthread_t threads[THREADS];
        struct pollfd fd = {.events = POLLIN};

        expect(ouro_loop_open(NULL, waits, NULL, &stepped) == 0);
        fd.fd = ouro_loop_fd(stepped);
        for (int i = 0; i < THREADS; i++)
                expect(pthread_create(&threads[i], NULL, posts_and_calls, NULL) == 0);
        while (posted < THREADS * (POSTS + POSTS / 50)) {
                expect(poll(&fd, 1, -1) == 1 || errno == EINTR);
                expect(ouro_loop_step(stepped) == 1);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        expect(ouro_loop_close(stepped) == -ECANCELED);
}
