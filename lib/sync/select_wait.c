/* select_wait.c - a task waits in the queues of all its cases; see select.h. */
#include <errno.h>

#include "base/alloc.h"
#include "base/relax.h"
#include "sync/select.h"

/* What a select is claimed for besides its cases. */
static struct ouro_case wait_was_cut;
static struct ouro_case is_matched; /* select_match() is about to claim it or not */

static void **queue_of(const struct ouro_case *it)
{
        switch (it->kind) {
        case OURO_CASE_IS_SEND:
                return &it->of.chan.chan->senders;
        case OURO_CASE_IS_RECV:
                return &it->of.chan.chan->receivers;
        case OURO_CASE_IS_EVENT:
                return &it->of.event->waiters;
        case OURO_CASE_IS_TASK:
                return &((struct task *)select_place((struct ouro_case *)(uintptr_t)it)->object)->waiters;
        default:
                return NULL;
        }
}

static inline bool is_of_chan(const struct ouro_case *it)
{
        return it->kind == OURO_CASE_IS_SEND || it->kind == OURO_CASE_IS_RECV;
}

static bool is_shared(const struct ouro_case *it)
{
        return is_of_chan(it) && it->of.chan.chan->shared;
}

/* What most cases are: at a channel of this loop. */
static inline bool is_plain(const struct ouro_case *it)
{
        return is_of_chan(it) && !it->of.chan.chan->shared;
}

/* ---- the end ---- */

static void leave_queues(struct select *select)
{
        struct ouro_case *end = select->cases + select->n;
        bool shared = select->shared;

        for (struct ouro_case *it = select->cases; it < end; it++) {
                struct waiter *waiter = &select_place(it)->waiter;

                if (unlikely(shared) && is_shared(it))
                        it->of.chan.chan->shared->unpark(it->of.chan.chan, select, it);
                else if (waiter->what)
                        queue_remove(queue_of(it), &waiter->link);
        }
        if (select->timed)
                loop_timer_disarm(select->loop, &select->timer);
        select->over = true;
}

/* It is claimed for this case. */
static void end(struct select *select, struct ouro_case *it)
{
        select->done = it;
        leave_queues(select);
        coro_wake(&select->loop->sched, select->coro, 0);
}

bool select_claim_from(struct select *select, struct ouro_case *it)
{
        struct ouro_case *nobody;

        do { /* until it is no longer being matched, which takes a few steps */
                nobody = NULL;
                if (atomic_compare_exchange_weak_explicit(&select->claimed, &nobody, it, memory_order_acq_rel,
                                                          memory_order_acquire))
                        return true;
        } while (nobody == NULL || nobody == &is_matched);
        return false;
}

bool select_hold_from(struct select *select)
{
        return select_claim_from(select, &is_matched);
}

void select_decide(struct select *select, struct ouro_case *it)
{
        atomic_store_explicit(&select->claimed, it, memory_order_release);
}

/* Two may be matching each other: the one at the higher address gives way, so that whoever holds on to its
 * own waits for higher ones only, and not in a ring. */
enum select_matched select_match(struct select *mine, struct ouro_case *it, struct select *other,
                                 struct ouro_case *its)
{
        bool mine_held = false;

        for (;;) {
                struct ouro_case *nobody = NULL;

                if (!mine_held && !select_claim_from(mine, &is_matched))
                        return SELECT_MINE_OVER;
                mine_held = true;
                if (atomic_compare_exchange_strong_explicit(&other->claimed, &nobody, its,
                                                            memory_order_acq_rel, memory_order_acquire)) {
                        atomic_store_explicit(&mine->claimed, it, memory_order_release);
                        return SELECT_MATCHED;
                }
                if (nobody == &is_matched && mine < other) {
                        cpu_relax();
                        continue;
                }
                atomic_store_explicit(&mine->claimed, NULL, memory_order_release);
                mine_held = false;
                if (nobody != &is_matched)
                        return SELECT_OTHER_OVER;
                cpu_relax();
        }
}

static inline bool claim(struct select *select, struct ouro_case *it)
{
        return likely(!select->shared) || select_claim_from(select, it);
}

struct coro *select_coro(struct ouro_list *node)
{
        return select_of(node)->coro;
}

bool select_claim(struct ouro_list *node)
{
        struct select *select = select_of(node);

        if (likely(claim(select, select_case(node))))
                return true;
        select_place(select_case(node))->waiter.what = NULL;
        return false;
}

