/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be said about a handful of times: the median, its spread, and an interval that needs no
 * assumption about their distribution (order statistics, binomial). Few rounds give a wide interval
 * or less confidence, and the summary says which confidence it reached.
 */
#ifndef OL_BENCH_HARNESS_STATS_H
#define OL_BENCH_HARNESS_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct ol_summary {
    size_t n;
    double median, min, max;
    double mad;        /* median absolute deviation from the median, not scaled */
    double low, high;  /* interval for the median */
    double confidence; /* that the interval holds the median: 0 to 1; 0 for one sample */
};

/**
 * Summarise n samples. The interval is the narrowest pair of order statistics x(k), x(n+1-k) with
 * at least 95 % confidence; below six samples that is the minimum and the maximum, with less.
 * @return 0; -EINVAL for no samples; -ENOMEM
 */
int ol_summary_make(const double *samples, size_t n, struct ol_summary *ret);

/**
 * Summarise of[i] / over[i], pairs of the same round: what disturbed a round disturbed both.
 * @return 0; -EINVAL for no samples or a divisor that is not above 0; -ENOMEM
 */
int ol_summary_ratio(const double *of, const double *over, size_t n, struct ol_summary *ret);

/** A ratio whose interval leaves 1 out, from rounds enough to say so (confidence 0.9). */
bool ol_summary_is_clear(const struct ol_summary *ratio);

/**
 * Samples in the order they were taken go up or down: Mann-Kendall, two-sided below one per cent,
 * and by more than a tenth of the median from the first half to the second.
 */
bool ol_samples_drift(const double *samples, size_t n);

#endif
