/* Of lib/task/deadlock.c: when every task waits for another, that is told, and the run goes on. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/leaks.h"

enum { LOG_BYTES = 65536 };

static char told[LOG_BYTES]; /* what the library said */

static void keep(enum ouro_log_level level, const char *line, void *arg)
{
        (void)level, (void)arg;
        strncat(told, line, LOG_BYTES - strlen(told) - 1);
        strncat(told, "\n", LOG_BYTES - strlen(told) - 1);
}

static void begin(void)
{
        leaks_begin();
        ouro_set_log(keep, NULL);
}

TestSuite(deadlock, .init = begin, .fini = leaks_end, .timeout = 20);

static size_t times_told(const char *what)
{
        size_t n = 0;

        for (const char *at = told; (at = strstr(at, what)); at += strlen(what))
                n++;
        return n;
}

#define TELLS(what) cr_assert_not_null(strstr(told, what), "\"%s\" is not in:\n%s", what, told)
#define DEADLOCKS(n) cr_assert_eq(times_told("deadlock:"), (size_t)(n), "told:\n%s", told)

static struct ouro_mutex first, second;
static struct ouro_event event;
static struct ouro_barrier barrier = OURO_BARRIER_INIT(3);
static struct ouro_semaphore semaphore;
static struct ouro_condition condition;
static struct ouro_latch latch = OURO_LATCH_INIT(1);
static struct ouro_wait_group work = {1, NULL};
static ouro_chan *chan;

/* ---- each way to wait, by main alone ---- */

RUN(deadlock, f66_main_alone_with_an_event_that_nobody_sets)
{
        cr_assert_eq(ouro_event_wait(&event), -EDEADLK);
        DEADLOCKS(1);
        TELLS("task main");
        TELLS("event");
        cr_assert_null(event.waiters);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_event_wait(&event), 0, "the state is as before");
}

RUN_VIRTUAL(deadlock, f66_main_alone_on_the_virtual_clock)
{
        cr_assert_eq(ouro_sleep(OURO_SEC(3600)), 0);
        cr_assert_eq(ouro_event_wait(&event), -EDEADLK);
        DEADLOCKS(1);
}

RUN(deadlock, f66_main_alone_is_told_by_each_kind_of_wait)
{
        char item = 0;

        chan = ouro_chan_new(1, 0);
        cr_assert_eq(ouro_chan_recv(chan, &item), -EDEADLK);
        TELLS("an item in a channel");
        cr_assert_eq(ouro_chan_send(chan, &item), -EDEADLK);
        TELLS("room in a channel");
        cr_assert_eq(ouro_semaphore_acquire_n(&semaphore, 2), -EDEADLK);
        TELLS("semaphore");
        cr_assert_eq(ouro_barrier_wait(&barrier), -EDEADLK, "short of two");
        cr_assert_eq(barrier.arrived, 0u);
        TELLS("barrier");
        cr_assert_eq(ouro_latch_wait(&latch), -EDEADLK);
        TELLS("latch");
        cr_assert_eq(ouro_wait_group_wait(&work), -EDEADLK);
        TELLS("wait group");
        cr_assert_eq(ouro_sleep(OURO_FOREVER), -EDEADLK);
        TELLS("the end of time");
        DEADLOCKS(7);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(deadlock, f66_a_condition_is_left_with_the_mutex_held)
{
        cr_assert_eq(ouro_mutex_lock(&first), 0);
        cr_assert_eq(ouro_condition_wait(&condition, &first), -EDEADLK);
        cr_assert_eq(ouro_mutex_unlock(&first), 0);
        TELLS("condition");
}

/* ---- main and others ---- */

static intptr_t receives(void *unused)
{
        char item;

        (void)unused;
        return ouro_chan_recv(chan, &item);
}

static intptr_t sends(void *unused)
{
        char item = 0;

        (void)unused;
        return ouro_chan_send(chan, &item);
}

static intptr_t waits_for_event(void *unused)
{
        (void)unused;
        return ouro_event_wait(&event);
}

RUN(deadlock, f66_channels_that_nobody_feeds)
{
        ouro_task tasks[2];
        intptr_t results[2];

        chan = ouro_chan_new(1, 1);
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_create_task(receives, NULL);
        cr_assert_eq(ouro_gather(tasks, 2, results), -EDEADLK);
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_eq(results[1], -ECANCELED);
        DEADLOCKS(1);
        TELLS("task receives (created in deadlock_f66_channels_that_nobody_feeds_in_task, ");
        TELLS("deadlock.c:");
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(deadlock, f66_an_await_tells_for_whom_and_leaves_it_alone)
{
        ouro_task task = ouro_create_task(waits_for_event, NULL);

        cr_assert_eq(ouro_await(task), -EDEADLK);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_wait(task), -EDEADLK);
        cr_assert_eq(ouro_wait_first(&task, 1), -EDEADLK);
        DEADLOCKS(3);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_await(task), 0);
}

