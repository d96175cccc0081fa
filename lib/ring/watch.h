/* watch.h - descriptors that ops wait on, each with one registration in epoll and one queue.
 *
 * Registrations are edge-triggered: an op waits only after a try that found nothing, and each later change
 * is told.
 *
 * A descriptor may be closed behind our back, and its number used anew; the kernel then drops the
 * registration without a word. Therefore each op that begins to wait renews it: if it turns out to be gone,
 * so is what the ops before it were waiting on. */
#ifndef OURO_RING_WATCH_H
#define OURO_RING_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ring/op.h"

/* Of one descriptor, from the first op that waited on it until the backend closes. */
struct watch {
        struct ouro_list waiting; /* ops, in PLACE_WATCH, in the order in which they came */
        int fd;
        uint32_t generation;  /* of the registration: an event of an older one is told by it */
        uint32_t events;      /* that it asks for, while ops wait */
        uint32_t in_len;      /* ops in waiting whose turn is POLLIN */
        uint32_t out_len;     /* or POLLOUT */
        unsigned helped;      /* POLLIN, POLLOUT: a helper does the turn */
        uint32_t at_position; /* ops at the file's position that helpers do; a hint */
        bool registered;      /* as far as we know */
        bool emptied;         /* the last receive left nothing behind; a hint */
        uint8_t stream;       /* WATCH_STREAM_... */
};

enum {
        WATCH_STREAM_UNKNOWN,
        WATCH_STREAM_NO,
        WATCH_STREAM_YES, /* less than was asked for was all there was */
};

struct watches {
        int epoll_fd;
        uint32_t len;
        struct watch **by_fd;
};

#define WATCH_NONE UINT64_MAX /* the data of an event that belongs to no watch */

/* NULL: none. */
struct watch *watch_find(const struct watches *watches, int fd);

/* NULL: no memory. */
struct watch *watch_get(struct watches *watches, int fd);

/* Of the data of an event; NULL: of none that is still there. */
struct watch *watch_of(const struct watches *watches, uint64_t data);

/* From now on each of events is told, and at once if it is there already. What was waiting on a descriptor
 * that is gone goes to lost. 0 or a negated errno of epoll_ctl(2). */
int watch_arm(struct watches *watches, struct watch *watch, uint32_t events, struct ouro_list *lost);

/* Nothing is told any more. */
void watch_forget(struct watches *watches, struct watch *watch);

void watch_put(struct watch *watch, struct op *op);
void watch_take(struct watch *watch, struct op *op);

/* Moves all that waits to the back of ops. */
void watch_empty(struct watch *watch, struct ouro_list *ops);

/* Does an op of this turn wait? */
bool watch_has_turn(const struct watch *watch, unsigned turn);

void watches_free(struct watches *watches);

#endif
