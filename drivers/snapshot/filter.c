/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters (containerd filters/{scanner,parser,filter}.go): a list of filters of which one must
 * match, each a list of selectors that all must. "~=" takes POSIX extended expressions; containerd
 * takes RE2's, which agree in what people write here (no \d, no lazy repetition).
 */
#include "drivers/snapshot/internal.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <string.h>

enum operator_kind { OP_PRESENT, OP_EQUAL, OP_NOT_EQUAL, OP_MATCHES };

struct selector {
    char *field; /* owned; first component */
    char *rest;  /* owned; the others joined by "." */
    enum operator_kind op;
    char *value; /* owned; NULL for OP_PRESENT */
    bool usable; /* OP_MATCHES: expression was compiled */
    regex_t expression;
};

struct filter {
    struct selector *selectors; /* owned; none: matches everything */
    size_t count;
};

struct ol_filters {
    struct filter *filters; /* owned; none: everything matches */
    size_t count;
};

/* ---- scanning ---- */

struct scan {
    const char *text, *at;
    struct ol_error *err;
};

static int bad(const struct scan *s, const char *what)
{
    return ol_error_set(s->err, -EINVAL, "filter '%s': %s at '%s'", s->text, what, s->at);
}

static void skip_space(struct scan *s)
{
    while (isspace((unsigned char)*s->at))
        s->at++;
}

static int put_rune(struct ol_buf *out, unsigned long rune)
{
    char utf8[4];
    size_t n = 0;

    if (rune < 0x80) {
        utf8[n++] = (char)rune;
    } else if (rune < 0x800) {
        utf8[n++] = (char)(0xc0 | rune >> 6);
    } else if (rune < 0x10000) {
        utf8[n++] = (char)(0xe0 | rune >> 12);
        utf8[n++] = (char)(0x80 | (rune >> 6 & 0x3f));
    } else {
        utf8[n++] = (char)(0xf0 | rune >> 18);
        utf8[n++] = (char)(0x80 | (rune >> 12 & 0x3f));
        utf8[n++] = (char)(0x80 | (rune >> 6 & 0x3f));
    }
    if (rune >= 0x80)
        utf8[n++] = (char)(0x80 | (rune & 0x3f));
    return ol_buf_append(out, utf8, n);
}

/* Exactly so many digits of this base. @return -EINVAL when they are not there */
static int digits(struct scan *s, unsigned count, int base, unsigned long *ret)
{
    char text[9];
    char *end;

    for (unsigned i = 0; i < count; i++) {
        if (!isxdigit((unsigned char)s->at[i]))
            return -EINVAL;
        text[i] = s->at[i];
    }
    text[count] = '\0';
    *ret = strtoul(text, &end, base);
    if (*end != '\0')
        return -EINVAL;
    s->at += count;
    return 0;
}

