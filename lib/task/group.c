/* group.c - opening, failing and closing groups.
 *
 * A group is the owner's memory. Its members may borrow what the owner declared before it, which is safe
 * because closing it, on whatever path, returns only when the last member has ended. */
#include <errno.h>

#include "task/task.h"

struct ouro_group *ouro_group_open(struct ouro_group *group, int flags, int *ret_error)
{
        struct ouro_loop *loop = loop_here();
        struct task *self = loop ? task_self(loop) : NULL;

        if (unlikely(!group))
                return NULL;
        group->context = (struct ouro_context){.kind = CONTEXT_GROUP};
        list_init(&group->members);
        group->live = 0;
        group->error = 0;
        group->flags = flags;
        group->ret_error = ret_error;
        if (!self)
                return group;
        group->context.owner = self;
        group->context.state = CONTEXT_OPEN;
        group->context.outer = self->context;
        self->context = &group->context;
        return group;
}

/* The first error of a member is the group's. */
void group_member_failed(struct ouro_loop *loop, struct task *task, intptr_t error)
{
        struct ouro_group *group = task->group;

        if (group->error != 0)
                return;
        group->error = (int)error;
        if (group == &loop->root)
                return; /* which nobody asks for its error */
        task->told = 1;
        if (group->flags & OURO_GROUP_KEEP)
                return;
        context_end(loop, &group->context,
                    &(struct cause){.reason = OURO_CANCEL_SIBLING, .origin = task_handle(task)});
}

void group_all_ended(struct ouro_loop *loop, struct ouro_group *group)
{
        struct task *owner = group->context.owner;

        group->context.state &= ~CONTEXT_CLOSING;
        coro_wake(&loop->sched, &owner->coro, 0);
}

void group_drop_results(struct ouro_loop *loop, struct ouro_group *group)
{
        while (!list_empty(&group->members)) {
                struct task *task = container_of(group->members.next, struct task, member);

                check(task->state == TASK_ENDED);
                task_tell_failure(task);
                task_consume(loop, task);
        }
}

/* The owner waits for the last member, and is interrupted: it cancels the members itself. */
static void cut_join(struct sched *sched, struct coro *coro, int interrupt)
{
        struct ouro_group *group = coro->waiter.what;

        group->context.state &= ~CONTEXT_CLOSING;
        coro_wake(sched, coro, interrupt);
}

/* Only if a single member lives does the wait depend on a certain task. */
static void join_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_group *group = coro->waiter.what;
        const struct ouro_list *node = group->members.next;

        target->object = group;
        for (; group->live == 1 && node != &group->members; node = node->next)
                if (container_of(node, const struct task, member)->state == TASK_ALIVE)
                        target->holder = &container_of(node, const struct task, member)->coro;
}

static const struct wait_kind waits_for_members = {
        .name = "members of its group", .cut = cut_join, .target = join_target};
static const struct wait_kind waits_for_members_uncut = {.name = "members of its group",
                                                         .target = join_target};

struct ouro_group *group_joined_by(const struct coro *coro)
{
        bool joins = coro->wait == &waits_for_members || coro->wait == &waits_for_members_uncut;

        return joins ? coro->waiter.what : NULL;
}

/* What cuts the owner short cancels the members of a group that it has opened since. */
static void cancel_for_owner(struct ouro_loop *loop, struct ouro_group *group, enum ouro_reason reason)
{
        const struct task *owner = group->context.owner;
        struct cause cause;

        if (group->context.state & CONTEXT_CANCELLED)
                return;
        cause = cause_of_waits(owner, false);
        if (cause.reason == OURO_NOT_CANCELLED)
                cause.origin = task_handle(owner);
        cause.reason = reason;
        group_cancel(loop, group, &cause);
}

/* Waits until no member lives. Returns how the owner was cut short, or 0. */
static int join(struct ouro_loop *loop, struct ouro_group *group)
{
        struct coro *self = loop->sched.current;
        int interrupt = self->interrupt;

        while (group->live > 0) {
                if (interrupt != 0)
                        cancel_for_owner(loop, group,
                                         interrupt == -ETIME ? OURO_CANCEL_TIME : OURO_CANCEL_LEFT);
                group->context.state |= CONTEXT_CLOSING;
                self->waiter.what = group;
                coro_wait(&loop->sched, interrupt ? &waits_for_members_uncut : &waits_for_members);
                interrupt = self->interrupt;
        }
        return interrupt;
}

static int close_group(struct ouro_loop *loop, struct task *self, struct ouro_group *group)
{
        int interrupt = join(loop, group), result = group->error ? group->error : interrupt;

        if (unlikely(group->context.state & CONTEXT_COUNTS))
                result = group_count_closed(group, result);
        self->context = group->context.outer;
        group->context.state = 0;
        group->context.owner = NULL;
        group_drop_results(loop, group);
        task_refresh(loop, self);
        if (group->ret_error)
                *group->ret_error = result;
        return result;
}

/* Is context the innermost that the caller has open? 0, -EPERM, -EINVAL. */
static int may_leave(const struct ouro_loop *loop, const struct ouro_context *context, enum context_kind kind)
{
        if (!loop)
                return -EPERM;
        if (!context || context->kind != (int)kind || !context->owner)
                return -EINVAL;
        if (context->owner != task_self((struct ouro_loop *)loop))
                return -EPERM;
        return context == ((struct task *)context->owner)->context ? 0 : -EINVAL;
}

int ouro_group_close(struct ouro_group *group)
{
        struct ouro_loop *loop = loop_here();
        int error = may_leave(loop, group ? &group->context : NULL, CONTEXT_GROUP);

        if (error < 0)
                return error;
        return coro_spend_int(&loop->sched, close_group(loop, task_self(loop), group));
}

void ouro_group_leave(struct ouro_group *group)
{
        struct ouro_loop *loop = loop_here();

        if (may_leave(loop, group ? &group->context : NULL, CONTEXT_GROUP) < 0)
                return; /* closed at the end of its block */
        cancel_for_owner(loop, group, OURO_CANCEL_LEFT);
        close_group(loop, task_self(loop), group);
}

int ouro_group_cancel_with(struct ouro_group *group, const char *text)
{
        struct ouro_loop *loop = loop_here();

        if (!loop)
                return -EPERM;
        if (!group || group->context.kind != CONTEXT_GROUP || !group->context.owner)
                return -EINVAL;
        if (task_loop(group->context.owner) != loop)
                return -EPERM;
        group_cancel(loop, group,
                     &(struct cause){.reason = OURO_CANCEL_ASKED, .text = text, .origin = cause_asker(loop)});
        return 0;
}

int ouro_group_cancel(struct ouro_group *group)
{
        return ouro_group_cancel_with(group, NULL);
}
