/* loops.c - loops that start and end on several threads at once, and handles that travel between them. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { THREADS = 4, RUNS = 25 };

static intptr_t sleeps(void *arg)
{
        return ouro_sleep((intptr_t)arg);
}

static intptr_t lives(void *arg)
{
        ouro_task tasks[10];
        int fds[2];
        char byte = 0;

        expect(pipe(fds) == 0);
        for (intptr_t i = 0; i < 10; i++)
                tasks[i] = ouro_create_task(sleeps, (void *)(1000 * i));
        expect(ouro_write(fds[1], "x", 1) == 1);
        expect(ouro_read(fds[0], &byte, 1) == 1 && byte == 'x');
        expect(ouro_gather(tasks, 10, NULL) == 0);
        expect(ouro_close(fds[0]) == 0 && ouro_close(fds[1]) == 0);
        return (intptr_t)arg;
}

static void *runs_again_and_again(void *arg)
{
        for (intptr_t i = 0; i < RUNS; i++)
                expect(ouro_run(lives, (void *)i) == i);
        return arg;
}

static void on_threads(void *(*fn)(void *))
{
        pthread_t threads[THREADS];

        for (intptr_t i = 0; i < THREADS; i++)
                expect(pthread_create(&threads[i], NULL, fn, (void *)i) == 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
}

CASE(loops_start_and_end_on_many_threads)
{
        on_threads(runs_again_and_again);
}

/* ---- reports, options ---- */

static void *runs_with_report(void *arg)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.report_stack_overflow = true;
        for (intptr_t i = 0; i < RUNS; i++)
                expect(ouro_run_with(&options, lives, (void *)i) == i);
        return arg;
}

CASE(handlers_come_and_go_with_loops_on_many_threads)
{
        on_threads(runs_with_report);
}

/* ---- the log hook ---- */

static int lines;

static void takes_line(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)message;
        __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}

static intptr_t fails(void *arg)
{
        return -(intptr_t)arg;
}

static intptr_t has_failures_unseen(void *arg)
{
        for (int i = 0; i < 10; i++)
                ouro_go(fails, (void *)5);
        ouro_yield();
        return (intptr_t)arg;
}

static void *logs(void *arg)
{
        for (int i = 0; i < RUNS; i++) {
                ouro_set_log(takes_line, &lines);
                expect(ouro_run(has_failures_unseen, NULL) == 0);
        }
        return arg;
}

CASE(many_threads_log_and_set_the_hook)
{
        ouro_set_log(takes_line, &lines);
        on_threads(logs);
        expect(lines == THREADS * RUNS * 10);
}

/* ---- foreign handles ---- */

static pthread_barrier_t meeting;
static ouro_task shown[THREADS];

static intptr_t looks_at_foreign_tasks(void *arg)
{
        intptr_t me = (intptr_t)arg;
        ouro_task own = ouro_create_task(sleeps, (void *)OURO_SEC(100));

        shown[me] = own;
        pthread_barrier_wait(&meeting);
        for (int round = 0; round < 100; round++)
                for (intptr_t i = 0; i < THREADS; i++) {
                        if (i == me)
                                continue;
                        expect(ouro_cancel(shown[i]) == -ESRCH);
                        expect(ouro_await(shown[i]) == -ESRCH);
                        expect(ouro_task_state(shown[i]) == -ESRCH);
                        expect(!ouro_task_name(shown[i]));
                }
        expect(ouro_cancelled(own) == OURO_NOT_CANCELLED);
        pthread_barrier_wait(&meeting);
        return 0;
}

static void *runs_looker(void *arg)
{
        expect(ouro_run(looks_at_foreign_tasks, arg) == 0);
        return NULL;
}

CASE(f99_tasks_of_other_loops_cannot_be_reached)
{
        pthread_barrier_init(&meeting, NULL, THREADS);
        on_threads(runs_looker);
}
