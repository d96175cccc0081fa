/* Of lib/sync/watch.c: whoever waits gets the latest value, and not each. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/shared_tests.h"

TestSuite(watch, .init = leaks_begin, .fini = leaks_end);

static ouro_watch *watch;

static struct ouro_watch_stats told(void)
{
        struct ouro_watch_stats stats = {.size = sizeof stats};

        cr_assert_eq(ouro_watch_stats(watch, &stats), 0);
        return stats;
}

static void await_waiting(size_t n)
{
        while (told().waiting != n) {
                if (ouro_this_loop())
                        cr_assert_eq(ouro_yield(), 0);
                sched_yield();
        }
}

/* The value that is newer than version 0, and its version, or an error. */
static intptr_t sees(void *unused)
{
        int64_t version;
        int value = -1;

        (void)unused;
        version = ouro_watch_wait(watch, 0, &value);
        return version < 0 ? (intptr_t)version : value * 100 + (intptr_t)version;
}

static void set(int value)
{
        int64_t before = told().version;

        cr_assert_eq(ouro_watch_set(watch, &value), before + 1);
}

RUN(watch, has_a_value_from_the_beginning)
{
        int first = 7, value = 0;

        watch = ouro_watch_new(sizeof value, &first);
        first = 8;
        cr_assert_eq(ouro_watch_get(watch, &value), 0);
        cr_assert_eq(value, 7);
        cr_assert_eq(ouro_watch_wait(watch, -1, &value), 0);
        set(9);
        cr_assert_eq(ouro_watch_get(watch, NULL), 1);
        cr_assert_eq(ouro_watch_get(watch, &value), 1);
        cr_assert_eq(value, 9);
        cr_assert_eq(ouro_watch_free(watch), 0);
        watch = ouro_watch_new(sizeof value, NULL);
        cr_assert_eq(ouro_watch_get(watch, &value), 0);
        cr_assert_eq(value, 0);
        cr_assert_eq(ouro_watch_free(watch), 0);
}

RUN(watch, newer_value_is_there_at_once)
{
        int value = 0;

        watch = ouro_watch_new(sizeof value, NULL);
        set(5);
        set(6);
        cr_assert_eq(ouro_watch_wait(watch, 0, &value), 2);
        cr_assert_eq(value, 6);
        cr_assert_eq(ouro_watch_wait(watch, 1, &value), 2);
        cr_assert_eq(told().waits, 0u);
        cr_assert_eq(ouro_watch_free(watch), 0);
}

RUN(watch, wakes_tasks_of_this_loop_and_of_others_and_threads)
{
        struct other thread, loop;
        ouro_task task;

        watch = ouro_watch_new(sizeof(int), NULL);
        task = ouro_create_task(sees, NULL);
        start(&thread, false, sees, 0);
        start(&loop, true, sees, 0);
        await_waiting(3);
        set(5);
        cr_assert_eq(finish(&thread), 501);
        cr_assert_eq(finish(&loop), 501);
        cr_assert_eq(ouro_await(task), 501);
        cr_assert_eq(told().waits, 3u);
        cr_assert_eq(told().waiting, 0u);
        cr_assert_eq(ouro_watch_free(watch), 0);
}

RUN(watch, who_is_woken_gets_the_latest)
{
        ouro_task task;

        watch = ouro_watch_new(sizeof(int), NULL);
        task = ouro_create_task(sees, NULL);
        await_waiting(1);
        set(5);
        cr_assert_eq(ouro_watch_free(watch), -EBUSY, "it has been woken, and still has to read");
        set(6);
        set(7);
        cr_assert_eq(ouro_await(task), 703);
        cr_assert_eq(ouro_watch_free(watch), 0);
}