/* What stands after a backslash; the quote itself is one, too. */
static int scan_escape(struct scan *s, char quote, struct ol_buf *out)
{
    static const char letters[] = "abfnrtv\\";
    static const char values[] = "\a\b\f\n\r\t\v\\";
    const char *letter = *s->at != '\0' ? strchr(letters, *s->at) : NULL;
    unsigned long rune = 0;
    char c = *s->at;
    int r;

    if (letter != NULL || c == quote) {
        s->at++;
        return ol_buf_putc(out, letter != NULL ? values[letter - letters] : quote);
    }
    if (c >= '0' && c <= '7') {
        r = digits(s, 3, 8, &rune);
        return r < 0 || rune > 0xff || rune == 0 ? -EINVAL : ol_buf_putc(out, (char)rune);
    }
    s->at += c != '\0';
    if (c == 'x') {
        r = digits(s, 2, 16, &rune);
        return r < 0 || rune == 0 ? -EINVAL : ol_buf_putc(out, (char)rune);
    }
    if (c != 'u' && c != 'U')
        return -EINVAL;
    r = digits(s, c == 'u' ? 4 : 8, 16, &rune);
    if (r < 0 || rune == 0 || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        return -EINVAL;
    return put_rune(out, rune);
}

/* From the quote at s->at to the next one. */
static int scan_quoted(struct scan *s, struct ol_buf *out)
{
    char quote = *s->at++;

    while (*s->at != quote) {
        int r;

        if (*s->at == '\0' || *s->at == '\n')
            return bad(s, "a quote is not closed");
        if (*s->at == '\\') {
            s->at++;
            r = scan_escape(s, quote, out);
        } else {
            r = ol_buf_putc(out, *s->at++);
        }
        if (r == -ENOMEM)
            return ol_error_nomem(s->err);
        if (r < 0)
            return bad(s, "no such escape");
    }
    s->at++;
    return 0;
}

static bool is_field(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static int scan_field(struct scan *s, struct ol_buf *out)
{
    if (*s->at == '"')
        return scan_quoted(s, out);
    if (!is_field(*s->at))
        return bad(s, "a field is expected");
    while (is_field(*s->at)) {
        if (ol_buf_putc(out, *s->at++) < 0)
            return ol_error_nomem(s->err);
    }
    return 0;
}

static int scan_path(struct scan *s, struct selector *sel)
{
    ol_auto_buf struct ol_buf first = OL_BUF_INIT;
    ol_auto_buf struct ol_buf rest = OL_BUF_INIT;
    int r = scan_field(s, &first);

    for (bool dot = false; r == 0 && *s->at == '.'; dot = true) {
        s->at++;
        if (dot && ol_buf_putc(&rest, '.') < 0)
            return ol_error_nomem(s->err);
        r = scan_field(s, &rest);
    }
    if (r < 0)
        return r;
    sel->field = ol_buf_steal(&first);
    sel->rest = ol_buf_steal(&rest);
    return sel->field == NULL || sel->rest == NULL ? ol_error_nomem(s->err) : 0;
}

static int scan_operator(struct scan *s, enum operator_kind *ret)
{
    static const char *const names[] = {
        [OP_EQUAL] = "==", [OP_NOT_EQUAL] = "!=", [OP_MATCHES] = "~="};
    size_t len = strspn(s->at, "=!~");

    for (unsigned op = OP_EQUAL; op <= OP_MATCHES; op++) {
        if (len == 2 && memcmp(s->at, names[op], 2) == 0) {
            *ret = (enum operator_kind)op;
            s->at += len;
            return 0;
        }
    }
    return bad(s, "no such operator (==, != and ~= are)");
}

static int scan_value(struct scan *s, enum operator_kind op, char **ret)
{
    ol_auto_buf struct ol_buf value = OL_BUF_INIT;
    int r = 0;

    if (*s->at == '"' || (op == OP_MATCHES && (*s->at == '/' || *s->at == '|'))) {
        r = scan_quoted(s, &value);
    } else {
        if (*s->at == '\0' || strchr(",.=!~\"/|", *s->at) != NULL)
            return bad(s, "a value is expected");
        while (*s->at != '\0' && *s->at != ',' && !isspace((unsigned char)*s->at) && r == 0)
            r = ol_buf_putc(&value, *s->at++);
        if (r < 0)
            return ol_error_nomem(s->err);
    }
    if (r < 0)
        return r;
    *ret = ol_buf_steal(&value);
    return *ret != NULL ? 0 : ol_error_nomem(s->err);
}

static int scan_selector(struct scan *s, struct selector *sel)
{
    int r;

    skip_space(s);
    r = scan_path(s, sel);
    if (r < 0)
        return r;
    skip_space(s);
    if (*s->at == '\0' || *s->at == ',')
        return 0;
    r = scan_operator(s, &sel->op);
    if (r < 0)
        return r;
    skip_space(s);
    r = scan_value(s, sel->op, &sel->value);
    if (r < 0)
        return r;
    if (sel->op == OP_MATCHES) /* one that is wrong matches nothing (containerd) */
        sel->usable = regcomp(&sel->expression, sel->value, REG_EXTENDED | REG_NOSUB) == 0;
    return *s->at == '\0' || *s->at == ',' ? 0 : bad(s, "',' is expected");
}

static int parse_filter(const char *text, struct filter *ret, struct ol_error *err)
{
    struct scan s = {.text = text, .at = text, .err = err};
    int r = 0;

    if (text[0] == '\0')
        return 0;
    do {
        struct selector *grown = reallocarray(ret->selectors, ret->count + 1, sizeof *grown);

        if (grown == NULL)
            return ol_error_nomem(err);
        ret->selectors = grown;
        grown[ret->count] = (struct selector){.op = OP_PRESENT};
        r = scan_selector(&s, &grown[ret->count++]);
    } while (r == 0 && *s.at++ == ',');
    return r;
}

/* ---- the list ---- */

void ol_filters_free(struct ol_filters *filters)
{
    if (filters == NULL)
        return;
    for (size_t f = 0; f < filters->count; f++) {
        for (size_t i = 0; i < filters->filters[f].count; i++) {
            struct selector *sel = &filters->filters[f].selectors[i];

            free(sel->field);
            free(sel->rest);
            free(sel->value);
            if (sel->usable)
                regfree(&sel->expression);
        }
        free(filters->filters[f].selectors);
    }
    free(filters->filters);
    free(filters);
}

int ol_filters_parse(const char *const *texts, size_t count, struct ol_filters **ret,
                     struct ol_error *err)
{
    struct ol_filters *filters = calloc(1, sizeof *filters);
    int r = 0;

    if (filters == NULL)
        return ol_error_nomem(err);
    filters->filters = calloc(count + 1, sizeof *filters->filters);
    if (filters->filters == NULL)
        r = ol_error_nomem(err);
    while (r == 0 && filters->count < count) {
        size_t i = filters->count++;

        r = parse_filter(texts[i], &filters->filters[i], err);
    }
    if (r < 0) {
        ol_filters_free(filters);
        return r;
    }
    *ret = filters;
    return 0;
}

/* ---- matching ---- */

/* NULL when the snapshot has no such field. */
static const char *field_of(const struct ol_snapshot_info *info, const struct selector *sel)
{
    static const char *const kinds[] = {NULL, "view", "active", "committed"};

    if (strcmp(sel->field, "kind") == 0)
        return kinds[info->kind];
    if (strcmp(sel->field, "name") == 0)
        return info->name;
    if (strcmp(sel->field, "parent") == 0)
        return info->parent;
    return strcmp(sel->field, "labels") == 0 ? ol_labels_get(&info->labels, sel->rest) : NULL;
}

static bool selector_matches(const struct selector *sel, const struct ol_snapshot_info *info)
{
    const char *value = field_of(info, sel);

    switch (sel->op) {
    case OP_EQUAL:
        return value != NULL && strcmp(value, sel->value) == 0;
    case OP_NOT_EQUAL:
        return strcmp(value != NULL ? value : "", sel->value) != 0;
    case OP_MATCHES:
        return sel->usable &&
               regexec(&sel->expression, value != NULL ? value : "", 0, NULL, 0) == 0;
    case OP_PRESENT:
        break;
    }
    return value != NULL;
}

bool ol_filters_match(const struct ol_filters *filters, const struct ol_snapshot_info *info)
{
    for (size_t f = 0; f < filters->count; f++) {
        const struct filter *filter = &filters->filters[f];
        size_t i = 0;

        while (i < filter->count && selector_matches(&filter->selectors[i], info))
            i++;
        if (i == filter->count)
            return true;
    }
    return filters->count == 0;
}
