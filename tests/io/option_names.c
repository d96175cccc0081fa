/* Of lib/io/option_names.c: options by name, and groups. */
#include <errno.h>
#include <net/if.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(option_names, .init = leaks_begin, .fini = leaks_end);

static int tcp4(void)
{
        return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void check_kept(int fd, const char *name, int value, int wanted)
{
        int got = -77, error = ouro_socket_set(fd, name, value);

        cr_assert_eq(error, 0, "set %s: %d", name, error);
        EQ(ouro_socket_get(fd, name, &got), 0);
        cr_assert_eq(got, wanted, "%s: %d, not %d", name, got, wanted);
}

Test(option_names, what_is_set_is_read_back)
{
        int tcp = tcp4(), udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int udp6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        check_kept(tcp, "tcp_nodelay", 1, 1);
        check_kept(tcp, "tcp_nodelay", 0, 0);
        check_kept(tcp, "so_keepalive", 1, 1);
        check_kept(tcp, "tcp_keepidle", 11, 11);
        check_kept(tcp, "tcp_keepintvl", 12, 12);
        check_kept(tcp, "tcp_keepcnt", 13, 13);
        check_kept(tcp, "tcp_user_timeout", 4000, 4000);
        check_kept(tcp, "so_rcvbuf", 20000, 40000);
        check_kept(tcp, "so_sndbuf", 20000, 40000);
        check_kept(tcp, "so_linger", 5, 5);
        check_kept(tcp, "so_linger", 0, 0);
        check_kept(tcp, "so_linger", -1, -1);
        check_kept(tcp, "ip_ttl", 42, 42);
        check_kept(tcp, "ip_tos", 0x10, 0x10);
        check_kept(udp, "so_broadcast", 1, 1);
        check_kept(udp, "ip_multicast_ttl", 3, 3);
        check_kept(udp, "ip_multicast_loop", 0, 0);
        check_kept(udp, "udp_segment", 1200, 1200);
        check_kept(udp6, "ipv6_v6only", 1, 1);
        check_kept(udp6, "ipv6_unicast_hops", 9, 9);
        check_kept(udp6, "ipv6_multicast_hops", 9, 9);
        close(tcp);
        close(udp);
        close(udp6);
}

Test(option_names, errors_tell_which_mistake_it_was)
{
        int tcp = tcp4(), value = 5, pair[2];

        unix_pair(pair);
        EQ(ouro_socket_set(tcp, NULL, 1), -EINVAL);
        EQ(ouro_socket_set(tcp, "", 1), -EINVAL);
        EQ(ouro_socket_set(tcp, "TCP_NODELAY", 1), -EINVAL);
        EQ(ouro_socket_set(tcp, "tcp_nodelay ", 1), -EINVAL);
        EQ(ouro_socket_set(tcp, "so_type", 1), -ENOPROTOOPT);
        EQ(ouro_socket_set(tcp, "udp_gro", 1), -ENOPROTOOPT);
        EQ(ouro_socket_set(pair[0], "tcp_nodelay", 1), -ENOPROTOOPT);
        EQ(ouro_socket_set(tcp, "ip_ttl", 4711), -EINVAL);
        EQ(ouro_socket_set(0, "tcp_nodelay", 1), -ENOTSOCK);
        EQ(ouro_socket_set(-1, "tcp_nodelay", 1), -EBADF);
        EQ(ouro_socket_get(tcp, "tcp_nodelay", NULL), -EINVAL);
        EQ(ouro_socket_get(tcp, NULL, &value), -EINVAL);
        EQ(ouro_socket_get(tcp, "nonsense", &value), -EINVAL);
        EQ(ouro_socket_get(pair[0], "tcp_nodelay", &value), -ENOPROTOOPT);
        EQ(ouro_socket_get(0, "so_type", &value), -ENOTSOCK);
        EQ(ouro_socket_get(-1, "so_type", &value), -EBADF);
        EQ(value, 5);
        close(tcp);
        close_both(pair);
}

Test(option_names, what_a_socket_is_can_be_read)
{
        int fd = tcp4(), value;

        EQ(ouro_socket_get(fd, "so_type", &value), 0);
        EQ(value, SOCK_STREAM);
        EQ(ouro_socket_get(fd, "so_domain", &value), 0);
        EQ(value, AF_INET);
        EQ(ouro_socket_get(fd, "so_protocol", &value), 0);
        EQ(value, IPPROTO_TCP);
        EQ(ouro_socket_get(fd, "so_acceptconn", &value), 0);
        EQ(value, 0);
        EQ(ouro_socket_get(fd, "so_error", &value), 0);
        EQ(value, 0);
        close(fd);
}

/* ---- groups ---- */

Test(option_names, groups_tell_their_errors)
{
        int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        EQ(ouro_multicast_join(udp, NULL, NULL), -EINVAL);
        EQ(ouro_multicast_join(udp, "nonsense", NULL), -EINVAL);
        EQ(ouro_multicast_join(udp, "127.0.0.1", NULL), -EINVAL);
        EQ(ouro_multicast_join(udp, "ff02::1%lo", NULL), -EINVAL); /* another family */
        EQ(ouro_multicast_join(udp, "239.1.2.3", "nosuchdev"), -ENODEV);
        EQ(ouro_multicast_leave(udp, "239.1.2.3", "lo"), -EADDRNOTAVAIL);
        EQ(ouro_multicast_join(udp, "239.1.2.3", "lo"), 0);
        EQ(ouro_multicast_join(udp, "239.1.2.3", "lo"), -EADDRINUSE);
        EQ(ouro_multicast_leave(udp, "239.1.2.3", "lo"), 0);
        EQ(ouro_multicast_join(-1, "239.1.2.3", NULL), -EBADF);
        EQ(ouro_multicast_join(0, "239.1.2.3", NULL), -ENOTSOCK);
        close(udp);
}

static void check_group(const char *bind_to, const char *group, const char *destination)
{
        int receiver = ouro_listen(bind_to), sender;
        struct ouro_address to, from;
        char text[128], buf[8];

        cr_assert(receiver >= 0, "%s: %d", bind_to, receiver);
        EQ(ouro_local_address(receiver, &to), 0);
        snprintf(text, sizeof text, destination, ouro_address_port(&to));
        EQ(ouro_address_parse(text, &to), 0);
        EQ(ouro_multicast_join(receiver, group, "lo"), 0);
        sender = ouro_socket(to.storage.ss_family, SOCK_DGRAM, 0);
        if (to.storage.ss_family == AF_INET6) {
                EQ(ouro_socket_set(sender, "ipv6_multicast_if", (int)if_nametoindex("lo")), 0);
        } else {
                const struct in_addr lo = {htonl(INADDR_LOOPBACK)};

                EQ(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo), 0);
        }
        ssize_t sent = ouro_sendto(sender, "all", 3, 0, &to);

        if (sent == -ENETUNREACH && to.storage.ss_family == AF_INET6) {
                PASSED_OVER("loopback has no route to %s", group);
        } else {
                EQ(sent, 3);
                EQ(ouro_recvfrom(receiver, buf, sizeof buf, 0, &from), 3);
        }
        EQ(ouro_multicast_leave(receiver, group, "lo"), 0);
        EQ(ouro_close(sender), 0);
        EQ(ouro_close(receiver), 0);
}

IN_LOOP(option_names, what_is_sent_to_a_group_reaches_its_members)
{
        check_group("udp4:*:0", "239.1.2.3", "udp:239.1.2.3:%d");
        if (access("/proc/net/if_inet6", F_OK) == 0)
                check_group("udp6:*:0", "ff02::4711%lo", "udp:[ff02::4711%%lo]:%d");
        else
                PASSED_OVER("no IPv6 here");
        return 0;
}
