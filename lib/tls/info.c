/* info.c - what a connection has come to: versions, names, the peer's certificate, the reason of a failure.
 */
#include <openssl/objects.h>
#include <string.h>

#include "tls/tls.h"

/* What ouro_tls_peer_info() has handed out. */
struct tls_peer {
        struct ouro_tls_peer_info info;
        char *subject;
        char *issuer;
        char **names;
        size_t count;
};

/* ---- which connection ---- */

static int connection(ouro_stream *stream, const void *ret, struct tls **ret_tls)
{
        const void *data;
        ssize_t error;

        if (!stream || !ret)
                return -EINVAL;
        error = ouro_stream_peek(stream, 0, &data); /* refuses who is not of its loop */
        if (error == -EPERM)
                return -EPERM;
        *ret_tls = ouro_stream_self(stream, &tls_transport);
        return *ret_tls ? 0 : -EINVAL;
}

int ouro_tls_info(ouro_stream *stream, struct ouro_tls_info *ret_info)
{
        const unsigned char *protocol;
        unsigned protocol_len;
        struct tls *tls;
        int error = connection(stream, ret_info, &tls);

        if (error < 0)
                return error;
        if (!tls->protocol) {
                SSL_get0_alpn_selected(tls->ssl, &protocol, &protocol_len);
                if (protocol_len > 0 &&
                    !(tls->protocol = OPENSSL_strndup((const char *)protocol, protocol_len)))
                        return -ENOMEM;
        }
        *ret_info = (struct ouro_tls_info){
                .version = SSL_get_version(tls->ssl),
                .cipher = SSL_get_cipher_name(tls->ssl),
                .protocol = tls->protocol,
                .host = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name),
                .resumed = SSL_session_reused(tls->ssl) != 0,
                .peer_verified = tls->settings->verifies && SSL_get0_peer_certificate(tls->ssl) &&
                                 SSL_get_verify_result(tls->ssl) == X509_V_OK,
        };
        ERR_clear_error();
        return 0;
}

int ouro_tls_failure_info(ouro_stream *stream, struct ouro_tls_failure_info *ret_failure)
{
        struct tls *tls;
        int error = connection(stream, ret_failure, &tls);

        if (error == 0)
                *ret_failure = tls->failure;
        return error;
}

int ouro_tls_update_keys(ouro_stream *stream, bool ask_peer)
{
        struct tls *tls;
        int error = connection(stream, &tls, &tls);

        if (error < 0)
                return error;
        if (tls->broken)
                return tls->broken;
        if (SSL_version(tls->ssl) < TLS1_3_VERSION)
                return -EPROTONOSUPPORT;
        if (!SSL_key_update(tls->ssl, ask_peer ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED))
                ERR_clear_error(); /* it is to be done already */
        return 0;
}

/* ---- the peer's certificate ---- */

/* What a memory BIO holds, as a string; frees the BIO. NULL: no memory. */
static char *text_of(BIO *bio, bool complete)
{
        char *bytes = NULL, *text = NULL;
        long len = bio ? BIO_get_mem_data(bio, &bytes) : 0;

        if (bio && complete)
                text = OPENSSL_strndup(bytes ? bytes : "", (size_t)len);
        BIO_free(bio);
        return text;
}

static char *name_text(const X509_NAME *name)
{
        BIO *bio = BIO_new(BIO_s_mem());

        return text_of(bio, bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0);
}

/* "DNS:example.org"; a zero byte in a name is shown as \0, so that nobody takes what stands before it for
 * all. */
static bool print_text(BIO *bio, const char *kind, const ASN1_STRING *string)
{
        const unsigned char *at = ASN1_STRING_get0_data(string);
        bool good = BIO_puts(bio, kind) > 0;

        for (int i = 0; i < ASN1_STRING_length(string); i++)
                good = good && (at[i] ? BIO_write(bio, &at[i], 1) : BIO_puts(bio, "\\0")) > 0;
        return good;
}

