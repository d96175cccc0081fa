/* Of tools/verdict.c: a run that kept its promises passes; break one of them, and exactly its check fails.
 *
 * Each test spoils one number of a good outcome, as a broken library would. */
#include "../../tools/verdict.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct stress_totals totals;
static struct stress_outcome outcome;

static void make_good(void)
{
        memset(&totals, 0, sizeof(totals));
        for (unsigned i = 0; i < STRESS_KINDS; i++) {
                totals.kinds[i].workers = 2;
                totals.kinds[i].done = 100;
                totals.kinds[i].cancelled = 3;
                totals.kinds[i].expired = 1;
        }
        totals.echo = (struct echo_totals){
                .sent_bytes = 5000,
                .echoed_bytes = 5000,
                .dials = 20,
                .whole_sessions = 15,
                .cut_sessions = 5,
                .accepted = 19, /* one was cut while it dialled */
                .served_whole = 16,
                .served_broken = 3,
                .served_in_bytes = 4500,
                .served_out_bytes = 4500,
                .whole_session_bytes = 4400,
        };
        totals.job = (struct job_totals){.submitted = 50, .done = 45, .cancelled = 5, .runs = 47};
        totals.process = (struct process_totals){
                .job = {.submitted = 80, .done = 60, .cancelled = 12, .died = 8, .runs = 75, .cut_runs = 4},
                .idempotent = 20,
                .nameless = 9,
                .nameless_done = 7,
                .nameless_runs = 8,
                .restarts = 11,
                .retried = 4,
                .workers = 2,
        };
        totals.chaos = (struct chaos_totals){.reports = 8, .backtraces = 2, .calms = 3};
        totals.chaos.kills[CHAOS_JOB_SEGV] = 5;
        totals.chaos.kills[CHAOS_ZYGOTE_KILL] = 1;
        totals.blocked = (struct blocked_totals){.longest_ns = 4000000, .longest_own_ns = 3000000};
        totals.blocked.gap_ns.count = 1000;
        outcome = (struct stress_outcome){
                .totals = &totals,
                .leftovers = {.descriptors = {.before = 5, .after = 5},
                              .threads = {.before = 1, .after = 1},
                              .mappings = {.before = 30, .after = 29},
                              .anonymous_known = true,
                              .anonymous_before_bytes = 4096,
                              .anonymous_after_bytes = 4096},
                .elapsed_ns = 1000000000,
                .backend = "uring",
                .with_processes = true,
                .with_chaos = true,
        };
}

TestSuite(verdict, .init = make_good);

/* The only check that fails is the one of this name. */
static void assert_only(const char *name)
{
        struct verdict verdict;
        bool found = false;

        verdict_judge(&outcome, &verdict);
        cr_assert_not(verdict.ok);
        for (unsigned i = 0; i < verdict.count; i++) {
                bool this_one = strcmp(verdict.checks[i].name, name) == 0;

                cr_assert_eq(verdict.checks[i].ok, !this_one, "%s: %s", verdict.checks[i].name,
                             verdict.checks[i].detail);
                cr_assert_neq(verdict.checks[i].detail[0], '\0');
                found = found || this_one;
        }
        cr_assert(found);
}

static void assert_good(void)
{
        struct verdict verdict;

        verdict_judge(&outcome, &verdict);
        for (unsigned i = 0; i < verdict.count; i++)
                cr_assert(verdict.checks[i].ok, "%s: %s", verdict.checks[i].name, verdict.checks[i].detail);
        cr_assert(verdict.ok);
}

Test(verdict, good_run_passes)
{
        assert_good();
}

Test(verdict, kind_without_workers_need_not_work)
{
        memset(&totals.kinds[STRESS_FILE], 0, sizeof(totals.kinds[STRESS_FILE]));
        assert_good();
}

Test(verdict, run_that_ended_with_an_error_fails)
{
        outcome.run_result = -EDEADLK;
        assert_only("the run ended well");
}

Test(verdict, workers_that_did_nothing_fail)
{
        totals.kinds[STRESS_SLEEP].done = 0;
        assert_only("every kind of work was done");
}

Test(verdict, run_without_workers_fails)
{
        memset(totals.kinds, 0, sizeof(totals.kinds));
        assert_only("every kind of work was done");
}

Test(verdict, one_error_fails_and_is_told)
{
        struct verdict verdict;

        totals.kinds[STRESS_UNIX].errors = 1;
        totals.kinds[STRESS_UNIX].first_error = -EBADMSG;
        assert_only("nothing failed");
        verdict_judge(&outcome, &verdict);
        cr_assert_not_null(strstr(verdict.checks[2].detail, "unix"));
        cr_assert_not_null(strstr(verdict.checks[2].detail, strerror(EBADMSG)));
}

