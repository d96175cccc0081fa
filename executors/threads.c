/* threads.c - the thread pool: a bounded queue and threads that take from it.
 *
 * One lock guards the queue. An idle worker looks at the queue's length for a while, without the lock,
 * before it sleeps on the condition; submit signals only if somebody sleeps. A worker takes one job at a
 * time: whatever it took besides would wait behind a job that runs long, while others are idle. */
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
        unsigned capacity;
        unsigned threads_len;
        int64_t spin_ns;
        char name[NAME_BYTES];

        char apart_from_constants[64];
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct ouro_job *first; /* oldest */
        struct ouro_job *last;
        unsigned sleepers;
        unsigned running; /* threads that have not ended */
        bool wants_room;  /* a submit was refused */
        bool closing;
        char apart_from_lock[64];
        atomic_uint count;  /* jobs in the queue; written with the lock held */
        atomic_bool ending; /* closing, for those who look without the lock */
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

static int pool_submit(ouro_executor *executor, struct ouro_job *job)
{
        struct thread_pool *pool = pool_of(executor);
        int error = 0;
        bool wake = false;

        job->next = NULL;
        pthread_mutex_lock(&pool->lock);
        if (unlikely(pool->closing)) {
                error = -ESHUTDOWN;
        } else if (unlikely(atomic_load_explicit(&pool->count, memory_order_relaxed) == pool->capacity)) {
                pool->wants_room = true;
                error = -EAGAIN;
        } else {
                if (pool->first)
                        pool->last->next = job;
                else
                        pool->first = job;
                pool->last = job;
                atomic_store_explicit(&pool->count,
                                      atomic_load_explicit(&pool->count, memory_order_relaxed) + 1,
                                      memory_order_release);
                wake = pool->sleepers > 0;
        }
        pthread_mutex_unlock(&pool->lock);
        if (wake)
                pthread_cond_signal(&pool->work);
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

/* Looks for work without the lock, for a while. */
static void spin(struct thread_pool *pool)
{
        int64_t end_ns;

        if (pool->spin_ns <= 0 || atomic_load_explicit(&pool->count, memory_order_relaxed) > 0)
                return;
        end_ns = clock_ns() + pool->spin_ns;
        do
                for (int i = 0; i < SPIN_LOOKS; i++) {
                        if (atomic_load_explicit(&pool->count, memory_order_relaxed) > 0 ||
                            atomic_load_explicit(&pool->ending, memory_order_relaxed))
                                return;
                        relax();
                }
        while (clock_ns() < end_ns);
}

/* Takes the oldest job. With the lock held; the queue is not empty. */
static struct ouro_job *take(struct thread_pool *pool, bool *ret_room)
{
        unsigned count = atomic_load_explicit(&pool->count, memory_order_relaxed) - 1;
        struct ouro_job *job = pool->first;

        pool->first = job->next;
        atomic_store_explicit(&pool->count, count, memory_order_release);
        *ret_room = pool->wants_room && count <= pool->capacity / 2;
        if (*ret_room)
                pool->wants_room = false;
        return job;
}

/* Waits for work. NULL: the pool is closing and the queue empty. */
static struct ouro_job *next_job(struct thread_pool *pool)
{
        struct ouro_job *job = NULL;
        bool room = false;

        spin(pool);
        pthread_mutex_lock(&pool->lock);
        while (!pool->first && !pool->closing) {
                pool->sleepers++;
                pthread_cond_wait(&pool->work, &pool->lock);
                pool->sleepers--;
        }
        if (pool->first)
                job = take(pool, &room);
        pthread_mutex_unlock(&pool->lock);
        if (room)
                ouro_executor_has_room(&pool->executor);
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

        pthread_mutex_lock(&pool->lock);
        pool->closing = true;
        atomic_store(&pool->ending, true);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
}

static void free_pool(struct thread_pool *pool)
{
        ouro_executor_fini(&pool->executor);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->work);
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
        pool->threads_len = threads;
        pool->capacity = options->queue ? options->queue : QUEUE_DEFAULT;
        pool->spin_ns = options->spin_ns ? options->spin_ns : SPIN_DEFAULT_NS;
        strcpy(pool->name, options->name ? options->name : "ouro");
        pthread_mutex_init(&pool->lock, NULL);
        pthread_cond_init(&pool->work, NULL);
        return pool;
}

int ouro_thread_pool_open(const struct ouro_thread_options *given, ouro_executor **ret_executor)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct thread_pool *pool;
        int error;

        if (given)
                options = *given;
        if (!ret_executor || check_options(&options) < 0)
                return -EINVAL;
        pool = new_pool(&options);
        if (!pool)
                return -ENOMEM;
        error = ouro_executor_init(&pool->executor, &thread_pool_ops);
        if (error < 0) {
                mem_free(pool, pool_bytes(pool->threads_len));
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

ouro_executor *ouro_thread_pool(const struct ouro_thread_options *options)
{
        ouro_executor *executor = NULL;

        return ouro_thread_pool_open(options, &executor) == 0 ? executor : NULL;
}
