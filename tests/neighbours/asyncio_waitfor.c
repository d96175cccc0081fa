/* What CPython's tests of asyncio.wait_for demand. The table is in README.md. */
#include <errno.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(asyncio_waitfor, .init = leaks_begin, .fini = leaks_end);

static intptr_t gives_ms(void *ms)
{
        int cut = ouro_sleep(OURO_MS((intptr_t)ms));

        note(cut < 0 ? 'c' : 'e');
        return cut < 0 ? cut : (intptr_t)ms;
}

struct waiting {
        ouro_task task;
        int64_t ns;
        int after; /* what the next wait returned */
};

static intptr_t waits_for(void *arg)
{
        struct waiting *waiting = arg;
        intptr_t result = ouro_wait_for(waiting->task, waiting->ns);

        waiting->after = ouro_yield();
        return result;
}

RUN_VIRTUAL(asyncio_waitfor, one_that_is_cancelled_by_somebody_says_so_and_not_that_time_is_up)
{
        ouro_task task = ouro_create_task(waits_for_ever, NULL);

        ouro_yield();
        ouro_cancel(task);
        cr_assert_eq(ouro_wait_for(task, OURO_SEC(1)), -ECANCELED);
        cr_assert_eq(ouro_now(), 0);
        cr_assert_eq(ouro_yield(), 0, "that was the task's, not ours");
}

RUN_VIRTUAL(asyncio_waitfor, at_the_deadline_the_task_is_cancelled_and_has_ended)
{
        ouro_task task = ouro_create_task(gives_ms, as_arg(200));

        cr_assert_eq(ouro_wait_for(task, OURO_MS(100)), -ETIME);
        cr_assert_eq(ouro_now(), OURO_MS(100));
        cr_assert_str_eq(noted(), "c");
        cr_assert_eq(ouro_wait(task), -ESRCH, "it was consumed");
}

RUN_VIRTUAL(asyncio_waitfor, no_time_at_all_takes_a_result_that_is_there)
{
        static const int64_t none[] = {0, -1, INT64_MIN};

        for (int i = 0; i < 3; i++) {
                ouro_task task = ouro_create_task(gives, as_arg(5));

                ouro_wait(task);
                cr_assert_eq(ouro_wait_for(task, none[i]), 5);
        }
}

RUN_VIRTUAL(asyncio_waitfor, no_time_at_all_cancels_what_has_not_begun_and_it_begins_cancelled)
{
        static const int64_t none[] = {0, -1};

        for (int i = 0; i < 2; i++) {
                cr_assert_eq(ouro_wait_for(ouro_create_task(gives_ms, as_arg(10)), none[i]), -ETIME);
                cr_assert_str_eq(noted(), "c", "it may own its argument");
        }
        cr_assert_eq(ouro_now(), 0);
}

RUN_VIRTUAL(asyncio_waitfor, no_time_at_all_cancels_what_is_under_way)
{
        ouro_task task = ouro_create_task(gives_ms, as_arg(200));

        ouro_sleep(OURO_MS(100));
        cr_assert_eq(ouro_wait_for(task, 0), -ETIME);
        cr_assert_eq(ouro_now(), OURO_MS(100));
        cr_assert_str_eq(noted(), "c");
}

RUN_VIRTUAL(asyncio_waitfor, a_result_in_time_is_given_whatever_the_bound)
{
        static const int64_t bounds[] = {OURO_MS(100), OURO_SEC(3600), OURO_FOREVER};

        for (int i = 0; i < 3; i++) {
                int64_t began = ouro_now();

                cr_assert_eq(ouro_wait_for(ouro_create_task(gives_ms, as_arg(50)), bounds[i]), 50);
                cr_assert_eq(ouro_now() - began, OURO_MS(50));
                cr_assert_str_eq(noted(), "e");
        }
}

RUN_VIRTUAL(asyncio_waitfor, without_a_bound_it_waits_as_long_as_it_takes)
{
        cr_assert_eq(ouro_wait_for(ouro_create_task(gives_later, as_arg(3)), OURO_FOREVER), 3);
}

static intptr_t waits_for_event(void *event)
{
        return ouro_event_wait(event);
}

static intptr_t sets_later(void *event)
{
        int cut = ouro_sleep(OURO_MS(100));

        return cut < 0 ? cut : ouro_event_set(event);
}

RUN_VIRTUAL(asyncio_waitfor, what_another_task_brings_before_the_deadline_is_given)
{
        struct ouro_event event = OURO_EVENT_INIT;

        ouro_go(sets_later, &event);
        cr_assert_eq(ouro_wait_for(ouro_create_task(waits_for_event, &event), OURO_MS(200)), 0);
        cr_assert_eq(ouro_now(), OURO_MS(100));
}

