/* context.c - what connections share: settings that may be exchanged, and sessions.
 *
 * Tasks of several loops, and threads without one, use a context at once. Its lock is held for a pointer or a
 * session, never while OpenSSL computes or a file is read. */
#include "base/options.h"
#include "tls/tls.h"

enum { SESSIONS_OF_CLIENT = 256 };

static int read_options(struct ouro_tls_context_options *own, const struct ouro_tls_context_options *given)
{
        if (!given) {
                *own = (struct ouro_tls_context_options){.size = sizeof *own};
                return 0;
        }
        return options_read(own, sizeof *own, given);
}

/* OpenSSL cleans up at exit if it is not told otherwise, beneath threads that still use it. What is in use is
 * the process's until its end. Whoever initialized OpenSSL before us has decided that already. */
static int make_settings(const struct ouro_tls_context_options *given, struct tls_settings **ret_settings,
                         struct ouro_tls_context_options *ret_options)
{
        int saved_errno = errno;
        int error = read_options(ret_options, given);

        if (error == 0) {
                OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
                ERR_clear_error();
                error = tls_settings_make(ret_options, ret_settings);
        }
        errno = saved_errno;
        return error;
}

int ouro_tls_context_open(const struct ouro_tls_context_options *given, ouro_tls_context **ret_context)
{
        struct ouro_tls_context_options options;
        struct tls_settings *settings;
        ouro_tls_context *context;
        int error;

        if (!ret_context)
                return -EINVAL;
        error = make_settings(given, &settings, &options);
        if (error < 0)
                return error;
        context = OPENSSL_zalloc(sizeof *context);
        if (!context) {
                tls_settings_drop(settings);
                return -ENOMEM;
        }
        context->holders = 1;
        pthread_mutex_init(&context->lock, NULL);
        context->settings = settings;
        context->sessions.most = options.sessions ? options.sessions : SESSIONS_OF_CLIENT;
        *ret_context = context;
        return 0;
}

/* So that clients with a ticket of before need no full handshake. */
static int hand_on_ticket_keys(const struct tls_settings *from, struct tls_settings *to)
{
        unsigned char keys[128];
        long len = SSL_CTX_get_tlsext_ticket_keys(from->ssl_ctx, NULL, 0);
        int done;

        if (len <= 0 || (size_t)len > sizeof keys)
                return 0;
        done = SSL_CTX_get_tlsext_ticket_keys(from->ssl_ctx, keys, len) > 0 &&
               SSL_CTX_set_tlsext_ticket_keys(to->ssl_ctx, keys, len) > 0;
        OPENSSL_cleanse(keys, sizeof keys);
        ERR_clear_error();
        return done ? 0 : -ENOMEM;
}

int ouro_tls_context_reload(ouro_tls_context *context, const struct ouro_tls_context_options *given)
{
        struct ouro_tls_context_options options;
        struct tls_settings *new, *old;
        int error;

        if (!context || !given)
                return -EINVAL;
        error = make_settings(given, &new, &options);
        if (error < 0)
                return error;
        pthread_mutex_lock(&context->lock);
        old = context->settings;
        error = new->side == old->side ? 0 : tls_fail(options.failure, -EINVAL, "of another side");
        if (error == 0 && new->side == OURO_TLS_SERVER)
                error = hand_on_ticket_keys(old, new);
        if (error == 0) {
                context->settings = new;
                context->sessions.most = options.sessions ? options.sessions : SESSIONS_OF_CLIENT;
        }
        pthread_mutex_unlock(&context->lock);
        tls_settings_drop(error == 0 ? old : new);
        return error;
}

struct tls_settings *tls_context_settings(ouro_tls_context *context)
{
        struct tls_settings *settings;

        pthread_mutex_lock(&context->lock);
        settings = tls_settings_hold(context->settings);
        pthread_mutex_unlock(&context->lock);
        return settings;
}

void tls_context_drop(ouro_tls_context *context)
{
        if (!context || atomic_fetch_sub(&context->holders, 1) > 1)
                return;
        tls_settings_drop(context->settings);
        tls_sessions_free(&context->sessions);
        pthread_mutex_destroy(&context->lock);
        OPENSSL_free(context);
}

int ouro_tls_context_close(ouro_tls_context *context)
{
        if (!context)
                return -EINVAL;
        tls_context_drop(context);
        return 0;
}
