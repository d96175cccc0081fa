/* Of lib/task/cancel.c: cancellation is a state, it spreads through groups, and it never loses a result. */
#include "support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(cancel, .init = leaks_begin, .fini = leaks_end);

/* ---- a state ---- */

static ouro_chan *chan;
static struct ouro_mutex mutex;
static struct ouro_semaphore semaphore = OURO_SEMAPHORE_INIT(1);
static struct ouro_event event;
static struct ouro_condition condition;
static ouro_task other;
static int pair[2];

static intptr_t each_wait_fails(void *unused)
{
        ouro_completions *completions = NULL;
        struct msghdr message = {0};
        intptr_t result = 1;
        char byte = 'x';
        size_t done = 0;

        (void)unused;
        cr_assert_eq(ouro_cancel(ouro_self()), 0);
        for (int twice = 0; twice < 2; twice++) {
                cr_assert_eq(ouro_yield(), -ECANCELED);
                cr_assert_eq(ouro_sleep(0), -ECANCELED);
                cr_assert_eq(ouro_sleep(1), -ECANCELED);
                cr_assert_eq(ouro_await(other), -ECANCELED);
                cr_assert_eq(ouro_wait(other), -ECANCELED);
                cr_assert_eq(ouro_await(OURO_NO_TASK), -ECANCELED);
                cr_assert_eq(ouro_await(ouro_create_task_named(NULL, NULL, "")), -ECANCELED);
                cr_assert_eq(ouro_wait(ouro_create_task_named(NULL, NULL, "")), -ECANCELED);
                cr_assert_eq(ouro_wait_for(ouro_create_task_named(NULL, NULL, ""), 1), -ECANCELED);
                cr_assert_eq(ouro_wait_for(other, 0), -ECANCELED);
                cr_assert_eq(ouro_gather(&other, 1, &result), -ECANCELED);
                cr_assert_eq(ouro_wait_first(&other, 1), -ECANCELED);
                cr_assert_eq(ouro_as_completed(&other, 1, &completions), 0);
                cr_assert_eq(ouro_completions_next(completions), -ECANCELED);
                ouro_completions_free(completions);
                cr_assert_eq(ouro_chan_send(chan, &byte), -ECANCELED);
                cr_assert_eq(ouro_chan_recv(chan, &byte), -ECANCELED);
                cr_assert_eq(ouro_mutex_lock(&mutex), -ECANCELED);
                cr_assert_eq(ouro_semaphore_acquire(&semaphore), -ECANCELED);
                cr_assert_eq(ouro_event_wait(&event), -ECANCELED);
                cr_assert_eq(ouro_read(pair[0], &byte, 1), -ECANCELED);
                cr_assert_eq(ouro_write(pair[0], &byte, 1), -ECANCELED);
                cr_assert_eq(ouro_write_all(pair[0], &byte, 1, &done), -ECANCELED);
                cr_assert_eq(ouro_read_all(pair[0], &byte, 1, &done), -ECANCELED);
                cr_assert_eq(ouro_recv(pair[0], &byte, 1, 0), -ECANCELED);
                cr_assert_eq(ouro_send(pair[0], &byte, 1, 0), -ECANCELED);
                cr_assert_eq(ouro_recvmsg(pair[0], &message, 0), -ECANCELED);
                cr_assert_eq(ouro_poll(pair[0], POLLIN), -ECANCELED);
                cr_assert_eq(ouro_accept(pair[0], NULL, NULL), -ECANCELED);
                cr_assert_eq(ouro_open("/dev/null", O_RDONLY, 0), -ECANCELED);
        }
        cr_assert_eq(result, 1);
        cr_assert_eq(done, 0u);
        return 3;
}

