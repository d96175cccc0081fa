/* ares.c - a library of callbacks driven from within the call that needs it: names resolved by c-ares, from a
 * small server made with ouro.
 *
 * Each resolve() has a channel of its own and runs it itself: it asks c-ares which descriptors and which time
 * it waits for, waits for all of them at once, and says what has come. So it needs no other task, and being
 * cut short it ends its query before it returns. (curl.c shows the other way: one task for many callers.) */
#include <ouro.h>

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* ---- resolving ---- */

struct query {
        bool ended;
        int status; /* ARES_... */
        struct in_addr address;
};

static void query_ends(void *arg, int status, int timeouts, struct hostent *host)
{
        struct query *query = arg;

        (void)timeouts;
        query->ended = true;
        query->status = status;
        if (status == ARES_SUCCESS)
                memcpy(&query->address, host->h_addr_list[0], sizeof query->address);
}

/* One wait for all that the channel waits for. 0, or how it was cut short. */
static int step(ares_channel channel)
{
        struct ouro_case cases[ARES_GETSOCK_MAXNUM + 1];
        ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
        unsigned wanted = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
        struct timeval room, *left = ares_timeout(channel, NULL, &room);
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
                ares_socket_t fd = cases[done].of.ready.fd;
                int events = cases[done].result; /* on an error, both: c-ares finds out which */

                ares_process_fd(channel, events < 0 || (events & ~POLLOUT) ? fd : ARES_SOCKET_BAD,
                                events < 0 || (events & ~POLLIN) ? fd : ARES_SOCKET_BAD);
        } else {
                ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        }
        return 0;
}

