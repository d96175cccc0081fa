/* echo_epoll.c - the echo server on epoll and nothing else.
 *
 * echo_epoll ADDRESS [CORE]
 *
 * Level-triggered, one receive and one send for each event. What does not fit into a socket's buffer ends the
 * program: one message is in flight on each connection, so it always fits. */
#include "bench.h"
#include "echo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512 };

static void watch(int epoll, int fd)
{
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                bench_die("epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
        int fd;

        while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
                watch(epoll, fd);
        if (errno != EAGAIN)
                bench_die("accept");
}

static void echo(int fd)
{
        char buffer[ECHO_BUFFER_BYTES];
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0)
                close(fd);
        else if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
                bench_die("send");
}

int main(int argc, char **argv)
{
        struct epoll_event events[EVENTS];
        int epoll, listener;

        if (argc < 2) {
                fprintf(stderr, "usage: echo_epoll ADDRESS [CORE]\n");
                return 2;
        }
        if (argc > 2)
                bench_pin(atoi(argv[2]));
        echo_end_with_parent();
        epoll = epoll_create1(EPOLL_CLOEXEC);
        listener = echo_listen(argv[1], 1);
        watch(epoll, listener);
        echo_ready(listener);
        for (;;) {
                int n = epoll_wait(epoll, events, EVENTS, -1);

                if (n < 0)
                        bench_die("epoll_wait");
                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == listener)
                                accept_all(epoll, listener);
                        else
                                echo(events[i].data.fd);
                }
        }
}
