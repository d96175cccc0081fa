/* sessions.c - handshakes that go on where an earlier one ended. */
#include "ends.h"
#include "tls/tls.h"

TestSuite(tls_sessions, .init = ends_begin, .fini = ends_end);

/* Shared by the connections of a test; each connection closes one reference. */
static ouro_tls_context *client, *server;

static ouro_tls_context *again(ouro_tls_context *context)
{
        atomic_fetch_add(&context->holders, 1);
        return context;
}

static void open_contexts(const struct ouro_tls_context_options *client_wants,
                          const struct ouro_tls_context_options *server_wants)
{
        client = client_wants ? context_of(client_wants) : client_context();
        server = server_wants ? context_of(server_wants) : server_context();
}

static void close_contexts(void)
{
        EQ(ouro_tls_context_close(client), 0);
        EQ(ouro_tls_context_close(server), 0);
}

/* One connection, over which a byte goes either way: tickets of TLS 1.3 come with the server's. */
static bool resumes(const char *host, bool any_host, bool no_session)
{
        struct ouro_tls_info info, of_server;
        struct ends ends;
        char byte;

        ends_open(&ends, again(client), again(server));
        ends.client.options.host = host;
        ends.client.options.insecure_any_host = any_host;
        ends.client.options.no_session = no_session;
        ends_made(&ends);
        EQ(ouro_tls_info(ends.client.stream, &info), 0);
        EQ(ouro_tls_info(ends.server.stream, &of_server), 0);
        EQ(info.resumed, of_server.resumed);
        EQ(ouro_stream_write(ends.server.stream, "x", 1), 0);
        EQ(ouro_stream_shutdown(ends.server.stream), 0);
        EQ(ouro_stream_read(ends.client.stream, &byte, 1), 1);
        EQ(ouro_stream_read(ends.client.stream, &byte, 1), 0);
        ends_close(&ends);
        return info.resumed;
}

static bool resumes_again(void)
{
        return resumes("server.test", false, false);
}

IN_LOOP(tls_sessions, second_connection_resumes)
{
        open_contexts(NULL, NULL);
        cr_assert(!resumes_again());
        for (int i = 0; i < 10; i++)
                cr_assert(resumes_again(), "%d", i);
        close_contexts();
        return 0;
}

IN_LOOP(tls_sessions, in_tls_1_2_too_with_tickets_and_without)
{
        struct ouro_tls_context_options options = server_options();

        options.most = OURO_TLS_1_2;
        open_contexts(NULL, &options);
        cr_assert(!resumes_again());
        cr_assert(resumes_again() && resumes_again());
        SSL_CTX_set_options(server->settings->ssl_ctx, SSL_OP_NO_TICKET);
        resumes("127.0.0.1", false, false);
        cr_assert(resumes("127.0.0.1", false, false)); /* from the server's memory */
        close_contexts();
        return 0;
}

IN_LOOP(tls_sessions, each_host_has_its_own)
{
        open_contexts(NULL, NULL);
        cr_assert(!resumes("server.test", false, false));
        cr_assert(!resumes("one.many.test", false, false));
        cr_assert(!resumes("two.many.test", false, false));
        cr_assert(resumes("one.many.test", false, false));
        cr_assert(resumes("server.test", false, false));
        close_contexts();
        return 0;
}

/* Its host was never looked at: it may be no way round that. */
IN_LOOP(tls_sessions, session_of_less_verification_is_another)
{
        open_contexts(NULL, NULL);
        cr_assert(!resumes("server.test", true, false));
        cr_assert(!resumes("server.test", false, false));
        cr_assert(resumes("server.test", true, false));
        close_contexts();
        return 0;
}

IN_LOOP(tls_sessions, none_where_that_was_chosen)
{
        struct ouro_tls_context_options client_wants = client_options(), server_wants = server_options();

        open_contexts(NULL, NULL);
        cr_assert(!resumes_again());
        cr_assert(!resumes("server.test", false, true));
        close_contexts();
        client_wants.no_sessions = true;
        open_contexts(&client_wants, NULL);
        cr_assert(!resumes_again() && !resumes_again());
        close_contexts();
        server_wants.no_sessions = true;
        open_contexts(NULL, &server_wants);
        cr_assert(!resumes_again() && !resumes_again());
        close_contexts();
        return 0;
}

