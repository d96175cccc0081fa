/* flow.c - bytes between OpenSSL and the stream below.
 *
 * Each function that waits ends in the task that called it, with what it has moved accounted for: a cancelled
 * task leaves no record half sent that the next one would not go on with. */
#include <string.h>

#include "tls/tls.h"

static const int64_t brief_ns = OURO_MS(100);

/* What is below has failed for good: told in words, too. */
int tls_failed_below(struct tls *tls, int error)
{
        char words[128];

        if (error != -ECANCELED && error != -ETIME && error != -ENOMEM && !tls->broken)
                tls_fail(&tls->failure, error, "the stream below: %s",
                         strerror_r(-error, words, sizeof words));
        return error;
}

/* ---- from below ---- */

int tls_fill(struct tls *tls)
{
        const void *data;
        ssize_t n = tls->closing ? -EBADF : ouro_stream_peek(tls->below, 1, &data);

        if (tls->closing)
                return -EBADF;
        if (n < 0 && n != -ENODATA)
                return tls_failed_below(tls, (int)n);
        if (n <= 0) {
                tls->end_below = true;
                return 0;
        }
        tls->window = data;
        tls->window_len = tls->window_given = (size_t)n;
        return 0;
}

static void consume(struct tls *tls)
{
        size_t used = tls->window_given - tls->window_len;

        if (used > 0)
                ouro_stream_consume(tls->below, used);
        tls->window = NULL;
        tls->window_len = tls->window_given = 0;
}

static int broke(struct tls *tls)
{
        if (tls->out_of_memory)
                tls->broken = tls_fail(&tls->failure, -ENOMEM, "%s", "no memory for what is to be sent");
        else
                tls->broken = tls_fail_by_ssl(&tls->failure, tls->ssl);
        ERR_clear_error();
        return tls->broken;
}

int tls_settle(struct tls *tls, int result)
{
        int kind = SSL_get_error(tls->ssl, result);

        consume(tls);
        switch (kind) {
        case SSL_ERROR_NONE:
                return TLS_DONE;
        case SSL_ERROR_WANT_READ:
                return TLS_WANTS_INPUT;
        case SSL_ERROR_ZERO_RETURN:
                return TLS_END;
        default:
                return broke(tls);
        }
}

/* ---- to below ---- */

bool tls_has_out(const struct tls *tls)
{
        return tls->sending.end > tls->sending.start || tls->out.end > 0;
}

static uint64_t written_below(const struct tls *tls)
{
        struct ouro_stream_counts info = OURO_STREAM_COUNTS_INIT;

        return ouro_stream_info(tls->below, &info) == 0 ? info.written_bytes : 0;
}

bool tls_all_is_sent(const struct tls *tls)
{
        struct ouro_stream_counts info = OURO_STREAM_COUNTS_INIT;

        return !tls->closing && !tls_has_out(tls) && !SSL_in_init(tls->ssl) &&
               ouro_stream_info(tls->below, &info) == 0 && info.sent_bytes == info.written_bytes;
}

/* Cut short, it may have handed over a part. Closed meanwhile, the stream below is gone: during a handshake
 * it is still its owner's. */
static int send_some(struct tls *tls)
{
        struct tls_bytes *sending = &tls->sending;
        uint64_t before = written_below(tls);
        int error =
                ouro_stream_write(tls->below, sending->base + sending->start, sending->end - sending->start);

        if (tls->closing || error == -EBADF)
                return -EBADF;
        sending->start += (size_t)(written_below(tls) - before);
        return error;
}

static void free_bytes(struct tls_bytes *bytes)
{
        OPENSSL_free(bytes->base);
        *bytes = (struct tls_bytes){0};
}

int tls_drain(struct tls *tls)
{
        if (tls->closing)
                return -EBADF;
        while (tls_has_out(tls)) {
                if (tls->sending.start == tls->sending.end) {
                        free_bytes(&tls->sending);
                        tls->sending = tls->out;
                        tls->out = (struct tls_bytes){0};
                }

                int error = send_some(tls);

                if (error < 0)
                        return tls_failed_below(tls, error);
        }
        free_bytes(&tls->sending);

        int error = ouro_stream_flush(tls->below);

        if (tls->closing)
                return -EBADF;
        return error < 0 ? tls_failed_below(tls, error) : 0;
}

int tls_drain_briefly(struct tls *tls)
{
        int error = 0;

        OURO_SHIELD
        {
                OURO_TIMEOUT(brief_ns) {
                        error = tls_drain(tls);
                }
        }
        return error;
}

/* ---- one connection ---- */

static int set_bio(struct tls *tls)
{
        BIO *bio = BIO_new(tls->settings->bio_method);

        if (!bio)
                return -ENOMEM;
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
        SSL_set_bio(tls->ssl, bio, bio);
        return 0;
}

int tls_make(ouro_tls_context *context, ouro_stream *below, struct tls **ret_tls)
{
        struct tls *tls = OPENSSL_zalloc(sizeof *tls);

        if (!tls)
                return -ENOMEM;
        atomic_fetch_add(&context->holders, 1);
        tls->context = context;
        tls->settings = tls_context_settings(context);
        tls->below = below;
        tls->failure.alert = -1;
        tls->ssl = SSL_new(tls->settings->ssl_ctx);
        if (!tls->ssl || set_bio(tls) < 0) {
                ERR_clear_error();
                tls_free(tls);
                return -ENOMEM;
        }
        SSL_set_app_data(tls->ssl, tls);
        *ret_tls = tls;
        return 0;
}

void tls_free(struct tls *tls)
{
        SSL_free(tls->ssl);
        ERR_clear_error();
        free_bytes(&tls->out);
        free_bytes(&tls->sending);
        OPENSSL_free(tls->session_key);
        OPENSSL_free(tls->protocol);
        tls_free_peer(tls);
        tls_settings_drop(tls->settings);
        tls_context_drop(tls->context);
        OPENSSL_free(tls);
}
