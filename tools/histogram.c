/* histogram.c - how long things took, kept in a fixed number of buckets.
 *
 * With v >= HISTOGRAM_PARTS and e the number of its highest bit, the bucket is
 *
 *      (e - PARTS_LOG + 1) * PARTS + (the PARTS_LOG bits below the highest)
 *
 * and bucket numbers grow with the values. */
#include "histogram.h"

#include <math.h>

static unsigned bucket_of(uint64_t value)
{
        unsigned exponent;

        if (value < HISTOGRAM_PARTS)
                return (unsigned)value;
        exponent = 63 - (unsigned)__builtin_clzll(value);
        return (exponent - HISTOGRAM_PARTS_LOG) * HISTOGRAM_PARTS +
               (unsigned)(value >> (exponent - HISTOGRAM_PARTS_LOG));
}

static uint64_t highest_in(unsigned bucket)
{
        unsigned shift;

        if (bucket < 2 * HISTOGRAM_PARTS)
                return bucket;
        shift = bucket / HISTOGRAM_PARTS - 1;
        return ((uint64_t)(bucket % HISTOGRAM_PARTS + HISTOGRAM_PARTS) << shift) + ((uint64_t)1 << shift) - 1;
}

void histogram_add(struct histogram *histogram, int64_t value)
{
        uint64_t counted = value < 0 ? 0 : (uint64_t)value;

        histogram->buckets[bucket_of(counted)]++;
        histogram->count++;
        if (counted > histogram->max)
                histogram->max = counted;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
        uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count);
        uint64_t seen = 0;
        unsigned i;

        if (histogram->count == 0)
                return 0;
        if (wanted == 0)
                wanted = 1;
        for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += histogram->buckets[i];
                if (seen >= wanted)
                        break;
        }
        /* The last bucket is rarely full to its edge; the greatest value is known exactly. */
        return i == HISTOGRAM_BUCKETS || highest_in(i) > histogram->max ? histogram->max : highest_in(i);
}
