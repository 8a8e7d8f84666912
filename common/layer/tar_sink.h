/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the tar writer's bytes go: a ring of large blocks. A second thread takes the larger half of
 * what is left to do with a full one: SHA-256 while the caller's thread writes the block to the
 * descriptor, or, where no digest is wanted, that write. A short stream never starts the thread.
 * Used by tar_writer.c.
 */
#ifndef OL_COMMON_LAYER_TAR_SINK_H
#define OL_COMMON_LAYER_TAR_SINK_H

#include "common/error.h"
#include "common/layer/tar_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ol_tar_sink;

/** @param fd  borrowed; -1: nothing is written */
int ol_tar_sink_new(int fd, struct ol_tar_sink **ret, struct ol_error *err);
void ol_tar_sink_free(struct ol_tar_sink *sink);

/** See ol_tar_writer_set_work(); before the first byte. */
void ol_tar_sink_set_work(struct ol_tar_sink *sink, unsigned work);

/** Room for the next bytes: *ret_len is never 0. The bytes count once ol_tar_sink_commit() says so.
 */
unsigned char *ol_tar_sink_room(struct ol_tar_sink *sink, size_t *ret_len);

/** len bytes were put into the room. @return 0, or the errno of a write that failed: this one's, or
 * an earlier one's that was still going on. */
int ol_tar_sink_commit(struct ol_tar_sink *sink, size_t len, struct ol_error *err);

int ol_tar_sink_put(struct ol_tar_sink *sink, const void *data, size_t len, struct ol_error *err);

/** Write what is left. @param ret_digest "" without digest; may be NULL */
int ol_tar_sink_finish(struct ol_tar_sink *sink, char *ret_digest, struct ol_error *err);

/** Bytes put so far. */
uint64_t ol_tar_sink_total(const struct ol_tar_sink *sink);

#endif
