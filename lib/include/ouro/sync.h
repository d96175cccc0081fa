/* ouro/sync.h - locks and what else tasks wait for among themselves. Included by ouro.h, whose conventions
 * hold. */
#ifndef OURO_SYNC_H
#define OURO_SYNC_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- waiting for each other ------------------------------------------------------------------- */

/* These belong to one loop: the tasks that use one all run on the same thread. Every wait queue is first
 * come, first served, and whoever is woken has what it waited for: nobody can overtake it. A call on one
 * that tasks of another loop are using is -EPERM. */

/* Zeroed memory is a mutex that nobody holds; likewise for the types below. Fields are the library's. */
struct ouro_mutex {
        void *owner;
        uint64_t generation;
        void *waiters;
};
#define OURO_MUTEX_INIT                                                                                      \
        {                                                                                                    \
                NULL, 0, NULL                                                                                \
        }

/**
 * ouro_mutex_lock - hold a mutex
 * @mutex: zeroed before first use
 *
 * Returns: 0; -EDEADLK: the caller holds it, or its holder waits for a lock that the caller holds, maybe
 * through others who wait for each other; -EOWNERDEAD: its holder ended without unlocking (told to those who
 * waited then and to all who come later, until ouro_mutex_recover()); -EINVAL: NULL; -EPERM: a task of
 * another loop holds it; -ECANCELED or -ETIME.
 */
OURO_API int ouro_mutex_lock(struct ouro_mutex *mutex);

/**
 * ouro_mutex_try_lock - ouro_mutex_lock() that does not wait
 * @mutex: zeroed before first use
 *
 * Returns: 0; -EBUSY: held; -EDEADLK, -EOWNERDEAD, -EINVAL.
 */
OURO_API int ouro_mutex_try_lock(struct ouro_mutex *mutex);

/**
 * ouro_mutex_unlock - hand a mutex to whoever waited longest. Never waits.
 * @mutex: held by the caller
 *
 * Returns: 0; -EPERM: the caller does not hold it; -EINVAL: NULL.
 */
OURO_API int ouro_mutex_unlock(struct ouro_mutex *mutex);

/**
 * ouro_mutex_recover - hold a mutex whose holder has ended. Never waits.
 * @mutex: one that gave -EOWNERDEAD
 *
 * For a caller that has made good what the mutex protects, or can: it holds the mutex as if it had locked it.
 *
 * Returns: 0; -EBUSY: its holder lives; -EDEADLK: the caller holds it; -EINVAL: NULL, or nobody holds it;
 * -EPERM: a task of another loop holds it.
 */
OURO_API int ouro_mutex_recover(struct ouro_mutex *mutex);

/* Who holds a reader-writer lock for reading; the library's own. */
struct ouro_holder {
        void *task;
        uint64_t generation;
};

enum { OURO_HOLDERS_FEW = 4 };

struct ouro_holders {
        size_t count;
        struct ouro_holder few[OURO_HOLDERS_FEW];
        void *many;
        size_t room;
};

/* Held by one task that writes, or by any number that read. Served in the order of asking, neighbouring
 * readers together: neither side can keep the other out. With more than 4 readers some memory is taken, which
 * goes when nobody holds the lock. */
struct ouro_rwlock {
        struct ouro_holder writer;
        struct ouro_holders readers;
        size_t waiting_readers;
        void *loop;
        void *waiters;
};
#define OURO_RWLOCK_INIT                                                                                     \
        {                                                                                                    \
                {NULL, 0}, {0, {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}}, NULL, 0}, 0, NULL, NULL         \
        }

/**
 * ouro_rwlock_read - hold a lock beside other readers
 * @lock: zeroed before first use
 *
 * Waits also behind a writer that waits.
 *
 * Returns: 0; -EDEADLK: the caller holds it already, for reading or writing, or its holder waits for a lock
 * that the caller holds, as with ouro_mutex_lock() (of several readers one is looked at); -EOWNERDEAD: a task
 * ended without unlocking it (told to those who waited then and to all who come later, until
 * ouro_rwlock_recover()); -ENOMEM; -EINVAL: NULL; -EPERM: tasks of another loop hold it; -ECANCELED or
 * -ETIME.
 */
OURO_API int ouro_rwlock_read(struct ouro_rwlock *lock);

