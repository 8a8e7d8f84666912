/* SPDX-License-Identifier: Apache-2.0 */
/* A page of text for people: grids and sentences, in the width of the terminal or of 80 columns. */
#ifndef OL_BENCH_REPORT_PAGE_H
#define OL_BENCH_REPORT_PAGE_H

#include "bench/report/internal.h"

struct ol_page {
    const struct ol_report_style *style;
    FILE *out;
};

/* Switch to bold, to the colour of warnings, and back; "" without colour. */
const char *ol_page_bold(const struct ol_page *page);
const char *ol_page_warning(const struct ol_page *page);
const char *ol_page_plain(const struct ol_page *page);

/** Columns of a sentence. */
size_t ol_page_width(const struct ol_page *page);
/** Print text wrapped at spaces; its own newlines stay. Continuation lines get the indent. */
void ol_page_wrapped(const struct ol_page *page, const char *text, size_t indent);
/** One remark per line of text, each behind its mark. */
void ol_page_remarks(const struct ol_page *page, const char *text);
/** Columns of the grid as it would be drawn with two blanks between them. */
size_t ol_page_grid_width(const struct ol_grid *grid);
/** Draw the columns. @return 0 or -ENOMEM */
int ol_page_grid(const struct ol_page *page, const struct ol_grid *grid);

#endif
