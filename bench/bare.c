/* bare.c - measure the bare switch, the empty call and the fresh page. */
#include "bare.h"
#include "bench.h"

#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
        PARTNER_STACK_BYTES = 64 * 1024,
        PAGE_BYTES = 4096,
        SAMPLES = 5,
        SAMPLE_SWITCHES = 100000,
        SAMPLE_CALLS = 200000,
};

static struct {
        void *measurer_sp;
        void *sp;
} partner;

/* Never returns: the measurer leaves it suspended for good. */
static void partner_body(void)
{
        for (;;)
                bare_switch(&partner.sp, partner.measurer_sp);
}

/* The first switch to it pops zeroes into the registers and goes on at partner_body(), the stack aligned
 * as after a call. */
static void partner_prepare(void)
{
        uintptr_t *words = bench_map(PARTNER_STACK_BYTES);
        size_t top = PARTNER_STACK_BYTES / sizeof(*words);

#if defined(__x86_64__)
        words[top - 2] = (uintptr_t)partner_body;
        partner.sp = &words[top - 8];
#else
        words[top - 20 + 11] = (uintptr_t)partner_body;
        partner.sp = &words[top - 20];
#endif
}

static double sample_switches(void)
{
        int64_t start_ns = bench_now_ns();

        for (int i = 0; i < SAMPLE_SWITCHES / 2; i++)
                bare_switch(&partner.measurer_sp, partner.sp);
        return (double)(bench_now_ns() - start_ns) / SAMPLE_SWITCHES;
}

static double sample_calls(void)
{
        int64_t start_ns = bench_now_ns();

        for (int i = 0; i < SAMPLE_CALLS; i++)
                bench_empty(&partner);
        return (double)(bench_now_ns() - start_ns) / SAMPLE_CALLS;
}

static double median_of(double (*sample)(void))
{
        double values[SAMPLES];

        for (int i = 0; i < SAMPLES; i++)
                values[i] = sample();
        return bench_median(values, SAMPLES);
}

double bare_switch_ns(void)
{
        if (partner.sp == NULL)
                partner_prepare();
        return median_of(sample_switches);
}

double bare_call_ns(void)
{
        return median_of(sample_calls);
}

double bare_pages_ns(size_t n, size_t stride, int guards)
{
        char *base = bench_map(n * stride);
        int64_t start_ns = bench_now_ns();

        for (size_t i = 0; i < n; i++) {
                char *slot = base + i * stride;

                /* a kernel without guards does not pay for them */
                if (guards)
                        (void)madvise(slot, PAGE_BYTES, MADV_GUARD_INSTALL);
                *(volatile char *)(slot + stride - PAGE_BYTES) = 1;
        }
        int64_t end_ns = bench_now_ns();

        if (munmap(base, n * stride) < 0)
                bench_die("munmap");
        return (double)(end_ns - start_ns) / (double)n;
}
