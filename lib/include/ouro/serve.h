/* ouro/serve.h - servers: a task for each connection, within limits, until they are told to stop. Included by
 * ouro.h, whose conventions hold. */
#ifndef OURO_SERVE_H
#define OURO_SERVE_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- servers ---------------------------------------------------------------------------------- */

/* A server listens, accepts, and runs a handler for each connection in a task of its own. The task that calls
 * ouro_serve() waits in it until the server has ended, and the connections' tasks belong to a group of that
 * call: when it returns, none is left.
 *
 * Limits. A connection that has moved no byte either way for idle_ns, or that is older than total_ns, has the
 * waits of its handler end with -ETIME, as by a time scope around it: groups that it has open end with
 * -ETIME, too, and their members are cancelled; what is to be said to the peer then is said in a shield with
 * a deadline. Bytes are seen where they go through the connection's own descriptor, through whatever stream;
 * a look at it is taken four times in idle_ns, so that a silence of idle_ns is noticed at most a quarter of
 * it late.
 *
 * Short of descriptors or memory (-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS) a server says so through the log hook
 * (at most once a second), lets connections wait to be accepted, and tries again when one has ended, or after
 * a while: 5 ms, then longer, at most one second. An error of accept4(2) that belongs to one connection is
 * that one's end.
 *
 * Stopping. A server that is told to stop (ouro_serve_stop(), or a signal, see signals) accepts no more and
 * closes what it listens on. Handlers can ask ouro_serve_stopping(); those that wait for the peer's next
 * request have that wait ended, see OURO_SERVE_REST. Those that are still there after drain_ns are cancelled.
 * If the caller of ouro_serve() is cancelled instead, they are cancelled at once. */
typedef struct ouro_server ouro_server;
typedef struct ouro_stream ouro_stream;

/* Serves one connection. Less than zero: it failed. See struct ouro_serve_counts for what that leads to. */
typedef intptr_t ouro_serve_fn(ouro_stream *stream, void *arg);
typedef intptr_t ouro_serve_fd_fn(int fd, void *arg);

/* What a server does while it has as many connections as it may. */
enum ouro_serve_full {
        OURO_SERVE_WAIT,   /* accepts none: they wait in the kernel's backlog */
        OURO_SERVE_REFUSE, /* accepts them, and closes them at once */
};

/* How a server is run. Begin with OURO_SERVE_OPTIONS_INIT; zero always means the default. */
struct ouro_serve_options {
        size_t size;                  /* sizeof(struct ouro_serve_options) */
        const char *const *addresses; /* to listen on as well; see ouro_listen() */
        size_t addresses_len;         /* how many; default: none */
        const int *listeners;         /* listening sockets to accept from as well, which stay the caller's */
        size_t listeners_len;         /* how many; default: none */
        size_t connections;           /* at once; default: no bound but that of descriptors and memory */
        size_t memory_bytes;          /* for the stacks of the connections' tasks and the buffers of their
                                         streams: bounds the connections, too. Default: no bound */
        enum ouro_serve_full when_full; /* default: they wait */
        int64_t idle_ns;                /* without a byte either way; default: no limit */
        int64_t total_ns;               /* of a connection, from its start; default: no limit */
        int64_t drain_ns; /* from being told to stop until what is left is cancelled; default 30 s,
                             OURO_FOREVER: no limit, less than zero: at once */
        unsigned signals; /* OURO_INTERRUPT_...: the first tells the server to stop, the second
                             cancels what is left; default: none. Both are blocked in this thread
                             meanwhile, see ouro_signals_open() */
        const struct ouro_listen_options *listen; /* how to listen on the addresses: OURO_LISTEN_REUSE_PORT
                                                     lets several servers, of several loops, share one */
        bool stop_on_failure; /* the first handler that failed ends the server, with its error */
        size_t stack_bytes;   /* of the connections' tasks; default: that of the run */
        const char *name;     /* of these tasks, borrowed meanwhile; default: "connection" */
        const struct ouro_stream_options *stream; /* of the connections' streams */
        /* Turns the stream of a connection into the one that its handler gets, as ouro_tls_upgrade() does:
         * called before the handler, in the same task, within the limits; a stop ends its waits, as by
         * OURO_SERVE_REST. The new stream owns the one below.
         * Less than zero: the connection has failed, and below is as it was. Default: none */
        int (*upgrade)(ouro_stream *below, void *upgrade_arg, ouro_stream **ret_stream);
        void *upgrade_arg;
        /* Called once all addresses are listened on, by the task that called ouro_serve(), with its arg. Less
         * than zero ends the server, with that error. Default: none */
        int (*on_ready)(ouro_server *server, void *arg);
};

