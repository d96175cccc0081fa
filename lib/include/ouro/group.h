/* ouro/group.h - groups that have had enough or tell every outcome, scopes that are moved or cancelled, and
 * why a task was cancelled. Included by ouro.h, whose conventions hold. */
#ifndef OURO_GROUP_H
#define OURO_GROUP_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- groups with a policy --------------------------------------------------------------------- */

/* How a member of a group ended. */
struct ouro_outcome {
        ouro_task task;
        intptr_t result;
};

/* What a group is opened with. Begin with OURO_GROUP_OPTIONS_INIT; zero always means the default. What the
 * pointers name is declared before the group and written until it has closed. */
struct ouro_group_options {
        size_t size;                   /* sizeof(struct ouro_group_options) */
        int flags;                     /* 0 or OURO_GROUP_KEEP */
        size_t successes;              /* this many results of zero or more are enough; 0: all are awaited */
        struct ouro_outcome *outcomes; /* filled in as members end, in that order; may be NULL */
        size_t outcomes_len;           /* of those that end later only the number is kept */
        size_t *ret_ended;             /* how many members have ended; set when the group closes, or NULL */
        size_t *ret_succeeded;         /* how many of them with a result of zero or more; likewise */
        int *ret_error;                /* what the group closes with; likewise */
};

#define OURO_GROUP_OPTIONS_INIT OURO_SIZED_(struct ouro_group_options)

/**
 * OURO_GROUP_WITH - OURO_GROUP with options: first success, first N, all, and every outcome
 *
 * OURO_GROUP_WITH(g, &options) { ... }, options a struct ouro_group_options declared before. In all that the
 * options leave alone it is an OURO_GROUP.
 *
 * With successes of N the group is over as soon as N members have ended with a result of zero or more: the
 * others are cancelled (OURO_CANCEL_ENOUGH) and awaited, the owner's waits inside the block end with
 * -ECANCELED, and error is 0. A member's failure cancels nobody then and is not logged. A member that
 * succeeds although it was cancelled still counts, so that succeeded may exceed N. If fewer than N have
 * succeeded when the last one has ended, error is that of the first member that failed, else -ECANCELED or
 * -ETIME if the owner was cut short inside the block, else -ENOENT.
 *
 * Every member that has ended is counted and has its outcome, also one that was cut short: with a time scope
 * around the group or inside it, outcomes are the partial results at the deadline.
 *
 * Options that are refused (see ouro_group_open_with()) have the block passed over.
 */
#define OURO_GROUP_WITH(g, options) OURO_GROUP_WITH_(OURO_UNIQUE(ouro_group_), g, options)

/**
 * ouro_group_open_with - open a group with options, the function form of OURO_GROUP_WITH
 * @group: memory for it, to stay in place until it is closed by ouro_group_close()
 * @options: see struct ouro_group_options; NULL for the defaults. Read now, and not kept.
 *
 * Returns: group; outside a task a group that is not open. NULL, and no group is open, if group is NULL or
 * options are refused: they have no size, flags are unknown, or outcomes is NULL and outcomes_len is not 0
 * (*options->ret_error is -EINVAL then, if the size allows to look for it).
 */
OURO_API struct ouro_group *ouro_group_open_with(struct ouro_group *group,
                                                 const struct ouro_group_options *options);

/* ---- why a task was cancelled ----------------------------------------------------------------- */

/**
 * ouro_cancel_with - ouro_cancel() with a text that says why
 * @task: a coroutine or a job; itself is allowed
 * @text: borrowed until the group of the task has closed, usually a literal; may be NULL
 *
 * Returns: as ouro_cancel().
 */
OURO_API int ouro_cancel_with(ouro_task task, const char *text);

/**
 * ouro_group_cancel_with - ouro_group_cancel() with a text that says why
 * @group: any open group of this loop
 * @text: borrowed until the group has closed, usually a literal; may be NULL
 *
 * Returns: as ouro_group_cancel().
 */
OURO_API int ouro_group_cancel_with(struct ouro_group *group, const char *text);

/* Why a task was cancelled. Begin with OURO_CANCELLATION_INIT. */
struct ouro_cancellation {
        size_t size; /* sizeof(struct ouro_cancellation), set by the caller */
        enum ouro_reason reason;
        const char *text; /* as given, borrowed like that; NULL: none */
        ouro_task origin; /* who began it; may have ended. OURO_NO_TASK: not known, or no task */
};

#define OURO_CANCELLATION_INIT OURO_SIZED_(struct ouro_cancellation)

