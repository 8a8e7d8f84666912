/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the JSON of comparisons and of predictions: one thing has one form in both. */
#ifndef OL_BENCH_REPORT_JSON_PARTS_H
#define OL_BENCH_REPORT_JSON_PARTS_H

#include "bench/report/json_put.h"
#include "bench/report/report.h"

json_t *ol_report_image_json(const struct ol_report *report, bool history, int *r);
/** Without rounds and warm-up where there were none. */
json_t *ol_report_workload_json(const struct ol_report *report, int *r);
json_t *ol_report_kinds_json(const struct ol_inode_kinds *kinds, int *r);
json_t *ol_report_verdict_json(const struct ol_report *report,
                               const struct ol_report_verdict *verdict, int *r);
json_t *ol_report_notes_json(const struct ol_report *report, int *r);

#endif
