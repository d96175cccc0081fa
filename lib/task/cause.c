/* cause.c - why a task was cancelled: the reason, a text, and who began it.
 *
 * A group remembers why it was cancelled, and that serves all members that were cancelled with it. Only a
 * task that was cancelled by itself (TASK_ASKED) has a note of its own, in its struct task_more. Without
 * memory for that the note is missing, and the cancellation acts all the same. */
#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "task/task.h"

/* Outside a task (a drop function, a timer of the loop's) it is nobody. */
ouro_task cause_asker(struct ouro_loop *loop)
{
        return loop->sched.current == &loop->sched.loop ? OURO_NO_TASK : task_handle(task_self(loop));
}

void cause_keep(struct task *task, const struct cause *cause)
{
        struct task_more *more = task_more_make(task);

        task->coro.flags |= TASK_ASKED;
        if (!more)
                return;
        more->cancel_text = cause->text;
        more->cancel_origin = cause->origin;
}

static struct cause cause_of_group(const struct ouro_group *group, enum ouro_reason reason)
{
        return (struct cause){.reason = reason, .text = group->text, .origin = group->origin};
}

/* It is cancelled. */
static struct cause cause_of_task(const struct task *task)
{
        const struct task_more *more;

        if (!(task->coro.flags & TASK_ASKED))
                return cause_of_group(task->group, task->reason);
        if (!(task->coro.flags & TASK_MORE))
                return (struct cause){.reason = task->reason};
        more = container_of(task->site, const struct task_more, site);
        return (struct cause){
                .reason = task->reason, .text = more->cancel_text, .origin = more->cancel_origin};
}

/* It is over. */
static struct cause cause_of_context(const struct ouro_context *context)
{
        const struct ouro_scope *scope = container_of(context, const struct ouro_scope, context);

        if (context->kind == CONTEXT_GROUP)
                return cause_of_group(
                        container_of(context, const struct ouro_group, context),
                        (enum ouro_reason)((unsigned)context->state >> CONTEXT_REASON_SHIFT & 15u));
        return (struct cause){.reason = OURO_CANCEL_ASKED, .text = scope->text, .origin = scope->origin};
}

/* In the order of interrupt_of(), cancel.c. */
struct cause cause_of_waits(const struct task *task, bool past_shields)
{
        struct cause time = {.reason = OURO_CANCEL_TIME, .origin = task_handle(task)};
        struct cause none = {.reason = OURO_NOT_CANCELLED};
        bool expired = false;

        for (const struct ouro_context *context = task->context; context; context = context->outer) {
                if (context->kind == CONTEXT_SHIELD && !past_shields)
                        return expired ? time : none;
                if (context->state & CONTEXT_OVER)
                        return cause_of_context(context);
                expired |= context->state & CONTEXT_EXPIRED;
        }
        if (task->reason != OURO_NOT_CANCELLED)
                return cause_of_task(task);
        return expired ? time : none;
}

/* ---- asking ---- */

/* Fills in what the caller's version of the struct has room for, and clears what it has more. */
static int tell(struct ouro_cancellation *ret_info, struct cause cause)
{
        struct ouro_cancellation info = {
                .size = sizeof info, .reason = cause.reason, .text = cause.text, .origin = cause.origin};
        size_t size = ret_info->size, known = size < sizeof info ? size : sizeof info;

        memcpy(ret_info, &info, known);
        memset((char *)ret_info + known, 0, size - known);
        ret_info->size = size;
        return 0;
}

int ouro_cancel_info(ouro_task handle, struct ouro_cancellation *ret_info)
{
        struct ouro_loop *loop = loop_here();
        struct task *task;

        if (!loop)
                return -EPERM;
        if (!ret_info || ret_info->size < sizeof ret_info->size || ret_info->size > OPTIONS_MOST)
                return -EINVAL;
        if (task_is_failed(handle))
                return tell(ret_info, (struct cause){.reason = OURO_NOT_CANCELLED});
        task = task_find(loop, handle);
        if (!task)
                return -ESRCH;
        return tell(ret_info, task->reason ? cause_of_task(task) : cause_of_waits(task, true));
}
