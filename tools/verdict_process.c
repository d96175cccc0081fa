/* verdict_process.c - the checks of a verdict that are about worker processes.
 *
 * A job whose worker was killed may or may not have begun to run: its record in the ledger says so, and the
 * sums bound each other. */
#include "verdict_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* More than that, without waiting for a processor, and something in the loop has waited. */
#define BLOCKED_NS 1000000000

bool process_jobs_told_once(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct process_totals *process = &outcome->totals->process;
        const struct job_totals *job = &process->job;

        snprintf(detail, room,
                 "%" PRIu64 " submitted, %" PRIu64 " done, %" PRIu64 " cancelled, %" PRIu64
                 " died with their workers; %" PRIu64 " failed, %" PRIu64 " untold",
                 job->submitted, job->done, job->cancelled, job->died, job->failed, job->untold);
        return job->untold == 0 && job->failed == 0 && (job->died == 0 || outcome->with_chaos) &&
               job->submitted == job->done + job->cancelled + job->died &&
               process->nameless_done <= process->nameless;
}

bool process_jobs_ran_once(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct process_totals *process = &outcome->totals->process;
        const struct job_totals *job = &process->job;

        snprintf(detail, room,
                 "%" PRIu64 " runs, %" PRIu64 " jobs begun again of %" PRIu64 " that may be; %" PRIu64
                 " too often, %" PRIu64 " unduly, %" PRIu64 " done without a run, %" PRIu64
                 " bad records; %" PRIu64 " nameless ran %" PRIu64 " times",
                 job->runs, process->retried, process->idempotent, job->repeated, process->unduly, job->lost,
                 process->bad_records, process->nameless, process->nameless_runs);
        return job->repeated == 0 && process->unduly == 0 && job->lost == 0 && process->bad_records == 0 &&
               job->runs >= job->done && process->nameless_runs >= process->nameless_done &&
               process->nameless_runs <= process->nameless;
}

bool process_results_right(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct process_totals *process = &outcome->totals->process;

        snprintf(detail, room,
                 "%" PRIu64 " wrong, %" PRIu64 " torn, %" PRIu64 " written to later; %" PRIu64
                 " spans in the arena",
                 process->wrong, process->torn, process->late_writes, process->from_arena);
        return process->wrong == 0 && process->torn == 0 && process->late_writes == 0;
}

bool no_process_left(const struct stress_outcome *outcome, char *detail, size_t room)
{
        snprintf(detail, room, "%s",
                 outcome->strays ? "some process still holds what workers inherited"
                                 : "nobody holds what workers had inherited");
        return !outcome->strays;
}

uint64_t chaos_kill_count(const struct chaos_totals *chaos)
{
        uint64_t count = 0;

        for (unsigned kill = CHAOS_NONE + 1; kill < CHAOS_KILLS; kill++)
                count += chaos->kills[kill];
        return count;
}

/* A run in which nothing was harmed would prove nothing. */
bool workers_were_killed(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct process_totals *process = &outcome->totals->process;
        uint64_t kills = chaos_kill_count(&outcome->totals->chaos);

        snprintf(detail, room,
                 "%" PRIu64 " times; %" PRIu64 " workers restarted, %" PRIu64 " recycled, %" PRIu64
                 " jobs died",
                 kills, process->restarts, process->recycled, process->job.died);
        return kills > 0 && process->restarts > 0;
}

/* How many workers may have died of what was done to them. A job that was cut short just as it was begun has
 * cost its worker and has no record yet: few of them. */
static uint64_t deaths_at_most(const struct stress_outcome *outcome)
{
        const struct process_totals *process = &outcome->totals->process;
        const uint64_t *kills = outcome->totals->chaos.kills;
        uint64_t workers = 0, zygotes = kills[CHAOS_JOB_ZYGOTE];

        for (unsigned kill = CHAOS_NONE + 1; kill < CHAOS_ZYGOTE_KILL; kill++)
                if (kill != CHAOS_JOB_CHILD && kill != CHAOS_STOP_CONT)
                        workers += kills[kill];
        for (unsigned kill = CHAOS_ZYGOTE_KILL; kill < CHAOS_KILLS; kill++)
                if (kill != CHAOS_ZYGOTE_STOP_CONT)
                        zygotes += kills[kill];
        return workers + zygotes * process->workers + process->job.cut_runs + process->job.cancelled / 20 +
               (process->nameless - process->nameless_done) + 2;
}

bool deaths_explained(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct chaos_totals *chaos = &outcome->totals->chaos;
        int len = snprintf(detail, room,
                           "%" PRIu64 " reports, %" PRIu64 " missing, %" PRIu64 " odd; %" PRIu64
                           " survived, %" PRIu64 " died unasked; of %" PRIu64 " restarts up to %" PRIu64
                           " were asked for",
                           chaos->reports, chaos->reports_missing, chaos->reports_odd, chaos->survived,
                           chaos->unasked, outcome->totals->process.restarts, deaths_at_most(outcome));

        if (chaos->unasked > 0 && len > 0 && (size_t)len < room)
                snprintf(detail + len, room - (size_t)len, ", the first by %s %d",
                         chaos->unasked_signal > 0 ? "signal" : "exit status",
                         chaos->unasked_signal > 0 ? chaos->unasked_signal : -chaos->unasked_signal);
        return chaos->reports_missing == 0 && chaos->reports_odd == 0 && chaos->survived == 0 &&
               chaos->unasked == 0 && outcome->totals->process.restarts <= deaths_at_most(outcome);
}

bool full_strength_after_calm(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct chaos_totals *chaos = &outcome->totals->chaos;

        snprintf(detail, room,
                 "%" PRIu64 " times, after %.1f ms at the median, %.1f ms at most; %" PRIu64
                 " times later than 1 s, %" PRIu64 " workers did not serve",
                 chaos->calms, (double)histogram_quantile(&chaos->strength_ns, 0.5) / 1e6,
                 (double)chaos->strength_ns.max / 1e6, chaos->calms_short, chaos->unserved);
        return chaos->calms > 0 && chaos->calms_short == 0 && chaos->unserved == 0;
}

bool loop_went_on(const struct stress_outcome *outcome, char *detail, size_t room)
{
        const struct blocked_totals *blocked = &outcome->totals->blocked;

        snprintf(detail, room,
                 "blocked for %.1f ms at most, of that %.1f ms waiting for a processor; without such waiting "
                 "%.1f ms at most",
                 (double)blocked->longest_ns / 1e6, (double)blocked->longest_queued_ns / 1e6,
                 (double)blocked->longest_own_ns / 1e6);
        return blocked->gap_ns.count > 0 && blocked->longest_own_ns <= BLOCKED_NS;
}
