/* trust.c - whose certificates are accepted. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls.h"

enum { MOST_FILE_BYTES = 64 << 20 };

/* ---- files ---- */

static int read_whole(int fd, BIO *bio)
{
        char block[4096];
        size_t total = 0;
        ssize_t n;

        while ((n = read(fd, block, sizeof block)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                total += (size_t)n;
                if (total > MOST_FILE_BYTES)
                        return -EFBIG;
                if (BIO_write(bio, block, (int)n) != n)
                        return -ENOMEM;
        }
        return 0;
}

int tls_open_file(const char *path, BIO **ret_bio, struct ouro_tls_failure_info *failure)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC), error;
        BIO *bio;

        if (fd < 0)
                return tls_fail(failure, -errno, "%s cannot be opened", path);
        bio = BIO_new(BIO_s_mem());
        error = bio ? read_whole(fd, bio) : -ENOMEM;
        close(fd);
        if (error < 0) {
                BIO_free(bio);
                return tls_fail(failure, error, "%s cannot be read", path);
        }
        BIO_set_mem_eof_return(bio, 0);
        *ret_bio = bio;
        return 0;
}

int tls_open_memory(const void *bytes, size_t len, BIO **ret_bio)
{
        if (len > INT_MAX)
                return -EINVAL;
        *ret_bio = BIO_new_mem_buf(bytes, (int)len);
        return *ret_bio ? 0 : -ENOMEM;
}

/* ---- authorities ---- */

/* A server names its authorities to clients, so that they know which certificate to show. */
static int trust_one(struct tls_settings *settings, X509 *authority)
{
        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(settings->ssl_ctx), authority))
                return -ENOMEM;
        if (settings->side == OURO_TLS_SERVER && !SSL_CTX_add_client_CA(settings->ssl_ctx, authority))
                return -ENOMEM;
        return 0;
}

static int trust_all(struct tls_settings *settings, BIO *bio)
{
        X509 *authority;
        size_t count = 0;

        while ((authority = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
                int error = trust_one(settings, authority);

                X509_free(authority);
                if (error < 0)
                        return error;
                count++;
        }
        if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return -EBADMSG;
        ERR_clear_error(); /* the end of the file */
        return 0;
}

static int trust_bio(struct tls_settings *settings, BIO *bio, struct ouro_tls_failure_info *failure)
{
        int error = trust_all(settings, bio);

        BIO_free(bio);
        return error < 0 ? tls_fail_by_queue(failure, error) : 0;
}

static int trust_given(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int error = 0;
        BIO *bio;

        if (options->ca_file) {
                error = tls_open_file(options->ca_file, &bio, options->failure);
                if (error == 0)
                        error = trust_bio(settings, bio, options->failure);
        }
        if (error == 0 && options->ca) {
                error = tls_open_memory(options->ca, options->ca_bytes, &bio);
                if (error == 0)
                        error = trust_bio(settings, bio, options->failure);
        }
        return error;
}

static int trust_directory(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int fd;

        if (!options->ca_dir)
                return 0;
        fd = open(options->ca_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return tls_fail(options->failure, -errno, "%s cannot be opened", options->ca_dir);
        close(fd);
        if (!SSL_CTX_load_verify_dir(settings->ssl_ctx, options->ca_dir))
                return tls_fail_by_queue(options->failure, -EBADMSG);
        return 0;
}

/* ---- certificates taken back ---- */

static int add_lists(X509_STORE *store, BIO *bio)
{
        X509_CRL *list;
        size_t count = 0;

        while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
                int added = X509_STORE_add_crl(store, list);

                X509_CRL_free(list);
                if (!added)
                        return -ENOMEM;
                count++;
        }
        if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return -EBADMSG;
        ERR_clear_error(); /* the end of the file */
        return 0;
}

static int distrust(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        BIO *bio;
        int error;

        if (!options->crl_file)
                return 0;
        error = tls_open_file(options->crl_file, &bio, options->failure);
        if (error < 0)
                return error;
        error = add_lists(SSL_CTX_get_cert_store(settings->ssl_ctx), bio);
        BIO_free(bio);
        if (error < 0)
                return tls_fail_by_queue(options->failure, error);
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(settings->ssl_ctx), X509_V_FLAG_CRL_CHECK);
        return 0;
}

/* ---- all of it ---- */

static bool names_authorities(const struct ouro_tls_context_options *options)
{
        return options->ca_file || options->ca_dir || options->ca;
}

static int verify_mode(const struct ouro_tls_context_options *options)
{
        if (options->side == OURO_TLS_CLIENT)
                return options->insecure_no_verification ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
        switch (options->clients) {
        case OURO_TLS_UNKNOWN_CLIENTS:
                return SSL_VERIFY_NONE;
        case OURO_TLS_REQUEST:
                return SSL_VERIFY_PEER;
        case OURO_TLS_REQUIRE:
                return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        default:
                return -1;
        }
}

int tls_trust(struct tls_settings *settings, const struct ouro_tls_context_options *options)
{
        int mode = verify_mode(options), error;

        if (mode < 0)
                return tls_fail(options->failure, -EINVAL, "no such way to treat clients");
        settings->verifies = mode != SSL_VERIFY_NONE;
        SSL_CTX_set_verify(settings->ssl_ctx, mode, NULL);
        if (!names_authorities(options)) {
                if (settings->side == OURO_TLS_SERVER && settings->verifies)
                        return tls_fail(options->failure, -EINVAL, "whose clients are trusted is not said");
                if (settings->verifies && !SSL_CTX_set_default_verify_paths(settings->ssl_ctx))
                        return tls_fail_by_queue(options->failure, -ENOMEM);
                ERR_clear_error();
        }
        error = trust_given(settings, options);
        if (error == 0)
                error = trust_directory(settings, options);
        return error < 0 ? error : distrust(settings, options);
}
