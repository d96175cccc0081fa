/* loops.c - several threads that run a loop each, opened and closed together.
 *
 * The main task of each loop is its keeper: it calls init, waits for the end, calls fini. The end comes in
 * rounds. In a round each loop is sent a probe, and reports as soon as only its keeper lives, and whether a
 * task has ended there since its last report. Nobody does anything after a round in which none had: what one
 * loop sent to another before the round lay in the other's inbox before its probe. Then the keepers are told
 * to finish; until then no loop answers another with -ESHUTDOWN.
 *
 * The structs of the loops stay until all threads have ended: late senders look at them. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cpus.h"
#include "base/log.h"
#include "base/options.h"
#include "task/task.h"

enum { LOOPS_MOST = 1024, NAME_BYTES = 16 };

struct loops_member {
        struct ouro_message probe, cancel, finish;
        struct ouro_loops *loops;
        struct ouro_loop *loop; /* NULL: it could not be made */
        pthread_t thread;
        unsigned i;
        int begun;           /* how the loop was opened, or what init returned */
        uint64_t ended_seen; /* tasks of the loop that had ended when it last reported */
        struct coro *keeper; /* while it waits for the end */
        bool probed;         /* and has not yet reported */
        bool clean;          /* the loop's memory is ours again */
};

/* Who opens or closes them, and waits; a thread waits for changed. */
struct loops_waiter {
        struct ouro_message message;
        struct loop_timer timer;
        struct ouro_loops *loops;
        struct ouro_loop *loop;
        struct coro *coro;
        bool sent; /* the message is on its way */
};

struct ouro_loops {
        struct ouro_loops_options options;
        char name[NAME_BYTES];
        cpu_set_t cpus; /* of the opening thread */
        unsigned count;
        unsigned forks;
        atomic_uint next;
        pthread_mutex_t lock; /* of what follows */
        pthread_cond_t changed;
        unsigned begun;                   /* have opened and called init, or failed to */
        unsigned ended;                   /* threads */
        unsigned unreported;              /* of this round */
        bool busy;                        /* one of this round's reports said so */
        bool closing, cancelled, awaited; /* awaited: somebody is in ouro_loops_close() */
        struct loops_waiter *waiter;      /* a task */
        struct loops_member members[];
};

/* ---- the end ---- */

static bool is_alive(const struct loops_member *member)
{
        return member->begun >= 0;
}

/* With the lock held, as all that sends. */
static void send_to_each(struct ouro_loops *loops, size_t message_at)
{
        for (unsigned i = 0; i < loops->count; i++) {
                struct loops_member *member = &loops->members[i];
                struct ouro_message *message = (struct ouro_message *)(void *)((char *)member + message_at);

                if (is_alive(member))
                        loop_send(member->loop, message, message);
        }
}

static void begin_round(struct ouro_loops *loops)
{
        loops->busy = false;
        for (unsigned i = 0; i < loops->count; i++)
                loops->unreported += is_alive(&loops->members[i]);
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
        group_cancel(loop, &loop->root, OURO_CANCEL_END);
}

