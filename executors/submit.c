/* submit.c - giving a job to an executor as a task, and waiting for room in it.
 *
 * Submitters that find the executor full wait in a queue of their own, oldest first. Only the oldest tries
 * again when there is room, and wakes the next when it has succeeded. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "executors/job.h"

/* ---- waiting for room ---- */

static void cut_room_wait(struct sched *sched, struct coro *coro, int interrupt)
{
        struct room_waiter *waiter = coro->waiter.what;
        struct executor_state *state = waiter->state;
        bool sent;

        pthread_mutex_lock(&state->lock);
        sent = waiter->sent;
        if (!sent)
                room_leave_queue(state, waiter);
        pthread_mutex_unlock(&state->lock);
        if (!sent) /* else the message wakes it, and it sees the interrupt itself */
                coro_wake(sched, coro, interrupt);
}

/* It counts as taken before it is, because it may end before submit has returned. */
static inline int offer(ouro_executor *executor, struct ouro_job *job)
{
        struct executor_state *state = executor->state;
        int error;

        executor_count(state, COUNT_SUBMITTED, 1);
        error = executor->ops->submit(executor, job);
        if (unlikely(error < 0))
                executor_count(state, COUNT_SUBMITTED, -1);
        return error;
}

int job_offer(ouro_executor *executor, struct ouro_job *job)
{
        return offer(executor, job);
}

static void room_target(const struct coro *coro, struct wait_target *target)
{
        const struct room_waiter *waiter = coro->waiter.what;

        target->object = waiter->executor;
}

static const struct wait_kind waits_for_room = {
        .name = "room in an executor", .cut = cut_room_wait, .target = room_target};

/* With the lock held, which is not held meanwhile. 0: it is the waiter's turn, or there may be room; else
 * it was cut short. *ret_out: and is not in the queue any more, nor is the lock held. */
static int wait_for_room(struct room_waiter *waiter, bool *ret_out)
{
        struct executor_state *state = waiter->state;
        struct coro *self = waiter->coro;

        waiter->sent = false;
        if (!waiter->loop) {
                while (!waiter->sent)
                        pthread_cond_wait(&state->changed, &state->lock);
                return 0;
        }
        pthread_mutex_unlock(&state->lock);
        self->waiter.what = waiter;
        *ret_out = coro_wait(&waiter->loop->sched, &waits_for_room) < 0;
        if (!*ret_out)
                pthread_mutex_lock(&state->lock);
        return self->interrupt;
}

/* The queue is full, or others wait already: waits for its turn. 0, or why the job was not taken. */
static int submit_in_turn(struct ouro_loop *loop, ouro_executor *executor, struct ouro_job *job)
{
        struct executor_state *state = executor->state;
        struct room_waiter waiter = {.coro = loop ? loop->sched.current : NULL,
                                     .loop = loop,
                                     .state = state,
                                     .executor = executor};
        int result = -EAGAIN, interrupt = 0;
        bool out = false;

        pthread_mutex_lock(&state->lock);
        list_push(&state->waiters, &waiter.link);
        atomic_fetch_add(&state->waiting, 1);
        while (interrupt == 0 &&
               (state->waiters.next != &waiter.link || (result = offer(executor, job)) == -EAGAIN))
                interrupt = wait_for_room(&waiter, &out);
        if (out)
                return interrupt;
        room_leave_queue(state, &waiter);
        room_send_to_first(state); /* there may be room for the next, too */
        pthread_mutex_unlock(&state->lock);
        return interrupt ? interrupt : result;
}

static inline __attribute__((always_inline)) int submit(struct ouro_loop *loop, ouro_executor *executor,
                                                        struct ouro_job *job, bool may_wait)
{
        struct executor_state *state = executor->state;
        int result = -EAGAIN;

        if (unlikely(job_frames != NULL) && loop && job_is_within(executor))
                return job_submit_within(loop, executor, job, may_wait);
        if (likely(atomic_load_explicit(&state->waiting, memory_order_relaxed) == 0))
                result = offer(executor, job);
        return likely(result != -EAGAIN || !may_wait) ? result : submit_in_turn(loop, executor, job);
}

int job_submit_as_thread(ouro_executor *executor, struct ouro_job *job)
{
        return submit(NULL, executor, job, true);
}

/* ---- what is asked for ---- */

static const struct ouro_site nameless = {.name = "job"};

