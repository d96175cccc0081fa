/* curl.c - a library of callbacks, driven by a task: libcurl's multi interface, beside a server made with
 * ouro.
 *
 * One task owns the multi handle and alone calls it (drive), so that nothing is entered twice. libcurl's
 * callbacks only note which descriptors and which time it wants; the task waits for all of them at once. To
 * others a transfer is an ordinary call, fetch(), that waits and can be cut short. */
#include <ouro.h>

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { SOCKETS_MOST = 64, STACK_BYTES = 256 * 1024 /* libcurl is not written for small stacks */ };

struct fetch {
        struct fetch *next; /* in web->fetches, until it has ended */
        CURL *easy;
        long status; /* of HTTP */
        size_t len;  /* of the body */
        bool added;
        bool unwanted; /* its caller gave up */
        CURLcode result;
        struct ouro_event ended;
};

struct web {
        CURLM *multi;
        struct fetch *fetches;
        struct ouro_event news; /* a fetch is new, or unwanted */
        int64_t timer_ns;       /* when libcurl wants to be called; OURO_FOREVER: not */
        size_t sockets_len;
        struct {
                int fd;
                unsigned events;
        } sockets[SOCKETS_MOST];
        bool closed;
};

/* ---- what libcurl calls ---- */

static int socket_changes(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
        struct web *web = arg;
        size_t i = 0;

        (void)easy, (void)unused;
        while (i < web->sockets_len && web->sockets[i].fd != fd)
                i++;
        if (what == CURL_POLL_REMOVE) { /* libcurl closes it now: nobody polls it, since we run */
                if (i < web->sockets_len)
                        web->sockets[i] = web->sockets[--web->sockets_len];
                return 0;
        }
        if (i == SOCKETS_MOST)
                return -1; /* libcurl fails the transfers */
        if (i == web->sockets_len)
                web->sockets_len++;
        web->sockets[i].fd = fd;
        web->sockets[i].events = (what & CURL_POLL_IN ? POLLIN : 0u) | (what & CURL_POLL_OUT ? POLLOUT : 0u);
        return 0;
}

static int timer_changes(CURLM *multi, long ms, void *arg)
{
        struct web *web = arg;

        (void)multi;
        web->timer_ns = ms < 0 ? OURO_FOREVER : ouro_now() + OURO_MS(ms);
        return 0;
}

static size_t body_comes(char *bytes, size_t one, size_t n, void *arg)
{
        struct fetch *fetch = arg;

        (void)bytes;
        fetch->len += one * n;
        return one * n;
}

/* ---- the task that drives it ---- */

static void end_fetch(struct web *web, struct fetch *fetch, CURLcode result)
{
        struct fetch **at = &web->fetches;

        while (*at != fetch)
                at = &(*at)->next;
        *at = fetch->next;
        if (fetch->added)
                curl_multi_remove_handle(web->multi, fetch->easy);
        fetch->result = result;
        ouro_event_set(&fetch->ended);
}

static void take_news(struct web *web)
{
        struct fetch *next;

        ouro_event_clear(&web->news);
        for (struct fetch *fetch = web->fetches; fetch; fetch = next) {
                next = fetch->next;
                if (fetch->unwanted) {
                        end_fetch(web, fetch, CURLE_ABORTED_BY_CALLBACK);
                } else if (!fetch->added) {
                        fetch->added = curl_multi_add_handle(web->multi, fetch->easy) == CURLM_OK;
                        if (!fetch->added)
                                end_fetch(web, fetch, CURLE_OUT_OF_MEMORY);
                }
        }
}

static void take_results(struct web *web)
{
        struct CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(web->multi, &left))) {
                CURLcode result = message->data.result; /* the message is gone with its handle */
                char *fetch;

                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
                curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE,
                                  &((struct fetch *)fetch)->status);
                end_fetch(web, (struct fetch *)fetch, result);
        }
}

static void tell_socket(struct web *web, int fd, int events)
{
        int mask = 0, running;

        if (events < 0 || (events & (POLLERR | POLLHUP)))
                mask |= CURL_CSELECT_ERR;
        if (events > 0 && (events & POLLIN))
                mask |= CURL_CSELECT_IN;
        if (events > 0 && (events & POLLOUT))
                mask |= CURL_CSELECT_OUT;
        curl_multi_socket_action(web->multi, fd, mask, &running);
}

