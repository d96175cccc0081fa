/* serve.h - a server, as its parts see it.
 *
 *      the caller of ouro_serve()      waits for the stop, drains, ends                  serve.c
 *      acceptors, one a listener       in a group of the caller's, closed at the stop    serve_accept.c
 *      connections                     in another, closed at the end                     serve_connection.c
 *
 * All of it lives in the caller's frame or is freed by it: whatever runs here ends before the call returns.
 */
#ifndef OURO_IO_SERVE_H
#define OURO_IO_SERVE_H

#include <sys/un.h>

#include "io/acceptor.h"
#include "sync/sync.h"
#include "task/task.h"

struct connection {
        struct ouro_list link; /* in server->open */
        struct ouro_server *server;
        struct ouro_scope limits;
        int64_t moved_ns; /* when bytes were last seen, or it was accepted */
        int fd;
};

struct listener {
        struct ouro_server *server;
        struct acceptor acceptor; /* where the kernel may accept before there is somebody who asks */
        bool ahead;               /* it may, and acceptor is open */
        struct connection *spare; /* for the next one: nothing is accepted that there is no memory for */
        int64_t back_off_ns;
        unsigned errors;                       /* in a row */
        int fd;                                /* or -1 */
        bool made;                             /* here, and to be closed here */
        char path[sizeof(struct sockaddr_un)]; /* of a unix socket that was made here; and its file's: */
        dev_t device;
        ino_t inode;
};

struct ouro_server {
        struct ouro_server *next; /* of this thread's */
        struct ouro_loop *loop;
        uint64_t id; /* no other server of this process has had it */
        struct ouro_serve_options options;
        ouro_serve_fd_fn *fd_fn; /* one of the two */
        ouro_serve_fn *fn;
        void *arg;
        struct ouro_site site; /* the connections' */
        struct listener *listeners;
        size_t listeners_len;
        size_t listeners_room;
        ouro_signals *signals; /* that it heeds, or NULL */
        struct ouro_group connections;
        struct ouro_list open;
        struct ouro_list resting;  /* struct ouro_serve_rest */
        struct ouro_event told;    /* to stop */
        struct ouro_event changed; /* a connection has ended, or there is more hurry */
        struct loop_timer sweep;   /* looks for idle connections */
        size_t most;               /* connections at once */
        struct ouro_serve_counts stats;
        int64_t failure_told_ns;
        int64_t shortage_told_ns;
        uint64_t failures_untold;
        int error;     /* that ends it */
        bool stopping; /* told has been set */
        bool hurry;    /* no more draining */
        bool shortage; /* of descriptors or memory, in the last try */
};

/* ---- serve.c ---- */
void serve_stop(struct ouro_server *server, int error); /* the first error is kept */
void serve_hurry(struct ouro_server *server);

/* ---- serve_listen.c ---- */
int serve_listen(struct ouro_server *server, const char *address);
int serve_listen_on(struct ouro_server *server, int fd);
void serve_stop_listening(struct ouro_server *server);

/* ---- serve_accept.c ---- */
intptr_t serve_accept(void *listener); /* a task */

/* ---- serve_connection.c ---- */
int serve_connection(struct ouro_server *server, struct connection *connection, int fd); /* owns both */
void serve_watch_idle(struct ouro_server *server);
void serve_unwatch_idle(struct ouro_server *server);

/* ---- serve_ask.c ---- */
void serve_enter(struct ouro_server *server); /* among this thread's */
void serve_leave(struct ouro_server *server);
void serve_wake_resting(struct ouro_server *server);

#endif
