/* Of lib/task/task.c: how a task starts, what it leaves, who may take its result, and what is told of it. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "support/leaks.h"

static intptr_t notes_it(void *letter)
{
        note((char)(intptr_t)letter);
        return 0;
}

static intptr_t fails_on_first_wait(void *arg)
{
        note('s');
        *(int *)arg = ouro_yield();
        return 5;
}

TestSuite(task, .init = leaks_begin, .fini = leaks_end);

/* ---- starting ---- */

RUN(task, starts_at_the_back_of_the_ready_queue)
{
        ouro_task tasks[2] = {ouro_create_task(notes_it, as_arg('a')),
                              ouro_create_task(notes_it, as_arg('b'))};

        note('m');
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        cr_assert_str_eq(noted(), "mab");
}

RUN(task, cancelled_before_it_ran_it_starts_all_the_same)
{
        int first_wait = 0;
        ouro_task task = ouro_create_task(fails_on_first_wait, &first_wait);

        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), 5);
        cr_assert_eq(first_wait, -ECANCELED);
        cr_assert_str_eq(noted(), "s");
}

RUN(task, result_may_be_a_pointer)
{
        static int object;

        cr_assert_eq(ouro_await(ouro_create_task(gives, &object)), (intptr_t)&object);
}

/* ---- handles and results ---- */

RUN(task, await_consumes_the_result)
{
        ouro_task task = ouro_create_task(gives, as_arg(7));

        cr_assert_eq(ouro_await(task), 7);
        cr_assert_eq(ouro_await(task), -ESRCH);
        cr_assert_eq(ouro_wait(task), -ESRCH);
        cr_assert_eq(ouro_task_state(task), -ESRCH);
        cr_assert_eq(ouro_cancelled(task), -ESRCH);
        cr_assert_null(ouro_task_name(task));
}

RUN(task, await_of_one_that_has_ended_does_not_suspend)
{
        ouro_task task = ouro_create_task(gives, as_arg(7));

        cr_assert_eq(ouro_yield(), 0);
        ouro_go(notes_it, as_arg('x'));
        cr_assert_eq(ouro_await(task), 7);
        cr_assert_str_eq(noted(), "");
}

RUN(task, wait_leaves_the_result_where_it_is)
{
        ouro_task task = ouro_create_task(gives_later, as_arg(-EIO));

        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED);
        cr_assert_eq(ouro_await(task), -EIO);
}

struct awaiter {
        ouro_task target;
        intptr_t (*how)(ouro_task);
        intptr_t result;
};

static intptr_t awaits(void *arg)
{
        struct awaiter *awaiter = arg;

        awaiter->result = awaiter->how(awaiter->target);
        return 0;
}

static intptr_t by_wait(ouro_task task)
{
        return ouro_wait(task);
}

static intptr_t by_wait_for(ouro_task task)
{
        return ouro_wait_for(task, OURO_FOREVER);
}

static intptr_t by_gather(ouro_task task)
{
        intptr_t result = -1;

        ouro_gather(&task, 1, &result);
        return result;
}

RUN(task, f99_all_who_wait_already_get_the_result)
{
        ouro_task target = ouro_create_task(gives_later, as_arg(9));
        struct awaiter awaiters[] = {{target, ouro_await, 0},  {target, by_wait, -1},
                                     {target, ouro_await, 0},  {target, by_gather, 0},
                                     {target, by_wait_for, 0}, {target, by_gather, 0}};
        ouro_task tasks[6];

        for (size_t i = 0; i < 6; i++)
                tasks[i] = ouro_create_task(awaits, &awaiters[i]);
        cr_assert_eq(ouro_gather(tasks, 6, NULL), 0);
        for (size_t i = 0; i < 6; i++)
                cr_assert_eq(awaiters[i].result, i == 1 ? 0 : 9, "waiter %zu got %ld", i,
                             (long)awaiters[i].result);
        cr_assert_eq(ouro_await(target), -ESRCH);
}

