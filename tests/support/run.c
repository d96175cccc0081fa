/* run.c - runs the body of a test in a task, and keeps its notes. */
#include <pthread.h>
#include <string.h>

#include "support/run.h"

enum { NOTES_MOST = 4096, LINE_BYTES = 512 };

static char notes[2][NOTES_MOST];
static size_t notes_used;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_last[LINE_BYTES];
static enum ouro_log_level log_last_level;
static size_t log_lines;

static intptr_t call_body(void *arg)
{
        void (**body)(void) = arg;

        (*body)();
        return 0;
}

void run_body(void (*body)(void), enum ouro_clock clock)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        intptr_t result;

        options.clock = clock;
        result = ouro_run_with(&options, call_body, &body);
        cr_assert_eq(result, 0, "the run gave %ld", (long)result);
}

void note(char c)
{
        cr_assert_lt(notes_used, (size_t)NOTES_MOST - 1);
        notes[0][notes_used++] = c;
}

const char *noted(void)
{
        memcpy(notes[1], notes[0], NOTES_MOST);
        memset(notes[0], 0, NOTES_MOST);
        notes_used = 0;
        return notes[1];
}

static void keep_line(enum ouro_log_level level, const char *line, void *arg)
{
        (void)arg;
        pthread_mutex_lock(&log_lock);
        log_lines++;
        log_last_level = level;
        strncpy(log_last, line, LINE_BYTES - 1);
        pthread_mutex_unlock(&log_lock);
}

void catch_log(void)
{
        ouro_set_log(keep_line, NULL);
}

size_t logged(void)
{
        return log_lines;
}

const char *logged_last(void)
{
        return log_last;
}

enum ouro_log_level logged_level(void)
{
        return log_last_level;
}

intptr_t gives(void *value)
{
        return (intptr_t)value;
}

intptr_t gives_later(void *value)
{
        for (int i = 0; i < 3; i++) {
                int error = ouro_yield();

                if (error < 0)
                        return error;
        }
        return (intptr_t)value;
}

intptr_t sleeps_ms(void *ms)
{
        return ouro_sleep(OURO_MS((intptr_t)ms));
}

intptr_t waits_for_ever(void *unused)
{
        (void)unused;
        return ouro_sleep(OURO_FOREVER);
}

intptr_t gives_when_cut(void *value)
{
        ouro_sleep(OURO_FOREVER);
        return (intptr_t)value;
}
