/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer that is always terminated by a NUL, for strings and binary data alike. The
 * functions return 0 or -ENOMEM and leave the buffer as it was on failure.
 */
#ifndef OL_COMMON_BUF_H
#define OL_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct ol_buf {
    char *data; /* owned; NULL while nothing was added */
    size_t len; /* bytes in use, without the NUL */
    size_t cap;
};

#define OL_BUF_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void ol_buf_fini(struct ol_buf *buf);
#define ol_auto_buf __attribute__((cleanup(ol_buf_fini)))

/** Make room for extra more bytes beyond len (and the NUL). */
int ol_buf_reserve(struct ol_buf *buf, size_t extra);
int ol_buf_append(struct ol_buf *buf, const void *data, size_t len);
int ol_buf_puts(struct ol_buf *buf, const char *text);
int ol_buf_putc(struct ol_buf *buf, char c);
int ol_buf_printf(struct ol_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Cut back to len bytes (len <= buf->len). Keeps the memory. */
void ol_buf_truncate(struct ol_buf *buf, size_t len);

/** The text; "" for an empty buffer. Owned by the buffer. */
const char *ol_buf_str(const struct ol_buf *buf);

/** Hand the memory to the caller, who frees it; NULL only when out of memory. Empties the buffer.
 */
char *ol_buf_steal(struct ol_buf *buf);

#endif
