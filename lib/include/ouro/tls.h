/* ouro/tls.h - TLS on streams, for clients and servers. Of a library of its own: libouro-tls, over OpenSSL 3.
 *
 *      ouro_tls_context *context;                                           once, for all connections
 *      struct ouro_tls_context_options trust = {.size = sizeof(struct ouro_tls_context_options)};
 *      ouro_tls_context_open(&trust, &context);                             trusts what the system trusts
 *
 *      struct ouro_tls_options peer = {.size = sizeof(struct ouro_tls_options)};
 *      peer.host = "example.org";                                           asked for, and verified
 *      ouro_tls_connect(context, below, &peer, &stream);                    stream owns below from now on
 *
 * Peers are verified unless an option that says "insecure" is set. A stream of TLS is used as any other:
 *
 *  - Reading: 0 is the end that the peer has declared. A connection that ended without that was cut off, by
 *    whomever: -ECONNRESET.
 *  - Writing: ouro_stream_shutdown() tells the peer that no more will come, and leaves its side open.
 *  - Closing: tells the peer, if it need not be waited for, and closes what is below.
 *    ouro_stream_abort() does not: the peer sees that it was cut off.
 *  - Tasks: one may read while another writes. A connection belongs to the loop that made it.
 *  - Errors: -EKEYREJECTED: the peer's certificate was refused, or there was none; -EACCES: the peer refused
 *    ours; -EPROTONOSUPPORT: nothing in common (version, cipher, application protocol); -EPROTO: what came is
 *    not TLS, or broken; -ECONNRESET: cut off. In words: struct ouro_tls_failure_info.
 *
 * A handshake computes for about a millisecond (RSA more, elliptic curves less), during which its loop does
 * nothing else. OpenSSL's memory is the connections' memory: its hooks (CRYPTO_set_mem_functions) see all of
 * it, and ouro_set_allocator() only what streams take. */
#ifndef OURO_TLS_H
#define OURO_TLS_H

#include "ouro.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- TLS: contexts ---------------------------------------------------------------------------- */

/* What many connections share: whom to trust, who we are, what is offered; sessions to resume. */
typedef struct ouro_tls_context ouro_tls_context;

enum ouro_tls_side {
        OURO_TLS_CLIENT,
        OURO_TLS_SERVER,
};

enum ouro_tls_version {
        OURO_TLS_ANY_VERSION,
        OURO_TLS_1_2 = 0x0303,
        OURO_TLS_1_3 = 0x0304,
};

enum ouro_tls_clients {
        OURO_TLS_UNKNOWN_CLIENTS, /* are not asked for a certificate */
        OURO_TLS_REQUEST,         /* are asked; one that is shown must be good */
        OURO_TLS_REQUIRE,         /* must show one: else -EKEYREJECTED */
};

enum {
        OURO_TLS_REASON_BYTES = 240,
};

/* Why a call failed, where an errno says too little. */
struct ouro_tls_failure_info {
        int error;                          /* what the call returned */
        int verify_code;                    /* X509_V_ERR_..., if our verification failed; else 0 */
        int alert;                          /* the TLS alert that the peer sent, or -1 */
        char reason[OURO_TLS_REASON_BYTES]; /* "certificate has expired" and the like, or "" */
};

/* A certificate with its key, PEM, from files or from memory. */
struct ouro_tls_identity {
        const char *name;       /* a server's: for clients that ask for this name; NULL: for the names in the
                                   certificate */
        const char *chain_file; /* the certificate, then those between it and the authority's */
        const char *key_file;   /* may be the same file; not encrypted */
        const void *chain;      /* the same from memory, instead */
        size_t chain_bytes;
        const void *key;
        size_t key_bytes;
};

/* What a context is made with. Zeroed but for its size it is a client that trusts what the system trusts. */
struct ouro_tls_context_options {
        size_t size;             /* sizeof(struct ouro_tls_context_options) */
        enum ouro_tls_side side; /* default: client */

        const char *ca_file; /* authorities to trust, PEM; all that are given count, and if none is, the
                                system's do (for a server that asks for certificates one must be given) */
        const char *ca_dir;  /* a directory as c_rehash(1) makes it, read when needed, by blocking calls */
        const void *ca;      /* PEM */
        size_t ca_bytes;
        const char *crl_file; /* certificates that their authorities took back, PEM: then there must be a list
                                 of the peer's own authority */
        bool insecure_no_verification; /* INSECURE, a client's: whoever answers is taken for the peer */

