/* What CPython's test_asyncio/test_locks.py demands of locks, events, conditions, semaphores and barriers. */
#include "support/run.h"

#include <errno.h>
#include <stdlib.h>

#include "support/leaks.h"

TestSuite(locks, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct ouro_mutex mutex;
static struct ouro_event event;
static struct ouro_condition condition;
static struct ouro_semaphore semaphore;

static ouro_task started(ouro_fn *fn, intptr_t arg)
{
        ouro_task task = ouro_create_task_named(fn, as_arg(arg), "started");

        cr_assert_eq(ouro_yield(), 0);
        return task;
}

static void turns(int n)
{
        while (n-- > 0)
                cr_assert_eq(ouro_yield(), 0);
}

/* ---- Lock ---- */

static int held;

static intptr_t locks_and_keeps_count(void *unlocks)
{
        int error = ouro_mutex_lock(&mutex);

        if (error < 0)
                return error;
        held++;
        if (unlocks)
                return ouro_mutex_unlock(&mutex);
        error = ouro_event_wait(&event);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        return error;
}

RUN(locks, a_waiter_cancelled_as_the_lock_is_released_is_passed_over)
{
        ouro_task a = started(locks_and_keeps_count, false), b = started(locks_and_keeps_count, true),
                  c = started(locks_and_keeps_count, true);

        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_cancel(b), 0);
        cr_assert_eq(ouro_await(a), 0);
        cr_assert_eq(ouro_await(b), -ECANCELED);
        cr_assert_eq(ouro_await(c), 0);
        cr_assert_null(mutex.owner);
}

RUN(locks, a_cancellation_before_the_release_does_not_take_two_locks)
{
        ouro_task tasks[3];

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        for (int i = 0; i < 3; i++)
                tasks[i] = started(locks_and_keeps_count, false);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(tasks[0]), -ECANCELED);
        turns(3);
        cr_assert_eq(held, 1);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        cr_assert_eq(ouro_await(tasks[2]), 0);
        cr_assert_eq(held, 2);
}

/* Ours differs: what was handed over before the cancellation is held, and whoever waits gets it afterwards.
 */
RUN(locks, a_release_before_the_cancellation_hands_over_and_loses_nobody)
{
        ouro_task b, c;

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        b = started(locks_and_keeps_count, true);
        c = started(locks_and_keeps_count, true);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_cancel(b), 0);
        cr_assert_eq(ouro_await(b), 0);
        cr_assert_eq(ouro_await(c), 0);
}

RUN(locks, what_nobody_holds_is_not_released)
{
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), -EPERM);
}

RUN(locks, the_lock_goes_round_in_the_order_of_asking)
{
        ouro_task tasks[3];

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        for (int i = 0; i < 3; i++)
                tasks[i] = started(locks_and_keeps_count, true);
        turns(5);
        cr_assert_eq(held, 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_eq(held, 3);
}

/* ---- Event ---- */

static intptr_t waits_for_event(void *letter)
{
        int error = ouro_event_wait(&event);

        note((char)(intptr_t)letter);
        return error;
}

RUN(locks, an_event_wakes_all_in_order_and_stays_set)
{
        ouro_task tasks[3];

        for (int i = 0; i < 3; i++)
                tasks[i] = started(waits_for_event, 'a' + i);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "abc");
        cr_assert_eq(ouro_event_wait(&event), 0, "at once");
}

RUN(locks, a_cancelled_wait_leaves_the_event)
{
        ouro_task task = started(waits_for_event, 'a');

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_null(event.waiters);
}

RUN(locks, an_event_cleared_at_once_has_woken_its_waiters)
{
        ouro_task task = started(waits_for_event, 'a'), late;

        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_event_clear(&event), 0);
        cr_assert_eq(ouro_event_clear(&event), 0);
        late = started(waits_for_event, 'b');
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_task_state(late), OURO_STATE_WAITING);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_await(late), 0);
}

/* ---- Condition ---- */

static intptr_t waits_for_notice(void *letter)
{
        int error;

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        error = ouro_condition_wait(&condition, &mutex);
        note((char)(intptr_t)letter);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0, "it is held again, however the wait ended");
        return error;
}

RUN(locks, notice_goes_to_as_many_as_it_is_for_in_order)
{
        ouro_task tasks[4];

        for (int i = 0; i < 4; i++)
                tasks[i] = started(waits_for_notice, 'a' + i);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 1);
        turns(3);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_condition_notify(&condition, 2), 2);
        turns(3);
        cr_assert_str_eq(noted(), "bc");
        cr_assert_eq(ouro_condition_notify_all(&condition), 1);
        cr_assert_eq(ouro_gather(tasks, 4, NULL), 0);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 0, "nobody is left");
}

RUN(locks, a_cancelled_wait_holds_the_lock_again)
{
        ouro_task task = started(waits_for_notice, 'a');

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_null(condition.waiters);
        cr_assert_null(mutex.owner);
}

