/* map.c - an array spread over an executor's jobs.
 *
 * The array is cut into chunks, each a job. A window of so many chunks is open at a time: a place in it is
 * free again when each has been told of its chunk, so that a slow each holds the jobs back. The jobs belong
 * to a group of the map's own, which ends what is left when the map ends early, however that happens. */
#include <errno.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/cpus.h"
#include "executors/job.h"

enum { JOBS_PER_WORKER = 4, AHEAD_PER_WORKER = 2, CHUNK_MOST = 1000, AHEAD_MOST = 1 << 16 };

/* A chunk in the window. */
struct place {
        struct map_run *run;
        struct place *next; /* as completed: among those that have ended, or those that are free */
        size_t chunk;       /* its number */
        bool ended;
};

struct map_run {
        struct ouro_loop *loop;
        struct coro *waiting; /* the task that maps, while it waits for a chunk to end */
        const struct ouro_map_options *options;
        struct map_job job; /* what all chunks have in common */
        const char *items;
        char *results;
        size_t n;
        size_t item_bytes, result_bytes;
        size_t chunk;        /* items to a chunk */
        size_t chunks;       /* how many */
        size_t submitted;    /* chunks */
        size_t told;         /* chunks */
        size_t ahead;        /* places */
        bool takes_chunks;   /* the executor does: a job is as many items as its chunk */
        bool in_order;       /* chunk i is in place i % ahead; else: */
        struct place *free;  /* by next */
        struct place *ended; /* oldest first */
        struct place **ended_tail;
        int error; /* the first */
        struct place places[];
};

static size_t run_bytes(size_t ahead)
{
        return sizeof(struct map_run) + ahead * sizeof(struct place);
}

/* ---- what is asked for ---- */

/* For the defaults. */
static size_t workers_of(ouro_executor *executor)
{
        struct ouro_stats stats = {.size = sizeof stats};

        if (executor->ops->stats)
                executor->ops->stats(executor, &stats);
        return stats.workers ? (size_t)stats.workers : cpus_usable();
}

static size_t default_chunk(size_t n, size_t workers)
{
        size_t chunk = (n + workers * JOBS_PER_WORKER - 1) / (workers * JOBS_PER_WORKER);

        return chunk > CHUNK_MOST ? CHUNK_MOST : chunk ? chunk : 1;
}

static int read_options(const ouro_executor *executor, const struct ouro_map_options *given,
                        struct ouro_map_options *options)
{
        if (given && options_read(options, sizeof *options, given) < 0)
                return -EINVAL;
        if (options->job.ret_report || options->ahead > AHEAD_MOST)
                return -EINVAL;
        return job_read_options(executor, options->job.size ? &options->job : NULL, &options->job);
}

/* The executor calls fn for each item of a job? Others get jobs of one item. */
static bool takes_chunks(const ouro_executor *executor)
{
        return executor->ops->can & (OURO_CAN_MAP | OURO_CAN_ABANDON);
}

static struct map_run *new_run(ouro_executor *executor, size_t n, const struct ouro_map_options *options)
{
        size_t workers = workers_of(executor), ahead = options->ahead, chunk = 1, chunks;
        struct map_run *run;

        if (takes_chunks(executor))
                chunk = options->chunk ? options->chunk : default_chunk(n, workers);
        chunks = n / chunk + (n % chunk != 0);
        if (ahead == 0)
                ahead = workers * AHEAD_PER_WORKER;
        if (ahead > chunks)
                ahead = chunks;
        run = mem_calloc(run_bytes(ahead));
        if (!run)
                return NULL;
        run->options = options;
        run->takes_chunks = takes_chunks(executor);
        run->in_order = options->each && !options->as_completed;
        run->ahead = ahead;
        run->n = n;
        run->chunk = chunk;
        run->chunks = chunks;
        run->ended_tail = &run->ended;
        for (size_t i = 0; i < ahead; i++) {
                run->places[i] = (struct place){.run = run, .next = run->free};
                run->free = &run->places[i];
        }
        return run;
}

/* ---- the window ---- */

static struct place *take_place(struct map_run *run)
{
        struct place *place = run->in_order ? &run->places[run->submitted % run->ahead] : run->free;

        if (!run->in_order)
                run->free = place->next;
        place->chunk = run->submitted++;
        place->ended = false;
        return place;
}

/* The next that each is to be told of, or NULL: it has not ended. */
static struct place *next_ended(struct map_run *run)
{
        struct place *place = run->in_order ? &run->places[run->told % run->ahead] : run->ended;

        if (run->in_order)
                return run->told < run->submitted && place->ended ? place : NULL;
        if (!place)
                return NULL;
        run->ended = place->next;
        if (!run->ended)
                run->ended_tail = &run->ended;
        return place;
}

static void give_place(struct map_run *run, struct place *place)
{
        run->told++;
        if (run->in_order)
                return;
        place->next = run->free;
        run->free = place;
}

