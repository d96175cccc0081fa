/* verify.c - who is refused, by which errno and in which words. */
#include "ends.h"

TestSuite(tls_verify, .init = ends_begin, .fini = ends_end);

/* A server with this certificate; our client's outcome is told. */
static struct ends refused_server(const struct certificate *certificate)
{
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(certificate);
        struct ends ends;

        options.identities = &identity;
        ends_open(&ends, NULL, context_of(&options));
        ends_shake(&ends);
        return ends;
}

static void check_refused(struct ends *ends, int verify_code)
{
        const struct ouro_tls_failure_info *failure = &ends->client.failure;

        EQ(ends->client.error, -EKEYREJECTED);
        EQ(failure->error, -EKEYREJECTED);
        EQ(failure->verify_code, verify_code);
        EQ(failure->alert, -1);
        cr_assert_str_eq(failure->reason, X509_verify_cert_error_string(verify_code));
        EQ(ends->server.error, -EACCES); /* is told by an alert */
        cr_assert(ends->server.failure.alert > 0, "%d", ends->server.failure.alert);
        ends_close(ends);
}

static void check_certificate(const struct wanted *wanted, const struct certificate *issuer, int verify_code)
{
        struct certificate certificate = certificate_make(wanted, issuer);
        struct ends ends = refused_server(&certificate);

        check_refused(&ends, verify_code);
        certificate_free(&certificate);
}

IN_LOOP(tls_verify, expired)
{
        check_certificate(&(struct wanted){.names = "DNS:server.test", .from_s = -7200, .to_s = -3600},
                          &authority, X509_V_ERR_CERT_HAS_EXPIRED);
        return 0;
}

IN_LOOP(tls_verify, not_yet_valid)
{
        check_certificate(&(struct wanted){.names = "DNS:server.test", .from_s = 3600, .to_s = 7200},
                          &authority, X509_V_ERR_CERT_NOT_YET_VALID);
        return 0;
}

