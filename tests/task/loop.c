/* Of lib/task/loop.c: a run from its begin to its end, its clocks, and what other threads send it. */
#include "support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(run, .init = leaks_begin, .fini = leaks_end);
TestSuite(virtual_clock, .init = leaks_begin, .fini = leaks_end);
TestSuite(post, .init = leaks_begin, .fini = leaks_end);

/* ---- a run ---- */

Test(run, gives_the_result_of_main)
{
        cr_assert_eq(ouro_run(gives, as_arg(17)), 17);
        cr_assert_eq(ouro_run(gives, as_arg(-EXDEV)), -EXDEV);
        cr_assert_eq(ouro_run_with(NULL, gives_later, as_arg(18)), 18);
        cr_assert_null(ouro_this_loop());
        cr_assert_null(ouro_backend_name());
}

static void refuses(struct ouro_options options)
{
        cr_assert_eq(ouro_run_with(&options, gives, as_arg(1)), -EINVAL);
}

Test(run, refuses_options_that_are_out_of_range)
{
        struct ouro_options good = OURO_OPTIONS_INIT, bad;

        cr_assert_eq(ouro_run(NULL, NULL), -EINVAL);
        cr_assert_eq(ouro_run_with(&good, NULL, NULL), -EINVAL);
        bad = good, bad.size = 0, refuses(bad);
        bad = good, bad.stack_bytes = 1, refuses(bad);
        bad = good, bad.stack_bytes = 16 * 1024 - 1, refuses(bad);
        bad = good, bad.stack_bytes = SIZE_MAX, refuses(bad);
        bad = good, bad.clock = (enum ouro_clock)2, refuses(bad);
        bad = good, bad.clock = (enum ouro_clock) - 1, refuses(bad);
        bad = good, bad.backend = (enum ouro_backend)3, refuses(bad);
        bad = good, bad.backend = (enum ouro_backend) - 1, refuses(bad);
        bad = good, bad.entries = 32769, refuses(bad);
        bad = good, bad.drain_ns = -1, refuses(bad);
        cr_assert_eq(ouro_run_with(&good, gives, as_arg(1)), 1);
}

Test(run, takes_options_of_older_and_newer_headers)
{
        struct {
                struct ouro_options known;
                uint64_t unknown;
        } newer = {.known = OURO_OPTIONS_INIT};
        struct ouro_options older = {.size = offsetof(struct ouro_options, entries)};

        older.entries = UINT_MAX; /* beyond its end */
        cr_assert_eq(ouro_run_with(&older, gives, as_arg(1)), 1);
        newer.known.size = sizeof newer;
        cr_assert_eq(ouro_run_with(&newer.known, gives, as_arg(2)), 2);
        newer.unknown = 1;
        cr_assert_eq(ouro_run_with(&newer.known, gives, as_arg(3)), -EINVAL);
}

Test(run, takes_options_at_their_limits)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.entries = 1;
        options.stack_bytes = 16 * 1024;
        options.spin_ns = -1;
        options.drain_ns = 1;
        options.kernel_workers = 1;
        cr_assert_eq(ouro_run_with(&options, gives_later, as_arg(2)), 2);
        options.entries = 4096;
        options.stack_bytes = 1 << 20;
        cr_assert_eq(ouro_run_with(&options, gives_later, as_arg(3)), 3);
}

RUN(run, inside_a_task_is_refused)
{
        cr_assert_eq(ouro_run(gives, as_arg(1)), -EBUSY);
        cr_assert_eq(ouro_run_with(NULL, gives, as_arg(1)), -EBUSY);
        cr_assert_eq(ouro_yield(), 0);
}

RUN(run, knows_its_loop_and_backend)
{
        const char *name = ouro_backend_name();

        cr_assert_not_null(ouro_this_loop());
        cr_assert(strcmp(name, "uring") == 0 || strcmp(name, "epoll") == 0);
}

/* ---- what main leaves ---- */

