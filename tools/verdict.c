/* verdict.c - whether a stress run kept all promises, and which it broke.
 *
 * Each check is a function that fills in its own line. Work that was cut on purpose leaves room in some of
 * them: a client that is cut may or may not have reached its server, so there the counts bound each other. */
#include "verdict_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const stress_kind_names[STRESS_KINDS] = {
        [STRESS_TCP] = "tcp",         [STRESS_UNIX] = "unix",   [STRESS_FILE] = "file",
        [STRESS_JOB] = "job",         [STRESS_SLEEP] = "sleep", [STRESS_CHANNEL] = "channel",
        [STRESS_PROCESS] = "process",
};

static const char *error_text(intptr_t error)
{
        return strerror((int)-error);
}

static bool run_ended_well(const struct stress_outcome *outcome, char *detail, size_t room)
{
        if (outcome->run_result < 0)
                snprintf(detail, room, "it ended with: %s", error_text(outcome->run_result));
        else
                snprintf(detail, room, "%.3f s on %s", (double)outcome->elapsed_ns / 1e9, outcome->backend);
        return outcome->run_result >= 0;
}

static bool every_kind_worked(const struct stress_outcome *outcome, char *detail, size_t room)
{
        unsigned kinds = 0;

        for (unsigned i = 0; i < STRESS_KINDS; i++) {
                const struct kind_totals *kind = &outcome->totals->kinds[i];

                if (kind->workers > 0 && kind->done == 0) {
                        snprintf(detail, room, "%s: %" PRIu64 " workers, nothing done", stress_kind_names[i],
                                 kind->workers);
                        return false;
                }
                kinds += kind->workers > 0;
        }
        snprintf(detail, room, "%u kinds", kinds);
        return kinds > 0;
}

static bool nothing_failed(const struct stress_outcome *outcome, char *detail, size_t room)
{
        uint64_t cut = 0;

        for (unsigned i = 0; i < STRESS_KINDS; i++) {
                const struct kind_totals *kind = &outcome->totals->kinds[i];

                if (kind->errors > 0) {
                        snprintf(detail, room, "%s: %" PRIu64 " errors, the first: %s", stress_kind_names[i],
                                 kind->errors, error_text(kind->first_error));
                        return false;
                }
                cut += kind->cancelled + kind->expired;
        }
        snprintf(detail, room, "no errors, %" PRIu64 " rounds cut short on purpose", cut);
        return true;
}

static bool every_byte_echoed(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct echo_totals *echo = &outcome->totals->echo;

        snprintf(detail, room,
                 "sent %" PRIu64 ", echoed %" PRIu64 " bytes; servers took %" PRIu64 ", gave %" PRIu64
                 "; %" PRIu64 " corrupt",
                 echo->sent_bytes, echo->echoed_bytes, echo->served_in_bytes, echo->served_out_bytes,
                 echo->corrupt);
        return echo->sent_bytes == echo->echoed_bytes && echo->served_in_bytes == echo->served_out_bytes &&
               echo->served_out_bytes >= echo->whole_session_bytes && echo->corrupt == 0;
}

static bool every_connection_served(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct echo_totals *echo = &outcome->totals->echo;
        uint64_t ended = echo->served_whole + echo->served_broken + echo->server_errors;

        snprintf(detail, room,
                 "%" PRIu64 " dialled, %" PRIu64 " accepted, %" PRIu64 " clients cut, %" PRIu64
                 " servers cut off, %" PRIu64 " failed",
                 echo->dials, echo->accepted, echo->cut_sessions, echo->served_broken, echo->server_errors);
        return echo->server_errors == 0 && echo->accepted == ended && echo->accepted <= echo->dials &&
               echo->dials == echo->whole_sessions + echo->cut_sessions &&
               echo->served_whole >= echo->whole_sessions && echo->served_broken <= echo->cut_sessions;
}

static bool every_job_once(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct job_totals *job = &outcome->totals->job;

        snprintf(detail, room,
                 "%" PRIu64 " submitted, %" PRIu64 " done, %" PRIu64 " cancelled; %" PRIu64 " lost, %" PRIu64
                 " repeated, %" PRIu64 " untold",
                 job->submitted, job->done, job->cancelled, job->lost, job->repeated, job->untold);
        return job->lost == 0 && job->repeated == 0 && job->untold == 0 && job->failed + job->died == 0 &&
               job->submitted == job->done + job->cancelled && job->runs >= job->done &&
               job->runs <= job->submitted;
}

