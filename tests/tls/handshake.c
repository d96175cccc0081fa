/* handshake.c - what two ends agree on. */
#include "ends.h"

TestSuite(tls_handshake, .init = ends_begin, .fini = ends_end);

static void check_talk(struct ends *ends)
{
        char buf[8];

        EQ(ouro_stream_write(ends->client.stream, "question", 8), 0);
        EQ(ouro_stream_flush(ends->client.stream), 0);
        EQ(ouro_stream_read_exactly(ends->server.stream, buf, 8, NULL), 0);
        EQ(memcmp(buf, "question", 8), 0);
        EQ(ouro_stream_write(ends->server.stream, "answer", 6), 0);
        EQ(ouro_stream_flush(ends->server.stream), 0);
        EQ(ouro_stream_read_exactly(ends->client.stream, buf, 6, NULL), 0);
        EQ(memcmp(buf, "answer", 6), 0);
}

IN_LOOP(tls_handshake, both_ends_talk)
{
        struct ouro_tls_info info;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        EQ(ouro_tls_info(ends.client.stream, &info), 0);
        cr_assert_str_eq(info.version, "TLSv1.3");
        cr_assert_not_null(strstr(info.cipher, "TLS_"));
        cr_assert_null(info.protocol);
        cr_assert(info.peer_verified && !info.resumed);
        EQ(ouro_tls_info(ends.server.stream, &info), 0);
        cr_assert_str_eq(info.host, "server.test");
        cr_assert(!info.peer_verified);
        check_talk(&ends);
        ends_close(&ends);

        ends_open_tcp(&ends, NULL, NULL);
        ends_made(&ends);
        check_talk(&ends);
        cr_assert(ouro_stream_fd(ends.client.stream) >= 0);
        ends_close(&ends);
        return 0;
}

/* Without any descriptor. */
IN_LOOP(tls_handshake, streams_in_memory_do)
{
        ouro_stream *pair[2];
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ouro_stream_close(ends.client.below);
        ouro_stream_close(ends.server.below);
        EQ(ouro_stream_pair(0, NULL, pair), 0);
        ends.client.below = pair[0];
        ends.server.below = pair[1];
        ends_made(&ends);
        check_talk(&ends);
        EQ(ouro_stream_fd(ends.client.stream), -EBADF);
        ends_close(&ends);
        return 0;
}

/* TLS within TLS. */
IN_LOOP(tls_handshake, below_may_be_tls_too)
{
        struct ends outer, inner;

        ends_open(&outer, NULL, NULL);
        ends_made(&outer);
        ends_open(&inner, NULL, NULL);
        ouro_stream_close(inner.client.below);
        ouro_stream_close(inner.server.below);
        inner.client.below = outer.client.stream;
        inner.server.below = outer.server.stream;
        outer.client.stream = outer.server.stream = NULL;
        ends_made(&inner);
        check_talk(&inner);
        ends_close(&inner);
        ends_close(&outer);
        return 0;
}

/* ---- versions and ciphers ---- */