/**
 * ouro_rwlock_try_read - ouro_rwlock_read() that does not wait
 * @lock: zeroed before first use
 *
 * Returns: 0; -EBUSY: a task writes, or somebody waits; -EDEADLK: the caller holds it; -EOWNERDEAD, -ENOMEM,
 * -EINVAL, -EPERM.
 */
OURO_API int ouro_rwlock_try_read(struct ouro_rwlock *lock);

/**
 * ouro_rwlock_write - hold a lock alone
 * @lock: zeroed before first use
 *
 * A reader cannot become a writer: two who tried would wait for each other. It unlocks first.
 *
 * Returns: as ouro_rwlock_read().
 */
OURO_API int ouro_rwlock_write(struct ouro_rwlock *lock);

/**
 * ouro_rwlock_try_write - ouro_rwlock_write() that does not wait
 * @lock: zeroed before first use
 *
 * Returns: 0; -EBUSY: held; -EDEADLK: by the caller; -EOWNERDEAD, -EINVAL, -EPERM.
 */
OURO_API int ouro_rwlock_try_write(struct ouro_rwlock *lock);

/**
 * ouro_rwlock_unlock - let go of a lock, whichever way the caller holds it. Never waits.
 * @lock: held by the caller
 *
 * Returns: 0; -EPERM: the caller does not hold it; -EINVAL: NULL.
 */
OURO_API int ouro_rwlock_unlock(struct ouro_rwlock *lock);

/**
 * ouro_rwlock_downgrade - go on reading, having written. Never waits.
 * @lock: held by the caller, for writing
 *
 * Nobody can write in between. The readers that have waited longest, up to the first writer, come in too.
 *
 * Returns: 0; -EPERM: the caller does not hold it for writing; -EINVAL: NULL; -ENOMEM: it still does.
 */
OURO_API int ouro_rwlock_downgrade(struct ouro_rwlock *lock);

/**
 * ouro_rwlock_recover - hold a lock for writing that a task has left behind. Never waits.
 * @lock: one that gave -EOWNERDEAD
 *
 * Returns: 0; -EBUSY: some task that lives holds it, beside the one that ended perhaps; -EDEADLK: the caller
 * does; -EINVAL: NULL, or nobody holds it; -EPERM: a task of another loop does.
 */
OURO_API int ouro_rwlock_recover(struct ouro_rwlock *lock);

struct ouro_semaphore {
        size_t count;
        void *waiters;
        size_t most; /* that count may come to; 0: no bound */
};
#define OURO_SEMAPHORE_INIT(count)                                                                           \
        {                                                                                                    \
                (count), NULL, 0                                                                             \
        }
/* Refuses releases that would bring it above its value at the start, which is 1 or more. */
#define OURO_SEMAPHORE_INIT_BOUNDED(count)                                                                   \
        {                                                                                                    \
                (count), NULL, (count)                                                                       \
        }

/**
 * ouro_semaphore_acquire - take one unit, waiting for it
 * @semaphore: count is its value at the start
 *
 * Returns: 0; -EINVAL: NULL; -ECANCELED or -ETIME.
 */
OURO_API int ouro_semaphore_acquire(struct ouro_semaphore *semaphore);

/**
 * ouro_semaphore_try_acquire - ouro_semaphore_acquire() that does not wait
 * @semaphore: count is its value at the start
 *
 * Returns: 0; -EAGAIN: none is free; -EINVAL.
 */
OURO_API int ouro_semaphore_try_acquire(struct ouro_semaphore *semaphore);

/**
 * ouro_semaphore_release - give one unit to whoever waited longest. Never waits.
 * @semaphore: count is its value at the start
 *
 * Any task may release. Returns: 0; -EOVERFLOW: count is at its greatest, or at its bound; -EINVAL: NULL.
 */
OURO_API int ouro_semaphore_release(struct ouro_semaphore *semaphore);

/**
 * ouro_semaphore_acquire_n - take several units at once, waiting until there are so many
 * @semaphore: count is its value at the start
 * @n: how many, at least 1
 *
 * Who comes later, and be it for one unit, waits behind it: a large wish does not starve.
 *
 * Returns: 0; -EINVAL: NULL, or n is 0 or more than there can be; -ECANCELED or -ETIME: none was taken.
 */
