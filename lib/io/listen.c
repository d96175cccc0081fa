/* listen.c - sockets that others connect or send to, by address text. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/options.h"
#include "io/address.h"
#include "io/options.h"

enum {
        KNOWN_FLAGS =
                OURO_LISTEN_REUSE_PORT | OURO_LISTEN_V6ONLY | OURO_LISTEN_NAGLE | OURO_LISTEN_UNLINK_STALE,
};

int set_device(int fd, const char *device)
{
        size_t len = device ? strlen(device) : 0;

        if (!device)
                return 0;
        if (len == 0 || len >= IF_NAMESIZE)
                return -EINVAL;
        return sys_result(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)len));
}

static const char *path_of(const struct ouro_address *address)
{
        const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;

        return address->storage.ss_family == AF_UNIX && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

static const struct sockaddr *sockaddr_of(const struct ouro_address *address)
{
        return (const struct sockaddr *)&address->storage;
}

/* ---- paths ---- */

/* Nobody answers there: connecting is refused, and the thing is a socket of our user to remove. */
static bool is_stale(const struct ouro_address *address)
{
        struct stat st;
        int fd, error;

        if (sys_result(lstat(path_of(address), &st)) < 0 || !S_ISSOCK(st.st_mode))
                return false;
        fd = sys_result(socket(AF_UNIX, address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (fd < 0)
                return false;
        error = sys_result(connect(fd, sockaddr_of(address), address->len));
        (void)sys_result(close(fd));
        return error == -ECONNREFUSED;
}

static int bind_path(int fd, const struct ouro_address *address, const struct ouro_listen_options *options)
{
        const char *path = path_of(address);
        int error;

        if (options->mode) /* before it has a path: at no moment may more be allowed than is wanted */
                (void)sys_result(fchmod(fd, options->mode));
        error = sys_result(bind(fd, sockaddr_of(address), address->len));
        if (error == -EADDRINUSE && (options->flags & OURO_LISTEN_UNLINK_STALE) && is_stale(address)) {
                (void)sys_result(unlink(path));
                error = sys_result(bind(fd, sockaddr_of(address), address->len));
        }
        if (error < 0 || !options->mode)
                return error;
        error = sys_result(chmod(path, options->mode)); /* what the umask took away */
        if (error < 0)
                (void)sys_result(unlink(path));
        return error;
}

/* ---- options ---- */

static int refuse(const struct address *address, const struct ouro_listen_options *options)
{
        if (options->flags & ~(unsigned)KNOWN_FLAGS || options->backlog < 0 || options->fast_open < 0 ||
            options->defer_accept_s < 0 || (options->mode & ~(mode_t)07777))
                return -EINVAL;
        return options->mode && !path_of(&address->of) ? -EINVAL : 0;
}

static int set_v6only(int fd, const struct address *address, unsigned flags)
{
        if (address->of.storage.ss_family != AF_INET6)
                return 0;
        if ((flags & OURO_LISTEN_V6ONLY) || address->family == AF_INET6)
                return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        return address->any_host ? set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) : 0;
}

/* What accepted connections inherit, and what the listener does with those that come. */
static int set_tcp(int fd, const struct ouro_listen_options *options)
{
        int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

        if (error == 0 && !(options->flags & OURO_LISTEN_NAGLE))
                error = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (error == 0 && options->fast_open > 0)
                error = set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, options->fast_open);
        if (error == 0 && options->defer_accept_s > 0)
                error = set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options->defer_accept_s);
        return error;
}

static int set_all(int fd, const struct address *address, const struct ouro_listen_options *options)
{
        int error = set_device(fd, options->device);

        if (error == 0 && (options->flags & OURO_LISTEN_REUSE_PORT))
                error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (error == 0)
                error = set_v6only(fd, address, options->flags);
        if (error == 0 && address->of.type == SOCK_STREAM && address->of.storage.ss_family != AF_UNIX)
                error = set_tcp(fd, options);
        return error;
}

/* ---- all of it ---- */

static int prepare(int fd, const struct address *address, const struct ouro_listen_options *options)
{
        int error = set_all(fd, address, options);

        if (error < 0)
                return error;
        error = path_of(&address->of) ? bind_path(fd, &address->of, options)
                                      : sys_result(bind(fd, sockaddr_of(&address->of), address->of.len));
        if (error < 0 || address->of.type == SOCK_DGRAM)
                return error;
        return ouro_listen_on(fd, options->backlog);
}

/* A machine without IPv6 has an "every address" of its own. */
static int open_socket(struct address *address)
{
        int fd = ouro_socket(address->of.storage.ss_family, address->of.type, 0);
        struct sockaddr_in in4 = {.sin_family = AF_INET};

        if (fd != -EAFNOSUPPORT || !address->any_host || address->family == AF_INET6)
                return fd;
        in4.sin_port = ((struct sockaddr_in6 *)&address->of.storage)->sin6_port;
        memcpy(&address->of.storage, &in4, sizeof in4);
        address->of.len = sizeof in4;
        return ouro_socket(AF_INET, address->of.type, 0);
}

int ouro_listen_with(const char *text, const struct ouro_listen_options *given)
{
        struct ouro_listen_options options = OURO_LISTEN_OPTIONS_INIT;
        struct address address;
        int fd, error;

        if (given && options_read(&options, sizeof options, given) < 0)
                return -EINVAL;
        if (address_parse(text, &address) < 0 || address.is_name || refuse(&address, &options) < 0)
                return -EINVAL;
        fd = open_socket(&address);
        if (fd < 0)
                return fd;
        error = prepare(fd, &address, &options);
        if (error == 0)
                return fd;
        ouro_close(fd);
        return error;
}

int ouro_listen(const char *address)
{
        return ouro_listen_with(address, NULL);
}
