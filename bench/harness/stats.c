/* SPDX-License-Identifier: Apache-2.0 */
/* Median, spread and intervals; see stats.h. */
#include "bench/harness/stats.h"

#include "common/cleanup.h"
#include "common/error.h"

#include <errno.h>
#include <math.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_of_sorted(const double *sorted, size_t n)
{
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/*
 * The k of the interval x(k), x(n+1-k), from 1, and its confidence 1 - 2 P(B <= k-1) for B binomial
 * (n, 1/2): the median lies below x(k) only when fewer than k samples fell below it.
 */
static size_t interval_rank(size_t n, double *ret_confidence)
{
    double term = ldexp(1.0, -(int)n); /* P(B = 0); more than 1,000 rounds underflow to 0: wide */
    double below = term;
    size_t k = 1;

    for (;;) {
        double next = term * (double)(n - k + 1) / (double)k; /* P(B = k) */
        if (2 * k + 1 > n || 1 - 2 * (below + next) < 0.95)
            break;
        term = next;
        below += term;
        k++;
    }
    *ret_confidence = n < 2 ? 0 : 1 - 2 * below;
    return k;
}

int ol_summary_make(const double *samples, size_t n, struct ol_summary *ret)
{
    ol_auto_free double *sorted = NULL;
    struct ol_summary sum = {.n = n};
    size_t k;

    if (n == 0)
        return -EINVAL;
    sorted = calloc(n, sizeof *sorted);
    if (sorted == NULL)
        return -ENOMEM;
    memcpy(sorted, samples, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    sum.median = median_of_sorted(sorted, n);
    sum.min = sorted[0];
    sum.max = sorted[n - 1];
    k = interval_rank(n, &sum.confidence);
    sum.low = sorted[k - 1];
    sum.high = sorted[n - k];
    for (size_t i = 0; i < n; i++)
        sorted[i] = fabs(samples[i] - sum.median);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    sum.mad = median_of_sorted(sorted, n);
    *ret = sum;
    return 0;
}

int ol_summary_ratio(const double *of, const double *over, size_t n, struct ol_summary *ret)
{
    ol_auto_free double *ratios = calloc(n > 0 ? n : 1, sizeof *ratios);

    if (ratios == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!(over[i] > 0))
            return -EINVAL;
        ratios[i] = of[i] / over[i];
    }
    return ol_summary_make(ratios, n, ret);
}

bool ol_summary_is_clear(const struct ol_summary *ratio)
{
    return ratio->confidence >= 0.9 && (ratio->low > 1 || ratio->high < 1);
}

/* Pairs that went up minus pairs that went down. */
static double kendall(const double *samples, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++)
            s += (samples[j] > samples[i]) - (samples[j] < samples[i]);
    }
    return s;
}

bool ol_samples_drift(const double *samples, size_t n)
{
    struct ol_summary first;
    struct ol_summary second;
    size_t half = n / 2;
    double s;
    double sigma;

    if (n < 6)
        return false; /* even a steady rise is too likely by chance */
    s = kendall(samples, n);
    sigma = sqrt((double)n * (double)(n - 1) * (double)(2 * n + 5) / 18);
    if (fabs(s) - 1 < 2.58 * sigma)
        return false;
    if (ol_summary_make(samples, half, &first) < 0 ||
        ol_summary_make(samples + n - half, half, &second) < 0)
        return false; /* no memory: a hint less */
    return fabs(second.median - first.median) > (first.median + second.median) / 20;
}
