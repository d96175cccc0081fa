/* option_names.c - options of sockets by name. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/sys.h"
#include "io/address.h"
#include "io/options.h"

#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif

enum {
        OPTION_READ_ONLY = 1,
        OPTION_LINGER = 2, /* a struct linger */
};

static const struct option {
        const char *name;
        int level;
        int option;
        int flags;
} options[] = {
        {"so_acceptconn", SOL_SOCKET, SO_ACCEPTCONN, OPTION_READ_ONLY},
        {"so_broadcast", SOL_SOCKET, SO_BROADCAST, 0},
        {"so_busy_poll", SOL_SOCKET, SO_BUSY_POLL, 0},
        {"so_domain", SOL_SOCKET, SO_DOMAIN, OPTION_READ_ONLY},
        {"so_dontroute", SOL_SOCKET, SO_DONTROUTE, 0},
        {"so_error", SOL_SOCKET, SO_ERROR, OPTION_READ_ONLY},
        {"so_incoming_cpu", SOL_SOCKET, SO_INCOMING_CPU, 0},
        {"so_keepalive", SOL_SOCKET, SO_KEEPALIVE, 0},
        {"so_linger", SOL_SOCKET, SO_LINGER, OPTION_LINGER},
        {"so_mark", SOL_SOCKET, SO_MARK, 0},
        {"so_oobinline", SOL_SOCKET, SO_OOBINLINE, 0},
        {"so_passcred", SOL_SOCKET, SO_PASSCRED, 0},
        {"so_priority", SOL_SOCKET, SO_PRIORITY, 0},
        {"so_protocol", SOL_SOCKET, SO_PROTOCOL, OPTION_READ_ONLY},
        {"so_rcvbuf", SOL_SOCKET, SO_RCVBUF, 0},
        {"so_rcvbufforce", SOL_SOCKET, SO_RCVBUFFORCE, 0},
        {"so_rcvlowat", SOL_SOCKET, SO_RCVLOWAT, 0},
        {"so_reuseaddr", SOL_SOCKET, SO_REUSEADDR, 0},
        {"so_reuseport", SOL_SOCKET, SO_REUSEPORT, 0},
        {"so_sndbuf", SOL_SOCKET, SO_SNDBUF, 0},
        {"so_sndbufforce", SOL_SOCKET, SO_SNDBUFFORCE, 0},
        {"so_timestampns", SOL_SOCKET, SO_TIMESTAMPNS, 0},
        {"so_txrehash", SOL_SOCKET, SO_TXREHASH, 0},
        {"so_type", SOL_SOCKET, SO_TYPE, OPTION_READ_ONLY},
        {"tcp_cork", IPPROTO_TCP, TCP_CORK, 0},
        {"tcp_defer_accept", IPPROTO_TCP, TCP_DEFER_ACCEPT, 0},
        {"tcp_fastopen", IPPROTO_TCP, TCP_FASTOPEN, 0},
        {"tcp_fastopen_connect", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0},
        {"tcp_keepcnt", IPPROTO_TCP, TCP_KEEPCNT, 0},
        {"tcp_keepidle", IPPROTO_TCP, TCP_KEEPIDLE, 0},
        {"tcp_keepintvl", IPPROTO_TCP, TCP_KEEPINTVL, 0},
        {"tcp_linger2", IPPROTO_TCP, TCP_LINGER2, 0},
        {"tcp_maxseg", IPPROTO_TCP, TCP_MAXSEG, 0},
        {"tcp_nodelay", IPPROTO_TCP, TCP_NODELAY, 0},
        {"tcp_notsent_lowat", IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0},
        {"tcp_quickack", IPPROTO_TCP, TCP_QUICKACK, 0},
        {"tcp_syncnt", IPPROTO_TCP, TCP_SYNCNT, 0},
        {"tcp_user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
        {"tcp_window_clamp", IPPROTO_TCP, TCP_WINDOW_CLAMP, 0},
        {"udp_cork", IPPROTO_UDP, UDP_CORK, 0},
        {"udp_gro", IPPROTO_UDP, UDP_GRO, 0},
        {"udp_segment", IPPROTO_UDP, UDP_SEGMENT, 0},
        {"ip_bind_address_no_port", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0},
        {"ip_freebind", IPPROTO_IP, IP_FREEBIND, 0},
        {"ip_mtu", IPPROTO_IP, IP_MTU, OPTION_READ_ONLY},
        {"ip_mtu_discover", IPPROTO_IP, IP_MTU_DISCOVER, 0},
        {"ip_multicast_loop", IPPROTO_IP, IP_MULTICAST_LOOP, 0},
        {"ip_multicast_ttl", IPPROTO_IP, IP_MULTICAST_TTL, 0},
        {"ip_pktinfo", IPPROTO_IP, IP_PKTINFO, 0},
        {"ip_recverr", IPPROTO_IP, IP_RECVERR, 0},
        {"ip_recvtos", IPPROTO_IP, IP_RECVTOS, 0},
        {"ip_recvttl", IPPROTO_IP, IP_RECVTTL, 0},
        {"ip_tos", IPPROTO_IP, IP_TOS, 0},
        {"ip_transparent", IPPROTO_IP, IP_TRANSPARENT, 0},
        {"ip_ttl", IPPROTO_IP, IP_TTL, 0},
        {"ipv6_mtu", IPPROTO_IPV6, IPV6_MTU, OPTION_READ_ONLY},
        {"ipv6_mtu_discover", IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0},
        {"ipv6_multicast_hops", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 0},
        {"ipv6_multicast_if", IPPROTO_IPV6, IPV6_MULTICAST_IF, 0},
        {"ipv6_multicast_loop", IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0},
        {"ipv6_recverr", IPPROTO_IPV6, IPV6_RECVERR, 0},
        {"ipv6_recvpktinfo", IPPROTO_IPV6, IPV6_RECVPKTINFO, 0},
        {"ipv6_tclass", IPPROTO_IPV6, IPV6_TCLASS, 0},
        {"ipv6_unicast_hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0},
        {"ipv6_v6only", IPPROTO_IPV6, IPV6_V6ONLY, 0},
};

static const struct option *find(const char *name)
{
        for (size_t i = 0; name && i < sizeof options / sizeof *options; i++)
                if (strcmp(options[i].name, name) == 0)
                        return &options[i];
        return NULL;
}

/* What is no socket of that level says so in one way: TCP's answer to an option of UDP is this one, a local
 * socket's -EOPNOTSUPP. */
static int not_here(int error)
{
        return error == -EOPNOTSUPP ? -ENOPROTOOPT : error;
}

int ouro_socket_set(int fd, const char *name, int value)
{
        const struct option *option = find(name);
        const struct linger linger = {value >= 0, value >= 0 ? value : 0};

        if (!option)
                return -EINVAL;
        if (option->flags & OPTION_READ_ONLY)
                return -ENOPROTOOPT;
        if (option->flags & OPTION_LINGER)
                return not_here(
                        sys_result(setsockopt(fd, option->level, option->option, &linger, sizeof linger)));
        return not_here(set_option(fd, option->level, option->option, value));
}

int ouro_socket_get(int fd, const char *name, int *ret_value)
{
        const struct option *option = find(name);
        struct linger value = {0}; /* others are the first half of it */
        socklen_t len = option && (option->flags & OPTION_LINGER) ? sizeof value : sizeof(int);
        int error;

        if (!option || !ret_value)
                return -EINVAL;
        error = not_here(sys_result(getsockopt(fd, option->level, option->option, &value, &len)));
        if (error == 0)
                *ret_value = !(option->flags & OPTION_LINGER) ? value.l_onoff
                             : value.l_onoff                  ? value.l_linger
                                                              : -1;
        return error;
}

/* ---- groups ---- */

static bool is_multicast(const struct ouro_address *address)
{
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address->storage;

        if (address->storage.ss_family == AF_INET6)
                return in6->sin6_addr.s6_addr[0] == 0xff;
        return IN_MULTICAST(ntohl(in4->sin_addr.s_addr));
}

static int change_membership(int fd, int option, const char *group, const char *interface)
{
        struct ouro_address address;
        struct group_req request;
        int domain, error;

        if (!group || address_parse_host(group, &address) < 0 || !is_multicast(&address))
                return -EINVAL;
        error = ouro_socket_get(fd, "so_domain", &domain);
        if (error < 0)
                return error;
        if (domain != address.storage.ss_family)
                return -EINVAL;
        memset(&request, 0, sizeof request);
        request.gr_group = address.storage;
        if (domain == AF_INET6)
                request.gr_interface = ((const struct sockaddr_in6 *)&address.storage)->sin6_scope_id;
        if (interface) {
                int saved_errno = errno; /* the task's: it has no negated form */

                request.gr_interface = if_nametoindex(interface);
                errno = saved_errno;
                if (request.gr_interface == 0)
                        return -ENODEV;
        }
        return sys_result(setsockopt(fd, domain == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, option, &request,
                                     sizeof request));
}

int ouro_multicast_join(int fd, const char *group, const char *interface)
{
        return change_membership(fd, MCAST_JOIN_GROUP, group, interface);
}

int ouro_multicast_leave(int fd, const char *group, const char *interface)
{
        return change_membership(fd, MCAST_LEAVE_GROUP, group, interface);
}