void select_done(struct ouro_list *node, int result)
{
        struct select *select = select_of(node);
        struct ouro_case *it = select_case(node);

        select_place(it)->waiter.what = NULL;
        it->result = result;
        end(select, it);
}

static void task_has_ended(struct waiter *waiter)
{
        if (select_claim(&waiter->link))
                select_done(&waiter->link, 0);
}

static void time_is_up(struct ouro_loop *loop, struct loop_timer *timer)
{
        struct select *select = container_of(timer, struct select, timer);

        (void)loop;
        if (!claim(select, select->timed))
                return;
        select->timed->result = 0;
        end(select, select->timed);
}

/* Another thread has done a case. */
static void told(struct ouro_loop *loop, struct ouro_message *message)
{
        struct select *select = container_of(message, struct select, message);

        (void)loop;
        end(select, atomic_load_explicit(&select->claimed, memory_order_acquire));
}

/* ---- descriptors ---- */

/* The kernel's own restart codes may show too. */
static bool says_nothing(const struct op *op)
{
        return !op->closed && !op->cancel_asked &&
               (op->res == -ECANCELED || op->res == -EINTR || (op->res <= -512 && op->res >= -516));
}

static void poll_has_ended(struct ring *ring, struct op *op)
{
        struct select_poll *poll = container_of(op, struct select_poll, op);
        struct select *select = poll->select;
        int result = op->closed ? -EBADF : op->res;

        if (unlikely(says_nothing(op)) && !select->over) {
                result = ring_begin(ring, op);
                if (result == 0)
                        return;
        }
        select->polls_left--;
        if (select->draining) {
                if (select->polls_left == 0)
                        coro_wake(ring->sched, select->coro, 0);
        } else if (!select->over && claim(select, poll->it)) {
                poll->it->result = result;
                end(select, poll->it);
        }
}

static int begin_poll(struct select *select, struct ouro_case *it)
{
        struct select_poll *poll = &select->polls[select->polls_len];
        int error;

        io_uring_prep_poll_add(op_begin(&poll->op), it->of.ready.fd, it->of.ready.events);
        poll->op.complete = poll_has_ended;
        poll->op.coro = select->coro;
        poll->it = it;
        poll->select = select;
        error = ring_begin(&select->loop->ring, &poll->op);
        if (error < 0)
                return error;
        select->polls_len++;
        select->polls_left++;
        return 0;
}

static const struct wait_kind waits_for_polls = {.name = "the end of polls"};

/* No wait returns while the kernel may still look at what it was lent. */
static void end_polls(struct select *select)
{
        struct sched *sched = &select->loop->sched;

        for (size_t i = 0; i < select->polls_len; i++)
                ring_cancel(&select->loop->ring, &select->polls[i].op);
        if (select->polls_left > 0) {
                select->draining = true;
                coro_wait(sched, &waits_for_polls);
        }
        mem_free(select->polls, select->polls_room * sizeof *select->polls);
}

/* ---- waiting ---- */

static void cut_select(struct sched *sched, struct coro *coro, int interrupt)
{
        struct select *select = coro->waiter.what;

        if (select->over || !claim(select, &wait_was_cut))
                return;
        leave_queues(select);
        coro_wake(sched, coro, interrupt);
}

/* Of several things none in particular. */
static void target(const struct coro *coro, struct wait_target *ret_target)
{
        const struct select *select = coro->waiter.what;
        const struct ouro_case *only = NULL;

        for (size_t i = 0; i < select->n; i++) {
                if (select->cases[i].kind == OURO_CASE_IS_NEVER)
                        continue;
                if (only)
                        return;
                only = &select->cases[i];
        }
        if (!only)
                return;
        if (only->kind == OURO_CASE_IS_READY)
                ret_target->fd = only->of.ready.fd;
        else if (only->kind == OURO_CASE_IS_EVENT)
                ret_target->object = only->of.event;
        else if (only->kind == OURO_CASE_IS_TASK)
                ret_target->holder =
                        &((struct task *)select_place((struct ouro_case *)(uintptr_t)only)->object)->coro;
        else if (only->kind != OURO_CASE_IS_AFTER)
                ret_target->object = only->of.chan.chan;
}

static const struct wait_kind waits_for_one = {
        .name = "one of several things", .cut = cut_select, .target = target};

static inline void push(struct select *select, struct ouro_case *it, unsigned tag)
{
        struct waiter *waiter = &select_place(it)->waiter;

        waiter->what = (void *)((uintptr_t)select | tag);
        queue_push(queue_of(it), &waiter->link);
}

