// The header and the library from C++17: block macros left by an exception, and exceptions that stay with
// their task.
#include <criterion/criterion.h>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>

#include <ouro.h>

static std::string notes;

static intptr_t run_virtual(ouro_fn *main_fn)
{
        ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        return ouro_run_with(&options, main_fn, nullptr);
}

static void *as_arg(intptr_t value)
{
        return reinterpret_cast<void *>(value);
}

static intptr_t sleeps_and_notes(void *letter)
{
        int cut = ouro_sleep(OURO_MS(1));

        notes += cut < 0 ? static_cast<char>(reinterpret_cast<intptr_t>(letter) - 32)
                         : static_cast<char>(reinterpret_cast<intptr_t>(letter));
        return cut;
}

/* ---- the header ---- */

static intptr_t sums(ouro_job *, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = static_cast<const int *>(in.base);
        long sum = 0;

        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                sum += numbers[i];
        *static_cast<long *>(out.base) = sum;
        return 0;
}

static const struct ouro_local word = OURO_LOCAL_INIT("word", nullptr);

static intptr_t uses_every_macro(void *)
{
        struct ouro_task_info info = OURO_TASK_INFO_INIT;
        ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_thread_options thread_options = OURO_THREAD_OPTIONS_INIT;
        ouro_group_options group_options = OURO_GROUP_OPTIONS_INIT;
        ouro_cancellation cancellation = OURO_CANCELLATION_INIT;
        ouro_mutex mutex = OURO_MUTEX_INIT;
        ouro_semaphore semaphore = OURO_SEMAPHORE_INIT(2);
        ouro_event event = OURO_EVENT_INIT;
        ouro_condition condition = OURO_CONDITION_INIT;
        ouro_executor *pool = ouro_thread_pool(&thread_options);
        const int numbers[] = {1, 2, 3};
        int error = 1;
        bool expired = true;
        long sum = 0;
        ouro_task job;

        cr_assert(ouro_await(ouro_submit(pool, sums, OURO_IN(numbers), OURO_OUT(sum))) == 0);
        cr_assert(sum == 6);
        cr_assert(ouro_await(ouro_submit(pool, sums, OURO_NO_IN, OURO_OUT(sum))) == 0);
        cr_assert(ouro_await(ouro_submit_with(pool, sums, OURO_NO_IN, OURO_OUT(sum), nullptr)) == 0);
        cr_assert(ouro_try_submit(pool, sums, OURO_NO_IN, OURO_OUT(sum), nullptr, &job) == 0);
        cr_assert(ouro_await(job) == 0);
        cr_assert(ouro_executor_close(pool) == 0);
        OURO_GROUP(g, &error) {
                cr_assert(ouro_task_state(ouro_create_task_in(g, sleeps_and_notes, as_arg('a'))) > 0);
                cr_assert(ouro_go(sleeps_and_notes, as_arg('b')) == 0);
        }
        OURO_GROUP_KEEP_GOING(g) {
                ouro_create_task_with(&options, sleeps_and_notes, as_arg('c'));
        }
        group_options.successes = 1;
        group_options.ret_error = &error;
        OURO_GROUP_WITH(g, &group_options)
                ouro_create_task_in(g, sleeps_and_notes, as_arg('d'));
        OURO_SCOPE(scope, OURO_SEC(1)) {
                cr_assert(ouro_scope_cancel(scope) == 0);
                cr_assert(ouro_cancel_info(ouro_self(), &cancellation) == 0);
                cr_assert(cancellation.reason == OURO_CANCEL_ASKED);
        }
        OURO_TIMEOUT(OURO_SEC(1), &expired)
                OURO_SHIELD
        cr_assert(ouro_mutex_lock(&mutex) == 0);
        cr_assert(error == 0 && !expired);
        cr_assert(ouro_condition_notify_all(&condition) == 0);
        cr_assert(ouro_mutex_unlock(&mutex) == 0);
        cr_assert(ouro_semaphore_acquire(&semaphore) == 0);
        cr_assert(ouro_event_set(&event) == 0);
        cr_assert(ouro_await(OURO_NO_TASK) == -ESRCH);
        cr_assert(ouro_local_set(&word, as_arg('w')) == 0 && ouro_local_get(&word) == as_arg('w'));
        cr_assert(ouro_task_info(ouro_self(), &info) == 0 && info.state == OURO_STATE_RUNNING);
        return 0;
}

Test(cxx, header_serves_with_all_its_macros)
{
        cr_assert(ouro_run(uses_every_macro, nullptr) == 0);
        cr_assert(notes == "abcd");
}

/* ---- groups, scopes and shields left by an exception ---- */

static void throws_out_of_groups(int *ret_error, bool *ret_expired)
{
        OURO_GROUP(outer, ret_error) {
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                OURO_SCOPE(scope, OURO_MS(100), ret_expired)
                        OURO_SHIELD
                OURO_GROUP_WITH(inner, nullptr) {
                        ouro_create_task(sleeps_and_notes, as_arg('b'));
                        throw std::runtime_error("thrown");
                }
        }
}

static intptr_t catches_outside_the_groups(void *)
{
        int error = 1;
        bool expired = true;

        try {
                throws_out_of_groups(&error, &expired);
                return -EIO;
        } catch (const std::runtime_error &e) {
                notes += e.what();
        }
        cr_assert(error == 0 && !expired);
        cr_assert(ouro_sleep(OURO_SEC(1)) == 0, "a scope is still open");
        return std::uncaught_exceptions();
}

Test(cxx, group_left_by_an_exception_cancels_and_awaits_its_members)
{
        cr_assert(run_virtual(catches_outside_the_groups) == 0);
        cr_assert(notes == "BAthrown", "%s", notes.c_str());
}

