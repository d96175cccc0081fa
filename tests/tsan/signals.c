/* Signals and several threads: ctrl-C told to loops that come and go, one queue of signals and two loops that
 * take from it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 3, ROUNDS = 30, SENT = 500 };

static atomic_int mains;

static intptr_t waits_to_be_cancelled(void *unused)
{
        (void)unused;
        atomic_fetch_add(&mains, 1);
        return ouro_sleep(OURO_SEC(60)) == -ECANCELED && ouro_cancelled(ouro_self()) == OURO_CANCEL_SIGNAL;
}

static void *runs_with_the_option(void *arg)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.interrupt = OURO_INTERRUPT_SIGINT;
        return (void *)ouro_run_with(&options, waits_to_be_cancelled, arg);
}

CASE(loops_that_come_and_go_are_each_told_of_the_signal_of_their_round)
{
        for (int round = 0; round < ROUNDS; round++) {
                pthread_t threads[LOOPS];
                void *result;

                atomic_store(&mains, 0);
                for (int i = 0; i < LOOPS; i++)
                        pthread_create(&threads[i], NULL, runs_with_the_option, NULL);
                while (atomic_load(&mains) < LOOPS)
                        sched_yield();
                kill(getpid(), SIGINT);
                for (int i = 0; i < LOOPS; i++) {
                        pthread_join(threads[i], &result);
                        expect((intptr_t)result == 1);
                }
        }
}

static atomic_int ended;

static intptr_t ends_at_once(void *unused)
{
        return ouro_yield() + (intptr_t)unused;
}

static void *turns_it_on_and_off(void *unused)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.interrupt = OURO_INTERRUPT_SIGINT;
        for (int i = 0; i < ROUNDS; i++)
                ouro_run_with(&options, ends_at_once, NULL);
        atomic_fetch_add(&ended, 1);
        return unused;
}

static atomic_int handled;

static void counts(int number)
{
        (void)number;
        atomic_fetch_add(&handled, 1);
}

/* One signal in the middle of it: a second could find a run that was told, and end the process. */
CASE(runs_that_begin_and_end_beside_others_leave_the_programs_handler_in_its_place)
{
        struct sigaction own = {.sa_handler = counts}, now;
        pthread_t threads[LOOPS];

        sigaction(SIGINT, &own, NULL);
        for (int i = 0; i < LOOPS; i++)
                pthread_create(&threads[i], NULL, turns_it_on_and_off, NULL);
        kill(getpid(), SIGINT);
        while (atomic_load(&ended) < LOOPS)
                sched_yield();
        for (int i = 0; i < LOOPS; i++)
                pthread_join(threads[i], NULL);
        sigaction(SIGINT, NULL, &now);
        expect(now.sa_handler == counts);
        kill(getpid(), SIGINT);
        while (atomic_load(&handled) < 2)
                sched_yield();
}

static intptr_t adds_up(void *unused)
{
        struct ouro_signal_info info = {.value = 0};
        ouro_signals *signals;
        intptr_t sum = 0;
        sigset_t set;

        (void)unused;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        if (ouro_signals_open(&set, &signals) < 0)
                return -1;
        atomic_fetch_add(&mains, 1);
        while (ouro_signals_next(signals, &info) == SIGRTMIN && (int)info.value > 0)
                sum += (int)info.value;
        return ouro_signals_close(signals) < 0 ? -1 : sum;
}

static void *runs_adding(void *arg)
{
        return (void *)ouro_run(adds_up, arg);
}

CASE(two_loops_take_from_one_queue_of_signals_and_none_is_lost_or_taken_twice)
{
        pthread_t threads[2];
        intptr_t sum = 0;
        void *result;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        pthread_sigmask(SIG_BLOCK, &set, NULL); /* in all threads */
        for (int i = 0; i < 2; i++)
                pthread_create(&threads[i], NULL, runs_adding, NULL);
        for (int i = 1; i <= SENT + 2; i++)
                while (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i <= SENT ? i : 0}) < 0)
                        sched_yield(); /* the queue is full */
        for (int i = 0; i < 2; i++) {
                pthread_join(threads[i], &result);
                expect((intptr_t)result >= 0);
                sum += (intptr_t)result;
        }
        expect(sum == SENT * (SENT + 1) / 2);
}
