/* job.c - the life of a job: begun, run, finished, cancelled, freed. Its states are drawn in job.h. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "executors/job.h"

enum { SPARE_JOBS_MOST = 2048 };

const struct ouro_job_options job_defaults = {.size = sizeof job_defaults};

__thread struct job_frame *job_frames __attribute__((tls_model("initial-exec")));
static __thread struct ouro_job *asked_job; /* that this thread asks its executor about */

/* ---- memory ---- */

struct ouro_job *job_new_block(void)
{
        return mem_alloc_lines(sizeof(struct ouro_job));
}

bool job_extend(struct ouro_job *job, const struct ouro_job_options *options, const char *name)
{
        struct job_more *more = mem_calloc(sizeof *more);

        if (!more)
                return false;
        more->options = options ? *options : job_defaults;
        if (!more->options.name)
                more->options.name = name;
        more->job = job;
        job->options = &more->options;
        return true;
}

static void free_more(struct job_more *more)
{
        ouro_report_free(more->report);
        mem_free(more->copies, more->copies_bytes);
        mem_free(more, sizeof *more);
}

void job_free(struct ouro_loop *loop, struct ouro_job *job)
{
        struct job_more *more = job_more(job);

        if (unlikely(more))
                free_more(more);
        if (unlikely(!loop || loop->spare_jobs_len >= SPARE_JOBS_MOST)) {
                mem_free_lines(job, sizeof *job);
                return;
        }
        job->next = loop->spare_jobs;
        loop->spare_jobs = job;
        loop->spare_jobs_len++;
}

int job_let_go(struct ouro_job *job, enum job_state left)
{
        int before = __atomic_exchange_n(&job->state, (int)left, __ATOMIC_ACQ_REL);

        if (before == JOB_LEFT || before == JOB_LEFT_CLAIMED)
                job_free(NULL, job);
        return before;
}

const char *job_name(const struct ouro_job *job)
{
        const struct job_more *more = job_more(job);

        if (more)
                return more->options.name;
        if (!job->loop)
                return ((const struct job_caller *)job->task)->name;
        return task_name(job->task);
}

/* ---- the end of its task ---- */

void job_deliver_report(struct job_more *more)
{
        if (!more->options.ret_report)
                return;
        *more->options.ret_report = more->report;
        more->report = NULL;
}

/* What an abandonable job wrote is its submitter's if it has ended in time. */
void job_deliver_copies(const struct job_more *more)
{
        const struct ouro_job *job = more->job;

        if (!more->copies)
                return;
        if (job->out.len)
                memcpy(more->out_base, job->out.base, job->out.len);
        if (more->map.values)
                memcpy(more->values_base, more->map.values, more->map.items * sizeof *more->map.values);
}

/* What options ask for as the task ends. Returns the result it ends with. */
static intptr_t settle(struct ouro_loop *loop, struct job_more *more, intptr_t result)
{
        struct task *task = more->job->task;

        loop_timer_disarm(loop, &more->timer);
        if (more->within)
                queue_remove(&loop->jobs_within, &more->link);
        more->within = false;
        if (result == -ECANCELED && atomic_load(&more->late) &&
            (task->reason == OURO_NOT_CANCELLED || task->reason == OURO_CANCEL_TIME)) {
                task->reason = OURO_CANCEL_TIME;
                result = -ETIME;
        }
        job_deliver_report(more);
        if (more->ended)
                more->ended(more, result);
        return result;
}

void job_end_task(struct ouro_loop *loop, struct ouro_job *job, intptr_t result)
{
        struct job_more *more = job_more(job);
        struct task *task = job->task;

        if (unlikely(more))
                result = settle(loop, more, result);
        loop->jobs_out--;
        task_ended(&loop->sched, &task->coro, result);
}

void job_deliver_done(struct ouro_loop *loop, struct ouro_message *message)
{
        struct ouro_job *job = container_of(message, struct ouro_job, message);
        struct job_more *more = job_more(job);

        if (unlikely(more))
                job_deliver_copies(more);
        job_end_task(loop, job, job->result);
        job_free(loop, job);
}

static void deliver_cancelled(struct ouro_loop *loop, struct ouro_message *message)
{
        struct ouro_job *job = container_of(message, struct ouro_job, message);
        struct job_more *more = job_more(job);
        bool alone = more && more->alone;

        job_end_task(loop, job, -ECANCELED);
        if (unlikely(alone)) { /* no executor has ever had it, but it counted as taken */
                executor_count(job->executor->state, COUNT_CANCELLED, 1);
                job_free(loop, job);
                return;
        }
        job_let_go(job, JOB_LEFT);
}

/* ---- for executors ---- */

bool ouro_job_begin(struct ouro_job *job)
{
        int state = JOB_QUEUED;

        if (unlikely(!__atomic_compare_exchange_n(&job->state, &state, JOB_RUNNING, false, __ATOMIC_ACQ_REL,
                                                  __ATOMIC_ACQUIRE))) {
                if (state == JOB_CANCELLED || state == JOB_LEFT)
                        executor_count(job->executor->state, COUNT_CANCELLED, 1);
                job_let_go(job, JOB_LEFT);
                return false;
        }
        if (unlikely(job->options != &job_defaults))
                atomic_store(&job_more(job)->began_ns, loop_real_ns());
        return true;
}

intptr_t ouro_job_run(struct ouro_job *job)
{
        struct job_frame frame = {.job = job, .outer = job_frames};
        const struct job_more *more = job_more(job);
        struct sched *sched = sched_current;
        intptr_t result;

        job_frames = &frame;
        sched_current = NULL; /* a job is outside any loop, also where it runs on the thread of one */
        if (likely(!more || more->map.items == 0))
                result = job->fn(job, job->in, job->out);
        else
                result = job_map_run(job, &more->map);
        sched_current = sched;
        job_frames = frame.outer;
        return result;
}

