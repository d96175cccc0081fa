/* policy.c - groups with options: they count how their members end, write it down, and may have enough.
 *
 * A plain group pays one branch for this where a member ends (CONTEXT_COUNTS). */
#include <errno.h>

#include "base/options.h"
#include "task/task.h"

static int read_options(struct ouro_group_options *known, const struct ouro_group_options *given)
{
        if (given && options_read(known, sizeof *known, given) < 0)
                return -EINVAL;
        if ((known->flags & ~OURO_GROUP_KEEP) || (known->outcomes_len > 0 && !known->outcomes)) {
                if (known->ret_error)
                        *known->ret_error = -EINVAL;
                return -EINVAL;
        }
        return 0;
}

struct ouro_group *ouro_group_open_with(struct ouro_group *group, const struct ouro_group_options *given)
{
        struct ouro_group_options known = OURO_GROUP_OPTIONS_INIT;

        if (!group)
                return NULL;
        if (read_options(&known, given) < 0) {
                group->context = (struct ouro_context){.kind = CONTEXT_GROUP}; /* not open */
                return NULL;
        }
        if (known.successes > 0)
                known.flags |= OURO_GROUP_KEEP;
        ouro_group_open(group, known.flags, known.ret_error);
        group->successes = known.successes;
        group->ended = group->succeeded = 0;
        group->outcomes = known.outcomes;
        group->outcomes_len = known.outcomes_len;
        group->ret_ended = known.ret_ended;
        group->ret_succeeded = known.ret_succeeded;
        if (group->context.owner)
                group->context.state |= CONTEXT_COUNTS;
        return group;
}

/* Who reads the outcomes, or has said that members may fail, need not be told by the log. */
void group_member_counted(struct ouro_loop *loop, struct task *task, intptr_t result)
{
        struct ouro_group *group = task->group;
        size_t i = group->ended++;

        if (i < group->outcomes_len)
                group->outcomes[i] = (struct ouro_outcome){.task = task_handle(task), .result = result};
        if (i < group->outcomes_len || group->successes > 0)
                task->told = 1;
        if (result >= 0 && ++group->succeeded == group->successes)
                context_end(loop, &group->context,
                            &(struct cause){.reason = OURO_CANCEL_ENOUGH, .origin = task_handle(task)});
}

int group_count_closed(struct ouro_group *group, int result)
{
        if (group->ret_ended)
                *group->ret_ended = group->ended;
        if (group->ret_succeeded)
                *group->ret_succeeded = group->succeeded;
        if (group->successes == 0)
                return result;
        if (group->succeeded >= group->successes)
                return 0;
        return result < 0 ? result : -ENOENT;
}
