/* identity.c - certificates with their keys, and which of them a client is shown. */
#include <string.h>

#include "tls/tls.h"

static int open_part(const char *file, const void *bytes, size_t len, BIO **ret_bio,
                     struct ouro_tls_failure_info *failure)
{
        if (file && bytes)
                return tls_fail(failure, -EINVAL, "both a file and memory are given");
        if (file)
                return tls_open_file(file, ret_bio, failure);
        if (!bytes)
                return tls_fail(failure, -EINVAL, "a certificate or key is missing");
        return tls_open_memory(bytes, len, ret_bio);
}

/* So that no key asks for its password at the terminal. */
static int no_password(char *buf, int room, int writing, void *arg)
{
        (void)buf, (void)room, (void)writing, (void)arg;
        return -1;
}

static int read_chain(struct tls_identity *identity, BIO *bio)
{
        X509 *next;

        identity->certificate = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
        if (!identity->certificate)
                return -EBADMSG;
        identity->chain = sk_X509_new_null();
        if (!identity->chain)
                return -ENOMEM;
        while ((next = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
                if (!sk_X509_push(identity->chain, next)) {
                        X509_free(next);
                        return -ENOMEM;
                }
        }
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return -EBADMSG;
        ERR_clear_error(); /* the end of the chain */
        return 0;
}

static int load_chain(struct tls_identity *identity, const struct ouro_tls_identity *given,
                      struct ouro_tls_failure_info *failure)
{
        BIO *bio;
        int error = open_part(given->chain_file, given->chain, given->chain_bytes, &bio, failure);

        if (error < 0)
                return error;
        error = read_chain(identity, bio);
        BIO_free(bio);
        return error < 0 ? tls_fail_by_queue(failure, error) : 0;
}

static int load_key(struct tls_identity *identity, const struct ouro_tls_identity *given,
                    struct ouro_tls_failure_info *failure)
{
        BIO *bio;
        int error = open_part(given->key_file, given->key, given->key_bytes, &bio, failure);

        if (error < 0)
                return error;
        identity->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        BIO_free(bio);
        return identity->key ? 0 : tls_fail_by_queue(failure, -EBADMSG);
}

static int load(struct tls_settings *settings, struct tls_identity *identity,
                const struct ouro_tls_identity *given, struct ouro_tls_failure_info *failure)
{
        int error = load_chain(identity, given, failure);

        if (error == 0)
                error = load_key(identity, given, failure);
        if (error < 0)
                return error;
        if (given->name && !(identity->name = OPENSSL_strdup(given->name)))
                return -ENOMEM;
        if (!SSL_CTX_use_cert_and_key(settings->ssl_ctx, identity->certificate, identity->key,
                                      identity->chain, 1))
                return tls_fail_by_queue(failure, -EKEYREJECTED);
        return 0;
}

int tls_load_identities(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        size_t bytes = options->identity_count * sizeof *settings->identities;

        if (options->identity_count == 0)
                return 0;
        settings->identities = OPENSSL_zalloc(bytes);
        if (!settings->identities)
                return -ENOMEM;
        settings->identity_count = options->identity_count;
        for (size_t i = 0; i < options->identity_count; i++) {
                int error =
                        load(settings, &settings->identities[i], &options->identities[i], options->failure);

                if (error < 0)
                        return error;
        }
        return 0;
}

void tls_free_identities(struct tls_settings *settings)
{
        for (size_t i = 0; i < settings->identity_count; i++) {
                struct tls_identity *identity = &settings->identities[i];

                OPENSSL_free(identity->name);
                X509_free(identity->certificate);
                sk_X509_pop_free(identity->chain, X509_free);
                EVP_PKEY_free(identity->key);
        }
        OPENSSL_free(settings->identities);
}

static bool is_for(const struct tls_identity *identity, const char *name)
{
        if (!name)
                return false;
        if (identity->name)
                return OPENSSL_strcasecmp(identity->name, name) == 0;
        return X509_check_host(identity->certificate, name, 0, 0, NULL) == 1;
}

static bool knows(const struct tls_settings *settings, const char *name)
{
        for (size_t i = 0; i < settings->identity_count; i++)
                if (is_for(&settings->identities[i], name))
                        return true;
        return false;
}

int tls_know_name(SSL *ssl, int *ret_alert, void *arg)
{
        const struct tls_settings *settings = arg;
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

        if (name && knows(settings, name))
                return SSL_TLSEXT_ERR_OK;
        if (!name || !settings->refuses_unknown_names)
                return SSL_TLSEXT_ERR_NOACK;
        *ret_alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int show(SSL *ssl, const struct tls_identity *identity)
{
        return SSL_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1);
}

/* Of the identities for a name each kind of key can have one: the first. Nothing is known of the client's
 * kinds here; OpenSSL chooses among those that it is given. */
int tls_show_identity(SSL *ssl, void *arg)
{
        const struct tls_settings *settings = arg;
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        bool known = knows(settings, name);

        SSL_certs_clear(ssl);
        if (!known)
                return show(ssl, &settings->identities[0]);
        for (size_t i = settings->identity_count; i-- > 0;)
                if (is_for(&settings->identities[i], name) && !show(ssl, &settings->identities[i]))
                        return 0;
        return 1;
}
