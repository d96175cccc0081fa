/* gather.c - waiting for several tasks: all of them, the first, one after the other; or one, but not long.
 *
 * Whoever must read a result after others may have consumed it holds the record. */
#include <errno.h>

#include "base/alloc.h"
#include "base/queue.h"
#include "task/task.h"

/* ---- all ---- */

static struct task *find_here(struct ouro_loop *loop, ouro_task handle)
{
        return task_is_failed(handle) ? NULL : task_find(loop, handle);
}

/* Are all of them tasks to wait for, none the caller? Each is held if so. */
static int hold_all(struct ouro_loop *loop, const ouro_task *tasks, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct task *task = find_here(loop, tasks[i]);

                if (task_is_failed(tasks[i]))
                        continue;
                if (!task)
                        return -ESRCH;
                if (task == task_self(loop))
                        return -EDEADLK;
        }
        for (size_t i = 0; i < n; i++) {
                struct task *task = find_here(loop, tasks[i]);

                if (!task)
                        continue;
                if (task->holds == UINT16_MAX) {
                        while (i-- > 0)
                                if ((task = find_here(loop, tasks[i])))
                                        task->holds--;
                        return -EBUSY;
                }
                task->holds++;
        }
        return 0;
}

/* The record of a held task: its generation has gone up by one if it has been consumed since. */
static struct task *held(ouro_task handle)
{
        struct task *task = &task_directory[handle.slot / CHUNK_TASKS].records[handle.slot % CHUNK_TASKS];

        check(task->generation == handle.generation + (task->state == TASK_SPENT));
        return task;
}

static int wait_for_all(struct ouro_loop *loop, const ouro_task *tasks, size_t n, bool may_be_cut)
{
        for (size_t i = 0; i < n; i++) {
                int cut = task_is_failed(tasks[i]) ? 0 : task_wait_ended(loop, held(tasks[i]), may_be_cut);

                if (cut < 0)
                        return cut;
        }
        return 0;
}

/* Of one that has not ended: all tasks waited for each other, and this wait for it was given up. */
static intptr_t result_of(const struct task *task)
{
        return task->state == TASK_ALIVE ? -EDEADLK : task->coro.value;
}

/* Fills in the results and finds the error that came first: 0 if there was none. */
static int read_results(const ouro_task *tasks, size_t n, intptr_t *ret_results)
{
        uint64_t first = UINT64_MAX;
        int error = 0;

        for (size_t i = 0; i < n; i++) {
                struct task *task = task_is_failed(tasks[i]) ? NULL : held(tasks[i]);
                intptr_t result = task ? result_of(task) : (intptr_t)(int64_t)tasks[i].generation;
                uint64_t turn = task ? (uint64_t)(uintptr_t)task->coro.sp : 0;

                if (ret_results)
                        ret_results[i] = result;
                if (result < 0 && turn < first) {
                        first = turn;
                        error = (int)result;
                }
        }
        return error;
}

static void consume_all(struct ouro_loop *loop, const ouro_task *tasks, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!task_is_failed(tasks[i])) {
                        struct task *task = held(tasks[i]);

                        task_consume(loop, task);
                        task_release(loop, task);
                }
}

/* A group that has had successes enough is over without an error. */
static int error_of(const struct ouro_context *context, int cut)
{
        int error = container_of(context, const struct ouro_group, context)->error;

        return error < 0 ? error : cut;
}

/* Why the caller was cut short: by a group of its own that failed, the member's error; else cut. */
static int cut_because(const struct task *self, int cut)
{
        for (const struct ouro_context *context = self->context; context; context = context->outer) {
                if (context->kind == CONTEXT_SHIELD)
                        break;
                if (context->state & CONTEXT_OVER)
                        return context->kind == CONTEXT_GROUP ? error_of(context, cut) : cut;
        }
        return cut;
}