IN_LOOP(tls_verify, for_another_host)
{
        check_certificate(&(struct wanted){.names = "DNS:other.test"}, &authority,
                          X509_V_ERR_HOSTNAME_MISMATCH);
        check_certificate(&(struct wanted){.names = "DNS:server.test.evil.test"}, &authority,
                          X509_V_ERR_HOSTNAME_MISMATCH);
        check_certificate(&(struct wanted){.names = "DNS:ser*.test"}, &authority,
                          X509_V_ERR_HOSTNAME_MISMATCH);
        check_certificate(&(struct wanted){.names = "DNS:*.test.test"}, &authority,
                          X509_V_ERR_HOSTNAME_MISMATCH);
        /* The common name does not count where there are other names. */
        check_certificate(&(struct wanted){.name = "server.test", .names = "DNS:other.test"}, &authority,
                          X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
}

IN_LOOP(tls_verify, signed_by_itself)
{
        check_certificate(&(struct wanted){.names = "DNS:server.test"}, NULL,
                          X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
        return 0;
}

IN_LOOP(tls_verify, of_an_unknown_authority)
{
        struct certificate other =
                certificate_make(&(struct wanted){.name = "other authority", .authority = true}, NULL);

        check_certificate(&(struct wanted){.names = "DNS:server.test"}, &other,
                          X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
        certificate_free(&other);
        return 0;
}

/* Its name is that of one that is trusted. */
IN_LOOP(tls_verify, of_an_authority_that_has_stolen_a_name)
{
        struct certificate other =
                certificate_make(&(struct wanted){.name = "authority", .authority = true}, NULL);
        struct certificate faked = certificate_make(&(struct wanted){.names = "DNS:server.test"}, &other);
        struct ends ends = refused_server(&faked);

        EQ(ends.client.error, -EKEYREJECTED);
        cr_assert(ends.client.failure.verify_code != 0);
        ends_close(&ends);
        certificate_free(&faked);
        certificate_free(&other);
        return 0;
}

IN_LOOP(tls_verify, of_one_that_is_no_authority)
{
        struct certificate faked =
                certificate_make(&(struct wanted){.names = "DNS:server.test"}, &server_certificate);
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(&faked);
        char *chain = NULL;
        struct ends ends;

        cr_assert(asprintf(&chain, "%s%s", faked.pem, server_certificate.pem) > 0);
        identity.chain = chain;
        identity.chain_bytes = strlen(chain);
        options.identities = &identity;
        ends_open(&ends, NULL, context_of(&options));
        ends_shake(&ends);
        check_refused(&ends, X509_V_ERR_INVALID_CA);
        certificate_free(&faked);
        free(chain);
        return 0;
}

IN_LOOP(tls_verify, made_for_another_purpose)
{
        check_certificate(&(struct wanted){.names = "DNS:server.test", .usage = "clientAuth"}, &authority,
                          X509_V_ERR_INVALID_PURPOSE);
        return 0;
}

/* ---- certificates taken back ---- */

static void check_list(const struct certificate *revoked, int verify_code)
{
        char path[] = "/tmp/ouro-tls-crl-XXXXXX", *list = revocation_make(&authority, revoked);
        struct ouro_tls_context_options options = client_options();
        int fd = mkstemp(path);
        struct ends ends;

        EQ(write(fd, list, strlen(list)), strlen(list));
        close(fd);
        options.crl_file = path;
        ends_open(&ends, context_of(&options), NULL);
        unlink(path);
        free(list);
        ends_shake(&ends);
        if (verify_code) {
                check_refused(&ends, verify_code);
                return;
        }
        EQ(ends.client.error, 0);
        EQ(ends.server.error, 0);
        ends_close(&ends);
}

IN_LOOP(tls_verify, taken_back_by_its_authority)
{
        check_list(&server_certificate, X509_V_ERR_CERT_REVOKED);
        check_list(NULL, 0);
        return 0;
}

/* As a file that was not written to its end: what is lost may have been what takes the certificate back. */
IN_LOOP(tls_verify, list_that_is_broken_off_is_refused)
{
        char path[] = "/tmp/ouro-tls-crl-XXXXXX", *whole = revocation_make(&authority, NULL),
             *list = revocation_make(&authority, &server_certificate);
        struct ouro_tls_context_options options = client_options();
        ouro_tls_context *context = NULL;
        int fd = mkstemp(path);

        EQ(write(fd, whole, strlen(whole)), strlen(whole));
        EQ(write(fd, list, strlen(list) / 2), strlen(list) / 2);
        close(fd);
        options.crl_file = path;
        EQ(ouro_tls_context_open(&options, &context), -EBADMSG);
        cr_assert_null(context);
        unlink(path);
        free(whole);
        free(list);
        return 0;
}

/* ---- who may be anybody ---- */

IN_LOOP(tls_verify, a_number_is_a_host_too)
{
        struct ends ends;
        struct ouro_tls_info info;

        ends_open(&ends, NULL, NULL);
        ends.client.options.host = "127.0.0.1";
        ends_made(&ends);
        EQ(ouro_tls_info(ends.server.stream, &info), 0);
        cr_assert_null(info.host); /* numbers are not asked for */
        ends_close(&ends);

        ends_open(&ends, NULL, NULL);
        ends.client.options.host = "127.0.0.2";
        ends_shake(&ends);
        check_refused(&ends, X509_V_ERR_IP_ADDRESS_MISMATCH);
        return 0;
}

IN_LOOP(tls_verify, without_host_only_where_that_was_chosen)
{
        struct ends ends;
        struct ouro_tls_info info;

        ends_open(&ends, NULL, NULL);
        ends.client.options.host = NULL;
        ends_shake(&ends);
        EQ(ends.client.error, -EINVAL);
        EQ(ends.server.error, -ECONNRESET);
        ends_close(&ends);

        ends_open(&ends, NULL, NULL);
        ends.client.options.host = "wrong.test";
        ends.client.options.insecure_any_host = true;
        ends_made(&ends);
        EQ(ouro_tls_info(ends.client.stream, &info), 0);
        cr_assert(info.peer_verified); /* by the authority */
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_verify, any_authority_but_no_other_host_where_only_that_was_chosen)
{
        struct certificate other = certificate_make(&(struct wanted){.names = "DNS:server.test"}, NULL);
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(&other);
        ouro_tls_context *server;
        struct ends ends;

        options.identities = &identity;
        server = context_of(&options);
        ends_open(&ends, NULL, server);
        ends.client.options.insecure_any_host = true;
        ends_shake(&ends);
        check_refused(&ends, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
        certificate_free(&other);
        return 0;
}

IN_LOOP(tls_verify, insecure_takes_whoever_answers_and_says_so)
{
        struct certificate other = certificate_make(&(struct wanted){.names = "DNS:else.test"}, NULL);
        struct ouro_tls_context_options options = server_options(), trust = client_options();
        struct ouro_tls_identity identity = identity_of(&other);
        struct ouro_tls_info info;
        struct ends ends;

        options.identities = &identity;
        trust.insecure_no_verification = true;
        ends_open(&ends, context_of(&trust), context_of(&options));
        ends.client.options.host = NULL;
        ends_made(&ends);
        EQ(ouro_tls_info(ends.client.stream, &info), 0);
        cr_assert(!info.peer_verified);
        ends_close(&ends);
        certificate_free(&other);
        return 0;
}

/* ---- clients ---- */

static struct ends client_shows(const struct certificate *certificate, enum ouro_tls_clients clients,
                                enum ouro_tls_version most)
{
        struct ouro_tls_context_options trust = client_options(), options = server_options();
        struct ouro_tls_identity identity;
        struct ends ends;

        if (certificate) {
                identity = identity_of(certificate);
                trust.identities = &identity;
                trust.identity_count = 1;
        }
        options.clients = clients;
        options.most = most;
        options.ca = authority.pem;
        options.ca_bytes = strlen(authority.pem);
        ends_open(&ends, context_of(&trust), context_of(&options));
        ends_shake(&ends);
        return ends;
}

IN_LOOP(tls_verify, client_shows_its_certificate)
{
        struct ends ends = client_shows(&client_certificate, OURO_TLS_REQUIRE, 0);
        struct ouro_tls_peer_info peer;
        struct ouro_tls_info info;
        unsigned char digest[32];

        EQ(ends.client.error, 0);
        EQ(ends.server.error, 0);
        EQ(ouro_tls_info(ends.server.stream, &info), 0);
        cr_assert(info.peer_verified);
        EQ(ouro_tls_peer_info(ends.server.stream, &peer), 0);
        cr_assert_str_eq(peer.subject, "CN=client");
        cr_assert_str_eq(peer.issuer, "CN=authority");
        EQ(peer.name_count, 1);
        cr_assert_str_eq(peer.names[0], "DNS:client.test");
        X509_digest(client_certificate.x509, EVP_sha256(), digest, NULL);
        EQ(memcmp(peer.sha256, digest, sizeof digest), 0);
        EQ(peer.not_after - peer.not_before, 7200);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_verify, client_without_certificate)
{
        struct ends ends = client_shows(NULL, OURO_TLS_REQUEST, 0);
        struct ouro_tls_peer_info peer;
        struct ouro_tls_info info;

        EQ(ends.server.error, 0);
        EQ(ouro_tls_info(ends.server.stream, &info), 0);
        cr_assert(!info.peer_verified);
        EQ(ouro_tls_peer_info(ends.server.stream, &peer), -ENODATA);
        ends_close(&ends);
        ends = client_shows(NULL, OURO_TLS_UNKNOWN_CLIENTS, 0);
        EQ(ends.server.error, 0);
        ends_close(&ends);
        ends = client_shows(NULL, OURO_TLS_REQUIRE, OURO_TLS_1_2);
        EQ(ends.server.error, -EKEYREJECTED);
        EQ(ends.client.error, -EPROTONOSUPPORT); /* 1.2 says no more than that the handshake has failed */
        ends_close(&ends);
        return 0;
}

/* In TLS 1.3 the client is done before the server has seen its certificate. */
static void check_told_by_first_read(struct ends *ends, int alert)
{
        struct ouro_tls_failure_info failure;
        char byte;

        EQ(ends->server.error, -EKEYREJECTED);
        EQ(ends->client.error, 0);
        EQ(ouro_stream_read(ends->client.stream, &byte, 1), -EACCES);
        EQ(ouro_stream_read(ends->client.stream, &byte, 1), -EACCES);
        EQ(ouro_tls_failure_info(ends->client.stream, &failure), 0);
        EQ(failure.error, -EACCES);
        EQ(failure.alert, alert);
        ends_close(ends);
}

IN_LOOP(tls_verify, refused_client_is_told_by_its_first_read)
{
        struct ends ends = client_shows(NULL, OURO_TLS_REQUIRE, 0);

        check_told_by_first_read(&ends, SSL_AD_CERTIFICATE_REQUIRED);
        ends = client_shows(&server_certificate, OURO_TLS_REQUIRE, 0); /* made for servers */
        EQ(ends.server.failure.verify_code, X509_V_ERR_INVALID_PURPOSE);
        check_told_by_first_read(&ends, SSL_AD_UNSUPPORTED_CERTIFICATE);
        return 0;
}
