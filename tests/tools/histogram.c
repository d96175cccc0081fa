/* Of tools/histogram.c: quantiles that are never too low, and hardly too high. */
#include "../../tools/histogram.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

static struct histogram histogram;

static void empty(void)
{
        histogram = (struct histogram){0};
}

TestSuite(histogram, .init = empty);

Test(histogram, empty_one_has_quantile_zero)
{
        cr_assert_eq(histogram_quantile(&histogram, 0.5), 0);
        cr_assert_eq(histogram_quantile(&histogram, 1.0), 0);
}

Test(histogram, small_values_are_exact)
{
        for (int64_t value = 0; value < 2 * HISTOGRAM_PARTS; value++) {
                empty();
                histogram_add(&histogram, value);
                histogram_add(&histogram, INT64_MAX);
                cr_assert_eq(histogram_quantile(&histogram, 0.5), (uint64_t)value, "of %ld", (long)value);
        }
}

Test(histogram, quantile_is_at_most_one_part_too_high)
{
        for (unsigned bit = 0; bit < 63; bit++) {
                for (int64_t near = -1; near <= 1; near++) {
                        int64_t value = ((int64_t)1 << bit) + near;
                        uint64_t quantile;

                        empty();
                        histogram_add(&histogram, value);
                        histogram_add(&histogram, INT64_MAX);
                        quantile = histogram_quantile(&histogram, 0.5);
                        cr_assert_geq(quantile, (uint64_t)value);
                        cr_assert_leq(quantile - (uint64_t)value, (uint64_t)value / HISTOGRAM_PARTS);
                }
        }
}

Test(histogram, greatest_value_is_exact_and_fits)
{
        histogram_add(&histogram, 1000003);
        cr_assert_eq(histogram_quantile(&histogram, 1.0), 1000003);
        histogram_add(&histogram, INT64_MAX);
        cr_assert_eq(histogram_quantile(&histogram, 1.0), (uint64_t)INT64_MAX);
        cr_assert_eq(histogram.max, (uint64_t)INT64_MAX);
}

Test(histogram, negative_counts_as_zero)
{
        histogram_add(&histogram, -5);
        cr_assert_eq(histogram.count, 1);
        cr_assert_eq(histogram_quantile(&histogram, 1.0), 0);
}

Test(histogram, quantiles_agree_with_sorted_values)
{
        static const double shares[] = {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0};

        /* 1 to 100,000 in an order that jumps: 7 has no factor in common with 100,000. */
        for (uint64_t i = 1; i <= 100000; i++)
                histogram_add(&histogram, (int64_t)(i * 7 % 100000 + 1));
        for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
                double right = shares[i] * 100000;
                uint64_t quantile = histogram_quantile(&histogram, shares[i]);

                cr_assert_geq((double)quantile, right);
                cr_assert_leq((double)quantile, right * (1 + 1.0 / HISTOGRAM_PARTS) + 1);
        }
}
