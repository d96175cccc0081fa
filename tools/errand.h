/* errand.h - one job for the worker processes from the waiter's side: its spans, and what came back.
 *
 * Spans are made before the job is submitted and freed after its task has ended. */
#ifndef OURO_TOOL_ERRAND_H
#define OURO_TOOL_ERRAND_H

#include "plan.h"
#include "process_pool.h"

#include <errno.h>

struct span {
        unsigned char *base;
        size_t len;
        bool arena;
};

struct errand {
        struct processes *processes;
        struct plan plan;
        struct mark *mark; /* NULL: it is nameless */
        uint64_t number;
        uint32_t crc;
        struct span in;
        struct span out;
        struct ouro_report *report;
        intptr_t told;
};

enum {
        ERRAND_NOT_TOLD = -EINPROGRESS, /* no job returns this */
};

/* Makes what the plan says. Returns 0 or a negative errno; errand_end() also then. */
int errand_begin(struct errand *errand, struct processes *processes, const struct plan *plan);

ouro_task errand_submit(struct errand *errand);

/* Judges what was told, and tells the ledger. Returns 0, also where it was cut short as was meant, or died in
 * a chaos run; -ECANCELED, -ETIME: cut short by something else; or another negative errno. */
int errand_judge(struct errand *errand);

/* Was it done, with the right result? */
static inline bool errand_done(const struct errand *errand)
{
        return errand->told == 0;
}

void errand_end(struct errand *errand);

#endif
