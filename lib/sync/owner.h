/* owner.h - who holds a lock: a task's record and its generation, so that a lock left by a task that ended is
 * told from one that is held, even when the record is in use again. Records are never unmapped. */
#ifndef OURO_SYNC_OWNER_H
#define OURO_SYNC_OWNER_H

#include "sync/sync.h"

static inline bool owner_is_alive(const struct task *task, uint64_t generation)
{
        return task->generation == generation && task->state == TASK_ALIVE;
}

/* A wait for a lock tells its holder by one of these: so whoever follows them knows that nothing but the
 * holder's own doing ends the wait. */
void mutex_target(const struct coro *coro, struct wait_target *target);
void rwlock_target(const struct coro *coro, struct wait_target *target);
void once_target(const struct coro *coro, struct wait_target *target);

/* Does holder wait for a lock, whose holder waits for a lock ..., that the running task holds? Then it must
 * not wait for holder. There is no such cycle yet, or nobody would have been let into it: the walk ends. */
bool owner_waits_for_us(const struct sched *sched, const struct task *holder);

/* Fails those who wait for a lock whose holder has ended; to be set before anybody waits for one. */
void owner_watch_deaths(struct ouro_loop *loop);

/* Does this task wait for a mutex, a reader-writer lock that a task has left? Then all who do are told. */
void mutex_fail_if_orphan(struct ouro_loop *loop, struct task *task);
void rwlock_fail_if_orphan(struct ouro_loop *loop, struct task *task);

#endif
