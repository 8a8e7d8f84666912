/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for people: three significant digits and a unit, counts in groups of three. */
#include "bench/report/human.h"

#include "bench/oracle/blame.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

int ol_human_count(struct ol_buf *buf, int64_t count)
{
    char digits[32];
    size_t len;
    int r = 0;

    if (count < 0)
        r = ol_buf_putc(buf, '-');
    len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64,
                           count < 0 ? -(uint64_t)count : (uint64_t)count);
    for (size_t i = 0; i < len && r == 0; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            r = ol_buf_putc(buf, ',');
        if (r == 0)
            r = ol_buf_putc(buf, digits[i]);
    }
    return r;
}

/* Three significant digits without an exponent. */
static int put_three(struct ol_buf *buf, double value)
{
    double size = fabs(value);

    if (size >= 99.95)
        return ol_buf_printf(buf, "%.0f", value);
    return ol_buf_printf(buf, size >= 9.995 ? "%.1f" : "%.2f", value);
}

int ol_human_bytes(struct ol_buf *buf, int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    int r;

    if (bytes > -1024 && bytes < 1024)
        return ol_buf_printf(buf, "%d B", (int)bytes);
    while (fabs(value) >= 1000 && unit < 3) {
        value /= 1024;
        unit++;
    }
    r = bytes % 1024 == 0 && unit == 0 ? ol_buf_printf(buf, "%.0f", value) : put_three(buf, value);
    return r < 0 ? r : ol_buf_printf(buf, " %s", units[unit]);
}

/* The unit in which a duration has one to three digits before the point. */
static const char *unit_of(double seconds, double *ret_scale)
{
    if (fabs(seconds) >= 0.9995) {
        *ret_scale = 1;
        return "s";
    }
    if (fabs(seconds) >= 0.9995e-3) {
        *ret_scale = 1e3;
        return "ms";
    }
    *ret_scale = 1e6;
    return "us";
}

int ol_human_seconds(struct ol_buf *buf, double seconds)
{
    double scale;
    const char *unit = unit_of(seconds, &scale);
    int r = put_three(buf, seconds * scale);

    return r < 0 ? r : ol_buf_printf(buf, " %s", unit);
}

int ol_human_range(struct ol_buf *buf, double low, double high)
{
    double scale;
    const char *unit = unit_of(high, &scale);
    int r = put_three(buf, low * scale);

    if (r == 0)
        r = ol_buf_putc(buf, '-');
    if (r == 0)
        r = put_three(buf, high * scale);
    return r < 0 ? r : ol_buf_printf(buf, " %s", unit);
}

int ol_human_ratio(struct ol_buf *buf, double ratio)
{
    if (ratio >= 9.95)
        return ol_buf_printf(buf, "%.0fx", ratio);
    return ol_buf_printf(buf, ratio >= 1.995 ? "%.1fx" : "%.2fx", ratio);
}

int ol_text_one_line(const char *text, size_t max, struct ol_buf *buf)
{
    size_t start = buf->len;
    bool blank = false;
    int r = 0;

    for (; *text != '\0' && r == 0; text++) {
        unsigned char c = (unsigned char)*text;

        if (c <= ' ' || c == 0x7f) {
            blank = buf->len > start;
            continue;
        }
        if (blank)
            r = ol_buf_putc(buf, ' ');
        blank = false;
        if (r == 0)
            r = ol_buf_putc(buf, *text);
    }
    if (r < 0 || buf->len - start <= max)
        return r;
    for (max -= 3; max > 0 && ((unsigned char)buf->data[start + max] & 0xc0) == 0x80;)
        max--; /* not inside a character */
    ol_buf_truncate(buf, start + max);
    return ol_buf_puts(buf, "...");
}

int ol_text_blamed_dir(const struct ol_blamed_dir *dir, size_t max, struct ol_buf *buf)
{
    int r = ol_human_count(buf, (int64_t)dir->inodes);

    if (r == 0)
        r = ol_buf_puts(buf, " in /");
    if (r == 0)
        r = ol_text_one_line(dir->path, max, buf);
    if (r == 0)
        r = ol_buf_puts(buf, ", ");
    return r < 0 ? r : ol_human_bytes(buf, (int64_t)dir->bytes);
}
