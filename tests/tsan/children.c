/* Processes started by several loops at once: each shares its memory with its maker until it has executed its
 * program, beside threads that go on. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 3, ROUNDS = 10 };

static intptr_t runs_some(void *unused)
{
        struct ouro_communicate_options talk = OURO_COMMUNICATE_OPTIONS_INIT;
        struct ouro_captured captured;
        intptr_t failed = 0;

        (void)unused;
        talk.input = "words";
        talk.input_len = 5;
        for (int i = 0; i < ROUNDS; i++) {
                int result = ouro_run_command(OURO_ARGV("cat"), NULL, &talk, &captured, NULL);

                failed += result != 0 || strcmp(captured.out, "words") != 0;
                if (result >= 0)
                        ouro_captured_free(&captured);
        }
        return failed;
}

static intptr_t runs_several(void *unused)
{
        ouro_task tasks[4];
        intptr_t results[4], failed = 0;

        (void)unused;
        for (int i = 0; i < 4; i++)
                tasks[i] = ouro_create_task(runs_some, NULL);
        if (ouro_gather(tasks, 4, results) < 0)
                return -1;
        for (int i = 0; i < 4; i++)
                failed += results[i];
        return failed;
}

static void *runs_a_loop(void *unused)
{
        return (void *)ouro_run(runs_several, unused);
}

CASE(loops_that_start_processes_beside_each_other_get_each_their_output)
{
        pthread_t threads[LOOPS];
        void *result;

        for (int i = 0; i < LOOPS; i++)
                pthread_create(&threads[i], NULL, runs_a_loop, NULL);
        for (int i = 0; i < LOOPS; i++) {
                pthread_join(threads[i], &result);
                expect((intptr_t)result == 0);
        }
}

static intptr_t fails_and_kills(void *unused)
{
        ouro_process *process;

        (void)unused;
        for (int i = 0; i < ROUNDS; i++) {
                if (ouro_spawn(OURO_ARGV("/no/such/program"), NULL, &process) != -ENOENT)
                        return -1;
                if (ouro_spawn(OURO_ARGV("sleep", "1000"), NULL, &process) < 0 ||
                    ouro_process_close(process) < 0)
                        return -2;
        }
        return 0;
}

static void *runs_failing(void *unused)
{
        return (void *)ouro_run(fails_and_kills, unused);
}

CASE(what_cannot_be_executed_and_what_is_killed_leave_the_other_threads_alone)
{
        pthread_t threads[LOOPS];
        void *result;

        for (int i = 0; i < LOOPS; i++)
                pthread_create(&threads[i], NULL, runs_failing, NULL);
        for (int i = 0; i < LOOPS; i++) {
                pthread_join(threads[i], &result);
                expect((intptr_t)result == 0);
        }
}
