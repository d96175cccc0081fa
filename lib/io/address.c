/* address.c - addresses as text, and the two calls that take them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/sys.h"
#include "io/address.h"
#include "ouro.h"

enum { HOST_BYTES = INET6_ADDRSTRLEN + 2, PORT_MOST = 65535 };

/* Digits only, to the end of the text. */
static int parse_port(const char *text, in_port_t *ret_port)
{
        unsigned port = 0;

        if (!*text)
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                port = port * 10 + (unsigned)(*text - '0');
                if (port > PORT_MOST)
                        return -EINVAL;
        }
        *ret_port = htons((in_port_t)port);
        return 0;
}

static int host_in6(const char *host, in_port_t port, struct address *address)
{
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;

        if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
                return -EINVAL;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        address->len = sizeof *in6;
        return 0;
}

static int host_in4(const char *host, in_port_t port, struct address *address)
{
        struct sockaddr_in *in4 = (struct sockaddr_in *)&address->storage;

        if (inet_pton(AF_INET, host, &in4->sin_addr) != 1)
                return -EINVAL;
        in4->sin_family = AF_INET;
        in4->sin_port = port;
        address->len = sizeof *in4;
        return 0;
}

/* "127.0.0.1", "[::1]", "" or "*" */
static int parse_host(char *host, in_port_t port, bool to_listen, struct address *address)
{
        size_t len = strlen(host);

        if (len == 0 || strcmp(host, "*") == 0) {
                address->any_host = true;
                return to_listen ? host_in6("::", port, address) : -EINVAL;
        }
        if (host[0] != '[')
                return host_in4(host, port, address);
        if (host[len - 1] != ']')
                return -EINVAL;
        host[len - 1] = '\0';
        return host_in6(host + 1, port, address);
}

static int parse_tcp(const char *text, bool to_listen, struct address *address)
{
        const char *colon = strrchr(text, ':');
        char host[HOST_BYTES];
        in_port_t port;

        if (!colon || (size_t)(colon - text) >= sizeof host || parse_port(colon + 1, &port) < 0)
                return -EINVAL;
        if (port == 0 && !to_listen)
                return -EINVAL;
        memcpy(host, text, (size_t)(colon - text));
        host[colon - text] = '\0';
        return parse_host(host, port, to_listen, address);
}

static int parse_unix(const char *path, struct address *address)
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

int address_parse(const char *text, bool to_listen, struct address *ret_address)
{
        struct address address;
        int error = -EINVAL;

        if (!text)
                return -EINVAL;
        memset(&address, 0, sizeof address);
        if (strncmp(text, "tcp:", 4) == 0)
                error = parse_tcp(text + 4, to_listen, &address);
        else if (strncmp(text, "unix:", 5) == 0)
                error = parse_unix(text + 5, &address);
        if (error == 0)
                *ret_address = address;
        return error;
}

static bool is_unix(const struct address *address)
{
        return address->storage.ss_family == AF_UNIX;
}

static void set_option(int fd, int level, int name, int value)
{
        (void)sys_result(setsockopt(fd, level, name, &value, sizeof value)); /* a hint: nothing fails by it */
}

static int bind_and_listen(int fd, const struct address *address)
{
        int error;

        if (!is_unix(address)) {
                set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
                set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted connections inherit it */
        }
        if (address->any_host)
                set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
        error = ouro_bind(fd, (const struct sockaddr *)&address->storage, address->len);
        return error < 0 ? error : ouro_listen_on(fd, 0);
}

int ouro_listen(const char *text)
{
        struct address address;
        int fd, error;

        if (address_parse(text, true, &address) < 0)
                return -EINVAL;
        fd = ouro_socket(address.storage.ss_family, SOCK_STREAM, 0);
        if (fd == -EAFNOSUPPORT && address.any_host) { /* a machine without IPv6 */
                address.any_host = false;
                struct sockaddr_in in4 = {.sin_family = AF_INET,
                                          .sin_port = ((struct sockaddr_in6 *)&address.storage)->sin6_port};

                memcpy(&address.storage, &in4, sizeof in4);
                address.len = sizeof in4;
                fd = ouro_socket(AF_INET, SOCK_STREAM, 0);
        }
        if (fd < 0)
                return fd;
        error = bind_and_listen(fd, &address);
        if (error == 0)
                return fd;
        ouro_close(fd);
        return error;
}

int ouro_dial(const char *text)
{
        struct address address;
        int fd, error;

        if (address_parse(text, false, &address) < 0)
                return -EINVAL;
        fd = ouro_socket(address.storage.ss_family, SOCK_STREAM, 0);
        if (fd < 0)
                return fd;
        if (!is_unix(&address))
                set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        error = ouro_connect(fd, (const struct sockaddr *)&address.storage, address.len);
        if (error == 0)
                return fd;
        ouro_close(fd);
        return error;
}
