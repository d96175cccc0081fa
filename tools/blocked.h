/* blocked.h - how long the loop did not come round: somebody in it, or somebody who had the processor. */
#ifndef OURO_TOOL_BLOCKED_H
#define OURO_TOOL_BLOCKED_H

#include "totals.h"

/* A task with a struct blocked_totals, which goes on until it is cancelled. */
intptr_t blocked_watch(void *totals);

/* One tick: it came so late, of that so long while the thread was waiting for a processor. */
void blocked_add(struct blocked_totals *totals, int64_t late_ns, int64_t queued_ns);

#endif
