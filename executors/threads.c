/* threads.c - the thread pool: a bounded queue and threads that take from it.
 *
 * An idle worker looks at the queue for a while before it sleeps on the condition; submit takes the lock
 * only if somebody sleeps. A worker takes one job at a time: whatever it took besides would wait behind a
 * job that runs long, while others are idle.
 *
 * Sleeping (Dekker's way): a worker counts itself as a sleeper, then looks into the queue; a submitter fills
 * the queue, then looks at the sleepers. Likewise a refused submitter sets wants_room, then looks again; a
 * worker takes a job, then looks at wants_room. All of that is sequentially consistent. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "executors/cpus.h"
#include "executors/job_queue.h"
#include "ouro/executor.h"

enum {
        QUEUE_DEFAULT = 1024,
        QUEUE_MOST = 1 << 20,
        THREADS_MOST = 4096,
        SPIN_LOOKS = 64,
        NAME_BYTES = 16, /* with its NUL: the kernel's limit */
};

static const int64_t SPIN_DEFAULT_NS = 10 * 1000;

struct thread_pool {
        ouro_executor executor; /* first */
        struct job_queue queue;
        unsigned threads_len;
        int64_t spin_ns;
        char name[NAME_BYTES];
        atomic_bool closing;
        atomic_bool wants_room; /* a submit was refused */
        atomic_uint sleepers;   /* asleep, and nobody has woken them yet; written with the lock held */
        pthread_mutex_t lock;
        pthread_cond_t work;
        unsigned wakes;   /* sleepers that were woken and are not up yet */
        unsigned running; /* threads that have not ended */
        pthread_t threads[];
};

static size_t pool_bytes(unsigned threads)
{
        return sizeof(struct thread_pool) + threads * sizeof(pthread_t);
}

static struct thread_pool *pool_of(ouro_executor *executor)
{
        return container_of(executor, struct thread_pool, executor);
}

/* ---- submitting ---- */

/* One wake for one sleeper: while it is getting up, the next jobs cost nothing. */
static void wake_sleeper(struct thread_pool *pool)
{
        atomic_thread_fence(memory_order_seq_cst); /* between filling the queue and looking at the sleepers */
        if (likely(atomic_load(&pool->sleepers) == 0))
                return;
        pthread_mutex_lock(&pool->lock);
        if (atomic_load(&pool->sleepers) > 0) {
                atomic_fetch_sub(&pool->sleepers, 1);
                pool->wakes++;
                pthread_cond_signal(&pool->work);
        }
        pthread_mutex_unlock(&pool->lock);
}

static int pool_submit(ouro_executor *executor, struct ouro_job *job)
{
        struct thread_pool *pool = pool_of(executor);
        int error = job_queue_push(&pool->queue, job);

        if (unlikely(error == -EAGAIN)) {
                atomic_store(&pool->wants_room, true);
                error = job_queue_push(&pool->queue, job); /* room came before it could be told of */
        }
        if (likely(error == 0))
                wake_sleeper(pool);
        return error;
}

/* ---- working ---- */

static int64_t clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

/* A refused submitter is told at half empty, so that it is told once for many jobs. */
static void tell_room(struct thread_pool *pool)
{
        if (unlikely(atomic_load(&pool->wants_room)) &&
            job_queue_count(&pool->queue) <= pool->queue.capacity / 2 &&
            atomic_exchange(&pool->wants_room, false))
                ouro_executor_has_room(&pool->executor);
}

/* Looks for work for a while. */
static struct ouro_job *spin(struct thread_pool *pool)
{
        struct ouro_job *job = job_queue_pop(&pool->queue);
        int64_t end_ns;

        if (job || pool->spin_ns <= 0)
                return job;
        end_ns = clock_ns() + pool->spin_ns;
        do
                for (int i = 0; i < SPIN_LOOKS; i++) {
                        if ((job = job_queue_pop(&pool->queue)) ||
                            atomic_load_explicit(&pool->closing, memory_order_relaxed))
                                return job;
                        relax();
                }
        while (clock_ns() < end_ns);
        return NULL;
}

/* Sleeps until it is woken, or nothing will come any more. With the lock held. */
static void sleep_until_woken(struct thread_pool *pool)
{
        while (pool->wakes == 0 && !job_queue_ended(&pool->queue))
                pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->wakes > 0)
                pool->wakes--;
        else
                atomic_fetch_sub(&pool->sleepers, 1);
}

/* Sleeps until there is a job. NULL: there will be none any more. */
static struct ouro_job *sleep_for_job(struct thread_pool *pool)
{
        struct ouro_job *job;

        pthread_mutex_lock(&pool->lock);
        for (;;) {
                atomic_fetch_add(&pool->sleepers, 1);
                atomic_thread_fence(memory_order_seq_cst); /* as in wake_sleeper(), the other way round */
                job = job_queue_pop(&pool->queue);
                if (job || job_queue_ended(&pool->queue)) {
                        atomic_fetch_sub(&pool->sleepers, 1);
                        break;
                }
                sleep_until_woken(pool);
        }
        pthread_mutex_unlock(&pool->lock);
        return job;
}

