/* suite.h - what every executor must do, whoever wrote it.
 *
 * A file of tests names its kind of executor and lists the suite:
 *
 *      static const struct executor_kind kind = {"threads", open_threads, NULL};
 *      #define CASE(name) Test(threads, name) { suite_##name(&kind); }
 *      SUITE_OF_ANY(CASE)
 *      SUITE_OF_WORKERS(CASE)
 *      SUITE_IN_PROCESS(CASE)
 *      SUITE_OF_WORKERS_IN_PROCESS(CASE)
 *
 * Those of workers need an executor that works beside the loop: its jobs wait for what tasks do. Those in
 * process need jobs that share all memory with the test; the others share what shared() has given. */
#ifndef OURO_TESTS_EXECUTORS_SUITE_H
#define OURO_TESTS_EXECUTORS_SUITE_H

#include <criterion/criterion.h>
#include <ouro.h>

struct executor_kind {
        const char *name;
        ouro_executor *(*open)(unsigned queue); /* with one worker; queue 0: the default */
        /* Memory that jobs see at the same address; it is there until the executor is closed. NULL: all is.
         */
        void *(*shared)(ouro_executor *executor, size_t bytes);
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
        CASE(closing_outside_a_loop_blocks_until_done)                                                       \
        CASE(f69_closing_nothing_is_refused)                                                                 \
        CASE(closing_refuses_what_makes_no_sense)                                                            \
        CASE(options_without_wishes_change_nothing)                                                          \
        CASE(options_of_other_headers_are_read)                                                              \
        CASE(job_options_out_of_range_are_refused)                                                           \
        CASE(what_an_executor_cannot_do_is_refused)                                                          \
        CASE(options_are_copied)                                                                             \
        CASE(a_job_without_a_report_has_none)                                                                \
        CASE(f74_a_job_past_its_deadline_ends_with_etime)                                                    \
        CASE(a_deadline_that_is_kept_changes_nothing)                                                        \
        CASE(trying_to_submit_gives_a_task)                                                                  \
        CASE(a_call_returns_the_result)                                                                      \
        CASE(a_call_that_fails_leaves_its_group_alone)                                                       \
        CASE(a_call_without_a_loop_blocks)                                                                   \
        CASE(a_call_without_a_loop_refuses_what_a_task_would)                                                \
        CASE(a_call_without_a_loop_keeps_its_deadline)                                                       \
        CASE(many_threads_without_a_loop_call)                                                               \
        CASE(a_worker_keeps_its_state_from_job_to_job)                                                       \
        CASE(a_job_knows_its_worker_and_attempt)                                                             \
        CASE(a_job_sleeps)                                                                                   \
        CASE(a_map_fills_in_all_results)                                                                     \
        CASE(a_map_of_nothing_does_nothing)                                                                  \
        CASE(a_map_refuses_what_makes_no_sense)                                                              \
        CASE(a_map_needs_no_items_or_results)                                                                \
        CASE(a_map_tells_in_order)                                                                           \
        CASE(a_map_tells_each_chunk_once_as_completed)                                                       \
        CASE(each_may_wait)                                                                                  \
        CASE(an_error_of_each_ends_the_map)                                                                  \
        CASE(the_first_error_ends_a_map)                                                                     \
        CASE(with_values_errors_do_not_end_a_map)                                                            \
        CASE(a_map_in_a_cancelled_task_does_nothing)                                                         \
        CASE(a_failed_map_leaves_its_group_alone)                                                            \
        CASE(stats_count_what_jobs_came_to)                                                                  \
        CASE(stats_of_other_sizes_are_refused_or_cut)

#define SUITE_OF_WORKERS(CASE)                                                                               \
        CASE(the_loop_goes_on_while_a_job_runs)                                                              \
        CASE(a_full_queue_makes_submit_wait_as_a_task)                                                       \
        CASE(submitters_that_wait_for_room_are_served_in_order)                                              \
        CASE(a_deadline_while_waiting_for_room_ends_the_submission)                                          \
        CASE(a_cancellation_while_waiting_for_room_ends_the_submission)                                      \
        CASE(a_job_cancelled_while_its_submitter_waits_for_room_never_starts)                                \
        CASE(f68_a_cancelled_queued_job_never_starts)                                                        \
        CASE(f68_a_running_job_sees_its_token_and_ends_itself)                                               \
        CASE(a_group_waits_for_its_jobs)                                                                     \
        CASE(the_run_waits_for_jobs_that_are_out)                                                            \
        CASE(closing_waits_for_jobs_while_other_tasks_run)                                                   \
        CASE(f69_closing_twice_is_refused)                                                                   \
        CASE(f69_submitting_while_it_closes_is_refused)                                                      \
        CASE(those_who_wait_for_room_when_it_closes_are_refused)                                             \
        CASE(f69_closing_outlasts_those_who_wait_for_room)                                                   \
        CASE(a_close_that_gives_up_leaves_it_closing)                                                        \
        CASE(a_thread_that_gives_up_closing_leaves_it_closing)                                               \
        CASE(several_loops_share_one)                                                                        \
        CASE(f40_no_wake_is_lost)                                                                            \
        CASE(the_virtual_clock_waits_for_jobs)                                                               \
        CASE(time_in_the_queue_is_not_of_the_deadline)                                                       \
        CASE(a_sleeping_job_wakes_at_its_token)                                                              \
        CASE(trying_to_submit_to_a_full_one_creates_nothing)                                                 \
        CASE(a_call_that_is_cut_short_cancels_its_job)                                                       \
        CASE(a_call_without_a_loop_waits_for_room)                                                           \
        CASE(a_map_has_no_more_jobs_out_than_it_may)                                                         \
        CASE(a_map_that_is_cut_short_cancels_its_jobs)                                                       \
        CASE(stats_tell_what_is_queued_and_cancelled)

#define SUITE_IN_PROCESS(CASE)                                                                               \
        CASE(f69_a_job_cannot_close_its_executor)                                                            \
        CASE(f67_a_job_may_wait_for_jobs_of_its_own_executor)                                                \
        CASE(f67_a_job_may_call_jobs_of_its_own_executor)                                                    \
        CASE(f67_a_map_within_a_job_ends)

#define SUITE_OF_WORKERS_IN_PROCESS(CASE)                                                                    \
        CASE(f67_a_job_cancelled_within_another_never_starts)                                                \
        CASE(f68_a_running_job_that_ignores_its_token_keeps_its_result)                                      \
        CASE(a_deadline_waits_for_the_job_that_cannot_be_stopped)

/* For executors with OURO_CAN_ABANDON; hurrying for those with ops->hurry. */
#define SUITE_OF_ABANDON(CASE)                                                                               \
        CASE(an_abandoned_job_runs_on_by_itself)                                                             \
        CASE(an_abandonable_job_in_time_gives_its_output)                                                    \
        CASE(closing_waits_for_abandoned_jobs)                                                               \
        CASE(a_thread_abandons_its_call)

#define SUITE_OF_HURRY(CASE)                                                                                 \
        CASE(closing_may_cancel_what_is_queued)                                                              \
        CASE(closing_may_end_what_runs)

#define SUITE_DECLARE(name) void suite_##name(const struct executor_kind *kind);
SUITE_OF_ANY(SUITE_DECLARE)
SUITE_OF_WORKERS(SUITE_DECLARE)
SUITE_IN_PROCESS(SUITE_DECLARE)
SUITE_OF_WORKERS_IN_PROCESS(SUITE_DECLARE)
SUITE_OF_ABANDON(SUITE_DECLARE)
SUITE_OF_HURRY(SUITE_DECLARE)
#undef SUITE_DECLARE

/* ---- what cases, and the tests of one kind, share ---- */

extern const struct executor_kind *tested;
extern ouro_executor *tested_pool;

void open_pool(const struct executor_kind *kind, unsigned queue);

/* Runs fn(NULL) in a loop with an executor, and closes that in the loop. */
void with_pool(const struct executor_kind *kind, unsigned queue, ouro_fn *fn);

void *shared(size_t bytes); /* zeroed; of the pool that is open */

/* A job that waits for the gate: it tells that it has begun, and ends when a byte comes (or at a cancelled
 * token, if it is the one that looks at it). */
struct gate {
        int began; /* atomic: how many jobs have */
        int open;  /* atomic */
};

intptr_t job_waits_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out);
intptr_t job_waits_for_token(struct ouro_job *job, struct ouro_in in, struct ouro_out out);
intptr_t job_sums(struct ouro_job *job, struct ouro_in in, struct ouro_out out);  /* ints; returns how many */
intptr_t job_fails(struct ouro_job *job, struct ouro_in in, struct ouro_out out); /* -EDOM */
intptr_t job_counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out); /* adds 1 to its out */
void gate_open(struct gate *gate);
void gate_await_begun(struct gate *gate, int n); /* as a task */
ouro_task submit_gate(struct gate *gate);
ouro_task submit_count(int *counter);

/* The worker is at the gate, the queue of one is full. */
struct crowd {
        struct gate *gate;
        int *in_queue; /* counted by the job that waits in the queue */
        ouro_task running, queued;
};

void crowd_make(struct crowd *crowd);
void crowd_leave(struct crowd *crowd);
void crowd_leave_closing(struct crowd *crowd);

#endif
