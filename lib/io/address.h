/* address.h - addresses as text: "tcp:127.0.0.1:7000", "unix:/run/x". */
#ifndef OURO_IO_ADDRESS_H
#define OURO_IO_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

struct address {
        struct sockaddr_storage storage;
        socklen_t len;
        bool any_host; /* every address of both families */
};

/* 0 or -EINVAL. to_listen: the host may be left out and the port be 0. */
int address_parse(const char *text, bool to_listen, struct address *ret_address);

#endif
