/* Of lib/io/resolve_ares.c: the same questions, put by c-ares on the loop itself. */
#include <errno.h>
#include <netdb.h>

#include "io/resolver.h"
#include "support/dns_server.h"
#include "support/names.h"

TestSuite(resolve_ares, .init = names_begin, .fini = names_end);

#define NEEDS_ARES()                                                                                         \
        do {                                                                                                 \
                NEEDS_OWN_NET();                                                                             \
                if (!ouro_resolve_has_ares()) {                                                              \
                        PASSED_OVER("built without c-ares");                                                 \
                        return 0;                                                                            \
                }                                                                                            \
        } while (0)

static struct ouro_resolve_options by_ares(void)
{
        struct ouro_resolve_options options = OURO_RESOLVE_OPTIONS_INIT;

        options.how = OURO_RESOLVE_ARES;
        return options;
}

static intptr_t ask(void *arg)
{
        struct ouro_resolve_options options = by_ares();

        return outcome(arg, &options);
}

IN_LOOP(resolve_ares, names_of_files_and_of_the_server_are_found_without_a_thread)
{
        struct ouro_resolve_options options = by_ares();
        struct ouro_addresses *addresses;
        struct dns dns;
        size_t four = 0, six = 0;

        NEEDS_ARES();
        dns_open(&dns);
        EQ(ouro_resolve("good.test", "80", &options, &addresses), 0);
        for (size_t i = 0; i < addresses->count; i++) {
                four += addresses->all[i].storage.ss_family == AF_INET;
                six += addresses->all[i].storage.ss_family == AF_INET6;
                EQ(ouro_address_port(&addresses->all[i]), 80);
                EQ(addresses->all[i].type, SOCK_STREAM);
        }
        EQ(four, 1);
        EQ(six, 1);
        ouro_addresses_free(addresses);
        size_t asked = dns.questions;

        EQ(outcome("filed.test", &options), 0);
        EQ(dns.questions, asked);
        options.family = AF_INET;
        EQ(outcome("truncated.test", &options), 0);
        EQ(resolver_threads(), 0);
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolve_ares, errors_are_those_of_the_other_way)
{
        struct ouro_resolve_options options = by_ares();
        struct dns dns;
        int gai = 4711;

        NEEDS_ARES();
        dns_open(&dns);
        options.ret_gai = &gai;
        EQ(outcome("nowhere.test", &options), -ENOENT);
        EQ(gai, EAI_NONAME);
        EQ(outcome("failing.test", &options), -EHOSTUNREACH);
        EQ(gai, EAI_AGAIN);
        options.family = AF_INET6;
        EQ(outcome("four.test", &options), -ENOENT);
        EQ(outcome("127.1", &options), -EINVAL);
        EQ(outcome("127.0.0.1", &options), -ENOENT); /* of another family */
        dns_close(&dns);
        EQ(outcome("good.test", &options), -EHOSTUNREACH);
        return 0;
}

IN_LOOP(resolve_ares, silent_server_is_left_alone_at_the_deadline)
{
        struct ouro_resolve_options options = by_ares();
        struct dns dns;
        ouro_task task;

        NEEDS_ARES();
        dns_open(&dns);
        task = ouro_create_task(ask, (void *)(uintptr_t) "silent.test");
        EQ(ouro_event_wait(&dns.came), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(20))
                EQ(outcome("silent.test", &options), -ETIME);
        OURO_TIMEOUT(0)
                EQ(outcome("good.test", &options), -ETIME);
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolve_ares, other_servers_can_be_asked)
{
        struct ouro_resolve_options options = by_ares();
        struct dns dns;

        NEEDS_ARES();
        dns_open(&dns);
        options.servers = "127.0.0.1:54"; /* nobody */
        EQ(outcome("good.test", &options), -EHOSTUNREACH);
        options.servers = "127.0.0.1:53";
        EQ(outcome("good.test", &options), 0);
        options.servers = "nonsense";
        EQ(outcome("good.test", &options), -EINVAL);
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolve_ares, names_of_addresses_are_found)
{
        struct ouro_resolve_options options = by_ares();
        struct ouro_address address;
        char host[OURO_HOST_TEXT];
        struct dns dns;

        NEEDS_ARES();
        dns_open(&dns);
        EQ(ouro_address_parse("tcp:192.0.2.7:1", &address), 0);
        EQ(ouro_resolve_name(&address, &options, host, sizeof host), 0);
        cr_assert_str_eq(host, "seven.test");
        EQ(ouro_address_parse("tcp:192.0.2.77:1", &address), 0);
        EQ(ouro_resolve_name(&address, &options, host, sizeof host), -ENOENT);
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolve_ares, absence_is_told)
{
        struct ouro_resolve_options options = by_ares();

        if (ouro_resolve_has_ares())
                EQ(outcome("127.0.0.1", &options), 0);
        else
                EQ(outcome("127.0.0.1", &options), -EOPNOTSUPP);
        return 0;
}
