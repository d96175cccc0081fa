/* Names under TSan: several loops that ask the threads they share, are cut short, flush, fork, and end. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 4, ROUNDS = 40, TASKS = 6 };

/* What the machine's own files know, or anything: what counts here is that an answer comes. */
static intptr_t ask(void *arg)
{
        static const char *const names[] = {"localhost", "127.0.0.1", "localhost", "::1"};
        struct ouro_resolve_options options = OURO_RESOLVE_OPTIONS_INIT;
        struct ouro_addresses *addresses;
        uintptr_t i = (uintptr_t)arg;
        int error;

        options.flags = i % 3 == 0 ? OURO_RESOLVE_FRESH : 0;
        options.family = i % 2 ? AF_INET : AF_UNSPEC;
        error = ouro_resolve(names[i % 4], i % 5 == 0 ? "http" : "80", &options, &addresses);
        if (error == 0) {
                expect(addresses->count > 0);
                ouro_addresses_free(addresses);
        }
        return error == -ECANCELED || error == -ETIME ? error : 0;
}

static intptr_t ask_for_a_while(void *arg)
{
        for (uintptr_t round = 0; round < ROUNDS; round++) {
                ouro_task tasks[TASKS];

                for (uintptr_t i = 0; i < TASKS; i++)
                        tasks[i] = ouro_create_task(ask, (void *)(round + i));
                if (round % 4 == 0)
                        ouro_yield();
                ouro_cancel(tasks[round % TASKS]);
                if (round % 7 == 0)
                        ouro_resolve_flush();
                for (int i = 0; i < TASKS; i++)
                        ouro_await(tasks[i]);
                OURO_TIMEOUT(OURO_US(50))
                        ask((void *)round);
        }
        return (intptr_t)arg;
}

static void *loop_thread(void *arg)
{
        expect(ouro_run(ask_for_a_while, arg) == 0);
        return NULL;
}

CASE(loops_that_ask_and_are_cut_short)
{
        pthread_t threads[LOOPS];

        for (int i = 0; i < LOOPS; i++)
                expect(pthread_create(&threads[i], NULL, loop_thread, NULL) == 0);
        for (int i = 0; i < LOOPS; i++)
                expect(pthread_join(threads[i], NULL) == 0);
}

static intptr_t leave(void *arg)
{
        for (uintptr_t i = 0; i < TASKS; i++)
                ouro_create_task(ask, (void *)i);
        ouro_yield();
        return (intptr_t)arg; /* which cancels them, and frees the loop */
}

CASE(runs_that_end_while_threads_ask)
{
        for (int i = 0; i < 50; i++)
                expect(ouro_run(leave, NULL) == 0);
}

CASE(threads_end_when_idle_and_start_anew)
{
        for (int i = 0; i < 3; i++) {
                expect(ouro_run(ask_for_a_while, NULL) == 0);
                usleep(150000); /* longer than they stay */
        }
}

CASE(forks_while_threads_ask)
{
        pthread_t thread;
        int status;

        expect(pthread_create(&thread, NULL, loop_thread, NULL) == 0);
        for (int i = 0; i < 5; i++) {
                pid_t child = fork();

                if (child == 0)
                        _exit(0);
                expect(waitpid(child, &status, 0) == child && status == 0);
        }
        expect(pthread_join(thread, NULL) == 0);
}