RUN(watch, closed_shows_its_last_value_and_ends_waits)
{
        ouro_task task;
        int value = 3;

        watch = ouro_watch_new(sizeof value, NULL);
        task = ouro_create_task(sees, NULL);
        await_waiting(1);
        cr_assert_eq(ouro_watch_close(watch), 0);
        cr_assert_eq(ouro_await(task), -EPIPE);
        cr_assert_eq(ouro_watch_close(watch), -EPIPE);
        cr_assert_eq(ouro_watch_set(watch, &value), -EPIPE);
        cr_assert_eq(ouro_watch_get(watch, &value), 0);
        cr_assert_eq(value, 0);
        cr_assert_eq(ouro_watch_wait(watch, 0, &value), -EPIPE);
        cr_assert_eq(ouro_watch_wait(watch, -1, &value), 0, "a version nobody has seen is newer than none");
        cr_assert_eq(ouro_watch_free(watch), 0);

        watch = ouro_watch_new(sizeof value, NULL);
        task = ouro_create_task(sees, NULL);
        await_waiting(1);
        set(4);
        cr_assert_eq(ouro_watch_close(watch), 0);
        cr_assert_eq(ouro_await(task), 401, "what came before the end is not lost");
        cr_assert_eq(ouro_watch_free(watch), 0);
}

RUN(watch, wait_can_be_cut_short)
{
        ouro_task task;
        int value = -1;

        watch = ouro_watch_new(sizeof value, NULL);
        task = ouro_create_task(sees, NULL);
        await_waiting(1);
        cr_assert_eq(ouro_watch_free(watch), -EBUSY);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(1)) {
                cr_assert_eq(ouro_watch_wait(watch, 0, &value), -ETIME);
                cr_assert_eq(ouro_watch_wait(watch, 0, &value), -ETIME);
        }
        cr_assert_eq(value, -1);
        task = ouro_create_task(sees, NULL);
        await_waiting(1);
        set(5);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 501, "it was told before it was cancelled");
        cr_assert_eq(ouro_watch_free(watch), 0);
}

static void misuse(void)
{
        struct ouro_watch_stats stats = {.size = 3};
        int value = 1;

        cr_assert_null(ouro_watch_new(SIZE_MAX, NULL));
        cr_assert_eq(ouro_watch_free(NULL), 0);
        cr_assert_eq(ouro_watch_set(NULL, &value), -EINVAL);
        cr_assert_eq(ouro_watch_get(NULL, &value), -EINVAL);
        cr_assert_eq(ouro_watch_wait(NULL, 0, &value), -EINVAL);
        cr_assert_eq(ouro_watch_close(NULL), -EINVAL);
        cr_assert_eq(ouro_watch_stats(NULL, &stats), -EINVAL);
        watch = ouro_watch_new(sizeof value, NULL);
        cr_assert_eq(ouro_watch_set(watch, NULL), -EINVAL);
        cr_assert_eq(ouro_watch_wait(watch, 1, &value), -EINVAL, "of another watch");
        cr_assert_eq(ouro_watch_stats(watch, NULL), -EINVAL);
        cr_assert_eq(ouro_watch_stats(watch, &stats), -EINVAL);
        cr_assert_eq(ouro_watch_free(watch), 0);
        watch = ouro_watch_new(0, NULL);
        cr_assert_eq(ouro_watch_set(watch, NULL), 1);
        cr_assert_eq(ouro_watch_wait(watch, 0, NULL), 1);
        cr_assert_eq(ouro_watch_free(watch), 0);
}

Test(watch, is_not_used_wrongly)
{
        misuse();
        run_body(misuse, OURO_CLOCK_REAL);
}

Test(watch, f43_forked_child_is_told_that_it_is_not_its_own)
{
        int status, value = 1;
        pid_t pid;

        watch = ouro_watch_new(sizeof value, NULL);
        pid = fork();
        if (pid == 0)
                _exit(!(ouro_watch_set(watch, &value) == -EPERM && ouro_watch_get(watch, &value) == -EPERM &&
                        ouro_watch_wait(watch, 0, &value) == -EPERM && ouro_watch_close(watch) == -EPERM &&
                        ouro_watch_free(watch) == -EPERM));
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0);
        cr_assert_eq(ouro_watch_free(watch), 0);
}
