/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's entries one by one, with their attributes and contents, for those who do something else
 * with them than applying: replaying a layer as a container's changes, comparing two layers.
 */
#ifndef OL_COMMON_LAYER_ENTRIES_H
#define OL_COMMON_LAYER_ENTRIES_H

#include "common/digest.h"
#include "common/layer/reader.h"

/**
 * One entry. What of its content is not read with ol_reader_data() is skipped.
 * @return a negative result ends the walk and is returned
 */
typedef int ol_entries_fn(const struct ol_reader_entry *entry, struct ol_reader *reader, void *data,
                          struct ol_error *err);

/**
 * Call fn for each entry, in archive order, within the default limits.
 * @return 0; errors of the archive as for ol_layer_apply()
 */
int ol_layer_entries(const struct ol_input *input, ol_entries_fn *fn, void *data,
                     struct ol_error *err);

/**
 * Digest of the content of the entry at hand, holes read as zeros.
 * @param ret  "" when a sparse entry gives its pieces in another order than the file's
 */
int ol_entry_digest(const struct ol_reader_entry *entry, struct ol_reader *reader,
                    char ret[static OL_DIGEST_SIZE], struct ol_error *err);

/** Write the content of the entry at hand to a file, which gets exactly the entry's size. */
int ol_entry_write(const struct ol_reader_entry *entry, struct ol_reader *reader, int fd,
                   struct ol_error *err);

#endif
