/* ends.h - both ends of a connection, each a task of the test's loop. */
#ifndef OURO_TESTS_TLS_ENDS_H
#define OURO_TESTS_TLS_ENDS_H

#include <errno.h>
#include <openssl/err.h>

#include "certificates.h"
#include "support/in_loop.h"
#include "support/leaks.h"

/* An authority and a server's certificate of it for "server.test" and 127.0.0.1, a client's, made once. */
extern struct certificate authority, server_certificate, client_certificate;

/* For TestSuite: OpenSSL is loaded before what is there is counted. */
void ends_begin(void);
void ends_end(void);

struct ouro_tls_context_options client_options(void); /* trusts the authority */
struct ouro_tls_context_options server_options(void); /* shows server_certificate */
ouro_tls_context *context_of(const struct ouro_tls_context_options *options);
ouro_tls_context *client_context(void);
ouro_tls_context *server_context(void);

struct end {
        ouro_tls_context *context;
        struct ouro_tls_options options;
        ouro_stream *below;
        ouro_stream *stream;
        int error;
        struct ouro_tls_failure_info failure;
};

struct ends {
        struct end client, server;
};

/* Streams over a socketpair; contexts as above where NULL. */
void ends_open(struct ends *ends, ouro_tls_context *client, ouro_tls_context *server);
void ends_open_tcp(struct ends *ends, ouro_tls_context *client, ouro_tls_context *server);
void ends_shake(struct ends *ends); /* both handshakes; each end has its error */
void ends_made(struct ends *ends);  /* the same, and both must be well */
void ends_close(struct ends *ends); /* streams and contexts */

#endif
