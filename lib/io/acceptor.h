/* acceptor.h - connections of one listener, one after the other, by a multishot accept where there is one.
 *
 *      struct acceptor acceptor;
 *
 *      acceptor_open(&acceptor, listener);
 *      while ((fd = acceptor_next(&acceptor)) >= 0)
 *              ...
 *      acceptor_close(&acceptor);
 *
 * One entry then serves for all connections to come. The kernel accepts them before anybody asks: those wait
 * in queue, of which there are at most a few more than QUEUED_MOST, since it is told to stop then. */
#ifndef OURO_IO_ACCEPTOR_H
#define OURO_IO_ACCEPTOR_H

#include "base/list.h"
#include "ring/op.h"

enum { ACCEPTOR_QUEUED_MOST = 64 };

struct acceptor {
        struct op op; /* the multishot; under way as long as it is armed */
        int listener;
        int error;     /* the next call returns it; 0: none */
        bool closed;   /* the listener has been: for good */
        bool one_shot; /* there is no multishot here */
        bool closing;  /* by acceptor_close(), which waits for the op in closer */
        struct coro *closer;
        struct ouro_list waiting; /* coroutines in acceptor_next() */
        int *queue;               /* accepted, and not asked for yet: a ring of places */
        unsigned places, first, queued;
};

/* The listener stays the caller's, to be closed after the acceptor. 0, -EPERM, -EBADF. Does not wait. */
int acceptor_open(struct acceptor *acceptor, int listener);

/* A connected descriptor, close-on-exec; or as ouro_accept(). A cancellation point. With -EMFILE, -ENFILE,
 * -ENOBUFS or -ENOMEM the next call tries again at once: back off before it. -EBADF: the listener has been
 * closed, and each connection that was accepted before has been handed over. */
int acceptor_next(struct acceptor *acceptor);

/* Connections in the queue are closed. Nobody is in acceptor_next(). Never cut short. */
void acceptor_close(struct acceptor *acceptor);

#endif
