/* loops.c - several loops: opened, pinned, used in turn, closed in order, and what they share. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(loops, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static ouro_loops *open_with(struct ouro_loops_options options)
{
        ouro_loops *loops = NULL;

        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        cr_assert_not_null(loops);
        return loops;
}

static ouro_loops *open_n(unsigned n)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;

        options.count = n;
        return open_with(options);
}

static void close_all(ouro_loops *loops)
{
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

/* ---- opening ---- */

Test(loops, opened_and_closed_nothing_is_left)
{
        for (int i = 0; i < 20; i++)
                close_all(open_n(3));
}

static unsigned usable(void)
{
        cpu_set_t set;

        cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
        return (unsigned)CPU_COUNT(&set);
}

Test(loops, there_is_one_for_each_cpu_unless_said)
{
        ouro_loops *loops = NULL;

        cr_assert_eq(ouro_loops_open(NULL, &loops), 0);
        cr_assert_geq(ouro_loops_count(loops), 1);
        cr_assert_leq(ouro_loops_count(loops), usable());
        close_all(loops);
        loops = open_n(5);
        cr_assert_eq(ouro_loops_count(loops), 5);
        close_all(loops);
}

Test(loops, next_goes_round)
{
        ouro_loops *loops = open_n(3);

        for (int round = 0; round < 2; round++)
                for (unsigned i = 0; i < 3; i++)
                        cr_assert_eq(ouro_loops_next(loops), ouro_loops_at(loops, i));
        for (unsigned i = 0; i < 3; i++)
                for (unsigned k = 0; k < i; k++)
                        cr_assert_neq(ouro_loops_at(loops, i), ouro_loops_at(loops, k));
        cr_assert_null(ouro_loops_at(loops, 3));
        close_all(loops);
}

static intptr_t tells_cpus(void *set)
{
        return sched_getaffinity(0, sizeof(cpu_set_t), set) == 0 ? CPU_COUNT((cpu_set_t *)set) : -errno;
}

Test(loops, pinned_each_has_one_cpu_and_they_take_turns)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        cpu_set_t first, next, again;
        unsigned cpus = usable();
        ouro_loops *loops;

        options.count = cpus + 1;
        options.pin = true;
        loops = open_with(options);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 0), tells_cpus, &first), 1);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 1), tells_cpus, &next), 1);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, cpus), tells_cpus, &again), 1);
        cr_assert(CPU_EQUAL(&first, &again));
        cr_assert(cpus == 1 || !CPU_EQUAL(&first, &next));
        close_all(loops);
}

static intptr_t tells_thread_name(void *name)
{
        return -pthread_getname_np(pthread_self(), name, 16);
}

static intptr_t tells_signals(void *set)
{
        return -pthread_sigmask(SIG_BLOCK, NULL, set);
}

Test(loops, threads_have_names_and_block_signals)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops;
        char name[16];
        sigset_t set;

        options.count = 2;
        options.name = "serve-";
        loops = open_with(options);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 1), tells_thread_name, name), 0);
        cr_assert_str_eq(name, "serve-1");
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 1), tells_signals, &set), 0);
        cr_assert(sigismember(&set, SIGINT) && sigismember(&set, SIGTERM));
        close_all(loops);
}

static intptr_t tells_clock(void *unused)
{
        (void)unused;
        ouro_sleep(OURO_SEC(3600));
        return ouro_now() >= OURO_SEC(3600) && ouro_now() < OURO_SEC(7200);
}

Test(loops, the_options_of_loops_are_theirs)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops;

        options.count = 2;
        options.loop = (struct ouro_options)OURO_OPTIONS_INIT;
        options.loop.clock = OURO_CLOCK_VIRTUAL;
        loops = open_with(options);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 1), tells_clock, NULL), 1);
        close_all(loops);
}

Test(loops, options_out_of_range_are_refused)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops = (ouro_loops *)&options;

        options.count = 1025;
        cr_assert_eq(ouro_loops_open(&options, &loops), -EINVAL);
        options.count = 1;
        options.size = 1;
        cr_assert_eq(ouro_loops_open(&options, &loops), -EINVAL);
        options.size = sizeof options;
        options.loop = (struct ouro_options)OURO_OPTIONS_INIT;
        options.loop.stack_bytes = 1;
        cr_assert_eq(ouro_loops_open(&options, &loops), -EINVAL);
        cr_assert_eq(ouro_loops_open(NULL, NULL), -EINVAL);
        cr_assert_eq(loops, (ouro_loops *)&options, "untouched on failure");
}

/* ---- init and fini ---- */

static atomic_int inits, finis, others;

static int counts_init(void *arg, unsigned i)
{
        cr_assert_eq(arg, &inits);
        inits += 1 << i;
        return ouro_sleep(OURO_MS(1));
}

static void counts_fini(void *arg, unsigned i)
{
        cr_assert_eq(arg, &inits);
        cr_assert_eq(others, 0, "all others have ended");
        cr_assert_eq(ouro_sleep(OURO_MS(1)), 0, "it is not cancelled");
        cr_assert_eq(ouro_await(ouro_create_task(gives_later, as_arg(3))), 3, "nor are its tasks");
        finis += 1 << i;
}