OURO_API int ouro_semaphore_acquire_n(struct ouro_semaphore *semaphore, size_t n);

/**
 * ouro_semaphore_try_acquire_n - ouro_semaphore_acquire_n() that does not wait
 * @semaphore: count is its value at the start
 * @n: how many, at least 1
 *
 * Returns: 0; -EAGAIN: there are not so many, or others wait; -EINVAL.
 */
OURO_API int ouro_semaphore_try_acquire_n(struct ouro_semaphore *semaphore, size_t n);

/**
 * ouro_semaphore_release_n - give several units to whoever waited longest. Never waits.
 * @semaphore: count is its value at the start
 * @n: how many, at least 1; not necessarily as many as were taken at a time
 *
 * Returns: 0; -EOVERFLOW: too many, none was given; -EINVAL.
 */
OURO_API int ouro_semaphore_release_n(struct ouro_semaphore *semaphore, size_t n);

struct ouro_event {
        bool is_set;
        void *waiters;
};
#define OURO_EVENT_INIT                                                                                      \
        {                                                                                                    \
                false, NULL                                                                                  \
        }

/**
 * ouro_event_wait - wait until an event is set
 * @event: an event
 *
 * Returns: 0, also if it has been cleared again meanwhile; -EINVAL: NULL; -ECANCELED or -ETIME.
 */
OURO_API int ouro_event_wait(struct ouro_event *event);

/**
 * ouro_event_set - set an event and wake all its waiters. Never waits.
 * @event: an event
 *
 * Returns: 0; -EINVAL: NULL.
 */
OURO_API int ouro_event_set(struct ouro_event *event);

/**
 * ouro_event_clear - clear an event. Never waits.
 * @event: an event
 *
 * Returns: 0; -EINVAL: NULL.
 */
OURO_API int ouro_event_clear(struct ouro_event *event);

struct ouro_condition {
        void *waiters;
};
#define OURO_CONDITION_INIT                                                                                  \
        {                                                                                                    \
                NULL                                                                                         \
        }

/**
 * ouro_condition_wait - unlock a mutex, wait to be notified, lock it again
 * @condition: a condition
 * @mutex: held by the caller, and again when this returns, also cut short
 *
 * Test what you wait for in a loop around it. The re-lock is never cut short.
 *
 * Returns: 0; -EPERM: the caller does not hold the mutex; -EINVAL: NULL; -ECANCELED or -ETIME (a notification
 * that came first is not lost: it is told); or, and then it does not hold the mutex, -EOWNERDEAD and -EDEADLK
 * as ouro_mutex_lock().
 */
OURO_API int ouro_condition_wait(struct ouro_condition *condition, struct ouro_mutex *mutex);

/**
 * ouro_condition_notify - wake the tasks that have waited longest. Never waits.
 * @condition: a condition
 * @n: how many at the most
 *
 * Returns: how many were woken; -EINVAL: NULL.
 */
OURO_API ssize_t ouro_condition_notify(struct ouro_condition *condition, size_t n);

/**
 * ouro_condition_notify_all - wake all that wait. Never waits.
 * @condition: a condition
 *
 * Returns: how many were woken; -EINVAL: NULL.
 */
OURO_API ssize_t ouro_condition_notify_all(struct ouro_condition *condition);

/* So many tasks wait for each other, and then all go on; again and again. */
struct ouro_barrier {
        size_t parties; /* how many it takes */
        size_t arrived; /* of those, who wait now */
        bool broken;
        void *waiters;
};
#define OURO_BARRIER_INIT(parties)                                                                           \
        {                                                                                                    \
                (parties), 0, false, NULL                                                                    \
        }

/**
 * ouro_barrier_wait - wait until enough tasks do
 * @barrier: parties is how many it takes
 *
 * Cut short, the caller leaves, and the others wait on for one in its place.
 *
 * Returns: the caller's place in the order of arrival, from 0 to parties - 1, each told to one task: the one
 * with 0 can do what is to be done once. -EPIPE: the barrier was broken by ouro_barrier_abort(), or reset
 * while the caller waited; -EINVAL: NULL, or parties is 0; -ECANCELED or -ETIME.
 */
