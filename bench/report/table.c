/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table: what one commit costs, who needs how much more, every step, and what to know about the
 * numbers.
 */
#include "bench/report/internal.h"
#include "bench/report/page.h"

#include "common/cleanup.h"

#include <errno.h>

struct printer {
    const struct ol_report *report;
    struct ol_page page;
};

enum { MISMATCHES_SHOWN = 10 };

static int print_engine_mismatches(const struct printer *p, const struct ol_bench_engine *engine,
                                   size_t *said)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    for (size_t s = 0; s < engine->n_steps && *said < MISMATCHES_SHOWN; s++) {
        int r;

        if (!ol_step_is_wrong(&engine->steps[s]))
            continue;
        ol_buf_truncate(&buf, 0);
        r = ol_text_mismatch(engine, &engine->steps[s], &buf);
        if (r < 0)
            return r;
        fprintf(p->page.out, "  %s\n", ol_buf_str(&buf));
        (*said)++;
    }
    return 0;
}

/* A count that is not the predicted one is said before anything else. */
static int print_mismatches(const struct printer *p)
{
    size_t wrong = 0;
    size_t said = 0;
    int r = 0;

    for (size_t i = 0; i < p->report->n_engines; i++)
        wrong += p->report->found[i].wrong_steps;
    if (wrong == 0)
        return 0;
    fprintf(p->page.out, "%sMEASURED IS NOT PREDICTED%s in %zu %s:\n", ol_page_warning(&p->page),
            ol_page_plain(&p->page), wrong, wrong == 1 ? "step" : "steps");
    for (size_t i = 0; i < p->report->n_engines && r == 0; i++)
        r = print_engine_mismatches(p, &p->report->engines[i], &said);
    if (said < wrong)
        fprintf(p->page.out, "  and %zu more; --json has them all\n", wrong - said);
    fputc('\n', p->page.out);
    return r;
}

enum { LABEL_WIDTH = 8 };

/* Lines of "label<TAB>sentence", as a list. */
static void print_labelled(const struct printer *p, const char *text)
{
    while (*text != '\0') {
        size_t label = strcspn(text, "\t");
        size_t len = strcspn(text, "\n");
        ol_auto_free char *line = strndup(text + label + 1, len - label - 1);

        fprintf(p->page.out, "  %-*.*s  ", LABEL_WIDTH, (int)label, text);
        ol_page_wrapped(&p->page, line != NULL ? line : "", LABEL_WIDTH + 4);
        text += len + (text[len] == '\n');
    }
}

/* The steps as the image tells them, what each left behind, and which layers came out otherwise. */
static int print_builds(const struct printer *p)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_text_history(p->report, ol_page_width(&p->page) - LABEL_WIDTH - 4, &buf);

    if (r == 0)
        r = ol_grid_builds(p->report, false, &grid);
    if (r < 0)
        return r;
    print_labelled(p, ol_buf_str(&buf));
    fputc('\n', p->page.out);
    r = ol_page_grid(&p->page, &grid);
    ol_buf_truncate(&buf, 0);
    if (r == 0)
        r = ol_text_unequal_layers(p->report, &buf);
    if (r == 0 && buf.len > 0) {
        fprintf(p->page.out, "\n%sLayers that are not byte for byte what they were made from%s\n",
                ol_page_bold(&p->page), ol_page_plain(&p->page));
        print_labelled(p, ol_buf_str(&buf));
    }
    return r;
}

static int print_head(const struct printer *p)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_text_title(p->report, &buf);

    if (r < 0)
        return r;
    fprintf(p->page.out, "%s%s%s\n", ol_page_bold(&p->page), ol_buf_str(&buf),
            ol_page_plain(&p->page));
    ol_buf_truncate(&buf, 0);
    r = ol_text_workload(p->report, &buf);
    if (r < 0)
        return r;
    ol_page_wrapped(&p->page, ol_buf_str(&buf), 0);
    fputc('\n', p->page.out);
    r = print_mismatches(p);
    if (r == 0 && p->report->workload.replay)
        return print_builds(p);
    if (r == 0)
        r = ol_grid_commit(p->report, &grid);
    return r < 0 ? r : ol_page_grid(&p->page, &grid);
}

