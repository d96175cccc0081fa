/* custom.c - two executors that a third party could have written, with ouro/executor.h alone: the one of the
 * examples, which does each job at once, in submit; and one with a thread, which takes the newest job first
 * and hands several back at once. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <ouro/executor.h>

#include "executors/suite.h"

/* ---- at once: the example ---- */

#define main main_of_example
#include "../../docs/examples/inline_executor.c"
#undef main

static ouro_executor *open_at_once(unsigned queue)
{
        (void)queue;
        return inline_executor();
}

static const struct executor_kind at_once = {"at once", open_at_once, NULL};

#define CASE_AT_ONCE(name)                                                                                   \
        Test(at_once, name)                                                                                  \
        {                                                                                                    \
                suite_##name(&at_once);                                                                      \
        }
SUITE_OF_ANY(CASE_AT_ONCE)
SUITE_IN_PROCESS(CASE_AT_ONCE)

/* ---- newest first ---- */

struct stack_executor {
        ouro_executor executor; /* first */
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct ouro_job *newest;
        unsigned len, capacity;
        bool closing, wants_room;
        enum ouro_close how;
        struct ouro_job *running;
        pthread_t thread;
};

static int push(ouro_executor *executor, struct ouro_job *job)
{
        struct stack_executor *stack = (struct stack_executor *)executor;
        int error = 0;

        pthread_mutex_lock(&stack->lock);
        if (stack->closing) {
                error = -ESHUTDOWN;
        } else if (stack->len == stack->capacity) {
                stack->wants_room = true;
                error = -EAGAIN;
        } else {
                job->next = stack->newest;
                stack->newest = job;
                stack->len++;
                pthread_cond_signal(&stack->work);
        }
        pthread_mutex_unlock(&stack->lock);
        return error;
}

static struct ouro_job *take_all(struct stack_executor *stack)
{
        struct ouro_job *jobs;
        bool room;

        pthread_mutex_lock(&stack->lock);
        while (!stack->newest && !stack->closing)
                pthread_cond_wait(&stack->work, &stack->lock);
        jobs = stack->newest;
        stack->newest = NULL;
        stack->len = 0;
        room = stack->wants_room;
        stack->wants_room = false;
        pthread_mutex_unlock(&stack->lock);
        if (room)
                ouro_executor_has_room(&stack->executor);
        return jobs;
}

/* Unless it is in a hurry. */
static intptr_t run(struct stack_executor *stack, struct ouro_job *job)
{
        intptr_t result = -ECANCELED;
        bool runs;

        pthread_mutex_lock(&stack->lock);
        runs = stack->how == OURO_CLOSE_WAIT;
        stack->running = runs ? job : NULL;
        pthread_mutex_unlock(&stack->lock);
        if (runs)
                result = ouro_job_run(job);
        pthread_mutex_lock(&stack->lock);
        stack->running = NULL;
        pthread_mutex_unlock(&stack->lock);
        return result;
}

/* Those that ended, of one loop, are handed back together when one of another loop, or nothing, follows. */
static void *works(void *arg)
{
        struct stack_executor *stack = arg;
        struct ouro_job *jobs, *job, *done = NULL, *oldest = NULL;

        while ((jobs = take_all(stack))) {
                while ((job = jobs)) {
                        jobs = job->next;
                        if (!ouro_job_begin(job))
                                continue;
                        if (done && done->loop != job->loop) {
                                ouro_job_finish_many(done, oldest);
                                done = NULL;
                        }
                        job->result = run(stack, job);
                        if (!done)
                                oldest = job;
                        job->next = done;
                        done = job;
                }
                if (done)
                        ouro_job_finish_many(done, oldest);
                done = NULL;
        }
        ouro_executor_closed(&stack->executor);
        return NULL;
}

static void close_stack(ouro_executor *executor)
{
        struct stack_executor *stack = (struct stack_executor *)executor;

        pthread_mutex_lock(&stack->lock);
        stack->closing = true;
        pthread_cond_signal(&stack->work);
        pthread_mutex_unlock(&stack->lock);
}

