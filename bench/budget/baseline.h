/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A baseline: the values of a budget's workloads at the time it was saved, which limits on growth
 * are held against. JSON, "overlab.baseline/1"; docs/formats/budget.md. The same values give the
 * same bytes.
 */
#ifndef OL_BENCH_BUDGET_BASELINE_H
#define OL_BENCH_BUDGET_BASELINE_H

#include "bench/budget/values.h"

#include "common/buf.h"

enum { OL_BASELINE_MAX = 16 << 20 }; /* bytes of the file */

struct ol_baseline {
    char *path;   /* owned; for messages */
    json_t *json; /* owned */
};
void ol_baseline_fini(struct ol_baseline *baseline); /* accepts a zeroed one */

/** A baseline without workloads. @return 0 or -ENOMEM */
int ol_baseline_new(const char *path, struct ol_baseline *ret, struct ol_error *err);

/** @return 0; -ENOENT; -EBADMSG with line and reason; -E2BIG; the errno of reading it */
int ol_baseline_read(const char *path, struct ol_baseline *ret, struct ol_error *err);

/**
 * The values of a section then. @param now what the workload is now
 * @return 0; -ENOENT it has no such section; -ESTALE it was another workload, saying which key
 *         differs; -EBADMSG
 */
int ol_baseline_get(const struct ol_baseline *baseline, const struct ol_budget_section *section,
                    enum ol_budget_mode mode, const struct ol_budget_values *now,
                    struct ol_budget_values *ret, struct ol_error *err);

/** Put a section's values in, in place of those that were there. -ENOMEM. */
int ol_baseline_set(struct ol_baseline *baseline, const struct ol_budget_section *section,
                    enum ol_budget_mode mode, const struct ol_budget_values *now,
                    struct ol_error *err);

/** The file's text. -ENOMEM. */
int ol_baseline_text(const struct ol_baseline *baseline, struct ol_buf *ret, struct ol_error *err);

#endif
