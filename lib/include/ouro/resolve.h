/* ouro/resolve.h - names of hosts and services to addresses, and back. Included by ouro.h, whose conventions
 * hold. */
#ifndef OURO_RESOLVE_H
#define OURO_RESOLVE_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- names ------------------------------------------------------------------------------------ */

/* Names are looked up by getaddrinfo(3), so that /etc/hosts, nsswitch.conf and what it names hold, in threads
 * that the whole process has for this and nothing else: at most 8, started when they are needed, gone when
 * they are idle. No loop waits for them, and files are not behind them in any queue. Who is cut short
 * returns at once; the thread, which nothing can stop, goes on and drops what it finds. As long as all 8 wait
 * for a server that does not answer, other names wait; numeric addresses never do.
 *
 * Equal questions that are under way at the same time are asked once. Answers of the system's way are kept
 * for a while, 256 of them at most, for all loops: see max_age_ns.
 *
 * The threads live in the namespaces (mounts, network) of whoever asked first: a program whose threads have
 * several of these asks by OURO_RESOLVE_ARES. */

enum ouro_resolve_how {
        OURO_RESOLVE_SYSTEM, /* getaddrinfo() in a thread */
        OURO_RESOLVE_ARES,   /* c-ares on the caller's loop, without a thread: /etc/hosts and DNS only */
};

enum {
        OURO_RESOLVE_FRESH = 1,   /* use no answer that is kept, nor one that is under way */
        OURO_RESOLVE_NUMERIC = 2, /* names are refused with -ENOENT instead of being looked up */
};

/* How to look up. Begin with OURO_RESOLVE_OPTIONS_INIT; zero always means the default. */
struct ouro_resolve_options {
        size_t size;               /* sizeof(struct ouro_resolve_options) */
        enum ouro_resolve_how how; /* default: the system's way */
        unsigned flags;            /* OURO_RESOLVE_... */
        int family;                /* AF_INET, AF_INET6; default: both */
        int type;                  /* SOCK_STREAM (default), SOCK_DGRAM: of the addresses */
        int64_t max_age_ns;        /* of an answer that is kept; default 10 s, and 1 s for "no such name" */
        int *ret_gai;              /* set to getaddrinfo's own code (EAI_...), 0: none; NULL: not wanted */
        const char *servers;       /* OURO_RESOLVE_ARES: "127.0.0.1:5353,192.0.2.1"; default: resolv.conf's */
};

#define OURO_RESOLVE_OPTIONS_INIT OURO_SIZED_(struct ouro_resolve_options)

/* Addresses of a name, the preferred one first. */
struct ouro_addresses {
        size_t count;
        struct ouro_address *all;
};

/**
 * ouro_resolve - addresses of a host and a service
 * @host: a name, or a numeric address without brackets ("127.0.0.1", "::1", "fe80::1%lo")
 * @service: a port, or a service's name ("http"); NULL: port 0
 * @options: NULL for the defaults; read now, and not kept
 * @ret_addresses: to be freed by ouro_addresses_free()
 *
 * The order is that of getaddrinfo(3) (RFC 6724). An IPv4 address has four decimal parts; other forms that
 * end in a number are refused.
 *
 * A numeric host with a numeric service never waits.
 *
 * Returns: 0, and at least one address, or
 *   -ENOENT: no such name, or it has no address of this family
 *   -EHOSTUNREACH: no name server has answered, or none is there; a later try may succeed (EAI_AGAIN)
 *   -EREMOTEIO: a name server refuses or fails (EAI_FAIL)
 *   -EPROTONOSUPPORT: no such service for this type of socket
 *   -EINVAL: host, ret_addresses or an option is malformed or NULL (servers: what c-ares refuses)
 *   -EOPNOTSUPP: OURO_RESOLVE_ARES, and the library was built without it
 *   -EMFILE, -ENFILE: no descriptor was left to ask with
 *   -ECANCELED, -ETIME: cut short
 *   -ENOMEM: also for want of a thread
 */
OURO_API int ouro_resolve(const char *host, const char *service, const struct ouro_resolve_options *options,
                          struct ouro_addresses **ret_addresses);

/**
 * ouro_addresses_free - free what ouro_resolve() has found
 * @addresses: NULL does nothing
 *
 * Threads: from anywhere. Never waits.
 */
OURO_API void ouro_addresses_free(struct ouro_addresses *addresses);

enum { OURO_HOST_TEXT = 256 }; /* room for any name of a host, its NUL included */

/**
 * ouro_resolve_name - the name that belongs to an address, see getnameinfo(3)
 * @address: of AF_INET or AF_INET6
 * @options: NULL for the defaults. how, family, type and NUMERIC do not matter; an answer that is kept serves
 * as with ouro_resolve()
 * @host: set to the name, with its NUL
 * @bytes: of room at host; OURO_HOST_TEXT is always enough
 *
 * Whoever owns the address decides about the name: it proves nothing.
 *
 * Returns: 0; -ENOENT: it has none; -ENOSPC: host is too small; -EAFNOSUPPORT; else as ouro_resolve().
 */
OURO_API int ouro_resolve_name(const struct ouro_address *address, const struct ouro_resolve_options *options,
                               char *host, size_t bytes);

/**
 * ouro_resolve_flush - forget all answers that are kept
 *
 * What is under way now will not be kept either. Threads: from anywhere. Never waits.
 */
OURO_API void ouro_resolve_flush(void);

/**
 * ouro_resolve_has_ares - whether OURO_RESOLVE_ARES works here
 *
 * Threads: from anywhere. Returns: true if the library was built with c-ares.
 */
OURO_API bool ouro_resolve_has_ares(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
