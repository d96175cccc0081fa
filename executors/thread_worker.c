/* thread_worker.c - one thread of the pool: it finds jobs and runs them, one at a time.
 *
 * Whatever a worker took besides would wait behind a job that runs long, while others are idle.
 *
 * The job that it runs is shown in running, so that it can be asked to end: whoever wants that puts a mark in
 * its place meanwhile, and the worker does not hand the job back before the mark is gone. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/futex.h"
#include "executors/job.h"
#include "executors/thread_pool.h"

enum {
        SPIN_LOOKS = 32, /* at the queues, before the clock is read */
        NAP_JOBS = 16,   /* done by others in a nap: it goes on as it did */
};

static const int64_t NAP_NS = 100 * 1000;

/* In the place of a job that is being asked. */
static struct ouro_job asking;

/* ---- finding a job ---- */

static void relax(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

/* Looks for a job for a while. Each time in vain, the next try is half as long; rest() makes it long again.
 */
static struct ouro_job *spin(struct worker *worker)
{
        struct thread_pool *pool = worker->pool;
        int64_t end_ns = pool_clock_ns() + worker->spin.ns;
        struct ouro_job *job;

        do
                for (int i = 0; i < SPIN_LOOKS; i++) {
                        if ((job = job_classes_pop(&pool->jobs))) {
                                spin_paid(&worker->spin);
                                return job;
                        }
                        if (atomic_load_explicit(&pool->closing, memory_order_relaxed))
                                return NULL;
                        relax();
                }
        while (pool_clock_ns() < end_ns);
        spin_failed(&worker->spin);
        return NULL;
}

/* Who spins keeps a CPU from those who have work, the loop among them: only so many do, and only after a job
 * of their own. */
static struct ouro_job *search(struct worker *worker)
{
        struct thread_pool *pool = worker->pool;
        struct ouro_job *job;

        if (atomic_load_explicit(&pool->searching, memory_order_relaxed) >= pool->search_most ||
            !spin_is_due(&worker->spin))
                return NULL;
        atomic_fetch_add(&pool->searching, 1);
        job = spin(worker);
        atomic_fetch_sub(&pool->searching, 1);
        if (job)
                pool_rouse(pool); /* for what came while it searched */
        return job;
}

/* It was woken for a job that another has taken meanwhile. If that goes on, waking costs more than the jobs
 * do: for a while nobody may wake it, and it looks by itself now and then. */
static void nap(struct thread_pool *pool)
{
        static atomic_uint never;
        size_t popped;

        do {
                popped = job_classes_popped(&pool->jobs);
                futex_wait(&never, 0, NAP_NS);
        } while (job_classes_count(&pool->jobs) == 0 &&
                 !atomic_load_explicit(&pool->closing, memory_order_relaxed) &&
                 job_classes_popped(&pool->jobs) - popped >= NAP_JOBS);
}

/* Parked until there may be a job. */
static struct ouro_job *rest(struct worker *worker, bool *ret_end)
{
        struct thread_pool *pool = worker->pool;
        enum park_end end = worker_park(worker);
        struct ouro_job *job = job_classes_pop(&pool->jobs);

        *ret_end = end == PARK_IDLE_TOO_LONG && !job;
        if (end == PARK_WOKEN) {
                atomic_fetch_sub(&pool->searching, 1);
                pool_rouse(pool);
                if (!job)
                        nap(pool);
        }
        return job;
}

/* A refused submitter is told at half empty, so that it is told once for many jobs. */
static void tell_room(struct thread_pool *pool)
{
        if (unlikely(atomic_load(&pool->wants_room)) &&
            job_classes_count(&pool->jobs) <= pool->jobs.capacity / 2 &&
            atomic_exchange(&pool->wants_room, false))
                ouro_executor_has_room(&pool->executor);
}

/* NULL: it should end. */
static struct ouro_job *next_job(struct worker *worker)
{
        struct thread_pool *pool = worker->pool;
        struct ouro_job *job = job_classes_pop(&pool->jobs);
        bool end = false;

        if (unlikely(!job))
                job = search(worker);
        while (!job && !end && !pool_is_over(pool))
                if (!(job = job_classes_pop(&pool->jobs)))
                        job = rest(worker, &end);
        if (job)
                tell_room(pool);
        return job;
}

/* ---- running it ---- */

static void show_running(struct worker *worker, struct ouro_job *job)
{
        struct ouro_job *none = NULL;

        while (unlikely(!atomic_compare_exchange_strong(&worker->running, &none, job))) {
                none = NULL; /* somebody asks whether a job runs here */
                sched_yield();
        }
}

static void hide_running(struct worker *worker, struct ouro_job *job)
{
        struct ouro_job *shown = job;

        while (unlikely(!atomic_compare_exchange_strong(&worker->running, &shown, NULL))) {
                check(shown == &asking);
                shown = job;
                sched_yield();
        }
}

/* The pool is broken, or closes in a hurry: a job that was begun ends without having run. */
static intptr_t refuse(struct ouro_job *job, int verdict)
{
        if (verdict == -ECANCELED)
                ouro_job_ask(job); /* so that it counts as cancelled */
        return verdict;
}

static intptr_t run_timed(struct thread_pool *pool, struct ouro_job *job)
{
        int64_t submitted_ns = (intptr_t)job->of_executor, began_ns = pool_clock_ns();
        intptr_t result = ouro_job_run(job);

        executor_count_times(&pool->executor, began_ns - submitted_ns, pool_clock_ns() - began_ns);
        return result;
}

/* The job has been begun. */
static intptr_t run(struct worker *worker, struct ouro_job *job)
{
        struct thread_pool *pool = worker->pool;
        intptr_t result;
        int verdict;

        show_running(worker, job);
        verdict = atomic_load(&pool->verdict); /* after that: who sets it then looks at what runs */
        job->worker = worker->number;
        if (unlikely(verdict < 0))
                result = refuse(job, verdict);
        else
                result = likely(!pool->options.timings) ? ouro_job_run(job) : run_timed(pool, job);
        hide_running(worker, job);
        return result;
}

void pool_ask_running(struct thread_pool *pool)
{
        for (unsigned i = 0; i < pool->options.threads_max; i++) {
                struct worker *worker = &pool->workers[i];
                struct ouro_job *job = atomic_exchange(&worker->running, &asking);

                if (job == &asking)
                        continue; /* somebody else does it, and puts back what was there */
                if (job)
                        ouro_job_ask(job);
                atomic_store(&worker->running, job);
        }
}

bool pool_condemn(struct thread_pool *pool, int verdict)
{
        int none = 0;

        return atomic_compare_exchange_strong(&pool->verdict, &none, verdict);
}

void pool_end_queued(struct thread_pool *pool)
{
        int verdict = atomic_load(&pool->verdict);
        struct ouro_job *job;

        while ((job = job_classes_pop(&pool->jobs)))
                if (ouro_job_begin(job))
                        ouro_job_finish(job, refuse(job, verdict));
}

/* ---- the thread ---- */

static int clamp_nice(int nice)
{
        return nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

static int be_nice(int nice)
{
        pid_t thread = (pid_t)syscall(SYS_gettid);
        int now = 20 - (int)syscall(SYS_getpriority, PRIO_PROCESS, thread); /* as the kernel counts it */

        return nice == 0 ? 0 : sys_result(setpriority(PRIO_PROCESS, (id_t)thread, clamp_nice(now + nice)));
}

/* An initializer or a finalizer, as a job of this worker. */
static intptr_t run_own(struct worker *worker, ouro_job_fn *fn)
{
        struct ouro_job job = {
                .fn = fn,
                .in = worker->pool->options.in,
                .executor = &worker->pool->executor,
                .options = &job_defaults,
                .worker = worker->number,
        };

        return ouro_job_run(&job);
}

static void break_pool(struct worker *worker, intptr_t error)
{
        struct thread_pool *pool = worker->pool;

        if (!pool_condemn(pool, -ENOTRECOVERABLE))
                return; /* it was before, or closes in a hurry */
        log_line(OURO_LOG_ERROR, "thread pool %s is broken: the initializer of worker %u failed: %s",
                 pool->name, worker->number, strerror((int)-error));
        pool_end_queued(pool);
        ouro_executor_has_room(&pool->executor); /* who waits for room is told now */
}

static void initialize(struct worker *worker)
{
        ouro_job_fn *initializer = worker->pool->options.initializer;
        intptr_t result = initializer ? run_own(worker, initializer) : 0;

        worker->initialized = result >= 0;
        if (result < 0)
                break_pool(worker, result);
}

static void finalize(struct worker *worker)
{
        ouro_job_fn *finalizer = worker->pool->options.finalizer;

        if (finalizer && worker->initialized)
                run_own(worker, finalizer);
}

static void set_up_thread(struct worker *worker)
{
        struct thread_pool *pool = worker->pool;
        int error;

        pthread_setname_np(pthread_self(), pool->name);
        error = be_nice(pool->options.nice);
        if (worker->number == 0) {
                atomic_store(&pool->first_word, (unsigned)-error);
                futex_wake(&pool->first_word);
        }
}

void *thread_worker_main(void *arg)
{
        struct worker *worker = arg;
        struct ouro_job *job;

        set_up_thread(worker);
        initialize(worker);
        atomic_fetch_sub(&worker->pool->starting, 1);
        while ((job = next_job(worker)))
                if (ouro_job_begin(job))
                        ouro_job_finish(job, run(worker, job));
        finalize(worker);
        pool_thread_ends(worker->pool, worker);
        return NULL;
}
