/* tool.h - what the subcommands of the `ouro` command share.
 *
 * Each subcommand is one function with the arguments from its own name on. It returns the exit status. */
#ifndef OURO_TOOL_H
#define OURO_TOOL_H

#include <stdint.h>
#include <time.h>

enum tool_status {
        TOOL_OK = 0,
        TOOL_FAILED = 1, /* it ran, and what it tells is no */
        TOOL_USAGE = 2,  /* it was asked for something that cannot be: one line on stderr says what */
};

int stress_command(int argc, char **argv);

/* The latencies are taken from the clock itself: ouro_now() stands still during a pass of the loop. */
static inline int64_t tool_now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
