/* ouro/net.h - addresses as text, options of sockets, datagrams, and what local sockets carry besides data.
 * Included by ouro.h, whose conventions hold. The plain socket calls are in ouro/io.h. */
#ifndef OURO_NET_H
#define OURO_NET_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- addresses -------------------------------------------------------------------------------- */

/* An address, and the kind of socket that it is of. */
struct ouro_address {
        struct sockaddr_storage storage; /* pass it as (struct sockaddr *)&address.storage */
        socklen_t len;                   /* of what is used of it, in bytes */
        int type;                        /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
};

enum { OURO_ADDRESS_TEXT = 192 }; /* room for any address as text, its NUL included */

/**
 * ouro_address_parse - read an address from text
 * @text: see below
 * @ret_address: filled in
 *
 * What can be written:
 *
 * "tcp:HOST:PORT", "udp:HOST:PORT": "tcp:127.0.0.1:7000", "udp:[::1]:7000", "tcp:[fe80::1%eth0]:80" (a scope
 * is an interface's name or number). An empty host or "*" is every address of both families.
 *
 * "tcp4:", "udp4:", "tcp6:", "udp6:" likewise, of one family: "tcp4:*:7000".
 *
 * "unix:PATH", "unixgram:PATH", "unixpacket:PATH": a local stream, datagram or seqpacket socket; a path that
 * begins with @ is an abstract name, which is in no file system.
 *
 * Ports are decimal, 0 to 65535; IPv4 addresses have four decimal parts. Names of hosts are for ouro_dial()
 * and ouro_resolve() and not read here.
 *
 * Returns: 0, or -EINVAL: malformed, a name, an interface that is not there, or NULL. Threads: from anywhere.
 */
OURO_API int ouro_address_parse(const char *text, struct ouro_address *ret_address);

/**
 * ouro_address_format - write an address as text that ouro_address_parse() reads
 * @address: of AF_INET, AF_INET6 or AF_UNIX; its type decides between "tcp:" and "udp:" and so on
 * @text: filled in, with a NUL; OURO_ADDRESS_TEXT bytes are always enough
 * @bytes: of room at text
 *
 * A local socket without a name, as most clients are, is "unix:" with nothing behind it, and this alone
 * cannot be read back.
 *
 * Returns: the length without the NUL; -ENOSPC: text is too small and was left alone; -EINVAL: NULL, a type
 * that has no text, or a length that does not fit the family; -EAFNOSUPPORT: another family; -EILSEQ: a NUL
 * inside an abstract name, or a path that begins with @. Threads: from anywhere.
 */
OURO_API int ouro_address_format(const struct ouro_address *address, char *text, size_t bytes);

/**
 * ouro_address_port - the port of an address
 * @address: of AF_INET or AF_INET6
 *
 * Returns: 0 to 65535, -EINVAL (NULL), -EAFNOSUPPORT. Threads: from anywhere.
 */
OURO_API int ouro_address_port(const struct ouro_address *address);

/**
 * ouro_local_address - the address that a socket is bound to, see getsockname(2)
 * @fd: a socket
 * @ret_address: filled in, its type too
 *
 * Returns: 0, -EINVAL (NULL), -EBADF, -ENOTSOCK. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_local_address(int fd, struct ouro_address *ret_address);

/**
 * ouro_peer_address - the address that a socket is connected to, see getpeername(2)
 * @fd: a socket
 * @ret_address: filled in, its type too
 *
 * Returns: as ouro_local_address(); -ENOTCONN. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_peer_address(int fd, struct ouro_address *ret_address);

/* ---- listening and connecting with options ---------------------------------------------------- */

enum {
        OURO_LISTEN_REUSE_PORT = 1,   /* SO_REUSEPORT: several sockets share the port, and the kernel spreads
                                         connections or datagrams over them */
        OURO_LISTEN_V6ONLY = 2,       /* an IPv6 socket takes no IPv4 peers; default: "*" does, "tcp6:" does
                                         not, [::] as the system's bindv6only says */
        OURO_LISTEN_NAGLE = 4,        /* no TCP_NODELAY for accepted connections */
        OURO_LISTEN_UNLINK_STALE = 8, /* a path whose socket nobody holds any more is removed first */
};

