/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in columns: each page is a list of lines of limited width, with colour or without; several
 * are printed side by side. What comes from outside is printed with control characters as '?'.
 *
 * A failure (-ENOMEM) is kept in the page, later calls do nothing, and ol_pages_print() returns it.
 */
#ifndef OL_BENCH_TEACH_PAGE_H
#define OL_BENCH_TEACH_PAGE_H

#include "common/buf.h"

#include <stdio.h>

enum ol_ink {
    OL_INK_PLAIN,
    OL_INK_BOLD,
    OL_INK_DIM,
    OL_INK_NEW,
    OL_INK_SHARED,
    OL_INK_COPIED,
    OL_INK_WHITEOUT,
    OL_INK_OPAQUE,
    OL_INK_WARN,
};

struct ol_page_line {
    struct ol_buf text; /* owned; with escape sequences */
    size_t width;       /* columns it takes */
    bool cut;           /* it is full, and says so */
};

struct ol_page {
    struct ol_page_line *lines; /* owned */
    size_t count, room;
    size_t width; /* of every line at most */
    bool color;
    int r; /* first failure */
};

void ol_page_init(struct ol_page *page, size_t width, bool color);
void ol_page_fini(struct ol_page *page);

/** Begin a line. */
void ol_page_line(struct ol_page *page);

/** Go on in the last line; what does not fit is cut, with a '~' as the last character. */
void ol_page_put(struct ol_page *page, enum ol_ink ink, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * A paragraph in lines of its own: label, then the text beside it.
 * @param indent  columns of every line, the label's place in the first one
 * @param breaks  characters after which a line may end; a blank there is dropped, others stay
 */
void ol_page_wrap(struct ol_page *page, enum ol_ink ink, const char *label, size_t indent,
                  const char *breaks, const char *text);

/** Print pages side by side, gap columns apart, without blanks at the ends of lines. */
int ol_pages_print(struct ol_page *pages, size_t count, size_t gap, FILE *out);

#endif
