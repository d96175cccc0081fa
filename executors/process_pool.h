/* process_pool.h - the process pool as its parts on the host's side share it.
 *
 *      processes.c   opening, closing, the executor's operations
 *      dispatch.c    lines of jobs that wait, choosing a worker, handing over and taking back
 *      collect.c     taking in what workers have done; listening before a loop sleeps
 *      functions.c   naming functions for workers
 *      supervisor.c  the thread that does the slow things: zygote, spawning, killing, replacing
 *      death.c       what the death of a worker means for its jobs, and for the pool
 *
 * One lock is over all of it. It is held for the length of a few cache misses, never across a system call
 * that waits, and never while a job is finished or room is told of: those take locks of their own, and
 * whoever holds these may come to us. What is to be done without the lock is noted in a struct later.
 *
 * Spans of some size are copied without the lock, too. Meanwhile the worker is pinned: if it dies, its lane
 * stays. */
#ifndef OURO_EXECUTORS_PROCESS_POOL_H
#define OURO_EXECUTORS_PROCESS_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "executors/buddy.h"
#include "executors/lane.h"
#include "executors/zygote.h"
#include "ouro/executor.h"

struct poller;

#define JOB_NS_MOST OURO_SEC(1) /* process_pool.job_ns counts no further */

enum {
        WORKERS_MOST = 1024,
        AHEAD_MOST = 256,
        FUNCTIONS_CACHED = 64,
        LOADS_EXACT = 4, /* loads below this have lists of their own; then 4 to 7, 8 to 15... */
        LOADS_FULL = 11, /* 256 jobs have the list before this */
        LATER_LOOPS = 4,
        LATER_WAKES = 8,
        COPY_LOCKED_BYTES = 16 << 10, /* what is copied with the lock held, at the most */
        DATA_LEAST_BYTES = 1 << 10,   /* the smallest block of a lane's data */
        DATA_KEPT_BYTES = 16 << 20, /* of a lane's data: what lies beyond gives its memory back when freed */
};

/* Where a job of ours is. */
enum record_state {
        RECORD_WAITS,   /* in a line */
        RECORD_COPIED,  /* its input is on its way into the worker's lane, without the lock */
        RECORD_HANDED,  /* in the worker's lane */
        RECORD_RETURNS, /* its output is on its way back, without the lock */
};

/* What the pool knows of one job. */
struct record {
        struct ouro_list link; /* in a line; in later->slow */
        union {
                struct ouro_job *job;
                struct record *spare; /* the next that is in no use */
        };
        struct worker *worker; /* COPIED, HANDED, RETURNS */
        struct seat *seat;     /* the only one that may run it, or NULL */
        uint64_t entry;        /* HANDED: its number */
        uint64_t module_fn;
        uint64_t bytes;             /* that its spans need in a lane */
        int64_t block;              /* where in the worker's data, or less than zero: in the entry's place */
        struct ouro_report *report; /* of the last worker that died of it, if somebody wants to know */
        uint16_t flags;             /* enum lane_flag */
        unsigned attempt, deaths;
        int64_t taken_ns; /* pools with timings: when the job came */
        int64_t began_ns; /* HANDED: what the worker was first seen to say of that, or 0 */
        uint8_t state;    /* enum record_state */
        int8_t priority;
        bool asked; /* it shall end: with -ECANCELED, unless it is done before */
        bool told;  /* its token in the lane is set */
};

/* Jobs that wait, by priority, oldest first. */
struct line {
        struct ouro_list jobs[3];
        size_t len;
};

/* The place of a worker as jobs see it: what has its number. */
struct seat {
        struct worker *worker; /* or NULL: none, or not yet */
        struct line bound;     /* jobs for this one only */
        bool parked;           /* left empty until there is work */
        bool died;             /* the last one did: its successor counts as a restart */
        bool retired;          /* the last one ended as it was told to */
};

enum worker_state {
        WORKER_NONE,
        WORKER_ASKED_FOR, /* the zygote has been told */
        WORKER_ALIVE,
        WORKER_GONE, /* dead, but pinned */
};