/* How to listen. Begin with OURO_LISTEN_OPTIONS_INIT; zero always means the default. */
struct ouro_listen_options {
        size_t size;        /* sizeof(struct ouro_listen_options) */
        unsigned flags;     /* OURO_LISTEN_... */
        int backlog;        /* connections that may wait to be accepted; default SOMAXCONN */
        mode_t mode;        /* of a path, exactly, whatever the umask; default 0777 less the umask */
        const char *device; /* SO_BINDTODEVICE: only by this interface; default: by any */
        int fast_open;      /* TCP_FASTOPEN: connections that may have sent data at once; default: none may */
        int defer_accept_s; /* TCP_DEFER_ACCEPT, in seconds: a connection that has sent nothing is not
                               accepted before; default: accepted at once */
};

#define OURO_LISTEN_OPTIONS_INIT OURO_SIZED_(struct ouro_listen_options)

/**
 * ouro_listen_with - ouro_listen() with options
 * @address: as ouro_address_parse()
 * @options: NULL for the defaults; read now, and not kept
 *
 * A datagram address gives a socket that is bound and ready to receive; nothing is accepted on it. Names are
 * not resolved: a server that must say where it listens says so by a number.
 *
 * Returns: a descriptor; -EINVAL: malformed address, unknown flags, or a number out of range; an errno of
 * socket(2), bind(2), listen(2) or setsockopt(2) (every option that was asked for is set, or it is an error).
 * -EADDRINUSE for a path with OURO_LISTEN_UNLINK_STALE: somebody holds it, or it is no socket. Never waits.
 */
OURO_API int ouro_listen_with(const char *address, const struct ouro_listen_options *options);

enum {
        OURO_DIAL_NO_RACE = 1,   /* one address after the other, each tried until it fails */
        OURO_DIAL_NAGLE = 2,     /* no TCP_NODELAY */
        OURO_DIAL_KEEPALIVE = 4, /* SO_KEEPALIVE; implied by the three numbers below */
        OURO_DIAL_FAST_OPEN = 8, /* TCP_FASTOPEN_CONNECT: the first write goes out with the connecting */
};

struct ouro_resolve_options;

/* How to connect. Begin with OURO_DIAL_OPTIONS_INIT; zero always means the default. */
struct ouro_dial_options {
        size_t size;              /* sizeof(struct ouro_dial_options) */
        unsigned flags;           /* OURO_DIAL_... */
        int keepalive_idle_s;     /* TCP_KEEPIDLE, in seconds; default: the system's */
        int keepalive_every_s;    /* TCP_KEEPINTVL, in seconds; default: the system's */
        int keepalive_probes;     /* TCP_KEEPCNT; default: the system's */
        const char *local;        /* bind to this address first, of the same kind: "tcp:127.0.0.1:0" */
        const char *device;       /* SO_BINDTODEVICE: only by this interface; default: by any */
        int64_t attempt_delay_ns; /* between attempts of a race, on the loop's clock; default 250 ms */
        const struct ouro_resolve_options *resolve; /* how a name is looked up; see ouro/resolve.h */
        int *ret_gai; /* set to getaddrinfo's own code (EAI_...) or 0; NULL: not wanted */
};

#define OURO_DIAL_OPTIONS_INIT OURO_SIZED_(struct ouro_dial_options)

