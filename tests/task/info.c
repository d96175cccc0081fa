/* What is told of tasks: who there is, where they were created, what they wait for and since when. */
#include "support/run.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(info, .init = leaks_begin, .fini = leaks_end);

static struct ouro_task_info look_at(ouro_task task)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;

        cr_assert_eq(ouro_task_info(task, &info), 0);
        return info;
}

static bool same(ouro_task a, ouro_task b)
{
        return a.slot == b.slot && a.generation == b.generation;
}

static void yields(int turns)
{
        while (turns-- > 0)
                cr_assert_eq(ouro_yield(), 0);
}

/* What a task that has been created waits for once it does. */
static struct ouro_task_info wait_of(ouro_task task)
{
        yields(3);
        return look_at(task);
}

/* ---- one task ---- */

RUN(info, tells_name_and_place_of_creation)
{
        unsigned line = __LINE__ + 1;
        ouro_task task = ouro_create_task(gives, NULL);
        struct ouro_task_info info = look_at(task);

        cr_assert_str_eq(info.name, "gives");
        cr_assert_str_eq(info.function, __func__);
        cr_assert_str_eq(info.file, __FILE__);
        cr_assert_eq(info.line, line);
        cr_assert_eq(info.size, sizeof info);
        cr_assert_eq(ouro_await(task), 0);
}

RUN(info, another_name_keeps_the_place_of_creation)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        struct ouro_task_info info;
        char name[] = "made at run time";
        unsigned line;
        ouro_task task;

        options.name = name;
        line = __LINE__ + 1;
        task = ouro_create_task_with(&options, gives, NULL);
        info = look_at(task);
        cr_assert_str_eq(info.name, name);
        cr_assert_str_eq(info.function, __func__);
        cr_assert_eq(info.line, line);
        cr_assert_eq(ouro_await(task), 0);
}

RUN(info, without_a_site_there_is_no_place)
{
        ouro_task task = ouro_create_task_at(gives, NULL, NULL);
        struct ouro_task_info info = look_at(task);

        cr_assert_str_eq(info.name, "task");
        cr_assert(info.function == NULL && info.file == NULL && info.line == 0);
        cr_assert_eq(ouro_await(task), 0);
}

RUN(info, tells_main_of_itself)
{
        struct ouro_task_info info = look_at(ouro_self());

        cr_assert_str_eq(info.name, "main");
        cr_assert_eq(info.state, OURO_STATE_RUNNING);
        cr_assert(same(info.parent, OURO_NO_TASK));
        cr_assert(info.waits_for == NULL && info.waits_since_ns == -1 && info.waits_for_fd == -1);
        cr_assert(info.is_detached && !info.is_job);
        cr_assert_geq(info.stack_bytes, 64u * 1024);
}

RUN(info, tells_each_state_of_a_life)
{
        ouro_task task = ouro_create_task(sleeps_ms, as_arg(1000000));
        struct ouro_task_info info = look_at(task);

        cr_assert(info.state == OURO_STATE_READY && info.stack_bytes == 0 && info.waits_since_ns == -1);
        info = wait_of(task);
        cr_assert(info.state == OURO_STATE_WAITING && info.stack_bytes > 0);
        cr_assert_str_eq(info.waits_for, "time");
        cr_assert_eq(ouro_cancel(task), 0);
        info = look_at(task);
        cr_assert(info.state == OURO_STATE_READY && info.reason == OURO_CANCEL_ASKED && !info.waits_for);
        yields(1);
        info = look_at(task);
        cr_assert(info.state == OURO_STATE_ENDED && info.result == -ECANCELED && info.stack_bytes == 0);
        cr_assert_eq(info.waits_since_ns, -1);
        cr_assert_eq(ouro_await(task), -ECANCELED);
}