IN_LOOP(tls_handshake, versions_are_bounded_by_either_end)
{
        struct ouro_tls_context_options client = client_options(), server = server_options();
        struct ouro_tls_info info;
        struct ends ends;

        client.most = OURO_TLS_1_2;
        client.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
        ends_open(&ends, context_of(&client), NULL);
        ends_made(&ends);
        EQ(ouro_tls_info(ends.server.stream, &info), 0);
        cr_assert_str_eq(info.version, "TLSv1.2");
        cr_assert_str_eq(info.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
        EQ(ouro_tls_update_keys(ends.server.stream, false), -EPROTONOSUPPORT);
        check_talk(&ends);
        ends_close(&ends);

        server.least = OURO_TLS_1_3;
        ends_open(&ends, context_of(&client), context_of(&server));
        ends_shake(&ends);
        EQ(ends.server.error, -EPROTONOSUPPORT);
        EQ(ends.client.error, -EPROTONOSUPPORT);
        EQ(ends.client.failure.alert, SSL_AD_PROTOCOL_VERSION);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_handshake, no_cipher_in_common)
{
        struct ouro_tls_context_options client = client_options(), server = server_options();
        struct ouro_tls_info info;
        struct ends ends;

        client.ciphersuites = "TLS_AES_128_GCM_SHA256";
        server.ciphersuites = "TLS_AES_256_GCM_SHA384";
        ends_open(&ends, context_of(&client), context_of(&server));
        ends_shake(&ends);
        EQ(ends.server.error, -EPROTONOSUPPORT);
        EQ(ends.client.error, -EPROTONOSUPPORT);
        ends_close(&ends);

        server.ciphersuites = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
        ends_open(&ends, context_of(&client), context_of(&server));
        ends_made(&ends);
        EQ(ouro_tls_info(ends.client.stream, &info), 0);
        cr_assert_str_eq(info.cipher, "TLS_AES_128_GCM_SHA256");
        ends_close(&ends);
        return 0;
}

/* ---- application protocols ---- */

static const char *const web[] = {"h2", "http/1.1"}, *const old_web[] = {"http/1.0", "http/1.1"},
                         *const mail[] = {"imap"};

static struct ends agree(const char *const *client_names, size_t client_count,
                         const char *const *server_names, size_t server_count)
{
        struct ouro_tls_context_options client = client_options(), server = server_options();
        struct ends ends;

        client.protocols = client_names;
        client.protocol_count = client_count;
        server.protocols = server_names;
        server.protocol_count = server_count;
        ends_open(&ends, context_of(&client), context_of(&server));
        ends_shake(&ends);
        return ends;
}

static void check_agreed(struct ends ends, const char *name)
{
        struct ouro_tls_info client, server;

        EQ(ends.client.error, 0);
        EQ(ends.server.error, 0);
        EQ(ouro_tls_info(ends.client.stream, &client), 0);
        EQ(ouro_tls_info(ends.server.stream, &server), 0);
        cr_assert_eq(client.protocol == NULL, name == NULL);
        cr_assert_eq(server.protocol == NULL, name == NULL);
        if (name) {
                cr_assert_str_eq(client.protocol, name);
                cr_assert_str_eq(server.protocol, name);
        }
        ends_close(&ends);
}

IN_LOOP(tls_handshake, protocols_are_chosen_by_the_server)
{
        check_agreed(agree(web, 2, web, 2), "h2");
        check_agreed(agree(old_web, 2, web, 2), "http/1.1");
        check_agreed(agree(NULL, 0, web, 2), NULL);
        check_agreed(agree(web, 2, NULL, 0), NULL);
        return 0;
}

IN_LOOP(tls_handshake, protocols_without_overlap_are_refused)
{
        struct ends ends = agree(mail, 1, web, 2);

        EQ(ends.server.error, -EPROTONOSUPPORT);
        EQ(ends.client.error, -EPROTONOSUPPORT);
        EQ(ends.client.failure.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_handshake, one_connection_may_offer_other_protocols)
{
        struct ouro_tls_context_options client = client_options(), server = server_options();
        struct ends ends;

        client.protocols = mail;
        client.protocol_count = 1;
        server.protocols = web;
        server.protocol_count = 2;
        ends_open(&ends, context_of(&client), context_of(&server));
        ends.client.options.protocols = old_web;
        ends.client.options.protocol_count = 2;
        ends_shake(&ends);
        check_agreed(ends, "http/1.1");
        return 0;
}

/* ---- names ---- */

enum { SEVERAL = 4 };

static struct certificate several[SEVERAL];

static ouro_tls_context *server_of_several(bool refuse_unknown)
{
        static const struct wanted wanted[SEVERAL] = {
                {.name = "first", .names = "DNS:first.test"},
                {.name = "second", .names = "DNS:second.test,DNS:*.second.test"},
                {.name = "second by RSA", .names = "DNS:second.test", .rsa = true},
                {.name = "third", .names = "DNS:else.test"},
        };
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identities[SEVERAL];

        for (int i = 0; i < SEVERAL; i++) {
                several[i] = certificate_make(&wanted[i], &authority);
                identities[i] = identity_of(&several[i]);
        }
        identities[3].name = "third.test";
        options.identities = identities;
        options.identity_count = SEVERAL;
        options.refuse_unknown_names = refuse_unknown;
        return context_of(&options);
}

static void free_several(void)
{
        for (int i = 0; i < SEVERAL; i++)
                certificate_free(&several[i]);
}

static void check_shown(const char *asked, const char *client_signatures, const char *subject)
{
        struct ouro_tls_context_options trust = client_options();
        struct ouro_tls_peer_info peer;
        struct ends ends;

        trust.ciphers = client_signatures;
        if (client_signatures)
                trust.most = OURO_TLS_1_2;
        ends_open(&ends, context_of(&trust), server_of_several(false));
        ends.client.options.host = asked;
        ends.client.options.insecure_any_host = true;
        ends_made(&ends);
        EQ(ouro_tls_peer_info(ends.client.stream, &peer), 0);
        cr_assert_str_eq(peer.subject, subject, "%s: %s", asked, peer.subject);
        ends_close(&ends);
        free_several();
}

IN_LOOP(tls_handshake, server_shows_what_is_asked_for)
{
        check_shown("first.test", NULL, "CN=first");
        check_shown("SECOND.test", NULL, "CN=second");
        check_shown("www.second.test", NULL, "CN=second");
        check_shown("second.test", "ECDHE-RSA-AES128-GCM-SHA256", "CN=second by RSA");
        check_shown("third.test", NULL, "CN=third");
        check_shown("else.test", NULL, "CN=first"); /* it was given another name */
        check_shown(NULL, NULL, "CN=first");
        return 0;
}

IN_LOOP(tls_handshake, unknown_names_are_refused_where_that_was_chosen)
{
        struct ends ends;

        ends_open(&ends, NULL, server_of_several(true));
        ends.client.options.host = "nowhere.test";
        ends_shake(&ends);
        EQ(ends.server.error, -EPROTO);
        EQ(ends.client.error, -EPROTO);
        EQ(ends.client.failure.alert, SSL_AD_UNRECOGNIZED_NAME);
        ends_close(&ends);
        free_several();
        ends_open(&ends, NULL, server_of_several(true));
        ends.client.options.host = "first.test";
        ends_made(&ends);
        ends_close(&ends);
        free_several();
        return 0;
}

/* ---- a chain, and what is known of a peer ---- */

IN_LOOP(tls_handshake, chain_through_an_authority_between)
{
        struct certificate middle =
                certificate_make(&(struct wanted){.name = "middle", .authority = true}, &authority);
        struct certificate leaf = certificate_make(
                &(struct wanted){
                        .name = "leaf",
                        .names = "DNS:server.test,IP:::1,URI:https://server.test/,email:who@server.test"},
                &middle);
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(&leaf);
        struct ouro_tls_peer_info peer, again;
        char *chain = NULL;
        struct ends ends;

        cr_assert(asprintf(&chain, "%s%s", leaf.pem, middle.pem) > 0);
        identity.chain = chain;
        identity.chain_bytes = strlen(chain);
        options.identities = &identity;
        ends_open(&ends, NULL, context_of(&options));
        ends_made(&ends);
        EQ(ouro_tls_peer_info(ends.client.stream, &peer), 0);
        EQ(peer.name_count, 4);
        cr_assert_str_eq(peer.names[1], "IP:0:0:0:0:0:0:0:1");
        cr_assert_str_eq(peer.names[2], "URI:https://server.test/");
        cr_assert_str_eq(peer.names[3], "email:who@server.test");
        EQ(ouro_tls_peer_info(ends.client.stream, &again), 0);
        cr_assert_eq(again.subject, peer.subject);
        ends_close(&ends);
        certificate_free(&leaf);
        certificate_free(&middle);
        free(chain);
        return 0;
}

/* ---- misuse ---- */

IN_LOOP(tls_handshake, misuse_is_told_and_loses_nothing)
{
        struct ouro_tls_options wrong_size = {.size = 3},
                                for_clients = {.size = sizeof for_clients, .host = "x"},
                                empty = {.size = sizeof empty, .host = ""},
                                any_below = {.size = sizeof any_below, .host = ".many.test"};
        const struct ouro_stream_options small = {.size = sizeof small, .read_bytes = 1},
                                         borrowed = {.size = sizeof borrowed, .borrowed = true};
        struct ouro_tls_options odd = {.size = sizeof odd, .host = "server.test", .stream = &small};
        ouro_stream *stream = NULL;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends.client.options.failure = &ends.client.failure;
        EQ(ouro_tls_connect(NULL, ends.client.below, &ends.client.options, &stream), -EINVAL);
        EQ(ends.client.failure.error, -EINVAL);
        cr_assert(ends.client.failure.reason[0]);
        EQ(ouro_tls_connect(ends.client.context, NULL, &ends.client.options, &stream), -EINVAL);
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, &ends.client.options, NULL), -EINVAL);
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, NULL, &stream), -EINVAL); /* no host */
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, &wrong_size, &stream), -EINVAL);
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, &empty, &stream), -EINVAL);
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, &any_below, &stream), -EINVAL);
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, &odd, &stream), -EINVAL);
        odd.stream = &borrowed;
        EQ(ouro_tls_connect(ends.client.context, ends.client.below, &odd, &stream), -EINVAL);
        EQ(ouro_tls_connect(ends.server.context, ends.client.below, &ends.client.options, &stream), -EINVAL);
        EQ(ouro_tls_accept(ends.client.context, ends.server.below, NULL, &stream), -EINVAL);
        EQ(ouro_tls_accept(ends.server.context, ends.server.below, &for_clients, &stream), -EINVAL);
        EQ(ouro_tls_upgrade(ends.server.below, NULL, &stream), -EINVAL);
        cr_assert_null(stream);
        ends_made(&ends); /* nothing was sent */
        check_talk(&ends);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_handshake, streams_without_tls_know_nothing)
{
        struct ouro_tls_failure_info failure;
        struct ouro_tls_peer_info peer;
        struct ouro_tls_info info;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        EQ(ouro_tls_info(ends.client.below, &info), -EINVAL);
        EQ(ouro_tls_peer_info(ends.client.below, &peer), -EINVAL);
        EQ(ouro_tls_failure_info(ends.client.below, &failure), -EINVAL);
        EQ(ouro_tls_update_keys(ends.client.below, false), -EINVAL);
        EQ(ouro_tls_info(NULL, &info), -EINVAL);
        EQ(ouro_tls_update_keys(NULL, false), -EINVAL);
        ends_made(&ends);
        EQ(ouro_tls_info(ends.client.stream, NULL), -EINVAL);
        EQ(ouro_tls_peer_info(ends.client.stream, NULL), -EINVAL);
        EQ(ouro_tls_failure_info(ends.client.stream, NULL), -EINVAL);
        EQ(ouro_tls_failure_info(ends.client.stream, &failure), 0);
        EQ(failure.error, 0);
        EQ(failure.alert, -1);
        ends_close(&ends);
        return 0;
}

