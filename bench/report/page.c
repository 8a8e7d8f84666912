/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing a page of text; see page.h. libsmartcols draws the columns. */
#include "bench/report/page.h"

#include "common/cleanup.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>

enum { TEXT_WIDTH = 80 }; /* sentences, when the terminal is wider or not known */

const char *ol_page_bold(const struct ol_page *page)
{
    return page->style->color ? "\033[1m" : "";
}

const char *ol_page_warning(const struct ol_page *page)
{
    return page->style->color ? "\033[1;33m" : "";
}

const char *ol_page_plain(const struct ol_page *page)
{
    return page->style->color ? "\033[0m" : "";
}

size_t ol_page_width(const struct ol_page *page)
{
    return page->style->width > 20 && page->style->width < TEXT_WIDTH ? page->style->width
                                                                      : TEXT_WIDTH;
}

void ol_page_wrapped(const struct ol_page *page, const char *text, size_t indent)
{
    size_t width = ol_page_width(page);
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " \n");

        if (column > indent && column + 1 + word > width) {
            fprintf(page->out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', page->out);
            column++;
        }
        fwrite(text, 1, word, page->out);
        column = (column < indent ? indent : column) + word;
        text += word;
        if (*text == '\n' && text[1] != '\0') {
            fprintf(page->out, "\n%*s", (int)indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    fputc('\n', page->out);
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
size_t ol_page_grid_width(const struct ol_grid *grid)
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

int ol_page_grid(const struct ol_page *page, const struct ol_grid *grid)
{
    struct libscols_table *table = scols_new_table();
    char *text = NULL;
    int r = -ENOMEM;

    if (table == NULL)
        return -ENOMEM;
    if (ol_page_grid_width(grid) <=
        ol_page_width(page)) /* else one blank, which saves a few columns */
        (void)scols_table_set_column_separator(table, "  "); /* without memory: one, too */
    (void)scols_table_enable_nowrap(table, 1);
    /* A width of its own: no number may be cut; a narrow terminal wraps the line instead. */
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    if (add_columns(table, grid) == 0 && add_rows(table, grid) == 0 &&
        scols_print_table_to_string(table, &text) == 0) {
        print_trimmed(page->out, text);
        r = 0;
    }
    free(text);
    scols_unref_table(table);
    return r;
}

void ol_page_remarks(const struct ol_page *page, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        ol_auto_free char *line = strndup(text, len);

        fputs("- ", page->out);
        ol_page_wrapped(page, line != NULL ? line : "", 2);
        text += len + (text[len] == '\n');
    }
}
