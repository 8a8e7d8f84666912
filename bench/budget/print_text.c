/* SPDX-License-Identifier: Apache-2.0 */
/* For people: a line for each limit, and below what is exceeded who spent it. */
#include "bench/budget/print_internal.h"

#include "bench/report/human.h"
#include "bench/report/page.h"
#include "common/cleanup.h"

#include <string.h>

enum {
    WIDTH = 80,
    LIMIT_WIDTH = 42, /* of a limit that has its value on the same line */
    INDENT = 8,       /* of what stands below a limit */
    NUMBER_WIDTH = 8, /* of a directory's share */
};

/* The numbers one below the other. */
static int print_dirs(const struct ol_check_result *result, FILE *out)
{
    int r = 0;

    for (size_t i = 0; i < result->culprit.n_dirs && r == 0; i++) {
        ol_auto_buf struct ol_buf text = OL_BUF_INIT;
        ol_auto_buf struct ol_buf line = OL_BUF_INIT;
        size_t pad;

        r = ol_check_words_dir(result, i, &text);
        if (r < 0)
            return r;
        pad = strcspn(ol_buf_str(&text), "/") - strlen(" in ");
        r = ol_text_one_line(ol_buf_str(&text), WIDTH - INDENT - NUMBER_WIDTH, &line);
        fprintf(out, "%*s%s\n", (int)(INDENT + (pad < NUMBER_WIDTH ? NUMBER_WIDTH - pad : 0)), "",
                ol_buf_str(&line));
    }
    return r;
}

static int print_culprit(const struct ol_check_workload *workload,
                         const struct ol_check_result *result, const struct ol_page *page)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_check_words_culprit(workload, result, &text);

    if (r < 0 || text.len == 0)
        return r;
    fprintf(page->out, "%*s", INDENT, "");
    ol_page_wrapped(page, ol_buf_str(&text), INDENT);
    return print_dirs(result, page->out);
}

static int print_result(const struct ol_check_workload *workload,
                        const struct ol_check_result *result, const struct ol_page *page)
{
    ol_auto_buf struct ol_buf words = OL_BUF_INIT;
    const char *text = result->limit->text;
    int r = ol_check_words_value(result, &words);

    if (r == 0)
        r = ol_buf_puts(&words, "; ");
    if (r == 0)
        r = ol_check_words_headroom(result, &words);
    if (r < 0)
        return r;
    fprintf(page->out, "  %s%s%s  %s", result->passed ? "" : ol_page_warning(page),
            result->passed ? "ok  " : "OVER", result->passed ? "" : ol_page_plain(page), text);
    if (strlen(text) <= LIMIT_WIDTH && words.len <= WIDTH - LIMIT_WIDTH - INDENT - 2)
        fprintf(page->out, "%*s", (int)(LIMIT_WIDTH + 2 - strlen(text)), "");
    else
        fprintf(page->out, "\n%*s", INDENT, "");
    fprintf(page->out, "%s\n", ol_buf_str(&words));
    return result->passed ? 0 : print_culprit(workload, result, page);
}

static int print_workload(const struct ol_check_workload *workload, const struct ol_page *page)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_buf_printf(&text, "[%s] ", workload->section->name);

    if (r == 0)
        r = ol_check_words_workload(workload, &text);
    if (r < 0)
        return r;
    fputs(ol_page_bold(page), page->out);
    ol_page_wrapped(page, ol_buf_str(&text), 2);
    fputs(ol_page_plain(page), page->out);
    for (size_t i = 0; i < workload->section->n_limits && r == 0; i++)
        r = print_result(workload, &workload->results[i], page);
    fputc('\n', page->out);
    return r;
}

int ol_check_print_text(const struct ol_check *check, const struct ol_report_style *style,
                        FILE *out)
{
    const struct ol_page page = {.style = style, .out = out};
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < check->n_workloads && r == 0; i++)
        r = print_workload(&check->workloads[i], &page);
    if (r == 0)
        r = ol_check_words_total(check, &text);
    if (r == 0)
        fprintf(out, "%s\n", ol_buf_str(&text));
    return r;
}
