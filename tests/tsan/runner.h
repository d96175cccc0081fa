/* runner.h - a small runner for programs that must bear ThreadSanitizer, which Criterion does not.
 *
 * Each case runs in a child with an alarm; the last line tells how many passed.
 *
 *      CASE(what_must_hold)
 *      {
 *              expect(ouro_run(main_task, NULL) == 0);
 *      }
 */
#ifndef OURO_TESTS_TSAN_RUNNER_H
#define OURO_TESTS_TSAN_RUNNER_H

#include <stdio.h>
#include <stdlib.h>

struct runner_case {
        const char *name;
        void (*fn)(void);
        struct runner_case *next;
};

void runner_add(struct runner_case *added);

#define CASE(id)                                                                                             \
        static void id(void);                                                                                \
        static __attribute__((constructor)) void add_##id(void)                                              \
        {                                                                                                    \
                static struct runner_case added = {#id, id, NULL};                                           \
                                                                                                             \
                runner_add(&added);                                                                          \
        }                                                                                                    \
        static void id(void)

#define expect(condition)                                                                                    \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
                        exit(1);                                                                             \
                }                                                                                            \
        } while (0)

#endif
