/* suite.c - what the cases of the suite share: the executor under test, memory that its jobs share, and jobs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "executors/suite.h"

const struct executor_kind *tested;
ouro_executor *tested_pool;

/* Kept until the program ends, because jobs may look at it late: a list, so that it is not lost. */
struct kept {
        struct kept *next;
        max_align_t bytes[];
};

static struct kept *kept;

void *shared(size_t bytes)
{
        struct kept *block;

        if (tested->shared)
                return memset(tested->shared(tested_pool, bytes), 0, bytes);
        block = calloc(1, sizeof *block + bytes);
        cr_assert(block);
        block->next = kept;
        kept = block;
        return block->bytes;
}

void open_pool(const struct executor_kind *kind, unsigned queue)
{
        tested = kind;
        tested_pool = kind->open(queue);
        cr_assert(tested_pool);
}

/* Runs fn(NULL) in a loop with an executor, and closes that in the loop. */
struct session {
        ouro_fn *fn;
        unsigned queue;
};

static intptr_t in_session(void *arg)
{
        const struct session *session = arg;
        intptr_t result;

        open_pool(tested, session->queue);
        result = session->fn(NULL);
        cr_assert(ouro_executor_close(tested_pool) == 0);
        return result;
}

void with_pool(const struct executor_kind *kind, unsigned queue, ouro_fn *fn)
{
        struct session session = {fn, queue};

        tested = kind;
        cr_assert(ouro_run(in_session, &session) == 0);
}

/* ---- jobs ---- */

intptr_t job_sums(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = in.base;
        int *total = out.base;

        (void)job;
        *total = 0;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                *total += numbers[i];
        return (intptr_t)(in.len / sizeof *numbers);
}

intptr_t job_fails(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return -EDOM;
}

intptr_t job_counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        if (out.len == sizeof(int))
                __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
        return (intptr_t)out.len;
}

intptr_t job_waits_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct timespec moment = {.tv_nsec = 20000};
        struct gate *gate = out.base;

        (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST))
                nanosleep(&moment, NULL);
        return ouro_job_cancelled(job) ? 1 : 0;
}

intptr_t job_waits_for_token(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct timespec moment = {.tv_nsec = 20000};
        struct gate *gate = out.base;

        (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        while (!ouro_job_cancelled(job))
                nanosleep(&moment, NULL);
        return -ECANCELED;
}

void gate_open(struct gate *gate)
{
        __atomic_store_n(&gate->open, 1, __ATOMIC_SEQ_CST);
}

void gate_await_begun(struct gate *gate, int n)
{
        OURO_SHIELD
        {
                while (__atomic_load_n(&gate->began, __ATOMIC_SEQ_CST) < n)
                        ouro_sleep(OURO_US(50));
        }
}

ouro_task submit_gate(struct gate *gate)
{
        return ouro_submit(tested_pool, job_waits_at_gate, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

ouro_task submit_count(int *counter)
{
        return ouro_submit(tested_pool, job_counts, OURO_NO_IN, ouro_out(counter, sizeof *counter));
}

/* ---- a full queue ---- */

void crowd_make(struct crowd *crowd)
{
        *crowd = (struct crowd){.gate = shared(sizeof *crowd->gate), .in_queue = shared(sizeof(int))};
        crowd->running = submit_gate(crowd->gate);
        gate_await_begun(crowd->gate, 1);
        crowd->queued = submit_count(crowd->in_queue);
}

void crowd_leave(struct crowd *crowd)
{
        gate_open(crowd->gate);
        cr_assert(ouro_await(crowd->running) >= 0);
        cr_assert(ouro_await(crowd->queued) == sizeof(int) && *crowd->in_queue == 1);
}

/* When it has been closed meanwhile: what its jobs wrote may be gone with it. */
void crowd_leave_closing(struct crowd *crowd)
{
        gate_open(crowd->gate);
        cr_assert(ouro_await(crowd->running) >= 0);
        cr_assert(ouro_await(crowd->queued) == sizeof(int));
}