static int fds[2];
static intptr_t left_results[4];

static intptr_t reads_pipe(void *ret_result)
{
        char byte;

        return *(intptr_t *)ret_result = ouro_read(fds[0], &byte, 1);
}

static intptr_t sleeps_for_ever(void *ret_result)
{
        return *(intptr_t *)ret_result = ouro_sleep(OURO_SEC(100000));
}

static intptr_t leaves_operations_in_flight(void *unused)
{
        (void)unused;
        ouro_create_task(reads_pipe, &left_results[0]);
        ouro_go(reads_pipe, &left_results[1]);
        ouro_create_task(sleeps_for_ever, &left_results[2]);
        cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
        ouro_create_task(reads_pipe, &left_results[3]); /* it has not even begun */
        return 5;
}

Test(run, f15_that_ends_with_operations_in_flight_cancels_and_awaits_them)
{
        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(ouro_run(leaves_operations_in_flight, NULL), 5);
        for (int i = 0; i < 4; i++)
                cr_assert_eq(left_results[i], -ECANCELED);
        close(fds[0]);
        close(fds[1]);
}

static intptr_t takes_care(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        OURO_SHIELD
        {
                cr_assert_eq(ouro_sleep(OURO_MS(2)), 0);
                note('s');
        }
        ouro_go(gives, as_arg(7));
        cr_assert_eq(ouro_await(ouro_create_task(gives, as_arg(8))), -ECANCELED);
        return 9;
}

static intptr_t leaves_one_that_takes_care(void *unused)
{
        (void)unused;
        ouro_create_task(takes_care, NULL);
        return ouro_yield() == 0 ? 5 : -EIO;
}

Test(run, result_is_mains_whatever_runs_after_it)
{
        cr_assert_eq(ouro_run(leaves_one_that_takes_care, NULL), 5);
        cr_assert_str_eq(noted(), "s");
}

/* ---- turns ---- */

static intptr_t takes_turns(void *letter)
{
        for (int i = 0; i < 3; i++) {
                note((char)(intptr_t)letter);
                cr_assert_eq(i % 2 ? ouro_yield() : ouro_sleep(-i), 0);
        }
        return 0;
}

RUN(run, yield_lets_every_other_ready_task_run_once)
{
        ouro_task tasks[] = {ouro_create_task(takes_turns, as_arg('a')),
                             ouro_create_task(takes_turns, as_arg('b')),
                             ouro_create_task(takes_turns, as_arg('c'))};

        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "abcabcabc");
}

static _Atomic bool came;

static intptr_t waits_for_byte(void *unused)
{
        char byte;
        ssize_t n = ouro_read(fds[0], &byte, 1);

        (void)unused;
        atomic_store(&came, true);
        return n;
}

static intptr_t waits_for_time(void *unused)
{
        int error = ouro_sleep(OURO_MS(1));

        (void)unused;
        atomic_store(&came, true);
        return error;
}

static intptr_t sets_came(void *unused)
{
        (void)unused;
        atomic_store(&came, true);
        return 0;
}

static void *posts_it(void *loop)
{
        ouro_post(loop, sets_came, NULL);
        return NULL;
}

/* Nobody ever waits: only the budget of a pass lets the rest of the loop have its turn. */
static void yields_until_it_came(void)
{
        while (!atomic_load(&came))
                cr_assert_eq(ouro_yield(), 0);
        atomic_store(&came, false);
}

RUN(run, f39_completions_come_while_a_task_never_waits)
{
        ouro_task task;

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        task = ouro_create_task(waits_for_byte, NULL);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(write(fds[1], "x", 1), 1);
        yields_until_it_came();
        cr_assert_eq(ouro_await(task), 1);
        close(fds[0]);
        close(fds[1]);
}

RUN(run, f39_timers_fire_while_a_task_never_waits)
{
        ouro_task task = ouro_create_task(waits_for_time, NULL);

        yields_until_it_came();
        cr_assert_eq(ouro_await(task), 0);
}

