/* executor.c - submitting a job as a task, whoever carries it out.
 *
 * The life of a job, by its state:
 *
 *      QUEUED -> RUNNING -> DONE: finish; a message to the loop, which frees it.
 *      RUNNING -> ASKED -> RUNNING: the executor is being told of a cancellation. Until that is over the job
 *                cannot be done, so that the executor cannot be freed under it.
 *      QUEUED -> CANCELLED: the loop sends itself the end of the task; the executor still has the job in its
 *                queue. Whoever of the two lets go last (state LEFT seen) frees it.
 *
 * Submitters that find the executor full wait in a queue of their own, oldest first. Only the oldest tries
 * again when there is room, and wakes the next when it has succeeded.
 *
 * Closing waits for the last job and for the last of those submitters: none finds the executor gone. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/check.h"
#include "ouro/executor.h"
#include "task/task.h"

enum { SPARE_JOBS_MOST = 2048 };

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_ASKED, JOB_DONE, JOB_CANCELLED, JOB_LEFT };

/* A task that waits for room, or for the executor to have closed. */
struct room_waiter {
        struct ouro_list link;       /* in state->waiters, while queued */
        struct ouro_message message; /* that wakes it */
        struct coro *coro;
        struct ouro_loop *loop;
        struct executor_state *state;
        bool sent; /* the message is on its way: nothing else may wake it */
};

struct executor_state {
        pthread_mutex_t lock;
        pthread_cond_t closed_changed;
        struct ouro_list waiters; /* submitters, oldest first */
        atomic_uint waiting;      /* how many */
        bool closing;
        bool jobs_ended;            /* ouro_executor_closed() has been called */
        struct room_waiter *closer; /* a task in ouro_executor_close(), or NULL */
};

static __thread struct ouro_job *current_job;
static __thread struct ouro_job *asked_job; /* that this thread tells an executor to end */

static void wake_room_waiter(struct ouro_loop *loop, struct ouro_message *message)
{
        coro_wake(&loop->sched, container_of(message, struct room_waiter, message)->coro, 0);
}

/* With the lock held. The waiter's loop lives: a task of it waits. */
static void send_room(struct room_waiter *waiter)
{
        if (waiter->sent)
                return;
        waiter->sent = true;
        waiter->message.deliver = wake_room_waiter;
        check(loop_send(waiter->loop, &waiter->message, &waiter->message));
}

static void send_room_to_first(struct executor_state *state)
{
        if (!list_empty(&state->waiters))
                send_room(container_of(state->waiters.next, struct room_waiter, link));
}

/* Nobody but the closer has to do with it any more. With the lock held, as below. */
static bool is_closed(const struct executor_state *state)
{
        return state->jobs_ended && list_empty(&state->waiters);
}

static void tell_if_closed(struct executor_state *state)
{
        if (!is_closed(state))
                return;
        if (state->closer)
                send_room(state->closer);
        else
                pthread_cond_broadcast(&state->closed_changed);
}

static void leave_queue(struct executor_state *state, struct room_waiter *waiter)
{
        list_del(&waiter->link);
        atomic_fetch_sub(&state->waiting, 1);
        tell_if_closed(state);
}

/* ---- for authors of executors ---- */

int ouro_executor_init(ouro_executor *executor, const struct ouro_executor_ops *ops)
{
        struct executor_state *state;

        if (!executor || !ops || ops->size != sizeof *ops || !ops->name || !ops->submit || !ops->close ||
            !ops->destroy)
                return -EINVAL;
        state = mem_calloc(sizeof *state);
        if (!state)
                return -ENOMEM;
        pthread_mutex_init(&state->lock, NULL);
        pthread_cond_init(&state->closed_changed, NULL);
        list_init(&state->waiters);
        executor->ops = ops;
        executor->state = state;
        return 0;
}

void ouro_executor_fini(ouro_executor *executor)
{
        struct executor_state *state = executor->state;

        pthread_mutex_destroy(&state->lock);
        pthread_cond_destroy(&state->closed_changed);
        mem_free(state, sizeof *state);
        executor->state = NULL;
}

