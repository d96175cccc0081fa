/* select.c - doing one of many things: which of them can be done now.
 *
 * All cases are looked at for mistakes before one is done. Then they are tried, the first of them another one
 * each time, so that one that can always be done does not keep the others from their turn. */
#include <errno.h>
#include <poll.h>

#include "ring/calls_impl.h"
#include "sync/select.h"

/* ---- mistakes ---- */

static int refuse_chan(struct sched *sched, struct ouro_case *it)
{
        int error = chan_refuse(sched, it->of.chan.chan, it->of.chan.item);

        if (unlikely(error == CHAN_IS_SHARED))
                return it->of.chan.chan->shared->park ? 0 : -EPERM;
        return error;
}

static int refuse_task(struct sched *sched, struct ouro_case *it)
{
        struct task *task;

        select_place(it)->object = NULL;
        if (task_is_failed(it->of.task))
                return 0;
        task = task_find(loop_of(sched), it->of.task);
        if (!task)
                return -ESRCH;
        select_place(it)->object = task;
        return &task->coro == sched->current ? -EDEADLK : 0;
}

static int refuse_ready(const struct ouro_case *it)
{
        const unsigned known = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;

        if (it->of.ready.fd < 0)
                return -EBADF;
        return it->of.ready.events == 0 || (it->of.ready.events & ~known) ? -EINVAL : 0;
}

static int refuse_event(struct sched *sched, const struct ouro_case *it)
{
        if (!it->of.event)
                return -EINVAL;
        return sync_foreign(sched, it->of.event->waiters) ? -EPERM : 0;
}

static __attribute__((noinline)) int refuse_case(struct sched *sched, struct ouro_case *it)
{
        switch (it->kind) {
        case OURO_CASE_IS_SEND:
        case OURO_CASE_IS_RECV:
                return refuse_chan(sched, it);
        case OURO_CASE_IS_TASK:
                return refuse_task(sched, it);
        case OURO_CASE_IS_READY:
                return refuse_ready(it);
        case OURO_CASE_IS_EVENT:
                return refuse_event(sched, it);
        case OURO_CASE_IS_AFTER:
        case OURO_CASE_IS_NEVER:
                return 0;
        default:
                return -EINVAL;
        }
}

static inline bool is_of_chan(const struct ouro_case *it)
{
        return (unsigned)it->kind - OURO_CASE_IS_SEND <= OURO_CASE_IS_RECV - OURO_CASE_IS_SEND;
}

/* What most cases are: on a channel of this loop. */
static inline bool is_plain(const struct sched *sched, const struct ouro_case *it)
{
        return is_of_chan(it) && it->of.chan.chan && it->of.chan.item && it->of.chan.chan->sched == sched;
}

/* 0, -EAGAIN: there is nothing to wait for; or why it makes no sense. */
static inline int refuse(struct sched *sched, struct ouro_case *cases, size_t n)
{
        size_t nevers = 0;

        if (unlikely(!sched))
                return -EPERM;
        if (unlikely(!cases && n > 0))
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                int error;

                if (likely(is_plain(sched, &cases[i])))
                        continue;
                nevers += cases[i].kind == OURO_CASE_IS_NEVER;
                error = refuse_case(sched, &cases[i]);
                if (unlikely(error < 0))
                        return error;
        }
        return likely(nevers < n) ? 0 : -EAGAIN;
}

/* ---- what can be done now ---- */

/* Is it plain to see that the channel has nothing for this case? */
static inline bool is_hopeless(const ouro_chan *chan, int kind)
{
        if (kind == OURO_CASE_IS_RECV)
                return !chan->senders && chan->count == 0 && !chan->closed && !chan->shared;
        return !chan->receivers && chan->count == chan->capacity && !chan->closed && !chan->shared;
}

static int try_chan(struct sched *sched, struct ouro_case *it)
{
        ouro_chan *chan = it->of.chan.chan;
        void *item = it->of.chan.item;

        if (it->kind == OURO_CASE_IS_SEND)
                return likely(!chan->shared) ? chan_send_now(sched, chan, item)
                                             : chan->shared->send(chan, item, false);
        return likely(!chan->shared) ? chan_recv_now(sched, chan, item)
                                     : chan->shared->recv(chan, item, false);
}

static int try_task(struct ouro_case *it)
{
        const struct task *task = select_place(it)->object;

        return !task || task->state == TASK_ENDED ? 0 : -EAGAIN;
}

static int try_ready(const struct ouro_case *it)
{
        int events = poll_now(it->of.ready.fd, it->of.ready.events | POLLRDHUP);

        return events == 0 ? -EAGAIN : events;
}

/* What it comes to, or -EAGAIN. */
static __attribute__((noinline)) int try_case(struct sched *sched, struct ouro_case *it)
{
        switch (it->kind) {
        case OURO_CASE_IS_SEND:
        case OURO_CASE_IS_RECV:
                return try_chan(sched, it);
        case OURO_CASE_IS_TASK:
                return try_task(it);
        case OURO_CASE_IS_READY:
                return try_ready(it);
        case OURO_CASE_IS_EVENT:
                return it->of.event->is_set ? 0 : -EAGAIN;
        case OURO_CASE_IS_AFTER:
                return it->of.after_ns <= 0 ? 0 : -EAGAIN;
        default:
                return -EAGAIN;
        }
}