Test(verdict, byte_sent_but_not_echoed_fails)
{
        totals.echo.echoed_bytes--;
        assert_only("every byte echoed");
}

Test(verdict, byte_that_a_server_kept_fails)
{
        totals.echo.served_out_bytes--;
        assert_only("every byte echoed");
}

Test(verdict, message_that_reached_no_server_fails)
{
        totals.echo.whole_session_bytes = totals.echo.served_out_bytes + 1;
        assert_only("every byte echoed");
}

Test(verdict, corrupt_message_fails)
{
        totals.echo.corrupt = 1;
        assert_only("every byte echoed");
}

Test(verdict, server_cut_off_by_nobody_fails)
{
        totals.echo.served_broken = totals.echo.cut_sessions + 1;
        totals.echo.accepted = totals.echo.served_whole + totals.echo.served_broken;
        totals.echo.dials = totals.echo.accepted;
        totals.echo.whole_sessions = totals.echo.dials - totals.echo.cut_sessions;
        assert_only("every connection served");
}

Test(verdict, server_that_never_ended_fails)
{
        totals.echo.served_whole--;
        assert_only("every connection served");
}

Test(verdict, connection_from_nowhere_fails)
{
        totals.echo.accepted = totals.echo.dials + 1;
        totals.echo.served_whole = totals.echo.accepted - totals.echo.served_broken;
        assert_only("every connection served");
}

Test(verdict, session_that_nobody_counted_fails)
{
        totals.echo.dials++;
        assert_only("every connection served");
}

Test(verdict, server_error_fails)
{
        totals.echo.server_errors = 1;
        totals.echo.served_whole--;
        totals.echo.whole_sessions = 15;
        assert_only("every connection served");
}

Test(verdict, lost_job_fails)
{
        totals.job.lost = 1;
        assert_only("every job exactly once");
}

Test(verdict, repeated_job_fails)
{
        totals.job.repeated = 1;
        assert_only("every job exactly once");
}

Test(verdict, untold_job_fails)
{
        totals.job.untold = 1;
        assert_only("every job exactly once");
}

Test(verdict, failed_job_fails)
{
        totals.job.failed = 1;
        totals.job.done--;
        assert_only("every job exactly once");
}

Test(verdict, more_runs_than_jobs_fail)
{
        totals.job.runs = totals.job.submitted + 1;
        assert_only("every job exactly once");
}

Test(verdict, fewer_runs_than_done_jobs_fail)
{
        totals.job.runs = totals.job.done - 1;
        assert_only("every job exactly once");
}

Test(verdict, file_left_fails)
{
        outcome.files_left = 1;
        assert_only("files removed");
}

Test(verdict, descriptor_left_fails)
{
        outcome.leftovers.descriptors = (struct leftover){5, 6, 1, "9 socket:[1]"};
        assert_only("descriptors given back");
}

Test(verdict, thread_left_fails)
{
        outcome.leftovers.threads = (struct leftover){1, 2, 1, "77 ouro"};
        assert_only("threads given back");
}

Test(verdict, mapping_left_fails)
{
        outcome.leftovers.mappings = (struct leftover){30, 31, 1, "anon_inode:[io_uring]"};
        assert_only("mappings given back");
}

Test(verdict, memory_left_fails)
{
        outcome.leftovers.anonymous_after_bytes += 4096;
        assert_only("memory given back");
}

Test(verdict, unknown_memory_is_not_judged)
{
        outcome.leftovers.anonymous_known = false;
        outcome.leftovers.anonymous_after_bytes += 4096;
        assert_good();
}

/* ---- processes ---- */

static bool judged(const char *name)
{
        struct verdict verdict;

        verdict_judge(&outcome, &verdict);
        for (unsigned i = 0; i < verdict.count; i++)
                if (strcmp(verdict.checks[i].name, name) == 0)
                        return true;
        return false;
}

Test(verdict, processes_and_chaos_are_judged_where_there_were_any)
{
        cr_assert(judged("no process left") && judged("workers were killed"));
        outcome.with_chaos = false;
        totals.process.job.died = 0;
        totals.process.job.submitted = 72;
        cr_assert(judged("no process left") && !judged("workers were killed"));
        assert_good();
        outcome.with_processes = false;
        cr_assert(!judged("no process left") && judged("every job exactly once"));
        assert_good();
}