/* "Before it does anything": the item is not sent, the file not opened, the unit not taken. */
RUN(cancel, is_a_state_in_which_each_wait_fails_on_entry)
{
        struct pollfd readable = {.events = POLLIN};
        ouro_task task;

        chan = ouro_chan_new(1, 1);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        other = ouro_create_task(gives_later, as_arg(4));
        task = ouro_create_task(each_wait_fails, NULL);
        cr_assert_eq(ouro_await(task), 3);
        cr_assert_eq(ouro_cancelled(other), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_await(other), 4);
        cr_assert_eq(ouro_chan_len(chan), 0u);
        cr_assert_eq(semaphore.count, 1u);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        readable.fd = pair[1];
        cr_assert_eq(poll(&readable, 1, 0), 0, "something was written");
        cr_assert_eq(ouro_close(pair[0]), 0);
        cr_assert_eq(ouro_close(pair[1]), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t each_release_acts(void *unused)
{
        char byte = 'x';

        (void)unused;
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_semaphore_acquire(&semaphore), 0);
        cr_assert_eq(ouro_cancel(ouro_self()), 0);
        cr_assert_eq(ouro_condition_wait(&condition, &mutex), -ECANCELED);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_semaphore_try_acquire(&semaphore), 0);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_condition_notify_all(&condition), 0);
        cr_assert_eq(ouro_chan_try_send(chan, &byte), 0);
        cr_assert_eq(ouro_chan_try_recv(chan, &byte), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_shutdown(pair[0], SHUT_WR), 0);
        cr_assert_eq(ouro_close(pair[0]), 0);
        return 0;
}

RUN(cancel, does_not_keep_releases_from_acting)
{
        char byte;

        chan = ouro_chan_new(1, 1);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        cr_assert_eq(ouro_await(ouro_create_task(each_release_acts, NULL)), 0);
        cr_assert(event.is_set);
        cr_assert_eq(semaphore.count, 1u);
        cr_assert_eq(ouro_chan_recv(chan, &byte), -EPIPE);
        cr_assert_eq(ouro_recv(pair[1], &byte, 1, 0), 0);
        cr_assert_eq(fcntl(pair[0], F_GETFD), -1);
        cr_assert_eq(ouro_close(pair[1]), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

/* ---- waits that are cut short ---- */

static char byte_wanted;

static intptr_t in_sleep(void)
{
        return ouro_sleep(OURO_FOREVER - 1);
}

static intptr_t in_long_sleep(void)
{
        return ouro_sleep(OURO_FOREVER);
}

static intptr_t in_await(void)
{
        return ouro_await(other);
}

static intptr_t in_wait(void)
{
        return ouro_wait(other);
}

static intptr_t in_wait_first(void)
{
        ouro_task tasks[2] = {OURO_NO_TASK, other};

        return ouro_wait_first(tasks, 2);
}

static intptr_t in_recv_from_channel(void)
{
        return ouro_chan_recv(chan, &byte_wanted);
}

static intptr_t in_lock(void)
{
        return ouro_mutex_lock(&mutex);
}

static intptr_t in_acquire(void)
{
        return ouro_semaphore_acquire(&semaphore);
}

static intptr_t in_event_wait(void)
{
        return ouro_event_wait(&event);
}

static intptr_t in_condition_wait(void)
{
        struct ouro_mutex own = OURO_MUTEX_INIT;
        int result;

        cr_assert_eq(ouro_mutex_lock(&own), 0);
        result = ouro_condition_wait(&condition, &own);
        cr_assert_eq(ouro_mutex_unlock(&own), 0, "it came back without its mutex");
        return result;
}

static intptr_t in_recv(void)
{
        return ouro_recv(pair[0], &byte_wanted, 1, 0);
}

static intptr_t in_read(void)
{
        return ouro_read(pair[0], &byte_wanted, 1);
}

static intptr_t in_poll(void)
{
        return ouro_poll(pair[0], POLLIN);
}

static intptr_t (*const waits[])(void) = {
        in_sleep, in_long_sleep, in_await,      in_wait,           in_wait_first, in_recv_from_channel,
        in_lock,  in_acquire,    in_event_wait, in_condition_wait, in_recv,       in_read,
        in_poll,
};

enum { WAITS = sizeof waits / sizeof *waits };

static intptr_t waits_in(void *index)
{
        return waits[(intptr_t)index]();
}

static intptr_t waits_in_for_a_while(void *index)
{
        intptr_t result = 0;

        OURO_TIMEOUT(OURO_MS(1)) {
                result = waits[(intptr_t)index]();
                cr_assert_eq(ouro_yield(), -ETIME);
        }
        cr_assert_eq(ouro_yield(), 0);
        return result;
}

static void have_what_nobody_gets(void)
{
        chan = ouro_chan_new(1, 1);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_semaphore_acquire(&semaphore), 0);
        other = ouro_create_task(gives_when_cut, as_arg(11));
}

/* None of it has been harmed by those who waited in vain. */
static void end_what_nobody_got(void)
{
        char byte = 'y';

        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_null(mutex.owner);
        cr_assert_eq(ouro_semaphore_release(&semaphore), 0);
        cr_assert_eq(semaphore.count, 1u);
        cr_assert_eq(ouro_condition_notify(&condition, 1), 0);
        cr_assert_eq(ouro_chan_send(chan, &byte), 0);
        cr_assert_eq(ouro_chan_len(chan), 1u);
        cr_assert_eq(ouro_chan_free(chan), 0);
        cr_assert_eq(ouro_task_state(other), OURO_STATE_WAITING);
        cr_assert_eq(ouro_cancelled(other), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_cancel(other), 0);
        cr_assert_eq(ouro_await(other), 11);
        cr_assert_eq(write(pair[1], &byte, 1), 1);
        cr_assert_eq(read(pair[0], &byte, 1), 1, "a wait that was cut short took it");
        cr_assert_eq(ouro_close(pair[0]), 0);
        cr_assert_eq(ouro_close(pair[1]), 0);
}

RUN(cancel, cuts_every_wait_short)
{
        ouro_task tasks[WAITS];

        have_what_nobody_gets();
        for (intptr_t i = 0; i < WAITS; i++)
                tasks[i] = ouro_create_task(waits_in, as_arg(i));
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        for (size_t i = 0; i < WAITS; i++) {
                cr_assert_eq(ouro_task_state(tasks[i]), OURO_STATE_WAITING, "wait %zu", i);
                cr_assert_eq(ouro_cancel(tasks[i]), 0);
        }
        for (size_t i = 0; i < WAITS; i++)
                cr_assert_eq(ouro_await(tasks[i]), -ECANCELED, "wait %zu", i);
        end_what_nobody_got();
}

RUN(cancel, time_cuts_every_wait_short)
{
        ouro_task tasks[WAITS];

        have_what_nobody_gets();
        for (intptr_t i = 0; i < WAITS; i++)
                tasks[i] = ouro_create_task(waits_in_for_a_while, as_arg(i));
        for (size_t i = 0; i < WAITS; i++)
                cr_assert_eq(ouro_await(tasks[i]), -ETIME, "wait %zu", i);
        end_what_nobody_got();
}

/* ---- twice, too late, oneself, from elsewhere ---- */

RUN(cancel, f12_twice_is_as_once)
{
        ouro_task task = ouro_create_task(waits_for_ever, NULL);

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancelled(task), OURO_CANCEL_ASKED);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_cancel(task), -ESRCH);
}

