/* processes.c - opening and closing a process pool. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "executors/arena.h"
#include "executors/config.h"
#include "base/cpus.h"
#include "executors/launch.h"
#include "executors/process_pool.h"
#include "task/poller.h"

enum {
        QUEUE_DEFAULT = 1024,
        QUEUE_MOST = 1 << 20,
        AHEAD_DEFAULT = 64,
        DEATHS_DEFAULT = 3,
        CRASHES_DEFAULT = 8,
        ENTRIES_LEAST = 8,
        FDS_MOST = 1024,
};

static const int64_t GRACE_DEFAULT_NS = 1000 * 1000 * 1000;
static const int64_t BACKOFF_DEFAULT_NS = 10 * 1000 * 1000;
static const int64_t BACKOFF_MOST_NS = INT64_C(3600) * 1000 * 1000 * 1000;
static const int64_t AGES_NS = INT64_MAX / 2;
static const uint64_t MESSAGE_DEFAULT_BYTES = UINT64_C(2) << 30;
static const uint64_t MESSAGE_LEAST_BYTES = 4096;
static const uint64_t MESSAGE_MOST_BYTES = UINT64_C(1) << 40;

/* ---- options ---- */

static uint64_t power_of_two(uint64_t least)
{
        uint64_t n = 1;

        while (n < least)
                n *= 2;
        return n;
}

/* What they have in common is checked as they are packed, see config.h. */
static int check_options(const struct ouro_process_options *options)
{
        if (options->workers > WORKERS_MOST || options->standby > WORKERS_MOST ||
            options->queue > QUEUE_MOST || options->ahead > AHEAD_MOST ||
            options->message_bytes > MESSAGE_MOST_BYTES || (unsigned)options->start > OURO_START_HELPER ||
            options->fds_len > FDS_MOST || options->backoff_ns < 0 || options->backoff_ns > BACKOFF_MOST_NS ||
            options->idle_ns < 0 || (!options->in.base && options->in.len) ||
            (!options->fds && options->fds_len))
                return -EINVAL;
        if (options->standby > 0 &&
            options->arena_per_worker) /* whose arena would one have that stands by? */
                return -EINVAL;
        return 0;
}

/* So that a point in time can be told: "never" is often said as the largest number. */
static int64_t not_for_ever(int64_t ns)
{
        return ns < AGES_NS ? ns : AGES_NS;
}

static void set_defaults(struct ouro_process_options *options)
{
        if (!options->workers)
                options->workers = cpus_usable();
        if (options->workers > WORKERS_MOST)
                options->workers = WORKERS_MOST;
        if (!options->queue)
                options->queue = QUEUE_DEFAULT;
        if (!options->ahead)
                options->ahead = AHEAD_DEFAULT;
        if (options->output == OURO_OUTPUT_CAPTURE)
                options->ahead = 1;
        if (!options->message_bytes)
                options->message_bytes = MESSAGE_DEFAULT_BYTES;
        if (options->message_bytes < MESSAGE_LEAST_BYTES)
                options->message_bytes = MESSAGE_LEAST_BYTES;
        if (!options->arena_bytes)
                options->arena_bytes = CONFIG_ARENA_BYTES;
        if (!options->output_bytes)
                options->output_bytes = CONFIG_OUTPUT_BYTES;
        if (!options->grace_ns)
                options->grace_ns = GRACE_DEFAULT_NS;
        if (!options->deaths)
                options->deaths = DEATHS_DEFAULT;
        if (!options->crashes)
                options->crashes = CRASHES_DEFAULT;
        if (!options->backoff_ns)
                options->backoff_ns = BACKOFF_DEFAULT_NS;
        options->grace_ns = not_for_ever(options->grace_ns);
        options->idle_ns = not_for_ever(options->idle_ns);
        options->spin_ns = not_for_ever(options->spin_ns);
}

/* ---- parts: each is freed by free_pool() in whatever state opening was ---- */

static int open_events(struct process_pool *pool)
{
        pool->doorbell = sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (pool->doorbell < 0)
                return pool->doorbell;
        pool->nudge = sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        return pool->nudge < 0 ? pool->nudge : 0;
}

