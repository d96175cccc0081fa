/* serve.c - servers of several loops that share a port, stopped by other threads while clients come and go.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 2, VISITS = 200, ROUNDS = 20 };

struct server {
        struct ouro_listen_options listen;
        char address[OURO_ADDRESS_TEXT];
        struct ouro_event ready;
        ouro_server *server;
        ouro_task task;
        uint64_t served; /* by its loop's thread alone */
};

static intptr_t echo(int fd, void *arg)
{
        struct server *server = arg;
        char byte;
        ssize_t n = ouro_recv(fd, &byte, 1, 0);

        if (n == 1)
                n = ouro_send(fd, &byte, 1, 0);
        server->served++;
        return n < 0 ? n : 0;
}

static int is_ready(ouro_server *ours, void *arg)
{
        struct server *server = arg;

        server->server = ours;
        expect(ouro_serve_address(ours, 0, server->address, sizeof server->address) > 0);
        ouro_event_set(&server->ready);
        return 0;
}

static intptr_t serve(void *arg)
{
        struct server *server = arg;
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;
        char address[OURO_ADDRESS_TEXT];

        memcpy(address, server->address, sizeof address);
        options.listen = &server->listen;
        options.on_ready = is_ready;
        options.idle_ns = OURO_SEC(60);
        return ouro_serve_fd(address, echo, server, &options);
}

static intptr_t begin(void *arg)
{
        struct server *server = arg;

        server->task = ouro_create_task(serve, server);
        return ouro_event_wait(&server->ready);
}

static intptr_t await_end(void *arg)
{
        struct server *server = arg;

        return ouro_await(server->task);
}

static void visit(const char *address)
{
        for (int i = 0; i < VISITS; i++) {
                char byte = (char)i, back = 0;
                int fd = ouro_dial(address);

                expect(fd >= 0);
                expect(ouro_send(fd, &byte, 1, 0) == 1);
                expect(ouro_recv(fd, &back, 1, 0) == 1 && back == byte);
                expect(ouro_close(fd) == 0);
        }
}

static intptr_t serve_from_several_loops(void *arg)
{
        static struct server servers[LOOPS];
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        uint64_t served = 0;
        ouro_loops *loops;

        (void)arg;
        options.count = LOOPS;
        expect(ouro_loops_open(&options, &loops) == 0);
        for (unsigned i = 0; i < LOOPS; i++) {
                servers[i].listen = (struct ouro_listen_options)OURO_LISTEN_OPTIONS_INIT;
                servers[i].listen.flags = OURO_LISTEN_REUSE_PORT;
                strcpy(servers[i].address, i ? servers[0].address : "tcp:127.0.0.1:0");
                expect(ouro_run_on(ouro_loops_at(loops, i), begin, &servers[i]) == 0);
        }
        visit(servers[0].address);
        for (unsigned i = 0; i < LOOPS; i++)
                expect(ouro_serve_stop(servers[i].server) == 0);
        for (unsigned i = 0; i < LOOPS; i++) {
                expect(ouro_run_on(ouro_loops_at(loops, i), await_end, &servers[i]) == 0);
                served += servers[i].served;
        }
        expect(served == VISITS);
        return ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER);
}

CASE(servers_of_several_loops_serve_and_stop)
{
        expect(ouro_run(serve_from_several_loops, NULL) == 0);
}

/* ---- stopped by several threads, late ones too ---- */

static struct server stopped;
static atomic_int stoppers;

static void *stop(void *arg)
{
        (void)arg;
        expect(ouro_serve_stop(stopped.server) == 0);
        atomic_fetch_sub(&stoppers, 1);
        return NULL;
}

/* The server is still there when the last thread asks: this task, which does not heed the stop, sees to that.
 */
static intptr_t stays_until_all_have_asked(int fd, void *arg)
{
        pthread_t thread;

        (void)fd, (void)arg;
        for (int i = 0; i < 2; i++) {
                expect(pthread_create(&thread, NULL, stop, NULL) == 0);
                pthread_detach(thread);
        }
        while (atomic_load(&stoppers) > 0)
                ouro_sleep(OURO_US(100));
        return 0;
}

static int is_ready_and_visited(ouro_server *ours, void *arg)
{
        stopped.server = ours;
        stopped.served = 0;
        expect(ouro_serve_address(ours, 0, stopped.address, sizeof stopped.address) > 0);
        *(int *)arg = ouro_dial(stopped.address);
        expect(*(int *)arg >= 0);
        return 0;
}

static intptr_t serve_until_stopped(void *arg)
{
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;
        int fd = -1, error;

        (void)arg;
        options.on_ready = is_ready_and_visited;
        atomic_store(&stoppers, 2);
        error = ouro_serve_fd("tcp:127.0.0.1:0", stays_until_all_have_asked, &fd, &options);
        while (atomic_load(&stoppers) > 0)
                ouro_sleep(OURO_US(100));
        expect(ouro_close(fd) == 0);
        return error;
}

CASE(several_threads_may_stop_a_server)
{
        for (int i = 0; i < ROUNDS; i++)
                expect(ouro_run(serve_until_stopped, NULL) == 0);
}