RUN(cancel, f12_of_one_that_has_ended_does_nothing)
{
        ouro_task task = ouro_create_task(gives, as_arg(2));

        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_await(task), 2);
}

static intptr_t cancels_itself(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_cancel(ouro_self()), 0);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_CANCEL_ASKED);
        return ouro_yield();
}

RUN(cancel, f12_of_oneself_acts_at_the_next_wait)
{
        cr_assert_eq(ouro_await(ouro_create_task(cancels_itself, NULL)), -ECANCELED);
        cr_assert_eq(ouro_yield(), 0);
}

static void *cancels_from_outside(void *task)
{
        return (void *)(intptr_t)ouro_cancel(*(ouro_task *)task);
}

static intptr_t cancels_in_other_loop(void *task)
{
        return ouro_cancel(*(ouro_task *)task);
}

static void *runs_other_loop(void *task)
{
        return (void *)ouro_run(cancels_in_other_loop, task);
}

static intptr_t on_thread(void *(*body)(void *), void *arg)
{
        pthread_t thread;
        void *result;

        cr_assert_eq(pthread_create(&thread, NULL, body, arg), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        return (intptr_t)result;
}

RUN(cancel_elsewhere, f38_another_thread_may_not)
{
        ouro_task task = ouro_create_task(gives_later, as_arg(2));

        cr_assert_eq(on_thread(cancels_from_outside, &task), -EPERM);
        cr_assert_eq(on_thread(runs_other_loop, &task), -ESRCH);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_await(task), 2);
}

RUN(cancel, f99_a_wait_cut_short_tells_from_a_target_that_was_cancelled)
{
        ouro_task target = ouro_create_task(waits_for_ever, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(target), 0);
        cr_assert_eq(ouro_wait(target), 0);
        cr_assert_eq(ouro_cancelled(target), OURO_CANCEL_ASKED);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_await(target), -ECANCELED);
}

/* ---- what has succeeded comes first ---- */

static intptr_t takes_item(void *ret_item)
{
        return ouro_chan_recv(chan, ret_item);
}

