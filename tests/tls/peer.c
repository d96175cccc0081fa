/* peer.c - one end of TLS at the command line, for clients.py: an echo server, or a client that says what it
 * gets.
 *
 *     peer server CERTIFICATE KEY [option...]        prints "listening on ADDRESS"
 *     peer client ADDRESS HOST CA [option...]        sends standard input, prints what comes, then "error N:
 * WORDS"
 *
 * Options: ca=FILE request require names=CERTIFICATE,KEY alpn=A,B most=1.2 identity=CERTIFICATE,KEY insecure
 * times=N resume */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ouro.h>
#include <ouro/tls.h>

enum { MOST_NAMES = 4 };

struct settings {
        struct ouro_tls_context_options options;
        struct ouro_tls_identity identities[MOST_NAMES];
        const char *protocols[MOST_NAMES];
        int times;
        const char *address, *host;
};

static struct settings settings = {.times = 1};

static void add_identity(const char *certificate, const char *key)
{
        settings.identities[settings.options.identity_count].chain_file = certificate;
        settings.identities[settings.options.identity_count++].key_file = key;
        settings.options.identities = settings.identities;
}

static void read_pair(char *text)
{
        char *comma = strchr(text, ',');

        *comma = '\0';
        add_identity(text, comma + 1);
}

static void read_protocols(char *text)
{
        settings.options.protocols = settings.protocols;
        for (char *name = strtok(text, ","); name; name = strtok(NULL, ","))
                settings.protocols[settings.options.protocol_count++] = name;
}

static void read_option(char *text)
{
        struct ouro_tls_context_options *options = &settings.options;

        if (strncmp(text, "ca=", 3) == 0)
                options->ca_file = text + 3;
        else if (strcmp(text, "request") == 0)
                options->clients = OURO_TLS_REQUEST;
        else if (strcmp(text, "require") == 0)
                options->clients = OURO_TLS_REQUIRE;
        else if (strncmp(text, "names=", 6) == 0)
                read_pair(text + 6);
        else if (strncmp(text, "identity=", 9) == 0)
                read_pair(text + 9);
        else if (strncmp(text, "alpn=", 5) == 0)
                read_protocols(text + 5);
        else if (strcmp(text, "most=1.2") == 0)
                options->most = OURO_TLS_1_2;
        else if (strcmp(text, "insecure") == 0)
                options->insecure_no_verification = true;
        else if (strncmp(text, "times=", 6) == 0)
                settings.times = atoi(text + 6);
        else
                abort();
}

static void tell(ouro_stream *stream)
{
        struct ouro_tls_peer_info peer;
        struct ouro_tls_info info;

        if (ouro_tls_info(stream, &info) < 0)
                abort();
        printf("%s %s protocol %s host %s%s%s", info.version, info.cipher,
               info.protocol ? info.protocol : "-", info.host ? info.host : "-",
               info.resumed ? " resumed" : "", info.peer_verified ? " verified" : "");
        if (ouro_tls_peer_info(stream, &peer) == 0)
                printf(" peer %s", peer.subject);
        printf("\n");
        fflush(stdout);
}

static void tell_error(intptr_t error, const struct ouro_tls_failure_info *failure)
{
        printf("error %ld %s: %s\n", (long)error, strerrorname_np((int)-error), failure->reason);
        fflush(stdout);
}

/* ---- server ---- */

static ouro_tls_context *context;

/* Lines are sent back; GET is answered as a web server would. */
static intptr_t echo(ouro_stream *stream)
{
        const char *line;
        ssize_t n;

        while ((n = ouro_stream_read_line(stream, 0, &line)) >= 0) {
                if (strncmp(line, "GET ", 4) == 0) {
                        ouro_stream_printf(stream,
                                           "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\ngreetings\n");
                        break;
                }
                ouro_stream_printf(stream, "%s\n", line);
                ouro_stream_flush(stream);
        }
        return n == -ENODATA || n >= 0 ? ouro_stream_shutdown(stream) : n;
}

