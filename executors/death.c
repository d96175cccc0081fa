/* death.c - what it means that a worker has died, or shall.
 *
 * Told by the zygote, after everything of the worker is gone: nothing writes to its lane any more. Then, of
 * its entries: what is done counts; what was begun is lost with it; what was not begun waits again, in front.
 *
 * A worker that dies of no job, soon and before it was of any use, is a crash. The next start is delayed,
 * each time twice as long, and after some in a row the pool is broken. Any job that gets done ends the row.
 */
#include <errno.h>
#include <limits.h>
#include <sys/wait.h>

#include "executors/process_pool.h"

enum { BACKOFF_DOUBLINGS_MOST = 10 };

static const int64_t SOON_NS = 1000 * 1000 * 1000;

/* ---- ending all that wait ---- */

static void end_line(struct process_pool *pool, struct line *line, int error, struct later *later)
{
        struct record *record;

        while ((record = line_first(line))) {
                record_leave_line(pool, record);
                later_end(pool, later, record, error);
        }
}

static void end_waiting(struct process_pool *pool, int error, struct later *later)
{
        end_line(pool, &pool->line, error, later);
        for (unsigned i = 0; i < pool->seats_len; i++)
                end_line(pool, &pool->seats[i].bound, error, later);
}

static void take_back_everything(struct process_pool *pool)
{
        for (unsigned i = 0; i < pool->workers_len; i++)
                if (pool->workers[i].state == WORKER_ASKED_FOR || pool->workers[i].state == WORKER_ALIVE)
                        take_back_all(pool, &pool->workers[i], INT_MAX);
}

/* What runs on other workers may end; nothing begins any more. */
void pool_break(struct process_pool *pool, const char *why, int error, struct later *later)
{
        if (pool->broken)
                return;
        pool->broken = true;
        pool->broken_why = why;
        pool->broken_error = error;
        take_back_everything(pool);
        end_waiting(pool, -ENOTRECOVERABLE, later);
        later->room = true; /* those that wait for it are told the same */
}

void pool_crashed(struct process_pool *pool, struct later *later)
{
        unsigned doublings = pool->crashes < BACKOFF_DOUBLINGS_MOST ? pool->crashes : BACKOFF_DOUBLINGS_MOST;

        pool->calm_ns = pool_clock_ns() + (pool->options.backoff_ns << doublings);
        pool->crashes++;
        if (pool->crashes >= pool->options.crashes)
                pool_break(pool, "its workers die as soon as they are started", 0, later);
}

/* ---- asking jobs and workers to end ---- */

/* grace_ns less than zero: SIGKILL at once. */
void worker_doom(struct process_pool *pool, struct worker *worker, int64_t grace_ns, struct later *later)
{
        int64_t kill_ns = pool_clock_ns() + (grace_ns < 0 ? 0 : grace_ns);

        if (!worker->doomed || kill_ns < worker->kill_ns)
                worker->kill_ns = kill_ns;
        if (!worker->doomed && grace_ns < 0)
                worker->termed = true;
        worker->doomed = true;
        worker_unlist(pool, worker);
        take_back_all(pool, worker, INT_MAX);
        later->nudge = true;
}

/* The job runs: its token is set, and its worker ends. Unless it is done first; but then its worker may have
 * begun the next one, which must not be killed in its place. So the others are taken back before that is
 * looked at; they go on when whoever asks dispatches. */
static void cancel_begun(struct process_pool *pool, struct record *record, struct later *later)
{
        struct worker *worker = record->worker;
        struct lane_note *note = lane_note(&worker->lane, record->entry);
        uint32_t done = lane_lap(&worker->lane, record->entry) | LANE_DONE;

        if (record->asked)
                return;
        take_back_all(pool, worker, INT_MAX);
        if (atomic_load(&lane_entry(&worker->lane, record->entry)->state) == done)
                return;
        record->asked = record->told = true;
        atomic_store(&note->cancelled, 1);
        later_wake_note(later, note);
        worker_doom(pool, worker, pool->options.grace_ns, later);
}

void record_cancel(struct process_pool *pool, struct record *record, struct later *later)
{
        switch ((enum record_state)record->state) {
        case RECORD_WAITS:
                record_leave_line(pool, record);
                later_end(pool, later, record, -ECANCELED);
                break;
        case RECORD_COPIED:
                record->asked = true;
                break;
        case RECORD_HANDED:
                if (take_back(pool, record->worker, record->entry))
                        later_end(pool, later, record, -ECANCELED);
                else
                        cancel_begun(pool, record, later);
                break;
        case RECORD_RETURNS:
                break;
        }
}