/* Notified, and cancelled while the lock is contested: the notice is told, the lock held again. */
RUN(locks, a_cancellation_after_the_notice_neither_loses_it_nor_the_lock)
{
        ouro_task task = started(waits_for_notice, 'a');

        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 1);
        turns(1); /* it asks for the lock now */
        cr_assert_eq(ouro_cancel(task), 0);
        turns(1);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING, "the re-lock is not cut short");
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_await(task), 0);
}

RUN(locks, a_condition_wants_its_lock_held)
{
        cr_assert_eq(ouro_condition_wait(&condition, &mutex), -EPERM);
}

static int level;

static intptr_t waits_for_level_2(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        while (level < 2) {
                note('.');
                cr_assert_eq(ouro_condition_wait(&condition, &mutex), 0);
        }
        return ouro_mutex_unlock(&mutex);
}

RUN(locks, a_predicate_is_a_loop_around_the_wait)
{
        ouro_task task = started(waits_for_level_2, 0);

        for (int i = 0; i < 2; i++) {
                level++;
                cr_assert_eq(ouro_condition_notify(&condition, 1), 1);
                turns(2);
        }
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_str_eq(noted(), "..");
}

RUN_VIRTUAL(locks, a_deadline_around_a_condition_leaves_it_usable)
{
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_condition_wait(&condition, &mutex), -ETIME);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
}

/* ---- Semaphore ---- */

static intptr_t acquires(void *letter)
{
        int error = ouro_semaphore_acquire(&semaphore);

        if (error == 0)
                note((char)(intptr_t)letter);
        return error;
}

RUN(locks, units_go_past_those_cancelled_before_to_the_next_alone)
{
        ouro_task tasks[4];

        for (int i = 0; i < 4; i++)
                tasks[i] = started(acquires, 'a' + i);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        turns(3);
        cr_assert_str_eq(noted(), "c");
        cr_assert_eq(ouro_task_state(tasks[3]), OURO_STATE_WAITING);
        cr_assert_eq(ouro_cancel(tasks[3]), 0);
        cr_assert_eq(ouro_gather(tasks, 4, NULL), -ECANCELED);
        cr_assert_eq(semaphore.count, 0u);
}

static ouro_task second;

static intptr_t cancels_second(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_semaphore_acquire(&semaphore), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        return ouro_cancel(second);
}

static intptr_t acquires_and_releases(void *unused)
{
        int error = ouro_semaphore_acquire(&semaphore);

        (void)unused;
        return error < 0 ? error : ouro_semaphore_release(&semaphore);
}

/* Theirs cancels the second before it runs; ours has been given the unit by then, and gives it back. */
RUN(locks, no_unit_is_lost_to_a_cancellation_just_after_its_release)
{
        ouro_task first;

        semaphore.count = 1;
        first = ouro_create_task(cancels_second, NULL);
        second = ouro_create_task(acquires_and_releases, NULL);
        cr_assert_eq(ouro_await(first), 0);
        cr_assert_eq(ouro_await(second), 0);
        cr_assert_eq(ouro_semaphore_acquire(&semaphore), 0);
}

static intptr_t acquires_twice(void *unused)
{
        (void)unused;
        cr_assert_eq(acquires(as_arg('2')), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        return acquires(as_arg('4'));
}

RUN(locks, who_comes_back_stands_behind_those_who_wait)
{
        ouro_task tasks[3];

        semaphore.count = 1;
        tasks[0] = ouro_create_task_named(acquires, as_arg('1'), "first");
        tasks[1] = ouro_create_task(acquires_twice, NULL);
        tasks[2] = ouro_create_task_named(acquires, as_arg('3'), "third");
        turns(1);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        turns(4);
        cr_assert_str_eq(noted(), "123", "the second gave its unit to the third");
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
        cr_assert_str_eq(noted(), "4");
}

RUN(locks, a_bounded_semaphore_takes_no_more_than_it_gave)
{
        struct ouro_semaphore bounded = OURO_SEMAPHORE_INIT_BOUNDED(1);

        cr_assert_eq(ouro_semaphore_release(&bounded), -EOVERFLOW);
        cr_assert_eq(ouro_semaphore_acquire(&bounded), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&bounded), -EAGAIN);
        cr_assert_eq(ouro_semaphore_release(&bounded), 0);
}

/* ---- Barrier ---- */

enum { N = 5 };

static struct ouro_barrier barrier = OURO_BARRIER_INIT(N), after = OURO_BARRIER_INIT(N - 2);

static intptr_t passes(void *times)
{
        intptr_t place = 0;

        for (intptr_t i = 0; i < (intptr_t)times && place >= 0; i++)
                place = ouro_barrier_wait(&barrier);
        return place;
}

RUN(locks, a_barrier_opens_at_the_last_and_numbers_all)
{
        ouro_task tasks[N];
        intptr_t results[N];
        unsigned seen = 0;

        for (int i = 0; i < N; i++) {
                cr_assert_eq(barrier.arrived, (size_t)i);
                tasks[i] = started(passes, 1);
        }
        cr_assert_eq(ouro_gather(tasks, N, results), 0);
        for (int i = 0; i < N; i++)
                seen |= 1u << results[i];
        cr_assert_eq(seen, (1u << N) - 1);
        cr_assert_eq(barrier.arrived, 0u);
}