RUN(task, f99_after_its_group_closed_the_handle_is_stale)
{
        ouro_task task = OURO_NO_TASK;

        OURO_GROUP(g) {
                task = ouro_create_task(gives, as_arg(7));
        }
        cr_assert_eq(ouro_await(task), -ESRCH);
        cr_assert_eq(ouro_task_state(task), -ESRCH);
}

RUN(task, result_stays_until_its_group_closes)
{
        ouro_task first, others[100];

        OURO_GROUP(g) {
                first = ouro_create_task(gives, as_arg(7));
                for (int i = 0; i < 100; i++) {
                        for (size_t k = 0; k < 100; k++)
                                others[k] = ouro_create_task(gives, as_arg(1));
                        cr_assert_eq(ouro_gather(others, 100, NULL), 0);
                }
                cr_assert_eq(ouro_await(first), 7);
        }
}

RUN(task, awaiting_oneself_is_a_deadlock)
{
        ouro_task self = ouro_self(), with_other[2] = {ouro_create_task(gives, NULL), self};
        ouro_completions *completions = NULL;

        cr_assert_eq(ouro_await(self), -EDEADLK);
        cr_assert_eq(ouro_wait(self), -EDEADLK);
        cr_assert_eq(ouro_wait_for(self, OURO_SEC(1)), -EDEADLK);
        cr_assert_eq(ouro_gather(with_other, 2, NULL), -EDEADLK);
        cr_assert_eq(ouro_wait_first(with_other, 2), -EDEADLK);
        cr_assert_eq(ouro_as_completed(with_other, 2, &completions), -EDEADLK);
        cr_assert_null(completions);
        cr_assert_eq(ouro_await(with_other[0]), 0, "a refused gather has consumed");
}

static void is_no_task(ouro_task task)
{
        ouro_completions *completions = NULL;
        intptr_t result = 99;

        cr_assert_eq(ouro_await(task), -ESRCH);
        cr_assert_eq(ouro_wait(task), -ESRCH);
        cr_assert_eq(ouro_wait_for(task, 0), -ESRCH);
        cr_assert_eq(ouro_gather(&task, 1, &result), -ESRCH);
        cr_assert_eq(result, 99);
        cr_assert_eq(ouro_cancel(task), -ESRCH);
        cr_assert_eq(ouro_cancelled(task), -ESRCH);
        cr_assert_eq(ouro_task_state(task), -ESRCH);
        cr_assert_null(ouro_task_name(task));
        if (task.slot == 0 && task.generation == 0)
                return; /* passed over by those that look at several */
        cr_assert_eq(ouro_wait_first(&task, 1), -ESRCH);
        cr_assert_eq(ouro_as_completed(&task, 1, &completions), -ESRCH);
        cr_assert_null(completions);
}

RUN(task, forged_handles_are_told)
{
        ouro_task self = ouro_self();
        ouro_task forged[] = {
                OURO_NO_TASK,
                {self.slot, 0},
                {self.slot, self.generation + 1},
                {self.slot, self.generation - 1},
                {self.slot, UINT64_MAX},
                {self.slot + 1, self.generation}, /* never used */
                {self.slot + 1, 0},
                {self.slot + (1ull << 32), self.generation},
                {self.slot + (1ull << 40), self.generation},
                {UINT64_MAX, 0},
                {UINT64_MAX, 1},
                {UINT64_MAX, (uint64_t)-4096},
                {UINT64_MAX - 1, (uint64_t)-EIO},
        };

        for (size_t i = 0; i < sizeof forged / sizeof *forged; i++)
                is_no_task(forged[i]);
}

static intptr_t gathers_with_slow(void *target)
{
        ouro_task tasks[2] = {*(ouro_task *)target, ouro_create_task(gives_when_cut, as_arg(1))};
        intptr_t results[2] = {0, 0};

        ouro_gather(tasks, 2, results);
        return results[0];
}