        const struct ouro_tls_identity
                *identities; /* a server has at least one, a client at most one. A server's first
                                is for clients that ask for no name, or for none of its */
        size_t identity_count;
        enum ouro_tls_clients clients; /* a server's: whether they show a certificate */
        bool refuse_unknown_names;     /* a server's: clients that ask for a name it has not are refused */

        const char *const *protocols; /* ALPN, best first: "h2", "http/1.1" */
        size_t protocol_count;
        enum ouro_tls_version least; /* default: 1.2 */
        enum ouro_tls_version most;  /* default: the newest */
        const char *ciphers;         /* of TLS 1.2, as openssl-ciphers(1) reads them; default: OpenSSL's */
        const char *ciphersuites;    /* of TLS 1.3 */

        size_t sessions;  /* kept for resumption, least recent forgotten; default 256 for a client, 20,480 for
                             a server */
        bool no_sessions; /* every handshake is a full one */
        int64_t session_ns;       /* for how long one can be resumed; default 2 h */
        const char *key_log_file; /* INSECURE, for debugging: the connections' secrets are appended, see
                                     SSLKEYLOGFILE in wireshark */
        struct ouro_tls_failure_info *failure; /* filled in when the call fails; may be NULL */
};

/**
 * ouro_tls_context_open - make what connections share
 * @options: copied, with what it points to; NULL: a client that trusts what the system trusts
 * @ret_context: to be closed by ouro_tls_context_close()
 *
 * Reads the files named, by blocking calls. Threads: from anywhere; a context may be used on several loops at
 * once.
 *
 * Returns: 0; -EINVAL: a NULL, an unknown side, a server without identity, an option of the other side, an
 * empty or too long protocol name, or clients to be asked without an authority; -ENOENT, -EACCES, -EISDIR or
 * another errno of open(2): a file cannot be read; -EBADMSG: a file or memory is not PEM, is broken off, or
 * holds nothing of what it should; -EKEYREJECTED: a key is not that of its certificate, or OpenSSL's security
 * level forbids one; -ENOTSUP: versions or ciphers that this OpenSSL has not; -ENOMEM.
 */
OURO_API int ouro_tls_context_open(const struct ouro_tls_context_options *options,
                                   ouro_tls_context **ret_context);

/**
 * ouro_tls_context_reload - change what later connections use: new certificates, say
 * @context: open; connections that it has already stay as they are
 * @options: whole, as for ouro_tls_context_open(); of the same side
 *
 * After a failure everything is as it was. Sessions can be resumed across it, by clients whose certificate
 * would not be accepted any more, too: to forget sessions, open another context. Blocking, as opening is.
 * Threads: from anywhere, while others use the context.
 *
 * Returns: 0, or as ouro_tls_context_open(); -EINVAL: another side.
 */
OURO_API int ouro_tls_context_reload(ouro_tls_context *context,
                                     const struct ouro_tls_context_options *options);

/**
 * ouro_tls_context_close - let go of a context; connections keep what they need of it
 * @context: not used by the caller afterwards
 *
 * Threads: from anywhere. Returns: 0, -EINVAL for NULL.
 */
OURO_API int ouro_tls_context_close(ouro_tls_context *context);

/* ---- TLS: connections ------------------------------------------------------------------------- */

/* How one connection is made. Zero always means the default. */
struct ouro_tls_options {
        size_t size;      /* sizeof(struct ouro_tls_options) */
        const char *host; /* a client's: the name or numeric address that the server's certificate must have;
                             names are asked for too (SNI) */
        bool insecure_any_host; /* INSECURE, a client's: whoever has a certificate from a trusted authority
                                   may answer; host, if given, is only asked for */
        bool no_session;        /* a client's: begin anew */
        const char *const *protocols; /* instead of the context's, a client's */
        size_t protocol_count;
        const struct ouro_stream_options *stream; /* of the stream made, see ouro_stream_open() */
        struct ouro_tls_failure_info *failure;    /* filled in when the call fails; may be NULL */
};

/**
 * ouro_tls_connect - become a client on a stream that is connected
 * @context: a client's
 * @below: a stream of this loop; the new one owns it on success, the caller still on failure, when it is good
 * for nothing but ouro_stream_close()
 * @options: must say which host is expected, unless something insecure has been chosen
 * @ret_stream: to be closed by ouro_stream_close()
 *
 * With TLS 1.3 a server that refuses our certificate says so only after this: the first read tells -EACCES.
 *
 * Returns: 0; -EKEYREJECTED: the server's certificate was refused: expired, for another host, of an unknown
 * authority, for another purpose, taken back; -EACCES: the server refused ours, or wants one;
 * -EPROTONOSUPPORT: no version, cipher or application protocol in common; -EPROTO: what came is not TLS, or
 * broken, or the server gave up for another reason; -ECONNRESET: it ended in between; -EBADF: below was
 * closed meanwhile; -EINVAL: a NULL, a server's context, no host, one that begins with a dot, or the stream's
 * options are out of range; -EPERM: outside a loop, or below is another loop's; -ECANCELED, -ETIME, -ENOMEM
 * or an errno of the stream below.
 */
