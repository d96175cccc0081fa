/* ouro/select.h - waiting for one of many things. Included by ouro.h, whose conventions hold. */
#ifndef OURO_SELECT_H
#define OURO_SELECT_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one of many ------------------------------------------------------------------------------ */

/* A case is one thing that may happen. It is made by the macros below, and lies where the caller likes, in an
 * array with the others; it may be used again as it is. Of the cases given to one call exactly one is done:
 *
 *      struct ouro_case cases[] = {
 *              OURO_CASE_RECV(requests, &request),
 *              OURO_CASE_SEND(results, &result),
 *              OURO_CASE_TASK(worker),
 *              OURO_CASE_AFTER(OURO_SEC(1)),
 *      };
 *
 *      switch (ouro_select(cases, 4)) {
 *      case 0: ...
 */
enum {
        OURO_CASE_IS_NEVER,
        OURO_CASE_IS_SEND,
        OURO_CASE_IS_RECV,
        OURO_CASE_IS_TASK,
        OURO_CASE_IS_AFTER,
        OURO_CASE_IS_READY,
        OURO_CASE_IS_EVENT
};

struct ouro_case {
        int kind;   /* OURO_CASE_IS_... */
        int result; /* of the case that was done: see the macros */
        union {
                struct {
                        ouro_chan *chan;
                        void *item; /* of a send, only read */
                } chan;
                ouro_task task;
                struct {
                        int fd;
                        unsigned events;
                } ready;
                int64_t after_ns;
                struct ouro_event *event;
        } of;
        void *place[4]; /* the library's, during a call */
};

static inline struct ouro_case ouro_case_never(void)
{
        struct ouro_case it = {OURO_CASE_IS_NEVER, 0, {{NULL, NULL}}, {NULL, NULL, NULL, NULL}};

        return it;
}

static inline struct ouro_case ouro_case_send(ouro_chan *chan, const void *item)
{
        struct ouro_case it = ouro_case_never();

        it.kind = OURO_CASE_IS_SEND;
        it.of.chan.chan = chan;
        it.of.chan.item = (void *)(uintptr_t)item;
        return it;
}

static inline struct ouro_case ouro_case_recv(ouro_chan *chan, void *ret_item)
{
        struct ouro_case it = ouro_case_never();

        it.kind = OURO_CASE_IS_RECV;
        it.of.chan.chan = chan;
        it.of.chan.item = ret_item;
        return it;
}

static inline struct ouro_case ouro_case_task(ouro_task task)
{
        struct ouro_case it = ouro_case_never();

        it.kind = OURO_CASE_IS_TASK;
        it.of.task = task;
        return it;
}

static inline struct ouro_case ouro_case_after(int64_t ns)
{
        struct ouro_case it = ouro_case_never();

        it.kind = OURO_CASE_IS_AFTER;
        it.of.after_ns = ns;
        return it;
}

static inline struct ouro_case ouro_case_ready(int fd, unsigned events)
{
        struct ouro_case it = ouro_case_never();

        it.kind = OURO_CASE_IS_READY;
        it.of.ready.fd = fd;
        it.of.ready.events = events;
        return it;
}

static inline struct ouro_case ouro_case_event(struct ouro_event *event)
{
        struct ouro_case it = ouro_case_never();

        it.kind = OURO_CASE_IS_EVENT;
        it.of.event = event;
        return it;
}

/**
 * OURO_CASE_SEND - a case of ouro_select(): an item is put into a channel
 * @chan: any channel
 * @item: what is put in; lent until the call returns
 *
 * Its result: 0, -EPIPE: closed, -ENOMEM: an unbounded one could not grow.
 */
#define OURO_CASE_SEND(chan, item) ouro_case_send((chan), (item))

/**
 * OURO_CASE_RECV - a case of ouro_select(): an item is taken out of a channel
 * @chan: any channel
 * @ret_item: where it goes; untouched unless the result is 0
 *
 * Its result: 0, -EPIPE: closed and drained.
 */
#define OURO_CASE_RECV(chan, ret_item) ouro_case_recv((chan), (ret_item))

/**
 * OURO_CASE_TASK - a case of ouro_select(): a task has ended
 * @task: any task of this loop whose result has not been consumed
 *
 * Its result: 0. What the task returned is still there for ouro_await().
 */
#define OURO_CASE_TASK(task) ouro_case_task(task)

/**
 * OURO_CASE_AFTER - a case of ouro_select(): so much time has gone by since the call
 * @ns: OURO_MS(5), say
 *
 * Its result: 0.
 */
#define OURO_CASE_AFTER(ns) ouro_case_after(ns)

/**
 * OURO_CASE_READY - a case of ouro_select(): a descriptor is ready
 * @fd: any descriptor
 * @events: POLLIN, POLLOUT, ..., as for ouro_poll()
 *
 * Its result: the events that have come, or less than 0: -EBADF, also if ouro_close() ended the wait.
 */
#define OURO_CASE_READY(fd, events) ouro_case_ready((fd), (events))

/**
 * OURO_CASE_EVENT - a case of ouro_select(): an event is set
 * @event: of this loop
 *
 * Its result: 0.
 */
#define OURO_CASE_EVENT(event) ouro_case_event(event)

/**
 * OURO_CASE_NEVER - a case of ouro_select() that never happens
 *
 * A place for a case that is switched off for now.
 */
#define OURO_CASE_NEVER() ouro_case_never()

/**
 * ouro_select - wait until one of several cases is done
 * @cases: what may happen, each made by one of the macros OURO_CASE_...; lent for the time of the call
 * @n: how many
 *
 * Exactly one case is done, and its result says how; the others are untouched: no item of theirs was sent or
 * taken, and polls of their descriptors are over. If none can be done, the call waits in all queues at once,
 * in each first come, first served. A case does not meet another one of the same call, though one sends where
 * the other receives. Of several OURO_CASE_AFTER only the shortest counts.
 *
 * If several can be done at once, the search begins behind the one that the same call with the same array has
 * done last, so that each gets its turn after at most n - 1 others. A loop remembers this of the last 64 such
 * calls; one that it does not know begins anywhere. Nothing of it is left to chance: the same program does
 * the same in each run, as far as the order of what happens is the same.
 *
 * Memory is needed only for OURO_CASE_READY and for channels made by ouro_chan_new_shared().
 *
 * Returns: the index of the case that was done; -EINVAL: NULL, no case but OURO_CASE_NEVER(), or a case makes
 * no sense (no channel, unknown events); -ESRCH: no such task; -EDEADLK: it is the caller; -EPERM: a channel
 * or event that tasks of another loop wait on; -EBADF: a descriptor less than 0; -ENOMEM; -ECANCELED or
 * -ETIME: no case was done. After an error no case was done.
 */
OURO_API ssize_t ouro_select(struct ouro_case *cases, size_t n);

/**
 * ouro_try_select - ouro_select() that does not wait
 * @cases: what may happen, each made by one of the macros OURO_CASE_...; lent for the time of the call
 * @n: how many
 *
 * Returns: as ouro_select(); -EAGAIN: no case can be done now, or there is none.
 */
OURO_API ssize_t ouro_try_select(struct ouro_case *cases, size_t n);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
