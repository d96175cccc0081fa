/* resp_server.c - a key-value server that speaks Redis' protocol (RESP), so that redis-cli is its client.
 *
 *     resp_server tcp:127.0.0.1:6380        then, elsewhere:   redis-cli -p 6380 set greeting hello
 *
 * One loop, one task for each connection. The store (resp_store.c) needs no lock: a command runs without
 * waiting, and a task gives way only where it waits. The answers of a pipeline lie in the stream's writer
 * until a read has to wait, and then leave in one piece. hiredis reads the protocol. */
#include <ouro.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resp_commands.h"
#include "resp_store.h"

enum {
        COMMAND_BYTES_MOST = 64 << 20,
        LINE_BYTES_MOST = 32 << 10,
        WORDS_MOST = 1 << 20,
        TYPED_WORDS_MOST = 64
};

/* What hiredis makes of the strings of one command: copies, because it moves its buffer between them. */
struct request {
        char *text; /* the words, a NUL behind each */
        size_t text_len, text_room;
        struct word *words; /* str is filled in when all are there: text may move until then */
        size_t len, room;
        bool foreign; /* something else than an array of strings */
};

static void *make_nothing(const redisReadTask *task)
{
        struct request *request = task->privdata;

        request->foreign = true;
        return request;
}

static void *make_integer(const redisReadTask *task, long long value)
{
        (void)value;
        return make_nothing(task);
}

static void *make_array(const redisReadTask *task, int elements)
{
        struct request *request = task->privdata;

        if (task->parent || elements > WORDS_MOST)
                return make_nothing(task);
        request->len = request->text_len = 0;
        return request;
}

static bool make_room(void **array, size_t *room, size_t len, size_t each)
{
        size_t wanted = *room ? *room : 64;
        void *moved;

        if (len <= *room)
                return true;
        while (wanted < len)
                wanted *= 2;
        moved = realloc(*array, wanted * each);
        if (!moved)
                return false;
        *array = moved;
        *room = wanted;
        return true;
}

/* NULL: no memory; hiredis says so. */
static void *make_word(const redisReadTask *task, char *str, size_t len)
{
        struct request *request = task->privdata;

        if (!task->parent || task->type != REDIS_REPLY_STRING)
                return make_nothing(task);
        if (!make_room((void **)&request->words, &request->room, request->len + 1, sizeof *request->words) ||
            !make_room((void **)&request->text, &request->text_room, request->text_len + len + 1, 1))
                return NULL;
        memcpy(request->text + request->text_len, str, len);
        request->text[request->text_len + len] = '\0';
        request->text_len += len + 1;
        request->words[request->len++] = (struct word){.len = len};
        return request;
}

static void keep(void *object)
{
        (void)object; /* the request serves again */
}

static redisReplyObjectFunctions into_request = {make_word, make_array, make_integer, make_nothing, keep};

static void run_request(ouro_stream *stream, struct request *request)
{
        const char *text = request->text;

        for (size_t i = 0; i < request->len; i++) {
                request->words[i].str = text;
                text += request->words[i].len + 1;
        }
        if (request->len > 0)
                run_command(stream, request->words, request->len);
}

/* Runs every command that has come in whole; less than zero: this is not the protocol. */
static int run_requests(ouro_stream *stream, redisReader *reader)
{
        struct request *request = reader->privdata;
        void *reply = NULL;

        while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply && !request->foreign) {
                run_request(stream, request);
                reply = NULL;
        }
        if (!reader->err && !request->foreign)
                return 0;
        ouro_stream_printf(stream, "-ERR Protocol error: %s\r\n",
                           reader->err ? reader->errstr : "expected an array of strings");
        return -EPROTO;
}

/* A line of words, as a person types it: becomes what a program would send. */
static int feed_line(ouro_stream *stream, redisReader *reader)
{
        const char *words[TYPED_WORDS_MOST], *line;
        ssize_t len = ouro_stream_read_line(stream, LINE_BYTES_MOST, &line);
        char *copy, *rest, *command;
        int n = 0, command_len;

        if (len <= 0 || !(copy = strdup(line)))
                return len < 0 ? (int)len : 0;
        for (char *word = strtok_r(copy, " ", &rest); word && n < TYPED_WORDS_MOST;
             word = strtok_r(NULL, " ", &rest))
                words[n++] = word;
        command_len = redisFormatCommandArgv(&command, n, words, NULL);
        if (command_len > 0) {
                redisReaderFeed(reader, command, (size_t)command_len);
                redisFreeCommand(command);
        }
        free(copy);
        return 0;
}

/* No command is half read: it knows not even the kind of what comes. */
static bool is_between(const redisReader *reader)
{
        return reader->len == reader->pos &&
               (reader->ridx < 0 || (reader->ridx == 0 && reader->rstack[0].type < 0));
}

/* Takes over what has come. 1, 0 at the end, or an error. A command that is never complete is cut off. */
static ssize_t feed(ouro_stream *stream, redisReader *reader)
{
        const void *data;
        ssize_t n = ouro_stream_peek(stream, 1, &data);
        bool between = is_between(reader);

        if (n <= 0)
                return n;
        if (between && *(const char *)data != '*') {
                int error = feed_line(stream, reader);

                return error < 0 ? error : 1;
        }
        if (reader->len - reader->pos > COMMAND_BYTES_MOST ||
            redisReaderFeed(reader, data, (size_t)n) != REDIS_OK)
                return -EMSGSIZE;
        ouro_stream_consume(stream, (size_t)n);
        return 1;
}

static intptr_t client(ouro_stream *stream, void *arg)
{
        struct request request = {0};
        redisReader *reader = redisReaderCreateWithFunctions(&into_request);
        ssize_t n = reader ? 1 : -ENOMEM;

        (void)arg;
        if (reader)
                reader->privdata = &request;
        while (n > 0) {
                OURO_SERVE_REST {
                        n = feed(stream, reader);
                }
                if (n > 0)
                        n = run_requests(stream, reader) < 0 ? -EPROTO : 1;
        }
        if (reader)
                redisReaderFree(reader);
        free(request.text);
        free(request.words);
        return n == -EPROTO || n == -ENODATA ? ouro_stream_flush(stream) : n;
}

static int say_where(ouro_server *server, void *arg)
{
        char address[128];

        (void)arg;
        if (ouro_serve_address(server, 0, address, sizeof address) < 0)
                return -EINVAL;
        printf("listening on %s\n", address);
        return fflush(stdout) == 0 ? 0 : -EIO;
}

static intptr_t serve(void *address)
{
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;
        int error;

        options.signals = OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM;
        options.drain_ns = OURO_SEC(5);
        options.on_ready = say_where;
        error = ouro_go(store_sweep, NULL);
        if (error == 0)
                error = ouro_serve(address, client, NULL, &options);
        store_clear();
        return error;
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