RUN(info, f12_of_a_consumed_task_is_refused_and_nothing_is_filled_in)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;
        ouro_task task = ouro_create_task(gives, NULL);

        info.line = 77;
        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(ouro_task_info(task, &info), -ESRCH);
        cr_assert_eq(ouro_task_info(OURO_NO_TASK, &info), -ESRCH);
        cr_assert_eq(info.line, 77u);
}

RUN(info, f99_is_told_until_the_group_closes_and_not_after)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;
        ouro_task task;

        OURO_GROUP(g) {
                task = ouro_create_task(gives, as_arg(5));
                cr_assert_eq(ouro_wait(task), 0);
                info = look_at(task);
                cr_assert(info.state == OURO_STATE_ENDED && info.result == 5);
        }
        cr_assert_eq(ouro_task_info(task, &info), -ESRCH);
}

static intptr_t awaits(void *task)
{
        return ouro_await(*(ouro_task *)task);
}

static intptr_t gathers_both(void *tasks)
{
        return ouro_gather(tasks, 2, NULL);
}

RUN(info, f99_of_a_result_that_two_awaited_nothing_is_told_while_a_gather_still_holds_it)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;
        ouro_task tasks[2] = {ouro_create_task(gives_later, as_arg(5)),
                              ouro_create_task(waits_for_ever, NULL)};
        ouro_task first = ouro_create_task(awaits, &tasks[0]), second = ouro_create_task(awaits, &tasks[0]);
        ouro_task gatherer = ouro_create_task(gathers_both, tasks);

        cr_assert(ouro_await(first) == 5 && ouro_await(second) == 5);
        yields(1);
        cr_assert_eq(ouro_task_info(tasks[0], &info), -ESRCH);
        cr_assert_eq(ouro_tasks(NULL, 0), 3);
        cr_assert(same(look_at(gatherer).waits_for_task, tasks[1]));
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_await(gatherer), -ECANCELED);
}

RUN(info, f12_cancelled_twice_the_first_reason_stays)
{
        ouro_task task = OURO_NO_TASK;

        OURO_GROUP_KEEP_GOING(g) {
                task = ouro_create_task(waits_for_ever, NULL);
                yields(1);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(look_at(task).reason, OURO_CANCEL_ASKED);
                cr_assert_eq(ouro_group_cancel(g), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(look_at(task).reason, OURO_CANCEL_ASKED);
                cr_assert_eq(ouro_wait(task), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert(look_at(task).reason == OURO_CANCEL_ASKED && look_at(task).result == -ECANCELED);
        }
}

RUN(info, f12_of_oneself_cancelled_is_told_while_one_runs)
{
        cr_assert_eq(ouro_cancel(ouro_self()), 0);
        cr_assert(look_at(ouro_self()).state == OURO_STATE_RUNNING);
        cr_assert_eq(look_at(ouro_self()).reason, OURO_CANCEL_ASKED);
        cr_assert_eq(ouro_tasks(NULL, 0), 1);
}

RUN(info, of_a_task_that_could_not_be_created_is_its_error)
{
        struct ouro_task_info info = look_at(ouro_create_task_named(NULL, NULL, "nobody"));

        cr_assert(info.state == OURO_STATE_ENDED && info.result == -EINVAL);
        cr_assert(!info.name && same(info.parent, OURO_NO_TASK));
}

RUN(info, an_older_headers_struct_gets_what_it_knows)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;

        info.size = offsetof(struct ouro_task_info, function);
        info.line = 77;
        cr_assert_eq(ouro_task_info(ouro_self(), &info), 0);
        cr_assert_str_eq(info.name, "main");
        cr_assert(info.line == 77 && info.size == offsetof(struct ouro_task_info, function));
}

RUN(info, wrong_sizes_and_null_are_refused)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;

        cr_assert_eq(ouro_task_info(ouro_self(), NULL), -EINVAL);
        info.size = sizeof info + 1;
        cr_assert_eq(ouro_task_info(ouro_self(), &info), -EINVAL);
        info.size = sizeof info.size - 1;
        cr_assert_eq(ouro_task_info(ouro_self(), &info), -EINVAL);
        cr_assert_eq(ouro_tasks(NULL, 1), -EINVAL);
}

