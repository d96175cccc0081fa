/* address.c - addresses as text, to and fro. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/sys.h"
#include "io/address.h"

enum { PORT_MOST = 65535, LABEL_MOST = 63, NAME_MOST = 253 };

static const struct scheme {
        const char *prefix;
        int type;
        int family;
} schemes[] = {
        {"tcp:", SOCK_STREAM, AF_UNSPEC},         {"tcp4:", SOCK_STREAM, AF_INET},
        {"tcp6:", SOCK_STREAM, AF_INET6},         {"udp:", SOCK_DGRAM, AF_UNSPEC},
        {"udp4:", SOCK_DGRAM, AF_INET},           {"udp6:", SOCK_DGRAM, AF_INET6},
        {"unix:", SOCK_STREAM, AF_UNIX},          {"unixgram:", SOCK_DGRAM, AF_UNIX},
        {"unixpacket:", SOCK_SEQPACKET, AF_UNIX},
};

/* ---- reading ---- */

int address_parse_port(const char *text)
{
        int port = 0;

        if (!*text)
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                port = port * 10 + (*text - '0');
                if (port > PORT_MOST)
                        return -EINVAL;
        }
        return port;
}

/* In both families at the same place. */
void address_set_port(struct ouro_address *address, int port)
{
        ((struct sockaddr_in *)&address->storage)->sin_port = htons((in_port_t)port);
}

/* An interface by name or number; 0: there is none. */
static unsigned parse_scope(const char *text)
{
        unsigned number = 0;

        for (const char *at = text; *at >= '0' && *at <= '9' && number < 100000000; at++) {
                number = number * 10 + (unsigned)(*at - '0');
                if (!at[1])
                        return number;
        }
        int saved_errno = errno; /* the task's: it has no negated form */
        number = if_nametoindex(text);
        errno = saved_errno;
        return number;
}

static int parse_in6(const char *host, struct ouro_address *address)
{
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
        const char *percent = strchr(host, '%');
        char plain[INET6_ADDRSTRLEN];
        size_t len = percent ? (size_t)(percent - host) : strlen(host);

        if (len >= sizeof plain)
                return -EINVAL;
        memcpy(plain, host, len);
        plain[len] = '\0';
        if (inet_pton(AF_INET6, plain, &in6->sin6_addr) != 1)
                return -EINVAL;
        if (percent && (in6->sin6_scope_id = parse_scope(percent + 1)) == 0)
                return -EINVAL;
        in6->sin6_family = AF_INET6;
        address->len = sizeof *in6;
        return 0;
}

static int parse_in4(const char *host, struct ouro_address *address)
{
        struct sockaddr_in *in4 = (struct sockaddr_in *)&address->storage;

        if (inet_pton(AF_INET, host, &in4->sin_addr) != 1)
                return -EINVAL;
        in4->sin_family = AF_INET;
        address->len = sizeof *in4;
        return 0;
}

