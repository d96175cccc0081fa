/* settings.c - an SSL_CTX, made of options.
 *
 * Settings do not change once they are made: reloading makes others, and connections hold those that they
 * began with. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tls/tls.h"

enum {
        MOST_PROTOCOL_BYTES = 255, /* of a name; a length has one byte */
        MOST_WIRE_BYTES = 65535,
        SESSIONS_OF_SERVER = 20480,
};

static const int64_t default_session_ns = OURO_SEC(7200);

/* ---- protocols ---- */

static size_t wire_bytes(const char *const *names, size_t count)
{
        size_t bytes = 0;

        for (size_t i = 0; i < count; i++) {
                size_t len = names[i] ? strlen(names[i]) : 0;

                if (len == 0 || len > MOST_PROTOCOL_BYTES)
                        return SIZE_MAX;
                bytes += len + 1;
        }
        return bytes;
}

int tls_write_protocols(const char *const *names, size_t count, unsigned char **ret_wire, unsigned *ret_bytes)
{
        size_t bytes = names ? wire_bytes(names, count) : SIZE_MAX;
        unsigned char *at;

        if (count == 0)
                return 0;
        if (bytes > MOST_WIRE_BYTES)
                return -EINVAL;
        at = OPENSSL_malloc(bytes);
        if (!at)
                return -ENOMEM;
        *ret_wire = at;
        *ret_bytes = (unsigned)bytes;
        for (size_t i = 0; i < count; i++) {
                size_t len = strlen(names[i]);

                *at++ = (unsigned char)len;
                memcpy(at, names[i], len);
                at += len;
        }
        return 0;
}

/* Our order counts. Without overlap the client is told, and refused. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
        const struct tls_settings *settings = arg;
        unsigned char *name;

        (void)ssl;
        if (SSL_select_next_proto(&name, ret_len, settings->protocols, settings->protocols_bytes, offered,
                                  offered_len) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
        *ret_name = name;
        return SSL_TLSEXT_ERR_OK;
}

static int set_protocols(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int error = tls_write_protocols(options->protocols, options->protocol_count, &settings->protocols,
                                        &settings->protocols_bytes);

        if (error < 0)
                return tls_fail(options->failure, error, "a protocol's name is empty or too long");
        if (!settings->protocols)
                return 0;
        if (settings->side == OURO_TLS_SERVER)
                SSL_CTX_set_alpn_select_cb(settings->ssl_ctx, choose_protocol, settings);
        else if (SSL_CTX_set_alpn_protos(settings->ssl_ctx, settings->protocols, settings->protocols_bytes) !=
                 0)
                return -ENOMEM;
        return 0;
}

/* ---- versions and ciphers ---- */

static bool is_version(enum ouro_tls_version version)
{
        return version == OURO_TLS_ANY_VERSION || version == OURO_TLS_1_2 || version == OURO_TLS_1_3;
}

static int set_versions(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        SSL_CTX *ctx = settings->ssl_ctx;

        if (!is_version(options->least) || !is_version(options->most) ||
            (options->most && options->most < options->least))
                return tls_fail(options->failure, -EINVAL, "no such versions");
        if (!SSL_CTX_set_min_proto_version(ctx, options->least ? (int)options->least : TLS1_2_VERSION) ||
            !SSL_CTX_set_max_proto_version(ctx, (int)options->most))
                return tls_fail_by_queue(options->failure, -ENOTSUP);
        if ((options->ciphers && !SSL_CTX_set_cipher_list(ctx, options->ciphers)) ||
            (options->ciphersuites && !SSL_CTX_set_ciphersuites(ctx, options->ciphersuites)))
                return tls_fail_by_queue(options->failure, -ENOTSUP);
        return 0;
}

/* ---- sessions ---- */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
        const struct tls *tls = SSL_get_app_data(ssl);

        if (!tls->session_key)
                return 0;
        pthread_mutex_lock(&tls->context->lock);
        tls_session_keep(&tls->context->sessions, tls->session_key, session);
        pthread_mutex_unlock(&tls->context->lock);
        return 1; /* taken */
}

static int set_sessions(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int64_t ns = options->session_ns ? options->session_ns : default_session_ns;
        size_t most = options->sessions ? options->sessions : SESSIONS_OF_SERVER;
        SSL_CTX *ctx = settings->ssl_ctx;

        if (ns < 0 || most > INT32_MAX)
                return tls_fail(options->failure, -EINVAL, "sessions cannot be kept like that");
        settings->resumes = !options->no_sessions;
        if (!settings->resumes) {
                SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
                SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
                SSL_CTX_set_num_tickets(ctx, 0);
                return 0;
        }
        SSL_CTX_set_timeout(ctx, (long)((ns + OURO_SEC(1) - 1) / OURO_SEC(1)));
        if (settings->side == OURO_TLS_CLIENT) {
                SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
                SSL_CTX_sess_set_new_cb(ctx, keep_session);
                return 0;
        }
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
        SSL_CTX_sess_set_cache_size(ctx, (long)most);
        return SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ouro", 4) ? 0 : -ENOMEM;
}

