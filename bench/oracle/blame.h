/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is to blame for what a layer costs: the bytes of its contents under each driver, and the
 * directories its own entries lie in. Inodes are told by the laws of oracle.h.
 */
#ifndef OL_BENCH_ORACLE_BLAME_H
#define OL_BENCH_ORACLE_BLAME_H

#include "bench/oracle/oracle.h"

/**
 * Bytes of file contents the image layer just fed adds to the driver's home: sizes as the headers
 * tell them, without the blocks of directories and the rounding of files.
 * @return 0 or -ENOMEM
 */
int ol_law_layer_bytes(enum ol_law law, const struct ol_model *model, bool base, uint64_t *ret);

/* A directory, and what the last layer's own tar put directly into it. */
struct ol_blamed_dir {
    char *path;      /* owned; "" for the root */
    uint64_t inodes; /* of every kind; a file with several names counts where one of them is */
    uint64_t bytes;  /* of contents */
};

/**
 * The directories with most inodes, most first, then those with most bytes.
 * @param top  how many at most
 * @param ret  room for top; the caller frees the paths
 * @return their number, or -ENOMEM
 */
int ol_model_blame(const struct ol_model *model, size_t top, struct ol_blamed_dir *ret);

/**
 * The same for all that one law charges to the last layer: of legacy overlay's, every directory and
 * symlink of the tree so far.
 * @param base      the layer is the image's first
 * @param by_bytes  those with most bytes first, not those with most inodes
 */
int ol_model_blame_under(enum ol_law law, const struct ol_model *model, bool base, bool by_bytes,
                         size_t top, struct ol_blamed_dir *ret);

#endif
