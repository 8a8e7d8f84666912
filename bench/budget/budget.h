/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A budget: what images and the docker commits on them may cost, workload by workload. The file is
 * described in docs/formats/budget.md. Whatever is in it has a meaning or is an error with its line
 * number; nothing is skipped.
 */
#ifndef OL_BENCH_BUDGET_BUDGET_H
#define OL_BENCH_BUDGET_BUDGET_H

#include "bench/report/report.h"
#include "common/mount/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ol_budget_mode { OL_BUDGET_PREDICT, OL_BUDGET_MEASURE };
const char *ol_budget_mode_name(enum ol_budget_mode mode); /* "predict", "measure" */
/** @return 0 or -EINVAL with a text that lists the names */
int ol_budget_mode_parse(const char *text, enum ol_budget_mode *ret, struct ol_error *err);

/* What can be limited, of one driver. */
enum ol_metric {
    OL_METRIC_IMAGE_INODES,
    OL_METRIC_IMAGE_BYTES,
    OL_METRIC_CONTENT_BYTES,
    OL_METRIC_LAYER_INODES,
    OL_METRIC_CONTAINER_INODES,
    OL_METRIC_CONTAINERS_INODES,
    OL_METRIC_COMMIT_INODES,
    OL_METRIC_COMMIT_INODES_MAX,
    OL_METRIC_COMMIT_BYTES,
    OL_METRIC_PEAK_INODES,
    OL_METRIC_LEFT_INODES,
    OL_METRIC_WRONG_STEPS,
    OL_METRICS
};

struct ol_metric_info {
    const char *name;      /* "inodes_per_commit" */
    const char *unit;      /* "inodes", "bytes", "steps" */
    const char *plain;     /* in words */
    bool predict, measure; /* known in this mode */
    bool estimate;         /* what is predicted is one */
};
const struct ol_metric_info *ol_metric_info(enum ol_metric metric);
bool ol_metric_is_bytes(enum ol_metric metric);

enum ol_limit_op { OL_LIMIT_MOST, OL_LIMIT_LEAST, OL_LIMIT_EXACTLY };
const char *ol_limit_op_name(enum ol_limit_op op); /* "<=", ">=", "=" */

enum ol_limit_kind {
    OL_LIMIT_VALUE,          /* the metric itself */
    OL_LIMIT_RATIO,          /* driver over another driver */
    OL_LIMIT_GROWTH,         /* how much more than the baseline's */
    OL_LIMIT_GROWTH_PERCENT, /* and in percent of the baseline's */
};

struct ol_limit {
    char *text; /* owned; as written, one blank between words */
    unsigned line;
    enum ol_limit_kind kind;
    enum ol_limit_op op;
    enum ol_metric metric;
    char *driver_name, *over_name; /* owned; over_name of a ratio only */
    size_t driver, over;           /* in the section's drivers */
    uint64_t number, scale;        /* number / scale: exact, and at most 2^53 each */
};

struct ol_budget_section {
    char *name; /* owned */
    unsigned line;
    char *image_text; /* owned; as written; "builtin" for the built-in one */
    char *image;      /* owned; what to open; NULL for the built-in one */
    unsigned image_line;
    char **drivers; /* owned; NULL-terminated full names, as ol_engine_names_free() takes them */
    size_t n_drivers;
    struct ol_report_workload workload; /* commits say nothing with replay */
    unsigned containers;                /* beside the commits */
    bool has_mode;                      /* the file says which */
    enum ol_budget_mode mode;
    enum ol_view view;
    char *backing; /* owned; as compare's --backing takes it; NULL: not said */
    unsigned backing_line;
    struct ol_limit *limits; /* owned; at least one */
    size_t n_limits;
};

struct ol_budget {
    char *source;                       /* owned; for messages */
    char *baseline;                     /* owned; path to open; NULL: the file does not name one */
    struct ol_budget_section *sections; /* owned; at least one */
    size_t n_sections;
};
void ol_budget_fini(struct ol_budget *budget); /* accepts a zeroed one */

/**
 * @param source  what messages call it: "SOURCE:LINE: …"
 * @param dir     relative paths in it are below this one; "" for the working directory
 * @param ret     written on success only
 * @return 0; -ENOMEM; else -EINVAL, -E2BIG or what a name in it was refused with, with line and
 *         reason
 */
int ol_budget_parse(const char *source, const char *dir, const char *text, size_t len,
                    struct ol_budget *ret, struct ol_error *err);

/**
 * In this mode, every limit of the section can be evaluated. @return 0 or -EINVAL with line and
 * reason
 */
int ol_budget_check_mode(const struct ol_budget *budget, const struct ol_budget_section *section,
                         enum ol_budget_mode mode, struct ol_error *err);

/** Parse "DRIVER METRIC <= NUMBER" and its kin; drivers are not looked up. -EINVAL without line. */
int ol_limit_parse(const char *text, struct ol_limit *ret, struct ol_error *err);
void ol_limit_fini(struct ol_limit *limit);

/** True for a limit on growth: there has to be a baseline. */
bool ol_limit_is_growth(const struct ol_limit *limit);

#endif
