/* resolve_ares.c - names by c-ares, driven by the caller's waits: no thread, no callback from elsewhere.
 *
 * It has a stack of its own, since c-ares is not written for small ones, and a channel for each question:
 * what it holds ends with it, however it ends. Left out of the build, it says so. */
#include <errno.h>

#include "io/resolver.h"

#if HAVE_CARES

#include <ares.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "coro/coro.h"

enum { STACK_BYTES = 256 << 10 };

struct query {
        const struct question_key *key;
        const char *servers;
        struct answer *answer;
        int status;    /* ARES_... */
        bool ended;    /* the callback has been called */
        bool answered; /* and not because it was cut short */
        int error;     /* that cut it short */
};

bool ouro_resolve_has_ares(void)
{
        return true;
}

/* ---- what c-ares says ---- */

static int gai_of(int status)
{
        switch (status) {
        case ARES_SUCCESS:
                return 0;
        case ARES_ENOTFOUND:
        case ARES_ENODATA:
                return EAI_NONAME;
        case ARES_ETIMEOUT:
        case ARES_ECONNREFUSED:
        case ARES_ESERVFAIL:
                return EAI_AGAIN;
        case ARES_ENOMEM:
                return EAI_MEMORY;
        case ARES_ESERVICE:
                return EAI_SERVICE;
        case ARES_EBADNAME:
                return EAI_NONAME;
        case ARES_EBADSTR: /* the option servers */
                return EAI_BADFLAGS;
        default:
                return EAI_FAIL;
        }
}

static int copy(const struct ares_addrinfo *list, const struct question_key *key, struct answer *answer)
{
        const struct ares_addrinfo_node *node;
        size_t count = 0;

        for (node = list->nodes; node; node = node->ai_next)
                count++;
        if (count == 0)
                return ARES_ENODATA;
        answer->all = mem_calloc(count * sizeof *answer->all);
        if (!answer->all)
                return ARES_ENOMEM;
        for (node = list->nodes; node; node = node->ai_next) {
                struct ouro_address *address = &answer->all[answer->count++];

                memcpy(&address->storage, node->ai_addr, (size_t)node->ai_addrlen);
                address->len = (socklen_t)node->ai_addrlen;
                address->type = key->type;
        }
        return ARES_SUCCESS;
}

static void addresses_come(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
        struct query *query = arg;

        (void)timeouts;
        query->ended = true;
        query->status = status == ARES_SUCCESS ? copy(list, query->key, query->answer) : status;
        if (list)
                ares_freeaddrinfo(list);
}

static void name_comes(void *arg, int status, int timeouts, struct hostent *host)
{
        struct query *query = arg;

        (void)timeouts;
        query->ended = true;
        query->status = status;
        if (status == ARES_SUCCESS && strlen(host->h_name) < sizeof query->answer->host)
                memcpy(query->answer->host, host->h_name, strlen(host->h_name) + 1);
}

/* ---- driving it ---- */

/* One wait for all that the channel waits for. 0, or how it was cut short. */
static int step(ares_channel channel)
{
        struct ouro_case cases[ARES_GETSOCK_MAXNUM + 1];
        ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
        unsigned wanted = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
        struct timeval room, *left = ares_timeout(channel, NULL, &room);
        ares_socket_t in = ARES_SOCKET_BAD, out = ARES_SOCKET_BAD;
        size_t n = 0;
        ssize_t done;

        for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
                unsigned events = (wanted >> i & 1 ? POLLIN : 0u) |
                                  (wanted >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0u);

                if (events)
                        cases[n++] = OURO_CASE_READY(sockets[i], events);
        }
        cases[n] = OURO_CASE_NEVER();
        if (left)
                cases[n] = OURO_CASE_AFTER(OURO_SEC(left->tv_sec) + OURO_US(left->tv_usec));
        done = ouro_select(cases, n + 1);
        if (done < 0)
                return (int)done;
        if ((size_t)done < n) {
                int events = cases[done].result; /* on an error, both: c-ares finds out which */

                in = events < 0 || (events & ~POLLOUT) ? cases[done].of.ready.fd : ARES_SOCKET_BAD;
                out = events < 0 || (events & ~POLLIN) ? cases[done].of.ready.fd : ARES_SOCKET_BAD;
        }
        ares_process_fd(channel, in, out);
        return 0;
}

static void begin(ares_channel channel, struct query *query)
{
        const struct question_key *key = query->key;
        const struct ares_addrinfo_hints hints = {.ai_family = key->family, .ai_socktype = key->type};
        const void *at = &((const struct sockaddr_in *)&key->address.storage)->sin_addr;

        if (!key->reverse) {
                ares_getaddrinfo(channel, key->host, key->service[0] ? key->service : NULL, &hints,
                                 addresses_come, query);
                return;
        }
        if (key->address.storage.ss_family == AF_INET6)
                at = &((const struct sockaddr_in6 *)&key->address.storage)->sin6_addr;
        ares_gethostbyaddr(channel, at, key->address.storage.ss_family == AF_INET6 ? 16 : 4,
                           key->address.storage.ss_family, name_comes, query);
}

static void init_library(void)
{
        ares_library_init(ARES_LIB_INIT_ALL);
}

static int open_channel(const char *servers, ares_channel *ret_channel)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        int status;

        pthread_once(&once, init_library);
        status = ares_init(ret_channel);
        if (status != ARES_SUCCESS || !servers)
                return status;
        status = ares_set_servers_ports_csv(*ret_channel, servers);
        if (status != ARES_SUCCESS)
                ares_destroy(*ret_channel);
        return status;
}

static intptr_t run(void *arg)
{
        struct query *query = arg;
        ares_channel channel;

        query->error = 0;
        query->status = open_channel(query->servers, &channel);
        if (query->status != ARES_SUCCESS) {
                query->answered = true;
                return 0;
        }
        begin(channel, query);
        while (query->error == 0 && !query->ended)
                query->error = step(channel);
        query->answered = query->ended;
        ares_destroy(channel); /* ends the query, which is ours, if it has not ended */
        return 0;
}

int ares_resolve(const struct question_key *key, const char *servers, struct answer *answer)
{
        struct ouro_task_options options = {.size = sizeof options, .stack_bytes = STACK_BYTES};
        struct query query = {.key = key, .servers = servers, .answer = answer, .error = -ENOMEM};
        struct ouro_group group;
        int error;

        options.name = "c-ares";
        options.group = ouro_group_open(&group, OURO_GROUP_KEEP, NULL);
        ouro_create_task_with(&options, run, &query);
        error = ouro_group_close(&group);
        if (!query.answered)
                return error < 0 ? error : query.error;
        answer->gai = gai_of(query.status);
        answer->error = errno_of_gai(answer->gai, 0);
        return 0;
}

#else

bool ouro_resolve_has_ares(void)
{
        return false;
}

int ares_resolve(const struct question_key *key, const char *servers, struct answer *answer)
{
        (void)key, (void)servers, (void)answer;
        return -EOPNOTSUPP;
}

#endif
