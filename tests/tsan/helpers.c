/* A loop and its helper threads: calls handed over, withdrawn and given back, by several loops at once. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include <ouro.h>

#include "ring/op.h"
#include "tsan/runner.h"

enum { LOOPS = 2, TASKS = 32, CALLS = 50, ROUNDS = 100 };

/* What the helper reads and writes is plain memory of the task. */
struct sum {
        int added, total;
};

static intptr_t add(void *arg)
{
        struct sum *sum = arg;

        sum->total += sum->added;
        return sum->total;
}

static intptr_t call_often(void *arg)
{
        struct sum sum = {.added = (int)(intptr_t)arg};

        for (int i = 1; i <= CALLS; i++)
                expect(op_call(add, &sum) == (intptr_t)i * sum.added);
        return 0;
}

static intptr_t call_from_many_tasks(void *arg)
{
        OURO_GROUP(group) {
                for (intptr_t i = 0; i < TASKS; i++)
                        ouro_create_task_in(group, call_often, (void *)i);
        }
        return (intptr_t)arg;
}

static void *run_loop(void *arg)
{
        return (void *)ouro_run(call_from_many_tasks, arg);
}

CASE(tasks_of_several_loops_hand_calls_to_helpers)
{
        pthread_t threads[LOOPS];
        void *result;

        for (intptr_t i = 0; i < LOOPS; i++)
                pthread_create(&threads[i], NULL, run_loop, (void *)i);
        for (intptr_t i = 0; i < LOOPS; i++) {
                pthread_join(threads[i], &result);
                expect((intptr_t)result == i);
        }
}

static intptr_t call_once(void *arg)
{
        return op_call(add, arg);
}

/* Withdrawn, and its memory untouched; or done. */
static intptr_t cancel_at_all_moments(void *unused)
{
        for (int round = 0; round < ROUNDS; round++) {
                struct sum sums[TASKS];
                ouro_task tasks[TASKS];

                for (int i = 0; i < TASKS; i++) {
                        sums[i] = (struct sum){.added = 1};
                        tasks[i] = ouro_create_task(call_once, &sums[i]);
                }
                for (int i = 0; i < round % 5; i++)
                        ouro_yield();
                for (int i = 0; i < TASKS; i++)
                        ouro_cancel(tasks[i]);
                for (int i = 0; i < TASKS; i++) {
                        intptr_t result = ouro_await(tasks[i]);

                        expect(result == 1 || result == -ECANCELED);
                        expect(sums[i].total == (result == 1));
                }
        }
        return (intptr_t)unused;
}

CASE(cancelled_calls_are_withdrawn_or_done)
{
        expect(ouro_run(cancel_at_all_moments, NULL) == 0);
}

static intptr_t ask_about_files(void *unused)
{
        char text[64];

        for (int i = 0; i < CALLS; i++) {
                expect(ouro_access("/", F_OK) == 0);
                expect(ouro_readlink("/proc/self/exe", text, sizeof text) > 0);
                expect(ouro_truncate("/no such file", 0) == -ENOENT);
        }
        return (intptr_t)unused;
}

CASE(calls_on_files_come_back)
{
        for (int i = 0; i < 10; i++) /* helpers come and go with the loop */
                expect(ouro_run(ask_about_files, NULL) == 0);
}