static int copy_fds(struct process_pool *pool, const int *fds)
{
        size_t n = pool->options.fds_len;

        if (n == 0)
                return 0;
        pool->fds = mem_alloc(n * sizeof(int));
        pool->fd_numbers = mem_alloc(n * sizeof(int));
        if (!pool->fds || !pool->fd_numbers)
                return -ENOMEM;
        memcpy(pool->fd_numbers, fds, n * sizeof(int));
        for (size_t i = 0; i < n; i++)
                pool->fds[i] = -1;
        for (size_t i = 0; i < n; i++) {
                pool->fds[i] = sys_result(fcntl(fds[i], F_DUPFD_CLOEXEC, 0));
                if (pool->fds[i] < 0)
                        return pool->fds[i];
        }
        return 0;
}

static int copy_helper(struct process_pool *pool, const char *helper)
{
        if (!helper)
                return 0;
        pool->helper = mem_alloc(strlen(helper) + 1);
        if (!pool->helper)
                return -ENOMEM;
        strcpy(pool->helper, helper);
        return 0;
}

static int open_arena(struct process_pool *pool)
{
        struct arena *arena = mem_calloc(sizeof *arena);
        int error;

        if (!arena)
                return -ENOMEM;
        error = arena_open(arena, pool->options.arena_bytes,
                           pool->options.arena_per_worker ? pool->options.workers : 0);
        if (error < 0) {
                mem_free(arena, sizeof *arena);
                return error;
        }
        pool->arena = arena;
        pool->options.arena_bytes = arena->part_bytes;
        return 0;
}

static size_t records_bytes(const struct process_pool *pool)
{
        return pool->entries * sizeof(struct record *);
}

static size_t polls_bytes(const struct process_pool *pool)
{
        return (pool->workers_len + 3) * sizeof(struct pollfd);
}

static int make_workers(struct process_pool *pool)
{
        pool->seats = mem_calloc(pool->seats_len * sizeof *pool->seats);
        pool->workers = mem_calloc(pool->workers_len * sizeof *pool->workers);
        pool->poll_fds = mem_calloc(polls_bytes(pool));
        if (!pool->seats || !pool->workers || !pool->poll_fds)
                return -ENOMEM;
        for (unsigned i = 0; i < pool->seats_len; i++)
                line_init(&pool->seats[i].bound);
        for (unsigned i = 0; i < pool->workers_len; i++) {
                pool->workers[i].index = i;
                pool->workers[i].records = mem_calloc(records_bytes(pool));
                if (!pool->workers[i].records)
                        return -ENOMEM;
        }
        return 0;
}

static void free_workers(struct process_pool *pool)
{
        for (unsigned i = 0; pool->workers && i < pool->workers_len; i++)
                mem_free(pool->workers[i].records, records_bytes(pool));
        mem_free(pool->workers, pool->workers_len * sizeof *pool->workers);
        mem_free(pool->seats, pool->seats_len * sizeof *pool->seats);
        mem_free(pool->poll_fds, polls_bytes(pool));
}

static void close_fd(int fd)
{
        if (fd >= 0)
                close(fd);
}

static void free_fds(struct process_pool *pool)
{
        size_t n = pool->options.fds_len;

        for (size_t i = 0; pool->fds && i < n; i++)
                close_fd(pool->fds[i]);
        mem_free(pool->fds, n * sizeof(int));
        mem_free(pool->fd_numbers, n * sizeof(int));
        close_fd(pool->doorbell);
        close_fd(pool->nudge);
        close_fd(pool->config);
        if (pool->zygote >= 0)
                launch_end(pool->zygote);
}

static void free_pool(struct process_pool *pool)
{
        free_fds(pool);
        free_workers(pool);
        records_release(pool);
        functions_fini(&pool->functions);
        if (pool->arena) {
                arena_close(pool->arena);
                mem_free(pool->arena, sizeof *pool->arena);
        }
        if (pool->helper)
                mem_free(pool->helper, strlen(pool->helper) + 1);
        mem_free(pool->pollers, pool->pollers_room * sizeof *pool->pollers);
        if (pool->executor.state)
                ouro_executor_fini(&pool->executor);
        pthread_mutex_destroy(&pool->lock);
        mem_free(pool, sizeof *pool);
}