/* While a gather keeps a result that somebody else has consumed, nothing answers to its slot. */
RUN(task, handle_of_the_next_generation_is_no_task)
{
        ouro_task target = ouro_create_task(gives_later, as_arg(3));
        ouro_task gatherer = ouro_create_task(gathers_with_slow, &target);

        cr_assert_eq(ouro_await(target), 3);
        is_no_task(target);
        target.generation++;
        is_no_task(target);
        cr_assert_eq(ouro_cancel(gatherer), 0);
        cr_assert_eq(ouro_await(gatherer), 3);
}

RUN(task, reused_slot_has_another_generation)
{
        ouro_task last = OURO_NO_TASK;
        bool reused = false;

        for (int i = 0; i < 10000; i++) {
                ouro_task task = ouro_create_task(gives, NULL);

                cr_assert_eq(ouro_await(last), -ESRCH);
                cr_assert(task.slot != last.slot || task.generation != last.generation);
                reused |= task.slot == last.slot;
                cr_assert_eq(ouro_await(task), 0);
                last = task;
        }
        cr_assert(reused, "records are never used again");
}

static ouro_task kept;

static intptr_t keeps_own_handle(void *unused)
{
        (void)unused;
        kept = ouro_self();
        return 0;
}

static intptr_t finds_it_stale(void *unused)
{
        (void)unused;
        is_no_task(kept);
        cr_assert(kept.slot != ouro_self().slot || kept.generation != ouro_self().generation);
        return 0;
}

Test(task, handle_of_an_earlier_run_is_stale)
{
        for (int i = 0; i < 3; i++) {
                cr_assert_eq(ouro_run(keeps_own_handle, NULL), 0);
                cr_assert_eq(ouro_run(finds_it_stale, NULL), 0);
        }
}

static void *runs_other_loop(void *unused)
{
        (void)unused;
        return (void *)ouro_run(finds_it_stale, NULL);
}

RUN(task_elsewhere, f99_handle_of_another_loop_is_foreign)
{
        pthread_t thread;
        void *result;

        kept = ouro_self();
        cr_assert_eq(pthread_create(&thread, NULL, runs_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_eq((intptr_t)result, 0);
        cr_assert_eq(ouro_task_state(kept), OURO_STATE_RUNNING);
}

RUN(task, what_could_not_be_created_has_ended_with_the_error)
{
        ouro_task failed = ouro_create_task_named(NULL, NULL, "none");
        ouro_completions *completions = NULL;
        intptr_t result = 0;

        cr_assert_eq(ouro_task_state(failed), OURO_STATE_ENDED);
        cr_assert_eq(ouro_cancelled(failed), OURO_NOT_CANCELLED);
        cr_assert_eq(ouro_cancel(failed), 0);
        cr_assert_eq(ouro_wait(failed), 0);
        cr_assert_eq(ouro_wait_first(&failed, 1), 0);
        cr_assert_eq(ouro_as_completed(&failed, 1, &completions), 0);
        cr_assert_eq(ouro_completions_next(completions), 0);
        cr_assert_eq(ouro_completions_next(completions), -ENOENT);
        ouro_completions_free(completions);
        cr_assert_eq(ouro_gather(&failed, 1, &result), -EINVAL);
        cr_assert_eq(result, -EINVAL);
        cr_assert_eq(ouro_wait_for(failed, OURO_SEC(1)), -EINVAL);
        cr_assert_eq(ouro_await(failed), -EINVAL);
        cr_assert_eq(ouro_go_at(NULL, NULL, NULL), -EINVAL);
}

/* ---- asking ---- */

static intptr_t looks_at_parent(void *parent)
{
        return ouro_task_state(*(ouro_task *)parent);
}

RUN(task, states_are_told)
{
        ouro_task self = ouro_self(), task = ouro_create_task(sleeps_ms, as_arg(1));

        cr_assert_eq(ouro_task_state(self), OURO_STATE_RUNNING);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_READY);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED);
        cr_assert_eq(ouro_await(ouro_create_task(looks_at_parent, &self)), OURO_STATE_WAITING);
}