int job_read_options(const ouro_executor *executor, const struct ouro_job_options *given,
                     struct ouro_job_options *ret_options)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        unsigned can = executor->ops->can;

        if (given && options_read(&options, sizeof options, given) < 0)
                return -EINVAL;
        if (options.priority < OURO_PRIORITY_LOW || options.priority > OURO_PRIORITY_HIGH ||
            options.deadline_ns < 0)
                return -EINVAL;
        if ((options.worker && !(can & OURO_CAN_CHOOSE_WORKER)) ||
            (options.abandonable && !(can & OURO_CAN_ABANDON)))
                return -ENOTSUP;
        if (!options.name)
                options.name = nameless.name;
        if (options.deadline_ns == OURO_FOREVER)
                options.deadline_ns = 0;
        if (options.ret_report)
                *options.ret_report = NULL; /* should it be refused yet */
        *ret_options = options;
        return 0;
}

int job_refuse(const ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out)
{
        return unlikely(!executor || !fn || (!in.base && in.len) || (!out.base && out.len)) ? -EINVAL : 0;
}

/* An abandonable job works on copies. 0 or -ENOMEM. */
static int copy_spans(struct ouro_job *job)
{
        struct job_more *more = job_more(job);
        size_t values_bytes = more->map.values ? more->map.items * sizeof *more->map.values : 0;
        size_t out_at = (job->in.len + 15) & ~(size_t)15,
               values_at = (out_at + job->out.len + 15) & ~(size_t)15;

        more->copies_bytes =
                values_at + values_bytes + 1; /* never nothing, which would look like no copies */
        more->copies = mem_alloc(more->copies_bytes);
        if (!more->copies)
                return -ENOMEM;
        more->out_base = job->out.base;
        more->values_base = more->map.values;
        if (job->in.len)
                job->in.base = memcpy(more->copies, job->in.base, job->in.len);
        if (job->out.len)
                job->out.base = memcpy(more->copies + out_at, job->out.base, job->out.len);
        if (values_bytes)
                more->map.values = memcpy(more->copies + values_at, more->map.values, values_bytes);
        return 0;
}

int job_use_options(struct ouro_job *job, const struct ouro_job_options *options, const struct job_map *map)
{
        job->options = &job_defaults;
        if (!job_extend(job, options, NULL))
                return -ENOMEM;
        if (map)
                job_more(job)->map = *map;
        return options->abandonable ? copy_spans(job) : 0;
}

/* ---- as a task ---- */

/* What a submission says before it does anything. */
static inline int refuse(const struct ouro_loop *loop, const ouro_executor *executor, ouro_job_fn *fn,
                         struct ouro_in in, struct ouro_out out)
{
        int error;

        if (unlikely(!loop))
                return -EPERM;
        error = job_refuse(executor, fn, in, out);
        return unlikely(error < 0) ? error : loop->sched.current->interrupt;
}

/* A job and its task; NULL: no memory. The task has the handle that others may see. */
static inline struct ouro_job *new_job(struct ouro_loop *loop, ouro_executor *executor, ouro_job_fn *fn,
                                       struct ouro_in in, struct ouro_out out, const struct ouro_site *site)
{
        struct ouro_job *job = job_new(loop);
        struct task *task = job ? task_create_job(loop, site, &job_wait_kind, job) : NULL;

        if (unlikely(!task)) {
                mem_free_lines(job, sizeof *job);
                return NULL;
        }
        *job = (struct ouro_job){
                .fn = fn,
                .in = in,
                .out = out,
                .executor = executor,
                .loop = loop,
                .task = task,
                .message = {.deliver = job_deliver_done},
                .state = JOB_QUEUED,
                .options = &job_defaults,
        };
        loop->jobs_out++;
        return job;
}

/* As if it had never been: nobody has seen it. */
static void undo_job(struct ouro_loop *loop, struct ouro_job *job)
{
        task_uncreate_job(loop, job->task);
        loop->jobs_out--;
        job_free(loop, job);
}

/* The job was not taken: its task ends at once, with the reason as its result, unless it was cancelled
 * meanwhile and has ended with that. */
static void refuse_job(struct ouro_loop *loop, struct ouro_job *job, int error)
{
        if (!job_cancel_queued(job)) {
                job_let_go(job, JOB_LEFT);
                return;
        }
        job_end_task(loop, job, error);
        job_free(loop, job);
}

