/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JUnit XML, the common subset Jenkins, GitLab and GitHub actions read: a suite for each section, a
 * case for each limit. There are no times in it: nothing was timed.
 */
#include "bench/budget/print_internal.h"

#include "common/cleanup.h"

#include <string.h>

/* Of what is valid UTF-8 without control characters, XML forbids two characters more. */
static int put_escaped(const char *text, struct ol_buf *buf)
{
    ol_auto_buf struct ol_buf clean = OL_BUF_INIT;
    int r = ol_check_clean(text, &clean);

    for (const char *c = ol_buf_str(&clean); *c != '\0' && r == 0; c++) {
        if (*c == '&')
            r = ol_buf_puts(buf, "&amp;");
        else if (*c == '<')
            r = ol_buf_puts(buf, "&lt;");
        else if (*c == '>')
            r = ol_buf_puts(buf, "&gt;");
        else if (*c == '"')
            r = ol_buf_puts(buf, "&quot;");
        else if (strncmp(c, "\xEF\xBF\xBE", 3) == 0 || strncmp(c, "\xEF\xBF\xBF", 3) == 0)
            r = ol_buf_puts(buf, (c += 2, "?"));
        else
            r = ol_buf_putc(buf, *c);
    }
    return r;
}

/* ' key="text"' */
static int print_attribute(FILE *out, const char *key, const char *text)
{
    ol_auto_buf struct ol_buf escaped = OL_BUF_INIT;
    int r = put_escaped(text, &escaped);

    if (r == 0)
        fprintf(out, " %s=\"%s\"", key, ol_buf_str(&escaped));
    return r;
}

static int print_text(FILE *out, const char *text)
{
    ol_auto_buf struct ol_buf escaped = OL_BUF_INIT;
    int r = put_escaped(text, &escaped);

    if (r == 0)
        fprintf(out, "%s\n", ol_buf_str(&escaped));
    return r;
}

static int print_failure(FILE *out, const struct ol_check_workload *workload,
                         const struct ol_check_result *result)
{
    ol_auto_buf struct ol_buf message = OL_BUF_INIT;
    ol_auto_buf struct ol_buf who = OL_BUF_INIT;
    int r = ol_check_words_value(result, &message);

    if (r == 0)
        r = ol_buf_puts(&message, "; ");
    if (r == 0)
        r = ol_check_words_headroom(result, &message);
    if (r == 0)
        r = ol_check_words_culprit(workload, result, &who);
    fprintf(out, "      <failure type=\"budget\"");
    if (r == 0)
        r = print_attribute(out, "message", ol_buf_str(&message));
    fprintf(out, ">");
    if (r == 0)
        r = print_text(out, ol_buf_str(&who));
    for (size_t i = 0; i < result->culprit.n_dirs && r == 0; i++) {
        ol_auto_buf struct ol_buf dir = OL_BUF_INIT;

        r = ol_check_words_dir(result, i, &dir);
        if (r == 0)
            r = print_text(out, ol_buf_str(&dir));
    }
    fprintf(out, "</failure>\n");
    return r;
}

static int print_case(FILE *out, const struct ol_check *check,
                      const struct ol_check_workload *workload,
                      const struct ol_check_result *result)
{
    int r;

    fprintf(out, "    <testcase");
    r = print_attribute(out, "name", result->limit->text);
    if (r == 0)
        r = print_attribute(out, "classname", workload->section->name);
    if (r == 0)
        r = print_attribute(out, "file", check->budget->source);
    fprintf(out, " line=\"%u\"%s>\n", result->limit->line, result->passed ? "/" : "");
    if (r == 0 && !result->passed) {
        r = print_failure(out, workload, result);
        fprintf(out, "    </testcase>\n");
    }
    return r;
}

static int print_suite(FILE *out, const struct ol_check *check,
                       const struct ol_check_workload *workload)
{
    const struct ol_budget_section *section = workload->section;
    int r;

    fprintf(out, "  <testsuite");
    r = print_attribute(out, "name", section->name);
    fprintf(out,
            " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n    <properties>\n"
            "      <property name=\"image\"",
            section->n_limits, workload->n_failed);
    if (r == 0)
        r = print_attribute(out, "value", section->image_text);
    fprintf(out, "/>\n      <property name=\"mode\" value=\"%s\"/>\n    </properties>\n",
            ol_budget_mode_name(workload->mode));
    for (size_t i = 0; i < section->n_limits && r == 0; i++)
        r = print_case(out, check, workload, &workload->results[i]);
    fprintf(out, "  </testsuite>\n");
    return r;
}

int ol_check_print_junit(const struct ol_check *check, FILE *out)
{
    int r = 0;

    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"overlab check\" tests=\"%zu\" failures=\"%zu\" errors=\"0\">\n",
            check->n_results, check->n_failed);
    for (size_t i = 0; i < check->n_workloads && r == 0; i++)
        r = print_suite(out, check, &check->workloads[i]);
    fprintf(out, "</testsuites>\n");
    return r;
}
