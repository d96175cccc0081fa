/* futures_pool.c - what users of futures demand of a pool: maps, workers, initializers, shutting down. */
#include "futures.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- map ---- */

enum { ITEMS = 40 };

static intptr_t raises(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int base = *(const int *)in.base;
        long power = 1;

        (void)job;
        for (int i = 0; i < base % 10; i++)
                power *= base;
        *(long *)out.base = power;
        return 0;
}

static void check_map(size_t chunk)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        int items[ITEMS];
        long results[ITEMS], wanted;

        for (int i = 0; i < ITEMS; i++)
                items[i] = i;
        options.chunk = chunk;
        EQ(ouro_map(pool, raises, items, sizeof *items, ITEMS, results, sizeof *results, &options), 0);
        for (int i = 0; i < ITEMS; i++) {
                raises(NULL, OURO_IN(items[i]), OURO_OUT(wanted));
                EQ(results[i], wanted);
        }
}

DEMAND(futures, a_map_gives_what_a_loop_would_whatever_its_chunks)
{
        open_pool((struct wish){.workers = 3});
        check_map(0);
        check_map(1);
        check_map(3);
        check_map(6);
        check_map(ITEMS);
        check_map(ITEMS + 10);
        close_pool();
        return 0;
}

static intptr_t divides(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int divisor = *(const int *)in.base;

        (void)job;
        if (divisor == 0)
                return -EDOM;
        *(int *)out.base = 60 / divisor;
        return 0;
}

static size_t told;

static int is_told(void *arg, size_t first, size_t n)
{
        (void)arg;
        EQ(first, told);
        told += n;
        return 0;
}

DEMAND(futures, an_error_in_a_map_comes_after_no_item_behind_it)
{
        const int items[] = {2, 3, 0, 5};
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        int results[4];

        open_pool((struct wish){.workers = 1});
        options.chunk = 1;
        options.each = is_told;
        EQ(ouro_map(pool, divides, items, sizeof *items, 4, results, sizeof *results, &options), -EDOM);
        cr_assert(told <= 2);
        for (size_t i = 0; i < told; i++)
                EQ(results[i], 60 / items[i]);
        close_pool();
        return 0;
}

static intptr_t waits_if_told_to(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct event *event = *(struct event *const *)in.base;

        (void)out;
        return event ? waits(job, OURO_NO_IN, ouro_out(event, sizeof *event)) : 0;
}

DEMAND(futures, a_map_with_a_timeout_has_told_of_what_was_done)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        struct event *items[3] = {NULL, NULL, NULL};
        int error = 0;

        open_pool((struct wish){.workers = 1});
        items[2] = new_event();
        options.chunk = 1;
        options.each = is_told;
        OURO_TIMEOUT(OURO_MS(100)) {
                error = ouro_map(pool, waits_if_told_to, items, sizeof *items, 3, NULL, 0, &options);
        }
        EQ(error, -ETIME);
        EQ(told, 2);
        free_event(items[2]);
        close_pool();
        return 0;
}

DEMAND(futures, items_of_a_map_that_ran_out_of_time_in_the_queue_never_start)
{
        struct event *first, *others, *items[2];
        ouro_task running;
        int error = 0;

        open_pool((struct wish){.workers = 1});
        first = new_event();
        items[0] = items[1] = others = new_event();
        running = submit_wait(first);
        await_begun(first, 1);
        OURO_TIMEOUT(OURO_MS(2)) {
                error = ouro_map(pool, waits_if_told_to, items, sizeof *items, 2, NULL, 0, NULL);
        }
        EQ(error, -ETIME);
        set_event(first);
        EQ(ouro_await(running), 1);
        EQ(others->began, 0);
        free_event(first);
        free_event(others);
        close_pool();
        return 0;
}

/* ---- workers ---- */

static uint64_t workers_now(void)
{
        struct ouro_stats stats = {.size = sizeof stats};

        EQ(ouro_executor_stats(pool, &stats), 0);
        return stats.workers;
}

DEMAND(futures, there_are_as_many_workers_as_cpus_may_be_used)
{
        cpu_set_t one, all;

        EQ(sched_getaffinity(0, sizeof all, &all), 0);
        CPU_ZERO(&one);
        for (unsigned i = 0; CPU_COUNT(&one) == 0; i++)
                if (CPU_ISSET(i, &all))
                        CPU_SET(i, &one);
        EQ(sched_setaffinity(0, sizeof one, &one), 0);
        open_pool((struct wish){.workers = 0});
        EQ(ouro_await(submit_product(2, 2)), 4);
        EQ(workers_now(), 1);
        close_pool();
        EQ(sched_setaffinity(0, sizeof all, &all), 0);
        return 0;
}

