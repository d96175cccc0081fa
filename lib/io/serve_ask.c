/* serve_ask.c - what tasks ask of a server, and tell it: stop, rest, and what has happened.
 *
 * A server is found by its group: whoever works for one is in its group of connections, or in a group that
 * somebody in there has opened. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "io/serve.h"

static __thread struct ouro_server *servers_here;

void serve_enter(struct ouro_server *server)
{
        static _Atomic uint64_t ids;

        server->id = atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed) + 1;
        server->next = servers_here;
        servers_here = server;
}

void serve_leave(struct ouro_server *server)
{
        struct ouro_server **at = &servers_here;

        while (*at != server)
                at = &(*at)->next;
        *at = server->next;
}

static struct ouro_server *server_of_group(const struct ouro_group *group)
{
        struct ouro_server *server = servers_here;

        while (server && &server->connections != group)
                server = server->next;
        return server;
}

ouro_server *ouro_serve_self(void)
{
        struct ouro_loop *loop = loop_here();
        const struct task *task = loop && servers_here ? task_self(loop) : NULL;
        struct ouro_server *server = NULL;

        while (task && !server && task->group != &loop->root) {
                server = server_of_group(task->group);
                task = task->group->context.owner;
        }
        return server;
}

bool ouro_serve_stopping(void)
{
        const struct ouro_server *server = ouro_serve_self();

        return server && server->stopping;
}

/* ---- stop ---- */

/* To a server of another thread, which may have ended when this arrives. */
struct request {
        const struct ouro_server *server;
        uint64_t id;
};

static intptr_t stop_here(void *arg)
{
        struct request *request = arg;
        struct ouro_server *server = servers_here;

        while (server && (server != request->server || server->id != request->id))
                server = server->next;
        if (server)
                serve_stop(server, 0);
        mem_free(request, sizeof *request);
        return 0;
}

static int stop_there(const struct ouro_server *server)
{
        struct request *request = mem_alloc(sizeof *request);
        int error;

        if (!request)
                return -ENOMEM;
        *request = (struct request){server, server->id};
        error = ouro_post(server->loop, stop_here, request);
        if (error < 0)
                mem_free(request, sizeof *request);
        return error;
}

int ouro_serve_stop(ouro_server *server)
{
        if (!server)
                return -EINVAL;
        if (loop_here() != server->loop)
                return stop_there(server);
        serve_stop(server, 0);
        return 0;
}

/* ---- rest ---- */

void serve_wake_resting(struct ouro_server *server)
{
        struct ouro_list *node, *tmp;

        list_each_safe(node, tmp, &server->resting)
                ouro_scope_cancel_with(&container_of(node, struct ouro_serve_rest, link)->scope,
                                       "the server stops");
}

struct ouro_serve_rest *ouro_serve_rest_open(struct ouro_serve_rest *rest)
{
        struct ouro_server *server = ouro_serve_self();

        if (!rest)
                return NULL;
        ouro_scope_open(&rest->scope, OURO_FOREVER, NULL);
        list_init(&rest->link);
        if (!server)
                return rest;
        list_push(&server->resting, &rest->link);
        if (server->stopping)
                ouro_scope_cancel_with(&rest->scope, "the server stops");
        return rest;
}

int ouro_serve_rest_close(struct ouro_serve_rest *rest)
{
        int error;

        if (!rest)
                return -EINVAL;
        error = ouro_scope_close(&rest->scope);
        if (error < 0)
                return error;
        list_del(&rest->link);
        return ouro_scope_cancelled(&rest->scope);
}

void ouro_serve_rest_leave(struct ouro_serve_rest *rest)
{
        ouro_serve_rest_close(rest); /* does nothing where the block has closed it */
}

/* ---- what has happened ---- */

static int refuse(const struct ouro_server *server)
{
        if (!server)
                return -EINVAL;
        return loop_here() == server->loop ? 0 : -EPERM;
}

int ouro_serve_stats(const ouro_server *server, struct ouro_serve_counts *ret_counts)
{
        int error = refuse(server);
        size_t size;

        if (error < 0)
                return error;
        if (!ret_counts || ret_counts->size < sizeof size)
                return -EINVAL;
        size = ret_counts->size < sizeof server->stats ? ret_counts->size : sizeof server->stats;
        memcpy((char *)ret_counts + sizeof size, (const char *)&server->stats + sizeof size,
               size - sizeof size);
        return 0;
}

int ouro_serve_listener(const ouro_server *server, size_t i)
{
        int error = refuse(server);

        if (error < 0)
                return error;
        if (i >= server->listeners_len || server->listeners[i].fd < 0)
                return -ENOENT;
        return server->listeners[i].fd;
}

int ouro_serve_address(const ouro_server *server, size_t i, char *ret_text, size_t len)
{
        struct ouro_address address;
        int fd = ouro_serve_listener(server, i), error;

        if (fd < 0)
                return fd;
        if (!ret_text)
                return -EINVAL;
        error = ouro_local_address(fd, &address);
        return error < 0 ? error : ouro_address_format(&address, ret_text, len);
}