static ouro_task asked_for;

static void *asks(void *unused)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;

        cr_assert_eq(ouro_task_info(asked_for, &info), -EPERM);
        cr_assert_eq(ouro_tasks(&asked_for, 1), -EPERM);
        return unused;
}

RUN(info, f38_is_not_told_to_a_thread_without_a_loop)
{
        pthread_t thread;

        asked_for = ouro_self();
        cr_assert_eq(pthread_create(&thread, NULL, asks, NULL), 0);
        pthread_join(thread, NULL);
        cr_assert(same(asked_for, ouro_self()));
}

static intptr_t asks_from_another_loop(void *unused)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;
        ouro_task self;

        (void)unused;
        cr_assert_eq(ouro_task_info(asked_for, &info), -ESRCH);
        cr_assert_eq(ouro_tasks(&self, 1), 1);
        cr_assert(same(self, ouro_self()));
        return 0;
}

static void *runs_a_loop(void *unused)
{
        cr_assert_eq(ouro_run(asks_from_another_loop, NULL), 0);
        return unused;
}

RUN(info, each_loop_tells_only_of_its_own)
{
        pthread_t thread;

        asked_for = ouro_self();
        cr_assert_eq(pthread_create(&thread, NULL, runs_a_loop, NULL), 0);
        pthread_join(thread, NULL);
}

/* ---- parents ---- */

static intptr_t opens_a_group(void *ret_member)
{
        OURO_GROUP(g) {
                *(ouro_task *)ret_member = ouro_create_task(waits_for_ever, NULL);
                ouro_sleep(OURO_FOREVER);
        }
        return 0;
}

