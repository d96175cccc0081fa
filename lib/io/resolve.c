/* resolve.c - names to addresses and back, as tasks ask for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "coro/coro.h"
#include "io/address.h"
#include "io/resolver.h"

enum { KNOWN_FLAGS = OURO_RESOLVE_FRESH | OURO_RESOLVE_NUMERIC };

/* What is asked, besides what goes to the resolver. */
struct request {
        struct ouro_resolve_options options;
        struct question_key key;
        int port; /* less than zero: that of the answer */
};

/* ---- addresses ---- */

static size_t addresses_bytes(size_t count)
{
        return sizeof(struct ouro_addresses) + count * sizeof(struct ouro_address);
}

void ouro_addresses_free(struct ouro_addresses *addresses)
{
        if (addresses)
                mem_free(addresses, addresses_bytes(addresses->count));
}

static int give(const struct request *request, const struct ouro_address *all, size_t count,
                struct ouro_addresses **ret_addresses)
{
        struct ouro_addresses *addresses = mem_alloc(addresses_bytes(count));

        if (!addresses)
                return -ENOMEM;
        addresses->count = count;
        addresses->all = (struct ouro_address *)(addresses + 1);
        for (size_t i = 0; i < count; i++) {
                addresses->all[i] = all[i];
                if (request->port >= 0)
                        address_set_port(&addresses->all[i], request->port);
        }
        *ret_addresses = addresses;
        return 0;
}

/* ---- what is asked ---- */

static int read_options(struct request *request, const struct ouro_resolve_options *given)
{
        struct ouro_resolve_options *options = &request->options;

        memset(request, 0, sizeof *request);
        options->size = sizeof *options;
        if (given && options_read(options, sizeof *options, given) < 0)
                return -EINVAL;
        if (options->how > OURO_RESOLVE_ARES || options->flags & ~(unsigned)KNOWN_FLAGS ||
            options->max_age_ns < 0 || (options->servers && options->how != OURO_RESOLVE_ARES))
                return -EINVAL;
        if (options->family != AF_UNSPEC && options->family != AF_INET && options->family != AF_INET6)
                return -EINVAL;
        if (options->type == 0)
                options->type = SOCK_STREAM;
        if (options->type != SOCK_STREAM && options->type != SOCK_DGRAM)
                return -EINVAL;
        if (options->how == OURO_RESOLVE_ARES && !ouro_resolve_has_ares())
                return -EOPNOTSUPP;
        request->key.family = options->family;
        request->key.type = options->type;
        return 0;
}

/* Ports go into the copies, so that one answer serves all of them. */
static int read_service(struct request *request, const char *service)
{
        size_t len = service ? strlen(service) : 0;

        request->port = service ? address_parse_port(service) : 0;
        if (request->port >= 0)
                return 0;
        if (len == 0 || len >= sizeof request->key.service)
                return -EINVAL;
        memcpy(request->key.service, service, len);
        return 0;
}

static int finish(const struct request *request, const struct answer *answer)
{
        if (request->options.ret_gai)
                *request->options.ret_gai = answer->gai;
        return answer->error;
}

/* An address that is written as one. 0 or an error; 1: it is a name. */
static int answer_numeric(const struct request *request, const char *host,
                          struct ouro_addresses **ret_addresses)
{
        struct answer answer = {0};
        struct ouro_address address;

        if (address_parse_host(host, &address) < 0)
                return address_is_name(host) ? 1 : -EINVAL;
        if (request->options.family != AF_UNSPEC && request->options.family != address.storage.ss_family) {
                answer.error = -ENOENT;
                return finish(request, &answer);
        }
        if (request->port < 0)
                return 1;
        address.type = request->key.type;
        finish(request, &answer);
        return give(request, &address, 1, ret_addresses);
}

/* ---- asking ---- */

static int ask_system(const struct request *request, struct ouro_addresses **ret_addresses)
{
        bool fresh = request->options.flags & OURO_RESOLVE_FRESH;
        struct question *question;
        int error = resolver_ask(&request->key, request->options.max_age_ns, fresh, &question);

        if (error < 0)
                return error;
        error = finish(request, &question->answer);
        if (error == 0)
                error = give(request, question->answer.all, question->answer.count, ret_addresses);
        question_release(question);
        return coro_spend_int(sched_current, error);
}

static int ask_ares(const struct request *request, struct ouro_addresses **ret_addresses)
{
        struct answer answer = {0};
        int error = ares_resolve(&request->key, request->options.servers, &answer);

        if (error < 0)
                return error;
        error = finish(request, &answer);
        if (error == 0)
                error = give(request, answer.all, answer.count, ret_addresses);
        mem_free(answer.all, answer.count * sizeof *answer.all);
        return error;
}

int ouro_resolve(const char *host, const char *service, const struct ouro_resolve_options *given,
                 struct ouro_addresses **ret_addresses)
{
        struct sched *sched = sched_current;
        struct request request;
        int error;

        if (!sched)
                return -EPERM;
        if (!host || !ret_addresses || strlen(host) >= sizeof request.key.host)
                return -EINVAL;
        error = read_options(&request, given);
        if (error == 0)
                error = read_service(&request, service);
        if (error == 0 && sched->current->interrupt)
                error = sched->current->interrupt;
        if (error < 0)
                return error;
        error = answer_numeric(&request, host, ret_addresses);
        if (error <= 0)
                return error;
        if ((request.options.flags & OURO_RESOLVE_NUMERIC) && address_is_name(host))
                return -ENOENT;
        memcpy(request.key.host, host, strlen(host));
        return request.options.how == OURO_RESOLVE_ARES ? ask_ares(&request, ret_addresses)
                                                        : ask_system(&request, ret_addresses);
}

/* ---- the other way ---- */

static int give_name(const struct request *request, const struct answer *answer, char *host, size_t bytes)
{
        size_t len = strlen(answer->host);
        int error = finish(request, answer);

        if (error < 0)
                return error;
        if (len >= bytes)
                return -ENOSPC;
        memcpy(host, answer->host, len + 1);
        return 0;
}

static int name_by_system(const struct request *request, char *host, size_t bytes)
{
        struct question *question;
        int error = resolver_ask(&request->key, request->options.max_age_ns,
                                 request->options.flags & OURO_RESOLVE_FRESH, &question);

        if (error < 0)
                return error;
        error = give_name(request, &question->answer, host, bytes);
        question_release(question);
        return coro_spend_int(sched_current, error);
}

static int name_by_ares(const struct request *request, char *host, size_t bytes)
{
        struct answer answer = {0};
        int error = ares_resolve(&request->key, request->options.servers, &answer);

        return error < 0 ? error : give_name(request, &answer, host, bytes);
}

int ouro_resolve_name(const struct ouro_address *address, const struct ouro_resolve_options *given,
                      char *host, size_t bytes)
{
        struct request request;
        int error;

        if (!sched_current)
                return -EPERM;
        if (!address || !host)
                return -EINVAL;
        if (ouro_address_port(address) < 0)
                return -EAFNOSUPPORT;
        error = read_options(&request, given);
        if (error == 0 && sched_current->current->interrupt)
                error = sched_current->current->interrupt;
        if (error < 0)
                return error;
        memset(&request.key, 0, sizeof request.key);
        request.key.reverse = true;
        memcpy(&request.key.address.storage, &address->storage, sizeof address->storage);
        request.key.address.len = address->len;
        address_set_port(&request.key.address, 0); /* a name has none */
        return request.options.how == OURO_RESOLVE_ARES ? name_by_ares(&request, host, bytes)
                                                        : name_by_system(&request, host, bytes);
}
