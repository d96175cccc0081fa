/* ouro/local.h - task-locals: values that a task hands down to the tasks it creates. Included by ouro.h,
 * whose conventions hold.
 *
 *      static const struct ouro_local request_id = OURO_LOCAL_INIT("request id", free);
 *
 *      ouro_local_set(&request_id, strdup("r-17"));    here, and in all tasks that this one creates from now
 * on ouro_local_get(&request_id)
 *
 * A task that is created has, for every key, the value that its creator has at that moment, whatever group it
 * is put into. What it sets itself is seen by those that it creates, and by nobody else. */
#ifndef OURO_LOCAL_H
#define OURO_LOCAL_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- task-locals ------------------------------------------------------------------------------ */

/* Names a value that each task may have; its address is the key. Static: it must outlive the run. */
struct ouro_local {
        const char *name;
        /* Called with each value that was set when no task has it any more: all that had it have ended, have
         * set another or have unset it. On the loop's thread, outside any task: what it calls of the library
         * gives -EPERM. Not called with NULL. May be NULL. */
        void (*drop)(void *value);
};

#define OURO_LOCAL_INIT(name, drop)                                                                          \
        {                                                                                                    \
                name, drop                                                                                   \
        }

/**
 * ouro_local_set - give a key a value, in the calling task and in those that it creates from now on
 * @key: see struct ouro_local
 * @value: belongs to the tasks that have it from now on; NULL is a value too, and the same as none to
 * ouro_local_get(). The value that the key has already: nothing changes
 *
 * Tasks that this one has created before keep what they have. Jobs have no locals: they run elsewhere, and so
 * do functions that were posted and tasks that another loop's task creates here, which begin without any.
 *
 * A task that cannot be given its creator's locals for want of memory is not created: -ENOMEM, see
 * ouro_create_task().
 *
 * Returns: 0; -ENOMEM: nothing has changed, value is still the caller's; -EINVAL: key is NULL. Does not wait,
 * and is never cut short.
 */
OURO_API int ouro_local_set(const struct ouro_local *key, void *value);

/**
 * ouro_local_get - the value of a key in the calling task
 * @key: see struct ouro_local
 *
 * Returns: the value, which stays at least until the calling task ends or changes it; NULL if there is none,
 * and outside a task.
 */
OURO_API void *ouro_local_get(const struct ouro_local *key);

/**
 * ouro_local_unset - leave the calling task, and those that it creates from now on, without a value
 * @key: see struct ouro_local; without a value already, nothing happens
 *
 * Returns: 0; -ENOMEM: nothing has changed; -EINVAL: key is NULL. Does not wait, and is never cut short.
 */
OURO_API int ouro_local_unset(const struct ouro_local *key);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* OURO_LOCAL_H */