RUN(run, f39_other_threads_are_heard_while_a_task_never_waits)
{
        pthread_t thread;

        cr_assert_eq(pthread_create(&thread, NULL, posts_it, ouro_this_loop()), 0);
        yields_until_it_came();
        pthread_join(thread, NULL);
}

static intptr_t spawns_for_ever(void *unused)
{
        (void)unused;
        return atomic_load(&came) ? 0 : ouro_go(spawns_for_ever, NULL);
}

RUN(run, f39_timers_fire_while_tasks_do_nothing_but_start_others)
{
        cr_assert_eq(ouro_go(spawns_for_ever, NULL), 0);
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        atomic_store(&came, true);
}

/* ---- the real clock ---- */

static int64_t clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * OURO_SEC(1) + ts.tv_nsec;
}

RUN(run, sleep_never_ends_early)
{
        for (int64_t ns = 1; ns < OURO_MS(4); ns = ns * 2 + 1) {
                int64_t from_ns = ouro_now();

                cr_assert_eq(ouro_sleep(ns), 0);
                cr_assert_geq(ouro_now() - from_ns, ns);
                cr_assert_geq(clock_ns() - from_ns, ns);
        }
}

RUN(run, now_is_monotonic_time_read_once_a_pass)
{
        int64_t now_ns = ouro_now();

        cr_assert_leq(now_ns, clock_ns());
        for (int i = 0; i < 1000; i++)
                cr_assert_eq(ouro_now(), now_ns);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_gt(ouro_now(), now_ns);
}

static intptr_t sleeps_ns(void *ns)
{
        int error = ouro_sleep((intptr_t)ns);

        note((char)('a' + (intptr_t)ns / OURO_MS(3)));
        return error;
}

RUN(run, sleeps_end_in_the_order_of_their_deadlines)
{
        OURO_GROUP(g)
                for (int i = 4; i >= 0; i--)
                        ouro_create_task(sleeps_ns, as_arg(i * OURO_MS(3) + 1));
        cr_assert_str_eq(noted(), "abcde");
}

/* ---- the virtual clock ---- */

RUN_VIRTUAL(virtual_clock, starts_at_0_and_jumps)
{
        int64_t from_ns = clock_ns();

        cr_assert_eq(ouro_now(), 0);
        cr_assert_eq(ouro_sleep(OURO_SEC(86400) * 365), 0);
        cr_assert_eq(ouro_now(), OURO_SEC(86400) * 365);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_now(), OURO_SEC(86400) * 365 + 1);
        cr_assert_lt(clock_ns() - from_ns, OURO_SEC(3600), "it waited");
}

RUN_VIRTUAL(virtual_clock, stands_still_while_somebody_is_ready)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(1));

        for (int i = 0; i < 10000; i++)
                cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_now(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
}

enum { SLEEPERS = 5000 };

static int64_t deadlines[SLEEPERS];
static size_t woken;

static intptr_t wakes_exactly(void *ns)
{
        cr_assert_eq(ouro_sleep((intptr_t)ns), 0);
        cr_assert_eq(ouro_now(), (intptr_t)ns);
        deadlines[woken++] = (intptr_t)ns;
        return 0;
}

RUN_VIRTUAL(virtual_clock_of_many, wakes_everybody_at_his_deadline_and_in_order)
{
        uint64_t seed = 1;

        OURO_GROUP(g)
                for (int i = 0; i < SLEEPERS; i++) {
                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        ouro_create_task(wakes_exactly, as_arg(1 + (intptr_t)(seed >> (24 + seed % 30))));
                }
        cr_assert_eq(woken, (size_t)SLEEPERS);
        for (int i = 1; i < SLEEPERS; i++)
                cr_assert_leq(deadlines[i - 1], deadlines[i]);
}

static intptr_t notes_after_1_ms(void *letter)
{
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        note((char)(intptr_t)letter);
        return 0;
}

