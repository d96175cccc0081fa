/* suite_abandon.c - jobs that may be left to themselves. Only where jobs run in threads of this process. */
#include <errno.h>
#include <string.h>

#include "executors/suite.h"

/* Its spans are copies: the gate is reached through a pointer in one of them. */
static intptr_t writes_after_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = *(struct gate *const *)in.base;

        job_waits_at_gate(job, OURO_NO_IN, ouro_out(gate, sizeof *gate));
        if (out.len)
                memset(out.base, 'x', out.len);
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        return 7;
}

static ouro_task submit_abandonable(struct gate **gate, char *bytes, size_t len)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.abandonable = true;
        return ouro_submit_with(tested_pool, writes_after_gate, ouro_in(gate, sizeof *gate),
                                ouro_out(bytes, len), &options);
}

static intptr_t abandons(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        char bytes[4] = "abc";
        ouro_task task = submit_abandonable(&gate, bytes, sizeof bytes);

        (void)arg;
        gate_await_begun(gate, 1);
        cr_assert(ouro_cancel(task) == 0);
        cr_assert(ouro_await(task) == -ECANCELED, "though it runs");
        cr_assert(__atomic_load_n(&gate->began, __ATOMIC_SEQ_CST) == 1);
        gate_open(gate);
        gate_await_begun(gate, 2);
        cr_assert_str_eq(bytes, "abc", "what it writes is not ours");
        return 0;
}

void suite_an_abandoned_job_runs_on_by_itself(const struct executor_kind *kind)
{
        with_pool(kind, 0, abandons);
}

static intptr_t waits_for_an_abandonable(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        char bytes[4] = "abc";
        ouro_task task = submit_abandonable(&gate, bytes, 2);

        (void)arg;
        gate_open(gate);
        cr_assert(ouro_await(task) == 7);
        cr_assert_str_eq(bytes, "xxc");
        return 0;
}

void suite_an_abandonable_job_in_time_gives_its_output(const struct executor_kind *kind)
{
        with_pool(kind, 0, waits_for_an_abandonable);
}

static intptr_t leaves_it_to_itself(void *arg)
{
        struct gate *gate = arg;
        char byte = 0;
        ouro_task task = submit_abandonable(&gate, &byte, 1);

        gate_await_begun(gate, 1);
        ouro_cancel(task);
        return ouro_await(task) == -ECANCELED ? 0 : -EINVAL;
}

void suite_closing_waits_for_abandoned_jobs(const struct executor_kind *kind)
{
        struct gate *gate;

        open_pool(kind, 0);
        gate = shared(sizeof *gate);
        cr_assert(ouro_run(leaves_it_to_itself, gate) == 0, "the run has not waited for it");
        cr_assert(ouro_executor_close_with(tested_pool, OURO_CLOSE_WAIT, OURO_MS(1)) == -ETIME);
        gate_open(gate);
        cr_assert(ouro_executor_close(tested_pool) == 0);
        cr_assert(gate->began == 2, "closing has");
}

void suite_a_thread_abandons_its_call(const struct executor_kind *kind)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate *gate;
        char byte = 'a';

        open_pool(kind, 0);
        gate = shared(sizeof *gate);
        options.abandonable = true;
        options.deadline_ns = OURO_MS(2);
        cr_assert(ouro_call(tested_pool, writes_after_gate, ouro_in(&gate, sizeof gate), OURO_OUT(byte),
                            &options) == -ETIME);
        gate_open(gate);
        cr_assert(ouro_call(tested_pool, writes_after_gate, ouro_in(&gate, sizeof gate), OURO_NO_OUT, NULL) ==
                  7);
        cr_assert(ouro_executor_close(tested_pool) == 0);
        cr_assert(byte == 'a' && gate->began == 4);
}