static intptr_t serve(void *arg)
{
        struct ouro_tls_failure_info failure = {.error = 0};
        struct ouro_tls_options options = {.size = sizeof options, .failure = &failure};
        ouro_stream *below, *stream;
        intptr_t error = ouro_stream_open((int)(intptr_t)arg, NULL, &below);

        if (error < 0)
                abort();
        error = ouro_tls_accept(context, below, &options, &stream);
        if (error < 0) {
                tell_error(error, &failure);
                return ouro_stream_close(below);
        }
        tell(stream);
        error = echo(stream);
        if (error < 0) {
                ouro_tls_failure_info(stream, &failure);
                tell_error(error, &failure);
        }
        ouro_stream_close(stream);
        return 0;
}

static int own_address(int fd, char text[OURO_ADDRESS_TEXT])
{
        struct ouro_address address;
        int error = ouro_local_address(fd, &address);

        return error < 0 ? error : ouro_address_format(&address, text, OURO_ADDRESS_TEXT);
}

static intptr_t server(void *arg)
{
        char text[OURO_ADDRESS_TEXT];
        int listener = ouro_listen("tcp:127.0.0.1:0"), fd;

        (void)arg;
        if (listener < 0 || own_address(listener, text) < 0)
                abort();
        printf("listening on %s\n", text);
        fflush(stdout);
        while ((fd = ouro_accept(listener, NULL, NULL)) >= 0)
                ouro_go(serve, (void *)(intptr_t)fd);
        return ouro_close(listener);
}

/* ---- client ---- */

static intptr_t take(void *arg)
{
        static char buf[65536];
        ssize_t n;

        while ((n = ouro_stream_read(arg, buf, sizeof buf)) > 0)
                fwrite(buf, 1, (size_t)n, stdout);
        return n;
}

static intptr_t converse(ouro_stream *stream, const char *input, size_t len)
{
        ouro_task taker = ouro_create_task(take, stream);
        int error = ouro_stream_write(stream, input, len);

        if (error == 0)
                error = ouro_stream_shutdown(stream);

        intptr_t taken = ouro_await(taker);

        return error < 0 ? error : taken;
}

static intptr_t once(const char *input, size_t len)
{
        struct ouro_tls_failure_info failure = {.error = 0};
        struct ouro_tls_options options = {
                .size = sizeof options, .failure = &failure, .host = settings.host};
        ouro_stream *below, *stream;
        intptr_t error = ouro_stream_open(ouro_dial(settings.address), NULL, &below);

        if (error < 0)
                abort();
        error = ouro_tls_connect(context, below, &options, &stream);
        if (error < 0) {
                tell_error(error, &failure);
                ouro_stream_close(below);
                return 0;
        }
        tell(stream);
        error = converse(stream, input, len);
        ouro_tls_failure_info(stream, &failure);
        if (error < 0)
                tell_error(error, &failure);
        ouro_stream_close(stream);
        return 0;
}

static intptr_t client(void *arg)
{
        static char input[1 << 20];
        size_t len = fread(input, 1, sizeof input, stdin);

        (void)arg;
        for (int i = 0; i < settings.times; i++)
                once(input, len);
        return 0;
}

int main(int argc, char **argv)
{
        bool serves = argc > 3 && strcmp(argv[1], "server") == 0;
        struct ouro_tls_failure_info failure = {.error = 0};
        struct ouro_options options = OURO_OPTIONS_INIT;
        intptr_t result;

        settings.options =
                (struct ouro_tls_context_options){.size = sizeof settings.options, .failure = &failure};
        options.interrupt = OURO_INTERRUPT_SIGTERM;
        options.report_stack_overflow = true;
        if (serves) {
                settings.options.side = OURO_TLS_SERVER;
                add_identity(argv[2], argv[3]);
        } else if (argc > 4) {
                settings.address = argv[2];
                settings.host = argv[3];
                settings.options.ca_file = argv[4];
        } else
                return 2;
        for (int i = serves ? 4 : 5; i < argc; i++)
                read_option(argv[i]);
        result = ouro_tls_context_open(&settings.options, &context);
        if (result < 0)
                tell_error(result, &failure);
        else
                result = ouro_run_with(&options, serves ? server : client, NULL);
        ouro_tls_context_close(context);
        return result < 0 && result != -ECANCELED;
}
