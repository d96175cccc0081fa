/* log.c - the log hook, and the two ways of ending the process.
 *
 * Messages come from any thread; the hook and its argument are one pair behind a lock, taken only when
 * there is something to tell. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

enum { LINE_BYTES = 512 };

static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static ouro_log_fn *hook;
static void *hook_arg;

void ouro_set_log(ouro_log_fn *fn, void *arg)
{
        pthread_mutex_lock(&hook_lock);
        hook = fn;
        hook_arg = arg;
        pthread_mutex_unlock(&hook_lock);
}

static void to_stderr(enum ouro_log_level level, const char *line)
{
        if (level <= OURO_LOG_WARNING)
                fprintf(stderr, "ouro: %s\n", line);
}

void log_line(enum ouro_log_level level, const char *format, ...)
{
        int saved_errno = errno; /* it belongs to the task that we speak from */
        char line[LINE_BYTES];
        ouro_log_fn *fn;
        va_list args;
        void *arg;

        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);

        pthread_mutex_lock(&hook_lock);
        fn = hook;
        arg = hook_arg;
        pthread_mutex_unlock(&hook_lock);

        if (fn)
                fn(level, line, arg);
        else
                to_stderr(level, line);
        errno = saved_errno;
}

void check_failed(const char *file, int line, const char *condition)
{
        die("broken invariant at %s:%d: %s", file, line, condition);
}

void die(const char *format, ...)
{
        char line[LINE_BYTES];
        va_list args;

        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);
        log_line(OURO_LOG_ERROR, "%s", line);
        abort();
}