void pool_destroy(ouro_executor *executor)
{
        struct process_pool *pool = pool_of(executor);

        pthread_join(pool->supervisor, NULL);
        for (size_t i = 0; i < pool->pollers_len; i++)
                poller_detach(pool->pollers[i]);
        free_pool(pool);
}

/* ---- opening ---- */

static struct process_pool *new_pool(const struct ouro_process_options *options)
{
        struct process_pool *pool = mem_calloc(sizeof *pool);

        if (!pool)
                return NULL;
        pool->options = *options;
        pool->doorbell = pool->nudge = pool->config = pool->zygote = -1;
        pool->seats_len = options->workers;
        pool->workers_len = options->workers + options->standby;
        pool->ahead = options->ahead;
        pool->job_ns = JOB_NS_MOST; /* nothing is known of them yet */
        pool->queue = options->queue;
        pool->recycle_jobs = options->recycle_jobs;
        pool->recycle_bytes = options->recycle_bytes;
        pool->data_bytes = power_of_two(options->message_bytes);
        pool->entries = (uint32_t)power_of_two(2 * options->ahead);
        if (pool->entries < ENTRIES_LEAST)
                pool->entries = ENTRIES_LEAST;
        pool->timings = options->timings;
        pool->capture = options->output == OURO_OUTPUT_CAPTURE;
        pthread_mutex_init(&pool->lock, NULL);
        line_init(&pool->line);
        loads_init(pool);
        return pool;
}

/* What the options point to is the caller's: all of it is copied by now. */
static void forget_pointers(struct ouro_process_options *options)
{
        options->helper = options->name = options->directory = NULL;
        options->read_paths = options->write_paths = options->environment = NULL;
        options->in = OURO_NO_IN;
        options->limits = NULL;
        options->cpus = NULL;
        options->fds = NULL;
}

static int fill_pool(struct process_pool *pool)
{
        int error = open_events(pool);

        if (error == 0)
                error = functions_init(&pool->functions);
        if (error == 0)
                error = make_workers(pool);
        if (error == 0)
                error = open_arena(pool);
        if (error == 0)
                error = config_pack(&pool->options, (uint64_t)(uintptr_t)pool->arena->address, &pool->config);
        if (error == 0)
                error = copy_fds(pool, pool->options.fds);
        if (error == 0)
                error = copy_helper(pool, pool->options.helper);
        if (error == 0)
                error = ouro_executor_init(&pool->executor, &process_pool_ops);
        forget_pointers(&pool->options);
        if (error == 0)
                error = zygote_start(pool);
        if (error == 0)
                error = supervisor_start(pool);
        return error;
}

static int open_pool(struct ouro_process_options options, ouro_executor **ret_executor)
{
        struct process_pool *pool;
        int error = check_options(&options);

        if (error < 0)
                return error;
        set_defaults(&options);
        pool = new_pool(&options);
        if (!pool)
                return -ENOMEM;
        error = fill_pool(pool);
        if (error < 0)
                free_pool(pool);
        else
                *ret_executor = &pool->executor;
        return error;
}

int ouro_process_pool_open(const struct ouro_process_options *given, ouro_executor **ret_executor)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        int saved_errno = errno, error = 0; /* libc writes it in some of what is done here */

        if (!ret_executor)
                return -EINVAL;
        if (given)
                error = options_read(&options, sizeof options, given);
        if (error == 0)
                error = open_pool(options, ret_executor);
        errno = saved_errno;
        return error;
}

ouro_executor *ouro_process_pool(const struct ouro_process_options *options)
{
        ouro_executor *executor = NULL;

        return ouro_process_pool_open(options, &executor) == 0 ? executor : NULL;
}

struct arena *process_pool_arena(ouro_executor *executor)
{
        return executor && executor->ops == &process_pool_ops ? pool_of(executor)->arena : NULL;
}
