/* task.c - creating a task, waiting for its end, and asking about it. What its end does is in end.c. */
#include <errno.h>

#include "base/log.h"
#include "base/options.h"
#include "base/queue.h"
#include "task/task.h"

enum { STACK_LEAST = STACK_MIN_BYTES };

/* ---- creating ---- */

static inline void join_group(struct task *task, struct ouro_group *group)
{
        task->group = group;
        list_push(&group->members, &task->member);
        group->live++;
        if (unlikely(group->context.state & CONTEXT_CANCELLED)) {
                task->reason = (unsigned)(group->context.state >> CONTEXT_REASON_SHIFT) & 15u;
                task->coro.interrupt = -ECANCELED;
        }
}

static const struct ouro_site nameless = {.name = "task"};

static inline struct task *new_task(struct ouro_loop *loop, const struct ouro_site *site)
{
        struct task *task = task_record(loop);

        if (unlikely(!task))
                return NULL;
        task->context = NULL;
        task->waiters = NULL;
        task->site = site;
        task->coro.flags = 0;
        task->holds = 0;
        task->state = TASK_ALIVE;
        task->reason = OURO_NOT_CANCELLED;
        task->detached = task->told = task->job = task->unused = 0;
        return task;
}

/* The creator may have more to hand down than a group. In the loop's own turns that is the loop, with
 * nothing.
 */
static inline bool inherit(const struct ouro_loop *loop, struct task *task)
{
        const struct coro *creator = loop->sched.current;

        return likely(!(creator->flags & TASK_MORE)) ||
               task_inherit_locals(container_of(creator, const struct task, coro), task);
}

struct task *task_create(struct ouro_loop *loop, struct ouro_group *group, ouro_fn *fn, void *arg,
                         const struct ouro_task_options *options, const struct ouro_site *site)
{
        struct task *task = new_task(loop, site);

        if (unlikely(!task))
                return NULL;
        if ((options->name && !task_rename(task, options->name)) || !inherit(loop, task)) {
                task_record_free(loop, task);
                return NULL;
        }
        if (options->priority == OURO_PRIORITY_LOW)
                task->coro.flags |= CORO_LOW;
        coro_create(&loop->sched, &task->coro, fn, arg, options->stack_bytes, options->drop);
        join_group(task, group);
        return task;
}

struct task *task_create_job(struct ouro_loop *loop, const struct ouro_site *site,
                             const struct wait_kind *kind, void *job)
{
        struct task *task = new_task(loop, site);

        if (unlikely(!task))
                return NULL;
        task->job = 1;
        coro_begin_wait(&loop->sched, &task->coro, kind);
        task->coro.stack = STACK_NONE;
        task->coro.waiter.what = job;
        task->coro.interrupt = 0;
        task->coro.locks_held = 0;
        join_group(task, task_innermost_group(loop, task_self(loop)));
        return task;
}

void task_uncreate_job(struct ouro_loop *loop, struct task *task)
{
        task->group->live--;
        list_del(&task->member);
        task_record_free(loop, task);
}

static bool group_is_open_here(const struct ouro_loop *loop, const struct ouro_group *group)
{
        const struct task *owner = group->context.owner;

        return owner && group->context.kind == CONTEXT_GROUP && (group->context.state & CONTEXT_OPEN) &&
               task_loop(owner) == loop;
}

/* The creator may have more to hand down. NULL: no memory. */
static __attribute__((noinline)) struct task *create_heir(struct ouro_loop *loop, struct task *task,
                                                          ouro_fn *fn, void *arg)
{
        if (!inherit(loop, task)) {
                task_record_free(loop, task);
                return NULL;
        }
        coro_create(&loop->sched, &task->coro, fn, arg, 0, NULL);
        join_group(task, task_innermost_group(loop, task_self(loop)));
        return task;
}

/* No record is free. */
static __attribute__((noinline)) struct task *create_fresh(struct ouro_loop *loop, ouro_fn *fn, void *arg,
                                                           const struct ouro_site *site)
{
        struct task *task = new_task(loop, site);

        return task ? create_heir(loop, task, fn, arg) : NULL;
}

