/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping a layer's exact stream beside its files: the file "tar-split.json.gz" of moby's layer
 * store (github.com/vbatts/tar-split) holds all bytes of the tar that are no file's content, and
 * for each content its name, size and CRC-64. With the layer's own files the stream, and so its
 * DiffID, can be made again. Format, and where ours differs: docs/formats/tar-split.md.
 *
 *   tarsplit_record.c  while a layer is applied: what becomes of each byte, in a thread of its own
 *   tarsplit_write.c   the lines of the file
 *   tarsplit_read.c    and reading them, hostile as every file is
 *   tarsplit_build.c   the stream again; looking whether that works
 *   tarsplit_settle.c  what to do when it does not
 */
#ifndef OL_COMMON_LAYER_TARSPLIT_H
#define OL_COMMON_LAYER_TARSPLIT_H

#include "common/error.h"
#include "common/io.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- recording ---- */

/* Contents that cannot be read back from the layer, by the offset of their first byte in the
 * stream, ascending. */
struct ol_tarsplit_lost {
    uint64_t *at; /* owned */
    size_t count, cap;
};
#define OL_TARSPLIT_LOST_INIT                                                                      \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
void ol_tarsplit_lost_fini(struct ol_tarsplit_lost *lost);

/**
 * A recording for one ol_layer_apply(), which is told by input.record. Memory is bounded by what
 * the stream's ring of blocks holds, and eight to sixteen bytes per entry.
 *
 * @param out_fd   an empty file; borrowed until ol_tarsplit_free()
 * @param threads  1: never start one
 * @param lost     contents to keep as they are; borrowed; NULL: none known
 */
int ol_tarsplit_new(int out_fd, unsigned threads, const struct ol_tarsplit_lost *lost,
                    struct ol_tarsplit **ret, struct ol_error *err);
void ol_tarsplit_free(struct ol_tarsplit *ts); /* accepts NULL */

/** After the apply: true when the whole stream is in the file. */
bool ol_tarsplit_is_whole(const struct ol_tarsplit *ts);

/**
 * After the apply: true when something was removed meanwhile, so that a content may not be where
 * its name says. ol_tarsplit_check() tells.
 */
bool ol_tarsplit_in_doubt(const struct ol_tarsplit *ts);

/**
 * Call this after an apply in doubt. Looks whether every content can be read back from the layer;
 * where one cannot - it was replaced or deleted by the same archive - the stream is read and
 * recorded a second time, with such contents kept as they are.
 *
 * @param input    the stream that was applied, from its beginning; offset >= 0, or this fails with
 *                 -ESPIPE when a content was lost
 * @param file_fd  what was recorded; written anew when that is needed
 * @param own_fd   as for ol_tarsplit_build()
 */
int ol_tarsplit_settle(const struct ol_input *input, const struct ol_layer_limits *limits,
                       unsigned threads, int file_fd, int own_fd, struct ol_error *err);

/* ---- told by the reader and the applier; in the order of the stream, by one thread ---- */

struct ol_block;
struct ol_reader_entry;

/** The next block; takes a reference of its own. Fails with what went wrong in the thread. */
int ol_tarsplit_block(struct ol_tarsplit *ts, struct ol_block *block, struct ol_error *err);
/** An entry whose content, if any, begins at offset at of the stream. */
int ol_tarsplit_entry(struct ol_tarsplit *ts, const struct ol_reader_entry *entry, uint64_t at,
                      struct ol_error *err);
/** Something that is named in the layer was removed, or replaced. Accepts NULL. */
void ol_tarsplit_doubt(struct ol_tarsplit *ts);
/** The stream has ended: write the rest. Every block is given back. */
int ol_tarsplit_finish(struct ol_tarsplit *ts, struct ol_error *err);
/** Give every block back; what was not finished never will be. Accepts NULL. */
void ol_tarsplit_stop(struct ol_tarsplit *ts);

/* ---- making the stream again ---- */

/**
 * @param file_fd  the tar-split file; read with pread
 * @param own_fd   directory with the layer's own files under the names of its tar; nothing outside
 *                 it is opened
 * @param sink     gets the stream
 * @return 0; -EBADMSG no well-formed file, or a file of the layer has changed; -ENOENT one is
 *         missing; -E2BIG past limits; else the errno of the failing call. The text names the file.
 */
int ol_tarsplit_build(int file_fd, int own_fd, const struct ol_layer_limits *limits,
                      ol_sink_fn *sink, void *data, struct ol_error *err);

/** Compare every content with its file. @param ret  those that cannot be read back are added */
int ol_tarsplit_check(int file_fd, int own_fd, const struct ol_layer_limits *limits,
                      struct ol_tarsplit_lost *ret, struct ol_error *err);

#endif
