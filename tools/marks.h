/* marks.h - which job ran how often, and what its waiter was told.
 *
 * One mark per job, for the whole run, so that a job which runs a second time much later is seen too. A mark
 * stays where it is until the marks are freed: workers that are threads hold pointers to them. (Processes
 * write to a file instead, see ledger.h.) The loop's thread adds, ends and sweeps; workers only mark_ran().
 */
#ifndef OURO_TOOL_MARKS_H
#define OURO_TOOL_MARKS_H

#include "totals.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mark_fate {
        MARK_OPEN, /* its waiter has not been told anything */
        MARK_DONE,
        MARK_CANCELLED,
        MARK_DIED, /* with its worker */
        MARK_FAILED,
};

struct mark {
        _Atomic uint8_t runs; /* stays at 255 */
        uint8_t fate;         /* enum mark_fate */
        uint8_t retries;      /* it may be begun again so often */
        uint8_t attempts;     /* bit i: attempt i has been seen, the eighth and later ones as the eighth */
};

struct marks {
        struct mark **chunks;
        size_t chunk_count;
        size_t chunk_room;
        size_t used; /* marks in all chunks */
};

/* A mark of a job that has not run; NULL for want of memory. */
struct mark *marks_add(struct marks *marks);

/* The mark that was added after so many others; NULL: there are not so many. */
struct mark *marks_at(const struct marks *marks, uint64_t number);

/* The job begins. Called in the worker. */
void mark_ran(struct mark *mark);

/* The same, told by somebody who knows how often the job had begun before. False: that attempt has been seen
 * already, or is one that must not be. */
bool mark_ran_again(struct mark *mark, unsigned attempt);

/* Counts the marks into job_totals, after every job has ended. */
void marks_sweep(const struct marks *marks, struct job_totals *job);

void marks_free(struct marks *marks);

#endif
