/* resolve_system.c - getaddrinfo() and getnameinfo(), which block, and what their errors are here. */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "base/alloc.h"
#include "io/resolver.h"

int errno_of_gai(int gai, int system_error)
{
        switch (gai) {
        case 0:
                return 0;
        case EAI_NONAME:
        case EAI_NODATA:
        case EAI_ADDRFAMILY:
                return -ENOENT;
        case EAI_AGAIN:
                return -EHOSTUNREACH;
        case EAI_FAIL:
                return -EREMOTEIO;
        case EAI_SERVICE:
        case EAI_SOCKTYPE:
                return -EPROTONOSUPPORT;
        case EAI_FAMILY:
                return -EAFNOSUPPORT;
        case EAI_MEMORY:
                return -ENOMEM;
        case EAI_OVERFLOW:
                return -ENOSPC;
        case EAI_SYSTEM: /* one of them is no answer to who asked */
                return system_error > 0 && system_error != EAGAIN && system_error != EINTR ? -system_error
                                                                                           : -EHOSTUNREACH;
        default:
                return -EINVAL;
        }
}

static size_t count_of(const struct addrinfo *list)
{
        size_t n = 0;

        for (; list; list = list->ai_next)
                n += list->ai_addrlen <= sizeof(struct sockaddr_storage);
        return n;
}

static int copy(const struct addrinfo *list, int type, struct answer *answer)
{
        size_t count = count_of(list);

        if (count == 0)
                return EAI_NODATA;
        answer->all = mem_calloc(count * sizeof *answer->all);
        if (!answer->all)
                return EAI_MEMORY;
        for (; list; list = list->ai_next) {
                struct ouro_address *address = &answer->all[answer->count];

                if (list->ai_addrlen > sizeof address->storage)
                        continue;
                memcpy(&address->storage, list->ai_addr, list->ai_addrlen);
                address->len = list->ai_addrlen;
                address->type = type;
                answer->count++;
        }
        return 0;
}

static int addresses_of(const struct question_key *key, struct answer *answer)
{
        const struct addrinfo hints = {.ai_family = key->family, .ai_socktype = key->type};
        struct addrinfo *list = NULL;
        int gai = getaddrinfo(key->host, key->service[0] ? key->service : NULL, &hints, &list);

        if (gai != 0)
                return gai;
        gai = copy(list, key->type, answer);
        freeaddrinfo(list);
        return gai;
}

static int name_of(const struct question_key *key, struct answer *answer)
{
        return getnameinfo((const struct sockaddr *)&key->address.storage, key->address.len, answer->host,
                           sizeof answer->host, NULL, 0, NI_NAMEREQD);
}

void system_answer(const struct question_key *key, struct answer *answer)
{
        errno = 0; /* this thread's, and nobody else's */
        answer->gai = key->reverse ? name_of(key, answer) : addresses_of(key, answer);
        answer->error = errno_of_gai(answer->gai, errno);
}