DEMAND(futures, a_flood_of_jobs_makes_no_more_workers)
{
        enum { WORKERS = 4, JOBS = 15 * WORKERS };
        intptr_t results[JOBS];
        ouro_task tasks[JOBS];
        struct event *event;

        open_pool((struct wish){.workers = WORKERS});
        event = new_event();
        for (int i = 0; i < JOBS; i++)
                tasks[i] = submit_wait(event);
        await_begun(event, WORKERS);
        EQ(workers_now(), WORKERS);
        EQ(event->began, WORKERS);
        set_event(event);
        EQ(ouro_gather(tasks, JOBS, results), 0);
        EQ(event->began, JOBS);
        free_event(event);
        close_pool();
        return 0;
}

static intptr_t tells_its_thread(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return gettid();
}

DEMAND(futures, an_idle_worker_is_used_again)
{
        intptr_t tid;

        open_pool((struct wish){.workers = 1});
        tid = ouro_call(pool, tells_its_thread, OURO_NO_IN, OURO_NO_OUT, NULL);
        cr_assert(tid > 0 && tid != gettid());
        for (int i = 0; i < 3; i++)
                EQ(ouro_call(pool, tells_its_thread, OURO_NO_IN, OURO_NO_OUT, NULL), tid);
        close_pool();
        return 0;
}

Test(futures, more_workers_than_there_can_be_are_refused)
{
        struct ouro_thread_options threads = OURO_THREAD_OPTIONS_INIT;
        struct ouro_process_options processes = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *none = NULL;

        threads.threads = (unsigned)-1;
        processes.workers = (unsigned)-1;
        EQ(ouro_thread_pool_open(&threads, &none), -EINVAL);
        EQ(ouro_process_pool_open(&processes, &none), -EINVAL);
        cr_assert(!none);
}

static intptr_t tells_its_name(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        char name[16] = "";

        (void)job, (void)in;
        prctl(PR_GET_NAME, name);
        memcpy(out.base, name, out.len);
        return 0;
}

DEMAND(futures, workers_have_the_name_of_their_pool)
{
        char name[16];

        open_pool((struct wish){.workers = 1, .name = "special"});
        EQ(ouro_call(pool, tells_its_name, OURO_NO_IN, OURO_OUT(name), NULL), 0);
        cr_assert(strncmp(name, "special", 7) == 0, "%s", name);
        close_pool();
        open_pool((struct wish){.workers = 1});
        EQ(ouro_call(pool, tells_its_name, OURO_NO_IN, OURO_OUT(name), NULL), 0);
        cr_assert(strncmp(name, "ouro", 4) == 0, "%s", name);
        close_pool();
        return 0;
}

static intptr_t forks_and_waits(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int status = -1;
        pid_t pid = fork();

        (void)job, (void)in, (void)out;
        if (pid == 0)
                _exit(7);
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

DEMAND(futures, a_job_may_fork_and_wait_for_its_child)
{
        open_pool((struct wish){.workers = 1});
        EQ(ouro_call(pool, forks_and_waits, OURO_NO_IN, OURO_NO_OUT, NULL), 7);
        EQ(ouro_await(submit_product(2, 3)), 6);
        close_pool();
        return 0;
}

/* ---- initializers ---- */

static __thread int status_of_worker;

static intptr_t initializes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        status_of_worker = *(const int *)in.base;
        return 0;
}

static intptr_t tells_status(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in;
        __atomic_add_fetch(&((struct event *)out.base)->began, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&((struct event *)out.base)->began, __ATOMIC_SEQ_CST) < 2)
                ouro_job_sleep(job, OURO_US(50)); /* so that each worker has one */
        return status_of_worker;
}

DEMAND(futures, each_worker_is_initialized_before_its_first_job)
{
        int status = 17;
        struct event *event;
        ouro_task tasks[2];
        intptr_t results[2];

        open_pool((struct wish){.workers = 2, .initializer = initializes, .in = OURO_IN(status)});
        status = 0; /* it was copied */
        event = new_event();
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(pool, tells_status, OURO_NO_IN, ouro_out(event, sizeof *event));
        EQ(ouro_gather(tasks, 2, results), 0);
        EQ(results[0], 17);
        EQ(results[1], 17);
        free_event(event);
        close_pool();
        return 0;
}