static void print_verdict_lines(const struct printer *p, const char *text)
{
    while (*text != '\0') {
        size_t label = strcspn(text, "\t");
        size_t len = strcspn(text, "\n");
        ol_auto_free char *line = strndup(text + label + 1, len - label - 1);

        fprintf(p->page.out, "  %-6.*s  ", (int)label, text);
        ol_page_wrapped(&p->page, line != NULL ? line : "", 10);
        text += len + (text[len] == '\n');
    }
}

static int print_verdicts(const struct printer *p)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    size_t base = ol_report_baseline(p->report);
    int r = 0;

    for (size_t i = 0; i < p->report->n_engines && r == 0; i++) {
        if (i != base)
            r = ol_text_verdict(p->report, i, base, &buf);
    }
    if (r == 0 && buf.len > 0) {
        fputc('\n', p->page.out);
        print_verdict_lines(p, ol_buf_str(&buf));
    }
    return r;
}

static int print_parts(const struct printer *p)
{
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_grid_parts(p->report, &grid);

    if (r < 0)
        return r;
    fprintf(p->page.out,
            "\n%sInside a commit%s (diff and apply run at the same time; rest: mount, unmount)\n",
            ol_page_bold(&p->page), ol_page_plain(&p->page));
    return ol_page_grid(&p->page, &grid);
}

static int print_metadata(const struct printer *p)
{
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_grid_metadata(p->report, &grid);

    if (r < 0 || grid.n_rows == 0)
        return r;
    fprintf(p->page.out,
            "\n%sInside its metadata%s (counting the upper directory; syncing to disk)\n",
            ol_page_bold(&p->page), ol_page_plain(&p->page));
    return ol_page_grid(&p->page, &grid);
}

static int print_steps(const struct printer *p)
{
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_grid_steps(p->report, false, &grid);

    if (r < 0)
        return r;
    fprintf(p->page.out, "\n%sEvery step%s\n", ol_page_bold(&p->page), ol_page_plain(&p->page));
    return ol_page_grid(&p->page, &grid);
}

static int print_notes(const struct printer *p)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r;

    fputc('\n', p->page.out);
    for (size_t i = 0; i < p->report->n_notes; i++) {
        if (!p->report->notes[i].warning)
            continue;
        fprintf(p->page.out, "%swarning:%s ", ol_page_warning(&p->page), ol_page_plain(&p->page));
        ol_page_wrapped(&p->page, p->report->notes[i].text, 9);
    }
    r = ol_text_predictions(p->report, &buf);
    if (r == 0 && p->report->workload.replay)
        r = ol_text_equal_layers(p->report, &buf);
    if (r == 0)
        r = ol_text_interval(p->report, &buf);
    if (r == 0)
        r = ol_buf_putc(&buf, '\n');
    if (r == 0)
        r = ol_text_sleep(p->report, &buf);
    if (r == 0)
        r = ol_text_host(p->report, &buf);
    if (r < 0)
        return r;
    ol_page_remarks(&p->page, ol_buf_str(&buf));
    for (size_t i = 0; i < p->report->n_notes; i++) {
        if (!p->report->notes[i].warning)
            ol_page_remarks(&p->page, p->report->notes[i].text);
    }
    return 0;
}

int ol_report_print_table(const struct ol_report *report, const struct ol_report_style *style,
                          FILE *out)
{
    const struct printer p = {.report = report, .page = {.style = style, .out = out}};
    int r = print_head(&p);

    if (r == 0)
        r = print_verdicts(&p);
    if (r == 0)
        r = print_parts(&p);
    if (r == 0)
        r = print_metadata(&p);
    if (r == 0)
        r = print_steps(&p);
    return r < 0 ? r : print_notes(&p);
}

int ol_report_print(const struct ol_report *report, enum ol_report_format format,
                    const struct ol_report_style *style, FILE *out, struct ol_error *err)
{
    int r = -EINVAL;

    switch (format) {
    case OL_REPORT_TABLE:
        r = ol_report_print_table(report, style, out);
        break;
    case OL_REPORT_JSON:
        r = ol_report_print_json(report, out);
        break;
    case OL_REPORT_CSV:
        r = ol_report_print_csv(report, out);
        break;
    case OL_REPORT_MARKDOWN:
        r = ol_report_print_markdown(report, out);
        break;
    }
    return r < 0 ? ol_error_set(err, r, "cannot form the report: %s", strerrordesc_np(-r)) : 0;
}
