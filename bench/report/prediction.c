/* SPDX-License-Identifier: Apache-2.0 */
/* A prediction as a table and as Markdown; see prediction.h. */
#include "bench/report/prediction.h"

#include "bench/report/page.h"
#include "bench/report/prediction_internal.h"
#include "common/cleanup.h"

#include <errno.h>

static const char title[] = "What images cost, predicted";

/* ---- table ---- */

/* Lines of "label<TAB>text", indented. */
static void print_labelled(const struct ol_page *page, const char *text)
{
    while (*text != '\0') {
        size_t label = strcspn(text, "\t");
        size_t len = strcspn(text, "\n");

        fprintf(page->out, "  %.*s  %.*s\n", (int)label, text, (int)(len - label - 1),
                text + label + 1);
        text += len + (text[len] == '\n');
    }
}

static int print_engine_grid(const struct ol_page *page, const struct ol_prediction *prediction,
                             const struct ol_engine_grid *grid, bool marks)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = marks ? ol_prediction_text_marks(prediction, grid, &buf) : 0;

    if (r < 0)
        return r;
    print_labelled(page, ol_buf_str(&buf));
    return ol_page_grid(page, &grid->grid);
}

static int print_image(const struct ol_page *page, const struct ol_prediction *prediction,
                       size_t index)
{
    ol_auto_engine_grid struct ol_engine_grid grid = {0};
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_prediction_text_image(prediction, index, &buf);

    if (r == 0)
        r = ol_prediction_grid_image(prediction, index, ol_page_width(page), &grid);
    if (r < 0)
        return r;
    fputc('\n', page->out);
    ol_page_wrapped(page, ol_buf_str(&buf), 0);
    ol_buf_truncate(&buf, 0);
    r = print_engine_grid(page, prediction, &grid, index == 0);
    if (r == 0)
        r = ol_prediction_text_directories(prediction, index, &buf);
    if (r == 0)
        print_labelled(page, ol_buf_str(&buf));
    return r;
}

static int print_table(const struct ol_prediction *prediction, const struct ol_page *page)
{
    ol_auto_engine_grid struct ol_engine_grid total = {0};
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    ol_auto_grid struct ol_grid fs = {0};
    int r = ol_prediction_text_workload(prediction, &buf);

    fprintf(page->out, "%s%s%s\n", ol_page_bold(page), title, ol_page_plain(page));
    if (r == 0)
        ol_page_wrapped(page, ol_buf_str(&buf), 0);
    for (size_t i = 0; i < prediction->n_images && r == 0; i++)
        r = print_image(page, prediction, i);
    if (r == 0)
        r = ol_prediction_grid_total(prediction, ol_page_width(page), &total);
    if (r == 0) {
        fputc('\n', page->out);
        r = print_engine_grid(page, prediction, &total, false);
    }
    if (r == 0)
        r = ol_prediction_grid_fs(prediction, &fs);
    if (r == 0) {
        fputc('\n', page->out);
        r = ol_page_grid(page, &fs);
    }
    ol_buf_truncate(&buf, 0);
    if (r == 0)
        r = ol_prediction_text_notes(prediction, &buf);
    if (r < 0)
        return r;
    fputc('\n', page->out);
    ol_page_remarks(page, ol_buf_str(&buf));
    return 0;
}

/* ---- Markdown ---- */

static int print_markdown_image(FILE *out, const struct ol_prediction *prediction, size_t index)
{
    ol_auto_engine_grid struct ol_engine_grid grid = {0};
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_prediction_text_image(prediction, index, &buf);

    if (r == 0)
        r = ol_prediction_grid_image(prediction, index, 0, &grid);
    if (r < 0)
        return r;
    fprintf(out, "### %s\n\n", ol_buf_str(&buf));
    ol_markdown_grid(out, &grid.grid);
    ol_buf_truncate(&buf, 0);
    r = ol_prediction_text_directories(prediction, index, &buf);
    if (r == 0 && buf.len > 0) {
        ol_markdown_items(out, ol_buf_str(&buf));
        fputc('\n', out);
    }
    return r;
}

static int print_markdown(const struct ol_prediction *prediction, FILE *out)
{
    ol_auto_engine_grid struct ol_engine_grid total = {0};
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    ol_auto_grid struct ol_grid fs = {0};
    int r = ol_prediction_text_workload(prediction, &buf);

    fprintf(out, "## %s\n\n%s\n\n", title, ol_buf_str(&buf));
    for (size_t i = 0; i < prediction->n_images && r == 0; i++)
        r = print_markdown_image(out, prediction, i);
    if (r == 0)
        r = ol_prediction_grid_total(prediction, 0, &total);
    if (r == 0)
        r = ol_prediction_grid_fs(prediction, &fs);
    if (r < 0)
        return r;
    fputs("### All together\n\n", out);
    ol_markdown_grid(out, &total.grid);
    ol_markdown_grid(out, &fs);
    ol_buf_truncate(&buf, 0);
    r = ol_prediction_text_notes(prediction, &buf);
    if (r == 0)
        ol_markdown_items(out, ol_buf_str(&buf));
    return r;
}

int ol_prediction_print(const struct ol_prediction *prediction, enum ol_report_format format,
                        const struct ol_report_style *style, FILE *out, struct ol_error *err)
{
    const struct ol_page page = {.style = style, .out = out};
    int r = -EINVAL;

    switch (format) {
    case OL_REPORT_TABLE:
        r = print_table(prediction, &page);
        break;
    case OL_REPORT_JSON:
        r = ol_prediction_print_json(prediction, out);
        break;
    case OL_REPORT_CSV:
        r = ol_prediction_print_csv(prediction, out);
        break;
    case OL_REPORT_MARKDOWN:
        r = print_markdown(prediction, out);
        break;
    }
    return r < 0 ? ol_error_set(err, r, "cannot form the prediction: %s", strerrordesc_np(-r)) : 0;
}