/* One process and its lane. */
struct worker {
        struct lane lane;
        struct record **records; /* of each entry; NULL: taken back */
        uint64_t oldest, next;   /* entries from oldest to before next are out */
        unsigned load;           /* jobs among them, and those that are being copied for it */
        unsigned bound;          /* of those: for its seat only */
        unsigned key;            /* the list of pool->loads it is in */
        unsigned looks;          /* how often it was looked at since it was last seen to do something */
        int lowest;              /* at the most the lowest priority among its jobs */
        bool listed;             /* in pool->loads: takes jobs */
        bool busy;               /* in pool->busy: load > 0 or entries are out */
        struct ouro_list by_load, in_busy;
        uint64_t given, done; /* jobs */
        int64_t collected_ns; /* when several were last found done at once */
        unsigned modules_told;
        struct buddy data; /* what of the lane's data is in use */
        uint64_t data_at;  /* where that begins in the lane */
        unsigned pins;     /* copies that are under way */

        enum worker_state state;
        unsigned index; /* in pool->workers: its number for the zygote */
        struct seat *seat;
        uint64_t generation;
        pid_t pid;
        int pidfd;
        int output;          /* memfd that is its stdout and stderr, or -1 */
        size_t output_bytes; /* its size */
        bool stopping;       /* told to end when its entries are done */
        bool parking;        /* stopping for want of work */
        bool doomed;         /* shall die */
        bool termed, killed; /* has got its SIGTERM, its SIGKILL */
        bool garbled;        /* it has written what cannot be: its entries are not looked at any more */
        int64_t kill_ns;     /* doomed: when it gets SIGKILL */
        int64_t free_ns;     /* stopping: when it was first, or last, seen to have nothing else to do; or 0 */
        int64_t born_ns;
        int64_t seen_ns; /* when the supervisor saw given change */
        uint64_t seen_given;
        bool worked; /* the watchdog has seen that it does: it cannot take that back */
        bool stuck;  /* at the watchdog's last look, with this entry */
        uint64_t stuck_at;
};

struct function {
        ouro_job_fn *fn;
        uint64_t module_fn;
};

/* The functions' modules: what all lanes are told, and the cache of functions. */
struct functions {
        struct lane_module *modules; /* LANE_MODULES_MOST */
        void **handles;              /* that keep each loaded */
        unsigned modules_len;
        struct function cache[FUNCTIONS_CACHED];
};

struct process_pool {
        ouro_executor executor; /* first */
        pthread_mutex_t lock;
        atomic_size_t jobs_out; /* taken and not finished; written with the lock held */
        atomic_uint finishing;  /* threads that still do what they have noted in a struct later */
        size_t waiting;         /* of those that are out: in lines */
        size_t bound_waiting;   /* of those: in the seats' own */
        size_t loopless;        /* of those: for threads without a loop */
        unsigned busy_len;      /* workers in busy */
        unsigned listeners;     /* loops that sleep */
        unsigned ahead;
        unsigned parked; /* seats */
        int64_t job_ns;  /* that jobs have taken lately, at the most; only where they come by the dozen */
        size_t queue;
        bool wants_room, closing, broken;
        bool cancelling; /* nothing that has not begun shall begin */
        bool watching;   /* the supervisor will look at busy workers */
        int64_t look_ns; /* when it does */
        struct line line;
        struct ouro_list busy;
        struct ouro_list loads[LOADS_FULL + 1]; /* workers that take jobs, see loads.c */
        unsigned loads_used;                    /* bits: which of these are not empty */
        struct record *spare_records;
        struct batch *batches; /* all records */
        struct functions functions;

        struct worker *workers;
        unsigned workers_len; /* seats and standby */
        struct seat *seats;
        unsigned seats_len;
        uint64_t recycle_jobs, recycle_bytes;
        uint64_t data_bytes; /* of each lane: a power of two */
        bool timings, capture;
        int doorbell;

        /* Loops that ask this pool. */
        struct poller **pollers;
        size_t pollers_len, pollers_room;

        /* The supervisor's; what others write there, they write with the lock held. */
        struct ouro_process_options options;
        pthread_t supervisor;
        int nudge;     /* an eventfd: look again */
        int zygote;    /* socket, or -1 */
        int config;    /* memfd */
        bool kill_all; /* closing may not wait for finalizers */
        bool zygote_died;
        int64_t zygote_died_ns, zygote_born_ns;
        const char *broken_why; /* not told yet */
        int broken_error;
        unsigned crashes; /* workers in a row that died without use */
        int64_t calm_ns;  /* nothing is started before */
        uint64_t generations;
        char *helper;          /* its path, or NULL */
        int *fds, *fd_numbers; /* what workers inherit: copies of the descriptors, and what they have it as */
        struct pollfd *poll_fds;
        uint64_t restarts, recycled, retried;
        struct arena *arena; /* or NULL */
        uint32_t entries;    /* of each lane */
};

