/* limits.h - a test may use only so much more address space than it has (a sanitizer has terabytes). */
#ifndef OURO_TESTS_SUPPORT_LIMITS_H
#define OURO_TESTS_SUPPORT_LIMITS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Returns the limit as it was, for limit_restore(). */
static inline struct rlimit limit_address_space(unsigned long long more_bytes)
{
        FILE *statm = fopen("/proc/self/statm", "re");
        struct rlimit before, limit;
        unsigned long long pages;

        cr_assert(statm && fscanf(statm, "%llu", &pages) == 1);
        fclose(statm);
        cr_assert(getrlimit(RLIMIT_AS, &before) == 0);
        limit = before;
        limit.rlim_cur = pages * (unsigned long long)sysconf(_SC_PAGESIZE) + more_bytes;
        cr_assert(setrlimit(RLIMIT_AS, &limit) == 0);
        return before;
}

static inline void limit_restore(struct rlimit before)
{
        cr_assert(setrlimit(RLIMIT_AS, &before) == 0);
}

#endif
