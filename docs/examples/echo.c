/* echo.c - an echo server: a task for each connection, written as if it were the only one.
 *
 *     echo tcp:127.0.0.1:7000        then, elsewhere:   nc 127.0.0.1 7000 */
#include <ouro.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static intptr_t client(void *arg)
{
        int fd = (int)(intptr_t)arg;
        char buf[4096];
        ssize_t n;

        while ((n = ouro_recv(fd, buf, sizeof buf, 0)) > 0)
                if ((n = ouro_send_all(fd, buf, (size_t)n, NULL)) < 0)
                        break;
        ouro_close(fd);
        return n;
}

/* Errors of accept that belong to one connection, or last until some are closed. */
static bool will_pass(int error)
{
        return error == -ECONNABORTED || error == -EMFILE || error == -ENFILE;
}

static intptr_t serve(void *address)
{
        int listener = ouro_listen(address), fd = listener;

        while (fd >= 0 || will_pass(fd)) {
                fd = ouro_accept(listener, NULL, NULL);
                if (fd >= 0 && ouro_go(client, (void *)(intptr_t)fd) < 0)
                        ouro_close(fd);
                else if (will_pass(fd))
                        ouro_sleep(OURO_MS(10));
        }
        if (listener >= 0)
                ouro_close(listener);
        return fd;
}

int main(int argc, char **argv)
{
        intptr_t error;

        if (argc != 2) {
                fprintf(stderr, "usage: %s tcp:HOST:PORT | unix:/path\n", argv[0]);
                return 2;
        }
        error = ouro_run(serve, argv[1]);
        if (error < 0)
                fprintf(stderr, "%s: %s\n", argv[1], strerror((int)-error));
        return error < 0;
}
