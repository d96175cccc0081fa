/* close.c - closing an executor: no job comes any more, those that are there end, then it is freed.
 *
 * It waits for the last job and for the last of those who wait for room: none finds the executor gone. One at
 * a time waits; who gives up waiting leaves it closing, for another to wait on. */
#include <errno.h>
#include <time.h>

#include "executors/job.h"

static void close_target(const struct coro *coro, struct wait_target *target)
{
        const struct room_waiter *closer = coro->waiter.what;

        target->object = closer->executor;
}

static const struct wait_kind waits_for_close = {.name = "an executor to close", .target = close_target};

static struct timespec monotonic_in(int64_t ns)
{
        int64_t end_ns;

        if (__builtin_add_overflow(loop_real_ns(), ns, &end_ns))
                end_ns = INT64_MAX;
        return (struct timespec){end_ns / 1000000000, end_ns % 1000000000};
}

/* As a thread. With the lock held. */
static void wait_as_thread(struct executor_state *state, int64_t ns)
{
        const struct timespec end = monotonic_in(ns);

        while (!executor_is_closed(state))
                if (ns == OURO_FOREVER)
                        pthread_cond_wait(&state->changed, &state->lock);
                else if (pthread_cond_timedwait(&state->changed, &state->lock, &end) != 0)
                        return;
}

/* The closer has waited long enough, unless its message is on its way. */
static void give_up(struct ouro_loop *loop, struct loop_timer *timer)
{
        struct room_waiter *closer = container_of(timer, struct room_waiter, timer);
        bool sent;

        pthread_mutex_lock(&closer->state->lock);
        sent = closer->sent;
        closer->state->closer = sent ? closer->state->closer : NULL;
        pthread_mutex_unlock(&closer->state->lock);
        if (!sent)
                coro_wake(&loop->sched, closer->coro, 0);
}

/* As a task: the loop goes on meanwhile. With the lock held, which is not held meanwhile. */
static void wait_as_task(struct ouro_loop *loop, const ouro_executor *executor, int64_t ns)
{
        struct executor_state *state = executor->state;
        struct room_waiter closer = {
                .coro = loop->sched.current, .loop = loop, .state = state, .executor = executor};

        if (executor_is_closed(state))
                return;
        state->closer = &closer;
        pthread_mutex_unlock(&state->lock);
        closer.timer.fire = give_up;
        if (ns != OURO_FOREVER)
                loop_timer_arm(loop, &closer.timer, ns);
        closer.coro->waiter.what = &closer;
        loop->jobs_out++; /* somebody out there will wake this loop: its clock must not jump */
        coro_wait(&loop->sched, &waits_for_close);
        loop->jobs_out--;
        loop_timer_disarm(loop, &closer.timer);
        pthread_mutex_lock(&state->lock); /* whoever told us is out of it */
        state->closer = NULL;
}

/* Becomes the one who waits. Tells whether the executor must still be told to close. */
static int become_closer(struct executor_state *state, bool *ret_first)
{
        int error = 0;

        pthread_mutex_lock(&state->lock);
        if (state->close_awaited)
                error = -EALREADY;
        *ret_first = !state->closing;
        if (error == 0)
                state->closing = state->close_awaited = true;
        pthread_mutex_unlock(&state->lock);
        return error;
}

static bool wait_until_closed(const ouro_executor *executor, int64_t ns)
{
        struct executor_state *state = executor->state;
        struct ouro_loop *loop = loop_here();
        bool closed;

        pthread_mutex_lock(&state->lock);
        if (loop && ns != 0)
                wait_as_task(loop, executor, ns);
        else if (ns != 0)
                wait_as_thread(state, ns);
        closed = executor_is_closed(state);
        state->close_awaited = closed;
        pthread_mutex_unlock(&state->lock);
        return closed;
}

int ouro_executor_close_with(ouro_executor *executor, enum ouro_close how, int64_t deadline_ns)
{
        const struct ouro_executor_ops *ops;
        bool first;
        int error;

        if (!executor || (unsigned)how > OURO_CLOSE_KILL || deadline_ns < 0)
                return -EINVAL;
        if (executor_is_inherited(executor))
                return -EPERM;
        if (job_is_within(executor))
                return -EDEADLK;
        ops = executor->ops;
        error = become_closer(executor->state, &first);
        if (error < 0)
                return error;
        if (first)
                ops->close(executor);
        if (how != OURO_CLOSE_WAIT && ops->hurry)
                ops->hurry(executor, how);
        ouro_executor_has_room(executor); /* who waits for room is told -ESHUTDOWN now */
        if (!wait_until_closed(executor, deadline_ns))
                return -ETIME;
        ops->destroy(executor);
        return 0;
}

int ouro_executor_close(ouro_executor *executor)
{
        return ouro_executor_close_with(executor, OURO_CLOSE_WAIT, OURO_FOREVER);
}
