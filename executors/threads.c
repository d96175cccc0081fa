/* threads.c - the thread pool: its options, and how it is opened, filled and closed. Begin with
 * thread_pool.h.
 *
 * A refused submitter sets wants_room, then tries again; a worker takes a job, then looks at wants_room. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/futex.h"
#include "base/options.h"
#include "base/cpus.h"
#include "base/futex.h"
#include "executors/thread_pool.h"

enum {
        QUEUE_DEFAULT = 1024,
        QUEUE_MOST = 1 << 20,
        THREADS_MOST = 4096,
        NICE_MOST = 39, /* from one end to the other */
};

static const int64_t SPIN_DEFAULT_NS = 10 * 1000;
static const int64_t IDLE_DEFAULT_NS = OURO_SEC(10);

static size_t pool_bytes(unsigned workers)
{
        return sizeof(struct thread_pool) + workers * sizeof(struct worker);
}

/* ---- submitting ---- */

static int push(struct thread_pool *pool, struct ouro_job *job)
{
        return job_classes_push(&pool->jobs, job, job->options->priority);
}

static int pool_submit(ouro_executor *executor, struct ouro_job *job)
{
        struct thread_pool *pool = pool_of(executor);
        int error = atomic_load_explicit(&pool->verdict, memory_order_relaxed);

        if (unlikely(error < 0))
                return atomic_load(&pool->closing) ? -ESHUTDOWN : error;
        if (unlikely(pool->options.timings))
                job->of_executor = (void *)(intptr_t)pool_clock_ns();
        error = push(pool, job);
        if (unlikely(error == -EAGAIN)) {
                atomic_store(&pool->wants_room, true);
                error = push(pool, job); /* room came before it could be told of */
        }
        if (likely(error == 0))
                pool_rouse(pool);
        return error;
}

/* ---- looking at it ---- */

static void pool_stats(ouro_executor *executor, struct ouro_stats *stats)
{
        struct thread_pool *pool = pool_of(executor);

        stats->queued = job_classes_count(&pool->jobs);
        pthread_mutex_lock(&pool->lock);
        stats->workers = pool->workers_len;
        for (unsigned i = 0; i < pool->options.threads_max; i++)
                stats->running += atomic_load(&pool->workers[i].running) != NULL;
        pthread_mutex_unlock(&pool->lock);
        stats->idle = stats->workers > stats->running ? stats->workers - stats->running : 0;
}

/* ---- closing ---- */

static void pool_close(ouro_executor *executor)
{
        struct thread_pool *pool = pool_of(executor);

        job_classes_close(&pool->jobs);
        atomic_store(&pool->closing, true);
        starter_call(pool);
        pool_wake_all(pool);
}

static void pool_hurry(ouro_executor *executor, enum ouro_close how)
{
        struct thread_pool *pool = pool_of(executor);

        pool_condemn(pool, -ECANCELED);
        pool_end_queued(pool);
        starter_call(pool);
        if (how == OURO_CLOSE_KILL)
                pool_ask_running(pool);
}

void pool_thread_ends(struct thread_pool *pool, struct worker *worker)
{
        bool last;

        pthread_mutex_lock(&pool->lock);
        if (worker) {
                worker->life = WORKER_ENDED;
                pool->workers_len--;
                atomic_store(&pool->grows, pool->has_starter);
        }
        last = --pool->threads_len == 0;
        pthread_mutex_unlock(&pool->lock);
        if (last)
                ouro_executor_closed(&pool->executor);
        else if (worker)
                starter_call(pool); /* to join it, or to end */
}

static void free_pool(struct thread_pool *pool)
{
        if (pool->executor.state)
                ouro_executor_fini(&pool->executor);
        pthread_mutex_destroy(&pool->lock);
        job_classes_fini(&pool->jobs);
        mem_free((void *)pool->options.in.base, pool->options.in.len);
        mem_free(pool, pool_bytes(pool->options.threads_max));
}

static void pool_destroy(ouro_executor *executor)
{
        struct thread_pool *pool = pool_of(executor);

        if (pool->has_starter)
                pthread_join(pool->starter, NULL);
        for (unsigned i = 0; i < pool->options.threads_max; i++)
                if (pool->workers[i].life != WORKER_NONE)
                        pthread_join(pool->workers[i].thread, NULL);
        free_pool(pool);
}

static const struct ouro_executor_ops thread_pool_ops = {
        .size = sizeof(struct ouro_executor_ops),
        .name = "threads",
        .submit = pool_submit,
        .close = pool_close,
        .destroy = pool_destroy,
        .hurry = pool_hurry,
        .stats = pool_stats,
        .can = OURO_CAN_ABANDON,
};

/* ---- starting threads ---- */

/* With every signal blocked: signals are for the program's own threads. */
int pool_start_thread(struct thread_pool *pool, pthread_t *ret, void *(*fn)(void *), void *arg)
{
        size_t stack_bytes = pool->options.stack_bytes;
        int saved_errno = errno, error; /* written by what pthread_create() calls */
        pthread_attr_t attr;
        sigset_t all, old;

        pthread_attr_init(&attr);
        error = stack_bytes ? pthread_attr_setstacksize(&attr, stack_bytes) : 0;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        if (error == 0)
                error = pthread_create(ret, &attr, fn, arg);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&attr);
        errno = saved_errno;
        return -error;
}

