/* Of lib/io/resolve.c and resolve_system.c: names, in a network and an /etc of the test's own,
 * with a name server that the test's own loop plays. */
#include <errno.h>
#include <netdb.h>

#include "io/resolver.h"
#include "support/dns_server.h"
#include "support/names.h"

TestSuite(resolve, .init = names_begin, .fini = names_end);

/* Addresses as one text, in order. */
static const char *found(const char *host, const char *service, const struct ouro_resolve_options *options)
{
        static char text[1024];
        struct ouro_addresses *addresses;
        int error = ouro_resolve(host, service, options, &addresses);
        size_t used = 0;

        text[0] = '\0';
        if (error < 0) {
                snprintf(text, sizeof text, "error %d", -error);
                return text;
        }
        for (size_t i = 0; i < addresses->count; i++) {
                char one[OURO_ADDRESS_TEXT];

                cr_assert(ouro_address_format(&addresses->all[i], one, sizeof one) > 0);
                used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "", one);
        }
        ouro_addresses_free(addresses);
        return text;
}

/* ---- what needs no name server ---- */

IN_LOOP(resolve, numeric_addresses_never_go_to_a_thread)
{
        struct ouro_resolve_options options = OURO_RESOLVE_OPTIONS_INIT;

        cr_assert_str_eq(found("127.0.0.1", "80", NULL), "tcp:127.0.0.1:80");
        cr_assert_str_eq(found("::1", "080", NULL), "tcp:[::1]:80");
        cr_assert_str_eq(found("fe80::1%lo", NULL, NULL), "tcp:[fe80::1%lo]:0");
        options.type = SOCK_DGRAM;
        options.flags = OURO_RESOLVE_NUMERIC;
        cr_assert_str_eq(found("192.0.2.1", "65535", &options), "udp:192.0.2.1:65535");
        EQ(outcome("localhost", &options), -ENOENT);
        options.family = AF_INET6;
        EQ(outcome("192.0.2.1", &options), -ENOENT);
        EQ(resolver_threads(), 0);
        EQ(resolver_kept(), 0);
        return 0;
}

IN_LOOP(resolve, malformed_hosts_are_refused_before_anybody_is_asked)
{
        static const char *const wrong[] = {
                "",       " ",           ".",         "a..b",     "a b",   "a/b",       "127.1",
                "0x7f.1", "1",           "256.0.0.1", "1.2.3.4.", "[::1]", "::g",       "a\n",
                "-:",     "fe80::1%nil", "%lo",       "a%lo",     ":::",   "1.2.3.x4 ", "\xc3\xa9.test"};
        char long_one[300], long_label[80];
        struct ouro_addresses *addresses = NULL;

        memset(long_one, 'a', sizeof long_one);
        for (size_t i = 50; i < sizeof long_one; i += 50)
                long_one[i] = '.';
        long_one[sizeof long_one - 1] = '\0';
        memset(long_label, 'a', sizeof long_label);
        long_label[64] = '\0';
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
                cr_assert_eq(ouro_resolve(wrong[i], "80", NULL, &addresses), -EINVAL, "\"%s\"", wrong[i]);
        EQ(ouro_resolve(long_one, "80", NULL, &addresses), -EINVAL);
        long_one[254] = '\0';
        EQ(ouro_resolve(long_one, "80", NULL, &addresses), -EINVAL);
        EQ(ouro_resolve(long_label, "80", NULL, &addresses), -EINVAL);
        EQ(ouro_resolve("a.test", "", NULL, &addresses), -EINVAL);
        EQ(ouro_resolve("a.test", "a-service-whose-name-is-far-too-long-to-be-one", NULL, &addresses),
           -EINVAL);
        EQ(ouro_resolve(NULL, "80", NULL, &addresses), -EINVAL);
        EQ(ouro_resolve("a.test", "80", NULL, NULL), -EINVAL);
        EQ(resolver_threads(), 0);
        cr_assert_null(addresses);
        ouro_addresses_free(NULL);
        return 0;
}

IN_LOOP(resolve, wrong_options_are_refused)
{
        struct ouro_resolve_options options = {.size = 0};

        EQ(outcome("127.0.0.1", &options), -EINVAL);
        options = (struct ouro_resolve_options){.size = sizeof options, .flags = 1u << 20};
        EQ(outcome("127.0.0.1", &options), -EINVAL);
        options = (struct ouro_resolve_options){.size = sizeof options, .family = AF_UNIX};
        EQ(outcome("127.0.0.1", &options), -EINVAL);
        options = (struct ouro_resolve_options){.size = sizeof options, .type = SOCK_RAW};
        EQ(outcome("127.0.0.1", &options), -EINVAL);
        options = (struct ouro_resolve_options){.size = sizeof options, .max_age_ns = -1};
        EQ(outcome("127.0.0.1", &options), -EINVAL);
        options = (struct ouro_resolve_options){.size = sizeof options, .servers = "127.0.0.1"};
        EQ(outcome("127.0.0.1", &options), -EINVAL); /* for c-ares alone */
        options = (struct ouro_resolve_options){.size = sizeof options, .how = (enum ouro_resolve_how)7};
        EQ(outcome("127.0.0.1", &options), -EINVAL);
        return 0;
}

Test(resolve, outside_a_loop_is_refused)
{
        struct ouro_addresses *addresses;
        struct ouro_address address;
        char host[OURO_HOST_TEXT];

        EQ(ouro_resolve("127.0.0.1", NULL, NULL, &addresses), -EPERM);
        EQ(ouro_address_parse("tcp:127.0.0.1:1", &address), 0);
        EQ(ouro_resolve_name(&address, NULL, host, sizeof host), -EPERM);
        ouro_resolve_flush();
}

