/* receiver.h - a connection that is received from by a multishot receive. */
#ifndef OURO_IO_RECEIVER_H
#define OURO_IO_RECEIVER_H

#include "ring/buffers.h"
#include "ring/ring.h"

struct ouro_receiver {
        struct op op; /* the multishot; under way while it is armed */
        struct buffers *buffers;
        struct fd_hold hold; /* of fd, until it is closed: a number may be another file's then */
        int fd;
        int flags;       /* of the multishot */
        int error;       /* the next call returns it; 0: none */
        unsigned most;   /* queued, and the kernel is told to stop */
        unsigned queued; /* held buffers that nobody has asked for: first to last, by note->next_free */
        uint32_t first, last;
        unsigned armed;    /* how often, for tests */
        bool one_shot;     /* there is no multishot here */
        bool short_of_one; /* the kernel found no buffer: the next receive waits for one in order */
        bool at_end;
        bool receiving;      /* somebody is in next(), by an ouro_recv_buf() */
        bool closed;         /* fd has been */
        struct coro *waiter; /* in next() */
        struct coro *closer; /* in close() */
};

#endif