RUN(task, every_task_has_a_name)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task task;

        cr_assert_str_eq(ouro_task_name(ouro_self()), "main");
        cr_assert_str_eq(ouro_task_name(ouro_create_task(gives, NULL)), "gives");
        cr_assert_str_eq(ouro_task_name(ouro_create_task_named(gives, NULL, "given")), "given");
        cr_assert_not_null(ouro_task_name(ouro_create_task_with(NULL, gives, NULL)));
        options.name = "optional";
        task = ouro_create_task_with(&options, gives, as_arg(1));
        cr_assert_str_eq(ouro_task_name(task), "optional");
        cr_assert_eq(ouro_wait(task), 0);
        cr_assert_str_eq(ouro_task_name(task), "optional");
}

static intptr_t gives_own_slot(void *ret_self)
{
        *(ouro_task *)ret_self = ouro_self();
        return 0;
}

RUN(task, self_is_the_handle_its_creator_has)
{
        ouro_task self, task = ouro_create_task(gives_own_slot, &self);

        cr_assert_eq(ouro_await(task), 0);
        cr_assert_eq(self.slot, task.slot);
        cr_assert_eq(self.generation, task.generation);
}

/* ---- options ---- */

static int dropped;

static void count_drop(void *arg)
{
        ++*(int *)arg;
}

RUN(task, refused_options_end_it_and_drop_its_argument)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        struct ouro_group closed;

        options.drop = count_drop;
        options.stack_bytes = 4096;
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, gives, &dropped)), -EINVAL);
        options.stack_bytes = SIZE_MAX;
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, gives, &dropped)), -EINVAL);
        options.stack_bytes = 0;
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, NULL, &dropped)), -EINVAL);
        options.group = ouro_group_open(&closed, 0, NULL);
        cr_assert_eq(ouro_group_close(&closed), 0);
        cr_assert_eq(ouro_await(ouro_create_task_with(&options, gives, &dropped)), -EINVAL);
        cr_assert_eq(dropped, 4);
}

RUN(task, options_of_older_and_newer_headers_are_taken)
{
        struct {
                struct ouro_task_options known;
                uint64_t unknown;
        } newer = {.known = OURO_TASK_OPTIONS_INIT};
        struct ouro_task_options older = {.size = sizeof older.size, .stack_bytes = 1, .name = "beyond"};
        ouro_task task = ouro_create_task_with(&older, gives, NULL);

        cr_assert_str_eq(ouro_task_name(task), "gives");
        cr_assert(ouro_await(task) >= 0);
        newer.known.size = sizeof newer;
        cr_assert(ouro_await(ouro_create_task_with(&newer.known, gives, NULL)) >= 0);
        newer.unknown = 1;
        cr_assert_eq(ouro_await(ouro_create_task_with(&newer.known, gives, NULL)), -EINVAL);
        older.size = 0;
        cr_assert_eq(ouro_await(ouro_create_task_with(&older, gives, NULL)), -EINVAL);
}

Test(task, created_outside_a_run_it_has_ended_and_its_argument_is_dropped)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        options.drop = count_drop;
        ouro_create_task_with(&options, gives, &dropped);
        cr_assert_eq(dropped, 1);
}

struct pair {
        int first, second;
};

static intptr_t adds(void *arg)
{
        const struct pair *pair = arg;

        return pair->first + pair->second;
}

RUN(task, options_name_outranks_the_name_of_the_site)
{
        static const struct ouro_site site = {.name = "of the site"};
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task plain = ouro_create_task_with_at(&options, gives, as_arg(1), &site), named, nameless;

        options.name = "of the options";
        named = ouro_create_task_with_at(&options, gives, as_arg(2), &site);
        nameless = ouro_create_task_with_at(NULL, gives, as_arg(3), NULL);
        cr_assert_str_eq(ouro_task_name(plain), "of the site");
        cr_assert_str_eq(ouro_task_name(named), "of the options");
        cr_assert_str_eq(ouro_task_name(nameless), "task");
        cr_assert_eq(ouro_await(plain) + ouro_await(named) + ouro_await(nameless), 6);
        cr_assert_eq(ouro_await(ouro_create_task_with_at(&options, NULL, NULL, &site)), -EINVAL);
}