int address_parse_host(const char *host, struct ouro_address *ret_address)
{
        struct ouro_address address;
        int error;

        memset(&address, 0, sizeof address);
        error = strchr(host, ':') ? parse_in6(host, &address) : parse_in4(host, &address);
        if (error == 0)
                *ret_address = address;
        return error;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Whether getaddrinfo() might take it for one of the old ways to write an IPv4 address: "127.1", "0x7f.1". */
static bool is_number(const char *label, size_t len)
{
        if (len >= 2 && label[0] == '0' && (label[1] | 32) == 'x')
                return true;
        for (size_t i = 0; i < len; i++)
                if (!is_digit(label[i]))
                        return false;
        return true;
}

static bool may_be_in_name(char c)
{
        return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_';
}

bool address_is_name(const char *host)
{
        size_t whole = strlen(host), len = 0;
        const char *label = host;

        if (whole > 1 && host[whole - 1] == '.') /* an absolute name */
                whole--;
        if (whole == 0 || whole > NAME_MOST)
                return false;
        for (size_t i = 0; i < whole; i++) {
                if (host[i] == '.') {
                        if (len == 0)
                                return false;
                        label = host + i + 1;
                        len = 0;
                } else if (!may_be_in_name(host[i]) || ++len > LABEL_MOST) {
                        return false;
                }
        }
        return len > 0 && !is_number(label, len);
}

static bool is_service(const char *text)
{
        size_t len = strlen(text);
        bool letter = false;

        for (size_t i = 0; i < len; i++) {
                if (!may_be_in_name(text[i]) && text[i] != '.' && text[i] != '+')
                        return false;
                letter |= (text[i] | 32) >= 'a' && (text[i] | 32) <= 'z';
        }
        return letter && text[0] != '-';
}

static int take_name(const char *host, const char *service, struct address *address)
{
        if (!address_is_name(host) || strlen(service) >= SERVICE_BYTES)
                return -EINVAL;
        if (address_parse_port(service) < 0 && !is_service(service))
                return -EINVAL;
        memcpy(address->host, host, strlen(host) + 1);
        memcpy(address->service, service, strlen(service) + 1);
        address->is_name = true;
        return 0;
}

static int take_any(struct address *address)
{
        address->any_host = true;
        return address->family == AF_INET ? parse_in4("0.0.0.0", &address->of)
                                          : parse_in6("::", &address->of);
}

/* "127.0.0.1", "[::1]", "" or "*" */
static int take_numeric(char *host, struct address *address)
{
        size_t len = strlen(host);

        if (len == 0 || strcmp(host, "*") == 0)
                return take_any(address);
        if (host[0] != '[')
                return address->family == AF_INET6 ? -EINVAL : parse_in4(host, &address->of);
        if (host[len - 1] != ']' || address->family == AF_INET)
                return -EINVAL;
        host[len - 1] = '\0';
        return parse_in6(host + 1, &address->of);
}

/* HOST:PORT; the host may hold colons, in brackets. */
static int parse_inet(const char *text, struct address *address)
{
        const char *colon = strrchr(text, ':');
        int port = colon ? address_parse_port(colon + 1) : -EINVAL;
        char host[HOST_BYTES];
        int error;

        if (!colon || (size_t)(colon - text) >= sizeof host)
                return -EINVAL;
        memcpy(host, text, (size_t)(colon - text));
        host[colon - text] = '\0';
        if (address_is_name(host))
                return take_name(host, colon + 1, address);
        error = port < 0 ? port : take_numeric(host, address);
        if (error == 0)
                address_set_port(&address->of, port);
        return error;
}

static int parse_unix(const char *path, struct ouro_address *address)
{
        struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
        size_t len = strlen(path);

        if (len == 0 || len >= sizeof un->sun_path)
                return -EINVAL;
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, path, len);
        address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
        if (path[0] == '@') { /* abstract: a NUL first, and none behind */
                un->sun_path[0] = '\0';
                address->len--;
        }
        return 0;
}

int address_parse(const char *text, struct address *ret_address)
{
        struct address address;
        int error = -EINVAL;

        for (size_t i = 0; text && i < sizeof schemes / sizeof *schemes; i++) {
                size_t len = strlen(schemes[i].prefix);

                if (strncmp(text, schemes[i].prefix, len) != 0)
                        continue;
                memset(&address, 0, sizeof address);
                address.family = schemes[i].family;
                error = address.family == AF_UNIX ? parse_unix(text + len, &address.of)
                                                  : parse_inet(text + len, &address);
                address.of.type = schemes[i].type;
                if (error == 0)
                        *ret_address = address;
                break;
        }
        return error;
}

int ouro_address_parse(const char *text, struct ouro_address *ret_address)
{
        struct address address;
        int error = ret_address ? address_parse(text, &address) : -EINVAL;

        if (error < 0 || address.is_name)
                return -EINVAL;
        *ret_address = address.of;
        return 0;
}

/* ---- writing ---- */

static const char *scheme_of(int type, bool local)
{
        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
                if (schemes[i].type == type && schemes[i].family == (local ? AF_UNIX : AF_UNSPEC))
                        return schemes[i].prefix;
        return NULL;
}

static void format_scope(unsigned scope, char text[IF_NAMESIZE + 2])
{
        char name[IF_NAMESIZE];
        int saved_errno = errno; /* the task's: it has no negated form */

        if (scope == 0)
                text[0] = '\0';
        else if (if_indextoname(scope, name))
                snprintf(text, IF_NAMESIZE + 2, "%%%s", name);
        else
                snprintf(text, IF_NAMESIZE + 2, "%%%u", scope);
        errno = saved_errno;
}

