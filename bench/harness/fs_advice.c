/* SPDX-License-Identifier: Apache-2.0 */
/* File systems for so many inodes; see fs_advice.h. */
#include "bench/harness/fs_advice.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

enum {
    BLOCK = 4096,
    MIB = 1 << 20,

    /* Measured beside Docker 20.10's data root: layerdb and tar-split of a layer; mount record and
     * containers/<id> of a container; config and its metadata of an image. */
    PER_LAYER = 6,
    PER_CONTAINER = 16,
    PER_IMAGE = 3,
    BESIDES = 128,

    EXT4_INODE = 256,
    EXT4_RESERVED = 11,       /* inodes 1 to 10, and lost+found */
    EXT4_LEAST_RATIO = 1024,  /* mke2fs -i takes no less */
    EXT4_USABLE_PERCENT = 90, /* 5 reserved for root; a journal of up to 1/32; group descriptors */
    EXT4_LEAST_MIB = 16,

    XFS_INODE = 512,
    XFS_IMAXPCT = 25, /* the default below 1 TiB */
    XFS_USABLE_PERCENT = 92,
    XFS_LOG_MIB = 64,
    XFS_LEAST_MIB = 300, /* mkfs.xfs makes no smaller ones */

    BTRFS_INODE = 1024, /* items of an inode and its name, in two copies */
    BTRFS_USABLE_PERCENT = 90,
    BTRFS_CHUNKS_MIB = 256, /* that are reserved before they are full */
};

static const char *const names[] = {
    [OL_DISK_EXT4] = "ext4", [OL_DISK_XFS] = "xfs", [OL_DISK_BTRFS] = "btrfs"};

const char *ol_disk_fs_name(enum ol_disk_fs fs)
{
    return names[fs];
}

int ol_disk_fs_parse(const char *text, enum ol_disk_fs *ret, struct ol_error *err)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum ol_disk_fs)i;
            return 0;
        }
    }
    return ol_error_set(err, -EINVAL, "'%s' is none of ext4, xfs and btrfs", text);
}

static uint64_t grown(uint64_t n, unsigned percent)
{
    return n + (n * percent + 99) / 100;
}

/* Whole MiB of which usable percent hold the bytes. */
static uint64_t size_for(uint64_t bytes, unsigned usable_percent, uint64_t least_mib)
{
    uint64_t mib = (bytes / usable_percent * 100 + MIB) / MIB + 1;

    return (mib > least_mib ? mib : least_mib) * MIB;
}

static void advise_ext4(uint64_t bytes, struct ol_fs_advice *advice)
{
    uint64_t least;

    advice->inodes += EXT4_RESERVED;
    least = advice->inodes * EXT4_LEAST_RATIO * 11 / 10; /* with what is rounded, below */
    advice->size_bytes = size_for(bytes + advice->inodes * EXT4_INODE, EXT4_USABLE_PERCENT,
                                  EXT4_LEAST_MIB);
    if (advice->size_bytes < least)
        advice->size_bytes = size_for(least, 100, EXT4_LEAST_MIB);
    /* mke2fs rounds each group's share down to a multiple of 8; groups are of 8 MiB or larger */
    advice->inodes += advice->size_bytes / MIB + 8;
    advice->bytes_per_inode = advice->size_bytes / advice->inodes;
    if (advice->bytes_per_inode < EXT4_LEAST_RATIO)
        advice->bytes_per_inode = EXT4_LEAST_RATIO;
}

static void advise_xfs(uint64_t bytes, struct ol_fs_advice *advice)
{
    uint64_t inode_bytes = advice->inodes * XFS_INODE;

    advice->size_bytes = size_for(bytes + inode_bytes + (uint64_t)XFS_LOG_MIB * MIB,
                                  XFS_USABLE_PERCENT, XFS_LEAST_MIB);
    if (inode_bytes > advice->size_bytes / 100 * XFS_IMAXPCT)
        advice->imaxpct = (unsigned)(inode_bytes / (advice->size_bytes / 100)) + 1;
}

struct ol_fs_advice ol_fs_advise(enum ol_disk_fs fs, const struct ol_fs_load *load,
                                 unsigned headroom_percent)
{
    uint64_t own = load->layers * PER_LAYER + load->containers * PER_CONTAINER +
                   load->images * PER_IMAGE + BESIDES;
    uint64_t bytes = grown(load->bytes + own * BLOCK, headroom_percent);
    struct ol_fs_advice advice = {.inodes = grown(load->inodes + own, headroom_percent)};

    switch (fs) {
    case OL_DISK_EXT4:
        advise_ext4(bytes, &advice);
        break;
    case OL_DISK_XFS:
        advise_xfs(bytes, &advice);
        break;
    case OL_DISK_BTRFS:
        advice.size_bytes = size_for(bytes + advice.inodes * BTRFS_INODE +
                                         (uint64_t)BTRFS_CHUNKS_MIB * MIB,
                                     BTRFS_USABLE_PERCENT, 0);
        break;
    }
    return advice;
}
