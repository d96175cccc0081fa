/* echo_ouro.c - the echo server on ouro: a task per connection.
 *
 * echo_ouro ADDRESS [CORE] */
#include "bench.h"
#include "echo.h"

#include <ouro.h>

#include <stdio.h>
#include <stdlib.h>

static intptr_t connection(void *arg)
{
        int fd = (int)(intptr_t)arg;
        char buffer[ECHO_BUFFER_BYTES];
        ssize_t n;

        while ((n = ouro_recv(fd, buffer, sizeof(buffer), 0)) > 0) {
                if (ouro_send_all(fd, buffer, (size_t)n, NULL) < 0)
                        break;
        }
        return ouro_close(fd);
}

static intptr_t serve(void *arg)
{
        int listener = echo_listen(arg, 0);

        echo_ready(listener);
        for (;;) {
                int fd = ouro_accept(listener, NULL, NULL);

                if (fd < 0)
                        return fd;
                bench_check(ouro_go(connection, (void *)(intptr_t)fd), "ouro_go");
        }
}

int main(int argc, char **argv)
{
        if (argc < 2) {
                fprintf(stderr, "usage: echo_ouro ADDRESS [CORE]\n");
                return 2;
        }
        if (argc > 2)
                bench_pin(atoi(argv[2]));
        echo_end_with_parent();
        bench_check(ouro_run(serve, argv[1]), "ouro_run");
        return 0;
}
