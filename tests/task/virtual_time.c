/* The virtual clock: an hour's behaviour is tested in no time, exactly and in one order; what reaches the
 * loop from outside holds it. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(virtual_time, .init = leaks_begin, .fini = leaks_end);

static const int64_t hour = OURO_SEC(3600);

/* ---- an hour ---- */

struct service {
        int calls, failures_first;
        int64_t called_at[16];
};

/* The peer is down for its first calls. */
static int call_peer(struct service *service)
{
        service->called_at[service->calls] = ouro_now();
        return service->calls++ < service->failures_first ? -ECONNREFUSED : 0;
}

static intptr_t retries_with_back_off(void *arg)
{
        int64_t wait_ns = OURO_SEC(1);
        int error;

        while ((error = call_peer(arg)) == -ECONNREFUSED) {
                int cut = ouro_sleep(wait_ns);

                if (cut < 0)
                        return cut;
                wait_ns = wait_ns * 2 < OURO_SEC(600) ? wait_ns * 2 : OURO_SEC(600);
        }
        return error;
}

RUN_VIRTUAL(virtual_time, retries_with_back_off_come_at_exact_times)
{
        static const int at_seconds[] = {0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623, 2223};
        struct service service = {.failures_first = 12};

        cr_assert_eq(ouro_await(ouro_create_task(retries_with_back_off, &service)), 0);
        cr_assert_eq(service.calls, 13);
        for (int i = 0; i < 13; i++)
                cr_assert_eq(service.called_at[i], OURO_SEC(at_seconds[i]), "call %d", i);
}

RUN_VIRTUAL(virtual_time, retries_end_at_an_hours_deadline_to_the_nanosecond)
{
        struct service service = {.failures_first = 100};
        bool expired = false;

        OURO_TIMEOUT(hour, &expired)
                cr_assert_eq(retries_with_back_off(&service), -ETIME);
        cr_assert(expired);
        cr_assert_eq(ouro_now(), hour);
        cr_assert_eq(service.calls, 15, "2,823 s and 3,423 s were the last");
}

static intptr_t ticks_every_minute(void *count)
{
        while (ouro_sleep(OURO_SEC(60)) == 0)
                ++*(int *)count;
        return ouro_now();
}

RUN_VIRTUAL(virtual_time, a_periodic_task_runs_sixty_times_an_hour_and_not_once_more)
{
        int count = 0;
        ouro_task task = ouro_create_task(ticks_every_minute, &count);

        cr_assert_eq(ouro_sleep(hour + 1), 0);
        cr_assert_eq(count, 60);
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), hour + 1);
}

static int64_t real_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return OURO_SEC(now.tv_sec) + now.tv_nsec;
}

RUN_VIRTUAL(virtual_time, ten_years_take_less_than_one_of_their_minutes)
{
        int64_t began = real_ns();

        for (int day = 0; day < 3650; day++)
                cr_assert_eq(ouro_sleep(24 * hour), 0);
        cr_assert_eq(ouro_now(), 3650 * 24 * hour);
        cr_assert(real_ns() - began < OURO_SEC(60));
}

/* ---- order ---- */

struct sleeper {
        int64_t ns;
        char letter;
};

static intptr_t sleeps_and_notes(void *arg)
{
        const struct sleeper *sleeper = arg;
        int cut = ouro_sleep(sleeper->ns);

        note(cut == 0 ? sleeper->letter : '!');
        return cut;
}

RUN_VIRTUAL(virtual_time, timers_fire_by_deadline_and_in_one_tick_as_they_were_set)
{
        static const struct sleeper sleepers[] = {
                {OURO_SEC(1) + 1, 'd'}, {OURO_SEC(1), 'a'}, {OURO_SEC(1), 'b'},
                {OURO_SEC(3), 'e'},     {OURO_SEC(1), 'c'}, {3 * OURO_SEC(1), 'f'},
        };
        ouro_task tasks[6];

        for (int i = 0; i < 6; i++)
                tasks[i] = ouro_create_task(sleeps_and_notes, (void *)&sleepers[i]);
        cr_assert_eq(ouro_gather(tasks, 6, NULL), 0);
        cr_assert_str_eq(noted(), "abcdef");
}

static intptr_t sleeps_in_two(void *arg)
{
        ouro_sleep(OURO_SEC(1));
        return sleeps_and_notes(arg);
}

RUN_VIRTUAL(virtual_time, in_one_tick_what_was_set_earlier_comes_first_however_long_it_was)
{
        static const struct sleeper whole = {OURO_SEC(2), 'a'}, second_half = {OURO_SEC(1), 'b'};
        ouro_task tasks[] = {ouro_create_task(sleeps_in_two, (void *)&second_half),
                             ouro_create_task(sleeps_and_notes, (void *)&whole)};

        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        cr_assert_str_eq(noted(), "ab");
}

RUN_VIRTUAL(virtual_time, no_time_goes_by_while_anybody_can_run)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(1));

        for (int i = 0; i < 10000; i++) {
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_now(), 0);
        }
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_now(), OURO_MS(1));
}

/* ---- scopes ---- */

RUN_VIRTUAL(virtual_time, nested_scopes_expire_each_at_its_own_time)
{
        bool outer, middle, inner;

        OURO_TIMEOUT(hour, &outer) {
                OURO_TIMEOUT(hour / 2, &middle) {
                        OURO_TIMEOUT(hour / 4, &inner)
                                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
                        cr_assert_eq(ouro_now(), hour / 4);
                        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
                        cr_assert_eq(ouro_now(), hour / 2);
                }
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
        }
        cr_assert_eq(ouro_now(), hour);
        cr_assert(outer && middle && inner);
}