/**
 * ouro_dial_with - ouro_dial() with options
 * @address: as ouro_address_parse(), with a port that is not 0; or the host is a name: "tcp:localhost:80",
 * and the port then may be a service's name: "tcp:localhost:http"
 * @options: NULL for the defaults; read now, and not kept
 *
 * A name is resolved as ouro_resolve() does it. If it has several addresses, they race (RFC 8305): sorted as
 * the system prefers them, families taking turns, they are tried one after the other, the next when one has
 * failed or 250 ms have passed. The first that connects wins; the others are cancelled and closed. An address
 * of a local path or a numeric host is one attempt.
 *
 * The time of each attempt is the kernel's own limit, minutes: put an OURO_TIMEOUT around it.
 *
 * A datagram address gives a socket that is connected: it sends to that peer and hears only it.
 *
 * Returns: a connected descriptor; -EINVAL: malformed address, unknown flags, or a number out of range; an
 * error of ouro_resolve(); if no address connects, the error of the attempt that came farthest (-ECONNREFUSED
 * rather than -ENETUNREACH); -ECANCELED, -ETIME, or an errno of socket(2), connect(2) or setsockopt(2).
 */
OURO_API int ouro_dial_with(const char *address, const struct ouro_dial_options *options);

/* ---- options of sockets by name --------------------------------------------------------------- */

/**
 * ouro_socket_set - set an option of a socket by name
 * @fd: a socket
 * @name: that of setsockopt(2) in lower case: "tcp_nodelay", "so_rcvbuf", "ip_ttl"
 * @value: a number; a yes or no is 1 or 0; units are the option's own
 *
 * Known are: so_broadcast, so_busy_poll, so_dontroute, so_incoming_cpu, so_keepalive, so_mark, so_oobinline,
 * so_passcred, so_priority, so_rcvbuf, so_rcvbufforce, so_rcvlowat, so_reuseaddr, so_reuseport, so_sndbuf,
 * so_sndbufforce, so_timestampns, so_txrehash; so_linger (in seconds; less than zero: off);
 *
 * tcp_cork, tcp_defer_accept, tcp_fastopen, tcp_fastopen_connect, tcp_keepcnt, tcp_keepidle, tcp_keepintvl,
 * tcp_linger2, tcp_maxseg, tcp_nodelay, tcp_notsent_lowat, tcp_quickack, tcp_syncnt, tcp_user_timeout,
 * tcp_window_clamp; udp_cork, udp_gro, udp_segment;
 *
 * ip_bind_address_no_port, ip_freebind, ip_mtu_discover, ip_multicast_loop, ip_multicast_ttl, ip_pktinfo,
 * ip_recverr, ip_recvtos, ip_recvttl, ip_tos, ip_transparent, ip_ttl; ipv6_multicast_hops,
 * ipv6_multicast_if, ipv6_multicast_loop, ipv6_mtu_discover, ipv6_recverr, ipv6_recvpktinfo, ipv6_tclass,
 * ipv6_unicast_hops, ipv6_v6only.
 *
 * Only to be read: so_acceptconn, so_domain, so_error, so_protocol, so_type, ip_mtu, ipv6_mtu.
 *
 * Returns: 0; -EINVAL: no such name, name is NULL, or a value out of range; -ENOPROTOOPT: only to be read, or
 * not known to this kernel or this kind of socket; -ENOTSOCK, -EBADF, or another errno of setsockopt(2).
 * Threads: from anywhere. Never waits.
 */
OURO_API int ouro_socket_set(int fd, const char *name, int value);

/**
 * ouro_socket_get - read an option of a socket by name
 * @fd: a socket
 * @name: as ouro_socket_set()
 * @ret_value: set to it, in the form of ouro_socket_set(); buffer sizes are twice what was set, see socket(7)
 *
 * Returns: 0; -EINVAL: no such name, or NULL; -ENOPROTOOPT, -ENOTSOCK, -EBADF, or another errno of
 * getsockopt(2). Threads: from anywhere. Never waits.
 */
OURO_API int ouro_socket_get(int fd, const char *name, int *ret_value);

