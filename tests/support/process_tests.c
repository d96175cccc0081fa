/* process_tests.c - see process_tests.h. */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/process_tests.h"

ouro_executor *pool;

struct ouro_process_options options_of(unsigned workers)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = workers;
        options.backoff_ns = OURO_MS(1);
        return options;
}

struct session {
        struct ouro_process_options options;
        ouro_fn *fn;
};

static intptr_t in_session(void *arg)
{
        struct session *session = arg;

        cr_assert(ouro_process_pool_open(&session->options, &pool) == 0);
        cr_assert(session->fn(NULL) == 0);
        return ouro_executor_close(pool);
}

void with_options(struct ouro_process_options options, ouro_fn *fn)
{
        struct session session = {options, fn};

        cr_assert(ouro_run(in_session, &session) == 0);
}

void with_workers(unsigned workers, ouro_fn *fn)
{
        with_options(options_of(workers), fn);
}

struct ouro_stats stats(void)
{
        struct ouro_stats now = {.size = sizeof now};

        cr_assert(ouro_executor_stats(pool, &now) == 0);
        return now;
}

void await_workers(unsigned n)
{
        while (stats().workers < n)
                ouro_sleep(OURO_US(200));
}

void *shared(size_t bytes)
{
        void *span = NULL;

        cr_assert(ouro_arena_alloc(pool, bytes, &span) == 0);
        return memset(span, 0, bytes);
}

/* ---- jobs ---- */

intptr_t tells_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

pid_t pid_of_worker(void)
{
        intptr_t pid = ouro_await(ouro_submit(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT));

        cr_assert(pid > 0, "%zd", pid);
        return (pid_t)pid;
}

intptr_t counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        return __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
}

static void pause_a_moment(void)
{
        const struct timespec moment = {.tv_nsec = 50000};

        nanosleep(&moment, NULL);
}

intptr_t waits(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = out.base;

        (void)job, (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST))
                pause_a_moment();
        return 0;
}

ouro_task submit_waiter(struct gate *gate)
{
        return ouro_submit(pool, waits, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

void await_begun(const struct gate *gate, int n)
{
        while (__atomic_load_n(&gate->began, __ATOMIC_SEQ_CST) < n)
                ouro_sleep(OURO_US(100));
}

void let_go(struct gate *gate)
{
        __atomic_store_n(&gate->open, 1, __ATOMIC_SEQ_CST);
}
