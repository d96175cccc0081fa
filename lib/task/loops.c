/* loops.c - several threads that run a loop each.
 *
 * The main task of each loop is its keeper: it calls init, waits for the end, calls fini; see loops_close.c
 * for that end. The structs of the loops stay until all threads have ended: late senders look at them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/cpus.h"
#include "base/options.h"
#include "task/loops.h"

enum { LOOPS_MOST = 1024 };

/* ---- a thread of theirs ---- */

static void tell_begun(struct loops_member *member, int result)
{
        struct ouro_loops *loops = member->loops;

        pthread_mutex_lock(&loops->lock);
        member->begun = result;
        loops->begun++;
        loops_tell_change(loops);
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
        char name[LOOPS_NAME_BYTES];

        snprintf(name, sizeof name, "%.11s%u", member->loops->name, member->i);
        pthread_setname_np(pthread_self(), name);
}

static void run_member(struct loops_member *member)
{
        const struct ouro_options *options = &member->loops->options.loop;
        int error = loop_open(options->size ? options : NULL, keep, member, false, &member->loop);

        if (error < 0) {
                tell_begun(member, error);
                return;
        }
        member->loop->member = member;
        member->loop->reachable = true; /* all who have the loops may post */
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
        loops_tell_change(loops);
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
                loops_set_messages(member);
                error = start_thread(member);
                loops->count += error == 0;
        }
        pthread_mutex_unlock(&loops->lock);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return error;
}

static int read_options(const struct ouro_loops_options *given, struct ouro_loops_options *options)
{
        if (given && options_read(options, sizeof *options, given) < 0)
                return -EINVAL;
        if (options->count == 0)
                options->count = cpus_usable() < LOOPS_MOST ? cpus_usable() : LOOPS_MOST;
        return options->count > LOOPS_MOST || options->loop.interrupt ? -EINVAL : 0;
}

static int new_loops(const struct ouro_loops_options *options, struct ouro_loops **ret_loops)
{
        struct ouro_loops *loops = mem_calloc(loops_bytes(options->count));
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
                loops_free(loops); /* more CPUs than a cpu_set_t knows */
                return -EINVAL;
        }
        *ret_loops = loops;
        return 0;
}

static int first_failure(const struct ouro_loops *loops)
{
        for (unsigned i = 0; i < loops->count; i++)
                if (!loops_member_is_alive(&loops->members[i]))
                        return loops->members[i].begun;
        return 0;
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
        loops_wait_until(loops, loops_all_begun, OURO_FOREVER);
        if (error == 0)
                error = first_failure(loops);
        if (error < 0) {
                loops_begin_closing(loops, OURO_CLOSE_CANCEL);
                loops_wait_until(loops, loops_all_ended, OURO_FOREVER);
        }
        loops->forks = loop_forks;
        pthread_mutex_unlock(&loops->lock);
        if (error < 0)
                loops_join_all(loops);
        else
                *ret_loops = loops;
        errno = saved_errno;
        return error;
}

/* ---- using ---- */

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