RUN(info, the_parent_is_the_owner_of_the_group)
{
        ouro_task outer, inner, loose = ouro_create_task(waits_for_ever, NULL);

        OURO_GROUP(g) {
                outer = ouro_create_task(opens_a_group, &inner);
                yields(2);
                cr_assert(same(look_at(outer).parent, ouro_self()));
                cr_assert(same(look_at(inner).parent, outer));
                cr_assert(same(look_at(loose).parent, OURO_NO_TASK));
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
}

static intptr_t puts_into(void *group)
{
        asked_for = ouro_create_task_in((struct ouro_group *)group, waits_for_ever, NULL);
        return 0;
}

RUN(info, created_into_anothers_group_the_owner_is_the_parent)
{
        OURO_GROUP(g) {
                cr_assert_eq(ouro_await(ouro_create_task(puts_into, g)), 0);
                cr_assert(same(look_at(asked_for).parent, ouro_self()));
                cr_assert_str_eq(look_at(asked_for).function, "puts_into");
                cr_assert_eq(ouro_group_cancel(g), 0);
        }
}

/* ---- all tasks ---- */

static intptr_t opens_two_groups(void *ret_members)
{
        ouro_task *members = ret_members;

        OURO_GROUP(outer) {
                members[0] = ouro_create_task(waits_for_ever, NULL);
                OURO_GROUP(inner) {
                        members[1] = ouro_create_task(waits_for_ever, NULL);
                        members[2] = ouro_create_task(gives, NULL);
                        ouro_sleep(OURO_FOREVER);
                }
        }
        return 0;
}

RUN(info, lists_parents_before_members_and_inner_groups_first)
{
        ouro_task all[8], members[3], owner, before, after;

        before = ouro_create_task(gives, NULL);
        owner = ouro_create_task(opens_two_groups, members);
        after = ouro_create_task(waits_for_ever, NULL);
        yields(3);
        cr_assert_eq(ouro_tasks(all, 8), 7);
        cr_assert(same(all[0], ouro_self()) && same(all[1], before) && same(all[2], owner));
        cr_assert(same(all[3], members[1]) && same(all[4], members[2]) && same(all[5], members[0]));
        cr_assert(same(all[6], after));
        cr_assert_eq(look_at(members[2]).state, OURO_STATE_ENDED); /* listed until it is consumed */
        cr_assert_eq(ouro_await(before), 0);
        cr_assert_eq(ouro_tasks(NULL, 0), 6);
}

RUN(info, fills_in_no_more_than_there_is_room_for)
{
        ouro_task all[3] = {OURO_NO_TASK, OURO_NO_TASK, OURO_NO_TASK};

        for (int i = 0; i < 9; i++)
                ouro_create_task(waits_for_ever, NULL);
        cr_assert_eq(ouro_tasks(all, 2), 10);
        cr_assert(same(all[0], ouro_self()) && !same(all[1], OURO_NO_TASK) && same(all[2], OURO_NO_TASK));
}

RUN(info, nothing_is_listed_of_detached_tasks_that_have_ended)
{
        cr_assert_eq(ouro_go(gives, NULL), 0);
        cr_assert_eq(ouro_tasks(NULL, 0), 2);
        yields(1);
        cr_assert_eq(ouro_tasks(NULL, 0), 1);
}

static intptr_t goes_deeper(void *depth)
{
        if (!depth)
                return ouro_sleep(OURO_FOREVER);
        OURO_GROUP(g) {
                ouro_create_task(goes_deeper, (char *)depth - 1);
        }
        return 0;
}

RUN(info, a_deep_tree_is_listed_from_the_top)
{
        enum { DEPTH = 2000 };
        static ouro_task all[DEPTH + 2];

        ouro_create_task(goes_deeper, as_arg(DEPTH));
        yields(DEPTH + 2);
        cr_assert_eq(ouro_tasks(all, DEPTH + 2), DEPTH + 2);
        for (int i = 2; i < DEPTH + 2; i++)
                cr_assert(same(look_at(all[i]).parent, all[i - 1]));
        cr_assert_str_eq(look_at(all[DEPTH + 1]).name, "goes_deeper");
}

/* ---- what for ---- */

static intptr_t looks(void *task)
{
        return ouro_wait(*(ouro_task *)task);
}

static intptr_t gathers(void *task)
{
        return ouro_gather(task, 1, NULL);
}

static intptr_t waits_for_a_while(void *task)
{
        return ouro_wait_for(*(ouro_task *)task, OURO_SEC(3600));
}

RUN(info, whoever_waits_for_a_task_tells_which)
{
        ouro_fn *const waiters[] = {awaits, looks, gathers, waits_for_a_while};

        for (size_t i = 0; i < sizeof waiters / sizeof *waiters; i++) {
                ouro_task target = ouro_create_task(waits_for_ever, NULL);
                ouro_task waiter = ouro_create_task_named(waiters[i], &target, "waiter");
                struct ouro_task_info info = wait_of(waiter);

                cr_assert_str_eq(info.waits_for, "task");
                cr_assert(same(info.waits_for_task, target), "waiter %zu", i);
                cr_assert_eq(ouro_cancel(target), 0);
                ouro_wait(waiter);
        }
}

RUN(info, a_gather_that_was_cut_short_tells_whom_it_still_waits_for)
{
        ouro_task target = ouro_create_task(gives_when_cut, NULL), waiter;

        yields(1);
        waiter = ouro_create_task(gathers, &target);
        yields(1);
        cr_assert_eq(ouro_cancel(waiter), 0);
        cr_assert(ouro_cancelled(waiter) == OURO_CANCEL_ASKED);
        yields(1);
        cr_assert(look_at(waiter).state == OURO_STATE_WAITING);
        cr_assert(same(look_at(waiter).waits_for_task, target));
        cr_assert_eq(ouro_await(waiter), -ECANCELED);
}

static intptr_t waits_for_first_of_two(void *tasks)
{
        return ouro_wait_first(tasks, 2);
}

static intptr_t goes_through_two(void *tasks)
{
        ouro_completions *completions;

        cr_assert_eq(ouro_as_completed(tasks, 2, &completions), 0);
        while (ouro_completions_next(completions) >= 0)
                ;
        ouro_completions_free(completions);
        return 0;
}

RUN(info, the_first_of_several_is_no_certain_task_until_one_is_left)
{
        ouro_task tasks[2] = {ouro_create_task(waits_for_ever, NULL), ouro_create_task(waits_for_ever, NULL)};
        ouro_task first = ouro_create_task(waits_for_first_of_two, tasks);
        ouro_task each = ouro_create_task(goes_through_two, tasks);
        struct ouro_task_info info = wait_of(first);

        cr_assert_str_eq(info.waits_for, "the first of several tasks");
        cr_assert(same(info.waits_for_task, OURO_NO_TASK) && info.waits_for_object);
        cr_assert(same(look_at(each).waits_for_task, OURO_NO_TASK));
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_await(first), 0);
        yields(2);
        cr_assert(same(look_at(each).waits_for_task, tasks[1]));
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_await(each), 0);
}

