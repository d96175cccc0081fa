/* tls.h - what the files of this room share.
 *
 * The room stands on ouro.h alone: nothing of the library's hidden functions is used but options_read(),
 * which is compiled in once more. All memory is OpenSSL's (OPENSSL_malloc). */
#ifndef OURO_TLS_TLS_H
#define OURO_TLS_TLS_H

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ouro/tls.h"

/* ---- failures ---- */

/* Fills in *failure, which may be NULL, and gives error back. */
int tls_fail(struct ouro_tls_failure_info *failure, int error, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The same from OpenSSL's queue of this thread, which is empty afterwards. */
int tls_fail_by_queue(struct ouro_tls_failure_info *failure, int error);

/* What a handshake or a record has failed of: the errno is found, too. */
int tls_fail_by_ssl(struct ouro_tls_failure_info *failure, const SSL *ssl);

/* ---- settings: what one opening or reloading of a context has made; many connections hold it ---- */

struct tls_identity {
        char *name; /* NULL: the certificate's own */
        X509 *certificate;
        STACK_OF(X509) * chain;
        EVP_PKEY *key;
};

struct tls_settings {
        atomic_size_t holders;
        SSL_CTX *ssl_ctx;
        BIO_METHOD *bio_method;
        enum ouro_tls_side side;
        bool verifies;
        bool refuses_unknown_names;
        bool resumes;
        struct tls_identity *identities;
        size_t identity_count;
        unsigned char *protocols; /* as ALPN writes them */
        unsigned protocols_bytes;
        int key_log; /* descriptor, or -1 */
};

int tls_settings_make(const struct ouro_tls_context_options *options, struct tls_settings **ret_settings);
struct tls_settings *tls_settings_hold(struct tls_settings *settings);
void tls_settings_drop(struct tls_settings *settings); /* may be NULL */

int tls_trust(struct tls_settings *settings, const struct ouro_tls_context_options *options);
int tls_load_identities(struct tls_settings *settings, const struct ouro_tls_context_options *options);
void tls_free_identities(struct tls_settings *settings);

/* Callbacks of a server's SSL_CTX. */
int tls_show_identity(SSL *ssl, void *settings);
int tls_know_name(SSL *ssl, int *ret_alert, void *settings);

/* Names in the form of ALPN. 0, -EINVAL, -ENOMEM. */
int tls_write_protocols(const char *const *names, size_t count, unsigned char **ret_wire,
                        unsigned *ret_bytes);

/* A memory BIO of a file's bytes or of what is in memory. */
int tls_open_file(const char *path, BIO **ret_bio, struct ouro_tls_failure_info *failure);
int tls_open_memory(const void *bytes, size_t len, BIO **ret_bio);

/* ---- sessions of a client, by the host that they are for ---- */

struct tls_sessions {
        struct tls_session *first; /* most recent */
        size_t count;
        size_t most;
};

SSL_SESSION *tls_session_take(struct tls_sessions *sessions, const char *key);               /* NULL: none */
void tls_session_keep(struct tls_sessions *sessions, const char *key, SSL_SESSION *session); /* takes it */
void tls_sessions_free(struct tls_sessions *sessions);

/* ---- contexts ---- */

struct ouro_tls_context {
        atomic_size_t holders;
        pthread_mutex_t lock; /* of settings and sessions */
        struct tls_settings *settings;
        struct tls_sessions sessions;
};

void tls_context_drop(ouro_tls_context *context);
struct tls_settings *tls_context_settings(ouro_tls_context *context); /* held for the caller */

/* ---- connections ---- */

struct tls_bytes {
        char *base;
        size_t start;
        size_t end;
        size_t room;
};

/* No call of OpenSSL waits: it reads from a window on what the stream below has already, and writes to
 * memory. Filling the window and sending that memory is done outside of it, by one task each (reading_lock,
 * writing_lock). Whoever waits for one of the locks holds neither. */
struct tls {
        SSL *ssl;
        ouro_tls_context *context;
        struct tls_settings *settings;
        ouro_stream *below;

        const char *window; /* in the stream below; NULL but from tls_fill() to tls_settle() */
        size_t window_len;
        size_t window_given;
        bool end_below; /* nothing more will come */
        bool out_of_memory;

        struct tls_bytes out;     /* written by OpenSSL */
        struct tls_bytes sending; /* lent to the stream below, so it does not move; writing_lock */
        bool told_end;            /* close_notify has been written to out */
        bool closing;             /* the stream below may be gone */
        int broken;               /* the error that ended the connection, or 0 */

        struct ouro_mutex reading_lock;
        struct ouro_mutex writing_lock;
        struct ouro_condition progress; /* the reader's, for a writer that needs it; with writing_lock */

        char *session_key; /* NULL: its sessions are not kept */
        struct ouro_tls_failure_info failure;
        struct tls_peer *peer; /* made when asked for, as the next */
        char *protocol;
};

/* What a call of OpenSSL has come to, else a negated errno. */
enum tls_step {
        TLS_WANTS_INPUT = 0,
        TLS_DONE = 1,
        TLS_END = 2, /* the peer has said that no more will come */
};

int tls_make(ouro_tls_context *context, ouro_stream *below, struct tls **ret_tls);
void tls_free(struct tls *tls); /* not what is below */

BIO_METHOD *tls_bio_method(void); /* NULL: no memory */

int tls_settle(struct tls *tls, int result);      /* what it has come to; at once after the call */
int tls_fill(struct tls *tls);                    /* waits for more from below */
int tls_drain(struct tls *tls);                   /* sends all that OpenSSL has written */
int tls_failed_below(struct tls *tls, int error); /* gives error back */
bool tls_has_out(const struct tls *tls);
bool tls_all_is_sent(const struct tls *tls);
int tls_drain_briefly(struct tls *tls); /* the same in a cancelled task, too, but not for long */

extern const struct ouro_transport tls_transport;

void tls_free_peer(struct tls *tls);

#endif