/**
 * ouro_multicast_join - receive what is sent to a group
 * @fd: a datagram socket, bound to the port
 * @group: an IPv4 or IPv6 address alone: "239.1.2.3", "ff02::1%eth0"
 * @interface: by which, its name; NULL: the scope of the group, or the system's choice
 *
 * Returns: 0; -EINVAL: NULL, no multicast address, or another family than the socket's; -ENODEV: no such
 * interface; -EADDRINUSE: joined already; -ENOTSOCK, -EBADF, or another errno of setsockopt(2). Threads: from
 * anywhere. Never waits.
 */
OURO_API int ouro_multicast_join(int fd, const char *group, const char *interface);

/**
 * ouro_multicast_leave - undo ouro_multicast_join()
 * @fd: the socket
 * @group: as joined
 * @interface: as joined
 *
 * Returns: as ouro_multicast_join(); -EADDRNOTAVAIL: not joined. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_multicast_leave(int fd, const char *group, const char *interface);

/* ---- datagrams -------------------------------------------------------------------------------- */

/**
 * ouro_sendto - send one datagram, see sendto(2)
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: in bytes; 0 is a datagram too
 * @flags: as ouro_send()
 * @to: whom; NULL: whom the socket is connected to
 *
 * Returns: len; -ECONNREFUSED: nobody received an earlier one (on a connected socket); -EMSGSIZE: longer than
 * a datagram can be; -EDESTADDRREQ: not connected, and no address; else as ouro_send().
 */
OURO_API ssize_t ouro_sendto(int fd, const void *buf, size_t len, int flags, const struct ouro_address *to);

/**
 * ouro_recvfrom - receive one datagram and who sent it, see recvfrom(2)
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: room, in bytes; what exceeds it is lost
 * @flags: as ouro_recv(). With MSG_TRUNC the datagram's own length is returned, which tells whether it was
 * cut off
 * @ret_from: its sender; NULL: not wanted
 *
 * Returns: bytes, 0 for an empty datagram; -ECONNREFUSED: nobody received what was sent (on a connected
 * socket); else as ouro_recv().
 */
OURO_API ssize_t ouro_recvfrom(int fd, void *buf, size_t len, int flags, struct ouro_address *ret_from);

/* One datagram of several, or several of one length in one buffer. */
struct ouro_datagram {
        void *buf;                    /* lent until the call returns */
        size_t len;                   /* in bytes. Receiving: room, then what came of it */
        struct ouro_address *address; /* to whom, or set to who sent it; NULL: the peer, or not wanted */
        unsigned segment_bytes;       /* sending: buf is cut into datagrams of this length, 0: it is one.
                                         Receiving: set to the length of those in buf, the last may be
                                         shorter; 0: it is one */
        bool cut;                     /* receiving: it was longer than there was room */
};

/**
 * ouro_send_datagrams - send several datagrams at once
 * @fd: a datagram socket
 * @datagrams: of them; lent until the call returns
 * @n: of datagrams
 *
 * One system call for all of them as long as there is room, at most 257 in one call. segment_bytes lets the
 * kernel cut one buffer into many (UDP_SEGMENT), which costs about as much as a single datagram; at most 64
 * of them and 65,507 bytes, on a udp socket. Where the kernel or the device cannot do that, they are sent one
 * by one; an error then tells of one of them, and those before it have been sent.
 *
 * Returns: how many were sent, more than 0 (0 if n is): an error after the first is told by the next call.
 * Else as ouro_sendto(); -EINVAL also for more segments than 64; -EOPNOTSUPP: segments on another kind of
 * socket.
 */
OURO_API ssize_t ouro_send_datagrams(int fd, const struct ouro_datagram *datagrams, size_t n);

/**
 * ouro_recv_datagrams - receive a datagram, and along with it those that are there
 * @fd: a datagram socket
 * @datagrams: filled in one by one; lent until the call returns
 * @n: of datagrams
 *
 * Waits for the first only, and brings at most 257. Descriptors that come along (on a local socket) are
 * closed: ouro_recv_fds() receives those. After ouro_socket_set(fd, "udp_gro", 1) the kernel may put several
 * datagrams of one sender into one buffer, if it has room, best for 65,535 bytes; segment_bytes tells it.
 *
 * Returns: how many came, more than 0 (0 if n is); else as ouro_recvfrom().
 */
