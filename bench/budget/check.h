/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A budget held against values: one result for each limit, and for those that are exceeded who is
 * to blame. The printers (print.h) only print.
 */
#ifndef OL_BENCH_BUDGET_CHECK_H
#define OL_BENCH_BUDGET_CHECK_H

#include "bench/budget/baseline.h"
#include "bench/budget/values.h"

/* What an exceeded limit was spent on. */
struct ol_culprit {
    bool known;
    bool is_commit;             /* else an image layer */
    size_t index;               /* of the layer or commit, from 0 */
    int64_t amount;             /* inodes, or of a limit on bytes bytes, it adds */
    char *created_by;           /* owned; of a layer with a history; NULL */
    char *why;                  /* owned; the law behind it, where one is worth telling; NULL */
    struct ol_blamed_dir *dirs; /* owned; where they are, most first */
    size_t n_dirs;
};

struct ol_check_result {
    const struct ol_limit *limit;
    bool passed;
    bool estimate;   /* the values are predicted ones that are not exact */
    double value;    /* of what is limited: the metric, a ratio, a growth */
    double headroom; /* how far it may still go; negative: by how much it is exceeded */
    int64_t count;   /* the driver's metric */
    int64_t other;   /* a ratio's other driver's, or the baseline's; else 0 */
    struct ol_culprit culprit;
};

struct ol_check_workload {
    const struct ol_budget_section *section;
    enum ol_budget_mode mode;
    struct ol_budget_values values;  /* owned */
    struct ol_check_result *results; /* owned; one for each limit */
    size_t n_failed;
};

struct ol_check {
    const struct ol_budget *budget;
    struct ol_check_workload *workloads; /* owned; those that were checked */
    size_t n_workloads;
    size_t n_results, n_failed;
};
void ol_check_fini(struct ol_check *check); /* accepts a zeroed one */

/**
 * Hold one section against its values.
 * @param values    taken over on success
 * @param baseline  NULL: there is none, and no limit needs one
 * @return 0; -EINVAL a limit has no value here, with its line; errors of ol_baseline_get()
 */
int ol_check_add(struct ol_check *check, const struct ol_budget_section *section,
                 enum ol_budget_mode mode, struct ol_budget_values *values,
                 const struct ol_baseline *baseline, struct ol_error *err);

/**
 * Find who is to blame for what the last section added exceeds: its image is read once more. A
 * culprit nobody can name (of left inodes, of what is too cheap) stays unknown.
 * @param tmp_dir  absolute; for unnamed files
 */
int ol_check_blame(struct ol_check *check, const char *tmp_dir, bool (*cancelled)(void *data),
                   void *data, struct ol_error *err);

#endif
