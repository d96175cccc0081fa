/* info.c - looking at tasks: one of them, or all of the loop.
 *
 * The tasks of a loop are a tree: the root group's members, the members of the groups that those have open,
 * and so on. It may be very deep, so that the walk goes by parent pointers and uses no stack. */
#include <errno.h>
#include <string.h>

#include "task/task.h"

/* ---- all ---- */

static struct task *first_member(const struct ouro_group *group)
{
        return list_empty(&group->members) ? NULL : container_of(group->members.next, struct task, member);
}

/* From context outwards, the first member of the first group that has one. */
static struct task *first_inside(const struct ouro_context *context)
{
        struct task *task = NULL;

        for (; context && !task; context = context->outer)
                if (context->kind == CONTEXT_GROUP)
                        task = first_member(container_of(context, const struct ouro_group, context));
        return task;
}

/* The task after this one on a walk through the tree, parents first; NULL: it is the last. */
static struct task *task_after(struct task *task)
{
        struct task *next = first_inside(task->context);

        while (!next && task) {
                const struct ouro_group *group = task->group;

                if (task->member.next != &group->members)
                        return container_of(task->member.next, struct task, member);
                task = group->context.owner;
                next = first_inside(group->context.outer);
        }
        return next;
}

ssize_t ouro_tasks(ouro_task *ret_tasks, size_t n)
{
        struct ouro_loop *loop = loop_here();
        size_t count = 0;

        if (!loop)
                return -EPERM;
        if (!ret_tasks && n > 0)
                return -EINVAL;
        for (struct task *task = first_member(&loop->root); task; task = task_after(task), count++)
                if (count < n)
                        ret_tasks[count] = task_handle(task);
        return (ssize_t)count;
}

/* ---- one ---- */

int task_state_of(const struct ouro_loop *loop, const struct task *task)
{
        if (task->state == TASK_ENDED)
                return OURO_STATE_ENDED;
        if (&task->coro == loop->sched.current)
                return OURO_STATE_RUNNING;
        return task->coro.wait ? OURO_STATE_WAITING : OURO_STATE_READY;
}

/* OURO_NO_TASK for one that is gone, such as the owner that a mutex had. */
static ouro_task handle_of(const struct coro *coro)
{
        const struct task *task = coro ? container_of(coro, const struct task, coro) : NULL;

        return task && (task->state == TASK_ALIVE || task->state == TASK_ENDED) ? task_handle(task)
                                                                                : OURO_NO_TASK;
}

static void tell_wait(const struct coro *coro, struct ouro_task_info *info)
{
        struct wait_target target;

        coro_target(coro, &target);
        info->waits_for = target.name;
        info->waits_for_task = handle_of(target.holder);
        info->waits_for_object = target.object;
        info->waits_for_fd = target.fd;
        info->waits_since_ns = coro->waiting_since_ns;
}

static void tell_task(struct ouro_loop *loop, const struct task *task, struct ouro_task_info *info)
{
        const struct ouro_site *site = task->site;
        const struct task *owner = task->group->context.owner;

        info->name = site->name;
        info->function = site->function;
        info->file = site->file;
        info->line = site->line;
        info->parent = owner ? task_handle(owner) : OURO_NO_TASK;
        info->state = task_state_of(loop, task);
        info->reason = task->reason;
        info->is_job = task->job;
        info->is_detached = task->detached;
        if (info->state == OURO_STATE_WAITING)
                tell_wait(&task->coro, info);
        if (info->state == OURO_STATE_ENDED)
                info->result = task->coro.value;
        else if (task->coro.stack != STACK_NONE)
                info->stack_bytes = coro_stack_bytes(&loop->sched, &task->coro);
}

int ouro_task_info(ouro_task handle, struct ouro_task_info *inout_info)
{
        struct ouro_loop *loop = loop_here();
        struct ouro_task_info info = {.state = OURO_STATE_ENDED, .waits_since_ns = -1, .waits_for_fd = -1};
        const struct task *task;

        if (!loop)
                return -EPERM;
        if (!inout_info || inout_info->size < sizeof info.size || inout_info->size > sizeof info)
                return -EINVAL;
        task = task_find(loop, handle);
        if (task)
                tell_task(loop, task, &info);
        else if (task_is_failed(handle))
                info.result = (intptr_t)(int64_t)handle.generation;
        else
                return -ESRCH;
        info.size = inout_info->size; /* of an older header: it gets what it knows */
        memcpy(inout_info, &info, info.size);
        return 0;
}