OURO_API ssize_t ouro_recv_datagrams(int fd, struct ouro_datagram *datagrams, size_t n);

/* ---- between processes ------------------------------------------------------------------------ */

/**
 * ouro_socketpair - two sockets that are connected to each other, see socketpair(2). Never waits.
 * @domain: AF_UNIX
 * @type: SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET; SOCK_CLOEXEC is added
 * @protocol: usually 0
 * @ret_fds: two of them
 *
 * Returns: 0, -EINVAL (NULL), or an errno of socketpair(2).
 */
OURO_API int ouro_socketpair(int domain, int type, int protocol, int *ret_fds);

/**
 * ouro_pipe - a pipe, see pipe2(2). Never waits.
 * @ret_fds: two: its end to read from, and its end to write to; close-on-exec
 *
 * Returns: 0, -EINVAL (NULL), -EMFILE or -ENFILE.
 */
OURO_API int ouro_pipe(int *ret_fds);

/* Who is at the other end of a local socket, as it was when they connected. */
struct ouro_credentials {
        pid_t pid;
        uid_t uid;
        gid_t gid;
};

/**
 * ouro_peer_credentials - which process is at the other end of a local socket
 * @fd: a connected stream or seqpacket socket
 * @ret_credentials: filled in
 *
 * The number may be another process's by now: for more than the uid use ouro_peer_pidfd().
 *
 * Returns: 0, -EINVAL (NULL), -EBADF, -ENOTSOCK, -ENOTCONN, or -EOPNOTSUPP: not a local socket. Threads: from
 * anywhere. Never waits.
 */
OURO_API int ouro_peer_credentials(int fd, struct ouro_credentials *ret_credentials);

/**
 * ouro_peer_pidfd - a descriptor of the process at the other end of a local socket (Linux 6.5)
 * @fd: a connected stream or seqpacket socket
 *
 * Returns: a pidfd, the caller's to close; -EBADF, -ENOTSOCK, -ENODATA: no peer is known; -ENOPROTOOPT: an
 * older kernel; -ESRCH: it has been reaped; -EOPNOTSUPP: not a local socket. Never waits.
 */
OURO_API int ouro_peer_pidfd(int fd);

enum { OURO_FDS_MOST = 253 }; /* descriptors in one message */

/**
 * ouro_send_fds - send data, and copies of descriptors with it
 * @fd: a connected local socket
 * @buf: lent until the call returns
 * @len: at least 1
 * @fds: stay the caller's; what they stand for stays open for the receiver
 * @n: of fds, at most OURO_FDS_MOST
 *
 * Returns: bytes sent, maybe fewer than len; the descriptors went with the first of them. -EINVAL: no data,
 * or too many; -EOPNOTSUPP: not a local socket; -EBADF also for one of fds; -ETOOMANYREFS: too many are under
 * way; else as ouro_send().
 */
OURO_API ssize_t ouro_send_fds(int fd, const void *buf, size_t len, const int *fds, size_t n);

/**
 * ouro_recv_fds - receive data, and the descriptors that come with it
 * @fd: a local socket
 * @buf: lent until the call returns
 * @len: at least 1
 * @ret_fds: room for those that come; close-on-exec, the caller's to close
 * @room: of ret_fds
 * @ret_n: how many came, set on success
 *
 * Either all descriptors of a message are handed over, or it is an error and those that came are closed; its
 * data is lost then. A cancelled call has taken nothing.
 *
 * Returns: bytes received, 0 at the end; -EMSGSIZE: more descriptors than there is room for; -EMFILE: more
 * than this process may have open; -EINVAL; else as ouro_recv().
 */
OURO_API ssize_t ouro_recv_fds(int fd, void *buf, size_t len, int *ret_fds, size_t room, size_t *ret_n);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