OURO_API ssize_t ouro_barrier_wait(struct ouro_barrier *barrier);

/**
 * ouro_barrier_abort - break a barrier: who waits and who comes is told -EPIPE. Never waits.
 * @barrier: a barrier
 *
 * Returns: 0; -EINVAL: NULL.
 */
OURO_API int ouro_barrier_abort(struct ouro_barrier *barrier);

/**
 * ouro_barrier_reset - make a barrier empty and whole: who waits is told -EPIPE. Never waits.
 * @barrier: a barrier
 *
 * Returns: 0; -EINVAL: NULL.
 */
OURO_API int ouro_barrier_reset(struct ouro_barrier *barrier);

/* Zeroed memory is one whose function has yet to run. */
struct ouro_once {
        void *doer;
        intptr_t result;
        bool is_done;
        void *waiters;
};
#define OURO_ONCE_INIT                                                                                       \
        {                                                                                                    \
                NULL, 0, false, NULL                                                                         \
        }

/**
 * ouro_once_do - have a function run once, by the first who asks; the others wait for it
 * @once: zeroed before first use
 * @fn: called by the caller itself, if it is its turn
 * @arg: passed to it
 *
 * If fn returns an error (it has been cancelled, maybe), that is told to the task that ran it alone, and
 * whoever has waited longest runs its own fn. It is left by returning, not by a C++ exception: the others
 * would wait for ever.
 *
 * Returns: what fn returned to the one that ran it, zero or more to all the others; -EDEADLK: the caller is
 * inside it already, or waits for a lock that whoever is inside waits for, as with ouro_mutex_lock();
 * -EINVAL: NULL; -EPERM: a task of another loop is inside; -ECANCELED or -ETIME.
 */
OURO_API intptr_t ouro_once_do(struct ouro_once *once, ouro_fn *fn, void *arg);

/* A count that goes down to nothing, once. Zeroed memory is a latch that is open. */
struct ouro_latch {
        size_t count;
        void *waiters;
};
#define OURO_LATCH_INIT(count)                                                                               \
        {                                                                                                    \
                (count), NULL                                                                                \
        }

/**
 * ouro_latch_count_down - bring a latch nearer to opening, and wake all its waiters if it opens. Never waits.
 * @latch: count is its value at the start
 * @n: by how much
 *
 * Returns: 0; -EOVERFLOW: count is less than n, and stays so; -EINVAL: NULL.
 */
OURO_API int ouro_latch_count_down(struct ouro_latch *latch, size_t n);

/**
 * ouro_latch_wait - wait until a latch is open
 * @latch: count is its value at the start
 *
 * Returns: 0; -EINVAL: NULL; -ECANCELED or -ETIME.
 */
OURO_API int ouro_latch_wait(struct ouro_latch *latch);

/**
 * ouro_latch_try_wait - whether a latch is open
 * @latch: count is its value at the start
 *
 * Returns: 0; -EAGAIN: not yet; -EINVAL: NULL.
 */
OURO_API int ouro_latch_try_wait(struct ouro_latch *latch);

/* How much work is out, to wait until none is; again and again. Zeroed memory is one without any. */
struct ouro_wait_group {
        size_t count;
        void *waiters;
};
#define OURO_WAIT_GROUP_INIT                                                                                 \
        {                                                                                                    \
                0, NULL                                                                                      \
        }

/**
 * ouro_wait_group_add - more work is out. Never waits.
 * @group: a wait group
 * @n: how much
 *
 * Returns: 0; -EOVERFLOW: it cannot count so far; -EINVAL: NULL.
 */
OURO_API int ouro_wait_group_add(struct ouro_wait_group *group, size_t n);

/**
 * ouro_wait_group_done - a piece of work is done; if it was the last, all waiters are woken. Never waits.
 * @group: a wait group
 *
 * Returns: 0; -EOVERFLOW: none was out; -EINVAL: NULL.
 */
OURO_API int ouro_wait_group_done(struct ouro_wait_group *group);

/**
 * ouro_wait_group_wait - wait until no work is out
 * @group: a wait group
 *
 * Returns: 0, also if there is more again by the time the caller runs; -EINVAL: NULL; -ECANCELED or -ETIME.
 */
OURO_API int ouro_wait_group_wait(struct ouro_wait_group *group);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
