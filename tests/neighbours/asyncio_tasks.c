/* What CPython's tests of asyncio's tasks demand, of one task at a time: creating, awaiting, cancelling. The
 * table is in README.md. */
#include <errno.h>
#include <pthread.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(asyncio_tasks, .init = leaks_begin, .fini = leaks_end);
TestSuite(asyncio_threadsafe, .init = leaks_begin, .fini = leaks_end);

/* ---- creating and awaiting ---- */

static intptr_t tells_who_it_is(void *ret_self)
{
        *(ouro_task *)ret_self = ouro_self();
        return 42;
}

static bool is_same(ouro_task a, ouro_task b)
{
        return a.slot == b.slot && a.generation == b.generation;
}

RUN_VIRTUAL(asyncio_tasks, a_task_gives_its_result_and_is_itself_while_it_runs)
{
        ouro_task seen = OURO_NO_TASK, task = ouro_create_task(tells_who_it_is, &seen);

        cr_assert_eq(ouro_task_state(task), OURO_STATE_READY, "it has not begun: its creator goes on");
        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED);
        cr_assert(is_same(seen, task));
        cr_assert_eq(ouro_await(task), 42);
        cr_assert_eq(ouro_await(task), -ESRCH, "a result is taken once");
}

RUN_VIRTUAL(asyncio_tasks, what_is_no_function_makes_a_task_that_has_failed)
{
        ouro_task task = ouro_create_task((ouro_fn *)NULL, NULL);

        cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED);
        cr_assert_eq(ouro_await(task), -EINVAL);
}

static intptr_t awaits_itself(void *unused)
{
        (void)unused;
        return ouro_await(ouro_self());
}

RUN_VIRTUAL(asyncio_tasks, a_task_cannot_await_itself)
{
        cr_assert_eq(ouro_await(ouro_create_task(awaits_itself, NULL)), -EDEADLK);
}

Test(asyncio_tasks, outside_a_loop_no_task_is_made_and_none_runs)
{
        cr_assert(is_same(ouro_self(), OURO_NO_TASK));
        cr_assert_null(ouro_this_loop());
        cr_assert_eq(ouro_await(ouro_create_task(gives, NULL)), -EPERM);
}

static ouro_task of_another_loop;

static intptr_t awaits_anothers(void *unused)
{
        (void)unused;
        return ouro_await(of_another_loop) == -ESRCH && ouro_cancel(of_another_loop) == -ESRCH;
}

static void *runs_another_loop(void *unused)
{
        return (void *)ouro_run(awaits_anothers, unused);
}

RUN_VIRTUAL(asyncio_tasks, of_another_loop_are_refused)
{
        pthread_t thread;
        void *result;

        of_another_loop = ouro_create_task(gives, as_arg(3));
        pthread_create(&thread, NULL, runs_another_loop, NULL);
        pthread_join(thread, &result);
        cr_assert_eq((intptr_t)result, 1);
        cr_assert_eq(ouro_await(of_another_loop), 3, "and it is unharmed");
}

RUN_VIRTUAL(asyncio_tasks, each_has_a_name_its_functions_or_one_that_was_given)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task plain = ouro_create_task(gives, NULL);
        ouro_task named = ouro_create_task_named(gives, NULL, "Emilia"), made;
        char name[] = "number 7";

        options.name = name;
        made = ouro_create_task_with(&options, gives, NULL);
        cr_assert_str_eq(ouro_task_name(plain), "gives");
        cr_assert_str_eq(ouro_task_name(named), "Emilia");
        cr_assert_str_eq(ouro_task_name(made), "number 7");
        cr_assert_eq(ouro_await(made), 0);
        cr_assert_null(ouro_task_name(made));
}

static intptr_t checks_whose_turn_it_is(void *other)
{
        ouro_task self = ouro_self();

        for (int i = 0; i < 3; i++) {
                if (!is_same(ouro_self(), self) || is_same(self, *(ouro_task *)other))
                        return -EIO;
                ouro_yield();
        }
        return 0;
}