int ouro_gather(const ouro_task *tasks, size_t n, intptr_t *ret_results)
{
        struct ouro_loop *loop = loop_here();
        int error, cut;

        if (!loop)
                return -EPERM;
        if (!tasks && n > 0)
                return -EINVAL;
        if (loop->sched.current->interrupt)
                return loop->sched.current->interrupt;
        error = hold_all(loop, tasks, n);
        if (error < 0)
                return error;
        cut = wait_for_all(loop, tasks, n, true);
        if (cut < 0) {
                for (size_t i = 0; i < n; i++)
                        ouro_cancel(tasks[i]);
                wait_for_all(loop, tasks, n, false);
        }
        error = read_results(tasks, n, ret_results);
        consume_all(loop, tasks, n);
        return cut < 0 ? cut_because(task_self(loop), cut) : coro_spend_int(&loop->sched, error);
}

/* ---- one, for a limited time ---- */

intptr_t ouro_wait_for(ouro_task handle, int64_t ns)
{
        struct ouro_loop *loop = loop_here();
        struct ouro_scope scope;
        struct task *task, *self;
        intptr_t result;
        int cut;

        if (!loop)
                return -EPERM;
        self = task_self(loop);
        if (self->coro.interrupt)
                return self->coro.interrupt;
        if (task_is_failed(handle))
                return (intptr_t)(int64_t)handle.generation;
        cut = hold_all(loop, &handle, 1);
        if (cut < 0)
                return cut;
        task = held(handle);
        if (task->state == TASK_ALIVE) {
                ouro_scope_open(&scope, ns, NULL);
                cut = task_wait_ended(loop, task, true);
                ouro_scope_close(&scope);
        }
        if (cut < 0) {
                task_cancel(loop, task,
                            &(struct cause){.reason = OURO_CANCEL_ASKED, .origin = task_handle(self)});
                if (task_wait_ended(loop, task, false) < 0) { /* given up */
                        task_release(loop, task);
                        return -EDEADLK;
                }
        }
        result = task_consume(loop, task);
        task_release(loop, task);
        if (cut == 0 || result != -ECANCELED)
                return coro_spend(&loop->sched, result);
        if (cut == -EDEADLK)
                return cut;
        return self->coro.interrupt ? self->coro.interrupt : -ETIME;
}

/* ---- the first, or one after the other ---- */

/* One place in the queue of a task's waiters. */
struct watch {
        struct waiter waiter; /* what: the set, with TAG_WATCH */
        struct task *task;    /* NULL: not in a queue (any more) */
        size_t next_done;     /* index of the next in the set's list of ended ones */
};

struct ouro_completions {
        struct ouro_loop *loop;
        struct coro *owner;
        bool waiting;
        size_t n;
        size_t left;                  /* watches that are in a queue */
        size_t first_done, last_done; /* indexes, n: none */
        struct watch watches[];
};

static void note_done(struct ouro_completions *set, size_t i)
{
        set->watches[i].task = NULL;
        set->watches[i].next_done = set->n;
        if (set->first_done == set->n)
                set->first_done = i;
        else
                set->watches[set->last_done].next_done = i;
        set->last_done = i;
}

void watch_ended(struct ouro_loop *loop, struct waiter *waiter)
{
        struct ouro_completions *set = waiter->what;
        struct watch *watch = container_of(waiter, struct watch, waiter);

        set->left--;
        note_done(set, (size_t)(watch - set->watches));
        if (set->waiting) {
                set->waiting = false;
                coro_wake(&loop->sched, set->owner, 0);
        }
}

static void cut_completions(struct sched *sched, struct coro *coro, int interrupt)
{
        ((struct ouro_completions *)coro->waiter.what)->waiting = false;
        coro_wake(sched, coro, interrupt);
}

/* Only if a single one is left does the wait depend on a certain task. */
static void completions_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_completions *set = coro->waiter.what;

        target->object = set;
        for (size_t i = 0; i < set->n && set->left == 1; i++)
                if (set->watches[i].task)
                        target->holder = &set->watches[i].task->coro;
}