static struct ouro_loops_options with_hooks(void)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;

        options.count = 3;
        options.init = counts_init;
        options.fini = counts_fini;
        options.arg = &inits;
        return options;
}

static intptr_t counts_itself(void *unused)
{
        intptr_t result;

        others++;
        result = waits_for_ever(unused);
        OURO_SHIELD
        {
                ouro_sleep(OURO_MS(2));
        }
        others--;
        return result;
}

Test(loops, init_is_first_and_fini_last_on_each)
{
        for (int how = OURO_CLOSE_WAIT; how <= OURO_CLOSE_CANCEL; how++) {
                ouro_loops *loops = open_with(with_hooks());

                cr_assert_eq(inits, 7);
                cr_assert_eq(finis, 0);
                if (how == OURO_CLOSE_CANCEL)
                        for (int i = 0; i < 30; i++)
                                cr_assert_eq(ouro_post(ouro_loops_next(loops), counts_itself, NULL), 0);
                cr_assert_eq(ouro_loops_close(loops, (enum ouro_close)how, OURO_FOREVER), 0);
                cr_assert_eq(finis, 7);
                inits = finis = 0;
        }
}

static int fails_at_1(void *arg, unsigned i)
{
        if (i == 1)
                return -EACCES;
        cr_assert_eq(ouro_go(counts_itself, arg), 0);
        return 0;
}

static void counts_fini_only(void *arg, unsigned i)
{
        (void)arg;
        finis += 1 << i;
}

Test(loops, an_init_that_fails_closes_all)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops = NULL;

        options.count = 3;
        options.init = fails_at_1;
        options.fini = counts_fini_only;
        cr_assert_eq(ouro_loops_open(&options, &loops), -EACCES);
        cr_assert_null(loops);
        cr_assert_eq(others, 0);
        cr_assert_eq(finis, 5, "where init has succeeded");
}

static void opens_and_closes(void)
{
        ouro_task other = ouro_create_task(gives_later, NULL);
        ouro_loops *loops = open_with(with_hooks());

        cr_assert_eq(ouro_task_state(other), OURO_STATE_ENDED, "meanwhile it ran");
        close_all(loops);
}

Test(loops, opened_and_closed_in_a_task_others_run)
{
        run_body(opens_and_closes, OURO_CLOCK_REAL);
        run_body(opens_and_closes, OURO_CLOCK_VIRTUAL);
}

/* ---- closing ---- */

static atomic_int done;

static intptr_t takes_a_while(void *unused)
{
        (void)unused;
        if (ouro_sleep(OURO_MS(3)) == 0)
                done++;
        return 0;
}

Test(loops, close_waits_for_all_tasks)
{
        ouro_loops *loops = open_n(3);

        for (int i = 0; i < 30; i++)
                cr_assert_eq(ouro_post(ouro_loops_next(loops), takes_a_while, NULL), 0);
        close_all(loops);
        cr_assert_eq(done, 30);
}

Test(loops, close_cancels_all_tasks)
{
        ouro_loops *loops = open_n(3);

        for (int i = 0; i < 30; i++)
                cr_assert_eq(ouro_post(ouro_loops_next(loops), counts_itself, NULL), 0);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_CANCEL, OURO_FOREVER), 0);
        cr_assert_eq(others, 0);
}

static ouro_loops *travelled;

/* Hands itself on to the next loop, and is gone from this one. */
static intptr_t travels(void *arg)
{
        intptr_t left = (intptr_t)arg;

        ouro_sleep(OURO_US(left % 3 * 100));
        if (left == 0)
                done++;
        else
                cr_assert_eq(ouro_post(ouro_loops_next(travelled), travels, as_arg(left - 1)), 0);
        return 0;
}

Test(loops, close_waits_for_what_tasks_send_from_loop_to_loop)
{
        for (int i = 0; i < 20; i++) {
                travelled = open_n(3);
                for (int k = 0; k < 3; k++)
                        cr_assert_eq(ouro_post(ouro_loops_next(travelled), travels, as_arg(50 + k)), 0);
                close_all(travelled);
                cr_assert_eq(done, 3);
                done = 0;
        }
}

Test(loops, close_gives_up_at_its_deadline_and_can_be_called_again)
{
        ouro_loops *loops = open_n(2);

        cr_assert_eq(ouro_post(ouro_loops_next(loops), counts_itself, NULL), 0);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, 0), -ETIME);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_MS(2)), -ETIME);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 1), gives, as_arg(1)), 1, "they go on meanwhile");
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_CANCEL, OURO_FOREVER), 0);
        cr_assert_eq(others, 0);
}

static void gives_up_in_a_task(void)
{
        ouro_loops *loops = open_n(2);

        cr_assert_eq(ouro_post(ouro_loops_next(loops), counts_itself, NULL), 0);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_MS(2)), -ETIME);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_CANCEL, OURO_SEC(30)), 0);
}