Test(verdict, process_job_that_nobody_was_told_of_fails)
{
        totals.process.job.untold = 1;
        assert_only("every process job one outcome");
}

Test(verdict, process_job_without_an_outcome_fails)
{
        totals.process.job.submitted++;
        assert_only("every process job one outcome");
}

Test(verdict, process_job_that_failed_fails)
{
        totals.process.job.failed = 1;
        totals.process.job.submitted++;
        assert_only("every process job one outcome");
}

Test(verdict, death_without_chaos_fails)
{
        outcome.with_chaos = false;
        assert_only("every process job one outcome");
}

Test(verdict, job_that_ran_too_often_fails)
{
        totals.process.job.repeated = 1;
        assert_only("no process job ran unduly");
}

Test(verdict, attempt_that_ran_twice_fails)
{
        totals.process.unduly = 1;
        assert_only("no process job ran unduly");
}

Test(verdict, process_job_done_without_a_run_fails)
{
        totals.process.job.lost = 1;
        assert_only("no process job ran unduly");
}

Test(verdict, fewer_process_runs_than_done_fail)
{
        totals.process.job.runs = totals.process.job.done - 1;
        assert_only("no process job ran unduly");
}

Test(verdict, more_nameless_runs_than_jobs_fail)
{
        totals.process.nameless_runs = totals.process.nameless + 1;
        assert_only("no process job ran unduly");
}

Test(verdict, fewer_nameless_runs_than_done_fail)
{
        totals.process.nameless_runs = totals.process.nameless_done - 1;
        assert_only("no process job ran unduly");
}

Test(verdict, record_of_no_job_fails)
{
        totals.process.bad_records = 1;
        assert_only("no process job ran unduly");
}

Test(verdict, wrong_result_fails)
{
        totals.process.wrong = 1;
        assert_only("results of process jobs right");
}

Test(verdict, torn_result_fails)
{
        totals.process.torn = 1;
        assert_only("results of process jobs right");
}

Test(verdict, late_write_fails)
{
        totals.process.late_writes = 1;
        assert_only("results of process jobs right");
}

Test(verdict, chaos_that_killed_nobody_fails)
{
        memset(totals.chaos.kills, 0, sizeof(totals.chaos.kills));
        totals.process.restarts = 5; /* as many as were cut short */
        assert_only("workers were killed");
}

Test(verdict, worker_that_died_unasked_fails_and_its_signal_is_told)
{
        struct verdict verdict;

        totals.chaos.unasked = 1;
        totals.chaos.unasked_signal = 7;
        assert_only("every death explained");
        verdict_judge(&outcome, &verdict);
        for (unsigned i = 0; i < verdict.count; i++)
                if (!verdict.checks[i].ok)
                        cr_assert_not_null(strstr(verdict.checks[i].detail, "signal 7"));
}

Test(verdict, more_restarts_than_deaths_that_were_asked_for_fail)
{
        totals.process.restarts = 500;
        assert_only("every death explained");
}

Test(verdict, missing_report_fails)
{
        totals.chaos.reports_missing = 1;
        assert_only("every death explained");
}

Test(verdict, report_that_contradicts_itself_fails)
{
        totals.chaos.reports_odd = 1;
        assert_only("every death explained");
}

Test(verdict, job_that_outlived_its_own_death_fails)
{
        totals.chaos.survived = 1;
        assert_only("every death explained");
}

Test(verdict, pool_that_is_not_whole_in_time_fails)
{
        totals.chaos.calms_short = 1;
        assert_only("full strength after calm");
}

Test(verdict, worker_that_does_not_serve_fails)
{
        totals.chaos.unserved = 1;
        assert_only("full strength after calm");
}

Test(verdict, strength_that_was_never_looked_at_fails)
{
        totals.chaos.calms = 0;
        assert_only("full strength after calm");
}

Test(verdict, loop_that_was_blocked_fails_but_not_for_want_of_a_processor)
{
        totals.blocked.longest_ns = 5000000000;
        totals.blocked.longest_queued_ns = 4900000000;
        assert_good();
        totals.blocked.longest_own_ns = 1500000000;
        assert_only("the loop went on");
}

Test(verdict, stray_process_fails)
{
        outcome.strays = true;
        assert_only("no process left");
}

Test(verdict, child_left_fails)
{
        outcome.leftovers.children = (struct leftover){0, 1, 1, "77 ouro-zygote"};
        assert_only("children given back");
}

Test(verdict, name_left_fails)
{
        outcome.leftovers.names = (struct leftover){0, 1, 1, "/dev/shm/ouro.7"};
        assert_only("no names left");
}