/* The plain form, which is the common one: straight to the innermost group. NULL: plain_error() says why. */
static inline struct task *create_plain(ouro_fn *fn, void *arg, const struct ouro_site *site)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (unlikely(!loop || !fn))
                return NULL;
        if (unlikely(!loop->free_tasks))
                return create_fresh(loop, fn, arg, site);
        task = new_task(loop, site);
        if (unlikely(task_self(loop)->coro.flags & TASK_MORE))
                return create_heir(loop, task, fn, arg);
        coro_create(&loop->sched, &task->coro, fn, arg, 0, NULL);
        join_group(task, task_innermost_group(loop, task_self(loop)));
        return task;
}

static int plain_error(ouro_fn *fn)
{
        if (!loop_here())
                return -EPERM;
        return fn ? -ENOMEM : -EINVAL;
}

static __attribute__((noinline)) ouro_task plain_failed(ouro_fn *fn)
{
        return task_failed(plain_error(fn));
}

/* With options. 0 and a task, or why there is none. */
static int create(ouro_fn *fn, void *arg, const struct ouro_task_options *options,
                  const struct ouro_site *site, struct task **ret_task)
{
        struct ouro_loop *loop = loop_here();
        struct ouro_group *group = options->group;

        if (unlikely(!loop))
                return -EPERM;
        if (unlikely(!fn))
                return -EINVAL;
        if (!group)
                group = task_innermost_group(loop, task_self(loop));
        else if (unlikely(!group_is_open_here(loop, group)))
                return -EINVAL;
        *ret_task = task_create(loop, group, fn, arg, options, site);
        return likely(*ret_task) ? 0 : -ENOMEM;
}

ouro_task ouro_create_task_at(ouro_fn *fn, void *arg, const struct ouro_site *site)
{
        struct task *task = create_plain(fn, arg, likely(site) ? site : &nameless);

        return likely(task) ? task_handle(task) : plain_failed(fn);
}

ouro_task ouro_create_task_in_at(struct ouro_group *group, ouro_fn *fn, void *arg,
                                 const struct ouro_site *site)
{
        struct ouro_task_options options = {.group = group};
        struct task *task;
        int error = group ? create(fn, arg, &options, site ? site : &nameless, &task) : -EINVAL;

        return error == 0 ? task_handle(task) : task_failed(error);
}

int ouro_go_at(ouro_fn *fn, void *arg, const struct ouro_site *site)
{
        struct task *task = create_plain(fn, arg, likely(site) ? site : &nameless);

        if (unlikely(!task))
                return plain_error(fn);
        task->detached = 1;
        return 0;
}

ouro_task ouro_create_task_with_at(const struct ouro_task_options *options, ouro_fn *fn, void *arg,
                                   const struct ouro_site *site)
{
        struct ouro_task_options known = {.size = sizeof known};
        struct task *task;
        int error = 0;

        if (options && options_read(&known, sizeof known, options) < 0)
                return task_failed(-EINVAL);
        if (known.priority != OURO_PRIORITY_NORMAL && known.priority != OURO_PRIORITY_LOW)
                error = -EINVAL;
        if (known.stack_bytes && (known.stack_bytes < STACK_LEAST || known.stack_bytes > STACK_MAX_BYTES))
                error = -EINVAL;
        if (error == 0)
                error = create(fn, arg, &known, site ? site : &nameless, &task);
        if (error == 0)
                return task_handle(task);
        if (known.drop)
                known.drop(arg);
        return task_failed(error);
}

const char *task_name_of(const struct coro *coro)
{
        return task_name(container_of(coro, const struct task, coro));
}

/* ---- waiting ---- */

static struct task *task_waited_for(const struct coro *coro)
{
        return (struct task *)((uintptr_t)coro->waiter.what & ~(uintptr_t)TAG_MASK);
}

static void cut_waiter(struct sched *sched, struct coro *coro, int interrupt)
{
        queue_remove(&task_waited_for(coro)->waiters, &coro->waiter.link);
        coro_wake(sched, coro, interrupt);
}

static void waiter_target(const struct coro *coro, struct wait_target *target)
{
        target->holder = &task_waited_for(coro)->coro;
}