static struct ouro_group *open_group;

static intptr_t closes_its_group(void *ret_members)
{
        ouro_task *members = ret_members;

        OURO_GROUP(g) {
                open_group = g;
                members[0] = ouro_create_task(waits_for_ever, NULL);
                members[1] = ouro_create_task(waits_for_ever, NULL);
        }
        return 0;
}

RUN(info, whoever_closes_a_group_tells_its_last_member)
{
        ouro_task members[2], owner = ouro_create_task(closes_its_group, members);
        struct ouro_task_info info = wait_of(owner);

        cr_assert_str_eq(info.waits_for, "members of its group");
        cr_assert(info.waits_for_object == open_group && same(info.waits_for_task, OURO_NO_TASK));
        cr_assert_eq(ouro_cancel(members[0]), 0);
        cr_assert(same(wait_of(owner).waits_for_task, members[1]));
        cr_assert_eq(ouro_cancel(members[1]), 0);
        cr_assert_eq(ouro_await(owner), 0);
}

static int pair[2];

static intptr_t receives(void *unused)
{
        char byte;

        (void)unused;
        return ouro_recv(pair[0], &byte, 1, 0);
}

static intptr_t polls(void *unused)
{
        (void)unused;
        return ouro_poll(pair[0], POLLIN);
}

RUN(info, an_operation_tells_its_name_and_descriptor)
{
        ouro_task receiver, poller;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        receiver = ouro_create_task(receives, NULL);
        poller = ouro_create_task(polls, NULL);
        yields(2);
        cr_assert_str_eq(look_at(receiver).waits_for, "recv");
        cr_assert_str_eq(look_at(poller).waits_for, "poll");
        cr_assert(look_at(receiver).waits_for_fd == pair[0] && look_at(poller).waits_for_fd == pair[0]);
        cr_assert_eq(write(pair[1], "xx", 2), 2);
        cr_assert_eq(ouro_await(receiver), 1);
        cr_assert(ouro_await(poller) > 0);
        close(pair[0]);
        close(pair[1]);
}

static intptr_t waits_until_released(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *fd = in.base;
        char byte;

        (void)job, (void)out;
        return read(*fd, &byte, 1);
}

static intptr_t closes_executor(void *pool)
{
        return ouro_executor_close(pool);
}

RUN(info, a_job_and_whoever_closes_its_executor_tell_that)
{
        ouro_executor *pool = ouro_thread_pool(NULL);
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_task_info info;
        ouro_task job, closer;
        unsigned line;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        line = __LINE__ + 1;
        job = ouro_submit_with(pool, waits_until_released, OURO_IN(pair[0]), OURO_NO_OUT, &options);
        closer = ouro_create_task(closes_executor, pool);
        info = look_at(job);
        cr_assert(info.is_job && info.state == OURO_STATE_WAITING && info.stack_bytes == 0);
        cr_assert_str_eq(info.waits_for, "job");
        cr_assert(info.waits_for_object == pool && info.line == line);
        cr_assert_str_eq(info.name, "waits_until_released");
        info = wait_of(closer);
        cr_assert_str_eq(info.waits_for, "an executor to close");
        cr_assert_eq(info.waits_for_object, pool);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        cr_assert_eq(ouro_await(job), 1);
        cr_assert_eq(ouro_await(closer), 0);
        close(pair[0]);
        close(pair[1]);
}