RUN(cancel, result_that_is_there_is_handed_over_first)
{
        char item = 'i', taken = 0;
        ouro_task task;

        chan = ouro_chan_new(1, 0);
        task = ouro_create_task(takes_item, &taken);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_chan_try_send(chan, &item), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(taken, 'i');
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t awaits_other(void *unused)
{
        intptr_t result = ouro_await(other);

        (void)unused;
        cr_assert_eq(ouro_yield(), -ECANCELED);
        return result;
}

RUN(cancel, of_an_awaiter_comes_after_the_result_that_it_was_given)
{
        ouro_task task;

        other = ouro_create_task(gives_later, as_arg(8));
        task = ouro_create_task(awaits_other, NULL);
        cr_assert_eq(ouro_wait(other), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 8);
}

/* ---- why ---- */

static ouro_task members[2];
static int reasons[2];

static intptr_t tells_why(void *ret_reason)
{
        ouro_sleep(OURO_FOREVER);
        *(int *)ret_reason = ouro_cancelled(ouro_self());
        return -ECANCELED;
}

static intptr_t owns_group(void *unused)
{
        (void)unused;
        OURO_GROUP(g) {
                members[0] = ouro_create_task(tells_why, &reasons[0]);
        }
        return ouro_yield();
}

RUN_VIRTUAL(cancel, reasons_are_told)
{
        ouro_task owner;

        OURO_GROUP(g) {
                ouro_create_task(tells_why, &reasons[0]);
                ouro_create_task(gives_later, as_arg(-EIO));
                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_SIBLING);
        OURO_GROUP(g) {
                ouro_create_task(tells_why, &reasons[0]);
                break;
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_LEFT);
        OURO_TIMEOUT(OURO_SEC(1)) {
                OURO_GROUP(g) {
                        ouro_create_task(tells_why, &reasons[0]);
                }
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_TIME);
        reasons[0] = 0;
        OURO_TIMEOUT(0) {
                OURO_GROUP(g) {
                        ouro_create_task(tells_why, &reasons[0]);
                }
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_TIME);
        OURO_GROUP(g) {
                ouro_create_task(tells_why, &reasons[0]);
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_ASKED);
        owner = ouro_create_task(owns_group, NULL);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(owner), 0);
        cr_assert_eq(ouro_cancelled(owner), OURO_CANCEL_ASKED);
        cr_assert_eq(ouro_await(owner), -ECANCELED);
        cr_assert_eq(reasons[0], OURO_CANCEL_LEFT);
}

static intptr_t leaves_one_that_tells_why(void *unused)
{
        (void)unused;
        ouro_create_task(tells_why, &reasons[0]);
        ouro_create_task(owns_group, NULL);
        return ouro_sleep(1);
}

Test(cancel, reason_of_what_main_left_is_the_end)
{
        cr_assert_eq(ouro_run(leaves_one_that_tells_why, NULL), 0);
        cr_assert_eq(reasons[0], OURO_CANCEL_LEFT); /* told last, by the member of owns_group() */
        cr_assert_eq(ouro_run(gives, NULL), 0);
}

static intptr_t leaves_plain_one(void *unused)
{
        (void)unused;
        ouro_create_task(tells_why, &reasons[0]);
        return ouro_yield();
}

Test(cancel, reason_of_root_tasks_at_the_end_is_the_end)
{
        cr_assert_eq(ouro_run(leaves_plain_one, NULL), 0);
        cr_assert_eq(reasons[0], OURO_CANCEL_END);
}

/* ---- in the middle of the waits that take others with them ---- */

static intptr_t gathers_two(void *ret_error)
{
        intptr_t results[2] = {1, 1};

        *(int *)ret_error = ouro_gather(members, 2, results);
        cr_assert_eq(results[0], -ECANCELED);
        return results[1];
}

RUN(cancel, f11_during_gather_cancels_them_and_tells_every_outcome)
{
        ouro_task task;
        int error = 1;

        members[0] = ouro_create_task(waits_for_ever, NULL);
        members[1] = ouro_create_task(gives_when_cut, as_arg(21));
        task = ouro_create_task(gathers_two, &error);
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 21);
        cr_assert_eq(error, -ECANCELED);
        cr_assert_eq(ouro_await(members[0]), -ESRCH, "the gather has not consumed it");
}

static intptr_t waits_for_first_member(void *ns)
{
        return ouro_wait_for(members[0], (intptr_t)ns);
}