/* Does the first that can be done, from start on and round. Its index, or -EAGAIN. */
static inline ssize_t search(struct sched *sched, struct ouro_case *cases, size_t n, size_t start)
{
        size_t i = start;

        do {
                struct ouro_case *it = &cases[i];

                if (!is_of_chan(it) || !is_hopeless(it->of.chan.chan, it->kind)) {
                        int result = try_case(sched, it);

                        if (likely(result != -EAGAIN)) {
                                it->result = result;
                                return (ssize_t)i;
                        }
                }
                if (++i == n)
                        i = 0;
        } while (i != start);
        return -EAGAIN;
}

/* ---- whose turn it is ---- */

/* Which places are taken, and by whom, follows from which addresses are equal, and not from what they are: so
 * a run on the virtual clock chooses as the run before it did, wherever things lie this time. */

static inline uint8_t bucket_of(const void *cases, const void *caller)
{
        uintptr_t key = (uintptr_t)cases ^ (uintptr_t)caller * 0x9e3779b97f4a7c15u;

        return (uint8_t)((key * 0x9e3779b97f4a7c15u) >> 57);
}

_Static_assert(SELECT_BUCKETS == 1 << (64 - 57), "the upper bits of a hash");
_Static_assert(SELECT_TURNS < UINT8_MAX, "a link fits");

static size_t anywhere(struct select_turns *turns, size_t n)
{
        turns->seed = turns->seed * 6364136223846793005u + 1442695040888963407u;
        return (size_t)((turns->seed >> 32) * n >> 32);
}

static void unlink_turn(struct select_turns *turns, const struct select_turn *entry)
{
        uint8_t *link = &turns->buckets[entry->bucket];

        while (*link && &turns->of[*link - 1] != entry)
                link = &turns->of[*link - 1].next;
        if (*link)
                *link = entry->next;
}

/* In the place of the one that came first. */
static __attribute__((noinline)) struct select_turn *
new_turn(struct select_turns *turns, const struct ouro_case *cases, size_t n, const void *caller)
{
        unsigned place = turns->oldest;
        struct select_turn *entry = &turns->of[place];
        uint8_t bucket = bucket_of(cases, caller);

        turns->oldest = (place + 1) % SELECT_TURNS;
        unlink_turn(turns, entry);
        *entry = (struct select_turn){.cases = cases,
                                      .caller = caller,
                                      .turn = anywhere(turns, n),
                                      .next = turns->buckets[bucket],
                                      .bucket = bucket};
        turns->buckets[bucket] = (uint8_t)(place + 1);
        return entry;
}

/* The entry of a call with an array; its turn is less than n. */
static inline struct select_turn *turn_of(struct ouro_loop *loop, const struct ouro_case *cases, size_t n,
                                          const void *caller)
{
        struct select_turns *turns = &loop->select_turns;
        unsigned link = turns->buckets[bucket_of(cases, caller)];
        struct select_turn *entry = NULL;

        for (; link; link = entry->next) {
                entry = &turns->of[link - 1];
                if (likely(entry->cases == cases && entry->caller == caller))
                        break;
        }
        if (unlikely(!link))
                entry = new_turn(turns, cases, n, caller);
        if (entry->turn >= n)
                entry->turn = 0;
        return entry;
}

static inline ssize_t select_now(struct sched *sched, struct ouro_case *cases, size_t n,
                                 struct select_turn *turn)
{
        ssize_t result = search(sched, cases, n, turn->turn);

        if (result >= 0)
                turn->turn = (size_t)result + 1;
        return result;
}

ssize_t ouro_try_select(struct ouro_case *cases, size_t n)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, cases, n);

        if (error < 0)
                return error;
        return select_now(sched, cases, n, turn_of(loop_of(sched), cases, n, __builtin_return_address(0)));
}

ssize_t ouro_select(struct ouro_case *cases, size_t n)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, cases, n);
        const void *caller = __builtin_return_address(0);
        struct select_turn *turn;
        ssize_t result;

        if (unlikely(error < 0))
                return error == -EAGAIN ? -EINVAL : error;
        if (unlikely(sched->current->interrupt))
                return sched->current->interrupt;
        turn = turn_of(loop_of(sched), cases, n, caller);
        result = select_now(sched, cases, n, turn);
        if (result != -EAGAIN)
                return coro_spend(sched, result);
        result = select_wait(sched, cases, n);
        if (likely(result >= 0)) {
                if (unlikely(turn->cases != cases || turn->caller != caller)) /* another's by now */
                        turn = turn_of(loop_of(sched), cases, n, caller);
                turn->turn = (size_t)result + 1;
        }
        return result;
}