RUN_VIRTUAL(virtual_clock, wakes_those_of_one_deadline_in_the_order_in_which_they_went_to_sleep)
{
        OURO_GROUP(g)
                for (char c = 'a'; c < 'h'; c++)
                        ouro_create_task(notes_after_1_ms, as_arg(c));
        cr_assert_str_eq(noted(), "abcdefg");
}

static void *writes_a_little_later(void *unused)
{
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
        cr_assert_eq(write(fds[1], "x", 1), 1);
        return unused;
}

static intptr_t sleeps_for_years(void *unused)
{
        int error = ouro_sleep(OURO_SEC(100000000));

        (void)unused;
        note('s');
        return error;
}

RUN_VIRTUAL(virtual_clock, is_held_by_a_kernel_operation)
{
        ouro_task sleeper = ouro_create_task(sleeps_for_years, NULL);
        pthread_t thread;
        char byte;

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(pthread_create(&thread, NULL, writes_a_little_later, NULL), 0);
        cr_assert_eq(ouro_read(fds[0], &byte, 1), 1);
        note('r');
        cr_assert_gt(ouro_now(), 0, "it runs with real time meanwhile");
        cr_assert_eq(ouro_await(sleeper), 0);
        cr_assert_eq(ouro_now(), OURO_SEC(100000000));
        cr_assert_str_eq(noted(), "rs");
        pthread_join(thread, NULL);
        close(fds[0]);
        close(fds[1]);
}

RUN_VIRTUAL(virtual_clock, scope_over_a_kernel_operation_expires_in_real_time)
{
        char byte;

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        OURO_TIMEOUT(OURO_MS(3))
                cr_assert_eq(ouro_read(fds[0], &byte, 1), -ETIME);
        cr_assert_geq(ouro_now(), OURO_MS(3));
        close(fds[0]);
        close(fds[1]);
}

static intptr_t blocks_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
        return 4;
}

RUN_VIRTUAL(virtual_clock, is_held_by_a_job)
{
        ouro_executor *pool = ouro_thread_pool(NULL);
        ouro_task sleeper = ouro_create_task(sleeps_for_years, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_await(ouro_submit(pool, blocks_a_little, OURO_NO_IN, OURO_NO_OUT)), 4);
        note('j');
        cr_assert_eq(ouro_await(sleeper), 0);
        cr_assert_str_eq(noted(), "js");
        cr_assert_eq(ouro_executor_close(pool), 0);
}

/* ---- posting ---- */

static intptr_t notes_it(void *letter)
{
        note((char)(intptr_t)letter);
        return 0;
}

RUN(post, from_the_loop_itself_runs_as_a_root_task)
{
        ouro_loop *loop = ouro_this_loop();

        OURO_GROUP(g)
                cr_assert_eq(ouro_post(loop, notes_it, as_arg('p')), 0);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_str_eq(noted(), "p");
        cr_assert_eq(ouro_post(NULL, notes_it, NULL), -EINVAL);
        cr_assert_eq(ouro_post(loop, NULL, NULL), -EINVAL);
}

static ouro_task posted;

static intptr_t keeps_own_handle(void *unused)
{
        (void)unused;
        posted = ouro_self();
        return -EIO;
}

RUN(post, leaves_nothing_when_it_has_ended_and_a_failure_is_told)
{
        catch_log();
        cr_assert_eq(ouro_post(ouro_this_loop(), keeps_own_handle, NULL), 0);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_neq(posted.generation, 0u);
        cr_assert_eq(ouro_task_state(posted), -ESRCH);
        cr_assert_eq(logged(), 1u);
}

enum { POSTERS = 4, POSTS = 5000 };

struct poster {
        ouro_loop *loop;
        pthread_t thread;
        int next; /* number that its next function must carry */
};

struct numbered {
        struct poster *poster;
        int number;
};

static struct numbered numbered[POSTERS][POSTS];
static int posted_ran;
static struct ouro_event all_posted_ran;

