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