RUN(deadlock, f66_wait_for_cancels_its_task)
{
        ouro_task task = ouro_create_task(waits_for_event, NULL);

        cr_assert_eq(ouro_wait_for(task, OURO_FOREVER), -EDEADLK);
        cr_assert_eq(ouro_task_state(task), -ESRCH);
        DEADLOCKS(1);
}

static ouro_task ring[3];

static intptr_t awaits_next(void *i)
{
        return ouro_await(ring[((intptr_t)i + 1) % 3]);
}

RUN(deadlock, f66_a_ring_of_awaits)
{
        intptr_t results[3];

        for (intptr_t i = 0; i < 3; i++)
                ring[i] = ouro_create_task(awaits_next, as_arg(i));
        cr_assert_eq(ouro_await(ring[0]), -EDEADLK);
        cr_assert_eq(times_told("awaits_next ("), 3u, "%s", told);
        cr_assert_eq(ouro_cancel(ring[1]), 0);
        cr_assert_eq(ouro_gather(ring, 3, results), -ECANCELED);
        for (size_t i = 0; i < 3; i++)
                cr_assert_eq(results[i], -ECANCELED, "the others got its result");
        DEADLOCKS(1);
}

/* ---- groups ---- */

RUN(deadlock, f66_a_group_that_main_closes_is_cancelled_and_told)
{
        ouro_task task = OURO_NO_TASK;
        int error = 0;

        OURO_GROUP(g, &error) {
                task = ouro_create_task_in(g, waits_for_event, NULL);
                ouro_create_task_in(g, waits_for_event, NULL);
        }
        cr_assert_eq(error, -EDEADLK);
        cr_assert_eq(ouro_task_state(task), -ESRCH);
        DEADLOCKS(1);
        TELLS("task main");
        TELLS("members of its group");
        cr_assert_eq(ouro_yield(), 0, "main is not cancelled");
}

static int why;

static intptr_t keeps_why(void *unused)
{
        intptr_t result = ouro_event_wait(&event);

        (void)unused;
        why = ouro_cancelled(ouro_self());
        return result;
}

RUN(deadlock, f66_members_know_why_they_were_cancelled)
{
        OURO_GROUP_KEEP_GOING(g)
                ouro_create_task_in(g, keeps_why, NULL);
        cr_assert_eq(why, OURO_CANCEL_DEADLOCK);
}

static intptr_t closes_group(void *depth)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                if ((intptr_t)depth > 0)
                        ouro_create_task_in(g, closes_group, as_arg((intptr_t)depth - 1));
                else
                        ouro_create_task_in(g, waits_for_event, NULL);
        }
        return error;
}

RUN(deadlock, f66_groups_in_groups_end_from_without)
{
        int error = 0;

        OURO_GROUP(g, &error)
                ouro_create_task_in(g, closes_group, as_arg(20));
        cr_assert_eq(error, -EDEADLK);
        DEADLOCKS(1);
}

/* ---- shields ---- */

static intptr_t shielded(void *unused)
{
        intptr_t result = 0;

        (void)unused;
        OURO_SHIELD
        result = ouro_event_wait(&event);
        note(result == -EDEADLK ? 's' : '?');
        return result;
}

