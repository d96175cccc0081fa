/* echo_ouro.c - the echo server on ouro: a task per connection.
 *
 * echo_ouro [FORM] ADDRESS [CORE]
 *
 *   recv        ouro_recv() into a buffer on the task's stack (the default)
 *   buf         ouro_recv_buf() into one of the loop's
 *   receiver    one receive for the life of the connection, see ouro_receiver_open() */
#include "bench.h"
#include "echo.h"

#include <ouro.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int echo_buf(int fd, struct ouro_buf *buf)
{
        int error = ouro_send_all(fd, buf->data, buf->len, NULL);

        ouro_buf_release(buf);
        return error;
}

static intptr_t connection_buf(void *arg)
{
        int fd = (int)(intptr_t)arg;
        struct ouro_buf buf;

        while (ouro_recv_buf(fd, &buf, 0) > 0) {
                if (echo_buf(fd, &buf) < 0)
                        break;
        }
        return ouro_close(fd);
}

static intptr_t connection_receiver(void *arg)
{
        int fd = (int)(intptr_t)arg;
        ouro_receiver *receiver;
        struct ouro_buf buf;

        bench_check(ouro_receiver_open(fd, &receiver), "ouro_receiver_open");
        while (ouro_receiver_next(receiver, &buf) > 0) {
                if (echo_buf(fd, &buf) < 0)
                        break;
        }
        ouro_receiver_close(receiver);
        return ouro_close(fd);
}

static const struct form {
        const char *name;
        ouro_fn *connection;
} forms[] = {
        {"recv", connection},
        {"buf", connection_buf},
        {"receiver", connection_receiver},
};

static const struct form *form = forms;

/* Is it the name of one? */
static int choose(const char *name)
{
        for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
                if (strcmp(forms[i].name, name) == 0) {
                        form = &forms[i];
                        return 1;
                }
        }
        return 0;
}

static intptr_t serve(void *arg)
{
        int listener = echo_listen(arg, 0);

        echo_ready(listener);
        for (;;) {
                int fd = ouro_accept(listener, NULL, NULL);

                if (fd < 0)
                        return fd;
                bench_check(ouro_go(form->connection, (void *)(intptr_t)fd), "ouro_go");
        }
}

int main(int argc, char **argv)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        int first = argc > 1 && choose(argv[1]) ? 2 : 1;

        if (argc <= first) {
                fprintf(stderr, "usage: echo_ouro [recv|buf|receiver] ADDRESS [CORE]\n");
                return 2;
        }
        if (argc > first + 1)
                bench_pin(atoi(argv[first + 1]));
        echo_end_with_parent();
        options.recv_buffers = 4096; /* as many as the raw server has */
        options.recv_buffer_bytes = ECHO_BUFFER_BYTES;
        bench_check(ouro_run_with(&options, serve, argv[first]), "ouro_run");
        return 0;
}
