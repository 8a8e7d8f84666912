/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uncompressed stream as a sequence of reference-counted blocks, with its SHA-256.
 *
 * A short stream is read by the caller itself. For a longer one, when more than one thread is
 * allowed, a reader thread fills blocks ahead of the consumer: at most OL_STREAM_BLOCKS exist at
 * any time, so a slow consumer stops the reader and not the machine.
 * SHA-256 runs in the reader thread for plain input; for compressed input decoding alone fills a
 * thread, so a third one digests the same blocks. Whoever holds a block - consumer, digest, file
 * writers - keeps its bytes where they are: nothing is copied on the way from decoder to file.
 */
#ifndef OL_COMMON_LAYER_STREAM_H
#define OL_COMMON_LAYER_STREAM_H

#include "common/digest.h"
#include "common/error.h"
#include "common/io.h"
#include "common/limits.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OL_STREAM_BLOCK = 256 << 10, /* bytes per block: 3 MiB in all keep an extraction's memory small,
                                    and larger blocks gain nothing measurable */
    OL_STREAM_BLOCKS = 12,
    OL_STREAM_LONG = 1 << 20,       /* bytes from which on threads pay for themselves */
    OL_STREAM_SEEK_BLOCK = 8 << 10, /* bytes read at a time when contents are skipped by seeking */
};

enum ol_stream_flags {
    OL_STREAM_DIGEST = 1 << 0, /* compute the SHA-256 */
    OL_STREAM_SEEK = 1 << 1,   /* in an uncompressed regular file ol_stream_skip() seeks: small
                                  blocks, no threads, and no digest even if it was asked for */
};

struct ol_stream;

struct ol_block {
    char *data;     /* owned */
    size_t len;     /* OL_STREAM_BLOCK, less in the last block */
    uint64_t start; /* offset of data[0] in the uncompressed stream */
    struct ol_stream *stream;
    atomic_uint refs;
    struct ol_block *next; /* in the free list */
};

/**
 * @param limits   total_bytes is checked here
 * @param flags    enum ol_stream_flags
 * @param threads  1: never start one
 */
int ol_stream_open(const struct ol_input *input, const struct ol_layer_limits *limits,
                   unsigned flags, unsigned threads, struct ol_stream **ret, struct ol_error *err);

/** Stop the threads, even in the middle of a read, and free everything. All blocks must be back. */
void ol_stream_close(struct ol_stream *stream);

/**
 * The next block, one reference for the caller; NULL at the end of the stream.
 * @return 0; -E2BIG past total_bytes; errors of ol_source_read()
 */
int ol_stream_next(struct ol_stream *stream, struct ol_block **ret, struct ol_error *err);

/**
 * With OL_STREAM_SEEK: skip what follows the blocks taken so far.
 * @return bytes skipped, 0 when that is not possible here; negative errno
 */
int64_t ol_stream_skip(struct ol_stream *stream, int64_t len, struct ol_error *err);

/** True when ol_stream_next() would not have to wait for the reader thread. */
bool ol_stream_ready(struct ol_stream *stream);

/** True once the stream turned out to be long (OL_STREAM_LONG): threads may run. */
bool ol_stream_is_long(const struct ol_stream *stream);

void ol_block_ref(struct ol_block *block);
void ol_block_unref(struct ol_block *block); /* accepts NULL */

/**
 * After the end: the digest ("" when not asked for) and the length of the stream. Waits for the
 * digest thread.
 */
void ol_stream_result(struct ol_stream *stream, char ret_diff_id[static OL_DIGEST_SIZE],
                      uint64_t *ret_bytes);

#endif
