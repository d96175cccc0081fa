/* remote.c - tasks on another thread's loop: results, cancellation, what they borrow, and who may not. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/leaks.h"
#include "support/run.h"
#include "task/task.h"

TestSuite(remote, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static ouro_loops *loops;

/* The body of a test as main task here, with n other loops. */
static void with_loops(unsigned n, void (*body)(void))
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;

        options.count = n;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        run_body(body, OURO_CLOCK_REAL);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

#define WITH_LOOPS(n, name)                                                                                  \
        static void name##_in_task(void);                                                                    \
        Test(remote, name)                                                                                   \
        {                                                                                                    \
                with_loops(n, name##_in_task);                                                               \
        }                                                                                                    \
        static void name##_in_task(void)

static ouro_loop *there(void)
{
        return ouro_loops_at(loops, 0);
}

/* ---- results ---- */

static intptr_t tells_loop(void *arg)
{
        (void)arg;
        return (intptr_t)ouro_this_loop();
}

WITH_LOOPS(1, the_body_runs_there_and_its_result_comes_here)
{
        ouro_task task = ouro_create_task_on(there(), tells_loop, NULL);

        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_str_eq(ouro_task_name(task), "tells_loop");
        cr_assert_eq(ouro_await(task), (intptr_t)there());
        cr_assert_eq(ouro_await(task), -ESRCH);
}

static intptr_t tells_name(void *arg)
{
        (void)arg;
        return (intptr_t)ouro_task_name(ouro_self());
}

WITH_LOOPS(1, the_body_has_the_same_name_there)
{
        cr_assert_str_eq((const char *)ouro_await(ouro_create_task_on(there(), tells_name, NULL)),
                         "tells_name");
}

WITH_LOOPS(4, many_on_many_loops_are_gathered)
{
        enum { TASKS = 1000 };
        static ouro_task tasks[TASKS];
        static intptr_t results[TASKS];

        for (intptr_t i = 0; i < TASKS; i++)
                tasks[i] =
                        ouro_create_task_on(ouro_loops_next(loops), i % 2 ? gives : gives_later, as_arg(i));
        cr_assert_eq(ouro_gather(tasks, TASKS, results), 0);
        for (intptr_t i = 0; i < TASKS; i++)
                cr_assert_eq(results[i], i);
}

static intptr_t notes(void *c)
{
        note((char)(intptr_t)c);
        return 0;
}

WITH_LOOPS(1, they_start_in_the_order_of_creation_and_of_posting)
{
        ouro_task first = ouro_create_task_on(there(), notes, as_arg('a')), last;

        cr_assert_eq(ouro_post(there(), notes, as_arg('b')), 0);
        last = ouro_create_task_on(there(), notes, as_arg('c'));
        cr_assert_eq(ouro_await(first), 0);
        cr_assert_eq(ouro_await(last), 0);
        cr_assert_str_eq(noted(), "abc");
}

RUN(remote, on_ones_own_loop_it_is_a_task_like_any_other)
{
        ouro_task task = ouro_create_task_on(ouro_this_loop(), gives_later, as_arg(7));

        cr_assert_eq(ouro_task_state(task), OURO_STATE_READY);
        cr_assert_eq(ouro_await(task), 7);
        cr_assert_eq(ouro_run_on(ouro_this_loop(), gives_later, as_arg(8)), 8);
}

WITH_LOOPS(1, a_failure_there_fails_the_group_here)
{
        ouro_task sibling;
        int error = 0;

        OURO_GROUP(group, &error) {
                sibling = ouro_create_task(waits_for_ever, NULL);
                ouro_create_task_on(there(), gives, as_arg(-EIO));
                cr_assert_eq(ouro_await(sibling), -ECANCELED);
        }
        cr_assert_eq(error, -EIO);
}

WITH_LOOPS(1, a_failure_that_nobody_saw_is_told_once)
{
        catch_log();
        OURO_GROUP_KEEP_GOING(group) {
                ouro_create_task_on(there(), gives, as_arg(-EIO));
        }
        cr_assert_eq(logged(), 0, "a group's error is its own to tell");
        cr_assert_eq(ouro_wait(ouro_create_task_on(there(), gives, as_arg(-EIO))), 0);
}

static intptr_t awaits(void *task)
{
        return ouro_await(*(ouro_task *)task);
}

WITH_LOOPS(1, f99_all_who_wait_get_the_result_and_who_comes_later_none)
{
        ouro_task task = ouro_create_task_on(there(), sleeps_ms, as_arg(1)), waiters[2];
        intptr_t results[2] = {-1, -1};

        for (int i = 0; i < 2; i++)
                waiters[i] = ouro_create_task(awaits, &task);
        cr_assert_eq(ouro_gather(waiters, 2, results), 0);
        cr_assert(results[0] == 0 && results[1] == 0);
        cr_assert_eq(ouro_await(task), -ESRCH);
        OURO_GROUP(group) {
                task = ouro_create_task_on(there(), gives, as_arg(1));
        }
        cr_assert_eq(ouro_await(task), -ESRCH, "its group has closed");
        cr_assert_eq(ouro_cancel(task), -ESRCH);
}

/* ---- cancellation ---- */

WITH_LOOPS(1, cancelled_here_the_body_is_cancelled_there)
{
        ouro_task task = ouro_create_task_on(there(), waits_for_ever, NULL);

        ouro_yield();
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

static atomic_int began, ended;

static intptr_t ends_slowly(void *value)
{
        began++;
        waits_for_ever(NULL);
        OURO_SHIELD
        {
                ouro_sleep(OURO_MS(20));
        }
        ended++;
        return (intptr_t)value;
}

WITH_LOOPS(1, a_cancelled_task_ends_only_when_its_body_has)
{
        ouro_task task = ouro_create_task_on(there(), ends_slowly, as_arg(5));

        while (began == 0)
                ouro_sleep(OURO_MS(1));
        ouro_cancel(task);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(ouro_await(task), 5, "its own result after all");
        cr_assert_eq(ended, 1);
}

WITH_LOOPS(1, cancelled_before_it_begins_it_starts_all_the_same)
{
        ouro_task task = ouro_create_task_on(there(), ends_slowly, as_arg(6));

        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), 6);
        cr_assert_eq(began, 1);
}