#define OURO_SERVE_OPTIONS_INIT OURO_SIZED_(struct ouro_serve_options)

/**
 * ouro_serve - serve connections as streams
 * @address: to listen on, see ouro_listen(); NULL: only those of the options
 * @fn: called for each connection, in a task of its own, with a stream that it is lent. When it has returned,
 * the stream is closed; with a result of zero or more it is flushed first, and an error of that is the
 * result.
 * @arg: passed to it
 * @options: see struct ouro_serve_options; NULL for the defaults. Read before the call waits; what they point
 * to is borrowed until it returns.
 *
 * Waits until the server has been told to stop, and has ended.
 *
 * Returns: as ouro_serve_fd().
 */
OURO_API int ouro_serve(const char *address, ouro_serve_fn *fn, void *arg,
                        const struct ouro_serve_options *options);

/**
 * ouro_serve_fd - serve connections by their descriptors
 * @address: to listen on, see ouro_listen(); NULL: only those of the options
 * @fn: called for each connection, in a task of its own. The descriptor is closed when it has returned
 * @arg: passed to it
 * @options: see struct ouro_serve_options; NULL for the defaults. Read before the call waits; what they point
 * to is borrowed until it returns. Those for streams are passed over.
 *
 * The name of a unix socket that it has made is removed when it stops listening.
 *
 * Returns: 0: it was told to stop, and has ended; or
 *   -EINVAL: fn is NULL; nothing to listen on; an address is malformed, or a listener is no stream socket
 *     that listens; an option is out of range, or memory_bytes is too little for one connection
 *   -ECANCELED, -ETIME: the caller was cut short
 *   an errno of socket(2), bind(2) or listen(2): nothing was served
 *   an errno of accept4(2) that will not pass (-EBADF: somebody closed a listener): the server has stopped,
 *     as if told to
 *   the error of a handler, with stop_on_failure, or of on_ready
 *   -EMFILE, -ENFILE, -ENOMEM: it could not be started
 */
OURO_API int ouro_serve_fd(const char *address, ouro_serve_fd_fn *fn, void *arg,
                           const struct ouro_serve_options *options);

/**
 * ouro_serve_stop - tell a server to stop. Never waits.
 * @server: as given to on_ready, or from ouro_serve_self()
 *
 * See "Stopping" above. Once more: nothing more happens.
 *
 * Returns: 0; -EINVAL: server is NULL; -EPERM: on a thread that runs no loop and did not fork from the
 * server's process. Threads: from anywhere, as long as the server has not ended; from another one it takes
 * effect when the server's loop comes to it, and -ENOMEM or -ESHUTDOWN may be returned, as by ouro_post().
 */
OURO_API int ouro_serve_stop(ouro_server *server);

/**
 * ouro_serve_self - the server that the calling task works for
 *
 * Returns: the server of its connection, also for a task that a handler has created in a group; valid until
 * the server ends. NULL: there is none.
 */
OURO_API ouro_server *ouro_serve_self(void);

/**
 * ouro_serve_stopping - whether the calling task's server has been told to stop
 *
 * A handler that can answer many requests does not wait for another one then.
 *
 * Returns: whether it has; false outside a server.
 */
OURO_API bool ouro_serve_stopping(void);

/* What has happened in a server. Begin with OURO_SERVE_COUNTS_INIT. */
struct ouro_serve_counts {
        size_t size;       /* sizeof(struct ouro_serve_counts), set by the caller */
        size_t open;       /* connections now */
        size_t most_open;  /* at once, so far */
        uint64_t accepted; /* in all, also those refused */
        uint64_t refused;  /* closed at once: too many, or no memory for a task */
        uint64_t aborted;  /* ended before they were accepted, by what accept4(2) says */
        uint64_t served;   /* handler returned zero or more */
        uint64_t lost; /* it returned -EPIPE, -ECONNRESET or -ETIMEDOUT: the peer's or the network's doing */
        uint64_t timed_out; /* it returned an error once idle_ns or total_ns had cut it short */
        uint64_t cancelled; /* it returned -ECANCELED */
        uint64_t failed;    /* it returned another error; told through the log hook, at most once a second */
        uint64_t back_offs; /* times it was short of descriptors or memory */
};

