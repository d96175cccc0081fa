/* end.c - the end of a task: who is told of it, and what stays.
 *
 * What a task leaves is its record with the result in it, until somebody consumes that or its group closes.
 * When a task ends while others await it, they all get the result and the record is free at once. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/queue.h"
#include "task/task.h"

void task_tell_failure(struct task *task)
{
        if (task->told || task->coro.value >= 0 || task->coro.value == -ECANCELED)
                return;
        task->told = 1;
        log_line(OURO_LOG_WARNING, "task %s failed, and nobody looked: error %ld (%s)", task_name(task),
                 (long)-task->coro.value, strerror((int)-task->coro.value));
}

/* The result has been taken, or dropped. */
static inline void retire(struct ouro_loop *loop, struct task *task)
{
        list_del(&task->member);
        if (likely(task->holds == 0)) {
                task_record_free(loop, task);
                return;
        }
        task->generation++;
        task->state = TASK_SPENT;
}

intptr_t task_consume(struct ouro_loop *loop, struct task *task)
{
        intptr_t result = task->coro.value;

        if (task->state == TASK_ENDED)
                retire(loop, task);
        return result;
}

void task_release(struct ouro_loop *loop, struct task *task)
{
        if (--task->holds == 0 && task->state == TASK_SPENT)
                task_record_free(loop, task);
}

/* Wakes one who waited for it. True: it has consumed the result. */
static inline bool wake_waiter(struct ouro_loop *loop, struct ouro_list *node, intptr_t result)
{
        struct waiter *waiter = container_of(node, struct waiter, link);
        unsigned tag = (uintptr_t)waiter->what & TAG_MASK;

        if (unlikely(tag == TAG_WATCH)) {
                watch_ended(loop, waiter);
                return false;
        }
        if (unlikely(tag == TAG_TELL)) {
                ((struct task_watcher *)((uintptr_t)waiter->what & ~(uintptr_t)TAG_MASK))->ended(waiter);
                return false;
        }
        coro_wake(&loop->sched, container_of(waiter, struct coro, waiter), tag == TAG_AWAIT ? result : 0);
        return tag == TAG_AWAIT;
}

/* Wakes all who wait for it. True: one of them has consumed the result. */
static inline bool wake_waiters(struct ouro_loop *loop, struct task *task, intptr_t result)
{
        struct ouro_list *node = task->waiters;
        bool consumed = false;

        if (likely(node->next == node)) {
                task->waiters = NULL;
                return wake_waiter(loop, node, result);
        }
        while ((node = queue_pop(&task->waiters)))
                consumed |= wake_waiter(loop, node, result);
        return consumed;
}

atomic_bool task_left_locks;

/* It ended with locks held: who waits for them must not wait for ever. */
static void abandon_locks(struct ouro_loop *loop, struct task *task)
{
        log_line(OURO_LOG_ERROR, "task %s ended with %u locks held", task_name(task), task->coro.locks_held);
        atomic_store_explicit(&task_left_locks, true, memory_order_relaxed);
        if (loop->orphan_check)
                task_each(loop, loop->orphan_check);
}

/* It returned in a state in which a task should not. */
static void ended_badly(struct ouro_loop *loop, struct task *task)
{
        if (task->context)
                die("task %s returned with a group, scope or shield open: it has lent out memory that is "
                    "gone",
                    task_name(task));
        abandon_locks(loop, task);
}

static void main_ended(struct ouro_loop *loop, struct task *task)
{
        loop->main = NULL; /* the record may be another task's before the run ends */
        loop->main_done = true;
        loop->main_result = task->coro.value;
        task->told = 1;
}

/* What the ends of few tasks need, in this order. */
static void ended_specially(struct ouro_loop *loop, struct task *task, intptr_t result)
{
        struct ouro_group *group = task->group;

        if (task->context || task->coro.locks_held)
                ended_badly(loop, task);
        if (task->coro.flags & TASK_MORE)
                task_drop_locals(task);
        if (group->context.state & CONTEXT_COUNTS)
                group_member_counted(loop, task, result);
        if (result < 0 && result != -ECANCELED)
                group_member_failed(loop, task, result);
        if (group->live == 0 && (group->context.state & CONTEXT_CLOSING))
                group_all_ended(loop, group);
        if (task == loop->main)
                main_ended(loop, task);
}

/* The result goes to whoever waits for it, or to nobody, or stays. */
static void tell_result(struct ouro_loop *loop, struct task *task, intptr_t result)
{
        if (task->waiters && wake_waiters(loop, task, result)) {
                retire(loop, task);
        } else if (task->detached) {
                task_tell_failure(task);
                retire(loop, task);
        }
}

static __attribute__((noinline)) void ended_in_full(struct ouro_loop *loop, struct task *task,
                                                    intptr_t result)
{
        ended_specially(loop, task, result);
        tell_result(loop, task, result);
}

static __attribute__((noinline)) void tell_result_in_full(struct ouro_loop *loop, struct task *task,
                                                          intptr_t result)
{
        tell_result(loop, task, result);
}

static __attribute__((noinline)) void retire_in_full(struct ouro_loop *loop, struct task *task)
{
        retire(loop, task);
}

/* Most tasks end with no more to do than to wake the one that awaits them, if it does already, and nothing
 * else is done here, without a frame. */
void task_ended(struct sched *sched, struct coro *coro, intptr_t result)
{
        struct ouro_loop *loop = loop_of(sched);
        struct task *task = task_of(coro);
        struct ouro_group *group = task->group;
        struct ouro_list *node = task->waiters;
        struct waiter *waiter;

        coro->value = result;
        coro->sp = (void *)(uintptr_t)loop->ended++;
        coro->wait = NULL;
        task->state = TASK_ENDED;
        group->live--;
        if (unlikely(result < 0 || task->context || coro->locks_held || task == loop->main ||
                     (coro->flags & TASK_MORE) || (group->context.state & CONTEXT_COUNTS) ||
                     (group->live == 0 && (group->context.state & CONTEXT_CLOSING)))) {
                ended_in_full(loop, task, result);
                return;
        }
        if (!node && !task->detached)
                return;
        waiter = container_of(node, struct waiter, link);
        if (unlikely(!node || node->next != node || ((uintptr_t)waiter->what & TAG_MASK) != TAG_AWAIT)) {
                tell_result_in_full(loop, task, result);
                return;
        }
        task->waiters = NULL;
        coro_wake(sched, container_of(waiter, struct coro, waiter), result);
        if (likely(task->holds == 0)) {
                list_del(&task->member);
                task->generation++;
                task->state = TASK_FREE;
                coro->next = loop->free_tasks;
                loop->free_tasks = coro;
                return;
        }
        retire_in_full(loop, task);
}
