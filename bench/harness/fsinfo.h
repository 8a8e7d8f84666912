/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the file system of a directory is and can do. Abilities are found by trying them on
 * temporary files in the directory, everything else from statfs(2), the mount table and, where it
 * can be read, the superblock.
 */
#ifndef OL_BENCH_HARNESS_FSINFO_H
#define OL_BENCH_HARNESS_FSINFO_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum ol_known {
    OL_KNOWN_NO,
    OL_KNOWN_YES,
    OL_UNKNOWN, /* this process may not look, or the question makes no sense here */
};

struct ol_fsinfo {
    char
        *type; /* owned; "ext4", "xfs", "tmpfs", as the mount table has it; in a chroot, where the
                  table may not show the mount, by its magic number; the other texts are "" there */
    const char *magic_name; /* moby's "Backing Filesystem": "extfs", "xfs", "<unknown>" */
    char *source;           /* owned; device or what stands for it */
    char *options;          /* owned; as the mount table has them */
    char *mount_point;      /* owned */
    uint64_t block_size;
    uint64_t inode_size; /* bytes on disk; 0: the file system has none, or it cannot be read */
    uint64_t total_bytes, free_bytes;
    uint64_t total_inodes, free_inodes; /* 0 where the file system does not count (btrfs) */
    bool counts_links;                  /* tmpfs: a further hard link is charged like an inode */
    bool floats_total;                  /* xfs: the total moves with the free space */
    enum ol_known journal;              /* ext4: has one; others: OL_UNKNOWN */
    enum ol_known reflink;
    enum ol_known d_type;
    enum ol_known user_xattr;
    enum ol_known trusted_xattr; /* NO also without CAP_SYS_ADMIN in the initial namespace */
};

/**
 * Look at dir, which must exist. What needs a temporary file stays OL_UNKNOWN where none can be
 * made. @return 0 or negative errno
 */
int ol_fsinfo_get(const char *dir, struct ol_fsinfo *ret, struct ol_error *err);
void ol_fsinfo_fini(struct ol_fsinfo *info);

/** True for the slow case of performance work: ext4 that is known to have no journal. */
bool ol_fsinfo_is_slow_ext4(const struct ol_fsinfo *info);

#endif
