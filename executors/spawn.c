/* spawn.c - the host's side of making workers: the zygote, and for each worker a lane and a message.
 *
 * All of it is done by the supervisor (the first zygote by who opens the pool), without the pool's lock but
 * where it says so. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "executors/arena.h"
#include "executors/launch.h"
#include "executors/output.h"
#include "executors/process_pool.h"

enum {
        ANSWER_MS = 60 * 1000, /* for a zygote under a debugger or a slow emulator */
        ARENA_TRIES = 4,
};

/* ---- zygote ---- */

static int send_inherited(const struct process_pool *pool, int zygote)
{
        for (size_t i = 0; i < pool->options.fds_len; i++) {
                const struct zygote_message message = {.verb = ZYGOTE_FD, .pid = pool->fd_numbers[i]};
                int error = zygote_send(zygote, &message, &pool->fds[i], 1);

                if (error < 0)
                        return error;
        }
        return 0;
}

static int send_config(const struct process_pool *pool, int zygote)
{
        const struct zygote_message message = {.verb = ZYGOTE_CONFIG};
        const int fds[] = {pool->config, pool->doorbell,
                           pool->options.arena_per_worker ? -1 : pool->arena->part[0].fd};

        return zygote_send(zygote, &message, fds, 3);
}

/* 0, or why it refuses. */
static int await_ready(int zygote)
{
        struct pollfd poll_fd = {.fd = zygote, .events = POLLIN};
        struct zygote_message message;
        int fds[ZYGOTE_FDS_MOST], got;

        do
                got = sys_result(poll(&poll_fd, 1, ANSWER_MS));
        while (got == -EINTR);
        if (got <= 0)
                return got < 0 ? got : -ETIMEDOUT;
        got = zygote_receive(zygote, &message, fds);
        if (got <= 0)
                return got < 0 ? got : -ENOEXEC;
        if (message.verb == ZYGOTE_REFUSED)
                return message.error < 0 ? message.error : -ENOEXEC;
        return message.verb == ZYGOTE_READY ? 0 : -ENOEXEC;
}

static int start_once(const struct process_pool *pool, int *ret_zygote)
{
        int zygote, error = launch_zygote(pool->options.start, pool->helper, &zygote);

        if (error < 0)
                return error;
        error = send_inherited(pool, zygote);
        if (error == 0)
                error = send_config(pool, zygote);
        if (error == 0)
                error = await_ready(zygote);
        if (error < 0)
                launch_end(zygote);
        else
                *ret_zygote = zygote;
        return error;
}

/* Where something of a new process lies at the arena's place, another one may have it elsewhere. */
int zygote_start(struct process_pool *pool)
{
        int zygote = -1, error = -EEXIST;

        for (int i = 0; i < ARENA_TRIES && error == -EEXIST; i++)
                error = start_once(pool, &zygote);
        if (error < 0)
                return error;
        pool->zygote = zygote;
        pool->zygote_born_ns = pool_clock_ns();
        return 0;
}

/* ---- workers ---- */

/* What a worker needs on the host's side; all of it or nothing. */
static int make_lane(const struct process_pool *pool, struct worker *worker, uint32_t number, int *ret_fd)
{
        int error = lane_create(&worker->lane, number, pool->entries, pool->data_bytes, ret_fd);

        if (error < 0)
                return error;
        worker->data_at = worker->lane.head->data_at;
        error = buddy_init(&worker->data, pool->data_bytes, DATA_LEAST_BYTES);
        if (error < 0) {
                lane_unmap(&worker->lane);
                close(*ret_fd);
                return error;
        }
        worker->output = -1;
        worker->output_bytes = pool->options.output_bytes;
        if (pool->capture)
                error = output_create(worker->output_bytes, &worker->output);
        if (error < 0) {
                buddy_fini(&worker->data);
                lane_unmap(&worker->lane);
                close(*ret_fd);
        }
        return error;
}

static int ask_zygote(const struct process_pool *pool, const struct worker *worker, const struct seat *seat,
                      int lane_fd)
{
        const struct zygote_message message = {
                .verb = ZYGOTE_SPAWN,
                .worker = worker->index,
                .generation = worker->generation,
        };
        const bool own = pool->options.arena_per_worker;
        const int fds[] = {lane_fd, own ? pool->arena->part[seat - pool->seats].fd : -1, worker->output};

        return zygote_send(pool->zygote, &message, fds, 3);
}

/* The worker's struct is in no use. seat NULL: it stands by. On success it takes jobs. */
int worker_spawn(struct process_pool *pool, struct worker *worker, struct seat *seat)
{
        struct worker fresh = {.index = worker->index, .records = worker->records, .pidfd = -1, .output = -1};
        uint32_t number = seat ? (uint32_t)(seat - pool->seats) : worker->index;
        struct later later;
        int lane_fd, error;

        check(worker->state == WORKER_NONE);
        error = make_lane(pool, &fresh, number, &lane_fd);
        if (error < 0)
                return error;
        fresh.generation = ++pool->generations;
        fresh.state = WORKER_ASKED_FOR;
        fresh.born_ns = fresh.seen_ns = pool_clock_ns();
        fresh.lowest = OURO_PRIORITY_HIGH;
        memset(fresh.records, 0, pool->entries * sizeof(struct record *));
        error = ask_zygote(pool, &fresh, seat, lane_fd);
        close(lane_fd);
        later_init(&later);
        pool_lock(pool);
        *worker = fresh;
        if (error < 0) { /* if the zygote is gone, that will be seen */
                worker->state = WORKER_GONE;
        } else if (seat) {
                worker_take_seat(pool, worker, seat, &later);
        }
        pool_unlock(pool, &later);
        return error == -EPIPE || error == -ECONNRESET ? 0 : error;
}

/* With the lock held. */
void worker_take_seat(struct process_pool *pool, struct worker *worker, struct seat *seat,
                      struct later *later)
{
        worker->seat = seat;
        worker->lane.head->worker = (uint32_t)(seat - pool->seats);
        seat->worker = worker;
        if (seat->died)
                pool->restarts++;
        seat->died = false;
        worker_list(pool, worker);
        dispatch(pool, later);
        rebalance(pool, true, later);
}

/* Frees what dead workers have left, once nobody copies from it. */
void workers_bury(struct process_pool *pool)
{
        for (unsigned i = 0; i < pool->workers_len; i++) {
                struct worker *worker = &pool->workers[i], dead;

                if (worker->state != WORKER_GONE)
                        continue;
                pool_lock(pool);
                dead = *worker;
                if (dead.pins == 0)
                        worker->state = WORKER_NONE;
                pthread_mutex_unlock(&pool->lock);
                if (dead.pins > 0)
                        continue;
                buddy_fini(&dead.data);
                lane_unmap(&dead.lane);
                if (dead.pidfd >= 0)
                        close(dead.pidfd);
                if (dead.output >= 0)
                        close(dead.output);
        }
}
