/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of a check in five forms, which all say the same. docs/budgets.md. */
#ifndef OL_BENCH_BUDGET_PRINT_H
#define OL_BENCH_BUDGET_PRINT_H

#include "bench/budget/check.h"

#include "common/buf.h"

#include <stdio.h>

enum ol_check_format {
    OL_CHECK_TEXT,
    OL_CHECK_TAP,      /* version 14, a YAML block for each point */
    OL_CHECK_TAP13,    /* the same for readers that know no later version, such as prove's */
    OL_CHECK_JUNIT,    /* XML as Jenkins and GitLab read it */
    OL_CHECK_JSON,     /* "overlab.check/1" */
    OL_CHECK_MARKDOWN, /* as GitHub shows it */
    OL_CHECK_FORMATS
};
const char *ol_check_format_name(enum ol_check_format format);
/** @return 0 or -EINVAL with a text that lists the names */
int ol_check_format_parse(const char *text, enum ol_check_format *ret, struct ol_error *err);

/**
 * Print. Write errors stay in out (ferror).
 * @param style  of the text; the others have none
 * @return 0 or -ENOMEM
 */
int ol_check_print(const struct ol_check *check, enum ol_check_format format,
                   const struct ol_report_style *style, FILE *out, struct ol_error *err);

#endif
