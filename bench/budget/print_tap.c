/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Test Anything Protocol: a test point for each limit, with a YAML block. What is used of
 * version 14 means the same in 13.
 */
#include "bench/budget/print_internal.h"

#include "common/cleanup.h"

/* "key: "text"", below a test point. */
static int print_quoted(FILE *out, const char *key, const char *text)
{
    ol_auto_buf struct ol_buf quoted = OL_BUF_INIT;
    int r = ol_check_quote(text, &quoted);

    if (r == 0)
        fprintf(out, "  %s: %s\n", key, ol_buf_str(&quoted));
    return r;
}

static int print_words(FILE *out, const struct ol_check_workload *workload,
                       const struct ol_check_result *result)
{
    ol_auto_buf struct ol_buf value = OL_BUF_INIT;
    ol_auto_buf struct ol_buf headroom = OL_BUF_INIT;
    ol_auto_buf struct ol_buf culprit = OL_BUF_INIT;
    int r = ol_check_words_value(result, &value);

    if (r == 0)
        r = ol_check_words_headroom(result, &headroom);
    if (r == 0)
        r = ol_check_words_culprit(workload, result, &culprit);
    if (r == 0)
        r = print_quoted(out, "value", ol_buf_str(&value));
    if (r == 0)
        r = print_quoted(out, "headroom", ol_buf_str(&headroom));
    return r < 0 || culprit.len == 0 ? r : print_quoted(out, "culprit", ol_buf_str(&culprit));
}

static int print_dirs(FILE *out, const struct ol_check_result *result)
{
    int r = 0;

    if (result->culprit.n_dirs > 0)
        fprintf(out, "  directories:\n");
    for (size_t i = 0; i < result->culprit.n_dirs && r == 0; i++) {
        ol_auto_buf struct ol_buf text = OL_BUF_INIT;
        ol_auto_buf struct ol_buf quoted = OL_BUF_INIT;

        r = ol_check_words_dir(result, i, &text);
        if (r == 0)
            r = ol_check_quote(ol_buf_str(&text), &quoted);
        if (r == 0)
            fprintf(out, "    - %s\n", ol_buf_str(&quoted));
    }
    return r;
}

static int print_point(FILE *out, const struct ol_check *check,
                       const struct ol_check_workload *workload,
                       const struct ol_check_result *result, size_t number)
{
    int r;

    fprintf(out, "%s %zu - %s: %s\n  ---\n", result->passed ? "ok" : "not ok", number,
            workload->section->name, result->limit->text);
    r = print_words(out, workload, result);
    if (r == 0)
        r = print_dirs(out, result);
    if (r == 0)
        r = print_quoted(out, "image", workload->section->image_text);
    if (r == 0)
        r = print_quoted(out, "mode", ol_budget_mode_name(workload->mode));
    if (r == 0)
        r = print_quoted(out, "file", check->budget->source);
    fprintf(out, "  line: %u\n  ...\n", result->limit->line);
    return r;
}

int ol_check_print_tap(const struct ol_check *check, unsigned version, FILE *out)
{
    size_t number = 0;
    int r = 0;

    fprintf(out, "TAP version %u\n1..%zu\n", version, check->n_results);
    for (size_t i = 0; i < check->n_workloads && r == 0; i++) {
        const struct ol_check_workload *workload = &check->workloads[i];

        for (size_t k = 0; k < workload->section->n_limits && r == 0; k++)
            r = print_point(out, check, workload, &workload->results[k], ++number);
    }
    return r;
}
