/* SPDX-License-Identifier: Apache-2.0 */
/* The growing buffer of buf.h. */
#include "common/buf.h"

#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

void ol_buf_fini(struct ol_buf *buf)
{
    int saved = errno;

    free(buf->data);
    *buf = (struct ol_buf)OL_BUF_INIT;
    errno = saved;
}

int ol_buf_reserve(struct ol_buf *buf, size_t extra)
{
    size_t need;
    size_t cap;
    char *data;

    if (__builtin_add_overflow(buf->len, extra, &need) || __builtin_add_overflow(need, 1, &need))
        return -ENOMEM;
    if (need <= buf->cap)
        return 0;
    cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap < need) {
        if (__builtin_mul_overflow(cap, 2, &cap))
            return -ENOMEM;
    }
    data = realloc(buf->data, cap);
    if (data == NULL)
        return -ENOMEM;
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int ol_buf_append(struct ol_buf *buf, const void *data, size_t len)
{
    int r = ol_buf_reserve(buf, len);

    if (r < 0)
        return r;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int ol_buf_puts(struct ol_buf *buf, const char *text)
{
    return ol_buf_append(buf, text, strlen(text));
}

int ol_buf_putc(struct ol_buf *buf, char c)
{
    return ol_buf_append(buf, &c, 1);
}

int ol_buf_printf(struct ol_buf *buf, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    int len;
    int r;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0)
        return -ENOMEM;
    r = ol_buf_append(buf, text, (size_t)len);
    free(text);
    return r;
}

void ol_buf_truncate(struct ol_buf *buf, size_t len)
{
    if (len < buf->len) {
        buf->len = len;
        buf->data[len] = '\0';
    }
}

const char *ol_buf_str(const struct ol_buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

char *ol_buf_steal(struct ol_buf *buf)
{
    char *data;

    if (buf->data == NULL && ol_buf_reserve(buf, 0) < 0)
        return NULL;
    data = buf->data;
    *buf = (struct ol_buf)OL_BUF_INIT;
    return data;
}
