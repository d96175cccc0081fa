/* echo.c - listening and dialling by address text. */
#include "echo.h"
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const int backlog = 4096;

union address {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
};

static _Noreturn void malformed(const char *text)
{
        errno = EINVAL;
        bench_die(text);
}

static socklen_t parse_unix(const char *path, union address *ret_address)
{
        size_t len = strlen(path);

        if (len == 0 || len >= sizeof(ret_address->un.sun_path))
                malformed(path);
        ret_address->un.sun_family = AF_UNIX;
        memcpy(ret_address->un.sun_path, path, len);
        if (path[0] == '@')
                ret_address->un.sun_path[0] = '\0';
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static socklen_t parse_tcp(const char *text, union address *ret_address)
{
        const char *colon = strrchr(text, ':');
        char host[INET_ADDRSTRLEN] = "";

        if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
                malformed(text);
        memcpy(host, text, (size_t)(colon - text));
        ret_address->in.sin_family = AF_INET;
        ret_address->in.sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, host, &ret_address->in.sin_addr) != 1)
                malformed(text);
        return sizeof(ret_address->in);
}

static socklen_t parse(const char *text, union address *ret_address)
{
        memset(ret_address, 0, sizeof(*ret_address));
        if (strncmp(text, "unix:", 5) == 0)
                return parse_unix(text + 5, ret_address);
        if (strncmp(text, "tcp:", 4) == 0)
                return parse_tcp(text + 4, ret_address);
        malformed(text);
}

static void no_delay(int fd, const union address *address)
{
        int one = 1;

        if (address->any.sa_family == AF_INET &&
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
                bench_die("TCP_NODELAY");
}

int echo_listen(const char *text, int nonblocking)
{
        union address address;
        socklen_t len = parse(text, &address);
        int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
        int fd = socket(address.any.sa_family, type, 0);
        int one = 1;

        if (fd < 0)
                bench_die("socket");
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
                bench_die("SO_REUSEADDR");
        no_delay(fd, &address);
        if (bind(fd, &address.any, len) < 0 || listen(fd, backlog) < 0)
                bench_die(text);
        return fd;
}

void echo_ready(int listener)
{
        union address address;
        socklen_t len = sizeof(address);

        memset(&address, 0, sizeof(address));
        if (getsockname(listener, &address.any, &len) < 0)
                bench_die("getsockname");
        if (address.any.sa_family == AF_INET)
                printf("ready tcp:127.0.0.1:%d\n", ntohs(address.in.sin_port));
        else if (address.un.sun_path[0] == '\0')
                printf("ready unix:@%s\n", &address.un.sun_path[1]);
        else
                printf("ready unix:%s\n", address.un.sun_path);
        fflush(stdout);
}

int echo_dial(const char *text)
{
        union address address;
        socklen_t len = parse(text, &address);
        int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                bench_die("socket");
        no_delay(fd, &address);
        if (connect(fd, &address.any, len) < 0)
                bench_die(text);
        return fd;
}

void echo_end_with_parent(void)
{
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
                bench_die("PR_SET_PDEATHSIG");
}
