/* mutex.c - a fair mutex: unlocking hands it to whoever has waited longest. */
#include <errno.h>

#include "sync/owner.h"

static struct ouro_mutex *mutex_waited_for(const struct coro *coro)
{
        return container_of(coro->waiter.what, struct ouro_mutex, waiters);
}

void mutex_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_mutex *mutex = mutex_waited_for(coro);
        const struct task *owner = mutex->owner;

        target->object = mutex;
        target->holder = &owner->coro;
}

static const struct wait_kind waits_to_lock = {.name = "mutex", .cut = sync_cut, .target = mutex_target};
static const struct wait_kind waits_to_lock_uncut = {
        .name = "mutex", .target = mutex_target, .give_up = sync_cut};

static inline void own(struct ouro_mutex *mutex, struct task *task)
{
        mutex->owner = task;
        mutex->generation = task->generation;
        task->coro.locks_held++;
}

static bool owner_is_dead(const struct ouro_mutex *mutex)
{
        return !owner_is_alive(mutex->owner, mutex->generation);
}

void mutex_fail_if_orphan(struct ouro_loop *loop, struct task *task)
{
        struct ouro_mutex *mutex;

        if (task->coro.wait != &waits_to_lock && task->coro.wait != &waits_to_lock_uncut)
                return;
        mutex = mutex_waited_for(&task->coro);
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
        if (unlikely(owner_waits_for_us(sched, mutex->owner)))
                return -EDEADLK;
        owner_watch_deaths(loop_of(sched));
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

int ouro_mutex_recover(struct ouro_mutex *mutex)
{
        struct sched *sched = sched_current;
        int error;

        if (!sched)
                return -EPERM;
        if (!mutex || !mutex->owner)
                return -EINVAL;
        error = refuse_held(sched, mutex);
        if (error != -EOWNERDEAD)
                return error < 0 ? error : -EBUSY;
        own(mutex, task_of(sched->current)); /* nobody waits: those who did were told */
        return 0;
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

static void condition_target(const struct coro *coro, struct wait_target *target)
{
        target->object = container_of(coro->waiter.what, struct ouro_condition, waiters);
}

static const struct wait_kind waits_for_notice = {
        .name = "condition", .cut = sync_cut, .target = condition_target};

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