/* Running no more: from here on nobody but the caller needs its executor. False: its task has ended before,
 * and the job is freed. */
static bool job_done(struct ouro_job *job)
{
        int state = JOB_RUNNING;

        while (unlikely(!__atomic_compare_exchange_n(&job->state, &state, JOB_DONE, false, __ATOMIC_ACQ_REL,
                                                     __ATOMIC_ACQUIRE))) {
                if (state == JOB_ABANDONED || state == JOB_LEFT) {
                        job_let_go(job, JOB_LEFT);
                        return false;
                }
                check(state == JOB_ASKED); /* else it has not begun, or is finished twice */
                if (job == asked_job) {    /* its executor ends it as it is asked to */
                        __atomic_store_n(&job->state, JOB_DONE, __ATOMIC_RELEASE);
                        return true;
                }
                sched_yield();
                state = JOB_RUNNING;
        }
        return true;
}

static enum count_what count_as(const struct ouro_job *job, intptr_t result)
{
        if (likely(result >= 0))
                return COUNT_DONE;
        return result == -ECANCELED && job_token(job) ? COUNT_CANCELLED : COUNT_FAILED;
}

void job_count_end(struct ouro_job *job, intptr_t result)
{
        executor_count(job->executor->state, count_as(job, result), 1);
}

void ouro_job_finish(struct ouro_job *job, intptr_t result)
{
        struct executor_state *state = job->executor->state;
        struct ouro_loop *loop = job->loop;

        job->result = result;
        if (unlikely(!job_done(job))) {
                executor_count(state, COUNT_CANCELLED, 1);
                return;
        }
        executor_count(state, count_as(job, result), 1);
        if (unlikely(!loop))
                job_caller_done(job);
        else
                check(loop_send(loop, &job->message, &job->message)); /* the run waits for its jobs */
}

void ouro_job_finish_many(struct ouro_job *newest, struct ouro_job *oldest)
{
        struct executor_state *state = newest->executor->state;
        struct ouro_message *first = NULL, *last = NULL;
        struct ouro_loop *loop = newest->loop;
        int64_t counts[COUNT_KINDS] = {0};

        for (struct ouro_job *job = newest, *next;; job = next) {
                bool more = job != oldest;

                next = job->next;
                if (unlikely(!job_done(job))) {
                        counts[COUNT_CANCELLED]++;
                } else {
                        counts[count_as(job, job->result)]++;
                        if (unlikely(!loop))
                                job_caller_done(job);
                        else if (last)
                                last = last->next = &job->message;
                        else
                                first = last = &job->message;
                }
                if (!more)
                        break;
        }
        for (enum count_what what = COUNT_DONE; what < COUNT_KINDS; what++)
                if (counts[what])
                        executor_count(state, what, counts[what]);
        if (likely(first))
                check(loop_send(loop, first, last));
}

void job_set_report(struct ouro_job *job, struct ouro_report *report)
{
        struct job_more *more = job_more(job);

        if (!more) {
                ouro_report_free(report);
                return;
        }
        ouro_report_free(more->report);
        more->report = report;
}

/* ---- cancelling ---- */

/* Keeps a running job from being done, so that its executor can be asked about it. False: it does not run. */
static bool hold(struct ouro_job *job)
{
        int running = JOB_RUNNING;

        if (!__atomic_compare_exchange_n(&job->state, &running, JOB_ASKED, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
                return false;
        asked_job = job;
        return true;
}

static void unhold(struct ouro_job *job)
{
        int asked = JOB_ASKED;

        asked_job = NULL;
        __atomic_compare_exchange_n(&job->state, &asked, JOB_RUNNING, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE);
}

int64_t job_began_ns(struct ouro_job *job)
{
        const struct job_more *more = job_more(job);
        int64_t began_ns;

        if (!hold(job))
                return 0;
        if (job->executor->ops->began_ns)
                began_ns = job->executor->ops->began_ns(job->executor, job);
        else
                began_ns = atomic_load(&more->began_ns);
        unhold(job);
        return began_ns;
}

void job_ask(struct ouro_job *job)
{
        bool held =
                hold(job); /* first: one that sees its token at once is not done before its executor knows */
        bool first = job_set_token(job);

        if (!held)
                return; /* it does not run */
        if (first && job->executor->ops->cancel)
                job->executor->ops->cancel(job->executor, job);
        unhold(job);
}

bool job_abandon(struct ouro_job *job)
{
        const struct job_more *more = job_more(job);
        int running = JOB_RUNNING;

        return more && more->options.abandonable &&
               __atomic_compare_exchange_n(&job->state, &running, JOB_ABANDONED, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
}

bool job_cancel_queued(struct ouro_job *job)
{
        int queued = JOB_QUEUED;

        return __atomic_compare_exchange_n(&job->state, &queued, JOB_CANCELLED, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
}

static void cut_job(struct sched *sched, struct coro *coro, int interrupt)
{
        struct ouro_job *job = coro->waiter.what;
        bool ends = job_cancel_queued(job);

        (void)interrupt;
        if (!ends) {
                job_ask(job);
                ends = job_abandon(job);
        }
        if (!ends)
                return;
        job->message.deliver = deliver_cancelled;
        check(loop_send(loop_of(sched), &job->message, &job->message));
}

static void job_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_job *job = coro->waiter.what;

        target->object = job->executor;
}

const struct wait_kind job_wait_kind = {.name = "job", .cut = cut_job, .target = job_target};