static int errno_of(int status)
{
        switch (status) {
        case ARES_SUCCESS:
                return 0;
        case ARES_ENOTFOUND:
        case ARES_ENODATA:
                return -ENOENT;
        case ARES_ETIMEOUT:
        case ARES_ECONNREFUSED:
                return -EHOSTUNREACH; /* no server has answered */
        case ARES_ENOMEM:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

static int open_channel(const char *server, ares_channel *ret_channel)
{
        struct ares_options options = {
                .flags = ARES_FLAG_NOSEARCH, .timeout = 50, .tries = 2, .lookups = "b"};
        int status =
                ares_init_options(ret_channel, &options,
                                  ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS);

        if (status != ARES_SUCCESS)
                return errno_of(status);
        status = ares_set_servers_ports_csv(*ret_channel, server);
        if (status == ARES_SUCCESS)
                return 0;
        ares_destroy(*ret_channel);
        return errno_of(status);
}

/* 0, -ENOENT: no such name, -EHOSTUNREACH: nobody answers, -ECANCELED, -ETIME: it was cut short, ... */
static int resolve(const char *server, const char *name, struct in_addr *ret_address)
{
        struct query query = {0};
        ares_channel channel;
        int error = open_channel(server, &channel);

        if (error < 0)
                return error;
        ares_gethostbyname(channel, name, AF_INET, query_ends, &query);
        while (error == 0 && !query.ended)
                error = step(channel);
        ares_destroy(channel); /* ends the query, which is ours, if it has not ended */
        if (error == 0)
                error = errno_of(query.status);
        if (error == 0)
                *ret_address = query.address;
        return error;
}

/* ---- a server to ask ---- */

enum { DNS_HEADER_BYTES = 12, DNS_BYTES = 512, A_RECORD_BYTES = 16 };

/* The name that a question begins with, "ouro.test". How many bytes it took, or 0. */
static size_t read_name(const unsigned char *bytes, size_t len, char *ret_name, size_t name_bytes)
{
        size_t at = 0, used = 0;

        while (at < len && bytes[at] != 0) {
                size_t label = bytes[at++];

                if (label > 63 || at + label >= len || used + label + 2 > name_bytes)
                        return 0;
                if (used > 0)
                        ret_name[used++] = '.';
                memcpy(ret_name + used, bytes + at, label);
                used += label;
                at += label;
        }
        ret_name[used] = '\0';
        return at < len ? at + 1 : 0;
}

/* Turns a question into its answer, in place. How long that is, or 0: it stays without one. */
static size_t answer(unsigned char *message, size_t len, unsigned *lost)
{
        static const unsigned char a_record[A_RECORD_BYTES] = {
                0xc0, DNS_HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7};
        char name[256];
        size_t name_len, end;

        if (len < DNS_HEADER_BYTES)
                return 0;
        name_len = read_name(message + DNS_HEADER_BYTES, len - DNS_HEADER_BYTES, name, sizeof name);
        end = DNS_HEADER_BYTES + name_len + 4;
        if (name_len == 0 || end > len || strcmp(name, "silent.test") == 0)
                return 0;
        if (strcmp(name, "lossy.test") == 0 && (*lost)++ == 0)
                return 0;
        message[2] = 0x81; /* a response */
        message[3] = strcmp(name, "nowhere.test") == 0 ? 0x83 : 0x80;
        memset(message + 6, 0, 6); /* nothing but the question, and maybe one answer */
        if (message[3] == 0x83)
                return end;
        message[7] = 1;
        memcpy(message + end, a_record, sizeof a_record);
        return end + sizeof a_record;
}

static intptr_t serve(void *arg)
{
        int fd = (int)(intptr_t)arg;
        unsigned lost = 0;
        ssize_t len;

        do {
                unsigned char bytes[DNS_BYTES + A_RECORD_BYTES];
                struct sockaddr_in from;
                struct iovec buf = {bytes, DNS_BYTES};
                struct msghdr message = {
                        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &buf, .msg_iovlen = 1};

                len = ouro_recvmsg(fd, &message, 0);
                if (len < 0)
                        break;
                buf.iov_len = answer(bytes, (size_t)len, &lost);
                if (buf.iov_len > 0)
                        len = ouro_sendmsg(fd, &message, 0);
        } while (len >= 0);
        ouro_close(fd);
        return len;
}

/* ---- trying it ---- */

struct asking {
        const char *server, *name;
};

static intptr_t ask(void *arg)
{
        const struct asking *asking = arg;
        struct in_addr address;
        char text[INET_ADDRSTRLEN];
        int error = resolve(asking->server, asking->name, &address);

        if (error < 0)
                printf("%s: %s\n", asking->name, strerror(-error));
        else
                printf("%s: %s\n", asking->name, inet_ntop(AF_INET, &address, text, sizeof text));
        return 0;
}

static void try_all(const char *server)
{
        static const char *const names[] = {"ouro.test", "nowhere.test", "lossy.test", "silent.test"};
        struct asking asking = {server, NULL};
        ouro_task cancelled;

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                asking.name = names[i];
                ask(&asking);
        }
        puts("with a deadline:");
        OURO_TIMEOUT(OURO_MS(10))
                ask(&asking);
        puts("cancelled:");
        cancelled = ouro_create_task(ask, &asking);
        ouro_sleep(OURO_MS(5));
        ouro_cancel(cancelled);
        ouro_await(cancelled);
}

static intptr_t main_task(void *arg)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = ouro_socket(AF_INET, SOCK_DGRAM, 0), error;
        socklen_t len = sizeof addr;
        char server[32];

        (void)arg;
        if (fd < 0)
                return fd;
        error = ouro_bind(fd, (struct sockaddr *)&addr, len);
        if (error < 0) {
                ouro_close(fd);
                return error;
        }
        getsockname(fd, (struct sockaddr *)&addr, &len);
        snprintf(server, sizeof server, "127.0.0.1:%u", ntohs(addr.sin_port));
        OURO_GROUP(group) {
                ouro_create_task_in(group, serve, (void *)(intptr_t)fd);
                try_all(server);
                ouro_group_cancel(group);
        }
        return 0;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        intptr_t result;

        options.stack_bytes = 256 * 1024; /* c-ares is not written for small stacks */
        if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
                return 1;
        result = ouro_run_with(&options, main_task, NULL);
        ares_library_cleanup();
        return result < 0;
}
