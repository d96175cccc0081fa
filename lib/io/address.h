/* address.h - addresses as text: "tcp:127.0.0.1:7000", "udp:[::1]:53", "unix:/run/x", "tcp:localhost:http".
 */
#ifndef OURO_IO_ADDRESS_H
#define OURO_IO_ADDRESS_H

#include <stdbool.h>

#include "ouro.h"

enum { HOST_BYTES = 256, SERVICE_BYTES = 36 };

/* What a text says. */
struct address {
        struct ouro_address of; /* has a family unless it is a name */
        int family;             /* that the scheme asks for, or AF_UNSPEC */
        bool any_host;          /* every address, of both families if family is AF_UNSPEC */
        bool is_name;           /* host and service are to be resolved; of.type is set */
        char host[HOST_BYTES];
        char service[SERVICE_BYTES];
};

/* 0 or -EINVAL. */
int address_parse(const char *text, struct address *ret_address);

/* "1.2.3.4", "::1", "fe80::1%lo" without a port. 0 or -EINVAL. */
int address_parse_host(const char *host, struct ouro_address *ret_address);

/* Digits only, 0 to 65535. The port, or -EINVAL. */
int address_parse_port(const char *text);

void address_set_port(struct ouro_address *address, int port);

/* Could this be the name of a host? One that ends in a number never is: it is a malformed address. */
bool address_is_name(const char *host);

#endif