RUN(deadlock, f66_members_in_shields_have_their_waits_ended)
{
        int error = 0;

        OURO_GROUP(g, &error) {
                ouro_create_task_in(g, shielded, NULL);
                ouro_create_task_in(g, shielded, NULL);
        }
        cr_assert_eq(error, -EDEADLK);
        cr_assert_str_eq(noted(), "ss");
        DEADLOCKS(1);
}

RUN(deadlock, f66_a_shield_of_main_is_no_hindrance)
{
        OURO_SHIELD
        cr_assert_eq(ouro_event_wait(&event), -EDEADLK);
}

static intptr_t returns_with_a_shield_left(void *unused)
{
        ouro_create_task(shielded, unused);
        ouro_create_task(waits_for_event, unused);
        return ouro_yield();
}

Test(deadlock, f66_what_main_left_in_shields_does_not_keep_the_run_from_ending)
{
        cr_assert_eq(ouro_run(returns_with_a_shield_left, NULL), 0);
        cr_assert_str_eq(noted(), "s");
        DEADLOCKS(1);
        cr_assert_eq(times_told("task waits_for_event"), 0u, "it was cancelled:\n%s", told);
}

/* In a shield, closing a group whose members wait in shields. */
static intptr_t closes_in_shield(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_SHIELD
        OURO_GROUP(g, &error)
                ouro_create_task_in(g, shielded, NULL);
        note(error == -EDEADLK ? 'g' : '?');
        return error;
}

static intptr_t returns_with_a_group_left(void *unused)
{
        ouro_create_task(closes_in_shield, unused);
        return ouro_yield();
}

Test(deadlock, f66_a_group_in_a_shield_ends_by_its_members)
{
        cr_assert_eq(ouro_run(returns_with_a_group_left, NULL), 0);
        cr_assert_str_eq(noted(), "sg", "the member's own failure is the group's");
}

/* ---- waits that nothing cuts short ---- */

static ouro_task elder;

static intptr_t gathers_elder(void *unused)
{
        (void)unused;
        note(ouro_gather(&elder, 1, NULL) == -EDEADLK ? 'e' : 'c');
        return 0;
}

static intptr_t creates_in_group(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_GROUP(g, &error)
                ouro_create_task_in(g, gathers_elder, NULL);
        return error;
}

RUN(deadlock, f66_a_gather_of_the_task_that_waits_for_its_group_is_given_up)
{
        elder = ouro_create_task(creates_in_group, NULL);
        cr_assert_eq(ouro_await(elder), -EDEADLK);
        cr_assert_eq(ouro_cancel(elder), 0);
        cr_assert_eq(ouro_await(elder), -EDEADLK, "its member cannot end before it");
        DEADLOCKS(2);
}

/* ---- mutexes ---- */

static intptr_t holds_second_wants_first(void *unused)
{
        int error;

        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&second), 0);
        error = ouro_mutex_lock(&first);
        note(error == 0 ? 'l' : '?');
        cr_assert_eq(ouro_mutex_unlock(&first), 0);
        cr_assert_eq(ouro_mutex_unlock(&second), 0);
        return error;
}

RUN(deadlock, f66_a_cycle_of_mutexes_is_told_to_who_would_close_it)
{
        ouro_task other;

        cr_assert_eq(ouro_mutex_lock(&first), 0);
        other = ouro_create_task(holds_second_wants_first, NULL);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_mutex_lock(&second), -EDEADLK);
        cr_assert_eq(ouro_mutex_try_lock(&second), -EBUSY);
        DEADLOCKS(0);
        cr_assert_eq(ouro_mutex_unlock(&first), 0);
        cr_assert_eq(ouro_await(other), 0);
        cr_assert_str_eq(noted(), "l");
        cr_assert_null(first.owner);
        cr_assert_null(second.owner);
}

static struct ouro_mutex chain[50];

static intptr_t holds_one_wants_next(void *i)
{
        struct ouro_mutex *own = &chain[(intptr_t)i];
        int error;

        cr_assert_eq(ouro_mutex_lock(own), 0);
        cr_assert_eq(ouro_yield(), 0);
        error = ouro_mutex_lock(own + 1);
        if (error == 0)
                cr_assert_eq(ouro_mutex_unlock(own + 1), 0);
        cr_assert_eq(ouro_mutex_unlock(own), 0);
        return error;
}

