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
 * Returns: 0; -EDEADLK: the caller holds it; -EOWNERDEAD: its holder ended without unlocking (told to
 * those who waited then and to all who come later, until the memory is zeroed anew); -EINVAL: NULL;
 * -ECANCELED or -ETIME.
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

struct ouro_semaphore {
        size_t count;
        void *waiters;
};
#define OURO_SEMAPHORE_INIT(count)                                                                           \
        {                                                                                                    \
                (count), NULL                                                                                \
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
 * Any task may release. Returns: 0; -EOVERFLOW: count is at its greatest; -EINVAL: NULL.
 */
OURO_API int ouro_semaphore_release(struct ouro_semaphore *semaphore);

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
 * @mutex: held by the caller, and again when this returns, also cut short; not after -EOWNERDEAD
 *
 * Test what you wait for in a loop around it. The re-lock is never cut short.
 *
 * Returns: 0; -EPERM: the caller does not hold the mutex; -EINVAL: NULL; -EOWNERDEAD; -ECANCELED or
 * -ETIME (a notification that came first is not lost: it is told).
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

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