RUN_VIRTUAL(asyncio_tasks, the_running_one_is_told_right_while_several_take_turns)
{
        ouro_task tasks[2] = {OURO_NO_TASK, OURO_NO_TASK};

        tasks[0] = ouro_create_task(checks_whose_turn_it_is, &tasks[1]);
        tasks[1] = ouro_create_task(checks_whose_turn_it_is, &tasks[0]);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
}

static intptr_t fails(void *error)
{
        ouro_yield();
        return -(intptr_t)error;
}

RUN_VIRTUAL(asyncio_tasks, a_failure_goes_to_who_awaits_and_is_not_told_twice)
{
        catch_log();
        cr_assert_eq(ouro_await(ouro_create_task(fails, as_arg(EBADMSG))), -EBADMSG);
        cr_assert_eq(logged(), 0);
        OURO_GROUP_KEEP_GOING(group)
                ouro_create_task_in(group, fails, as_arg(EBADMSG));
        cr_assert_eq(logged(), 0, "the group was told");
}

static intptr_t leaves_a_failure(void *unused)
{
        ouro_create_task(fails, as_arg(EBADMSG));
        ouro_sleep(1);
        return (intptr_t)unused;
}

Test(asyncio_tasks, a_failure_that_nobody_asks_for_is_told_once_and_a_cancellation_is_none)
{
        catch_log();
        cr_assert_eq(ouro_run(leaves_a_failure, NULL), 0);
        cr_assert_eq(logged(), 1);
}

static intptr_t leaves_one_waiting(void *unused)
{
        ouro_create_task(waits_for_ever, unused);
        return 0;
}

Test(asyncio_tasks, one_that_is_still_waiting_at_the_end_is_ended_without_a_word)
{
        catch_log();
        cr_assert_eq(ouro_run(leaves_one_waiting, NULL), 0);
        cr_assert_eq(logged(), 0);
}

/* ---- cancelling ---- */

RUN_VIRTUAL(asyncio_tasks, cancelled_while_it_sleeps_it_ends_at_once)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(10000));

        ouro_sleep(OURO_MS(100));
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

static intptr_t notes_begin_and_end(void *unused)
{
        (void)unused;
        note('b');
        if (ouro_yield() < 0)
                note('c');
        return 7;
}

RUN_VIRTUAL(asyncio_tasks, cancelled_before_it_begins_it_begins_all_the_same)
{
        ouro_task task = ouro_create_task(notes_begin_and_end, NULL);

        ouro_cancel_with(task, "too late");
        cr_assert_eq(ouro_await(task), 7, "it owns its argument: it must see to it");
        cr_assert_str_eq(noted(), "bc");
}

RUN_VIRTUAL(asyncio_tasks, a_cancellations_text_can_be_read_and_the_first_one_stays)
{
        struct ouro_cancellation info = {.size = sizeof info};
        ouro_task task = ouro_create_task(waits_for_ever, NULL);

        ouro_yield();
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_cancel_with(task, "bye"), 0);
        cr_assert_eq(ouro_cancel_with(task, "again"), 0);
        cr_assert_eq(ouro_cancel_info(task, &info), 0);
        cr_assert_eq(info.reason, OURO_CANCEL_ASKED);
        cr_assert_str_eq(info.text, "bye");
        cr_assert(is_same(info.origin, ouro_self()));
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

RUN_VIRTUAL(asyncio_tasks, an_ended_one_keeps_its_result_when_it_is_cancelled)
{
        ouro_task task = ouro_create_task(gives, as_arg(5));

        ouro_wait(task);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancelled(task), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_await(task), 5);
        cr_assert_eq(ouro_cancel(task), -ESRCH);
}

RUN_VIRTUAL(asyncio_tasks, who_awaits_one_that_is_cancelled_is_told_so_and_is_not_cancelled_itself)
{
        ouro_task inner = ouro_create_task(waits_for_ever, NULL);

        ouro_yield();
        ouro_cancel(inner);
        cr_assert_eq(ouro_await(inner), -ECANCELED);
        cr_assert_eq(ouro_cancelled(ouro_self()), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_yield(), 0);
}