static bool all_given_back(const struct leftover *leftover, char *detail, size_t room)
{
        if (leftover->extra == 0)
                snprintf(detail, room, "%zu before, %zu after", leftover->before, leftover->after);
        else
                snprintf(detail, room, "%zu before, %zu after; %zu left, the first: %s", leftover->before,
                         leftover->after, leftover->extra, leftover->first);
        return leftover->extra == 0;
}

static bool children_given_back(const struct stress_outcome *outcome, char *detail, size_t room)
{
        return all_given_back(&outcome->leftovers.children, detail, room);
}

static bool no_names_left(const struct stress_outcome *outcome, char *detail, size_t room)
{
        return all_given_back(&outcome->leftovers.names, detail, room);
}

static bool descriptors_given_back(const struct stress_outcome *outcome, char *detail, size_t room)
{
        return all_given_back(&outcome->leftovers.descriptors, detail, room);
}

static bool threads_given_back(const struct stress_outcome *outcome, char *detail, size_t room)
{
        return all_given_back(&outcome->leftovers.threads, detail, room);
}

static bool mappings_given_back(const struct stress_outcome *outcome, char *detail, size_t room)
{
        return all_given_back(&outcome->leftovers.mappings, detail, room);
}

static bool memory_given_back(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct leftovers *leftovers = &outcome->leftovers;

        if (!leftovers->anonymous_known) {
                snprintf(detail, room, "not compared: this allocator does not tell what it maps");
                return true;
        }
        snprintf(detail, room, "%" PRId64 " KiB before, %" PRId64 " KiB after",
                 leftovers->anonymous_before_bytes / 1024, leftovers->anonymous_after_bytes / 1024);
        return leftovers->anonymous_after_bytes <= leftovers->anonymous_before_bytes;
}

static bool files_removed(const struct stress_outcome *outcome, char *detail, size_t room)
{
        snprintf(detail, room, "%" PRIu64 " left", outcome->files_left);
        return outcome->files_left == 0;
}

static const struct {
        const char *name;
        verdict_check_fn *check;
        enum { ALWAYS, WITH_PROCESSES, WITH_CHAOS } when;
} all[VERDICT_CHECKS] = {
        {"the run ended well", run_ended_well, ALWAYS},
        {"every kind of work was done", every_kind_worked, ALWAYS},
        {"nothing failed", nothing_failed, ALWAYS},
        {"every byte echoed", every_byte_echoed, ALWAYS},
        {"every connection served", every_connection_served, ALWAYS},
        {"every job exactly once", every_job_once, ALWAYS},
        {"every process job one outcome", process_jobs_told_once, WITH_PROCESSES},
        {"no process job ran unduly", process_jobs_ran_once, WITH_PROCESSES},
        {"results of process jobs right", process_results_right, WITH_PROCESSES},
        {"workers were killed", workers_were_killed, WITH_CHAOS},
        {"every death explained", deaths_explained, WITH_CHAOS},
        {"full strength after calm", full_strength_after_calm, WITH_CHAOS},
        {"the loop went on", loop_went_on, WITH_CHAOS},
        {"no process left", no_process_left, WITH_PROCESSES},
        {"files removed", files_removed, ALWAYS},
        {"no names left", no_names_left, WITH_PROCESSES},
        {"children given back", children_given_back, WITH_PROCESSES},
        {"descriptors given back", descriptors_given_back, ALWAYS},
        {"threads given back", threads_given_back, ALWAYS},
        {"mappings given back", mappings_given_back, ALWAYS},
        {"memory given back", memory_given_back, ALWAYS},
};

void verdict_judge(const struct stress_outcome *outcome, struct verdict *ret_verdict)
{
        struct verdict verdict = {.ok = true};

        for (unsigned i = 0; i < VERDICT_CHECKS; i++) {
                struct verdict_check *check = &verdict.checks[verdict.count];

                if ((all[i].when == WITH_PROCESSES && !outcome->with_processes) ||
                    (all[i].when == WITH_CHAOS && !outcome->with_chaos))
                        continue;
                check->name = all[i].name;
                check->ok = all[i].check(outcome, check->detail, sizeof(check->detail));
                verdict.ok = verdict.ok && check->ok;
                verdict.count++;
        }
        *ret_verdict = verdict;
}
