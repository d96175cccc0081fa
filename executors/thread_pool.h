/* thread_pool.h - the thread pool's own: what threads.c, thread_worker.c, thread_park.c and thread_grow.c
 * share.
 *
 * A worker is *busy*, *searching* (it looks for a job: it spins, or has been woken and gets up) or *parked*.
 * Nobody who is parked misses a job (Dekker's way, all of it sequentially consistent): a worker shows that it
 * is parked, then looks into the queues once more; a submitter fills a queue, then looks at who is parked.
 * It wakes nobody while as many search as jobs wait; therefore whoever stops searching does the same as a
 * submitter: it looks at what is left.
 *
 * The lock is for parking, waking, and threads that come and go. None of that happens while jobs come to
 * workers that are awake. */
#ifndef OURO_EXECUTORS_THREAD_POOL_H
#define OURO_EXECUTORS_THREAD_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "base/spin.h"
#include "executors/job_classes.h"
#include "ouro/executor.h"

enum {
        THREAD_NAME_BYTES = 16, /* with its NUL: the kernel's limit */
        NO_WORD_YET = 1 << 20,
};

struct thread_pool;

enum worker_life {
        WORKER_NONE,
        WORKER_LIVES,
        WORKER_ENDED, /* its thread is to be joined */
};

struct worker {
        struct ouro_list link; /* in pool->parked or parked_extra, while is_parked */
        bool is_parked;        /* written with the lock held */
        atomic_uint woken;     /* not 0: somebody has taken it out of the list, as searching */
        struct thread_pool *pool;
        unsigned number;
        enum worker_life life; /* with the lock held */
        pthread_t thread;
        struct spin spin; /* the worker's own */
        bool initialized; /* the worker's own */
        char apart_from_the_rest[64];
        _Atomic(struct ouro_job *) running; /* see thread_worker.c */
        char apart_from_next[64];
};

struct thread_pool {
        ouro_executor executor; /* first */
        struct job_classes jobs;
        /* Constant: */
        struct ouro_thread_options options; /* none of them is left to a default; in is the pool's own copy */
        char name[THREAD_NAME_BYTES];
        unsigned search_most; /* so many may spin at a time */
        /* Seldom written: */
        atomic_bool closing;
        atomic_bool grows;      /* there is a starter, and it may start more */
        atomic_bool wants_room; /* a submit was refused */
        atomic_int verdict;     /* not 0: jobs that have not begun end with this */
        atomic_uint first_word; /* what the first thread said of its nice value, as an errno */
        char apart_from_constants[64];
        atomic_uint searching;
        atomic_uint parked; /* written with the lock held */
        char apart_from_counts[64];
        pthread_mutex_t lock;
        struct ouro_list parked_base, parked_extra; /* the last to park first */
        unsigned threads_len;                       /* that have not ended, the starter too */
        unsigned workers_len;                       /* of those: workers */
        /* The starter, where the pool grows: see thread_grow.c. */
        pthread_t starter;
        bool has_starter;
        atomic_uint starting;       /* workers that cannot look for a job yet */
        atomic_bool starter_armed;  /* it watches jobs that wait */
        atomic_uint starter_called; /* counts what it should look at: it sleeps on this */
        struct worker workers[];    /* options.threads_max of them */
};

static inline struct thread_pool *pool_of(ouro_executor *executor)
{
        return container_of(executor, struct thread_pool, executor);
}

/* Closing, and every job has been taken. */
static inline bool pool_is_over(struct thread_pool *pool)
{
        return unlikely(atomic_load_explicit(&pool->closing, memory_order_acquire)) &&
               job_classes_ended(&pool->jobs);
}

static inline int64_t pool_clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- thread_park.c ---- */
/* Jobs wait, or may: somebody should be awake for them. */
void pool_rouse(struct thread_pool *pool);

enum park_end { PARK_WOKEN /* as searching */, PARK_LOOK, PARK_IDLE_TOO_LONG };

enum park_end worker_park(struct worker *worker);
void pool_wake_all(struct thread_pool *pool);

/* ---- thread_worker.c ---- */
void *thread_worker_main(void *worker);
bool pool_condemn(struct thread_pool *pool, int verdict); /* false: it was before */
void pool_end_queued(struct thread_pool *pool);           /* with the verdict */
void pool_ask_running(struct thread_pool *pool);          /* to end */

/* ---- thread_grow.c ---- */
int starter_start(struct thread_pool *pool);  /* 0 or a negated errno */
void starter_watch(struct thread_pool *pool); /* all are busy, and jobs wait */
void starter_call(struct thread_pool *pool);

/* ---- threads.c ---- */
int pool_start_worker(struct thread_pool *pool, unsigned number); /* 0 or a negated errno */
int pool_start_thread(struct thread_pool *pool, pthread_t *ret, void *(*fn)(void *), void *arg);
void pool_thread_ends(struct thread_pool *pool, struct worker *worker); /* the last it does; NULL: starter */

#endif