static intptr_t fails_to_initialize(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        ouro_job_sleep(job, OURO_MS(5)); /* some jobs come meanwhile */
        return -EIO;
}

DEMAND(futures, a_failing_initializer_breaks_the_pool_for_all_jobs)
{
        enum { JOBS = 5 };
        intptr_t results[JOBS];
        ouro_task tasks[JOBS];

        open_pool((struct wish){.workers = 2, .initializer = fails_to_initialize});
        for (int i = 0; i < JOBS; i++)
                tasks[i] = submit_product(i, i);
        EQ(ouro_gather(tasks, JOBS, results), -ENOTRECOVERABLE);
        for (int i = 0; i < JOBS; i++)
                EQ(results[i], -ENOTRECOVERABLE);
        EQ(ouro_await(submit_product(1, 1)), -ENOTRECOVERABLE);
        close_pool();
        return 0;
}

/* ---- shutting down ---- */

DEMAND(futures, after_shutdown_nothing_is_taken)
{
        struct event *event;
        ouro_task task;

        open_pool((struct wish){.workers = 1});
        event = new_event();
        task = submit_wait(event);
        await_begun(event, 1);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_WAIT, 0), -ETIME); /* does not wait */
        EQ(ouro_await(submit_product(2, 5)), -ESHUTDOWN);
        set_event(event);
        EQ(ouro_await(task), 1);
        close_pool();
        if (!of_processes)
                free(event);
        return 0;
}

static intptr_t sleeps_a_little(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return ouro_job_sleep(job, OURO_MS(1));
}

DEMAND(futures, what_was_submitted_before_shutdown_is_done)
{
        enum { JOBS = 50 };
        ouro_task tasks[JOBS];
        intptr_t results[JOBS];

        open_pool((struct wish){.workers = 5});
        for (int i = 0; i < JOBS; i++)
                tasks[i] = ouro_submit(pool, sleeps_a_little, OURO_NO_IN, OURO_NO_OUT);
        close_pool();
        EQ(ouro_gather(tasks, JOBS, results), 0);
        return 0;
}

DEMAND(futures, shutdown_after_one_job_more_than_workers_ends)
{
        for (int i = 0; i < 5; i++) {
                ouro_task tasks[3];

                open_pool((struct wish){.workers = 2});
                for (int j = 0; j < 3; j++)
                        tasks[j] = submit_product(j, 2);
                close_pool();
                for (int j = 0; j < 3; j++)
                        EQ(ouro_await(tasks[j]), 2 * j);
        }
        return 0;
}

DEMAND(futures, shutdown_may_cancel_what_has_not_begun_and_the_rest_is_done)
{
        enum { JOBS = 50 };
        ouro_task tasks[JOBS], running;
        struct event *event;

        open_pool((struct wish){.workers = 1});
        event = new_event();
        running = submit_wait(event);
        await_begun(event, 1);
        for (int i = 0; i < JOBS; i++)
                tasks[i] = submit_product(i, i);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_CANCEL, 0), -ETIME);
        for (int i = 0; i < JOBS; i++)
                EQ(ouro_await(tasks[i]), -ECANCELED);
        set_event(event);
        EQ(ouro_await(running), 1);
        close_pool();
        if (!of_processes)
                free(event);
        return 0;
}

DEMAND(futures, a_job_cancelled_just_before_shutdown_does_not_keep_it)
{
        for (int i = 0; i < 20; i++) {
                intptr_t result;
                ouro_task task;

                open_pool((struct wish){.workers = 1});
                EQ(ouro_await(submit_product(1, 1)), 1);
                task = submit_product(2, 2);
                EQ(ouro_cancel(task), 0);
                close_pool();
                result = ouro_await(task);
                cr_assert(result == -ECANCELED || result == 4);
        }
        return 0;
}

DEMAND(futures, shutdown_that_does_not_wait_still_ends_all_workers)
{
        ouro_task tasks[10];
        intptr_t results[10];

        open_pool((struct wish){.workers = 5});
        for (int i = 0; i < 10; i++)
                tasks[i] = submit_product(i, 3);
        if (ouro_executor_close_with(pool, OURO_CLOSE_WAIT, 0) == -ETIME)
                close_pool();
        ouro_gather(tasks, 10, results);
        for (int i = 0; i < 10; i++)
                EQ(results[i], 3 * i);
        return 0;
}
