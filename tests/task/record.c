/* Of lib/task/record.c: no two tasks ever have the same handle, and memory is used again. */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>

#include "task/task.h"

enum { MANY = 3 * CHUNK_TASKS };

static ouro_task tasks[MANY];

static size_t chunks(void)
{
        size_t n = 0, bytes;

        while (task_records(n, &bytes)) {
                cr_assert_eq(bytes, CHUNK_TASKS * sizeof(struct task));
                n++;
        }
        return n;
}

RUN(record, finds_a_task_by_its_handle_and_by_no_other)
{
        ouro_loop *loop = ouro_this_loop();
        ouro_task self = ouro_self(), next = {self.slot, self.generation + 1};
        struct ouro_loop *elsewhere = (struct ouro_loop *)&tasks;
        struct task *task = task_find(loop, self);

        cr_assert_not_null(task);
        cr_assert_eq(task_handle(task).slot, self.slot);
        cr_assert_eq(task_loop(task), loop);
        cr_assert_null(task_find(loop, next));
        cr_assert_null(task_find(elsewhere, self));
        cr_assert_null(task_find(loop, (ouro_task){UINT64_MAX, self.generation}));
}

static size_t alive;

static void count_alive(struct ouro_loop *loop, struct task *task)
{
        cr_assert_eq(task_loop(task), loop);
        cr_assert_eq(task->state, TASK_ALIVE);
        alive++;
}

RUN(record, visits_each_living_task_once)
{
        for (size_t i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(i % 2 ? gives : waits_for_ever, NULL);
        cr_assert_eq(ouro_sleep(1), 0);
        task_each(ouro_this_loop(), count_alive);
        cr_assert_eq(alive, (size_t)MANY / 2 + 1);
        cr_assert_geq(chunks(), 3u);
}

RUN(record, of_one_that_waits_to_be_consumed_is_128_bytes)
{
        size_t before, bytes;

        for (size_t i = 0; i < CHUNK_TASKS; i++)
                tasks[i] = ouro_create_task(gives, NULL);
        cr_assert_eq(ouro_yield(), 0);
        before = chunks();
        for (size_t i = CHUNK_TASKS; i < MANY; i++)
                tasks[i] = ouro_create_task(gives, NULL);
        cr_assert_eq(ouro_gather(tasks, MANY, NULL), 0);
        cr_assert_eq(chunks(), before + 2);
        cr_assert_not_null(task_records(0, &bytes));
        cr_assert_eq(bytes / CHUNK_TASKS, 128u);
}

static intptr_t creates_many(void *unused)
{
        (void)unused;
        for (size_t i = 0; i < MANY; i++) {
                cr_assert_eq(ouro_task_state(tasks[i]), -ESRCH);
                tasks[i] = ouro_create_task(gives, NULL);
        }
        for (size_t i = 0; i < MANY; i++)
                cr_assert_gt(ouro_task_state(tasks[i]), 0);
        return 0; /* and leaves them */
}

Test(record, memory_of_a_run_that_has_ended_serves_the_next)
{
        size_t before;

        cr_assert_eq(ouro_run(creates_many, NULL), 0);
        before = chunks();
        for (int i = 0; i < 20; i++)
                cr_assert_eq(ouro_run(creates_many, NULL), 0);
        cr_assert_eq(chunks(), before);
}

enum { LOOPS = 3, PER_LOOP = 2 * CHUNK_TASKS };

static ouro_task of_loop[LOOPS][PER_LOOP];
static pthread_barrier_t all_created, all_looked;

static intptr_t looks_at_all(void *index)
{
        intptr_t mine = (intptr_t)index;

        for (size_t i = 0; i < PER_LOOP; i++)
                of_loop[mine][i] = ouro_create_task(gives, NULL);
        pthread_barrier_wait(&all_created);
        for (intptr_t k = 0; k < LOOPS; k++)
                for (size_t i = 0; i < PER_LOOP; i++) {
                        int state = ouro_task_state(of_loop[k][i]);

                        cr_assert_eq(state, k == mine ? OURO_STATE_READY : -ESRCH);
                        if (k != mine)
                                cr_assert_eq(ouro_cancel(of_loop[k][i]), -ESRCH);
                }
        pthread_barrier_wait(&all_looked);
        return ouro_gather(of_loop[mine], PER_LOOP, NULL);
}

static void *runs_a_loop(void *index)
{
        return (void *)ouro_run(looks_at_all, index);
}

Test(record, f99_handles_of_loops_that_run_together_are_foreign_to_each_other)
{
        pthread_t threads[LOOPS];
        void *result;

        pthread_barrier_init(&all_created, NULL, LOOPS);
        pthread_barrier_init(&all_looked, NULL, LOOPS);
        for (intptr_t i = 0; i < LOOPS; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, runs_a_loop, as_arg(i)), 0);
        for (size_t i = 0; i < LOOPS; i++) {
                pthread_join(threads[i], &result);
                cr_assert_null(result);
        }
}