RUN(deadlock, f66_a_long_cycle_of_mutexes)
{
        ouro_task tasks[49];

        for (intptr_t i = 0; i < 49; i++)
                tasks[i] = ouro_create_task(holds_one_wants_next, as_arg(i));
        cr_assert_eq(ouro_mutex_lock(&chain[49]), 0);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_mutex_lock(&chain[25]), -EDEADLK);
        cr_assert_eq(ouro_mutex_lock(&chain[0]), -EDEADLK);
        cr_assert_eq(ouro_mutex_unlock(&chain[49]), 0);
        cr_assert_eq(ouro_gather(tasks, 49, NULL), 0);
}

static intptr_t locks_and_awaits_main(void *unused)
{
        int error;

        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&first), 0);
        error = ouro_event_wait(&event);
        cr_assert_eq(ouro_mutex_unlock(&first), 0);
        return error;
}

RUN(deadlock, f66_the_holder_of_a_mutex_is_named)
{
        ouro_task other = ouro_create_task(locks_and_awaits_main, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_mutex_lock(&first), -EDEADLK);
        DEADLOCKS(1);
        TELLS("held by task locks_and_awaits_main");
        cr_assert_eq(ouro_cancel(other), 0);
        cr_assert_eq(ouro_await(other), -ECANCELED);
}

/* A waits for notice without first, holding second; B holds first and wants second. */
static intptr_t waits_for_notice(void *unused)
{
        int error;

        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&first), 0);
        cr_assert_eq(ouro_mutex_lock(&second), 0);
        error = ouro_condition_wait(&condition, &first);
        cr_assert_eq(ouro_mutex_unlock(&first), -EPERM, "it was not locked again");
        cr_assert_eq(ouro_mutex_unlock(&second), 0);
        return error;
}

RUN(deadlock, f66_a_relock_that_would_close_a_cycle_is_refused)
{
        ouro_task other = ouro_create_task(waits_for_notice, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_mutex_lock(&first), 0);
        cr_assert_eq(ouro_condition_notify_all(&condition), 1);
        cr_assert_eq(ouro_mutex_lock(&second), 0, "the other gave it back");
        cr_assert_eq(ouro_await(other), -EDEADLK);
        cr_assert_eq(ouro_mutex_unlock(&first), 0);
        cr_assert_eq(ouro_mutex_unlock(&second), 0);
}

/* The re-lock is not cut short, but what nothing else ends is given up. */
static intptr_t relocks_what_a_dead_end_holds(void *unused)
{
        int error;

        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&first), 0);
        error = ouro_condition_wait(&condition, &first);
        note(error == -EDEADLK ? 'd' : '?');
        return 0;
}

static intptr_t holds_while_its_member_relocks(void *unused)
{
        OURO_GROUP(g) {
                ouro_create_task_in(g, relocks_what_a_dead_end_holds, unused);
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_mutex_lock(&first), 0);
                cr_assert_eq(ouro_condition_notify_all(&condition), 1);
        }
        note('g');
        return ouro_mutex_unlock(&first);
}

RUN(deadlock, f66_a_relock_that_waits_for_the_owner_of_its_group_is_given_up)
{
        int error = 0;

        OURO_GROUP(g, &error)
                ouro_create_task_in(g, holds_while_its_member_relocks, NULL);
        cr_assert_eq(error, -EDEADLK);
        cr_assert_str_eq(noted(), "dg");
        DEADLOCKS(1);
        TELLS("held by task holds_while_its_member_relocks");
}

/* ---- what is none ---- */

RUN_VIRTUAL(deadlock, f66_a_deadline_is_none)
{
        OURO_TIMEOUT(OURO_SEC(5))
                cr_assert_eq(ouro_event_wait(&event), -ETIME);
        DEADLOCKS(0);
}

static intptr_t reads(void *fd)
{
        char byte;

        return ouro_read((int)(intptr_t)fd, &byte, 1);
}

