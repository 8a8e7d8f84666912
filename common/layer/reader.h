/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libarchive's tar reader behind struct ol_entry: names as raw bytes, every field checked against
 * its range and the limits, content without copying. The only file that includes <archive.h> is
 * reader.c.
 */
#ifndef OL_COMMON_LAYER_READER_H
#define OL_COMMON_LAYER_READER_H

#include "common/layer/layer.h"
#include "common/layer/stream.h"

struct ol_reader;

/* One extended attribute of an entry; valid until the next ol_reader_next(). */
struct ol_entry_xattr {
    const char *name;
    const void *value;
    size_t len;
};

/* What the reader knows about an entry beyond its header. Valid until the next ol_reader_next(). */
struct ol_reader_entry {
    struct ol_entry header;
    const char *name; /* as it is in the archive, for messages */
    bool sparse;      /* the content has holes: its pieces may leave gaps and come in any order */
    const struct ol_entry_xattr *xattrs;
    size_t n_xattrs;
};

/* A piece of an entry's content. */
struct ol_reader_piece {
    const void *data;
    size_t len;
    uint64_t offset;        /* in the file */
    struct ol_block *block; /* where data lies, for ol_block_ref(); NULL: a copy that is valid until
                               the next call only */
};

/* Called before the reader waits for the stream's reader thread. */
typedef void ol_reader_wait_fn(void *data);

/* How the reader gets its bytes. */
struct ol_reader_config {
    struct ol_stream *stream; /* borrowed */
    const struct ol_layer_limits *limits;
    struct ol_tarsplit *record;     /* borrowed; told of every block and entry; NULL: none */
    ol_reader_wait_fn *before_wait; /* NULL: none */
    void *data;
};

int ol_reader_open(const struct ol_reader_config *config, struct ol_reader **ret,
                   struct ol_error *err);
void ol_reader_close(struct ol_reader *reader);

/** The next entry. @return 1; 0 at the end of the archive; -EBADMSG, -E2BIG, -EINVAL, … */
int ol_reader_next(struct ol_reader *reader, struct ol_reader_entry *ret, struct ol_error *err);

/** The next piece of the current entry's content. @return 1; 0 at its end; negative errno. */
int ol_reader_data(struct ol_reader *reader, struct ol_reader_piece *ret, struct ol_error *err);

/** After the end of the archive: read what follows it, to the end of the stream. */
int ol_reader_drain(struct ol_reader *reader, struct ol_error *err);

#endif