#define OURO_SERVE_COUNTS_INIT OURO_SIZED_(struct ouro_serve_counts)

/**
 * ouro_serve_stats - what has happened in a server so far
 * @server: as given to on_ready, or from ouro_serve_self()
 * @ret_counts: its size set; the rest is filled in
 *
 * Returns: 0; -EINVAL: NULL, or the size is not set; -EPERM: another loop's.
 */
OURO_API int ouro_serve_stats(const ouro_server *server, struct ouro_serve_counts *ret_counts);

/**
 * ouro_serve_address - an address that a server listens on
 * @server: as given to on_ready, or from ouro_serve_self()
 * @i: from 0: that of the call first, then addresses, then listeners
 * @ret_text: as ouro_dial() takes it, with the port that the kernel chose
 * @len: bytes at ret_text; OURO_ADDRESS_TEXT are always enough
 *
 * Returns: the length without the NUL; -ENOENT: there is no such address, or the server listens no more;
 * -ENOSPC, -EILSEQ, -EAFNOSUPPORT: as ouro_address_format(); -EINVAL: NULL; -EPERM: another loop's.
 */
OURO_API int ouro_serve_address(const ouro_server *server, size_t i, char *ret_text, size_t len);

/**
 * ouro_serve_listener - a socket that a server accepts from
 * @server: as given to on_ready, or from ouro_serve_self()
 * @i: from 0, as ouro_serve_address()
 *
 * For options of it, or its address. It stays the server's.
 *
 * Returns: the descriptor; -ENOENT: there is none, or the server listens no more; -EINVAL: NULL; -EPERM.
 */
OURO_API int ouro_serve_listener(const ouro_server *server, size_t i);

/* The wait for a next request; its fields are the library's. */
struct ouro_serve_rest {
        struct ouro_scope scope;
        struct ouro_list link;
};

/**
 * OURO_SERVE_REST - a block in which a handler waits for the peer's next request
 *
 * OURO_SERVE_REST { n = ouro_recv(...); }: its waits end with -ECANCELED when the server is told to stop, or
 * at once if it has been, so that a peer that keeps a connection open for later does not hold up the end of
 * the server. What has arrived first is received. After the block the task's waits go on as before. Outside a
 * server it is a plain block. break and continue bind to it.
 */
#define OURO_SERVE_REST OURO_SERVE_REST_(OURO_UNIQUE(ouro_rest_))

/**
 * ouro_serve_rest_open - begin to wait for the next request, the function form of OURO_SERVE_REST
 * @rest: memory for it, to stay in place until it is closed
 *
 * Returns: rest; outside a task one that is not open. NULL for NULL.
 */
OURO_API struct ouro_serve_rest *ouro_serve_rest_open(struct ouro_serve_rest *rest);

/**
 * ouro_serve_rest_close - end of the wait for the next request. Never waits.
 * @rest: the innermost scope that the caller has open
 *
 * Returns: 1 if the server's stop has ended it, else 0; -EINVAL (not the innermost, or not open) or -EPERM.
 */
OURO_API int ouro_serve_rest_close(struct ouro_serve_rest *rest);

/* ---- what the macros stand on ----------------------------------------------------------------- */

OURO_API void ouro_serve_rest_leave(struct ouro_serve_rest *rest);

#define OURO_SERVE_REST_(id)                                                                                 \
        for (struct ouro_serve_rest id __attribute__((cleanup(ouro_serve_rest_leave))),                      \
             *OURO_CONCAT(id, _p) = ouro_serve_rest_open(&id);                                               \
             OURO_CONCAT(id, _p) != NULL;                                                                    \
             ouro_serve_rest_close(OURO_CONCAT(id, _p)), OURO_CONCAT(id, _p) = NULL)

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
