/* executor.c - the library's side of an executor: who waits for it. Submitters wait for room, the closer for
 * the end. A task is woken by a message to its loop, a thread by the condition. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "executors/job.h"

static void wake_room_waiter(struct ouro_loop *loop, struct ouro_message *message)
{
        coro_wake(&loop->sched, container_of(message, struct room_waiter, message)->coro, 0);
}

/* The waiter's loop lives: a task of it waits. */
void room_send(struct room_waiter *waiter)
{
        if (waiter->sent)
                return;
        waiter->sent = true;
        if (!waiter->loop) {
                pthread_cond_broadcast(&waiter->state->changed);
                return;
        }
        waiter->message.deliver = wake_room_waiter;
        check(loop_send(waiter->loop, &waiter->message, &waiter->message));
}

void room_send_to_first(struct executor_state *state)
{
        if (!list_empty(&state->waiters))
                room_send(container_of(state->waiters.next, struct room_waiter, link));
}

/* Nobody but the closer has to do with it any more. */
bool executor_is_closed(const struct executor_state *state)
{
        return state->jobs_ended && list_empty(&state->waiters);
}

static void tell_if_closed(struct executor_state *state)
{
        if (!executor_is_closed(state))
                return;
        if (state->closer)
                room_send(state->closer);
        pthread_cond_broadcast(&state->changed);
}

void room_leave_queue(struct executor_state *state, struct room_waiter *waiter)
{
        list_del(&waiter->link);
        atomic_fetch_sub(&state->waiting, 1);
        tell_if_closed(state);
}

bool executor_is_closing(ouro_executor *executor)
{
        struct executor_state *state = executor->state;
        bool closing;

        pthread_mutex_lock(&state->lock);
        closing = state->closing;
        pthread_mutex_unlock(&state->lock);
        return closing;
}

bool executor_is_inherited(const ouro_executor *executor)
{
        const struct executor_state *state = executor->state;

        return state->owner != getpid();
}

/* ---- for authors of executors ---- */

static void init_state(struct executor_state *state)
{
        pthread_condattr_t attr;

        pthread_mutex_init(&state->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&state->changed, &attr);
        pthread_condattr_destroy(&attr);
        list_init(&state->waiters);
        state->owner = getpid();
}

int ouro_executor_init(ouro_executor *executor, const struct ouro_executor_ops *ops)
{
        struct executor_state *state;

        if (!executor || !ops || ops->size != sizeof *ops || !ops->name || !ops->submit || !ops->close ||
            !ops->destroy)
                return -EINVAL;
        state = mem_calloc(sizeof *state);
        if (!state)
                return -ENOMEM;
        init_state(state);
        executor->ops = ops;
        executor->state = state;
        return 0;
}

void ouro_executor_fini(ouro_executor *executor)
{
        struct executor_state *state = executor->state;

        pthread_mutex_destroy(&state->lock);
        pthread_cond_destroy(&state->changed);
        mem_free(state, sizeof *state);
        executor->state = NULL;
}

void ouro_executor_has_room(ouro_executor *executor)
{
        struct executor_state *state = executor->state;

        pthread_mutex_lock(&state->lock);
        room_send_to_first(state);
        pthread_mutex_unlock(&state->lock);
}

void ouro_executor_closed(ouro_executor *executor)
{
        struct executor_state *state = executor->state;

        pthread_mutex_lock(&state->lock);
        state->jobs_ended = true;
        tell_if_closed(state);
        pthread_mutex_unlock(&state->lock);
}
