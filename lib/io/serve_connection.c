/* serve_connection.c - one connection of a server: the task that serves it, the limits on it, and what is
 * made of its end.
 *
 * A record is in the server's list from when the task is created until it ends, and owns the descriptor. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/sys.h"
#include "io/serve.h"

enum { LOOKS = 4 }; /* in idle_ns */

static const int64_t FAILURES_TOLD_EVERY_NS = OURO_SEC(1);

/* ---- idle ones ---- */

/* Cuts it short if nothing has moved for too long. */
static void look_at(struct ouro_server *server, struct connection *connection, int64_t now_ns)
{
        uint32_t *word = ring_fd(&server->loop->ring, connection->fd);

        if (!word || (*word & FD_MOVED)) {
                if (word)
                        *word &= ~(uint32_t)FD_MOVED;
                connection->moved_ns = now_ns;
        } else if (now_ns - connection->moved_ns >= server->options.idle_ns) {
                ouro_scope_reschedule(&connection->limits, 0);
        }
}

static void look_at_all(struct ouro_loop *loop, struct loop_timer *timer)
{
        struct ouro_server *server = container_of(timer, struct ouro_server, sweep);
        int64_t now_ns = loop_now(loop);
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &server->open)
                look_at(server, container_of(node, struct connection, link), now_ns);
        serve_watch_idle(server);
}

void serve_watch_idle(struct ouro_server *server)
{
        int64_t idle_ns = server->options.idle_ns;

        if (idle_ns == 0 || idle_ns == OURO_FOREVER)
                return;
        server->sweep.fire = look_at_all;
        loop_timer_arm(server->loop, &server->sweep, idle_ns / LOOKS + (idle_ns % LOOKS > 0));
}

void serve_unwatch_idle(struct ouro_server *server)
{
        loop_timer_disarm(server->loop, &server->sweep);
}

/* ---- its end ---- */

static bool is_the_peers_doing(intptr_t error)
{
        return error == -EPIPE || error == -ECONNRESET || error == -ETIMEDOUT;
}

static void tell_failure(struct ouro_server *server, int error)
{
        int64_t now_ns = loop_now(server->loop);

        if (server->stats.failed > 1 && now_ns - server->failure_told_ns < FAILURES_TOLD_EVERY_NS) {
                server->failures_untold++;
                return;
        }
        log_line(OURO_LOG_WARNING, "server of %s: one has failed: error %d (%s); %llu more since last told",
                 server->site.name, -error, strerror(-error), (unsigned long long)server->failures_untold);
        server->failure_told_ns = now_ns;
        server->failures_untold = 0;
}

static void failed(struct ouro_server *server, int error)
{
        server->stats.failed++;
        tell_failure(server, error);
        if (!server->options.stop_on_failure)
                return;
        serve_stop(server, error);
        serve_hurry(server);
}

static void count_end(struct ouro_server *server, intptr_t result, bool expired)
{
        if (result >= 0)
                server->stats.served++;
        else if (expired)
                server->stats.timed_out++;
        else if (result == -ECANCELED)
                server->stats.cancelled++;
        else if (is_the_peers_doing(result))
                server->stats.lost++;
        else
                failed(server, (int)result);
}

static void forget(struct connection *connection)
{
        struct ouro_server *server = connection->server;

        list_del(&connection->link);
        mem_free(connection, sizeof *connection);
        server->stats.open--;
        ouro_event_set(&server->changed);
}

/* ---- its task ---- */

/* The number may be another file's from now on: nothing is to be looked at there. */
static int take_fd(struct connection *connection)
{
        int fd = connection->fd;

        connection->fd = -1;
        return fd;
}

static intptr_t handle_fd(struct connection *connection)
{
        const struct ouro_server *server = connection->server;
        intptr_t result = server->fd_fn(connection->fd, server->arg);

        ouro_close(take_fd(connection));
        return result;
}

/* On the stream that the handler is to have. */
static intptr_t handle_on(const struct ouro_server *server, ouro_stream *stream)
{
        intptr_t result = server->fn(stream, server->arg);
        int error = result >= 0 ? ouro_stream_flush(stream) : 0;

        return error < 0 ? error : result;
}

/* A peer that has not asked for anything yet does not hold up the end of the server. */
static intptr_t handle_upgraded(const struct ouro_server *server, ouro_stream **inout_stream)
{
        struct ouro_serve_rest rest;
        int error;

        ouro_serve_rest_open(&rest);
        error = server->options.upgrade(*inout_stream, server->options.upgrade_arg, inout_stream);
        ouro_serve_rest_close(&rest);
        return error < 0 ? error : handle_on(server, *inout_stream);
}

static intptr_t handle_stream(struct connection *connection)
{
        const struct ouro_server *server = connection->server;
        ouro_stream *stream;
        intptr_t result = ouro_stream_open(connection->fd, server->options.stream, &stream);

        if (result < 0) {
                ouro_close(take_fd(connection));
                return result;
        }
        result = server->options.upgrade ? handle_upgraded(server, &stream) : handle_on(server, stream);
        take_fd(connection);
        ouro_stream_close(stream);
        return result;
}

static intptr_t serve_one(void *arg)
{
        struct connection *connection = arg;
        struct ouro_server *server = connection->server;
        int64_t total_ns = server->options.total_ns;
        intptr_t result;
        int expired;

        ouro_scope_open(&connection->limits, total_ns ? total_ns : OURO_FOREVER, NULL);
        result = server->fn ? handle_stream(connection) : handle_fd(connection);
        expired = ouro_scope_close(&connection->limits);
        count_end(server, result, expired == 1);
        forget(connection);
        return 0;
}

/* The task can never start, for want of a stack. Outside any task: nothing can wait here. */
static void drop_one(void *arg)
{
        struct connection *connection = arg;
        struct ouro_server *server = connection->server;
        struct sched *sched = sched_current;

        (void)sys_result(close(connection->fd));
        ring_forget_fd(&server->loop->ring, connection->fd);
        server->stats.refused++;
        sched_current = &server->loop->sched;
        forget(connection);
        sched_current = sched;
}

int serve_connection(struct ouro_server *server, struct connection *connection, int fd)
{
        const struct ouro_task_options options = {.stack_bytes = server->options.stack_bytes,
                                                  .drop = drop_one};
        struct task *task;

        server->stats.accepted++;
        *connection = (struct connection){.server = server, .fd = fd, .moved_ns = loop_now(server->loop)};
        task = task_create(server->loop, &server->connections, serve_one, connection, &options,
                           &server->site);
        if (!task) {
                server->stats.refused++;
                mem_free(connection, sizeof *connection);
                ouro_close(fd);
                return -ENOMEM;
        }
        task->detached = 1;
        list_push(&server->open, &connection->link);
        if (++server->stats.open > server->stats.most_open)
                server->stats.most_open = server->stats.open;
        return 0;
}
