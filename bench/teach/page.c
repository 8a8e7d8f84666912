/* SPDX-License-Identifier: Apache-2.0 */
/* Text in columns; see page.h. */
#include "bench/teach/page.h"

#include "common/cleanup.h"

#include <stdarg.h>
#include <string.h>

static const char *const escapes[] = {
    [OL_INK_PLAIN] = "",
    [OL_INK_BOLD] = "\033[1m",
    [OL_INK_DIM] = "\033[2m",
    [OL_INK_NEW] = "\033[32m",
    [OL_INK_SHARED] = "\033[36m",
    [OL_INK_COPIED] = "\033[33m",
    [OL_INK_WHITEOUT] = "\033[31m",
    [OL_INK_OPAQUE] = "\033[35m",
    [OL_INK_WARN] = "\033[1;33m",
};

void ol_page_init(struct ol_page *page, size_t width, bool color)
{
    *page = (struct ol_page){.width = width, .color = color};
}

void ol_page_fini(struct ol_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        ol_buf_fini(&page->lines[i].text);
    free(page->lines);
    page->lines = NULL;
    page->count = page->room = 0;
}

void ol_page_line(struct ol_page *page)
{
    if (page->r < 0)
        return;
    if (page->count == page->room) {
        size_t room = page->room > 0 ? 2 * page->room : 32;
        struct ol_page_line *grown = reallocarray(page->lines, room, sizeof *grown);

        if (grown == NULL) {
            page->r = -ENOMEM;
            return;
        }
        page->lines = grown;
        page->room = room;
    }
    page->lines[page->count++] = (struct ol_page_line){.text = OL_BUF_INIT};
}

static void keep(struct ol_page *page, int r)
{
    if (page->r == 0)
        page->r = r;
}

/* len bytes that fit; what could move a terminal's cursor is made visible. */
static void append(struct ol_page *page, enum ol_ink ink, const char *text, size_t len)
{
    struct ol_page_line *line = &page->lines[page->count - 1];
    bool inked = page->color && ink != OL_INK_PLAIN && len > 0;

    if (inked)
        keep(page, ol_buf_puts(&line->text, escapes[ink]));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        keep(page, ol_buf_putc(&line->text, c < 0x20 || c >= 0x7f ? '?' : text[i]));
    }
    if (inked)
        keep(page, ol_buf_puts(&line->text, "\033[0m"));
    line->width += len;
}

static void put_text(struct ol_page *page, enum ol_ink ink, const char *text)
{
    struct ol_page_line *line = page->count > 0 ? &page->lines[page->count - 1] : NULL;
    size_t len = strlen(text);

    if (page->r < 0 || line == NULL || line->cut)
        return;
    if (line->width + len <= page->width) {
        append(page, ink, text, len);
        return;
    }
    if (line->width + 1 < page->width)
        append(page, ink, text, page->width - line->width - 1);
    if (line->width < page->width)
        append(page, OL_INK_DIM, "~", 1);
    line->cut = true;
}

void ol_page_put(struct ol_page *page, enum ol_ink ink, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0) {
        text = NULL;
        keep(page, -ENOMEM);
        return;
    }
    put_text(page, ink, text);
}

/* How much of text goes into a line of room columns: up to the last break, or all that fits. */
static size_t fitting(const char *text, size_t room, const char *breaks)
{
    size_t len = strlen(text);
    size_t best = 0;

    if (len <= room)
        return len;
    for (size_t i = 0; i <= room; i++) {
        if (strchr(breaks, text[i]) == NULL)
            continue;
        if (text[i] == ' ')
            best = i;
        else if (i < room)
            best = i + 1;
    }
    return best > 0 ? best : room;
}

void ol_page_wrap(struct ol_page *page, enum ol_ink ink, const char *label, size_t indent,
                  const char *breaks, const char *text)
{
    const size_t room = page->width > indent + 8 ? page->width - indent : 8;

    do {
        size_t len = fitting(text, room, breaks);

        ol_page_line(page);
        ol_page_put(page, OL_INK_BOLD, "%-*s", (int)indent, label);
        ol_page_put(page, ink, "%.*s", (int)len, text);
        label = "";
        text += len;
        text += strspn(text, " ");
    } while (*text != '\0' && page->r == 0);
}

/* The line of one page, and blanks up to where the next page begins unless nothing follows. */
static size_t print_cell(const struct ol_page *page, size_t line, size_t blanks, FILE *out)
{
    if (line >= page->count || page->lines[line].width == 0)
        return blanks + page->width;
    fprintf(out, "%*s%s", (int)blanks, "", ol_buf_str(&page->lines[line].text));
    return page->width - page->lines[line].width;
}

int ol_pages_print(struct ol_page *pages, size_t count, size_t gap, FILE *out)
{
    size_t lines = 0;

    for (size_t i = 0; i < count; i++) {
        if (pages[i].r < 0)
            return pages[i].r;
        lines = pages[i].count > lines ? pages[i].count : lines;
    }
    for (size_t line = 0; line < lines; line++) {
        size_t blanks = 0;

        for (size_t i = 0; i < count; i++)
            blanks = print_cell(&pages[i], line, blanks, out) + gap;
        fputc('\n', out);
    }
    return 0;
}
