/* tls.c - TLS contexts that two loops share while another thread reloads them. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include <ouro/tls.h>

#include "tsan/runner.h"

enum { LOOPS = 2, VISITS = 60, PEM_BYTES = 4096 };

static char chain[PEM_BYTES], key[PEM_BYTES];
static ouro_tls_context *client, *server;
static atomic_int resumed, at_work;

/* ---- a certificate ---- */

static void keep(BIO *bio, char text[PEM_BYTES])
{
        int len = BIO_read(bio, text, PEM_BYTES - 1);

        expect(len > 0);
        text[len] = '\0';
        BIO_free(bio);
}

static void make_certificate(void)
{
        EVP_PKEY *pair = EVP_EC_gen("P-256");
        BIO *bios[2] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
        X509 *x509 = X509_new();
        X509_NAME *name = X509_get_subject_name(x509);

        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
        X509_set_issuer_name(x509, name);
        X509_set_version(x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
        X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
        X509_set_pubkey(x509, pair);
        expect(X509_sign(x509, pair, EVP_sha256()) > 0);
        expect(PEM_write_bio_X509(bios[0], x509));
        expect(PEM_write_bio_PrivateKey(bios[1], pair, NULL, NULL, 0, NULL, NULL));
        keep(bios[0], chain);
        keep(bios[1], key);
        X509_free(x509);
        EVP_PKEY_free(pair);
}

static struct ouro_tls_context_options options_of(enum ouro_tls_side side)
{
        static struct ouro_tls_identity identity;
        struct ouro_tls_context_options options = {.size = sizeof options, .side = side};

        identity = (struct ouro_tls_identity){
                .chain = chain, .chain_bytes = strlen(chain), .key = key, .key_bytes = strlen(key)};
        if (side == OURO_TLS_SERVER) {
                options.identities = &identity;
                options.identity_count = 1;
        } else {
                options.ca = chain;
                options.ca_bytes = strlen(chain);
        }
        return options;
}

/* ---- visits ---- */

static intptr_t answer(void *arg)
{
        ouro_stream *below, *stream;
        char byte;

        expect(ouro_stream_open(*(int *)arg, NULL, &below) == 0);
        expect(ouro_tls_accept(server, below, NULL, &stream) == 0);
        expect(ouro_stream_read(stream, &byte, 1) == 1);
        expect(ouro_stream_write(stream, &byte, 1) == 0);
        expect(ouro_stream_shutdown(stream) == 0);
        expect(ouro_stream_read(stream, &byte, 1) == 0);
        return ouro_stream_close(stream);
}

static void visit(void)
{
        struct ouro_tls_options options = {.size = sizeof options, .host = "localhost"};
        ouro_stream *below, *stream;
        struct ouro_tls_info info;
        ouro_task task;
        char byte;
        int fds[2];

        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        task = ouro_create_task(answer, &fds[1]);
        expect(ouro_stream_open(fds[0], NULL, &below) == 0);
        expect(ouro_tls_connect(client, below, &options, &stream) == 0);
        expect(ouro_tls_info(stream, &info) == 0);
        atomic_fetch_add(&resumed, info.resumed);
        expect(ouro_stream_write(stream, "x", 1) == 0);
        expect(ouro_stream_read(stream, &byte, 1) == 1 && byte == 'x');
        expect(ouro_stream_read(stream, &byte, 1) == 0);
        expect(ouro_stream_close(stream) == 0);
        expect(ouro_await(task) == 0);
}

static intptr_t visit_often(void *unused)
{
        (void)unused;
        for (int i = 0; i < VISITS; i++)
                visit();
        return 0;
}

static void *run_loop(void *unused)
{
        expect(ouro_run(visit_often, unused) == 0);
        atomic_fetch_sub(&at_work, 1);
        return NULL;
}

CASE(two_loops_share_contexts_that_are_reloaded)
{
        struct ouro_tls_context_options of_client, of_server;
        pthread_t threads[LOOPS];

        make_certificate();
        of_client = options_of(OURO_TLS_CLIENT);
        of_server = options_of(OURO_TLS_SERVER);
        expect(ouro_tls_context_open(&of_client, &client) == 0);
        expect(ouro_tls_context_open(&of_server, &server) == 0);
        atomic_store(&at_work, LOOPS);
        for (int i = 0; i < LOOPS; i++)
                expect(pthread_create(&threads[i], NULL, run_loop, NULL) == 0);
        while (atomic_load(&at_work) > 0) {
                expect(ouro_tls_context_reload(client, &of_client) == 0);
                expect(ouro_tls_context_reload(server, &of_server) == 0);
        }
        for (int i = 0; i < LOOPS; i++)
                expect(pthread_join(threads[i], NULL) == 0);
        expect(atomic_load(&resumed) > 0);
        expect(ouro_tls_context_close(client) == 0);
        expect(ouro_tls_context_close(server) == 0);
}