static void hurry_stack(ouro_executor *executor, enum ouro_close how)
{
        struct stack_executor *stack = (struct stack_executor *)executor;
        struct ouro_job *jobs, *next;

        pthread_mutex_lock(&stack->lock);
        stack->how = how;
        jobs = stack->newest;
        stack->newest = NULL;
        if (how == OURO_CLOSE_KILL && stack->running)
                ouro_job_ask(stack->running);
        pthread_mutex_unlock(&stack->lock);
        for (; jobs; jobs = next) {
                next = jobs->next;
                if (ouro_job_begin(jobs))
                        ouro_job_finish(jobs, -ECANCELED);
        }
}

static void free_stack(ouro_executor *executor)
{
        struct stack_executor *stack = (struct stack_executor *)executor;

        pthread_join(stack->thread, NULL);
        ouro_executor_fini(executor);
        pthread_mutex_destroy(&stack->lock);
        pthread_cond_destroy(&stack->work);
        free(stack);
}

static int cancels;

static void count_cancel(ouro_executor *executor, struct ouro_job *job)
{
        cancels += executor->ops->cancel == count_cancel && ouro_job_cancelled(job);
}

static const struct ouro_executor_ops stack_ops = {
        .size = sizeof(struct ouro_executor_ops),
        .name = "newest first",
        .submit = push,
        .cancel = count_cancel,
        .close = close_stack,
        .destroy = free_stack,
        .hurry = hurry_stack,
        .can = OURO_CAN_ABANDON,
};

static ouro_executor *open_stack(unsigned queue)
{
        struct stack_executor *stack = calloc(1, sizeof *stack);

        if (ouro_executor_init(&stack->executor, &stack_ops) < 0)
                return NULL;
        pthread_mutex_init(&stack->lock, NULL);
        pthread_cond_init(&stack->work, NULL);
        stack->capacity = queue ? queue : 100000;
        cr_assert(pthread_create(&stack->thread, NULL, works, stack) == 0);
        return &stack->executor;
}

static const struct executor_kind newest_first = {"newest first", open_stack, NULL};

#define CASE_NEWEST_FIRST(name)                                                                              \
        Test(newest_first, name)                                                                             \
        {                                                                                                    \
                suite_##name(&newest_first);                                                                 \
        }
SUITE_OF_ANY(CASE_NEWEST_FIRST)
SUITE_OF_WORKERS(CASE_NEWEST_FIRST)
SUITE_IN_PROCESS(CASE_NEWEST_FIRST)
SUITE_OF_WORKERS_IN_PROCESS(CASE_NEWEST_FIRST)
SUITE_OF_ABANDON(CASE_NEWEST_FIRST)
SUITE_OF_HURRY(CASE_NEWEST_FIRST)

Test(newest_first, is_told_of_the_cancellation_of_a_running_job_once)
{
        suite_f68_a_running_job_sees_its_token_and_ends_itself(&newest_first);
        cr_assert(cancels == 1);
}

/* ---- making one known ---- */

Test(executor, a_description_that_lacks_something_is_refused)
{
        struct ouro_executor_ops ops = inline_ops;
        ouro_executor executor;

        cr_assert(ouro_executor_init(NULL, &ops) == -EINVAL);
        cr_assert(ouro_executor_init(&executor, NULL) == -EINVAL);
        ops.size--;
        cr_assert(ouro_executor_init(&executor, &ops) == -EINVAL);
        ops = inline_ops;
        ops.submit = NULL;
        cr_assert(ouro_executor_init(&executor, &ops) == -EINVAL);
        ops = inline_ops;
        ops.close = NULL;
        cr_assert(ouro_executor_init(&executor, &ops) == -EINVAL);
        ops = inline_ops;
        ops.destroy = NULL;
        cr_assert(ouro_executor_init(&executor, &ops) == -EINVAL);
        ops = inline_ops;
        ops.name = NULL;
        cr_assert(ouro_executor_init(&executor, &ops) == -EINVAL);
}