static intptr_t catches_inside_the_group(void *)
{
        OURO_GROUP(g) {
                ouro_create_task(sleeps_and_notes, as_arg('a'));
                try {
                        throw 5;
                } catch (int number) {
                        notes += static_cast<char>('0' + number);
                }
        }
        return 0;
}

Test(cxx, exception_caught_inside_leaves_the_group_alone)
{
        cr_assert(run_virtual(catches_inside_the_group) == 0);
        cr_assert(notes == "5a");
}

struct noter {
        char letter;

        explicit noter(char c) : letter(c)
        {
        }
        noter(const noter &) = delete;
        noter &operator=(const noter &) = delete;
        ~noter()
        {
                notes += letter;
        }
};

static intptr_t borrows(void *arg)
{
        int cut = ouro_sleep(OURO_MS(1));

        notes += static_cast<noter *>(arg)->letter;
        return cut;
}

static int returns_from_group()
{
        noter before('x');

        OURO_GROUP(g) {
                ouro_create_task(borrows, &before);
                return 3;
        }
        return 4;
}

static intptr_t returns_through_destructors(void *)
{
        return returns_from_group();
}

Test(cxx, what_lies_before_a_group_is_destroyed_after_its_members_have_ended)
{
        cr_assert(run_virtual(returns_through_destructors) == 3);
        cr_assert(notes == "xx");
}

/* ---- f98: exceptions stay with their task ---- */

static intptr_t rethrows_its_own(void *number)
{
        intptr_t mine = reinterpret_cast<intptr_t>(number);

        try {
                try {
                        ouro_yield();
                        throw mine;
                } catch (intptr_t) {
                        for (int i = 0; i < 5; i++)
                                ouro_yield(); /* others throw and catch meanwhile */
                        throw;
                }
        } catch (intptr_t again) {
                ouro_yield();
                return again == mine ? mine : -EXDEV;
        }
}

static intptr_t gathers_rethrowers(void *)
{
        ouro_task tasks[20];
        intptr_t results[20];

        for (intptr_t i = 0; i < 20; i++)
                tasks[i] = ouro_create_task(rethrows_its_own, as_arg(i));
        cr_assert(ouro_gather(tasks, 20, results) == 0);
        for (intptr_t i = 0; i < 20; i++)
                cr_assert(results[i] == i, "task %ld rethrew another's exception: %ld", i, results[i]);
        return 0;
}

Test(cxx, f98_exception_that_is_handled_is_its_tasks_own)
{
        cr_assert(ouro_run(gathers_rethrowers, nullptr) == 0);
}

struct waits_in_destructor {
        waits_in_destructor() = default;
        waits_in_destructor(const waits_in_destructor &) = delete;
        waits_in_destructor &operator=(const waits_in_destructor &) = delete;
        ~waits_in_destructor()
        {
                int mine = std::uncaught_exceptions();

                cr_assert(mine == 1);
                for (int i = 0; i < 5; i++)
                        ouro_yield();
                cr_assert(std::uncaught_exceptions() == mine, "another task's exceptions are counted");
        }
};

static intptr_t unwinds_slowly(void *)
{
        try {
                waits_in_destructor slow;

                throw 1;
        } catch (int) {
                return std::uncaught_exceptions();
        }
        return -EIO;
}

static intptr_t counts_none(void *)
{
        for (int i = 0; i < 5; i++) {
                cr_assert(std::uncaught_exceptions() == 0, "an exception of another task is in flight here");
                cr_assert(!std::current_exception());
                ouro_yield();
        }
        return 0;
}

static intptr_t mixes_unwinders(void *)
{
        ouro_task tasks[9];

        for (int i = 0; i < 9; i++)
                tasks[i] = ouro_create_task_named(i % 3 ? unwinds_slowly : counts_none, nullptr, "mixed");
        return ouro_gather(tasks, 9, nullptr);
}

Test(cxx, f98_exception_in_flight_is_its_tasks_own)
{
        cr_assert(ouro_run(mixes_unwinders, nullptr) == 0);
}

/* A task that starts or ends while another handles an exception knows nothing of it. */
static intptr_t ends_at_once(void *)
{
        return std::uncaught_exceptions() + (std::current_exception() ? 1 : 0);
}

static intptr_t starts_others_while_handling(void *)
{
        try {
                throw std::string("mine");
        } catch (const std::string &s) {
                ouro_task tasks[50];

                for (ouro_task &task : tasks)
                        task = ouro_create_task(ends_at_once, nullptr);
                for (ouro_task task : tasks)
                        cr_assert(ouro_await(task) == 0);
                cr_assert(s == "mine");
                try {
                        throw;
                } catch (const std::string &same) {
                        cr_assert(&same == &s);
                }
        }
        return std::current_exception() ? 1 : 0;
}

Test(cxx, f98_tasks_that_start_while_one_handles_an_exception_know_nothing_of_it)
{
        cr_assert(ouro_run(starts_others_while_handling, nullptr) == 0);
}

static intptr_t holds_an_exception_at_the_end(void *)
{
        try {
                throw 1;
        } catch (int) {
                return ouro_sleep(OURO_FOREVER); /* cut short when main has returned */
        }
}

static intptr_t leaves_one_that_handles(void *)
{
        ouro_go(holds_an_exception_at_the_end, nullptr);
        return ouro_yield();
}

Test(cxx, f98_the_thread_has_its_own_exceptions_again_after_the_run)
{
        try {
                throw std::string("outer");
        } catch (const std::string &outer) {
                cr_assert(ouro_run(leaves_one_that_handles, nullptr) == 0);
                try {
                        throw;
                } catch (const std::string &same) {
                        cr_assert(&same == &outer);
                }
        }
        cr_assert(!std::current_exception());
}
