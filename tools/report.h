/* report.h - what a stress run tells: a line every second, a table and a verdict, a JSON file. */
#ifndef OURO_TOOL_REPORT_H
#define OURO_TOOL_REPORT_H

#include "totals.h"
#include "verdict.h"

#include <stdio.h>

struct stress_options;

/* What the last live line had counted. Zeroed at first. */
struct live {
        uint64_t done[STRESS_KINDS];
};

/* One line to stdout, written as a task: a slow terminal holds up nobody else. */
void report_live(struct live *live, unsigned second, const struct stress_totals *totals);

void report_begin(const struct stress_options *options);
void report_table(const struct stress_outcome *outcome);

/* The whole verdict to stdout; or, quietly, only what is wrong, to stderr. */
void report_verdict(const struct verdict *verdict, bool quiet);

/* Flushes the file. Returns 0 or -EIO. */
int report_json(FILE *file, const struct stress_options *options, const struct stress_outcome *outcome,
                const struct verdict *verdict);

#endif
