/* histogram.h - how long things took, kept in a fixed number of buckets.
 *
 * Log-linear: every power of two is cut into HISTOGRAM_PARTS buckets of equal width, values below that have
 * one each. So a quantile is too high by at most 1 / HISTOGRAM_PARTS of itself, from 1 ns to 292 years. */
#ifndef OURO_TOOL_HISTOGRAM_H
#define OURO_TOOL_HISTOGRAM_H

#include <stdint.h>

enum {
        HISTOGRAM_PARTS = 32, /* a power of two */
        HISTOGRAM_PARTS_LOG = 5,
        HISTOGRAM_BUCKETS = (64 - HISTOGRAM_PARTS_LOG) * HISTOGRAM_PARTS,
};

/* Zeroed memory is an empty histogram. */
struct histogram {
        uint64_t count;
        uint64_t max;
        uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A negative value counts as 0: a clock may be read in the wrong order, but time does not run back. */
void histogram_add(struct histogram *histogram, int64_t value);

/* The value that the share (0.0 to 1.0) of all values does not exceed, 0 of an empty histogram. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
