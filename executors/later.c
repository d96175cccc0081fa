/* later.c - what is decided with the pool's lock held, and done when it has been released.
 *
 * Finishing a job may take its executor's other lock and wake its loop; waking a worker is a system call.
 * Neither must happen under our lock, see process_pool.h. */
#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "executors/job_report.h"
#include "executors/process_pool.h"

int64_t pool_clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void pool_nudge(struct process_pool *pool)
{
        static const uint64_t one = 1;

        (void)!sys_result(write(pool->nudge, &one, sizeof one)); /* it fails only if it is full: as good */
}

static void chain(struct later *later, struct ouro_job *job)
{
        unsigned i = 0;

        while (i < later->chains_len && later->chains[i].loop != job->loop)
                i++;
        if (unlikely(!job->loop || i == LATER_LOOPS)) {
                job->next = later->others;
                later->others = job;
                return;
        }
        if (i == later->chains_len) {
                later->chains_len++;
                later->chains[i].loop = job->loop;
                later->chains[i].oldest = job;
                job->next = NULL;
        } else {
                job->next = later->chains[i].newest;
        }
        later->chains[i].newest = job;
}

/* The job is no longer ours: nobody may find its record any more. */
void later_end(struct process_pool *pool, struct later *later, struct record *record, intptr_t result)
{
        struct ouro_job *job = record->job;
        size_t left = atomic_load_explicit(&pool->jobs_out, memory_order_relaxed) - 1;

        job->result = result;
        job->of_executor = NULL;
        if (unlikely(record->report))
                job_set_report(job, record->report);
        if (unlikely(!job->loop))
                pool->loopless--;
        atomic_store_explicit(&pool->jobs_out, left, memory_order_relaxed);
        if (unlikely(pool->closing && left == 0))
                later->nudge = true;
        chain(later, job);
        record_free(pool, record);
}

/* A lane that was unmapped meanwhile: -EFAULT, or somebody wakes up for nothing. */
static void wake_futex(void *word)
{
        (void)sys_result((int)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
}

static void add_wake(struct later *later, void *word)
{
        if (later->wakes_len < LATER_WAKES)
                later->wakes[later->wakes_len++] = word;
        else
                wake_futex(word);
}

void later_wake(struct later *later, struct worker *worker)
{
        _Atomic uint32_t *asleep = &worker->lane.head->asleep;

        atomic_thread_fence(memory_order_seq_cst); /* between filling in an entry and looking at this */
        if (likely(!atomic_load_explicit(asleep, memory_order_relaxed)))
                return;
        if (!atomic_exchange(asleep, 0)) /* one wake for one sleep, however many jobs come meanwhile */
                return;
        add_wake(later, asleep);
}

void later_wake_note(struct later *later, struct lane_note *note)
{
        add_wake(later, &note->cancelled);
}

static void wake_workers(const struct later *later)
{
        for (unsigned i = 0; i < later->wakes_len; i++)
                wake_futex(later->wakes[i]);
}

static void finish_others(struct ouro_job *job)
{
        while (job) {
                struct ouro_job *next = job->next;

                ouro_job_finish(job, job->result);
                job = next;
        }
}

static void finish_jobs(const struct later *later)
{
        for (unsigned i = 0; i < later->chains_len; i++)
                ouro_job_finish_many(later->chains[i].newest, later->chains[i].oldest);
        finish_others(later->others);
}

static void later_clear(struct later *later)
{
        later->chains_len = later->wakes_len = 0;
        later->others = NULL;
        later->nudge = later->room = false;
}

/* A refused submitter is told at half empty, so that it is told once for many jobs. What a worker has in hand
 * does not wait. */
static void look_for_room(struct process_pool *pool, struct later *later)
{
        if (atomic_load_explicit(&pool->jobs_out, memory_order_relaxed) > pool->busy_len + pool->queue / 2)
                return;
        pool->wants_room = false;
        later->room = true;
}

void pool_unlock(struct process_pool *pool, struct later *later)
{
        bool finishing;

        if (unlikely(pool->wants_room))
                look_for_room(pool, later);
        finishing = later->chains_len || later->others || later->room || later->nudge;

        if (finishing) /* the pool must not be freed before we have let go of it */
                atomic_fetch_add_explicit(&pool->finishing, 1, memory_order_relaxed);
        pthread_mutex_unlock(&pool->lock);
        if (unlikely(later->wakes_len))
                wake_workers(later);
        if (!finishing)
                return later_clear(later);
        if (unlikely(later->room))
                ouro_executor_has_room(&pool->executor);
        if (unlikely(later->nudge))
                pool_nudge(pool);
        finish_jobs(later);
        later_clear(later);
        atomic_fetch_sub_explicit(&pool->finishing, 1, memory_order_release);
}