static int format_inet(const struct ouro_address *address, const char *scheme, char *text)
{
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address->storage;
        char host[INET6_ADDRSTRLEN], scope[IF_NAMESIZE + 2];

        if (address->storage.ss_family == AF_INET) {
                inet_ntop(AF_INET, &in4->sin_addr, host, sizeof host);
                return snprintf(text, OURO_ADDRESS_TEXT, "%s%s:%u", scheme, host, ntohs(in4->sin_port));
        }
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        format_scope(in6->sin6_scope_id, scope);
        return snprintf(text, OURO_ADDRESS_TEXT, "%s[%s%s]:%u", scheme, host, scope, ntohs(in6->sin6_port));
}

static int format_unix(const struct ouro_address *address, const char *scheme, char *text)
{
        const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
        size_t room = (size_t)address->len - offsetof(struct sockaddr_un, sun_path), len;

        if (room == 0)
                return snprintf(text, OURO_ADDRESS_TEXT, "%s", scheme);
        if (un->sun_path[0] != '\0') {
                if (un->sun_path[0] == '@')
                        return -EILSEQ;
                len = strnlen(un->sun_path, room);
                return snprintf(text, OURO_ADDRESS_TEXT, "%s%.*s", scheme, (int)len, un->sun_path);
        }
        if (memchr(un->sun_path + 1, '\0', room - 1))
                return -EILSEQ;
        return snprintf(text, OURO_ADDRESS_TEXT, "%s@%.*s", scheme, (int)room - 1, un->sun_path + 1);
}

/* 0, or what keeps it from being written. */
static int refuse_format(const struct ouro_address *address)
{
        switch (address->storage.ss_family) {
        case AF_INET:
                return address->len == sizeof(struct sockaddr_in) ? 0 : -EINVAL;
        case AF_INET6:
                return address->len == sizeof(struct sockaddr_in6) ? 0 : -EINVAL;
        case AF_UNIX:
                return address->len >= offsetof(struct sockaddr_un, sun_path) &&
                                       address->len <= sizeof(struct sockaddr_un)
                               ? 0
                               : -EINVAL;
        default:
                return -EAFNOSUPPORT;
        }
}

int ouro_address_format(const struct ouro_address *address, char *text, size_t bytes)
{
        char whole[OURO_ADDRESS_TEXT];
        bool local = address && address->storage.ss_family == AF_UNIX;
        const char *scheme = address ? scheme_of(address->type, local) : NULL;
        int len = address ? refuse_format(address) : -EINVAL;

        if (len < 0)
                return len;
        if (!text || !scheme)
                return -EINVAL;
        len = (local ? format_unix : format_inet)(address, scheme, whole);
        if (len < 0)
                return len;
        if ((size_t)len >= bytes)
                return -ENOSPC;
        memcpy(text, whole, (size_t)len + 1);
        return len;
}

int ouro_address_port(const struct ouro_address *address)
{
        if (!address)
                return -EINVAL;
        if (address->storage.ss_family != AF_INET && address->storage.ss_family != AF_INET6)
                return -EAFNOSUPPORT;
        return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

/* ---- asking a socket ---- */

static int ask(int fd, int (*name)(int fd, struct sockaddr *addr, socklen_t *len),
               struct ouro_address *ret_address)
{
        struct ouro_address address;
        socklen_t type_len = sizeof address.type;
        int error;

        if (!ret_address)
                return -EINVAL;
        memset(&address, 0, sizeof address);
        address.len = sizeof address.storage;
        error = sys_result(name(fd, (struct sockaddr *)&address.storage, &address.len));
        if (error == 0)
                error = sys_result(getsockopt(fd, SOL_SOCKET, SO_TYPE, &address.type, &type_len));
        if (error == 0)
                *ret_address = address;
        return error;
}

int ouro_local_address(int fd, struct ouro_address *ret_address)
{
        return ask(fd, getsockname, ret_address);
}

int ouro_peer_address(int fd, struct ouro_address *ret_address)
{
        return ask(fd, getpeername, ret_address);
}
