/* loops_close.c - the end of several loops, and waiting for it.
 *
 * The end comes in rounds. In a round each loop is sent a probe, and reports as soon as only its keeper
 * lives, and whether a task has ended there since its last report. Nobody does anything after a round in
 * which none had: what one loop sent to another before the round lay in the other's inbox before its probe.
 * Then the keepers are told to finish; until then no loop answers another with -ESHUTDOWN. */
#include <errno.h>
#include <time.h>

#include "base/alloc.h"
#include "task/loops.h"

/* ---- the end ---- */

/* With the lock held, as all that sends. */
static void send_to_each(struct ouro_loops *loops, size_t message_at)
{
        for (unsigned i = 0; i < loops->count; i++) {
                struct loops_member *member = &loops->members[i];
                struct ouro_message *message = (struct ouro_message *)(void *)((char *)member + message_at);

                if (loops_member_is_alive(member))
                        loop_send(member->loop, message, message);
        }
}

static void begin_round(struct ouro_loops *loops)
{
        loops->busy = false;
        for (unsigned i = 0; i < loops->count; i++)
                loops->unreported += loops_member_is_alive(&loops->members[i]);
        send_to_each(loops, offsetof(struct loops_member, probe));
}

static void deliver_probe(struct ouro_loop *loop, struct ouro_message *message)
{
        (void)loop;
        container_of(message, struct loops_member, probe)->probed = true;
}

static void deliver_cancel(struct ouro_loop *loop, struct ouro_message *message)
{
        (void)message;
        group_cancel(loop, &loop->root, &(struct cause){.reason = OURO_CANCEL_END});
}

static void deliver_finish(struct ouro_loop *loop, struct ouro_message *message)
{
        struct loops_member *member = container_of(message, struct loops_member, finish);
        struct coro *keeper = member->keeper;

        member->keeper = NULL;
        coro_wake(&loop->sched, keeper, 0);
}

void loops_set_messages(struct loops_member *member)
{
        member->probe.deliver = deliver_probe;
        member->cancel.deliver = deliver_cancel;
        member->finish.deliver = deliver_finish;
}

static void report(struct ouro_loops *loops, bool busy)
{
        pthread_mutex_lock(&loops->lock);
        loops->busy |= busy;
        if (--loops->unreported == 0) {
                if (loops->busy)
                        begin_round(loops);
                else
                        send_to_each(loops, offsetof(struct loops_member, finish));
        }
        pthread_mutex_unlock(&loops->lock);
}

void loops_look(struct ouro_loop *loop)
{
        struct loops_member *member = loop->member;
        bool busy = member->ended_seen != loop->ended;

        if (!member->probed || !member->keeper || loop->root.live > 1 || !inbox_empty(loop))
                return;
        member->probed = false;
        member->ended_seen = loop->ended;
        report(member->loops, busy);
}

/* ---- waiting for all of them ---- */

bool loops_all_begun(const struct ouro_loops *loops)
{
        return loops->begun == loops->count;
}

bool loops_all_ended(const struct ouro_loops *loops)
{
        return loops->ended == loops->count;
}

static void deliver_change(struct ouro_loop *loop, struct ouro_message *message)
{
        coro_wake(&loop->sched, container_of(message, struct loops_waiter, message)->coro, 0);
}

void loops_tell_change(struct ouro_loops *loops)
{
        struct loops_waiter *waiter = loops->waiter;

        pthread_cond_broadcast(&loops->changed);
        if (!waiter || waiter->sent || !(loops->closing ? loops_all_ended(loops) : loops_all_begun(loops)))
                return;
        waiter->sent = true;
        waiter->message.deliver = deliver_change;
        check(loop_send(waiter->loop, &waiter->message, &waiter->message));
}

static struct timespec monotonic_in(int64_t ns)
{
        int64_t end_ns;

        if (__builtin_add_overflow(loop_real_ns(), ns, &end_ns))
                end_ns = INT64_MAX;
        return (struct timespec){end_ns / OURO_SEC(1), end_ns % OURO_SEC(1)};
}

static void wait_as_thread(struct ouro_loops *loops, bool (*done)(const struct ouro_loops *loops), int64_t ns)
{
        const struct timespec end = monotonic_in(ns);

        while (!done(loops))
                if (ns == OURO_FOREVER)
                        pthread_cond_wait(&loops->changed, &loops->lock);
                else if (pthread_cond_timedwait(&loops->changed, &loops->lock, &end) != 0)
                        return;
}