static void *writes_later(void *fd)
{
        usleep(20000);
        cr_assert_eq(write((int)(intptr_t)fd, "x", 1), 1);
        return NULL;
}

RUN(deadlock, f66_an_operation_under_way_is_none)
{
        ouro_task task;
        pthread_t thread;
        int fds[2];

        cr_assert_eq(pipe(fds), 0);
        task = ouro_create_task(reads, as_arg(fds[0]));
        cr_assert_eq(pthread_create(&thread, NULL, writes_later, as_arg(fds[1])), 0);
        cr_assert_eq(ouro_await(task), 1);
        pthread_join(thread, NULL);
        close(fds[0]);
        close(fds[1]);
        DEADLOCKS(0);
}

static intptr_t sets(void *unused)
{
        (void)unused;
        return ouro_event_set(&event);
}

static void *posts_later(void *loop)
{
        usleep(20000);
        cr_assert_eq(ouro_post(loop, sets, NULL), 0);
        return NULL;
}

RUN(deadlock, f66_a_loop_that_others_may_know_is_none)
{
        pthread_t thread;

        cr_assert_eq(pthread_create(&thread, NULL, posts_later, ouro_this_loop()), 0);
        cr_assert_eq(ouro_event_wait(&event), 0);
        pthread_join(thread, NULL);
        DEADLOCKS(0);
}

static intptr_t sleeps_in_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        usleep(20000);
        return 7;
}

RUN(deadlock, f66_a_job_that_is_out_is_none)
{
        ouro_executor *pool = ouro_thread_pool(NULL);

        cr_assert_eq(ouro_await(ouro_submit(pool, sleeps_in_job, OURO_NO_IN, OURO_NO_OUT)), 7);
        cr_assert_eq(ouro_executor_close(pool), 0);
        DEADLOCKS(0);
        cr_assert_eq(ouro_event_wait(&event), -EDEADLK, "the pool is gone");
}

/* ---- by option ---- */

static ouro_loop *loop_of_run;

static intptr_t waits_unchecked(void *unused)
{
        (void)unused;
        OURO_TIMEOUT(OURO_MS(30))
                return ouro_event_wait(&event);
        return 0;
}

static void *ends_it(void *unused)
{
        usleep(30000);
        cr_assert_eq(ouro_post(loop_of_run, sets, NULL), 0);
        return unused;
}

static intptr_t is_known_by_stealth(void *unused)
{
        pthread_t thread;
        int error;

        (void)unused;
        cr_assert_eq(pthread_create(&thread, NULL, ends_it, NULL), 0);
        error = ouro_event_wait(&event);
        pthread_join(thread, NULL);
        return error;
}

static intptr_t main_of_stealth(void *unused)
{
        loop_of_run = ouro_this_loop();
        return is_known_by_stealth(unused);
}

Test(deadlock, f66_a_run_may_do_without_the_check)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.no_deadlock_check = true;
        cr_assert_eq(ouro_run_with(&options, waits_unchecked, NULL), -ETIME);
        cr_assert_eq(ouro_run_with(&options, main_of_stealth, NULL), 0);
        DEADLOCKS(0);
}

/* ---- many ---- */

RUN(deadlock, f66_of_very_many_tasks_some_are_told)
{
        int error = 0;

        OURO_GROUP(g, &error)
                for (int i = 0; i < 1000; i++)
                        ouro_create_task_in(g, waits_for_event, NULL);
        cr_assert_eq(error, -EDEADLK);
        cr_assert_eq(times_told(" ms for: "), 64u, "%s", told);
        TELLS("and 937 more");
}

static intptr_t starts_two_that_cannot_meet(void *unused)
{
        ouro_task tasks[2] = {ouro_create_task(sends, unused), ouro_create_task(sends, unused)};

        return ouro_gather(tasks, 2, NULL);
}

Test(deadlock, f66_every_run_starts_anew)
{
        chan = ouro_chan_new(1, 0);
        for (int i = 0; i < 50; i++)
                cr_assert_eq(ouro_run(starts_two_that_cannot_meet, NULL), -EDEADLK);
        DEADLOCKS(50);
        cr_assert_eq(ouro_chan_free(chan), 0);
}
