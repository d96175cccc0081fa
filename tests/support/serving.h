/* serving.h - a server beside a test's own task, and its clients.
 *
 *      struct serving serving = SERVING(handler);
 *
 *      serving_begin(&serving);
 *      int fd = serving_dial(&serving);
 *      ...
 *      EQ(serving_end(&serving), 0);
 *
 * Handlers are given the struct serving. Set its options before serving_begin(). */
#ifndef OURO_TESTS_SUPPORT_SERVING_H
#define OURO_TESTS_SUPPORT_SERVING_H

#include <errno.h>

#include "support/in_loop.h"

enum { SERVING_NOTES = 64 };

struct serving {
        struct ouro_serve_options options;
        ouro_serve_fd_fn *fn; /* one of the two */
        ouro_serve_fn *stream_fn;
        const char *at; /* NULL: a port of the kernel's choice */
        ouro_server *server;
        ouro_task task;
        char address[192];
        struct ouro_event ready;
        intptr_t notes[SERVING_NOTES]; /* what handlers have to tell, in order */
        int notes_len;
        struct ouro_event noted;
};

#define SERVING(handler)                                                                                     \
        {                                                                                                    \
                .options = OURO_SERVE_OPTIONS_INIT, .fn = (handler)                                          \
        }

#define SERVING_STREAMS(handler)                                                                             \
        {                                                                                                    \
                .options = OURO_SERVE_OPTIONS_INIT, .stream_fn = (handler)                                   \
        }

static inline void serving_note(struct serving *serving, intptr_t note)
{
        cr_assert(serving->notes_len < SERVING_NOTES);
        serving->notes[serving->notes_len++] = note;
        ouro_event_set(&serving->noted);
}

static inline void serving_await_notes(struct serving *serving, int n)
{
        while (serving->notes_len < n) {
                ouro_event_clear(&serving->noted);
                EQ(ouro_event_wait(&serving->noted), 0);
        }
}

static inline int serving_is_ready(ouro_server *server, void *arg)
{
        struct serving *serving = arg;

        serving->server = server;
        cr_assert(ouro_serve_address(server, 0, serving->address, sizeof serving->address) > 0);
        ouro_event_set(&serving->ready);
        return 0;
}

static inline intptr_t serving_body(void *arg)
{
        struct serving *serving = arg;
        const char *at = serving->at ? serving->at : "tcp:127.0.0.1:0";
        int result;

        if (serving->stream_fn)
                result = ouro_serve(at, serving->stream_fn, serving, &serving->options);
        else
                result = ouro_serve_fd(at, serving->fn, serving, &serving->options);

        ouro_event_set(&serving->ready);
        return result;
}

static inline void serving_begin(struct serving *serving)
{
        if (!serving->options.on_ready)
                serving->options.on_ready = serving_is_ready;
        serving->task = ouro_create_task(serving_body, serving);
        EQ(ouro_event_wait(&serving->ready), 0);
        cr_assert_not_null(serving->server);
}

static inline int serving_dial(const struct serving *serving)
{
        int fd = ouro_dial(serving->address);

        if (fd < 0)
                cr_assert_fail("%s: error %d", serving->address, -fd);
        return fd;
}

static inline intptr_t serving_end(struct serving *serving)
{
        EQ(ouro_serve_stop(serving->server), 0);
        return ouro_await(serving->task);
}

static inline struct ouro_serve_counts serving_stats(const struct serving *serving)
{
        struct ouro_serve_counts stats = OURO_SERVE_COUNTS_INIT;

        EQ(ouro_serve_stats(serving->server, &stats), 0);
        return stats;
}

/* ---- handlers ---- */

/* Sends everything back until the peer ends its side. */
static inline intptr_t serving_echo(int fd, void *arg)
{
        char buf[4096];
        ssize_t n;

        (void)arg;
        while ((n = ouro_recv(fd, buf, sizeof buf, 0)) > 0)
                if ((n = ouro_send_all(fd, buf, (size_t)n, NULL)) < 0)
                        break;
        return n;
}

/* Receives until the end, and notes how that came. */
static inline intptr_t serving_listen_only(int fd, void *arg)
{
        char buf[4096];
        ssize_t n;

        while ((n = ouro_recv(fd, buf, sizeof buf, 0)) > 0)
                ;
        serving_note(arg, n);
        return n;
}

/* ---- clients ---- */

/* The server's side has ended, maybe by a reset. */
static inline void expect_end(int fd)
{
        char byte;
        ssize_t n = ouro_recv(fd, &byte, 1, 0);

        if (n != 0 && n != -ECONNRESET)
                cr_assert_fail("the end was expected, not %zd", n);
}

static inline void expect_echo(int fd, const char *text)
{
        char buf[256];
        size_t len = strlen(text);

        EQ(ouro_send_all(fd, text, len, NULL), 0);
        EQ(ouro_recv_all(fd, buf, len, NULL), 0);
        EQ(memcmp(buf, text, len), 0);
}

/* Closes it so that the peer sees a reset. */
static inline void reset(int fd)
{
        const struct linger linger = {1, 0};

        EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        EQ(ouro_close(fd), 0);
}

#endif
