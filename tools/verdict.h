/* verdict.h - whether a stress run kept all promises, and which it broke.
 *
 * A pure function of what was counted: the tests feed it what a broken library would leave behind. */
#ifndef OURO_TOOL_VERDICT_H
#define OURO_TOOL_VERDICT_H

#include "totals.h"

enum {
        VERDICT_CHECKS = 11,
};

struct verdict_check {
        const char *name;
        bool ok;
        char detail[192];
};

struct verdict {
        bool ok; /* all of them */
        unsigned count;
        struct verdict_check checks[VERDICT_CHECKS];
};

void verdict_judge(const struct stress_outcome *outcome, struct verdict *ret_verdict);

#endif
