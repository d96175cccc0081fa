/* crawler.c - fetch pages and all that they link to, on the hosts that were named and no others.
 *
 *     crawler [-n WORKERS] [-t SECONDS] [-a SECONDS] http://127.0.0.1:8000/ ...
 *
 * Some workers share a list of pages to fetch. A page gets -t seconds, all of it -a seconds. What cannot be
 * had is told and passed over: the rest goes on. HTTP is read by http-parser, URLs by libcurl, and tables by
 * uthash know what has been seen. One line for each page: status, bytes and URL, or what went wrong. */
#include <ouro.h>

#include <curl/curl.h>
#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

enum { URL_BYTES = 2048, BODY_MOST = 4 << 20 };

/* A page by its URL, or a host by its name and port. */
struct entry {
        UT_hash_handle hh;
        struct entry *next; /* in crawl->todo */
        char text[];
};

struct crawl {
        struct entry *pages, *hosts; /* tables: all that have been seen, all that are wanted */
        struct entry *todo;
        struct ouro_semaphore available; /* a unit for each page in todo; at the end, one for each worker */
        size_t unfinished;               /* in todo, or being fetched */
        size_t workers, fetched, failed;
        int64_t page_ns, all_ns;
        char **urls;
};

/* What comes back for one page. */
struct answer {
        char *body;
        size_t body_len;
        const char *field; /* the header that is being read */
        size_t field_len;
        char location[URL_BYTES];
        bool html;
};

/* ---- what is to be fetched ---- */

/* What link means on the page at base, always with a port. False: not for us. */
static bool absolute(const char *base, const char *link, char url[URL_BYTES])
{
        CURLU *parts = curl_url();
        char *text = NULL;
        bool good = parts && (!base || !curl_url_set(parts, CURLUPART_URL, base, 0)) &&
                    !curl_url_set(parts, CURLUPART_URL, link, 0) &&
                    !curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) &&
                    !curl_url_get(parts, CURLUPART_URL, &text, CURLU_DEFAULT_PORT) &&
                    strncmp(text, "http://", 7) == 0 && strlen(text) < URL_BYTES;

        if (good)
                memcpy(url, text, strlen(text) + 1);
        curl_free(text);
        curl_url_cleanup(parts);
        return good;
}

/* "host:port" as it stands in the URL. */
static void host_of(const char *url, char name[URL_BYTES])
{
        snprintf(name, URL_BYTES, "%.*s", (int)strcspn(url + 7, "/?"), url + 7);
}

/* NULL: it is in the table already. */
static struct entry *learn(struct entry **table, const char *text)
{
        size_t bytes = strlen(text) + 1;
        struct entry *entry;

        HASH_FIND_STR(*table, text, entry);
        if (entry || !(entry = calloc(1, sizeof *entry + bytes)))
                return NULL;
        memcpy(entry->text, text, bytes);
        HASH_ADD_STR(*table, text, entry);
        return entry;
}

static void add(struct crawl *crawl, const char *url)
{
        struct entry *entry;
        char host[URL_BYTES];

        host_of(url, host);
        HASH_FIND_STR(crawl->hosts, host, entry);
        if (!entry || !(entry = learn(&crawl->pages, url)))
                return;
        LL_APPEND(crawl->todo, entry);
        crawl->unfinished++;
        ouro_semaphore_release(&crawl->available);
}

/* Every href="..." of the text. */
static void add_links(struct crawl *crawl, const char *base, const char *text)
{
        char link[URL_BYTES], url[URL_BYTES];

        for (const char *at = text; (at = strcasestr(at, "href=")); at++) {
                const char *end = at[5] == '"' || at[5] == '\'' ? strchr(at + 6, at[5]) : NULL;

                if (!end || end - at >= URL_BYTES)
                        continue;
                snprintf(link, sizeof link, "%.*s", (int)(end - at - 6), at + 6);
                if (absolute(base, link, url))
                        add(crawl, url);
        }
}

/* ---- one answer ---- */

static int see_field(http_parser *parser, const char *text, size_t len)
{
        struct answer *answer = parser->data;

        answer->field = text;
        answer->field_len = len;
        return 0;
}

/* The head is parsed in one piece, so that a value is one, too. */
static int see_value(http_parser *parser, const char *text, size_t len)
{
        struct answer *answer = parser->data;

        if (answer->field_len == 12 && strncasecmp(answer->field, "content-type", 12) == 0)
                answer->html = strncasecmp(text, "text/html", 9) == 0;
        if (answer->field_len == 8 && strncasecmp(answer->field, "location", 8) == 0)
                snprintf(answer->location, sizeof answer->location, "%.*s", (int)len, text);
        return 0;
}

static int add_body(http_parser *parser, const char *text, size_t len)
{
        struct answer *answer = parser->data;
        size_t whole = answer->body_len + len;
        char *body = whole < BODY_MOST ? realloc(answer->body, whole + 1) : NULL;

        if (!body)
                return 1; /* ends the parsing */
        memcpy(body + answer->body_len, text, len);
        answer->body = body;
        answer->body_len = whole;
        body[whole] = '\0';
        return 0;
}