static const struct wait_kind waits_for_task = {.name = "task", .cut = cut_waiter, .target = waiter_target};
static const struct wait_kind waits_for_task_uncut = {
        .name = "task", .target = waiter_target, .give_up = cut_waiter};

static inline intptr_t wait_in_queue(struct ouro_loop *loop, struct task *task, unsigned tag,
                                     const struct wait_kind *kind)
{
        struct coro *self = loop->sched.current;

        self->waiter.what = (void *)((uintptr_t)task | tag);
        queue_push(&task->waiters, &self->waiter.link);
        return coro_wait(&loop->sched, kind);
}

/* What await and wait say before they look at the task's state. 0: wait or take. */
static inline int refuse(struct ouro_loop *loop, const struct task *task)
{
        const struct task *self = task_self(loop);

        if (unlikely(self->coro.interrupt))
                return self->coro.interrupt;
        if (unlikely(!task))
                return -ESRCH;
        return unlikely(task == self) ? -EDEADLK : 0;
}

/* It need not be waited for, or cannot be: its result, or why not. */
static __attribute__((noinline)) intptr_t await_in_full(struct ouro_loop *loop, ouro_task handle)
{
        struct task *task;
        int error;

        if (task_is_failed(handle))
                return loop->sched.current->interrupt ? loop->sched.current->interrupt
                                                      : (intptr_t)(int64_t)handle.generation;
        task = task_find(loop, handle);
        error = refuse(loop, task);
        if (error < 0)
                return error;
        return coro_spend(&loop->sched, task_consume(loop, task));
}

intptr_t ouro_await(ouro_task handle)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (unlikely(!loop))
                return -EPERM;
        task = task_record_of(loop, handle);
        if (unlikely(!task || task->state != TASK_ALIVE || task == task_self(loop) ||
                     task_self(loop)->coro.interrupt))
                return await_in_full(loop, handle);
        return wait_in_queue(loop, task, TAG_AWAIT, &waits_for_task);
}

int ouro_wait(ouro_task handle)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;
        int error;

        if (unlikely(!loop))
                return -EPERM;
        if (unlikely(task_is_failed(handle)))
                return loop->sched.current->interrupt;
        task = task_find(loop, handle);
        error = refuse(loop, task);
        if (unlikely(error < 0))
                return error;
        if (task->state == TASK_ENDED)
                return coro_spend_int(&loop->sched, 0);
        return (int)wait_in_queue(loop, task, TAG_LOOK, &waits_for_task);
}

int task_wait_ended(struct ouro_loop *loop, struct task *task, bool may_be_cut)
{
        if (may_be_cut && loop->sched.current->interrupt)
                return loop->sched.current->interrupt;
        if (task->state != TASK_ALIVE)
                return 0;
        return (int)wait_in_queue(loop, task, TAG_LOOK, may_be_cut ? &waits_for_task : &waits_for_task_uncut);
}

/* ---- priority ---- */

int ouro_set_priority(ouro_task handle, enum ouro_priority priority)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (!loop)
                return -EPERM;
        if (priority != OURO_PRIORITY_NORMAL && priority != OURO_PRIORITY_LOW)
                return -EINVAL;
        task = task_find(loop, handle);
        if (!task)
                return -ESRCH;
        if (task->job)
                return -EINVAL;
        if (priority == OURO_PRIORITY_LOW)
                task->coro.flags |= CORO_LOW;
        else
                task->coro.flags &= (uint8_t)~CORO_LOW;
        return 0;
}

/* ---- asking ---- */

ouro_task ouro_self(void)
{
        struct ouro_loop *loop = loop_here();

        return loop ? task_handle(task_self(loop)) : OURO_NO_TASK;
}

int ouro_task_state(ouro_task handle)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (!loop)
                return -EPERM;
        if (task_is_failed(handle))
                return OURO_STATE_ENDED;
        task = task_find(loop, handle);
        return task ? task_state_of(loop, task) : -ESRCH;
}

const char *ouro_task_name(ouro_task handle)
{
        struct ouro_loop *loop = loop_here();
        struct task *task = loop ? task_find(loop, handle) : NULL;

        return task ? task_name(task) : NULL;
}