/**
 * ouro_cancel_info - why a task was cancelled, and who began it
 * @task: any task of this loop whose result has not been consumed; the calling one may ask about itself
 * @ret_info: its size set; the rest is filled in
 *
 * The reason is that of ouro_cancelled(). For a task that is not cancelled, but whose waits fail by a group
 * or a scope of its own, it is what cuts these (OURO_CANCEL_SIBLING, _ENOUGH, _TIME; _ASKED for a scope that
 * was cancelled): "why am I being cut short?" has an answer wherever it is asked.
 *
 * The origin is the task that asked (OURO_CANCEL_ASKED), the member that failed or brought the last success
 * wanted (OURO_CANCEL_SIBLING, _ENOUGH), the owner of the group or the scope (OURO_CANCEL_LEFT, _TIME), or
 * the main task (OURO_CANCEL_END). What lies in groups inside is cancelled along with it: members of members
 * have the reason OURO_CANCEL_LEFT, and all have the text and origin of what came first.
 *
 * A task cancelled by itself keeps its text and origin in memory of its own; without memory these are
 * missing.
 *
 * Returns: 0; -EINVAL: ret_info is NULL or its size is not set; -ESRCH; -EPERM.
 */
OURO_API int ouro_cancel_info(ouro_task task, struct ouro_cancellation *ret_info);

/* ---- scopes that are moved or cancelled ------------------------------------------------------- */

/**
 * OURO_SCOPE - a time scope with a name
 *
 * OURO_SCOPE(s, ns) { ... } or OURO_SCOPE(s, ns, &expired) { ... }; inside, s is a struct ouro_scope *. Else
 * as OURO_TIMEOUT. With OURO_FOREVER it is a block that can be cancelled and has no deadline yet.
 *
 * The scope ends with its block. What else uses s must have ended by then: members of a group inside it have.
 */
#define OURO_SCOPE(...) OURO_SCOPE_(OURO_UNIQUE(ouro_scope_), __VA_ARGS__, NULL, 0)

/**
 * ouro_scope_reschedule - move the deadline of a time scope
 * @scope: any open time scope of this loop, its holder's or not
 * @ns: from now; zero or less expires at once, OURO_FOREVER never does
 *
 * Returns: 0; -ETIME: it has expired; -ECANCELED: it was cancelled; -EINVAL: not open, or a shield; -EPERM:
 * another loop's.
 */
OURO_API int ouro_scope_reschedule(struct ouro_scope *scope, int64_t ns);

/**
 * ouro_scope_deadline - when a time scope expires, or has expired
 * @scope: any open time scope of this loop
 *
 * Returns: the time by ouro_now(); OURO_FOREVER: no deadline, or it was cancelled before; -EINVAL: not open,
 * or a shield; -EPERM: another loop's.
 */
OURO_API int64_t ouro_scope_deadline(const struct ouro_scope *scope);

/**
 * ouro_scope_cancel - cut short what a time scope bounds, before its deadline
 * @scope: any open time scope of this loop, its holder's or not
 *
 * Until the scope is left, its holder's waits inside it end with -ECANCELED, and the members of groups inside
 * it are cancelled. A shield inside protects as always. The holder itself is not cancelled: after the scope
 * its waits go on. A scope that has expired stays so, and one that was cancelled does not expire any more.
 *
 * Returns: 0, also if it has expired or was cancelled before; -EINVAL: not open, or a shield; -EPERM: another
 * loop's. Does not wait.
 */
OURO_API int ouro_scope_cancel(struct ouro_scope *scope);

/**
 * ouro_scope_cancel_with - ouro_scope_cancel() with a text that says why
 * @scope: any open time scope of this loop, its holder's or not
 * @text: borrowed until the scope has been left, usually a literal; may be NULL
 *
 * Returns: as ouro_scope_cancel().
 */
OURO_API int ouro_scope_cancel_with(struct ouro_scope *scope, const char *text);

/**
 * ouro_scope_cancelled - whether a time scope was cancelled
 * @scope: open, or closed and still in place
 */
OURO_API bool ouro_scope_cancelled(const struct ouro_scope *scope);

#ifdef __cplusplus
} /* extern "C" */
#endif

#define OURO_GROUP_WITH_(id, g, options)                                                                     \
        for (OURO_GROUP_HOLDER_(id), *g = ouro_group_open_with(&id, options); g != NULL;                     \
             ouro_group_close(g), g = NULL)
#define OURO_SCOPE_(id, s, ns, ret, ...)                                                                     \
        for (OURO_SCOPE_HOLDER_(id), *s = ouro_scope_open(&id, ns, ret); s != NULL;                          \
             ouro_scope_close(s), s = NULL)

#endif
