/* deadlock.c - every task waits for another, and nothing outside can wake one: says so, and sees to it that
 * the run goes on.
 *
 * First the main task's wait ends, because it can tell its caller; where it waits for the members of its
 * group, those are cancelled. Only if that sets nobody going (all wait inside shields, or the main task has
 * returned), every wait ends that may be cut short; and only if there is none, those end that otherwise may
 * not be. A wait for a group's members never ends so: they borrow from its owner. Members are younger than
 * the owner's group, so that not all that wait can wait for members: one of these steps sets somebody going.
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "task/task.h"

enum {
        TELL_MOST = 64, /* tasks */
        PLACE_BYTES = 256,
};

/* ---- telling ---- */

static void print_place(char *text, const struct task *task)
{
        const struct ouro_site *site = task->site;

        text[0] = '\0';
        if (site->file)
                snprintf(text, PLACE_BYTES, " (created in %s, %s:%u)", site->function, site->file,
                         site->line);
}

static void print_target(char *text, const struct wait_target *target)
{
        int len = 0;

        text[0] = '\0';
        if (target->object)
                len = snprintf(text, PLACE_BYTES, " %p", target->object);
        if (target->holder)
                snprintf(text + len, PLACE_BYTES - (size_t)len, target->object ? ", held by task %s" : " %s",
                         task_name(task_of((struct coro *)target->holder)));
}

static void tell(struct ouro_loop *loop, struct task *task)
{
        struct wait_target target;
        char place[PLACE_BYTES], what[PLACE_BYTES];

        if (!task->coro.wait || loop->deadlock_told++ >= TELL_MOST)
                return;
        coro_target(&task->coro, &target);
        print_place(place, task);
        print_target(what, &target);
        log_line(OURO_LOG_ERROR, "  task %s%s has waited %lld ms for: %s%s", task_name(task), place,
                 (long long)(loop->sched.look_ns - task->coro.waiting_since_ns) / 1000000, target.name, what);
}

static void tell_all(struct ouro_loop *loop)
{
        log_line(OURO_LOG_ERROR, "deadlock: every task waits, and nothing is under way that could wake one");
        loop->deadlock_told = 0;
        task_each(loop, tell);
        if (loop->deadlock_told > TELL_MOST)
                log_line(OURO_LOG_ERROR, "  and %zu more", loop->deadlock_told - TELL_MOST);
}

/* ---- ending waits ---- */

static void end_wait(struct ouro_loop *loop, struct task *task)
{
        const struct wait_kind *wait = task->coro.wait;

        if (wait && wait->cut && !task->job && !group_joined_by(&task->coro))
                wait->cut(&loop->sched, &task->coro, -EDEADLK);
}

static void give_up_wait(struct ouro_loop *loop, struct task *task)
{
        const struct wait_kind *wait = task->coro.wait;

        if (wait && wait->give_up && !task->job)
                wait->give_up(&loop->sched, &task->coro, -EDEADLK);
}

/* True: main's caller has been told. */
static bool end_wait_of_main(struct ouro_loop *loop)
{
        struct ouro_group *group = loop->main ? group_joined_by(&loop->main->coro) : NULL;

        if (group) {
                if (group->error == 0)
                        group->error = -EDEADLK;
                group_cancel(loop, group, &(struct cause){.reason = OURO_CANCEL_DEADLOCK});
        } else if (loop->main) {
                end_wait(loop, loop->main);
        }
        return !group && sched_busy(&loop->sched);
}

/* Has this one been told, and what was done about it has led nowhere? */
static bool is_told(struct ouro_loop *loop)
{
        return loop->deadlock_ended == loop->ended + 1;
}

/* May anything still wake a task? */
static bool is_hopeful(const struct ouro_loop *loop)
{
        return loop->reachable || loop->ring.in_flight > 0 || loop->jobs_out > 0 || loop->root.live == 0 ||
               !wheel_empty(&loop->wheel);
}

bool deadlock_resolve(struct ouro_loop *loop)
{
        if (is_hopeful(loop))
                return false;
        if (!is_told(loop))
                tell_all(loop);
        loop->deadlock_ended = end_wait_of_main(loop) ? 0 : loop->ended + 1;
        if (!sched_busy(&loop->sched))
                task_each(loop, end_wait);
        if (!sched_busy(&loop->sched))
                task_each(loop, give_up_wait);
        if (!sched_busy(&loop->sched))
                die("every task waits for another, and none of these waits can be ended");
        return true;
}
