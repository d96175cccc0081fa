/* dial.c - connections by address text. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/options.h"
#include "io/address.h"
#include "io/dial.h"
#include "io/options.h"

enum {
        KNOWN_FLAGS = OURO_DIAL_NO_RACE | OURO_DIAL_NAGLE | OURO_DIAL_KEEPALIVE | OURO_DIAL_FAST_OPEN,
};

/* ---- one attempt ---- */

static bool is_tcp(const struct ouro_address *address)
{
        return address->type == SOCK_STREAM && address->storage.ss_family != AF_UNIX;
}

static int set_number(int fd, int name, int value)
{
        return value > 0 ? set_option(fd, IPPROTO_TCP, name, value) : 0;
}

static int set_keepalive(int fd, const struct ouro_dial_options *options)
{
        bool wanted = (options->flags & OURO_DIAL_KEEPALIVE) || options->keepalive_idle_s > 0 ||
                      options->keepalive_every_s > 0 || options->keepalive_probes > 0;
        int error = wanted ? set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) : 0;

        if (error == 0)
                error = set_number(fd, TCP_KEEPIDLE, options->keepalive_idle_s);
        if (error == 0)
                error = set_number(fd, TCP_KEEPINTVL, options->keepalive_every_s);
        if (error == 0)
                error = set_number(fd, TCP_KEEPCNT, options->keepalive_probes);
        return error;
}

static int set_tcp(int fd, const struct ouro_dial_options *options)
{
        int error = options->flags & OURO_DIAL_NAGLE ? 0 : set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);

        if (error == 0 && (options->flags & OURO_DIAL_FAST_OPEN))
                error = set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
        return error == 0 ? set_keepalive(fd, options) : error;
}

/* With a port left to the system, connections from one address to different peers may share one. */
static int bind_local(int fd, const struct dial *dial, const struct ouro_address *to)
{
        const struct ouro_address *from = &dial->local;

        if (!dial->has_local)
                return 0;
        if (from->storage.ss_family != to->storage.ss_family)
                return -EAFNOSUPPORT;
        if (ouro_address_port(from) == 0)
                (void)set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); /* a hint */
        return ouro_bind(fd, (const struct sockaddr *)&from->storage, from->len);
}

static int prepare(int fd, const struct dial *dial, const struct ouro_address *to)
{
        int error = set_device(fd, dial->options.device);

        if (error == 0 && is_tcp(to))
                error = set_tcp(fd, &dial->options);
        return error == 0 ? bind_local(fd, dial, to) : error;
}

int dial_one(const struct dial *dial, const struct ouro_address *to)
{
        int fd = ouro_socket(to->storage.ss_family, to->type, 0), error;

        if (fd < 0)
                return fd;
        error = prepare(fd, dial, to);
        if (error == 0)
                error = ouro_connect(fd, (const struct sockaddr *)&to->storage, to->len);
        if (error == 0)
                return fd;
        ouro_close(fd);
        return error;
}

/* ---- all of it ---- */

static int read_options(struct dial *dial, const struct ouro_dial_options *given, int type)
{
        struct ouro_dial_options *options = &dial->options;

        if (given && options_read(options, sizeof *options, given) < 0)
                return -EINVAL;
        if (options->flags & ~(unsigned)KNOWN_FLAGS || options->keepalive_idle_s < 0 ||
            options->keepalive_every_s < 0 || options->keepalive_probes < 0 || options->attempt_delay_ns < 0)
                return -EINVAL;
        if (options->attempt_delay_ns == 0)
                options->attempt_delay_ns = DIAL_ATTEMPT_DELAY_NS;
        if (options->resolve && options_read(&dial->resolve, sizeof dial->resolve, options->resolve) < 0)
                return -EINVAL;
        if (!options->local)
                return 0;
        dial->has_local = true;
        if (ouro_address_parse(options->local, &dial->local) < 0 || dial->local.type != type)
                return -EINVAL;
        return 0;
}

/* Is there somebody to connect to? */
static bool may_be_dialled(const struct address *address)
{
        if (address->is_name)
                return strspn(address->service, "0") < strlen(address->service);
        return !address->any_host &&
               (address->of.storage.ss_family == AF_UNIX || ouro_address_port(&address->of) > 0);
}

int ouro_dial_with(const char *text, const struct ouro_dial_options *given)
{
        struct dial dial = {.options = OURO_DIAL_OPTIONS_INIT, .resolve = OURO_RESOLVE_OPTIONS_INIT};
        struct address address;

        if (address_parse(text, &address) < 0 || !may_be_dialled(&address) ||
            read_options(&dial, given, address.of.type) < 0)
                return -EINVAL;
        if (address.is_name)
                return dial_name(&dial, &address);
        if (dial.options.ret_gai)
                *dial.options.ret_gai = 0;
        return dial_one(&dial, &address.of);
}

int ouro_dial(const char *address)
{
        return ouro_dial_with(address, NULL);
}