WITH_LOOPS(1, a_wait_that_is_cut_short_leaves_the_body_alone)
{
        ouro_task task = ouro_create_task_on(there(), sleeps_ms, as_arg(30));
        bool expired;

        OURO_TIMEOUT(OURO_MS(1), &expired) {
                cr_assert_eq(ouro_await(task), -ETIME);
        }
        cr_assert(expired);
        cr_assert_eq(ouro_await(task), 0);
}

WITH_LOOPS(1, a_group_left_at_its_deadline_has_what_it_lent_back)
{
        int error = 0;

        OURO_TIMEOUT(OURO_MS(5)) {
                OURO_GROUP(group, &error) {
                        ouro_create_task_on(there(), ends_slowly, as_arg(0));
                        while (began == 0)
                                ouro_sleep(OURO_US(100));
                }
        }
        cr_assert_eq(ended, began);
        cr_assert(error == -ETIME || error == 0, "%d", error);
}

WITH_LOOPS(1, wait_for_cancels_the_body_and_waits_for_it)
{
        cr_assert_eq(ouro_wait_for(ouro_create_task_on(there(), waits_for_ever, NULL), OURO_MS(2)), -ETIME);
        cr_assert_eq(ouro_wait_for(ouro_create_task_on(there(), gives_when_cut, as_arg(3)), OURO_MS(2)), 3);
}

static intptr_t tells_reason(void *arg)
{
        (void)arg;
        waits_for_ever(NULL);
        return ouro_cancelled(ouro_self());
}

WITH_LOOPS(1, the_reason_goes_along)
{
        ouro_task task = OURO_NO_TASK;
        intptr_t reason = -1;

        OURO_TIMEOUT(OURO_MS(2)) {
                OURO_GROUP_KEEP_GOING(group) {
                        task = ouro_create_task_on(there(), tells_reason, NULL);
                        ouro_await(task);
                        OURO_SHIELD
                        {
                                reason = ouro_await(task);
                        }
                }
        }
        cr_assert_eq(reason, OURO_CANCEL_TIME);
}

WITH_LOOPS(1, created_in_a_group_that_is_cancelled_it_starts_cancelled)
{
        OURO_GROUP_KEEP_GOING(group) {
                ouro_group_cancel(group);
                cr_assert_eq(ouro_await(ouro_create_task_on(there(), ends_slowly, as_arg(1))), 1);
        }
        cr_assert_eq(began, 1);
}

static atomic_bool let_go;

static intptr_t blocks_until_let_go(void *value)
{
        began++;
        while (!let_go)
                sched_yield();
        return (intptr_t)value;
}

