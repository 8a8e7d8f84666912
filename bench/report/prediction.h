/* SPDX-License-Identifier: Apache-2.0 */
/* A prediction in the forms a comparison has: table, JSON ("overlab.predict/1"), CSV, Markdown. */
#ifndef OL_BENCH_REPORT_PREDICTION_H
#define OL_BENCH_REPORT_PREDICTION_H

#include "bench/harness/predict.h"

/** Print. Write errors stay in out (ferror). @return 0 or -ENOMEM */
int ol_prediction_print(const struct ol_prediction *prediction, enum ol_report_format format,
                        const struct ol_report_style *style, FILE *out, struct ol_error *err);

#endif