static intptr_t is_next(void *arg)
{
        struct numbered *mine = arg;

        cr_assert_eq(mine->number, mine->poster->next);
        mine->poster->next++;
        if (++posted_ran == POSTERS * POSTS)
                ouro_event_set(&all_posted_ran);
        return 0;
}

static struct poster posters[POSTERS];

static void *posts_in_order(void *arg)
{
        struct poster *poster = arg;
        struct numbered *mine = numbered[poster - posters];

        for (int i = 0; i < POSTS; i++) {
                mine[i] = (struct numbered){poster, i};
                if (ouro_post(poster->loop, is_next, &mine[i]) < 0)
                        return arg;
        }
        return NULL;
}

RUN(post_of_many, those_of_one_thread_start_in_order)
{
        void *failed;

        for (int i = 0; i < POSTERS; i++) {
                posters[i].loop = ouro_this_loop();
                cr_assert_eq(pthread_create(&posters[i].thread, NULL, posts_in_order, &posters[i]), 0);
        }
        cr_assert_eq(ouro_event_wait(&all_posted_ran), 0);
        for (int i = 0; i < POSTERS; i++) {
                cr_assert_eq(pthread_join(posters[i].thread, &failed), 0);
                cr_assert_null(failed);
        }
}

/* A thread posts, waits until that has run, and posts again: each time the loop is just going to sleep. */
enum { PINGS = 20000 };

static sem_t pong;

static intptr_t answers(void *unused)
{
        (void)unused;
        sem_post(&pong);
        return 0;
}

static struct ouro_event ponged;

static intptr_t sets_ponged(void *unused)
{
        (void)unused;
        return ouro_event_set(&ponged);
}

static void *pings(void *loop)
{
        for (int i = 0; i < PINGS; i++) {
                ouro_post(loop, answers, NULL);
                sem_wait(&pong);
                for (volatile int k = 0; k < i % 512; k++)
                        ;
        }
        ouro_post(loop, sets_ponged, NULL);
        return NULL;
}

RUN(post, f40_a_wake_that_races_with_going_to_sleep_is_never_lost)
{
        pthread_t thread;

        cr_assert_eq(sem_init(&pong, 0, 0), 0);
        cr_assert_eq(pthread_create(&thread, NULL, pings, ouro_this_loop()), 0);
        cr_assert_eq(ouro_event_wait(&ponged), 0); /* no timer comes to the rescue */
        pthread_join(thread, NULL);
        sem_destroy(&pong);
}

static int late_reason;

static intptr_t tells_reason(void *unused)
{
        (void)unused;
        late_reason = ouro_cancelled(ouro_self());
        return ouro_yield();
}

static intptr_t posts_when_main_has_returned(void *unused)
{
        (void)unused;
        ouro_sleep(OURO_FOREVER);
        return ouro_post(ouro_this_loop(), tells_reason, NULL);
}

static intptr_t leaves_a_poster(void *unused)
{
        (void)unused;
        ouro_go(posts_when_main_has_returned, NULL);
        return ouro_yield() == 0 ? 6 : -EIO;
}

Test(post, after_main_has_returned_still_starts_cancelled)
{
        cr_assert_eq(ouro_run(leaves_a_poster, NULL), 6);
        cr_assert_eq(late_reason, OURO_CANCEL_END);
}

/* The loop gives memory back until its very end, and we look over its shoulder: from some moment on posting
 * is refused, and what was taken before has run. */
static ouro_loop *watched;
static int accepted, ran, last_post;
static bool inside;

static intptr_t counts(void *unused)
{
        (void)unused;
        ran++;
        return 0;
}

static void *allocate(size_t bytes, void *arg)
{
        (void)arg;
        return malloc(bytes);
}

static void post_and_release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        if (watched && !inside && accepted < 100) {
                inside = true;
                last_post = ouro_post(watched, counts, NULL);
                accepted += last_post == 0;
                inside = false;
        }
        free(ptr);
}