/* A compound literal lives as long as the block that the macro stands in, not only as long as the macro. */
RUN(task, what_is_made_among_the_arguments_outlives_the_call)
{
        ouro_task one = ouro_create_task(adds, (&(struct pair){1, 2}));
        ouro_task two = ouro_create_task(adds, (&(struct pair){3, 4}));
        ouro_task three = ouro_create_task_named(adds, (&(struct pair){5, 6}), "three");

        cr_assert_eq(ouro_await(one), 3);
        cr_assert_eq(ouro_await(two), 7);
        cr_assert_eq(ouro_await(three), 11);
}

RUN(task, a_started_task_keeps_its_argument)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task task;

        options.drop = count_drop;
        task = ouro_create_task_with(&options, gives, &dropped);
        cr_assert_eq(ouro_cancel(task), 0);
        cr_assert_eq(ouro_await(task), (intptr_t)&dropped);
        cr_assert_eq(dropped, 0);
}

static intptr_t uses_much_stack(void *unused)
{
        volatile char room[600 * 1024];

        (void)unused;
        for (size_t i = 0; i < sizeof room; i += 512)
                room[i] = (char)i;
        cr_assert_eq(ouro_yield(), 0);
        return room[512 * 3];
}

RUN(task, stack_is_as_large_as_asked)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task tasks[3];

        options.stack_bytes = 1024 * 1024;
        for (size_t i = 0; i < 3; i++)
                tasks[i] = ouro_create_task_with(&options, uses_much_stack, NULL);
        cr_assert_eq(ouro_gather(tasks, 3, NULL), 0);
}

RUN(task, group_of_the_options_is_its_group)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task task = OURO_NO_TASK;

        OURO_GROUP(outer) {
                options.group = outer;
                OURO_GROUP(inner) {
                        task = ouro_create_task_with(&options, gives_later, as_arg(4));
                }
                cr_assert_eq(ouro_task_state(task), OURO_STATE_READY, "the inner group waited for it");
                cr_assert_eq(ouro_await(task), 4);
        }
}

#if !defined(__SANITIZE_ADDRESS__)
static void drop_it(void *arg)
{
        cr_assert_eq(arg, &dropped);
        cr_assert_eq(ouro_yield(), -EPERM, "drop runs outside any task");
        dropped++;
}

static void allow_no_more_memory(void)
{
        struct rlimit limit = {16 << 20, 16 << 20}; /* less than there is already */

        cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

static intptr_t leaves_one_without_stack(void *unused)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        (void)unused;
        options.name = "stackless";
        options.stack_bytes = 64 << 20;
        options.drop = drop_it;
        allow_no_more_memory();
        ouro_create_task_with(&options, notes_it, &dropped);
        return 6;
}

Test(task_without_memory, that_can_never_start_ends_and_drops_its_argument)
{
        catch_log();
        cr_assert_eq(ouro_run(leaves_one_without_stack, NULL), 6);
        cr_assert_eq(dropped, 1);
        cr_assert_str_eq(noted(), "");
        cr_assert_eq(logged(), 1u);
        cr_assert_not_null(strstr(logged_last(), "stackless"));
}
#endif

/* ---- those that nobody awaits ---- */

RUN(task, go_belongs_to_the_innermost_group)
{
        OURO_GROUP(g) {
                cr_assert_eq(ouro_go(notes_it, as_arg('g')), 0);
        }
        cr_assert_str_eq(noted(), "g");
}

static intptr_t keeps_and_gives(void *value)
{
        kept = ouro_self();
        return (intptr_t)value;
}

RUN(task, of_go_nothing_stays)
{
        cr_assert_eq(ouro_go(keeps_and_gives, as_arg(5)), 0);
        cr_assert_eq(ouro_yield(), 0);
        is_no_task(kept);
}

RUN(task, go_that_fails_is_told_once)
{
        catch_log();
        cr_assert_eq(ouro_go(keeps_and_gives, as_arg(-EIO)), 0);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(logged(), 1u);
        cr_assert_eq(logged_level(), OURO_LOG_WARNING);
        cr_assert_not_null(strstr(logged_last(), "keeps_and_gives"), "%s", logged_last());
}

