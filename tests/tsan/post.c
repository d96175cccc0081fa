/* post.c - functions posted to a loop from other threads. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { THREADS = 4, POSTS = 3000 };

static ouro_loop *loop;
static struct ouro_event all_done = OURO_EVENT_INIT;
static int ran; /* by the loop's thread alone, so a race would be seen */

static void must_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
        expect(pthread_create(thread, NULL, fn, arg) == 0);
}

static intptr_t counts(void *arg)
{
        int *seen = arg;

        (*seen)++; /* what the poster wrote before is visible here */
        if (++ran == THREADS * POSTS)
                ouro_event_set(&all_done);
        return 0;
}

static void *posts_many(void *arg)
{
        int *seen = arg;

        for (int i = 0; i < POSTS; i++) {
                seen[i] = 0;
                expect(ouro_post(loop, counts, &seen[i]) == 0);
        }
        return NULL;
}

static intptr_t waits_for_posts(void *arg)
{
        static int seen[THREADS][POSTS];
        pthread_t threads[THREADS];

        (void)arg;
        loop = ouro_this_loop();
        for (int i = 0; i < THREADS; i++)
                must_start(&threads[i], posts_many, seen[i]);
        expect(ouro_event_wait(&all_done) == 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i < THREADS; i++)
                for (int k = 0; k < POSTS; k++)
                        expect(seen[i][k] == 1);
        return 0;
}

CASE(posts_of_many_threads_all_run_on_the_loops_thread)
{
        expect(ouro_run(waits_for_posts, NULL) == 0);
}

/* ---- order ---- */

static int next_number;

static intptr_t comes_in_order(void *arg)
{
        expect((intptr_t)arg == next_number);
        if (++next_number == POSTS)
                ouro_event_set(&all_done);
        return 0;
}

static void *posts_in_order(void *arg)
{
        (void)arg;
        for (intptr_t i = 0; i < POSTS; i++)
                expect(ouro_post(loop, comes_in_order, (void *)i) == 0);
        return NULL;
}

static intptr_t waits_for_order(void *arg)
{
        pthread_t thread;

        (void)arg;
        loop = ouro_this_loop();
        must_start(&thread, posts_in_order, NULL);
        expect(ouro_event_wait(&all_done) == 0);
        pthread_join(thread, NULL);
        return 0;
}

CASE(posts_of_one_thread_start_in_order)
{
        expect(ouro_run(waits_for_order, NULL) == 0);
}

/* ---- f40: a loop that sleeps between any two posts ---- */

static intptr_t sets(void *arg)
{
        ouro_event_set(arg);
        return 0;
}

static struct ouro_event turn = OURO_EVENT_INIT;

static void *posts_one_by_one(void *arg)
{
        int *taken = arg;

        for (int i = 0; i < 2000; i++) {
                expect(ouro_post(loop, sets, &turn) == 0);
                while (__atomic_load_n(taken, __ATOMIC_ACQUIRE) <= i)
                        ;
        }
        return NULL;
}

static intptr_t takes_one_by_one(void *arg)
{
        pthread_t thread;
        int taken = 0;

        (void)arg;
        loop = ouro_this_loop();
        must_start(&thread, posts_one_by_one, &taken);
        while (taken < 2000) {
                expect(ouro_event_wait(&turn) == 0);
                ouro_event_clear(&turn);
                __atomic_add_fetch(&taken, 1, __ATOMIC_RELEASE);
        }
        pthread_join(thread, NULL);
        return 0;
}

CASE(f40_no_post_is_slept_through)
{
        expect(ouro_run(takes_one_by_one, NULL) == 0);
}

/* ---- a flood of posts, and a run that is ending ---- */

static int started, accepted, main_has_ended;
static struct ouro_event may_end = OURO_EVENT_INIT;
static pthread_t poster;

static intptr_t starts(void *arg)
{
        started++;
        return (intptr_t)arg;
}