/* It has waited long enough, unless its message is on its way. */
static void give_up(struct ouro_loop *loop, struct loop_timer *timer)
{
        struct loops_waiter *waiter = container_of(timer, struct loops_waiter, timer);
        bool sent;

        pthread_mutex_lock(&waiter->loops->lock);
        sent = waiter->sent;
        if (!sent)
                waiter->loops->waiter = NULL;
        pthread_mutex_unlock(&waiter->loops->lock);
        if (!sent)
                coro_wake(&loop->sched, waiter->coro, 0);
}

static const struct wait_kind waits_for_loops = {.name = "several loops to open or close"};

/* The lock is not held meanwhile. */
static void wait_as_task(struct ouro_loop *loop, struct ouro_loops *loops, int64_t ns)
{
        struct loops_waiter waiter = {.loops = loops, .loop = loop, .coro = loop->sched.current};

        loops->waiter = &waiter;
        pthread_mutex_unlock(&loops->lock);
        waiter.timer.fire = give_up;
        if (ns != OURO_FOREVER)
                loop_timer_arm(loop, &waiter.timer, ns);
        loop->jobs_out++; /* somebody out there will wake this loop: its clock must not jump */
        coro_wait(&loop->sched, &waits_for_loops);
        loop->jobs_out--;
        loop_timer_disarm(loop, &waiter.timer);
        pthread_mutex_lock(&loops->lock); /* whoever told us is out of it */
        loops->waiter = NULL;
}

bool loops_wait_until(struct ouro_loops *loops, bool (*done)(const struct ouro_loops *loops), int64_t ns)
{
        struct ouro_loop *loop = loop_here();

        if (ns == 0 || done(loops))
                return done(loops);
        if (loop)
                wait_as_task(loop, loops, ns);
        else
                wait_as_thread(loops, done, ns);
        return done(loops);
}

/* ---- closing ---- */

void loops_begin_closing(struct ouro_loops *loops, enum ouro_close how)
{
        if (!loops->closing)
                begin_round(loops);
        loops->closing = true;
        if (how == OURO_CLOSE_CANCEL && !loops->cancelled) {
                loops->cancelled = true;
                send_to_each(loops, offsetof(struct loops_member, cancel));
        }
}

size_t loops_bytes(unsigned count)
{
        return sizeof(struct ouro_loops) + count * sizeof(struct loops_member);
}

void loops_free(struct ouro_loops *loops)
{
        pthread_cond_destroy(&loops->changed);
        pthread_mutex_destroy(&loops->lock);
        mem_free(loops, loops_bytes(loops->options.count));
}

/* All threads are about to end, or have. */
void loops_join_all(struct ouro_loops *loops)
{
        for (unsigned i = 0; i < loops->count; i++) {
                struct loops_member *member = &loops->members[i];

                pthread_join(member->thread, NULL);
                if (member->clean)
                        loop_free(member->loop);
        }
        loops_free(loops);
}

static bool is_one_of_theirs(const struct ouro_loops *loops)
{
        for (unsigned i = 0; i < loops->count; i++)
                if (pthread_equal(loops->members[i].thread, pthread_self()))
                        return true;
        return false;
}

int ouro_loops_close(ouro_loops *loops, enum ouro_close how, int64_t deadline_ns)
{
        bool ended;

        if (!loops || deadline_ns < 0 || (how != OURO_CLOSE_WAIT && how != OURO_CLOSE_CANCEL))
                return -EINVAL;
        if (loops->forks != loop_forks)
                return -EPERM;
        if (is_one_of_theirs(loops))
                return -EDEADLK;
        pthread_mutex_lock(&loops->lock);
        if (loops->awaited) {
                pthread_mutex_unlock(&loops->lock);
                return -EALREADY;
        }
        loops->awaited = true;
        loops_begin_closing(loops, how);
        ended = loops_wait_until(loops, loops_all_ended, deadline_ns);
        loops->awaited = ended;
        pthread_mutex_unlock(&loops->lock);
        if (!ended)
                return -ETIME;
        loops_join_all(loops);
        return 0;
}
