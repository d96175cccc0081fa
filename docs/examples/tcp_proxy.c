/* tcp_proxy.c - passes on what comes to one address to another, and back.
 *
 *      tcp_proxy tcp:127.0.0.1:8080 tcp:127.0.0.1:80
 *
 * Each connection has a task that dials the upstream and then relays: an end of one side is passed on as an
 * end of that side only, so that a client may send all it has, say so, and wait for the answer. A connection
 * that is lost on one side is reset on the other, which must not take it for an end. SIGINT and SIGTERM let
 * the connections come to their ends, for a while. */
#include <errno.h>
#include <ouro.h>
#include <stdio.h>
#include <string.h>

enum { CONNECTIONS_MOST = 1000 };

#define DIAL_NS OURO_SEC(5)
#define IDLE_NS OURO_SEC(300)
#define DRAIN_NS OURO_SEC(10)

/* When it is closed, the peer is told that it was not an end. */
static void lose(int fd)
{
        const struct linger at_once = {.l_onoff = 1};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static int dial_upstream(const char *address)
{
        int fd = -ETIME;

        OURO_TIMEOUT(DIAL_NS) {
                fd = ouro_dial(address);
        }
        return fd;
}

static void tell(int client, const char *what, const struct ouro_relayed *relayed, int error)
{
        printf("%d: %s, %llu bytes up, %llu down%s%s\n", client, what, (unsigned long long)relayed->bytes[0],
               (unsigned long long)relayed->bytes[1], error ? ": " : "", error ? strerror(-error) : "");
        fflush(stdout);
}

/* The client's descriptor is the server's to close. */
static intptr_t pass_on(int client, void *upstream_address)
{
        struct ouro_relay_options options = OURO_RELAY_OPTIONS_INIT;
        struct ouro_relayed relayed = OURO_RELAYED_INIT;
        int upstream = dial_upstream(upstream_address), error;

        if (upstream < 0) {
                lose(client);
                tell(client, "no upstream", &relayed, upstream);
                return 0;
        }
        options.idle_ns = IDLE_NS;
        error = ouro_relay_fds(client, upstream, &options, &relayed);
        if (error < 0) {
                lose(client);
                lose(upstream);
        }
        tell(client, error < 0 ? "lost" : "ended", &relayed, error);
        ouro_close(upstream);
        return 0;
}

static int say_where(ouro_server *server, void *arg)
{
        char address[OURO_ADDRESS_TEXT];

        (void)arg;
        if (ouro_serve_address(server, 0, address, sizeof address) > 0)
                printf("listening on %s\n", address);
        fflush(stdout);
        return 0;
}

static intptr_t serve(void *arg)
{
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;
        char **addresses = arg;

        options.connections = CONNECTIONS_MOST;
        options.drain_ns = DRAIN_NS;
        options.signals = OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM;
        options.on_ready = say_where;
        return ouro_serve_fd(addresses[1], pass_on, addresses[2], &options);
}

int main(int argc, char **argv)
{
        intptr_t result = argc == 3 ? ouro_run(serve, argv) : -EINVAL;

        if (result < 0)
                fprintf(stderr, "tcp_proxy LISTEN UPSTREAM: %s\n", strerror((int)-result));
        return result < 0;
}