RUN(cancel, f11_during_wait_for_cancels_the_target)
{
        ouro_task task;

        members[0] = ouro_create_task(waits_for_ever, NULL);
        task = ouro_create_task(waits_for_first_member, as_arg(OURO_FOREVER));
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_await(members[0]), -ESRCH);
}

RUN(cancel, f11_during_wait_for_gives_a_result_of_its_own)
{
        ouro_task task;

        members[0] = ouro_create_task(gives_when_cut, as_arg(5));
        task = ouro_create_task(waits_for_first_member, as_arg(OURO_FOREVER));
        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 5);
}

static intptr_t shields_itself(void *unused)
{
        (void)unused;
        OURO_SHIELD
        {
                cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
                note('s');
                OURO_TIMEOUT(OURO_MS(1))
                        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
                note('t');
        }
        return ouro_yield();
}

RUN_VIRTUAL(cancel, f11_during_a_shield_acts_after_it)
{
        ouro_task task = ouro_create_task(shields_itself, NULL);

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancelled(task), OURO_CANCEL_ASKED);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_str_eq(noted(), "st");
}

static intptr_t closes_group(void *ret_error)
{
        OURO_GROUP(g, (int *)ret_error) {
                ouro_create_task(gives_when_cut, as_arg(1));
                ouro_create_task(waits_for_ever, NULL);
        }
        return ouro_yield();
}

RUN(cancel, f11_during_a_group_close_cancels_the_members)
{
        int error = 0;
        ouro_task task = ouro_create_task(closes_group, &error);

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(error, -ECANCELED);
}

static intptr_t shields_group(void *unused)
{
        int error = 1;

        (void)unused;
        OURO_SHIELD
        OURO_GROUP(g, &error)
                ouro_create_task(gives_later, as_arg(1));
        cr_assert_eq(error, 0);
        return ouro_yield();
}

RUN(cancel, f11_a_group_inside_a_shield_is_not_reached)
{
        ouro_task task = ouro_create_task(shields_group, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

static intptr_t shields_inside_group(void *unused)
{
        (void)unused;
        OURO_GROUP(g) {
                members[0] = ouro_create_task(tells_why, &reasons[0]);
                OURO_SHIELD
                {
                        cr_assert_eq(ouro_wait(members[0]), 0);
                        cr_assert_eq(reasons[0], OURO_CANCEL_LEFT);
                        note('s');
                }
        }
        return ouro_yield();
}

RUN(cancel, f11_reaches_the_groups_around_a_shield_at_once)
{
        ouro_task task = ouro_create_task(shields_inside_group, NULL);

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_str_eq(noted(), "s");
}

/* The outer group's member ends, and one that it gets now is cancelled, though the owner is still inside. */
static intptr_t shields_inside_two_groups(void *unused)
{
        (void)unused;
        OURO_GROUP(outer) {
                members[0] = ouro_create_task(tells_why, &reasons[0]);
                OURO_GROUP(inner) {
                        members[1] = ouro_create_task(tells_why, &reasons[1]);
                        OURO_SHIELD
                        {
                                cr_assert_eq(ouro_wait(members[0]), 0);
                                cr_assert_eq(ouro_wait(members[1]), 0);
                        }
                        cr_assert_gt(ouro_cancelled(ouro_create_task_in(outer, gives, NULL)), 0);
                        cr_assert_gt(ouro_cancelled(ouro_create_task_in(inner, gives, NULL)), 0);
                        note('s');
                }
        }
        return ouro_yield();
}

RUN(cancel, f11_reaches_all_groups_that_a_task_has_open)
{
        ouro_task task = ouro_create_task(shields_inside_two_groups, NULL);

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_str_eq(noted(), "s");
        cr_assert_eq(reasons[0], OURO_CANCEL_LEFT);
        cr_assert_eq(reasons[1], OURO_CANCEL_LEFT);
}

RUN(cancel, f11_of_its_group_reaches_all_groups_that_a_member_has_open)
{
        OURO_GROUP(g) {
                ouro_create_task(shields_inside_two_groups, NULL);
                cr_assert_eq(ouro_sleep(1), 0);
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
        cr_assert_str_eq(noted(), "s");
}

RUN_VIRTUAL(cancel, f11_by_time_reaches_all_groups_inside_the_scope)
{
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(shields_inside_two_groups(NULL), -ETIME);
        cr_assert_str_eq(noted(), "s");
        cr_assert_eq(reasons[0], OURO_CANCEL_TIME);
}

RUN(cancel, f11_by_a_sibling_reaches_all_groups_inside_the_group)
{
        OURO_GROUP(g) {
                ouro_create_task(gives_later, as_arg(-EIO));
                cr_assert_eq(shields_inside_two_groups(NULL), -ECANCELED);
        }
        cr_assert_str_eq(noted(), "s");
}

static intptr_t tells_why_later(void *ret_reason)
{
        OURO_SHIELD
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0);
        *(int *)ret_reason = ouro_cancelled(ouro_self());
        return 0;
}

RUN_VIRTUAL(cancel, f12_the_first_reason_stays)
{
        ouro_task task;

        OURO_GROUP(g) {
                task = ouro_create_task(tells_why_later, &reasons[0]);
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                break;
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_ASKED);
        OURO_GROUP(g) {
                task = ouro_create_task(tells_why_later, &reasons[0]);
                ouro_create_task(gives, as_arg(-EIO));
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_cancel(task), 0);
        }
        cr_assert_eq(reasons[0], OURO_CANCEL_SIBLING);
}

RUN_VIRTUAL(cancel, f12_the_first_reason_of_a_group_is_that_of_all_it_gets_later)
{
        OURO_GROUP(g) {
                cr_assert_eq(ouro_group_cancel(g), 0);
                ouro_create_task(gives, as_arg(-EIO));
                cr_assert_eq(ouro_yield(), 0);
                cr_assert_eq(ouro_cancelled(ouro_create_task(gives, NULL)), OURO_CANCEL_ASKED);
        }
}

/* ---- deep and wide trees ---- */

enum { DEEP = 5000, WIDE = 5000 };

static int bottom_reached, ended_cancelled;

static intptr_t owns_the_next(void *left)
{
        intptr_t n = (intptr_t)left;

        OURO_GROUP(g) {
                if (n > 0) {
                        ouro_create_task(owns_the_next, as_arg(n - 1));
                } else {
                        bottom_reached = 1;
                        ouro_sleep(OURO_FOREVER);
                }
        }
        ended_cancelled += ouro_yield() == -ECANCELED;
        return 0;
}

RUN(cancel_deep, f65_of_groups_nested_thousands_deep_uses_no_stack)
{
        ouro_task top = ouro_create_task(owns_the_next, as_arg(DEEP));

        while (!bottom_reached)
                cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(top), 0);
        cr_assert_eq(ouro_await(top), 0);
        cr_assert_eq(ended_cancelled, DEEP + 1);
}

