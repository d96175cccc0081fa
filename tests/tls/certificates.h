/* certificates.h - certificates made as a test needs them: authorities, servers, clients, and faulty ones. */
#ifndef OURO_TESTS_TLS_CERTIFICATES_H
#define OURO_TESTS_TLS_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <ouro/tls.h>

struct certificate {
        X509 *x509;
        EVP_PKEY *key;
        char *pem; /* of the certificate */
        char *key_pem;
};

/* Zero: a good server's of an elliptic curve, from an hour ago to an hour from now. */
struct wanted {
        const char *name;  /* common name */
        const char *names; /* subjectAltName, "DNS:one.test,IP:127.0.0.1" */
        const char *usage; /* extendedKeyUsage */
        long from_s;       /* from now */
        long to_s;
        bool authority;
        bool rsa;
        bool weak; /* RSA of 1,024 bits */
};

/* issuer NULL: signed by itself. Ends the test if it cannot. */
struct certificate certificate_make(const struct wanted *wanted, const struct certificate *issuer);
void certificate_free(struct certificate *certificate);

/* A list of an authority's that takes one certificate back, or none. PEM, to be freed. */
char *revocation_make(const struct certificate *authority, const struct certificate *revoked);

struct ouro_tls_identity identity_of(const struct certificate *certificate);

#endif
