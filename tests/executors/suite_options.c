/* suite_options.c - jobs with options, and trying to submit. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <ouro/executor.h>

#include "executors/suite.h"

static intptr_t sleeps_until_asked(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        while (!ouro_job_cancelled(job))
                ouro_job_sleep(job, OURO_SEC(1000));
        return -ECANCELED;
}

static ouro_task submit_sleeper(const struct ouro_job_options *options)
{
        return ouro_submit_with(tested_pool, sleeps_until_asked, OURO_NO_IN, OURO_NO_OUT, options);
}

static intptr_t await_failing(const struct ouro_job_options *options)
{
        return ouro_await(ouro_submit_with(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, options));
}

static intptr_t submits_with_defaults(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        int numbers[] = {1, 2, 3}, total = 0;
        ouro_task task;

        (void)arg;
        task = ouro_submit_with(tested_pool, job_sums, OURO_IN(numbers), OURO_OUT(total), NULL);
        cr_assert_str_eq(ouro_task_name(task), "job_sums");
        cr_assert(ouro_await(task) == 3 && total == 6);
        task = ouro_submit_with(tested_pool, job_sums, OURO_IN(numbers), OURO_OUT(total), &options);
        cr_assert_str_eq(ouro_task_name(task), "job_sums");
        cr_assert(ouro_await(task) == 3 && total == 6);
        cr_assert(await_failing(&options) == -EDOM);
        return 0;
}

void suite_options_without_wishes_change_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_with_defaults);
}

static intptr_t submits_with_other_sizes(void *arg)
{
        struct {
                struct ouro_job_options known;
                uint64_t unknown;
        } newer = {.known = OURO_JOB_OPTIONS_INIT};
        struct ouro_job_options older = {.size = offsetof(struct ouro_job_options, deadline_ns)};

        (void)arg;
        older.priority = (enum ouro_priority)77; /* beyond its end: not looked at */
        cr_assert(await_failing(&older) == -EDOM);
        newer.known.size = sizeof newer;
        cr_assert(await_failing(&newer.known) == -EDOM);
        newer.unknown = 1;
        cr_assert(await_failing(&newer.known) == -EINVAL, "a wish that is not known is not passed over");
        older.size = 0;
        cr_assert(await_failing(&older) == -EINVAL);
        return 0;
}

void suite_options_of_other_headers_are_read(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_with_other_sizes);
}

static intptr_t submits_out_of_range(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        (void)arg;
        options.priority = (enum ouro_priority)2;
        cr_assert(await_failing(&options) == -EINVAL);
        options.priority = (enum ouro_priority) - 2;
        cr_assert(await_failing(&options) == -EINVAL);
        options.priority = OURO_PRIORITY_HIGH;
        options.deadline_ns = -1;
        cr_assert(await_failing(&options) == -EINVAL);
        options.deadline_ns = OURO_FOREVER;
        cr_assert(await_failing(&options) == -EDOM);
        return 0;
}

void suite_job_options_out_of_range_are_refused(const struct executor_kind *kind)
{
        with_pool(kind, 0, submits_out_of_range);
}

static intptr_t asks_for_the_impossible(void *arg)
{
        struct ouro_job_options chosen = OURO_JOB_OPTIONS_INIT, abandonable = OURO_JOB_OPTIONS_INIT;
        unsigned can = tested_pool->ops->can;

        (void)arg;
        chosen.worker = 1;
        cr_assert(await_failing(&chosen) == (can & OURO_CAN_CHOOSE_WORKER ? -EDOM : -ENOTSUP));
        abandonable.abandonable = true;
        cr_assert(await_failing(&abandonable) == (can & OURO_CAN_ABANDON ? -EDOM : -ENOTSUP));
        return 0;
}

void suite_what_an_executor_cannot_do_is_refused(const struct executor_kind *kind)
{
        with_pool(kind, 0, asks_for_the_impossible);
}

static intptr_t spoils_its_options(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_task task;

        (void)arg;
        options.name = "kept";
        options.deadline_ns = OURO_SEC(1000);
        task = ouro_submit_with(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, &options);
        memset(&options, 0xff, sizeof options);
        cr_assert_str_eq(ouro_task_name(task), "kept");
        cr_assert(ouro_await(task) == -EDOM);
        return 0;
}

void suite_options_are_copied(const struct executor_kind *kind)
{
        with_pool(kind, 0, spoils_its_options);
}

/* In this process nothing is known beyond the result; elsewhere at least where it ran. */
static intptr_t asks_for_a_report(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = (struct ouro_report *)&options; /* to be overwritten */

        (void)arg;
        options.ret_report = &report;
        cr_assert(await_failing(&options) == -EDOM);
        cr_assert(tested->shared ? !report || report->pid > 0 : !report);
        ouro_report_free(report);
        return 0;
}

void suite_a_job_without_a_report_has_none(const struct executor_kind *kind)
{
        with_pool(kind, 0, asks_for_a_report);
}

/* ---- deadlines ---- */

