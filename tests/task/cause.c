/* Of lib/task/cause.c: whoever asks is told why a task was cancelled, by whom, and in whose words. */
#include "support/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(cause, .init = leaks_begin, .fini = leaks_end);

static bool same(ouro_task a, ouro_task b)
{
        return a.slot == b.slot && a.generation == b.generation;
}

static struct ouro_cancellation info_of(ouro_task task)
{
        struct ouro_cancellation info = OURO_CANCELLATION_INIT;

        cr_assert_eq(ouro_cancel_info(task, &info), 0);
        cr_assert_eq(info.size, sizeof info);
        return info;
}

static void is_told(ouro_task task, enum ouro_reason reason, const char *text, ouro_task origin)
{
        struct ouro_cancellation info = info_of(task);

        cr_assert_eq(info.reason, reason, "reason %d, not %d", info.reason, reason);
        cr_assert_eq(info.text, text, "text %s", info.text ? info.text : "(none)");
        cr_assert(same(info.origin, origin), "origin %lu, not %lu", (unsigned long)info.origin.slot,
                  (unsigned long)origin.slot);
}

static const char text[] = "the user went away";

/* What a task that was cut short knew about it. */
static struct ouro_cancellation seen;

static intptr_t looks_when_cut(void *unused)
{
        int cut = ouro_sleep(OURO_FOREVER);

        (void)unused;
        seen = info_of(ouro_self());
        return cut;
}

static void was_seen(enum ouro_reason reason, const char *wanted, ouro_task origin)
{
        cr_assert_eq(seen.reason, reason, "reason %d, not %d", seen.reason, reason);
        cr_assert_eq(seen.text, wanted);
        cr_assert(same(seen.origin, origin));
        seen = (struct ouro_cancellation){0};
}

/* ---- a task by itself ---- */

