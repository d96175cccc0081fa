/* Task-locals: who sees which value, and when a value is dropped. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(local, .init = leaks_begin, .fini = leaks_end);

/* Values are letters: noted when they are dropped. */
static void note_dropped(void *letter)
{
        note(*(const char *)letter);
}

static char a[] = "a", b[] = "b", c[] = "c";
static const struct ouro_local one = OURO_LOCAL_INIT("one", note_dropped);
static const struct ouro_local two = OURO_LOCAL_INIT("two", note_dropped);
static const struct ouro_local plain = OURO_LOCAL_INIT("without drop", NULL);

static void set(const struct ouro_local *key, void *value)
{
        cr_assert_eq(ouro_local_set(key, value), 0);
}

/* Gives what it sees under a key. */
static intptr_t sees(void *key)
{
        return (intptr_t)ouro_local_get(key);
}

static char *seen_by_child(const struct ouro_local *key)
{
        return (char *)ouro_await(ouro_create_task(sees, (void *)(uintptr_t)key));
}

/* ---- who sees what ---- */

RUN(local, nothing_is_there_at_first)
{
        cr_assert_null(ouro_local_get(&one));
        cr_assert_null(seen_by_child(&one));
        cr_assert_eq(ouro_local_unset(&one), 0);
}

RUN(local, whoever_is_created_has_its_creators_values)
{
        set(&one, a);
        set(&two, b);
        cr_assert_eq(ouro_local_get(&one), a);
        cr_assert_eq(seen_by_child(&one), a);
        cr_assert_eq(seen_by_child(&two), b);
        cr_assert_null(seen_by_child(&plain));
}

static intptr_t sees_in_a_child(void *key)
{
        return (intptr_t)seen_by_child(key);
}

RUN(local, grandchildren_have_them_too)
{
        set(&one, a);
        cr_assert_eq(ouro_await(ouro_create_task(sees_in_a_child, (void *)(uintptr_t)&one)), (intptr_t)a);
}

static intptr_t sets_b(void *unused)
{
        (void)unused;
        set(&one, b);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_local_get(&one), b);
        cr_assert_eq(seen_by_child(&one), b);
        return 0;
}

RUN(local, what_a_child_sets_is_not_seen_by_parent_or_siblings)
{
        ouro_task child, sibling;

        set(&one, a);
        child = ouro_create_task(sets_b, NULL);
        sibling = ouro_create_task(sees, (void *)(uintptr_t)&one);
        cr_assert_eq(ouro_await(sibling), (intptr_t)a);
        cr_assert_eq(ouro_await(child), 0);
        cr_assert_eq(ouro_local_get(&one), a);
        cr_assert_eq(seen_by_child(&one), a);
}

RUN(local, what_a_parent_sets_later_is_not_seen_by_its_children)
{
        ouro_task child, later;

        set(&one, a);
        child = ouro_create_task(sees, (void *)(uintptr_t)&one);
        set(&one, b);
        later = ouro_create_task(sees, (void *)(uintptr_t)&one);
        cr_assert_eq(ouro_await(child), (intptr_t)a);
        cr_assert_eq(ouro_await(later), (intptr_t)b);
}

RUN(local, unset_it_is_gone_here_and_not_elsewhere)
{
        ouro_task child;

        set(&one, a);
        set(&two, b);
        child = ouro_create_task(sees, (void *)(uintptr_t)&one);
        cr_assert_eq(ouro_local_unset(&one), 0);
        cr_assert_null(ouro_local_get(&one));
        cr_assert_eq(ouro_local_get(&two), b);
        cr_assert_null(seen_by_child(&one));
        cr_assert_eq(ouro_await(child), (intptr_t)a);
}

static intptr_t seen_by_detached = -1;

static intptr_t looks(void *unused)
{
        (void)unused;
        seen_by_detached = (intptr_t)ouro_local_get(&one);
        return 0;
}

RUN(local, detached_tasks_and_tasks_with_options_inherit_too)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        set(&one, a);
        cr_assert_eq(ouro_go(looks, NULL), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(seen_by_detached, (intptr_t)a);
        options.name = "named";
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, sees, (void *)(uintptr_t)&one)), (intptr_t)a);
}

static intptr_t creates_in(void *group)
{
        ouro_task task;

        set(&one, b);
        task = ouro_create_task_in((struct ouro_group *)group, sees, (void *)(uintptr_t)&one);
        return ouro_await(task);
}

RUN(local, in_anothers_group_the_creator_counts_and_not_the_owner)
{
        set(&one, a);
        OURO_GROUP(g) {
                cr_assert_eq(ouro_await(ouro_create_task(creates_in, g)), (intptr_t)b);
        }
}

