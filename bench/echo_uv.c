/* echo_uv.c - the echo server on libuv.
 *
 * echo_uv ADDRESS [CORE]. It writes with uv_try_write(), which is libuv's cheapest way, and queues a copy
 * only if the socket takes less. */
#include "bench.h"
#include "echo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

union stream {
        uv_stream_t any;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
};

struct connection {
        union stream stream;
        char buffer[ECHO_BUFFER_BYTES];
};

struct queued {
        uv_write_t request;
        char bytes[ECHO_BUFFER_BYTES];
};

static int is_tcp;

static void check(int result, const char *what)
{
        bench_check(result, what); /* libuv's errors are negated errnos on Linux */
}

static void init(union stream *stream)
{
        if (is_tcp)
                check(uv_tcp_init(uv_default_loop(), &stream->tcp), "uv_tcp_init");
        else
                check(uv_pipe_init(uv_default_loop(), &stream->pipe, 0), "uv_pipe_init");
}

static void closed(uv_handle_t *handle)
{
        free(handle);
}

static void hang_up(uv_stream_t *stream)
{
        uv_handle_t *handle = (uv_handle_t *)stream;

        if (!uv_is_closing(handle))
                uv_close(handle, closed);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
        struct connection *connection = (struct connection *)handle;

        (void)suggested;
        *ret_buf = uv_buf_init(connection->buffer, sizeof(connection->buffer));
}

static void written(uv_write_t *request, int status)
{
        if (status < 0)
                hang_up(request->handle);
        free(request);
}

static void queue_rest(uv_stream_t *stream, const char *bytes, size_t len)
{
        struct queued *queued = malloc(sizeof(*queued));

        if (queued == NULL)
                bench_die("malloc");
        memcpy(queued->bytes, bytes, len);

        uv_buf_t buf = uv_buf_init(queued->bytes, (unsigned)len);

        if (uv_write(&queued->request, stream, &buf, 1, written) < 0) {
                free(queued);
                hang_up(stream);
        }
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *lent)
{
        uv_buf_t buf = *lent;
        int sent;

        if (n <= 0) {
                if (n < 0)
                        hang_up(stream);
                return;
        }
        buf.len = (size_t)n;
        sent = uv_try_write(stream, &buf, 1);
        if (sent == UV_EAGAIN)
                sent = 0;
        if (sent < 0)
                hang_up(stream);
        else if (sent < n)
                queue_rest(stream, buf.base + sent, (size_t)(n - sent));
}

static void incoming(uv_stream_t *listener, int status)
{
        struct connection *connection = malloc(sizeof(*connection));

        check(status, "listen");
        if (connection == NULL)
                bench_die("malloc");
        init(&connection->stream);
        check(uv_accept(listener, &connection->stream.any), "uv_accept");
        check(uv_read_start(&connection->stream.any, lend_buffer, received), "uv_read_start");
}

int main(int argc, char **argv)
{
        static union stream listener;
        int fd;

        if (argc < 2) {
                fprintf(stderr, "usage: echo_uv ADDRESS [CORE]\n");
                return 2;
        }
        if (argc > 2)
                bench_pin(atoi(argv[2]));
        echo_end_with_parent();
        is_tcp = strncmp(argv[1], "tcp:", 4) == 0;
        fd = echo_listen(argv[1], 1);
        init(&listener);
        if (is_tcp)
                check(uv_tcp_open(&listener.tcp, fd), "uv_tcp_open");
        else
                check(uv_pipe_open(&listener.pipe, fd), "uv_pipe_open");
        check(uv_listen(&listener.any, 4096, incoming), "uv_listen");
        echo_ready(fd);
        return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
