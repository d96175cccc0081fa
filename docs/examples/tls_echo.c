/* tls_echo.c - an echo server over TLS, and its clients: one that trusts it, the same once more, one that
 * expects another host, and one that trusts only what the system trusts.
 *
 * The certificate is made on the spot, for "localhost", and gone at the end. A server that others are to know
 * has files instead: chain_file and key_file of struct ouro_tls_identity.
 *
 *      cc tls_echo.c $(pkg-config --cflags --libs ouro-tls libcrypto) */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <ouro/tls.h>
#include <stdio.h>

struct program {
        ouro_tls_context *of_server;
        ouro_tls_context *of_client;
        ouro_server *server;
        struct ouro_event ready;
        char address[OURO_ADDRESS_TEXT];
};

/* ---- a certificate of our own, signed by itself ---- */

struct certificate {
        BIO *chain; /* PEM, in memory */
        BIO *key;
};

static int make_certificate(struct certificate *certificate)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *x509 = X509_new();
        X509_NAME *name = x509 ? X509_get_subject_name(x509) : NULL;
        int good = key && name;

        certificate->chain = BIO_new(BIO_s_mem());
        certificate->key = BIO_new(BIO_s_mem());
        good = good && certificate->chain && certificate->key &&
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
                                          -1, 0) &&
               X509_set_issuer_name(x509, name) && X509_set_version(x509, 2) &&
               ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) &&
               X509_gmtime_adj(X509_getm_notBefore(x509), -60) &&
               X509_gmtime_adj(X509_getm_notAfter(x509), 3600) && X509_set_pubkey(x509, key) &&
               X509_sign(x509, key, EVP_sha256()) > 0 && PEM_write_bio_X509(certificate->chain, x509) &&
               PEM_write_bio_PrivateKey(certificate->key, key, NULL, NULL, 0, NULL, NULL);
        X509_free(x509);
        EVP_PKEY_free(key);
        return good ? 0 : -ENOMEM;
}

static void free_certificate(struct certificate *certificate)
{
        BIO_free(certificate->chain);
        BIO_free(certificate->key);
}

/* ---- what both sides are to know ---- */

static size_t text_of(BIO *bio, const void **ret_text)
{
        char *text;
        long len = BIO_get_mem_data(bio, &text);

        *ret_text = text;
        return (size_t)len;
}

static int open_contexts(struct program *program, const struct certificate *certificate)
{
        struct ouro_tls_context_options server = OURO_SIZED_(struct ouro_tls_context_options);
        struct ouro_tls_context_options client = OURO_SIZED_(struct ouro_tls_context_options);
        struct ouro_tls_identity identity = {NULL, NULL, NULL, NULL, 0, NULL, 0};
        int error;

        identity.chain_bytes = text_of(certificate->chain, &identity.chain);
        identity.key_bytes = text_of(certificate->key, &identity.key);
        server.side = OURO_TLS_SERVER;
        server.identities = &identity;
        server.identity_count = 1;
        client.ca = identity.chain; /* trusts this one, and nobody else */
        client.ca_bytes = identity.chain_bytes;
        error = ouro_tls_context_open(&server, &program->of_server);
        return error < 0 ? error : ouro_tls_context_open(&client, &program->of_client);
}

/* ---- the server ---- */

static intptr_t echo(ouro_stream *stream, void *arg)
{
        const char *line;
        ssize_t n;

        (void)arg;
        while ((n = ouro_stream_read_line(stream, 1000, &line)) >= 0)
                ouro_stream_printf(stream, "%s\n", line);
        return n == -ENODATA ? 0 : n;
}

static int is_ready(ouro_server *server, void *arg)
{
        struct program *program = (struct program *)arg;
        int len = ouro_serve_address(server, 0, program->address, sizeof program->address);

        program->server = server;
        ouro_event_set(&program->ready);
        return len < 0 ? len : 0;
}

static intptr_t serve(void *arg)
{
        struct program *program = (struct program *)arg;
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;

        options.upgrade = ouro_tls_upgrade; /* before the handler, in the connection's own task */
        options.upgrade_arg = program->of_server;
        options.on_ready = is_ready;
        options.idle_ns = OURO_SEC(10); /* handshakes included */
        return ouro_serve("tcp:127.0.0.1:0", echo, program, &options);
}

/* ---- the clients ---- */

static int talk(ouro_stream *stream)
{
        struct ouro_tls_info info;
        const char *line;
        int error = ouro_stream_printf(stream, "hello\n");
        ssize_t n = error < 0 ? error : ouro_stream_read_line(stream, 0, &line);

        if (n < 0)
                return (int)n;
        error = ouro_tls_info(stream, &info);
        if (error == 0)
                printf("%s came back by %s%s\n", line, info.version, info.resumed ? ", resumed" : "");
        return error;
}

static int visit(const struct program *program, ouro_tls_context *context, const char *host)
{
        struct ouro_tls_failure_info why = {0, 0, 0, ""};
        struct ouro_tls_options peer = OURO_SIZED_(struct ouro_tls_options);
        int fd = ouro_dial(program->address), error;
        ouro_stream *below, *stream;

        if (fd < 0)
                return fd;
        error = ouro_stream_open(fd, NULL, &below);
        if (error < 0) {
                ouro_close(fd);
                return error;
        }
        peer.host = host;
        peer.failure = &why;
        error = -ETIME;
        OURO_TIMEOUT(OURO_SEC(30)) {
                error = ouro_tls_connect(context, below, &peer, &stream);
        }
        if (error == 0) {
                error = talk(stream);
                ouro_stream_close(stream); /* and what is below */
                return error;
        }
        ouro_stream_close(below); /* still ours */
        if (error == -EKEYREJECTED)
                printf("%s: %s\n", host, why.reason);
        return error == -EKEYREJECTED ? 0 : error;
}

static int visit_all(struct program *program)
{
        ouro_tls_context *of_system;
        int error = visit(program, program->of_client, "localhost");

        if (error == 0)
                error = visit(program, program->of_client, "localhost");
        if (error == 0)
                error = visit(program, program->of_client, "example.org");
        if (error == 0)
                error = ouro_tls_context_open(NULL, &of_system);
        if (error < 0)
                return error;
        error = visit(program, of_system, "localhost");
        ouro_tls_context_close(of_system);
        return error;
}

static intptr_t app(void *arg)
{
        struct program *program = (struct program *)arg;
        ouro_task server = ouro_create_task(serve, program);
        int error = -ETIME;

        OURO_TIMEOUT(OURO_SEC(30)) {
                error = ouro_event_wait(&program->ready);
        }
        if (error == 0)
                error = visit_all(program);
        if (program->server)
                ouro_serve_stop(program->server);
        return error < 0 ? error : ouro_await(server);
}

/* Clients that refuse us make the server warn, by one line to stderr: here they are meant to. */
static void pass_over(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)message, (void)arg;
}

int main(void)
{
        struct program program = {.of_server = NULL};
        struct certificate certificate;
        intptr_t result = make_certificate(&certificate);

        if (result == 0)
                result = open_contexts(&program, &certificate);
        free_certificate(&certificate); /* the contexts have copies */
        ouro_set_log(pass_over, NULL);
        if (result == 0)
                result = ouro_run(app, &program);
        ouro_tls_context_close(program.of_server);
        ouro_tls_context_close(program.of_client);
        return result < 0;
}
