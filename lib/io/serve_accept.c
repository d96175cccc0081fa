/* serve_accept.c - the task that accepts from one listening socket: within the server's limits, and without
 * haste where descriptors or memory are short.
 *
 * Without a bound on connections the kernel accepts ahead of us, by a multishot; with one, what has been
 * accepted and may not be served yet would hold descriptors, and so they are accepted one by one.
 *
 * What a connection needs in memory is there before it is accepted. So one that has been accepted is served,
 * also by an acceptor that has just been cancelled. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/serve.h"

static const int64_t BACK_OFF_FIRST_NS = OURO_MS(5);
static const int64_t BACK_OFF_MOST_NS = OURO_SEC(1);
static const int64_t SHORTAGE_TOLD_EVERY_NS = OURO_SEC(1);

enum { ERRORS_IN_A_ROW = 16 }; /* of single connections; more, and it is the listener's trouble */

static bool is_shortage(int error)
{
        return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* What belongs to the one connection that would have been accepted, see accept(2). */
static bool is_of_one_connection(int error)
{
        static const int those[] = {ECONNABORTED, EPROTO,       ENETDOWN,    ENOPROTOOPT, EHOSTDOWN,
                                    ENONET,       EHOSTUNREACH, ENETUNREACH, EOPNOTSUPP,  EPERM,
                                    ECONNRESET,   ETIMEDOUT,    EPIPE};

        for (size_t i = 0; i < sizeof those / sizeof *those; i++)
                if (error == -those[i])
                        return true;
        return false;
}

static bool is_full(const struct ouro_server *server)
{
        return server->stats.open >= server->most;
}

/* Until something has changed. 0, -ECANCELED, -ETIME. */
static int await_change(struct ouro_server *server)
{
        ouro_event_clear(&server->changed);
        return ouro_event_wait(&server->changed);
}

static int await_room(struct ouro_server *server)
{
        int error = 0;

        while (error == 0 && is_full(server))
                error = await_change(server);
        return error;
}

/* Once each time, and not at every turn where room comes and goes. */
static void tell_shortage(struct ouro_server *server, int error)
{
        int64_t now_ns = loop_now(server->loop);
        bool told = server->shortage || (server->stats.back_offs > 0 &&
                                         now_ns - server->shortage_told_ns < SHORTAGE_TOLD_EVERY_NS);

        server->stats.back_offs++;
        server->shortage = true;
        if (told)
                return;
        server->shortage_told_ns = now_ns;
        log_line(OURO_LOG_WARNING, "server of %s: cannot accept: error %d (%s); it tries again, %zu open",
                 server->site.name, -error, strerror(-error), server->stats.open);
}

/* Until a connection has ended, or a while. 0, or how the acceptor was cut short. */
static int back_off(struct listener *listener)
{
        struct ouro_scope scope;
        int error;

        listener->back_off_ns = listener->back_off_ns ? listener->back_off_ns * 2 : BACK_OFF_FIRST_NS;
        if (listener->back_off_ns > BACK_OFF_MOST_NS)
                listener->back_off_ns = BACK_OFF_MOST_NS;
        ouro_scope_open(&scope, listener->back_off_ns, NULL);
        error = await_change(listener->server);
        if (ouro_scope_close(&scope) == 1)
                error = 0;
        return error;
}

static void refuse(struct ouro_server *server, int fd)
{
        server->stats.accepted++;
        server->stats.refused++;
        ouro_close(fd);
}

/* Serves what was accepted, at the latest when the acceptor is cut short. 0, or how it was. */
static int take(struct listener *listener, int fd)
{
        struct ouro_server *server = listener->server;
        struct connection *connection = listener->spare;
        int cut, error;

        listener->back_off_ns = 0;
        listener->errors = 0;
        server->shortage = false;
        if (server->options.when_full == OURO_SERVE_REFUSE && is_full(server)) {
                refuse(server, fd);
                return 0;
        }
        cut = await_room(server); /* another acceptor may have been faster */
        listener->spare = NULL;
        error = serve_connection(server, connection, fd);
        if (error == 0 || cut)
                return cut;
        tell_shortage(server, error);
        return back_off(listener);
}

static int fails(struct listener *listener, int error)
{
        if (is_shortage(error)) {
                tell_shortage(listener->server, error);
                return back_off(listener);
        }
        if (!is_of_one_connection(error))
                return error;
        listener->server->stats.aborted++;
        return ++listener->errors < ERRORS_IN_A_ROW ? 0 : back_off(listener);
}

static bool has_spare(struct listener *listener)
{
        if (!listener->spare)
                listener->spare = mem_calloc(sizeof *listener->spare);
        return listener->spare != NULL;
}

static int next_connection(struct listener *listener)
{
        return listener->ahead ? acceptor_next(&listener->acceptor) : ouro_accept(listener->fd, NULL, NULL);
}

/* One connection, or one error. */
static int accept_one(struct listener *listener)
{
        int fd = has_spare(listener) ? next_connection(listener) : -ENOMEM;

        return fd >= 0 ? take(listener, fd) : fails(listener, fd);
}

static void begin(struct listener *listener)
{
        if (listener->server->most == SIZE_MAX)
                listener->ahead = acceptor_open(&listener->acceptor, listener->fd) == 0;
}

/* Those that the kernel has accepted already are served. */
static void end(struct listener *listener)
{
        if (!listener->ahead)
                return;
        OURO_SHIELD
        {
                while (listener->acceptor.queued > 0 && has_spare(listener))
                        take(listener, acceptor_next(&listener->acceptor));
        }
        acceptor_close(&listener->acceptor);
        listener->ahead = false;
}

intptr_t serve_accept(void *arg)
{
        struct listener *listener = arg;
        struct ouro_server *server = listener->server;
        int error = 0;

        begin(listener);
        while (error == 0 && !server->stopping) {
                if (server->options.when_full == OURO_SERVE_WAIT)
                        error = await_room(server);
                if (error == 0)
                        error = accept_one(listener);
        }
        end(listener);
        if (error < 0 && error != -ECANCELED && error != -ETIME)
                serve_stop(server, error);
        return 0;
}