static intptr_t sees_after_long(void *key)
{
        cr_assert_eq(ouro_sleep(OURO_SEC(10)), 0);
        return sees(key);
}

RUN_VIRTUAL(local, they_stay_when_the_creator_has_ended)
{
        ouro_task child;

        set(&one, a);
        child = ouro_create_task(sees_after_long, (void *)(uintptr_t)&one);
        cr_assert_eq(ouro_local_unset(&one), 0);
        cr_assert_eq(ouro_await(child), (intptr_t)a);
        cr_assert_str_eq(noted(), "a");
}

RUN(local, posted_functions_begin_without)
{
        set(&one, a);
        seen_by_detached = -1;
        cr_assert_eq(ouro_post(ouro_this_loop(), looks, NULL), 0);
        while (seen_by_detached == -1)
                cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(seen_by_detached, 0);
}

static intptr_t job_sees(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        cr_assert_eq(ouro_local_set(&one, b), -EPERM);
        return (intptr_t)ouro_local_get(&one);
}

RUN(local, jobs_have_none_and_drop_nothing)
{
        ouro_executor *pool = ouro_thread_pool(NULL);

        set(&one, a);
        cr_assert_eq(ouro_await(ouro_submit(pool, job_sees, OURO_NO_IN, OURO_NO_OUT)), 0);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_executor_close(pool), 0);
}

/* ---- when they are dropped ---- */

RUN(local, replaced_by_another_a_value_is_dropped)
{
        set(&one, a);
        set(&two, c);
        cr_assert_str_eq(noted(), "");
        set(&one, b);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_local_get(&one), b);
        cr_assert_eq(ouro_local_unset(&two), 0);
        cr_assert_str_eq(noted(), "c");
}

RUN(local, the_same_value_again_is_not_dropped)
{
        set(&one, a);
        set(&one, a);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_local_get(&one), a);
        cr_assert_eq(ouro_local_unset(&one), 0);
        cr_assert_str_eq(noted(), "a");
}

static intptr_t sets_a_again(void *unused)
{
        set(&one, a);
        return (intptr_t)unused;
}

RUN(local, the_same_value_set_by_a_child_is_dropped_once)
{
        set(&one, a);
        cr_assert_eq(ouro_await(ouro_create_task(sets_a_again, NULL)), 0);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_local_unset(&one), 0);
        cr_assert_str_eq(noted(), "a");
}

RUN(local, null_is_a_value_that_is_never_dropped)
{
        set(&one, NULL);
        cr_assert_null(ouro_local_get(&one));
        set(&one, a);
        set(&one, NULL);
        cr_assert_str_eq(noted(), "a");
}

static intptr_t sets_a_and_ends(void *unused)
{
        set(&one, a);
        return (intptr_t)unused;
}

RUN(local, it_is_dropped_as_the_last_task_ends_and_not_when_its_result_is_taken)
{
        ouro_task task = ouro_create_task(sets_a_and_ends, NULL);

        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_str_eq(noted(), "");
}

RUN_VIRTUAL(local, it_lives_as_long_as_the_last_who_has_it)
{
        ouro_task tasks[3];

        set(&one, a);
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(sleeps_ms, as_arg(i + 1));
        cr_assert_eq(ouro_local_unset(&one), 0);
        cr_assert_eq(ouro_await(tasks[0]), 0);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_await(tasks[2]), 0);
        cr_assert_str_eq(noted(), "a");
}

static intptr_t sets_two_and_waits(void *unused)
{
        (void)unused;
        set(&one, a);
        set(&two, b);
        return ouro_sleep(OURO_FOREVER);
}

static intptr_t inherits_and_waits(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_local_get(&one), a);
        return ouro_sleep(OURO_FOREVER);
}

RUN(local, f12_cancelled_before_it_began_it_has_them_and_lets_them_go_once)
{
        ouro_task task;

        set(&one, a);
        task = ouro_create_task(inherits_and_waits, NULL);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_local_unset(&one), 0);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ouro_cancel(task), -ESRCH);
        cr_assert_str_eq(noted(), "a");
}

RUN(local, a_group_of_failing_members_lets_them_go)
{
        int error = 0;

        set(&one, a);
        OURO_GROUP(g, &error) {
                ouro_create_task(inherits_and_waits, NULL);
                ouro_create_task(gives, as_arg(-EIO));
                ouro_create_task(inherits_and_waits, NULL);
                cr_assert_eq(ouro_local_unset(&one), 0);
                cr_assert_str_eq(noted(), "");
        }
        cr_assert_eq(error, -EIO);
        cr_assert_str_eq(noted(), "a");
}

RUN(local, cancelled_tasks_drop_theirs_too)
{
        ouro_task task = ouro_create_task(sets_two_and_waits, NULL);

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_str_eq(noted(), "ab");
}

