/* http_answer.c - answers a request: a file, a part of it, that it has not changed, or why not. */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

enum { COPY_BYTES = 64 * 1024 };

static const char *reason_of(int status)
{
        switch (status) {
#define REASON(number, name, text)                                                                           \
        case number:                                                                                         \
                return #text;
                HTTP_STATUS_MAP(REASON)
#undef REASON
        }
        return "Error";
}

static const char *date(struct site *site)
{
        time_t now = time(NULL);

        if (now != site->now)
                http_date(now, site->date);
        site->now = now;
        return site->date;
}

static const char *connection(const struct request *request)
{
        if (!request_keeps_alive(request))
                return "Connection: close\r\n";
        return request->parser.http_minor == 0 ? "Connection: keep-alive\r\n" : "";
}

static void tell(const struct site *site, const struct request *request, int status)
{
        if (site->log)
                printf("%s %.*s %d\n", http_method_str((enum http_method)request->parser.method),
                       (int)request->target_len, request->target, status);
}

/* An answer that is no file. fields may be "". */
static int say(struct site *site, ouro_stream *stream, const struct request *request, int status,
               const char *fields)
{
        bool bare = status == 304, head = request->parser.method == HTTP_HEAD && !request->status;
        char body[64];
        int len = bare ? 0 : snprintf(body, sizeof body, "%d %s\n", status, reason_of(status)), error;

        tell(site, request, status);
        error = ouro_stream_printf(stream, "HTTP/1.1 %d %s\r\nServer: ouro\r\nDate: %s\r\n%s%s", status,
                                   reason_of(status), date(site), connection(request), fields);
        if (error == 0 && !bare)
                error = ouro_stream_printf(stream, "Content-Type: text/plain\r\nContent-Length: %d\r\n", len);
        if (error == 0)
                error = ouro_stream_printf(stream, "\r\n%.*s", head ? 0 : len, body);
        return error;
}

/* ---- what of the file is wanted ---- */

static bool is_unchanged(const struct file *file, const struct request *request)
{
        struct tm since = {0};

        if (request->if_none_match[0])
                return strcmp(request->if_none_match, "*") == 0 || strstr(request->if_none_match, file->etag);
        return request->if_modified_since[0] &&
               strptime(request->if_modified_since, "%a, %d %b %Y %H:%M:%S GMT", &since) &&
               file->modified.tv_sec <= timegm(&since);
}

/* Less than zero: there is no number. One that is too large is larger than any file. */
static off_t number(const char **text)
{
        char *end;
        long long n = **text >= '0' && **text <= '9' ? strtoll(*text, &end, 10) : -1;

        if (n >= 0)
                *text = end;
        return n;
}

/* One range. 206: *ret_from and *ret_len; 416: it lies behind the end; 200: none, several, or nothing that
 * makes sense: all is sent. */
static int parse_range(const char *text, off_t size, off_t *ret_from, off_t *ret_len)
{
        off_t from, to;

        if (strncmp(text, "bytes=", 6) != 0)
                return 200;
        text += 6;
        from = number(&text);
        if (*text++ != '-')
                return 200;
        to = number(&text);
        if (*text || (from < 0 && to < 0) || (from >= 0 && to >= 0 && to < from))
                return 200;
        if (from < 0) { /* the last so many */
                from = to < size ? size - to : 0;
                to = to == 0 ? -1 : size - 1;
        } else if (to < 0 || to >= size) {
                to = size - 1;
        }
        if (from > to)
                return 416;
        *ret_from = from;
        *ret_len = to - from + 1;
        return 206;
}

static int range_of(const struct file *file, const struct request *request, off_t *ret_from, off_t *ret_len)
{
        *ret_from = 0;
        *ret_len = file->size;
        if (!request->range[0])
                return 200;
        if (request->if_range[0] && strcmp(request->if_range, file->etag) != 0 &&
            strcmp(request->if_range, file->last_modified) != 0)
                return 200;
        return parse_range(request->range, file->size, ret_from, ret_len);
}

/* ---- sending it ---- */

/* Through memory: what TLS encrypts cannot go straight from the file. */
static int copy(ouro_stream *stream, int fd, off_t from, off_t len)
{
        char *buf = malloc(COPY_BYTES);
        int error = buf ? 0 : -ENOMEM;

        while (error == 0 && len > 0) {
                size_t part = len < COPY_BYTES ? (size_t)len : COPY_BYTES;

                error = ouro_pread_all(fd, buf, part, from, NULL);
                if (error == 0)
                        error = ouro_stream_write(stream, buf, part);
                from += (off_t)part;
                len -= (off_t)part;
        }
        free(buf);
        return error;
}