/* Waits for whatever comes first, and tells libcurl of it. */
static int step(struct web *web)
{
        struct ouro_case cases[SOCKETS_MOST + 2];
        size_t n = web->sockets_len;
        int64_t left_ns = web->timer_ns == OURO_FOREVER ? OURO_FOREVER : web->timer_ns - ouro_now();
        ssize_t done;
        int running;

        for (size_t i = 0; i < n; i++)
                cases[i] = OURO_CASE_READY(web->sockets[i].fd, web->sockets[i].events);
        cases[n] = OURO_CASE_EVENT(&web->news);
        cases[n + 1] = OURO_CASE_AFTER(left_ns);
        done = ouro_select(cases, n + 2);
        if (done < 0)
                return (int)done;
        if ((size_t)done < n) {
                tell_socket(web, web->sockets[done].fd, cases[done].result);
        } else if ((size_t)done == n) {
                take_news(web);
        } else {
                web->timer_ns = OURO_FOREVER; /* one-shot: libcurl asks again if it likes */
                curl_multi_socket_action(web->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        take_results(web);
        return 0;
}

static intptr_t drive(void *arg)
{
        struct web *web = arg;
        int error;

        do
                error = step(web);
        while (error == 0);
        web->closed = true;
        while (web->fetches)
                end_fetch(web, web->fetches, CURLE_ABORTED_BY_CALLBACK);
        curl_multi_cleanup(web->multi);
        return error;
}

/* Runs in group, until that is cancelled. */
static int web_open(struct web *web, struct ouro_group *group)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        web->timer_ns = OURO_FOREVER;
        web->multi = curl_multi_init();
        if (!web->multi)
                return -ENOMEM;
        curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, socket_changes);
        curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
        curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, timer_changes);
        curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
        options.group = group;
        options.stack_bytes = STACK_BYTES;
        if (ouro_task_state(ouro_create_task_with(&options, drive, web)) != OURO_STATE_ENDED)
                return 0;
        curl_multi_cleanup(web->multi); /* the task could not be created */
        return -ENOMEM;
}

/* ---- what other tasks call ---- */

static int errno_of(CURLcode result)
{
        switch (result) {
        case CURLE_OK:
                return 0;
        case CURLE_COULDNT_CONNECT:
                return -ECONNREFUSED;
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        case CURLE_ABORTED_BY_CALLBACK:
                return -ECANCELED;
        default:
                return -EIO;
        }
}

/* The transfer is the driver's until it has ended: also when our own wait is cut short, we wait for that. */
static int wait_for(struct web *web, struct fetch *fetch)
{
        int cut = ouro_event_wait(&fetch->ended);

        if (cut == 0)
                return errno_of(fetch->result);
        OURO_SHIELD
        {
                fetch->unwanted = true;
                ouro_event_set(&web->news);
                ouro_event_wait(&fetch->ended);
        }
        return fetch->result == CURLE_OK ? 0 : cut; /* it had succeeded after all */
}

