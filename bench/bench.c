/* bench.c - clocks, options, medians and the line that run.py reads. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
        struct timespec now;

        if (clock_gettime(clock, &now) < 0)
                bench_die("clock_gettime");
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t bench_now_ns(void)
{
        return read_clock(CLOCK_MONOTONIC);
}

int64_t bench_cpu_ns(void)
{
        return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

long bench_minor_faults(void)
{
        struct rusage usage;

        if (getrusage(RUSAGE_SELF, &usage) < 0)
                bench_die("getrusage");
        return usage.ru_minflt;
}

long bench_resident_bytes(void)
{
        FILE *status = fopen("/proc/self/status", "re");
        char line[256];
        long kib;
        long total_kib = 0;

        if (status == NULL)
                bench_die("/proc/self/status");
        while (fgets(line, sizeof(line), status) != NULL) {
                if (sscanf(line, "VmRSS: %ld", &kib) == 1 || sscanf(line, "VmPTE: %ld", &kib) == 1)
                        total_kib += kib;
        }
        fclose(status);
        return total_kib * 1024;
}

void bench_pin(int core)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)core, &set);
        if (sched_setaffinity(0, sizeof(set), &set) < 0)
                bench_die("sched_setaffinity");
}

void *bench_map(size_t bytes)
{
        void *base =
                mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (base == MAP_FAILED)
                bench_die("mmap");
        return base;
}

_Noreturn void bench_die(const char *what)
{
        if (errno != 0)
                fprintf(stderr, "%s: %s\n", what, strerror(errno));
        else
                fprintf(stderr, "%s\n", what);
        exit(1);
}

void bench_check(int64_t result, const char *what)
{
        if (result >= 0)
                return;
        errno = (int)-result;
        bench_die(what);
}

static int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a;
        double y = *(const double *)b;

        return (x > y) - (x < y);
}

double bench_quantile(double *values, size_t n, double q)
{
        if (n == 0)
                return 0;
        qsort(values, n, sizeof(*values), compare_doubles);

        double place = q * (double)(n - 1);
        size_t below = (size_t)place;
        double rest = place - (double)below;

        if (below + 1 == n)
                return values[below];
        return values[below] * (1 - rest) + values[below + 1] * rest;
}

double bench_median(double *values, size_t n)
{
        return bench_quantile(values, n, 0.5);
}

void bench_add(struct bench_series *series, double value_ns, double reference_ns)
{
        if (series->n == BENCH_ROUNDS_MAX)
                return;
        series->value_ns[series->n] = value_ns;
        series->reference_ns[series->n] = reference_ns;
        series->n++;
}

void bench_print(const struct bench_series *series)
{
        double value_ns[BENCH_ROUNDS_MAX];
        double reference_ns[BENCH_ROUNDS_MAX];
        double ratio[BENCH_ROUNDS_MAX];
        size_t n = series->n;

        for (size_t i = 0; i < n; i++) {
                value_ns[i] = series->value_ns[i];
                reference_ns[i] = series->reference_ns[i];
                ratio[i] = value_ns[i] / reference_ns[i];
        }
        printf("%s ns=%.2f %s=%.2f ratio=%.3f low=%.3f high=%.3f rounds=%zu\n", series->name,
               bench_median(value_ns, n), series->reference, bench_median(reference_ns, n),
               bench_median(ratio, n), bench_quantile(ratio, n, 0.25), bench_quantile(ratio, n, 0.75), n);
        fflush(stdout);
}

static long parse_number(const char *text)
{
        char *end;
        long value;

        errno = 0;
        value = strtol(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || value < 0) {
                errno = EINVAL;
                bench_die(text);
        }
        return value;
}

void bench_parse(int argc, char **argv, struct bench_options *options)
{
        static const struct option known[] = {
                {"rounds", required_argument, NULL, 'r'},
                {"count", required_argument, NULL, 'n'},
                {"core", required_argument, NULL, 'c'},
                {NULL, 0, NULL, 0},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
                if (option == '?')
                        exit(2);
                long value = parse_number(optarg);

                if (option == 'r')
                        options->rounds = value < BENCH_ROUNDS_MAX ? (int)value : BENCH_ROUNDS_MAX;
                else if (option == 'n')
                        options->count = value;
                else
                        bench_pin((int)value);
        }
}