static intptr_t lets_end(void *arg)
{
        ouro_event_set(&may_end);
        return (intptr_t)arg;
}

static intptr_t holds_the_end_up(void *arg)
{
        OURO_SHIELD
        {
                ouro_event_wait(&may_end);
        }
        return (intptr_t)arg;
}

/* As fast as it can, and for as long as main takes to see that 10 ms are over. */
static void *posts_past_the_end_of_main(void *arg)
{
        while (!__atomic_load_n(&main_has_ended, __ATOMIC_ACQUIRE)) {
                expect(ouro_post(loop, starts, arg) == 0);
                accepted++;
        }
        for (int i = 0; i < 10; i++) {
                expect(ouro_post(loop, starts, arg) == 0);
                accepted++;
        }
        expect(ouro_post(loop, lets_end, NULL) == 0);
        return NULL;
}

static intptr_t ends_under_posts(void *arg)
{
        (void)arg;
        loop = ouro_this_loop();
        must_start(&poster, posts_past_the_end_of_main, NULL);
        ouro_go(holds_the_end_up, NULL);
        ouro_sleep(OURO_MS(10));
        __atomic_store_n(&main_has_ended, 1, __ATOMIC_RELEASE);
        return 0;
}

CASE(a_flood_of_posts_keeps_nobody_from_running_and_all_of_it_starts)
{
        expect(ouro_run(ends_under_posts, NULL) == 0);
        pthread_join(poster, NULL);
        expect(started == accepted && accepted > 10);
}

/* ---- two loops post to each other ---- */

static ouro_loop *loops[2];
static struct ouro_event *doors[2];
static pthread_barrier_t both_run;

static intptr_t opens_door(void *arg)
{
        ouro_event_set(arg);
        return 0;
}

static intptr_t plays(void *arg)
{
        int me = (int)(intptr_t)arg;
        struct ouro_event door = OURO_EVENT_INIT;

        loops[me] = ouro_this_loop();
        doors[me] = &door;
        pthread_barrier_wait(&both_run);
        for (int i = 0; i < 2000; i++) {
                if (me == i % 2) {
                        expect(ouro_post(loops[!me], opens_door, doors[!me]) == 0);
                } else {
                        expect(ouro_event_wait(&door) == 0);
                        ouro_event_clear(&door);
                }
        }
        pthread_barrier_wait(&both_run);
        return 0;
}

static void *runs_player(void *arg)
{
        return (void *)ouro_run(plays, arg);
}

CASE(two_loops_post_to_each_other)
{
        pthread_t threads[2];

        pthread_barrier_init(&both_run, NULL, 2);
        for (int i = 0; i < 2; i++)
                must_start(&threads[i], runs_player, (void *)(intptr_t)i);
        for (int i = 0; i < 2; i++) {
                void *result;

                pthread_join(threads[i], &result);
                expect(!result);
        }
}

/* ---- a post that ends the run ---- */

enum { ENDINGS = 300 };

static intptr_t sets_event(void *event)
{
        return ouro_event_set(event);
}

struct ending {
        ouro_loop *loop;
        struct ouro_event end;
};

static void *posts_the_end(void *arg)
{
        struct ending *ending = arg;

        expect(ouro_post(ending->loop, sets_event, &ending->end) == 0);
        return NULL;
}

static intptr_t ends_when_told(void *arg)
{
        struct ending *ending = arg;
        pthread_t thread;

        ending->loop = ouro_this_loop();
        expect(pthread_create(&thread, NULL, posts_the_end, ending) == 0);
        while (!ending->end.is_set) /* asleep or just getting up when it comes */
                expect(ouro_sleep(OURO_US(50)) == 0);
        return (intptr_t)thread;
}

CASE(the_run_may_end_before_the_post_that_ends_it_has_returned)
{
        for (int i = 0; i < ENDINGS; i++) {
                struct ending ending = {0};

                pthread_join((pthread_t)ouro_run(ends_when_told, &ending), NULL);
        }
}
