/* SPDX-License-Identifier: Apache-2.0 */
/* Medians, intervals and ratios against values worked out by hand or from binomial tables. */
#include "support/support.h"

#include "bench/harness/stats.h"

#include <errno.h>
#include <math.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void summary__odd_and_even_medians(void **state)
{
    const double odd[] = {5, 1, 9};
    const double even[] = {4, 1, 9, 2};
    struct ol_summary sum;

    (void)state;
    assert_int_equal(ol_summary_make(odd, 3, &sum), 0);
    assert_near(sum.median, 5);
    assert_near(sum.min, 1);
    assert_near(sum.max, 9);
    assert_near(sum.mad, 4);
    assert_int_equal(ol_summary_make(even, 4, &sum), 0);
    assert_near(sum.median, 3);
    assert_near(sum.mad, 1.5);
}

static void summary__one_sample_claims_nothing(void **state)
{
    const double one[] = {7};
    struct ol_summary sum;

    (void)state;
    assert_int_equal(ol_summary_make(one, 1, &sum), 0);
    assert_near(sum.median, 7);
    assert_near(sum.low, 7);
    assert_near(sum.high, 7);
    assert_near(sum.confidence, 0);
    assert_int_equal(ol_summary_make(one, 0, &sum), -EINVAL);
}

static void summary__few_samples_say_how_sure(void **state)
{
    const double five[] = {1, 2, 3, 4, 5};
    struct ol_summary sum;

    (void)state;
    assert_int_equal(ol_summary_make(five, 5, &sum), 0);
    assert_near(sum.low, 1);
    assert_near(sum.high, 5);
    assert_near(sum.confidence, 1 - 2.0 / 32);
}

static void summary__interval_follows_the_binomial_table(void **state)
{
    double samples[20];
    struct ol_summary sum;

    (void)state;
    for (size_t i = 0; i < 20; i++)
        samples[i] = (double)(20 - i);
    /* n = 20: P(B <= 5) = 0.0207, so x(6) and x(15) hold the median with 95.9 %. */
    assert_int_equal(ol_summary_make(samples, 20, &sum), 0);
    assert_near(sum.low, 6);
    assert_near(sum.high, 15);
    assert_true(fabs(sum.confidence - 0.9586) < 1e-4);
    /* n = 9: x(2) and x(8), 96.1 %. */
    assert_int_equal(ol_summary_make(samples, 9, &sum), 0);
    assert_near(sum.low, 13);
    assert_near(sum.high, 19);
    assert_true(fabs(sum.confidence - 0.9609) < 1e-4);
}

static void ratio__pairs_the_rounds(void **state)
{
    /* The machine halves its speed in the third round: the ratio does not see it. */
    const double of[] = {10, 11, 22, 10, 10, 10};
    const double over[] = {1, 1.1, 2.2, 1, 1, 1};
    struct ol_summary ratio;

    (void)state;
    assert_int_equal(ol_summary_ratio(of, over, 6, &ratio), 0);
    assert_near(ratio.median, 10);
    assert_true(ratio.max - ratio.min < 1e-6);
    assert_true(ol_summary_is_clear(&ratio));
}

static void ratio__noise_is_not_clear(void **state)
{
    const double of[] = {1.0, 1.2, 0.9, 1.1, 1.0, 1.3};
    const double over[] = {1.1, 1.0, 1.0, 1.0, 1.0, 1.0};
    struct ol_summary ratio;

    (void)state;
    assert_int_equal(ol_summary_ratio(of, over, 6, &ratio), 0);
    assert_false(ol_summary_is_clear(&ratio));
}

static void ratio__two_rounds_are_too_few(void **state)
{
    const double of[] = {10, 10};
    const double over[] = {1, 1};
    const double zero[] = {1, 0};
    struct ol_summary ratio;

    (void)state;
    assert_int_equal(ol_summary_ratio(of, over, 2, &ratio), 0);
    assert_false(ol_summary_is_clear(&ratio));
    assert_int_equal(ol_summary_ratio(of, zero, 2, &ratio), -EINVAL);
}

static void drift__sees_a_trend_and_no_noise(void **state)
{
    const double rising[] = {1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7};
    const double noise[] = {1, 1.7, 1.1, 1.4, 1.5, 1.0, 1.6, 1.2};
    const double tiny[] = {1, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006, 1.007};

    (void)state;
    assert_true(ol_samples_drift(rising, 8));
    assert_false(ol_samples_drift(noise, 8));
    assert_false(ol_samples_drift(tiny, 8));
    assert_false(ol_samples_drift(rising, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summary__odd_and_even_medians),
        cmocka_unit_test(summary__one_sample_claims_nothing),
        cmocka_unit_test(summary__few_samples_say_how_sure),
        cmocka_unit_test(summary__interval_follows_the_binomial_table),
        cmocka_unit_test(ratio__pairs_the_rounds),
        cmocka_unit_test(ratio__noise_is_not_clear),
        cmocka_unit_test(ratio__two_rounds_are_too_few),
        cmocka_unit_test(drift__sees_a_trend_and_no_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