static intptr_t awaits(void *task)
{
        return ouro_await(*(ouro_task *)task);
}

RUN_VIRTUAL(asyncio_tasks, cancelled_while_it_awaits_another_it_ends_and_the_other_goes_on)
{
        ouro_task inner = ouro_create_task(sleeps_ms, as_arg(5)), outer = ouro_create_task(awaits, &inner);

        ouro_yield();
        ouro_cancel(outer);
        cr_assert_eq(ouro_await(outer), -ECANCELED);
        cr_assert_eq(ouro_task_state(inner), OURO_STATE_WAITING);
        cr_assert_eq(ouro_await(inner), 0);
}

RUN_VIRTUAL(asyncio_tasks, both_it_and_the_one_it_awaits_cancelled_at_once_end_cancelled)
{
        ouro_task inner = ouro_create_task(waits_for_ever, NULL), outer = ouro_create_task(awaits, &inner);

        ouro_yield();
        ouro_cancel(inner);
        ouro_cancel(outer);
        cr_assert_eq(ouro_await(outer), -ECANCELED);
        cr_assert_eq(ouro_await(inner), -ECANCELED);
}

RUN_VIRTUAL(asyncio_tasks, one_that_catches_its_cancellation_returns_what_it_likes)
{
        ouro_task task = ouro_create_task(gives_when_cut, as_arg(42));

        ouro_yield();
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), 42);
}

static intptr_t tries_to_go_on(void *unused)
{
        int cuts = 0;

        (void)unused;
        for (int i = 0; i < 3; i++)
                cuts += ouro_sleep(OURO_MS(10)) == -ECANCELED;
        return cuts;
}

RUN_VIRTUAL(asyncio_tasks, one_that_ignores_its_cancellation_finds_each_later_wait_cancelled_too)
{
        ouro_task task = ouro_create_task(tries_to_go_on, NULL);

        ouro_sleep(OURO_MS(5));
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), 3);
        cr_assert_eq(ouro_now(), OURO_MS(5));
}

static intptr_t cancels_itself_and_waits(void *inner)
{
        if (ouro_cancel(ouro_self()) < 0)
                return 1;
        note('a'); /* no exception: it goes on up to its next wait */
        return ouro_await(*(ouro_task *)inner);
}

static intptr_t cancels_itself_and_returns(void *unused)
{
        (void)unused;
        ouro_cancel(ouro_self());
        return 42;
}

RUN_VIRTUAL(asyncio_tasks, one_that_cancels_itself_is_cut_at_its_next_wait_if_there_is_one)
{
        ouro_task inner = ouro_create_task(sleeps_ms, as_arg(1));

        cr_assert_eq(ouro_await(ouro_create_task(cancels_itself_and_waits, &inner)), -ECANCELED);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_await(inner), 0);
        cr_assert_eq(ouro_await(ouro_create_task(cancels_itself_and_returns, NULL)), 42);
}

static intptr_t waits_for_event(void *event)
{
        return ouro_event_wait(event);
}

RUN_VIRTUAL(asyncio_tasks, what_has_been_handed_over_is_not_taken_back_by_a_later_cancellation)
{
        struct ouro_event event = OURO_EVENT_INIT;
        ouro_task task = ouro_create_task(waits_for_event, &event);

        ouro_yield();
        ouro_event_set(&event); /* it will run with that */
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), 0);
}

static intptr_t fails_while_it_is_cut(void *unused)
{
        (void)unused;
        return ouro_sleep(OURO_SEC(1)) == -ECANCELED ? -EBADMSG : 0;
}

RUN_VIRTUAL(asyncio_tasks, a_failure_during_the_cancellation_is_the_result)
{
        ouro_task task = ouro_create_task(fails_while_it_is_cut, NULL);

        ouro_yield();
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), -EBADMSG);
}