RUN_VIRTUAL(asyncio_waitfor, f08_f09_what_comes_in_the_tick_of_the_deadline_has_one_winner)
{
        struct ouro_event event = OURO_EVENT_INIT;
        intptr_t result;

        ouro_go(sets_later, &event);
        result = ouro_wait_for(ouro_create_task(waits_for_event, &event), OURO_MS(100));
        cr_assert(result == 0 || result == -ETIME, "%jd", (intmax_t)result);
        cr_assert_eq(ouro_now(), OURO_MS(100));
        cr_assert_eq(ouro_yield(), 0);
        cr_assert(event.is_set);
}

RUN_VIRTUAL(asyncio_waitfor, a_task_that_returns_a_value_although_it_was_cancelled_has_succeeded)
{
        cr_assert_eq(ouro_wait_for(ouro_create_task(gives_when_cut, as_arg(1)), OURO_MS(10)), 1);
        cr_assert_eq(ouro_now(), OURO_MS(10));
}

static intptr_t cleans_up(void *ms)
{
        int cut = ouro_sleep(OURO_SEC(10));

        OURO_SHIELD
        ouro_sleep(OURO_MS((intptr_t)ms));
        note('d');
        return cut;
}

RUN_VIRTUAL(asyncio_waitfor, the_tasks_clean_up_is_waited_for)
{
        cr_assert_eq(ouro_wait_for(ouro_create_task(cleans_up, as_arg(50)), OURO_MS(10)), -ETIME);
        cr_assert_str_eq(noted(), "d");
        cr_assert_eq(ouro_now(), OURO_MS(60));
}

RUN_VIRTUAL(asyncio_waitfor, the_tasks_clean_up_is_waited_for_also_with_no_time_at_all)
{
        ouro_task task = ouro_create_task(cleans_up, as_arg(50));

        ouro_sleep(OURO_MS(10));
        cr_assert_eq(ouro_wait_for(task, 0), -ETIME);
        cr_assert_str_eq(noted(), "d");
        cr_assert_eq(ouro_now(), OURO_MS(60));
}

static intptr_t fails_in_its_clean_up(void *error)
{
        return ouro_sleep(OURO_MS(200)) == -ECANCELED ? -(intptr_t)error : 0;
}

RUN_VIRTUAL(asyncio_waitfor, an_error_of_the_clean_up_is_told_instead_of_the_deadline)
{
        cr_assert_eq(ouro_wait_for(ouro_create_task(fails_in_its_clean_up, as_arg(EBADMSG)), OURO_MS(100)),
                     -EBADMSG);
}

static intptr_t holds_up_its_end(void *value)
{
        int cut = ouro_sleep(OURO_SEC(10));

        OURO_SHIELD
        ouro_sleep(OURO_MS(300));
        return cut == -ECANCELED ? (intptr_t)value : 1;
}

RUN_VIRTUAL(asyncio_waitfor, cancelled_while_it_waits_for_the_clean_up_it_still_hands_the_result_over_first)
{
        struct waiting waiting = {ouro_create_task(holds_up_its_end, as_arg(42)), OURO_MS(100), 0};
        ouro_task task = ouro_create_task(waits_for, &waiting);

        ouro_sleep(OURO_MS(200));
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), 42);
        cr_assert_eq(ouro_now(), OURO_MS(400));
        cr_assert_eq(waiting.after, -ECANCELED, "and then tells of the cancellation");
}

static void cancel_a_wait(int64_t ns)
{
        struct waiting waiting = {ouro_create_task(gives_ms, as_arg(600000)), ns, 0};
        ouro_task task = ouro_create_task(waits_for, &waiting);
        int64_t began = ouro_now();

        ouro_yield();
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_now(), began);
        cr_assert_str_eq(noted(), "c", "what it waited for is cancelled with it");
        cr_assert_eq(ouro_wait(waiting.task), -ESRCH);
}

RUN_VIRTUAL(asyncio_waitfor, cancelled_it_cancels_the_task_too_with_a_bound_and_without)
{
        cancel_a_wait(OURO_FOREVER);
        cancel_a_wait(OURO_SEC(60));
}

RUN_VIRTUAL(asyncio_waitfor, of_what_is_no_task_is_refused_and_the_deadline_does_not_matter)
{
        ouro_task stale = ouro_create_task(gives, NULL);

        ouro_await(stale);
        cr_assert_eq(ouro_wait_for(stale, OURO_SEC(1)), -ESRCH);
        cr_assert_eq(ouro_wait_for(ouro_self(), OURO_SEC(1)), -EDEADLK);
        cr_assert_eq(ouro_now(), 0);
}
