/* verdict.h - whether a stress run kept all promises, and which it broke.
 *
 * A pure function of what was counted: the tests feed it what a broken library would leave behind. */
#ifndef OURO_TOOL_VERDICT_H
#define OURO_TOOL_VERDICT_H

#include "totals.h"

enum {
        VERDICT_CHECKS = 21, /* at most: some are only of runs with processes, or with chaos */
};

struct verdict_check {
        const char *name;
        bool ok;
        char detail[256];
};

struct verdict {
        bool ok; /* all of them */
        unsigned count;
        struct verdict_check checks[VERDICT_CHECKS];
};

void verdict_judge(const struct stress_outcome *outcome, struct verdict *ret_verdict);

#endif