static const struct wait_kind waits_for_first = {
        .name = "the first of several tasks", .cut = cut_completions, .target = completions_target};

static bool is_no_task(ouro_task handle)
{
        return handle.slot == 0 && handle.generation == 0;
}

/* Can all be waited for? How many there are, or an error. */
static ssize_t count_tasks(struct ouro_loop *loop, const ouro_task *tasks, size_t n)
{
        ssize_t count = 0;

        for (size_t i = 0; i < n; i++) {
                struct task *task = find_here(loop, tasks[i]);

                if (is_no_task(tasks[i]))
                        continue;
                if (!task && !task_is_failed(tasks[i]))
                        return -ESRCH;
                if (task == task_self(loop))
                        return -EDEADLK;
                count++;
        }
        return count;
}

static size_t completions_bytes(size_t n)
{
        return sizeof(struct ouro_completions) + n * sizeof(struct watch);
}

static void watch_all(struct ouro_completions *set, const ouro_task *tasks)
{
        for (size_t i = 0; i < set->n; i++) {
                struct watch *watch = &set->watches[i];
                struct task *task = find_here(set->loop, tasks[i]);

                watch->task = NULL;
                if (is_no_task(tasks[i]))
                        continue;
                if (!task || task->state == TASK_ENDED) {
                        note_done(set, i);
                        continue;
                }
                watch->task = task;
                watch->waiter.what = set;
                queue_push(&task->waiters, &watch->waiter.link);
                set->left++;
        }
}

int ouro_as_completed(const ouro_task *tasks, size_t n, ouro_completions **ret_completions)
{
        struct ouro_loop *loop = loop_here();
        struct ouro_completions *set;
        ssize_t count;

        if (!loop)
                return -EPERM;
        if ((!tasks && n > 0) || !ret_completions || n > SIZE_MAX / sizeof(struct watch) - 1)
                return -EINVAL;
        count = count_tasks(loop, tasks, n);
        if (count < 0)
                return (int)count;
        set = mem_alloc(completions_bytes(n));
        if (!set)
                return -ENOMEM;
        *set = (struct ouro_completions){.loop = loop, .owner = loop->sched.current, .n = n, .first_done = n};
        watch_all(set, tasks);
        *ret_completions = set;
        return 0;
}

ssize_t ouro_completions_next(ouro_completions *set)
{
        struct ouro_loop *loop = loop_here();
        size_t done;

        if (!loop || (set && loop->sched.current != set->owner))
                return -EPERM;
        if (!set)
                return -EINVAL;
        if (set->owner->interrupt)
                return set->owner->interrupt;
        if (set->first_done == set->n) {
                intptr_t cut;

                if (set->left == 0)
                        return -ENOENT;
                set->waiting = true;
                set->owner->waiter.what = set;
                cut = coro_wait(&loop->sched, &waits_for_first);
                if (cut < 0)
                        return cut;
        }
        done = set->first_done;
        set->first_done = set->watches[done].next_done;
        return coro_spend(&loop->sched, (ssize_t)done);
}

void ouro_completions_free(ouro_completions *set)
{
        if (!set)
                return;
        for (size_t i = 0; i < set->n; i++)
                if (set->watches[i].task)
                        queue_remove(&set->watches[i].task->waiters, &set->watches[i].waiter.link);
        mem_free(set, completions_bytes(set->n));
}

ssize_t ouro_wait_first(const ouro_task *tasks, size_t n)
{
        struct ouro_loop *loop = loop_here();
        ouro_completions *set;
        ssize_t result;

        if (!loop)
                return -EPERM;
        if (loop->sched.current->interrupt)
                return loop->sched.current->interrupt;
        result = ouro_as_completed(tasks, n, &set);
        if (result < 0)
                return result;
        result = ouro_completions_next(set);
        ouro_completions_free(set);
        return result == -ENOENT ? -EINVAL : result;
}
