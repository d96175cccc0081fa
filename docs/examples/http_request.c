/* http_request.c - reads a request: http_parser takes it apart, within limits on its size and its time. */
#include "http.h"

static const int64_t SLOWEST_NS = OURO_SEC(10); /* from a request's first byte to its last */

/* ---- called by the parser ---- */

static struct request *request_of(http_parser *parser)
{
        return (struct request *)parser; /* its first member */
}

static int refuse(struct request *request, int status)
{
        request->status = status;
        return -1;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
        struct request *request = request_of(parser);

        if (len > TARGET_MOST - request->target_len)
                return refuse(request, 414);
        memcpy(request->target + request->target_len, at, len);
        request->target_len += len;
        request->target[request->target_len] = '\0';
        return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
        struct request *request = request_of(parser);

        if (request->in_value)
                request->name_len = 0;
        request->in_value = false;
        for (size_t i = 0; i < len && request->name_len < sizeof request->name; i++)
                request->name[request->name_len++] = (char)(at[i] | 0x20); /* a letter's lower case */
        return 0;
}

static bool is_named(const struct request *request, const char *name)
{
        return request->name_len == strlen(name) && memcmp(request->name, name, request->name_len) == 0;
}

static void begin_value(struct request *request)
{
        request->in_value = true;
        request->value_len = 0;
        request->value = is_named(request, "range")               ? request->range
                         : is_named(request, "if-range")          ? request->if_range
                         : is_named(request, "if-none-match")     ? request->if_none_match
                         : is_named(request, "if-modified-since") ? request->if_modified_since
                                                                  : NULL;
        request->has_host |= is_named(request, "host");
}

/* One that is too long is as if it had not been sent: all of them only ask for less than everything. */
static int on_value(http_parser *parser, const char *at, size_t len)
{
        struct request *request = request_of(parser);

        if (!request->in_value)
                begin_value(request);
        if (!request->value)
                return 0;
        if (len >= VALUE_MOST - request->value_len) {
                request->value[0] = '\0';
                request->value = NULL;
                return 0;
        }
        memcpy(request->value + request->value_len, at, len);
        request->value_len += len;
        request->value[request->value_len] = '\0';
        return 0;
}

static int on_headers_complete(http_parser *parser)
{
        struct request *request = request_of(parser);

        request->head_complete = true;
        if (parser->http_major != 1)
                return refuse(request, 505);
        if (parser->http_minor > 0 && !request->has_host)
                return refuse(request, 400);
        if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
                return refuse(request, 405);
        if ((parser->flags & F_CONTENTLENGTH) && parser->content_length > BODY_MOST)
                return refuse(request, 413);
        return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
        struct request *request = request_of(parser);

        (void)at;
        request->body_len += len;
        return request->body_len > BODY_MOST ? refuse(request, 413) : 0;
}

/* The next one, if it has come already, is to be left alone. */
static int on_complete(http_parser *parser)
{
        request_of(parser)->complete = true;
        http_parser_pause(parser, 1);
        return 0;
}

static const http_parser_settings settings = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_complete,
};

/* ---- reading ---- */

static void begin(struct request *request)
{
        http_parser_init(&request->parser, HTTP_REQUEST);
        request->status = 0;
        request->complete = request->head_complete = request->in_value = request->has_host = false;
        request->head_len = request->body_len = request->target_len = request->name_len = 0;
        request->value = NULL;
        request->target[0] = '\0';
        request->range[0] = request->if_range[0] = request->if_none_match[0] = '\0';
        request->if_modified_since[0] = '\0';
}

/* True: it is known what to answer. */
static bool feed(ouro_stream *stream, struct request *request, const char *data, size_t len)
{
        size_t used = http_parser_execute(&request->parser, &settings, data, len);
        enum http_errno error = HTTP_PARSER_ERRNO(&request->parser);

        ouro_stream_consume(stream, used);
        if (!request->head_complete)
                request->head_len += used;
        if (request->complete || request->status)
                return true;
        if (error == HPE_HEADER_OVERFLOW || request->head_len > HEAD_MOST)
                request->status = 431;
        else if (error != HPE_OK)
                request->status = 400;
        return request->status != 0;
}

/* One whose first part was not all of it. */
static ssize_t read_on(ouro_stream *stream, struct request *request)
{
        const void *data;
        ssize_t n;

        do
                n = ouro_stream_peek(stream, 1, &data);
        while (n > 0 && !feed(stream, request, data, (size_t)n));
        return n;
}

int request_read(ouro_stream *stream, struct request *request)
{
        const void *data;
        ssize_t n = 0;

        begin(request);
        OURO_SERVE_REST {
                n = ouro_stream_peek(stream, 1, &data);
        }
        if (n <= 0)
                return n == -ETIME || n == -ECANCELED ? 0
                                                      : (int)n; /* idle, or the server stops: no harm done */
        if (feed(stream, request, data, (size_t)n))
                return 1;
        OURO_TIMEOUT(SLOWEST_NS) {
                n = read_on(stream, request);
        }
        if (n == -ETIME)
                request->status = 408;
        return n > 0 || n == -ETIME ? 1 : (int)n;
}

bool request_keeps_alive(const struct request *request)
{
        return !request->status && http_should_keep_alive(&request->parser);
}

/* ---- its path ---- */

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Less than zero: a malformed %, or a NUL. */
static int decode(const char *text, size_t len, char *path)
{
        size_t to = 0;

        for (size_t i = 0; i < len; i++) {
                char c = text[i];

                if (c == '%') {
                        if (len - i < 3 || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
                                return -1;
                        c = (char)(digit(text[i + 1]) * 16 + digit(text[i + 2]));
                        i += 2;
                }
                if (c == '\0')
                        return -1;
                path[to++] = c;
        }
        path[to] = '\0';
        return (int)to;
}

int request_path(const struct request *request, char path[TARGET_MOST + 16])
{
        struct http_parser_url url;
        size_t slashes;
        int len;

        http_parser_url_init(&url);
        if (http_parser_parse_url(request->target, request->target_len, 0, &url) != 0 ||
            !(url.field_set & 1 << UF_PATH))
                return 400;
        len = decode(request->target + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len, path);
        if (len <= 0 || path[0] != '/')
                return 400;
        if (path[len - 1] == '/')
                strcpy(path + len, "index.html");
        slashes = strspn(path, "/");
        memmove(path, path + slashes, strlen(path + slashes) + 1);
        return 0;
}
