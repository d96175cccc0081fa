/* Servers without memory: each allocation fails in turn, once. The server does not begin, or serves, or
 * refuses a connection and serves the next; nothing is left behind. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support/leaks.h"
#include "support/serving.h"

TestSuite(serve_memory, .init = leaks_begin, .fini = leaks_end, .timeout = 120);

enum { TRIES = 60 };

static atomic_long until_failure, blocks;

static void *fails_once(size_t bytes, void *arg)
{
        void *ptr = atomic_fetch_sub(&until_failure, 1) == 0 ? NULL : malloc(bytes);

        (void)arg;
        if (ptr)
                atomic_fetch_add(&blocks, 1);
        return ptr;
}

static void gives_back(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        if (ptr)
                atomic_fetch_sub(&blocks, 1);
        free(ptr);
}

/* A client that needs none of the library's memory: until it is served, and then it stops the server. */
struct visitor {
        pthread_t thread;
        ouro_server *server;
        struct sockaddr_in addr;
        bool began;
        int visits;
};

static bool is_served(const struct visitor *visitor)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte = 'x';
        bool served;

        cr_assert(connect(fd, (const struct sockaddr *)&visitor->addr, sizeof visitor->addr) == 0);
        served = send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1 && byte == 'x';
        close(fd);
        return served;
}

static void *visits_until_served(void *arg)
{
        struct visitor *visitor = arg;

        do
                visitor->visits++;
        while (!is_served(visitor));
        while (ouro_serve_stop(visitor->server) == -ENOMEM)
                ;
        return NULL;
}

static int starts_visitor(ouro_server *server, void *arg)
{
        struct visitor *visitor = arg;
        socklen_t len = sizeof visitor->addr;

        visitor->server = server;
        EQ(getsockname(ouro_serve_listener(server, 0), (struct sockaddr *)&visitor->addr, &len), 0);
        EQ(pthread_create(&visitor->thread, NULL, visits_until_served, visitor), 0);
        visitor->began = true;
        return 0;
}

static intptr_t echoes_a_stream(ouro_stream *stream, void *arg)
{
        char byte;
        ssize_t n = ouro_stream_read(stream, &byte, 1);

        (void)arg;
        return n == 1 ? ouro_stream_write(stream, &byte, 1) : n;
}

static intptr_t serves_with_a_failure(void *arg)
{
        struct visitor *visitor = arg;
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;
        int result;

        options.on_ready = starts_visitor;
        options.idle_ns = OURO_SEC(60);
        atomic_store(&until_failure, visitor->visits);
        visitor->visits = 0;
        result = ouro_serve("tcp:127.0.0.1:0", echoes_a_stream, visitor, &options);
        atomic_store(&until_failure, -1);
        if (visitor->began)
                pthread_join(visitor->thread, NULL);
        return result;
}

static void ignore_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)message, (void)arg;
}

Test(serve_memory, f90_each_allocation_that_fails_costs_a_connection_at_most)
{
        const struct ouro_allocator failing = {.allocate = fails_once, .release = gives_back};
        int begun = 0, refused = 0;

        ouro_set_log(ignore_log, NULL);
        atomic_store(&until_failure, -1);
        EQ(ouro_set_allocator(&failing), 0);
        for (int i = 0; i < TRIES; i++) {
                struct visitor visitor = {.visits = i};
                intptr_t result = ouro_run(serves_with_a_failure, &visitor);

                if (result != 0 && result != -ENOMEM)
                        cr_assert_fail("allocation %d: %zd", i, (ssize_t)result);
                EQ(result == 0, visitor.began);
                begun += visitor.began;
                refused += visitor.visits > 1;
                cr_assert(visitor.visits <= 2);
                EQ(atomic_load(&blocks), 0);
        }
        EQ(ouro_set_allocator(NULL), 0);
        ouro_set_log(NULL, NULL);
        cr_assert(begun > 0 && begun < TRIES && refused > 0, "%d begun, %d refused", begun, refused);
}
