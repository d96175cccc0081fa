/* cancel.c - cancellation as a state, and how it spreads.
 *
 * Whether a task is interrupted follows from its contexts, innermost first, up to the first shield:
 *
 *      a scope that has expired       its waits return -ETIME
 *      one that is over               its waits return -ECANCELED
 *      (past the last) cancelled      its waits return -ECANCELED
 *
 * Over is a group that failed or has had successes enough, and a scope that was cancelled. Cancellation
 * outranks time. What interrupts a task also cancels the members of the groups that lie inside
 * the interrupting context, with no shield between. Task trees may be very deep, so that the walk through
 * them goes by parent pointers and uses no stack. */
#include <errno.h>

#include "task/task.h"

static int interrupt_of(const struct task *task)
{
        int interrupt = 0;

        for (const struct ouro_context *context = task->context; context; context = context->outer) {
                if (context->kind == CONTEXT_SHIELD)
                        return interrupt;
                if (context->state & CONTEXT_OVER)
                        return -ECANCELED;
                if (context->state & CONTEXT_EXPIRED)
                        interrupt = -ETIME;
        }
        return task->reason != OURO_NOT_CANCELLED ? -ECANCELED : interrupt;
}

void task_refresh(struct ouro_loop *loop, struct task *task)
{
        int interrupt = interrupt_of(task);

        if (interrupt != task->coro.interrupt)
                coro_interrupt(&loop->sched, &task->coro, interrupt);
}

/* From context outwards, the first group that is not yet cancelled; NULL at the end. */
static struct ouro_group *group_from(struct ouro_context *context, const struct ouro_context *end)
{
        for (; context != end; context = context->outer)
                if (context->kind == CONTEXT_GROUP && !(context->state & CONTEXT_CANCELLED))
                        return container_of(context, struct ouro_group, context);
        return NULL;
}

/* The innermost context of task that end (NULL: the task itself) reaches: outside the last shield before it.
 */
static struct ouro_context *reached_from(struct task *task, const struct ouro_context *end)
{
        struct ouro_context *reached = task->context;

        for (struct ouro_context *context = task->context; context != end; context = context->outer)
                if (context->kind == CONTEXT_SHIELD)
                        reached = context->outer;
        return reached;
}

/* What is cancelled along with something, and not as one of what was meant. */
static struct cause along_with(const struct cause *cause)
{
        return (struct cause){.reason = OURO_CANCEL_LEFT, .text = cause->text, .origin = cause->origin};
}

static void mark_group(struct ouro_group *group, const struct cause *cause)
{
        group->context.state |= CONTEXT_CANCELLED | (int)cause->reason << CONTEXT_REASON_SHIFT;
        group->text = cause->text;
        group->origin = cause->origin;
}

static void mark_task(struct ouro_loop *loop, struct task *task, enum ouro_reason reason)
{
        task->reason = reason & 15;
        if (task->job)
                coro_interrupt(&loop->sched, &task->coro, -ECANCELED);
        else
                task_refresh(loop, task);
}

/* Where the walk goes when all members of group have been seen: the next group outwards of the same owner,
 * else the owner's next sibling. Sets *inout_node to the next member to look at, or to the end of a list. */
static struct ouro_group *walk_up(struct ouro_group *group, const struct cause *below,
                                  struct ouro_list **inout_node)
{
        struct task *owner = group->context.owner;
        struct ouro_group *outer = group_from(group->context.outer, NULL);

        if (outer) {
                mark_group(outer, below);
                *inout_node = outer->members.next;
                return outer;
        }
        *inout_node = owner->member.next;
        return owner->group;
}

void group_cancel(struct ouro_loop *loop, struct ouro_group *top, const struct cause *cause)
{
        const struct cause below = along_with(cause);
        struct ouro_group *group = top, *inner;
        struct ouro_list *node;

        if (top->context.state & CONTEXT_CANCELLED)
                return;
        mark_group(top, cause);
        for (node = top->members.next; group != top || node != &top->members;) {
                struct task *task = container_of(node, struct task, member);

                if (node == &group->members) {
                        group = walk_up(group, &below, &node);
                        continue;
                }
                node = node->next;
                if (task->state != TASK_ALIVE || task->reason != OURO_NOT_CANCELLED)
                        continue;
                mark_task(loop, task, group == top ? cause->reason : OURO_CANCEL_LEFT);
                inner = group_from(reached_from(task, NULL), NULL);
                if (inner) {
                        mark_group(inner, &below);
                        group = inner;
                        node = inner->members.next;
                }
        }
}

void context_cut(struct ouro_loop *loop, struct ouro_context *context, const struct cause *cause)
{
        struct task *owner = context->owner;
        struct ouro_group *group;

        while ((group = group_from(reached_from(owner, context), context)))
                group_cancel(loop, group, cause);
        task_refresh(loop, owner);
}

void context_end(struct ouro_loop *loop, struct ouro_context *context, const struct cause *cause)
{
        context->state |= CONTEXT_OVER;
        if (context->kind == CONTEXT_GROUP)
                group_cancel(loop, container_of(context, struct ouro_group, context), cause);
        context_cut(loop, context, cause);
}

void task_cancel(struct ouro_loop *loop, struct task *task, const struct cause *cause)
{
        const struct cause below = along_with(cause);
        struct ouro_group *group;

        if (task->state != TASK_ALIVE || task->reason != OURO_NOT_CANCELLED)
                return;
        cause_keep(task, cause);
        mark_task(loop, task, cause->reason);
        while ((group = group_from(reached_from(task, NULL), NULL)))
                group_cancel(loop, group, &below);
}

int ouro_cancel_with(ouro_task handle, const char *text)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (!loop)
                return -EPERM;
        if (task_is_failed(handle))
                return 0;
        task = task_find(loop, handle);
        if (!task)
                return -ESRCH;
        task_cancel(loop, task,
                    &(struct cause){.reason = OURO_CANCEL_ASKED, .text = text, .origin = cause_asker(loop)});
        return 0;
}

int ouro_cancel(ouro_task handle)
{
        return ouro_cancel_with(handle, NULL);
}

int ouro_cancelled(ouro_task handle)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (!loop)
                return -EPERM;
        if (task_is_failed(handle))
                return OURO_NOT_CANCELLED;
        task = task_find(loop, handle);
        return task ? task->reason : -ESRCH;
}
