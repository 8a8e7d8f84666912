/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a tar-split file, one JSON object each, in gzip. See tarsplit.h. */
#ifndef OL_COMMON_LAYER_TARSPLIT_LINES_H
#define OL_COMMON_LAYER_TARSPLIT_LINES_H

#include "common/buf.h"
#include "common/error.h"
#include "common/limits.h"

#include <stddef.h>
#include <stdint.h>

enum {
    OL_TARSPLIT_FILE = 1,    /* "type": an entry, and its content if it has any */
    OL_TARSPLIT_SEGMENT = 2, /* bytes as they are */
    OL_TARSPLIT_CRC_BYTES = 8,
};

/* ---- writing ---- */

struct ol_tarsplit_writer;

/** @param fd  borrowed */
int ol_tarsplit_writer_new(int fd, struct ol_tarsplit_writer **ret, struct ol_error *err);
void ol_tarsplit_writer_free(struct ol_tarsplit_writer *w); /* accepts NULL */
int ol_tarsplit_write_segment(struct ol_tarsplit_writer *w, const void *bytes, size_t len,
                              struct ol_error *err);
/** @param crc  of the content; meaningless for size 0 */
int ol_tarsplit_write_file(struct ol_tarsplit_writer *w, const char *name, uint64_t size,
                           uint64_t crc, struct ol_error *err);
int ol_tarsplit_writer_finish(struct ol_tarsplit_writer *w, struct ol_error *err);

/* ---- reading ---- */

struct ol_tarsplit_reader;

/* Valid until the next call. */
struct ol_tarsplit_line {
    int type;
    const char *name; /* file: bytes, not cleaned */
    uint64_t size;    /* file: of the content */
    uint64_t crc;     /* file with content */
    const void *bytes;
    size_t len; /* segment: bytes */
};

/** @param fd  borrowed; read with pread */
int ol_tarsplit_reader_new(int fd, const struct ol_layer_limits *limits,
                           struct ol_tarsplit_reader **ret, struct ol_error *err);
void ol_tarsplit_reader_free(struct ol_tarsplit_reader *reader); /* accepts NULL */
/** @return 1; 0 at the end; -EBADMSG no line of a tar-split file; -E2BIG past a limit */
int ol_tarsplit_read_line(struct ol_tarsplit_reader *reader, struct ol_tarsplit_line *ret,
                          struct ol_error *err);

#endif