RUN(cause, of_one_that_is_not_cancelled_is_none)
{
        ouro_task task = ouro_create_task(gives, as_arg(1));

        is_told(ouro_self(), OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
        is_told(task, OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
        cr_assert_eq(ouro_wait(task), 0);
        is_told(task, OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
        is_told(ouro_create_task_named(NULL, NULL, ""), OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
}

RUN(cause, of_one_that_was_asked_to_end_is_who_asked_and_the_text)
{
        ouro_task task = ouro_create_task(looks_when_cut, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel_with(task, text), 0);
        is_told(task, OURO_CANCEL_ASKED, text, ouro_self());
        cr_assert_eq(ouro_wait(task), 0);
        was_seen(OURO_CANCEL_ASKED, text, ouro_self());
        is_told(task, OURO_CANCEL_ASKED, text, ouro_self());
        cr_assert_str_eq(ouro_task_name(task), "looks_when_cut");
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

RUN(cause, first_one_stays)
{
        ouro_task task = ouro_create_task(waits_for_ever, NULL);

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancel_with(task, text), 0);
        is_told(task, OURO_CANCEL_ASKED, NULL, ouro_self());
        OURO_GROUP(g) {
                task = ouro_create_task(waits_for_ever, NULL);
                cr_assert_eq(ouro_cancel_with(task, text), 0);
                cr_assert_eq(ouro_group_cancel_with(g, "later"), 0);
                is_told(task, OURO_CANCEL_ASKED, text, ouro_self());
        }
        OURO_GROUP(g) {
                task = ouro_create_task(waits_for_ever, NULL);
                cr_assert_eq(ouro_group_cancel_with(g, text), 0);
                cr_assert_eq(ouro_cancel_with(task, "later"), 0);
                cr_assert_eq(ouro_group_cancel_with(g, "later"), 0);
                is_told(task, OURO_CANCEL_ASKED, text, ouro_self());
        }
}

static intptr_t cancels_itself(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_cancel_with(ouro_self(), text), 0);
        is_told(ouro_self(), OURO_CANCEL_ASKED, text, ouro_self());
        return ouro_yield();
}

RUN(cause, of_one_that_asked_itself_is_itself)
{
        cr_assert_eq(ouro_await(ouro_create_task(cancels_itself, NULL)), -ECANCELED);
}

RUN(cause, of_one_that_ended_before_is_none)
{
        ouro_task task = ouro_create_task(gives, as_arg(1));

        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_cancel_with(task, text), 0);
        is_told(task, OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
}

static intptr_t gathers(void *unused)
{
        ouro_task task = ouro_create_task(looks_when_cut, NULL);

        (void)unused;
        return ouro_gather(&task, 1, NULL);
}

RUN_VIRTUAL(cause, of_what_a_gather_or_a_wait_for_gave_up_is_its_caller)
{
        ouro_task gatherer = ouro_create_task(gathers, NULL);
        ouro_task slow;

        cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(ouro_cancel(gatherer), 0);
        cr_assert_eq(ouro_wait(gatherer), 0);
        was_seen(OURO_CANCEL_ASKED, NULL, gatherer);
        slow = ouro_create_task(looks_when_cut, NULL);
        cr_assert_eq(ouro_wait_for(slow, 1), -ETIME);
        was_seen(OURO_CANCEL_ASKED, NULL, ouro_self());
}

/* ---- with its group ---- */

RUN(cause, of_members_of_a_cancelled_group_is_who_asked)
{
        OURO_GROUP(g) {
                ouro_task early = ouro_create_task(waits_for_ever, NULL), late;

                cr_assert_eq(ouro_group_cancel_with(g, text), 0);
                late = ouro_create_task(waits_for_ever, NULL);
                is_told(early, OURO_CANCEL_ASKED, text, ouro_self());
                is_told(late, OURO_CANCEL_ASKED, text, ouro_self());
                is_told(ouro_self(), OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
                cr_assert_eq(ouro_wait(early), 0);
                is_told(early, OURO_CANCEL_ASKED, text, ouro_self());
        }
}

RUN(cause, of_siblings_is_the_member_that_failed)
{
        OURO_GROUP(g) {
                ouro_task sibling = ouro_create_task(looks_when_cut, NULL);
                ouro_task failed = ouro_create_task(gives, as_arg(-EIO));

                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                is_told(sibling, OURO_CANCEL_SIBLING, NULL, failed);
                is_told(ouro_self(), OURO_CANCEL_SIBLING, NULL, failed);
                OURO_SHIELD
                {
                        is_told(ouro_self(), OURO_CANCEL_SIBLING, NULL, failed);
                        cr_assert_eq(ouro_wait(sibling), 0);
                        was_seen(OURO_CANCEL_SIBLING, NULL, failed);
                }
                is_told(failed, OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
        }
        is_told(ouro_self(), OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
}

RUN(cause, of_those_not_needed_is_the_member_that_was_enough)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;

        options.successes = 1;
        OURO_GROUP_WITH(g, &options) {
                ouro_task slow = ouro_create_task(waits_for_ever, NULL);
                ouro_task fast = ouro_create_task(gives, as_arg(1));

                cr_assert_eq(ouro_sleep(OURO_FOREVER), -ECANCELED);
                is_told(slow, OURO_CANCEL_ENOUGH, NULL, fast);
                is_told(ouro_self(), OURO_CANCEL_ENOUGH, NULL, fast);
        }
}

static void leaves_early(void)
{
        OURO_GROUP(g) {
                ouro_create_task(looks_when_cut, NULL);
                cr_assert_eq(ouro_yield(), 0);
                return;
        }
}

RUN(cause, of_members_of_a_group_that_was_left_is_the_owner)
{
        leaves_early();
        was_seen(OURO_CANCEL_LEFT, NULL, ouro_self());
}

RUN_VIRTUAL(cause, of_members_cut_by_time_is_the_scopes_owner)
{
        OURO_TIMEOUT(OURO_MS(1)) {
                OURO_GROUP(g) {
                        ouro_create_task(looks_when_cut, NULL);
                        cr_assert_eq(ouro_sleep(OURO_FOREVER), -ETIME);
                        is_told(ouro_self(), OURO_CANCEL_TIME, NULL, ouro_self());
                }
                was_seen(OURO_CANCEL_TIME, NULL, ouro_self());
                OURO_GROUP(g)
                        ouro_create_task(looks_when_cut, NULL);
                was_seen(OURO_CANCEL_TIME, NULL, ouro_self());
        }
}

RUN_VIRTUAL(cause, of_what_a_cancelled_scope_cuts_is_who_cancelled_it)
{
        OURO_SCOPE(s, OURO_FOREVER) {
                cr_assert_eq(ouro_scope_cancel_with(s, text), 0);
                is_told(ouro_self(), OURO_CANCEL_ASKED, text, ouro_self());
                OURO_GROUP(g)
                        ouro_create_task(looks_when_cut, NULL);
                was_seen(OURO_CANCEL_LEFT, text, ouro_self());
        }
        is_told(ouro_self(), OURO_NOT_CANCELLED, NULL, OURO_NO_TASK);
}

/* ---- passed on ---- */

static intptr_t nests(void *depth)
{
        if ((intptr_t)depth == 0)
                return looks_when_cut(NULL);
        OURO_GROUP(outer)
                OURO_GROUP(inner)
                        ouro_create_task(nests, as_arg((intptr_t)depth - 1));
        return 0;
}

static void starts(ouro_task *ret_task, struct ouro_group *group)
{
        *ret_task = ouro_create_task_in(group, nests, as_arg(3));
        for (int i = 0; i < 5; i++)
                cr_assert_eq(ouro_yield(), 0);
}

RUN(cause, text_and_origin_go_down_through_nested_groups)
{
        ouro_task task;

        OURO_GROUP(g) {
                starts(&task, g);
                cr_assert_eq(ouro_cancel_with(task, text), 0);
        }
        was_seen(OURO_CANCEL_LEFT, text, ouro_self());
        OURO_GROUP(g) {
                starts(&task, g);
                cr_assert_eq(ouro_group_cancel_with(g, text), 0);
        }
        was_seen(OURO_CANCEL_LEFT, text, ouro_self());
        OURO_GROUP(g) {
                starts(&task, g);
                task = ouro_create_task(gives, as_arg(-EIO));
        }
        was_seen(OURO_CANCEL_LEFT, NULL, task);
}

static intptr_t opens_a_group_after_it_was_cancelled(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_yield(), -ECANCELED);
        OURO_GROUP(g)
                ouro_create_task(looks_when_cut, NULL);
        return 0;
}

RUN(cause, goes_down_into_groups_opened_later)
{
        ouro_task task = ouro_create_task(opens_a_group_after_it_was_cancelled, NULL);

        cr_assert_eq(ouro_cancel_with(task, text), 0);
        cr_assert_eq(ouro_await(task), 0);
        was_seen(OURO_CANCEL_LEFT, text, ouro_self());
}

static ouro_task main_task;

static intptr_t tells_its_handle(void *unused)
{
        (void)unused;
        main_task = ouro_self();
        ouro_create_task(looks_when_cut, NULL);
        return ouro_yield();
}

Test(cause, of_what_is_left_at_the_end_is_the_main_task)
{
        cr_assert_eq(ouro_run(tells_its_handle, NULL), 0);
        was_seen(OURO_CANCEL_END, NULL, main_task);
}

/* ---- without memory, and misuse ---- */

static size_t left; /* allocations that succeed */

static void *allocates_some(size_t bytes, void *unused)
{
        (void)unused;
        return left > 0 && left-- ? malloc(bytes) : NULL;
}

static void gives_back(void *ptr, size_t bytes, void *unused)
{
        (void)bytes;
        (void)unused;
        free(ptr);
}

static intptr_t cancels_when_memory_is_short(void *unused)
{
        ouro_task task = ouro_create_task(looks_when_cut, NULL);

        (void)unused;
        cr_assert_eq(ouro_yield(), 0);
        left = 0;
        cr_assert_eq(ouro_cancel_with(task, text), 0);
        left = SIZE_MAX;
        cr_assert_eq(ouro_await(task), -ECANCELED);
        return 0;
}

Test(cause, is_missing_without_memory_and_the_cancellation_acts)
{
        const struct ouro_allocator some = {.allocate = allocates_some, .release = gives_back};

        left = SIZE_MAX;
        cr_assert_eq(ouro_set_allocator(&some), 0);
        cr_assert_eq(ouro_run(cancels_when_memory_is_short, NULL), 0);
        was_seen(OURO_CANCEL_ASKED, NULL, OURO_NO_TASK);
        cr_assert_eq(ouro_set_allocator(NULL), 0);
}

RUN(cause, asked_wrongly_is_refused)
{
        struct ouro_cancellation info = {0};
        ouro_task task = ouro_create_task(gives, NULL);

        cr_assert_eq(ouro_cancel_info(ouro_self(), NULL), -EINVAL);
        cr_assert_eq(ouro_cancel_info(ouro_self(), &info), -EINVAL);
        info.size = SIZE_MAX;
        cr_assert_eq(ouro_cancel_info(ouro_self(), &info), -EINVAL);
        info.size = sizeof info;
        info.reason = OURO_CANCEL_END;
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_cancel_info(task, &info), -ESRCH);
        cr_assert_eq(info.reason, OURO_CANCEL_END, "it is untouched on failure");
        cr_assert_eq(ouro_cancel_with(task, text), -ESRCH);
        cr_assert_eq(ouro_group_cancel_with(NULL, text), -EINVAL);
}

RUN(cause, is_told_to_programs_of_other_versions)
{
        struct {
                struct ouro_cancellation info;
                char more[16];
        } newer;
        struct ouro_cancellation older = {.text = text};

        memset(&newer, 'x', sizeof newer);
        newer.info.size = sizeof newer;
        cr_assert_eq(ouro_cancel_info(ouro_self(), &newer.info), 0);
        cr_assert_eq(newer.info.reason, OURO_NOT_CANCELLED);
        cr_assert_eq(newer.info.size, sizeof newer);
        for (size_t i = 0; i < sizeof newer.more; i++)
                cr_assert_eq(newer.more[i], 0);
        older.size = offsetof(struct ouro_cancellation, text);
        cr_assert_eq(ouro_cancel_info(ouro_self(), &older), 0);
        cr_assert_eq(older.text, text, "it is beyond what the caller knows");
}

Test(cause, outside_a_run_is_not_told)
{
        struct ouro_cancellation info = OURO_CANCELLATION_INIT;
        struct ouro_group group;

        cr_assert_eq(ouro_cancel_info(OURO_NO_TASK, &info), -EPERM);
        cr_assert_eq(ouro_cancel_with(OURO_NO_TASK, text), -EPERM);
        cr_assert_eq(ouro_group_cancel_with(ouro_group_open(&group, 0, NULL), text), -EPERM);
}