IN_LOOP(resolve, names_of_files_are_found)
{
        struct ouro_resolve_options options = OURO_RESOLVE_OPTIONS_INIT;
        const char *both;

        NEEDS_OWN_NET();
        both = found("filed.test", "443", NULL);
        cr_assert(strstr(both, "tcp:192.0.2.9:443") && strstr(both, "tcp:[2001:db8::9]:443"), "%s", both);
        options.family = AF_INET;
        cr_assert_str_eq(found("filed.test", "https", &options), "tcp:192.0.2.9:443");
        cr_assert_str_eq(found("alias.test", NULL, &options), "tcp:192.0.2.9:0");
        options.type = SOCK_DGRAM;
        cr_assert_str_eq(found("FILED.test", "domain", &options), "udp:192.0.2.9:53");
        EQ(ouro_resolve("filed.test", "no-such-service", &options, &(struct ouro_addresses *){NULL}),
           -EPROTONOSUPPORT);
        return 0;
}

static int name_of(const char *text, char *host, size_t bytes)
{
        struct ouro_address address;

        EQ(ouro_address_parse(text, &address), 0);
        return ouro_resolve_name(&address, NULL, host, bytes);
}

IN_LOOP(resolve, names_of_addresses_are_found)
{
        struct ouro_address address;
        char host[OURO_HOST_TEXT] = "as it was";
        struct dns dns;

        NEEDS_OWN_NET();
        dns_open(&dns);
        EQ(name_of("tcp:192.0.2.9:443", host, 5), -ENOSPC);
        EQ(name_of("tcp:192.0.2.77:1", host, sizeof host), -ENOENT);
        cr_assert_str_eq(host, "as it was");
        EQ(name_of("tcp:192.0.2.9:80", host, sizeof host), 0);
        cr_assert_str_eq(host, "filed.test");
        EQ(name_of("udp:192.0.2.7:1", host, sizeof host), 0);
        cr_assert_str_eq(host, "seven.test");
        EQ(ouro_address_parse("unix:@x", &address), 0);
        EQ(ouro_resolve_name(&address, NULL, host, sizeof host), -EAFNOSUPPORT);
        EQ(ouro_resolve_name(NULL, NULL, host, sizeof host), -EINVAL);
        EQ(ouro_resolve_name(&address, NULL, NULL, 0), -EINVAL);
        dns_close(&dns);
        return 0;
}

/* ---- the name server answers, or does not ---- */

IN_LOOP(resolve, server_is_asked_and_its_answer_serves_all_ports)
{
        struct dns dns;
        const char *both;
        size_t asked;

        NEEDS_OWN_NET();
        dns_open(&dns);
        both = found("good.test", "80", NULL);
        cr_assert(strstr(both, "tcp:192.0.2.1:80") && strstr(both, "tcp:[2001:db8::1]:80"), "%s", both);
        asked = dns.questions;
        cr_assert(asked > 0);
        cr_assert(strstr(found("good.test", "81", NULL), "tcp:192.0.2.1:81"));
        EQ(dns.questions, asked);
        cr_assert_str_eq(found("four.test", "1", NULL), "tcp:192.0.2.4:1");
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolve, errors_are_told_apart)
{
        struct ouro_resolve_options options = fresh();
        struct dns dns;
        int gai = 4711;

        NEEDS_OWN_NET();
        dns_open(&dns);
        options.ret_gai = &gai;
        EQ(outcome("nowhere.test", &options), -ENOENT);
        EQ(gai, EAI_NONAME);
        EQ(outcome("failing.test", &options), -EHOSTUNREACH);
        EQ(gai, EAI_AGAIN);
        options.family = AF_INET6;
        EQ(outcome("four.test", &options), -ENOENT);
        cr_assert(gai == EAI_NODATA || gai == EAI_NONAME || gai == EAI_ADDRFAMILY, "%d", gai);
        options.family = AF_UNSPEC;
        EQ(outcome("good.test", &options), 0);
        EQ(gai, 0);
        dns_close(&dns);
        EQ(outcome("good.test", &options), -EHOSTUNREACH); /* nobody is there */
        EQ(gai, EAI_AGAIN);
        return 0;
}

IN_LOOP(resolve, truncated_answer_is_fetched_by_tcp)
{
        struct ouro_resolve_options options = fresh();
        struct dns dns;

        NEEDS_OWN_NET();
        dns_open(&dns);
        options.family = AF_INET;
        cr_assert_str_eq(found("truncated.test", "1", &options), "tcp:192.0.2.7:1");
        dns_close(&dns);
        return 0;
}

/* The name does not resolve within the scope; the thread goes on without anybody. Then the loop ends under
 * it, and another one begins. */
IN_LOOP(resolve, silent_server_is_left_alone_at_the_deadline)
{
        struct dns dns;
        ouro_task task;

        NEEDS_OWN_NET();
        dns_open(&dns);
        task = ouro_create_task(resolve_task, (void *)(uintptr_t) "silent.test");
        EQ(ouro_event_wait(&dns.came), 0);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(20))
                EQ(outcome("silent.test", NULL), -ETIME);
        cr_assert(resolver_threads() > 0);
        EQ(outcome("good.test", NULL), 0); /* another thread sees to it */
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolve, cancelled_caller_asks_nobody)
{
        struct dns dns;

        NEEDS_OWN_NET();
        dns_open(&dns);
        OURO_TIMEOUT(0) {
                EQ(outcome("good.test", NULL), -ETIME);
                EQ(outcome("127.0.0.1", NULL), -ETIME);
        }
        EQ(dns.questions, 0);
        EQ(resolver_threads(), 0);
        dns_close(&dns);
        return 0;
}
