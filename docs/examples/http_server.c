/* http_server.c - a static file server: HTTP/1.1, and HTTPS.
 *
 *     http_server [options] ROOT [ADDRESS...]        tcp:127.0.0.1:8080 if there is no ADDRESS
 *
 * It prints "listening on ADDRESS" for each, with the port that it has, and ends at ctrl-C or SIGTERM, when
 * the requests under way have been answered. */
#include "http.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <ouro/tls.h>
#endif

static const int64_t IDLE_NS = OURO_SEC(15); /* without a byte either way */
static const int64_t LINGER_NS = OURO_SEC(2);

enum { LINGER_MOST = 1 << 20 }; /* bytes that are passed over, of a request that was not read to its end */

struct program {
        struct site site;
        struct ouro_serve_options serve;
        const char *certificate, *key;
        intptr_t result;
};

/* Closing at once, with bytes of the peer unread, would be a reset, and the peer might not see the answer. */
static void part(ouro_stream *stream)
{
        char buf[4096];
        ssize_t n = ouro_stream_shutdown(stream);
        size_t left = LINGER_MOST;

        OURO_TIMEOUT(LINGER_NS) {
                while (n >= 0 && left > 0 && (n = ouro_stream_read(stream, buf, sizeof buf)) > 0)
                        left -= (size_t)n < left ? (size_t)n : left;
        }
}

static intptr_t serve_connection(ouro_stream *stream, void *arg)
{
        struct program *program = arg;
        struct request request;
        bool goes_on = true;
        int n = 1;

        while (goes_on && (n = request_read(stream, &request)) > 0) {
                n = answer(&program->site, stream, &request);
                if (n < 0)
                        return n;
                goes_on = request_keeps_alive(&request);
        }
        if (n == 0 && !goes_on)
                part(stream);
        return n;
}

static int tell_addresses(ouro_server *server, void *arg)
{
        char text[OURO_ADDRESS_TEXT];

        (void)arg;
        for (size_t i = 0; ouro_serve_address(server, i, text, sizeof text) >= 0; i++)
                printf("listening on %s\n", text);
        fflush(stdout);
        return 0;
}

/* ---- TLS ---- */

#ifdef WITH_TLS
static int tls_begin(struct program *program)
{
        static const char *const protocols[] = {"http/1.1"};
        struct ouro_tls_identity identity = {.chain_file = program->certificate, .key_file = program->key};
        struct ouro_tls_context_options options = {.size = sizeof options,
                                                   .side = OURO_TLS_SERVER,
                                                   .identities = &identity,
                                                   .identity_count = 1,
                                                   .protocols = protocols,
                                                   .protocol_count = 1};

        program->serve.upgrade = ouro_tls_upgrade;
        program->site.tls = true;
        return ouro_tls_context_open(&options, (ouro_tls_context **)&program->serve.upgrade_arg);
}

static void tls_end(struct program *program)
{
        ouro_tls_context_close(program->serve.upgrade_arg);
}
#else
static int tls_begin(struct program *program)
{
        (void)program;
        return -ENOTSUP;
}

static void tls_end(struct program *program)
{
        (void)program;
}
#endif

/* ---- the program ---- */

static intptr_t run(void *arg)
{
        struct program *program = arg;
        int error = program->certificate ? tls_begin(program) : 0;

        if (error < 0)
                return error;
        error = ouro_serve(NULL, serve_connection, program, &program->serve);
        files_forget_all(&program->site.files);
        if (program->certificate)
                tls_end(program);
        return error;
}

static int usage(const char *name)
{
        fprintf(stderr,
                "usage: %s [options] ROOT [ADDRESS...]\n"
                "  --tls CERTIFICATE KEY  HTTPS\n"
                "  --cache SECONDS        believe what is known of a file for so long; default 1, 0: never\n"
                "  --connections N        at once; default: no limit\n"
                "  --idle SECONDS         without a byte; default 15\n"
                "  --drain SECONDS        for requests under way at the end; default 30\n"
                "  --log                  each request to standard output\n",
                name);
        return 2;
}

static int64_t seconds(const char *text)
{
        return (int64_t)(strtod(text, NULL) * 1e9);
}

/* The number of the first argument that is no option, or less than zero. */
static int read_options(struct program *program, int argc, char **argv)
{
        static const struct option known[] = {{"tls", required_argument, NULL, 't'},
                                              {"cache", required_argument, NULL, 'c'},
                                              {"connections", required_argument, NULL, 'n'},
                                              {"idle", required_argument, NULL, 'i'},
                                              {"drain", required_argument, NULL, 'd'},
                                              {"log", no_argument, NULL, 'l'},
                                              {NULL, 0, NULL, 0}};
        int option;

        while ((option = getopt_long(argc, argv, "+", known, NULL)) >= 0) {
                if (option == 'c')
                        program->site.files.cache_ns = seconds(optarg);
                else if (option == 'n')
                        program->serve.connections = strtoul(optarg, NULL, 10);
                else if (option == 'i')
                        program->serve.idle_ns = seconds(optarg);
                else if (option == 'd')
                        program->serve.drain_ns = seconds(optarg);
                else if (option == 'l')
                        program->site.log = true;
                else if (option == 't' && optind < argc)
                        program->certificate = optarg, program->key = argv[optind++];
                else
                        return -1;
        }
        return optind;
}

int main(int argc, char **argv)
{
        static const char *const anywhere[] = {"tcp:127.0.0.1:8080"};
        struct program program = {.serve = OURO_SERVE_OPTIONS_INIT, .site.files.cache_ns = OURO_SEC(1)};
        int first;

        program.serve.idle_ns = IDLE_NS;
        program.serve.signals = OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM;
        program.serve.on_ready = tell_addresses;
        first = read_options(&program, argc, argv);
        if (first < 0 || first >= argc)
                return usage(argv[0]);
        program.site.files.root = open(argv[first], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (program.site.files.root < 0) {
                perror(argv[first]);
                return 1;
        }
        program.serve.addresses = first + 1 < argc ? (const char *const *)argv + first + 1 : anywhere;
        program.serve.addresses_len = first + 1 < argc ? (size_t)(argc - first - 1) : 1;
        program.result = ouro_run(run, &program);
        if (program.result < 0)
                fprintf(stderr, "%s: %s\n", argv[0], strerror((int)-program.result));
        close(program.site.files.root);
        return program.result < 0;
}
