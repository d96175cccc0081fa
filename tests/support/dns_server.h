/* dns_server.h - a name server on 127.0.0.1:53, as a task of the test's own loop: what the resolver's threads
 * wait for is answered by the very loop that must not wait for them.
 *
 *      good.test          192.0.2.1 and 2001:db8::1
 *      four.test          192.0.2.4 alone
 *      NUMBER.many.test   192.0.2.1
 *      held.test          as good.test, but not before dns->release is set
 *      silent.test        never answered
 *      failing.test       SERVFAIL
 *      truncated.test     192.0.2.7 and an empty AAAA, by TCP only
 *      7.2.0.192.in-addr.arpa  seven.test
 *      all else           NXDOMAIN */
#ifndef OURO_TESTS_SUPPORT_DNS_SERVER_H
#define OURO_TESTS_SUPPORT_DNS_SERVER_H

#include <strings.h>

#include "support/in_loop.h"

enum { DNS_BYTES = 512, DNS_HEADER = 12, DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28 };

struct dns {
        int udp, tcp;
        size_t questions;       /* that have come, each name counts once for each type */
        struct ouro_event came; /* set by each */
        struct ouro_event release;
        struct ouro_group group;
        char last[256]; /* the name last asked for */
};

struct dns_message {
        struct dns *dns;
        struct ouro_address from;
        size_t len;
        unsigned char bytes[DNS_BYTES + 64];
};

/* The name of a question; how many bytes it takes. */
static inline size_t dns_name(const unsigned char *bytes, size_t len, char *name)
{
        size_t at = 0, used = 0;

        while (at < len && bytes[at] != 0 && used + bytes[at] < 250) {
                if (used > 0)
                        name[used++] = '.';
                memcpy(name + used, bytes + at + 1, bytes[at]);
                used += bytes[at];
                at += bytes[at] + 1u;
        }
        name[used] = '\0';
        return at + 1;
}

static inline size_t dns_add(struct dns_message *message, size_t end, int type, const void *data, size_t len)
{
        unsigned char record[] = {0xc0, DNS_HEADER, 0, (unsigned char)type, 0, 1, 0, 0,
                                  0,    60,         0, (unsigned char)len};

        memcpy(message->bytes + end, record, sizeof record);
        memcpy(message->bytes + end + sizeof record, data, len);
        message->bytes[7]++;
        return end + sizeof record + len;
}

/* The addresses of the names that have some. 0: it has none of this type; -1: no such name. */
static inline int dns_addresses(struct dns_message *message, const char *name, int type, size_t *end)
{
        static const unsigned char six[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
        unsigned char four[4] = {192, 0, 2, 1};
        bool both = !strcasecmp(name, "good.test") || !strcasecmp(name, "held.test");
        const char *many = strstr(name, ".many.test");

        four[3] = !strcasecmp(name, "four.test") ? 4 : !strcasecmp(name, "truncated.test") ? 7 : 1;
        if (!both && !many && four[3] == 1)
                return -1;
        if (type == DNS_A)
                *end = dns_add(message, *end, DNS_A, four, 4);
        else if (type == DNS_AAAA && both)
                *end = dns_add(message, *end, DNS_AAAA, six, 16);
        return 0;
}

/* Turns a question into its answer. False: there is to be none. */
static inline bool dns_answer(struct dns_message *message, bool by_tcp)
{
        struct dns *dns = message->dns;
        char name[256];
        size_t end;
        int type;

        if (message->len < DNS_HEADER + 5)
                return false;
        end = DNS_HEADER + dns_name(message->bytes + DNS_HEADER, message->len - DNS_HEADER, name);
        type = message->bytes[end + 1];
        end += 4;
        dns->questions++;
        memcpy(dns->last, name, sizeof name);
        ouro_event_set(&dns->came);
        if (!strcasecmp(name, "silent.test"))
                return false;
        if (!strcasecmp(name, "held.test") && ouro_event_wait(&dns->release) < 0)
                return false;
        message->bytes[2] = 0x81;
        message->bytes[3] = 0x80;
        memset(message->bytes + 6, 0, 6);
        if (!strcasecmp(name, "failing.test"))
                message->bytes[3] = 0x82;
        else if (!strcasecmp(name, "truncated.test") && !by_tcp)
                message->bytes[2] |= 2;
        else if (type == DNS_PTR && !strcasecmp(name, "7.2.0.192.in-addr.arpa"))
                end = dns_add(message, end, DNS_PTR, "\5seven\4test", 12);
        else if (dns_addresses(message, name, type, &end) < 0)
                message->bytes[3] = 0x83;
        message->len = end;
        return true;
}

static inline intptr_t dns_reply(void *arg)
{
        struct dns_message *message = arg;

        if (dns_answer(message, false))
                ouro_sendto(message->dns->udp, message->bytes, message->len, 0, &message->from);
        free(message);
        return 0;
}

static inline intptr_t dns_serve_udp(void *arg)
{
        struct dns *dns = arg;

        for (;;) {
                struct dns_message *message = calloc(1, sizeof *message);
                ssize_t n = ouro_recvfrom(dns->udp, message->bytes, DNS_BYTES, 0, &message->from);

                if (n < 0) {
                        free(message);
                        return 0;
                }
                message->dns = dns;
                message->len = (size_t)n;
                ouro_create_task_in(&dns->group, dns_reply, message);
        }
}

static inline intptr_t dns_serve_tcp(void *arg)
{
        struct dns *dns = arg;
        int fd;

        while ((fd = ouro_accept(dns->tcp, NULL, NULL)) >= 0) {
                struct dns_message message = {.dns = dns};
                unsigned char len[2];

                while (ouro_recv_all(fd, len, 2, NULL) == 0) {
                        message.len = (size_t)len[0] << 8 | len[1];
                        if (message.len > DNS_BYTES ||
                            ouro_recv_all(fd, message.bytes, message.len, NULL) < 0)
                                break;
                        if (!dns_answer(&message, true))
                                break;
                        len[0] = (unsigned char)(message.len >> 8);
                        len[1] = (unsigned char)message.len;
                        ouro_send_all(fd, len, 2, NULL);
                        ouro_send_all(fd, message.bytes, message.len, NULL);
                }
                ouro_close(fd);
        }
        return 0;
}

static inline void dns_open(struct dns *dns)
{
        memset(dns, 0, sizeof *dns);
        dns->udp = ouro_listen("udp:127.0.0.1:53");
        dns->tcp = ouro_listen("tcp:127.0.0.1:53");
        cr_assert(dns->udp >= 0);
        cr_assert(dns->tcp >= 0);
        ouro_group_open(&dns->group, OURO_GROUP_KEEP, NULL);
        ouro_create_task_in(&dns->group, dns_serve_udp, dns);
        ouro_create_task_in(&dns->group, dns_serve_tcp, dns);
}

static inline void dns_close(struct dns *dns)
{
        ouro_group_cancel(&dns->group);
        ouro_group_close(&dns->group);
        ouro_close(dns->udp);
        ouro_close(dns->tcp);
}

#endif