static intptr_t lets_itself_be_watched(void *unused)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        (void)unused;
        options.stack_bytes = 256 * 1024;
        watched = ouro_this_loop();
        return ouro_await(ouro_create_task_with(&options, gives_later, as_arg(3)));
}

Test(post, f42_to_a_loop_that_has_ended_is_an_error_not_a_hang)
{
        struct ouro_allocator allocator = {allocate, post_and_release, NULL};

        cr_assert_eq(ouro_set_allocator(&allocator), 0);
        cr_assert_eq(ouro_run(lets_itself_be_watched, NULL), 3);
        cr_assert_eq(last_post, -ESHUTDOWN);
        cr_assert_eq(ran, accepted);
        watched = NULL;
        cr_assert_eq(ouro_set_allocator(NULL), 0);
}

/* ---- without memory ---- */

static int allocations_left;

static void *allocate_a_few(size_t bytes, void *arg)
{
        (void)arg;
        return allocations_left-- > 0 ? malloc(bytes) : NULL;
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        free(ptr);
}

static intptr_t gives_seven(void *unused)
{
        (void)unused;
        return 7;
}

Test(run, f90_each_allocation_that_fails_is_told_until_none_does)
{
        struct ouro_allocator allocator = {allocate_a_few, release, NULL};
        intptr_t result = -ENOMEM;
        int few = 0;

        cr_assert_eq(ouro_set_allocator(&allocator), 0);
        for (; few < 100 && result == -ENOMEM; few++) {
                allocations_left = few;
                result = ouro_run(gives_seven, NULL);
        }
        cr_assert_eq(result, 7);
        cr_assert_gt(few, 3);
        cr_assert_eq(ouro_set_allocator(NULL), 0); /* nothing is left of any of them */
}

/* ---- several loops ---- */

enum { LOOPS = 4, HOPS = 2000 };

static ouro_loop *_Atomic loops[LOOPS];
static atomic_int hops_left;
static pthread_barrier_t all_run, all_done;

static intptr_t hops(void *from)
{
        intptr_t next = ((intptr_t)from + 1) % LOOPS;

        cr_assert_eq(loops[(intptr_t)from], ouro_this_loop());
        if (atomic_fetch_sub(&hops_left, 1) > 0)
                return ouro_post(loops[next], hops, as_arg(next));
        atomic_store(&came, true); /* from here on any of the loops may be gone */
        return 0;
}

static intptr_t runs_with_others(void *index)
{
        intptr_t i = (intptr_t)index;

        loops[i] = ouro_this_loop();
        pthread_barrier_wait(&all_run);
        if (i == 0)
                ouro_post(loops[0], hops, as_arg(0));
        while (!atomic_load(&came))
                ouro_sleep(OURO_MS(1));
        return i + 1;
}

static void *runs_a_loop(void *index)
{
        intptr_t result = ouro_run(runs_with_others, index);

        pthread_barrier_wait(&all_done);
        return as_arg(result);
}

Test(run_of_many, loops_on_several_threads_post_to_each_other)
{
        pthread_t threads[LOOPS];
        void *result;

        atomic_store(&hops_left, HOPS);
        pthread_barrier_init(&all_run, NULL, LOOPS);
        pthread_barrier_init(&all_done, NULL, LOOPS);
        for (intptr_t i = 0; i < LOOPS; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, runs_a_loop, as_arg(i)), 0);
        for (intptr_t i = 0; i < LOOPS; i++) {
                pthread_join(threads[i], &result);
                cr_assert_eq((intptr_t)result, i + 1);
        }
}

static intptr_t sleeps_once(void *unused)
{
        (void)unused;
        return ouro_await(ouro_create_task(gives_later, NULL));
}

Test(run, f91_ten_thousand_times_leaves_nothing)
{
        for (int i = 0; i < 10000; i++)
                cr_assert_eq(ouro_run(sleeps_once, NULL), 0);
}