/* ---- the key log ---- */

static void log_key(const SSL *ssl, const char *line)
{
        const struct tls_settings *settings = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
        char text[1024];
        int len = snprintf(text, sizeof text, "%s\n", line);

        /* In one piece: other connections and processes append, too. */
        if (len > 0 && (size_t)len < sizeof text && write(settings->key_log, text, (size_t)len) < 0)
                return;
}

static int open_key_log(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        if (!options->key_log_file)
                return 0;
        settings->key_log = open(options->key_log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (settings->key_log < 0)
                return tls_fail(options->failure, -errno, "%s cannot be opened", options->key_log_file);
        SSL_CTX_set_keylog_callback(settings->ssl_ctx, log_key);
        return 0;
}

/* ---- all of it ---- */

/* Buffers go while a connection is idle. A chain is what its file holds: none is looked for at each
 * handshake. */
static void set_modes(SSL_CTX *ctx)
{
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN |
                                      SSL_MODE_AUTO_RETRY);
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

static int set_identities(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int error = tls_load_identities(settings, options);

        if (error < 0 || settings->side == OURO_TLS_CLIENT)
                return error;
        SSL_CTX_set_cert_cb(settings->ssl_ctx, tls_show_identity, settings);
        SSL_CTX_set_tlsext_servername_callback(settings->ssl_ctx, tls_know_name);
        SSL_CTX_set_tlsext_servername_arg(settings->ssl_ctx, settings);
        return 0;
}

static int make_ssl_ctx(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        bool server = settings->side == OURO_TLS_SERVER;

        settings->ssl_ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
        settings->bio_method = tls_bio_method();
        if (!settings->ssl_ctx || !settings->bio_method)
                return tls_fail_by_queue(options->failure, -ENOMEM);
        SSL_CTX_set_app_data(settings->ssl_ctx, settings);
        set_modes(settings->ssl_ctx);
        return 0;
}

static int fill_in(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int (*const steps[])(struct tls_settings *, const struct ouro_tls_context_options *) = {
                make_ssl_ctx,  set_versions, tls_trust,    set_identities,
                set_protocols, set_sessions, open_key_log,
        };
        int error = 0;

        for (size_t i = 0; i < sizeof steps / sizeof *steps && error == 0; i++)
                error = steps[i](settings, options);
        return error;
}

static int refuse(const struct ouro_tls_context_options *options)
{
        bool server = options->side == OURO_TLS_SERVER;

        if (options->side != OURO_TLS_CLIENT && !server)
                return tls_fail(options->failure, -EINVAL, "neither client nor server");
        if (options->identity_count && !options->identities)
                return tls_fail(options->failure, -EINVAL, "the identities are NULL");
        if (server && options->identity_count == 0)
                return tls_fail(options->failure, -EINVAL, "a server needs a certificate");
        if (server && options->insecure_no_verification)
                return tls_fail(options->failure, -EINVAL, "a server chooses by .clients whom it verifies");
        if (!server && options->identity_count > 1)
                return tls_fail(options->failure, -EINVAL, "a client has one identity at most");
        if (!server && (options->clients || options->refuse_unknown_names))
                return tls_fail(options->failure, -EINVAL, "an option of servers");
        return 0;
}

int tls_settings_make(const struct ouro_tls_context_options *options, struct tls_settings **ret_settings)
{
        int error = refuse(options);
        struct tls_settings *settings;

        if (error < 0)
                return error;
        settings = OPENSSL_zalloc(sizeof *settings);
        if (!settings)
                return tls_fail(options->failure, -ENOMEM, "%s", "");
        settings->holders = 1;
        settings->side = options->side;
        settings->refuses_unknown_names = options->refuse_unknown_names;
        settings->key_log = -1;
        error = fill_in(settings, options);
        if (error < 0) {
                tls_settings_drop(settings);
                return error;
        }
        *ret_settings = settings;
        return 0;
}

struct tls_settings *tls_settings_hold(struct tls_settings *settings)
{
        atomic_fetch_add(&settings->holders, 1);
        return settings;
}

void tls_settings_drop(struct tls_settings *settings)
{
        if (!settings || atomic_fetch_sub(&settings->holders, 1) > 1)
                return;
        SSL_CTX_free(settings->ssl_ctx);
        BIO_meth_free(settings->bio_method);
        tls_free_identities(settings);
        OPENSSL_free(settings->protocols);
        if (settings->key_log >= 0)
                close(settings->key_log);
        OPENSSL_free(settings);
}
