/* serve.c - the life of a server, in the task that called for it: listen, serve until told to stop, drain,
 * end.
 *
 * Two groups of that task's hold all that runs here. Acceptors and the watcher of signals are in the inner
 * ones, which are closed before the connections' group: nobody joins that once it is being closed. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/options.h"
#include "io/serve.h"

enum { STACK_LEAST = STACK_MIN_BYTES, STREAM_BYTES = 64 * 1024 };

static const int64_t DRAIN_DEFAULT_NS = OURO_SEC(30);

/* ---- options ---- */

static bool out_of_range(const struct ouro_serve_options *options)
{
        const unsigned known = OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM;

        if ((options->addresses_len > 0 && !options->addresses) ||
            (options->listeners_len > 0 && !options->listeners))
                return true;
        if (options->when_full != OURO_SERVE_WAIT && options->when_full != OURO_SERVE_REFUSE)
                return true;
        if (options->stack_bytes &&
            (options->stack_bytes < STACK_LEAST || options->stack_bytes > STACK_MAX_BYTES))
                return true;
        return options->idle_ns < 0 || options->total_ns < 0 || (options->signals & ~known);
}

/* Of a connection's streams: the upgraded one has as much again. */
static size_t buffer_bytes(const struct ouro_server *server)
{
        const struct ouro_stream_options *given = server->options.stream;
        size_t read_bytes = given && given->read_bytes ? given->read_bytes : STREAM_BYTES;
        size_t write_bytes = given && given->write_bytes ? given->write_bytes : STREAM_BYTES;

        if (!server->fn)
                return 0;
        return (read_bytes + write_bytes) * (server->options.upgrade ? 2 : 1);
}

static size_t connection_bytes(const struct ouro_server *server)
{
        size_t stack = server->options.stack_bytes;

        return (stack ? stack : server->loop->sched.stacks.stack_bytes) + sizeof(struct connection) +
               buffer_bytes(server);
}

/* How many connections may be open at once. 0: not even one. */
static size_t most_connections(const struct ouro_server *server)
{
        size_t most = server->options.connections ? server->options.connections : SIZE_MAX;
        size_t by_memory = SIZE_MAX;

        if (server->options.memory_bytes)
                by_memory = server->options.memory_bytes / connection_bytes(server);
        return most < by_memory ? most : by_memory;
}

static int read_options(struct ouro_server *server, const struct ouro_serve_options *given)
{
        struct ouro_serve_options *options = &server->options;

        if (given && options_read(options, sizeof *options, given) < 0)
                return -EINVAL;
        if (out_of_range(options))
                return -EINVAL;
        if (options->drain_ns == 0)
                options->drain_ns = DRAIN_DEFAULT_NS;
        server->site.name = options->name ? options->name : "connection";
        server->most = most_connections(server);
        return server->most > 0 ? 0 : -EINVAL;
}

/* ---- being told ---- */

void serve_stop(struct ouro_server *server, int error)
{
        if (server->error == 0)
                server->error = error;
        if (server->stopping)
                return;
        server->stopping = true;
        ouro_event_set(&server->told);
        serve_wake_resting(server);
}

void serve_hurry(struct ouro_server *server)
{
        server->hurry = true;
        ouro_event_set(&server->changed);
}

/* Ends when the server's group of helpers is cancelled. */
static intptr_t heed_signals(void *arg)
{
        struct ouro_server *server = arg;
        ouro_signals *signals = server->signals;
        int number;

        while ((number = ouro_signals_next(signals, NULL)) > 0) {
                if (server->stopping)
                        serve_hurry(server);
                serve_stop(server, 0);
        }
        return number == -ECANCELED || number == -ETIME ? 0 : number;
}

static int open_signals(struct ouro_server *server)
{
        sigset_t set;

        if (!server->options.signals)
                return 0;
        sigemptyset(&set);
        if (server->options.signals & OURO_INTERRUPT_SIGINT)
                sigaddset(&set, SIGINT);
        if (server->options.signals & OURO_INTERRUPT_SIGTERM)
                sigaddset(&set, SIGTERM);
        return ouro_signals_open(&set, &server->signals);
}

/* One that came meanwhile asked for what has been done: it must not end the process now. */
static void close_signals(struct ouro_server *server)
{
        if (!server->signals)
                return;
        while (ouro_signals_try_next(server->signals, NULL) > 0)
                ;
        ouro_signals_close(server->signals);
}

/* ---- serving ---- */

static const struct ouro_site acceptor_site = {.name = "acceptor"};
static const struct ouro_site signals_site = {.name = "server's signals"};

static bool start(struct ouro_group *group, ouro_fn *fn, void *arg, const struct ouro_site *site)
{
        return !task_is_failed(ouro_create_task_in_at(group, fn, arg, site));
}

