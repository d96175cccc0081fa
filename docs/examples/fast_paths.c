/* fast_paths.c - a server's answers from a file, by sendfile, to requests that wait in no buffer of its own.
 *
 * However many clients are connected and say nothing, none of them costs a buffer. A request is "OFFSET
 * LENGTH\n", the answer that part of the file. */
#include <ouro.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int file;

/* A request comes whole here, as this client sends it; a real server puts pieces together. */
static int answer(int fd, const struct ouro_buf *request)
{
        char text[64];
        long offset, len;

        if (request->len >= sizeof text)
                return -EMSGSIZE;
        memcpy(text, request->data, request->len);
        text[request->len] = '\0';
        if (sscanf(text, "%ld %ld", &offset, &len) != 2 || offset < 0 || len < 0)
                return -EBADMSG;
        return ouro_sendfile_all(fd, file, offset, (size_t)len, NULL);
}

static intptr_t serve_client(void *arg)
{
        int fd = (int)(intptr_t)arg, error = 0;
        struct ouro_buf request;
        ssize_t n;

        while (error == 0 && (n = ouro_recv_buf(fd, &request, 0)) > 0) {
                error = answer(fd, &request);
                ouro_buf_release(&request);
        }
        ouro_close(fd);
        return error;
}

static int ask(int fd, const char *request, size_t len)
{
        char text[64] = "";
        int error = ouro_send_all(fd, request, strlen(request), NULL);

        if (error == 0)
                error = ouro_recv_all(fd, text, len, NULL);
        if (error == 0)
                printf("%.*s\n", (int)len, text);
        return error;
}

static intptr_t main_task(void *arg)
{
        int error = 0, pair[2];

        (void)arg;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -EMFILE;
        OURO_GROUP(clients) {
                ouro_go(serve_client, (void *)(intptr_t)pair[0]);
                error = ask(pair[1], "10 5\n", 5);
                if (error == 0)
                        error = ask(pair[1], "0 9\n", 9);
                ouro_close(pair[1]);
        }
        return error;
}

int main(void)
{
        static const char text[] = "the quick brown fox\n";
        struct ouro_options options = OURO_OPTIONS_INIT;
        char path[] = "/tmp/fast-paths-XXXXXX";
        intptr_t result;

        file = mkstemp(path);
        if (file < 0 || write(file, text, sizeof text - 1) < 0)
                return 1;
        unlink(path);
        options.recv_buffers = 64;
        options.recv_buffer_bytes = 1024;
        result = ouro_run_with(&options, main_task, NULL);
        close(file);
        if (result < 0)
                fprintf(stderr, "fast_paths: %s\n", strerror((int)-result));
        return result < 0;
}
