/* SPDX-License-Identifier: Apache-2.0 */
/* Between predict.c and predict_totals.c. */
#ifndef OL_BENCH_HARNESS_PREDICT_INTERNAL_H
#define OL_BENCH_HARNESS_PREDICT_INTERNAL_H

#include "bench/harness/predict.h"

/** Tell the layers that images share, and sum up each engine. @return 0 or -ENOMEM */
int ol_prediction_total(struct ol_prediction *prediction, struct ol_error *err);

#endif
