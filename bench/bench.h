/* bench.h - clocks, options and the one line that each number is printed as.
 *
 * A program measures a number in several rounds, each beside its reference, and prints for each number
 *
 *   NAME ns=4.61 bare=2.42 ratio=1.90 low=1.88 high=1.97 rounds=15
 *
 * medians over the rounds; low and high are the quartiles of the ratio. run.py reads these lines. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

enum {
        BENCH_ROUNDS_MAX = 200,
};

struct bench_options {
        int rounds;
        long count; /* of whatever the program counts */
};

/* Reads --rounds, --count and --core into options, which holds the defaults; pins the process. */
void bench_parse(int argc, char **argv, struct bench_options *options);

/* One number and what it is divided by, round by round. */
struct bench_series {
        const char *name;
        const char *reference; /* "bare", "calls", ... */
        size_t n;
        double value_ns[BENCH_ROUNDS_MAX];
        double reference_ns[BENCH_ROUNDS_MAX];
};

void bench_add(struct bench_series *series, double value_ns, double reference_ns);
void bench_print(const struct bench_series *series);

/* Sorts values. */
double bench_median(double *values, size_t n);
double bench_quantile(double *values, size_t n, double q);

int64_t bench_now_ns(void);

/* CPU time of this process, all threads, user and system. */
int64_t bench_cpu_ns(void);

long bench_minor_faults(void);

/* Resident bytes of this process and those of its page tables. */
long bench_resident_bytes(void);

void bench_pin(int core);

/* Private zeroed memory, not resident before it is touched. */
void *bench_map(size_t bytes);

/* One line to stderr, with the text of errno unless it is 0, and exit status 1. */
_Noreturn void bench_die(const char *what);

/* A negative errno where none may be: the number would be of something else. */
void bench_check(int64_t result, const char *what);

/* In empty.c, a shared library. */
void bench_empty(void *arg);

#endif