/* Gets a page: 0 and what is known of it, or a negated errno. */
static int fetch(struct web *web, const char *url, long *ret_status, size_t *ret_len)
{
        struct fetch fetch = {.easy = curl_easy_init()};
        int error;

        if (!fetch.easy)
                return -ENOMEM;
        curl_easy_setopt(fetch.easy, CURLOPT_URL, url);
        curl_easy_setopt(fetch.easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(fetch.easy, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(fetch.easy, CURLOPT_PRIVATE, &fetch);
        curl_easy_setopt(fetch.easy, CURLOPT_WRITEFUNCTION, body_comes);
        curl_easy_setopt(fetch.easy, CURLOPT_WRITEDATA, &fetch);
        if (web->closed) {
                error = -ESHUTDOWN;
        } else {
                fetch.next = web->fetches;
                web->fetches = &fetch;
                ouro_event_set(&web->news);
                error = wait_for(web, &fetch);
        }
        curl_easy_cleanup(fetch.easy);
        if (error == 0) {
                *ret_status = fetch.status;
                *ret_len = fetch.len;
        }
        return error;
}

/* ---- a server to talk to ---- */

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static const char large[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n";
static const char zeros[100000];

static intptr_t answer(void *arg)
{
        int fd = (int)(intptr_t)arg, error = 0;
        char request[2048] = "";
        size_t len = 0;

        while (error == 0 && !strstr(request, "\r\n\r\n") && len < sizeof request - 1) {
                ssize_t n = ouro_recv(fd, request + len, sizeof request - 1 - len, 0);

                if (n <= 0)
                        error = n < 0 ? (int)n : -ENODATA;
                else
                        len += (size_t)n;
        }
        if (error < 0) {
                ; /* the client has gone */
        } else if (strncmp(request, "GET /hello ", 11) == 0) {
                error = ouro_send_all(fd, hello, sizeof hello - 1, NULL);
        } else if (strncmp(request, "GET /large ", 11) == 0) {
                error = ouro_send_all(fd, large, sizeof large - 1, NULL);
                for (int i = 0; error == 0 && i < 10; i++)
                        error = ouro_send_all(fd, zeros, sizeof zeros, NULL);
        } else if (strncmp(request, "GET /never ", 11) == 0) {
                error = ouro_poll(fd, POLLRDHUP); /* until the client gives up */
        } else {
                error = ouro_send_all(fd, missing, sizeof missing - 1, NULL);
        }
        ouro_close(fd);
        return 0; /* what went wrong is this client's affair */
}

static intptr_t serve(void *arg)
{
        int listener = (int)(intptr_t)arg, fd;

        while ((fd = ouro_accept(listener, NULL, NULL)) >= 0)
                if (ouro_go(answer, (void *)(intptr_t)fd) < 0)
                        ouro_close(fd);
        ouro_close(listener);
        return fd;
}

/* ---- trying it ---- */

struct page {
        struct web *web;
        const char *path;
        int port, error;
        long status;
        size_t len;
};

static intptr_t get(void *arg)
{
        struct page *page = arg;
        char url[64];

        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", page->port, page->path);
        page->error = fetch(page->web, url, &page->status, &page->len);
        return 0;
}

static void tell(const struct page *page)
{
        if (page->error < 0)
                printf("%-8s %s\n", page->path, strerror(-page->error));
        else
                printf("%-8s %ld, %zu bytes\n", page->path, page->status, page->len);
}

static void try_all(struct web *web, int port)
{
        struct page pages[] = {{.path = "/hello"}, {.path = "/large"}, {.path = "/nowhere"}};
        struct page never = {web, "/never", port, 0, 0, 0}, refused = {web, "/", 1, 0, 0, 0};
        ouro_task tasks[3], cancelled;

        puts("three at once:");
        for (int i = 0; i < 3; i++) {
                pages[i].web = web;
                pages[i].port = port;
                tasks[i] = ouro_create_task(get, &pages[i]);
        }
        ouro_gather(tasks, 3, NULL);
        for (int i = 0; i < 3; i++)
                tell(&pages[i]);
        puts("no answer, with a deadline:");
        OURO_TIMEOUT(OURO_MS(50))
                get(&never);
        tell(&never);
        puts("no answer, and cancelled:");
        cancelled = ouro_create_task(get, &never);
        ouro_sleep(OURO_MS(10));
        ouro_cancel(cancelled);
        ouro_await(cancelled);
        tell(&never);
        puts("nobody there:");
        get(&refused);
        tell(&refused);
}

static intptr_t main_task(void *arg)
{
        struct web web = {0}; /* before the group: its members borrow it */
        struct sockaddr_in addr;
        socklen_t len = sizeof addr;
        int listener = ouro_listen("tcp:127.0.0.1:0"), error = 0;

        (void)arg;
        if (listener < 0)
                return listener;
        getsockname(listener, (struct sockaddr *)&addr, &len);
        OURO_GROUP(group) {
                ouro_create_task_in(group, serve, (void *)(intptr_t)listener);
                error = web_open(&web, group);
                if (error == 0)
                        try_all(&web, ntohs(addr.sin_port));
                ouro_group_cancel(group);
        }
        return error;
}

int main(void)
{
        intptr_t result;

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return 1;
        result = ouro_run(main_task, NULL);
        curl_global_cleanup();
        return result < 0;
}