RUN_VIRTUAL(cancel_deep, f65_by_time_of_groups_nested_thousands_deep)
{
        bool expired = false;

        OURO_TIMEOUT(OURO_SEC(1), &expired) {
                OURO_GROUP(g) {
                        ouro_create_task(owns_the_next, as_arg(DEEP));
                }
        }
        cr_assert(expired);
        cr_assert(bottom_reached);
        cr_assert_eq(ended_cancelled, DEEP + 1);
}

static intptr_t fails_at_the_bottom(void *left)
{
        intptr_t n = (intptr_t)left;
        int error = 0;

        OURO_GROUP(g, &error) {
                if (n > 0)
                        ouro_create_task(fails_at_the_bottom, as_arg(n - 1));
                else
                        return -EIO;
        }
        return error;
}

RUN(cancel_deep, f65_an_error_climbs_through_groups_nested_thousands_deep)
{
        cr_assert_eq(ouro_await(ouro_create_task(fails_at_the_bottom, as_arg(DEEP))), -EIO);
}

static intptr_t opens_many_groups(void *left)
{
        intptr_t n = (intptr_t)left;

        if (n == 0)
                return ouro_sleep(OURO_FOREVER);
        OURO_GROUP(g) {
                ouro_create_task(tells_why, &reasons[0]);
                opens_many_groups(as_arg(n - 1));
        }
        return ouro_yield();
}

RUN(cancel, reaches_every_group_that_one_task_has_open)
{
        ouro_task task = ouro_create_task(opens_many_groups, as_arg(20));

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(reasons[0], OURO_CANCEL_LEFT);
}

RUN(cancel_deep, of_a_group_with_thousands_of_members_ends_them_all)
{
        OURO_GROUP(g) {
                for (int i = 0; i < WIDE; i++)
                        ouro_create_task(i % 2 ? owns_group : waits_for_ever, NULL);
                cr_assert_eq(ouro_sleep(1), 0);
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
}