Test(loops, close_gives_up_at_its_deadline_in_a_task)
{
        run_body(gives_up_in_a_task, OURO_CLOCK_REAL);
}

static intptr_t closes(void *loops)
{
        return ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER);
}

static atomic_bool gate;

static intptr_t waits_at_gate(void *unused)
{
        (void)unused;
        while (!gate)
                ouro_sleep(OURO_US(200));
        return 0;
}

static void closes_twice(void)
{
        ouro_loops *loops = open_n(2);
        ouro_task closer;

        cr_assert_eq(ouro_post(ouro_loops_next(loops), waits_at_gate, NULL), 0);
        closer = ouro_create_task(closes, loops);
        ouro_yield();
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_CANCEL, 0), -EALREADY);
        ouro_cancel(closer);
        ouro_sleep(OURO_MS(2));
        cr_assert_eq(ouro_task_state(closer), OURO_STATE_WAITING, "never cut short");
        gate = true;
        cr_assert_eq(ouro_await(closer), 0);
}

Test(loops, closing_twice_is_refused)
{
        run_body(closes_twice, OURO_CLOCK_REAL);
}

Test(loops, a_loop_that_has_ended_says_so_until_it_is_freed)
{
        ouro_loops *loops = open_n(1);

        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, 0), -ETIME);
        while (ouro_post(ouro_loops_at(loops, 0), gives, NULL) == 0)
                sched_yield();
        cr_assert_eq(ouro_post(ouro_loops_at(loops, 0), gives, NULL), -ESHUTDOWN);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 0), gives, NULL), -ESHUTDOWN);
        close_all(loops);
}

static void creates_on_ended(void)
{
        ouro_loops *loops = open_n(1);
        ouro_task task;

        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, 0), -ETIME);
        while (ouro_run_on(ouro_loops_at(loops, 0), gives, NULL) != -ESHUTDOWN)
                ;
        OURO_GROUP(group) {
                task = ouro_create_task_on(ouro_loops_at(loops, 0), gives, NULL);
                cr_assert_eq(ouro_task_state(task), OURO_STATE_ENDED);
                cr_assert_eq(ouro_await(task), -ESHUTDOWN);
        }
        close_all(loops);
}

Test(loops, a_task_for_a_loop_that_has_ended_has_ended)
{
        run_body(creates_on_ended, OURO_CLOCK_REAL);
}

Test(loops, misuse_is_refused)
{
        ouro_loops *loops = open_n(1);

        cr_assert_eq(ouro_loops_close(NULL, OURO_CLOSE_WAIT, 0), -EINVAL);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_KILL, 0), -EINVAL);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, -1), -EINVAL);
        cr_assert_eq(ouro_run_on(ouro_loops_at(loops, 0), closes, loops), -EDEADLK);
        cr_assert_eq(ouro_loops_count(NULL), 0);
        cr_assert_null(ouro_loops_at(NULL, 0));
        cr_assert_null(ouro_loops_next(NULL));
        close_all(loops);
}

/* ---- what they share ---- */

enum { JOBS = 40, SHARING = 3 };

static intptr_t doubles(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(int *)out.base = 2 * *(const int *)in.base;
        return 0;
}

static intptr_t submits_many(void *pool)
{
        int numbers[JOBS], doubled[JOBS];
        ouro_task jobs[JOBS];
        int error;

        for (int i = 0; i < JOBS; i++) {
                numbers[i] = i;
                jobs[i] = ouro_submit(pool, doubles, ouro_in(&numbers[i], sizeof(int)),
                                      ouro_out(&doubled[i], sizeof(int)));
        }
        error = ouro_gather(jobs, JOBS, NULL);
        for (int i = 0; i < JOBS; i++)
                cr_assert_eq(doubled[i], 2 * i);
        return error;
}

static void share(ouro_executor *pool)
{
        ouro_loops *loops = open_n(SHARING);
        ouro_task tasks[SHARING];

        for (int round = 0; round < 5; round++) {
                for (unsigned i = 0; i < SHARING; i++)
                        tasks[i] = ouro_create_task_on(ouro_loops_at(loops, i), submits_many, pool);
                cr_assert_eq(ouro_gather(tasks, SHARING, NULL), 0);
        }
        close_all(loops);
        cr_assert_eq(ouro_executor_close(pool), 0);
}

static void shares_threads(void)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool;

        options.threads = 2;
        cr_assert_eq(ouro_thread_pool_open(&options, &pool), 0);
        share(pool);
}

static void shares_processes(void)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;

        options.workers = 2;
        cr_assert_eq(ouro_process_pool_open(&options, &pool), 0);
        share(pool);
}

Test(loops, several_loops_share_a_pool_of_threads)
{
        run_body(shares_threads, OURO_CLOCK_REAL);
}

Test(loops, several_loops_share_a_pool_of_processes)
{
        run_body(shares_processes, OURO_CLOCK_REAL);
}
