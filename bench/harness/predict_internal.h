/* SPDX-License-Identifier: Apache-2.0 */
/* Between predict.c and predict_totals.c. */
#ifndef OL_BENCH_HARNESS_PREDICT_INTERNAL_H
#define OL_BENCH_HARNESS_PREDICT_INTERNAL_H

#include "bench/harness/predict.h"

/** The estimate of ol_predicted_bytes() for inodes that no header told the size of. */
int64_t ol_predicted_bytes_of(const struct ol_predicted_image *image,
                              const struct ol_inode_kinds *kinds);

/** Tell the layers that images share, and sum up each engine. @return 0 or -ENOMEM */
int ol_prediction_total(struct ol_prediction *prediction, struct ol_error *err);

#endif
