/* epoll.h - the epoll backend's state, and the way of an op through it. */
#ifndef OURO_RING_EPOLL_H
#define OURO_RING_EPOLL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "ring/helpers.h"
#include "ring/op.h"
#include "ring/watch.h"

struct ring;

enum { EPOLL_BATCH = 64 };

struct epoll {
        int fd;
        int wake_fd;
        bool has_pwait2; /* waits in ns */
        atomic_bool sleeping;
        atomic_bool woken;
        struct ring *ring;
        struct watches watches;
        struct ouro_list done;
        struct ouro_list later;
        int64_t later_ns;  /* when to try those again */
        size_t helped_len; /* ops with the helpers */
        struct helpers helpers;
        struct epoll_event events[EPOLL_BATCH];
};

/* CLOCK_MONOTONIC */
int64_t epoll_now_ns(void);

/* ---- flow.c; what is finished lies in epoll->done, with op->res set ---- */

/* Takes an op that has just been submitted. */
void flow_begin(struct epoll *epoll, struct op *op);

/* Ends it if it waits for something. */
void flow_cancel(struct epoll *epoll, struct op *op);

/* A descriptor has changed. */
void flow_event(struct epoll *epoll, const struct epoll_event *event);

/* Takes back what helpers have finished. */
void flow_collect(struct epoll *epoll);

/* Tries again what no event announces, when it is time. */
void flow_later(struct epoll *epoll);

#endif
