/* SPDX-License-Identifier: Apache-2.0 */
/* Every measured step held against its prediction, kind by kind. */
#ifndef OL_BENCH_REPORT_VERIFY_H
#define OL_BENCH_REPORT_VERIFY_H

#include "bench/report/report.h"

struct ol_verification {
    size_t engines, steps; /* held against predictions */
    size_t differences;    /* steps that differ, in a kind or between rounds */
    size_t unpredicted;    /* steps without a prediction, of engines that have a law */
    size_t lawless;        /* real engines no law describes; they are no failure */
};

/** One line about something found: "overlay, commit 0: 3 directories measured, 4 predicted". */
typedef void ol_verify_fn(const char *text, void *data);

/**
 * Hold each step of each engine that is shown against its prediction.
 * @param fn  told every kind that differs, every step without a prediction, and every engine
 *            without a law
 * @return 0 or -ENOMEM
 */
int ol_report_verify(const struct ol_report *report, ol_verify_fn *fn, void *data,
                     struct ol_verification *ret);

/** Nothing differs, and every step was predicted. */
bool ol_verification_holds(const struct ol_verification *verification);

#endif
