/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and texts for people, appended to a buffer. All return 0 or -ENOMEM. */
#ifndef OL_BENCH_REPORT_HUMAN_H
#define OL_BENCH_REPORT_HUMAN_H

#include "common/buf.h"

#include <stdint.h>

struct ol_blamed_dir;

int ol_human_count(struct ol_buf *buf, int64_t count);           /* "1,450" */
int ol_human_bytes(struct ol_buf *buf, int64_t bytes);           /* "5.6 MiB" */
int ol_human_seconds(struct ol_buf *buf, double seconds);        /* "12.3 ms" */
int ol_human_ratio(struct ol_buf *buf, double ratio);            /* "66x", "3.4x", "1.05x" */
int ol_human_range(struct ol_buf *buf, double low, double high); /* "11.9-14.0 ms" */

/**
 * Text from outside as one line: every run of blanks and control characters is one blank, and what
 * passes max (> 3) bytes is cut.
 */
int ol_text_one_line(const char *text, size_t max, struct ol_buf *buf);

/** "1,234 in /usr/share/doc, 5.6 MiB"; the path cut to max bytes. */
int ol_text_blamed_dir(const struct ol_blamed_dir *dir, size_t max, struct ol_buf *buf);

#endif