IN_LOOP(tls_sessions, oldest_are_forgotten)
{
        struct ouro_tls_context_options options = client_options();

        options.sessions = 2;
        open_contexts(&options, NULL);
        cr_assert(!resumes("one.many.test", false, false)); /* brings two */
        cr_assert(!resumes("two.many.test", false, false)); /* drives them out */
        EQ(client->sessions.count, 2);
        cr_assert(resumes("two.many.test", false, false));
        cr_assert(!resumes("one.many.test", false, false));
        close_contexts();
        open_contexts(NULL, NULL);
        for (int i = 0; i < 10; i++)
                resumes("server.test", false, true);
        EQ(client->sessions.count, 0);
        for (int i = 0; i < 10; i++) {
                EQ(ouro_tls_context_reload(server, &(struct ouro_tls_context_options){.size = 3}), -EINVAL);
                resumes_again();
                cr_assert(client->sessions.count <= 4, "%zu", client->sessions.count);
        }
        close_contexts();
        return 0;
}

IN_LOOP(tls_sessions, client_that_resumes_is_still_known)
{
        struct ouro_tls_context_options trust = client_options(), options = server_options();
        struct ouro_tls_identity identity = identity_of(&client_certificate);
        struct ouro_tls_peer_info peer;
        struct ouro_tls_info info;
        struct ends ends;
        char byte;

        trust.identities = &identity;
        trust.identity_count = 1;
        options.clients = OURO_TLS_REQUIRE;
        options.ca = authority.pem;
        options.ca_bytes = strlen(authority.pem);
        open_contexts(&trust, &options);
        for (int i = 0; i < 2; i++) {
                ends_open(&ends, again(client), again(server));
                ends_made(&ends);
                EQ(ouro_tls_info(ends.server.stream, &info), 0);
                EQ(info.resumed, i == 1);
                cr_assert(info.peer_verified);
                EQ(ouro_tls_peer_info(ends.server.stream, &peer), 0);
                cr_assert_str_eq(peer.subject, "CN=client");
                EQ(ouro_stream_shutdown(ends.server.stream), 0);
                EQ(ouro_stream_read(ends.client.stream, &byte, 1), 0);
                ends_close(&ends);
        }
        close_contexts();
        return 0;
}

/* ---- reloading ---- */

IN_LOOP(tls_sessions, reloading_changes_certificates_and_keeps_sessions)
{
        struct certificate other = certificate_make(
                &(struct wanted){.name = "other", .names = "DNS:server.test,DNS:one.many.test"}, &authority);
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(&other);
        struct ouro_tls_peer_info peer;
        struct ends old, new;
        char byte;

        open_contexts(NULL, NULL);
        cr_assert(!resumes_again());
        ends_open(&old, again(client), again(server));
        ends_made(&old);
        options.identities = &identity;
        EQ(ouro_tls_context_reload(server, &options), 0);
        cr_assert(resumes_again());
        ends_open(&new, again(client), again(server));
        new.client.options.host = "one.many.test";
        ends_made(&new);
        EQ(ouro_tls_peer_info(new.client.stream, &peer), 0);
        cr_assert_str_eq(peer.subject, "CN=other");
        EQ(ouro_tls_peer_info(old.client.stream, &peer), 0);
        cr_assert_str_eq(peer.subject, "CN=server");
        EQ(ouro_stream_write(old.client.stream, "x", 1), 0);
        EQ(ouro_stream_flush(old.client.stream), 0);
        EQ(ouro_stream_read(old.server.stream, &byte, 1), 1);
        ends_close(&new);
        ends_close(&old);
        close_contexts();
        certificate_free(&other);
        return 0;
}

IN_LOOP(tls_sessions, reloading_that_fails_changes_nothing)
{
        struct ouro_tls_context_options bad = server_options(), other_side = client_options();
        struct ouro_tls_failure_info failure = {0};
        struct ouro_tls_identity identity = identity_of(&server_certificate);

        open_contexts(NULL, NULL);
        identity.key = client_certificate.key_pem;
        identity.key_bytes = strlen(client_certificate.key_pem);
        bad.identities = &identity;
        EQ(ouro_tls_context_reload(server, &bad), -EKEYREJECTED);
        other_side.failure = &failure;
        EQ(ouro_tls_context_reload(server, &other_side), -EINVAL);
        EQ(failure.error, -EINVAL);
        EQ(ouro_tls_context_reload(server, NULL), -EINVAL);
        EQ(ouro_tls_context_reload(NULL, &bad), -EINVAL);
        cr_assert(!resumes_again());
        close_contexts();
        return 0;
}