static struct ends shared_ends;

static void *elsewhere(void *arg)
{
        struct ouro_tls_info info;
        ouro_stream *stream;

        (void)arg;
        EQ(ouro_tls_info(shared_ends.client.stream, &info), -EPERM);
        EQ(ouro_tls_update_keys(shared_ends.client.stream, false), -EPERM);
        EQ(ouro_tls_accept(shared_ends.server.context, shared_ends.server.stream, NULL, &stream), -EPERM);
        return NULL;
}

IN_LOOP(tls_handshake, another_threads_call_is_refused)
{
        pthread_t thread;

        ends_open(&shared_ends, NULL, NULL);
        ends_made(&shared_ends);
        EQ(pthread_create(&thread, NULL, elsewhere, NULL), 0);
        EQ(pthread_join(thread, NULL), 0);
        ends_close(&shared_ends);
        return 0;
}

static intptr_t cancelled(void *arg)
{
        struct ends *ends = arg;
        ouro_stream *stream = NULL;

        ouro_cancel(ouro_self());
        EQ(ouro_tls_connect(ends->client.context, ends->client.below, &ends->client.options, &stream),
           -ECANCELED);
        cr_assert_null(stream);
        return 0;
}

IN_LOOP(tls_handshake, errno_is_left_alone)
{
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        EQ(ouro_await(ouro_create_task(cancelled, &ends)), 0);
        ouro_stream_close(ends.client.below);
        ends.client.below = NULL;
        errno = 4242;
        EQ(ouro_tls_accept(ends.server.context, ends.server.below, NULL, &ends.server.stream), -ECONNRESET);
        EQ(errno, 4242);
        EQ(ERR_peek_error(), 0);
        ends_close(&ends);
        return 0;
}
