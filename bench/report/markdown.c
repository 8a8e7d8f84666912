/* SPDX-License-Identifier: Apache-2.0 */
/* The report as GitHub Markdown: the same grids and sentences as the table. */
#include "bench/report/internal.h"

#include "common/cleanup.h"

void ol_markdown_cell(FILE *out, const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '|' || *text == '\\')
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

void ol_markdown_grid(FILE *out, const struct ol_grid *grid)
{
    for (size_t i = 0; i < grid->n_columns; i++)
        fprintf(out, "| %s ", grid->columns[i].heading);
    fputs("|\n", out);
    for (size_t i = 0; i < grid->n_columns; i++)
        fputs(grid->columns[i].right ? "|---:" : "|---", out);
    fputs("|\n", out);
    for (size_t row = 0; row < grid->n_rows; row++) {
        for (size_t i = 0; i < grid->n_columns; i++) {
            fputs("| ", out);
            ol_markdown_cell(out, grid->cells[row * grid->n_columns + i]);
            fputc(' ', out);
        }
        fputs("|\n", out);
    }
    fputc('\n', out);
}

void ol_markdown_items(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        size_t label = strcspn(text, "\t\n");

        if (label < len)
            fprintf(out, "- **%.*s**: %.*s\n", (int)label, text, (int)(len - label - 1),
                    text + label + 1);
        else
            fprintf(out, "- %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static int print_mismatches(const struct ol_report *report, FILE *out)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < report->n_engines; i++) {
        const struct ol_bench_engine *engine = &report->engines[i];

        for (size_t s = 0; s < engine->n_steps && r == 0; s++) {
            if (!ol_step_is_wrong(&engine->steps[s]))
                continue;
            ol_buf_truncate(&buf, 0);
            r = ol_text_mismatch(engine, &engine->steps[s], &buf);
            fprintf(out, "- **measured is not predicted**: %s\n", ol_buf_str(&buf));
        }
    }
    return r;
}

enum { HISTORY_MAX = 200 }; /* bytes of a step's text */

/* The steps of a replayed image, what each left behind, and which layers came out otherwise. */
static int print_builds(const struct ol_report *report, FILE *out)
{
    ol_auto_buf struct ol_buf history = OL_BUF_INIT;
    ol_auto_buf struct ol_buf unequal = OL_BUF_INIT;
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_text_history(report, HISTORY_MAX, &history);

    if (r == 0)
        r = ol_grid_builds(report, true, &grid);
    if (r == 0)
        r = ol_text_unequal_layers(report, &unequal);
    if (r == 0)
        r = ol_text_equal_layers(report, &unequal);
    if (r < 0)
        return r;
    ol_markdown_items(out, ol_buf_str(&history));
    fputc('\n', out);
    ol_markdown_grid(out, &grid);
    ol_markdown_items(out, ol_buf_str(&unequal));
    return print_mismatches(report, out);
}

static int print_head(const struct ol_report *report, FILE *out)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    ol_auto_grid struct ol_grid grid = {0};
    size_t base = ol_report_baseline(report);
    int r = ol_text_title(report, &buf);

    if (r < 0)
        return r;
    fprintf(out, "## %s\n\n", ol_buf_str(&buf));
    ol_buf_truncate(&buf, 0);
    r = ol_text_workload(report, &buf);
    if (r < 0)
        return r;
    fprintf(out, "%s\n\n", ol_buf_str(&buf));
    ol_buf_truncate(&buf, 0);
    if (report->workload.replay)
        return print_builds(report, out);
    r = ol_grid_commit(report, &grid);
    if (r < 0)
        return r;
    ol_markdown_grid(out, &grid);
    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        if (i != base)
            r = ol_text_verdict(report, i, base, &buf);
    }
    if (r == 0)
        ol_markdown_items(out, ol_buf_str(&buf));
    return r < 0 ? r : print_mismatches(report, out);
}

static int print_details(const struct ol_report *report, FILE *out)
{
    ol_auto_grid struct ol_grid parts = {0};
    ol_auto_grid struct ol_grid metadata = {0};
    ol_auto_grid struct ol_grid steps = {0};
    int r = ol_grid_parts(report, &parts);

    if (r == 0)
        r = ol_grid_metadata(report, &metadata);
    if (r == 0)
        r = ol_grid_steps(report, true, &steps);
    if (r < 0)
        return r;
    fputs("\n### Inside a commit\n\nDiff and apply run at the same time; the rest is mounting and "
          "unmounting.\n\n",
          out);
    ol_markdown_grid(out, &parts);
    if (metadata.n_rows > 0) {
        fputs("### Inside its metadata\n\n", out);
        ol_markdown_grid(out, &metadata);
    }
    fputs("### Every step\n\n", out);
    ol_markdown_grid(out, &steps);
    return 0;
}

int ol_report_print_markdown(const struct ol_report *report, FILE *out)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = print_head(report, out);

    if (r == 0)
        r = print_details(report, out);
    if (r == 0)
        r = ol_text_predictions(report, &buf);
    if (r == 0)
        r = ol_text_interval(report, &buf);
    if (r == 0)
        r = ol_buf_putc(&buf, '\n');
    if (r == 0)
        r = ol_text_sleep(report, &buf);
    if (r == 0)
        r = ol_text_host(report, &buf);
    if (r < 0)
        return r;
    for (size_t i = 0; i < report->n_notes; i++)
        fprintf(out, "- %s%s\n", report->notes[i].warning ? "**warning:** " : "",
                report->notes[i].text);
    ol_markdown_items(out, ol_buf_str(&buf));
    return 0;
}
