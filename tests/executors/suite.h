/* suite.h - what every executor must do, whoever wrote it.
 *
 * A file of tests names its kind of executor and lists the suite:
 *
 *      static const struct executor_kind kind = {"threads", open_threads};
 *      #define CASE(name) Test(threads, name) { suite_##name(&kind); }
 *      SUITE_OF_ANY(CASE)
 *      SUITE_OF_WORKERS(CASE)
 *
 * The second half needs an executor that works beside the loop: its jobs wait for what tasks do. */
#ifndef OURO_TESTS_EXECUTORS_SUITE_H
#define OURO_TESTS_EXECUTORS_SUITE_H

#include <criterion/criterion.h>
#include <ouro.h>

struct executor_kind {
        const char *name;
        ouro_executor *(*open)(unsigned queue); /* with one worker */
};

#define SUITE_OF_ANY(CASE)                                                                                   \
        CASE(results_come_back)                                                                              \
        CASE(errors_are_results)                                                                             \
        CASE(spans_may_be_empty)                                                                             \
        CASE(each_of_many_runs_once)                                                                         \
        CASE(jobs_and_coroutines_are_gathered_alike)                                                         \
        CASE(a_result_is_taken_once)                                                                         \
        CASE(a_job_has_the_name_of_its_function)                                                             \
        CASE(a_job_runs_outside_any_loop)                                                                    \
        CASE(bad_arguments_are_refused)                                                                      \
        CASE(outside_a_loop_there_is_no_submitting)                                                          \
        CASE(a_cancelled_task_submits_nothing)                                                               \
        CASE(after_a_deadline_nothing_is_submitted)                                                          \
        CASE(in_a_cancelled_group_a_job_never_starts)                                                        \
        CASE(a_failed_job_cancels_its_siblings)                                                              \
        CASE(f69_a_job_cannot_close_its_executor)                                                            \
        CASE(f67_a_job_may_wait_for_jobs_of_its_own_executor)                                                \
        CASE(closing_outside_a_loop_blocks_until_done)                                                       \
        CASE(f69_closing_nothing_is_refused)

#define SUITE_OF_WORKERS(CASE)                                                                               \
        CASE(f67_a_job_cancelled_within_another_never_starts)                                                \
        CASE(the_loop_goes_on_while_a_job_runs)                                                              \
        CASE(a_full_queue_makes_submit_wait_as_a_task)                                                       \
        CASE(submitters_that_wait_for_room_are_served_in_order)                                              \
        CASE(a_deadline_while_waiting_for_room_ends_the_submission)                                          \
        CASE(a_cancellation_while_waiting_for_room_ends_the_submission)                                      \
        CASE(a_job_cancelled_while_its_submitter_waits_for_room_never_starts)                                \
        CASE(f68_a_cancelled_queued_job_never_starts)                                                        \
        CASE(f68_a_running_job_sees_its_token_and_ends_itself)                                               \
        CASE(f68_a_running_job_that_ignores_its_token_keeps_its_result)                                      \
        CASE(a_deadline_waits_for_the_job_that_cannot_be_stopped)                                            \
        CASE(a_group_waits_for_its_jobs)                                                                     \
        CASE(the_run_waits_for_jobs_that_are_out)                                                            \
        CASE(closing_waits_for_jobs_while_other_tasks_run)                                                   \
        CASE(f69_closing_twice_is_refused)                                                                   \
        CASE(f69_submitting_while_it_closes_is_refused)                                                      \
        CASE(those_who_wait_for_room_when_it_closes_are_refused)                                             \
        CASE(f69_closing_outlasts_those_who_wait_for_room)                                                   \
        CASE(several_loops_share_one)                                                                        \
        CASE(f40_no_wake_is_lost)                                                                            \
        CASE(the_virtual_clock_waits_for_jobs)

#define SUITE_DECLARE(name) void suite_##name(const struct executor_kind *kind);
SUITE_OF_ANY(SUITE_DECLARE)
SUITE_OF_WORKERS(SUITE_DECLARE)
#undef SUITE_DECLARE

/* ---- what the tests of one kind use too ---- */

/* A job that waits for the gate: it tells that it has begun, and ends when a byte comes (or at a cancelled
 * token, if it is the one that looks at it). */
struct gate {
        int began; /* atomic: how many jobs have */
        int open;  /* atomic */
};

intptr_t job_waits_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out);
void gate_open(struct gate *gate);
void gate_await_begun(struct gate *gate, int n); /* as a task */

#endif