RUN(info, a_job_that_was_tried_has_a_name_and_a_place)
{
        ouro_executor *pool = ouro_thread_pool(NULL);
        unsigned line;
        ouro_task job;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        line = __LINE__ + 1;
        cr_assert_eq(ouro_try_submit(pool, waits_until_released, OURO_IN(pair[0]), OURO_NO_OUT, NULL, &job),
                     0);
        cr_assert_str_eq(look_at(job).name, "waits_until_released");
        cr_assert_eq(look_at(job).line, line);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        cr_assert_eq(ouro_await(job), 1);
        cr_assert_eq(ouro_executor_close(pool), 0);
        close(pair[0]);
        close(pair[1]);
}

/* ---- since when ---- */

static intptr_t sleeps_then_awaits(void *task)
{
        cr_assert_eq(ouro_sleep(OURO_SEC(60)), 0);
        return ouro_await(*(ouro_task *)task);
}

RUN_VIRTUAL(info, by_the_virtual_clock_the_time_is_exact)
{
        ouro_task target = ouro_create_task(sleeps_ms, as_arg(3600 * 1000)), waiter;
        int64_t began_ns = ouro_now();

        waiter = ouro_create_task(sleeps_then_awaits, &target);
        yields(1);
        cr_assert_eq(look_at(target).waits_since_ns, began_ns);
        cr_assert_eq(ouro_sleep(OURO_SEC(100)), 0);
        cr_assert_eq(look_at(target).waits_since_ns, began_ns);
        cr_assert_eq(look_at(waiter).waits_since_ns, began_ns + OURO_SEC(60));
        cr_assert_eq(ouro_await(waiter), 0);
        cr_assert_eq(ouro_now(), began_ns + OURO_SEC(3600));
}

RUN_VIRTUAL(info, a_job_waits_since_it_was_submitted)
{
        ouro_executor *pool = ouro_thread_pool(NULL);
        int64_t submitted_ns;
        ouro_task job;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        cr_assert_eq(ouro_sleep(OURO_SEC(7)), 0);
        submitted_ns = ouro_now();
        job = ouro_submit(pool, waits_until_released, OURO_IN(pair[0]), OURO_NO_OUT);
        yields(200);
        cr_assert_eq(look_at(job).waits_since_ns, submitted_ns);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        cr_assert_eq(ouro_await(job), 1);
        cr_assert_eq(ouro_executor_close(pool), 0);
        close(pair[0]);
        close(pair[1]);
}

/* Without any timer, so that nothing but this makes the loop look at its clock. */
RUN(info, by_the_real_clock_it_is_after_the_last_sleep_and_not_in_the_future)
{
        ouro_task receiver, waiter;
        int64_t before_ns, since_ns;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        receiver = ouro_create_task(receives, NULL);
        before_ns = ouro_now();
        yields(2);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        cr_assert_eq(ouro_await(receiver), 1);
        waiter = ouro_create_task(waits_for_ever, NULL);
        yields(20 * 128); /* more than 16 passes */
        since_ns = look_at(waiter).waits_since_ns;
        cr_assert(since_ns >= before_ns && since_ns <= ouro_now());
        close(pair[0]);
        close(pair[1]);
}

RUN(info, a_loop_that_never_sleeps_looks_at_its_clock_all_the_same)
{
        ouro_task first = ouro_create_task(waits_for_ever, NULL), last;

        yields(20 * 1024);
        last = ouro_create_task(waits_for_ever, NULL);
        yields(1);
        cr_assert_gt(look_at(last).waits_since_ns, look_at(first).waits_since_ns);
}