/* Gives it away, and returns its handle. */
static inline ouro_task hand_over(struct ouro_loop *loop, ouro_executor *executor, struct ouro_job *job)
{
        struct task *task = job->task;
        ouro_task handle = task_handle(task);
        int error = -ECANCELED;

        if (likely(task->reason == OURO_NOT_CANCELLED)) /* else born into a group that is cancelled */
                error = submit(loop, executor, job, true);
        if (unlikely(error < 0))
                refuse_job(loop, job, error);
        else
                coro_spend(&loop->sched, 0);
        return handle;
}

ouro_task ouro_submit_at(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                         const struct ouro_site *site)
{
        struct ouro_loop *loop = loop_here();
        int error = refuse(loop, executor, fn, in, out);
        struct ouro_job *job;

        if (unlikely(error < 0))
                return task_failed(error);
        job = new_job(loop, executor, fn, in, out, likely(site) ? site : &nameless);
        return likely(job) ? hand_over(loop, executor, job) : task_failed(-ENOMEM);
}

/* A job with options that have been read. 0, or why there is none. */
static int new_job_with(struct ouro_loop *loop, ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in,
                        struct ouro_out out, const struct ouro_job_options *options,
                        const struct ouro_site *site, const struct job_map *map, struct ouro_job **ret_job)
{
        struct ouro_job *job = new_job(loop, executor, fn, in, out, site);
        int error;

        if (!job)
                return -ENOMEM;
        if (options->name != site->name && !task_rename(job->task, options->name))
                error = -ENOMEM;
        else
                error = job_use_options(job, options, map);
        if (error < 0) {
                undo_job(loop, job);
                return error;
        }
        job_arm_deadline(loop, job_more(job));
        *ret_job = job;
        return 0;
}

/* A job with options as a program gives them; its name is the site's by default. 0, or why there is none. */
static int new_job_as_wished(struct ouro_loop *loop, ouro_executor *executor, ouro_job_fn *fn,
                             struct ouro_in in, struct ouro_out out, const struct ouro_job_options *given,
                             const struct ouro_site *site, struct ouro_job **ret_job)
{
        struct ouro_job_options options;
        int error = job_read_options(executor, given, &options);

        if (error < 0)
                return error;
        if (!site)
                site = &nameless;
        if (options.name == nameless.name)
                options.name = site->name;
        return new_job_with(loop, executor, fn, in, out, &options, site, NULL, ret_job);
}

ouro_task ouro_submit_with_at(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in,
                              struct ouro_out out, const struct ouro_job_options *options,
                              const struct ouro_site *site)
{
        struct ouro_loop *loop = loop_here();
        struct ouro_job *job;
        int error = refuse(loop, executor, fn, in, out);

        if (error == 0)
                error = new_job_as_wished(loop, executor, fn, in, out, options, site, &job);
        return error < 0 ? task_failed(error) : hand_over(loop, executor, job);
}

int ouro_try_submit_at(ouro_executor *executor, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                       const struct ouro_job_options *options, const struct ouro_site *site,
                       ouro_task *ret_task)
{
        struct ouro_loop *loop = loop_here();
        struct ouro_job *job;
        struct task *task;
        ouro_task handle;
        int error = refuse(loop, executor, fn, in, out);

        if (error == 0)
                error = ret_task ? new_job_as_wished(loop, executor, fn, in, out, options, site, &job)
                                 : -EINVAL;
        if (error < 0)
                return error;
        task = job->task;
        handle = task_handle(task);
        error = task->reason != OURO_NOT_CANCELLED ? -ECANCELED : submit(loop, executor, job, false);
        if (error == 0) {
                *ret_task = handle;
        } else {
                loop_timer_disarm(loop, &job_more(job)->timer);
                undo_job(loop, job);
        }
        return error;
}

int job_submit_map(struct ouro_loop *loop, const struct map_job *from)
{
        const struct job_map *map = from->map.items ? &from->map : NULL;
        struct ouro_job *job;
        struct task *task;
        int error = loop->sched.current->interrupt;

        if (error == 0)
                error = new_job_with(loop, from->executor, from->fn, from->in, from->out, from->options,
                                     &nameless, map, &job);
        if (error < 0)
                return error;
        job_more(job)->ended = from->ended;
        job_more(job)->of_map = from->of_map;
        task = job->task;
        task->detached = 1; /* ended tells of it */
        task->told = 1;
        hand_over(loop, from->executor, job);
        return 0;
}