int pool_start_worker(struct thread_pool *pool, unsigned number)
{
        struct worker *worker = &pool->workers[number];
        int error;

        worker->pool = pool;
        worker->number = number;
        worker->spin = (struct spin){.ns = pool->options.spin_ns};
        pthread_mutex_lock(&pool->lock);
        worker->life = WORKER_LIVES;
        pool->threads_len++;
        pool->workers_len++;
        atomic_fetch_add(&pool->starting, 1);
        atomic_store(&pool->grows, pool->workers_len < pool->options.threads_max);
        pthread_mutex_unlock(&pool->lock);
        error = pool_start_thread(pool, &worker->thread, thread_worker_main, worker);
        if (error == 0)
                return 0;
        pthread_mutex_lock(&pool->lock);
        worker->life = WORKER_NONE;
        pool->threads_len--;
        pool->workers_len--;
        atomic_fetch_sub(&pool->starting, 1);
        atomic_store(&pool->grows, true);
        pthread_mutex_unlock(&pool->lock);
        return error;
}

/* Whether the threads may have the nice value that was asked for: only one of them can find out. */
static int await_first_word(struct thread_pool *pool)
{
        if (pool->options.nice >= 0)
                return 0; /* nobody is refused that */
        while (atomic_load(&pool->first_word) == NO_WORD_YET)
                futex_wait(&pool->first_word, NO_WORD_YET, -1);
        return -(int)atomic_load(&pool->first_word);
}

static int start_threads(struct thread_pool *pool)
{
        int error = pool->options.threads_max > pool->options.threads ? starter_start(pool) : 0;

        for (unsigned i = 0; error == 0 && i < pool->options.threads; i++)
                error = pool_start_worker(pool, i);
        return error < 0 ? error : await_first_word(pool);
}

/* ---- opening ---- */

static void fill_in_defaults(struct ouro_thread_options *options)
{
        if (!options->threads) {
                options->threads = cpus_usable();
                if (options->threads_max && options->threads > options->threads_max)
                        options->threads = options->threads_max;
        }
        if (!options->threads_max)
                options->threads_max = options->threads;
        if (!options->queue)
                options->queue = QUEUE_DEFAULT;
        if (!options->spin_ns)
                options->spin_ns = SPIN_DEFAULT_NS;
        if (!options->idle_ns)
                options->idle_ns = IDLE_DEFAULT_NS;
        if (!options->name)
                options->name = "ouro";
}

static int check_options(const struct ouro_thread_options *options)
{
        if (options->threads_max > THREADS_MOST || options->threads > options->threads_max ||
            options->queue > QUEUE_MOST || options->idle_ns < 0 || options->nice < -NICE_MOST ||
            options->nice > NICE_MOST || strlen(options->name) >= THREAD_NAME_BYTES ||
            (!options->in.base && options->in.len))
                return -EINVAL;
        return 0;
}

/* Half of the CPUs at the most may be kept busy by nobody's work; none where there is but one. */
static unsigned search_most(void)
{
        return cpus_usable() / 2;
}

static int copy_in(struct thread_pool *pool)
{
        struct ouro_in in = pool->options.in;
        void *copy = in.len ? mem_alloc(in.len) : NULL;

        pool->options.in = (struct ouro_in){NULL, 0};
        if (!copy)
                return in.len ? -ENOMEM : 0;
        memcpy(copy, in.base, in.len);
        pool->options.in = (struct ouro_in){copy, in.len};
        return 0;
}

static void init_pool(struct thread_pool *pool, const struct ouro_thread_options *options)
{
        pool->options = *options;
        strcpy(pool->name, options->name);
        pool->options.name = pool->name;
        pool->search_most = search_most();
        atomic_init(&pool->first_word, NO_WORD_YET);
        pthread_mutex_init(&pool->lock, NULL);
        list_init(&pool->parked_base);
        list_init(&pool->parked_extra);
}

static int new_pool(const struct ouro_thread_options *options, struct thread_pool **ret_pool)
{
        struct thread_pool *pool = mem_calloc(pool_bytes(options->threads_max));
        int error;

        if (!pool)
                return -ENOMEM;
        init_pool(pool, options);
        error = copy_in(pool);
        if (error == 0)
                error = job_classes_init(&pool->jobs, options->queue);
        if (error == 0)
                error = ouro_executor_init(&pool->executor, &thread_pool_ops);
        if (error < 0) {
                free_pool(pool);
                return error;
        }
        *ret_pool = pool;
        return 0;
}

static int open_pool(const struct ouro_thread_options *given, ouro_executor **ret_executor)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct thread_pool *pool;
        int error;

        if (!ret_executor || (given && options_read(&options, sizeof options, given) < 0))
                return -EINVAL;
        fill_in_defaults(&options);
        error = check_options(&options);
        if (error == 0)
                error = new_pool(&options, &pool);
        if (error < 0)
                return error;
        error = start_threads(pool);
        if (error < 0) {
                pool_close(&pool->executor);
                pool_destroy(&pool->executor);
                return error;
        }
        *ret_executor = &pool->executor;
        return 0;
}

int ouro_thread_pool_open(const struct ouro_thread_options *options, ouro_executor **ret_executor)
{
        int saved_errno = errno, error; /* written by stdio */

        error = open_pool(options, ret_executor);
        errno = saved_errno;
        return error;
}

ouro_executor *ouro_thread_pool(const struct ouro_thread_options *options)
{
        ouro_executor *executor = NULL;

        return ouro_thread_pool_open(options, &executor) == 0 ? executor : NULL;
}