/* The body never gives its loop a chance to take the cancel in before it returns. */
WITH_LOOPS(1, a_cancel_that_comes_after_the_end_loses_nothing)
{
        ouro_task task = ouro_create_task_on(there(), blocks_until_let_go, as_arg(4));

        while (began == 0)
                ouro_sleep(OURO_US(100));
        cr_assert_eq(ouro_cancel(task), 0);
        let_go = true;
        cr_assert_eq(ouro_await(task), 4);
        cr_assert_eq(there()->guests, 0);
}

/* Sends a cancel while the body ends by itself, many times: they meet at every moment. */
WITH_LOOPS(1, a_cancel_and_the_end_pass_each_other)
{
        for (int i = 0; i < 2000; i++) {
                ouro_task task = ouro_create_task_on(there(), i % 3 ? gives_later : gives, as_arg(i));
                intptr_t result;

                for (int k = 0; k < i % 7; k++)
                        ouro_yield();
                ouro_cancel(task);
                result = ouro_await(task);
                cr_assert(result == i || result == -ECANCELED, "%ld", (long)result);
        }
}

/* ---- across, both ways ---- */

static intptr_t bounces(void *arg)
{
        intptr_t left = (intptr_t)arg;

        if (left == 0)
                return 0;
        return 1 + ouro_await(ouro_create_task_on(ouro_loops_next(loops), bounces, as_arg(left - 1)));
}

WITH_LOOPS(3, a_chain_through_all_loops_comes_back)
{
        cr_assert_eq(ouro_await(ouro_create_task_on(there(), bounces, as_arg(200))), 200);
}

static intptr_t bounces_for_ever(void *arg)
{
        intptr_t left = (intptr_t)arg, result;

        if (left == 0) {
                began++;
                return waits_for_ever(NULL);
        }
        OURO_GROUP_KEEP_GOING(group) {
                result = ouro_await(
                        ouro_create_task_on(ouro_loops_next(loops), bounces_for_ever, as_arg(left - 1)));
                (void)result;
        }
        ended++;
        return -ECANCELED;
}

WITH_LOOPS(3, a_cancel_follows_a_chain_through_all_loops)
{
        ouro_task task = ouro_create_task_on(there(), bounces_for_ever, as_arg(20));

        while (began == 0)
                ouro_sleep(OURO_MS(1));
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), -ECANCELED);
        cr_assert_eq(ended, 20);
}

/* ---- the clock ---- */

static void *sleeps_for_real(void *ns)
{
        usleep((unsigned)((intptr_t)ns / 1000));
        return NULL;
}

static intptr_t blocks_its_thread(void *arg)
{
        sleeps_for_real(arg);
        return 0;
}

static void virtual_body(void)
{
        ouro_task task = ouro_create_task_on(there(), blocks_its_thread, as_arg(OURO_MS(20)));
        bool expired;

        OURO_TIMEOUT(OURO_SEC(3600), &expired) {
                cr_assert_eq(ouro_await(task), 0);
        }
        cr_assert(!expired);
}

Test(remote, a_body_elsewhere_holds_the_virtual_clock)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;

        options.count = 1;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        run_body(virtual_body, OURO_CLOCK_VIRTUAL);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

/* ---- the blocking call ---- */

static void *calls(void *arg)
{
        for (intptr_t i = 0; i < 200; i++)
                cr_assert_eq(ouro_run_on(arg, i % 2 ? gives : gives_later, as_arg(i)), i);
        return NULL;
}

Test(remote, four_threads_call_and_get_each_its_own_result)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        pthread_t threads[4];

        options.count = 1;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        for (int i = 0; i < 4; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, calls, there()), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

WITH_LOOPS(1, a_task_that_calls_lets_others_run)
{
        ouro_task other = ouro_create_task(gives_later, as_arg(1));

        cr_assert_eq(ouro_run_on(there(), sleeps_ms, as_arg(5)), 0);
        cr_assert_eq(ouro_task_state(other), OURO_STATE_ENDED);
        cr_assert_eq(ouro_await(other), 1);
        cr_assert_eq(ouro_run_on(there(), gives, as_arg(-EIO)), -EIO, "and is not failed by it");
        cr_assert_eq(ouro_yield(), 0);
}

static intptr_t calls_there(void *fn)
{
        return ouro_run_on(there(), (ouro_fn *)fn, as_arg(9));
}

