/* verdict_process.h - the checks of a verdict that are about worker processes, for verdict.c.
 *
 * Each fills in its own line, and says whether it is so. */
#ifndef OURO_TOOL_VERDICT_PROCESS_H
#define OURO_TOOL_VERDICT_PROCESS_H

#include "verdict.h"

#include <stddef.h>

typedef bool verdict_check_fn(const struct stress_outcome *outcome, char *detail, size_t room);

/* Of every run with a process pool. */
verdict_check_fn process_jobs_told_once;
verdict_check_fn process_jobs_ran_once;
verdict_check_fn process_results_right;
verdict_check_fn no_process_left;

/* Of chaos runs. */
verdict_check_fn workers_were_killed;
verdict_check_fn deaths_explained;
verdict_check_fn full_strength_after_calm;
verdict_check_fn loop_went_on;

uint64_t chaos_kill_count(const struct chaos_totals *chaos);

#endif