OURO_API int ouro_tls_connect(ouro_tls_context *context, ouro_stream *below,
                              const struct ouro_tls_options *options, ouro_stream **ret_stream);

/**
 * ouro_tls_accept - become the server on a stream that has been accepted
 * @context: a server's
 * @below: as for ouro_tls_connect()
 * @options: NULL for the defaults
 * @ret_stream: to be closed by ouro_stream_close()
 *
 * A peer that sends nothing is waited for: bound it, by OURO_TIMEOUT() say.
 *
 * Returns: as ouro_tls_connect(); -EKEYREJECTED also: a required certificate is missing.
 */
OURO_API int ouro_tls_accept(ouro_tls_context *context, ouro_stream *below,
                             const struct ouro_tls_options *options, ouro_stream **ret_stream);

/**
 * ouro_tls_upgrade - ouro_tls_accept() in the form that ouro_serve() calls for each connection
 * @below: as for ouro_tls_accept()
 * @context: the context, which ouro_serve() hands on
 * @ret_stream: as for ouro_tls_accept()
 *
 * Returns: as ouro_tls_accept().
 */
OURO_API int ouro_tls_upgrade(ouro_stream *below, void *context, ouro_stream **ret_stream);

/* What was agreed. Texts stay until the stream is closed. */
struct ouro_tls_info {
        const char *version;  /* "TLSv1.3" */
        const char *cipher;   /* "TLS_AES_256_GCM_SHA384" */
        const char *protocol; /* of ALPN, or NULL */
        const char *host;     /* the name that the client asked for, or NULL */
        bool resumed;         /* an earlier session goes on: no certificates were sent */
        bool peer_verified;   /* the peer has shown a certificate, and it was accepted */
};

/* In C++ a struct and a function of one name are fine, but -Wshadow thinks of a constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

/**
 * ouro_tls_info - what was agreed on a connection
 * @stream: of ouro_tls_connect() or ouro_tls_accept()
 * @ret_info: filled in on success
 *
 * Never waits. Returns: 0; -EINVAL: a NULL, or the stream is not one of TLS; -EPERM: another loop's.
 */
OURO_API int ouro_tls_info(ouro_stream *stream, struct ouro_tls_info *ret_info);

/* The certificate that a peer has shown. Texts stay until the stream is closed. */
struct ouro_tls_peer_info {
        const char *subject; /* "CN=example.org,O=..." as RFC 2253 writes it */
        const char *issuer;
        const char *const
                *names; /* subjectAltName: "DNS:example.org", "IP:127.0.0.1", "URI:...", "email:..." */
        size_t name_count;
        unsigned char sha256[32]; /* of the certificate */
        int64_t not_before;       /* seconds since 1970 */
        int64_t not_after;
};

/**
 * ouro_tls_peer_info - who the peer is
 * @stream: of ouro_tls_connect() or ouro_tls_accept()
 * @ret_peer: filled in on success
 *
 * Never waits. Returns: 0; -ENODATA: it has shown no certificate; -ENOMEM; -EINVAL and -EPERM as
 * ouro_tls_info().
 */
OURO_API int ouro_tls_peer_info(ouro_stream *stream, struct ouro_tls_peer_info *ret_peer);

/**
 * ouro_tls_failure_info - why a stream of TLS gave an error
 * @stream: of ouro_tls_connect() or ouro_tls_accept(), open
 * @ret_failure: filled in on success; error is 0 if nothing has failed
 *
 * Never waits. Returns: 0; -EINVAL and -EPERM as ouro_tls_info().
 */
OURO_API int ouro_tls_failure_info(ouro_stream *stream, struct ouro_tls_failure_info *ret_failure);

#pragma GCC diagnostic pop

/**
 * ouro_tls_update_keys - encrypt with new keys from now on
 * @stream: of TLS 1.3
 * @ask_peer: the peer is to do so too
 *
 * For connections that last long or carry much. Goes out with the next write or flush.
 *
 * Returns: 0; -EPROTONOSUPPORT: TLS 1.2; -EINVAL and -EPERM as ouro_tls_info(); the error that ended the
 * connection.
 */
OURO_API int ouro_tls_update_keys(ouro_stream *stream, bool ask_peer);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
