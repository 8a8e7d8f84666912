/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the metrics of one workload came to: taken from a prediction or a comparison, and as JSON,
 * in which form they wait in a baseline or pass between processes.
 */
#ifndef OL_BENCH_BUDGET_VALUES_H
#define OL_BENCH_BUDGET_VALUES_H

#include "bench/budget/budget.h"
#include "bench/harness/predict.h"

#include <jansson.h>

struct ol_budget_value {
    bool known; /* false: nobody can tell for this workload */
    int64_t value;
};

/* What each of some steps adds. */
struct ol_step_values {
    int64_t *inodes; /* owned; none when one of them is not known */
    size_t n_inodes;
    int64_t *bytes; /* owned; as measured on disk, or as predicted of contents; may be none */
    size_t n_bytes;
};

struct ol_driver_values {
    struct ol_budget_value metrics[OL_METRICS];
    struct ol_step_values layers; /* those that are imported */
    struct ol_step_values commits;
};

struct ol_budget_values {
    char *image_id;                   /* owned */
    char *fs;                         /* owned; what was measured on; NULL: predicted */
    enum ol_view view;                /* of a measurement */
    struct ol_driver_values *drivers; /* owned; in the order of the section's */
    size_t n_drivers;
};
void ol_budget_values_fini(struct ol_budget_values *values); /* accepts a zeroed one */

/** From a comparison of the section's drivers, in their order. @return 0 or -ENOMEM */
int ol_budget_values_measured(const struct ol_report *report, struct ol_budget_values *ret,
                              struct ol_error *err);
/** From a prediction of the section's one image. @return 0 or -ENOMEM */
int ol_budget_values_predicted(const struct ol_prediction *prediction, struct ol_budget_values *ret,
                               struct ol_error *err);

/** @return a new reference, or NULL without memory */
json_t *ol_budget_values_json(const struct ol_budget_section *section,
                              const struct ol_budget_values *values);
/**
 * Back. Drivers of the section that are not there have no metrics.
 * @return 0; -EBADMSG, saying what is wrong; -ENOMEM
 */
int ol_budget_values_from_json(const struct ol_budget_section *section, const json_t *json,
                               struct ol_budget_values *ret, struct ol_error *err);

#endif