static intptr_t leaves_failures(void *unused)
{
        ouro_task seen = ouro_create_task_named(gives, as_arg(-EIO), "seen");

        (void)unused;
        ouro_create_task_named(gives, as_arg(-EPIPE), "unseen");
        ouro_create_task_named(gives, as_arg(-ECANCELED), "cancelled");
        ouro_create_task_named(gives, as_arg(1), "fine");
        cr_assert_eq(ouro_await(seen), -EIO);
        cr_assert_eq(logged(), 0u);
        return -EXDEV;
}

Test(task, only_a_failure_that_nobody_saw_is_told)
{
        catch_log();
        cr_assert_eq(ouro_run(leaves_failures, NULL), -EXDEV);
        cr_assert_eq(logged(), 1u);
        cr_assert_not_null(strstr(logged_last(), "unseen"), "%s", logged_last());
}

RUN(task, failure_that_its_group_returned_is_not_told)
{
        int error = 0;

        catch_log();
        OURO_GROUP(g, &error) {
                ouro_create_task(gives, as_arg(-EIO));
        }
        cr_assert_eq(error, -EIO);
        OURO_GROUP_KEEP_GOING(g, &error) {
                ouro_create_task_named(gives, as_arg(-EPIPE), "first");
        }
        cr_assert_eq(error, -EPIPE);
        cr_assert_eq(logged(), 0u, "%s", logged_last());
}

RUN(task, second_failure_of_a_group_is_told_once)
{
        int error = 0;

        catch_log();
        OURO_GROUP_KEEP_GOING(g, &error) {
                ouro_create_task_named(gives, as_arg(-EPIPE), "first");
                ouro_create_task_named(gives, as_arg(-EIO), "second");
        }
        cr_assert_eq(error, -EPIPE);
        cr_assert_eq(logged(), 1u);
        cr_assert_not_null(strstr(logged_last(), "second"), "%s", logged_last());
}

/* ---- long chains ---- */

enum { CHAIN = 1000000, CHAIN_SUSPENDED = 50000 };

static ouro_task chain[CHAIN];

static intptr_t awaits_the_one_before(void *index)
{
        intptr_t i = (intptr_t)index, before = i > 0 ? ouro_await(chain[i - 1]) : ouro_yield();

        return before < 0 ? before : before + 1;
}

/* All suspended at once; the first that ends ends them all, one after the other. */
RUN(task_chain, f65_of_suspended_awaits_ends, .timeout = 60)
{
        for (intptr_t i = 0; i < CHAIN_SUSPENDED; i++)
                chain[i] = ouro_create_task(awaits_the_one_before, as_arg(i));
        cr_assert_eq(ouro_await(chain[CHAIN_SUSPENDED - 1]), CHAIN_SUSPENDED);
}

static struct ouro_event chain_ended;

static intptr_t creates_the_next(void *left)
{
        intptr_t n = (intptr_t)left;

        if (n > 0 && ouro_go(creates_the_next, as_arg(n - 1)) < 0)
                return -ENOMEM;
        if (n == 0)
                ouro_event_set(&chain_ended);
        return 0;
}

RUN(task_chain, f65_of_a_million_tasks_that_start_each_other, .timeout = 60)
{
        cr_assert_eq(ouro_go(creates_the_next, as_arg(CHAIN)), 0);
        cr_assert_eq(ouro_event_wait(&chain_ended), 0);
}

static intptr_t awaits_ended(void *index)
{
        intptr_t i = (intptr_t)index, before = i > 0 ? ouro_await(chain[i - 1]) : 0;

        return before < 0 ? before : before + 1;
}

/* All ready at once: each starts on the stack of the one whose result it takes. */
RUN(task_chain, f65_of_a_million_completions, .timeout = 60)
{
        for (intptr_t i = 0; i < CHAIN; i++)
                chain[i] = ouro_create_task(awaits_ended, as_arg(i));
        cr_assert_eq(ouro_await(chain[CHAIN - 1]), CHAIN);
}