static struct ouro_job *next_job(struct thread_pool *pool)
{
        struct ouro_job *job = spin(pool);

        if (!job)
                job = sleep_for_job(pool);
        if (job)
                tell_room(pool);
        return job;
}

static void *worker(void *arg)
{
        struct thread_pool *pool = arg;
        struct ouro_job *job;
        bool last;

        pthread_setname_np(pthread_self(), pool->name);
        while ((job = next_job(pool)))
                if (ouro_job_begin(job))
                        ouro_job_finish(job, ouro_job_run(job));
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->work); /* the queue has ended: those asleep must know, too */
        last = --pool->running == 0;
        pthread_mutex_unlock(&pool->lock);
        if (last)
                ouro_executor_closed(&pool->executor);
        return NULL;
}

/* ---- closing ---- */

static void pool_close(ouro_executor *executor)
{
        struct thread_pool *pool = pool_of(executor);

        job_queue_close(&pool->queue);
        atomic_store(&pool->closing, true);
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
}

static void free_pool(struct thread_pool *pool)
{
        if (pool->executor.state)
                ouro_executor_fini(&pool->executor);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->work);
        job_queue_fini(&pool->queue);
        mem_free(pool, pool_bytes(pool->threads_len));
}

static void pool_destroy(ouro_executor *executor)
{
        struct thread_pool *pool = pool_of(executor);

        for (unsigned i = 0; i < pool->threads_len; i++)
                pthread_join(pool->threads[i], NULL);
        free_pool(pool);
}

static const struct ouro_executor_ops thread_pool_ops = {
        .size = sizeof(struct ouro_executor_ops),
        .name = "threads",
        .submit = pool_submit,
        .close = pool_close,
        .destroy = pool_destroy,
};

/* ---- opening ---- */

/* Starts all threads, with every signal blocked: signals are for the program's own threads. */
static int start_threads(struct thread_pool *pool, size_t stack_bytes)
{
        pthread_attr_t attr;
        sigset_t all, old;
        int error;

        pthread_attr_init(&attr);
        error = stack_bytes ? pthread_attr_setstacksize(&attr, stack_bytes) : 0;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        while (error == 0 && pool->running < pool->threads_len) {
                error = pthread_create(&pool->threads[pool->running], &attr, worker, pool);
                if (error == 0) {
                        pthread_mutex_lock(&pool->lock);
                        pool->running++;
                        pthread_mutex_unlock(&pool->lock);
                }
        }
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&attr);
        return -error;
}

static int check_options(const struct ouro_thread_options *options)
{
        if (options->size != sizeof *options || options->threads > THREADS_MOST ||
            options->queue > QUEUE_MOST || (options->name && strlen(options->name) >= NAME_BYTES))
                return -EINVAL;
        return 0;
}

static struct thread_pool *new_pool(const struct ouro_thread_options *options)
{
        unsigned threads = options->threads ? options->threads : cpus_usable();
        struct thread_pool *pool = mem_calloc(pool_bytes(threads));

        if (!pool)
                return NULL;
        if (job_queue_init(&pool->queue, options->queue ? options->queue : QUEUE_DEFAULT) < 0) {
                mem_free(pool, pool_bytes(threads));
                return NULL;
        }
        pool->threads_len = threads;
        pool->spin_ns = options->spin_ns ? options->spin_ns : SPIN_DEFAULT_NS;
        strcpy(pool->name, options->name ? options->name : "ouro");
        pthread_mutex_init(&pool->lock, NULL);
        pthread_cond_init(&pool->work, NULL);
        return pool;
}

static int open_pool(struct ouro_thread_options options, ouro_executor **ret_executor)
{
        struct thread_pool *pool;
        int error;

        if (!ret_executor || check_options(&options) < 0)
                return -EINVAL;
        pool = new_pool(&options);
        if (!pool)
                return -ENOMEM;
        error = ouro_executor_init(&pool->executor, &thread_pool_ops);
        if (error < 0) {
                free_pool(pool);
                return error;
        }
        error = start_threads(pool, options.stack_bytes);
        if (error < 0) {
                unsigned started = pool->running;

                pool_close(&pool->executor);
                for (unsigned i = 0; i < started; i++)
                        pthread_join(pool->threads[i], NULL);
                free_pool(pool);
                return error;
        }
        *ret_executor = &pool->executor;
        return 0;
}

int ouro_thread_pool_open(const struct ouro_thread_options *given, ouro_executor **ret_executor)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        int saved_errno = errno, error; /* written by stdio and by what pthread_create() calls */

        if (given)
                options = *given;
        error = open_pool(options, ret_executor);
        errno = saved_errno;
        return error;
}

ouro_executor *ouro_thread_pool(const struct ouro_thread_options *options)
{
        ouro_executor *executor = NULL;

        return ouro_thread_pool_open(options, &executor) == 0 ? executor : NULL;
}