static const http_parser_settings settings = {
        .on_header_field = see_field,
        .on_header_value = see_value,
        .on_body = add_body,
};

/* ---- fetching ---- */

/* Sends the request and reads the answer. The status, or an error. */
static int talk(ouro_stream *stream, const char *url, struct answer *answer)
{
        char host[URL_BYTES];
        http_parser parser;
        const void *data;
        ssize_t n;

        host_of(url, host);
        n = ouro_stream_printf(stream, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                               url + 7 + strlen(host), host);
        if (n == 0)
                n = ouro_stream_read_until(stream, "\r\n\r\n", 4, 0, (const char **)&data);
        http_parser_init(&parser, HTTP_RESPONSE);
        parser.data = answer;
        while (n >= 0) {
                if (http_parser_execute(&parser, &settings, data, (size_t)n) != (size_t)n)
                        return -EPROTO;
                if (n == 0) /* the end; the parser has not minded it */
                        return (int)parser.status_code;
                n = ouro_stream_peek(stream, 1, &data);
                if (n > 0)
                        ouro_stream_consume(stream, (size_t)n); /* it stays in place until the next read */
        }
        return (int)n;
}

static int fetch(const char *url, struct answer *answer)
{
        char host[URL_BYTES], address[URL_BYTES + 8];
        ouro_stream *stream;
        int fd, result;

        host_of(url, host);
        snprintf(address, sizeof address, "tcp:%s", host);
        fd = ouro_dial(address);
        result = fd < 0 ? fd : ouro_stream_open(fd, NULL, &stream);
        if (result < 0) {
                ouro_close(fd);
                return result;
        }
        result = talk(stream, url, answer);
        ouro_stream_abort(stream, false); /* nothing that is kept back matters */
        return result;
}

static void visit(struct crawl *crawl, const char *url)
{
        struct answer answer = {0};
        char link[URL_BYTES];
        int status = 0;

        OURO_TIMEOUT(crawl->page_ns)
                status = fetch(url, &answer);
        *(status < 0 ? &crawl->failed : &crawl->fetched) += 1;
        if (status < 0)
                printf("%s %s\n", strerror(-status), url);
        else
                printf("%d %zu %s\n", status, answer.body_len, url);
        if (status >= 0 && answer.html && answer.body)
                add_links(crawl, url, answer.body);
        if (status >= 0 && answer.location[0] && absolute(url, answer.location, link))
                add(crawl, link);
        free(answer.body);
}

static intptr_t work(void *arg)
{
        struct crawl *crawl = arg;

        while (ouro_semaphore_acquire(&crawl->available) == 0 && crawl->todo) {
                struct entry *page = crawl->todo;

                LL_DELETE(crawl->todo, page);
                visit(crawl, page->text);
                if (--crawl->unfinished == 0)
                        ouro_semaphore_release_n(&crawl->available, crawl->workers);
        }
        return 0;
}

/* ---- all of it ---- */

static void forget(struct entry **table)
{
        struct entry *entry, *next;

        HASH_ITER(hh, *table, entry, next)
        {
                HASH_DEL(*table, entry);
                free(entry);
        }
}

static intptr_t crawl_all(void *arg)
{
        struct crawl *crawl = arg;
        char url[URL_BYTES], host[URL_BYTES];
        bool late = false;

        for (char **at = crawl->urls; *at; at++)
                if (absolute(NULL, *at, url)) {
                        host_of(url, host);
                        learn(&crawl->hosts, host);
                        add(crawl, url);
                }
        OURO_TIMEOUT(crawl->all_ns, &late)
                OURO_GROUP(group)
                        for (size_t i = 0; i < crawl->workers && crawl->unfinished > 0; i++)
                                ouro_create_task_in(group, work, crawl);
        printf("%zu pages, %zu failed%s\n", crawl->fetched, crawl->failed, late ? ", out of time" : "");
        forget(&crawl->pages);
        forget(&crawl->hosts);
        return late ? -ETIME : 0;
}

int main(int argc, char **argv)
{
        struct crawl crawl = {.workers = 16, .page_ns = OURO_SEC(10), .all_ns = OURO_FOREVER};
        int letter;

        while ((letter = getopt(argc, argv, "n:t:a:")) > 0 && letter != '?')
                if (letter == 'n')
                        crawl.workers = strtoul(optarg, NULL, 10);
                else
                        *(letter == 't' ? &crawl.page_ns : &crawl.all_ns) = (int64_t)(atof(optarg) * 1e9);
        crawl.urls = argv + optind;
        if (letter == '?' || crawl.workers == 0 || !crawl.urls[0])
                return fputs("usage: crawler [-n WORKERS] [-t SECONDS] [-a SECONDS] http://HOST/ ...\n",
                             stderr),
                       2;
        return ouro_run(crawl_all, &crawl) < 0;
}
