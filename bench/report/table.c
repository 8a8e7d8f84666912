/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table: what one commit costs, who needs how much more, every step, and what to know about the
 * numbers. libsmartcols draws the columns; sentences are wrapped here to the same width.
 */
#include "bench/report/internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>

enum { TEXT_WIDTH = 80 }; /* sentences, when the terminal is wider or not known */

struct printer {
    const struct ol_report *report;
    const struct ol_report_style *style;
    FILE *out;
};

static const char *bold(const struct printer *p)
{
    return p->style->color ? "\033[1m" : "";
}

static const char *warn_color(const struct printer *p)
{
    return p->style->color ? "\033[1;33m" : "";
}

static const char *plain(const struct printer *p)
{
    return p->style->color ? "\033[0m" : "";
}

static size_t text_width(const struct printer *p)
{
    return p->style->width > 20 && p->style->width < TEXT_WIDTH ? p->style->width : TEXT_WIDTH;
}

/* Print text wrapped at spaces; its own newlines stay. Continuation lines get the indent. */
static void print_wrapped(const struct printer *p, const char *text, size_t indent)
{
    size_t width = text_width(p);
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " \n");

        if (column > indent && column + 1 + word > width) {
            fprintf(p->out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', p->out);
            column++;
        }
        fwrite(text, 1, word, p->out);
        column = (column < indent ? indent : column) + word;
        text += word;
        if (*text == '\n' && text[1] != '\0') {
            fprintf(p->out, "\n%*s", (int)indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    fputc('\n', p->out);
}

static int add_columns(struct libscols_table *table, const struct ol_grid *grid)
{
    for (size_t i = 0; i < grid->n_columns; i++) {
        const struct ol_grid_column *column = &grid->columns[i];

        if (scols_table_new_column(table, column->heading, 0, column->right ? SCOLS_FL_RIGHT : 0) ==
            NULL)
            return -ENOMEM;
    }
    return 0;
}

static int add_rows(struct libscols_table *table, const struct ol_grid *grid)
{
    for (size_t row = 0; row < grid->n_rows; row++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);

        if (line == NULL)
            return -ENOMEM;
        for (size_t i = 0; i < grid->n_columns; i++) {
            const char *text = grid->cells[row * grid->n_columns + i];

            if (text != NULL && scols_line_set_data(line, i, text) != 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* libsmartcols pads the last column; a reader who copies lines should not get that. */
static void print_trimmed(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        size_t end = len;

        while (end > 0 && text[end - 1] == ' ')
            end--;
        fwrite(text, 1, end, out);
        fputc('\n', out);
        text += len + (text[len] == '\n');
    }
}

/* Columns of the grid drawn with two blanks between them; names and numbers are ASCII but for file
 * names, which no grid holds. */
static size_t grid_width(const struct ol_grid *grid)
{
    size_t width = 2 * (grid->n_columns - 1);

    for (size_t i = 0; i < grid->n_columns; i++) {
        size_t widest = strlen(grid->columns[i].heading);

        for (size_t row = 0; row < grid->n_rows; row++) {
            const char *cell = grid->cells[row * grid->n_columns + i];

            /* a heading row in the first column may run into the empty cells beside it */
            if (cell != NULL && strlen(cell) > widest)
                widest = strlen(cell);
        }
        width += widest;
    }
    return width;
}

static int print_grid(const struct printer *p, const struct ol_grid *grid)
{
    struct libscols_table *table = scols_new_table();
    char *text = NULL;
    int r = -ENOMEM;

    if (table == NULL)
        return -ENOMEM;
    if (grid_width(grid) <= text_width(p)) /* else one blank, which saves a few columns */
        (void)scols_table_set_column_separator(table, "  "); /* without memory: one, too */
    (void)scols_table_enable_nowrap(table, 1);
    /* A width of its own: no number may be cut; a narrow terminal wraps the line instead. */
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    if (add_columns(table, grid) == 0 && add_rows(table, grid) == 0 &&
        scols_print_table_to_string(table, &text) == 0) {
        print_trimmed(p->out, text);
        r = 0;
    }
    free(text);
    scols_unref_table(table);
    return r;
}

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
        fprintf(p->out, "  %s\n", ol_buf_str(&buf));
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
    fprintf(p->out, "%sMEASURED IS NOT PREDICTED%s in %zu %s:\n", warn_color(p), plain(p), wrong,
            wrong == 1 ? "step" : "steps");
    for (size_t i = 0; i < p->report->n_engines && r == 0; i++)
        r = print_engine_mismatches(p, &p->report->engines[i], &said);
    if (said < wrong)
        fprintf(p->out, "  and %zu more; --json has them all\n", wrong - said);
    fputc('\n', p->out);
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

        fprintf(p->out, "  %-*.*s  ", LABEL_WIDTH, (int)label, text);
        print_wrapped(p, line != NULL ? line : "", LABEL_WIDTH + 4);
        text += len + (text[len] == '\n');
    }
}

/* The steps as the image tells them, what each left behind, and which layers came out otherwise. */
static int print_builds(const struct printer *p)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_text_history(p->report, text_width(p) - LABEL_WIDTH - 4, &buf);

    if (r == 0)
        r = ol_grid_builds(p->report, false, &grid);
    if (r < 0)
        return r;
    print_labelled(p, ol_buf_str(&buf));
    fputc('\n', p->out);
    r = print_grid(p, &grid);
    ol_buf_truncate(&buf, 0);
    if (r == 0)
        r = ol_text_unequal_layers(p->report, &buf);
    if (r == 0 && buf.len > 0) {
        fprintf(p->out, "\n%sLayers that are not byte for byte what they were made from%s\n",
                bold(p), plain(p));
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
    fprintf(p->out, "%s%s%s\n", bold(p), ol_buf_str(&buf), plain(p));
    ol_buf_truncate(&buf, 0);
    r = ol_text_workload(p->report, &buf);
    if (r < 0)
        return r;
    print_wrapped(p, ol_buf_str(&buf), 0);
    fputc('\n', p->out);
    r = print_mismatches(p);
    if (r == 0 && p->report->workload.replay)
        return print_builds(p);
    if (r == 0)
        r = ol_grid_commit(p->report, &grid);
    return r < 0 ? r : print_grid(p, &grid);
}

static void print_verdict_lines(const struct printer *p, const char *text)
{
    while (*text != '\0') {
        size_t label = strcspn(text, "\t");
        size_t len = strcspn(text, "\n");
        ol_auto_free char *line = strndup(text + label + 1, len - label - 1);

        fprintf(p->out, "  %-6.*s  ", (int)label, text);
        print_wrapped(p, line != NULL ? line : "", 10);
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
        fputc('\n', p->out);
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
    fprintf(p->out,
            "\n%sInside a commit%s (diff and apply run at the same time; rest: mount, unmount)\n",
            bold(p), plain(p));
    return print_grid(p, &grid);
}

static int print_metadata(const struct printer *p)
{
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_grid_metadata(p->report, &grid);

    if (r < 0 || grid.n_rows == 0)
        return r;
    fprintf(p->out, "\n%sInside its metadata%s (counting the upper directory; syncing to disk)\n",
            bold(p), plain(p));
    return print_grid(p, &grid);
}

static int print_steps(const struct printer *p)
{
    ol_auto_grid struct ol_grid grid = {0};
    int r = ol_grid_steps(p->report, false, &grid);

    if (r < 0)
        return r;
    fprintf(p->out, "\n%sEvery step%s\n", bold(p), plain(p));
    return print_grid(p, &grid);
}

/* One remark per line of text, each behind its mark. */
static void print_remarks(const struct printer *p, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        ol_auto_free char *line = strndup(text, len);

        fputs("- ", p->out);
        print_wrapped(p, line != NULL ? line : "", 2);
        text += len + (text[len] == '\n');
    }
}

static int print_notes(const struct printer *p)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r;

    fputc('\n', p->out);
    for (size_t i = 0; i < p->report->n_notes; i++) {
        if (!p->report->notes[i].warning)
            continue;
        fprintf(p->out, "%swarning:%s ", warn_color(p), plain(p));
        print_wrapped(p, p->report->notes[i].text, 9);
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
    print_remarks(p, ol_buf_str(&buf));
    for (size_t i = 0; i < p->report->n_notes; i++) {
        if (!p->report->notes[i].warning)
            print_remarks(p, p->report->notes[i].text);
    }
    return 0;
}

int ol_report_print_table(const struct ol_report *report, const struct ol_report_style *style,
                          FILE *out)
{
    const struct printer p = {.report = report, .style = style, .out = out};
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
