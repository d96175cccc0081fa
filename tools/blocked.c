/* blocked.c - how long the loop did not come round.
 *
 * A task sleeps for a moment, again and again: how late it wakes is how long the loop was busy with others.
 * On a machine in use some of that is the time in which the loop's thread was ready to run and had no
 * processor, which the kernel tells; that is told apart, since no code of the loop can help it. */
#include "blocked.h"

#include "tool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <ouro.h>
#include <stdio.h>
#include <unistd.h>

#define TICK_NS OURO_MS(1)

/* What this thread has waited for a processor so far; 0 where the kernel does not tell. */
static int64_t queued_ns(int schedstat)
{
        char text[96];
        ssize_t len = schedstat < 0 ? -1 : pread(schedstat, text, sizeof(text) - 1, 0);
        int64_t ns = 0;

        if (len <= 0)
                return 0;
        text[len] = '\0';
        return sscanf(text, "%*s %" SCNd64, &ns) == 1 ? ns : 0;
}

void blocked_add(struct blocked_totals *totals, int64_t late_ns, int64_t queued)
{
        if (late_ns < 0)
                late_ns = 0;
        if (queued > late_ns)
                queued = late_ns;
        histogram_add(&totals->gap_ns, late_ns);
        if (late_ns > totals->longest_ns) {
                totals->longest_ns = late_ns;
                totals->longest_queued_ns = queued;
        }
        if (late_ns - queued > totals->longest_own_ns)
                totals->longest_own_ns = late_ns - queued;
}

intptr_t blocked_watch(void *arg)
{
        int schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
        int r = 0;

        while (r == 0) {
                int64_t begin_ns = tool_now_ns(), queued = queued_ns(schedstat);

                r = ouro_sleep(TICK_NS);
                if (r == 0)
                        blocked_add(arg, tool_now_ns() - begin_ns - TICK_NS, queued_ns(schedstat) - queued);
        }
        if (schedstat >= 0)
                close(schedstat);
        return 0;
}