RUN_VIRTUAL(virtual_time, a_scope_and_a_sleep_of_the_same_length_have_one_winner)
{
        bool expired;
        int slept = 1;

        OURO_TIMEOUT(OURO_SEC(5), &expired)
                slept = ouro_sleep(OURO_SEC(5));
        cr_assert_eq(slept == -ETIME || (slept == 0 && expired), true);
        cr_assert_eq(ouro_now(), OURO_SEC(5));
        cr_assert_eq(ouro_sleep(1), 0, "nothing of it is left");
}

static intptr_t cleans_up_in_a_shield(void *ret_ended_at)
{
        ouro_sleep(OURO_FOREVER);
        OURO_SHIELD
        OURO_TIMEOUT(OURO_SEC(30))
                ouro_sleep(OURO_FOREVER);
        *(int64_t *)ret_ended_at = ouro_now();
        return 0;
}

RUN_VIRTUAL(virtual_time, a_scope_in_a_shield_bounds_a_clean_up_after_the_hour)
{
        int64_t ended_at = 0;
        int error = 0;

        OURO_TIMEOUT(hour)
                OURO_GROUP(group, &error) {
                        ouro_create_task_in(group, cleans_up_in_a_shield, &ended_at);
                        ouro_sleep(OURO_FOREVER);
                }
        cr_assert_eq(error, -ETIME);
        cr_assert_eq(ended_at, hour + OURO_SEC(30));
}

RUN_VIRTUAL(virtual_time, ten_thousand_that_time_out_in_one_tick_all_end_then)
{
        enum { N = 10000 };
        static ouro_task tasks[N];
        static intptr_t results[N];

        OURO_TIMEOUT(hour) {
                for (int i = 0; i < N; i++)
                        tasks[i] = ouro_create_task(waits_for_ever, NULL);
                cr_assert_eq(ouro_gather(tasks, N, results), -ETIME);
        }
        cr_assert_eq(ouro_now(), hour);
        for (int i = 0; i < N; i++)
                cr_assert_eq(results[i], -ECANCELED);
}

/* ---- what holds the clock ---- */

static atomic_bool may_end;

static intptr_t runs_until_it_may_end(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        while (!atomic_load(&may_end) && !ouro_job_cancelled(job))
                sched_yield();
        return 7;
}

static intptr_t lets_it_end_later(void *unused)
{
        int cut = ouro_sleep(OURO_MS(2));

        (void)unused;
        note('s');
        atomic_store(&may_end, true);
        return cut;
}

RUN_VIRTUAL(virtual_time, a_running_job_holds_it_and_sleeps_go_on_in_real_time)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool = NULL;
        ouro_task hours = ouro_create_task(sleeps_ms, as_arg(3600000));
        int64_t began;

        options.threads = 1;
        cr_assert_eq(ouro_thread_pool_open(&options, &pool), 0);
        began = real_ns();
        ouro_go(lets_it_end_later, NULL);
        cr_assert_eq(ouro_call(pool, runs_until_it_may_end, OURO_NO_IN, OURO_NO_OUT, NULL), 7);
        cr_assert_str_eq(noted(), "s", "the shorter sleep had to come first: the job waits for it");
        cr_assert(real_ns() - began >= OURO_MS(2));
        cr_assert(ouro_now() < hour, "the hour was not jumped over while the job was out");
        cr_assert_eq(ouro_task_state(hours), OURO_STATE_WAITING);
        cr_assert_eq(ouro_await(hours), 0);
        cr_assert_eq(ouro_now(), hour, "and then it was");
        cr_assert_eq(ouro_executor_close(pool), 0);
}

static intptr_t reads(void *fd)
{
        uint64_t count;

        return ouro_read((int)(intptr_t)fd, &count, sizeof count);
}

RUN_VIRTUAL(virtual_time, a_pending_operation_holds_it_and_a_scope_over_that_expires_in_real_time)
{
        int fd = eventfd(0, EFD_CLOEXEC);
        int64_t began = real_ns();

        OURO_TIMEOUT(OURO_MS(3))
                cr_assert_eq(reads((void *)(intptr_t)fd), -ETIME);
        cr_assert(real_ns() - began >= OURO_MS(3));
        cr_assert(ouro_now() >= OURO_MS(3));
        close(fd);
}

RUN_VIRTUAL(virtual_time, when_the_operation_is_over_it_jumps_again)
{
        int fd = eventfd(1, EFD_CLOEXEC);
        ouro_task task = ouro_create_task(reads, (void *)(intptr_t)fd);

        cr_assert_eq(ouro_sleep(hour), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED, "it came first: nothing may be on its way");
        cr_assert_eq(ouro_await(task), sizeof(uint64_t));
        close(fd);
}

static intptr_t awaits_signal(void *signals)
{
        return ouro_signals_next(signals, NULL);
}

RUN_VIRTUAL(virtual_time, waiting_for_a_signal_holds_it_too)
{
        ouro_signals *signals;
        ouro_task task;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        cr_assert_eq(ouro_signals_open(&set, &signals), 0);
        task = ouro_create_task(awaits_signal, signals);
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        kill(getpid(), SIGUSR1);
        OURO_TIMEOUT(hour)
                cr_assert_eq(ouro_await(task), SIGUSR1);
        cr_assert(ouro_now() < hour);
        cr_assert_eq(ouro_signals_close(signals), 0);
}

static void *posts(void *loop)
{
        return (void *)(intptr_t)ouro_post(loop, gives, NULL);
}

RUN_VIRTUAL(virtual_time, what_another_thread_may_post_does_not_hold_it)
{
        pthread_t thread;

        pthread_create(&thread, NULL, posts, ouro_this_loop());
        for (int i = 0; i < 24; i++)
                cr_assert_eq(ouro_sleep(hour), 0);
        cr_assert_eq(ouro_now(), 24 * hour);
        pthread_join(thread, NULL);
}