static void deliver_finish(struct ouro_loop *loop, struct ouro_message *message)
{
        struct loops_member *member = container_of(message, struct loops_member, finish);
        struct coro *keeper = member->keeper;

        member->keeper = NULL;
        coro_wake(&loop->sched, keeper, 0);
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

static bool all_begun(const struct ouro_loops *loops)
{
        return loops->begun == loops->count;
}

static bool all_ended(const struct ouro_loops *loops)
{
        return loops->ended == loops->count;
}

static void deliver_change(struct ouro_loop *loop, struct ouro_message *message)
{
        coro_wake(&loop->sched, container_of(message, struct loops_waiter, message)->coro, 0);
}

/* With the lock held: one more has begun, or ended. */
static void tell_change(struct ouro_loops *loops)
{
        struct loops_waiter *waiter = loops->waiter;

        pthread_cond_broadcast(&loops->changed);
        if (!waiter || waiter->sent || !(loops->closing ? all_ended(loops) : all_begun(loops)))
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

/* With the lock held. Returns whether they have. */
static bool wait_until(struct ouro_loops *loops, bool (*done)(const struct ouro_loops *loops), int64_t ns)
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

/* ---- a thread of theirs ---- */

static void tell_begun(struct loops_member *member, int result)
{
        struct ouro_loops *loops = member->loops;

        pthread_mutex_lock(&loops->lock);
        member->begun = result;
        loops->begun++;
        tell_change(loops);
        pthread_mutex_unlock(&loops->lock);
}

static const struct wait_kind waits_for_end = {.name = "the end of its loops"};

/* The main task. Shielded: the cancellation of all others must not reach it. */
static intptr_t keep(void *arg)
{
        struct loops_member *member = arg;
        const struct ouro_loops_options *options = &member->loops->options;
        struct ouro_loop *loop = loop_here();
        struct ouro_scope shield;
        struct ouro_group group;
        int result = 0;

        ouro_shield_open(&shield);
        if (options->init)
                result = options->init(options->arg, member->i);
        if (result >= 0) {
                member->keeper = loop->sched.current; /* before anybody can be told to finish */
                tell_begun(member, 0);
                coro_wait(&loop->sched, &waits_for_end);
                ouro_group_open(&group, OURO_GROUP_KEEP,
                                NULL); /* what fini creates is not cancelled either */
                if (options->fini)
                        options->fini(options->arg, member->i);
                ouro_group_close(&group);
        } else {
                tell_begun(member, result);
        }
        ouro_scope_close(&shield);
        return 0;
}

static void name_thread(const struct loops_member *member)
{
        char name[NAME_BYTES];

        snprintf(name, sizeof name, "%.11s%u", member->loops->name, member->i);
        pthread_setname_np(pthread_self(), name);
}

static void run_member(struct loops_member *member)
{
        const struct ouro_options *options = &member->loops->options.loop;
        int error = loop_open(options->size ? options : NULL, keep, member, &member->loop);

        if (error < 0) {
                tell_begun(member, error);
                return;
        }
        member->loop->member = member;
        member->clean = loop_run(member->loop);
        if (member->clean)
                loop_destroy(member->loop);
}

static void *thread_body(void *arg)
{
        struct loops_member *member = arg;
        struct ouro_loops *loops = member->loops;

        name_thread(member);
        run_member(member);
        pthread_mutex_lock(&loops->lock);
        loops->ended++;
        tell_change(loops);
        pthread_mutex_unlock(&loops->lock);
        return NULL;
}

/* ---- opening ---- */

/* The n-th CPU of the set, counted round and round. */
static void pin(pthread_attr_t *attr, const cpu_set_t *cpus, unsigned n)
{
        unsigned left = n % (unsigned)CPU_COUNT(cpus);
        cpu_set_t one;
        size_t cpu = 0;

        while (!CPU_ISSET(cpu, cpus) || left-- > 0)
                cpu++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_attr_setaffinity_np(attr, sizeof one, &one);
}

static int start_thread(struct loops_member *member)
{
        struct ouro_loops *loops = member->loops;
        pthread_attr_t attr;
        int error = pthread_attr_init(&attr);

        if (error != 0)
                return -error;
        if (loops->options.pin)
                pin(&attr, &loops->cpus, member->i);
        error = pthread_create(&member->thread, &attr, thread_body, member);
        pthread_attr_destroy(&attr);
        return -error;
}

/* As many as there is room for: count says how many are there. 0, or why they are not all. */
static int start_threads(struct ouro_loops *loops, unsigned count)
{
        sigset_t all, before;
        int error = 0;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_mutex_lock(
                &loops->lock); /* the threads that begin find count and each other as they will be */
        while (loops->count < count && error == 0) {
                struct loops_member *member = &loops->members[loops->count];

                member->loops = loops;
                member->i = loops->count;
                member->ended_seen = UINT64_MAX;
                member->probe.deliver = deliver_probe;
                member->cancel.deliver = deliver_cancel;
                member->finish.deliver = deliver_finish;
                error = start_thread(member);
                loops->count += error == 0;
        }
        pthread_mutex_unlock(&loops->lock);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return error;
}

static size_t bytes_of(unsigned count)
{
        return sizeof(struct ouro_loops) + count * sizeof(struct loops_member);
}

static void free_loops(struct ouro_loops *loops)
{
        pthread_cond_destroy(&loops->changed);
        pthread_mutex_destroy(&loops->lock);
        mem_free(loops, bytes_of(loops->options.count));
}

/* All threads are about to end, or have. */
static void join_all(struct ouro_loops *loops)
{
        for (unsigned i = 0; i < loops->count; i++) {
                struct loops_member *member = &loops->members[i];

                pthread_join(member->thread, NULL);
                if (member->clean)
                        loop_free(member->loop);
        }
        free_loops(loops);
}

static int read_options(const struct ouro_loops_options *given, struct ouro_loops_options *options)
{
        if (given && options_read(options, sizeof *options, given) < 0)
                return -EINVAL;
        if (options->count == 0)
                options->count = cpus_usable() < LOOPS_MOST ? cpus_usable() : LOOPS_MOST;
        return options->count > LOOPS_MOST ? -EINVAL : 0;
}

static int new_loops(const struct ouro_loops_options *options, struct ouro_loops **ret_loops)
{
        struct ouro_loops *loops = mem_calloc(bytes_of(options->count));
        pthread_condattr_t attr;

        if (!loops)
                return -ENOMEM;
        loops->options = *options;
        snprintf(loops->name, sizeof loops->name, "%s", options->name ? options->name : "ouro-loop-");
        pthread_mutex_init(&loops->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&loops->changed, &attr);
        pthread_condattr_destroy(&attr);
        if (options->pin && sched_getaffinity(0, sizeof loops->cpus, &loops->cpus) < 0) {
                free_loops(loops); /* more CPUs than a cpu_set_t knows */
                return -EINVAL;
        }
        *ret_loops = loops;
        return 0;
}

static int first_failure(const struct ouro_loops *loops)
{
        for (unsigned i = 0; i < loops->count; i++)
                if (!is_alive(&loops->members[i]))
                        return loops->members[i].begun;
        return 0;
}

/* With the lock held. */
static void begin_closing(struct ouro_loops *loops, enum ouro_close how)
{
        if (!loops->closing)
                begin_round(loops);
        loops->closing = true;
        if (how == OURO_CLOSE_CANCEL && !loops->cancelled) {
                loops->cancelled = true;
                send_to_each(loops, offsetof(struct loops_member, cancel));
        }
}

int ouro_loops_open(const struct ouro_loops_options *given, ouro_loops **ret_loops)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        int error = ret_loops ? read_options(given, &options) : -EINVAL, saved_errno = errno;
        struct ouro_loops *loops;

        if (error == 0)
                error = new_loops(&options, &loops);
        errno = saved_errno;
        if (error < 0)
                return error;
        error = start_threads(loops, options.count);
        pthread_mutex_lock(&loops->lock);
        wait_until(loops, all_begun, OURO_FOREVER);
        if (error == 0)
                error = first_failure(loops);
        if (error < 0) {
                begin_closing(loops, OURO_CLOSE_CANCEL);
                wait_until(loops, all_ended, OURO_FOREVER);
        }
        loops->forks = loop_forks;
        pthread_mutex_unlock(&loops->lock);
        if (error < 0)
                join_all(loops);
        else
                *ret_loops = loops;
        errno = saved_errno;
        return error;
}

/* ---- using and closing ---- */

unsigned ouro_loops_count(const ouro_loops *loops)
{
        return loops ? loops->count : 0;
}

ouro_loop *ouro_loops_at(const ouro_loops *loops, unsigned i)
{
        return loops && i < loops->count ? loops->members[i].loop : NULL;
}

ouro_loop *ouro_loops_next(ouro_loops *loops)
{
        return loops ? loops->members[atomic_fetch_add(&loops->next, 1) % loops->count].loop : NULL;
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
        begin_closing(loops, how);
        ended = wait_until(loops, all_ended, deadline_ns);
        loops->awaited = ended;
        pthread_mutex_unlock(&loops->lock);
        if (!ended)
                return -ETIME;
        join_all(loops);
        return 0;
}
