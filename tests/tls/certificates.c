/* certificates.c - see certificates.h. */
#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "certificates.h"

enum { HOUR_S = 3600 };

static char *bio_text(BIO *bio)
{
        char *bytes, *text;
        long len = BIO_get_mem_data(bio, &bytes);

        text = strndup(bytes, (size_t)len);
        BIO_free(bio);
        return text;
}

static EVP_PKEY *make_key(const struct wanted *wanted)
{
        EVP_PKEY *key;

        if (wanted->rsa || wanted->weak)
                key = EVP_RSA_gen(wanted->weak ? 1024U : 2048U);
        else
                key = EVP_EC_gen("P-256");
        cr_assert(key);
        return key;
}

static void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
        X509_EXTENSION *extension;
        X509V3_CTX context;

        if (!value)
                return;
        X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
        extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
        cr_assert(extension, "%s", value);
        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
}

static void extend_all(X509 *x509, X509 *issuer, const struct wanted *wanted)
{
        const char *usage = wanted->usage ? wanted->usage : "serverAuth";

        extend(x509, issuer, NID_basic_constraints, wanted->authority ? "critical,CA:TRUE" : "CA:FALSE");
        if (wanted->authority)
                extend(x509, issuer, NID_key_usage, "keyCertSign,cRLSign");
        else
                extend(x509, issuer, NID_ext_key_usage, usage);
        extend(x509, issuer, NID_subject_key_identifier, "hash");
        extend(x509, issuer, NID_subject_alt_name, wanted->names);
}

struct certificate certificate_make(const struct wanted *wanted, const struct certificate *issuer)
{
        static long serial;
        struct certificate made = {.x509 = X509_new(), .key = make_key(wanted)};
        X509_NAME *name = X509_get_subject_name(made.x509);
        BIO *bio = BIO_new(BIO_s_mem());

        X509_set_version(made.x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(made.x509), wanted->from_s ? wanted->from_s : -HOUR_S);
        X509_gmtime_adj(X509_getm_notAfter(made.x509), wanted->to_s ? wanted->to_s : HOUR_S);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   (const unsigned char *)(wanted->name ? wanted->name : "test"), -1, -1, 0);
        X509_set_issuer_name(made.x509, issuer ? X509_get_subject_name(issuer->x509) : name);
        X509_set_pubkey(made.x509, made.key);
        extend_all(made.x509, issuer ? issuer->x509 : made.x509, wanted);
        cr_assert(X509_sign(made.x509, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
        PEM_write_bio_X509(bio, made.x509);
        made.pem = bio_text(bio);
        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL);
        made.key_pem = bio_text(bio);
        return made;
}

void certificate_free(struct certificate *certificate)
{
        X509_free(certificate->x509);
        EVP_PKEY_free(certificate->key);
        free(certificate->pem);
        free(certificate->key_pem);
}

char *revocation_make(const struct certificate *authority, const struct certificate *revoked)
{
        X509_CRL *list = X509_CRL_new();
        ASN1_TIME *from = X509_gmtime_adj(NULL, -HOUR_S), *to = X509_gmtime_adj(NULL, HOUR_S);
        BIO *bio = BIO_new(BIO_s_mem());

        X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->x509));
        X509_CRL_set1_lastUpdate(list, from);
        X509_CRL_set1_nextUpdate(list, to);
        if (revoked) {
                X509_REVOKED *entry = X509_REVOKED_new();

                X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509));
                X509_REVOKED_set_revocationDate(entry, from);
                X509_CRL_add0_revoked(list, entry);
        }
        cr_assert(X509_CRL_sign(list, authority->key, EVP_sha256()) > 0);
        PEM_write_bio_X509_CRL(bio, list);
        X509_CRL_free(list);
        ASN1_TIME_free(from);
        ASN1_TIME_free(to);
        return bio_text(bio);
}

struct ouro_tls_identity identity_of(const struct certificate *certificate)
{
        return (struct ouro_tls_identity){
                .chain = certificate->pem,
                .chain_bytes = strlen(certificate->pem),
                .key = certificate->key_pem,
                .key_bytes = strlen(certificate->key_pem),
        };
}