/* Puts a case where whoever can do it finds it. 0, or why not. */
static inline int enter_queue(struct select *select, struct ouro_case *it)
{
        struct waiter *waiter = &select_place(it)->waiter;

        waiter->what = NULL;
        switch (it->kind) {
        case OURO_CASE_IS_READY:
                return begin_poll(select, it);
        case OURO_CASE_IS_SEND:
        case OURO_CASE_IS_RECV:
                if (unlikely(it->of.chan.chan->shared))
                        return it->of.chan.chan->shared->park(it->of.chan.chan, select, it);
                break;
        case OURO_CASE_IS_AFTER:
        case OURO_CASE_IS_NEVER:
                return 0;
        default:
                break;
        }
        push(select, it, it->kind == OURO_CASE_IS_TASK ? TAG_TELL : SYNC_CASE);
        return 0;
}

/* What of all cases matters for the whole. */
static inline void survey(struct select *select, struct ouro_case *cases, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct ouro_case *it = &cases[i];

                if (it->kind == OURO_CASE_IS_READY)
                        select->polls_room++;
                else if (it->kind == OURO_CASE_IS_AFTER &&
                         (!select->timed || it->of.after_ns < select->timed->of.after_ns))
                        select->timed = it;
                else
                        select->shared |= is_shared(it);
        }
}

/* There are others than channels of this loop among the n cases. */
static int prepare(struct select *select, size_t n)
{
        survey(select, select->cases, n);
        atomic_init(&select->claimed, NULL);
        select->message.deliver = told;
        if (select->polls_room > 0) {
                if (select->polls_room > SIZE_MAX / sizeof *select->polls)
                        return -ENOMEM;
                select->polls = mem_alloc(select->polls_room * sizeof *select->polls);
                if (!select->polls)
                        return -ENOMEM;
        }
        if (select->timed)
                loop_timer_arm(select->loop, &select->timer, select->timed->of.after_ns);
        return 0;
}

/* Enters the queues of channels of this loop, up to the first other case. */
static inline void enter_plain(struct select *select, size_t n)
{
        struct ouro_case *cases = select->cases;
        size_t i = select->n;

        for (; i < n && likely(is_plain(&cases[i])); i++)
                push(select, &cases[i], SYNC_CASE);
        select->n = i;
}

/* Enters all queues. 0; 1: a case was done meanwhile; or why not all can be entered. */
static inline int enter_all(struct select *select, size_t n)
{
        bool prepared = false;

        for (enter_plain(select, n); select->n < n; enter_plain(select, n)) {
                struct ouro_case *it = &select->cases[select->n];
                int result = 0;

                if (!prepared)
                        result = prepare(select, n);
                if (result < 0)
                        return result;
                prepared = true;
                result = enter_queue(select, it);
                select->n++;
                if (likely(result == 0))
                        continue;
                if (result == -EBADF) /* somebody is closing it, as it might have done a moment later */
                        it->result = result;
                if (result == -EBADF || result == 1)
                        select->done = it;
                return select->done ? 1 : result;
        }
        return 0;
}

static ssize_t wait_here(struct select *select)
{
        select->coro->waiter.what = select;
        return coro_wait(&select->loop->sched, &waits_for_one);
}

/* It does not wait, or not for these cases: a case was done on the way, or something failed. */
static ssize_t give_up(struct select *select, int why)
{
        if (why < 0 || select->done->result == -EBADF) {
                if (!claim(select, select->done ? select->done : &wait_was_cut)) {
                        select->done = NULL; /* another thread has done one: its message comes */
                        return wait_here(select);
                }
        }
        leave_queues(select);
        return why;
}

ssize_t select_wait(struct sched *sched, struct ouro_case *cases, size_t n)
{
        struct select select;
        ssize_t result;

        select.watcher.ended = task_has_ended;
        select.loop = loop_of(sched);
        select.coro = sched->current;
        select.cases = cases;
        select.n = 0;
        select.done = select.timed = NULL;
        select.shared = select.over = select.draining = false;
        select.polls = NULL;
        select.polls_room = select.polls_len = select.polls_left = 0;
        select.timer.fire = time_is_up;
        select.timer.scope.context.state = 0;
        result = enter_all(&select, n);
        if (likely(result == 0))
                result = wait_here(&select);
        else
                result = give_up(&select, (int)result);
        if (unlikely(select.polls))
                end_polls(&select);
        return likely(select.done) ? select.done - cases : result;
}
