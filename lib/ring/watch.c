/* watch.c - the table of descriptors that ops wait on, and their registrations in epoll. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "ring/calls.h"
#include "ring/watch.h"

enum { WATCHES_FIRST = 64 };

struct watch *watch_find(const struct watches *watches, int fd)
{
        return fd >= 0 && (uint32_t)fd < watches->len ? watches->by_fd[fd] : NULL;
}

static bool grow(struct watches *watches, int fd)
{
        uint32_t to = watches->len ? watches->len : WATCHES_FIRST;
        struct watch **by_fd;

        while (to <= (uint32_t)fd)
                to *= 2;
        if (to == watches->len)
                return true;
        by_fd = mem_grow(watches->by_fd, watches->len * sizeof *by_fd, to * sizeof *by_fd);
        if (!by_fd)
                return false;
        watches->by_fd = by_fd;
        watches->len = to;
        return true;
}

struct watch *watch_get(struct watches *watches, int fd)
{
        struct watch *watch = watch_find(watches, fd);

        if (watch)
                return watch;
        if (!grow(watches, fd))
                return NULL;
        watch = mem_calloc(sizeof *watch);
        if (!watch)
                return NULL;
        list_init(&watch->waiting);
        watch->fd = fd;
        watches->by_fd[fd] = watch;
        return watch;
}

void watches_free(struct watches *watches)
{
        for (uint32_t i = 0; i < watches->len; i++)
                mem_free(watches->by_fd[i], sizeof **watches->by_fd);
        mem_free(watches->by_fd, watches->len * sizeof *watches->by_fd);
}

struct watch *watch_of(const struct watches *watches, uint64_t data)
{
        struct watch *watch = data == WATCH_NONE ? NULL : watch_find(watches, (int)(uint32_t)data);

        return watch && watch->generation == data >> 32 ? watch : NULL;
}

/* ---- the queue ---- */

static void count_turn(struct watch *watch, const struct op *op, uint32_t add)
{
        unsigned turn = call_turn(op);

        if (turn == POLLIN)
                watch->in_len += add;
        else if (turn == POLLOUT)
                watch->out_len += add;
}

void watch_put(struct watch *watch, struct op *op)
{
        count_turn(watch, op, 1);
        call_progress(op)->place = PLACE_WATCH;
        list_push(&watch->waiting, &op->link);
}

void watch_take(struct watch *watch, struct op *op)
{
        count_turn(watch, op, UINT32_MAX);
        list_del(&op->link);
}

void watch_empty(struct watch *watch, struct ouro_list *ops)
{
        list_splice(ops, &watch->waiting);
        watch->in_len = watch->out_len = 0;
}

bool watch_has_turn(const struct watch *watch, unsigned turn)
{
        return (turn == POLLIN ? watch->in_len : turn == POLLOUT ? watch->out_len : 0) > 0;
}

/* ---- the registration ---- */

static int control(const struct watches *watches, int how, const struct watch *watch, uint32_t events)
{
        struct epoll_event event = {
                .events = events,
                .data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)watch->fd,
        };

        return sys_result(epoll_ctl(watches->epoll_fd, how, watch->fd, &event));
}

int watch_arm(struct watches *watches, struct watch *watch, uint32_t events, struct ouro_list *lost)
{
        int result = -ENOENT;

        watch->events = (list_empty(&watch->waiting) ? 0 : watch->events) | events;
        if (watch->registered)
                result = control(watches, EPOLL_CTL_MOD, watch, watch->events | EPOLLET);
        if (result == -ENOENT || result == -EBADF) {
                watch_empty(watch, lost);
                watch->stream = WATCH_STREAM_UNKNOWN;
                watch->generation++;
                watch->events = events;
                result = control(watches, EPOLL_CTL_ADD, watch, events | EPOLLET);
        }
        if (result == -EEXIST) /* a duplicate of what was here before has come back */
                result = control(watches, EPOLL_CTL_MOD, watch, events | EPOLLET);
        watch->registered = result == 0;
        return result;
}

void watch_forget(struct watches *watches, struct watch *watch)
{
        if (watch->registered)
                (void)control(watches, EPOLL_CTL_DEL, watch, 0);
        watch->registered = false;
}