/* What is to be done when the lock has been released. */
struct later {
        struct {
                struct ouro_loop *loop;
                struct ouro_job *newest, *oldest;
        } chains[LATER_LOOPS]; /* jobs that have ended */
        unsigned chains_len, wakes_len;
        struct ouro_job *others;  /* of further loops and of none */
        void *wakes[LATER_WAKES]; /* futex words */
        struct ouro_list slow;    /* records that RETURN */
        bool nudge, room;
};

static inline struct process_pool *pool_of(ouro_executor *executor)
{
        return container_of(executor, struct process_pool, executor);
}

/* It has run its initializer, and takes jobs. */
static inline bool worker_works(const struct worker *worker)
{
        return atomic_load_explicit(&worker->lane.head->phase, memory_order_relaxed) == LANE_WORKING;
}

static inline void pool_lock(struct process_pool *pool)
{
        pthread_mutex_lock(&pool->lock);
}

static inline void later_init(struct later *later)
{
        later->chains_len = later->wakes_len = 0;
        later->others = NULL;
        later->nudge = later->room = false;
        list_init(&later->slow);
}

/* ---- all of these with the lock held, unless they say otherwise ---- */

/* ---- later.c ---- */
void later_end(struct process_pool *pool, struct later *later, struct record *record, intptr_t result);
void later_wake(struct later *later, struct worker *worker);       /* if it sleeps */
void later_wake_note(struct later *later, struct lane_note *note); /* a job that sleeps on its token */
void pool_unlock(struct process_pool *pool, struct later *later);  /* and does all but the slow */
void pool_nudge(struct process_pool *pool);                        /* the supervisor; lock or not */
int64_t pool_clock_ns(void);

/* ---- functions.c ---- */
int functions_init(struct functions *functions); /* no lock needed, as the next */
void functions_fini(struct functions *functions);
int function_find(struct process_pool *pool, ouro_job_fn *fn, uint64_t *ret_module_fn); /* may release it */
void functions_tell(const struct functions *functions, struct worker *worker);

/* ---- records.c ---- */
void line_init(struct line *line);
bool records_add(struct process_pool *pool);     /* false: no memory */
void records_release(struct process_pool *pool); /* the spare ones */
void record_wait(struct process_pool *pool, struct record *record, bool in_front);
void record_leave_line(struct process_pool *pool, struct record *record);

/* NULL: no memory. */
static inline struct record *record_new(struct process_pool *pool)
{
        struct record *record;

        if (unlikely(!pool->spare_records) && !records_add(pool))
                return NULL;
        record = pool->spare_records;
        pool->spare_records = record->spare;
        return record;
}

static inline void record_free(struct process_pool *pool, struct record *record)
{
        record->spare = pool->spare_records;
        pool->spare_records = record;
}

/* Of the highest priority; NULL: empty. */
static inline struct record *line_first(const struct line *line)
{
        if (likely(line->len == 0))
                return NULL;
        for (int i = 0; i < 3; i++)
                if (!list_empty(&line->jobs[i]))
                        return container_of(line->jobs[i].next, struct record, link);
        return NULL;
}

/* ---- loads.c ---- */
void loads_init(struct process_pool *pool);
void worker_list(struct process_pool *pool, struct worker *worker);   /* takes jobs from now on */
void worker_unlist(struct process_pool *pool, struct worker *worker); /* or no more */
void worker_recount(struct process_pool *pool, struct worker *worker);

static inline bool worker_has_room(const struct process_pool *pool, const struct worker *worker)
{
        return worker->load < pool->ahead && worker->next - worker->oldest <= worker->lane.mask &&
               (!pool->recycle_jobs || worker->given < pool->recycle_jobs);
}

/* The list of pool->loads for a worker. */
static inline unsigned load_key(const struct process_pool *pool, const struct worker *worker)
{
        unsigned load = worker->load;

        if (unlikely(!worker_has_room(pool, worker)))
                return LOADS_FULL;
        return load < LOADS_EXACT ? load : 33 - (unsigned)__builtin_clz(load);
}

