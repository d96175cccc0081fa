/* check.h - an invariant of ours that does not hold ends the process with one line, in release builds too. */
#ifndef OURO_BASE_CHECK_H
#define OURO_BASE_CHECK_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define check(condition)                                                                                     \
        do {                                                                                                 \
                if (unlikely(!(condition)))                                                                  \
                        check_failed(__FILE__, __LINE__, #condition);                                        \
        } while (0)

_Noreturn void check_failed(const char *file, int line, const char *condition);

/* Ends the process with one line that is not about an invariant; design: three exceptions. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
