/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressing a stream: the other direction of codec.h. The same bytes in give the same bytes out,
 * however they are cut: no time, no name, one thread.
 */
#ifndef OL_COMMON_LAYER_COMPRESS_H
#define OL_COMMON_LAYER_COMPRESS_H

#include "common/error.h"
#include "common/io.h"

enum ol_compression {
    OL_COMPRESS_NONE,
    OL_COMPRESS_GZIP,
    OL_COMPRESS_ZSTD,
};

struct ol_compress;

/**
 * @param level  the library's own; 0: what its command line tool takes
 * @param sink   gets the compressed bytes; its errors are passed on
 */
int ol_compress_new(enum ol_compression kind, int level, ol_sink_fn *sink, void *data,
                    struct ol_compress **ret, struct ol_error *err);
void ol_compress_free(struct ol_compress *c);

/** An ol_sink_fn whose data is the object. */
int ol_compress_write(void *compress, const void *bytes, size_t len, struct ol_error *err);

/** The end of the stream; the object can only be freed afterwards. */
int ol_compress_finish(struct ol_compress *c, struct ol_error *err);

#endif