RUN(locks, a_barrier_serves_again_and_again)
{
        ouro_task tasks[N];

        for (int i = 0; i < N; i++)
                tasks[i] = started(passes, 20);
        cr_assert_eq(ouro_gather(tasks, N, NULL), 0);
        cr_assert_eq(barrier.arrived, 0u);
}

static int again = 2;

/* Two go to the next round at once, while the others of the first are still on their way out. */
static intptr_t passes_and_mixes(void *unused)
{
        (void)unused;
        cr_assert_geq(ouro_barrier_wait(&barrier), 0);
        if (again-- <= 0)
                cr_assert_geq(ouro_barrier_wait(&after), 0);
        return ouro_barrier_wait(&barrier);
}

RUN(locks, rounds_of_a_barrier_do_not_mix)
{
        ouro_task tasks[N];

        for (int i = 0; i < N; i++)
                tasks[i] = ouro_create_task(passes_and_mixes, NULL);
        cr_assert_eq(ouro_gather(tasks, N, NULL), 0);
        cr_assert_eq(barrier.arrived + after.arrived, 0u);
}

RUN(locks, a_cancelled_party_is_replaced)
{
        ouro_task tasks[N + 1];
        intptr_t results[N + 1];

        for (int i = 0; i < N - 1; i++)
                tasks[i] = started(passes, 1);
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(barrier.arrived, (size_t)N - 2);
        tasks[N - 1] = started(passes, 1);
        tasks[N] = started(passes, 1);
        cr_assert_eq(ouro_gather(tasks, N + 1, results), -ECANCELED);
        for (int i = 1; i <= N; i++)
                cr_assert_geq(results[i], 0);
        cr_assert_not(barrier.broken);
}

static int broken_for;

static intptr_t comes_back_after_reset(void *unused)
{
        ssize_t place = ouro_barrier_wait(&barrier);

        (void)unused;
        if (place == -EPIPE) {
                broken_for++;
                place = ouro_barrier_wait(&barrier);
        }
        return place;
}

RUN(locks, a_reset_is_told_to_those_who_wait_and_they_may_come_back)
{
        ouro_task tasks[N];

        for (int i = 0; i < N - 1; i++)
                tasks[i] = started(comes_back_after_reset, 0);
        cr_assert_eq(ouro_barrier_reset(&barrier), 0);
        tasks[N - 1] = started(comes_back_after_reset, 0);
        cr_assert_eq(ouro_gather(tasks, N, NULL), 0);
        cr_assert_eq(broken_for, N - 1);
        cr_assert_eq(barrier.arrived, 0u);
}

static int out;

/* Of those who pass, the third resets: whoever has passed before or after it is not concerned, for there is
 * no draining; those who wait again are. */
static intptr_t resets_on_the_way_out(void *unused)
{
        ssize_t place = ouro_barrier_wait(&barrier);

        (void)unused;
        cr_assert_geq(place, 0);
        if (++out == 3)
                return ouro_barrier_reset(&barrier);
        place = out < 3 ? ouro_barrier_wait(&barrier) : 0;
        broken_for += place == -EPIPE;
        return 0;
}

RUN(locks, a_reset_while_some_are_on_their_way_out_concerns_the_next_round)
{
        ouro_task tasks[N];

        for (int i = 0; i < N; i++)
                tasks[i] = ouro_create_task(resets_on_the_way_out, NULL);
        cr_assert_eq(ouro_gather(tasks, N, NULL), 0);
        cr_assert_eq(out, N);
        cr_assert_eq(broken_for, 2);
        cr_assert_eq(barrier.arrived, 0u);
        cr_assert_not(barrier.broken);
}

RUN(locks, an_aborted_barrier_stays_broken_until_reset)
{
        ouro_task tasks[2] = {started(passes, 1), started(passes, 1)};

        cr_assert_eq(ouro_barrier_abort(&barrier), 0);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), -EPIPE);
        cr_assert_eq(ouro_barrier_wait(&barrier), -EPIPE);
        cr_assert(barrier.broken);
        cr_assert_eq(ouro_barrier_reset(&barrier), 0);
        cr_assert_not(barrier.broken);
}

static intptr_t aborts_when_it_fails(void *fails)
{
        if (fails) {
                cr_assert_eq(ouro_barrier_abort(&barrier), 0);
                return 0;
        }
        return ouro_barrier_wait(&barrier);
}

RUN(locks, a_party_that_fails_can_set_the_others_free)
{
        ouro_task tasks[N];
        intptr_t results[N];

        for (int i = 0; i < N; i++)
                tasks[i] = ouro_create_task_named(aborts_when_it_fails, as_arg(i == N - 1), "party");
        cr_assert_eq(ouro_gather(tasks, N, results), -EPIPE);
        for (int i = 0; i < N - 1; i++)
                cr_assert_eq(results[i], -EPIPE);
}
