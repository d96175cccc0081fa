/* ends.c - see ends.h. */
#include "ends.h"

struct certificate authority, server_certificate, client_certificate;

void ends_begin(void)
{
        OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
        authority = certificate_make(&(struct wanted){.name = "authority", .authority = true}, NULL);
        server_certificate = certificate_make(
                &(struct wanted){.name = "server", .names = "DNS:server.test,DNS:*.many.test,IP:127.0.0.1"},
                &authority);
        client_certificate = certificate_make(
                &(struct wanted){.name = "client", .names = "DNS:client.test", .usage = "clientAuth"},
                &authority);
        leaks_begin();
}

void ends_end(void)
{
        leaks_end();
        certificate_free(&authority);
        certificate_free(&server_certificate);
        certificate_free(&client_certificate);
}

struct ouro_tls_context_options client_options(void)
{
        return (struct ouro_tls_context_options){
                .size = sizeof(struct ouro_tls_context_options),
                .ca = authority.pem,
                .ca_bytes = strlen(authority.pem),
        };
}

struct ouro_tls_context_options server_options(void)
{
        static struct ouro_tls_identity identity;

        identity = identity_of(&server_certificate);
        return (struct ouro_tls_context_options){
                .size = sizeof(struct ouro_tls_context_options),
                .side = OURO_TLS_SERVER,
                .identities = &identity,
                .identity_count = 1,
        };
}

ouro_tls_context *context_of(const struct ouro_tls_context_options *options)
{
        struct ouro_tls_context_options own = *options;
        struct ouro_tls_failure_info failure = {0};
        ouro_tls_context *context = NULL;
        int error;

        own.failure = &failure;
        error = ouro_tls_context_open(&own, &context);
        cr_assert(error == 0, "%d %s", error, failure.reason);
        return context;
}

ouro_tls_context *client_context(void)
{
        struct ouro_tls_context_options options = client_options();

        return context_of(&options);
}

ouro_tls_context *server_context(void)
{
        struct ouro_tls_context_options options = server_options();

        return context_of(&options);
}

static void open_end(struct end *end, ouro_tls_context *context, int fd)
{
        *end = (struct end){.context = context, .options = {.size = sizeof end->options}};
        EQ(ouro_stream_open(fd, NULL, &end->below), 0);
}

static void open_on(struct ends *ends, ouro_tls_context *client, ouro_tls_context *server, const int fds[2])
{
        open_end(&ends->client, client ? client : client_context(), fds[0]);
        open_end(&ends->server, server ? server : server_context(), fds[1]);
        ends->client.options.host = "server.test";
}

void ends_open(struct ends *ends, ouro_tls_context *client, ouro_tls_context *server)
{
        int fds[2];

        unix_pair(fds);
        open_on(ends, client, server, fds);
}

void ends_open_tcp(struct ends *ends, ouro_tls_context *client, ouro_tls_context *server)
{
        int fds[2];

        tcp_pair(fds);
        open_on(ends, client, server, fds);
}

/* Who fails closes: the other would wait for ever. */
static intptr_t finish(struct end *end)
{
        if (end->error == 0) {
                end->below = NULL;
                return 0;
        }
        ouro_stream_close(end->below); /* what cannot be sent any more is no matter */
        end->below = NULL;
        return 0;
}

static intptr_t accept_task(void *arg)
{
        struct end *end = arg;

        end->options.failure = &end->failure;
        end->error = ouro_tls_accept(end->context, end->below, &end->options, &end->stream);
        return finish(end);
}

static intptr_t connect_task(void *arg)
{
        struct end *end = arg;

        end->options.failure = &end->failure;
        end->error = ouro_tls_connect(end->context, end->below, &end->options, &end->stream);
        return finish(end);
}

void ends_shake(struct ends *ends)
{
        int error = -1;

        OURO_GROUP(group, &error) {
                ouro_create_task_in(group, accept_task, &ends->server);
                ouro_create_task_in(group, connect_task, &ends->client);
        }
        EQ(error, 0);
}

void ends_made(struct ends *ends)
{
        ends_shake(ends);
        cr_assert(ends->client.error == 0, "client: %d %s", ends->client.error, ends->client.failure.reason);
        cr_assert(ends->server.error == 0, "server: %d %s", ends->server.error, ends->server.failure.reason);
}

void ends_close(struct ends *ends)
{
        struct end *both[2] = {&ends->client, &ends->server};

        for (int i = 0; i < 2; i++) {
                ouro_stream_close(both[i]->stream);
                ouro_stream_close(both[i]->below);
                EQ(ouro_tls_context_close(both[i]->context), 0);
        }
}
