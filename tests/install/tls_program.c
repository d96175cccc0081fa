/* tls_program.c - somebody else's program that uses TLS: it sees nothing but what was installed. */
#include <ouro.h>
#include <ouro/tls.h>
#include <errno.h>
#include <stdio.h>

/* Whoever has no certificate is no server; and what comes is not TLS. */
static intptr_t app(void *arg)
{
        struct ouro_tls_context_options server = OURO_SIZED_(struct ouro_tls_context_options);
        struct ouro_tls_options peer = OURO_SIZED_(struct ouro_tls_options);
        ouro_tls_context *context = NULL;
        ouro_stream *below = NULL, *stream = NULL;

        server.side = OURO_TLS_SERVER;
        if (arg != NULL || ouro_tls_context_open(&server, &context) != -EINVAL)
                return 1;
        if (ouro_tls_context_open(NULL, &context) != 0)
                return 2;
        if (ouro_stream_open_buffer("HTTP/1.0 400 Bad Request\r\n", 26, NULL, &below) != 0)
                return 3;
        peer.host = "example.org";
        if (ouro_tls_connect(context, below, &peer, &stream) >= 0 || stream)
                return 4;
        ouro_stream_close(below);
        return ouro_tls_context_close(context);
}

int main(void)
{
        intptr_t result = ouro_run(app, NULL);

        printf("%s %ld\n", ouro_version(), (long)result);
        return result == 0 ? 0 : 1;
}