static intptr_t leaves_its_values(void *unused)
{
        set(&one, a);
        ouro_create_task(sets_two_and_waits, NULL);
        cr_assert_eq(ouro_yield(), 0);
        return (intptr_t)unused;
}

Test(local, all_are_dropped_by_the_end_of_the_run)
{
        cr_assert_eq(ouro_run(leaves_its_values, NULL), 0);
        cr_assert_str_eq(noted(), "ab");
}

static const struct ouro_local third;

static void calls_the_library(void *value)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;

        cr_assert_eq(ouro_sleep(1), -EPERM);
        cr_assert_eq(ouro_local_set(&one, b), -EPERM);
        cr_assert_eq(ouro_task_info(OURO_NO_TASK, &info), -EPERM);
        errno = EXDEV;
        note_dropped(value);
}

static const struct ouro_local third = OURO_LOCAL_INIT("third", calls_the_library);

RUN(local, drop_is_called_outside_any_task)
{
        errno = ELOOP;
        set(&third, a);
        set(&third, b);
        cr_assert_eq(errno, ELOOP);
        cr_assert_str_eq(noted(), "a");
}

static intptr_t sets_the_third(void *unused)
{
        set(&third, a);
        errno = ELOOP;
        return (intptr_t)unused;
}

RUN(local, drop_as_a_task_ends_is_outside_any_task_too)
{
        errno = EDOM;
        cr_assert_eq(ouro_await(ouro_create_task(sets_the_third, NULL)), 0);
        cr_assert_eq(errno, EDOM);
        cr_assert_str_eq(noted(), "a");
}

RUN(local, a_thousand_changes_keep_nothing)
{
        static char values[1000];

        for (size_t i = 0; i < sizeof values; i++) {
                set(&plain, &values[i]);
                cr_assert_eq(seen_by_child(&plain), &values[i]);
        }
}

/* ---- misuse and shortage ---- */

RUN(local, null_is_refused)
{
        cr_assert_eq(ouro_local_set(NULL, a), -EINVAL);
        cr_assert_eq(ouro_local_unset(NULL), -EINVAL);
        cr_assert_null(ouro_local_get(NULL));
}

static void *uses_locals(void *unused)
{
        cr_assert_eq(ouro_local_set(&one, a), -EPERM);
        cr_assert_eq(ouro_local_unset(&one), -EPERM);
        cr_assert_null(ouro_local_get(&one));
        return unused;
}

Test(local, outside_a_task_there_are_none)
{
        uses_locals(NULL);
}

RUN(local, f38_a_thread_without_a_loop_has_none)
{
        pthread_t thread;

        set(&one, b);
        cr_assert_eq(pthread_create(&thread, NULL, uses_locals, NULL), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(ouro_local_get(&one), b);
}

/* Memory for so many pieces more, then none; less than zero: for all. */
static int pieces_left = -1;

static void *allocate(size_t bytes, void *arg)
{
        (void)arg;
        if (pieces_left == 0)
                return NULL;
        pieces_left -= pieces_left > 0;
        return malloc(bytes);
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        free(ptr);
}

static intptr_t runs_short(void *unused)
{
        static const int pieces[] = {0, 1,
                                     1}; /* for what the task has besides (which stays), value, and set */
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
                pieces_left = pieces[i];
                cr_assert_eq(ouro_local_set(&one, a), -ENOMEM);
                cr_assert_null(ouro_local_get(&one));
                pieces_left = -1;
        }
        set(&one, a);
        options.drop = note_dropped;
        pieces_left = 0;
        cr_assert_eq(ouro_local_set(&one, b), -ENOMEM);
        cr_assert_eq(ouro_local_unset(&one), -ENOMEM);
        cr_assert_eq(ouro_local_get(&one), a);
        cr_assert_eq(ouro_await(ouro_create_task(sees, (void *)(uintptr_t)&one)), -ENOMEM);
        cr_assert_eq(ouro_go(gives, NULL), -ENOMEM);
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, gives, c)), -ENOMEM);
        cr_assert_str_eq(noted(), "c");
        cr_assert_eq(ouro_tasks(NULL, 0), 1);
        pieces_left = -1;
        cr_assert_eq(seen_by_child(&one), a);
        return (intptr_t)unused;
}

Test(local, short_of_memory_nothing_changes_and_no_task_is_created)
{
        const struct ouro_allocator allocator = {allocate, release, NULL};

        cr_assert_eq(ouro_set_allocator(&allocator), 0);
        cr_assert_eq(ouro_run(runs_short, NULL), 0);
        cr_assert_str_eq(noted(), "a");
        cr_assert_eq(ouro_set_allocator(NULL), 0);
}