/* Serves until told to stop. 0, or what ended it. */
static int accept_until_told(struct ouro_server *server)
{
        struct ouro_group acceptors;
        int error = 0;

        ouro_group_open(&acceptors, 0, NULL);
        for (size_t i = 0; i < server->listeners_len && error == 0; i++)
                if (!start(&acceptors, serve_accept, &server->listeners[i], &acceptor_site))
                        error = -ENOMEM;
        if (error == 0 && server->options.on_ready)
                error = server->options.on_ready(server, server->arg);
        if (error >= 0)
                error = ouro_event_wait(&server->told);
        serve_stop(server, error < 0 ? error : 0);
        ouro_group_cancel(&acceptors);
        ouro_group_close(&acceptors);
        return error < 0 ? error : 0;
}

/* Waits for the connections to end, as long as they may. */
static void drain(struct ouro_server *server)
{
        struct ouro_scope scope;

        ouro_scope_open(&scope, server->options.drain_ns, NULL);
        while (server->stats.open > 0 && !server->hurry) {
                ouro_event_clear(&server->changed);
                if (ouro_event_wait(&server->changed) < 0)
                        break;
        }
        ouro_scope_close(&scope);
        if (server->stats.open == 0)
                return;
        log_line(OURO_LOG_INFO, "server of %s: cancelled %zu connections, to stop", server->site.name,
                 server->stats.open);
        ouro_group_cancel_with(&server->connections, "the server stops");
}

static int serve_and_drain(struct ouro_server *server)
{
        struct ouro_group helpers;
        int error = 0;

        ouro_group_open(&helpers, 0, NULL);
        if (server->signals && !start(&helpers, heed_signals, server, &signals_site))
                error = -ENOMEM;
        if (error == 0)
                error = accept_until_told(server);
        serve_stop_listening(server);
        if (error == 0)
                drain(server);
        ouro_group_cancel(&helpers);
        ouro_group_close(&helpers);
        return error;
}

static int listen_on_all(struct ouro_server *server, const char *address)
{
        const struct ouro_serve_options *options = &server->options;
        int error = 0;

        if (address)
                error = serve_listen(server, address);
        for (size_t i = 0; i < options->addresses_len && error == 0; i++)
                error = serve_listen(server, options->addresses[i]);
        for (size_t i = 0; i < options->listeners_len && error == 0; i++)
                error = serve_listen_on(server, options->listeners[i]);
        return error;
}

static int run_server(struct ouro_server *server, const char *address)
{
        int error = listen_on_all(server, address), cut;

        if (error == 0)
                error = open_signals(server);
        if (error < 0) {
                serve_stop_listening(server);
                return error;
        }
        serve_enter(server);
        ouro_group_open(&server->connections, OURO_GROUP_KEEP, NULL);
        serve_watch_idle(server);
        error = serve_and_drain(server);
        if (error < 0)
                ouro_group_cancel(&server->connections);
        cut = ouro_group_close(&server->connections);
        serve_unwatch_idle(server);
        serve_leave(server);
        close_signals(server);
        return server->error ? server->error : cut;
}

static int make_listeners(struct ouro_server *server, const char *address)
{
        size_t n = (address != NULL) + server->options.addresses_len + server->options.listeners_len;

        if (n == 0)
                return -EINVAL;
        server->listeners = mem_calloc(n * sizeof *server->listeners);
        server->listeners_room = n;
        return server->listeners ? 0 : -ENOMEM;
}

static void free_listeners(struct ouro_server *server)
{
        for (size_t i = 0; i < server->listeners_len; i++)
                mem_free(server->listeners[i].spare, sizeof *server->listeners[i].spare);
        mem_free(server->listeners, server->listeners_room * sizeof *server->listeners);
}

static int serve(const char *address, struct ouro_server *server, const struct ouro_serve_options *options)
{
        struct sched *sched = sched_current;
        int error;

        if (!sched)
                return -EPERM;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        server->loop = loop_of(sched);
        list_init(&server->open);
        list_init(&server->resting);
        error = read_options(server, options);
        if (error == 0)
                error = make_listeners(server, address);
        if (error == 0)
                error = run_server(server, address);
        free_listeners(server);
        return error;
}

int ouro_serve_fd(const char *address, ouro_serve_fd_fn *fn, void *arg,
                  const struct ouro_serve_options *options)
{
        struct ouro_server server = {.fd_fn = fn, .arg = arg};

        return fn ? serve(address, &server, options) : -EINVAL;
}

int ouro_serve(const char *address, ouro_serve_fn *fn, void *arg, const struct ouro_serve_options *options)
{
        struct ouro_server server = {.fn = fn, .arg = arg};

        return fn ? serve(address, &server, options) : -EINVAL;
}