static void chunk_ended(struct job_more *more, intptr_t result)
{
        struct place *place = more->of_map;
        struct map_run *run = place->run;
        struct coro *waiting = run->waiting;

        if (!run->takes_chunks && run->options->ret_values) /* the job is the item */
                run->options->ret_values[place->chunk] = result;
        else if (result < 0 && run->error == 0)
                run->error = (int)result;
        place->ended = true;
        if (!run->in_order) {
                place->next = NULL;
                *run->ended_tail = place;
                run->ended_tail = &place->next;
        }
        run->waiting = NULL;
        if (waiting)
                coro_wake(&run->loop->sched, waiting, 0);
}

static size_t items_of(const struct map_run *run, size_t chunk)
{
        return chunk + 1 < run->chunks ? run->chunk : run->n - chunk * run->chunk;
}

static void *at(const char *base, size_t bytes, size_t i)
{
        return bytes ? (char *)(uintptr_t)base + i * bytes : NULL;
}

static int submit_next(struct map_run *run)
{
        struct place *place = take_place(run);
        size_t first = place->chunk * run->chunk, items = items_of(run, place->chunk);
        struct map_job job = run->job;

        job.in = ouro_in(at(run->items, run->item_bytes, first), items * run->item_bytes);
        job.out = ouro_out(at(run->results, run->result_bytes, first), items * run->result_bytes);
        job.of_map = place;
        if (run->takes_chunks)
                job.map = (struct job_map){
                        .items = items,
                        .item_bytes = run->item_bytes,
                        .result_bytes = run->result_bytes,
                        .values = run->options->ret_values ? run->options->ret_values + first : NULL,
                };
        return job_submit_map(run->loop, &job);
}

/* ---- the map ---- */

static void cut_chunk_wait(struct sched *sched, struct coro *coro, int interrupt)
{
        struct map_run *run = coro->waiter.what;

        run->waiting = NULL;
        coro_wake(sched, coro, interrupt);
}

static void chunk_target(const struct coro *coro, struct wait_target *target)
{
        const struct map_run *run = coro->waiter.what;

        target->object = run->job.executor;
}

static const struct wait_kind waits_for_chunk = {
        .name = "a chunk of its map", .cut = cut_chunk_wait, .target = chunk_target};

static int wait_for_chunk(struct map_run *run)
{
        struct coro *self = run->loop->sched.current;

        if (self->interrupt)
                return self->interrupt;
        self->waiter.what = run;
        run->waiting = self;
        return (int)coro_wait(&run->loop->sched, &waits_for_chunk);
}

static int tell(struct map_run *run, struct place *place)
{
        size_t first = place->chunk * run->chunk, items = items_of(run, place->chunk);
        int result = 0;

        if (run->options->each)
                result = run->options->each(run->options->arg, first, items);
        give_place(run, place);
        return result < 0 ? result : 0;
}

static int go_through(struct map_run *run)
{
        int error = 0;

        while (error == 0 && run->error == 0 && run->told < run->chunks) {
                struct place *place;

                if (run->submitted < run->chunks && run->submitted - run->told < run->ahead)
                        error = submit_next(run);
                else if ((place = next_ended(run)))
                        error = tell(run, place);
                else
                        error = wait_for_chunk(run);
        }
        if (error == 0 && run->error == -ECANCELED) /* because the map was cut short, maybe */
                error = run->loop->sched.current->interrupt;
        return error ? error : run->error;
}

static int map_in_group(struct map_run *run)
{
        struct ouro_group group;
        int error;

        ouro_group_open(&group, OURO_GROUP_KEEP, NULL);
        error = go_through(run);
        ouro_group_leave(&group);
        return error;
}

int ouro_map(ouro_executor *executor, ouro_job_fn *fn, const void *items, size_t item_bytes, size_t n,
             void *results, size_t result_bytes, const struct ouro_map_options *given)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        struct ouro_loop *loop = loop_here();
        struct map_run *run;
        size_t bytes;
        int error;

        if (!loop)
                return -EPERM;
        if (!executor || !fn || (n && item_bytes && !items) || (n && result_bytes && !results) ||
            __builtin_mul_overflow(n, item_bytes, &bytes) || __builtin_mul_overflow(n, result_bytes, &bytes))
                return -EINVAL;
        error = read_options(executor, given, &options);
        if (error < 0 || n == 0)
                return error;
        if (options.ret_values)
                for (size_t i = 0; i < n; i++)
                        options.ret_values[i] = -ECANCELED;
        if (loop->sched.current->interrupt)
                return loop->sched.current->interrupt;
        run = new_run(executor, n, &options);
        if (!run)
                return -ENOMEM;
        run->loop = loop;
        run->items = items;
        run->results = results;
        run->item_bytes = item_bytes;
        run->result_bytes = result_bytes;
        run->job = (struct map_job){
                .executor = executor, .fn = fn, .options = &options.job, .ended = chunk_ended};
        error = map_in_group(run);
        mem_free(run, run_bytes(run->ahead));
        return error;
}