WITH_LOOPS(1, a_call_that_is_cut_short_ends_when_its_body_has)
{
        ouro_task task = ouro_create_task(calls_there, (void *)ends_slowly);

        while (began == 0)
                ouro_sleep(OURO_MS(1));
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), 9);
        cr_assert_eq(ended, 1);
        task = ouro_create_task(calls_there, (void *)gives);
        ouro_cancel(task);
        cr_assert_eq(ouro_await(task), -ECANCELED, "cancelled on entry");
}

/* ---- f38, f41, misuse ---- */

static intptr_t cancels_foreign(void *task)
{
        return ouro_cancel(*(ouro_task *)task);
}

WITH_LOOPS(1, f38_a_handle_of_this_loop_is_nobody_there)
{
        ouro_task task = ouro_create_task_on(there(), sleeps_ms, as_arg(1));

        cr_assert_eq(ouro_run_on(there(), awaits, &task), -ESRCH);
        cr_assert_eq(ouro_run_on(there(), cancels_foreign, &task), -ESRCH);
        cr_assert_eq(ouro_await(task), 0);
}

Test(remote, misuse_is_refused)
{
        ouro_task task = ouro_create_task_on((ouro_loop *)&loops, gives, NULL);

        cr_assert_eq((intptr_t)task.generation, -EPERM);
        cr_assert_eq(ouro_run_on(NULL, gives, NULL), -EINVAL);
        cr_assert_eq(ouro_run_on((ouro_loop *)&loops, NULL, NULL), -EINVAL);
}

WITH_LOOPS(1, misuse_in_a_task_is_refused)
{
        cr_assert_eq(ouro_await(ouro_create_task_on(NULL, gives, NULL)), -EINVAL);
        cr_assert_eq(ouro_await(ouro_create_task_on(there(), NULL, NULL)), -EINVAL);
        cr_assert_eq(ouro_run_on(NULL, gives, NULL), -EINVAL);
        cr_assert_eq(ouro_run_on(there(), NULL, NULL), -EINVAL);
        cr_assert_eq(ouro_await(ouro_create_task_on_at(there(), gives, as_arg(4), NULL)), 4);
}

static void in_child(void)
{
        pid_t child = fork();
        int status;

        cr_assert(child >= 0);
        if (child == 0)
                _exit(ouro_run_on(there(), gives, NULL) == -EPERM &&
                                      ouro_post(there(), gives, NULL) == -EPERM &&
                                      ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER) == -EPERM
                              ? 0
                              : 1);
        cr_assert(waitpid(child, &status, 0) == child && status == 0, "%x", status);
}

Test(remote, a_forked_child_is_refused)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;

        options.count = 1;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        in_child();
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

/* ---- a loop that ends ---- */

static ouro_loop *ending;
static atomic_bool ready;

static intptr_t short_main(void *arg)
{
        (void)arg;
        ending = ouro_this_loop();
        ready = true;
        while (!let_go)
                ouro_sleep(OURO_US(200));
        return 0;
}

static void *runs_short_main(void *arg)
{
        cr_assert_eq(ouro_run(short_main, NULL), 0);
        return arg;
}

RUN(remote, a_loop_that_ends_cancels_the_bodies_of_others_and_gives_their_results)
{
        ouro_task tasks[3];
        intptr_t results[3];
        pthread_t thread;

        cr_assert_eq(pthread_create(&thread, NULL, runs_short_main, NULL), 0);
        while (!ready)
                ouro_sleep(OURO_US(200));
        tasks[0] = ouro_create_task_on(ending, waits_for_ever, NULL);
        tasks[1] = ouro_create_task_on(ending, ends_slowly, as_arg(2));
        tasks[2] = ouro_create_task_on(ending, gives_when_cut, as_arg(3));
        while (began == 0)
                ouro_sleep(OURO_US(200));
        let_go = true;
        cr_assert_eq(ouro_gather(tasks, 3, results), -ECANCELED);
        cr_assert_eq(results[0], -ECANCELED);
        cr_assert_eq(results[1], 2);
        cr_assert_eq(results[2], 3);
        pthread_join(thread, NULL);
}

static intptr_t leaves_and_goes(void *arg)
{
        for (int i = 0; i < 4; i++)
                ouro_create_task_on(ouro_loops_at(loops, 0), ends_slowly, arg);
        while (began < 4)
                ouro_sleep(OURO_US(200));
        return 0;
}

Test(remote, a_run_that_ends_cancels_and_awaits_what_it_has_elsewhere)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;

        options.count = 1;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        cr_assert_eq(ouro_run(leaves_and_goes, NULL), 0);
        cr_assert_eq(ended, 4);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}