static void cancel_worker(struct process_pool *pool, struct worker *worker, struct later *later)
{
        for (uint64_t n = worker->oldest; n != worker->next; n++) {
                struct record *record = worker->records[n & worker->lane.mask];

                if (record)
                        record_cancel(pool, record, later);
        }
}

void pool_cancel_all(struct process_pool *pool, bool running, struct later *later)
{
        pool->cancelling = true;
        take_back_everything(pool);
        end_waiting(pool, -ECANCELED, later);
        for (unsigned i = 0; running && i < pool->workers_len; i++)
                cancel_worker(pool, &pool->workers[i], later);
}

/* ---- death ---- */

/* A job that was begun, and its worker is dead. */
static void lose(struct process_pool *pool, struct record *record, const struct zygote_message *died,
                 struct later *later)
{
        const struct ouro_job_options *options = record->job->options;
        bool again = !record->asked && !pool->broken && !pool->cancelling &&
                     record->attempt < options->retries,
             quarantined = false;

        if (died)
                record->deaths++;
        if (again && record->deaths >= pool->options.deaths) {
                again = false;
                quarantined = true;
        }
        if (options->ret_report)
                report_death(record, died, quarantined);
        spans_release(record);
        if (again) {
                record->attempt++;
                record->told = false;
                pool->retried++;
                record_wait(pool, record, true);
        } else {
                later_end(pool, later, record, record->asked ? -ECANCELED : -EOWNERDEAD);
        }
}

/* The youngest first, so that those who wait again are in order. Whether one was lost. */
static bool clear_lane(struct process_pool *pool, struct worker *worker, const struct zygote_message *died,
                       struct later *later)
{
        const struct lane *lane = &worker->lane;
        bool lost = false;

        for (uint64_t n = worker->next; n-- > worker->oldest;) {
                struct record *record = worker->records[n & lane->mask];

                if (!record || take_back(pool, worker, n) != NULL) {
                        if (record)
                                record_wait(pool, record, true);
                        continue;
                }
                worker->records[n & lane->mask] = NULL;
                worker->load--;
                if (record->seat)
                        worker->bound--;
                lose(pool, record, died, later);
                lost = true;
        }
        worker->oldest = worker->next;
        worker_counts(pool, worker);
        return lost;
}

static bool ended_cleanly(const struct worker *worker, const struct zygote_message *died)
{
        return worker->stopping && !worker->doomed && died && WIFEXITED(died->status) &&
               WEXITSTATUS(died->status) == 0;
}

static void leave_seat(struct process_pool *pool, struct worker *worker, bool cleanly)
{
        struct seat *seat = worker->seat;

        worker->seat = NULL;
        if (!seat)
                return;
        seat->worker = NULL;
        seat->died = !cleanly;
        if (cleanly)
                pool->recycled++;
        if (worker->parking && cleanly && pool->waiting == 0) {
                seat->parked = true;
                pool->parked++;
        }
}

/* died NULL: it went down with the zygote. */
void worker_died(struct process_pool *pool, struct worker *worker, const struct zygote_message *died,
                 struct later *later)
{
        uint32_t phase = atomic_load(&worker->lane.head->phase);
        bool useless = died && !worker->stopping && !worker->doomed && worker->done == 0 &&
                       (phase != LANE_WORKING || pool_clock_ns() - worker->born_ns < SOON_NS);
        bool lost;

        worker_unlist(pool, worker);
        worker->state = WORKER_GONE;
        collect_worker(pool, worker, later);
        lost = clear_lane(pool, worker, died, later);
        leave_seat(pool, worker, ended_cleanly(worker, died));
        /* Whoever has done or begun a job has had its initializer: it lies, and breaks nothing but itself. */
        if (phase == LANE_BROKEN && died && !lost && worker->done == 0)
                pool_break(pool, "its initializer failed", atomic_load(&worker->lane.head->phase_error),
                           later);
        else if (useless && !lost && worker->done == 0)
                pool_crashed(pool, later);
        if (pool->broken)
                end_waiting(pool, -ENOTRECOVERABLE, later);
        else if (pool->cancelling)
                end_waiting(pool, -ECANCELED, later);
        dispatch(pool, later);
        later->nudge = true;
}