static intptr_t has_a_job_that_is_late(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_task late;

        (void)arg;
        options.deadline_ns = OURO_MS(2);
        late = submit_sleeper(&options);
        cr_assert(ouro_wait(late) == 0);
        cr_assert(ouro_cancelled(late) == OURO_CANCEL_TIME);
        cr_assert(ouro_await(late) == -ETIME);
        cr_assert(await_failing(&options) == -EDOM, "the executor serves on");
        return 0;
}

void suite_f74_a_job_past_its_deadline_ends_with_etime(const struct executor_kind *kind)
{
        with_pool(kind, 0, has_a_job_that_is_late);
}

static intptr_t has_jobs_in_time(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_task task;

        (void)arg;
        options.deadline_ns = OURO_SEC(1000);
        for (int i = 0; i < 100; i++)
                cr_assert(await_failing(&options) == -EDOM);
        task = ouro_submit_with(tested_pool, job_fails, OURO_NO_IN, OURO_NO_OUT, &options);
        cr_assert(ouro_wait(task) == 0 && ouro_cancelled(task) == OURO_NOT_CANCELLED);
        cr_assert(ouro_await(task) == -EDOM);
        return 0;
}

void suite_a_deadline_that_is_kept_changes_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 0, has_jobs_in_time);
}

static intptr_t queues_one_with_a_deadline(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate *gate = shared(sizeof *gate);
        int *counter = shared(sizeof *counter);
        ouro_task running = submit_gate(gate), queued;

        (void)arg;
        gate_await_begun(gate, 1);
        options.deadline_ns = OURO_SEC(5);
        queued = ouro_submit_with(tested_pool, job_counts, OURO_NO_IN, ouro_out(counter, sizeof *counter),
                                  &options);
        options.deadline_ns = OURO_MS(1);
        ouro_sleep(OURO_MS(5)); /* longer than the deadline of one that had begun */
        cr_assert(ouro_task_state(queued) == OURO_STATE_WAITING);
        gate_open(gate);
        cr_assert(ouro_await(running) == 0);
        cr_assert(ouro_await(queued) == sizeof *counter && *counter == 1);
        return 0;
}

void suite_time_in_the_queue_is_not_of_the_deadline(const struct executor_kind *kind)
{
        with_pool(kind, 0, queues_one_with_a_deadline);
}

static intptr_t sleeps_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = out.base;

        (void)in;
        __atomic_add_fetch(&gate->began, 1, __ATOMIC_SEQ_CST);
        return ouro_job_sleep(job, OURO_SEC(1000));
}

static intptr_t wakes_a_sleeping_job(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        ouro_task task = ouro_submit(tested_pool, sleeps_at_gate, OURO_NO_IN, ouro_out(gate, sizeof *gate));

        (void)arg;
        gate_await_begun(gate, 1);
        ouro_sleep(OURO_MS(1)); /* it may sleep by now */
        cr_assert(ouro_cancel(task) == 0);
        cr_assert(ouro_await(task) == -ECANCELED);
        return 0;
}

void suite_a_sleeping_job_wakes_at_its_token(const struct executor_kind *kind)
{
        with_pool(kind, 0, wakes_a_sleeping_job);
}

/* ---- trying ---- */

static intptr_t tries_to_submit(void *arg)
{
        int numbers[] = {4, 5}, total = 0;
        ouro_task task = OURO_NO_TASK;

        (void)arg;
        cr_assert(ouro_try_submit(tested_pool, job_sums, OURO_IN(numbers), OURO_OUT(total), NULL, &task) ==
                  0);
        cr_assert(ouro_await(task) == 2 && total == 9);
        cr_assert(ouro_try_submit(tested_pool, NULL, OURO_NO_IN, OURO_NO_OUT, NULL, &task) == -EINVAL);
        cr_assert(ouro_try_submit(NULL, job_sums, OURO_NO_IN, OURO_NO_OUT, NULL, &task) == -EINVAL);
        cr_assert(ouro_try_submit(tested_pool, job_sums, OURO_NO_IN, OURO_NO_OUT, NULL, NULL) == -EINVAL);
        return 0;
}

void suite_trying_to_submit_gives_a_task(const struct executor_kind *kind)
{
        with_pool(kind, 0, tries_to_submit);
}

static intptr_t waits_its_turn(void *counter)
{
        return ouro_await(submit_count(counter));
}

static intptr_t tries_a_full_one(void *arg)
{
        const ouro_task untouched = OURO_NO_TASK;
        int *counter = shared(sizeof *counter), error = 0;
        ouro_task task = untouched, other;
        struct crowd crowd;

        (void)arg;
        crowd_make(&crowd);
        OURO_GROUP(group, &error) {
                for (int i = 0; i < 3; i++)
                        cr_assert(ouro_try_submit(tested_pool, job_counts, OURO_NO_IN,
                                                  ouro_out(counter, sizeof *counter), NULL,
                                                  &task) == -EAGAIN);
        }
        cr_assert(error == 0, "there was no task that could have failed");
        cr_assert(memcmp(&task, &untouched, sizeof task) == 0);
        other = ouro_create_task(waits_its_turn, counter);
        ouro_yield();
        crowd_leave(&crowd);
        cr_assert(ouro_await(other) == sizeof *counter && *counter == 1);
        return 0;
}

void suite_trying_to_submit_to_a_full_one_creates_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 1, tries_a_full_one);
}
