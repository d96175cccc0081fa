/* remote.c - tasks whose body runs on another thread's loop, and calls that block for such a body's result.
 *
 *      home                                    there
 *      task, without a stack    -- begin -->   body, a root task
 *           |                   -- cancel ->     |
 *      ends with the result     <- answer --   returns
 *
 * A remote is home's, and freed there after the answer. Its cancel may still be on its way when the body
 * returns; who sends it and who answers agree by state: one that was sent is waited for before the answer,
 * and until then keeps the run there from ending. */
#include <errno.h>

#include "base/alloc.h"
#include "base/futex.h"
#include "task/task.h"

enum remote_state {
        REMOTE_OUT,
        REMOTE_CANCELLED, /* a cancel is on its way, or has come */
        REMOTE_ENDED,     /* no cancel may be sent any more */
};

struct remote {
        struct ouro_message begin, cancel, answer;
        struct ouro_loop *home; /* NULL: a thread sleeps on answered */
        struct ouro_loop *there;
        struct task *task; /* home's */
        ouro_fn *fn;
        void *arg;
        const struct ouro_site *site;
        intptr_t result;
        atomic_int state;
        atomic_uint answered;
        struct cause cause; /* of the cancel */
        struct task *body;  /* there, while it lives; this and the following are that thread's */
        bool cancel_came;
        bool ended;
};

static const struct ouro_site nameless = {.name = "remote task"};

/* ---- there ---- */

/* The last that this thread does with it. */
static void answer(struct remote *remote)
{
        if (remote->home) {
                check(loop_send(remote->home, &remote->answer, &remote->answer)); /* the run awaits it */
                return;
        }
        atomic_store(&remote->answered, 1);
        futex_wake(&remote->answered);
}

static void end_body(struct remote *remote, intptr_t result)
{
        int out = REMOTE_OUT;

        remote->result = result;
        remote->body = NULL;
        if (atomic_compare_exchange_strong(&remote->state, &out, REMOTE_ENDED) || remote->cancel_came) {
                answer(remote);
                return;
        }
        remote->ended = true;
        remote->there->guests++;
}

static intptr_t run_body(void *arg)
{
        struct remote *remote = arg;

        end_body(remote, remote->fn(remote->arg));
        return 0;
}

static void never_starts(void *arg)
{
        end_body(arg, -ENOMEM);
}

static void deliver_begin(struct ouro_loop *loop, struct ouro_message *message)
{
        struct remote *remote = container_of(message, struct remote, begin);
        const struct ouro_task_options options = {.size = sizeof options, .drop = never_starts};
        struct task *body = task_create(loop, &loop->root, run_body, remote, &options, remote->site);

        if (!body) {
                end_body(remote, -ENOMEM);
                return;
        }
        body->detached = 1;
        remote->body = body;
}

static void deliver_cancel(struct ouro_loop *loop, struct ouro_message *message)
{
        struct remote *remote = container_of(message, struct remote, cancel);

        remote->cancel_came = true;
        if (remote->body) {
                task_cancel(loop, remote->body, &remote->cause);
        } else if (remote->ended) {
                loop->guests--;
                answer(remote);
        }
}

/* ---- at home ---- */

static void deliver_answer(struct ouro_loop *loop, struct ouro_message *message)
{
        struct remote *remote = container_of(message, struct remote, answer);
        struct task *task = remote->task;
        intptr_t result = remote->result;

        mem_free(remote, sizeof *remote);
        loop->jobs_out--;
        task_ended(&loop->sched, &task->coro, result);
}

static void cut_remote(struct sched *sched, struct coro *coro, int interrupt)
{
        struct remote *remote = coro->waiter.what;
        int out = REMOTE_OUT;

        (void)sched, (void)interrupt;
        remote->cause = cause_of_waits(task_of(coro), true);
        if (atomic_compare_exchange_strong(&remote->state, &out, REMOTE_CANCELLED))
                check(loop_send(remote->there, &remote->cancel,
                                &remote->cancel)); /* the body holds its run */
}

static const struct wait_kind waits_elsewhere = {.name = "its body on another loop", .cut = cut_remote};

static int create(struct ouro_loop *home, struct ouro_loop *there, ouro_fn *fn, void *arg,
                  const struct ouro_site *site, ouro_task *ret_handle)
{
        struct remote *remote = mem_calloc(sizeof *remote);
        struct task *task = remote ? task_create_job(home, site, &waits_elsewhere, remote) : NULL;

        if (!task) {
                mem_free(remote, sizeof *remote);
                return -ENOMEM;
        }
        *remote = (struct remote){
                .begin.deliver = deliver_begin,
                .cancel.deliver = deliver_cancel,
                .answer.deliver = deliver_answer,
                .home = home,
                .there = there,
                .task = task,
                .fn = fn,
                .arg = arg,
                .site = site,
        };
        *ret_handle = task_handle(task);
        if (!loop_send(there, &remote->begin, &remote->begin)) {
                task_uncreate_job(home, task);
                mem_free(remote, sizeof *remote);
                return -ESHUTDOWN;
        }
        home->jobs_out++;
        if (task->reason != OURO_NOT_CANCELLED) /* born into a group that is cancelled */
                cut_remote(&home->sched, &task->coro, -ECANCELED);
        return 0;
}

ouro_task ouro_create_task_on_at(ouro_loop *loop, ouro_fn *fn, void *arg, const struct ouro_site *site)
{
        struct ouro_loop *home = loop_here();
        ouro_task handle;
        int error;

        if (unlikely(!home))
                return task_failed(-EPERM);
        if (unlikely(!loop || !fn))
                return task_failed(-EINVAL);
        if (loop == home)
                return ouro_create_task_at(fn, arg, site);
        if (unlikely(loop->forks != loop_forks))
                return task_failed(-EPERM);
        error = create(home, loop, fn, arg, site ? site : &nameless, &handle);
        return error < 0 ? task_failed(error) : handle;
}

/* ---- waiting for the result ---- */

/* In a group of its own: an error is returned to the caller, it is no failure of the caller's group. */
static intptr_t call_as_task(struct ouro_loop *loop, ouro_fn *fn, void *arg)
{
        struct ouro_group group;
        intptr_t result;

        ouro_group_open(&group, OURO_GROUP_KEEP, NULL);
        result = ouro_wait_for(ouro_create_task_on_at(loop, fn, arg, &nameless), OURO_FOREVER);
        ouro_group_close(&group);
        return result;
}

/* The remote lies here: who answers looks at nothing of it after answered is set, and wakes by its address
 * alone. */
static intptr_t call_as_thread(struct ouro_loop *loop, ouro_fn *fn, void *arg)
{
        struct remote remote = {
                .begin.deliver = deliver_begin, .there = loop, .fn = fn, .arg = arg, .site = &nameless};

        if (loop->forks != loop_forks)
                return -EPERM;
        if (loop_is_mine(loop))
                return -EDEADLK;
        if (!loop_send(loop, &remote.begin, &remote.begin))
                return -ESHUTDOWN;
        while (!atomic_load(&remote.answered))
                futex_wait(&remote.answered, 0, -1);
        return remote.result;
}

intptr_t ouro_run_on(ouro_loop *loop, ouro_fn *fn, void *arg)
{
        struct ouro_loop *here = loop_here();

        if (!loop || !fn)
                return -EINVAL;
        if (!here)
                return call_as_thread(loop, fn, arg);
        return here->sched.current->interrupt ? here->sched.current->interrupt : call_as_task(loop, fn, arg);
}
