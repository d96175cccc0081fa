/* handshake.c - a stream becomes one of TLS.
 *
 * Until it has, the stream below stays its owner's: a failure only takes from it what was read. */
#include <arpa/inet.h>
#include <string.h>

#include "base/options.h"
#include "tls/tls.h"

/* ---- whom a client expects ---- */

static bool is_number(const char *host)
{
        unsigned char address[sizeof(struct in6_addr)];

        return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Numbers are not asked for: RFC 6066 knows names only. */
static int ask_for_host(struct tls *tls, const char *host)
{
        if (is_number(host))
                return 0;
        return SSL_set_tlsext_host_name(tls->ssl, host) ? 0 : -EINVAL;
}

static int expect_host(struct tls *tls, const char *host)
{
        X509_VERIFY_PARAM *rules = SSL_get0_param(tls->ssl);

        X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (is_number(host))
                return X509_VERIFY_PARAM_set1_ip_asc(rules, host) ? 0 : -EINVAL;
        return X509_VERIFY_PARAM_set1_host(rules, host, 0) ? 0 : -EINVAL;
}

static int set_host(struct tls *tls, const struct ouro_tls_options *options)
{
        bool any = options->insecure_any_host || !tls->settings->verifies;
        int error = 0;

        if (options->host &&
            (!*options->host || *options->host == '.')) /* which OpenSSL takes for any below */
                return tls_fail(options->failure, -EINVAL, "the host's name is empty, or begins with a dot");
        if (!options->host)
                return any ? 0 : tls_fail(options->failure, -EINVAL, "no host to expect");
        error = ask_for_host(tls, options->host);
        if (error == 0 && !any)
                error = expect_host(tls, options->host);
        return error < 0 ? tls_fail_by_queue(options->failure, error) : 0;
}

static int set_protocols(struct tls *tls, const struct ouro_tls_options *options)
{
        unsigned char *wire = NULL;
        unsigned bytes = 0;
        int error = tls_write_protocols(options->protocols, options->protocol_count, &wire, &bytes);

        if (error < 0)
                return tls_fail(options->failure, error, "a protocol's name is empty or too long");
        if (wire && SSL_set_alpn_protos(tls->ssl, wire, bytes) != 0)
                error = -ENOMEM;
        OPENSSL_free(wire);
        return error;
}

/* A session stands for a verification that was done: one of less verification is another's. */
static int take_session(struct tls *tls, const struct ouro_tls_options *options)
{
        const char *host = options->host ? options->host : "";
        size_t bytes = strlen(host) + 2;
        SSL_SESSION *session;

        if (!tls->settings->resumes || options->no_session)
                return 0;
        tls->session_key = OPENSSL_malloc(bytes);
        if (!tls->session_key)
                return -ENOMEM;
        tls->session_key[0] = options->insecure_any_host || !tls->settings->verifies ? '?' : '=';
        memcpy(tls->session_key + 1, host, bytes - 1);
        pthread_mutex_lock(&tls->context->lock);
        session = tls_session_take(&tls->context->sessions, tls->session_key);
        pthread_mutex_unlock(&tls->context->lock);
        if (session && !SSL_set_session(tls->ssl, session))
                ERR_clear_error(); /* then without */
        SSL_SESSION_free(session);
        return 0;
}

static int set_client(struct tls *tls, const struct ouro_tls_options *options)
{
        int error = set_host(tls, options);

        if (error == 0)
                error = set_protocols(tls, options);
        if (error == 0)
                error = take_session(tls, options);
        SSL_set_connect_state(tls->ssl);
        return error;
}

static int set_server(struct tls *tls, const struct ouro_tls_options *options)
{
        if (options->host || options->insecure_any_host || options->no_session || options->protocol_count)
                return tls_fail(options->failure, -EINVAL, "an option of clients");
        SSL_set_accept_state(tls->ssl);
        return 0;
}

/* ---- the handshake ---- */

/* A failure is told to the peer, if it takes that without waiting. */
static int shake(struct tls *tls)
{
        int step, error;

        for (;;) {
                ERR_clear_error();
                step = tls_settle(tls, SSL_do_handshake(tls->ssl));
                if (step < 0) {
                        tls_drain_briefly(tls);
                        return step;
                }
                error = tls_has_out(tls) ? tls_drain(tls) : 0;
                if (error < 0 || step == TLS_DONE)
                        return error;
                error = tls_fill(tls);
                if (error < 0)
                        return error;
        }
}

/* The peer's alert may lie behind what could not be sent any more: it says more than the pipe does. Peers
 * that have given up have sent it already. */
static int read_alert(struct tls *tls, int error)
{
        int filled = -ETIME;
        size_t n;
        char byte;

        if ((error != -EPIPE && error != -ECONNRESET) || tls->broken)
                return error;
        OURO_TIMEOUT(OURO_MS(100)) {
                filled = tls_fill(tls);
        }
        if (filled < 0)
                return error;
        ERR_clear_error();
        if (tls_settle(tls, SSL_read_ex(tls->ssl, &byte, 1, &n)) < 0 && tls->failure.alert >= 0)
                return tls->broken;
        return error;
}

static int open_stream(struct tls *tls, const struct ouro_tls_options *options, ouro_stream **ret_stream)
{
        int error = shake(tls);

        if (error < 0)
                error = read_alert(tls, error);
        if (error == 0)
                error = ouro_stream_open_on(&tls_transport, tls, options->stream, ret_stream);
        if (error < 0 && options->failure) {
                *options->failure = tls->failure;
                options->failure->error = error;
        }
        return error;
}

/* What ouro_stream_open_on() would refuse after the handshake is refused before anything is sent. */
static int refuse_stream_options(const struct ouro_tls_options *options)
{
        ouro_stream *probe;
        int error;

        if (!options->stream)
                return 0;
        error = ouro_stream_open_buffer("", 0, options->stream, &probe);
        if (error < 0)
                return tls_fail(options->failure, error, "the stream cannot be made with these options");
        return ouro_stream_abort(probe, false);
}

static int read_options(struct ouro_tls_options *own, const struct ouro_tls_options *given)
{
        if (given)
                return options_read(own, sizeof *own, given);
        *own = (struct ouro_tls_options){.size = sizeof *own};
        return 0;
}

static int begin(ouro_tls_context *context, ouro_stream *below, const struct ouro_tls_options *options,
                 enum ouro_tls_side side, ouro_stream **ret_stream)
{
        struct tls *tls;
        int error = tls_make(context, below, &tls);

        if (error < 0)
                return error;
        if (tls->settings->side != side)
                error = tls_fail(options->failure, -EINVAL, "the context is of the other side");
        else
                error = side == OURO_TLS_CLIENT ? set_client(tls, options) : set_server(tls, options);
        if (error == 0)
                error = refuse_stream_options(options);
        if (error == 0)
                error = open_stream(tls, options, ret_stream);
        if (error < 0)
                tls_free(tls);
        return error;
}

/* Whatever it was: also what has been found out before there was a connection. */
static int tell_failure(struct ouro_tls_failure_info *ret_failure, struct ouro_tls_failure_info *failure,
                        int error)
{
        char words[128];

        if (!ret_failure || error >= 0)
                return error;
        if (failure->error != error)
                tls_fail(failure, error, "%s", strerror_r(-error, words, sizeof words));
        *ret_failure = *failure;
        return error;
}

static int become(ouro_tls_context *context, ouro_stream *below, const struct ouro_tls_options *given,
                  enum ouro_tls_side side, ouro_stream **ret_stream)
{
        struct ouro_tls_failure_info failure = {.error = 0}, *ret_failure;
        struct ouro_tls_options options;
        const void *data;
        int saved_errno = errno, error;

        if (read_options(&options, given) < 0)
                return -EINVAL;
        ret_failure = options.failure;
        options.failure = &failure;
        error = context && ret_stream ? (int)ouro_stream_peek(below, 0, &data)
                                      : -EINVAL; /* refuses who may not */
        if (error >= 0)
                error = begin(context, below, &options, side, ret_stream);
        error = tell_failure(ret_failure, &failure, error);
        errno = saved_errno;
        return error;
}

int ouro_tls_connect(ouro_tls_context *context, ouro_stream *below, const struct ouro_tls_options *options,
                     ouro_stream **ret_stream)
{
        return become(context, below, options, OURO_TLS_CLIENT, ret_stream);
}

int ouro_tls_accept(ouro_tls_context *context, ouro_stream *below, const struct ouro_tls_options *options,
                    ouro_stream **ret_stream)
{
        return become(context, below, options, OURO_TLS_SERVER, ret_stream);
}

int ouro_tls_upgrade(ouro_stream *below, void *context, ouro_stream **ret_stream)
{
        return become(context, below, NULL, OURO_TLS_SERVER, ret_stream);
}
