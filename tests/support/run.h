/* run.h - tests whose body is the main task of a run, and what such tests write down to compare order by.
 *
 *      RUN(group, fails_fast)          as Test(group, fails_fast), its body in a task, on the real clock
 *      {
 *              ...
 *      }
 *      RUN_VIRTUAL(scope, expires)     the same on the virtual clock
 *
 * Arguments after the name go to Test(). An assertion that fails inside a task ends the test. */
#ifndef OURO_TESTS_SUPPORT_RUN_H
#define OURO_TESTS_SUPPORT_RUN_H

#include <criterion/criterion.h>
#include <stdint.h>

#include <ouro.h>

#define RUN_ON_(clock, suite, name, ...)                                                                     \
        static void suite##_##name##_in_task(void);                                                          \
        Test(suite, name, ##__VA_ARGS__)                                                                     \
        {                                                                                                    \
                run_body(suite##_##name##_in_task, clock);                                                   \
        }                                                                                                    \
        static void suite##_##name##_in_task(void)

#define RUN(...) RUN_ON_(OURO_CLOCK_REAL, __VA_ARGS__)
#define RUN_VIRTUAL(...) RUN_ON_(OURO_CLOCK_VIRTUAL, __VA_ARGS__)

void run_body(void (*body)(void), enum ouro_clock clock);

/* Appends a letter to what this process has noted; noted() is all of it, and forgets it. */
void note(char c);
const char *noted(void);

/* From here on the library's messages are counted instead of printed. */
void catch_log(void);
size_t logged(void);                    /* how many so far */
const char *logged_last(void);          /* "" if none */
enum ouro_log_level logged_level(void); /* of the last */

/* ---- bodies of tasks that many tests need ---- */

static inline void *as_arg(intptr_t value)
{
        return (void *)value;
}

intptr_t gives(void *value);           /* returns value at once */
intptr_t gives_later(void *value);     /* after three turns of the ready queue */
intptr_t sleeps_ms(void *ms);          /* returns what the sleep returned */
intptr_t waits_for_ever(void *unused); /* until it is cut short: returns why */

/* Returns value, but only once it has been cut short. */
intptr_t gives_when_cut(void *value);

#endif
