/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uncompressed byte stream behind an ol_input: reads the descriptor, tells the compression by
 * content and decodes on the way. One thread at a time.
 */
#ifndef OL_COMMON_LAYER_SOURCE_H
#define OL_COMMON_LAYER_SOURCE_H

#include "common/error.h"
#include "common/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ol_source;

/**
 * Look at the first bytes and prepare.
 * @param wake_fd  readable when reading shall stop (an eventfd), or -1; only waited for together
 *                 with descriptors that can block for ever (pipes, sockets)
 */
int ol_source_open(const struct ol_input *input, int wake_fd, struct ol_source **ret,
                   struct ol_error *err);
void ol_source_close(struct ol_source *source);

/**
 * Fill data with uncompressed bytes.
 * @return len, fewer at the end of the stream (0 from then on), -EBADMSG for corrupt or truncated
 *         compressed data, -ECANCELED when wake_fd became readable, or the errno of read(2)
 */
ssize_t ol_source_read(struct ol_source *source, void *data, size_t len, struct ol_error *err);

/**
 * Skip forward without reading, where that is possible: plain content of a regular file.
 * @return bytes skipped, at most len, 0 where nothing can be skipped; or negative errno
 */
int64_t ol_source_skip(struct ol_source *source, int64_t len, struct ol_error *err);

/** True when ol_source_skip() works. */
bool ol_source_can_skip(const struct ol_source *source);

/** True when the input is not compressed. */
bool ol_source_is_plain(const struct ol_source *source);

#endif
