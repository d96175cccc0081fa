/* mutex.c - a fair mutex: unlocking hands it to whoever has waited longest.
 *
 * The owner is a task's record and its generation, so that a lock left by a task that ended is told from one
 * that is held, even when the record is in use again. */
#include <errno.h>

#include "sync/sync.h"

static const struct wait_kind waits_to_lock = {.name = "mutex", .cut = sync_cut};
static const struct wait_kind waits_to_lock_uncut = {.name = "mutex"};

static inline void own(struct ouro_mutex *mutex, struct task *task)
{
        mutex->owner = task;
        mutex->generation = task->generation;
        task->coro.locks_held++;
}

static bool owner_is_dead(const struct ouro_mutex *mutex)
{
        const struct task *owner = mutex->owner;

        return owner->generation != mutex->generation || owner->state != TASK_ALIVE;
}

/* A task has ended that may hold the mutex this one waits for. */
static void fail_if_orphan(struct ouro_loop *loop, struct task *task)
{
        struct ouro_mutex *mutex;

        if (task->coro.wait != &waits_to_lock && task->coro.wait != &waits_to_lock_uncut)
                return;
        mutex = container_of(task->coro.waiter.what, struct ouro_mutex, waiters);
        if (owner_is_dead(mutex))
                sync_wake(&loop->sched, &mutex->waiters, SIZE_MAX, -EOWNERDEAD);
}

/* Somebody holds it: 0 to wait, or why not. */
static int refuse_held(struct sched *sched, const struct ouro_mutex *mutex)
{
        const struct task *owner = mutex->owner;

        if (owner == task_of(sched->current) && owner->generation == mutex->generation)
                return -EDEADLK;
        if (owner_is_dead(mutex))
                return -EOWNERDEAD;
        return task_loop(owner) == loop_of(sched) ? 0 : -EPERM;
}

static int lock_as(struct ouro_mutex *mutex, const struct wait_kind *kind)
{
        struct sched *sched = sched_current;
        int error;

        if (unlikely(!sched))
                return -EPERM;
        if (unlikely(!mutex))
                return -EINVAL;
        if (unlikely(sched->current->interrupt && kind->cut))
                return sched->current->interrupt;
        if (likely(!mutex->owner)) {
                own(mutex, task_of(sched->current));
                return coro_spend_int(sched, 0);
        }
        error = refuse_held(sched, mutex);
        if (error < 0)
                return error;
        loop_of(sched)->orphan_check = fail_if_orphan;
        return sync_wait(sched, &mutex->waiters, kind);
}

int ouro_mutex_lock(struct ouro_mutex *mutex)
{
        return lock_as(mutex, &waits_to_lock);
}

int ouro_mutex_try_lock(struct ouro_mutex *mutex)
{
        struct sched *sched = sched_current;
        int error;

        if (!sched)
                return -EPERM;
        if (!mutex)
                return -EINVAL;
        if (!mutex->owner) {
                own(mutex, task_of(sched->current));
                return 0;
        }
        error = refuse_held(sched, mutex);
        return error < 0 ? error : -EBUSY;
}

int ouro_mutex_unlock(struct ouro_mutex *mutex)
{
        struct sched *sched = sched_current;
        struct ouro_list *next;
        struct task *self;

        if (unlikely(!sched))
                return -EPERM;
        if (unlikely(!mutex))
                return -EINVAL;
        self = task_of(sched->current);
        if (unlikely(mutex->owner != self || mutex->generation != self->generation))
                return -EPERM;
        self->coro.locks_held--;
        mutex->owner = NULL;
        if (unlikely(mutex->waiters)) {
                next = queue_pop(&mutex->waiters);
                own(mutex, task_of(sync_coro(next)));
                coro_wake(sched, sync_coro(next), 0);
        }
        return 0;
}

/* ---- condition: lives here because it must lock without being cut short ---- */

static const struct wait_kind waits_for_notice = {.name = "condition", .cut = sync_cut};

int ouro_condition_wait(struct ouro_condition *condition, struct ouro_mutex *mutex)
{
        struct sched *sched = sched_current;
        int cut;
        int error;

        if (!sched)
                return -EPERM;
        if (!condition || !mutex)
                return -EINVAL;
        if (sync_foreign(sched, condition->waiters))
                return -EPERM;
        if (mutex->owner != task_of(sched->current))
                return -EPERM;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        error = ouro_mutex_unlock(mutex);
        if (error < 0)
                return error;
        cut = sync_wait(sched, &condition->waiters, &waits_for_notice);
        error = lock_as(mutex, &waits_to_lock_uncut);
        return error < 0 ? error : cut;
}

ssize_t ouro_condition_notify(struct ouro_condition *condition, size_t n)
{
        struct sched *sched = sched_current;

        if (!sched)
                return -EPERM;
        if (!condition)
                return -EINVAL;
        if (sync_foreign(sched, condition->waiters))
                return -EPERM;
        return (ssize_t)sync_wake(sched, &condition->waiters, n, 0);
}

ssize_t ouro_condition_notify_all(struct ouro_condition *condition)
{
        return ouro_condition_notify(condition, SIZE_MAX);
}