void ouro_executor_has_room(ouro_executor *executor)
{
        struct executor_state *state = executor->state;

        pthread_mutex_lock(&state->lock);
        send_room_to_first(state);
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

/* The two sides of a job that was cancelled in the queue: the second to let go frees it. */
static void let_go(struct ouro_job *job)
{
        if (__atomic_exchange_n(&job->state, JOB_LEFT, __ATOMIC_ACQ_REL) == JOB_LEFT)
                mem_free(job, sizeof *job);
}

bool ouro_job_begin(struct ouro_job *job)
{
        int queued = JOB_QUEUED;

        if (likely(__atomic_compare_exchange_n(&job->state, &queued, JOB_RUNNING, false, __ATOMIC_ACQ_REL,
                                               __ATOMIC_ACQUIRE)))
                return true;
        let_go(job);
        return false;
}

intptr_t ouro_job_run(struct ouro_job *job)
{
        struct ouro_job *outer = current_job;
        struct sched *sched = sched_current;
        intptr_t result;

        current_job = job;
        sched_current = NULL; /* a job is outside any loop, also where it runs on the thread of one */
        result = job->fn(job, job->in, job->out);
        sched_current = sched;
        current_job = outer;
        return result;
}

static void end_task(struct ouro_loop *loop, struct ouro_job *job, intptr_t result)
{
        struct task *task = job->task;

        loop->jobs_out--;
        task_ended(&loop->sched, &task->coro, result);
}

/* Jobs come and go by the thousand, on one thread: their memory stays with the loop. */
static struct ouro_job *take_spare(struct ouro_loop *loop)
{
        struct ouro_job *job = loop->spare_jobs;

        if (!job)
                return mem_alloc(sizeof *job);
        loop->spare_jobs = job->next;
        loop->spare_jobs_len--;
        return job;
}

static void give_spare(struct ouro_loop *loop, struct ouro_job *job)
{
        if (loop->spare_jobs_len >= SPARE_JOBS_MOST) {
                mem_free(job, sizeof *job);
                return;
        }
        job->next = loop->spare_jobs;
        loop->spare_jobs = job;
        loop->spare_jobs_len++;
}

static void deliver_done(struct ouro_loop *loop, struct ouro_message *message)
{
        struct ouro_job *job = container_of(message, struct ouro_job, message);

        end_task(loop, job, job->result);
        give_spare(loop, job);
}

static void deliver_cancelled(struct ouro_loop *loop, struct ouro_message *message)
{
        struct ouro_job *job = container_of(message, struct ouro_job, message);

        end_task(loop, job, -ECANCELED);
        let_go(job);
}

/* Running no more: from here on nobody needs its executor. */
static void job_done(struct ouro_job *job)
{
        int state = JOB_RUNNING;

        while (unlikely(!__atomic_compare_exchange_n(&job->state, &state, JOB_DONE, false, __ATOMIC_ACQ_REL,
                                                     __ATOMIC_ACQUIRE))) {
                check(state == JOB_ASKED); /* else it has not begun, or is finished twice */
                if (job == asked_job) {    /* its executor ends it as it is asked to */
                        __atomic_store_n(&job->state, JOB_DONE, __ATOMIC_RELEASE);
                        return;
                }
                sched_yield();
                state = JOB_RUNNING;
        }
}

void ouro_job_finish(struct ouro_job *job, intptr_t result)
{
        job->result = result;
        job_done(job);
        check(loop_send(job->loop, &job->message, &job->message)); /* the run waits for its jobs */
}

void ouro_job_finish_many(struct ouro_job *newest, struct ouro_job *oldest)
{
        for (struct ouro_job *job = newest; job != oldest; job = job->next) {
                job_done(job);
                job->message.next = &job->next->message;
        }
        job_done(oldest);
        check(loop_send(newest->loop, &newest->message, &oldest->message));
}

bool ouro_job_cancelled(const struct ouro_job *job)
{
        return job && __atomic_load_n(&job->cancelled, __ATOMIC_ACQUIRE);
}

/* ---- submitting ---- */

static void ask_to_end(struct ouro_job *job)
{
        int running = JOB_RUNNING, asked = JOB_ASKED;

        if (__atomic_exchange_n(&job->cancelled, 1, __ATOMIC_ACQ_REL) != 0 ||
            !__atomic_compare_exchange_n(&job->state, &running, JOB_ASKED, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
                return; /* asked before, or done */
        if (job->executor->ops->cancel) {
                asked_job = job;
                job->executor->ops->cancel(job->executor, job);
                asked_job = NULL;
        }
        __atomic_compare_exchange_n(&job->state, &asked, JOB_RUNNING, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE);
}

static void cut_job(struct sched *sched, struct coro *coro, int interrupt)
{
        struct ouro_job *job = coro->waiter.what;
        int queued = JOB_QUEUED;

        (void)interrupt;
        if (__atomic_compare_exchange_n(&job->state, &queued, JOB_CANCELLED, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
                job->message.deliver = deliver_cancelled;
                check(loop_send(loop_of(sched), &job->message, &job->message));
                return;
        }
        ask_to_end(job);
}

static const struct wait_kind is_job = {"job", cut_job};

static void cut_room_wait(struct sched *sched, struct coro *coro, int interrupt)
{
        struct room_waiter *waiter = coro->waiter.what;
        struct executor_state *state = waiter->state;
        bool sent;

        pthread_mutex_lock(&state->lock);
        sent = waiter->sent;
        if (!sent)
                leave_queue(state, waiter);
        pthread_mutex_unlock(&state->lock);
        if (!sent) /* else the message wakes it, and it sees the interrupt itself */
                coro_wake(sched, coro, interrupt);
}

static const struct wait_kind waits_for_room = {"room in an executor", cut_room_wait};
static const struct wait_kind waits_for_close = {"an executor to close", NULL};

/* The queue is full, or others wait already: waits for its turn. 0, or why the job was not taken. */
static int submit_in_turn(struct ouro_loop *loop, ouro_executor *executor, struct ouro_job *job)
{
        struct executor_state *state = executor->state;
        struct room_waiter waiter = {.coro = loop->sched.current, .loop = loop, .state = state};
        struct coro *self = loop->sched.current;
        int result = -EAGAIN;

        pthread_mutex_lock(&state->lock);
        list_push(&state->waiters, &waiter.link);
        atomic_fetch_add(&state->waiting, 1);
        while (state->waiters.next != &waiter.link ||
               (result = executor->ops->submit(executor, job)) == -EAGAIN) {
                waiter.sent = false;
                pthread_mutex_unlock(&state->lock);
                self->waiter.what = &waiter;
                if (coro_wait(&loop->sched, &waits_for_room) < 0)
                        return self->interrupt; /* cut_room_wait() has taken us out */
                pthread_mutex_lock(&state->lock);
                if (self->interrupt) {
                        result = self->interrupt;
                        break;
                }
        }
        leave_queue(state, &waiter);
        send_room_to_first(state); /* there may be room for the next, too */
        pthread_mutex_unlock(&state->lock);
        return result;
}

/* A job whose loop runs inside another job of the same executor. If that were to wait for a worker, it might
 * wait for itself: the loop runs it, on the stack of its thread. */
struct job_within {
        struct ouro_message message;
        struct ouro_job *job;
};

static void run_within(struct ouro_loop *loop, struct ouro_message *message)
{
        struct job_within *within = container_of(message, struct job_within, message);
        struct ouro_job *job = within->job;

        (void)loop;
        mem_free(within, sizeof *within);
        if (ouro_job_begin(job))
                ouro_job_finish(job, ouro_job_run(job));
}

static int submit_within(struct ouro_loop *loop, struct executor_state *state, struct ouro_job *job)
{
        struct job_within *within;
        bool closing;

        pthread_mutex_lock(&state->lock);
        closing = state->closing;
        pthread_mutex_unlock(&state->lock);
        if (closing)
                return -ESHUTDOWN;
        within = mem_alloc(sizeof *within);
        if (!within)
                return -ENOMEM;
        *within = (struct job_within){.message = {.deliver = run_within}, .job = job};
        check(loop_send(loop, &within->message, &within->message));
        return 0;
}

static int submit(struct ouro_loop *loop, ouro_executor *executor, struct ouro_job *job)
{
        struct executor_state *state = executor->state;
        int result = -EAGAIN;

        if (unlikely(current_job && current_job->executor == executor))
                return submit_within(loop, state, job);
        if (likely(atomic_load_explicit(&state->waiting, memory_order_relaxed) == 0))
                result = executor->ops->submit(executor, job);
        return likely(result != -EAGAIN) ? result : submit_in_turn(loop, executor, job);
}

static struct ouro_job *new_job(struct ouro_loop *loop, ouro_executor *executor, ouro_job_fn *fn,
                                struct ouro_in in, struct ouro_out out)
{
        struct ouro_job *job = take_spare(loop);

        if (job)
                *job = (struct ouro_job){
                        .fn = fn,
                        .in = in,
                        .out = out,
                        .executor = executor,
                        .loop = loop,
                        .message = {.deliver = deliver_done},
                        .state = JOB_QUEUED,
                };
        return job;
}

/* The job was not taken: its task ends at once, with the reason as its result, unless it was cancelled
 * meanwhile and has ended with that. */
static void refuse_job(struct ouro_loop *loop, struct ouro_job *job, int error)
{
        int queued = JOB_QUEUED;

        if (!__atomic_compare_exchange_n(&job->state, &queued, JOB_CANCELLED, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
                let_go(job);
                return;
        }
        end_task(loop, job, error);
        mem_free(job, sizeof *job);
}

/* What a submission says before it does anything. */
static int refuse(const struct ouro_loop *loop, const ouro_executor *executor, ouro_job_fn *fn,
                  struct ouro_in in, struct ouro_out out)
{
        if (unlikely(!loop))
                return -EPERM;
        if (unlikely(!executor || !fn || (!in.base && in.len) || (!out.base && out.len)))
                return -EINVAL;
        return loop->sched.current->interrupt;
}

ouro_task ouro_submit_named(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                            const char *name)
{
        struct ouro_loop *loop = loop_here();
        int error = refuse(loop, executor, fn, in, out);
        struct ouro_job *job;
        struct task *task;
        ouro_task handle;

        if (unlikely(error < 0))
                return task_failed(error);
        job = new_job(loop, executor, fn, in, out);
        task = job ? task_create_job(loop, name, &is_job, job) : NULL;
        if (unlikely(!task)) {
                mem_free(job, sizeof *job);
                return task_failed(-ENOMEM);
        }
        job->task = task;
        handle = task_handle(task);
        loop->jobs_out++;
        if (unlikely(task->reason != OURO_NOT_CANCELLED)) /* born into a group that is cancelled */
                error = -ECANCELED;
        else
                error = submit(loop, executor, job);
        if (unlikely(error < 0))
                refuse_job(loop, job, error);
        return handle;
}

/* ---- closing ---- */

static void wait_until_closed(struct executor_state *state)
{
        pthread_mutex_lock(&state->lock);
        while (!is_closed(state))
                pthread_cond_wait(&state->closed_changed, &state->lock);
        pthread_mutex_unlock(&state->lock);
}

/* As a task: the loop goes on meanwhile. */
static void await_closed(struct ouro_loop *loop, struct executor_state *state)
{
        struct room_waiter closer = {.coro = loop->sched.current, .loop = loop, .state = state};
        bool closed;

        pthread_mutex_lock(&state->lock);
        closed = is_closed(state);
        if (!closed)
                state->closer = &closer;
        pthread_mutex_unlock(&state->lock);
        if (!closed) {
                loop->jobs_out++; /* somebody out there will wake this loop: its clock must not jump */
                coro_wait(&loop->sched, &waits_for_close);
                loop->jobs_out--;
        }
        pthread_mutex_lock(&state->lock); /* whoever told us is out of it */
        pthread_mutex_unlock(&state->lock);
}

int ouro_executor_close(ouro_executor *executor)
{
        struct ouro_loop *loop = loop_here();
        struct executor_state *state;
        bool was_closing;

        if (!executor)
                return -EINVAL;
        if (current_job && current_job->executor == executor)
                return -EDEADLK;
        state = executor->state;
        pthread_mutex_lock(&state->lock);
        was_closing = state->closing;
        state->closing = true;
        pthread_mutex_unlock(&state->lock);
        if (was_closing)
                return -EALREADY;
        executor->ops->close(executor);
        ouro_executor_has_room(executor); /* who waits for room is told -ESHUTDOWN now */
        if (loop)
                await_closed(loop, state);
        else
                wait_until_closed(state);
        executor->ops->destroy(executor);
        return 0;
}