static bool print_address(BIO *bio, const ASN1_OCTET_STRING *address)
{
        const unsigned char *at = ASN1_STRING_get0_data(address);
        int len = ASN1_STRING_length(address);

        if (len == 4)
                return BIO_printf(bio, "IP:%d.%d.%d.%d", at[0], at[1], at[2], at[3]) > 0;
        if (len != 16)
                return BIO_puts(bio, "IP:?") > 0;
        for (int i = 0; i < 16; i += 2)
                if (BIO_printf(bio, "%s%x", i ? ":" : "IP:", at[i] << 8 | at[i + 1]) <= 0)
                        return false;
        return true;
}

static char *alternative_text(const GENERAL_NAME *name)
{
        BIO *bio = BIO_new(BIO_s_mem());
        bool good = false;

        if (!bio)
                return NULL;
        switch (name->type) {
        case GEN_DNS:
                good = print_text(bio, "DNS:", name->d.dNSName);
                break;
        case GEN_EMAIL:
                good = print_text(bio, "email:", name->d.rfc822Name);
                break;
        case GEN_URI:
                good = print_text(bio, "URI:", name->d.uniformResourceIdentifier);
                break;
        case GEN_IPADD:
                good = print_address(bio, name->d.iPAddress);
                break;
        default:
                good = BIO_puts(bio, "other:") > 0;
        }
        return text_of(bio, good);
}

static int add_names(struct tls_peer *peer, const X509 *certificate)
{
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
        int count = names ? sk_GENERAL_NAME_num(names) : 0, error = 0;

        peer->names = OPENSSL_zalloc((size_t)(count + 1) * sizeof *peer->names);
        if (!peer->names)
                error = -ENOMEM;
        for (int i = 0; i < count && error == 0; i++) {
                peer->names[i] = alternative_text(sk_GENERAL_NAME_value(names, i));
                if (peer->names[i])
                        peer->count++;
                else
                        error = -ENOMEM;
        }
        GENERAL_NAMES_free(names);
        return error;
}

static int64_t seconds(const ASN1_TIME *time)
{
        struct tm tm;

        return ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

static int describe(struct tls_peer *peer, const X509 *certificate)
{
        struct ouro_tls_peer_info *info = &peer->info;
        unsigned len = sizeof info->sha256;

        peer->subject = name_text(X509_get_subject_name(certificate));
        peer->issuer = name_text(X509_get_issuer_name(certificate));
        if (!peer->subject || !peer->issuer || add_names(peer, certificate) < 0 ||
            !X509_digest(certificate, EVP_sha256(), info->sha256, &len))
                return -ENOMEM;
        info->subject = peer->subject;
        info->issuer = peer->issuer;
        info->names = (const char *const *)peer->names;
        info->name_count = peer->count;
        info->not_before = seconds(X509_get0_notBefore(certificate));
        info->not_after = seconds(X509_get0_notAfter(certificate));
        return 0;
}

void tls_free_peer(struct tls *tls)
{
        struct tls_peer *peer = tls->peer;

        if (!peer)
                return;
        for (size_t i = 0; i < peer->count; i++)
                OPENSSL_free(peer->names[i]);
        OPENSSL_free(peer->names);
        OPENSSL_free(peer->subject);
        OPENSSL_free(peer->issuer);
        OPENSSL_free(peer);
        tls->peer = NULL;
}

int ouro_tls_peer_info(ouro_stream *stream, struct ouro_tls_peer_info *ret_peer)
{
        const X509 *certificate;
        struct tls *tls;
        int error = connection(stream, ret_peer, &tls);

        if (error < 0)
                return error;
        certificate = SSL_get0_peer_certificate(tls->ssl);
        if (!certificate)
                return -ENODATA;
        if (!tls->peer) {
                tls->peer = OPENSSL_zalloc(sizeof *tls->peer);
                error = tls->peer ? describe(tls->peer, certificate) : -ENOMEM;
                ERR_clear_error();
        }
        if (error < 0) {
                tls_free_peer(tls);
                return error;
        }
        *ret_peer = tls->peer->info;
        return 0;
}