/* Its load or its entries have changed. */
static inline void worker_counts(struct process_pool *pool, struct worker *worker)
{
        if (unlikely(load_key(pool, worker) != worker->key ||
                     (worker->next != worker->oldest) != worker->busy))
                worker_recount(pool, worker);
}

/* The idlest with room; NULL: none has. */
static inline struct worker *loads_least(const struct process_pool *pool)
{
        unsigned key = (unsigned)__builtin_ctz(pool->loads_used | 1u << LOADS_FULL);

        return key == LOADS_FULL ? NULL : container_of(pool->loads[key].next, struct worker, by_load);
}

/* Some have nothing. */
static inline bool loads_idle(const struct process_pool *pool)
{
        return pool->loads_used & 1;
}

/* ---- spans.c ---- */
int spans_fit(struct process_pool *pool,
              struct record *record); /* 0, -EMSGSIZE, -EINVAL; sets bytes, flags, seat */
bool spans_reserve(struct worker *worker, struct record *record); /* false: no room now */
bool spans_in_long(const struct record *record);                  /* to be copied without the lock */
bool spans_out_long(const struct record *record);
void spans_copy_in(struct record *record, uint64_t at); /* no lock needed, as the next */
void spans_copy_out(struct record *record, uint64_t at);
void spans_describe(struct record *record, uint64_t at, struct lane_entry *entry, struct lane_note *note);

/* Where they are in the worker's lane. */
static inline uint64_t spans_at(const struct record *record)
{
        const struct worker *worker = record->worker;

        return likely(record->block < 0) ? lane_place(&worker->lane, record->entry)
                                         : worker->data_at + (uint64_t)record->block;
}

void spans_release(struct record *record);
void spans_give_memory_back(struct record *record); /* no lock needed */

/* ---- dispatch.c: those that take later may release the lock on their way ---- */
void dispatch(struct process_pool *pool, struct later *later);
void dispatch_new(struct process_pool *pool, struct record *record, struct later *later);
struct record *take_back(struct process_pool *pool, struct worker *worker, uint64_t n);
void take_back_all(struct process_pool *pool, struct worker *worker, int below);
void rebalance(struct process_pool *pool, bool at_once, struct later *later);
void worker_stop(struct process_pool *pool, struct worker *worker, struct later *later);

/* ---- collect.c ---- */
struct poller_ops;
extern const struct poller_ops pool_poller_ops;

void pool_collect(void *pool, bool for_certain); /* without the lock, as the next two */
bool pool_listen(void *pool);
void pool_ignore(void *pool);
void collect_worker(struct process_pool *pool, struct worker *worker, struct later *later);
void collect_slow(struct process_pool *pool, struct later *later); /* releases the lock on its way */
void unpin(struct worker *worker, struct later *later);

/* ---- death.c ---- */
void worker_doom(struct process_pool *pool, struct worker *worker, int64_t grace_ns, struct later *later);
void worker_died(struct process_pool *pool, struct worker *worker, const struct zygote_message *died,
                 struct later *later);
void pool_break(struct process_pool *pool, const char *why, int error, struct later *later);
void pool_crashed(struct process_pool *pool, struct later *later); /* something died without use */
void record_cancel(struct process_pool *pool, struct record *record, struct later *later);
void pool_cancel_all(struct process_pool *pool, bool running, struct later *later);

/* ---- report.c ---- */
void report_death(struct record *record, const struct zygote_message *died, bool quarantined);
void report_done(struct record *record); /* where there is something to tell */

/* ---- overstay.c: with the lock, from the supervisor ---- */
void overstay_end(struct process_pool *pool, struct worker *worker, int64_t now_ns, int64_t *due_ns,
                  struct later *later);

/* ---- watchdog.c ---- */
void watchdog(struct process_pool *pool, int64_t now_ns, int64_t *due_ns, struct later *later);

/* ---- spawn.c: without the lock, but for the last ---- */
int zygote_start(struct process_pool *pool);
int worker_spawn(struct process_pool *pool, struct worker *worker, struct seat *seat);
void workers_bury(struct process_pool *pool);
void worker_take_seat(struct process_pool *pool, struct worker *worker, struct seat *seat,
                      struct later *later);

/* ---- supervisor.c ---- */
int supervisor_start(struct process_pool *pool); /* without the lock */

/* ---- process_jobs.c ---- */
extern const struct ouro_executor_ops process_pool_ops;
void pool_destroy(ouro_executor *executor);

#endif
