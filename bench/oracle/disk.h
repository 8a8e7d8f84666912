/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a layer takes on disk, as "blocks * 512 of its own inodes" would count it after a sync: from
 * the model alone. The table of inodes itself is apart: it is there whether it is used or not.
 */
#ifndef OL_BENCH_ORACLE_DISK_H
#define OL_BENCH_ORACLE_DISK_H

#include "bench/oracle/oracle.h"

enum ol_disk_fs { OL_DISK_EXT4, OL_DISK_XFS, OL_DISK_BTRFS };
enum { OL_DISK_FS = OL_DISK_BTRFS + 1 }; /* how many */

struct ol_disk_bytes {
    uint64_t content;     /* sizes of regular files, as ol_law_layer_bytes() */
    uint64_t allocated;   /* blocks of files, long symlinks, directories and bookkeeping */
    uint64_t directories; /* of that, directories */
    uint64_t inode_table; /* own inodes times the size of one on disk, not in allocated; btrfs: 0 */
    bool estimate; /* near, not exact. ext4: a directory is past one block and so indexed, and
                      its leaves split by a hash the file system seeds, or may have been before
                      the layer deleted names in it. xfs: always; files can keep what was
                      allocated ahead of their end, and how much of a directory fits into its
                      inode depends on its attributes. A layer that is filled through a mount
                      (OL_LAW_OVERLAY2_NAIVE) has attributes that may need blocks */
};

/**
 * Of the image layer just fed, made in one go on an empty place: 4 KiB blocks, mkfs's defaults of
 * the day (ext4: 256-byte inodes, extents, dir_index, metadata_csum, no inline_data; xfs: 512-byte
 * inodes, ftype, 4 KiB directories). Files are without holes, attributes fit into the inode.
 * What the layer adds to directories of other layers' (the home, l/) is left out.
 * @return 0; -ENOMEM; -ENOTSUP the model does not track that law
 */
int ol_law_layer_disk(enum ol_law law, const struct ol_model *model, bool base, enum ol_disk_fs fs,
                      struct ol_disk_bytes *ret);

/**
 * True where the driver's home takes no more for having so many layers in it: those of images, of
 * containers, and init layers. Then what ol_law_layer_disk() leaves out is nothing.
 */
bool ol_disk_home_is_flat(enum ol_disk_fs fs, uint64_t layers);

/**
 * Inodes the layer's tree has names of that are a lower layer's: what the legacy overlay's clone
 * links. What ol_law_image_layer() tells is the layer's own beside them; all others share none.
 * @return 0; -ENOTSUP the model does not track that law
 */
int ol_law_layer_shared(enum ol_law law, const struct ol_model *model, bool base,
                        struct ol_inode_kinds *ret);

#endif
