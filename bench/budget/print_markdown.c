/* SPDX-License-Identifier: Apache-2.0 */
/* A summary for GitHub: one table, what is exceeded first, and below it who spent it. */
#include "bench/budget/print_internal.h"

#include "bench/report/internal.h"
#include "common/cleanup.h"

#include <errno.h>

/* As code, so that nothing in it is markup. */
static int print_code(FILE *out, const char *text)
{
    ol_auto_buf struct ol_buf clean = OL_BUF_INIT;

    if (ol_check_clean(text, &clean) < 0)
        return -ENOMEM;
    for (char *c = clean.data; c != NULL && *c != '\0'; c++) {
        if (*c == '`')
            *c = '\'';
    }
    fputc('`', out);
    ol_markdown_cell(out, ol_buf_str(&clean));
    fputc('`', out);
    return 0;
}

static int print_row(FILE *out, const struct ol_check_workload *workload,
                     const struct ol_check_result *result)
{
    ol_auto_buf struct ol_buf value = OL_BUF_INIT;
    ol_auto_buf struct ol_buf headroom = OL_BUF_INIT;
    int r = ol_check_words_value(result, &value);

    if (r == 0)
        r = ol_check_words_headroom(result, &headroom);
    fprintf(out, "| %s | %s | ", result->passed ? "ok" : "**over**", workload->section->name);
    if (r == 0)
        r = print_code(out, result->limit->text);
    fprintf(out, " | %s | %s |\n", ol_buf_str(&value), ol_buf_str(&headroom));
    return r;
}

static int print_rows(FILE *out, const struct ol_check *check, bool passed)
{
    int r = 0;

    for (size_t i = 0; i < check->n_workloads && r == 0; i++) {
        const struct ol_check_workload *workload = &check->workloads[i];

        for (size_t k = 0; k < workload->section->n_limits && r == 0; k++) {
            if (workload->results[k].passed == passed)
                r = print_row(out, workload, &workload->results[k]);
        }
    }
    return r;
}

static int print_culprit(FILE *out, const struct ol_check_workload *workload,
                         const struct ol_check_result *result)
{
    ol_auto_buf struct ol_buf words = OL_BUF_INIT;
    int r = ol_check_words_culprit(workload, result, &words);

    if (r < 0 || words.len == 0)
        return r;
    fprintf(out, "- %s, ", workload->section->name);
    r = print_code(out, result->limit->text);
    fprintf(out, ": ");
    if (r == 0)
        r = print_code(out, ol_buf_str(&words));
    fprintf(out, "\n");
    for (size_t i = 0; i < result->culprit.n_dirs && r == 0; i++) {
        ol_auto_buf struct ol_buf line = OL_BUF_INIT;

        r = ol_check_words_dir(result, i, &line);
        fprintf(out, "  - ");
        if (r == 0)
            r = print_code(out, ol_buf_str(&line));
        fprintf(out, "\n");
    }
    return r;
}

static int print_workloads(FILE *out, const struct ol_check *check)
{
    int r = 0;

    for (size_t i = 0; i < check->n_workloads && r == 0; i++) {
        const struct ol_check_workload *workload = &check->workloads[i];
        ol_auto_buf struct ol_buf words = OL_BUF_INIT;

        r = ol_check_words_workload(workload, &words);
        fprintf(out, "- %s: ", workload->section->name);
        if (r == 0)
            r = print_code(out, ol_buf_str(&words));
        fprintf(out, "\n");
    }
    fprintf(out, "\n");
    return r;
}

int ol_check_print_markdown(const struct ol_check *check, FILE *out)
{
    ol_auto_buf struct ol_buf total = OL_BUF_INIT;
    int r = ol_check_words_total(check, &total);

    if (r < 0)
        return r;
    fprintf(out, "### Inode budget: %s\n\n", ol_buf_str(&total));
    r = print_workloads(out, check);
    fprintf(out, "| | section | limit | value | headroom |\n|---|---|---|---:|---:|\n");
    if (r == 0)
        r = print_rows(out, check, false);
    if (r == 0)
        r = print_rows(out, check, true);
    if (check->n_failed > 0)
        fprintf(out, "\n");
    for (size_t i = 0; i < check->n_workloads && r == 0; i++) {
        const struct ol_check_workload *workload = &check->workloads[i];

        for (size_t k = 0; k < workload->section->n_limits && r == 0; k++) {
            if (!workload->results[k].passed)
                r = print_culprit(out, workload, &workload->results[k]);
        }
    }
    return r;
}
