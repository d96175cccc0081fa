/* say.h - begin(), run() and say(): the counterpart of say.py, for the programs beside it.
 *
 * A line is the time since the start in whole ticks of 0.1 s, then a text. With SAY_CLOCK=virtual in the
 * environment the programs run on the virtual clock: a tick is exact then, and takes no time at all. */
#ifndef SAY_H
#define SAY_H

#include <ouro.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK OURO_MS(100)

static struct ouro_options say_options = OURO_OPTIONS_INIT;
static int64_t say_start, say_latest;

/* The clock to run on. A clock can only be read while its loop runs, so run() notes the start. */
static inline void begin(void)
{
        const char *clock = getenv("SAY_CLOCK");

        if (clock != NULL && strcmp(clock, "virtual") == 0)
                say_options.clock = OURO_CLOCK_VIRTUAL;
}

static ouro_fn *say_main_fn;

static inline intptr_t say_main(void *arg)
{
        say_start = say_latest = ouro_now();
        return say_main_fn(arg);
}

static inline intptr_t run(ouro_fn *fn)
{
        intptr_t result;

        say_main_fn = fn;
        result = ouro_run_with(&say_options, say_main, NULL);
        if (result < 0)
                fprintf(stderr, "run: %s\n", strerror((int)-result));
        return result;
}

/* After the run has returned there is no clock: the last reading stands. */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
        int64_t now = ouro_now();
        va_list args;

        if (now >= 0)
                say_latest = now;
        printf("%d ", (int)((say_latest - say_start + TICK / 2) / TICK));
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        putchar('\n');
        fflush(stdout);
}

#endif /* SAY_H */
