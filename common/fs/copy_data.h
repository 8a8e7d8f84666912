/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying file data, with what was learnt about the file systems kept between calls (not for use
 * outside common/fs; others call ol_file_copy_data()).
 */
#ifndef OL_COMMON_FS_COPY_DATA_H
#define OL_COMMON_FS_COPY_DATA_H

#include "common/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { OL_COPY_BLOCK = 256 << 10 };

/* What this pair of file systems refused; shared by the threads of one clone. */
struct ol_copy_memory {
    atomic_bool no_clone;
    atomic_bool no_range;
};

/**
 * Copy st->st_size bytes of src_fd, whose state is *st, into the empty file dst_fd.
 * @param memory  what was refused before; updated
 * @param block   *block is a buffer of OL_COPY_BLOCK bytes, or NULL until one is needed; the caller
 *                frees it
 * @return 0 or negative errno, without a text
 */
int ol_copy_data(int src_fd, int dst_fd, const struct stat *st, struct ol_copy_memory *memory,
                 char **block);

#endif