/* A file that has shrunk meanwhile gives -ENODATA: the connection ends before what was promised. */
static int send_part(const struct site *site, ouro_stream *stream, const struct file *file, off_t from,
                     off_t len)
{
        int error;

        if (site->tls)
                return copy(stream, file->fd, from, len);
        error = ouro_stream_flush(stream);
        if (error == 0)
                error = ouro_sendfile_all(ouro_stream_fd(stream), file->fd, from, (size_t)len, NULL);
        return error;
}

static struct iovec piece(const void *bytes, size_t len)
{
        return (struct iovec){(void *)(uintptr_t)bytes, len};
}

static struct iovec text(const char *string)
{
        return piece(string, strlen(string));
}

static int send_file(struct site *site, ouro_stream *stream, const struct request *request,
                     const struct file *file)
{
        char partial[128], now[32]; /* of our own: while this waits, others set site->date */
        off_t from, len;
        int status = range_of(file, request, &from, &len), error, n = 0;
        bool body = request->parser.method == HTTP_GET && len > 0;
        struct iovec pieces[8];

        if (status == 416) {
                snprintf(partial, sizeof partial, "Content-Range: bytes */%lld\r\n", (long long)file->size);
                return say(site, stream, request, status, partial);
        }
        snprintf(partial, sizeof partial, "Content-Range: bytes %lld-%lld/%lld\r\nContent-Length: %lld\r\n",
                 (long long)from, (long long)(from + len - 1), (long long)file->size, (long long)len);
        tell(site, request, status);
        pieces[n++] = text(status == 200 ? "HTTP/1.1 200 OK\r\nServer: ouro\r\nDate: "
                                         : "HTTP/1.1 206 Partial Content\r\nServer: ouro\r\nDate: ");
        pieces[n++] = text(strcpy(now, date(site)));
        pieces[n++] = text("\r\n");
        pieces[n++] = text(file->fields);
        pieces[n++] = text(status == 200 ? file->length : partial);
        pieces[n++] = text(connection(request));
        pieces[n++] = text("\r\n");
        if (body && file->content)
                pieces[n++] = piece(file->content + from, (size_t)len);
        error = ouro_stream_writev(stream, pieces, n);
        if (error == 0 && body && !file->content)
                error = send_part(site, stream, file, from, len);
        return error;
}

static int answer_file(struct site *site, ouro_stream *stream, const struct request *request,
                       const struct file *file)
{
        if (is_unchanged(file, request))
                return say(site, stream, request, 304, file->fields);
        return send_file(site, stream, request, file);
}

/* ---- which file ---- */

static int status_of(int error)
{
        switch (error) {
        case 0:
                return 0;
        case -EISDIR:
                return 301;
        case -ENOENT:
        case -ENOTDIR:
        case -ENAMETOOLONG:
        case -ELOOP:
        case -EXDEV: /* outside the root: nothing is said of what is there */
                return 404;
        case -EACCES:
        case -EPERM:
                return 403;
        case -EAGAIN: /* something was renamed on the way to it */
        case -EMFILE:
        case -ENFILE:
        case -ENOMEM:
                return 503;
        default:
                return 500;
        }
}

/* To the same path with a slash behind it. */
static int redirect(struct site *site, ouro_stream *stream, const struct request *request)
{
        char fields[TARGET_MOST + 32];
        size_t path_len = strcspn(request->target, "?#"), slashes = strspn(request->target, "/");

        if (path_len > request->target_len || slashes == 0 || slashes > path_len)
                return say(site, stream, request, 404, "");
        snprintf(fields, sizeof fields, "Location: /%.*s/\r\n", (int)(path_len - slashes),
                 request->target + slashes);
        return say(site, stream, request, 301, fields);
}

int answer(struct site *site, ouro_stream *stream, const struct request *request)
{
        char path[TARGET_MOST + 16];
        struct file *file;
        int status = request->status, error = 0;

        if (!status)
                status = request_path(request, path);
        if (!status) {
                error = file_get(&site->files, path, &file);
                status = status_of(error);
        }
        if (error == -ECANCELED || error == -ETIME)
                return error;
        if (status == 301)
                return redirect(site, stream, request);
        if (status)
                return say(site, stream, request, status, status == 405 ? "Allow: GET, HEAD\r\n" : "");
        error = answer_file(site, stream, request, file);
        file_put(&site->files, file);
        return error;
}
