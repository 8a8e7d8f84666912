/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What file system holds so many inodes and bytes: how ext4 has to be made, which gets its inodes
 * when it is made and never more; what xfs and btrfs need, which make inodes as they go. Pure
 * functions.
 */
#ifndef OL_BENCH_HARNESS_FS_ADVICE_H
#define OL_BENCH_HARNESS_FS_ADVICE_H

#include "bench/oracle/disk.h"
#include "common/error.h"

#include <stdint.h>

const char *ol_disk_fs_name(enum ol_disk_fs fs); /* "ext4", "xfs", "btrfs" */
/** @return 0; -EINVAL, naming those there are */
int ol_disk_fs_parse(const char *text, enum ol_disk_fs *ret, struct ol_error *err);

enum { OL_HEADROOM_DEFAULT = 20, OL_HEADROOM_MAX = 1000 };

/* What has to fit. */
struct ol_fs_load {
    uint64_t inodes;                     /* in the driver's directory */
    uint64_t bytes;                      /* in blocks */
    uint64_t layers, containers, images; /* what an engine keeps files about */
};

struct ol_fs_advice {
    uint64_t inodes;          /* with headroom and what the engine keeps: mkfs.ext4 -N */
    uint64_t size_bytes;      /* whole MiB */
    uint64_t bytes_per_inode; /* ext4: mkfs.ext4 -i, for this size; else 0 */
    unsigned imaxpct;         /* xfs: mkfs.xfs -i maxpct, where the default would not do; else 0 */
};

/**
 * The rule: inodes and bytes grow by headroom percent, after 6 inodes for each layer, 16 for each
 * container, 3 for each image and 128 besides were added for the engine's own files, a block each.
 * The size then leaves room for inode tables, journal and, on ext4, the reserved 5 percent.
 */
struct ol_fs_advice ol_fs_advise(enum ol_disk_fs fs, const struct ol_fs_load *load,
                                 unsigned headroom_percent);

#endif
