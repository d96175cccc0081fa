/* stress_serve.c - the echo servers: two listeners, and a task for each connection.
 *
 * A server checks what passes through it, but sends it back before the message is complete. Its client may be
 * cut at any byte: the end of the stream inside a message, or a reset, is then no error but a count that the
 * verdict holds against the number of clients that were cut. */
#include "echo.h"
#include "stress.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct connection {
        struct echo_totals *echo;
        int fd;
        uint64_t in_bytes;
        uint64_t out_bytes;
        unsigned char buffer[sizeof(struct echo_header) + ECHO_CHUNK_BYTES];
};

/* Sends back the header and len bytes that follow it. */
static int echo_body(struct connection *connection, const struct echo_header *header)
{
        size_t held = sizeof(*header), left = header->len, done;
        uLong crc = crc32(0, NULL, 0);
        ssize_t n;
        int r;

        do {
                n = ouro_recv(connection->fd, connection->buffer + held,
                              left < ECHO_CHUNK_BYTES ? left : ECHO_CHUNK_BYTES, 0);
                if (n <= 0)
                        return n < 0 ? (int)n : -ENODATA;
                connection->in_bytes += (uint64_t)n;
                crc = crc32(crc, connection->buffer + held, (uInt)n);
                left -= (size_t)n;
                done = 0;
                r = ouro_send_all(connection->fd, connection->buffer, held + (size_t)n, &done);
                connection->out_bytes += done;
                if (r < 0)
                        return r;
                held = 0;
        } while (left > 0);
        return crc == header->crc ? 0 : -EBADMSG;
}

/* Returns 1 after a message, 0 at the end of the stream. */
static int echo_message(struct connection *connection)
{
        struct echo_header header;
        size_t done = 0;
        int r = ouro_recv_all(connection->fd, connection->buffer, sizeof(header), &done);

        connection->in_bytes += done;
        if (r < 0)
                return r == -ENODATA && done == 0 ? 0 : r;
        memcpy(&header, connection->buffer, sizeof(header));
        if (header.magic != ECHO_MAGIC || header.len == 0 || header.len > CORPUS_LARGE_MAX)
                return -EBADMSG;
        r = echo_body(connection, &header);
        return r < 0 ? r : 1;
}

static void count_end(const struct connection *connection, int result)
{
        struct echo_totals *echo = connection->echo;

        switch (result) {
        case 0:
                echo->served_whole++;
                echo->served_in_bytes += connection->in_bytes;
                echo->served_out_bytes += connection->out_bytes;
                break;
        case -ENODATA:
        case -ECONNRESET:
        case -EPIPE:
                echo->served_broken++;
                break;
        case -EBADMSG:
                echo->corrupt++;
                echo->server_errors++;
                break;
        default:
                echo->server_errors++;
                break;
        }
}

static intptr_t serve_connection(void *arg)
{
        struct connection *connection = arg;
        int r;

        do
                r = echo_message(connection);
        while (r > 0);
        ouro_close(connection->fd);
        count_end(connection, r);
        free(connection);
        return 0;
}

static int start_connection(struct echo_totals *echo, int fd)
{
        struct connection *connection = malloc(sizeof(*connection));
        int r;

        if (!connection)
                return -ENOMEM;
        connection->echo = echo;
        connection->fd = fd;
        connection->in_bytes = connection->out_bytes = 0;
        r = ouro_go(serve_connection, connection);
        if (r < 0)
                free(connection);
        return r;
}

/* Returns less than zero when there is nothing to accept from any more. */
static int accept_one(struct acceptor *acceptor)
{
        int fd = ouro_accept(acceptor->fd, NULL, NULL);

        if (fd == -EBADF || fd == -ECANCELED || fd == -ETIME)
                return fd;
        if (fd == -ECONNABORTED)
                return 0;
        if (fd < 0) {
                /* Out of descriptors, perhaps: others need a chance to close theirs. */
                acceptor->echo->server_errors++;
                return ouro_sleep(OURO_MS(10));
        }
        acceptor->echo->accepted++;
        if (start_connection(acceptor->echo, fd) < 0) {
                ouro_close(fd);
                acceptor->echo->server_errors++;
        }
        return 0;
}

/* Ends when its listener is closed; the group then waits for the connections that are still open. */
static intptr_t accept_all(void *arg)
{
        OURO_GROUP_KEEP_GOING(connections) {
                while (accept_one(arg) >= 0)
                        ;
        }
        return 0;
}

static int listen_tcp(char *address)
{
        struct sockaddr_in in;
        socklen_t len = sizeof(in);
        int fd = ouro_listen("tcp:127.0.0.1:0");

        if (fd < 0)
                return fd;
        if (getsockname(fd, (struct sockaddr *)&in, &len) < 0) {
                int r = -errno;

                ouro_close(fd);
                return r;
        }
        snprintf(address, STRESS_ADDRESS_ROOM, "tcp:127.0.0.1:%u", ntohs(in.sin_port));
        return fd;
}

/* An abstract name: nothing to remove, and no limit on how long the name of a directory may be. */
static int listen_unix(char *address)
{
        snprintf(address, STRESS_ADDRESS_ROOM, "unix:@ouro-stress-%ld-%llx", (long)getpid(),
                 (unsigned long long)tool_now_ns());
        return ouro_listen(address);
}

int echo_serve(struct stress *stress, struct echo_servers *servers)
{
        servers->acceptors[STRESS_TCP].fd = listen_tcp(stress->addresses[STRESS_TCP]);
        if (servers->acceptors[STRESS_TCP].fd < 0)
                return servers->acceptors[STRESS_TCP].fd;
        servers->acceptors[STRESS_UNIX].fd = listen_unix(stress->addresses[STRESS_UNIX]);
        if (servers->acceptors[STRESS_UNIX].fd < 0) {
                ouro_close(servers->acceptors[STRESS_TCP].fd);
                return servers->acceptors[STRESS_UNIX].fd;
        }
        for (int i = 0; i < ECHO_SERVERS; i++)
                servers->acceptors[i].echo = &stress->totals->echo;
        for (int i = 0; i < ECHO_SERVERS * ECHO_ACCEPTS; i++)
                servers->tasks[i] = ouro_create_task(accept_all, &servers->acceptors[i % ECHO_SERVERS]);
        return 0;
}

int echo_stop(struct echo_servers *servers)
{
        for (int i = 0; i < ECHO_SERVERS; i++)
                ouro_close(servers->acceptors[i].fd);
        return ouro_gather(servers->tasks, ECHO_SERVERS * ECHO_ACCEPTS, NULL);
}