/* What asyncio says by uncancel(): a cancellation that was meant for a block is over when the block is. */
static intptr_t ends_a_block(void *ret_inside)
{
        bool expired;

        OURO_TIMEOUT(OURO_MS(1), &expired)
                *(int *)ret_inside = ouro_sleep(OURO_SEC(1));
        return expired ? ouro_sleep(OURO_MS(1)) : 1;
}

static intptr_t ends_a_block_in_which_it_was_cancelled(void *ret_inside)
{
        OURO_TIMEOUT(OURO_SEC(1))
                *(int *)ret_inside = ouro_sleep(OURO_FOREVER);
        return ouro_sleep(OURO_MS(1));
}

RUN_VIRTUAL(asyncio_tasks, a_blocks_own_cut_is_over_after_it_and_the_tasks_cancellation_is_not)
{
        int inside = 0;
        ouro_task task = ouro_create_task(ends_a_block, &inside);

        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(inside, -ETIME);
        task = ouro_create_task(ends_a_block_in_which_it_was_cancelled, &inside);
        ouro_yield();
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(inside, -ECANCELED);
}

/* ---- from other threads ---- */

struct asked {
        ouro_loop *loop;
        ouro_fn *fn;
        ouro_task task; /* set by that */
        struct ouro_event began;
        intptr_t a, b, answer;
};

static intptr_t adds(void *arg)
{
        struct asked *asked = arg;
        int cut;

        asked->task = ouro_self();
        ouro_event_set(&asked->began);
        cut = ouro_sleep(OURO_MS(1));
        return cut < 0 ? cut : asked->a + asked->b;
}

static intptr_t fails_to_add(void *arg)
{
        intptr_t sum = adds(arg);

        return sum < 0 ? sum : -EBADMSG;
}

static intptr_t adds_within_no_time(void *arg)
{
        intptr_t sum = -EIO;

        OURO_TIMEOUT(OURO_US(1))
                sum = adds(arg);
        return sum;
}

static void *asks(void *arg)
{
        struct asked *asked = arg;

        asked->answer = ouro_run_on(asked->loop, asked->fn, asked);
        return NULL;
}

/* What a thread is told that asks this loop; cancel: the task is cancelled here, by its handle. */
static intptr_t answer_to(ouro_fn *fn, bool cancel)
{
        struct asked asked = {.loop = ouro_this_loop(), .fn = fn, .a = 1, .b = 2};
        pthread_t thread;

        pthread_create(&thread, NULL, asks, &asked);
        cr_assert_eq(ouro_event_wait(&asked.began), 0);
        if (cancel)
                cr_assert_eq(ouro_cancel(asked.task), 0);
        while (ouro_task_state(asked.task) != -ESRCH)
                cr_assert_eq(ouro_yield(), 0);
        pthread_join(thread, NULL);
        return asked.answer;
}

RUN(asyncio_threadsafe, a_task_made_by_another_thread_runs_here_and_its_result_goes_there)
{
        cr_assert_eq(answer_to(adds, false), 3);
}

RUN(asyncio_threadsafe, its_failure_goes_there_too_and_is_told_to_nobody_else)
{
        catch_log();
        cr_assert_eq(answer_to(fails_to_add, false), -EBADMSG);
        cr_assert_eq(logged(), 0);
}

RUN(asyncio_threadsafe, its_deadline_is_kept_here)
{
        cr_assert_eq(answer_to(adds_within_no_time, false), -ETIME);
}

RUN(asyncio_threadsafe, one_that_is_cancelled_here_says_so_there)
{
        cr_assert_eq(answer_to(adds, true), -ECANCELED);
}

static void *asks_for_nothing(void *loop)
{
        return (void *)(intptr_t)(ouro_run_on(loop, NULL, NULL) == -EINVAL &&
                                  ouro_run_on(NULL, gives, NULL) == -EINVAL);
}

RUN(asyncio_threadsafe, what_cannot_be_run_is_refused_at_once)
{
        pthread_t thread;
        void *refused;

        pthread_create(&thread, NULL, asks_for_nothing, ouro_this_loop());
        pthread_join(thread, &refused);
        cr_assert_not_null(refused);
}
